//! One message, whichever way it is written and read.

use super::*;
use crate::format::testing::{fixed, fixed_decryptor, fixed_message, sample};
use crate::format::{CHUNK_LEN, PREAMBLE_LEN, SEALED_CHUNK_LEN, TAG_LEN};
use crate::io::EncryptWriter;
use crate::io::run::{RUN_CHUNKS, SEALED_RUN_LEN};
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

const RUN: usize = RUN_CHUNKS * CHUNK_LEN;
const LENGTHS: [usize; 14] = [
    0,
    1,
    16_383,
    16_384,
    16_385,
    RUN - 1,
    RUN,
    RUN + 1,
    RUN + CHUNK_LEN,
    2 * RUN - 1,
    2 * RUN,
    11 * RUN + 5,
    40 * RUN + 16_383,
    64 * RUN,
];

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A call from "in" to "out".
    fn job(&self, input: &[u8], options: FileOptions) -> Job {
        fs::write(self.path("in"), input).unwrap();
        Job::start(
            Way::Encrypt,
            &self.path("in"),
            Some(&self.path("out")),
            options.overwrite(true).sync(false),
            Cancelled::default(),
        )
        .unwrap()
    }

    fn encrypt(&self, plaintext: &[u8], threads: usize) -> Vec<u8> {
        let mut job = self.job(plaintext, FileOptions::new().threads(threads));
        job.written = job.in_runs(plaintext.len() as u64, |files| files.encrypt(fixed())).unwrap();
        let report = job.publish(EncryptionContext::new()).and_then(Published::settle).unwrap();
        let message = fs::read(self.path("out")).unwrap();
        assert_eq!(
            (report.bytes_read, report.bytes_written),
            (plaintext.len() as u64, message.len() as u64)
        );
        message
    }

    fn decrypt(&self, message: &[u8], threads: usize) -> Result<Vec<u8>> {
        let (decryptor, body) = fixed_decryptor(message);
        let mut job = self.job(message, FileOptions::new().threads(threads));
        job.done = (body + PREAMBLE_LEN) as u64;
        job.written =
            job.in_runs(message.len() as u64, |files| files.decrypt(decryptor, body as u64))?;
        let report = job.publish(EncryptionContext::new()).and_then(Published::settle)?;
        let plaintext = fs::read(self.path("out")).unwrap();
        assert_eq!(
            (report.bytes_read, report.bytes_written),
            (message.len() as u64, plaintext.len() as u64)
        );
        Ok(plaintext)
    }
}

// F-23, F-24
#[test]
fn every_way_to_write_gives_the_same_bytes() {
    let place = Place::new();
    for len in LENGTHS {
        let plaintext = sample(len);
        let message = fixed_message(&plaintext);
        let mut job = place.job(&plaintext, FileOptions::new());
        job.encrypt_in_order(fixed()).unwrap();
        job.publish(EncryptionContext::new()).and_then(Published::settle).unwrap();
        assert!(fs::read(place.path("out")).unwrap() == message, "{len} in order");
        for threads in [0, 1, 2, 3, 7, 99] {
            assert!(place.encrypt(&plaintext, threads) == message, "{len} with {threads} threads");
        }
        let mut writer = EncryptWriter::new(fixed(), Vec::new());
        writer.write_all(&plaintext).unwrap();
        assert!(writer.finish().unwrap() == message, "{len} through the writer");
        #[cfg(feature = "tokio")]
        ::tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
            use ::tokio::io::AsyncWriteExt;
            let mut writer = crate::io::AsyncEncryptWriter::new(fixed(), Vec::new());
            writer.write_all(&plaintext).await.unwrap();
            assert!(writer.finish().await.unwrap() == message, "{len} through the tokio writer");
        });
        for threads in [0, 1, 2, 3, 7, 99] {
            assert!(
                place.decrypt(&message, threads).unwrap() == plaintext,
                "{len} with {threads} threads"
            );
        }
    }
}

