//! The files of a group, which have their keys.
//!
//! Threads and files share the cores. A file that is worth it is processed by several threads, and
//! no other file meanwhile; the others are processed by one thread each, several at a time. So
//! there are never many more threads at work than cores, a tree of small files has all of them
//! busy, and so has the one large file in it.

use super::gather::Item;
use super::report::FileOutcome;
use super::shared::{Run, is_of_the_disk, is_of_the_service, is_out_of_files, lock};
use crate::crew::{cores, crew};
use crate::error::{Error, Result};
use crate::format::{Decryptor, Encryptor, PREAMBLE_LEN};
use crate::io::alone::Buffers;
use crate::io::atomic::AtomicFile;
use crate::io::job::{Job, Way, name};
use crate::io::offload::Cancelled;
use crate::io::published::{FileReport, Published};
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread;

/// From here on a file is processed by several threads.
const LARGE: u64 = 8 << 20;

/// Files that wait for the disk at the same time: it takes many for hardly more than one.
const SYNCING: usize = 8;
/// Files of a thread whose directories are synced together.
const SETTLED_TOGETHER: usize = 32;

pub(super) enum Key {
    Encrypt(Encryptor),
    /// And where the body begins.
    Decrypt(Decryptor, u64),
}

/// A file, and its key.
pub(super) type Keyed = (Item, Result<Key>);
/// Files whose outputs could not be opened, with the error.
pub(super) type Left = Vec<(Item, Key, Error)>;

