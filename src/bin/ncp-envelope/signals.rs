//! Signals that end the program.
//!
//! The command runs on a thread of its own, with a runtime of its own; the main thread only
//! listens. So a signal is heard even if the command blocks, in a read of a silent pipe or the
//! opening of one without a writer.
//!
//! Promises: after a signal the program exits within a second, with 128 plus the signal's number as
//! its exit code, and leaves no file. If all input was read and only short last steps are left, it
//! takes these and exits as it would have without the signal. Every signal that ends a program by
//! default is handled, except those that a fault of the program raises, which should leave a core.
//! A signal that was ignored when the program started (`nohup`, `trap '' HUP`) stays ignored. A
//! file that would exceed the limit on its size is an error of that write, and no signal.

use crate::status::notice;
use ncp_envelope::io::discard_unfinished;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How long the last steps may take, and how long cancelled work may take to remove its output.
const PATIENCE: Duration = Duration::from_millis(400);
/// The same for work that is left when a command has ended by itself.
const AFTERWARDS: Duration = Duration::from_secs(2);
/// The size of a main thread's stack: a command's future is on the stack.
const STACK: usize = 8 << 20;

/// Whether only the last steps are left.
static FINISHING: AtomicBool = AtomicBool::new(false);

/// What is printed if a signal ends the command.
static LAST_WORDS: Mutex<Option<Box<Words>>> = Mutex::new(None);
type Words = dyn Fn() -> String + Send;

/// Marks that only the last steps are left, such as giving the output its name. Breaking these off
/// would leave it unclear whether they were done.
pub(crate) fn finishing() {
    FINISHING.store(true, Ordering::Relaxed);
}

/// Prints `words` if a signal ends the command. They say how far it came.
pub(crate) fn last_words(words: impl Fn() -> String + Send + 'static) {
    *LAST_WORDS.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(words));
}

