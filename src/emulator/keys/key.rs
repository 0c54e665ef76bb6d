//! The state of one key, and the service's rules for its changes.

use crate::emulator::answer::{Kind, Refusal};
use crate::emulator::keys::kind::KeyType;
use crate::emulator::keys::version;
use crate::emulator::random;
use crate::emulator::sensitive::SecretBytes;
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;
use zeroize::Zeroizing;

/// The most versions of a key. The service's pages disagree on whether there is a limit; its calls
/// accept 1 to 100.
pub(crate) const MAX_VERSIONS: usize = 100;
/// The longest period of automatic rotation, in days.
const MAX_PERIOD: u32 = 730;
/// The default period of automatic rotation, in days.
pub(crate) const DEFAULT_PERIOD: u32 = 90;
/// From the request to delete a key to its deletion, in milliseconds.
const DELETION_WAIT: i64 = 72 * 3_600_000;
const DAY: i64 = 24 * 3_600_000;
/// The longest memo, in characters.
const MAX_MEMO: usize = 100;

/// One key. All times are milliseconds since the Unix epoch.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyState {
    pub(crate) id: u64,
    pub(crate) tag: String,
    pub(crate) name: String,
    pub(crate) key_type: KeyType,
    pub(crate) convergent: bool,
    pub(crate) protection: Protection,
    pub(crate) memo: String,
    pub(crate) status: Status,
    pub(crate) status_date: i64,
    pub(crate) register_date: i64,
    /// When a key whose deletion is requested is deleted.
    pub(crate) destroy_date: Option<i64>,
    /// In days; kept while automatic rotation is off.
    pub(crate) rotation_period: u32,
    /// The next automatic rotation, if it is on.
    pub(crate) next_rotation: Option<i64>,
    /// Oldest first; the number of a version is its position, from 1.
    pub(crate) versions: Vec<VersionState>,
    pub(crate) token_generator: Option<GeneratorState>,
    /// When the last token generator was removed.
    pub(crate) generator_disabled: Option<i64>,
    pub(crate) acl: AclState,
}

/// The service's terms for a key's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Status {
    Enable,
    Disable,
    /// Deletion is requested.
    Revoke,
}

/// How a key is stored. The emulator makes no difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Protection {
    #[serde(rename = "BASIC")]
    Basic,
    #[serde(rename = "COMMON_HSM")]
    CommonHsm,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct VersionState {
    pub(crate) version: u32,
    pub(crate) enabled: bool,
    pub(crate) status_date: i64,
    pub(crate) rotated_date: i64,
    pub(crate) key: SecretBytes,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GeneratorState {
    pub(crate) id: String,
    pub(crate) enabled_date: i64,
    /// PKCS#8 of the signing key, generated with the first token: it takes a tenth of a second or
    /// more.
    pub(crate) pkcs8: Option<SecretBytes>,
}

/// The addresses from which tokens may be used.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AclState {
    pub(crate) enabled: bool,
    pub(crate) allowed: Vec<Ipv4Addr>,
}

impl KeyState {
    pub(crate) fn new(
        id: u64,
        tag: String,
        name: &str,
        key_type: KeyType,
        convergent: bool,
        now: i64,
    ) -> Result<Self, Refusal> {
        let mut key = Self {
            id,
            tag,
            name: name.into(),
            key_type,
            convergent,
            protection: Protection::Basic,
            memo: String::new(),
            status: Status::Enable,
            status_date: now,
            register_date: now,
            destroy_date: None,
            rotation_period: DEFAULT_PERIOD,
            next_rotation: None,
            versions: Vec::new(),
            token_generator: None,
            generator_disabled: None,
            acl: AclState::default(),
        };
        key.add_version(now)?;
        Ok(key)
    }

    /// The number of the current version.
    pub(crate) fn current(&self) -> u32 {
        self.versions.last().map_or(0, |version| version.version)
    }

    /// Adds a version, which becomes the current one. The date of the next automatic rotation does
    /// not change.
    pub(crate) fn rotate(&mut self, now: i64) -> Result<&VersionState, Refusal> {
        self.must_be_enabled()?;
        if self.versions.len() >= MAX_VERSIONS {
            return Err(Refusal::status("key has 100 versions already"));
        }
        self.add_version(now)?;
        self.versions.last().ok_or(Refusal::internal("key has no version"))
    }

    /// Enables or disables the key; its versions keep their own states.
    pub(crate) fn set_enabled(&mut self, enabled: bool, now: i64) -> Result<(), Refusal> {
        self.must_not_be_going()?;
        let status = if enabled { Status::Enable } else { Status::Disable };
        if self.status != status {
            (self.status, self.status_date) = (status, now);
        }
        Ok(())
    }

