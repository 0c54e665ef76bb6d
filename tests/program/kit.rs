//! A directory for each run, and functions that observe a running program.

use assert_cmd::Command;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

pub(crate) struct Place {
    pub(crate) dir: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("files").join(name)
    }

    /// A run in this directory, without the caller's settings.
    pub(crate) fn std_command(&self) -> std::process::Command {
        let files = self.dir.path().join("files");
        fs::create_dir_all(&files).unwrap();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_ncp-envelope"));
        command
            .current_dir(files)
            .env_clear()
            .env("HOME", self.dir.path())
            .env("XDG_DATA_HOME", self.dir.path().join("data"));
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Command {
        let mut command = Command::from_std(self.std_command());
        command.args(args);
        command
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        fs::create_dir_all(self.dir.path().join("files")).unwrap();
        fs::write(self.path(name), bytes).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        names(&self.dir.path().join("files"))
    }

    /// The run fails with `code`, prints `text` on standard error and nothing on standard output,
    /// and leaves the files as they were.
    pub(crate) fn refuses(&self, args: &[&str], code: i32, text: &str) {
        let before = self.names();
        let output = self.run(args).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {stderr}");
        assert!(stderr.contains(text), "{args:?}: {stderr:?} should say {text:?}");
        assert!(output.stdout.is_empty());
        assert_eq!(self.names(), before, "{args:?} left something");
    }
}

/// The help of a command.
pub(crate) fn help_of(command: &[String], option: &str) -> String {
    let output = Place::new().std_command().args(command).arg(option).output().unwrap();
    assert!(output.status.success(), "{command:?} {option}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// All commands, each as the words after the program's name; the first has none.
pub(crate) fn commands() -> Vec<Vec<String>> {
    let (mut all, mut at) = (vec![Vec::new()], 0);
    while let Some(command) = all.get(at).cloned() {
        let help = help_of(&command, "-h");
        let list = help.split_once("\nCommands:\n").map_or("", |(_, rest)| rest);
        // Behind the names, texts may go on in lines of their own.
        let names = list.lines().take_while(|line| !line.is_empty()).filter_map(|line| {
            let name = line.strip_prefix("  ")?.split(' ').next()?;
            (!name.is_empty() && name != "help").then(|| name.to_owned())
        });
        all.extend(names.map(|name| [&command[..], &[name]].concat()));
        at += 1;
    }
    all
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A time that nothing here comes near to, and that a fault would reach.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// Polls until `there` returns something.
pub(crate) fn until<T>(what: &str, mut there: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = there() {
            return found;
        }
        assert!(start.elapsed() < LONG, "{what}: not in {LONG:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Makes a FIFO.
#[cfg(unix)]
pub(crate) fn fifo(path: &Path) {
    assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// Waits until `child` only waits: all its threads sleep and use no processor time.
#[cfg(target_os = "linux")]
pub(crate) fn until_it_waits(child: &Child, signal: i32) {
    let (mut last, mut same) = (String::new(), 0);
    until("a program that waits", || {
        let now = threads(child.id());
        let ready = hears(child.id(), signal) && !now.contains(" R ") && !now.contains(" D ");
        same = if ready && now == last { same + 1 } else { 0 };
        last = now;
        (same == 20).then_some(())
    });
}

/// State and times of every thread.
#[cfg(target_os = "linux")]
fn threads(id: u32) -> String {
    let tasks = fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten();
    let mut all: Vec<String> = tasks
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("stat")).ok())
        .map(|stat| {
            let fields: Vec<_> = stat.rsplit(") ").next().unwrap().split(' ').collect();
            format!(" {} {} {}", fields[0], fields[11], fields[12])
        })
        .collect();
    all.sort();
    all.concat()
}

/// Whether a signal is handled there, or ignored.
#[cfg(target_os = "linux")]
fn hears(id: u32, signal: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    status.lines().any(|line| {
        let mask = line.strip_prefix("SigCgt:").or_else(|| line.strip_prefix("SigIgn:"));
        mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
            .is_some_and(|mask| mask & (1 << (signal - 1)) != 0)
    })
}

/// Runs the program by the shell command `shell`, in which `"$0" "$@"` stands for it and `args`;
/// killed if it takes far too long.
#[cfg(unix)]
pub(crate) fn by_shell(place: &Place, shell: &str, args: &[&str]) -> std::process::Command {
    let mut command = std::process::Command::new("timeout");
    command.args(["-k", "1", "60", "bash", "-c", shell, env!("CARGO_BIN_EXE_ncp-envelope")]);
    command.args(args);
    command.current_dir(place.path("")).env_clear();
    command.env("PATH", "/usr/bin:/bin").env("HOME", place.dir.path());
    command.env("XDG_DATA_HOME", place.dir.path().join("data"));
    command
}

/// Sends a signal, by its number.
#[cfg(unix)]
pub(crate) fn send(child: &Child, signal: i32) {
    let id = child.id().to_string();
    let sent = std::process::Command::new("kill").args([&format!("-{signal}"), &id]).status();
    assert!(sent.unwrap().success());
}
