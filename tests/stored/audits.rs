//! What depends on which key.

use crate::kit::{World, envelope, quick, version, wait};
use ncp_envelope::EncryptionContext;
use ncp_envelope::format::Header;
use ncp_envelope::stored::{Audit, AuditOptions, Replaced, StoredMessage, audit};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

fn look(paths: &[PathBuf]) -> Audit {
    audit(paths.to_vec(), &AuditOptions::new().versions(version))
}

/// Version, files and files that nothing else opens, of each.
fn uses(audit: &Audit) -> Vec<(Option<u32>, u64, u64)> {
    audit.keys.iter().map(|of| (of.version, of.files, of.only)).collect()
}

#[test]
fn an_audit_agrees_before_in_the_middle_and_after() {
    let world = World::new();
    let paths = world.fill("tree", 3_000);
    let bytes: u64 = paths.iter().map(|path| fs::metadata(path).unwrap().len()).sum();
    let before = look(&paths);
    assert_eq!(uses(&before), [(Some(1), 3_000, 3_000)]);
    assert_eq!((before.messages, before.bytes, before.keys[0].bytes), (3_000, bytes, bytes));
    assert_eq!(before.keys[0].key.id(), world.emulator.key_tag());
    let asked = world.emulator.request_count();
    world.rotate();
    world.rewrap(&paths[..1_234], &quick());
    let middle = look(&paths);
    assert_eq!(uses(&middle), [(Some(1), 1_766, 1_766), (Some(2), 1_234, 1_234)]);
    assert_eq!(middle.keys.iter().map(|of| of.bytes).sum::<u64>(), bytes);
    world.rewrap(&paths, &quick());
    assert_eq!(uses(&look(&paths)), [(Some(2), 3_000, 3_000)]);
    assert!(world.emulator.request_count() > asked);
    for threads in [1, 2, 1_000] {
        let all = AuditOptions::new().versions(version).threads(threads);
        assert_eq!(audit(paths.clone(), &all).messages, 3_000);
    }
}

#[test]
fn what_only_one_version_opens_is_told_and_so_is_what_is_no_message() {
    let world = World::new();
    let paths = world.fill("tree", 6);
    let other = wait(world.emulator.create_key("another"));
    let other = envelope(&world.emulator, &other);
    let foreign = other.encrypt(b"x", EncryptionContext::new()).unwrap();
    let foreign = Header::decode(&foreign).unwrap().slots().slots()[0].clone();
    // One with a second key, and one with two slots under one version.
    for (path, more) in [(&paths[2], &foreign), (&paths[5], &slot(&paths[2]))] {
        let mut message = StoredMessage::open(path).unwrap();
        let own = message.header().slots().slots()[0].clone();
        let written = message.replace(vec![own, more.clone()], &Default::default()).unwrap();
        assert_eq!(written, Replaced::Written { generation: 2 });
    }
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    fs::File::options().write(true).open(&paths[0]).unwrap().set_modified(old).unwrap();
    let mut damaged = fs::read(&paths[0]).unwrap();
    damaged[100] ^= 1;
    fs::write(world.path("damaged"), damaged).unwrap();
    fs::write(world.path("text"), "no message").unwrap();
    let more = ["damaged", "text", "absent"].map(|name| world.path(name));
    let audit = look(&[&paths[..], &more].concat());
    let of = |tag: &str| audit.keys.iter().find(|of| of.key.id() == tag).unwrap();
    let own = of(world.emulator.key_tag());
    assert_eq!((own.version, own.files, own.only, own.oldest), (Some(1), 6, 5, Some(old)));
    assert_eq!(own.bytes - own.only_bytes, fs::metadata(&paths[2]).unwrap().len());
    let foreign = of(foreign.key_id().id());
    assert_eq!((foreign.files, foreign.only, foreign.only_bytes), (1, 0, 0));
    assert_eq!((audit.messages, audit.not_messages), (6, 1));
    assert_eq!((audit.damaged, audit.unreadable), (1, 1));
    let mut named: Vec<_> = audit.failures.iter().map(|(path, _)| path.clone()).collect();
    named.sort();
    assert_eq!(named, [world.path("absent"), world.path("damaged")]);
}

fn slot(path: &PathBuf) -> ncp_envelope::WrappedKey {
    StoredMessage::open(path).unwrap().header().slots().slots()[0].clone()
}
