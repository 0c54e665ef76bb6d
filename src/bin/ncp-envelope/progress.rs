//! A progress bar on standard error, if that is a terminal.
//!
//! Promise: it fits into the terminal's width, however narrow, because a bar that wraps scrolls.

use crate::status::{is_quiet, say};
use crate::{shown, signals, streams};
use indicatif::{HumanCount, ProgressBar, ProgressState, ProgressStyle};
use std::fmt::Write as _;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Columns for the bar itself.
const MIN_BAR: usize = 5;

/// Hidden unless standard error is a terminal, and with `--quiet`.
pub(crate) struct Progress {
    bar: ProgressBar,
    files: Arc<Files>,
}

/// Files among which the bar moves; none for a single one.
#[derive(Default)]
struct Files {
    done: AtomicU64,
    /// Zero as long as it is unknown.
    total: AtomicU64,
}

impl Progress {
    pub(crate) fn start() -> Self {
        let bar = if streams::error_is_terminal() && !is_quiet() {
            ProgressBar::no_length()
        } else {
            ProgressBar::hidden()
        };
        Self { bar, files: Arc::default() }
    }

    /// A bar for this many equal steps.
    pub(crate) fn steps(count: usize) -> Self {
        let this = Self::start();
        this.bar.set_length(count as u64);
        this.bar.set_style(style("{wide_bar} {pos}/{len} {elapsed}"));
        this
    }

    /// A bar for files, whose number may become known later.
    pub(crate) fn files() -> Self {
        let this = Self::start();
        this.bar.set_style(style("{spinner} {pos} files {per_sec}"));
        this
    }

    pub(crate) fn expect(&self, count: u64) {
        self.bar.set_length(count);
        self.bar.set_style(style("{wide_bar} {pos}/{len} files {eta}"));
    }

    /// A bar for the bytes of many files, whose number and length may become known later.
    pub(crate) fn bytes() -> Self {
        let this = Self::start();
        this.bar.set_style(of_bytes("{spinner} {tail}", this.files.clone()));
        this
    }

    /// How many files and bytes there are.
    pub(crate) fn expect_bytes(&self, files: u64, bytes: u64) {
        self.files.total.store(files, Ordering::Relaxed);
        self.bar.set_length(bytes.max(self.bar.position()));
        self.bar.set_style(of_bytes("{wide_bar} {tail}", self.files.clone()));
    }

