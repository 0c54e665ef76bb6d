//! The files of a plan, as pairs of an input and its output, found while they are processed.
//!
//! Promises: the output of a directory is a copy: whatever cannot be carried over is a failure that
//! names it. Beside the inputs, only files are processed, and the rest is counted. A directory is
//! read before any file in it is processed, so no output is found as an input. Links in
//! directories are never followed, and unfinished outputs are no inputs.

use crate::copy::Copy;
use crate::failures::Failures;
use crate::plan::{Plan, Root, Task, is_message_name};
use ncp_envelope::io::{SourceFile, is_unfinished};
use ncp_envelope::stored::StoredMessage;
use ncp_envelope::{Error, ErrorKind};
use std::collections::HashMap;
use std::fs::FileType;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use walkdir::{DirEntry, WalkDir};

/// Messages that are encrypted once more and said so; more are only counted.
const MAX_SAID: u64 = 10;

/// What is known of the files beside their results.
pub(crate) struct Seen {
    pub(crate) failures: Arc<Failures>,
    /// Files that were named, and whether an earlier run made them.
    named: HashMap<PathBuf, bool>,
    /// What the copy has beside files, if it is one.
    pub(crate) copy: Option<Copy>,
    /// Passed over: links.
    pub(crate) links: AtomicU64,
    /// Passed over: FIFOs, sockets, devices.
    pub(crate) special: AtomicU64,
    /// Passed over by `encrypt`: messages.
    pub(crate) messages: AtomicU64,
    /// Passed over by the others: what is no message.
    pub(crate) not_messages: AtomicU64,
    /// Messages that are encrypted once more.
    pub(crate) again: AtomicU64,
}

impl Seen {
    pub(crate) fn new(plan: &Plan, failures: Arc<Failures>, copy: Option<Copy>) -> Self {
        let named = plan.roots.iter().filter(|root| !root.is_dir);
        Self {
            failures,
            named: named.map(|root| (root.path.clone(), root.is_output)).collect(),
            copy,
            links: AtomicU64::default(),
            special: AtomicU64::default(),
            messages: AtomicU64::default(),
            not_messages: AtomicU64::default(),
            again: AtomicU64::default(),
        }
    }

    fn fails(&self, path: &Path, kind: ErrorKind, text: &str) {
        self.failures.add(path, Error::new(kind, format!("{}: {text}", path.display())));
    }

    /// Whether `encrypt` passes over a file: one that is a message and was not named, or that an
    /// earlier run made.
    pub(crate) fn passes_over(&self, source: &SourceFile) -> bool {
        // What cannot be read is an error of the work.
        if !source.is_message().unwrap_or(false) {
            return false;
        }
        let was_named = self.named.get(source.path());
        if was_named.copied().unwrap_or(self.copy.is_none()) {
            count(&self.messages);
            return true;
        }
        self.say_again(source.path());
        false
    }

    /// An `encrypt` of something that is a message already.
    fn say_again(&self, path: &Path) {
        if count(&self.again) < MAX_SAID {
            self.failures.progress.notice(&again(path));
        }
    }
}

/// Warns that `path` is encrypted once more.
pub(crate) fn again(path: &Path) -> String {
    format!("{} is a message already: it is encrypted once more", path.display())
}

/// Adds one, and returns the count before.
fn count(counter: &AtomicU64) -> u64 {
    counter.fetch_add(1, Ordering::Relaxed)
}

/// Each input with its output; none if it is only read.
pub(crate) struct Pairs {
    task: Task,
    roots: std::vec::IntoIter<Root>,
    out: Option<PathBuf>,
    tree: Option<(walkdir::IntoIter, Root)>,
    seen: Arc<Seen>,
}

type Pair = (PathBuf, Option<PathBuf>);

impl Pairs {
    pub(crate) fn new(plan: Plan, seen: Arc<Seen>) -> Self {
        let Plan { task, roots, out } = plan;
        Self { task, roots: roots.into_iter(), out, tree: None, seen }
    }

