//! Regular files on all cores: workers claim runs of chunks, read, seal or open them, and write
//! each at its place.
//!
//! There is no order to keep and no hand-over. Each worker has room for a run on each side, and all
//! of them together take 8 MiB at most.

use super::buffer::{PAGE, PageBuffer};
use super::offload::Cancelled;
use super::run::RUN_CHUNKS;
use super::source::SourceFile;
use crate::crew::threads_of;
use crate::error::{Error, ErrorKind, Result};
use crate::format::{CHUNK_LEN, Decryptor, Encryptor, PREAMBLE_LEN, SEALED_CHUNK_LEN, range};
use crate::output::Output;
use std::io;
#[cfg(target_os = "linux")]
use std::num::NonZeroU64;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// A file system writes to one file from one thread at a time, so many workers gain little, and
/// their buffers add up.
const MAX_WORKERS: usize = 16;
/// The longest run, 1 MiB. With a quarter of that a file takes a quarter more time, with twice as
/// much it takes the same.
const LONG_RUN: usize = 64;
/// Chunks that all workers together hold, on each side.
const HELD_CHUNKS: usize = LONG_RUN * 4;
/// How much is sent to the disk at once while more is written. Much less costs more processor time
/// than it saves.
#[cfg(target_os = "linux")]
const WRITE_BACK: u64 = 8 << 20;

/// The two files, and what their workers share.
pub(super) struct Files<'a> {
    pub(super) source: &'a SourceFile,
    pub(super) source_len: u64,
    /// None for what is only verified.
    pub(super) output: Option<&'a Output>,
    /// 0 for as many as there are cores.
    pub(super) threads: usize,
    pub(super) cancelled: &'a Cancelled,
    /// Called with how much more of the source was done, by any worker.
    pub(super) report: &'a (dyn Fn(u64) + Sync),
}

impl Files<'_> {
    /// Writes the message of `encryptor` and returns its length.
    pub(super) fn encrypt(&self, encryptor: Encryptor) -> Result<u64> {
        let (header, runs) = encryptor.into_runs(self.source_len)?;
        let start = header.len() as u64;
        let len = start + runs.chunks_len();
        if let Some(output) = self.output {
            output.reserve(len)?;
        }
        self.write(&header, 0)?;
        let plan = Plan::new(self.threads, range::chunk_count(self.source_len));
        self.on_all(plan, |buffers| {
            let claim = runs.claim(plan.run)?;
            let (from, to) = (claim.plaintext_range(), claim.sealed_range());
            let at = from.start;
            let (input, output) = buffers.for_ranges(
                from.start,
                from.end - from.start,
                start + to.start,
                to.end - to.start,
            );
            let done = self
                .read(input, from.start)
                .and_then(|()| claim.seal(input, output))
                .and_then(|()| self.write(output, start + to.start));
            Some((at, done.map(|()| from.end - from.start)))
        })?;
        runs.finish()?;
        Ok(len)
    }

    /// Writes the plaintext of the message whose body begins at `body`, and returns its length. All
    /// of it was verified when this succeeds (`F-27`).
    pub(super) fn decrypt(&self, decryptor: Decryptor, body: u64) -> Result<u64> {
        let len = range::plaintext_len(self.source_len.saturating_sub(body))?;
        let (runs, chunks, start) =
            (decryptor.into_range(), range::chunk_count(len), body + PREAMBLE_LEN as u64);
        let (next, plan) = (AtomicU64::new(0), Plan::new(self.threads, chunks));
        self.on_all(plan, |buffers| {
            let first = next.fetch_add(plan.run, Ordering::Relaxed);
            if first >= chunks {
                return None;
            }
            let from = first * SEALED_CHUNK_LEN as u64;
            let input_len =
                (plan.run * SEALED_CHUNK_LEN as u64).min(self.source_len - start - from);
            let to = first * CHUNK_LEN as u64;
            let output_len = (plan.run * CHUNK_LEN as u64).min(len - to);
            let (buf, sealed_at) = buffers.in_one(start + from, input_len, to, output_len);
            let done = self
                .read(&mut buf[sealed_at..], start + from)
                .and_then(|()| runs.open_behind(first, buf, sealed_at))
                .and_then(|len| self.write(&buf[..len], to));
            Some((first, done.map(|()| input_len)))
        })?;
        Ok(len)
    }

    /// Runs `step` on every core until no run is left. Of several failures the first one in the
    /// file is reported, whichever worker found its own first: runs are claimed in order, and a
    /// claimed run is always finished.
    fn on_all(
        &self,
        plan: Plan,
        step: impl Fn(&mut Buffers) -> Option<(u64, Result<u64>)> + Sync,
    ) -> Result<()> {
        let (stop, failed) = (AtomicBool::new(false), Mutex::new(None::<(u64, Error)>));
        let fail = |at: u64, error: Error| {
            stop.store(true, Ordering::Relaxed);
            let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
            if failed.as_ref().is_none_or(|(earlier, _)| at < *earlier) {
                *failed = Some((at, error));
            }
        };
        let work = || {
            let _guard = StopOnPanic(&stop);
            let mut buffers = Buffers::new(plan.run as usize);
            while !stop.load(Ordering::Relaxed) {
                if let Err(error) = self.cancelled.check() {
                    return fail(u64::MAX, error);
                }
                match step(&mut buffers) {
                    None => return,
                    Some((_, Ok(done))) => (self.report)(done),
                    Some((at, Err(error))) => return fail(at, error),
                }
            }
        };
        thread::scope(|scope| {
            // If no thread can be started, fewer do the work.
            let spawn = |_| {
                thread::Builder::new()
                    .name("ncp-envelope".to_owned())
                    .spawn_scoped(scope, work)
                    .ok()
            };
            let helpers: Vec<_> = (1..plan.workers).map_while(spawn).collect();
            work();
            for helper in helpers {
                if helper.join().is_err() {
                    fail(
                        u64::MAX,
                        Error::new(ErrorKind::Internal, "a thread of the file work did not finish"),
                    );
                }
            }
        });
        match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some((_, error)) => Err(error),
            None => Ok(()),
        }
    }

    /// Fills `buf` from `offset`.
    fn read(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        self.source.file().read_exact_at(buf, offset).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => self.source.shorter(),
            _ => Error::io(format_args!("cannot read {}", self.source.path().display()), error),
        })
    }

    fn write(&self, bytes: &[u8], offset: u64) -> Result<()> {
        let Some(output) = self.output else { return Ok(()) };
        output.write_at(bytes, offset).map_err(|error| {
            Error::io(format_args!("cannot write {}", output.target().display()), error)
        })?;
        #[cfg(target_os = "linux")]
        if output.syncs() {
            start_write_back(output, offset, offset + bytes.len() as u64);
        }
        Ok(())
    }
}

