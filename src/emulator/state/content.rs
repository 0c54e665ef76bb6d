//! The content of an emulator's state and the rules for its changes. Knows no file and no network.

use crate::emulator::answer::{Kind, Refusal};
use crate::emulator::keys::key::{KeyState, Status};
use crate::emulator::keys::kind::{KeyKind, KeyType};
use crate::emulator::random;
use crate::emulator::sensitive::secret_text;
use crate::emulator::text;
use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use zeroize::Zeroizing;

/// Name of the ready-made key.
const READY_KEY_NAME: &str = "emulator-key";

/// The whole state. It is serialised into the state file, so unknown fields are refused: the next
/// write would lose them.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct State {
    pub(crate) ready_key: String,
    /// Deleting the ready-made key is allowed, and must not look like damage later.
    ready_key_deleted: bool,
    next_key_id: u64,
    pub(crate) account: AccountState,
    pub(crate) keys: Vec<KeyState>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccountState {
    /// The subject of the account's tokens, a UUID.
    pub(crate) id: String,
    pub(crate) access_key: String,
    #[serde(with = "secret_text")]
    pub(crate) secret_key: Zeroizing<String>,
    #[serde(with = "secret_text")]
    pub(crate) apigw_api_key: Zeroizing<String>,
}

/// Values that the owner sets; the others are random.
#[derive(Clone, Default)]
pub(crate) struct Preset {
    pub(crate) account: Option<(String, Zeroizing<String>)>,
    pub(crate) apigw_api_key: Option<Zeroizing<String>>,
    pub(crate) key_tag: Option<String>,
}

impl State {
    /// A new account with one key, whose token generator is on.
    pub(crate) fn new(preset: &Preset, now: i64) -> Result<Self, Refusal> {
        let (access_key, secret_key) = match &preset.account {
            Some((access_key, secret_key)) => (access_key.clone(), secret_key.clone()),
            None => (random::text(20)?.to_string(), random::text(40)?),
        };
        let apigw_api_key = match &preset.apigw_api_key {
            Some(key) => key.clone(),
            None => random::text(40)?,
        };
        let account = AccountState { id: random::uuid()?, access_key, secret_key, apigw_api_key };
        let mut state = Self {
            ready_key: String::new(),
            ready_key_deleted: false,
            next_key_id: 1,
            account,
            keys: Vec::new(),
        };
        let tag = match &preset.key_tag {
            Some(tag) => tag.clone(),
            None => state.tag_for(READY_KEY_NAME),
        };
        state.ready_key = tag.clone();
        let (key_type, convergent) = KeyKind::Aes256.terms();
        state.add_key(READY_KEY_NAME, tag, key_type, convergent, now)?.install_generator(now)?;
        state.check()?;
        Ok(state)
    }

