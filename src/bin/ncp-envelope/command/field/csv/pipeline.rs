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
use super::split;
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
const BETWEEN: usize = 4;
/// The most threads for batches.
const MAX_THREADS: usize = 32;
/// Bytes of a batch, which is the work of one thread: enough that handing it over costs little, and
/// not more than that processor's cache.
const BATCH: usize = 192 << 10;
/// The most bytes of a record: a quote that is never closed would make one record of all the rest.
const MAX_RECORD: usize = 16 << 20;

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
        let reader = progress.watch(source, len);
        let name = input.name();
        let (front_to, front_from) = tokio::sync::oneshot::channel();
        let (batch_to, batch_from) = channel(BETWEEN);
        let (done_to, done_from) = channel(BETWEEN);
        let threads = available_parallelism().map_or(1, usize::from).min(MAX_THREADS);
        // More batches than threads: none waits while the first one is held up.
        let at_work = threads + 2;
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
        let sealed = self.seal_all(input.name(), layout, at_work, batch_from, done_to).await;
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
        name: String,
        layout: Layout,
        at_work: usize,
        mut from: Receiver<Batch>,
        to: Sender<Batch>,
    ) -> Result<(), Failure> {
        let way = self.work.way;
        let with = Arc::new((name, layout, self.ring.document()));
        let (mut jobs, mut more) = (VecDeque::new(), true);
        while more || !jobs.is_empty() {
            tokio::select! {
                biased;
                done = first(&mut jobs) => {
                    jobs.pop_front();
                    let (done, failed) = done.map_err(|error| broken(&error))??;
                    if to.send(done).await.is_err() {
                        // The writer has failed, and says why.
                        return Ok(());
                    }
                    if let Some(failed) = failed {
                        return Err(failed);
                    }
                }
                batch = from.recv(), if more && jobs.len() < at_work => match batch {
                    Some(batch) => {
                        self.ring.ready().await.map_err(Failure::writing)?;
                        let with = with.clone();
                        jobs.push_back(spawn_blocking(move || {
                            let (name, layout, document) = &*with;
                            seal(way, name, layout, document, batch)
                        }));
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

/// The first stage: text into batches, cut where a record ends.
fn read(
    mut source: impl Read,
    name: &str,
    front: tokio::sync::oneshot::Sender<Front>,
    to: &Sender<Batch>,
    mut empty: Receiver<Batch>,
) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::other(format!("cannot read {name}: {error}"));
    let mut left = Buffer::default();
    let (begin, mut more) = first_line(&mut source, &mut left).map_err(failed)?;
    let first = &left.as_slice()[..begin];
    let mut reader = ReaderBuilder::new().has_headers(false).from_reader(first);
    let mut header = ByteRecord::new();
    if !reader.read_byte_record(&mut header).map_err(|error| failed(error.into()))? {
        return Err(Failure::usage(format!(
            "{name} is empty: its first line has to have the names of the columns"
        )));
    }
    let crlf = first.ends_with(b"\r\n");
    let mut line = 1 + split::lines(first);
    if front.send(Front { header, crlf }).is_err() {
        return Ok(());
    }
    let mut first = Buffer::default();
    left.cut(begin, &mut first);
    left = first;
    while more || !left.as_slice().is_empty() {
        let mut batch = empty.try_recv().unwrap_or_default();
        batch.clear();
        batch.first_line = line;
        batch.text.extend(left.as_slice());
        left.clear();
        let mut least = BATCH;
        let mut broken = None;
        let end = loop {
            while more && batch.text.as_slice().len() < least {
                let missing = least - batch.text.as_slice().len();
                match batch.text.read(&mut source, missing) {
                    Ok(len) => more = len > 0,
                    Err(error) => (more, broken) = (false, Some(error)),
                }
            }
            let text = batch.text.as_slice();
            match split::last_end(text) {
                // What was read of a record before a failure is none.
                end if broken.is_some() => break end.unwrap_or_default(),
                _ if !more => break text.len(),
                Some(end) => break end,
                None if text.len() > MAX_RECORD => {
                    more = false;
                    broken = Some(io::Error::new(
                        io::ErrorKind::InvalidData,
                        "a record is longer than 16 MiB: a quote in it may have no end",
                    ));
                }
                None => least = 2 * text.len().max(BATCH),
            }
        };
        batch.text.cut(end, &mut left);
        line += split::lines(batch.text.as_slice());
        if !batch.text.as_slice().is_empty() && to.blocking_send(batch).is_err() {
            return Ok(());
        }
        // What was read before is written before the failure is told.
        if let Some(error) = broken {
            return Err(failed(error));
        }
    }
    Ok(())
}

/// Reads until the first line is over. Where it ends, and whether there may be more to read.
fn first_line(source: &mut impl Read, text: &mut Buffer) -> io::Result<(usize, bool)> {
    loop {
        let len = text.read(source, 64 << 10)?;
        let all = text.as_slice();
        // The csv crate leaves a byte order mark out.
        let mark = if all.starts_with("\u{feff}".as_bytes()) { 3 } else { 0 };
        match split::first_end(&all[mark..]).map(|end| mark + end) {
            Some(end) => return Ok((end, len > 0)),
            _ if len == 0 => return Ok((all.len(), false)),
            _ if all.len() > MAX_RECORD => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "a record is longer than 16 MiB: a quote in it may have no end",
                ));
            }
            _ => {}
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
