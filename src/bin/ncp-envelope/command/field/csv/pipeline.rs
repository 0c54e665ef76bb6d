//! Reading, encrypting and writing at the same time.
//!
//! Three stages with few batches between them, whose buffers go round: so memory is bounded, and
//! the slowest stage decides. The keys are asked for again before each batch, so that a denial ends
//! a long run.

use super::batch::{Batch, Cells, Done};
use super::columns::{Layout, Work};
use super::seal::seal;
use crate::input::{Input, blocking};
use crate::progress::Progress;
use crate::status::Failure;
use crate::summary::counted;
use crate::{output, signals, streams};
use csv::{ByteRecord, ReaderBuilder, Terminator, WriterBuilder};
use ncp_envelope::fields::{FieldCiphertext, KeyRing};
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Batches between two stages.
const BETWEEN: usize = 2;
/// Buffers of the reader and the writer.
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
        let (done_to, done_from) = channel::<Done>(BETWEEN);
        let (empty_to, empty_from) = channel::<Batch>(2 * BETWEEN + 2);
        let reading = blocking(move || read(reader, &name, front_to, &batch_to, empty_from));
        let reading = tokio::spawn(reading);
        let Ok(front) = front_from.await else {
            return Err(stopped(reading).await);
        };
        let (layout, header) = self.work.layout(self.ring, &front.header)?;
        let layout = Arc::new(layout);
        let written = self.written.clone();
        let words = written.clone();
        signals::last_words(move || {
            format!("{} written", counted(words.load(Ordering::Relaxed), "record"))
        });
        let out = (layout.clone(), header, front.crlf);
        let writing = blocking(move || write(out, done_from, &empty_to, &written));
        let writing = tokio::spawn(writing);
        let sealed = self.seal_all(&layout, batch_from, done_to).await;
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

    async fn seal_all(
        &self,
        layout: &Arc<Layout>,
        mut from: Receiver<Batch>,
        to: Sender<Done>,
    ) -> Result<(), Failure> {
        let (way, document) = (self.work.way, Arc::new(self.ring.document()));
        while let Some(batch) = from.recv().await {
            self.ring.ready().await.map_err(Failure::writing)?;
            let (layout, document) = (layout.clone(), document.clone());
            let done = blocking(move || seal(way, &layout, &document, batch)).await??;
            if to.send(done).await.is_err() {
                // The writer has failed, and says why.
                return Ok(());
            }
        }
        Ok(())
    }
}

async fn stopped(
    reading: tokio::task::JoinHandle<Result<Result<(), Failure>, Failure>>,
) -> Failure {
    match joined(reading.await) {
        Err(failure) => failure,
        Ok(()) => Failure::other("stopped before the first line"),
    }
}

fn joined(
    done: Result<Result<Result<(), Failure>, Failure>, tokio::task::JoinError>,
) -> Result<(), Failure> {
    match done {
        Ok(Ok(done)) => done,
        Ok(Err(failure)) => Err(failure),
        Err(error) => Err(Failure::other(format!("stopped: {error}"))),
    }
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
    (layout, header, crlf): (Arc<Layout>, ByteRecord, bool),
    mut from: Receiver<Done>,
    empty: &Sender<Batch>,
    written: &AtomicU64,
) -> Result<(), Failure> {
    let failed = |error: csv::Error| output::cannot_write(error.into());
    let out = streams::output().map_err(output::cannot_write)?;
    let terminator = if crlf { Terminator::CRLF } else { Terminator::Any(b'\n') };
    let mut writer =
        WriterBuilder::new().buffer_capacity(BUFFER).terminator(terminator).from_writer(out);
    writer.write_byte_record(&header).map_err(failed)?;
    // A reader of the output sees the first line before there is a record.
    writer.flush().map_err(output::cannot_write)?;
    while let Some(done) = from.blocking_recv() {
        for at in 0..done.batch.len() {
            record(&layout, &done, at, &mut writer).map_err(failed)?;
        }
        writer.flush().map_err(output::cannot_write)?;
        written.fetch_add(done.batch.len() as u64, Ordering::Relaxed);
        // If it is not wanted, it is wiped.
        let _ = empty.try_send(done.batch);
    }
    Ok(())
}

fn record(
    layout: &Layout,
    done: &Done,
    at: usize,
    writer: &mut csv::Writer<impl Write>,
) -> csv::Result<()> {
    for column in 0..layout.width {
        if layout.dropped[column] {
            continue;
        }
        match layout.sealed.iter().position(|(sealed, _)| *sealed == column) {
            None => writer.write_field(done.batch.cell(at, column))?,
            Some(cells) => match &done.cells[cells] {
                Cells::Ciphertexts(all) => {
                    let ciphertext = all.get(at).unwrap_or_default();
                    writer.write_field(FieldCiphertext::to_text(ciphertext))?;
                }
                // All of a batch were found authentic.
                Cells::Values(all) => writer.write_field(all.get(at).unwrap_or_default())?,
            },
        }
    }
    for indexes in &done.added {
        writer.write_field(super::super::hex(indexes.get(at).unwrap_or_default()))?;
    }
    writer.write_record(None::<&[u8]>)
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
