//! The file in which the cloud's own command line and SDKs keep an account's keys.
//!
//! Promises: an access key is never combined with the secret of another section. Lines are `name =
//! value`; unknown ones are skipped, as other programs keep other things there.

use crate::error::Result;
use crate::kms::auth::credentials::Credentials;
use crate::kms::auth::environment::both;
use crate::kms::auth::secret::{bad, checked};
use crate::kms::auth::secret_file::{self, Readers};
use secrecy::SecretString;
use std::path::Path;

/// Longest file that is read, in bytes.
const MAX_LEN: usize = 65_536;
const ACCESS: &str = "ncloud_access_key_id";
const SECRET: &str = "ncloud_secret_access_key";
/// The section of lines before any section.
const DEFAULT: &str = "DEFAULT";

/// The account in the file at `path`: that of the section `[DEFAULT]` or of no section, or else of
/// the first section that has one. `None` if the file does not exist or holds no keys.
pub(crate) fn read(path: &Path) -> Result<Option<Credentials>> {
    let what = "the configuration";
    let Some(bytes) = secret_file::read(path, what, MAX_LEN, Readers::Anyone)? else {
        return Ok(None);
    };
    let named = |name: &str| format!("{name} in {}", path.display());
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| bad(format!("{what} {} is not text", path.display())))?;
    let Some((access, secret)) = account(text) else { return Ok(None) };
    let part = |name, value: Option<&str>| -> Result<Option<SecretString>> {
        value.map(|value| checked(&named(name), value.into())).transpose()
    };
    let (access_key, secret_key) = (part(ACCESS, access)?, part(SECRET, secret)?);
    both((&named(ACCESS), access_key), (&named(SECRET), secret_key))?
        .map(|(access, secret)| Credentials::account(access, secret))
        .transpose()
}

/// The two values of the section that counts.
fn account(text: &str) -> Option<(Option<&str>, Option<&str>)> {
    let mut sections = vec![(DEFAULT, None, None)];
    // Some editors write a byte order mark first.
    for line in text.trim_start_matches('\u{feff}').lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            let name = name.trim();
            let name = if name.eq_ignore_ascii_case(DEFAULT) { DEFAULT } else { name };
            // A section that is continued.
            let known = sections.iter().position(|section| section.0 == name);
            let section = known.map_or((name, None, None), |at| sections.remove(at));
            sections.push(section);
            continue;
        }
        let Some((name, value)) = line.split_once('=') else { continue };
        let value = Some(value.trim()).filter(|value| !value.is_empty());
        match (name.trim(), sections.last_mut()) {
            (ACCESS, Some((_, access, _))) => *access = value,
            (SECRET, Some((_, _, secret))) => *secret = value,
            _ => {}
        }
    }
    let has_any =
        |section: &&(&str, Option<&str>, Option<&str>)| section.1.is_some() || section.2.is_some();
    let default = sections.iter().filter(has_any).find(|section| section.0 == DEFAULT);
    let (_, access, secret) = default.or_else(|| sections.iter().find(has_any))?;
    Some((*access, *secret))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::kms::auth::credentials::tests::shown;

    fn of(text: &str) -> Result<Option<String>> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("configure");
        std::fs::write(&path, text).unwrap();
        Ok(read(&path)?.map(|found| shown(&found)))
    }

    #[test]
    fn the_files_of_other_programs_are_read() {
        const KEYS: &str = "ncloud_access_key_id = a\nncloud_secret_access_key=s\n";
        for (text, expected) in [
            (KEYS.to_owned(), Some("a s - -")),
            (format!("\u{feff}[DEFAULT]\r\n{}", KEYS.replace('\n', "  \r\n")), Some("a s - -")),
            (format!("{KEYS}ncloud_api_url = https://x\nno line\n"), Some("a s - -")),
            (format!("[other]\n{}[default]\n{KEYS}", KEYS.replace("a\n", "b\n")), Some("a s - -")),
            (format!("[other]\n{KEYS}[third]\n{}", KEYS.replace("a\n", "b\n")), Some("a s - -")),
            ("[DEFAULT]\nncloud_access_key_id =\n".to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(of(&text).unwrap().as_deref(), expected, "{text}");
        }
        assert!(read(Path::new("/no/such/configure")).unwrap().is_none());
    }

    #[test]
    fn keys_of_two_sections_are_not_joined() {
        for text in [
            "ncloud_access_key_id = canary\n",
            "[a]\nncloud_access_key_id = canary\n[b]\nncloud_secret_access_key = canary\n",
            "ncloud_access_key_id = canary key\nncloud_secret_access_key = s\n",
        ] {
            let error = of(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Credentials);
            assert!(!error.to_string().contains("canary"), "{error}");
        }
    }
}
