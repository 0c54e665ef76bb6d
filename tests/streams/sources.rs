//! What a source is, and whether it stays that.

use crate::common::{block_on, envelope, names, sample};
use ncp_envelope::io::{FileOptions, SourceFile};
use ncp_envelope::{DecryptPolicy, EncryptOptions, ErrorKind, Result};
use std::fs;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

#[test]
fn input_that_is_no_regular_file_is_read_to_its_end() {
    let (envelope, dir) = (envelope(), tempfile::tempdir().unwrap());
    let fifo = dir.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let plaintext = sample(300_000);
    let feed = {
        let (fifo, plaintext) = (fifo.clone(), plaintext.clone());
        std::thread::spawn(move || fs::write(fifo, plaintext).unwrap())
    };
    block_on(envelope.encrypt_file_with(
        &fifo,
        dir.path().join("sealed"),
        EncryptOptions::new(),
        &FileOptions::new(),
    ))
    .unwrap();
    feed.join().unwrap();
    let message = fs::read(dir.path().join("sealed")).unwrap();
    assert_eq!(*block_on(envelope.decrypt(&message, &DecryptPolicy::new())).unwrap(), plaintext);
}

#[test]
fn a_source_that_changes_its_length_meanwhile_is_refused() {
    let (envelope, dir) = (envelope(), tempfile::tempdir().unwrap());
    let path = |name: &str| dir.path().join(name);
    // Short enough for the plain loop, and long enough for threads.
    for (len, threads) in [(600_000, 1), (10 << 20, 1), (10 << 20, 3)] {
        fs::write(path("plain"), sample(len)).unwrap();
        let fresh = FileOptions::new().overwrite(true);
        block_on(envelope.encrypt_file_with(
            path("plain"),
            path("message"),
            EncryptOptions::new(),
            &fresh,
        ))
        .unwrap();
        for change in [len as u64 - 1, 1_000, 0, len as u64 + 1, 3 * len as u64] {
            for original in ["plain", "message"] {
                fs::copy(path(original), path("in")).unwrap();
                let options = FileOptions::new().threads(threads).progress({
                    let path = path("in");
                    move |_, _| {
                        fs::OpenOptions::new()
                            .write(true)
                            .open(&path)
                            .unwrap()
                            .set_len(change)
                            .unwrap()
                    }
                });
                let error = match original {
                    "plain" => block_on(envelope.encrypt_file_with(
                        path("in"),
                        path("out"),
                        EncryptOptions::new(),
                        &options,
                    )),
                    _ => block_on(envelope.decrypt_file_with(
                        path("in"),
                        path("out"),
                        &DecryptPolicy::new(),
                        &options,
                    )),
                };
                let error = error.unwrap_err();
                // In order, a message is opened as far as it goes before its end is missed.
                let refused = len < 1 << 20
                    && original == "message"
                    && matches!(error.kind(), ErrorKind::Truncated | ErrorKind::Authentication);
                assert!(
                    refused
                        || error.kind() == ErrorKind::Io
                            && error.to_string().contains("changed its length"),
                    "{error}"
                );
                assert_eq!(
                    names(dir.path()),
                    ["in", "message", "plain"],
                    "{original} of {len} to {change}"
                );
            }
        }
    }
}

#[test]
fn a_file_that_claims_no_length_is_read_to_its_end() {
    let (envelope, dir) = (envelope(), tempfile::tempdir().unwrap());
    let source = Path::new("/proc/self/cmdline");
    if fs::metadata(source).is_ok_and(|metadata| metadata.len() == 0) {
        block_on(envelope.encrypt_file_with(
            source,
            dir.path().join("out"),
            EncryptOptions::new(),
            &FileOptions::new(),
        ))
        .unwrap();
        let message = fs::read(dir.path().join("out")).unwrap();
        assert_eq!(
            *block_on(envelope.decrypt(&message, &DecryptPolicy::new())).unwrap(),
            fs::read(source).unwrap()
        );
    }
}

/// Encrypts a file of `len` bytes that `change` works on once a part of it was read.
fn encrypt_while(
    dir: &Path,
    len: usize,
    options: FileOptions,
    change: impl Fn(&Path) + Send + Sync + 'static,
) -> Result<()> {
    let path = dir.join("in");
    fs::write(&path, sample(len)).unwrap();
    let (source, once) = (path.clone(), std::sync::Once::new());
    let options = options.progress(move |_, _| once.call_once(|| change(&source)));
    let (out, how) = (dir.join("out"), EncryptOptions::new());
    block_on(envelope().encrypt_file_with(&path, out, how, &options)).map(drop)
}

