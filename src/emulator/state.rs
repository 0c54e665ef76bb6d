//! What an emulator remembers, and the rules by which that changes. Knows no file and no network.

use super::cipher::KEY_LEN;
use super::sensitive::{SecretBytes, secret_text};
use super::text;
use crate::error::{Error, ErrorKind, Result};
use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use zeroize::Zeroizing;

/// Name of the key that every emulator starts with.
const READY_KEY_NAME: &str = "emulator-key";
/// Version of the state file this release writes.
pub(super) const FILE_VERSION: u32 = 1;
/// What tells a state file from other JSON.
pub(super) const FILE_FORMAT: &str = "ncp-envelope-emulator";

/// Everything. Serialised, it is the state file, so unknown fields are refused: to write the file again would lose them.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    format: String,
    version: u32,
    pub(super) ready_key: String,
    pub(super) account: AccountState,
    pub(super) keys: Vec<KeyState>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AccountState {
    /// The principal that tokens name, in the form of a UUID.
    pub(super) id: String,
    pub(super) access_key: String,
    #[serde(with = "secret_text")]
    pub(super) secret_key: Zeroizing<String>,
    #[serde(with = "secret_text")]
    pub(super) apigw_api_key: Zeroizing<String>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyState {
    pub(super) tag: String,
    pub(super) name: String,
    pub(super) enabled: bool,
    /// The oldest first; the number of each is its place, from 1.
    pub(super) versions: Vec<VersionState>,
    /// PKCS#8 of the token generator's signing key, once there is one.
    pub(super) token_generator: Option<SecretBytes>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct VersionState {
    pub(super) version: u32,
    pub(super) enabled: bool,
    pub(super) key: SecretBytes,
}

/// What the owner of a new emulator may decide instead of chance.
#[derive(Clone, Default)]
pub(super) struct Wishes {
    pub(super) account: Option<(String, Zeroizing<String>)>,
    pub(super) apigw_api_key: Option<Zeroizing<String>>,
    pub(super) key_tag: Option<String>,
}

impl State {
    /// A new account with one key.
    pub(super) fn new(wishes: &Wishes) -> Result<Self> {
        let (access_key, secret_key) = match &wishes.account {
            Some((access_key, secret_key)) => (access_key.clone(), secret_key.clone()),
            None => (random_text(20)?.to_string(), random_text(40)?),
        };
        let apigw_api_key = match &wishes.apigw_api_key {
            Some(key) => key.clone(),
            None => random_text(40)?,
        };
        let account = AccountState { id: random_uuid()?, access_key, secret_key, apigw_api_key };
        let mut state = Self { format: FILE_FORMAT.into(), version: FILE_VERSION, ready_key: String::new(), account, keys: Vec::new() };
        let tag = match &wishes.key_tag {
            Some(tag) => tag.clone(),
            None => state.tag_for(READY_KEY_NAME),
        };
        state.ready_key = tag.clone();
        state.add_key(READY_KEY_NAME, tag)?;
        state.check()?;
        Ok(state)
    }

    /// Refuses a state that no emulator can have written.
    pub(super) fn check(&self) -> Result<()> {
        let credentials = [&self.account.access_key, &*self.account.secret_key, &*self.account.apigw_api_key];
        if credentials.iter().any(|text| text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic())) {
            return Err(invalid("credentials must be printable ASCII without spaces, and not empty"));
        }
        let mut tags = HashSet::new();
        for key in &self.keys {
            let numbered =
                key.versions.iter().zip(1..).all(|(version, number)| version.version == number && version.key.0.len() == KEY_LEN);
            if !numbered || key.versions.is_empty() {
                return Err(invalid("a key has no versions, or they are not in order"));
            }
            if key.tag.is_empty() || !key.tag.bytes().all(|byte| byte.is_ascii_alphanumeric()) || !tags.insert(&key.tag) {
                return Err(invalid("key tags must be ASCII letters and digits, not empty, and each must be there once"));
            }
        }
        match tags.contains(&self.ready_key) {
            true => Ok(()),
            false => Err(invalid("the ready-made key is missing")),
        }
    }

    /// Whether this state is what `wishes` ask for.
    pub(super) fn fulfils(&self, wishes: &Wishes) -> bool {
        wishes.account.as_ref().is_none_or(|(access, secret)| *access == self.account.access_key && *secret == self.account.secret_key)
            && wishes.apigw_api_key.as_ref().is_none_or(|key| *key == self.account.apigw_api_key)
            && wishes.key_tag.as_ref().is_none_or(|tag| *tag == self.ready_key)
    }

    /// Adds an AES-256 key and gives its tag.
    pub(super) fn create_key(&mut self, name: &str) -> Result<String> {
        let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
        let rest = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        if !first || !rest || !(3..=15).contains(&name.len()) {
            return Err(invalid("a key name is 3 to 15 letters, digits, hyphens and underscores, a letter first"));
        }
        let tag = self.tag_for(name);
        if self.keys.iter().any(|key| key.name == name || key.tag == tag) {
            return Err(invalid("there is a key of this name already"));
        }
        self.add_key(name, tag.clone())?;
        Ok(tag)
    }

    /// Adds a version, which becomes the current one, and gives its number.
    pub(super) fn rotate_key(&mut self, tag: &str) -> Result<u32> {
        let key = self.key(tag)?;
        if !key.enabled {
            return Err(Error::new(ErrorKind::KeyUnusable, "a disabled key cannot be rotated"));
        }
        let version = u32::try_from(key.versions.len()).ok().and_then(|count| count.checked_add(1));
        let version = version.ok_or_else(|| Error::new(ErrorKind::LimitExceeded, "key has too many versions"))?;
        key.versions.push(VersionState { version, enabled: true, key: SecretBytes(random_bytes(KEY_LEN)?) });
        Ok(version)
    }

    /// Enables or disables a key. The states of its versions stay as they are.
    pub(super) fn set_key_enabled(&mut self, tag: &str, enabled: bool) -> Result<()> {
        self.key(tag)?.enabled = enabled;
        Ok(())
    }

    /// Enables or disables one version; the current one stays enabled.
    pub(super) fn set_version_enabled(&mut self, tag: &str, version: u32, enabled: bool) -> Result<()> {
        let key = self.key(tag)?;
        if !key.enabled {
            return Err(Error::new(ErrorKind::KeyUnusable, "versions of a disabled key cannot be changed"));
        }
        let current = key.versions.last().map(|current| current.version);
        if !enabled && current == Some(version) {
            return Err(invalid("the current version of a key cannot be disabled"));
        }
        let found = key.versions.iter_mut().find(|candidate| candidate.version == version);
        found.ok_or_else(|| Error::new(ErrorKind::KeyUnusable, "the key has no such version"))?.enabled = enabled;
        Ok(())
    }

    /// Gives a key the token generator `pkcs8`, unless it has one.
    pub(super) fn set_token_generator(&mut self, tag: &str, pkcs8: Zeroizing<Vec<u8>>) -> Result<()> {
        self.key(tag)?.token_generator.get_or_insert(SecretBytes(pkcs8));
        Ok(())
    }

    fn key(&mut self, tag: &str) -> Result<&mut KeyState> {
        self.keys.iter_mut().find(|key| key.tag == tag).ok_or_else(unknown_key)
    }

    fn add_key(&mut self, name: &str, tag: String) -> Result<()> {
        let first = VersionState { version: 1, enabled: true, key: SecretBytes(random_bytes(KEY_LEN)?) };
        self.keys.push(KeyState { tag, name: name.into(), enabled: true, versions: vec![first], token_generator: None });
        Ok(())
    }

    /// The service derives tags from names in a way it does not tell; 64 hexadecimal digits is what they look like.
    fn tag_for(&self, name: &str) -> String {
        let from = format!("{}\n{name}", self.account.id);
        text::hex(digest::digest(&digest::SHA256, from.as_bytes()).as_ref())
    }
}

/// What every call about a key that is not there fails with.
pub(super) fn unknown_key() -> Error {
    Error::new(ErrorKind::KeyUnusable, "the emulator has no key with this tag")
}

fn invalid(message: &'static str) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}

fn random_bytes(len: usize) -> Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(vec![0; len]);
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Error::new(ErrorKind::Internal, "the system's random source failed"))?;
    Ok(bytes)
}

