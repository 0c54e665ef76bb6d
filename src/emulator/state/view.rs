//! An immutable view of the state with parsed keys, for requests.

use crate::emulator::answer::{Kind, Refusal};
use crate::emulator::keys::key::{AclState, GeneratorState, KeyState, Status, VersionState};
use crate::emulator::keys::token::Generator;
use crate::emulator::keys::version::VersionKey;
use crate::emulator::state::content::State;
use crate::error;
use crate::error::{Error, ErrorKind};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

/// The state as requests see it. A change creates a new view, so that no request holds a lock while
/// it works.
pub(crate) struct View {
    /// When the next change is due.
    pub(crate) due: Option<i64>,
    keys: HashMap<String, Arc<Key>>,
}

/// One key.
pub(crate) struct Key {
    pub(crate) id: u64,
    pub(crate) tag: String,
    pub(crate) acl: AclState,
    status: Status,
    versions: Vec<Version>,
    generator_state: Option<GeneratorState>,
    generator: OnceLock<Option<Generator>>,
}

struct Version {
    enabled: bool,
    key: VersionKey,
}

impl View {
    pub(crate) fn of(state: &State) -> error::Result<Self> {
        let keys = state
            .keys
            .iter()
            .map(|key| Ok((key.tag.clone(), Arc::new(Key::of(key)?))))
            .collect::<error::Result<_>>()?;
        Ok(Self { due: state.due(), keys })
    }

    /// Whether every key can be parsed. [`View::of`] leaves out slow checks.
    pub(crate) fn is_valid(&self) -> bool {
        self.keys.values().all(|key| key.versions.iter().all(|version| version.key.is_valid()))
    }

    pub(crate) fn key(&self, tag: &str) -> Option<&Arc<Key>> {
        self.keys.get(tag)
    }
}

impl Key {
    fn of(state: &KeyState) -> error::Result<Self> {
        let version = |version: &VersionState| {
            let key = VersionKey::new(
                &state.tag,
                version.version,
                state.key_type,
                state.convergent,
                &version.key.0,
            )?;
            Some(Version { enabled: version.enabled, key })
        };
        let versions = state.versions.iter().map(version).collect::<Option<Vec<_>>>();
        Ok(Self {
            id: state.id,
            tag: state.tag.clone(),
            acl: state.acl.clone(),
            status: state.status,
            versions: versions.ok_or_else(|| {
                Error::new(ErrorKind::Malformed, "a key version is not a key of its type")
            })?,
            generator_state: state.token_generator.clone(),
            generator: OnceLock::new(),
        })
    }

    /// Refuses if the key is disabled or its deletion requested.
    pub(crate) fn usable(&self) -> Result<(), Refusal> {
        match self.status {
            Status::Enable => Ok(()),
            Status::Disable => Err(Refusal::status("key is disabled")),
            Status::Revoke => Err(Refusal::status("deletion of the key is requested")),
        }
    }

    /// The version that encrypts.
    pub(crate) fn current(&self) -> Result<&VersionKey, Refusal> {
        self.versions
            .last()
            .map(|version| &version.key)
            .ok_or(Refusal::internal("key has no version"))
    }

    /// The version before the current one, or the current one if it is the first.
    pub(crate) fn previous(&self) -> Result<&VersionKey, Refusal> {
        self.versions.iter().rev().nth(1).map_or_else(|| self.current(), |version| Ok(&version.key))
    }

    /// The version with this number.
    pub(crate) fn version(&self, number: u32) -> Result<&VersionKey, Refusal> {
        let place = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
        let version = place
            .and_then(|place| self.versions.get(place))
            .ok_or(Refusal::request("key has no such version"))?;
        if version.enabled {
            Ok(&version.key)
        } else {
            Err(Refusal::new(Kind::InvalidVersion, "key version is disabled"))
        }
    }

    /// The token generator, if it has signed already. Parsed on first use, because most emulators
    /// never see a token.
    pub(crate) fn generator(&self) -> Option<&Generator> {
        let pkcs8 = self.generator_state.as_ref()?.pkcs8.as_ref()?;
        self.generator.get_or_init(|| Generator::from_pkcs8(&pkcs8.0)).as_ref()
    }

    /// The id of the token generator, whether it has signed already or not.
    pub(crate) fn generator_id(&self) -> Option<&str> {
        self.generator_state.as_ref().map(|generator| generator.id.as_str())
    }
}