    /// Enables or disables one version; the current one stays enabled.
    pub(crate) fn set_version_enabled(
        &mut self,
        number: u32,
        enabled: bool,
        now: i64,
    ) -> Result<&VersionState, Refusal> {
        self.must_be_enabled()?;
        let current = self.current();
        let version = self.versions.iter_mut().find(|version| version.version == number);
        let version = version.ok_or(Refusal::new(Kind::NotFound, "the key has no such version"))?;
        if !enabled && number == current {
            return Err(Refusal::request("the current version of a key cannot be disabled"));
        }
        if version.enabled != enabled {
            (version.enabled, version.status_date) = (enabled, now);
        }
        Ok(version)
    }

    pub(crate) fn set_memo(&mut self, memo: &str) -> Result<(), Refusal> {
        if memo.chars().count() > MAX_MEMO {
            return Err(Refusal::request("memo is longer than 100 characters"));
        }
        self.memo = memo.into();
        Ok(())
    }

    /// Turns automatic rotation on, with the stored period, or off.
    pub(crate) fn set_auto_rotation(&mut self, on: bool, now: i64) {
        self.next_rotation = match (on, self.next_rotation) {
            (false, _) => None,
            (true, Some(next)) => Some(next),
            (true, None) => Some(self.next_from(now)),
        };
    }

    /// Sets the period in days. If automatic rotation is on, a new period starts.
    pub(crate) fn set_rotation_period(&mut self, days: u32, now: i64) -> Result<(), Refusal> {
        if !(1..=MAX_PERIOD).contains(&days) {
            return Err(Refusal::request("rotation period is not 1 to 730 days"));
        }
        self.rotation_period = days;
        self.next_rotation = self.next_rotation.map(|_| self.next_from(now));
        Ok(())
    }

    pub(crate) fn request_deletion(&mut self, now: i64) -> Result<(), Refusal> {
        self.must_not_be_going()?;
        (self.status, self.status_date, self.destroy_date) =
            (Status::Revoke, now, Some(now.saturating_add(DELETION_WAIT)));
        Ok(())
    }

    pub(crate) fn cancel_deletion(&mut self, now: i64) -> Result<(), Refusal> {
        if self.status != Status::Revoke {
            return Err(Refusal::status("deletion of the key is not requested"));
        }
        (self.status, self.status_date, self.destroy_date) = (Status::Disable, now, None);
        Ok(())
    }

    /// Installs a new token generator. It replaces an older one, which voids that one's tokens.
    pub(crate) fn install_generator(&mut self, now: i64) -> Result<(), Refusal> {
        self.token_generator =
            Some(GeneratorState { id: random::uuid()?, enabled_date: now, pkcs8: None });
        self.generator_disabled = None;
        Ok(())
    }

    /// Removes the token generator, which voids its tokens.
    pub(crate) fn remove_generator(&mut self, now: i64) -> Result<(), Refusal> {
        self.token_generator.take().ok_or(Refusal::status("key has no token generator"))?;
        self.generator_disabled = Some(now);
        Ok(())
    }

    /// Sets the signing key of the generator `id`. No-op if it has one or is gone.
    pub(crate) fn set_signing_key(&mut self, id: &str, pkcs8: Zeroizing<Vec<u8>>) {
        if let Some(generator) =
            self.token_generator.as_mut().filter(|generator| generator.id == id)
        {
            generator.pkcs8.get_or_insert(SecretBytes(pkcs8));
        }
    }

    /// When the next change of this key is due.
    pub(crate) fn due(&self) -> Option<i64> {
        [self.destroy_date, self.next_rotation].into_iter().flatten().min()
    }

    /// Applies the automatic rotations that are due. A rotation is skipped if the key is disabled
    /// or has no room for a version.
    pub(crate) fn settle(&mut self, now: i64) -> Result<(), Refusal> {
        while let Some(next) = self.next_rotation.filter(|next| *next <= now) {
            if self.status == Status::Enable && self.versions.len() < MAX_VERSIONS {
                self.add_version(next)?;
                self.next_rotation = Some(self.next_from(next));
            } else {
                // Skips all past rotations at once: a test's clock may be centuries ahead.
                let period = i64::from(self.rotation_period) * DAY;
                let missed = now.saturating_sub(next) / period + 1;
                self.next_rotation = next.checked_add(missed.saturating_mul(period));
            }
        }
        Ok(())
    }

    fn add_version(&mut self, now: i64) -> Result<(), Refusal> {
        let version = self.current() + 1;
        let key = SecretBytes(version::generate(self.key_type)?);
        self.versions.push(VersionState {
            version,
            enabled: true,
            status_date: now,
            rotated_date: now,
            key,
        });
        Ok(())
    }

    fn next_from(&self, now: i64) -> i64 {
        now.saturating_add(i64::from(self.rotation_period) * DAY)
    }

    fn must_be_enabled(&self) -> Result<(), Refusal> {
        if self.status == Status::Enable { Ok(()) } else { Err(Refusal::status("key is disabled")) }
    }

    fn must_not_be_going(&self) -> Result<(), Refusal> {
        if self.status == Status::Revoke {
            Err(Refusal::status("deletion of the key is requested"))
        } else {
            Ok(())
        }
    }
}