    /// A callback for the files and bytes that are done. It never says that only the last steps
    /// are left: a signal ends the command between two files.
    pub(crate) fn mover(&self) -> impl Fn(u64, u64) + Send + Sync + 'static {
        let (bar, files) = (self.bar.clone(), self.files.clone());
        move |done, bytes| {
            files.done.store(done, Ordering::Relaxed);
            // A file may have grown since the bytes were counted.
            if bar.length().is_some_and(|length| length < bytes) {
                bar.set_length(bytes);
            }
            bar.set_position(bytes);
        }
    }

    pub(crate) fn is_hidden(&self) -> bool {
        self.bar.is_hidden()
    }

    /// Prints a message to the user above the bar.
    pub(crate) fn say(&self, text: &str) {
        self.bar.suspend(|| say(text));
    }

    /// Runs `print`, which prints above the bar.
    pub(crate) fn above<T>(&self, print: impl FnOnce() -> T) -> T {
        self.bar.suspend(print)
    }

    /// As `say`, for what is no error.
    pub(crate) fn notice(&self, text: &str) {
        if !is_quiet() {
            self.say(text);
        }
    }

    pub(crate) fn step(&self) {
        self.bar.inc(1);
    }

    /// Removes the bar.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    /// A callback that removes the bar, for when the command is ended by others.
    pub(crate) fn clearer(&self) -> impl Fn() + Send + 'static {
        let bar = self.bar.clone();
        move || bar.finish_and_clear()
    }

    /// A callback for the bytes done and, if known, their total.
    pub(crate) fn reporter(&self) -> impl Fn(u64, Option<u64>) + Send + Sync + 'static {
        let (bar, files) = (self.bar.clone(), self.files.clone());
        move |done, total| {
            if total.is_some_and(|total| done >= total) {
                signals::finishing();
            }
            if let Some(total) = total
                && bar.length().is_none()
            {
                bar.set_length(total);
                bar.set_style(of_bytes("{wide_bar} {tail}", files.clone()));
            } else if total.is_none() && bar.position() == 0 {
                bar.set_style(of_bytes("{spinner} {tail}", files.clone()));
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
        self.clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// A style in which `{tail}` says as much about bytes and files as there is room for.
fn of_bytes(template: &str, files: Arc<Files>) -> ProgressStyle {
    style(template).with_key("tail", move |state: &ProgressState, out: &mut dyn std::fmt::Write| {
        let (done, total) =
            (files.done.load(Ordering::Relaxed), files.total.load(Ordering::Relaxed));
        let seen = Seen {
            bytes: state.pos(),
            of: state.len(),
            files: (done > 0 || total > 0).then_some((done, total)),
            rate: state.per_sec(),
            left: state.eta().as_secs(),
        };
        // The width may have changed since the bar was drawn last.
        let _ = out.write_str(&seen.fit(streams::error_width()));
    })
}

/// What a bar says beside itself.
struct Seen {
    bytes: u64,
    of: Option<u64>,
    files: Option<(u64, u64)>,
    rate: f64,
    left: u64,
}

impl Seen {
    /// As much as fits into `width`, with room for the bar. It depends on the width and hardly on
    /// the numbers, so that it does not change its form as they grow.
    fn fit(&self, width: usize) -> String {
        let forms = [(100, true, true), (60, false, true), (35, false, false)];
        let wide = forms.into_iter().filter(|(least, ..)| width >= *least);
        let tails = wide.map(|(_, bytes, files)| self.tail(bytes, files));
        let mut fits = tails.filter(|tail| tail.chars().count() + MIN_BAR <= width);
        fits.next().unwrap_or_else(|| self.percent())
    }

    fn tail(&self, bytes: bool, files: bool) -> String {
        let mut tail = String::new();
        match (bytes, self.of) {
            (true, Some(of)) => {
                let _ = write!(tail, "{}/{} ", shown::bytes(self.bytes), shown::bytes(of));
            }
            (true, None) => tail = format!("{} ", shown::bytes(self.bytes)),
            (false, _) => tail = format!("{} ", self.percent()),
        }
        match self.files.filter(|_| files) {
            Some((done, 0)) => {
                let _ = write!(tail, "{} files ", HumanCount(done));
            }
            Some((done, total)) => {
                let _ = write!(tail, "{}/{} files ", HumanCount(done), HumanCount(total));
            }
            None => {}
        }
        let _ = write!(tail, "{}/s", shown::bytes(self.rate as u64));
        if self.of.is_some() {
            let _ = write!(tail, " {} left", shown::seconds(self.left));
        }
        tail
    }

    fn percent(&self) -> String {
        match self.of {
            // An empty input is read.
            Some(0) => "100%".to_owned(),
            Some(of) => format!("{}%", u128::from(self.bytes.min(of)) * 100 / u128::from(of)),
            None => shown::bytes(self.bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_bar_says_fits_into_every_width() {
        let seen = Seen {
            bytes: 161_061_273,
            of: Some(163_840_000),
            files: Some((9_830, 10_000)),
            rate: 39_845_888.0,
            left: 75,
        };
        for (width, text) in [
            (160, "154 MiB/156 MiB 9,830/10,000 files 38.0 MiB/s 1m 15s left"),
            (80, "98% 9,830/10,000 files 38.0 MiB/s 1m 15s left"),
            (40, "98% 38.0 MiB/s 1m 15s left"),
            (20, "98%"),
            (0, "98%"),
        ] {
            assert_eq!(seen.fit(width), text);
        }
        let unknown = Seen { of: None, files: Some((7, 0)), ..seen };
        assert_eq!(unknown.fit(100), "154 MiB 7 files 38.0 MiB/s");
        assert_eq!(unknown.fit(10), "154 MiB");
        let empty = Seen { bytes: 0, of: Some(0), files: None, rate: 0.0, left: 0 };
        assert_eq!(empty.fit(10), "100%");
    }
}
