//! Whole files that are verified and written nowhere.

use crate::common::{block_on, counting_envelope, envelope, names, sample};
use ncp_envelope::io::FileOptions;
use ncp_envelope::{DecryptPolicy, EncryptOptions, ErrorKind};
use std::fs;
use std::sync::{Arc, Mutex};

#[test]
fn a_file_is_verified_as_it_is_decrypted() {
    let (envelope, wrapper) = counting_envelope();
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    // Read in order, and by threads.
    for len in [0, 1, 16_384, 40_000, (1 << 20) + 7, 5 << 20] {
        let message =
            block_on(envelope.encrypt(&sample(len), EncryptOptions::new().aad("a"))).unwrap();
        fs::write(path("sealed"), &message).unwrap();
        let told = Arc::new(Mutex::new(Vec::new()));
        let options = FileOptions::new().threads(2).progress({
            let told = told.clone();
            move |done, total| {
                assert_eq!(total, Some(message.len() as u64));
                told.lock().unwrap().push(done);
            }
        });
        let calls = wrapper.calls();
        let policy = DecryptPolicy::new().aad("a");
        let report =
            block_on(envelope.verify_file_with(path("sealed"), &policy, &options)).unwrap();
        let size = fs::metadata(path("sealed")).unwrap().len();
        assert_eq!((report.bytes_read, report.bytes_written), (size, len as u64));
        assert_eq!(wrapper.calls(), calls + 1);
        let told = told.lock().unwrap();
        assert!(told.is_sorted() && told.last() == Some(&size), "{len}: {told:?}");
        assert_eq!(names(dir.path()), ["sealed"]);
    }
}

#[test]
fn what_is_refused_is_refused_as_in_decryption() {
    let (envelope, dir) = (envelope(), tempfile::tempdir().unwrap());
    let path = |name: &str| dir.path().join(name);
    let options = FileOptions::new();
    for len in [40_000, 3 << 20] {
        let message = block_on(envelope.encrypt(&sample(len), EncryptOptions::new())).unwrap();
        let end = message.len();
        let refused = |policy: &DecryptPolicy, what: &str| {
            let verified = block_on(envelope.verify_file_with(path("m"), policy, &options));
            let decrypted =
                block_on(envelope.decrypt_file_with(path("m"), path("o"), policy, &options));
            let error = verified.unwrap_err();
            assert_eq!(error.to_string(), decrypted.unwrap_err().to_string(), "{what}");
            assert!(error.to_string().contains("m: message"), "{error}");
            error.kind()
        };
        let policy = DecryptPolicy::new();
        for at in [20, 700, end / 2, end - 1] {
            let mut changed = message.clone();
            changed[at] ^= 1;
            fs::write(path("m"), &changed).unwrap();
            refused(&policy, &format!("a bit at {at}"));
        }
        for cut in [0, 10, 300, end - 16_400, end - 1] {
            fs::write(path("m"), &message[..cut]).unwrap();
            refused(&policy, &format!("cut at {cut}"));
        }
        fs::write(path("m"), &message).unwrap();
        let strict = policy.clone().require("kind", "note");
        assert_eq!(refused(&strict, "a policy"), ErrorKind::NotAccepted);
        assert!(block_on(envelope.verify_file_with(path("m"), &policy, &options)).is_ok());
        let absent = block_on(envelope.verify_file_with(path("absent"), &policy, &options));
        assert_eq!(absent.unwrap_err().kind(), ErrorKind::Io);
        assert_eq!(names(dir.path()), ["m"]);
    }
}

#[cfg(unix)]
#[test]
fn a_pipe_is_verified_too() {
    let (envelope, dir) = (envelope(), tempfile::tempdir().unwrap());
    let fifo = dir.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let message = block_on(envelope.encrypt(&sample(3 << 20), EncryptOptions::new())).unwrap();
    for (cut, good) in [(0, true), (1, false)] {
        let (path, part) = (fifo.clone(), message[..message.len() - cut].to_vec());
        let feed = std::thread::spawn(move || fs::write(path, part).unwrap());
        let policy = DecryptPolicy::new();
        let report = block_on(envelope.verify_file_with(&fifo, &policy, &FileOptions::new()));
        feed.join().unwrap();
        assert_eq!(report.map(|report| report.bytes_written == 3 << 20).ok(), good.then_some(true));
    }
}
