//! `examples/demo.sh`: what it claims, and what it leaves.

use crate::kit::{send, until};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Directories for one run: for temporary files, for stand-ins of programs, and for the user.
struct Demo(tempfile::TempDir);

impl Demo {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["tmp", "bin", "home", "config/ncp-envelope"] {
            fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        fs::write(dir.path().join("config/ncp-envelope/config.toml"), "broken").unwrap();
        Self(dir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A program that is found before the system's.
    fn stand_in(&self, name: &str, script: &str) -> PathBuf {
        let path = self.path("bin").join(name);
        fs::write(&path, format!("#!/bin/bash\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn run(&self, program: Option<&Path>) -> Command {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/demo.sh");
        let mut command = Command::new("bash");
        command.arg(script).current_dir(self.path("home")).env_clear();
        command
            .env("PATH", format!("{}:/usr/bin:/bin", self.path("bin").display()))
            .env("HOME", self.path("home"))
            .env("TMPDIR", self.path("tmp"))
            .env("CARGO_TARGET_DIR", self.path("target"))
            // A caller's settings are not for the demo.
            .env("NCP_KMS_ENDPOINT", "kr")
            .env("XDG_CONFIG_HOME", self.path("config"))
            .env("NCP_KMS_ACCESS_TOKEN", "token");
        if let Some(program) = program {
            command.env("NCP_ENVELOPE_PROGRAM", program);
        }
        command.stdin(Stdio::null());
        command
    }

    fn left(&self) -> usize {
        fs::read_dir(self.path("tmp")).unwrap().count()
    }
}

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_ncp-envelope"))
}

/// The line of `text` that starts with `word`, as words.
fn row<'a>(text: &'a str, word: &str) -> Vec<&'a str> {
    let mut lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines.find(|words| words.first() == Some(&word)).unwrap_or_else(|| panic!("{word}: {text}"))
}

#[test]
fn the_demo_shows_what_it_claims_and_leaves_nothing() {
    let demo = Demo::new();
    fs::write(demo.path("home/-a file"), vec![7; 3_000_000]).unwrap();
    let output = demo.run(Some(program())).args(["-a file"]).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let fault = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && fault.is_empty(), "{said}\n{fault}");

    let (takes, shown) = said.split_once("Encrypting").unwrap();
    assert!(takes.contains("3000000 bytes") && takes.contains("MiB in a temporary directory"));
    for name in ["cp", "encrypt", "decrypt"] {
        let row = row(shown, name);
        assert!(row[1].parse::<f64>().unwrap() > 0.0, "{row:?}");
        assert!(row[2].parse::<f64>().unwrap() > 0.0, "{row:?}");
        assert!(row[3].parse::<f64>().unwrap() > 0.0, "{row:?}");
    }
    assert_eq!(row(shown, "cp")[3..], ["1.00", "-", "-"]);
    for name in ["encrypt", "decrypt"] {
        let row = row(shown, name);
        assert_eq!(row[5], "1", "calls of the key service: {row:?}");
        #[cfg(target_os = "linux")]
        assert!(row[4] == "?" || (1..100).contains(&row[4].parse::<u32>().unwrap()), "{row:?}");
    }
    for (command, done) in [("encrypt -r", "encrypted 1,000"), ("decrypt -r", "decrypted 1,000")] {
        let (_, after) = shown.split_once(command).unwrap();
        assert!(after.contains(&format!("{done} files")), "{after}");
        let (_, counted) = after.split_once("The service counted ").unwrap();
        let calls: Vec<u32> = counted.split(' ').filter_map(|word| word.parse().ok()).collect();
        assert!(calls[..2].iter().all(|calls| (4..=8).contains(calls)), "{counted}");
    }
    let words = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    for text in [
        "The decrypted file is identical",
        "The decrypted tree is identical",
        "its context has another value for \"source\"",
        "message is not authentic",
    ] {
        assert!(words.contains(text), "{text:?}: {shown}");
    }
    assert_eq!(shown.matches("exit code 3, no output file").count(), 2);
    assert!(said.lines().all(|line| line.chars().count() <= 80), "{said}");
    assert_eq!(demo.left(), 0);
    assert_eq!(fs::read_dir(demo.path("home")).unwrap().count(), 1, "only the file");
}

#[test]
fn time_and_space_are_told_before_anything_is_built() {
    let demo = Demo::new();
    demo.stand_in("cargo", "echo built; exit 7");
    let output = demo.run(None).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(7), "{said}");
    let (before, _) = said.split_once("built").unwrap();
    assert!(before.contains("minutes the first time") && before.contains("seconds;"), "{said}");
    assert!(before.contains("3200 MiB in a temporary directory"), "{said}");
    assert_eq!(demo.left(), 0);
}

#[test]
fn a_disk_that_is_too_small_is_refused_before_anything_is_built() {
    let demo = Demo::new();
    demo.stand_in("cargo", "echo built");
    let used = "echo 'Filesystem 1024-blocks Used Available Capacity Mounted on'\n\
        echo \"a disk 9 9 $((1024 * ${FREE})) 99% /a disk\"";
    demo.stand_in("df", used);
    // Both on one disk: the build's space and that of the run are needed.
    for (free, code) in [("100", 1), ("3899", 1), ("3900", 0)] {
        let output = demo.run(None).env("FREE", free).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let fault = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said.contains("built"), code == 0, "{free}: {said}");
        if code == 1 {
            assert_eq!(output.status.code(), Some(code), "{said}");
            let told = format!("has {free} MiB free, and the demo needs 3900 MiB there");
            assert!(fault.contains(&told), "{fault}");
        }
        assert_eq!(demo.left(), 0);
    }
}

#[test]
fn a_failure_leaves_nothing() {
    let demo = Demo::new();
    let broken = format!(
        "[ \"$1\" = emulator ] && exec {} \"$@\"\necho broken >&2\nexit 1",
        program().display()
    );
    let broken = demo.stand_in("broken", &broken);
    // A terminal that is closed at the end sends a signal to both.
    demo.stand_in("rm", "[ \"$1\" = -rf ] && kill -HUP $PPID $$\nexec /bin/rm \"$@\"");
    fs::write(demo.path("home/f"), b"text").unwrap();
    let output = demo.run(Some(&broken)).arg("f").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("broken"));
    assert_eq!(demo.left(), 0);
}

#[test]
fn a_signal_ends_the_demo_and_leaves_nothing() {
    let demo = Demo::new();
    // It never ends by itself.
    let endless = format!(
        "[ \"$1\" = emulator ] && exec {} \"$@\"\necho $$ > {}\nexec sleep 600",
        program().display(),
        demo.path("started").display()
    );
    let endless = demo.stand_in("endless", &endless);
    fs::write(demo.path("home/f"), b"text").unwrap();
    for (signal, code) in [(1, 129), (2, 130), (15, 143)] {
        let mut run = demo.run(Some(&endless));
        let mut child = run.arg("f").stdout(Stdio::null()).spawn().unwrap();
        let started = until("an encryption", || {
            let id = fs::read_to_string(demo.path("started")).ok()?;
            id.trim().parse::<u32>().ok()
        });
        send(&child, signal);
        assert_eq!(child.wait().unwrap().code(), Some(code));
        assert_eq!(demo.left(), 0, "after signal {signal}");
        #[cfg(target_os = "linux")]
        assert!(!Path::new(&format!("/proc/{started}")).exists(), "it still runs");
        let _ = started;
        fs::remove_file(demo.path("started")).unwrap();
    }
}
