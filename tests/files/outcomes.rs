//! What becomes of each file, among others.

use crate::kit::{Heard, Service, Tree, WAYS, quick};
use ncp_envelope::io::{FileOptions, FileOutcome, FilesOptions};
use ncp_envelope::{DecryptPolicy, ErrorKind};
use std::fs;

const NONE: [(&str, &str); 0] = [];

#[test]
fn a_file_that_fails_stops_no_other() {
    for way in WAYS {
        let (tree, heard, service) = (Tree::with(9), Heard::default(), Service::new("k"));
        let envelope = service.envelope();
        let mut pairs = tree.pairs(9, "plain", "sealed");
        fs::remove_file(&pairs[1].0).unwrap();
        fs::write(&pairs[3].1, "there").unwrap();
        pairs[5].0 = tree.path("plain");
        pairs[7].1 = tree.path("no directory/7");
        let how = quick().on_each(heard.listen());
        let report = way.wait(envelope.encrypt_files(pairs.clone(), NONE, &how)).unwrap();
        assert_eq!((report.done, report.failed, heard.len()), (5, 4, 9), "{way:?}");
        assert!(report.stopped.is_none());
        assert_eq!(report.failures.len(), 4);
        let kinds = [
            (1, ErrorKind::Io),
            (3, ErrorKind::InvalidInput),
            (5, ErrorKind::InvalidInput),
            (7, ErrorKind::Io),
        ];
        for (at, kind) in kinds {
            assert_eq!(heard.error(&pairs[at].0).kind(), kind, "{at}");
        }
        let error = report.check().unwrap_err();
        assert!(error.to_string().starts_with("4 of 9 files failed"), "{error}");
        assert_eq!(fs::read(&pairs[3].1).unwrap(), b"there");
        // The last one was to go where there is nothing.
        assert_eq!(tree.names("sealed"), ["0", "2", "3", "4", "6", "8"]);
    }
}

#[test]
fn a_message_that_is_refused_stops_no_other() {
    for way in WAYS {
        let (tree, service) = (Tree::with(8), Service::new("k"));
        let envelope = service.envelope();
        let pairs = tree.pairs(8, "plain", "sealed");
        let report = way.wait(envelope.encrypt_files(pairs, [("n", "1")], &quick())).unwrap();
        assert_eq!(report.done, 8);
        let pairs = tree.pairs(8, "sealed", "opened");
        let whole = fs::read(&pairs[1].0).unwrap();
        fs::write(&pairs[1].0, &whole[..whole.len() - 1]).unwrap();
        fs::write(&pairs[2].0, "something else").unwrap();
        let mut flipped = fs::read(&pairs[3].0).unwrap();
        *flipped.last_mut().unwrap() ^= 1;
        fs::write(&pairs[3].0, flipped).unwrap();
        let other = Service::new("another").envelope();
        let foreign = way.wait(other.encrypt("foreign", [("n", "1")])).unwrap();
        fs::write(&pairs[4].0, foreign).unwrap();
        let context = way.wait(envelope.encrypt("of another context", [("n", "2")])).unwrap();
        fs::write(&pairs[5].0, context).unwrap();
        fs::write(&pairs[6].0, "").unwrap();
        let kinds = [
            ErrorKind::Authentication,
            ErrorKind::Malformed,
            ErrorKind::Authentication,
            ErrorKind::KeyNotAllowed,
            ErrorKind::NotAccepted,
            ErrorKind::Malformed,
        ];
        for verify in [true, false] {
            let (heard, unwraps) = (Heard::default(), service.counts().2);
            let how = quick().on_each(heard.listen());
            let report = way.wait(async {
                if verify {
                    let sources = tree.sources(8, "sealed");
                    envelope.verify_files(sources, [("n", "1")], &how).await
                } else {
                    envelope.decrypt_files(pairs.clone(), [("n", "1")], &how).await
                }
            });
            let report = report.unwrap();
            assert_eq!((report.done, report.failed, heard.len()), (2, 6, 8), "{way:?}");
            assert_eq!(service.counts().2 - unwraps, 1);
            for ((source, _), kind) in pairs[1..7].iter().zip(kinds) {
                let error = heard.error(source);
                assert!(error.kind() == kind || kind == ErrorKind::Malformed, "{error}");
                let name = source.display().to_string();
                assert!(error.to_string().starts_with(&name), "{error}");
            }
        }
        assert_eq!(tree.names("opened"), ["0", "7"]);
    }
}

#[test]
fn two_sources_with_one_target_do_not_replace_each_other() {
    for overwrite in [false, true] {
        let (tree, service) = (Tree::with(3), Service::new("k"));
        let mut pairs = tree.pairs(3, "plain", "sealed");
        // One file in three spellings.
        pairs[1].1 = tree.path("sealed/../sealed/./0");
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(tree.path("sealed"), tree.path("linked")).unwrap();
            pairs[2].1 = tree.path("linked/0");
        }
        if overwrite {
            fs::write(&pairs[0].1, "old").unwrap();
        }
        let how = FilesOptions::new().each(FileOptions::new().overwrite(overwrite)).jobs(3);
        let run = service.envelope().blocking();
        let report = run.encrypt_files(pairs.clone(), NONE, &how).unwrap();
        assert_eq!((report.done, report.failed), (1, 2), "{overwrite}");
        let (failed, error) = &report.failures[0];
        let says = if overwrite { "was written by the same call" } else { "exists" };
        assert!(error.to_string().contains(says), "{}: {error}", failed.display());
        assert_eq!(tree.names("sealed"), ["0"]);
        // And another call may.
        let how = FilesOptions::new().each(FileOptions::new().overwrite(true));
        assert_eq!(run.encrypt_files([pairs[1].clone()], NONE, &how).unwrap().done, 1);
    }
}

#[test]
fn options_that_contradict_each_other_are_refused_before_any_file() {
    let tree = Tree::with(1);
    let envelope = Service::new("k").envelope().blocking();
    let each = FileOptions::new().remove_source(true).sync(false);
    let how = FilesOptions::new().each(each).on_each(|_| panic!("called"));
    let pairs = tree.pairs(1, "plain", "sealed");
    let refused = envelope.encrypt_files(pairs.clone(), NONE, &how).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    let refused = envelope.decrypt_files(pairs, DecryptPolicy::new(), &how).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    // Nothing is removed there.
    let message = envelope.encrypt("x", NONE).unwrap();
    fs::write(tree.path("message"), message).unwrap();
    let how = FilesOptions::new().each(FileOptions::new().remove_source(true).sync(false));
    let report = envelope.verify_files([tree.path("message")], DecryptPolicy::new(), &how).unwrap();
    assert_eq!(report.done, 1);
    assert!(tree.path("message").exists());
}

#[test]
fn an_outcome_says_what_a_single_call_says() {
    let (tree, heard) = (Tree::with(2), Heard::default());
    let envelope = Service::new("k").envelope().blocking();
    let pairs = tree.pairs(2, "plain", "sealed");
    let how = quick().on_each(heard.listen());
    let _ = envelope.encrypt_files(pairs.clone(), [("a", "b")], &how).unwrap();
    let single = envelope.encrypt_file(&pairs[1].0, tree.path("single"), [("a", "b")]).unwrap();
    assert!(matches!(heard.of(&pairs[1].0), FileOutcome::Done(report) if report == single));
}
