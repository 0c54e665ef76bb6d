//! Failures of single files among many.

use crate::progress::Progress;
use crate::status::Failure;
use ncp_envelope::Error;
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Failures that JSON lists; more are only counted, and printed on standard error.
const MAX_NAMED: usize = 10_000;

/// Failures so far; each is printed when it happens.
pub(crate) struct Failures {
    pub(crate) progress: Progress,
    /// Files that the command line names.
    named: HashSet<PathBuf>,
    /// What an error means for the exit code.
    meaning: fn(Error) -> Failure,
    count: AtomicU64,
    list: Mutex<(Vec<Value>, BTreeSet<u8>)>,
}

impl Failures {
    pub(crate) fn new(named: HashSet<PathBuf>) -> Self {
        Self { named, ..Self::of(Progress::files(), Failure::reading) }
    }

    /// For files that all count as named.
    pub(crate) fn of(progress: Progress, meaning: fn(Error) -> Failure) -> Self {
        Self {
            progress,
            named: HashSet::new(),
            meaning,
            count: AtomicU64::new(0),
            list: Mutex::default(),
        }
    }

    /// Whether `path` was named on the command line: only then is a file without a suitable message
    /// a failure.
    pub(crate) fn is_named(&self, path: &Path) -> bool {
        self.named.contains(path)
    }

    /// `error` names the file.
    pub(crate) fn add(&self, path: &Path, error: Error) {
        self.progress.say(&error.to_string());
        self.count_one(path, &(self.meaning)(error));
    }

    /// Counts a failure that was printed elsewhere.
    pub(crate) fn count_one(&self, path: &Path, failure: &Failure) {
        self.count.fetch_add(1, Ordering::Relaxed);
        let code = failure.code_of_file();
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        if list.0.len() < MAX_NAMED {
            let path = path.to_string_lossy();
            list.0.push(json!({ "path": path, "code": code, "error": failure.text() }));
        }
        list.1.insert(code);
    }

    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    pub(crate) fn json(&self) -> Value {
        Value::Array(self.list.lock().unwrap_or_else(PoisonError::into_inner).0.clone())
    }

    /// What `error` means for the exit code.
    pub(crate) fn meaning(&self, error: Error) -> Failure {
        (self.meaning)(error)
    }

    /// The result of the command: the exit code of the failures. `stopped` is why it ended before
    /// the last file.
    pub(crate) fn end(&self, stopped: Option<(Failure, String)>) -> Result<(), Failure> {
        match stopped {
            Some((failure, text)) => {
                let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
                list.1.insert(failure.code());
                drop(list);
                self.end_with(text)
            }
            None => self.end_with(format!("files that failed: {}", self.count())),
        }
    }

    /// The same, with `text` for people if something failed.
    pub(crate) fn end_with(&self, text: String) -> Result<(), Failure> {
        let codes = &self.list.lock().unwrap_or_else(PoisonError::into_inner).1;
        match codes.is_empty() {
            true => Ok(()),
            false => Err(Failure::coded(Failure::code_of(codes), text)),
        }
    }
}
