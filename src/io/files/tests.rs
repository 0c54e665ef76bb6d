//! What many files ask of the file system, on this thread: outside of a runtime, and one by one.

use super::{FileOutcome, FilesOptions, FilesReport};
use crate::envelope::testing::local;
use crate::io::FileOptions;
use crate::output::tests::watch::{Fault, watched, watched_with};
use crate::output::{Step, Step::*};
use rustix::io::Errno;
use std::fs;
use std::future::Future;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

/// In two directories.
const FILES: usize = 80;

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let this = Self(tempfile::tempdir().unwrap());
        for name in ["plain", "one", "two"] {
            fs::create_dir(this.path(name)).unwrap();
        }
        for (source, _) in this.pairs() {
            fs::write(source, "content").unwrap();
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
        let envelope = local();
        let none: [(&str, &str); 0] = [];
        let mut run = pin!(envelope.encrypt_files(self.pairs(), none, how));
        loop {
            match run.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(report) => return report.unwrap(),
                Poll::Pending => std::thread::yield_now(),
            }
        }
    }

    fn outputs(&self) -> usize {
        let count = |name| fs::read_dir(self.path(name)).unwrap().count();
        count("one") + count("two")
    }

    fn sources(&self) -> usize {
        fs::read_dir(self.path("plain")).unwrap().count()
    }
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
