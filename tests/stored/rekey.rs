//! Stored messages under a new data key.

use crate::common::{PROFILES, block_on, sample};
use crate::slots::{Place, key, of};
use ncp_envelope::format::{Header, Layout, Profile};
use ncp_envelope::stored::{RekeyOptions, WriteOptions};
use ncp_envelope::{DecryptPolicy, EncryptOptions, EncryptionContext, Error, ErrorKind, Result};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn rekey(ids: &[&str], path: &Path, options: &RekeyOptions) -> Result<()> {
    block_on(of(ids).rekey_file(path, &DecryptPolicy::new(), options)).map(drop)
}

#[track_caller]
fn refused(result: Result<()>, kind: ErrorKind, words: &str) -> Error {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(words), "{error} should say {words:?}");
    error
}

#[test]
fn old_slots_put_back_do_not_open_the_new_message() {
    let place = Place::new();
    for profile in PROFILES {
        let context = EncryptionContext::new().with("kind", "note").unwrap();
        let options = EncryptOptions::new().context(context.clone()).aad("x").layout(profile);
        let path = place.message(&["a", "b"], options);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let before = fs::read(&path).unwrap();
        let policy = DecryptPolicy::new().aad("x").require("kind", "note");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let options = RekeyOptions::new().progress({
            let seen = seen.clone();
            move |done, total| seen.lock().unwrap().push((done, total))
        });
        let report = block_on(of(&["b", "a"]).rekey_file(&path, &policy, &options)).unwrap();
        let after = fs::read(&path).unwrap();
        let len = after.len() as u64;
        assert_eq!((report.bytes_read, report.bytes_written), (before.len() as u64, len));
        assert!(seen.lock().unwrap().iter().all(|(_, total)| *total == Some(len)));
        assert_eq!(seen.lock().unwrap().last().unwrap().0, before.len() as u64);
        for id in ["a", "b"] {
            assert!(place.opens(&path, id, &policy));
        }
        let header = Header::decode(&after).unwrap();
        assert_eq!(header.bound().layout(), Layout::from(profile));
        assert_eq!(header.bound().context(), &context);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        // Region B of before, in front of the body of now.
        let (start, body) = (header.bound().as_bytes().len(), header.bound().body_offset());
        let back = [&after[..start], &before[start..body], &after[body..]].concat();
        let opened = block_on(of(&["a"]).decrypt(&back, &policy));
        assert_eq!(opened.map(drop).unwrap_err().kind(), ErrorKind::Authentication);
    }
    assert_eq!(place.names(), ["m"]);
}

#[test]
fn nobody_loses_a_message_without_being_told() {
    let (place, policy) = (Place::new(), DecryptPolicy::new());
    let path = place.message(&["a", "b", "c"], EncryptionContext::new());
    let before = fs::read(&path).unwrap();
    let error = refused(
        rekey(&["a"], &path, &RekeyOptions::new()),
        ErrorKind::KeyNotAllowed,
        "can be opened with b, c too, which would be lost",
    );
    assert!(!error.to_string().contains("KeyId"));
    assert!(fs::read(&path).unwrap() == before);
    rekey(&["a", "b"], &path, &RekeyOptions::new().drop_other_keys(true)).unwrap();
    let who = ["a", "b", "c"].map(|id| place.opens(&path, id, &policy));
    assert_eq!(who, [true, true, false]);
}

