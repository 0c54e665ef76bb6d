//! Notes of what is done.

use crate::kit::{World, census, envelope, open_all, quick, wait};
use ncp_envelope::ErrorKind;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

#[test]
fn a_noted_file_is_not_looked_at_and_one_that_changed_is() {
    let world = World::new();
    let paths = world.fill("tree", 600);
    world.rotate();
    let checkpoint = world.path("checkpoint");
    let options = quick().checkpoint(&checkpoint);
    assert_eq!(world.rewrap(&paths, &options).rewrapped, 600);
    let notes = fs::read_to_string(&checkpoint).unwrap();
    assert_eq!(notes.lines().count(), 2 + 600);
    let report = world.rewrap(&paths, &options);
    assert_eq!((report.newest, report.rewrapped), (600, 0));
    assert_eq!(fs::read_to_string(&checkpoint).unwrap(), notes, "nothing is noted twice");
    // A note that is not true shows that the file was not looked into.
    fs::write(world.path("text"), "no message").unwrap();
    fs::write(&checkpoint, format!("{notes}{}", note(&world.path("text")))).unwrap();
    let more = [&paths[..], &[world.path("text")]].concat();
    let report = world.rewrap(&more, &options);
    assert_eq!((report.newest, report.not_messages), (601, 0));
    fs::write(&checkpoint, &notes).unwrap();
    assert_eq!(world.rewrap(&more, &options).not_messages, 1);
    // An old copy of the first file comes back.
    let old = world.fill("elsewhere", 1);
    fs::write(&paths[599], fs::read(&old[0]).unwrap()).unwrap();
    let report = world.rewrap(&paths, &options);
    assert_eq!((report.newest, report.rewrapped), (600, 0), "it has the newest version");
    assert_eq!(fs::read_to_string(&checkpoint).unwrap().lines().count(), 2 + 601);
    // A note of what is not the newest version any more is worth nothing.
    world.rotate();
    assert_eq!(world.rewrap(&paths, &options).rewrapped, 600);
    assert_eq!(world.rewrap(&paths, &options).newest, 600);
    assert!(census(&paths).keys().all(|(version, _)| *version == 3));
}

/// That the file has version 2.
fn note(path: &Path) -> String {
    let now = fs::metadata(path).unwrap();
    let (modified, changed) = ((now.mtime(), now.mtime_nsec()), (now.ctime(), now.ctime_nsec()));
    format!(
        "0:2 {} {} {} {} {} {} {}\n",
        now.dev(),
        now.ino(),
        now.len(),
        modified.0,
        modified.1,
        changed.0,
        changed.1
    )
}

#[test]
fn half_a_line_is_cut_off_and_lost_lines_cost_a_look() {
    let world = World::new();
    let paths = world.fill("tree", 30);
    world.rotate();
    let checkpoint = world.path("checkpoint");
    let options = quick().checkpoint(&checkpoint);
    world.rewrap(&paths, &options);
    let notes = fs::read(&checkpoint).unwrap();
    for len in 0..notes.len() {
        // Every byte of the first lines and of the last.
        if (120..notes.len() - 100).contains(&len) {
            continue;
        }
        fs::write(&checkpoint, &notes[..len]).unwrap();
        let report = world.rewrap(&paths, &options);
        assert_eq!((report.newest, report.rewrapped), (30, 0), "{len}");
        let mut now: Vec<_> = fs::read(&checkpoint)
            .unwrap()
            .split(|byte| *byte == b'\n')
            .map(<[u8]>::to_vec)
            .collect();
        let mut whole: Vec<_> = notes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        now.sort();
        whole.sort();
        assert_eq!(now, whole, "{len}");
    }
    assert_eq!(census(&paths), BTreeMap::from([((2, 2), 30)]));
    open_all(&world.envelope, &paths);
}

#[test]
fn what_is_no_checkpoint_of_this_run_is_refused_and_stays_as_it_is() {
    let world = World::new();
    let paths = world.fill("tree", 3);
    let checkpoint = world.path("checkpoint");
    let options = quick().checkpoint(&checkpoint);
    world.rewrap(&paths, &options);
    let notes = fs::read_to_string(&checkpoint).unwrap();
    let message = fs::read(&paths[0]).unwrap();
    let damaged = notes.replacen("\n0:", "\nx:", 1);
    for (content, text) in [
        (&message[..], "is no checkpoint of a rewrap"),
        (b"notes of mine\n", "is no checkpoint of a rewrap"),
        (b"notes of mine", "is no checkpoint of a rewrap"),
        (b"ncp-envelope rewrap checkpoint 2\n", "of another release"),
        (damaged.as_bytes(), "damaged in line 3"),
    ] {
        fs::write(&checkpoint, content).unwrap();
        let error = world.envelope.rewrap_files(paths.clone(), &options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert!(error.to_string().contains(text), "{error} should say {text}");
        assert_eq!(fs::read(&checkpoint).unwrap(), content);
    }
    let fifo = world.path("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    for place in [fifo, world.path(""), "/dev/full".into()] {
        let refused = world.envelope.rewrap_files(paths.clone(), &quick().checkpoint(place));
        let error = refused.unwrap_err();
        assert!(error.to_string().contains("is no regular file"), "{error}");
    }
    fs::write(&checkpoint, &notes).unwrap();
    let other = wait(world.emulator.create_key("another"));
    let other = envelope(&world.emulator, &other);
    let error = other.rewrap_files(paths.clone(), &options).unwrap_err();
    assert!(error.to_string().contains("of another key"), "{error}");
    assert!(error.to_string().contains(world.emulator.key_tag()), "{error}");
    let held = File::open(&checkpoint).unwrap();
    held.lock().unwrap();
    let error = world.envelope.rewrap_files(paths.clone(), &options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains("is in use"), "{error}");
    drop(held);
    assert_eq!(fs::read_to_string(&checkpoint).unwrap(), notes);
    assert_eq!(world.rewrap(&paths, &options).newest, 3);
}
