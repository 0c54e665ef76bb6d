//! Regular files by one thread: run after run is read, sealed or opened, and written, in order.
//!
//! Promises: one read and one write for a run, and none beside that; what stands in front of the
//! first chunk goes with it. Buffers are as large as the longest run so far, stay with the thread
//! from file to file, and are wiped when they are dropped. Knows no names and no options.

use super::atomic::AtomicFile;
use super::buffer::PageBuffer;
use super::offload::Cancelled;
use super::run::RUN_CHUNKS;
use super::source::SourceFile;
use crate::error::{Error, Result};
use crate::format::{CHUNK_LEN, Decryptor, Encryptor, PREAMBLE_LEN, SEALED_CHUNK_LEN, range};
use std::io::Write;

/// What one thread reads into and writes from.
#[derive(Default)]
pub(super) struct Buffers {
    input: Option<PageBuffer>,
    output: Option<PageBuffer>,
}

/// The two files, and who is told of it.
pub(super) struct Alone<'a> {
    pub(super) source: &'a SourceFile,
    pub(super) source_len: u64,
    /// None for what is only verified.
    pub(super) output: Option<&'a mut AtomicFile>,
    pub(super) cancelled: &'a Cancelled,
    /// Called with how much more of the source was done.
    pub(super) report: &'a mut dyn FnMut(u64),
}

impl Alone<'_> {
    /// Writes the message of `encryptor` and returns its length.
    pub(super) fn encrypt(mut self, encryptor: Encryptor, buffers: &mut Buffers) -> Result<u64> {
        let first_len = self.source_len.min((RUN_CHUNKS * CHUNK_LEN) as u64) as usize;
        let input = room(&mut buffers.input, first_len);
        let read = self.source.fill_at(&mut input[..first_len], 0)?;
        // Some virtual files claim more than they have. Whether this one got shorter, the caller
        // finds out at the end.
        let len = if read < first_len { read as u64 } else { self.source_len };
        let (mut front, runs) = encryptor.into_runs(len)?;
        let written = front.len() as u64 + runs.chunks_len();
        while let Some(claim) = runs.claim(RUN_CHUNKS as u64) {
            self.cancelled.check()?;
            let (from, to) = (claim.plaintext_range(), claim.sealed_range());
            let input_len = (from.end - from.start) as usize;
            let input = &mut room(&mut buffers.input, input_len)[..input_len];
            if from.start > 0 && self.source.fill_at(input, from.start)? < input_len {
                return Err(self.source.shorter());
            }
            (self.report)(input_len as u64);
            let output_len = front.len() + (to.end - to.start) as usize;
            let output = &mut room(&mut buffers.output, output_len)[..output_len];
            let (before, sealed) = output.split_at_mut(front.len());
            before.copy_from_slice(&front);
            claim.seal(input, sealed)?;
            self.write(output)?;
            front.clear();
        }
        runs.finish()?;
        Ok(written)
    }

    /// Writes the plaintext of the message whose body begins at `body`, and returns its length. All
    /// of it was verified when this succeeds (`F-27`).
    pub(super) fn decrypt(
        mut self,
        decryptor: Decryptor,
        body: u64,
        buffers: &mut Buffers,
    ) -> Result<u64> {
        let len = range::plaintext_len(self.source_len.saturating_sub(body))?;
        let (runs, chunks, start) =
            (decryptor.into_range(), range::chunk_count(len), body + PREAMBLE_LEN as u64);
        for first in (0..chunks).step_by(RUN_CHUNKS) {
            self.cancelled.check()?;
            let from = start + first * SEALED_CHUNK_LEN as u64;
            let input_len =
                (self.source_len - from).min((RUN_CHUNKS * SEALED_CHUNK_LEN) as u64) as usize;
            let input = &mut room(&mut buffers.input, input_len)[..input_len];
            if self.source.fill_at(input, from)? < input_len {
                return Err(self.source.shorter());
            }
            (self.report)(input_len as u64);
            let output_len =
                (len - first * CHUNK_LEN as u64).min((RUN_CHUNKS * CHUNK_LEN) as u64) as usize;
            let output = &mut room(&mut buffers.output, output_len)[..output_len];
            runs.open(first, input, output)?;
            self.write(output)?;
        }
        Ok(len)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let Some(file) = &mut self.output else { return Ok(()) };
        file.write_all(bytes).map_err(|error| {
            let target = file.output().target().display();
            Error::io(format_args!("cannot write {target}"), error)
        })
    }
}

/// A buffer of at least `len` bytes, with what is in it unless it was too short.
fn room(buffer: &mut Option<PageBuffer>, len: usize) -> &mut PageBuffer {
    match buffer {
        Some(long) if long.len() >= len => {}
        // A length that few files exceed, so that a thread seldom gets another one.
        _ => *buffer = Some(PageBuffer::new(len.max(1).next_power_of_two())),
    }
    buffer.get_or_insert_with(|| PageBuffer::new(len))
}