#[test]
fn a_damaged_message_stays_as_it_is() {
    let place = Place::new();
    let path = place.message(&["a"], EncryptionContext::new());
    let good = fs::read(&path).unwrap();
    let (last, options) = (good.len() - 1, RekeyOptions::new());
    let body = Header::decode(&good).unwrap().bound().body_offset();
    let flipped = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    for (damaged, kind) in [
        (flipped(body), ErrorKind::Authentication),
        (flipped(body + 60), ErrorKind::Authentication),
        (flipped(last), ErrorKind::Authentication),
        (good[..last].to_vec(), ErrorKind::Authentication),
        (good[..body + 56 + 16_400].to_vec(), ErrorKind::Truncated),
        (good[..body + 10].to_vec(), ErrorKind::Truncated),
        (good[..body].to_vec(), ErrorKind::Truncated),
        (good[..body - 1].to_vec(), ErrorKind::Truncated),
        (b"no message".to_vec(), ErrorKind::Malformed),
    ] {
        fs::write(&path, &damaged).unwrap();
        let error = refused(rekey(&["a"], &path, &options), kind, "m: ");
        assert_eq!(error.to_string().matches("/m: ").count(), 1, "{error}");
        assert!(fs::read(&path).unwrap() == damaged);
        assert_eq!(place.names(), ["m"]);
    }
}

#[test]
fn another_layout_makes_room_for_more_keys() {
    let (place, policy) = (Place::new(), DecryptPolicy::new());
    let path = place.message(&["a"], EncryptionContext::new());
    let page = RekeyOptions::new().layout(Profile::Page);
    rekey(&["a", "b", "c", "d"], &path, &page).unwrap();
    assert!(["a", "b", "c", "d"].iter().all(|id| place.opens(&path, id, &policy)));
    let header = Header::decode(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(header.bound().body_offset(), 4_096);
    assert_eq!(header.slots().slots().len(), 4);
}

#[test]
fn a_file_with_two_names_is_not_cut_in_two_unasked() {
    let place = Place::new();
    let path = place.message(&["a"], EncryptionContext::new());
    fs::hard_link(&path, place.path("n")).unwrap();
    let before = fs::read(&path).unwrap();
    let options = RekeyOptions::new();
    refused(rekey(&["a"], &path, &options), ErrorKind::InvalidInput, "2 names (hard links)");
    rekey(&["a"], &path, &options.write(WriteOptions::new().cut_links(true))).unwrap();
    assert!(fs::read(place.path("n")).unwrap() == before);
    assert!(fs::read(&path).unwrap() != before);
}

#[test]
fn a_file_that_another_holds_is_left_to_it() {
    let place = Place::new();
    let path = place.message(&["a"], EncryptionContext::new());
    let before = fs::read(&path).unwrap();
    let held = fs::File::open(&path).unwrap();
    held.lock().unwrap();
    let brief = WriteOptions::new().patience(Duration::from_millis(20));
    let options = RekeyOptions::new().write(brief);
    refused(rekey(&["a"], &path, &options), ErrorKind::Io, "is locked");
    assert!(fs::read(&path).unwrap() == before);
    drop(held);
    rekey(&["a"], &path, &options).unwrap();
}

/// What replaces or changes the file while it is written anew stays.
#[test]
fn what_others_put_there_meanwhile_stays() {
    let place = Place::new();
    for replace in [true, false] {
        let path = place.message(&["a"], EncryptionContext::new());
        let (other, target) = (sample(100), path.clone());
        let meddle = RekeyOptions::new().progress({
            let other = other.clone();
            move |_, _| {
                if replace {
                    fs::write(target.with_extension("new"), &other).unwrap();
                    fs::rename(target.with_extension("new"), &target).unwrap();
                } else {
                    let now = fs::read(&target).unwrap();
                    fs::write(&target, [&now[..], b"more"].concat()).unwrap();
                }
            }
        });
        let error = rekey(&["a"], &path, &meddle).unwrap_err();
        let there = fs::read(&path).unwrap();
        assert!(if replace { there == other } else { there.ends_with(b"more") }, "{error}");
        assert_eq!(place.names(), ["m"]);
    }
}

#[test]
fn the_key_of_the_envelope_is_asked_for_and_no_other() {
    let place = Place::new();
    let path = place.message(&["a"], EncryptionContext::new());
    assert_eq!(of(&["b", "c"]).key_ids(), [key("b"), key("c")]);
    let text = "is for key a (local), and this reader is for key b (local)";
    refused(rekey(&["b"], &path, &RekeyOptions::new()), ErrorKind::KeyNotAllowed, text);
}
