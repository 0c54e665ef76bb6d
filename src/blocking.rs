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

use crate::context::{EncryptionContext, Scope};
use crate::datakey::EnvelopeStats;
use crate::envelope::{Envelope, Opened};
use crate::error::Result;
use crate::format::{Decryptor, Encryptor, Header, PREAMBLE_LEN};
use crate::io::{
    DecryptReader, EncryptReader, EncryptWriter, FileOptions, FileReport, RangeReader, ReadAt,
    StreamReport,
};
use crate::policy::{ToDecryptPolicy, ToEncryptOptions};
use crate::runtime;
use crate::stored::{Outcome, RekeyOptions, RewrapOptions, RewrapReport, SlotChange, SlotsChanged};
use crate::wrap::{KeyId, WrappedKey};
use std::future::Future;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

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

    /// As [`Envelope::encryptor`].
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

    /// As [`Envelope::encryptors`].
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

    /// As [`Envelope::decryptor`].
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

    /// As [`Envelope::admit`].
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

    /// As [`Envelope::encrypt`].
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

    /// As [`Envelope::encrypt_into`].
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

    /// As [`Envelope::encrypt_many`].
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

    /// As [`Envelope::encrypt_many_with`].
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

    /// As [`Envelope::decrypt`].
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

    /// As [`Envelope::decrypt_into`].
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

    /// As [`Envelope::decrypt_many`].
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

    /// As [`Envelope::decrypt_many_with`].
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

    /// As [`Envelope::rewrap_keys`].
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

    /// As [`Envelope::writer`].
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # use std::io::Write;
    /// let mut writer = envelope.writer(Vec::new(), EncryptionContext::new())?;
    /// writeln!(writer, "hello")?;
    /// let message = writer.finish()?;
    /// assert_eq!(envelope.decrypt(&message, DecryptPolicy::new())?, "hello\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there, and within an async runtime.
    pub fn writer<W: Write>(
        &self,
        inner: W,
        options: impl ToEncryptOptions,
    ) -> Result<EncryptWriter<W>> {
        wait(self.0.writer(inner, options))?
    }

    /// As [`Envelope::reader`].
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # use std::io::Read;
    /// let message = envelope.encrypt("hello", EncryptionContext::new())?;
    /// let mut text = String::new();
    /// envelope.reader(&message[..], DecryptPolicy::new())?.read_to_string(&mut text)?;
    /// assert_eq!(text, "hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there, and within an async runtime.
    pub fn reader<R: Read>(
        &self,
        inner: R,
        policy: impl ToDecryptPolicy,
    ) -> Result<DecryptReader<BufReader<R>>> {
        wait(self.0.reader(inner, policy))?
    }

    /// As [`Envelope::buf_reader`].
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # use std::io::Read;
    /// let message = envelope.encrypt("hello", EncryptionContext::new())?;
    /// let mut reader = envelope.buf_reader(&message[..], DecryptPolicy::new())?;
    /// reader.read_to_end(&mut Vec::new())?;
    /// assert!(reader.into_inner().is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there, and within an async runtime.
    pub fn buf_reader<R: BufRead>(
        &self,
        inner: R,
        policy: impl ToDecryptPolicy,
    ) -> Result<DecryptReader<R>> {
        wait(self.0.buf_reader(inner, policy))?
    }

    /// As [`Envelope::encrypt_reader`].
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # use std::io::Read;
    /// let mut message = Vec::new();
    /// let mut upload = envelope.encrypt_reader(&b"hello"[..], EncryptionContext::new())?;
    /// upload.read_to_end(&mut message)?;
    /// assert_eq!(envelope.decrypt(&message, DecryptPolicy::new())?, "hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there, and within an async runtime.
    pub fn encrypt_reader<R: Read>(
        &self,
        inner: R,
        options: impl ToEncryptOptions,
    ) -> Result<EncryptReader<R>> {
        wait(self.0.encrypt_reader(inner, options))?
    }

    /// As [`Envelope::range_reader`].
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// let message = envelope.encrypt("hello, world", EncryptionContext::new())?;
    /// let reader = envelope.range_reader(&message[..], DecryptPolicy::new())?;
    /// assert_eq!(*reader.read_last(5)?, b"world");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As there, and within an async runtime.
    pub fn range_reader<S: ReadAt>(
        &self,
        source: S,
        policy: impl ToDecryptPolicy,
    ) -> Result<RangeReader<S>> {
        wait(self.0.range_reader(source, policy))?
    }

    /// As [`Envelope::encrypt_stream`].
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// let source = std::io::Cursor::new("hello");
    /// let report = envelope.encrypt_stream(source, Vec::new(), EncryptionContext::new())?;
    /// assert_eq!(envelope.decrypt(&report.sink, DecryptPolicy::new())?, "hello");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As there, and within an async runtime.
    pub fn encrypt_stream<R, W>(
        &self,
        source: R,
        sink: W,
        options: impl ToEncryptOptions,
    ) -> Result<StreamReport<W>>
    where
        R: Read + Send + 'static,
        W: Write + Send + 'static,
    {
        wait(self.0.encrypt_stream(source, sink, options))?
    }

    /// As [`Envelope::decrypt_stream`].
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// let message = envelope.encrypt("hello", EncryptionContext::new())?;
    /// let source = std::io::Cursor::new(message);
    /// let report = envelope.decrypt_stream(source, Vec::new(), DecryptPolicy::new())?;
    /// assert_eq!(report.sink, b"hello");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As there, and within an async runtime.
    pub fn decrypt_stream<R, W>(
        &self,
        source: R,
        sink: W,
        policy: impl ToDecryptPolicy,
    ) -> Result<StreamReport<W>>
    where
        R: Read + Send + 'static,
        W: Write + Send + 'static,
    {
        wait(self.0.decrypt_stream(source, sink, policy))?
    }

    /// As [`Envelope::encrypt_file`].
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let directory = tempfile::tempdir()?;
    /// # let path = |name: &str| directory.path().join(name);
    /// std::fs::write(path("a.txt"), "hello")?;
    /// let none = EncryptionContext::new();
    /// let report = envelope.encrypt_file(path("a.txt"), path("a.ncpe"), none)?;
    /// assert_eq!(report.bytes_read, 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there, and within an async runtime.
    pub fn encrypt_file(
        &self,
        source: impl AsRef<Path>,
        target: impl AsRef<Path>,
        options: impl ToEncryptOptions,
    ) -> Result<FileReport> {
        wait(self.0.encrypt_file(source, target, options))?
    }

    /// As [`Envelope::encrypt_file_with`].
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # use ncp_envelope::io::FileOptions;
    /// # let directory = tempfile::tempdir()?;
    /// # let path = |name: &str| directory.path().join(name);
    /// std::fs::write(path("a.txt"), "hello")?;
    /// let (options, none) = (FileOptions::new().threads(1), EncryptionContext::new());
    /// envelope.encrypt_file_with(path("a.txt"), path("a.ncpe"), none, &options)?;
    /// assert!(path("a.ncpe").exists());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there, and within an async runtime.
    pub fn encrypt_file_with(
        &self,
        source: impl AsRef<Path>,
        target: impl AsRef<Path>,
        options: impl ToEncryptOptions,
        file_options: &FileOptions,
    ) -> Result<FileReport> {
        wait(self.0.encrypt_file_with(source, target, options, file_options))?
    }

    /// As [`Envelope::decrypt_file`].
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let directory = tempfile::tempdir()?;
    /// # let path = |name: &str| directory.path().join(name);
    /// std::fs::write(path("a.ncpe"), envelope.encrypt("hello", EncryptionContext::new())?)?;
    /// envelope.decrypt_file(path("a.ncpe"), path("a.txt"), DecryptPolicy::new())?;
    /// assert_eq!(std::fs::read(path("a.txt"))?, b"hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there, and within an async runtime.
    pub fn decrypt_file(
        &self,
        source: impl AsRef<Path>,
        target: impl AsRef<Path>,
        policy: impl ToDecryptPolicy,
    ) -> Result<FileReport> {
        wait(self.0.decrypt_file(source, target, policy))?
    }

    /// As [`Envelope::decrypt_file_with`].
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # use ncp_envelope::io::FileOptions;
    /// # let directory = tempfile::tempdir()?;
    /// # let path = |name: &str| directory.path().join(name);
    /// std::fs::write(path("a.ncpe"), envelope.encrypt("new", EncryptionContext::new())?)?;
    /// std::fs::write(path("a.txt"), "old")?;
    /// let (options, policy) = (FileOptions::new().overwrite(true), DecryptPolicy::new());
    /// envelope.decrypt_file_with(path("a.ncpe"), path("a.txt"), policy, &options)?;
    /// assert_eq!(std::fs::read(path("a.txt"))?, b"new");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there, and within an async runtime.
    pub fn decrypt_file_with(
        &self,
        source: impl AsRef<Path>,
        target: impl AsRef<Path>,
        policy: impl ToDecryptPolicy,
        file_options: &FileOptions,
    ) -> Result<FileReport> {
        wait(self.0.decrypt_file_with(source, target, policy, file_options))?
    }

    /// As [`Envelope::rewrap_files`].
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # use ncp_envelope::stored::RewrapOptions;
    /// # let directory = tempfile::tempdir()?;
    /// # let path = |name: &str| directory.path().join(name);
    /// std::fs::write(path("a.ncpe"), envelope.encrypt("hello", EncryptionContext::new())?)?;
    /// let report = envelope.rewrap_files([path("a.ncpe")], &RewrapOptions::new())?;
    /// assert_eq!(report.rewrapped, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there, and within an async runtime.
    pub fn rewrap_files<I>(&self, paths: I, options: &RewrapOptions) -> Result<RewrapReport>
    where
        I: IntoIterator<Item = PathBuf>,
        I::IntoIter: Send + 'static,
    {
        wait(self.0.rewrap_files(paths, options))?
    }

    /// As [`Envelope::rewrap_file`].
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # use ncp_envelope::stored::{Outcome, RewrapOptions};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = |name: &str| directory.path().join(name);
    /// std::fs::write(path("a.ncpe"), envelope.encrypt("hello", EncryptionContext::new())?)?;
    /// let outcome = envelope.rewrap_file(path("a.ncpe"), &RewrapOptions::new())?;
    /// assert!(matches!(outcome, Outcome::Rewrapped { .. }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there, and within an async runtime.
    pub fn rewrap_file(
        &self,
        path: impl Into<PathBuf>,
        options: &RewrapOptions,
    ) -> Result<Outcome> {
        wait(self.0.rewrap_file(path, options))?
    }

    /// As [`Envelope::change_slots`].
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # use ncp_envelope::stored::{SlotChange, SlotsChanged};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = |name: &str| directory.path().join(name);
    /// std::fs::write(path("a.ncpe"), envelope.encrypt("hello", EncryptionContext::new())?)?;
    /// let policy = DecryptPolicy::new();
    /// // It has a slot for every key of the envelope.
    /// let changed = envelope.change_slots(path("a.ncpe"), &policy, &SlotChange::new())?;
    /// assert_eq!(changed, SlotsChanged::Already);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there, and within an async runtime.
    pub fn change_slots(
        &self,
        path: impl AsRef<Path>,
        policy: impl ToDecryptPolicy,
        change: &SlotChange,
    ) -> Result<SlotsChanged> {
        wait(self.0.change_slots(path, policy, change))?
    }

    /// As [`Envelope::rekey_file`].
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # use ncp_envelope::stored::RekeyOptions;
    /// # let directory = tempfile::tempdir()?;
    /// # let path = |name: &str| directory.path().join(name);
    /// std::fs::write(path("a.ncpe"), envelope.encrypt("hello", EncryptionContext::new())?)?;
    /// envelope.rekey_file(path("a.ncpe"), DecryptPolicy::new(), &RekeyOptions::new())?;
    /// let message = std::fs::read(path("a.ncpe"))?;
    /// assert_eq!(envelope.decrypt(&message, DecryptPolicy::new())?, "hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there, and within an async runtime.
    pub fn rekey_file(
        &self,
        path: impl AsRef<Path>,
        policy: impl ToDecryptPolicy,
        options: &RekeyOptions,
    ) -> Result<FileReport> {
        wait(self.0.rekey_file(path, policy, options))?
    }

    /// As [`Envelope::verify_file`].
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let directory = tempfile::tempdir()?;
    /// # let path = |name: &str| directory.path().join(name);
    /// std::fs::write(path("a.ncpe"), envelope.encrypt("hello", EncryptionContext::new())?)?;
    /// let report = envelope.verify_file(path("a.ncpe"), DecryptPolicy::new())?;
    /// assert_eq!(report.bytes_written, 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there, and within an async runtime.
    pub fn verify_file(
        &self,
        source: impl AsRef<Path>,
        policy: impl ToDecryptPolicy,
    ) -> Result<FileReport> {
        wait(self.0.verify_file(source, policy))?
    }

    /// As [`Envelope::verify_file_with`].
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// # let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    /// let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # use ncp_envelope::io::FileOptions;
    /// # let directory = tempfile::tempdir()?;
    /// # let path = |name: &str| directory.path().join(name);
    /// std::fs::write(path("a.ncpe"), envelope.encrypt("hello", EncryptionContext::new())?)?;
    /// let options = FileOptions::new().progress(|done, of| println!("{done} of {of:?}"));
    /// envelope.verify_file_with(path("a.ncpe"), DecryptPolicy::new(), &options)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there, and within an async runtime.
    pub fn verify_file_with(
        &self,
        source: impl AsRef<Path>,
        policy: impl ToDecryptPolicy,
        file_options: &FileOptions,
    ) -> Result<FileReport> {
        wait(self.0.verify_file_with(source, policy, file_options))?
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