/// Waits until a change now is at a later time than the last one, as the system counts it.
fn wait_for_the_clock(path: &Path) {
    let beside = path.with_extension("clock");
    let time = |path: &Path| fs::metadata(path).unwrap().modified().unwrap();
    loop {
        fs::write(&beside, b"").unwrap();
        if time(&beside) > time(path) {
            break fs::remove_file(&beside).unwrap();
        }
        std::thread::yield_now();
    }
}

fn write_in_place(path: &Path) {
    wait_for_the_clock(path);
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(b"other", 7).unwrap();
}

/// As who does not want it to be noticed.
fn write_and_set_the_time_back(path: &Path) {
    let before = fs::metadata(path).unwrap().modified().unwrap();
    write_in_place(path);
    fs::OpenOptions::new().write(true).open(path).unwrap().set_modified(before).unwrap();
}

#[test]
fn a_source_that_is_changed_in_place_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for (len, threads) in [(600_000, 1), (10 << 20, 1), (10 << 20, 3)] {
        let options = FileOptions::new().threads(threads);
        for change in [write_in_place as fn(&Path), write_and_set_the_time_back] {
            let error = encrypt_while(dir.path(), len, options.clone(), change).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Io, "{error}");
            assert!(error.to_string().contains("was changed while it was read"), "{error}");
            assert_eq!(names(dir.path()), ["in"]);
        }
        let allow = options.clone().allow_changing(true);
        encrypt_while(dir.path(), len, allow, write_in_place).unwrap();
        fs::remove_file(dir.path().join("out")).unwrap();
        encrypt_while(dir.path(), len, options, |path| drop(fs::read(path))).unwrap();
        fs::remove_file(dir.path().join("out")).unwrap();
    }
}

#[test]
fn a_log_that_grows_is_taken_as_far_as_it_was_if_that_is_allowed() {
    let dir = tempfile::tempdir().unwrap();
    let grow = |path: &Path| {
        fs::OpenOptions::new().append(true).open(path).unwrap().write_all(b"more").unwrap();
    };
    for (len, threads) in [(600_000, 1), (10 << 20, 2)] {
        let options = FileOptions::new().threads(threads).allow_changing(true);
        encrypt_while(dir.path(), len, options, grow).unwrap();
        let message = fs::read(dir.path().join("out")).unwrap();
        let plaintext = block_on(envelope().decrypt(&message, &DecryptPolicy::new())).unwrap();
        let now = fs::read(dir.path().join("in")).unwrap();
        assert!(plaintext.len() >= len && now.starts_with(&plaintext));
        fs::remove_file(dir.path().join("out")).unwrap();
    }
}

#[test]
fn a_source_says_what_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("in");
    fs::write(&path, b"0123456789").unwrap();
    let mut source = SourceFile::open(&path).unwrap();
    assert_eq!((source.len(), source.is_empty(), source.path()), (Some(10), false, &*path));
    let mut text = String::new();
    source.clone().read_to_string(&mut text).unwrap();
    assert_eq!((text.as_str(), source.read(&mut [0; 9]).unwrap()), ("0123456789", 0));
    source.check_unchanged().unwrap();
    let mut open = fs::File::open(&path).unwrap();
    open.seek(SeekFrom::Start(7)).unwrap();
    let rest = SourceFile::from_file(open, "standard input").unwrap();
    assert_eq!(rest.len(), Some(3));
    wait_for_the_clock(&path);
    fs::remove_file(&path).unwrap();
    let error = rest.check_unchanged().unwrap_err();
    assert!(error.to_string().starts_with("standard input was changed"), "{error}");
    let error = SourceFile::open(dir.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    let error = SourceFile::open(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "{error}");
    fs::write(&path, b"").unwrap();
    assert!(SourceFile::open(&path).unwrap().is_empty());
    let null = SourceFile::open("/dev/null").unwrap();
    assert_eq!((null.len(), null.is_empty()), (None, false));
    null.check_unchanged().unwrap();
}
