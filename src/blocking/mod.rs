//! The crate's calls without `async`, for programs that have no runtime.
//!
//! [`Envelope::blocking`] gives an envelope whose calls block; [`wait`] waits for any other future
//! of this crate, such as those of the key service's client. Calls to a key service run on a thread
//! of the crate's own, one for the process, that starts at the first call, where a feature brings a
//! runtime; without any, the waiting thread polls.
//!
//! Within an async runtime every call here is an error of kind
//! [`InvalidInput`](crate::ErrorKind::InvalidInput), and none is made: a thread that blocks stops
//! the runtime that it belongs to.
//!
//! ```
//! use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
//! let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
//! let envelope = Envelope::builder(wrapper).build()?.blocking();
//! let message = envelope.encrypt("hello", [("kind", "note")])?;
//! assert_eq!(envelope.decrypt(&message, [("kind", "note")])?, "hello");
//! # Ok::<(), ncp_envelope::Error>(())
//! ```

mod files;
mod many;
mod messages;
mod rings;
mod streams;

use crate::context::Scope;
use crate::crypto::CipherBackend;
use crate::datakey::EnvelopeStats;
use crate::envelope::Envelope;
use crate::error::Result;
use crate::fields::KeyRing;
use crate::runtime;
use crate::wrap::KeyId;
use std::future::Future;

/// Waits on this thread for `future`, one of this crate's.
///
/// ```
/// # #[cfg(all(feature = "kms", feature = "emulator"))] {
/// use ncp_envelope::blocking::wait;
/// use ncp_envelope::emulator::Emulator;
/// use ncp_envelope::kms::{Client, Credentials, Endpoint};
///
/// let emulator = Emulator::builder().start_blocking()?;
/// let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
/// let endpoint = Endpoint::Custom(emulator.url().to_owned());
/// let client = Client::builder().endpoint(endpoint).credentials(account).build()?;
/// let ciphertext = wait(client.key(emulator.key_tag())?.encrypt(b"hello"))??;
/// # }
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
///
/// # Errors
/// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) within an async runtime.
pub fn wait<F: Future>(future: F) -> Result<F::Output> {
    runtime::wait(future)
}

impl Envelope {
    /// The same envelope, with calls that block. Shares keys, cache and calls with this one.
    ///
    /// ```
    /// use ncp_envelope::{
    ///     DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper,
    /// };
    /// let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// let message = envelope.encrypt(b"hello", EncryptionContext::new())?;
    /// assert_eq!(envelope.decrypt(&message, &DecryptPolicy::new())?, b"hello");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn blocking(&self) -> BlockingEnvelope {
        BlockingEnvelope(self.clone())
    }
}

/// An [`Envelope`] whose calls block. Cheap to clone.
///
/// Each call is the one of the same name there, and fails as that does; within an async runtime it
/// fails with [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput).
///
/// ```
/// use ncp_envelope::{BlockingEnvelope, DataKey, Envelope, LocalKeyWrapper};
/// let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
/// let envelope: BlockingEnvelope = Envelope::builder(wrapper).build()?.blocking();
/// let message = envelope.encrypt("hello", [("kind", "note")])?;
/// assert_eq!(envelope.decrypt(&message, [("kind", "note")])?, "hello");
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct BlockingEnvelope(Envelope);

impl BlockingEnvelope {
    /// As [`Envelope::for_scope`].
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// let message = envelope.for_scope("tenant-42")?.encrypt("hello", EncryptionContext::new())?;
    /// assert!(envelope.decrypt(&message, DecryptPolicy::new()).is_err());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As there.
    pub fn for_scope(&self, scope: impl Into<Scope>) -> Result<Self> {
        self.0.for_scope(scope).map(Self)
    }

    /// [`Envelope::threads`].
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking().threads(2);
    /// let message = envelope.encrypt(vec![7; 4 << 20], EncryptionContext::new())?;
    /// assert_eq!(envelope.decrypt(&message, DecryptPolicy::new())?.len(), 4 << 20);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn threads(&self, threads: usize) -> Self {
        Self(self.0.threads(threads))
    }

    /// [`Envelope::cipher`].
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).cipher(CipherBackend::AwsLc).build()?.blocking();
    /// assert_eq!(envelope.cipher(), CipherBackend::AwsLc);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn cipher(&self) -> CipherBackend {
        self.0.cipher()
    }
    /// As [`Envelope::key_id`].
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// assert_eq!(envelope.key_id().to_string(), "offline");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn key_id(&self) -> &KeyId {
        self.0.key_id()
    }

    /// As [`Envelope::key_ids`].
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// assert_eq!(envelope.key_ids(), [envelope.key_id().clone()]);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn key_ids(&self) -> &[KeyId] {
        self.0.key_ids()
    }

    /// As [`Envelope::forget_keys`].
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// envelope.forget_keys();
    /// assert_eq!(envelope.stats().cache.keys, 0);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn forget_keys(&self) {
        self.0.forget_keys();
    }

    /// As [`Envelope::invalidate`].
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// envelope.invalidate("offline");
    /// assert_eq!(envelope.stats().cache.keys, 0);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn invalidate(&self, tag: &str) {
        self.0.invalidate(tag);
    }

    /// As [`Envelope::retire_below`].
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// // No key wrapped under versions 1 to 6 is used from now on.
    /// envelope.retire_below("offline", 7);
    /// assert_eq!(envelope.stats().cache.keys, 0);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn retire_below(&self, tag: &str, version: u32) {
        self.0.retire_below(tag, version);
    }

    /// As [`Envelope::stats`].
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// envelope.encrypt("hello", EncryptionContext::new())?;
    /// assert_eq!(envelope.stats().wrap.keys, 1);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn stats(&self) -> EnvelopeStats {
        self.0.stats()
    }
}

/// A [`KeyRing`] whose calls to the key service block.
///
/// ```
/// use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
/// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
/// let envelope = Envelope::builder(wrapper).build()?.blocking();
/// let ring = envelope.create_ring()?;
/// let email = ring.field("customers.email")?;
/// let ciphertext = email.encrypt("kim@example.com", "17")?;
///
/// let again = envelope.open_ring(ring.ring().to_bytes())?;
/// let email = again.field("customers.email")?;
/// assert_eq!(*email.decrypt(&ciphertext, "17")?, b"kim@example.com");
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct BlockingKeyRing(KeyRing);
