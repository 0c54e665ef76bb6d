//! The outcome of a run.

use crate::error::Error;
use std::path::{Path, PathBuf};

/// Failures that a report names; more are counted only.
const MAX_NAMED: usize = 1_000;

/// The outcome for one file.
///
/// ```
/// # use ncp_envelope::stored::*;
/// # use ncp_envelope::*;
/// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
/// # let envelope = Envelope::builder(wrapper).build()?.blocking();
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("report.ncpe");
/// # std::fs::write(&path, envelope.encrypt("hello", EncryptionContext::new())?)?;
/// let outcome = envelope.rewrap_file(&path, &RewrapOptions::new())?;
/// assert!(matches!(outcome, Outcome::Rewrapped { .. }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Outcome {
    /// Its slots are under a newer version; in a dry run, they would be.
    Rewrapped {
        /// The lowest version before, where the key service tells.
        from: Option<u32>,
        /// The highest version now.
        to: Option<u32>,
    },
    /// Its slots are under the newest version, and nothing was written.
    Newest,
    /// The options exclude it, by version or age.
    LeftOut,
    /// It has no slot under a key of this envelope.
    OtherKey,
    /// It is not a message; the error says what it is instead.
    NotAMessage(Error),
    /// It is unchanged, for this reason.
    Failed(Error),
}

/// The outcome for all files.
///
/// ```
/// # use ncp_envelope::stored::*;
/// # use ncp_envelope::*;
/// # let wrapper = LocalKeyWrapper::new("k", &DataKey::generate()?)?;
/// # let envelope = Envelope::builder(wrapper).build()?.blocking();
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("report.ncpe");
/// # std::fs::write(&path, envelope.encrypt("hello", EncryptionContext::new())?)?;
/// let paths = [path, "missing".into()];
/// let report = envelope.rewrap_files(paths, &RewrapOptions::new())?;
/// assert_eq!((report.rewrapped, report.failed), (1, 1));
/// assert!(report.stopped.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct RewrapReport {
    /// Files whose slots are under a newer version.
    pub rewrapped: u64,
    /// Their bytes, bodies included. None of a body was read or written.
    pub bytes: u64,
    /// Files that had the newest version already, including those known from a checkpoint.
    pub newest: u64,
    /// Files that the options exclude.
    pub left_out: u64,
    /// Messages without a slot under a key of this envelope.
    pub other_key: u64,
    /// Files that are not messages.
    pub not_messages: u64,
    /// Files that failed and are unchanged.
    pub failed: u64,
    /// The first 1,000 of these, with their errors. [`on_each`](super::RewrapOptions::on_each) gets
    /// all of them.
    pub failures: Vec<(PathBuf, Error)>,
    /// Why the run stopped before the last file, if it did: the key service was unreachable or
    /// refused a whole array, or the checkpoint could not be written. Files without an answer are
    /// not counted.
    pub stopped: Option<Error>,
}

impl RewrapReport {
    pub(super) fn count(&mut self, path: &Path, len: u64, outcome: &Outcome) {
        let counter = match outcome {
            Outcome::Rewrapped { .. } => {
                self.bytes += len;
                &mut self.rewrapped
            }
            Outcome::Newest => &mut self.newest,
            Outcome::LeftOut => &mut self.left_out,
            Outcome::OtherKey => &mut self.other_key,
            Outcome::NotAMessage(_) => &mut self.not_messages,
            Outcome::Failed(error) => {
                if self.failures.len() < MAX_NAMED {
                    self.failures.push((path.to_owned(), error.clone()));
                }
                &mut self.failed
            }
        };
        *counter += 1;
    }
}
