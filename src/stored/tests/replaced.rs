//! What a replacement does to a file, and what others do meanwhile.

use super::{PROFILES, Place};
use crate::error::ErrorKind;
use crate::format::Profile;
use crate::stored::{Replaced, StoredMessage, WriteOptions};
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::time::Duration;

#[test]
fn slots_that_somebody_else_replaced_are_looked_at_again() {
    let place = Place::new();
    for profile in PROFILES {
        for options in [WriteOptions::new(), WriteOptions::new().in_place(false)] {
            let path = place.message("m", profile, 0);
            let before = fs::read(&path).unwrap();
            let (mut first, mut second) =
                (StoredMessage::open(&path).unwrap(), StoredMessage::open(&path).unwrap());
            let slots = place.rewrapped(first.header());
            assert_eq!(
                first.replace(slots.clone(), &options).unwrap(),
                Replaced::Written { generation: 2 }
            );
            let now = fs::read(&path).unwrap();
            assert_eq!(second.replace(slots.clone(), &options).unwrap(), Replaced::Changed);
            assert_eq!(fs::read(&path).unwrap(), now);
            assert_eq!(second.header(), first.header());
            assert_eq!(
                second.replace(slots, &options).unwrap(),
                Replaced::Written { generation: 3 }
            );
            assert_eq!(place.opens(&path, &before), 3);
        }
    }
}

#[test]
fn what_a_link_leads_to_is_rewritten_and_rights_stay() {
    let place = Place::new();
    for (mode, in_place) in [(0o664, true), (0o666, false), (0o640, false), (0o600, false)] {
        let path = place.message("m", Profile::Compact, 0);
        let link = place.path("link");
        let _ = fs::remove_file(&link);
        symlink("m", &link).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let before = fs::read(&path).unwrap();
        let inode = fs::metadata(&path).unwrap().ino();
        place.rewrap(&link, &WriteOptions::new().in_place(in_place)).unwrap();
        assert_eq!(place.opens(&path, &before), 2);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        let now = fs::metadata(&path).unwrap();
        assert_eq!(now.mode() & 0o777, mode, "{mode:o}");
        assert_eq!(now.ino() == inode, in_place);
    }
}

#[test]
fn a_file_of_several_names_keeps_them() {
    let place = Place::new();
    let path = place.message("m", Profile::Compact, 0);
    let before = fs::read(&path).unwrap();
    let other = place.path("other");
    fs::hard_link(&path, &other).unwrap();
    place.rewrap(&path, &WriteOptions::new()).unwrap();
    assert_eq!(place.opens(&other, &before), 2);
    let anew = WriteOptions::new().in_place(false);
    let error = place.rewrap(&path, &anew).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    assert!(error.to_string().contains("2 names"), "{error}");
    assert_eq!(place.opens(&path, &before), 2);
    place.rewrap(&path, &anew.cut_links(true)).unwrap();
    assert_eq!((place.opens(&path, &before), place.opens(&other, &before)), (3, 2));
}

#[test]
fn whoever_holds_the_lock_is_waited_for_and_not_for_ever() {
    let place = Place::new();
    let path = place.message("m", Profile::Compact, 0);
    let before = fs::read(&path).unwrap();
    let holder = File::open(&path).unwrap();
    holder.lock().unwrap();
    let short = WriteOptions::new().patience(Duration::from_millis(20));
    let error = place.rewrap(&path, &short).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains("is locked: another program"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
    // Who held it puts another file there: that one is meant.
    let waiting = std::thread::scope(|scope| {
        let waiter = scope.spawn(|| place.rewrap(&path, &WriteOptions::new()));
        fs::rename(place.message("new", Profile::Durable, 0), &path).unwrap();
        drop(holder);
        waiter.join().unwrap().unwrap()
    });
    // Depending on which of the two it looked at first.
    let other = place.opens(&path, &fs::read(&path).unwrap());
    assert_eq!(other == 2, waiting == 2);
}

#[test]
fn many_at_once_each_write_a_generation() {
    let place = Place::new();
    for profile in PROFILES {
        for in_place in [true, false] {
            let path = place.message("m", profile, 0);
            let before = fs::read(&path).unwrap();
            let options = WriteOptions::new().in_place(in_place).sync(false);
            let all = std::thread::scope(|scope| {
                let writers: Vec<_> = (0..4)
                    .map(|_| {
                        scope.spawn(|| {
                            let mut written = 0;
                            let mut message = StoredMessage::open(&path).unwrap();
                            while written < 10 {
                                let slots = message.header().slots().slots().to_vec();
                                match message.replace(slots, &options).unwrap() {
                                    Replaced::Written { .. } => written += 1,
                                    Replaced::Changed => {}
                                }
                            }
                            written
                        })
                    })
                    .collect();
                writers.into_iter().map(|writer| writer.join().unwrap()).sum::<u32>()
            });
            assert_eq!(place.opens(&path, &before), 1 + all, "{profile:?} {in_place}");
        }
    }
}

#[test]
fn what_is_no_file_is_refused_and_not_waited_for() {
    let place = Place::new();
    let fifo = place.path("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    for (path, text) in [
        (place.dir.path().to_owned(), "is a directory"),
        (fifo, "is no regular file"),
        ("/dev/null".into(), "is no regular file"),
    ] {
        let error = StoredMessage::open(path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed);
        assert!(error.to_string().contains(text), "{error}");
    }
    let error = StoredMessage::open(place.path("absent")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
}

#[test]
fn slots_that_do_not_fit_are_refused_and_nothing_is_written() {
    let place = Place::new();
    for profile in PROFILES {
        let path = place.message("m", profile, 0);
        let before = fs::read(&path).unwrap();
        let mut message = StoredMessage::open(&path).unwrap();
        let slot = message.header().slots().slots()[0].clone();
        let long = crate::wrap::WrappedKey::new(slot.key_id().clone(), vec![1; 1_024]).unwrap();
        for slots in [vec![], vec![slot; 17], vec![long; 16]] {
            let error = message.replace(slots, &WriteOptions::new()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{error}");
        }
        assert_eq!(fs::read(&path).unwrap(), before);
    }
}
