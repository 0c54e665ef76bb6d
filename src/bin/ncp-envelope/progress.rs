//! A progress bar on standard error, if that is a terminal.

use crate::status::say;
use crate::{signals, streams};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{self, Read};

/// Hidden unless standard error is a terminal.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    pub(crate) fn start() -> Self {
        let bar = if streams::error_is_terminal() {
            ProgressBar::no_length()
        } else {
            ProgressBar::hidden()
        };
        Self(bar)
    }

    /// A bar for this many equal steps.
    pub(crate) fn steps(count: usize) -> Self {
        let this = Self::start();
        this.0.set_length(count as u64);
        this.0.set_style(style("{bar:30} {pos}/{len} {elapsed}"));
        this
    }

    /// A bar for files, whose number may become known later.
    pub(crate) fn files() -> Self {
        let this = Self::start();
        this.0.set_style(style("{spinner} {pos} files {per_sec}"));
        this
    }

    pub(crate) fn expect(&self, count: u64) {
        self.0.set_length(count);
        self.0.set_style(style("{bar:30} {pos}/{len} files {per_sec} {eta}"));
    }

    pub(crate) fn is_hidden(&self) -> bool {
        self.0.is_hidden()
    }

    /// Prints a message to the user above the bar.
    pub(crate) fn say(&self, text: &str) {
        self.0.suspend(|| say(text));
    }

    pub(crate) fn step(&self) {
        self.0.inc(1);
    }

    /// A callback for the bytes done and, if known, their total.
    pub(crate) fn reporter(&self) -> impl Fn(u64, Option<u64>) + Send + Sync + 'static {
        let bar = self.0.clone();
        move |done, total| {
            if total.is_some_and(|total| done >= total) {
                signals::finishing();
            }
            if let Some(total) = total
                && bar.length().is_none()
            {
                bar.set_length(total);
                bar.set_style(style("{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}"));
            } else if total.is_none() && bar.position() == 0 {
                bar.set_style(style("{spinner} {bytes} {bytes_per_sec}"));
            }
            bar.set_position(done);
        }
    }

    /// A reader of `source`, of `len` bytes if that is known, that moves the bar.
    pub(crate) fn watch<R: Read>(&self, source: R, len: Option<u64>) -> Watched<R> {
        Watched { source, done: 0, len, report: Box::new(self.reporter()) }
    }
}

/// A reader that moves a bar.
pub(crate) struct Watched<R> {
    source: R,
    done: u64,
    len: Option<u64>,
    report: Box<dyn Fn(u64, Option<u64>) + Send>,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = self.source.read(buf)?;
        self.done += len as u64;
        if len == 0 && !buf.is_empty() {
            signals::finishing();
        }
        (self.report)(self.done, self.len);
        Ok(len)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
