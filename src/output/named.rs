//! Outputs of one run, none of which replaces another.

use super::file::Output;
use super::settling::Settling;
use crate::error::{Error, ErrorKind, Result};
use std::collections::{HashMap, HashSet};
use std::fs::Metadata;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// The files that a run has named. Known by what they are and not by their names, which can be
/// spelled in many ways; ten bytes or so each. None are noted by default.
#[derive(Default)]
pub(crate) struct Named {
    files: Mutex<HashMap<u64, HashSet<u64>>>,
    notes: bool,
}

impl Named {
    /// `may_replace` is whether an output of the run may replace another file.
    pub(crate) fn new(may_replace: bool) -> Self {
        Self { files: Mutex::default(), notes: may_replace }
    }

    /// Finishes an output, and gives it its name unless that is the name of another one of the run.
    pub(crate) fn publish(&self, mut output: Output) -> Result<Settling> {
        output.finish()?;
        // Where nothing is replaced, an output gets a name that is free, or none.
        if !self.notes {
            output.publish()?;
        } else {
            // Held until the name is given: two outputs can be about to get one name.
            let mut named = self.files.lock().unwrap_or_else(PoisonError::into_inner);
            if std::fs::metadata(&output.target).is_ok_and(|there| {
                let (device, file) = identity(&there, &output.target);
                named.get(&device).is_some_and(|files| files.contains(&file))
            }) {
                let text = format!(
                    "{} was written by the same call: give each file an output of its own",
                    output.target.display()
                );
                return Err(Error::new(ErrorKind::InvalidInput, text));
            }
            output.publish()?;
            if let Ok(own) = output.file().metadata() {
                let (device, file) = identity(&own, &output.target);
                named.entry(device).or_default().insert(file);
            }
        }
        Ok(output.into_settling())
    }
}

#[cfg(unix)]
fn identity(file: &Metadata, _: &Path) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (file.dev(), file.ino())
}

/// Where metadata does not tell, the name has to do.
#[cfg(not(unix))]
fn identity(_: &Metadata, path: &Path) -> (u64, u64) {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    (0, hasher.finish())
}
