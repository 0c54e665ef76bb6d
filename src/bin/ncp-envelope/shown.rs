//! Text of others, made safe for a terminal.
//!
//! Others chose the names of files, arguments, answers of the service and the content of a message.
//! A terminal obeys some characters, and hides or reorders others. Promises: the result has none of
//! these characters, and shows which ones they were.

/// `text` with special characters escaped: control characters, line breaks included, and those that
/// are invisible or change the direction of writing.
pub(crate) fn plain(text: &str) -> String {
    escaped(text, is_plain)
}

/// The same for several lines.
pub(crate) fn lines(text: &str) -> String {
    escaped(text, |c| c == '\n' || is_plain(c))
}

/// JSON with these characters escaped in JSON's way. They can only be in its strings.
pub(crate) fn json(text: &str) -> String {
    let mut units = [0; 2];
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match is_plain(c) {
            true => out.push(c),
            false => c
                .encode_utf16(&mut units)
                .iter()
                .for_each(|unit| out.push_str(&format!("\\u{unit:04x}"))),
        }
        out
    })
}

fn escaped(text: &str, keep: impl Fn(char) -> bool) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match keep(c) {
            true => out.push(c),
            // As in the library's errors.
            false => out.extend(c.escape_debug()),
        }
        out
    })
}

fn is_plain(c: char) -> bool {
    !c.is_control()
        && !matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_named_and_letters_stay() {
        for (text, shown) in [
            ("\u{ac00}\u{b098}.txt", "\u{ac00}\u{b098}.txt"),
            ("a\u{1b}[31mb", "a\\u{1b}[31mb"),
            ("a\u{9b}31m\u{7f}\r\n", "a\\u{9b}31m\\u{7f}\\r\\n"),
            ("\u{202e}fdp.exe\u{2066}\u{61c}", "\\u{202e}fdp.exe\\u{2066}\\u{61c}"),
            ("\u{200b}\u{feff}\u{e0041}", "\\u{200b}\\u{feff}\\u{e0041}"),
        ] {
            assert_eq!(plain(text), shown);
            assert_eq!(plain(shown), shown);
        }
        assert_eq!(lines("a\n\u{1b}b\n"), "a\n\\u{1b}b\n");
    }

    #[test]
    fn json_means_the_same_afterwards() {
        let value = serde_json::json!({ "\u{9b}": "\u{202e}\u{e0041}\u{1b}\n\"\\" });
        let text = json(&value.to_string());
        assert!(text.chars().all(is_plain), "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }
}
