//! The whole file: read, and split into profiles.

use super::secrets;
use super::settings::Profile;
use crate::error::{Error, ErrorKind, Result};
use crate::kms::auth::secret_file::{self, Readers};
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue, ValueDeserializer};
use zeroize::Zeroizing;

type Value<'t> = Spanned<DeValue<'t>>;

/// The profile that is used if there is no other choice.
pub(super) const DEFAULT: &str = "default";
/// Longest file that is read, in bytes.
const MAX_LEN: usize = 1 << 20;
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// A file in which everything is right.
pub(super) struct Document {
    path: PathBuf,
    profiles: BTreeMap<String, Profile>,
    chosen: Option<String>,
}

impl Document {
    /// The file at `path`, which is absolute; `None` if it does not exist.
    pub(super) fn open(path: &Path) -> Result<Option<Self>> {
        let judge = |bytes: &[u8]| match secrets::find(bytes).is_empty() {
            true => Readers::Anyone,
            false => Readers::Owner,
        };
        let what = "the configuration file";
        let bytes = secret_file::read_judged(path, what, MAX_LEN, Readers::Anyone, judge)?;
        bytes.map(|bytes| Self::parse(path, &bytes)).transpose()
    }

    pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Self> {
        // Some editors write a byte order mark first.
        let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
        let secrets = secrets::find(bytes);
        let blanked = Zeroizing::new(secrets::blank(bytes, &secrets));
        let text = Text { path, bytes, secrets };
        let parsed = std::str::from_utf8(&blanked)
            .map_err(|error| text.refuse(error.valid_up_to(), "is not text in UTF-8"))?;
        let table = DeTable::parse(parsed).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            text.refuse(at, format!("is not TOML: {}", error.message()))
        })?;
        let mut document = Self { path: path.to_owned(), profiles: BTreeMap::new(), chosen: None };
        let mut chosen = None;
        for entry in text.entries("", table.into_inner()) {
            match &*entry.name {
                "default_profile" => {
                    chosen = Some(entry.here());
                    document.chosen = Some(entry.read()?);
                }
                "profiles" => {
                    for entry in entry.table()? {
                        let name = entry.name.clone();
                        document.profiles.insert(name, Profile::read(entry)?);
                    }
                }
                _ => return Err(entry.unknown(&["default_profile", "profiles"])),
            }
        }
        match (chosen, &document.chosen) {
            (Some(here), Some(name)) if !document.profiles.contains_key(name) => {
                Err(here.refuse(format!("names nothing: {}", document.lacks(name))))
            }
            _ => Ok(document),
        }
    }

    /// The profile of this name; without one the file's own choice, if it has any.
    pub(super) fn profile(mut self, name: Option<&str>) -> Result<Option<Profile>> {
        let chosen = self.chosen.take();
        match name.or(chosen.as_deref()) {
            None => Ok(self.profiles.remove(DEFAULT)),
            Some(name) => match self.profiles.remove(name) {
                Some(profile) => Ok(Some(profile)),
                None => {
                    let message = format!("{}: {}", self.path.display(), self.lacks(name));
                    Err(Error::new(ErrorKind::InvalidInput, message))
                }
            },
        }
    }

    pub(super) fn into_names(self) -> Vec<String> {
        self.profiles.into_keys().collect()
    }

    fn lacks(&self, name: &str) -> String {
        let names: Vec<_> = self.profiles.keys().map(String::as_str).collect();
        match nearest(name, &names) {
            Some(near) => format!("there is no profile {name:?}: {near} is meant?"),
            None if names.is_empty() => format!("there is no profile {name:?}, nor any other"),
            None => format!("there is no profile {name:?}: it has {}", names.join(", ")),
        }
    }
}

/// The file as it was read, with the secrets in it.
pub(super) struct Text<'a> {
    pub(super) path: &'a Path,
    bytes: &'a [u8],
    secrets: Vec<Range<usize>>,
}

impl<'a> Text<'a> {
    /// An error about what is at this offset.
    fn refuse(&self, at: usize, message: impl AsRef<str>) -> Error {
        let before = &self.bytes[..at.min(self.bytes.len())];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let message = format!("{} line {line}: {}", self.path.display(), message.as_ref());
        Error::new(ErrorKind::InvalidInput, message)
    }

    fn entries<'t>(&'t self, inside: &str, table: DeTable<'t>) -> Vec<Entry<'t>> {
        let entry = |(name, value): (Spanned<DeString<'t>>, Value<'t>)| {
            let at = name.span().start;
            Entry::new(self, inside, name.into_inner().into_owned(), at, value)
        };
        table.into_iter().map(entry).collect()
    }
}

