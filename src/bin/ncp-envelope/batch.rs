//! Many files in one run of `encrypt`, `decrypt` or `verify`. The work on them is the library's.

use crate::copy::Copy;
use crate::failures::Failures;
use crate::input::{Input, blocking};
use crate::place::{OutputArgs, Target};
use crate::plan::{Plan, Task};
use crate::progress::Progress;
use crate::status::{Failure, is_quiet, notice};
use crate::summary::{Summary, counted, done};
use crate::tree::{Pairs, Seen, count_all};
use crate::{output, signals, streams};
use ncp_envelope::io::{FileDone, FileOptions, FileOutcome, FilesOptions, FilesReport};
use ncp_envelope::{Envelope, Error, ErrorKind};
use serde_json::{Value, json};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// How many files are processed, and how.
pub(crate) struct Batch {
    task: Task,
    seen: Arc<Seen>,
    force: bool,
    /// Whether to say what was done without a failure.
    says: bool,
    started: Instant,
}

impl Batch {
    /// Makes the directory for the outputs, if there is one. Returns the inputs with their outputs
    /// too, for the library.
    pub(crate) fn start(plan: Plan, output: Option<&OutputArgs>) -> Result<(Self, Pairs), Failure> {
        let force = output.is_some_and(|output| output.force);
        let task = plan.task;
        let meaning = match task {
            Task::Encrypt => Failure::writing,
            Task::Decrypt | Task::Verify => Failure::reading,
        };
        if let Some(out) = &plan.out {
            match std::fs::create_dir(out) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    let text = format!("cannot make the directory {}: {error}", out.display());
                    return Err(Failure::other(text));
                }
                _ => {}
            }
        }
        let failures = Arc::new(Failures::of(Progress::bytes(), meaning));
        count_all(&plan, &failures);
        let copy = plan.out.is_some().then(|| Copy::new(force));
        let seen = Arc::new(Seen::new(&plan, failures, copy));
        let pairs = Pairs::new(plan, seen.clone());
        Ok((Self { task, seen, force, says: true, started: Instant::now() }, pairs))
    }

    /// The same for a single input: what was done is only for a person to read.
    pub(crate) fn of_one(self) -> Self {
        Self { says: streams::error_is_terminal(), ..self }
    }

    /// How the library is to process the files: `each` is how one is read and written. `tell` is
    /// asked whether the result of a file is printed elsewhere.
    pub(crate) fn options(
        &self,
        each: FileOptions,
        jobs: usize,
        tell: impl Fn(&FileDone<'_>) -> bool + Send + Sync + 'static,
    ) -> FilesOptions {
        let (seen, force) = (self.seen.clone(), self.force);
        let (task, processed) = (self.task, Arc::new(AtomicU64::new(0)));
        let (so_far, clear) = (processed.clone(), self.seen.failures.progress.clearer());
        signals::last_words(move || {
            clear();
            let count = counted(so_far.load(Ordering::Relaxed), "file");
            let next = if task == Task::Verify { "" } else { "; run it again to continue" };
            format!("interrupted: {} {count}{next}", done(task))
        });
        let moves = self.seen.failures.progress.mover();
        // Whoever made a tree of messages chose its names.
        let mut options = FilesOptions::new().each(each.follow_links(false)).jobs(jobs);
        if task == Task::Encrypt {
            let asked = seen.clone();
            options = options.pass_over(move |source| asked.passes_over(source));
        }
        options.skip_done(true).progress(move |seen| moves(seen.files, seen.bytes)).on_each(
            move |file| {
                let told = tell(file);
                match file.outcome {
                    FileOutcome::Done(_) => {
                        processed.fetch_add(1, Ordering::Relaxed);
                    }
                    FileOutcome::Failed(error) => {
                        let error = explained(file, error, force);
                        match told {
                            true => {
                                let failure = seen.failures.meaning(error);
                                seen.failures.count_one(file.source, &failure);
                            }
                            false => seen.failures.add(file.source, error),
                        }
                    }
                    _ => {}
                }
            },
        )
    }

    pub(crate) fn failures(&self) -> &Arc<Failures> {
        &self.seen.failures
    }

    /// Finishes a copy, says what was done, and gives the exit code.
    pub(crate) async fn end(
        self,
        report: FilesReport,
        envelope: &Envelope,
        json: bool,
    ) -> Result<(), Failure> {
        let seen = self.seen.clone();
        blocking(move || {
            if let Some(copy) = &seen.copy {
                copy.finish(&seen.failures);
            }
        })
        .await?;
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (failures, seen) = (&self.seen.failures, &self.seen);
        let summary = Summary {
            done: report.done,
            read: report.bytes_read,
            written: report.bytes_written,
            took: self.started.elapsed(),
            calls: calls(envelope),
            already_done: report.already_done,
            again: count(&seen.again),
            links: count(&seen.links),
            special: count(&seen.special),
            messages: count(&seen.messages),
            not_messages: count(&seen.not_messages),
            failed: failures.count(),
        };
        failures.progress.clear();
        if json {
            let stopped = report.stopped.as_ref().map(ToString::to_string);
            output::one(true, summary.record(json!(stopped), failures.json()))?;
        }
        let text = summary.text(self.task, None);
        if let Some(error) = report.stopped {
            notice(&text);
            let why = format!("stopped before the last file: {error}; run it again to continue");
            return failures.end(Some((failures.meaning(error), why)));
        }
        if failures.count() == 0 || is_quiet() {
            // It is in the JSON too.
            (self.says && !json).then(|| notice(&text));
            return failures.end(None);
        }
        failures.end_with(text)
    }
}