    /// Refuses a state that no emulator can have written. The keys themselves are checked when a
    /// view is created.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        let credentials =
            [&self.account.access_key, &*self.account.secret_key, &*self.account.apigw_api_key];
        if !credentials.into_iter().all(|text| is_credential(text)) {
            return Err(Refusal::request(
                "credentials must be printable ASCII without spaces, and not empty",
            ));
        }
        let (mut tags, mut ids) = (HashSet::new(), HashSet::new());
        for key in &self.keys {
            if key.versions.is_empty()
                || !key.versions.iter().zip(1..).all(|(version, number)| version.version == number)
            {
                return Err(Refusal::request("a key has no versions, or they are not in order"));
            }
            if key.tag.is_empty()
                || !key.tag.bytes().all(|byte| byte.is_ascii_alphanumeric())
                || !tags.insert(&key.tag)
            {
                return Err(Refusal::request(
                    "key tags must be ASCII letters and digits, not empty, and unique",
                ));
            }
            if key.id >= self.next_key_id || !ids.insert(key.id) || key.rotation_period == 0 {
                return Err(Refusal::request("a key's id or rotation period is out of range"));
            }
            if (key.status == Status::Revoke) != key.destroy_date.is_some()
                || (key.convergent && key.key_type != KeyType::Aes256)
            {
                return Err(Refusal::request("a key's state contradicts itself"));
            }
        }
        match tags.contains(&self.ready_key) || self.ready_key_deleted {
            true => Ok(()),
            false => Err(Refusal::request("the ready-made key is missing")),
        }
    }

    /// Whether this state has the values of `preset`.
    pub(crate) fn matches(&self, preset: &Preset) -> bool {
        preset.account.as_ref().is_none_or(|(access, secret)| {
            *access == self.account.access_key && *secret == self.account.secret_key
        }) && preset.apigw_api_key.as_ref().is_none_or(|key| *key == self.account.apigw_api_key)
            && preset.key_tag.as_ref().is_none_or(|tag| *tag == self.ready_key)
    }

    /// Adds a key.
    pub(crate) fn create_key(
        &mut self,
        name: &str,
        key_type: KeyType,
        convergent: bool,
        now: i64,
    ) -> Result<&mut KeyState, Refusal> {
        if convergent && key_type != KeyType::Aes256 {
            return Err(Refusal::request("only AES256 keys can be convergent"));
        }
        self.check_name(name)?;
        let tag = self.tag_for(name);
        if self.keys.iter().any(|key| key.tag == tag) {
            return Err(Refusal::request("there is a key of this name already"));
        }
        self.add_key(name, tag, key_type, convergent, now)
    }

    /// Renames a key. Its tag stays the same.
    pub(crate) fn rename_key(&mut self, tag: &str, name: &str) -> Result<(), Refusal> {
        if self.key(tag)?.name != name {
            self.check_name(name)?;
            self.key(tag)?.name = name.into();
        }
        Ok(())
    }

    /// Deletes a key whose deletion was requested.
    pub(crate) fn delete_key(&mut self, tag: &str) -> Result<(), Refusal> {
        if self.key(tag)?.status != Status::Revoke {
            return Err(Refusal::status("deletion of the key is not requested"));
        }
        self.remove(tag);
        Ok(())
    }

    /// The key with this tag.
    pub(crate) fn key(&mut self, tag: &str) -> Result<&mut KeyState, Refusal> {
        self.keys.iter_mut().find(|key| key.tag == tag).ok_or(UNKNOWN_KEY)
    }

    /// When the next change is due.
    pub(crate) fn due(&self) -> Option<i64> {
        self.keys.iter().filter_map(KeyState::due).min()
    }

    /// Applies the changes due by `now`: deletions and automatic rotations.
    pub(crate) fn settle(&mut self, now: i64) -> Result<(), Refusal> {
        let gone: Vec<_> = self
            .keys
            .iter()
            .filter(|key| key.destroy_date.is_some_and(|date| date <= now))
            .map(|key| key.tag.clone())
            .collect();
        gone.iter().for_each(|tag| self.remove(tag));
        self.keys.iter_mut().try_for_each(|key| key.settle(now))
    }

    fn remove(&mut self, tag: &str) {
        self.keys.retain(|key| key.tag != tag);
        self.ready_key_deleted |= tag == self.ready_key;
    }

    fn check_name(&self, name: &str) -> Result<(), Refusal> {
        let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
        let rest =
            name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        if !first || !rest || !(3..=15).contains(&name.len()) {
            return Err(Refusal::request(
                "a key name is 3 to 15 letters, digits, hyphens and underscores, a letter first",
            ));
        }
        match self.keys.iter().any(|key| key.name == name) {
            true => Err(Refusal::request("there is a key of this name already")),
            false => Ok(()),
        }
    }

    fn add_key(
        &mut self,
        name: &str,
        tag: String,
        key_type: KeyType,
        convergent: bool,
        now: i64,
    ) -> Result<&mut KeyState, Refusal> {
        self.keys.push(KeyState::new(self.next_key_id, tag, name, key_type, convergent, now)?);
        self.next_key_id += 1;
        self.keys.last_mut().ok_or(UNKNOWN_KEY)
    }

    /// The service derives tags from names in an undocumented way; they look like 64 hexadecimal
    /// digits.
    fn tag_for(&self, name: &str) -> String {
        let from = format!("{}\n{name}", self.account.id);
        text::hex(digest::digest(&digest::SHA256, from.as_bytes()).as_ref())
    }
}

/// The refusal of a call on a key that does not exist.
pub(crate) const UNKNOWN_KEY: Refusal =
    Refusal::new(Kind::NotFound, "the emulator has no key with this tag");

