//! The secrets in the text of a configuration file.
//!
//! Promises: each value that looks like a secret by the name before it, and each URL with a user
//! name, is found without parsing the file, in comments too, and is blanked out, byte for byte, in
//! the text that the TOML parser sees: its errors keep a copy of that text. What is taken for a
//! secret and is none is at worst refused, and never changed silently.

use std::ops::Range;

/// Where secrets are in `text`: the bytes between the quotes.
pub(super) fn find(text: &[u8]) -> Vec<Range<usize>> {
    let mut all: Vec<Range<usize>> = Vec::new();
    for (at, _) in text.iter().enumerate().filter(|(_, byte)| **byte == b'=') {
        // An equals sign inside of a secret.
        if all.last().is_some_and(|last| at < last.end) {
            continue;
        }
        let range = value(text, at + 1, is_secret(name(&text[..at])));
        if !range.is_empty() {
            all.push(range);
        }
    }
    all
}

/// `text` with the bytes of `secrets` replaced; as long as it was, line by line.
pub(super) fn blank(text: &[u8], secrets: &[Range<usize>]) -> Vec<u8> {
    let mut blanked = text.to_vec();
    for byte in secrets.iter().flat_map(|range| range.clone()) {
        if !matches!(blanked[byte], b'\n' | b'\r') {
            blanked[byte] = b'*';
        }
    }
    blanked
}

/// The end of what stands before an equals sign: the name, or its last part.
fn name(before: &[u8]) -> &[u8] {
    let before = before.trim_ascii_end();
    let before = match before {
        [rest @ .., b'"' | b'\''] => rest,
        _ => before,
    };
    let part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b' ');
    let start = before.iter().rposition(|byte| !part(byte)).map_or(0, |at| at + 1);
    &before[start..]
}

/// Whether values of this name are secrets, however it is spelt.
fn is_secret(name: &[u8]) -> bool {
    let plain: String = name
        .iter()
        .filter(|byte| byte.is_ascii_alphanumeric())
        .map(|byte| char::from(byte.to_ascii_lowercase()))
        .collect();
    ["secret", "accesskey", "password", "passwd", "apikey"].iter().any(|word| plain.contains(word))
        || plain.ends_with("token")
}

fn is_url_with_user(value: &[u8]) -> bool {
    value.contains(&b'@') && value.windows(3).any(|part| part == b"://")
}

/// The value from `start` on, without its quotes, if it is a secret: a string to its end, anything
/// else to a comma or the end of its line. Empty if it is none.
fn value(text: &[u8], start: usize, named: bool) -> Range<usize> {
    let end = |from: usize, is_end: &dyn Fn(usize) -> bool| {
        from..(from..text.len()).find(|at| is_end(*at)).unwrap_or(text.len())
    };
    let blanks = text[start..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let start = start + blanks;
    for quotes in [&b"\"\"\""[..], b"'''"] {
        if named && text[start..].starts_with(quotes) {
            return end(start + 3, &|at| text[at..].starts_with(quotes));
        }
    }
    let line_ends = |at: usize| matches!(text[at], b'\n' | b'\r');
    match text.get(start) {
        Some(quote @ (b'"' | b'\'')) => {
            let escaped = |at: usize| *quote == b'"' && is_escaped(text, at);
            let is_end = |at: usize| line_ends(at) || (text[at] == *quote && !escaped(at));
            let range = end(start + 1, &is_end);
            match named || is_url_with_user(&text[range.clone()]) {
                true => range,
                false => start..start,
            }
        }
        // Not TOML, and all the more nothing to repeat.
        Some(first) if named && !matches!(first, b'{' | b'[') => {
            end(start, &|at| line_ends(at) || matches!(text[at], b',' | b'}'))
        }
        _ => start..start,
    }
}

/// Whether an odd number of backslashes stands before `at`.
fn is_escaped(text: &[u8], at: usize) -> bool {
    text[..at].iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_found_however_they_are_written() {
        for text in [
            "secret_key = \"CANARY\"",
            "secret_key='CANARY'",
            "access_key\t=\t\"CANARY\"\r\nkey = \"tag\"",
            "credentials = { source = \"stored\", access_key = \"CANARY\", x = 1 }",
            "profiles.work.credentials.secret_key = \"CANARY\"",
            "\"secret_key\" = \"CANARY\"",
            "'secret_key' = \"CANARY\"",
            "# secret_key = \"CANARY\"",
            "Secret-Key = \"CANARY\"",
            "password = \"CANARY\"",
            "NCLOUD_SECRET_ACCESS_KEY = \"CANARY\"",
            "secret_key = CANARY",
            "secret_key = \"CANARY",
            "secret_key = \"a\\\"CANARY\"",
            "secret_key = \"a\\\\\"\nsecret = \"CANARY\"",
            "secret_key = \"\"\"\nCANARY\"\"\"",
            "secret_key = '''a=\n\"CANARY\"'''",
            "proxy = \"http://me:CANARY@proxy.example\"",
            "endpoint = 'https://CANARY@kms.example'",
        ] {
            let found = find(text.as_bytes());
            let blanked = String::from_utf8(blank(text.as_bytes(), &found)).unwrap();
            assert!(!blanked.contains("CANARY"), "{blanked}");
            assert_eq!(blanked.len(), text.len());
            assert_eq!(blanked.lines().count(), text.lines().count(), "{blanked}");
        }
    }

    #[test]
    fn other_values_are_left_alone() {
        for text in [
            "",
            "=",
            "= \"",
            "secret_key",
            "secret_key =",
            "secret_key = \"\"",
            "token_store = \"tokens.json\"",
            "issue_tokens = false",
            "key = \"tag\"",
            "source = \"stored\"",
            "endpoint = \"https://kms.example\"",
            "scope = \"someone@example\"",
            "[profiles.secret]\nkey = \"tag\"",
            "profiles = { secret = { key = \"tag\" } }",
        ] {
            assert!(find(text.as_bytes()).is_empty(), "{text}");
        }
        // Quotes that are not closed, again and again, cost no more than the text is long.
        let long = "secret='''".repeat(50_000);
        assert!(!find(long.as_bytes()).is_empty());
    }
}
