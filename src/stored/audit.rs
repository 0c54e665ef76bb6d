//! What depends on which key.

use super::front::{self, Front, Unread};
use crate::crew::{crew, threads_of};
use crate::error::Error;
use crate::wrap::{KeyId, WrappedKey};
use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// Failures that an audit names; more are counted only.
const MAX_NAMED: usize = 1_000;
/// Names that a thread takes at once.
const TAKEN: usize = 64;
const MAX_THREADS: usize = 16;

type Tell = dyn Fn(&Path, &Audited) + Send + Sync;

/// How to audit.
///
/// ```
/// # use ncp_envelope::stored::*;
/// # use ncp_envelope::*;
/// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
/// # let envelope = Envelope::builder(wrapper).build()?.blocking();
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("report.ncpe");
/// # std::fs::write(&path, envelope.encrypt("hello", EncryptionContext::new())?)?;
/// let options = AuditOptions::new().threads(1);
/// assert_eq!(audit([path], &options).messages, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct AuditOptions {
    version: Option<fn(&WrappedKey) -> Option<u32>>,
    threads: usize,
    tell: Option<Arc<Tell>>,
}

impl AuditOptions {
    /// Keys without their versions, on as many threads as there are cores.
    ///
    /// ```
    /// # use ncp_envelope::stored::*;
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.ncpe");
    /// # std::fs::write(&path, envelope.encrypt("hello", EncryptionContext::new())?)?;
    /// let found = audit([path], &AuditOptions::new());
    /// assert_eq!(found.keys[0].version, None, "nothing tells it");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// How to tell the version of the key that a wrapped key is under, such as `kms::key_version`
    /// for one that is text. Without it no slot has a version.
    ///
    /// ```
    /// # use ncp_envelope::stored::*;
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.ncpe");
    /// # std::fs::write(&path, envelope.encrypt("hello", EncryptionContext::new())?)?;
    /// // A key service that writes the version in the first byte of what it wraps.
    /// let version = |wrapped: &WrappedKey| Some(u32::from(wrapped.as_bytes()[0]));
    /// let options = AuditOptions::new().versions(version);
    /// assert!(audit([path], &options).keys[0].version.is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn versions(mut self, version: fn(&WrappedKey) -> Option<u32>) -> Self {
        self.version = Some(version);
        self
    }

    /// How many threads read, at most 16; 0, the default, means one for each core.
    ///
    /// ```
    /// # use ncp_envelope::stored::*;
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.ncpe");
    /// # std::fs::write(&path, envelope.encrypt("hello", EncryptionContext::new())?)?;
    /// let gently = AuditOptions::new().threads(1);
    /// assert_eq!(audit([path], &gently).messages, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Calls `tell` for each file, from several threads concurrently.
    ///
    /// ```
    /// # use ncp_envelope::stored::*;
    /// # use ncp_envelope::*;
    /// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
    /// # let envelope = Envelope::builder(wrapper).build()?.blocking();
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("report.ncpe");
    /// # std::fs::write(&path, envelope.encrypt("hello", EncryptionContext::new())?)?;
    /// # std::fs::write(directory.path().join("notes.txt"), "no message")?;
    /// # let paths = [path, directory.path().join("notes.txt")];
    /// use std::sync::Mutex;
    /// use std::sync::Arc;
    /// let foreign = Arc::new(Mutex::new(Vec::new()));
    /// let found = foreign.clone();
    /// let options = AuditOptions::new().on_each(move |path, what| {
    ///     if let Audited::NotAMessage(_) = what {
    ///         found.lock().unwrap().push(path.to_owned());
    ///     }
    /// });
    /// audit(paths, &options);
    /// assert!(foreign.lock().unwrap()[0].ends_with("notes.txt"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn on_each(mut self, tell: impl Fn(&Path, &Audited) + Send + Sync + 'static) -> Self {
        self.tell = Some(Arc::new(tell));
        self
    }
}

impl fmt::Debug for AuditOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditOptions").field("threads", &self.threads).finish_non_exhaustive()
    }
}

