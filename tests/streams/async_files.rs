//! The asynchronous atomic file.

#![cfg(feature = "tokio")]

use crate::common::{block_on, names, sample};
use ncp_envelope::io::{AsyncAtomicFile, AtomicFile, FileOptions, SourceFile};
use ncp_envelope::{Error, ErrorKind};
use std::fs;
use std::future::Future;
use std::pin::pin;
use std::sync::mpsc;
use std::task::{Context, Waker};
use tokio::io::AsyncWriteExt;

#[test]
fn a_file_gets_its_name_with_the_commit_and_not_before() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("f");
    for len in [0, 1, 262_144, 262_145, 3_000_000] {
        let bytes = sample(len);
        block_on(async {
            let options = FileOptions::new().overwrite(true);
            let mut file = AsyncAtomicFile::create(&path, &options).await.unwrap();
            for part in bytes.chunks(100_000) {
                file.write_all(part).await.unwrap();
            }
            file.flush().await.unwrap();
            file.shutdown().await.unwrap();
            assert!(!path.exists(), "neither a flush nor a shutdown is a commit");
            file.write_all(b"!").await.unwrap();
            file.commit().await.unwrap();
        });
        assert!(fs::read(&path).unwrap() == [&bytes[..], b"!"].concat(), "{len}");
        assert_eq!(names(directory.path()), ["f"]);
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn dropped_without_commit_it_leaves_nothing_and_keeps_what_was_there() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("f");
    fs::write(&path, "old").unwrap();
    let options = FileOptions::new().overwrite(true);
    let bytes = sample(300_000);
    block_on(async {
        drop(AsyncAtomicFile::create(&path, &options).await.unwrap());
        let mut file = AsyncAtomicFile::create(&path, &options).await.unwrap();
        file.write_all(&bytes).await.unwrap();
        drop(file);
    });
    // While a write is in flight, which waits behind other work for the only blocking thread.
    for commit in [false, true] {
        let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build();
        let runtime = runtime.unwrap();
        let (release, released) = mpsc::channel::<()>();
        runtime.block_on(async {
            let mut file = AsyncAtomicFile::create(&path, &options).await.unwrap();
            file.write_all(&bytes).await.unwrap();
            tokio::task::spawn_blocking(move || released.recv());
            let mut context = Context::from_waker(Waker::noop());
            if commit {
                assert!(pin!(file.commit()).poll(&mut context).is_pending());
            } else {
                assert!(pin!(file.flush()).poll(&mut context).is_pending());
                drop(file);
            }
        });
        drop(release);
        // Waits for the blocking thread.
        drop(runtime);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(directory.path()), ["f"]);
    }
}

fn kind<T>(result: Result<T, Error>) -> ErrorKind {
    result.map(drop).unwrap_err().kind()
}

#[test]
fn it_refuses_what_the_other_does_and_takes_one_over() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("f");
    fs::write(&path, "old").unwrap();
    block_on(async {
        let options = FileOptions::new();
        assert_eq!(kind(AsyncAtomicFile::create(&path, &options).await), ErrorKind::InvalidInput);
        let nowhere = directory.path().join("none").join("f");
        assert_eq!(kind(AsyncAtomicFile::create(&nowhere, &options).await), ErrorKind::Io);

        let source = SourceFile::open(&path).unwrap();
        let target = directory.path().join("g");
        let file = AtomicFile::create_from(&target, &options, &source).unwrap();
        let mut file = AsyncAtomicFile::from(file);
        file.write_all(b"new").await.unwrap();
        // Somebody else was first.
        fs::write(&target, "theirs").unwrap();
        file.commit().await.unwrap_err();
        assert_eq!(fs::read(&target).unwrap(), b"theirs");
    });
}

// Off a runtime of tokio's it works on the spot.
#[test]
fn another_executor_will_do() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("f");
    let write = async {
        let mut file = AsyncAtomicFile::create(&path, &FileOptions::new()).await?;
        file.write_all(&sample(700_000)).await?;
        file.commit().await?;
        Ok::<_, std::io::Error>(())
    };
    let mut write = pin!(write);
    let polled = write.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, std::task::Poll::Ready(Ok(()))));
    assert!(fs::read(&path).unwrap() == sample(700_000));
}
