//! A stored message encrypted again, under another data key.
//!
//! Promises: at every moment the file is the whole old message or the whole new one; plaintext is
//! in memory only, a few buffers of it; the new message takes the name only after all of the old
//! one was verified; no key loses access unless the caller asks for it. Afterwards no slot of the
//! old message opens the new one.

use super::front::{self, Front, Unread, cannot, named};
use super::lock::Locked;
use super::write::{WriteOptions, refuse_links};
use crate::envelope::Envelope;
use crate::error::{Error, ErrorKind, Result};
use crate::format::{Header, Layout, PREAMBLE_LEN};
use crate::io::{DecryptReader, FileReport, SourceFile, offload};
use crate::output::{Output, Settings};
use crate::policy::{EncryptOptions, ToDecryptPolicy};
use std::fmt;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

/// As whole streams read.
const READ_AT_ONCE: usize = 256 << 10;

type ProgressFn = dyn Fn(u64, Option<u64>) + Send + Sync;

/// How a stored message is encrypted again.
///
/// ```
/// # use ncp_envelope::stored::*;
/// # use ncp_envelope::*;
/// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
/// # let envelope = Envelope::builder(wrapper).build()?.blocking();
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("report.ncpe");
/// # std::fs::write(&path, envelope.encrypt("hello", EncryptionContext::new())?)?;
/// # let policy = DecryptPolicy::new();
/// let options = RekeyOptions::new().layout(ncp_envelope::format::Profile::Page);
/// envelope.rekey_file(&path, policy, &options)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct RekeyOptions {
    layout: Option<Layout>,
    drop_other_keys: bool,
    write: WriteOptions,
    progress: Option<Arc<ProgressFn>>,
}

impl RekeyOptions {
    /// The message's own layout, no key dropped, synced.
    ///
    /// ```
    /// # use ncp_envelope::stored::*;
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.ncpe");
    /// # std::fs::write(&path, envelope.encrypt("hello", EncryptionContext::new())?)?;
    /// # let policy = DecryptPolicy::new();
    /// let before = std::fs::read(&path)?;
    /// envelope.rekey_file(&path, policy, &RekeyOptions::new())?;
    /// assert_eq!(std::fs::read(&path)?.len(), before.len());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives the message another layout, such as one with room for more slots.
    ///
    /// ```
    /// # use ncp_envelope::stored::*;
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.ncpe");
    /// # std::fs::write(&path, envelope.encrypt("hello", EncryptionContext::new())?)?;
    /// # let policy = DecryptPolicy::new();
    /// use ncp_envelope::format::Profile;
    /// let options = RekeyOptions::new().layout(Profile::Durable);
    /// envelope.rekey_file(&path, policy, &options)?;
    /// let header = StoredMessage::open(&path)?.header().clone();
    /// assert_eq!(header.bound().profile(), Profile::Durable);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn layout(mut self, layout: impl Into<Layout>) -> Self {
        self.layout = Some(layout.into());
        self
    }

    /// Whether the message may lose slots under keys that are none of the envelope's. Refused
    /// unless set: holders of those keys could no longer read it.
    ///
    /// ```
    /// # use ncp_envelope::*;
    /// # use ncp_envelope::stored::*;
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.ncpe");
    /// # let ours = std::sync::Arc::new(LocalKeyWrapper::new("ours", &DataKey::generate()?)?);
    /// # let theirs = LocalKeyWrapper::new("theirs", &DataKey::generate()?)?;
    /// # let both = Envelope::builder(ours.clone()).and(theirs).build()?.blocking();
    /// # let ours = Envelope::builder(ours).build()?.blocking();
    /// # let policy = DecryptPolicy::new();
    /// std::fs::write(&path, both.encrypt("hello", EncryptionContext::new())?)?;
    /// let error = ours.rekey_file(&path, &policy, &RekeyOptions::new()).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::KeyNotAllowed);
    /// ours.rekey_file(&path, &policy, &RekeyOptions::new().drop_other_keys(true))?;
    /// assert_eq!(StoredMessage::open(&path)?.header().slots().slots().len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn drop_other_keys(mut self, drop: bool) -> Self {
        self.drop_other_keys = drop;
        self
    }

    /// How to write: only [`WriteOptions::sync`], [`cut_links`](WriteOptions::cut_links) and
    /// [`patience`](WriteOptions::patience) have an effect.
    ///
    /// ```
    /// # use ncp_envelope::stored::*;
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.ncpe");
    /// # std::fs::write(&path, envelope.encrypt("hello", EncryptionContext::new())?)?;
    /// # let policy = DecryptPolicy::new();
    /// let unsynced = WriteOptions::new().sync(false);
    /// envelope.rekey_file(&path, policy, &RekeyOptions::new().write(unsynced))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn write(mut self, options: WriteOptions) -> Self {
        self.write = options;
        self
    }

    /// Calls `progress` with the bytes of the old message that were read, and its length.
    ///
    /// ```
    /// # use ncp_envelope::stored::*;
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.ncpe");
    /// # std::fs::write(&path, envelope.encrypt("hello", EncryptionContext::new())?)?;
    /// # let policy = DecryptPolicy::new();
    /// let len = std::fs::metadata(&path)?.len();
    /// let options = RekeyOptions::new().progress(move |done, of| {
    ///     assert!(done <= len && of == Some(len));
    /// });
    /// envelope.rekey_file(&path, policy, &options)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn progress(mut self, progress: impl Fn(u64, Option<u64>) + Send + Sync + 'static) -> Self {
        self.progress = Some(Arc::new(progress));
        self
    }
}

