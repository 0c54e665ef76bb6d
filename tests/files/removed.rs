//! Sources that are removed, and those that must not be.

use crate::kit::{Heard, Service, Tree};
use ncp_envelope::io::{FileOptions, FilesOptions};
use ncp_envelope::{EncryptionContext, ErrorKind};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
