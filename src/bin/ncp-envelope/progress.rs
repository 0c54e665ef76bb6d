//! A bar on standard error while a terminal is there to show it.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;

/// Hidden unless standard error is a terminal.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    pub(crate) fn start() -> Self {
        let bar = if std::io::stderr().is_terminal() { ProgressBar::no_length() } else { ProgressBar::hidden() };
        Self(bar)
    }

    /// What to call with the bytes done and, where it is known, how many there are.
    pub(crate) fn reporter(&self) -> impl Fn(u64, Option<u64>) + Send + Sync + 'static {
        let bar = self.0.clone();
        move |done, total| {
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
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
