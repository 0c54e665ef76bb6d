//! The text of a profile, and its place in a file.
//!
//! Promises: every byte of a file that is not of the profile stays; an edit that would change
//! anything else, or that TOML would read in another way, is refused.

use std::fmt::Write;
use toml::{Table, Value};
use zeroize::{Zeroize, Zeroizing};

/// What a new file begins with.
const HEAD: &str = "\
# Settings of ncp-envelope. Options of the command line and environment variables count before
# them. \"ncp-envelope config show\" says which value counts, and where it came from;
# docs/configuration.md lists all settings.
#
# A profile is used with --profile NAME or NCP_KMS_PROFILE. The one called default is used without
# being named, or another one after:
#
#   default_profile = \"NAME\"
";

/// A profile's table, as it is written into a file.
pub(super) struct Section {
    name: String,
    text: Zeroizing<String>,
}

impl Section {
    pub(super) fn new(name: &str) -> Self {
        let text = Zeroizing::new(format!("[profiles.{}]\n", key(name)));
        Self { name: name.to_owned(), text }
    }

    /// Adds a setting whose value is TOML.
    pub(super) fn add(&mut self, field: &str, value: impl std::fmt::Display) {
        let _ = writeln!(self.text, "{field} = {value}");
    }

    /// Adds the account.
    pub(super) fn add_account(&mut self, access: &str, secret: &str) -> Result<(), String> {
        let table = format!("\n[profiles.{}.credentials]\n", key(&self.name));
        // Text that grows leaves copies behind.
        self.text.reserve(table.len() + access.len() + secret.len() + 100);
        self.text.push_str(&table);
        self.text.push_str("source = \"stored\"\n");
        for (field, value) in [("access_key", access), ("secret_key", secret)] {
            // The library reads plain quotes only, so that no secret is unescaped into a copy.
            let quote = match (value.contains(['"', '\\']), value.contains('\'')) {
                (false, _) => "\"",
                (true, false) => "'",
                (true, true) => return Err(format!("{field} has characters that are not stored")),
            };
            for part in [field, " = ", quote, value, quote, "\n"] {
                self.text.push_str(part);
            }
        }
        Ok(())
    }

    /// A file that has only this profile.
    pub(super) fn alone(&self) -> Zeroizing<String> {
        joined(&[HEAD, "\n", &self.text])
    }

    /// `old` with this profile at its end.
    pub(super) fn added_to(&self, old: &str) -> Result<Zeroizing<String>, String> {
        let gap = match old {
            "" => "",
            old if old.ends_with('\n') => "\n",
            _ => "\n\n",
        };
        self.checked(old, joined(&[old, &ended_as(old, gap), &self.ended_as(old)]))
    }

    /// `old` with this profile in place of the one that has its name.
    pub(super) fn put_into(&self, old: &str) -> Result<Zeroizing<String>, String> {
        let (mut start, mut end, mut at) = (None, 0, 0);
        let mut own = false;
        for line in old.split_inclusive('\n') {
            let from = at;
            at += line.len();
            if line.trim_start().starts_with('[') {
                own = header(line).is_some_and(|path| path == self.name);
                match (own, start) {
                    (true, Some(_)) if end < from && !is_blank(&old[end..from]) => {
                        return Err("it is in several places of the file".to_owned());
                    }
                    (true, None) => start = Some(from),
                    _ => {}
                }
            }
            // Blank lines and comments before the next table are about that.
            if own && !is_blank(line) {
                end = at;
            }
        }
        let start = start.ok_or("it does not begin with a line of its own")?;
        self.checked(old, joined(&[&old[..start], &self.ended_as(old), &old[end..]]))
    }

    /// `new`, if it is `old` with this profile.
    fn checked(&self, old: &str, new: Zeroizing<String>) -> Result<Zeroizing<String>, String> {
        let (before, after, own) = (Parsed::of(old)?, Parsed::of(&new)?, Parsed::of(&self.text)?);
        let name = self.name.as_str();
        match before.without(name) == after.without(name)
            && own.profile(name) == after.profile(name)
        {
            true => Ok(new),
            false => Err("the file would say something else".to_owned()),
        }
    }

    /// The text with the line ends of `old`.
    fn ended_as(&self, old: &str) -> Zeroizing<String> {
        ended_as(old, &self.text)
    }
}

/// A file's content, which may have secrets.
struct Parsed(Table);

impl Parsed {
    fn of(text: &str) -> Result<Self, String> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        // Its error would repeat the text.
        text.parse().map(Self).map_err(|_| "the result would not be TOML".to_owned())
    }

    fn profiles(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.0.get("profiles").and_then(Value::as_table).into_iter().flatten()
    }

    fn profile(&self, name: &str) -> Option<&Value> {
        self.profiles().find(|(own, _)| *own == name).map(|(_, profile)| profile)
    }

    /// All the rest.
    fn without(&self, name: &str) -> Vec<(&String, &Value)> {
        let rest = self.0.iter().filter(|(own, _)| *own != "profiles");
        rest.chain(self.profiles().filter(|(own, _)| *own != name)).collect()
    }
}