impl fmt::Debug for RekeyOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RekeyOptions")
            .field("layout", &self.layout)
            .field("drop_other_keys", &self.drop_other_keys)
            .field("write", &self.write)
            .finish_non_exhaustive()
    }
}

impl Envelope {
    /// Encrypts the message in the file `path` again under a new data key, wrapped for all
    /// recipients of this envelope. Everything else is kept: plaintext, context, associated data,
    /// which must be in `policy`, and the file's owner and permissions.
    ///
    /// For a data key that leaked, for recipients whose slots do not fit the header, and for
    /// another layout; everything else is done without touching the body. The old file stays until
    /// the new one is complete, so there must be room for both. Anyone with a copy of the old file
    /// and its key can still read that.
    ///
    /// ```
    /// # use ncp_envelope::{DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
    /// use ncp_envelope::stored::RekeyOptions;
    /// # let rt = tokio::runtime::Builder::new_current_thread().build()?;
    /// # rt.block_on(async {
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?;
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.ncpe");
    /// # std::fs::write(&path, envelope.encrypt(b"hello", EncryptionContext::new()).await?)?;
    /// let policy = DecryptPolicy::new();
    /// envelope.rekey_file(&path, &policy, &RekeyOptions::new()).await?;
    /// assert_eq!(envelope.decrypt(&std::fs::read(&path)?, &policy).await?, b"hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`decrypt`](Self::decrypt) and [`encryptor`](Self::encryptor);
    /// [`KeyNotAllowed`](ErrorKind::KeyNotAllowed) if the message has slots under other keys;
    /// [`Io`](ErrorKind::Io), also if another program holds the file's lock for too long;
    /// [`InvalidInput`](ErrorKind::InvalidInput) for a file of several names. The file is then
    /// unchanged.
    pub async fn rekey_file(
        &self,
        path: impl AsRef<Path>,
        policy: impl ToDecryptPolicy,
        options: &RekeyOptions,
    ) -> Result<FileReport> {
        let policy = &*policy.to_policy()?;
        let path = path.as_ref();
        let (name, how) = (path.to_owned(), options.clone());
        let old = offload(move |_| Old::open(&name, &how)).await?;
        self.admit(&old.header, policy).map_err(|error| named(path, error))?;
        if !options.drop_other_keys {
            self.refuse_others(&old)?;
        }
        let decryptor = self.decryptor(&old.header, &old.preamble, policy).await;
        let decryptor = decryptor.map_err(|error| named(path, error))?;
        let bound = old.header.bound();
        let anew = EncryptOptions::new()
            .context(bound.context().clone())
            .aad(policy.aad_bytes())
            .layout(options.layout.unwrap_or(bound.layout()));
        let Old { locked, source, output, len, .. } = old;
        let name = source.clone();
        let done = (bound.body_offset() + PREAMBLE_LEN) as u64;
        let body = Watched { source, done, len, progress: options.progress.clone() };
        let body = BufReader::with_capacity(READ_AT_ONCE, body);
        let plaintext = DecryptReader::new(decryptor, body);
        let report = self.encrypt_stream(plaintext, output, anew).await;
        let report = report.map_err(|error| named(path, error))?;
        offload(move |_| {
            // The lock is held until the new file has the name.
            let locked = locked;
            name.check_unchanged()?;
            if !locked.is_at(name.path()).map_err(|error| cannot("open", name.path(), error))? {
                let text = format!(
                    "{} was replaced while it was written anew: try again",
                    name.path().display()
                );
                return Err(Error::new(ErrorKind::Io, text));
            }
            report.sink.commit()?;
            Ok(FileReport {
                bytes_read: len,
                bytes_written: report.bytes_written,
                context: report.context,
            })
        })
        .await
    }

