//! Several requests at the same time.

use crate::common::{block_on, envelope};
use crate::kit::{Counted, Remote};
use crate::made::{Made, content};
use ncp_envelope::format::{CHUNK_LEN, Layout, Profile};
use ncp_envelope::io::{DetachedSource, GetRange};
use ncp_envelope::wrap::BoxFuture;
use ncp_envelope::{DecryptPolicy, ErrorKind};
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const CHUNK: u64 = CHUNK_LEN as u64;

fn chunk(number: u64) -> Range<u64> {
    number * CHUNK + 5..number * CHUNK + 10
}

#[test]
fn ranges_are_asked_for_at_the_same_time_and_neighbours_together() {
    let remote = Remote::new(Made::new(Profile::Compact, 1_000 * CHUNK));
    let reader = block_on(envelope().async_range_reader(&remote, &DecryptPolicy::new())).unwrap();
    assert_eq!(remote.requests(), (1, 1), "header and first chunks");
    let read = |ranges: &[Range<u64>], gap: u64| {
        let parts = block_on(reader.clone().merge_gap(gap).read_many(ranges)).unwrap();
        for (range, part) in ranges.iter().zip(parts) {
            assert!(*part == content(range.start, range.end - range.start), "{range:?}");
        }
        remote.requests()
    };
    assert_eq!(read(&[chunk(20), chunk(30), chunk(40)], 0), (3, 3));
    assert_eq!(read(&[chunk(20), chunk(21), chunk(20), chunk(40)], 0), (2, 2));
    assert_eq!(read(&[chunk(20), chunk(22), chunk(40)], 16_399), (3, 3));
    assert_eq!(read(&[chunk(20), chunk(22), chunk(40)], 16_400), (2, 2));
    assert_eq!(read(&[chunk(0), chunk(1)], 0), (0, 0), "came with the header");
    let many: Vec<_> = (0..50).map(|n| chunk(10 + 2 * n)).collect();
    assert_eq!(read(&many, 0), (8, 50));
    // A long one is asked for in pieces, several at a time.
    let long = 100 * CHUNK..900 * CHUNK;
    assert_eq!(read(&[long], 0), (8, 13));
}

#[test]
fn one_reader_serves_many_tasks_on_any_executor() {
    let counted = Counted::new(Made::new(Profile::Compact, 500 * CHUNK + 3));
    let source: Arc<dyn GetRange<Bytes = Vec<u8>>> = Arc::new(Remote::new(counted));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(3).build().unwrap();
    runtime.block_on(async {
        let reader = envelope().async_range_reader(source, &DecryptPolicy::new()).await.unwrap();
        let tasks: Vec<_> = (0..30)
            .map(|n| {
                let reader = reader.clone();
                tokio::spawn(async move {
                    let at = n * 16 * CHUNK + n;
                    assert!(
                        *reader.read_at(at, 50_000).await?
                            == content(at, 50_000.min(500 * CHUNK + 3 - at))
                    );
                    reader.len().await
                })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.unwrap().unwrap(), 500 * CHUNK + 3);
        }
    });
    // Without tokio, all of it.
    let made = Made::new(Profile::Compact, 10 * CHUNK);
    struct Ready(Made);
    impl GetRange for Ready {
        type Bytes = Vec<u8>;
        fn get_range(&self, range: Range<u64>) -> BoxFuture<'_, io::Result<Vec<u8>>> {
            let message = self.0.message();
            let end = (range.end as usize).min(message.len());
            Box::pin(async move { Ok(message[range.start as usize..end].to_vec()) })
        }
        fn len(&self) -> BoxFuture<'_, io::Result<u64>> {
            Box::pin(async { Ok(self.0.message_len()) })
        }
    }
    let all = ncp_envelope::blocking::wait(async {
        let reader = envelope().async_range_reader(Ready(made), &DecryptPolicy::new()).await?;
        assert_eq!(reader.context().get("kind"), Some("made"));
        reader.read(..).await
    });
    assert!(*all.unwrap().unwrap() == content(0, 10 * CHUNK));
}

// F-13
#[test]
fn a_detached_body_is_asked_for_alone() {
    let made = Made::new(Layout::from(Profile::Page).detached(true), 100 * CHUNK);
    let message_body = made.body;
    struct Body(Made);
    impl ncp_envelope::io::ReadAt for Body {
        fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
            self.0.read_at(buf, offset + self.0.body)
        }
        fn len(&self) -> io::Result<u64> {
            Ok(self.0.message_len() - self.0.body)
        }
    }
    let header = made.front()[..message_body as usize].to_vec();
    let source = DetachedSource::new(header, Remote::new(Body(made))).unwrap();
    let policy = DecryptPolicy::new().detached(true);
    let reader = block_on(envelope().async_range_reader(&source, &policy)).unwrap();
    assert!(*block_on(reader.read_last(50_000)).unwrap() == content(100 * CHUNK - 50_000, 50_000));
    // The front, the last chunk, which is empty, and what was asked for.
    assert_eq!(source.body().requests(), (1, 3));
}

/// Answers with too much or too little, or not at all, while it is told to.
struct Odd(Made, Arc<AtomicBool>, i64);

impl GetRange for Odd {
    type Bytes = Vec<u8>;
    fn get_range(&self, range: Range<u64>) -> BoxFuture<'_, io::Result<Vec<u8>>> {
        use ncp_envelope::io::ReadAt;
        Box::pin(async move {
            let mut bytes = vec![0; (range.end - range.start) as usize];
            let mut filled = 0;
            while filled < bytes.len() {
                match self.0.read_at(&mut bytes[filled..], range.start + filled as u64)? {
                    0 => break,
                    len => filled += len,
                }
            }
            bytes.truncate(filled);
            match self.2 {
                _ if !self.1.load(Ordering::SeqCst) => {}
                0 => return Err(io::ErrorKind::TimedOut.into()),
                by => bytes.resize((bytes.len() as i64 + by) as usize, 7),
            }
            Ok(bytes)
        })
    }
    fn len(&self) -> BoxFuture<'_, io::Result<u64>> {
        Box::pin(async { Ok(self.0.message_len()) })
    }
}

#[test]
fn answers_of_another_length_are_refused_and_the_next_one_is_heard() {
    for (by, kind) in [(0, ErrorKind::Io), (1, ErrorKind::Io), (-1, ErrorKind::Truncated)] {
        let odd = Arc::new(AtomicBool::new(false));
        let source = Odd(Made::new(Profile::Compact, 100 * CHUNK + 7), odd.clone(), by);
        let policy = DecryptPolicy::new();
        let reader = block_on(envelope().async_range_reader(source, &policy)).unwrap();
        odd.store(true, Ordering::SeqCst);
        assert_eq!(block_on(reader.read_at(50 * CHUNK, 9)).unwrap_err().kind(), kind);
        assert_eq!(block_on(reader.len()).unwrap_err().kind(), kind);
        assert_eq!(block_on(reader.read_last(9)).unwrap_err().kind(), kind);
        let mut buf = [9; 100];
        assert_eq!(block_on(reader.read_into(&mut buf, 0)).map_err(|e| e.kind()), Ok(()));
        assert_eq!(block_on(reader.read_into(&mut buf, 70 * CHUNK)).unwrap_err().kind(), kind);
        assert_eq!(buf, [0; 100]);
        odd.store(false, Ordering::SeqCst);
        assert!(*block_on(reader.read_last(9)).unwrap() == content(100 * CHUNK - 2, 9));
    }
}
