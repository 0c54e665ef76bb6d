//! Whether the program that started this one still runs.
//!
//! Two signs, because neither is enough alone. A pipe on standard input ends when all its writers
//! have exited, even those that outlived the process that started this one. And on Unix an orphan
//! gets another parent, which is visible without a pipe: shells give `/dev/null` to background
//! jobs.

use crate::status::Failure;
use crate::streams;
use std::time::Duration;
use tokio::sync::oneshot;

/// How often the parent is checked.
const PAUSE: Duration = Duration::from_millis(250);

/// A watch on the program that started this one.
pub(crate) struct Parent {
    id: Option<u32>,
    /// Resolves when standard input has ended; never if that is no pipe.
    input: Option<oneshot::Receiver<()>>,
}

/// Starts to watch.
pub(crate) fn watch() -> Result<Parent, Failure> {
    let id = id();
    let input = is_pipe().then(|| {
        let (end, ended) = oneshot::channel();
        let read = move || {
            drain();
            drop(end);
        };
        // A thread of its own, which the program does not join: nothing can cancel such a read.
        std::thread::Builder::new().name("standard-input".into()).spawn(read).map(|_| ended)
    });
    let input = input.transpose().map_err(|error| {
        Failure::other(format!("cannot start a thread to watch standard input: {error}"))
    })?;
    Ok(Parent { id, input })
}

impl Parent {
    /// Waits until the parent has exited.
    pub(crate) async fn ended(self) {
        let closed = async {
            match self.input {
                // Nothing is ever sent: the sender is dropped when the input ends.
                Some(input) => drop(input.await),
                None => std::future::pending().await,
            }
        };
        let gone = async {
            while id() == self.id {
                tokio::time::sleep(PAUSE).await;
            }
        };
        tokio::select! {
            () = closed => {}
            () = gone => {}
        }
    }
}

/// Reads to the end, and ignores the content.
fn drain() {
    let Ok(mut input) = streams::input() else { return };
    let _ = std::io::copy(&mut input, &mut std::io::sink());
}

#[cfg(unix)]
fn id() -> Option<u32> {
    Some(std::os::unix::process::parent_id())
}

#[cfg(not(unix))]
fn id() -> Option<u32> {
    None
}

#[cfg(unix)]
fn is_pipe() -> bool {
    use std::os::unix::fs::FileTypeExt;
    let metadata = streams::input().ok().and_then(|input| input.metadata());
    metadata.is_some_and(|metadata| {
        let kind = metadata.file_type();
        kind.is_fifo() || kind.is_socket()
    })
}

#[cfg(not(unix))]
fn is_pipe() -> bool {
    true
}