/// Sends what lies behind what was just written, from `start` to `end`, on its way to the disk,
/// so that the disk works while the cores do. A batch behind, because other workers may be a
/// few runs late, and a page that changes again is written twice.
#[cfg(target_os = "linux")]
fn start_write_back(output: &Output, start: u64, end: u64) {
    let batch = |offset: u64| (offset / WRITE_BACK).checked_sub(2);
    if let (before, Some(ready)) = (batch(start), batch(end))
        && before != Some(ready)
    {
        // A hint: if it is ignored, the sync at the end does all the work.
        let _ = rustix::fs::fadvise(
            output.file(),
            ready * WRITE_BACK,
            NonZeroU64::new(WRITE_BACK),
            rustix::fs::Advice::DontNeed,
        );
    }
}

/// How the work is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Plan {
    workers: usize,
    /// Chunks that one of them takes at once, a power of two: plaintext that begins on large
    /// boundaries gets larger pieces of the page cache.
    run: u64,
}

impl Plan {
    /// For as many `threads` as the caller wants, 0 standing for one a core.
    fn new(threads: usize, chunks: u64) -> Self {
        let wanted = threads_of(threads).min(MAX_WORKERS);
        // Four runs for each, or they do not finish together.
        let share = usize::try_from(chunks).unwrap_or(usize::MAX) / (4 * wanted);
        let run = share.min(HELD_CHUNKS / wanted).clamp(RUN_CHUNKS, LONG_RUN);
        let run = 1 << run.ilog2();
        Self { workers: wanted.min(usize::try_from(chunks.div_ceil(run)).unwrap_or(wanted)), run }
    }
}

/// A worker that panics, such as in the caller's progress function, stops the others.
struct StopOnPanic<'a>(&'a AtomicBool);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

/// What one worker reads into and writes from: room for the output, and behind it for the input.
struct Buffers {
    bytes: PageBuffer,
    /// Where the room for the input begins.
    input: usize,
}

impl Buffers {
    fn new(run: usize) -> Self {
        // One page more each, to lie on their pages as the bytes in the files do.
        let len = (run * SEALED_CHUNK_LEN + PAGE).next_multiple_of(PAGE);
        Self { bytes: PageBuffer::new(2 * len), input: len }
    }

    /// Room for so many bytes of the source and of the output, at these offsets.
    fn for_ranges(
        &mut self,
        from: u64,
        from_len: u64,
        to: u64,
        to_len: u64,
    ) -> (&mut [u8], &mut [u8]) {
        let (output, input) = self.bytes.split_at_mut(self.input);
        (&mut input[beside(from, from_len)], &mut output[beside(to, to_len)])
    }

