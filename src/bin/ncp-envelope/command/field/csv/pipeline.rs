//! Reading, encrypting and writing at the same time.
//!
//! One thread reads, one for each processor makes batches to what is written, one writes them in
//! their order. There are few batches, whose buffers go round: so memory is bounded. The keys are
//! asked for again before each batch, so that a denial ends a long run.

use super::batch::Batch;
use super::buffer::Buffer;
use super::columns::{Layout, Work};
use super::format::Line;
use super::seal::seal;
use crate::input::{Input, blocking};
use crate::progress::Progress;
use crate::status::Failure;
use crate::summary::counted;
use crate::{output, signals, streams};
use csv::{ByteRecord, ReaderBuilder};
use ncp_envelope::fields::KeyRing;
use std::collections::VecDeque;
use std::future::pending;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::available_parallelism;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::{JoinError, JoinHandle, spawn_blocking};

/// Batches between two stages.
const BETWEEN: usize = 2;
/// The most threads for batches.
const MAX_THREADS: usize = 32;
/// The reader's buffer.
const BUFFER: usize = 256 << 10;
/// The most bytes of a record: a quote that is never closed would make one record of all the rest.
const MAX_RECORD: u64 = 16 << 20;

pub(super) struct Pipeline<'a> {
    work: &'a Work,
    ring: &'a KeyRing,
    written: Arc<AtomicU64>,
}

/// The first line and how lines end.
struct Front {
    header: ByteRecord,
    crlf: bool,
}

impl<'a> Pipeline<'a> {
    pub(super) fn new(work: &'a Work, ring: &'a KeyRing) -> Self {
        Self { work, ring, written: Arc::default() }
    }

    /// The number of records written, the first line not counted.
    pub(super) async fn run(&self, input: &Input) -> Result<u64, Failure> {
        let progress = Progress::start();
        let source = input.open().await?;
        let len = source.len();
        let reader = Limited { inner: progress.watch(source, len), since: Arc::default() };
        let name = input.name();
        let (front_to, front_from) = tokio::sync::oneshot::channel();
        let (batch_to, batch_from) = channel(BETWEEN);
        let (done_to, done_from) = channel(BETWEEN);
        let threads = available_parallelism().map_or(1, usize::from).min(MAX_THREADS);
        // A batch more than threads: none waits while the next one is brought.
        let at_work = threads + 1;
        let (empty_to, empty_from) = channel(2 * BETWEEN + at_work + 2);
        let reading = blocking(move || read(reader, &name, front_to, &batch_to, empty_from));
        let reading = tokio::spawn(reading);
        let Ok(front) = front_from.await else {
            return Err(stopped(reading).await);
        };
        let (layout, header) = self.work.layout(self.ring, &front.header, front.crlf)?;
        let written = self.written.clone();
        let words = written.clone();
        signals::last_words(move || {
            format!("{} written", counted(words.load(Ordering::Relaxed), "record"))
        });
        let crlf = front.crlf;
        let writing = blocking(move || write(&header, crlf, done_from, &empty_to, &written));
        let writing = tokio::spawn(writing);
        let sealed = self.seal_all(layout, at_work, batch_from, done_to).await;
        let done = joined(writing.await).and(sealed);
        let written = self.written.load(Ordering::Relaxed);
        // After a failure the reader may wait for more input, which nobody needs.
        let done = match done {
            Ok(()) => joined(reading.await),
            failed => failed,
        };
        match done {
            Ok(()) => Ok(written),
            Err(failure) => Err(Failure::coded(
                failure.code(),
                format!("{}; {} written before", failure.text(), counted(written, "record")),
            )),
        }
    }

    /// Has batches made by other threads, at most `at_work` at a time, and passes them on in their
    /// order.
    async fn seal_all(
        &self,
        layout: Layout,
        at_work: usize,
        mut from: Receiver<Batch>,
        to: Sender<Batch>,
    ) -> Result<(), Failure> {
        let way = self.work.way;
        let with = Arc::new((layout, self.ring.document()));
        let (mut jobs, mut more) = (VecDeque::new(), true);
        while more || !jobs.is_empty() {
            tokio::select! {
                biased;
                done = first(&mut jobs) => {
                    jobs.pop_front();
                    let done = done.map_err(|error| broken(&error))??;
                    if to.send(done).await.is_err() {
                        // The writer has failed, and says why.
                        return Ok(());
                    }
                }
                batch = from.recv(), if more && jobs.len() < at_work => match batch {
                    Some(batch) => {
                        self.ring.ready().await.map_err(Failure::writing)?;
                        let with = with.clone();
                        jobs.push_back(spawn_blocking(move || seal(way, &with.0, &with.1, batch)));
                    }
                    None => more = false,
                },
            }
        }
        Ok(())
    }
}

/// The result of the first job, once there is one.
async fn first<T>(jobs: &mut VecDeque<JoinHandle<T>>) -> Result<T, JoinError> {
    match jobs.front_mut() {
        Some(job) => job.await,
        None => pending().await,
    }
}