    /// For calls that write; every pair of a task that writes has an output.
    pub(crate) fn with_targets(self) -> impl Iterator<Item = (PathBuf, PathBuf)> + Send + 'static {
        self.filter_map(|(source, target)| Some((source, target?)))
    }

    /// For calls that only read.
    pub(crate) fn sources(self) -> impl Iterator<Item = PathBuf> + Send + 'static {
        self.map(|(source, _)| source)
    }

    /// A file that was named.
    fn named(&self, root: Root) -> Option<Pair> {
        let Root { path, target, .. } = root;
        // Its opening could wait for ever, and the other files with it.
        if let Ok(there) = std::fs::metadata(&path)
            && !there.is_file()
            && !there.is_dir()
        {
            let text = format!("{} can only be the one input", special(there.file_type()));
            self.seen.fails(&path, ErrorKind::InvalidInput, &text);
            return None;
        }
        if self.task == Task::Decrypt && target.is_none() {
            self.refuse_name(&path);
            return None;
        }
        Some((path, target))
    }

    /// Something in a directory; false if the directory that it is stays out.
    fn entry(&self, entry: DirEntry, root: &Root) -> (Option<Pair>, bool) {
        let (kind, path) = (entry.file_type(), entry.path());
        // Below the input's directory, and so below the output's.
        let inside = path.strip_prefix(&root.path).unwrap_or(path);
        let target = root.target.as_ref().map(|target| match inside.as_os_str().is_empty() {
            true => target.clone(),
            false => target.join(inside),
        });
        match (&self.seen.copy, target) {
            // An input that is a link to a directory was meant.
            _ if entry.depth() == 0 || kind.is_dir() => {
                let is_copied = self.task != Task::Verify && self.seen.copy.is_some();
                return (None, !is_copied || self.directory(&entry, root, inside));
            }
            (Some(copy), Some(target)) if kind.is_symlink() => {
                copy.link(path.to_owned(), target);
            }
            (None, _) if kind.is_symlink() => {
                count(&self.seen.links);
            }
            (_, target) if kind.is_file() => {
                return (self.file(entry.into_path(), target), true);
            }
            (Some(_), _) => {
                let text = format!("{} is not copied", special(kind));
                self.seen.fails(path, ErrorKind::InvalidInput, &text);
            }
            (None, _) => {
                count(&self.seen.special);
            }
        }
        (None, true)
    }

    /// Whether there is a copy of the directory.
    fn directory(&self, entry: &DirEntry, root: &Root, inside: &Path) -> bool {
        let (Some(copy), Some(target)) = (&self.seen.copy, &root.target) else { return true };
        let target = match inside.as_os_str().is_empty() {
            // The user's own directory stays as it is.
            true if self.out.as_ref() == Some(target) => return true,
            true => target.clone(),
            false => target.join(inside),
        };
        let made = std::fs::metadata(entry.path())
            .map_err(|error| {
                let text = format!("cannot read {}: {error}", entry.path().display());
                Error::with_source(ErrorKind::Io, text, error)
            })
            .and_then(|original| copy.directory(&target, &original));
        match made {
            Ok(()) => true,
            Err(error) => {
                self.seen.failures.add(entry.path(), error);
                false
            }
        }
    }

    /// A regular file in a directory; `target` has the same name in the copy.
    fn file(&self, path: PathBuf, target: Option<PathBuf>) -> Option<Pair> {
        let name = path.file_name().unwrap_or_default();
        if is_unfinished(name) {
            return None;
        }
        match self.task {
            // Those that are messages are passed over once they are open.
            Task::Encrypt => {}
            Task::Decrypt | Task::Verify if is_message_name(name) => {}
            Task::Decrypt if target.is_some() => {
                self.refuse_name(&path);
                return None;
            }
            Task::Decrypt | Task::Verify => match StoredMessage::is_one(&path) {
                Ok(false) => {
                    count(&self.seen.not_messages);
                    return None;
                }
                Ok(true) if self.task == Task::Decrypt => {
                    self.refuse_name(&path);
                    return None;
                }
                // Verified, or an error of the work.
                Ok(true) | Err(_) => {}
            },
        }
        let target = match (self.task, target) {
            (Task::Verify, _) => None,
            (task, Some(copy)) => task.beside(&copy),
            (task, None) => task.beside(&path),
        };
        if self.task != Task::Verify && target.is_none() {
            self.refuse_name(&path);
            return None;
        }
        Some((path, target))
    }

    /// A file whose name does not allow an output.
    fn refuse_name(&self, path: &Path) {
        match StoredMessage::is_one(path) {
            Ok(true) => {
                let text = "its name does not end in .ncpe: decrypt it alone, with -o OUT";
                self.seen.fails(path, ErrorKind::InvalidInput, text);
            }
            Ok(false) => {
                let text = "not an ncp-envelope message, and its name does not end in .ncpe";
                self.seen.fails(path, ErrorKind::Malformed, text);
            }
            Err(error) => self.seen.failures.add(path, error),
        }
    }
}

