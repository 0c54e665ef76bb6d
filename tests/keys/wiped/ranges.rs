//! Parts of messages.

use crate::*;
use ncp_envelope::DecryptPolicy;
use ncp_envelope::io::GetRange;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

const LEN: usize = 600_000;

struct Stored(Vec<u8>);

impl GetRange for Stored {
    type Bytes = Vec<u8>;

    fn get_range(&self, range: Range<u64>) -> BoxFuture<'_, io::Result<Vec<u8>>> {
        let end = (range.end as usize).min(self.0.len());
        Box::pin(async move { Ok(self.0[range.start as usize..end].to_vec()) })
    }

    fn len(&self) -> BoxFuture<'_, io::Result<u64>> {
        Box::pin(async { Ok(self.0.len() as u64) })
    }
}

/// A message that is whole, and those that are not.
fn messages(envelope: &Envelope) -> Vec<Vec<u8>> {
    let message = sealed(envelope, LEN);
    let mut messages = damaged(&message);
    messages.push(message);
    messages
}

#[test]
fn ranges() {
    let _turn = begin();
    let (envelope, open) = (envelope(), DecryptPolicy::new());
    for message in messages(&envelope) {
        watch("ranges", || {
            let reader = block_on(envelope.range_reader(&message[..], &open)).unwrap();
            // In one chunk, over several, and to the end.
            for (at, len) in [(5, 50), (10_000, 300_000), (0, LEN as u64), (LEN as u64 - 9, 9)] {
                drop(reader.read_at(at, len));
                drop(reader.read_many(&[at..at + len, 0..10, 300_000..300_100]));
                // The caller's own, wiped when it was not filled.
                let mut buf = vec![0; len as usize];
                if reader.read_into(&mut buf, at).is_ok() {
                    drop(Zeroizing::new(buf));
                }
            }
            drop((reader.read(..), reader.read_last(20_000), reader.len()));
        });
    }
}

#[test]
fn cursors() {
    let _turn = begin();
    let (envelope, open) = (envelope(), DecryptPolicy::new());
    let mut buf = Zeroizing::new(vec![0; 50_000]);
    for message in messages(&envelope) {
        watch("a cursor", || {
            let reader = block_on(envelope.range_reader(&message[..], &open)).unwrap();
            for room in [100, 16_384, 50_000] {
                let mut cursor = reader.cursor();
                while cursor.read(&mut buf[..room]).is_ok_and(|len| len > 0) {}
                let _ = cursor.seek(SeekFrom::Start(300_000));
                let _ = cursor.read(&mut buf[..room]);
            }
        });
    }
}

#[test]
fn ranges_over_a_network() {
    let _turn = begin();
    let (envelope, open) = (envelope(), DecryptPolicy::new());
    for message in messages(&envelope) {
        watch("ranges over a network", || {
            block_on(async {
                let source = Stored(message);
                let reader = envelope.async_range_reader(source, &open).await.unwrap();
                for (at, len) in [(5, 50), (10_000, 300_000), (0, LEN as u64), (LEN as u64 - 9, 9)]
                {
                    drop(reader.read_at(at, len).await);
                    drop(reader.read_many(&[at..at + len, 300_000..300_100]).await);
                    let mut buf = vec![0; len as usize];
                    if reader.read_into(&mut buf, at).await.is_ok() {
                        drop(Zeroizing::new(buf));
                    }
                }
                drop((reader.read(..).await, reader.read_last(20_000).await));
            });
        });
    }
}
