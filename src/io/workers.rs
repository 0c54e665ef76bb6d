//! Several threads that seal or open pieces of one stream, whose results come back in the order in
//! which the pieces were given.
//!
//! Promises: as many pieces are on their way as the caller has, so memory is theirs. No piece waits
//! for input that may not come. A thread ends with its [`Workers`], after the piece that it has.
//! Knows nothing of sources and sinks.

use super::buffer::PageBuffer;
use crate::error::{Error, ErrorKind, Result};
use crate::format::{RangeDecryptor, SEALED_CHUNK_LEN, SequenceRun};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// The chunks that a piece is about.
pub(super) enum Run {
    Seal(SequenceRun),
    /// From this number on.
    Open(Arc<RangeDecryptor>, u64),
}

/// Room for a run on both sides.
pub(super) struct Piece {
    pub(super) input: PageBuffer,
    pub(super) output: PageBuffer,
}

impl Piece {
    /// What is given to a thread at once.
    pub(super) const CHUNKS: usize = 8;

    pub(super) fn new() -> Self {
        // As long as the longer side.
        let room = || PageBuffer::new(Self::CHUNKS * SEALED_CHUNK_LEN);
        Self { input: room(), output: room() }
    }
}

/// The piece that is being filled with chunks of `unit` bytes.
pub(super) struct Filling {
    piece: Piece,
    unit: usize,
    held: usize,
}

impl Filling {
    pub(super) fn new(unit: usize) -> Self {
        Self { piece: Piece::new(), unit, held: 0 }
    }

    /// Where more goes; never empty, as a full piece is [cut](Self::cut) off.
    pub(super) fn room(&mut self) -> &mut [u8] {
        &mut self.piece.input[self.held..Piece::CHUNKS * self.unit]
    }

    /// So many bytes of the room were filled.
    pub(super) fn filled(&mut self, len: usize) {
        self.held += len;
    }

    /// How many bytes there are.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// How many whole chunks there are.
    pub(super) fn whole(&self) -> usize {
        self.held / self.unit
    }

    /// The piece with its whole chunks, and their length. The rest goes on in the next one.
    pub(super) fn cut(&mut self, mut next: Piece) -> (Piece, usize) {
        let len = self.whole() * self.unit;
        let rest = &self.piece.input[len..self.held];
        next.input[..rest.len()].copy_from_slice(rest);
        self.held = rest.len();
        (std::mem::replace(&mut self.piece, next), len)
    }

    /// The piece with what is left.
    pub(super) fn end(self) -> (Piece, usize) {
        (self.piece, self.held)
    }
}

/// A piece whose run was done, or begun.
pub(super) struct Done {
    pub(super) piece: Piece,
    /// Bytes of the output that are right, also if what follows them is not.
    pub(super) written: usize,
    pub(super) result: Result<()>,
}

/// Where a piece comes back.
pub(super) struct Pending(Receiver<Done>);

impl Pending {
    pub(super) fn wait(self) -> Result<Done> {
        self.0.recv().map_err(|_| {
            Error::new(ErrorKind::Internal, "a thread that works on the stream did not finish")
        })
    }
}

struct Job {
    run: Run,
    piece: Piece,
    len: usize,
    done: SyncSender<Done>,
}

pub(super) struct Workers {
    jobs: Option<Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    /// So many threads, or as many as the system gives, but one at least.
    pub(super) fn new(threads: usize) -> Result<Self> {
        let (jobs, todo) = mpsc::channel();
        let todo = Arc::new(Mutex::new(todo));
        let mut workers = Self { jobs: Some(jobs), threads: Vec::new() };
        for _ in 0..threads {
            let todo = todo.clone();
            let started = thread::Builder::new().name("ncp-stream".to_owned()).spawn(move || {
                // Unlocked before the work: only one thread at a time waits for a job.
                while let Some(job) = next(&todo) {
                    job.work();
                }
            });
            match started {
                Ok(thread) => workers.threads.push(thread),
                Err(error) if workers.threads.is_empty() => {
                    let what = format!("cannot start a thread that works on the stream: {error}");
                    return Err(Error::with_source(ErrorKind::Internal, what, error));
                }
                Err(_) => break,
            }
        }
        Ok(workers)
    }

    pub(super) fn count(&self) -> usize {
        self.threads.len()
    }

    /// Has the piece's input done, up to the length.
    pub(super) fn give(&self, run: Run, (piece, len): (Piece, usize)) -> Pending {
        let (done, pending) = mpsc::sync_channel(1);
        if let Some(jobs) = &self.jobs {
            // Fails only when all threads are gone, which the pending side notices.
            let _ = jobs.send(Job { run, piece, len, done });
        }
        Pending(pending)
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn next(todo: &Mutex<Receiver<Job>>) -> Option<Job> {
    todo.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

impl Job {
    fn work(self) {
        let Self { run, mut piece, len, done } = self;
        let (written, result) = match run {
            Run::Seal(run) => match run.seal(&piece.input[..len], &mut piece.output) {
                Ok(written) => (written, Ok(())),
                Err(error) => (0, Err(error)),
            },
            Run::Open(decryptor, first) => {
                open(&decryptor, first, &piece.input[..len], &mut piece.output)
            }
        };
        // Nobody waits for it when the stream has failed.
        let _ = done.send(Done { piece, written, result });
    }
}

/// Opens chunk by chunk, so that what is verified before a fault is there.
fn open(
    decryptor: &RangeDecryptor,
    first: u64,
    sealed: &[u8],
    out: &mut [u8],
) -> (usize, Result<()>) {
    let mut written = 0;
    for (number, chunk) in (first..).zip(sealed.chunks(SEALED_CHUNK_LEN)) {
        match decryptor.open(number, chunk, &mut out[written..]) {
            Ok(len) => written += len,
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}
