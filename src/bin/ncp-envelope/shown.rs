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

/// A number of bytes, in three digits.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let (mut value, mut unit) = (count as f64, None);
    for next in UNITS {
        // What would be shown as 1,024 is one of the next unit.
        if value < 1023.5 {
            break;
        }
        value /= 1024.0;
        unit = Some(next);
    }
    match unit {
        None if count == 1 => "1 byte".to_owned(),
        None => format!("{count} bytes"),
        Some(unit) if value < 9.995 => format!("{value:.2} {unit}"),
        Some(unit) if value < 99.95 => format!("{value:.1} {unit}"),
        Some(unit) => format!("{value:.0} {unit}"),
    }
}

/// A number of seconds, in its two largest units.
pub(crate) fn seconds(count: u64) -> String {
    match count {
        0..60 => format!("{count}s"),
        60..3_600 => format!("{}m {}s", count / 60, count % 60),
        3_600..86_400 => format!("{}h {}m", count / 3_600, count / 60 % 60),
        _ => format!("{}d {}h", count / 86_400, count / 3_600 % 24),
    }
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
    fn sizes_have_three_digits_and_times_two_units() {
        for (count, text) in [
            (0, "0 bytes"),
            (1, "1 byte"),
            (1_023, "1023 bytes"),
            (1_024, "1.00 KiB"),
            (10_240, "10.0 KiB"),
            (163_840_000, "156 MiB"),
            (1_048_575, "1.00 MiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(bytes(count), text);
        }
        for (count, text) in
            [(0, "0s"), (59, "59s"), (75, "1m 15s"), (7_260, "2h 1m"), (90_000, "1d 1h")]
        {
            assert_eq!(seconds(count), text);
        }
    }

    #[test]
    fn json_means_the_same_afterwards() {
        let value = serde_json::json!({ "\u{9b}": "\u{202e}\u{e0041}\u{1b}\n\"\\" });
        let text = json(&value.to_string());
        assert!(text.chars().all(is_plain), "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }
}
