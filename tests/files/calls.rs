//! What many files cost.

use crate::kit::{Heard, Service, Tree, WAYS, Way, quick};
use ncp_envelope::io::{FileOptions, FileOutcome, FilesProgress};
use ncp_envelope::{DecryptPolicy, EncryptionContext};
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// A MiB, and of a message the tags of its chunks and the header.
const STEP: u64 = (1 << 20) + 64 * 16 + 1_024;
const NONE: [(&str, &str); 0] = [];

#[test]
fn ten_thousand_files_cost_forty_calls_each_way() {
    let (tree, service) = (Tree::with(10_000), Service::new("k"));
    let (envelope, policy) = (service.envelope(), DecryptPolicy::new());
    let sealing = tree.pairs(10_000, "plain", "sealed");
    let opening = tree.pairs(10_000, "sealed", "opened");
    let sources = tree.sources(10_000, "sealed");
    Way::Threads.wait(async {
        let report = envelope.encrypt_files(sealing, NONE, &quick()).await.unwrap();
        assert_eq!((report.done, report.failed, service.counts()), (10_000, 0, (40, 10_000, 0)));
        let report = envelope.verify_files(sources, &policy, &quick()).await.unwrap();
        assert_eq!((report.done, report.failed, service.counts().2), (10_000, 0, 40));
        let report = envelope.decrypt_files(opening, &policy, &quick()).await.unwrap();
        assert_eq!((report.done, report.failed, service.counts().2), (10_000, 0, 80));
    });
    tree.assert_same("plain", "opened");
}

#[test]
fn every_way_to_wait_gives_the_same() {
    const FILES: usize = 600;
    let context = EncryptionContext::try_from([("kind", "backup")]).unwrap();
    for way in WAYS {
        let (tree, service, heard) = (Tree::with(FILES), Service::new("k"), Heard::default());
        let envelope = service.envelope();
        let how = quick().on_each(heard.listen()).jobs(3);
        let (sealing, opening) =
            (tree.pairs(FILES, "plain", "sealed"), tree.pairs(FILES, "sealed", "opened"));
        let report = way.wait(envelope.encrypt_files(sealing.clone(), &context, &how));
        let report = report.unwrap().check().unwrap();
        assert_eq!((report.done, service.counts()), (FILES as u64, (3, FILES, 0)), "{way:?}");
        let total = |of: &str| {
            let len = |name: &String| fs::metadata(tree.path(of).join(name)).unwrap().len();
            tree.names(of).iter().map(len).sum::<u64>()
        };
        assert_eq!((report.bytes_read, report.bytes_written), (total("plain"), total("sealed")));
        let done = |source: &PathBuf| matches!(heard.of(source), FileOutcome::Done(_));
        assert!(sealing.iter().all(|(source, _)| done(source)));
        let how = quick().jobs(3);
        let report = way.wait(envelope.decrypt_files(opening, &context, &how)).unwrap();
        assert_eq!((report.done, report.failed, service.counts().2), (FILES as u64, 0, 3));
        assert_eq!((report.bytes_read, report.bytes_written), (total("sealed"), total("plain")));
        tree.assert_same("plain", "opened");
    }
}

#[test]
fn what_needs_no_key_costs_none() {
    let (tree, service) = (Tree::with(3), Service::new("k"));
    let mut pairs = tree.pairs(3, "plain", "sealed");
    fs::write(&pairs[0].1, "there").unwrap();
    fs::remove_file(&pairs[1].0).unwrap();
    pairs.push((tree.path("plain"), tree.path("directory")));
    let report = Way::Thread.wait(service.envelope().encrypt_files(pairs, NONE, &quick())).unwrap();
    assert_eq!((report.done, report.failed, service.counts()), (1, 3, (1, 1, 0)));
}

#[test]
fn files_are_taken_as_they_are_needed() {
    const FILES: usize = 2_000;
    let (tree, taken) = (Tree::with(FILES), Arc::new(AtomicUsize::new(0)));
    let (taking, done) = (taken.clone(), Arc::new(AtomicUsize::new(0)));
    let finished = done.clone();
    let pairs = tree.pairs(FILES, "plain", "sealed").into_iter().inspect(move |_| {
        let ahead = taking.fetch_add(1, Ordering::SeqCst) - finished.load(Ordering::SeqCst);
        assert!(ahead <= 2 * 256, "{ahead} files are ahead");
    });
    let how = quick().on_each(move |_| _ = done.fetch_add(1, Ordering::SeqCst));
    let envelope = Service::new("k").envelope();
    let report = Way::Threads.wait(envelope.encrypt_files(pairs, NONE, &how)).unwrap();
    assert_eq!((report.done, taken.load(Ordering::SeqCst)), (FILES as u64, FILES));
}

#[test]
fn progress_rises_to_all_files_and_bytes() {
    for way in WAYS {
        let (tree, seen) = (Tree::with(300), Arc::new(Mutex::new(Vec::<FilesProgress>::new())));
        fs::write(tree.path("plain/7"), vec![7; 9 << 20]).unwrap();
        let told = seen.clone();
        let how = quick().progress(move |progress| told.lock().unwrap().push(*progress)).jobs(4);
        // Its own is not called.
        let each = FileOptions::new().sync(false).progress(|_, _| panic!("called"));
        let how = how.each(each);
        let envelope = Service::new("k").envelope();
        let pairs = tree.pairs(300, "plain", "sealed");
        let report = way.wait(envelope.encrypt_files(pairs, NONE, &how)).unwrap();
        let encrypted = std::mem::take(&mut *seen.lock().unwrap());
        let pairs = tree.pairs(300, "sealed", "opened");
        let opened = way.wait(envelope.decrypt_files(pairs, DecryptPolicy::new(), &how)).unwrap();
        let decrypted = std::mem::take(&mut *seen.lock().unwrap());
        for (seen, report) in [(encrypted, report), (decrypted, opened)] {
            let sorted = seen.is_sorted_by_key(|progress| (progress.files, progress.bytes));
            let last = seen.last().unwrap();
            assert!(sorted, "{way:?}");
            assert_eq!((last.files, last.bytes), (300, report.bytes_read));
            assert!(seen.windows(2).all(|two| two[1].bytes - two[0].bytes <= STEP));
        }
    }
}
