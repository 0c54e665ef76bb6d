//! Files that are something else, options, outages, and others at work.

use crate::kit::{World, census, envelope, of_profile, open_all, quick, rests, version, wait};
use ncp_envelope::emulator::{Fault, FaultKind, FaultShape};
use ncp_envelope::format::{Header, Profile};
use ncp_envelope::stored::{Outcome, StoredMessage};
use ncp_envelope::{EncryptionContext, ErrorKind};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[test]
fn each_file_has_its_outcome() {
    let world = World::new();
    let mut paths = world.fill("tree", 3);
    let other_key = wait(world.emulator.create_key("another"));
    let other = envelope(&world.emulator, &other_key);
    let message = other.encrypt(b"theirs", EncryptionContext::new()).unwrap();
    fs::write(world.path("tree/other"), message).unwrap();
    fs::write(world.path("tree/text"), "no message, and longer than a header has to be").unwrap();
    fs::write(world.path("tree/empty"), "").unwrap();
    fs::create_dir(world.path("tree/dir")).unwrap();
    let mut damaged = fs::read(&paths[0]).unwrap();
    damaged[100] ^= 1;
    fs::write(world.path("tree/damaged"), damaged).unwrap();
    fs::write(world.path("tree/cut"), &fs::read(&paths[0]).unwrap()[..90]).unwrap();
    world.rotate();
    for name in ["other", "text", "empty", "dir", "damaged", "cut", "absent"] {
        paths.push(world.path("tree").join(name));
    }
    let seen = Arc::new(Mutex::new(BTreeMap::new()));
    let tell = seen.clone();
    let report = world.rewrap(
        &paths,
        &quick().on_each(move |path, outcome| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let outcome = match outcome {
                Outcome::Rewrapped { .. } => "rewrapped",
                Outcome::OtherKey => "other key",
                Outcome::NotAMessage(_) => "no message",
                Outcome::Failed(_) => "failed",
                _ => "something else",
            };
            tell.lock().unwrap().insert(name, outcome);
        }),
    );
    let seen = seen.lock().unwrap();
    for (name, outcome) in [
        ("000000.ncpe", "rewrapped"),
        ("000001.ncpe", "rewrapped"),
        ("000002.ncpe", "rewrapped"),
        ("other", "other key"),
        ("text", "no message"),
        ("empty", "no message"),
        ("dir", "no message"),
        ("damaged", "failed"),
        ("cut", "failed"),
        ("absent", "failed"),
    ] {
        assert_eq!(seen[name], outcome, "{name}");
    }
    assert_eq!(
        (report.rewrapped, report.other_key, report.not_messages, report.failed),
        (3, 1, 3, 3)
    );
    let named: Vec<_> = report.failures.iter().map(|(path, error)| (path, error.kind())).collect();
    assert_eq!(named[2], (&world.path("tree/absent"), ErrorKind::Io));
    assert!(
        report
            .failures
            .iter()
            .all(|(path, error)| { error.to_string().contains(path.to_str().unwrap()) })
    );
    open_all(&world.envelope, &paths[..3]);

    let refused = |name: &str| {
        let refused = world.envelope.rewrap_file(world.path("tree").join(name), &quick());
        refused.unwrap_err().kind()
    };
    assert_eq!(refused("other"), ErrorKind::KeyNotAllowed);
    assert_eq!(refused("text"), ErrorKind::Malformed);
    assert_eq!(refused("absent"), ErrorKind::Io);
    assert!(matches!(world.envelope.rewrap_file(&paths[0], &quick()), Ok(Outcome::Newest)));
}

#[test]
fn a_dry_run_says_what_a_run_does_and_changes_nothing() {
    let world = World::new();
    let paths = world.fill("tree", 600);
    world.rotate();
    let all = world.rewrap(&paths[..100], &quick());
    assert_eq!(all.rewrapped, 100);
    let content = |paths: &[PathBuf]| -> Vec<_> {
        paths
            .iter()
            .map(|path| (fs::read(path).unwrap(), fs::metadata(path).unwrap().modified().unwrap()))
            .collect()
    };
    let before = content(&paths);
    let asked = world.emulator.requests().len();
    let checkpoint = world.path("checkpoint");
    let dry = world.rewrap(&paths, &quick().dry_run(true).checkpoint(&checkpoint));
    assert!(content(&paths) == before && !checkpoint.exists());
    assert_eq!(world.asked(asked), [(Some("re-encrypt"), 256)], "one array tells the version");
    let done = world.rewrap(&paths, &quick());
    assert_eq!((dry.rewrapped, dry.newest, dry.bytes > 0), (500, 100, true), "{dry:?}");
    assert_eq!((done.rewrapped, done.newest, done.bytes), (500, 100, dry.bytes));
}