impl Iterator for Pairs {
    type Item = Pair;

    fn next(&mut self) -> Option<Pair> {
        loop {
            let Some((mut tree, root)) = self.tree.take() else {
                let root = self.roots.next()?;
                if root.is_dir {
                    // In order, for which a directory is read completely.
                    let tree = WalkDir::new(&root.path).sort_by_file_name().into_iter();
                    self.tree = Some((tree, root));
                } else if let Some(pair) = self.named(root) {
                    return Some(pair);
                }
                continue;
            };
            let found = match tree.next() {
                None => continue,
                Some(Ok(entry)) => {
                    let (pair, stays) = self.entry(entry, &root);
                    if !stays {
                        tree.skip_current_dir();
                    }
                    pair
                }
                Some(Err(error)) => {
                    let path = error.path().unwrap_or(&root.path).to_owned();
                    let text = format!("cannot read the directory {}: {error}", path.display());
                    self.seen.failures.add(&path, Error::with_source(ErrorKind::Io, text, error));
                    None
                }
            };
            self.tree = Some((tree, root));
            if found.is_some() {
                return found;
            }
        }
    }
}

/// Counts files and their bytes in parallel with the work, for the progress bar.
pub(crate) fn count_all(plan: &Plan, failures: &Arc<Failures>) {
    if failures.progress.is_hidden() {
        return;
    }
    let (task, copies) = (plan.task, plan.out.is_some());
    let roots: Vec<_> = plan.roots.iter().map(|root| root.path.clone()).collect();
    let failures = Arc::downgrade(failures);
    // Without a thread the numbers stay unknown.
    let _ = std::thread::Builder::new().spawn(move || {
        let (mut files, mut bytes) = (0, 0);
        for entry in roots.iter().flat_map(WalkDir::new) {
            if failures.strong_count() == 0 {
                return;
            }
            let Ok(entry) = entry else { continue };
            let file = match entry.depth() {
                0 => std::fs::metadata(entry.path()).ok(),
                // Those that are passed over, by their names.
                _ if !copies && is_message_name(entry.file_name()) == (task == Task::Encrypt) => {
                    continue;
                }
                _ => entry.metadata().ok(),
            };
            if let Some(file) = file.filter(std::fs::Metadata::is_file) {
                files += 1;
                bytes += file.len();
            }
        }
        if let Some(failures) = failures.upgrade() {
            failures.progress.expect_bytes(files, bytes);
        }
    });
}

#[cfg(unix)]
fn special(kind: FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    match kind {
        kind if kind.is_fifo() => "a FIFO",
        kind if kind.is_socket() => "a socket",
        _ => "a device",
    }
}

#[cfg(not(unix))]
fn special(_: FileType) -> &'static str {
    "what is no file"
}
