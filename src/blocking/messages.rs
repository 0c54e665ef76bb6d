//! Messages in memory, and their headers and keys.

use crate::blocking::{BlockingEnvelope, wait};
use crate::context::EncryptionContext;
use crate::envelope::Opened;
use crate::error::Result;
use crate::format::{Decryptor, Encryptor, Header, PREAMBLE_LEN};
use crate::policy::{ToDecryptPolicy, ToEncryptOptions};
use crate::wrap::WrappedKey;

impl BlockingEnvelope {
    /// As [`Envelope::encryptor`](crate::Envelope::encryptor).
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// let encryptor = envelope.encryptor([("kind", "note")])?;
    /// assert!(encryptor.front().len() > 100);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As there, and within an async runtime.
    pub fn encryptor(&self, options: impl ToEncryptOptions) -> Result<Encryptor> {
        wait(self.0.encryptor(options))?
    }

    /// As [`Envelope::encryptors`](crate::Envelope::encryptors).
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// let encryptors = envelope.encryptors([[("part", "1")], [("part", "2")]])?;
    /// assert_eq!(envelope.stats().wrap.calls, 1);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As there, and within an async runtime.
    pub fn encryptors<O: ToEncryptOptions>(
        &self,
        options: impl IntoIterator<Item = O>,
    ) -> Result<Vec<Encryptor>> {
        wait(self.0.encryptors(options))?
    }

    /// As [`Envelope::decryptor`](crate::Envelope::decryptor).
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # use ncp_envelope::format::Header;
    /// let message = envelope.encrypt("hello", EncryptionContext::new())?;
    /// let header = Header::decode(&message)?;
    /// let preamble = message[header.bound().body_offset()..].first_chunk().unwrap();
    /// let decryptor = envelope.decryptor(&header, preamble, DecryptPolicy::new())?;
    /// assert_eq!(decryptor.finish_len(), 0);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As there, and within an async runtime.
    pub fn decryptor(
        &self,
        header: &Header,
        preamble: &[u8; PREAMBLE_LEN],
        policy: impl ToDecryptPolicy,
    ) -> Result<Decryptor> {
        wait(self.0.decryptor(header, preamble, policy))?
    }

    /// As [`Envelope::admit`](crate::Envelope::admit).
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # use ncp_envelope::format::Header;
    /// let header = Header::decode(&envelope.encrypt("hello", [("kind", "note")])?)?;
    /// assert!(envelope.admit(&header, [("kind", "invoice")]).is_err());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As there.
    pub fn admit(&self, header: &Header, policy: impl ToDecryptPolicy) -> Result<()> {
        self.0.admit(header, policy)
    }

    /// As [`Envelope::encrypt`](crate::Envelope::encrypt).
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// let message = envelope.encrypt("hello", [("kind", "note")])?;
    /// assert_eq!(envelope.decrypt(&message, [("kind", "note")])?, "hello");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As there, and within an async runtime.
    pub fn encrypt(
        &self,
        plaintext: impl AsRef<[u8]>,
        options: impl ToEncryptOptions,
    ) -> Result<Vec<u8>> {
        wait(self.0.encrypt(plaintext, options))?
    }

    /// As [`Envelope::encrypt_into`](crate::Envelope::encrypt_into).
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// let mut message = Vec::new();
    /// envelope.encrypt_into("hello", EncryptionContext::new(), &mut message)?;
    /// assert_eq!(envelope.decrypt(&message, DecryptPolicy::new())?, "hello");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As there, and within an async runtime.
    pub fn encrypt_into(
        &self,
        plaintext: impl AsRef<[u8]>,
        options: impl ToEncryptOptions,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        wait(self.0.encrypt_into(plaintext, options, out))?
    }

    /// As [`Envelope::encrypt_many`](crate::Envelope::encrypt_many).
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// let messages = envelope.encrypt_many(["one", "two"], EncryptionContext::new())?;
    /// assert_eq!(envelope.decrypt(&messages[0], DecryptPolicy::new())?, "one");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As there, and within an async runtime.
    pub fn encrypt_many<P: AsRef<[u8]>>(
        &self,
        plaintexts: impl IntoIterator<Item = P>,
        options: impl ToEncryptOptions,
    ) -> Result<Vec<Vec<u8>>> {
        wait(self.0.encrypt_many(plaintexts, options))?
    }