/// A single file or stream.
pub(crate) struct Single {
    task: Task,
    input: String,
    json: bool,
    /// Whether there is a file to speak of, and a person to read it.
    says: bool,
    started: Instant,
}

impl Single {
    pub(crate) fn start(task: Task, input: &Input, target: &Target, json: bool) -> Self {
        let is_file = matches!(target, Target::File(_));
        let says = is_file && !json && streams::error_is_terminal();
        Self { task, input: input.name(), json, says, started: Instant::now() }
    }

    /// Says what was done. `done` has the bytes read and written.
    pub(crate) fn end(
        self,
        done: Result<(u64, u64), Failure>,
        envelope: &Envelope,
    ) -> Result<(), Failure> {
        let (read, written) = *done.as_ref().unwrap_or(&(0, 0));
        let summary = Summary {
            done: u64::from(done.is_ok()),
            failed: u64::from(done.is_err()),
            read,
            written,
            took: self.started.elapsed(),
            calls: calls(envelope),
            ..Summary::default()
        };
        if self.json {
            let failures = done.as_ref().err().map(|failure| {
                json!({ "path": self.input, "code": failure.code_of_file(),
                    "error": failure.text() })
            });
            output::one(true, summary.record(Value::Null, failures.into_iter().collect()))?;
        } else if self.says && done.is_ok() {
            notice(&summary.text(self.task, Some(&self.input)));
        }
        done.map(drop)
    }
}

/// Calls to the key service.
fn calls(envelope: &Envelope) -> u64 {
    let stats = envelope.stats();
    stats.wrap.calls + stats.unwrap.calls
}

/// `error` with the option that helps.
fn explained(file: &FileDone<'_>, error: &Error, force: bool) -> Error {
    let exists = |target: &&Path| target.symlink_metadata().is_ok_and(|it| it.is_file());
    match file.target.filter(exists) {
        Some(target) if !force && error.kind() == ErrorKind::InvalidInput => {
            let text = format!(
                "{} exists, and not as an earlier run left it: choose another output with -o, or \
                 replace it with --force",
                target.display()
            );
            Error::with_source(ErrorKind::InvalidInput, text, error.clone())
        }
        _ => error.clone(),
    }
}
