//! Sources that are removed, and those that must not be.

use crate::kit::{Heard, Service, Tree};
use ncp_envelope::io::{FileOptions, FilesOptions};
use ncp_envelope::{EncryptionContext, ErrorKind};
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

const NONE: [(&str, &str); 0] = [];

fn removing() -> FileOptions {
    FileOptions::new().remove_source(true)
}

#[test]
fn a_source_is_gone_when_its_output_is_there_and_not_before() {
    let (tree, service) = (Tree::with(20), Service::new("k"));
    let envelope = service.envelope().blocking();
    let pairs = tree.pairs(20, "plain", "sealed");
    fs::write(&pairs[3].1, "there").unwrap();
    let how = FilesOptions::new().each(removing());
    let report = envelope.encrypt_files(pairs, NONE, &how).unwrap();
    assert_eq!((report.done, report.failed), (19, 1));
    assert_eq!(tree.names("plain"), ["3"]);
    assert_eq!(tree.names("sealed").len(), 20);
    // And the other way; nothing is removed by what only reads.
    let sources = tree.sources(20, "sealed");
    assert_eq!(envelope.verify_files(sources, NONE, &how).unwrap().done, 19);
    let report = envelope.decrypt_files(tree.pairs(20, "sealed", "opened"), NONE, &how).unwrap();
    assert_eq!((report.done, report.failed), (19, 1));
    assert_eq!(tree.names("sealed"), ["3"]);
}

/// The source becomes something else when the whole of it was read.
fn changed_meanwhile(change: impl Fn() + Send + Sync + 'static) -> (Tree, Heard) {
    let (tree, heard, once) = (Tree::new(), Heard::default(), AtomicBool::new(false));
    let (source, message) = (tree.path("plain"), tree.path("sealed"));
    let envelope = Service::new("k").envelope().blocking();
    fs::write(&message, envelope.encrypt(vec![7; 3 << 20], NONE).unwrap()).unwrap();
    let len = fs::metadata(&message).unwrap().len();
    let path = message.clone();
    let how = FilesOptions::new().each(removing()).on_each(heard.listen());
    let how = how.progress(move |progress| {
        if progress.bytes == len && !once.swap(true, Ordering::SeqCst) {
            fs::rename(path.with_file_name("new"), &path).unwrap();
            change();
        }
    });
    fs::write(tree.path("new"), "new").unwrap();
    let report = envelope.decrypt_files([(message, source)], NONE, &how).unwrap();
    assert_eq!(report.failed, 1);
    (tree, heard)
}

#[test]
fn what_took_the_place_of_a_source_is_not_removed() {
    let called = Arc::new(AtomicBool::new(false));
    let calling = called.clone();
    let (tree, heard) = changed_meanwhile(move || calling.store(true, Ordering::SeqCst));
    assert!(called.load(Ordering::SeqCst));
    assert_eq!(fs::read(tree.path("sealed")).unwrap(), b"new");
    // The output is whole, and the error says so.
    assert_eq!(fs::metadata(tree.path("plain")).unwrap().len(), 3 << 20);
    let error = heard.error(&tree.path("sealed"));
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains("is complete, and the source is kept"), "{error}");
}

#[cfg(unix)]
#[test]
fn a_link_is_refused_before_anything_is_written() {
    let (tree, service) = (Tree::with(1), Service::new("k"));
    let envelope = service.envelope().blocking();
    std::os::unix::fs::symlink(tree.path("plain/0"), tree.path("link")).unwrap();
    let none = EncryptionContext::new();
    let refused = envelope.encrypt_file_with(tree.path("link"), tree.path("o"), none, &removing());
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidInput);
    let how = FilesOptions::new().each(removing());
    let pairs = [(tree.path("link"), tree.path("o"))];
    assert_eq!(envelope.encrypt_files(pairs, NONE, &how).unwrap().failed, 1);
    assert!(tree.path("link").exists() && !tree.path("o").exists());
    assert_eq!(service.counts().0, 0);
}

fn set_time(path: &Path, seconds: u64) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

#[test]
fn what_an_interrupted_run_left_is_written_again_before_its_source_is_removed() {
    let tree = Tree::with(5);
    let envelope = Service::new("k").envelope().blocking();
    let each = FileOptions::new().keep_time(true);
    let kept = FilesOptions::new().each(each.clone()).skip_done(true);
    let removing = FilesOptions::new().each(each.remove_source(true)).skip_done(true);
    let sealing = tree.pairs(5, "plain", "sealed");
    let _ = envelope.encrypt_files(sealing.clone(), NONE, &kept).unwrap().check().unwrap();
    // As a disk does it: nothing but the content tells.
    let path = &sealing[2].1;
    let (mut message, time) = (fs::read(path).unwrap(), fs::metadata(path).unwrap().modified());
    *message.last_mut().unwrap() ^= 1;
    fs::write(path, message).unwrap();
    File::options().write(true).open(path).unwrap().set_modified(time.unwrap()).unwrap();
    assert_eq!(envelope.encrypt_files(sealing.clone(), NONE, &kept).unwrap().already_done, 5);

    let report = envelope.encrypt_files(sealing, NONE, &removing).unwrap().check().unwrap();
    assert_eq!((report.done, report.already_done), (5, 0));
    assert!(tree.names("plain").is_empty());
    let opening = tree.pairs(5, "sealed", "opened");
    let _ = envelope.decrypt_files(opening.clone(), NONE, &kept).unwrap().check().unwrap();
    let report = envelope.decrypt_files(opening, NONE, &removing).unwrap().check().unwrap();
    assert_eq!((report.done, report.already_done), (5, 0));
    assert!(tree.names("sealed").is_empty());
    assert_eq!(tree.names("opened").len(), 5);
}

/// More than two groups apart, so that the first output is there when the second file is looked at.
#[test]
fn the_only_copy_of_a_removed_source_is_not_replaced() {
    const FILES: usize = 600;
    let (tree, service) = (Tree::with(FILES), Service::new("k"));
    let envelope = service.envelope().blocking();
    for (name, content) in [("first", "1"), ("other", "2")] {
        fs::write(tree.path(name), content).unwrap();
        set_time(&tree.path(name), 1_000_000_000);
    }
    let target = tree.path("target");
    let mut pairs = vec![(tree.path("first"), target.clone())];
    pairs.extend(tree.pairs(FILES, "plain", "sealed"));
    pairs.push((tree.path("other"), target.clone()));
    let how = FilesOptions::new().each(removing().keep_time(true)).skip_done(true);
    let report = envelope.encrypt_files(pairs, NONE, &how).unwrap();
    assert_eq!((report.done, report.failed), (FILES as u64 + 1, 1));
    assert_eq!(fs::read(tree.path("other")).unwrap(), b"2");
    assert_eq!(envelope.decrypt(fs::read(target).unwrap(), NONE).unwrap(), "1");
}
