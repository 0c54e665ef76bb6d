//! A stream's pieces on their way: one thread reads, several seal or open, one writes.
//!
//! Promises: the sink gets the pieces in order, and of a piece that fails what was verified before
//! the fault (`F-27`). Of several faults the first one in the stream is reported: a piece's before
//! the source's, which was read further, and both before the sink's. Each side notices that the
//! other has ended.

use super::workers::{Pending, Piece, Run, Workers};
use crate::error::{Error, ErrorKind, Result};
use std::io::{self, Write};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::thread;

/// The reading side.
pub(super) struct Feed<'a> {
    workers: &'a Workers,
    free: Receiver<Piece>,
    order: Sender<Pending>,
}

impl Feed<'_> {
    /// Room for the next piece, as soon as some is free. None if nobody takes it any more.
    pub(super) fn piece(&self) -> Option<Piece> {
        self.free.recv().ok()
    }

    /// Has the piece's input, up to the length, done and written.
    pub(super) fn give(&self, run: Run, piece: (Piece, usize)) {
        // Fails only when the writing side has ended, which says why.
        let _ = self.order.send(self.workers.give(run, piece));
    }
}

/// What ended the writing side.
enum Fault {
    Piece(Error),
    Sink(io::Error),
}

/// Writes to `sink` what becomes of the pieces that `feed` gives, and returns it with how many
/// bytes that were. `feed` brings a piece of its own.
pub(super) fn run<W: Write + Send>(
    threads: usize,
    sink: W,
    feed: impl FnOnce(&Feed<'_>) -> Result<()>,
    cannot_write: impl FnOnce(io::Error) -> Error,
) -> Result<(W, u64)> {
    let workers = Workers::new(threads)?;
    // One for each thread that seals or opens, and one is written; that of `feed` is filled.
    let count = workers.count() + 1;
    let (done, free) = mpsc::sync_channel(count + 1);
    for _ in 0..count {
        // There is room for all of them.
        let _ = done.send(Piece::new());
    }
    let (order, in_order) = mpsc::channel();
    thread::scope(|scope| {
        let writer = thread::Builder::new()
            .name("ncp-stream".to_owned())
            .spawn_scoped(scope, move || write_all(sink, &in_order, done))
            .map_err(|error| {
                let what = format!("cannot start the thread that writes the output: {error}");
                Error::with_source(ErrorKind::Internal, what, error)
            })?;
        let fed = feed(&Feed { workers: &workers, free, order });
        let written = writer.join().unwrap_or_else(|_| {
            Err(Fault::Sink(io::Error::other("the thread that writes panicked")))
        });
        match (written, fed) {
            (Err(Fault::Piece(error)), _) | (_, Err(error)) => Err(error),
            (Err(Fault::Sink(error)), Ok(())) => Err(cannot_write(error)),
            (Ok(written), Ok(())) => Ok(written),
        }
    })
}

fn write_all<W: Write>(
    mut sink: W,
    in_order: &Receiver<Pending>,
    free: SyncSender<Piece>,
) -> std::result::Result<(W, u64), Fault> {
    // None once the sink has failed: nobody reads on, and pieces that were given are only looked
    // at.
    let (mut free, mut written, mut sink_fault) = (Some(free), 0, None);
    while let Ok(pending) = in_order.recv() {
        let done = pending.wait().map_err(Fault::Piece)?;
        if sink_fault.is_none()
            && let Err(error) = sink.write_all(&done.piece.output[..done.written])
        {
            sink_fault = Some(error);
            free = None;
        }
        if let Err(error) = done.result {
            let _ = sink.flush();
            return Err(Fault::Piece(error));
        }
        written += done.written as u64;
        if let Some(free) = &free {
            // Nobody waits for it at the end.
            let _ = free.send(done.piece);
        }
    }
    match sink_fault.map_or_else(|| sink.flush(), Err) {
        Ok(()) => Ok((sink, written)),
        Err(error) => Err(Fault::Sink(error)),
    }
}
