//! What is asked of the file system, in which order, and what is left when any of it fails.

mod commits;
mod faults;
mod rights;
mod targets;
pub(crate) mod watch;

use super::file::Output;
use super::settings::Settings;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// A directory of a test's own.
pub(super) struct Place(tempfile::TempDir);

impl Place {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(super) fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// Everything that is in it.
    pub(super) fn files(&self) -> BTreeMap<String, String> {
        let entries = fs::read_dir(self.0.path()).unwrap().map(|entry| entry.unwrap().path());
        let content = |path: &Path| fs::read_to_string(path).unwrap_or_default();
        entries
            .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), content(&path)))
            .collect()
    }
}

pub(super) fn files(of: &[(&str, &str)]) -> BTreeMap<String, String> {
    of.iter().map(|(name, content)| ((*name).to_owned(), (*content).to_owned())).collect()
}

pub(super) const OVERWRITE: Settings = Settings {
    overwrite: true,
    no_sync: false,
    mode: None,
    max_mode: None,
    leave_owner: false,
    keep_mode: false,
    holes: false,
    keep_time: false,
    refuse_links: false,
};

/// An output with `content`, not committed.
pub(super) fn output(target: &Path, settings: Settings, content: &str) -> crate::Result<Output> {
    let mut output = Output::create(target, settings, None)?;
    output.write_all(content.as_bytes()).map_err(|error| crate::Error::io("write", error))?;
    Ok(output)
}