impl Drop for Parsed {
    fn drop(&mut self) {
        fn wipe(value: &mut Value) {
            match value {
                Value::String(text) => text.zeroize(),
                Value::Array(list) => list.iter_mut().for_each(wipe),
                Value::Table(table) => table.iter_mut().for_each(|(_, value)| wipe(value)),
                _ => {}
            }
        }
        self.0.iter_mut().for_each(|(_, value)| wipe(value));
    }
}

fn ended_as(old: &str, text: &str) -> Zeroizing<String> {
    let mut ended = Zeroizing::new(String::with_capacity(2 * text.len()));
    for part in text.split_inclusive('\n') {
        match part.strip_suffix('\n').filter(|_| old.contains("\r\n")) {
            Some(line) => {
                ended.push_str(line);
                ended.push_str("\r\n");
            }
            None => ended.push_str(part),
        }
    }
    ended
}

fn joined(parts: &[&str]) -> Zeroizing<String> {
    let mut all = Zeroizing::new(String::with_capacity(parts.iter().map(|part| part.len()).sum()));
    parts.iter().for_each(|part| all.push_str(part));
    all
}

/// The profile that this header is of, with its inner tables.
fn header(line: &str) -> Option<String> {
    let mut table = line.parse::<Table>().ok()?;
    match table.remove("profiles")? {
        Value::Table(profiles) => profiles.into_iter().next().map(|(name, _)| name),
        _ => None,
    }
}

fn is_blank(text: &str) -> bool {
    text.lines().all(|line| line.trim().is_empty() || line.trim().starts_with('#'))
}

/// A name as a part of a header.
fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    match !name.is_empty() && name.chars().all(bare) {
        true => name.to_owned(),
        false => quoted(name),
    }
}

/// Text in quotes. JSON escapes what TOML does, but for one character.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section() -> Section {
        let mut section = Section::new("work");
        section.add("key", quoted("new"));
        section
    }

    #[test]
    fn a_profile_is_put_in_place_of_its_old_text_and_nothing_else_changes() {
        const NEW: &str = "[profiles.work]\nkey = \"new\"\n";
        for (old, new) in [
            ("[profiles.work]\nkey = \"a\"", NEW.to_owned()),
            ("[profiles.work]\nkey = \"a\"\n\n# end\n", format!("{NEW}\n# end\n")),
            (
                "# top\n[profiles.a]\nkey = 'x' # [profiles.work]\n\n[ profiles . \"work\" ] # w\n\
                 # in\nkey = \"a\"\n[profiles.work.cache]\nttl = 5\n\n# next\n[profiles.b]\n",
                format!(
                    "# top\n[profiles.a]\nkey = 'x' # [profiles.work]\n\n{NEW}\n\
                     # next\n[profiles.b]\n"
                ),
            ),
            (
                "\u{feff}[profiles.work]\r\n[profiles.b]\r\n",
                format!("\u{feff}{}[profiles.b]\r\n", NEW.replace('\n', "\r\n")),
            ),
        ] {
            // A byte order mark is not a part of the first header.
            let result = section().put_into(old.trim_start_matches('\u{feff}'));
            let new = new.trim_start_matches('\u{feff}').to_owned();
            assert_eq!(result.map(|text| text.to_string()), Ok(new), "{old}");
        }
        for old in [
            "profiles.work.key = \"a\"\n",
            "profiles = { work = { key = \"a\" } }\n",
            "[profiles]\nwork = { key = \"a\" }\n",
            "[profiles]\nwork.key = \"a\"\n",
            "[profiles.work]\n[profiles.b]\nkey = \"x\"\n[profiles.work.cache]\nttl = 5\n",
            "[profiles.b]\nkey = '''\n[profiles.work]\n'''\n[profiles.work]\n",
        ] {
            assert!(section().put_into(old).is_err(), "{old}");
        }
    }

    #[test]
    fn a_profile_is_added_at_the_end_or_not_at_all() {
        for old in ["", "# x", "# x\n", "[profiles.a]\nkey = \"b\"\n", "[profiles.a]\r\n"] {
            let new = section().added_to(old).unwrap();
            assert!(new.starts_with(old) && new.trim_end().ends_with("key = \"new\""), "{new:?}");
            assert!(!old.contains('\r') || !new.replace("\r\n", "").contains('\n'), "{new:?}");
        }
        for old in ["profiles = { a = {} }\n", "[profiles.work]\n", "x"] {
            assert!(section().added_to(old).is_err(), "{old}");
        }
        assert!(section().alone().parse::<Table>().is_ok());
    }

    #[test]
    fn names_and_values_are_quoted_where_they_need_it() {
        for name in ["work", "a b", "\u{e9}", "a\"b\\c", "a.b", "\u{7f}\n"] {
            let mut section = Section::new(name);
            section.add("scope", quoted(name));
            let table: Table = section.text.parse().unwrap();
            assert_eq!(table["profiles"][name]["scope"].as_str(), Some(name));
        }
        for (secret, quote) in [("s", '"'), ("a\"b", '\''), ("a\\b", '\''), ("a'b", '"')] {
            let mut section = Section::new("work");
            section.add_account("a", secret).unwrap();
            assert!(section.text.contains(&format!("secret_key = {quote}{secret}{quote}\n")));
        }
        assert!(Section::new("work").add_account("a", "'\"").is_err());
    }
}
