//! The entries of a key ring.

use crate::wrap::WrappedKey;
use std::fmt;
use std::time::{Duration, SystemTime};

/// What a key of a ring is for (`R-7`).
///
/// ```
/// use ncp_envelope::fields::KeyRole;
/// assert_eq!([KeyRole::Value, KeyRole::Index].map(|role| role.to_string()), ["value", "index"]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyRole {
    /// Encrypts values.
    Value,
    /// Makes blind indexes.
    Index,
}

impl KeyRole {
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Value => 1,
            Self::Index => 2,
        }
    }

    pub(super) fn from_code(code: u8) -> Option<Self> {
        [Self::Value, Self::Index].into_iter().find(|role| role.code() == code)
    }
}

impl fmt::Display for KeyRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Value => "value",
            Self::Index => "index",
        })
    }
}

/// Tells rings apart: 16 random bytes, made with the ring. Shown in hexadecimal.
///
/// ```
/// use ncp_envelope::fields::KeyRing;
/// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper, blocking::wait};
/// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
/// # let envelope = Envelope::builder(wrapper).build()?;
/// let id = wait(KeyRing::create(&envelope))??.id();
/// assert_eq!(id.to_string().len(), 32);
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RingId(pub(in crate::fields) [u8; 16]);

impl RingId {
    /// Its bytes.
    ///
    /// ```
    /// # use ncp_envelope::fields::KeyRing;
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper, blocking::wait};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// let ring = wait(KeyRing::create(&envelope))??;
    /// assert_eq!(ring.to_bytes()[12..28], *ring.id().as_bytes());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for RingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for RingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RingId({self})")
    }
}

/// A key of a ring: wrapped, with its number and role.
///
/// ```
/// use ncp_envelope::fields::{KeyRing, KeyRole};
/// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper, blocking::wait};
/// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
/// # let envelope = Envelope::builder(wrapper).build()?;
/// let ring = wait(KeyRing::create(&envelope))??.document();
/// let entry = &ring.entries()[0];
/// assert_eq!((entry.number(), entry.role()), (1, KeyRole::Value));
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RingEntry {
    pub(in crate::fields) number: u32,
    pub(in crate::fields) role: KeyRole,
    /// Seconds since 1970.
    pub(in crate::fields) created: u64,
    pub(in crate::fields) slots: Vec<WrappedKey>,
}

impl RingEntry {
    /// Its number in the ring, which no other key of the ring had or will have.
    ///
    /// ```
    /// # use ncp_envelope::fields::KeyRing;
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper, blocking::wait};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// let ring = wait(wait(KeyRing::create(&envelope))??.rotate())??;
    /// let numbers: Vec<_> = ring.entries().iter().map(|entry| entry.number()).collect();
    /// assert_eq!(numbers, [1, 2, 3]);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn number(&self) -> u32 {
        self.number
    }

    /// What it is for.
    ///
    /// ```
    /// # use ncp_envelope::fields::{KeyRing, KeyRole};
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper, blocking::wait};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// let ring = wait(KeyRing::create(&envelope))??.document();
    /// assert_eq!(ring.entries()[1].role(), KeyRole::Index);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn role(&self) -> KeyRole {
        self.role
    }

    /// When it was made, by the clock of the process that made it. Nothing authenticates it: it
    /// is for people, and for programs that rotate old keys.
    ///
    /// ```
    /// # use ncp_envelope::fields::KeyRing;
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper, blocking::wait};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// let ring = wait(KeyRing::create(&envelope))??.document();
    /// assert!(ring.entries()[0].created() <= std::time::SystemTime::now());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn created(&self) -> SystemTime {
        // R-5: no further than every platform's clock goes.
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.created)
    }

    /// The key, wrapped once for each key-encryption key that can open it.
    ///
    /// ```
    /// # use ncp_envelope::fields::KeyRing;
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper, blocking::wait};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// let ring = wait(KeyRing::create(&envelope))??.document();
    /// assert_eq!(ring.entries()[0].slots()[0].key_id().id(), "offline");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn slots(&self) -> &[WrappedKey] {
        &self.slots
    }
}