/// Where something is in the file, and its name there.
#[derive(Clone)]
pub(super) struct Here<'t> {
    text: &'t Text<'t>,
    at: usize,
    name: String,
}

impl Here<'_> {
    /// An error about what is here.
    pub(super) fn refuse(&self, why: impl AsRef<str>) -> Error {
        self.text.refuse(self.at, format!("{} {}", self.name, why.as_ref()))
    }
}

/// A name with its value.
pub(super) struct Entry<'t> {
    /// Its name in the table that has it.
    pub(super) name: String,
    /// The name of that table, empty for the file.
    inside: String,
    here: Here<'t>,
    value: Value<'t>,
}

impl<'t> Entry<'t> {
    fn new(text: &'t Text<'t>, inside: &str, name: String, at: usize, value: Value<'t>) -> Self {
        let full = if inside.is_empty() { name.clone() } else { format!("{inside}.{name}") };
        Self { name, inside: inside.to_owned(), here: Here { text, at, name: full }, value }
    }

    pub(super) fn here(&self) -> Here<'t> {
        self.here.clone()
    }

    pub(super) fn path(&self) -> &'t Path {
        self.here.text.path
    }

    pub(super) fn unknown(&self, known: &[&str]) -> Error {
        let inside = &self.inside;
        let name: String = self.name.chars().take(64).collect();
        let inside = if inside.is_empty() { "a configuration" } else { inside };
        let advice = match nearest(&name, known) {
            Some(near) => format!("{near} is meant?"),
            None => format!("it may have {}", known.join(", ")),
        };
        let message = format!("{inside} has no {name:?}: {advice}");
        self.here.text.refuse(self.here.at, message)
    }

    /// The entries of this table.
    pub(super) fn table(self) -> Result<Vec<Entry<'t>>> {
        match self.value.into_inner() {
            DeValue::Table(table) => Ok(self.here.text.entries(&self.here.name, table)),
            other => Err(self.here.refuse(format!("is a table, and not {}", other.type_str()))),
        }
    }

    /// The entries of this list, which have the list's name.
    pub(super) fn list(self) -> Result<Vec<Entry<'t>>> {
        let DeValue::Array(list) = self.value.into_inner() else {
            return Err(self.here.refuse("is a list, as [\"...\"]"));
        };
        let one = |value: Value<'t>| {
            let at = value.span().start;
            Entry::new(self.here.text, &self.inside, self.name.clone(), at, value)
        };
        Ok(list.into_iter().map(one).collect())
    }

    /// The value, which is no secret.
    pub(super) fn read<T: DeserializeOwned>(self) -> Result<T> {
        let (here, span) = (self.here, self.value.span());
        let overlaps = |secret: &Range<usize>| secret.start < span.end && span.start < secret.end;
        if here.text.secrets.iter().any(overlaps) {
            return Err(here.refuse(
                "holds what looks like a secret, which does not belong there: a proxy's user name \
                 and password are set with NCP_KMS_PROXY",
            ));
        }
        T::deserialize(ValueDeserializer::from(self.value)).map_err(|error| {
            let at = error.span().map_or(here.at, |span| span.start.max(here.at));
            here.text.refuse(at, format!("{}: {}", here.name, error.message()))
        })
    }

    /// The value, which is a secret. Written with escapes it would not be zeroized.
    pub(super) fn secret(&self) -> Result<SecretString> {
        let (text, span) = (self.here.text, self.value.span());
        let between_quotes =
            |secret: &&Range<usize>| secret.start == span.start + 1 && secret.end + 1 == span.end;
        let plain = text.secrets.iter().find(between_quotes).and_then(|secret| {
            let escapes =
                text.bytes[span.start] == b'"' && text.bytes[secret.clone()].contains(&b'\\');
            std::str::from_utf8(&text.bytes[secret.clone()]).ok().filter(|_| !escapes)
        });
        match plain {
            Some(secret) if self.value.get_ref().is_str() => Ok(secret.into()),
            _ => Err(self
                .here
                .refuse("is not text in plain quotes: write it on one line, as \"...\"")),
        }
    }
}

/// The one of `known` that `name` is most like, if it is alike at all.
fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let name: Vec<char> = name.to_lowercase().chars().take(64).collect();
    let like = known.iter().map(|known| (distance(&name, known), *known));
    let (distance, near) = like.min()?;
    (distance <= 1 + near.len() / 4).then_some(near)
}

/// How many letters are to be put in, taken out or replaced.
fn distance(name: &[char], known: &str) -> usize {
    let known: Vec<char> = known.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=known.len()).collect();
    for (at, letter) in name.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = at + 1;
        for (column, other) in known.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[known.len()]
}
