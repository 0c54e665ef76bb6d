//! What many files ask of the file system, on this thread: outside of a runtime, and one by one.

use super::{FileOutcome, FilesOptions, FilesReport};
use crate::envelope::Envelope;
use crate::envelope::testing::local;
use crate::io::FileOptions;
use crate::output::tests::watch::{Fault, asked, watched, watched_with};
use crate::output::{Step, Step::*};
use rustix::io::Errno;
use std::fs;
use std::future::Future;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

const NONE: [(&str, &str); 0] = [];
/// In two directories.
const FILES: usize = 80;

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let this = Self(tempfile::tempdir().unwrap());
        for name in ["plain", "one", "two", "back"] {
            fs::create_dir(this.path(name)).unwrap();
        }
        for (source, _) in this.pairs() {
            fs::write(source, "some content").unwrap();
        }
        this
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn pairs(&self) -> Vec<(PathBuf, PathBuf)> {
        let pair = |file: usize| {
            let (name, to) = (file.to_string(), ["one", "two"][file % 2]);
            (self.path("plain").join(&name), self.path(to).join(&name))
        };
        (0..FILES).map(pair).collect()
    }

    fn encrypt(&self, how: &FilesOptions) -> FilesReport {
        self.encrypt_for(&local(), how)
    }

    fn encrypt_for(&self, envelope: &Envelope, how: &FilesOptions) -> FilesReport {
        wait(envelope.encrypt_files(self.pairs(), NONE, how)).unwrap()
    }

    fn decrypt_for(&self, envelope: &Envelope, how: &FilesOptions) -> FilesReport {
        let back = |(source, message): (PathBuf, PathBuf)| {
            (message, self.path("back").join(source.file_name().unwrap()))
        };
        wait(envelope.decrypt_files(
            self.pairs().into_iter().map(back).collect::<Vec<_>>(),
            NONE,
            how,
        ))
        .unwrap()
    }

    fn outputs(&self) -> usize {
        let count = |name| fs::read_dir(self.path(name)).unwrap().count();
        count("one") + count("two")
    }

    fn sources(&self) -> usize {
        fs::read_dir(self.path("plain")).unwrap().count()
    }
}

fn wait<T>(run: impl Future<Output = T>) -> T {
    let mut run = pin!(run);
    loop {
        match run.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(done) => return done,
            Poll::Pending => std::thread::yield_now(),
        }
    }
}

/// How often this thread has read, by the system's own count, if it has one.
fn reads() -> Option<usize> {
    let counts = fs::read_to_string("/proc/thread-self/io").ok()?;
    counts.lines().find_map(|line| line.strip_prefix("syscr: "))?.parse().ok()
}

fn one_by_one() -> FilesOptions {
    FilesOptions::new().jobs(1)
}

#[test]
fn a_run_ends_when_nothing_can_be_written() {
    let faults: [&[(Step, Errno)]; 5] = [
        &[(Write, Errno::NOSPC)],
        &[(Write, Errno::DQUOT)],
        &[(CreateNameless, Errno::ROFS), (CreateNamed, Errno::ROFS)],
        &[(Sync, Errno::NOSPC)],
        &[(SyncDirectory, Errno::NOSPC)],
    ];
    for fault in faults {
        let place = Place::new();
        let how = one_by_one().on_each(|file| panic!("{file:?}"));
        let (report, _) = watched(Fault::Each(fault), || place.encrypt(&how));
        assert!(report.stopped.is_some(), "{fault:?}");
        assert_eq!((report.done, report.failed), (0, 0), "{fault:?}");
        assert!(fault[0].0 == SyncDirectory || place.outputs() == 0, "{fault:?}");
    }
    // And not for what one file meets.
    let place = Place::new();
    let fault = Fault::Each(&[(Write, Errno::IO)]);
    let (report, _) = watched(fault, || place.encrypt(&one_by_one()));
    assert_eq!((report.done, report.failed), (0, FILES as u64));
    assert!(report.stopped.is_none());
}

#[test]
fn directories_are_synced_for_many_files_before_any_outcome_is_told() {
    let place = Place::new();
    let (told, synced) = (Arc::new(Mutex::new(0)), Arc::new(Mutex::new(Vec::new())));
    let (telling, noting, so_far) = (told.clone(), synced.clone(), told.clone());
    let sources = place.path("plain");
    let each = FileOptions::new().remove_source(true);
    let how = one_by_one().each(each).on_each(move |file| {
        assert!(matches!(file.outcome, FileOutcome::Done(_)));
        *telling.lock().unwrap() += 1;
    });
    let note = move || {
        let left = fs::read_dir(&sources).unwrap().count();
        noting.lock().unwrap().push((*so_far.lock().unwrap(), left));
    };
    let (report, steps) = watched_with(SyncDirectory, note, || place.encrypt(&how));
    assert_eq!((report.done, place.outputs(), place.sources()), (FILES as u64, FILES, 0));
    // For 32 files, for 32 more and for the rest. The second directory is synced when the first of
    // its files comes after one of the other.
    assert_eq!(*synced.lock().unwrap(), [(0, 80), (1, 79), (32, 48), (33, 47), (64, 16), (65, 15)]);
    assert_eq!(steps.iter().filter(|step| **step == Sync).count(), FILES);
    assert_eq!(*told.lock().unwrap(), FILES);
}

#[test]
fn what_a_directory_lost_is_an_error_of_all_its_files_and_no_source_is_removed() {
    let place = Place::new();
    let how = one_by_one().each(FileOptions::new().remove_source(true));
    let fault = Fault::Each(&[(SyncDirectory, Errno::IO)]);
    let (report, _) = watched(fault, || place.encrypt(&how));
    assert_eq!((report.done, report.failed), (0, FILES as u64));
    assert!(report.failures.iter().all(|(_, error)| error.to_string().contains("in place")));
    assert_eq!((place.outputs(), place.sources()), (FILES, FILES));
}

/// The table in docs/design.md, "What does a file cost?", without the requests of opening, of
/// looking at the source and of closing, which nothing counts.
#[test]
fn a_small_file_costs_no_request_without_a_reason() {
    let (place, envelope) = (Place::new(), local());
    let each = FileOptions::new().sync(false).keep_time(true);
    let how =
        one_by_one().each(each).skip_done(true).pass_over(|source| source.is_message().unwrap());
    let messages_too = one_by_one().each(FileOptions::new().sync(false).keep_time(true));
    let runs: [(&dyn Fn() -> FilesReport, usize); 2] = [
        // The first bytes, to tell messages; and the content.
        (&|| place.encrypt_for(&envelope, &how), 2),
        // What stands in front of the first chunk; and the chunks.
        (&|| place.decrypt_for(&envelope, &messages_too), 2),
    ];
    for (run, reads_of_one) in runs {
        let before = reads();
        let (report, steps, looks) = asked(run);
        let after = reads();
        assert_eq!(report.check().unwrap().done, FILES as u64);
        let of_one = [CreateNameless, Write, SetModified, LinkNameless];
        assert!(steps.chunks(of_one.len()).all(|steps| steps == of_one), "{steps:?}");
        assert_eq!(steps.len(), FILES * of_one.len());
        // At the target before a key is fetched, and at the output before it is named.
        assert_eq!(looks, FILES * 2);
        // A few more are for the whole run.
        if let (Some(before), Some(after)) = (before, after) {
            let reads = after - before;
            let least = FILES * reads_of_one;
            assert!((least..least + FILES / 2).contains(&reads), "{reads}");
        }
    }
}