    fn refuse_others(&self, old: &Old) -> Result<()> {
        let slots = old.header.slots().slots().iter().map(|slot| slot.key_id());
        let others: Vec<_> =
            slots.filter(|key| !self.key_ids().contains(key)).map(ToString::to_string).collect();
        if others.is_empty() {
            return Ok(());
        }
        let text = format!(
            "{} can be opened with {} too, which would be lost: write it anew for these keys as \
             well, or say that they may be dropped",
            old.source.path().display(),
            others.join(", ")
        );
        Err(Error::new(ErrorKind::KeyNotAllowed, text))
    }
}

/// The message that is there, and the file that is to take its place.
struct Old {
    locked: Locked,
    source: SourceFile,
    output: Output,
    header: Header,
    preamble: [u8; PREAMBLE_LEN],
    len: u64,
}

impl Old {
    /// Stands behind the preamble afterwards.
    fn open(path: &Path, options: &RekeyOptions) -> Result<Self> {
        let locked = Locked::take(path, options.write.wait())?;
        let io = |error| cannot("read", path, error);
        let Front { header, bytes, len, .. } =
            front::read(&locked.0, path).map_err(Unread::into_error)?;
        refuse_links(path, &locked.0.metadata().map_err(io)?, &options.write)?;
        let mut source = SourceFile::from_file(locked.0.try_clone().map_err(io)?, path)?;
        io::copy(&mut (&mut source).take(bytes.len() as u64), &mut io::sink()).map_err(io)?;
        let mut preamble = [0; PREAMBLE_LEN];
        source.read_exact(&mut preamble).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                let text = "message is truncated: it ends before its first chunk";
                named(path, Error::new(ErrorKind::Truncated, text))
            }
            _ => io(error),
        })?;
        let settings = Settings {
            overwrite: true,
            no_sync: !options.write.syncs(),
            keep_mode: true,
            ..Settings::default()
        };
        let output = Output::create(path, settings, None)?;
        Ok(Self { locked, source, output, header, preamble, len })
    }
}

/// A body that says how far it was read.
struct Watched {
    source: SourceFile,
    done: u64,
    len: u64,
    progress: Option<Arc<ProgressFn>>,
}

impl Read for Watched {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = self.source.read(buf)?;
        self.done += len as u64;
        if let Some(progress) = &self.progress {
            progress(self.done, Some(self.len));
        }
        Ok(len)
    }
}
