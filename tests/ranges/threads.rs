//! One reader, several threads.

use crate::common::{block_on, counting_envelope};
use crate::kit::{Counted, Numbers};
use crate::made::{Made, content};
use ncp_envelope::format::{CHUNK_LEN, Profile};
use ncp_envelope::io::ReadAt;
use ncp_envelope::{DecryptPolicy, ErrorKind};
use std::io;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

const LEN: u64 = 400 * CHUNK_LEN as u64 + 77;
const THREADS: u64 = 8;

#[test]
fn threads_read_ranges_of_one_reader() {
    let (envelope, wrapper) = counting_envelope();
    let source = Counted::new(Made::new(Profile::Compact, LEN));
    let reader = block_on(envelope.range_reader(&source, &DecryptPolicy::new())).unwrap();
    source.reads();
    let barrier = Barrier::new(THREADS as usize);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (reader, barrier) = (&reader, &barrier);
            scope.spawn(move || {
                barrier.wait();
                // All of them need the end first.
                assert_eq!(reader.len().unwrap(), LEN);
                barrier.wait();
                let mut numbers = Numbers(0x1357_9BDF_0246_8ACE + thread);
                for turn in 0..60 {
                    let len = numbers.below(100_000);
                    let at = numbers.below(LEN - len);
                    match turn % 3 {
                        0 => assert!(*reader.read_at(at, len).unwrap() == content(at, len)),
                        1 => {
                            let ranges = [at..at + len, LEN - 9..LEN, 5..10];
                            let parts = reader.clone().read_many(&ranges).unwrap();
                            assert!(*parts[0] == content(at, len));
                            assert!(*parts[1] == content(LEN - 9, 9) && *parts[2] == content(5, 5));
                        }
                        _ => {
                            let past = reader.read_at(at, LEN).unwrap_err();
                            assert_eq!(past.kind(), ErrorKind::InvalidInput);
                            assert!(*reader.read_last(len).unwrap() == content(LEN - len, len));
                        }
                    }
                }
            });
        }
    });
    assert_eq!(wrapper.calls(), 1);
}

/// Whose last chunk comes late: when all have come that want it, and have had turns enough to come
/// here, too.
struct Late(Made, AtomicUsize);

impl ReadAt for Late {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        if offset >= self.0.chunk_at(LEN / CHUNK_LEN as u64).start {
            while self.1.load(Ordering::SeqCst) < THREADS as usize {
                std::thread::yield_now();
            }
            (0..2_000).for_each(|_| std::thread::yield_now());
        }
        self.0.read_at(buf, offset)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.message_len())
    }
}

#[test]
fn of_threads_that_need_the_end_one_opens_it() {
    let source = Counted::new(Late(Made::new(Profile::Compact, LEN), AtomicUsize::new(0)));
    let (envelope, _) = counting_envelope();
    let reader = block_on(envelope.range_reader(&source, &DecryptPolicy::new())).unwrap();
    source.reads();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                source.inner.1.fetch_add(1, Ordering::SeqCst);
                assert!(*reader.read_last(5).unwrap() == content(LEN - 5, 5));
            });
        }
    });
    assert_eq!(source.reads(), 1);
}
