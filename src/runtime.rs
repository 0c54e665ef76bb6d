//! The crate's own runtime, one for the process, which polls calls to key services.
//!
//! A call has many waiters, on any runtimes and threads, and holds resources that others need: a
//! place under the rate limit, the lock of a token refresh, a connection. On a caller's runtime it
//! would stall when that runtime blocks, or when the caller's future is no longer polled. Here it
//! keeps running.
//!
//! Promises: it starts at the first call and never stops. Dropping the future of [`run`] cancels
//! its work. A panic in its work is an error for all waiters. [`wait`] never blocks a runtime's
//! thread. Knows nothing of the work it runs. Without a feature that brings a runtime there is only
//! [`wait`].

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
/// [`ErrorKind::InvalidInput`] within a runtime: it would block that runtime's thread, and with it
/// what the future may be waiting for.
pub(crate) fn wait<F: Future>(future: F) -> Result<F::Output> {
    #[cfg(any(feature = "tokio", feature = "kms", feature = "emulator"))]
    if tokio::runtime::Handle::try_current().is_ok() {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            "a blocking call within an async runtime would block the runtime: use the async call",
        ));
    }
    // For timers and tasks of the future. Without a thread for them, a future that needs none still
    // works.
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

    /// The runtime, started if necessary. A forked child has one of its own.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] if the thread cannot be started.
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

    // A multi-thread runtime would start its threads itself, and panic if it cannot. Built on its
    // own thread, because a runtime cannot be dropped within another.
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

    /// Runs `work` to its end, with or without waiters. Returns it if there is no runtime.
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

    /// Runs `work` and waits for it, on any executor. Dropping the future cancels it.
    #[cfg(feature = "kms")]
    pub(crate) async fn run<T: Send + 'static>(
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let mut task = AbortOnDrop(get()?.spawn(heard(work)));
        (&mut task.0).await.unwrap_or_else(|error| {
            Err(Error::with_source(ErrorKind::Internal, "the call did not finish", error))
        })
    }

    /// Runs blocking `work` on a blocking thread of the current runtime; on this thread, if there
    /// is no runtime or no thread can be started.
    #[cfg(any(feature = "kms", feature = "tokio"))]
    pub(crate) async fn offload<T: Send + 'static>(
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        // tokio panics if it cannot start a thread, and has consumed the work by then.
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
    struct AbortOnDrop<T>(JoinHandle<T>);

    #[cfg(feature = "kms")]
    impl<T> Drop for AbortOnDrop<T> {
        fn drop(&mut self) {
            self.0.abort();
        }
    }

    /// `work` in the span and with the subscriber of the caller.
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
