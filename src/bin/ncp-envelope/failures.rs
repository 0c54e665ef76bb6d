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
    count: AtomicU64,
    list: Mutex<(Vec<Value>, BTreeSet<u8>)>,
}

impl Failures {
    pub(crate) fn new(named: HashSet<PathBuf>) -> Self {
        Self {
            progress: Progress::files(),
            named,
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
        let text = error.to_string();
        self.progress.say(&text);
        self.count.fetch_add(1, Ordering::Relaxed);
        let code = Failure::reading(error).code_of_file();
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        if list.0.len() < MAX_NAMED {
            list.0.push(json!({ "path": path.to_string_lossy(), "error": text }));
        }
        list.1.insert(code);
    }

    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    pub(crate) fn json(&self) -> Value {
        Value::Array(self.list.lock().unwrap_or_else(PoisonError::into_inner).0.clone())
    }

    /// The result of the command: the exit code of the failures, if they are of one kind. `stopped`
    /// is why it ended before the last file.
    pub(crate) fn end(&self, stopped: Option<(Failure, String)>) -> Result<(), Failure> {
        let mut codes = self.list.lock().unwrap_or_else(PoisonError::into_inner).1.clone();
        let text = match stopped {
            Some((failure, text)) => {
                codes.insert(failure.code());
                text
            }
            None => format!("files that failed: {}", self.count()),
        };
        match (codes.len(), codes.first()) {
            (0, _) => Ok(()),
            (1, Some(code)) => Err(Failure::coded(*code, text)),
            _ => Err(Failure::other(text)),
        }
    }
}
