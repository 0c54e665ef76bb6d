//! A message sealed by several threads, for a writer that is not one of them.

use super::workers::{Done, Filling, Pending, Piece, Run, Workers};
use crate::error::Result;
use crate::format::{CHUNK_LEN, Encryptor, RunSequence};
use std::collections::VecDeque;
use std::io;

/// Where sealed bytes go.
type Sink<'s> = &'s mut dyn FnMut(&[u8]) -> io::Result<()>;

/// The chunks of a message: plaintext in, and in order out.
pub(super) struct SharedSealing {
    workers: Workers,
    runs: RunSequence,
    filling: Filling,
    given: VecDeque<Pending>,
    free: Vec<Piece>,
}

impl SharedSealing {
    /// And what stands in front of the chunks.
    pub(super) fn new(encryptor: Encryptor, threads: usize) -> Result<(Vec<u8>, Self)> {
        let (front, runs) = encryptor.into_sequence()?;
        let workers = Workers::new(threads)?;
        // One for each thread, and one is written.
        let free = (0..=workers.count()).map(|_| Piece::new()).collect();
        let (filling, given) = (Filling::new(CHUNK_LEN), VecDeque::new());
        Ok((front, Self { workers, runs, filling, given, free }))
    }

    /// Takes all of `input`, and writes what is sealed when more room is needed.
    pub(super) fn push(&mut self, mut input: &[u8], sink: Sink<'_>) -> io::Result<()> {
        while !input.is_empty() {
            let room = self.filling.room();
            let (taken, rest) = input.split_at(input.len().min(room.len()));
            room[..taken.len()].copy_from_slice(taken);
            self.filling.filled(taken.len());
            input = rest;
            if self.filling.whole() == Piece::CHUNKS {
                self.give_whole(sink)?;
            }
        }
        Ok(())
    }

    /// Writes every whole chunk.
    pub(super) fn settle(&mut self, sink: Sink<'_>) -> io::Result<()> {
        if self.filling.whole() > 0 {
            self.give_whole(sink)?;
        }
        while let Some(pending) = self.given.pop_front() {
            let piece = written(pending, sink)?;
            self.free.push(piece);
        }
        Ok(())
    }

    /// Writes all that is left, and the last chunk.
    pub(super) fn finish(mut self, sink: Sink<'_>) -> io::Result<()> {
        self.settle(sink)?;
        let last = self.workers.give(Run::Seal(self.runs.last()), self.filling.end());
        written(last, sink).map(drop)
    }

    fn give_whole(&mut self, sink: Sink<'_>) -> io::Result<()> {
        let next = self.room(sink)?;
        let run = Run::Seal(self.runs.whole(self.filling.whole()));
        self.given.push_back(self.workers.give(run, self.filling.cut(next)));
        Ok(())
    }

    fn room(&mut self, sink: Sink<'_>) -> io::Result<Piece> {
        if let Some(piece) = self.free.pop() {
            return Ok(piece);
        }
        // What is not free was given.
        self.given.pop_front().map_or_else(|| Ok(Piece::new()), |oldest| written(oldest, sink))
    }
}

/// Writes what becomes of a piece, and gives it back.
fn written(pending: Pending, sink: Sink<'_>) -> io::Result<Piece> {
    let Done { piece, written, result } = pending.wait()?;
    result?;
    sink(&piece.output[..written])?;
    Ok(piece)
}