/// Runs `work`, and returns its exit code, or that of the signal which ended it.
///
/// # Errors
/// If the system gives neither thread nor runtime.
pub(crate) fn run<F>(work: impl FnOnce() -> F + Send + 'static) -> io::Result<ExitCode>
where
    F: Future<Output = ExitCode>,
{
    let failed = |error| io::Error::other(format!("cannot start: {error}"));
    let listening = runtime().map_err(failed)?;
    // From here on only the signals handled below end the program.
    let mut signals = listening.block_on(async { Signals::listen() });
    let (give_up, given_up) = oneshot::channel::<()>();
    let (tell, mut told) = oneshot::channel();
    let (leave, left) = oneshot::channel::<()>();
    let started =
        std::thread::Builder::new().name("command".to_owned()).stack_size(STACK).spawn(move || {
            work_on(work, given_up, tell).map_err(failed)?;
            drop(leave);
            Ok::<_, io::Error>(())
        });
    let thread = started.map_err(failed)?;
    let code = listening.block_on(async {
        let told = tokio::select! {
            // Completed work counts, even if a signal arrived at the same time.
            biased;
            done = &mut told => done.ok().flatten(),
            code = signals.next() => {
                drop(give_up);
                // The time for the last steps, and then the time to cancel.
                let done = timeout(2 * PATIENCE, told).await;
                return Some(done.ok().and_then(Result::ok).flatten().unwrap_or_else(|| {
                    let words = LAST_WORDS.lock().unwrap_or_else(PoisonError::into_inner);
                    words.iter().for_each(|words| notice(&words()));
                    code
                }));
            }
        };
        tokio::select! {
            _ = left => {}
            _ = signals.next() => {}
        }
        told
    });
    // A thread that still holds a file is blocked and will not remove it.
    discard_unfinished();
    match code {
        Some(code) => Ok(code),
        // It ended without a result.
        None => thread.join().unwrap_or(Ok(())).and_then(|()| {
            Err(io::Error::other("this is a fault of the program: the command panicked"))
        }),
    }
}

/// On the command's thread. Sends the exit code when there is one, and returns when none of the
/// work is left, or soon after.
fn work_on<F: Future<Output = ExitCode>>(
    work: impl FnOnce() -> F,
    given_up: oneshot::Receiver<()>,
    tell: oneshot::Sender<Option<ExitCode>>,
) -> io::Result<()> {
    let runtime = runtime()?;
    let done = runtime.block_on(async {
        let mut work = pin!(work());
        tokio::select! {
            code = &mut work => Some(code),
            // Nothing is ever sent: the other end is dropped.
            _ = given_up => match FINISHING.load(Ordering::Relaxed) {
                true => timeout(PATIENCE, work).await.ok(),
                false => None,
            },
        }
    });
    match done {
        Some(code) => {
            let _ = tell.send(Some(code));
            runtime.shutdown_timeout(AFTERWARDS);
        }
        None => {
            // Cancelled file work removes its temporary file and ends within a buffer's time; a
            // read from a silent pipe may never end.
            runtime.shutdown_timeout(PATIENCE);
            let _ = tell.send(None);
        }
    }
    Ok(())
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

#[cfg(unix)]
struct Signals(Vec<(i32, tokio::signal::unix::Signal)>);

#[cfg(unix)]
impl Signals {
    /// Handles every signal that would end the program. One that cannot be handled keeps its
    /// default.
    fn listen() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        let ignored = ignored();
        let not_ignored = |number: &i32| ignored & (1_u64 << (number - 1)) == 0;
        let listen = |number: i32| Some((number, signal(SignalKind::from_raw(number)).ok()?));
        let ending = ENDING.iter().copied().chain(REAL_TIME).filter(not_ignored);
        Self(ending.filter_map(listen).collect())
    }

    /// Waits for a signal, and returns the customary exit code for it.
    async fn next(&mut self) -> ExitCode {
        std::future::poll_fn(|context| {
            for (number, signal) in &mut self.0 {
                while signal.poll_recv(context).is_ready() {
                    if *number != rustix::process::Signal::XFSZ.as_raw() {
                        return std::task::Poll::Ready(ExitCode::from(128 + *number as u8));
                    }
                }
            }
            std::task::Poll::Pending
        })
        .await
    }
}

/// The signals that end a program and do not mean a fault of its own.
#[cfg(unix)]
const ENDING: &[i32] = {
    use rustix::process::Signal;
    &[
        Signal::HUP.as_raw(),
        Signal::INT.as_raw(),
        Signal::QUIT.as_raw(),
        Signal::TERM.as_raw(),
        Signal::ALARM.as_raw(),
        Signal::USR1.as_raw(),
        Signal::USR2.as_raw(),
        Signal::VTALARM.as_raw(),
        Signal::PROF.as_raw(),
        Signal::XCPU.as_raw(),
        // Handled but not obeyed: the write that raised it fails.
        Signal::XFSZ.as_raw(),
        // On other systems its default is to do nothing.
        #[cfg(target_os = "linux")]
        Signal::IO.as_raw(),
        #[cfg(target_os = "linux")]
        Signal::POWER.as_raw(),
        #[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
        Signal::STKFLT.as_raw(),
    ]
};

/// The first ones are reserved by the C library.
#[cfg(target_os = "linux")]
const REAL_TIME: std::ops::RangeInclusive<i32> = 34..=64;
#[cfg(all(unix, not(target_os = "linux")))]
const REAL_TIME: [i32; 0] = [];

/// A bit for each signal that is ignored now. Before any signal is handled, that is how the program
/// was started. Only Linux has a file with this; other systems need a call that is `unsafe`.
#[cfg(unix)]
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> Self {
        Self
    }

    async fn next(&mut self) -> ExitCode {
        match tokio::signal::ctrl_c().await {
            Ok(()) => ExitCode::from(130),
            Err(_) => std::future::pending().await,
        }
    }
}
