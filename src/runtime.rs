//! The crate's own runtime, one for the process: where calls to key services are made.
//!
//! A call is waited for by many, on whatever runtimes and threads they have, and holds what others
//! need: a place under the rate limit, the turn to refresh a token, a connection. On a caller's
//! runtime all of that stands still when that runtime does, or when the caller's future is not
//! polled any more. Here it goes on, whoever waits and however they do.
//!
//! Promises: it starts at the first call and stays; what is [`run`] for a caller who goes away is
//! stopped; a panic in what it runs is an error to who waits; no thread [`wait`]s within a runtime.
//! Knows nothing of what it runs. Without the features that bring a runtime there is [`wait`] only.

use crate::error::Result;
#[cfg(any(feature = "tokio", feature = "kms", feature = "emulator"))]
use crate::error::{Error, ErrorKind};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

#[cfg(any(feature = "tokio", feature = "kms", feature = "emulator"))]
pub(crate) use own::*;

/// Waits for `future` on this thread.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] within a runtime, which would stand still meanwhile, with whatever
/// the future waits for.
pub(crate) fn wait<F: Future>(future: F) -> Result<F::Output> {
    #[cfg(any(feature = "tokio", feature = "kms", feature = "emulator"))]
    if tokio::runtime::Handle::try_current().is_ok() {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            "a blocking call within an async runtime would stop the runtime: use the async call",
        ));
    }
    // For timers and tasks of what is waited for. Where there is no thread for them, what needs
    // none works all the same.
    #[cfg(any(feature = "tokio", feature = "kms", feature = "emulator"))]
    let _entered = get().ok().map(|runtime| runtime.enter());
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return Ok(output),
            Poll::Pending => thread::park(),
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[cfg(any(feature = "tokio", feature = "kms", feature = "emulator"))]
mod own {
    use crate::error::{Error, ErrorKind, Result};
    use crate::process::PerProcess;
    #[cfg(any(feature = "kms", all(not(test), not(shuttle))))]
    use std::future::Future;
    use std::future::pending;
    use std::io;
    use std::sync::{LazyLock, Mutex, OnceLock, PoisonError, mpsc};
    use std::thread;
    use tokio::runtime::{Builder, Handle};
    #[cfg(feature = "kms")]
    use tokio::task::JoinHandle;

    static RUNTIME: LazyLock<PerProcess<Own>> = LazyLock::new(|| PerProcess::each(Own::default));

    #[derive(Default)]
    struct Own {
        started: OnceLock<Handle>,
        start: Mutex<()>,
    }

    /// Started, if it is not yet; in a process that was forked off, one of its own.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] if the system gives no thread.
    pub(crate) fn get() -> Result<&'static Handle> {
        let own: &'static Own = &RUNTIME;
        if let Some(runtime) = own.started.get() {
            return Ok(runtime);
        }
        let _one_starts = own.start.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = own.started.get() {
            return Ok(runtime);
        }
        let started = start().map_err(|error| {
            let what = format!("cannot start the thread that calls the key service: {error}");
            Error::with_source(ErrorKind::Internal, what, error)
        })?;
        Ok(own.started.get_or_init(|| started))
    }

    // A runtime of many threads would start them itself, and panic if there are none to be had.
    // Built over there, because one that is not needed after all could not be dropped within
    // another.
    fn start() -> io::Result<Handle> {
        let (tell, told) = mpsc::sync_channel(1);
        thread::Builder::new().name("ncp-envelope".to_owned()).spawn(move || {
            match Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => {
                    let _ = tell.send(Ok(runtime.handle().clone()));
                    runtime.block_on(pending::<()>());
                }
                Err(error) => {
                    let _ = tell.send(Err(error));
                }
            }
        })?;
        told.recv().unwrap_or_else(|_| Err(io::Error::other("the thread has ended")))
    }

    /// Does `work` there, whether or not anyone waits for it, or gives it back if there is no
    /// runtime.
    #[cfg(all(not(test), not(shuttle)))]
    pub(crate) fn spawn<W>(work: W) -> std::result::Result<(), W>
    where
        W: Future<Output = ()> + Send + 'static,
    {
        match get() {
            Ok(runtime) => {
                runtime.spawn(heard(work));
                Ok(())
            }
            Err(_) => Err(work),
        }
    }

    /// Does `work` there and waits for it, on any executor. Stops it if the caller goes away.
    #[cfg(feature = "kms")]
    pub(crate) async fn run<T: Send + 'static>(
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let mut task = Stopped(get()?.spawn(heard(work)));
        (&mut task.0).await.unwrap_or_else(|error| {
            Err(Error::with_source(ErrorKind::Internal, "the call did not finish", error))
        })
    }

    /// Does `work`, which blocks, beside the tasks of the runtime that this is called in; or here,
    /// if there is none, or the system gives no thread.
    #[cfg(any(feature = "kms", feature = "tokio"))]
    pub(crate) async fn offload<T: Send + 'static>(
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        // tokio panics if it wants a thread and gets none, and has taken the work by then.
        let gives_threads =
            || thread::Builder::new().spawn(|| ()).is_ok_and(|thread| thread.join().is_ok());
        if Handle::try_current().is_err() || !gives_threads() {
            return work();
        }
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
            Err(Error::with_source(ErrorKind::Internal, "the work did not finish", error))
        })
    }

    #[cfg(feature = "kms")]
    struct Stopped<T>(JoinHandle<T>);

    #[cfg(feature = "kms")]
    impl<T> Drop for Stopped<T> {
        fn drop(&mut self) {
            self.0.abort();
        }
    }

    /// `work`, whose events and spans go where those of the caller go.
    #[cfg(feature = "tracing")]
    fn heard<T>(work: impl Future<Output = T> + Send) -> impl Future<Output = T> + Send {
        use tracing::instrument::{Instrument, WithSubscriber};
        work.in_current_span().with_current_subscriber()
    }

    #[cfg(any(feature = "kms", all(not(test), not(shuttle))))]
    #[cfg(not(feature = "tracing"))]
    fn heard<T>(work: impl Future<Output = T> + Send) -> impl Future<Output = T> + Send {
        work
    }
}
