//! Whole files: all or nothing under the final name.

use crate::common::{PROFILES, block_on, counting_envelope, envelope, names, sample};
use ncp_envelope::format::Profile;
use ncp_envelope::io::FileOptions;
use ncp_envelope::{DecryptPolicy, EncryptOptions, ErrorKind};
use std::fs;
use std::path::Path;

#[test]
fn files_of_every_length_round_trip() {
    let (envelope, dir) = (envelope(), tempfile::tempdir().unwrap());
    let path = |name: &str| dir.path().join(name);
    for len in [0, 1, 16_383, 16_384, 16_385, 262_143, 262_144, 262_145, 3 * 262_144, (1 << 20) + 7]
    {
        for profile in PROFILES {
            let plaintext = sample(len);
            fs::write(path("in"), &plaintext).unwrap();
            let options = FileOptions::new().overwrite(true).sync(len > 1);
            let report = block_on(envelope.encrypt_file_with(
                path("in"),
                path("sealed"),
                EncryptOptions::new().layout(profile),
                &options,
            ))
            .unwrap();
            assert_eq!(report.bytes_read, len as u64);
            assert_eq!(report.bytes_written, fs::metadata(path("sealed")).unwrap().len());
            let report = block_on(envelope.decrypt_file_with(
                path("sealed"),
                path("out"),
                &DecryptPolicy::new(),
                &options,
            ))
            .unwrap();
            assert_eq!(report.bytes_written, len as u64);
            assert_eq!(report.bytes_read, fs::metadata(path("sealed")).unwrap().len());
            assert_eq!(fs::read(path("out")).unwrap(), plaintext, "{len}");
            let message = fs::read(path("sealed")).unwrap();
            assert_eq!(
                *block_on(envelope.decrypt(&message, &DecryptPolicy::new())).unwrap(),
                plaintext,
                "one format for all paths"
            );
        }
    }
    assert_eq!(names(dir.path()), ["in", "out", "sealed"], "no temporary file is left");
}

#[test]
fn a_failed_decryption_leaves_the_target_as_it_was() {
    let (envelope, dir) = (envelope(), tempfile::tempdir().unwrap());
    let path = |name: &str| dir.path().join(name);
    fs::write(path("in"), sample((1 << 20) + 7)).unwrap();
    block_on(envelope.encrypt_file_with(
        path("in"),
        path("sealed"),
        EncryptOptions::new(),
        &FileOptions::new(),
    ))
    .unwrap();
    let message = fs::read(path("sealed")).unwrap();
    fs::write(path("old"), b"what was there").unwrap();

    let last = message.len() - 1;
    let flip = |at: usize| {
        let mut bad = message.clone();
        bad[at] ^= 1;
        bad
    };
    let cut = |len: usize| message[..len].to_vec();
    for (bad, kind) in [
        (flip(last), ErrorKind::Authentication),
        (flip(message.len() / 2), ErrorKind::Authentication),
        (flip(9), ErrorKind::UnsupportedVersion),
        (cut(message.len() - 1), ErrorKind::Authentication),
        (cut(message.len() - 7 - 16), ErrorKind::Truncated),
        (cut(100), ErrorKind::Truncated),
        (Vec::new(), ErrorKind::Truncated),
    ] {
        fs::write(path("bad"), bad).unwrap();
        let run = |target: &str| {
            let options = FileOptions::new().overwrite(true);
            block_on(envelope.decrypt_file_with(
                path("bad"),
                path(target),
                &DecryptPolicy::new(),
                &options,
            ))
            .unwrap_err()
        };
        let error = run("new");
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains("bad"), "{error} names the file");
        assert_eq!(run("old").kind(), kind);
        assert_eq!(fs::read(path("old")).unwrap(), b"what was there");
        assert_eq!(names(dir.path()), ["bad", "in", "old", "sealed"], "nothing else is left");
    }
}

