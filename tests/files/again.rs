//! What is left to be done in a second run.

use crate::kit::{Heard, Service, Tree};
use ncp_envelope::io::{FileOptions, FileOutcome, FilesOptions};
use ncp_envelope::{DataKey, DecryptPolicy, EncryptOptions, Envelope, LocalKeyWrapper};
use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

const NONE: [(&str, &str); 0] = [];

fn set_time(path: &Path, time: SystemTime) {
    File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

fn time(path: &Path) -> SystemTime {
    fs::metadata(path).unwrap().modified().unwrap()
}

fn how() -> FilesOptions {
    let each = FileOptions::new().sync(false).keep_time(true);
    FilesOptions::new().each(each).skip_done(true)
}

/// Whether the one file of `pairs` is done already; otherwise it has to fail as it exists.
fn is_done(run: impl FnOnce(&FilesOptions) -> ncp_envelope::io::FilesReport) -> bool {
    let report = run(&how());
    assert_eq!((report.done, report.already_done + report.failed), (0, 1));
    let failure = report.failures.first().map(|(_, error)| error.to_string());
    assert!(failure.is_none_or(|failure| failure.contains("exists")));
    report.already_done == 1
}

#[test]
fn the_time_is_kept_to_the_nanosecond_both_ways() {
    let tree = Tree::with(1);
    let envelope = Service::new("k").envelope().blocking();
    let kept = SystemTime::UNIX_EPOCH + Duration::new(1_234_567_890, 123_456_789);
    set_time(&tree.path("plain/0"), kept);
    let sealing = tree.pairs(1, "plain", "sealed");
    let opening = tree.pairs(1, "sealed", "opened");
    let _ = envelope.encrypt_files(sealing, NONE, &how()).unwrap().check().unwrap();
    let _ = envelope.decrypt_files(opening, NONE, &how()).unwrap().check().unwrap();
    // A file system may have coarser times.
    let kept = time(&tree.path("plain/0"));
    assert_eq!((time(&tree.path("sealed/0")), time(&tree.path("opened/0"))), (kept, kept));
    envelope.encrypt_file(tree.path("plain/0"), tree.path("now"), NONE).unwrap();
    assert_ne!(time(&tree.path("now")), kept, "not by default");
}

#[test]
fn an_output_is_done_only_if_everything_agrees() {
    let (tree, service) = (Tree::with(3), Service::new("k"));
    let envelope = service.envelope().blocking();
    let pairs = [tree.pairs(3, "plain", "sealed").remove(2)];
    let (source, target) = pairs[0].clone();
    let options = || EncryptOptions::new().context([("a", "b")].try_into().unwrap());
    let _ = envelope.encrypt_files(pairs.clone(), options(), &how()).unwrap().check().unwrap();
    let calls = service.counts();
    let done = |options: EncryptOptions| {
        is_done(|how| envelope.encrypt_files(pairs.clone(), options, how).unwrap())
    };
    assert!(done(options()));
    let written = (fs::read(&target).unwrap(), time(&target));
    assert!(!done(EncryptOptions::new()), "another context");
    assert!(!done(options().aad("x")), "associated data");
    assert!(!done(options().layout(ncp_envelope::format::Profile::Durable)), "another layout");
    let local = |id: &str| LocalKeyWrapper::new(id, &DataKey::copy_from(&[7; 32])).unwrap();
    for other in [
        Envelope::builder(local("k")).and(local("another")).build().unwrap(),
        Envelope::builder(local("another")).build().unwrap(),
    ] {
        let run = other.blocking();
        assert!(!is_done(|how| run.encrypt_files(pairs.clone(), options(), how).unwrap()));
    }
    // Later by a nanosecond, or what the file system has for one.
    set_time(&target, written.1 + Duration::from_micros(1));
    assert!(!done(options()), "another time");
    set_time(&target, written.1);
    assert!(done(options()));
    fs::write(&target, [&written.0[..], b"x"].concat()).unwrap();
    set_time(&target, written.1);
    assert!(!done(options()), "another length");
    fs::write(&target, vec![0; written.0.len()]).unwrap();
    set_time(&target, written.1);
    assert!(!done(options()), "no message");
    fs::write(&target, &written.0).unwrap();
    set_time(&target, written.1);
    assert!(done(options()));
    fs::write(&source, "changed").unwrap();
    assert!(!done(options()), "the source was changed");
    assert_eq!(service.counts(), calls, "no key was needed");
    let over = how().each(FileOptions::new().overwrite(true).keep_time(true));
    assert_eq!(envelope.encrypt_files(pairs.clone(), options(), &over).unwrap().done, 1);
    assert!(done(options()));
}

#[test]
fn a_plaintext_is_done_only_if_time_and_length_agree() {
    let (tree, service) = (Tree::with(3), Service::new("k"));
    let envelope = service.envelope().blocking();
    let sealing = tree.pairs(3, "plain", "sealed");
    let _ = envelope.encrypt_files(sealing, NONE, &how()).unwrap().check().unwrap();
    let pairs = [tree.pairs(3, "sealed", "opened").remove(2)];
    let target = pairs[0].1.clone();
    let _ = envelope.decrypt_files(pairs.clone(), NONE, &how()).unwrap().check().unwrap();
    let calls = service.counts();
    let done = || is_done(|how| envelope.decrypt_files(pairs.clone(), NONE, how).unwrap());
    assert!(done());
    let (bytes, written) = (fs::read(&target).unwrap(), time(&target));
    set_time(&target, written + Duration::from_secs(1));
    assert!(!done(), "another time");
    fs::write(&target, [&bytes[..], b"x"].concat()).unwrap();
    set_time(&target, written);
    assert!(!done(), "another length");
    assert_eq!(service.counts(), calls, "no key was needed");
    // Without the option it is what it always was.
    let strict = how().skip_done(false);
    assert_eq!(envelope.decrypt_files(pairs, NONE, &strict).unwrap().failed, 1);
}

#[test]
fn a_second_run_does_what_the_first_left() {
    let (tree, service, heard) = (Tree::with(500), Service::new("k"), Heard::default());
    let envelope = service.envelope().blocking();
    let pairs = tree.pairs(500, "plain", "sealed");
    let _ = envelope.encrypt_files(pairs[..300].to_vec(), NONE, &how()).unwrap();
    let keys = service.counts().1;
    let report =
        envelope.encrypt_files(pairs.clone(), NONE, &how().on_each(heard.listen())).unwrap();
    assert_eq!((report.done, report.already_done, report.failed), (200, 300, 0));
    assert_eq!((service.counts().1 - keys, heard.len()), (200, 500));
    assert!(matches!(heard.of(&pairs[7].0), FileOutcome::AlreadyDone));
    // There is no output that could be done.
    let sources = tree.sources(500, "sealed");
    assert_eq!(envelope.verify_files(sources, DecryptPolicy::new(), &how()).unwrap().done, 500);
}