#[test]
fn options_leave_files_alone() {
    let world = World::new();
    let old = world.fill("old", 9);
    world.rotate();
    let new = world.fill("new", 9);
    world.rotate();
    let paths = [&old[..], &new].concat();
    let report = world.rewrap(&paths, &quick().older_than(Duration::from_secs(3_600)));
    assert_eq!(report.left_out, 18);
    let report = world.rewrap(&paths, &quick().below(2));
    assert_eq!((report.rewrapped, report.left_out), (9, 9));
    assert_eq!(census(&paths), BTreeMap::from([((2, 1), 9), ((3, 2), 9)]));
    let header = Header::decode(&fs::read(&old[0]).unwrap()).unwrap();
    let key = header.slots().slots()[0].key_id().clone();
    let report = world.rewrap(&paths, &quick().only(key));
    assert_eq!((report.rewrapped, report.newest), (9, 9));
    let other = wait(world.emulator.create_key("another"));
    let other = envelope(&world.emulator, &other);
    let message = other.encrypt(b"x", EncryptionContext::new()).unwrap();
    let other = Header::decode(&message).unwrap().slots().slots()[0].key_id().clone();
    let refused = world.envelope.rewrap_files(paths, &quick().only(other)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_service_that_goes_away_ends_the_run_and_the_next_one_goes_on() {
    let world = World::new();
    let paths = world.fill("tree", 1_500);
    let before = rests(&paths);
    world.rotate();
    let requests = world.emulator.requests().len();
    let done = Arc::new(Mutex::new(0));
    let checkpoint = world.path("checkpoint");
    let (emulator, count) = (&world.emulator, done.clone());
    // The service is gone once the first files are written.
    let (gone, go) = std::sync::mpsc::channel::<()>();
    let (went, left) = std::sync::mpsc::channel::<()>();
    let left = Mutex::new(left);
    let report = std::thread::scope(|scope| {
        scope.spawn(move || {
            go.recv().unwrap();
            let fault = Fault::new(FaultKind::Status {
                status: 503,
                shape: FaultShape::Service,
                retry_after: None,
            })
            .on_action("re-encrypt");
            wait(emulator.inject(fault));
            drop(went);
        });
        let options = quick().checkpoint(&checkpoint).on_each(move |_, outcome| {
            if let Outcome::Rewrapped { .. } = outcome {
                let mut count = count.lock().unwrap();
                *count += 1;
                if *count == 1 {
                    gone.send(()).unwrap();
                    let _ = left.lock().unwrap().recv();
                }
            }
        });
        world.rewrap(&paths, &options)
    });
    let error = report.stopped.unwrap();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let done = *done.lock().unwrap();
    assert_eq!((report.rewrapped, report.failed), (done, 0));
    assert!((1..1_500).contains(&done));
    // Retries of one array, and not all the others.
    assert!(world.asked(requests).len() < 20);
    ncp_envelope::blocking::wait(world.emulator.clear_faults()).unwrap();
    open_all(&world.envelope, &paths);
    let report = world.rewrap(&paths, &quick().checkpoint(&checkpoint));
    assert_eq!((report.rewrapped, report.newest), (1_500 - done, done));
    assert_eq!(census(&paths), BTreeMap::from([((2, 2), 1_500)]));
    assert!(rests(&paths) == before);
}

#[test]
fn two_runs_at_once_in_one_process_do_each_file_once() {
    let world = World::new();
    let paths = world.fill("tree", 600);
    let before = rests(&paths);
    world.rotate();
    let other = envelope(&world.emulator, world.emulator.key_tag());
    let (a, b) = std::thread::scope(|scope| {
        let own = scope.spawn(|| world.rewrap(&paths, &quick()));
        let other = scope.spawn(|| other.rewrap_files(paths.clone(), &quick()).unwrap());
        (own.join().unwrap(), other.join().unwrap())
    });
    assert_eq!((a.rewrapped + b.rewrapped, a.failed + b.failed), (600, 0), "{a:?} {b:?}");
    assert_eq!(a.newest + b.newest, 600);
    assert_eq!(census(&paths), BTreeMap::from([((2, 2), 600)]));
    assert!(rests(&paths) == before);
    open_all(&world.envelope, &paths);
}

#[test]
fn after_the_highest_generation_comes_the_first() {
    let world = World::new();
    let paths = world.fill("tree", 3);
    for path in &paths {
        let mut message = fs::read(path).unwrap();
        let header = Header::decode(&message).unwrap();
        let a = header.bound().as_bytes().len();
        let copy = header.bound().copy_len();
        for at in 0..header.copies().len() {
            let copy = &mut message[a + at * copy..][..copy];
            copy[..4].copy_from_slice(&u32::MAX.to_be_bytes());
            let end = copy.len() - 4;
            let crc = crc32c::crc32c(&copy[..end]).to_be_bytes();
            copy[end..].copy_from_slice(&crc);
        }
        fs::write(path, message).unwrap();
    }
    for (newest, generation) in [(2, 1), (3, 2)] {
        world.rotate();
        assert_eq!(world.rewrap(&paths, &quick()).rewrapped, 3);
        assert_eq!(census(&paths), BTreeMap::from([((newest, generation), 3)]));
        open_all(&world.envelope, &paths);
    }
    assert_eq!(of_profile(3, Profile::Durable), 1);
}

#[test]
fn slots_under_other_keys_stay() {
    let world = World::new();
    let other_key = wait(world.emulator.create_key("another"));
    let other = envelope(&world.emulator, &other_key);
    let foreign = other.encrypt(b"x", EncryptionContext::new()).unwrap();
    let foreign = Header::decode(&foreign).unwrap().slots().slots()[0].clone();
    // The page profile has room for more slots.
    let path = world.fill("tree", 3).remove(2);
    let mut message = StoredMessage::open(&path).unwrap();
    let own = message.header().slots().slots()[0].clone();
    let written = message.replace(vec![foreign.clone(), own], &Default::default()).unwrap();
    assert_eq!(written, ncp_envelope::stored::Replaced::Written { generation: 2 });
    world.rotate();
    wait(world.emulator.rotate_key(&other_key));
    let report = world.rewrap(std::slice::from_ref(&path), &quick());
    assert_eq!(report.rewrapped, 1);
    let header = Header::decode(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(header.slots().slots()[0], foreign);
    assert_eq!(version(&header.slots().slots()[1]), Some(2));
    open_all(&world.envelope, &[path]);
}

#[test]
fn a_version_that_is_disabled_fails_its_files_and_no_others() {
    let world = World::new();
    let old = world.fill("old", 300);
    world.rotate();
    let new = world.fill("new", 300);
    world.rotate();
    let tag = world.emulator.key_tag();
    wait(world.emulator.disable_key_version(tag, 1));
    let paths = [&old[..], &new].concat();
    let before = world.emulator.request_count();
    let report = world.rewrap(&paths, &quick());
    assert_eq!((report.rewrapped, report.failed), (300, 300), "{report:?}");
    assert!(report.stopped.is_none());
    assert!(report.failures.iter().all(|(_, error)| error.kind() == ErrorKind::KeyUnusable));
    assert!(world.emulator.request_count() - before < 40);
    assert_eq!(census(&paths), BTreeMap::from([((1, 1), 300), ((3, 2), 300)]));
    // Two versions, and none that can be used: it is the key.
    let both = [&old[..10], &world.fill("newest", 9)[..]].concat();
    wait(world.emulator.disable_key(tag));
    let report = world.rewrap(&both, &quick());
    assert_eq!(report.stopped.unwrap().kind(), ErrorKind::KeyUnusable);
}

#[test]
fn a_run_that_is_dropped_leaves_files_that_open_and_can_be_gone_on_with() {
    let world = World::new();
    let paths = world.fill("tree", 900);
    let before = rests(&paths);
    world.rotate();
    let checkpoint = world.path("checkpoint");
    let client = crate::kit::asynchronous(&world.emulator, world.emulator.key_tag());
    let (tell, told) = tokio::sync::oneshot::channel();
    let tell = Mutex::new(Some(tell));
    // Dropped while files of the first array are written.
    let options = quick().checkpoint(&checkpoint).on_each(move |_, _| {
        if let Some(tell) = tell.lock().unwrap().take() {
            tell.send(()).unwrap();
        }
    });
    crate::common::block_on(async {
        tokio::select! {
            biased;
            _ = told => {}
            report = client.rewrap_files(paths.clone(), &options) => panic!("{report:?}"),
        }
    });
    let done = census(&paths).get(&(2, 2)).copied().unwrap_or(0);
    assert!((1..900).contains(&done), "{done}");
    open_all(&world.envelope, &paths);
    // Whoever drops a run waits for nobody, so it may still hold its checkpoint.
    let start = std::time::Instant::now();
    let report = loop {
        match world.envelope.rewrap_files(paths.clone(), &quick().checkpoint(&checkpoint)) {
            Err(error) if start.elapsed() < Duration::from_secs(60) => {
                assert!(error.to_string().contains("is in use"), "{error}");
            }
            report => break report.unwrap(),
        }
    };
    assert_eq!((report.rewrapped + report.newest, report.failed), (900, 0));
    assert_eq!(census(&paths), BTreeMap::from([((2, 2), 900)]));
    assert!(rests(&paths) == before);
}