    /// As [`Envelope::encrypt_many_with`](crate::Envelope::encrypt_many_with).
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// let messages = envelope.encrypt_many_with([("one", [("row", "1")])])?;
    /// assert_eq!(envelope.decrypt(&messages[0], [("row", "1")])?, "one");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As there, and within an async runtime.
    pub fn encrypt_many_with<P: AsRef<[u8]>, O: ToEncryptOptions>(
        &self,
        messages: impl IntoIterator<Item = (P, O)>,
    ) -> Result<Vec<Vec<u8>>> {
        wait(self.0.encrypt_many_with(messages))?
    }

    /// As [`Envelope::decrypt`](crate::Envelope::decrypt).
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// let message = envelope.encrypt("hello", EncryptionContext::new())?;
    /// let text = envelope.decrypt(&message, DecryptPolicy::new())?.into_string()?;
    /// assert_eq!(*text, "hello");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As there, and within an async runtime.
    pub fn decrypt(
        &self,
        message: impl AsRef<[u8]>,
        policy: impl ToDecryptPolicy,
    ) -> Result<Opened> {
        wait(self.0.decrypt(message, policy))?
    }

    /// As [`Envelope::decrypt_into`](crate::Envelope::decrypt_into).
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// let message = envelope.encrypt("hello", EncryptionContext::new())?;
    /// let mut plaintext = zeroize::Zeroizing::new(Vec::new());
    /// envelope.decrypt_into(&message, DecryptPolicy::new(), &mut plaintext)?;
    /// assert_eq!(*plaintext, b"hello");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As there, and within an async runtime, where the buffer stays as it is.
    pub fn decrypt_into(
        &self,
        message: impl AsRef<[u8]>,
        policy: impl ToDecryptPolicy,
        out: &mut Vec<u8>,
    ) -> Result<EncryptionContext> {
        wait(self.0.decrypt_into(message, policy, out))?
    }

    /// As [`Envelope::decrypt_many`](crate::Envelope::decrypt_many).
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// let messages = envelope.encrypt_many(["one", "two"], EncryptionContext::new())?;
    /// let opened = envelope.decrypt_many(&messages, DecryptPolicy::new());
    /// assert_eq!(*opened[1].as_ref().unwrap(), "two");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// Each message has its own, as there; all of them within an async runtime.
    pub fn decrypt_many<M: AsRef<[u8]>>(
        &self,
        messages: impl IntoIterator<Item = M>,
        policy: impl ToDecryptPolicy,
    ) -> Vec<Result<Opened>> {
        let messages: Vec<_> = messages.into_iter().collect();
        wait(self.0.decrypt_many(&messages, policy))
            .unwrap_or_else(|error| messages.iter().map(|_| Err(error.clone())).collect())
    }

    /// As [`Envelope::decrypt_many_with`](crate::Envelope::decrypt_many_with).
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// let message = envelope.encrypt("one", [("row", "1")])?;
    /// let asked = [(&message, [("row", "1")]), (&message, [("row", "2")])];
    /// let opened = envelope.decrypt_many_with(asked);
    /// assert!(opened[0].is_ok() && opened[1].is_err());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// Each message has its own, as there; all of them within an async runtime.
    pub fn decrypt_many_with<M: AsRef<[u8]>, P: ToDecryptPolicy>(
        &self,
        messages: impl IntoIterator<Item = (M, P)>,
    ) -> Vec<Result<Opened>> {
        let messages: Vec<_> = messages.into_iter().collect();
        wait(self.0.decrypt_many_with(messages.iter().map(|(message, policy)| (message, policy))))
            .unwrap_or_else(|error| messages.iter().map(|_| Err(error.clone())).collect())
    }

    /// As [`Envelope::rewrap_keys`](crate::Envelope::rewrap_keys).
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # use ncp_envelope::format::Header;
    /// let message = envelope.encrypt("hello", EncryptionContext::new())?;
    /// let header = Header::decode(&message)?;
    /// for key in envelope.rewrap_keys(header.slots().slots()) {
    ///     assert_eq!(key?.key_id(), envelope.key_id());
    /// }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// Each key has its own, as there; all of them within an async runtime.
    pub fn rewrap_keys(&self, keys: &[WrappedKey]) -> Vec<Result<WrappedKey>> {
        wait(self.0.rewrap_keys(keys))
            .unwrap_or_else(|error| keys.iter().map(|_| Err(error.clone())).collect())
    }
}