/// Processes all files of a group, unless the run is to end. Returns those that the system gave no
/// file for: the next group is being gathered, and leaves some when it notices.
pub(super) fn work(run: &Arc<Run>, group: Vec<Keyed>, cancelled: &Cancelled) -> Result<Left> {
    let mut todo = VecDeque::with_capacity(group.len());
    for (item, key) in group {
        match key {
            Ok(key) => todo.push_back((item, key)),
            Err(error) if is_of_the_service(&error) => run.stop(error),
            Err(error) => tell(run, &item, Err(name(&item.source, error))),
        }
    }
    let syncs = run.how.each.syncs() && todo.iter().any(|(item, _)| item.target.is_some());
    let jobs = jobs(run.how.jobs, syncs).min(todo.len());
    let (todo, later) = (Mutex::new(todo), Mutex::new(Vec::new()));
    let turn = RwLock::new(());
    crew(jobs, &|| {
        let _guard = HaltOnPanic(run);
        let (mut unsettled, mut buffers) = (Unsettled::new(run), Buffers::default());
        let mut process = |item, key, threads, unsettled: &mut _| {
            process(run, item, key, threads, cancelled, &mut buffers, unsettled)
        };
        while cancelled.check().is_ok() && !run.is_halted() {
            let Some((item, key)) = lock(&todo).pop_front() else { break };
            let threads = run.how.each.threads;
            let left = if jobs == 1 {
                process(item, key, threads, &mut unsettled)
            } else if item.source.len().is_some_and(|len| len >= LARGE) {
                let _alone = turn.write().unwrap_or_else(PoisonError::into_inner);
                let left = process(item, key, threads, &mut unsettled);
                unsettled.settle(cancelled);
                left
            } else {
                let _with_others = turn.read().unwrap_or_else(PoisonError::into_inner);
                process(item, key, 1, &mut unsettled)
            };
            lock(&later).extend(left);
        }
        // Wiped now: the disk may take long.
        drop(buffers);
        let _with_others = turn.read().unwrap_or_else(PoisonError::into_inner);
        unsettled.settle(cancelled);
    });
    cancelled.check()?;
    Ok(later.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Processes what was left, one file after the other and while no others are opened.
pub(super) fn work_alone(run: &Arc<Run>, left: Left, cancelled: &Cancelled) -> Result<()> {
    let (mut unsettled, threads) = (Unsettled::new(run), run.how.each.threads);
    let mut buffers = Buffers::default();
    for (item, key, _) in left {
        if cancelled.check().is_err() || run.is_halted() {
            break;
        }
        let left = process(run, item, key, threads, cancelled, &mut buffers, &mut unsettled);
        if let Some((item, _, error)) = left {
            tell(run, &item, Err(error));
        }
    }
    unsettled.settle(cancelled);
    cancelled.check()
}

/// Processes one file. Returns it if the system gave no file for its output.
fn process(
    run: &Arc<Run>,
    mut item: Item,
    key: Key,
    threads: usize,
    cancelled: &Cancelled,
    buffers: &mut Buffers,
    unsettled: &mut Unsettled<'_>,
) -> Option<(Item, Key, Error)> {
    let seen = Arc::new(AtomicU64::new(0));
    let mut options = run.how.each.clone().threads(threads);
    if item.again {
        options = options.overwrite(true);
    }
    options.progress = run.how.progress.as_ref().map(|_| {
        let (run, seen) = (run.clone(), seen.clone());
        let report = move |done: u64, _: Option<u64>| {
            let before = seen.fetch_max(done, Ordering::Relaxed);
            run.advance(0, done.saturating_sub(before));
        };
        Arc::new(report) as _
    });
    let way = match &key {
        Key::Encrypt(_) => Way::Encrypt,
        Key::Decrypt(..) => Way::Decrypt,
    };
    let place = match (item.free.take(), &item.target) {
        (Some(free), _) => Ok(Some(free)),
        // What is replaced may be another file by now, with other rights.
        (None, target) => target
            .as_ref()
            .map(|target| AtomicFile::look(target, &options, &item.source))
            .transpose(),
    };
    let source = item.source.clone();
    let job = place.and_then(|place| Job::new(way, source, place, options, cancelled.clone()));
    let job = match job {
        Ok(job) => job.among(run.named.clone()),
        Err(error) if is_out_of_files(&error) => return Some((item, key, error)),
        Err(error) => {
            finish(run, &item, Err(error), cancelled);
            return None;
        }
    };
    let done = match key {
        Key::Encrypt(encryptor) => job.encrypt_unsettled(encryptor, buffers),
        Key::Decrypt(decryptor, body) => {
            let mut job = job;
            job.done = body + PREAMBLE_LEN as u64;
            job.decrypt_unsettled(decryptor, body, buffers)
        }
    };
    match done {
        Ok(published) => {
            // Of an empty file nothing is read, and of a message the front before the job.
            let before = seen.load(Ordering::Relaxed);
            run.advance(0, published.report.bytes_read.saturating_sub(before));
            unsettled.push(item, published, cancelled);
        }
        Err(error) => finish(run, &item, Err(error), cancelled),
    }
    None
}

fn finish(run: &Run, item: &Item, done: Result<FileReport>, cancelled: &Cancelled) {
    match done {
        Err(error) if is_of_the_disk(&error) => run.halt(error),
        // Nobody is there to be told.
        Err(_) if cancelled.check().is_err() => {}
        done => tell(run, item, done),
    }
}

fn tell(run: &Run, item: &Item, done: Result<FileReport>) {
    let outcome = match done {
        Ok(report) => FileOutcome::Done(report),
        Err(error) => FileOutcome::Failed(error),
    };
    run.tell(item.source.path(), item.target.as_deref(), &outcome);
}

/// Files whose outputs have their names, in directories that are not synced yet. That is done for
/// many at once: it costs as much as the sync of a file. They are no outcome before that.
struct Unsettled<'a> {
    run: &'a Run,
    files: Vec<(Item, Published)>,
    at_most: usize,
}

impl<'a> Unsettled<'a> {
    fn new(run: &'a Run) -> Self {
        let at_most = if run.how.each.syncs() { SETTLED_TOGETHER } else { 1 };
        Self { run, files: Vec::new(), at_most }
    }

    fn push(&mut self, item: Item, published: Published, cancelled: &Cancelled) {
        self.files.push((item, published));
        if self.files.len() >= self.at_most {
            self.settle(cancelled);
        }
    }

    fn settle(&mut self, cancelled: &Cancelled) {
        let mut synced = HashMap::new();
        for (item, published) in self.files.drain(..) {
            finish(self.run, &item, published.settle_with(&mut synced), cancelled);
        }
    }
}

fn jobs(wanted: usize, syncs: bool) -> usize {
    match wanted {
        0 => {
            if syncs {
                cores().max(SYNCING)
            } else {
                cores()
            }
        }
        wanted => wanted,
    }
}

/// A callback that panics ends the work of the other threads, too.
struct HaltOnPanic<'a>(&'a Run);

impl Drop for HaltOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.halt_on_panic();
        }
    }
}
