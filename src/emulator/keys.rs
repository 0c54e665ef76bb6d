//! The keys, ready for use: what requests look at, made from the state and never changed.

use super::account::Account;
use super::answer::{Kind, Refusal};
use super::cipher::VersionKey;
use super::sensitive::SecretBytes;
use super::state::{KeyState, State, VersionState};
use super::token::Generator;
use crate::error::{self, Error, ErrorKind};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

/// The state as requests see it. A change makes a new one, so that no request holds a lock while it works.
pub(super) struct View {
    pub(super) account: Account,
    keys: HashMap<String, Arc<Key>>,
}

/// One key.
pub(super) struct Key {
    pub(super) tag: String,
    enabled: bool,
    versions: Vec<Version>,
    generator_pkcs8: Option<SecretBytes>,
    generator: OnceLock<Option<Generator>>,
}

struct Version {
    enabled: bool,
    key: VersionKey,
}

impl View {
    pub(super) fn of(state: &State) -> error::Result<Self> {
        let keys = state.keys.iter().map(|key| Ok((key.tag.clone(), Arc::new(Key::of(key)?)))).collect::<error::Result<_>>()?;
        Ok(Self { account: Account::new(&state.account), keys })
    }

    pub(super) fn key(&self, tag: &str) -> Option<&Arc<Key>> {
        self.keys.get(tag)
    }
}

impl Key {
    fn of(state: &KeyState) -> error::Result<Self> {
        let version = |version: &VersionState| {
            let key = VersionKey::new(&state.tag, version.version, &version.key.0)?;
            Some(Version { enabled: version.enabled, key })
        };
        let versions = state.versions.iter().map(version).collect::<Option<Vec<_>>>();
        Ok(Self {
            tag: state.tag.clone(),
            enabled: state.enabled,
            versions: versions.ok_or_else(|| Error::new(ErrorKind::Malformed, "a key version has a wrong length"))?,
            generator_pkcs8: state.token_generator.clone(),
            generator: OnceLock::new(),
        })
    }

    /// Refuses if the key is disabled.
    pub(super) fn usable(&self) -> Result<(), Refusal> {
        if self.enabled { Ok(()) } else { Err(Refusal::new(Kind::InvalidStatus, "key is disabled")) }
    }

    /// The version that encrypts.
    pub(super) fn current(&self) -> Result<&VersionKey, Refusal> {
        self.versions.last().map(|version| &version.key).ok_or(Refusal::internal("key has no version"))
    }

    /// The version that a ciphertext names.
    pub(super) fn version(&self, number: u32) -> Result<&VersionKey, Refusal> {
        let place = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
        let version = place.and_then(|place| self.versions.get(place)).ok_or(Refusal::request("key has no such version"))?;
        if version.enabled { Ok(&version.key) } else { Err(Refusal::new(Kind::InvalidStatus, "key version is disabled")) }
    }

    /// The token generator, if the key has one. Parsed when first asked for, because most emulators never see a token.
    pub(super) fn generator(&self) -> Option<&Generator> {
        let pkcs8 = self.generator_pkcs8.as_ref()?;
        self.generator.get_or_init(|| Generator::from_pkcs8(&pkcs8.0)).as_ref()
    }

    /// Whether the key has a token generator, usable or not.
    pub(super) fn has_generator(&self) -> bool {
        self.generator_pkcs8.is_some()
    }
}