/// What an audit found in one file.
///
/// ```
/// # use ncp_envelope::stored::*;
/// # use ncp_envelope::*;
/// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
/// # let envelope = Envelope::builder(wrapper).build()?.blocking();
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("report.ncpe");
/// # std::fs::write(&path, envelope.encrypt("hello", EncryptionContext::new())?)?;
/// let options = AuditOptions::new()
///     .on_each(|path, what| assert!(matches!(what, Audited::Message), "{}", path.display()));
/// assert_eq!(audit([path], &options).messages, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Audited {
    /// A message; it is counted under each key that it has a slot for.
    Message,
    /// It is not a message; the error says what it is instead.
    NotAMessage(Error),
    /// It starts like a message, and its header cannot be read.
    Damaged(Error),
    /// It cannot be opened or read.
    Unreadable(Error),
}

/// What depends on one version of one key.
///
/// ```
/// # use ncp_envelope::stored::*;
/// # use ncp_envelope::*;
/// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
/// # let envelope = Envelope::builder(wrapper).build()?.blocking();
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("report.ncpe");
/// # std::fs::write(&path, envelope.encrypt("hello", EncryptionContext::new())?)?;
/// let found = audit([path], &AuditOptions::new());
/// let KeyUse { key, files, only, .. } = &found.keys[0];
/// assert_eq!((key.id(), *files, *only), ("k", 1, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct KeyUse {
    /// The key.
    pub key: KeyId,
    /// Its version, if known.
    pub version: Option<u32>,
    /// Messages with a slot under it, once however many such slots they have. A message with slots
    /// under several keys is counted for each of them.
    pub files: u64,
    /// Bytes of these files.
    pub bytes: u64,
    /// Those of them that nothing else opens: messages whose slots are all under this version of
    /// this key. They are unreadable once it is disabled or deleted.
    pub only: u64,
    /// Bytes of those.
    pub only_bytes: u64,
    /// The oldest time of last change among these files: something has been under this version at
    /// least since then. A rewrap changes a file, too.
    pub oldest: Option<SystemTime>,
}

/// What was found in all files.
///
/// ```
/// # use ncp_envelope::stored::*;
/// # use ncp_envelope::*;
/// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
/// # let envelope = Envelope::builder(wrapper).build()?.blocking();
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("report.ncpe");
/// # std::fs::write(&path, envelope.encrypt("hello", EncryptionContext::new())?)?;
/// let found = audit([path, "missing".into()], &AuditOptions::new());
/// assert_eq!((found.messages, found.unreadable), (1, 1));
/// assert!(found.failures[0].0.ends_with("missing"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Audit {
    /// By key, and version.
    pub keys: Vec<KeyUse>,
    /// Files that are messages.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that are not messages.
    pub not_messages: u64,
    /// Files that start like a message, and whose header cannot be read.
    pub damaged: u64,
    /// Files that cannot be opened or read.
    pub unreadable: u64,
    /// The first 1,000 of the last two, with their errors. [`on_each`](AuditOptions::on_each) gets
    /// all of them.
    pub failures: Vec<(PathBuf, Error)>,
}

/// Counts which versions of which keys the messages in these files depend on, and how much would be
/// unreadable without them. Reads headers only; needs neither keys nor a key service. Blocks, and
/// works on several threads.
///
/// Slots are not authenticated: anyone who can write the files can change them and so the result. A
/// file with several names is counted under each. Of a message with a detached body only the header
/// is seen.
///
/// ```
/// # use ncp_envelope::{DataKey, EncryptionContext, Envelope, LocalKeyWrapper};
/// use ncp_envelope::stored::{AuditOptions, audit};
/// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
/// # let envelope = Envelope::builder(wrapper).build()?.blocking();
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("report.ncpe");
/// # std::fs::write(&path, envelope.encrypt(b"hello", EncryptionContext::new())?)?;
/// let audit = audit([path], &AuditOptions::new());
/// assert_eq!((audit.messages, audit.keys[0].key.id(), audit.keys[0].only), (1, "k", 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn audit<I>(paths: I, options: &AuditOptions) -> Audit
where
    I: IntoIterator<Item = PathBuf>,
    I::IntoIter: Send,
{
    let threads = threads_of(options.threads).min(MAX_THREADS);
    let paths = Mutex::new(paths.into_iter().fuse());
    let sum = Mutex::new(Tally::default());
    crew(threads, &|| {
        let mut own = Tally::default();
        loop {
            let mut paths = paths.lock().unwrap_or_else(PoisonError::into_inner);
            let taken: Vec<_> = paths.by_ref().take(TAKEN).collect();
            drop(paths);
            if taken.is_empty() {
                break;
            }
            for path in taken {
                let audited = own.look(&path, options);
                if let Some(tell) = &options.tell {
                    tell(&path, &audited);
                }
                own.count(path, audited);
            }
        }
        sum.lock().unwrap_or_else(PoisonError::into_inner).add(own);
    });
    sum.into_inner().unwrap_or_else(PoisonError::into_inner).finish()
}

