//! The same work on many files, several at a time.
//!
//! Promises: names are searched in parallel with the work, so that a signal ends either; a file
//! that fails is reported and stops no other; a file that is no message is a failure only if it was
//! named.

use crate::failures::Failures;
use crate::output::{self, Record};
use crate::status::Failure;
use crate::walk::Walk;
use ncp_envelope::Error;
use ncp_envelope::stored::StoredMessage;
use serde_json::json;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Results for files.
pub(crate) struct Done<T> {
    /// Results of files that did not fail.
    pub(crate) results: Vec<T>,
    /// How many files were skipped because they are no messages.
    pub(crate) not_messages: u64,
    /// How many links were skipped.
    pub(crate) links: u64,
}

impl<T> Done<T> {
    /// Prints `counts` and the numbers of skipped and failed files, and ends the command.
    pub(crate) fn report(
        &self,
        json: bool,
        counts: Record,
        failures: &Failures,
    ) -> Result<(), Failure> {
        let mut record = counts;
        record.extend([
            ("not_messages", json!(self.not_messages)),
            ("links", json!(self.links)),
            ("failed", json!(failures.count())),
        ]);
        if json {
            record.push(("failures", failures.json()));
        }
        output::one(json, record)?;
        failures.end(None)
    }
}

/// Runs `work` on all files of `walk`, `at_once` at a time.
pub(crate) async fn each<T, F>(
    walk: Walk,
    at_once: usize,
    failures: &Arc<Failures>,
    work: impl Fn(PathBuf) -> F,
) -> Done<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Error>> + Send + 'static,
{
    let (send, mut found) = mpsc::channel::<PathBuf>(at_once);
    let (links, failed) = (walk.links(), failures.clone());
    let passed_over = Arc::new(AtomicU64::new(0));
    let foreign = passed_over.clone();
    tokio::task::spawn_blocking(move || {
        for path in walk {
            if !failed.is_named(&path) && matches!(StoredMessage::is_one(&path), Ok(false)) {
                failed.progress.step();
                foreign.fetch_add(1, Ordering::Relaxed);
            } else if send.blocking_send(path).is_err() {
                // The work has ended.
                break;
            }
        }
    });
    let (mut running, mut results, mut more) = (JoinSet::new(), Vec::new(), true);
    loop {
        tokio::select! {
            path = found.recv(), if more && running.len() < at_once => match path {
                Some(path) => {
                    let doing = work(path.clone());
                    running.spawn(async move { (path, doing.await) });
                }
                None => more = false,
            },
            Some(done) = running.join_next() => {
                failures.progress.step();
                match done {
                    Ok((_, Ok(result))) => results.push(result),
                    Ok((path, Err(error))) => failures.add(&path, error),
                    Err(error) => std::panic::resume_unwind(error.into_panic()),
                }
            }
            else => break,
        }
    }
    let not_messages = passed_over.load(Ordering::Relaxed);
    Done { results, not_messages, links: links.load(Ordering::Relaxed) }
}
