//! When nothing could go better for the next file.

use crate::kit::{Heard, Service, Tree, WAYS, quick};
use ncp_envelope::io::{FileOptions, FilesOptions};
use ncp_envelope::{DecryptPolicy, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const NONE: [(&str, &str); 0] = [];
const FILES: usize = 2_000;

#[test]
fn a_run_ends_at_an_outage_and_goes_on_in_a_second_run() {
    for way in WAYS {
        let (tree, service, heard) = (Tree::with(FILES), Service::new("k"), Heard::default());
        let envelope = service.envelope();
        let each = FileOptions::new().sync(false).keep_time(true);
        let how = FilesOptions::new().each(each).skip_done(true);
        let taken = Arc::new(AtomicUsize::new(0));
        let count = taken.clone();
        let pairs = tree.pairs(FILES, "plain", "sealed");
        let counted =
            pairs.clone().into_iter().inspect(move |_| _ = count.fetch_add(1, Ordering::SeqCst));
        service.fail_after(1, ErrorKind::Unavailable);
        let listening = how.clone().on_each(heard.listen());
        let report = way.wait(envelope.encrypt_files(counted, NONE, &listening)).unwrap();
        assert_eq!(report.stopped.as_ref().unwrap().kind(), ErrorKind::Unavailable, "{way:?}");
        assert_eq!((report.done, report.failed, heard.len()), (256, 0, 256));
        assert_eq!(taken.load(Ordering::SeqCst), 512, "the rest is not taken");
        assert_eq!(report.check().unwrap_err().kind(), ErrorKind::Unavailable);
        service.recover();
        let report = way.wait(envelope.encrypt_files(pairs, NONE, &how)).unwrap().check().unwrap();
        assert_eq!((report.done, report.already_done), (FILES as u64 - 256, 256));

        let heard = Heard::default();
        let pairs = tree.pairs(FILES, "sealed", "opened");
        service.fail_after(2, ErrorKind::Throttled);
        let listening = how.clone().on_each(heard.listen());
        let run = envelope.decrypt_files(pairs.clone(), DecryptPolicy::new(), &listening);
        let report = way.wait(run).unwrap();
        assert_eq!(report.stopped.as_ref().unwrap().kind(), ErrorKind::Throttled);
        assert_eq!((report.done, report.failed, heard.len()), (512, 0, 512));
        service.recover();
        let run = envelope.decrypt_files(pairs, DecryptPolicy::new(), &how);
        let report = way.wait(run).unwrap().check().unwrap();
        assert_eq!((report.done, report.already_done), (FILES as u64 - 512, 512));
        tree.assert_same("plain", "opened");
    }
}

#[test]
fn a_key_that_cannot_be_used_fails_its_files_only() {
    let (tree, service) = (Tree::with(600), Service::new("k"));
    let envelope = service.envelope().blocking();
    let pairs = tree.pairs(600, "plain", "sealed");
    // Who may not wrap one key may wrap no other.
    service.fail_after(0, ErrorKind::AccessDenied);
    let report = envelope.encrypt_files(pairs.clone(), NONE, &quick()).unwrap();
    assert_eq!(report.stopped.as_ref().unwrap().kind(), ErrorKind::AccessDenied);
    assert_eq!((report.done, report.failed), (0, 0));
    service.recover();
    // A refusal is remembered for a while.
    let envelope = service.envelope().blocking();
    let _ = envelope.encrypt_files(pairs, NONE, &quick()).unwrap().check().unwrap();
    for kind in [ErrorKind::AccessDenied, ErrorKind::KeyUnusable] {
        service.fail_after(0, kind);
        let envelope = service.envelope().blocking();
        let sources = tree.sources(600, "sealed");
        let report = envelope.verify_files(sources, DecryptPolicy::new(), &quick()).unwrap();
        assert_eq!((report.done, report.failed), (0, 600), "{kind}");
        assert!(report.stopped.is_none());
        assert!(report.failures.iter().all(|(_, error)| error.kind() == kind));
    }
}