async fn stopped(reading: JoinHandle<Result<Result<(), Failure>, Failure>>) -> Failure {
    match joined(reading.await) {
        Err(failure) => failure,
        Ok(()) => Failure::other("stopped before the first line"),
    }
}

fn joined(done: Result<Result<Result<(), Failure>, Failure>, JoinError>) -> Result<(), Failure> {
    match done {
        Ok(Ok(done)) => done,
        Ok(Err(failure)) => Err(failure),
        Err(error) => Err(broken(&error)),
    }
}

fn broken(error: &JoinError) -> Failure {
    Failure::other(format!("stopped: {error}"))
}

/// The first stage: records into batches.
fn read(
    mut source: Limited<impl Read>,
    name: &str,
    front: tokio::sync::oneshot::Sender<Front>,
    to: &Sender<Batch>,
    mut empty: Receiver<Batch>,
) -> Result<(), Failure> {
    let since = source.since.clone();
    let failed = |error: csv::Error| not_read(name, &error);
    let (begin, crlf) = first_line(&mut source).map_err(|error| failed(error.into()))?;
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .buffer_capacity(BUFFER)
        .from_reader(io::Cursor::new(begin).chain(source));
    let mut record = ByteRecord::new();
    if !reader.read_byte_record(&mut record).map_err(failed)? {
        return Err(Failure::usage(format!(
            "{name} is empty: its first line has to have the names of the columns"
        )));
    }
    let width = record.len();
    if front.send(Front { header: record.clone(), crlf }).is_err() {
        return Ok(());
    }
    loop {
        let mut batch = empty.try_recv().unwrap_or_default();
        batch.clear(width);
        let mut more = true;
        while more && !batch.is_full() {
            since.store(0, Ordering::Relaxed);
            match reader.read_byte_record(&mut record) {
                Ok(true) => batch.push(&record),
                Ok(false) => more = false,
                Err(error) => {
                    // What was read before is written before the failure is told.
                    if batch.len() > 0 {
                        let _ = to.blocking_send(batch);
                    }
                    return Err(failed(error));
                }
            }
        }
        if batch.len() > 0 && to.blocking_send(batch).is_err() || !more {
            return Ok(());
        }
    }
}

/// What was read until the first line was over, and whether that ends in two bytes.
fn first_line(source: &mut impl Read) -> io::Result<(Vec<u8>, bool)> {
    let (mut begin, mut seen, mut quoted) = (Vec::new(), 0, false);
    let mut buffer = vec![0; 64 << 10];
    loop {
        let len = match source.read(&mut buffer) {
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        begin.extend_from_slice(&buffer[..len]);
        for at in seen..begin.len() {
            quoted ^= begin[at] == b'"';
            if begin[at] == b'\n' && !quoted {
                let crlf = begin[..at].last() == Some(&b'\r');
                return Ok((begin, crlf));
            }
        }
        seen = begin.len();
        if len == 0 {
            return Ok((begin, false));
        }
    }
}

/// The last stage: the first line and batches to standard output.
fn write(
    header: &ByteRecord,
    crlf: bool,
    mut from: Receiver<Batch>,
    empty: &Sender<Batch>,
    written: &AtomicU64,
) -> Result<(), Failure> {
    let mut out = streams::output().map_err(output::cannot_write)?;
    let mut first = Buffer::default();
    let mut line = Line::new(&mut first);
    header.iter().for_each(|name| line.cell(name));
    line.end(crlf);
    // A reader of the output sees the first line before there is a record.
    out.write_all(first.as_slice()).map_err(output::cannot_write)?;
    while let Some(batch) = from.blocking_recv() {
        out.write_all(batch.out.as_slice()).map_err(output::cannot_write)?;
        written.fetch_add(batch.len() as u64, Ordering::Relaxed);
        // If it is not wanted, it is wiped.
        let _ = empty.try_send(batch);
    }
    Ok(())
}

fn not_read(name: &str, error: &csv::Error) -> Failure {
    Failure::other(match error.kind() {
        csv::ErrorKind::Io(error) => format!("cannot read {name}: {error}"),
        csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
            let line = pos.as_ref().map_or(0, csv::Position::line);
            format!(
                "{name}, line {line}: the record has {len} fields, and the first line has \
                 {expected_len}"
            )
        }
        _ => format!("{name}: {error}"),
    })
}

/// A reader that fails where a record has no end.
struct Limited<R> {
    inner: R,
    /// Bytes since the record began, or more.
    since: Arc<AtomicU64>,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.since.load(Ordering::Relaxed) > MAX_RECORD {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a record is longer than 16 MiB: a quote in it may have no end",
            ));
        }
        let len = self.inner.read(buf)?;
        self.since.fetch_add(len as u64, Ordering::Relaxed);
        Ok(len)
    }
}