#[test]
fn targets_that_must_not_be_replaced_are_refused_without_a_call() {
    let ((envelope, wrapper), dir) = (counting_envelope(), tempfile::tempdir().unwrap());
    let path = |name: &str| dir.path().join(name);
    fs::write(path("in"), b"data").unwrap();
    fs::write(path("there"), b"old").unwrap();
    fs::hard_link(path("in"), path("hard")).unwrap();
    std::os::unix::fs::symlink(path("in"), path("soft")).unwrap();
    std::os::unix::fs::symlink(path("nowhere"), path("dangling")).unwrap();
    fs::create_dir(path("dir")).unwrap();
    let refuse = |source: &str, target: &str, overwrite: bool, kind: ErrorKind, text: &str| {
        let options = FileOptions::new().overwrite(overwrite);
        let error = block_on(envelope.encrypt_file_with(
            path(source),
            path(target),
            EncryptOptions::new(),
            &options,
        ))
        .unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(text), "{error} should say {text:?}");
    };
    refuse("in", "there", false, ErrorKind::InvalidInput, "exists");
    refuse("in", "in", true, ErrorKind::InvalidInput, "same file");
    refuse("in", "dir/../in", true, ErrorKind::InvalidInput, "same file");
    refuse("in", "hard", true, ErrorKind::InvalidInput, "same file");
    refuse("in", "soft", true, ErrorKind::InvalidInput, "same file");
    refuse("soft", "in", true, ErrorKind::InvalidInput, "same file");
    refuse("in", "dir", true, ErrorKind::InvalidInput, "is a directory");
    refuse("in", "dangling", false, ErrorKind::InvalidInput, "exists");
    refuse("in", "no/such/dir", true, ErrorKind::Io, "cannot create a file beside");
    refuse("absent", "new", true, ErrorKind::Io, "cannot open");
    refuse("dir", "new", true, ErrorKind::InvalidInput, "is a directory");
    let device = Path::new("/dev/null");
    let error = block_on(envelope.encrypt_file_with(
        path("in"),
        device,
        EncryptOptions::new(),
        &FileOptions::new().overwrite(true),
    ))
    .unwrap_err();
    assert!(error.to_string().contains("not a regular file"));
    assert_eq!(wrapper.calls(), 0);
    assert_eq!(fs::read(path("in")).unwrap(), b"data");
    assert_eq!(fs::read(path("there")).unwrap(), b"old");
    assert_eq!(names(dir.path()), ["dangling", "dir", "hard", "in", "soft", "there"]);
}

// Without tokio the work is done on the caller's thread, and there is nobody who could cancel it.
#[cfg(feature = "tokio")]
#[test]
fn a_cancelled_call_leaves_nothing() {
    let (envelope, dir) = (envelope(), tempfile::tempdir().unwrap());
    let path = |name: &str| dir.path().join(name);
    fs::write(path("in"), sample(8 << 20)).unwrap();
    for threads in [1, 4] {
        cancel_halfway(&envelope, dir.path(), threads);
        assert_eq!(names(dir.path()), ["in"]);
    }
}

#[cfg(feature = "tokio")]
fn cancel_halfway(envelope: &ncp_envelope::Envelope, dir: &Path, threads: usize) {
    let path = |name: &str| dir.join(name);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    use std::sync::{Arc, Mutex};
    let (halfway, go_on) = (Arc::new(tokio::sync::Notify::new()), Arc::new(Mutex::new(())));
    let held = go_on.lock().unwrap();
    let options = {
        let (halfway, go_on) = (halfway.clone(), go_on.clone());
        FileOptions::new().threads(threads).progress(move |done, total| {
            assert_eq!(total, Some(8 << 20));
            if done >= 4 << 20 {
                halfway.notify_one();
                drop(go_on.lock());
            }
        })
    };
    runtime.block_on(async {
        let call =
            envelope.encrypt_file_with(path("in"), path("sealed"), EncryptOptions::new(), &options);
        tokio::select! {
            _ = call => panic!("finished while it was held up"),
            () = halfway.notified() => {}
        }
    });
    drop(held);
    drop(runtime); // Waits for the blocking thread.
}

#[test]
fn any_number_of_threads_round_trips_and_reports_in_order() {
    use std::sync::{Arc, Mutex};
    let (envelope, dir) = (envelope(), tempfile::tempdir().unwrap());
    let path = |name: &str| dir.path().join(name);
    let plaintext = sample((9 << 20) + 1_234);
    fs::write(path("in"), &plaintext).unwrap();
    for threads in [0, 1, 2, 3, 7, 1_000] {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let options = FileOptions::new().overwrite(true).threads(threads).progress({
            let seen = seen.clone();
            move |done, total| seen.lock().unwrap().push((done, total.unwrap()))
        });
        for (from, to) in [("in", "sealed"), ("sealed", "out")] {
            let report = match to {
                "sealed" => block_on(envelope.encrypt_file_with(
                    path(from),
                    path(to),
                    EncryptOptions::new().layout(Profile::Durable),
                    &options,
                ))
                .unwrap(),
                _ => block_on(envelope.decrypt_file_with(
                    path(from),
                    path(to),
                    &DecryptPolicy::new(),
                    &options,
                ))
                .unwrap(),
            };
            let seen = std::mem::take(&mut *seen.lock().unwrap());
            let len = fs::metadata(path(from)).unwrap().len();
            assert!(
                seen.len() > 9 && seen.windows(2).all(|pair| pair[0].0 < pair[1].0),
                "{threads}: {seen:?}"
            );
            assert_eq!((*seen.last().unwrap(), report.bytes_read), ((len, len), len));
        }
        assert_eq!(fs::read(path("out")).unwrap(), plaintext, "{threads}");
    }
}
