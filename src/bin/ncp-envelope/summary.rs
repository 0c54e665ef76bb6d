//! What a command did to files, in a line for people and as JSON.

use crate::output::Record;
use crate::plan::Task;
use crate::shown;
use indicatif::HumanCount;
use serde_json::{Value, json};
use std::time::Duration;

#[derive(Default)]
pub(crate) struct Summary {
    pub(crate) done: u64,
    pub(crate) read: u64,
    pub(crate) written: u64,
    pub(crate) took: Duration,
    /// To the key service.
    pub(crate) calls: u64,
    pub(crate) already_done: u64,
    /// Messages that were encrypted once more.
    pub(crate) again: u64,
    pub(crate) links: u64,
    pub(crate) special: u64,
    pub(crate) messages: u64,
    pub(crate) not_messages: u64,
    pub(crate) failed: u64,
}

impl Summary {
    /// `name` is that of the only file.
    pub(crate) fn text(&self, task: Task, name: Option<&str>) -> String {
        let what = match name {
            Some(name) => name.to_owned(),
            None if task == Task::Verify => counted(self.done, "message"),
            None => counted(self.done, "file"),
        };
        let mut text = format!("{} {what}", done(task));
        if self.done > 0 {
            text += &format!(": {}", shown::bytes(self.read));
            if task != Task::Verify {
                text += &format!(" -> {}", shown::bytes(self.written));
            }
            text += &format!(" in {}", self.time());
            if let Some(rate) = self.rate() {
                text += &format!(" ({}/s)", shown::bytes(rate));
            }
            if self.calls > 0 {
                text += &format!(", {} to the key service", counted(self.calls, "call"));
            }
        }
        let over = [
            (self.links, "link"),
            (self.special, "special file"),
            (self.messages, "message"),
            (self.not_messages, "other file"),
        ];
        let over = over.into_iter().filter(|(count, _)| *count > 0);
        let over: Vec<_> = over.map(|(count, what)| counted(count, what)).collect();
        let count = |count: u64| (count > 0).then(|| HumanCount(count).to_string());
        for (what, value) in [
            ("encrypted once more", count(self.again)),
            ("already done", count(self.already_done)),
            ("passed over", (!over.is_empty()).then(|| over.join(", "))),
            ("failed", count(self.failed)),
        ] {
            if let Some(value) = value {
                text += &format!("; {what}: {value}");
            }
        }
        text
    }

    /// `stopped` is why the command ended before the last file; null if it did not.
    pub(crate) fn record(&self, stopped: Value, failures: Value) -> Record {
        vec![
            ("files", json!(self.done)),
            ("bytes_read", json!(self.read)),
            ("bytes_written", json!(self.written)),
            ("seconds", json!((self.took.as_secs_f64() * 1e3).round() / 1e3)),
            ("calls", json!(self.calls)),
            ("already_done", json!(self.already_done)),
            ("encrypted_again", json!(self.again)),
            ("links", json!(self.links)),
            ("special", json!(self.special)),
            ("messages", json!(self.messages)),
            ("not_messages", json!(self.not_messages)),
            ("failed", json!(self.failed)),
            ("stopped", stopped),
            ("failures", failures),
        ]
    }

    fn time(&self) -> String {
        match self.took.as_secs() {
            0..60 => format!("{:.1} s", self.took.as_secs_f64()),
            seconds => shown::seconds(seconds),
        }
    }

    fn rate(&self) -> Option<u64> {
        let seconds = self.took.as_secs_f64();
        (seconds > 0.0).then(|| (self.read as f64 / seconds) as u64)
    }
}

/// What was done, as the first word of a sentence.
pub(crate) fn done(task: Task) -> &'static str {
    match task {
        Task::Encrypt => "encrypted",
        Task::Decrypt => "decrypted",
        Task::Verify => "verified",
    }
}

/// A number and a noun.
pub(crate) fn counted(count: u64, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{} {what}s", HumanCount(count)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_happened_is_said() {
        let mut summary = Summary {
            done: 10_000,
            read: 163_840_000,
            written: 166_723_584,
            took: Duration::from_millis(4_100),
            calls: 40,
            ..Summary::default()
        };
        let long = "encrypted 10,000 files: 156 MiB -> 159 MiB in 4.1 s (38.1 MiB/s), \
                    40 calls to the key service";
        assert_eq!(summary.text(Task::Encrypt, None), long);
        (summary.already_done, summary.links, summary.failed) = (3, 2, 1);
        summary.not_messages = 7;
        assert_eq!(
            summary.text(Task::Encrypt, None),
            format!("{long}; already done: 3; passed over: 2 links, 7 other files; failed: 1")
        );
        let none = Summary { already_done: 1, messages: 1, ..Summary::default() };
        assert_eq!(
            none.text(Task::Decrypt, None),
            "decrypted 0 files; already done: 1; passed over: 1 message"
        );
        let one = Summary { done: 1, read: 5, calls: 1, ..Summary::default() };
        assert_eq!(
            one.text(Task::Verify, Some("a.ncpe")),
            "verified a.ncpe: 5 bytes in 0.0 s, 1 call to the key service"
        );
    }
}