// F-25, F-27
#[test]
fn whatever_was_changed_no_thread_lets_it_pass() {
    let place = Place::new();
    let plaintext = sample(2 * RUN + 3 * CHUNK_LEN + 100);
    let message = fixed_message(&plaintext);
    let start = message.len() - (plaintext.len() + (plaintext.len() / CHUNK_LEN + 1) * TAG_LEN);
    let chunk = |index: usize| start + index * SEALED_CHUNK_LEN;
    let chunks = plaintext.len() / CHUNK_LEN + 1;
    let mut bad = Vec::new();
    for index in 0..chunks {
        let mut flipped = message.clone();
        flipped[chunk(index) + index] ^= 0x10;
        bad.push((flipped, ErrorKind::Authentication));
        if index + 2 < chunks {
            let mut swapped = message.clone();
            let (one, other) = swapped.split_at_mut(chunk(index + 1));
            one[chunk(index)..].swap_with_slice(&mut other[..SEALED_CHUNK_LEN]);
            bad.push((swapped, ErrorKind::Authentication));
        }
        bad.push((message[..chunk(index)].to_vec(), ErrorKind::Truncated));
        bad.push((message[..chunk(index) + 20].to_vec(), ErrorKind::Authentication));
        let missing =
            [&message[..chunk(index)], &message[chunk(index + 1).min(message.len())..]].concat();
        bad.push((
            missing,
            if index + 1 < chunks { ErrorKind::Authentication } else { ErrorKind::Truncated },
        ));
    }
    bad.push(([&message[..], b"x"].concat(), ErrorKind::Authentication));
    bad.push((message[..message.len() - 1].to_vec(), ErrorKind::Authentication));
    for (at, (message, kind)) in bad.iter().enumerate() {
        for threads in [1, 2, 7] {
            let error = place.decrypt(message, threads).unwrap_err();
            assert_eq!(error.kind(), *kind, "{at}, {threads} threads: {error}");
            assert_eq!(
                fs::read_dir(place.0.path()).unwrap().count(),
                1,
                "{at}: only the input is left"
            );
        }
    }
}

#[test]
fn of_several_failures_the_first_in_the_file_is_reported() {
    let place = Place::new();
    let message = fixed_message(&sample(40 * RUN));
    for threads in [1, 2, 7] {
        // A chunk that fails in an early run, and an end that is gone when its run is read.
        let mut bad = message.clone();
        bad[3 * SEALED_RUN_LEN] ^= 1;
        let (decryptor, body) = fixed_decryptor(&message);
        let mut job = place.job(&bad, FileOptions::new().threads(threads));
        let cut = 5 * SEALED_RUN_LEN as u64;
        fs::OpenOptions::new().write(true).open(place.path("in")).unwrap().set_len(cut).unwrap();
        let error = job
            .in_runs(message.len() as u64, |files| files.decrypt(decryptor, body as u64))
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Authentication, "{error}");
        let (decryptor, body) = fixed_decryptor(&message);
        let mut job = place.job(&message[..cut as usize], FileOptions::new().threads(threads));
        let error = job
            .in_runs(message.len() as u64, |files| files.decrypt(decryptor, body as u64))
            .unwrap_err();
        assert!(
            error.kind() == ErrorKind::Io && error.to_string().contains("changed its length"),
            "{error}"
        );
    }
}

#[test]
fn a_worker_that_panics_stops_the_others_and_leaves_nothing() {
    let place = Place::new();
    for threads in [1, 3] {
        let calls = Arc::new(AtomicBool::new(false));
        let options = FileOptions::new().threads(threads).progress({
            let calls = calls.clone();
            move |_, _| assert!(!calls.swap(true, Ordering::SeqCst), "planted")
        });
        let job = place.job(&sample(40 * RUN), options);
        let result =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| job.encrypt(fixed())));
        assert!(!matches!(result, Ok(Ok(_))), "the panic got lost");
        assert_eq!(fs::read_dir(place.0.path()).unwrap().count(), 1);
    }
}

/// What a whole call asks of the file system, on this thread.
#[cfg(target_os = "linux")]
mod asked {
    use super::*;
    use crate::output::tests::watch::{Fault, watched, watched_with};
    use crate::output::{Step, Step::*};
    use rustix::io::Errno;

    /// In order, and in runs.
    const LENGTHS: [usize; 3] = [0, 40_000, 4 * RUN + 5];

    fn call(place: &Place, way: Way, sync: bool) -> Result<FileReport> {
        let (from, to) = (place.path("in"), place.path("out"));
        let options = FileOptions::new().overwrite(true).sync(sync).threads(1);
        let mut job = Job::start(way, &from, Some(&to), options, Cancelled::default())?;
        match way {
            Way::Encrypt => job.encrypt(fixed()),
            Way::Decrypt => {
                let (decryptor, body) = fixed_decryptor(&fs::read(&from).unwrap());
                let front = (body + PREAMBLE_LEN) as u64;
                io::copy(&mut (&job.source).take(front), &mut io::sink()).unwrap();
                job.done = front;
                job.decrypt(decryptor, body as u64)
            }
        }
    }

    fn prepare(place: &Place, way: Way, len: usize) -> Vec<u8> {
        let (plaintext, message) = (sample(len), fixed_message(&sample(len)));
        let (input, output) = match way {
            Way::Encrypt => (plaintext, message),
            Way::Decrypt => (message, plaintext),
        };
        fs::write(place.path("in"), input).unwrap();
        output
    }

