//! A tree of files, a key service that counts its calls and can be out, and the ways to wait.

use ncp_envelope::io::{FileDone, FileOptions, FileOutcome, FilesOptions};
use ncp_envelope::wrap::{BoxFuture, KeyPayload};
use ncp_envelope::{
    DataKey, Envelope, Error, ErrorKind, KeyId, KeyWrapper, LocalKeyWrapper, Result, WrappedKey,
};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Who polls the calls.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Way {
    Threads,
    Thread,
    Blocking,
}

pub(crate) const WAYS: [Way; 3] = [Way::Threads, Way::Thread, Way::Blocking];

impl Way {
    /// Waits for `future`, and for everything that it left behind on threads of its runtime.
    pub(crate) fn wait<T>(self, future: impl Future<Output = T>) -> T {
        let mut builder = match self {
            Self::Threads => tokio::runtime::Builder::new_multi_thread(),
            Self::Thread => tokio::runtime::Builder::new_current_thread(),
            Self::Blocking => return ncp_envelope::blocking::wait(future).unwrap(),
        };
        builder.enable_all().build().unwrap().block_on(future)
    }
}

/// A key service in memory.
#[derive(Debug, Clone)]
pub(crate) struct Service(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    key: LocalKeyWrapper,
    wraps: AtomicUsize,
    keys: AtomicUsize,
    unwraps: AtomicUsize,
    /// Calls left until it fails, and how.
    fault: Mutex<Option<(usize, ErrorKind)>>,
}

impl Service {
    pub(crate) fn new(id: &str) -> Self {
        Self(Arc::new(Inner {
            key: LocalKeyWrapper::new(id, &DataKey::copy_from(&[7; 32])).unwrap(),
            wraps: AtomicUsize::new(0),
            keys: AtomicUsize::new(0),
            unwraps: AtomicUsize::new(0),
            fault: Mutex::new(None),
        }))
    }

    pub(crate) fn envelope(&self) -> Envelope {
        Envelope::builder(self.clone()).build().unwrap()
    }

    /// Has every call after `calls` more fail.
    pub(crate) fn fail_after(&self, calls: usize, kind: ErrorKind) {
        *self.0.fault.lock().unwrap() = Some((calls, kind));
    }

    pub(crate) fn recover(&self) {
        *self.0.fault.lock().unwrap() = None;
    }

    /// Calls that wrapped, keys in them, and calls that unwrapped.
    pub(crate) fn counts(&self) -> (usize, usize, usize) {
        let count = |of: &AtomicUsize| of.load(Ordering::SeqCst);
        (count(&self.0.wraps), count(&self.0.keys), count(&self.0.unwraps))
    }

    fn enter(&self) -> Result<()> {
        match &mut *self.0.fault.lock().unwrap() {
            Some((0, kind)) => Err(Error::new(*kind, "planted")),
            Some((left, _)) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl KeyWrapper for Service {
    fn key_id(&self) -> &KeyId {
        self.0.key.key_id()
    }

    fn wrap_keys<'a>(
        &'a self,
        payloads: &'a [KeyPayload],
    ) -> BoxFuture<'a, Result<Vec<WrappedKey>>> {
        self.0.wraps.fetch_add(1, Ordering::SeqCst);
        self.0.keys.fetch_add(payloads.len(), Ordering::SeqCst);
        match self.enter() {
            Ok(()) => self.0.key.wrap_keys(payloads),
            Err(error) => Box::pin(async { Err(error) }),
        }
    }

    fn unwrap_keys<'a>(
        &'a self,
        wrapped: &'a [WrappedKey],
    ) -> BoxFuture<'a, Result<Vec<KeyPayload>>> {
        self.0.unwraps.fetch_add(1, Ordering::SeqCst);
        match self.enter() {
            Ok(()) => self.0.key.unwrap_keys(wrapped),
            Err(error) => Box::pin(async { Err(error) }),
        }
    }

    fn rewrap_keys<'a>(
        &'a self,
        wrapped: &'a [WrappedKey],
    ) -> BoxFuture<'a, Result<Vec<WrappedKey>>> {
        self.0.key.rewrap_keys(wrapped)
    }
}

pub(crate) struct Tree(tempfile::TempDir);

impl Tree {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// With files "0" to "n-1" in the directory "plain", each with a content of its own.
    pub(crate) fn with(files: usize) -> Self {
        let this = Self::new();
        fs::create_dir(this.path("plain")).unwrap();
        for file in 0..files {
            fs::write(this.path("plain").join(file.to_string()), content(file)).unwrap();
        }
        this
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Each of these files in `from` with one of the same name in `to`, which is made.
    pub(crate) fn pairs(&self, files: usize, from: &str, to: &str) -> Vec<(PathBuf, PathBuf)> {
        let (from, to) = (self.path(from), self.path(to));
        fs::create_dir_all(&to).unwrap();
        (0..files).map(|file| file.to_string()).map(|n| (from.join(&n), to.join(&n))).collect()
    }

    pub(crate) fn sources(&self, files: usize, from: &str) -> Vec<PathBuf> {
        (0..files).map(|file| self.path(from).join(file.to_string())).collect()
    }

    /// What is in a directory, temporary files included.
    pub(crate) fn names(&self, directory: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(directory)).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    pub(crate) fn assert_same(&self, one: &str, other: &str) {
        assert_eq!(self.names(one), self.names(other));
        for name in self.names(one) {
            let read = |directory: &str| fs::read(self.path(directory).join(&name)).unwrap();
            assert!(read(one) == read(other), "{name}");
        }
    }
}

fn content(file: usize) -> String {
    format!("content of {file}").repeat(file % 7)
}

/// Without syncs, which these tests would wait for and not notice.
pub(crate) fn quick() -> FilesOptions {
    FilesOptions::new().each(FileOptions::new().sync(false))
}

/// Outcomes by source, each heard once.
#[derive(Clone, Default)]
pub(crate) struct Heard(Arc<Mutex<BTreeMap<PathBuf, FileOutcome>>>);

impl Heard {
    pub(crate) fn listen(&self) -> impl Fn(&FileDone<'_>) + Send + Sync + 'static {
        let heard = self.0.clone();
        move |file| {
            let before = heard.lock().unwrap().insert(file.source.to_owned(), file.outcome.clone());
            assert!(before.is_none(), "{} was heard of twice", file.source.display());
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    pub(crate) fn of(&self, source: &Path) -> FileOutcome {
        self.0.lock().unwrap().get(source).expect("never heard of").clone()
    }

    pub(crate) fn error(&self, source: &Path) -> Error {
        match self.of(source) {
            FileOutcome::Failed(error) => error,
            other => panic!("{}: {other:?}", source.display()),
        }
    }
}
