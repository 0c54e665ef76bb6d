//! The files of a command: named ones, those in directories, those in a list.
//!
//! Promises: names are delivered as they are found, so a tree or a list may be of any size. Links
//! in a tree are skipped, because their targets are outside the tree or come up by themselves, and
//! so are unfinished outputs. A directory that cannot be read is a failure and stops nothing.

use crate::failures::Failures;
use crate::status::Failure;
use crate::streams;
use clap::Args;
use ncp_envelope::io::is_unfinished;
use ncp_envelope::{Error, ErrorKind};
use std::collections::HashSet;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use walkdir::{IntoIter, WalkDir};

/// Longer names are refused.
const MAX_NAME: u64 = 64 << 10;

#[derive(Args)]
pub(crate) struct PathsArgs {
    /// Process the files in directories, at any depth. Links in them are not followed.
    #[arg(short = 'r', long)]
    recursive: bool,
    /// Names on standard input end with a NUL byte instead of a line break, as `find -print0` and
    /// `git ls-files -z` write them.
    #[arg(short = '0', long = "null")]
    null: bool,
    /// Files, and with -r directories; "-" alone reads names from standard input, one a line.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
}

impl PathsArgs {
    fn is_list(&self) -> bool {
        self.paths.iter().any(|path| path.as_os_str() == "-")
    }

    /// Refuses contradictory arguments, and returns the files that are named.
    ///
    /// # Errors
    /// Wrong usage.
    pub(crate) fn check(&self) -> Result<HashSet<PathBuf>, Failure> {
        if self.is_list() {
            if self.paths.len() > 1 {
                return Err(Failure::usage(
                    "names come from standard input or from the command line: give - alone, or \
                     none",
                ));
            }
            streams::input()
                .map_err(|error| Failure::other(format!("cannot read standard input: {error}")))?;
            return Ok(HashSet::new());
        }
        if self.null {
            return Err(Failure::usage("-0 is for names on standard input: give - for them"));
        }
        let is_dir = |path: &&PathBuf| path.is_dir();
        if let Some(dir) = self.paths.iter().find(is_dir).filter(|_| !self.recursive) {
            return Err(Failure::usage(format!(
                "{} is a directory: give -r for the files in it",
                dir.display()
            )));
        }
        Ok(self.paths.iter().filter(|path| !is_dir(path)).cloned().collect())
    }

    /// The files. `failures` gets their number once it is known.
    pub(crate) fn walk(&self, failures: &Arc<Failures>) -> Walk {
        let roots = match (self.is_list(), streams::input()) {
            (true, Ok(input)) => Roots::Listed(Names::new(BufReader::new(input), self.null)),
            _ => {
                self.count(failures);
                Roots::Named(self.paths.clone().into_iter())
            }
        };
        let links = Arc::default();
        Walk { roots, recursive: self.recursive, tree: None, links, failures: failures.clone() }
    }

    /// Counts in parallel with the walk, for the progress bar.
    fn count(&self, failures: &Arc<Failures>) {
        if failures.progress.is_hidden() {
            return;
        }
        let (failures, paths) = (Arc::downgrade(failures), self.paths.clone());
        // Without a thread the number stays unknown.
        let _ = std::thread::Builder::new().spawn(move || {
            let mut count = 0;
            for entry in paths.iter().flat_map(WalkDir::new) {
                if failures.strong_count() == 0 {
                    return;
                }
                count += u64::from(entry.is_ok_and(|entry| !entry.file_type().is_dir()));
            }
            if let Some(failures) = failures.upgrade() {
                failures.progress.expect(count);
            }
        });
    }
}

/// A list of names.
pub(crate) struct Names<R> {
    input: R,
    end: u8,
}

/// The files, as they are found.
pub(crate) struct Walk {
    roots: Roots,
    recursive: bool,
    /// The directory that it is in.
    tree: Option<IntoIter>,
    links: Arc<AtomicU64>,
    failures: Arc<Failures>,
}

enum Roots {
    Named(std::vec::IntoIter<PathBuf>),
    Listed(Names<BufReader<streams::Input>>),
}

impl Walk {
    /// How many links were skipped.
    pub(crate) fn links(&self) -> Arc<AtomicU64> {
        self.links.clone()
    }

    fn next_root(&mut self) -> Option<PathBuf> {
        let listed = match &mut self.roots {
            Roots::Named(paths) => return paths.next(),
            Roots::Listed(listed) => listed,
        };
        match listed.next()? {
            Ok(path) => Some(path),
            Err(error) => {
                let text = format!("cannot read names from standard input: {error}");
                let error = Error::with_source(ErrorKind::Io, text, error);
                self.failures.add(Path::new("-"), error);
                None
            }
        }
    }
}

impl Iterator for Walk {
    type Item = PathBuf;

    fn next(&mut self) -> Option<PathBuf> {
        loop {
            let Some(tree) = &mut self.tree else {
                let root = self.next_root()?;
                if self.recursive && root.is_dir() {
                    self.tree = Some(WalkDir::new(root).into_iter());
                    continue;
                }
                return Some(root);
            };
            match tree.next() {
                None => self.tree = None,
                Some(Ok(entry)) if entry.file_type().is_dir() => {}
                Some(Ok(entry)) if entry.path_is_symlink() => {
                    self.links.fetch_add(1, Ordering::Relaxed);
                }
                Some(Ok(entry)) if is_unfinished(entry.file_name()) => {}
                Some(Ok(entry)) => return Some(entry.into_path()),
                Some(Err(error)) => {
                    let path = error.path().unwrap_or(Path::new("")).to_owned();
                    let text = format!("cannot read the directory {}: {error}", path.display());
                    let error = Error::with_source(ErrorKind::Io, text, error);
                    self.failures.add(&path, error);
                }
            }
        }
    }
}

impl<R: BufRead> Names<R> {
    /// `nul` says that they end with a NUL byte instead of a line break.
    pub(crate) fn new(input: R, nul: bool) -> Self {
        Self { input, end: if nul { 0 } else { b'\n' } }
    }
}

impl<R: BufRead> Iterator for Names<R> {
    type Item = io::Result<PathBuf>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let mut name = Vec::new();
            let mut input = (&mut self.input).take(MAX_NAME + 1);
            match input.read_until(self.end, &mut name) {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) => return Some(Err(error)),
            }
            name.pop_if(|last| *last == self.end);
            if name.len() as u64 > MAX_NAME {
                let text = format!("a name has more than {MAX_NAME} bytes");
                return Some(Err(io::Error::other(text)));
            }
            if !name.is_empty() {
                return Some(Ok(to_path(name)));
            }
        }
    }
}

#[cfg(unix)]
fn to_path(name: Vec<u8>) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    std::ffi::OsString::from_vec(name).into()
}

#[cfg(not(unix))]
fn to_path(name: Vec<u8>) -> PathBuf {
    let text = String::from_utf8_lossy(&name);
    text.strip_suffix('\r').unwrap_or(&text).into()
}