#[derive(Default)]
struct Tally {
    uses: HashMap<(KeyId, Option<u32>), KeyUse>,
    rest: Audit,
}

impl Tally {
    fn look(&mut self, path: &Path, options: &AuditOptions) -> Audited {
        let front = front::open(path).and_then(|file| front::read(&file, path));
        match front {
            Ok(front) => {
                self.message(&front, options);
                Audited::Message
            }
            Err(Unread::Foreign(error)) => Audited::NotAMessage(error),
            Err(Unread::Damaged(error)) => Audited::Damaged(error),
            Err(Unread::Failed(error)) => Audited::Unreadable(error),
        }
    }

    fn message(&mut self, front: &Front, options: &AuditOptions) {
        let mut under: Vec<(KeyId, Option<u32>)> = Vec::new();
        for slot in front.header.slots().slots() {
            let version = options.version.and_then(|version| version(slot));
            let of = (slot.key_id().clone(), version);
            if !under.contains(&of) {
                under.push(of);
            }
        }
        let alone = under.len() == 1;
        for (key, version) in under {
            let of = self.uses.entry((key, version));
            let of = of.or_insert_with_key(|(key, version)| KeyUse::none(key, *version));
            of.add(&KeyUse {
                files: 1,
                bytes: front.len,
                only: u64::from(alone),
                only_bytes: if alone { front.len } else { 0 },
                oldest: front.modified,
                ..KeyUse::none(&of.key, version)
            });
        }
        self.rest.bytes += front.len;
    }

    fn count(&mut self, path: PathBuf, audited: Audited) {
        let rest = &mut self.rest;
        match audited {
            Audited::Message => rest.messages += 1,
            Audited::NotAMessage(_) => rest.not_messages += 1,
            Audited::Damaged(error) => {
                rest.damaged += 1;
                rest.name(path, error);
            }
            Audited::Unreadable(error) => {
                rest.unreadable += 1;
                rest.name(path, error);
            }
        }
    }

    fn add(&mut self, other: Self) {
        for ((key, version), more) in other.uses {
            let of = self.uses.entry((key, version));
            of.or_insert_with_key(|(key, version)| KeyUse::none(key, *version)).add(&more);
        }
        let (rest, more) = (&mut self.rest, other.rest);
        rest.messages += more.messages;
        rest.bytes += more.bytes;
        rest.not_messages += more.not_messages;
        rest.damaged += more.damaged;
        rest.unreadable += more.unreadable;
        more.failures.into_iter().for_each(|(path, error)| rest.name(path, error));
    }

    fn finish(self) -> Audit {
        let mut keys: Vec<_> = self.uses.into_values().collect();
        keys.sort_by(|a, b| {
            let by = |of: &KeyUse| (of.key.provider().code(), of.key.id().to_owned(), of.version);
            by(a).cmp(&by(b))
        });
        Audit { keys, ..self.rest }
    }
}

impl Audit {
    fn name(&mut self, path: PathBuf, error: Error) {
        if self.failures.len() < MAX_NAMED {
            self.failures.push((path, error));
        }
    }
}

impl KeyUse {
    fn none(key: &KeyId, version: Option<u32>) -> Self {
        Self { key: key.clone(), version, files: 0, bytes: 0, only: 0, only_bytes: 0, oldest: None }
    }

    fn add(&mut self, more: &Self) {
        self.files += more.files;
        self.bytes += more.bytes;
        self.only += more.only;
        self.only_bytes += more.only_bytes;
        self.oldest = self.oldest.into_iter().chain(more.oldest).min();
    }
}
