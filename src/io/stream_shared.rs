//! Whole streams that several threads seal or open.

use super::pipeline::{self, Feed};
use super::stream::{Stream, StreamReport};
use super::workers::{Filling, Run};
use crate::error::Result;
use crate::format::{
    CHUNK_LEN, Decryptor, Encryptor, SEALED_CHUNK_LEN, TAG_LEN, last_chunk_is_missing,
};
use std::io::{Read, Write};
use std::sync::Arc;

impl Stream<'_> {
    pub(super) fn encrypt_shared<W: Write + Send>(
        &self,
        source: &mut impl Read,
        mut sink: W,
        encryptor: Encryptor,
    ) -> Result<StreamReport<W>> {
        let context = encryptor.context().clone();
        let (front, mut runs) = encryptor.into_sequence()?;
        let mut filling = Filling::new(CHUNK_LEN);
        // Before anything is written: a directory can be opened, and not be read.
        let mut len = self.read(source, filling.room())?;
        sink.write_all(&front).map_err(|error| self.cannot_write(error))?;
        let mut bytes_read = 0;
        let feed = |feed: &Feed<'_>| {
            while len > 0 {
                bytes_read += len as u64;
                filling.filled(len);
                let whole = filling.whole();
                if whole > 0 {
                    let Some(next) = feed.piece() else { return Ok(()) };
                    feed.give(Run::Seal(runs.whole(whole)), filling.cut(next));
                }
                self.cancelled.check()?;
                len = self.read(source, filling.room())?;
            }
            feed.give(Run::Seal(runs.last()), filling.end());
            Ok(())
        };
        let cannot_write = |error| self.cannot_write(error);
        let (sink, written) = pipeline::run(self.threads, sink, feed, cannot_write)?;
        let bytes_written = front.len() as u64 + written;
        Ok(StreamReport { sink, bytes_read, bytes_written, context })
    }

    pub(super) fn decrypt_shared<W: Write + Send>(
        &self,
        source: &mut impl Read,
        sink: W,
        decryptor: Decryptor,
    ) -> Result<StreamReport<W>> {
        let context = decryptor.context().clone();
        let (decryptor, mut filling) =
            (Arc::new(decryptor.into_range()), Filling::new(SEALED_CHUNK_LEN));
        let (mut bytes_read, mut number) = (0, 0);
        let feed = |feed: &Feed<'_>| {
            loop {
                self.cancelled.check()?;
                let len = self.read(source, filling.room())?;
                bytes_read += len as u64;
                filling.filled(len);
                if len == 0 {
                    break;
                }
                let whole = filling.whole();
                if whole > 0 {
                    let Some(next) = feed.piece() else { return Ok(()) };
                    feed.give(Run::Open(decryptor.clone(), number), filling.cut(next));
                    number += whole as u64;
                }
            }
            if filling.held() < TAG_LEN {
                return Err(last_chunk_is_missing());
            }
            feed.give(Run::Open(decryptor, number), filling.end());
            Ok(())
        };
        let cannot_write = |error| self.cannot_write(error);
        let (sink, bytes_written) = pipeline::run(self.threads, sink, feed, cannot_write)?;
        Ok(StreamReport { sink, bytes_read, bytes_written, context })
    }
}
