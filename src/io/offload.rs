//! Blocking work: where it runs, and how it is cancelled.

use crate::error::{Error, ErrorKind, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Runs `work` on a thread that may block, or inline if there is none. The flag it gets turns true
/// when the caller drops the future.
pub(crate) async fn offload<T: Send + 'static>(
    work: impl FnOnce(Cancelled) -> Result<T> + Send + 'static,
) -> Result<T> {
    let flag = Cancelled::default();
    let _guard = CancelOnDrop(flag.clone());
    #[cfg(feature = "tokio")]
    return crate::runtime::offload(move || work(flag)).await;
    #[cfg(not(feature = "tokio"))]
    work(flag)
}

#[derive(Clone, Default)]
pub(crate) struct Cancelled(Arc<AtomicBool>);

impl Cancelled {
    pub(crate) fn check(&self) -> Result<()> {
        if self.0.load(Ordering::Relaxed) {
            Err(Error::new(ErrorKind::Io, "the work was cancelled"))
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
impl Cancelled {
    pub(super) fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct CancelOnDrop(Cancelled);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}