    /// The same in one slice: the output is its front, and the source begins at the given place.
    fn in_one(&mut self, from: u64, from_len: u64, to: u64, to_len: u64) -> (&mut [u8], usize) {
        let (from, to) = (beside(from, from_len), beside(to, to_len));
        let buf = &mut self.bytes[to.start..self.input + from.end];
        (buf, self.input + from.start - to.start)
    }
}

/// Room that lies on its pages as `len` bytes at `offset` of a file do: the system copies whole
/// pages then, several times as fast.
fn beside(offset: u64, len: u64) -> Range<usize> {
    let start = (offset % PAGE as u64) as usize;
    start..start + len as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::sync::Arc;

    struct SetOnDrop(Arc<AtomicBool>);

    impl Drop for SetOnDrop {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    thread_local! {
        static LEFT: RefCell<Option<SetOnDrop>> = const { RefCell::new(None) };
    }

    /// Has two workers do `step`.
    fn on_two(step: impl Fn() -> Option<(u64, Result<u64>)> + Sync) -> Result<()> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("in");
        std::fs::write(&path, b"").unwrap();
        let settings = crate::output::Settings::default();
        let files = Files {
            source: &SourceFile::open(&path).unwrap(),
            source_len: 0,
            output: Some(&Output::create(&dir.path().join("out"), settings, None).unwrap()),
            threads: 2,
            cancelled: &Cancelled::default(),
            report: &|_| {},
        };
        files.on_all(Plan { workers: 2, run: 16 }, |_| step())
    }

    fn wait_for(flag: &AtomicBool) {
        while !flag.load(Ordering::SeqCst) {
            thread::yield_now();
        }
    }

    #[test]
    fn the_first_fault_in_the_file_counts_whichever_worker_comes_to_it_first() {
        let (test, helper_left) = (thread::current().id(), Arc::new(AtomicBool::new(false)));
        let at_work = AtomicBool::new(false);
        let fault = |at: u64| Some((at, Err(Error::new(ErrorKind::Io, format!("fault at {at}")))));
        // This thread has its fault when that of the other was noted and the other is gone.
        let error = on_two(|| {
            if thread::current().id() != test {
                wait_for(&at_work);
                LEFT.set(Some(SetOnDrop(helper_left.clone())));
                return fault(1);
            }
            at_work.store(true, Ordering::SeqCst);
            wait_for(&helper_left);
            fault(0)
        });
        assert_eq!(error.unwrap_err().to_string(), "fault at 0");
    }

    #[test]
    fn a_worker_that_panics_ends_the_work_of_the_other() {
        let (test, at_work) = (thread::current().id(), AtomicBool::new(false));
        let runs = AtomicU64::new(0);
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            on_two(|| {
                if thread::current().id() == test {
                    wait_for(&at_work);
                    panic!("planted");
                }
                at_work.store(true, Ordering::SeqCst);
                // A minute, which nobody takes to panic.
                let run = runs.fetch_add(1, Ordering::SeqCst);
                thread::sleep(std::time::Duration::from_millis(1));
                (run < 60_000).then_some((run, Ok(1)))
            })
        }));
        assert!(result.is_err());
        assert!(runs.load(Ordering::SeqCst) < 60_000);
    }

    #[test]
    fn work_is_divided_so_that_buffers_stay_small_and_all_have_some() {
        for threads in [0, 1, 2, 3, 4, 5, 7, 8, 16, 1_000] {
            for chunks in [1, 15, 16, 17, 64, 100, 1_000, 65_536, u64::MAX] {
                let plan = Plan::new(threads, chunks);
                let runs = chunks.div_ceil(plan.run);
                assert!(
                    (1..=MAX_WORKERS).contains(&plan.workers) && plan.workers as u64 <= runs,
                    "{threads} {chunks}: {plan:?}"
                );
                assert!(
                    plan.run.is_power_of_two() && (16..=64).contains(&plan.run),
                    "{threads} {chunks}: {plan:?}"
                );
                assert!(
                    plan.workers * plan.run as usize <= HELD_CHUNKS,
                    "{threads} {chunks}: {plan:?}"
                );
            }
        }
        assert_eq!(Plan::new(2, 65_536), Plan { workers: 2, run: 64 });
        assert_eq!(Plan::new(16, 65_536), Plan { workers: 16, run: 16 });
        assert_eq!(Plan::new(2, 256), Plan { workers: 2, run: 32 });
        assert_eq!(Plan::new(8, 17), Plan { workers: 2, run: 16 });
    }
}