/// Five bits of chance a character.
fn random_text(len: usize) -> Result<Zeroizing<String>> {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    Ok(Zeroizing::new(random_bytes(len)?.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect()))
}

fn random_uuid() -> Result<String> {
    let mut bytes = random_bytes(16)?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = text::hex(&bytes);
    Ok(format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_state_is_consistent_and_fulfils_its_wishes() {
        let wishes = Wishes {
            account: Some(("access".into(), Zeroizing::new("secret".into()))),
            apigw_api_key: Some(Zeroizing::new("gateway".into())),
            key_tag: Some("tag1".into()),
        };
        let state = State::new(&wishes).unwrap();
        assert!(state.fulfils(&wishes));
        assert!(state.fulfils(&Wishes::default()));
        assert!(!State::new(&Wishes::default()).unwrap().fulfils(&wishes));
        for tag in ["", "a/b", "a b", "\u{e9}"] {
            assert!(State::new(&Wishes { key_tag: Some(tag.into()), ..Wishes::default() }).is_err(), "{tag}");
        }
        assert!(State::new(&Wishes { account: Some((String::new(), Zeroizing::default())), ..Wishes::default() }).is_err());
    }

    #[test]
    fn names_and_states_follow_the_rules() {
        let mut state = State::new(&Wishes::default()).unwrap();
        for name in ["ab", "1abc", "a b", "a234567890123456", "emulator-key"] {
            assert_eq!(state.create_key(name).unwrap_err().kind(), ErrorKind::InvalidInput, "{name}");
        }
        let tag = state.create_key("second").unwrap();
        assert_eq!(tag.len(), 64);
        assert!(state.set_version_enabled(&tag, 1, false).is_err());
        assert_eq!(state.rotate_key(&tag).unwrap(), 2);
        state.set_version_enabled(&tag, 1, false).unwrap();
        assert!(state.set_version_enabled(&tag, 3, false).is_err());
        state.set_key_enabled(&tag, false).unwrap();
        assert!(state.rotate_key(&tag).is_err());
        assert!(state.set_version_enabled(&tag, 1, true).is_err());
        assert_eq!(state.rotate_key("none").unwrap_err().kind(), ErrorKind::KeyUnusable);
        state.check().unwrap();
    }
}