/// Whether this is valid as an access key, secret key or API key.
pub(crate) fn is_credential(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000_000;
    const DAY: i64 = 24 * 3_600_000;

    fn state() -> State {
        State::new(&Preset::default(), NOW).unwrap()
    }

    #[test]
    fn a_new_state_is_consistent_and_matches_its_preset() {
        let preset = Preset {
            account: Some(("access".into(), Zeroizing::new("secret".into()))),
            apigw_api_key: Some(Zeroizing::new("gateway".into())),
            key_tag: Some("tag1".into()),
        };
        let new = State::new(&preset, NOW).unwrap();
        assert!(new.matches(&preset));
        assert!(new.matches(&Preset::default()));
        assert!(!state().matches(&preset));
        for tag in ["", "a/b", "a b", "\u{e9}"] {
            assert!(
                State::new(&Preset { key_tag: Some(tag.into()), ..Preset::default() }, NOW)
                    .is_err(),
                "{tag}"
            );
        }
        let preset =
            Preset { account: Some((String::new(), Zeroizing::default())), ..Preset::default() };
        assert!(State::new(&preset, NOW).is_err());
    }

    #[test]
    fn names_and_states_follow_the_rules() {
        let mut state = state();
        for name in ["ab", "1abc", "a b", "a234567890123456", "emulator-key"] {
            assert_eq!(
                state.create_key(name, KeyType::Aes256, false, NOW).map(|_| ()).unwrap_err().kind,
                Kind::InvalidRequest,
                "{name}"
            );
        }
        assert!(state.create_key("second", KeyType::Rsa2048, true, NOW).is_err());
        let key = state.create_key("second", KeyType::Aes256, false, NOW).unwrap();
        let tag = key.tag.clone();
        assert_eq!(tag.len(), 64);
        assert!(key.set_version_enabled(1, false, NOW).is_err());
        assert_eq!(key.rotate(NOW).unwrap().version, 2);
        key.set_version_enabled(1, false, NOW).unwrap();
        assert!(key.set_version_enabled(3, false, NOW).is_err());
        key.set_enabled(false, NOW).unwrap();
        assert!(key.rotate(NOW).is_err());
        assert!(key.set_version_enabled(1, true, NOW).is_err());
        assert!(state.delete_key(&tag).is_err());
        assert_eq!(state.key("none").map(|_| ()).unwrap_err().kind, Kind::NotFound);
        state.check().unwrap();
    }

    #[test]
    fn rotations_that_are_due_are_made_one_by_one() {
        let mut state = state();
        let tag = state.ready_key.clone();
        let key = state.key(&tag).unwrap();
        key.set_auto_rotation(true, NOW);
        key.set_rotation_period(10, NOW).unwrap();
        key.rotate(NOW + DAY).unwrap();
        assert_eq!(key.due(), Some(NOW + 10 * DAY));
        state.settle(NOW + 10 * DAY - 1).unwrap();
        assert_eq!(state.key(&tag).unwrap().current(), 2);
        state.settle(NOW + 35 * DAY).unwrap();
        let key = state.key(&tag).unwrap();
        assert_eq!((key.current(), key.due()), (5, Some(NOW + 40 * DAY)));
        assert_eq!(key.versions[4].rotated_date, NOW + 30 * DAY);
        // Disabled keys miss theirs.
        key.set_enabled(false, NOW).unwrap();
        state.settle(NOW + 41 * DAY).unwrap();
        let key = state.key(&tag).unwrap();
        assert_eq!((key.current(), key.due()), (5, Some(NOW + 50 * DAY)));
        // However far the clock jumps, this ends.
        key.set_enabled(true, NOW).unwrap();
        state.settle(i64::MAX).unwrap();
        assert_eq!(state.key(&tag).unwrap().current(), 100);
        state.check().unwrap();
    }

    #[test]
    fn a_key_goes_after_72_hours() {
        let mut state = state();
        let tag = state.ready_key.clone();
        state.key(&tag).unwrap().request_deletion(NOW).unwrap();
        assert!(state.key(&tag).unwrap().request_deletion(NOW).is_err());
        state.check().unwrap();
        state.settle(NOW + 3 * DAY - 1).unwrap();
        assert_eq!(state.keys.len(), 1);
        state.settle(NOW + 3 * DAY).unwrap();
        assert!(state.keys.is_empty());
        state.check().unwrap();
    }
}