    #[test]
    fn all_is_written_then_synced_then_named_and_then_the_name_is_synced() {
        for way in [Way::Encrypt, Way::Decrypt] {
            for len in LENGTHS {
                let place = Place::new();
                let output = prepare(&place, way, len);
                let (done, steps) = watched(Fault::Nothing, || call(&place, way, true));
                done.unwrap();
                assert!(fs::read(place.path("out")).unwrap() == output);
                let ends: [Step; 3] = [Sync, LinkNameless, SyncDirectory];
                assert!(steps.ends_with(&ends), "{len}: {steps:?}");
                let written = &steps[1..steps.len() - ends.len()];
                assert_eq!(steps[0], CreateNameless);
                assert!(written.iter().all(|step| [Reserve, Write].contains(step)), "{steps:?}");
                let writes = written.iter().filter(|step| **step == Write).count();
                let reserves = written.len() - writes;
                // A message's length is known at the start, and there is room or not. That of a
                // plaintext is only claimed, until it was verified.
                match way {
                    Way::Encrypt if len >= 1 << 20 => {
                        assert_eq!((written[0], reserves), (Reserve, 1), "{steps:?}");
                    }
                    Way::Encrypt => assert_eq!(reserves, 0, "{steps:?}"),
                    Way::Decrypt => assert!(reserves <= writes, "{steps:?}"),
                }
                let (done, steps) = watched(Fault::Nothing, || call(&place, way, false));
                done.unwrap();
                assert!(!steps.iter().any(|step| [Sync, SyncDirectory].contains(step)));
            }
        }
    }

    #[test]
    fn whichever_request_fails_the_target_is_what_it_was_or_whole() {
        let named: &[(Step, Errno)] = &[(CreateNameless, Errno::OPNOTSUPP)];
        for (way, system) in [(Way::Encrypt, &[][..]), (Way::Decrypt, &[]), (Way::Decrypt, named)] {
            for len in LENGTHS {
                for nth in 0.. {
                    let place = Place::new();
                    let output = prepare(&place, way, len);
                    fs::write(place.path("out"), b"old").unwrap();
                    let fault = Fault::EachAndNth(system, nth, Errno::IO);
                    let (done, steps) = watched(fault, || call(&place, way, true));
                    let now = fs::read(place.path("out")).unwrap();
                    let what = format!("{len}, {nth} of {steps:?}: {done:?}");
                    match &done {
                        Ok(_) => assert!(now == output, "{what}"),
                        Err(error) if error.to_string().contains("in place and whole") => {
                            assert!(now == output, "{what}");
                        }
                        Err(_) => assert!(now == b"old", "{what}"),
                    }
                    assert_eq!(fs::read_dir(place.0.path()).unwrap().count(), 2, "{what}");
                    if nth > steps.len() {
                        break;
                    }
                }
            }
        }
    }

    #[test]
    fn a_source_of_zeros_that_claims_to_be_long_has_nothing_reserved_for_it() {
        let place = Place::new();
        let message = fixed_message(&sample(100));
        fs::write(place.path("in"), &message).unwrap();
        let claims = fs::OpenOptions::new().write(true).open(place.path("in")).unwrap();
        claims.set_len(4 << 30).unwrap();
        let options = FileOptions::new().threads(1);
        let (from, to) = (place.path("in"), place.path("out"));
        let (decryptor, body) = fixed_decryptor(&message);
        let (error, steps) = watched(Fault::Nothing, || {
            let job =
                Job::start(Way::Decrypt, &from, Some(&to), options, Cancelled::default()).unwrap();
            job.decrypt(decryptor, body as u64).unwrap_err()
        });
        assert_eq!(error.kind(), ErrorKind::Authentication, "{error}");
        assert_eq!(steps, [CreateNameless]);
    }

    #[test]
    fn who_is_cancelled_at_the_last_moment_has_nothing_committed() {
        let place = Place::new();
        prepare(&place, Way::Encrypt, 40_000);
        let (from, to) = (place.path("in"), place.path("out"));
        let cancelled = Cancelled::default();
        let options = FileOptions::new();
        let job = Job::start(Way::Encrypt, &from, Some(&to), options, cancelled.clone()).unwrap();
        // When all was written, and is on its way to the disk.
        let (done, steps) = watched_with(Sync, move || cancelled.cancel(), || job.encrypt(fixed()));
        assert!(done.is_err() && !steps.contains(&LinkNameless), "{steps:?}");
    }
}
