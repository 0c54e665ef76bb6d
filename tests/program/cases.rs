//! What a user types, and everything that is printed: one file for each case, in a directory for
//! each command.
//!
//! A line begins with what it is: `$` a command for bash, `>` a line of standard output, `!` one of
//! standard error, `?` the exit code, `#` a remark, `@` what the case needs. `[..]` stands for any
//! text in a line. `CASES=overwrite cargo test --all-features --test program cases::` writes the
//! lines that differ; look at them before you commit.

use crate::kit::Place;
use ncp_envelope::emulator::Emulator;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A secret of the cases.
const SECRET: &str = "hush-hush";

/// A case, with what is expected.
pub(crate) struct Case {
    pub(crate) path: PathBuf,
    /// Remarks, and what is needed.
    head: Vec<String>,
    pub(crate) steps: Vec<Step>,
}

/// A command, and what it gives.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Step {
    pub(crate) command: String,
    /// Lines with their marks.
    pub(crate) said: Vec<String>,
    pub(crate) code: i32,
}

/// All cases, by their names.
pub(crate) fn cases() -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/program/cases");
    let inside = |dir: &Path| -> Vec<PathBuf> {
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    let mut paths: Vec<_> = inside(&root).iter().flat_map(|dir| inside(dir)).collect();
    paths.sort();
    paths.into_iter().map(Case::read).collect()
}

impl Case {
    fn read(path: PathBuf) -> Self {
        let text = fs::read_to_string(&path).unwrap();
        let (mut head, mut steps) = (Vec::new(), Vec::<Step>::new());
        for line in text.lines() {
            let (mark, rest) = line.split_at(line.len().min(1));
            let rest = rest.strip_prefix(' ').unwrap_or(rest);
            match (mark, steps.last_mut()) {
                ("#" | "@", None) => head.push(line.to_owned()),
                ("$", _) => steps.push(Step { command: rest.to_owned(), ..Step::default() }),
                (">" | "!", Some(step)) => step.said.push(line.trim_end().to_owned()),
                ("?", Some(step)) => step.code = rest.parse().unwrap(),
                _ => panic!("{path:?}: what is this line: {line:?}"),
            }
        }
        Self { path, head, steps }
    }

    fn text(&self, steps: &[Step]) -> String {
        let head = self.head.iter().map(|line| format!("{line}\n"));
        let steps = steps.iter().map(|step| {
            let said: String = step.said.iter().map(|line| format!("{line}\n")).collect();
            format!("$ {}\n{said}? {}\n", step.command, step.code)
        });
        head.chain(steps).collect()
    }

    fn needs(&self, what: &str) -> bool {
        self.head.iter().any(|line| line.strip_prefix("@ ") == Some(what))
    }

    /// Runs the commands, and returns what they gave, and what is wrong otherwise.
    fn run(&self) -> (Vec<Step>, Vec<String>) {
        let place = Place::new();
        place.write("f", b"Hello, world!\n");
        let emulator = self.needs("emulator").then(|| Emulator::builder().start_blocking());
        let emulator = emulator.map(Result::unwrap);
        let (mut steps, mut faults) = (Vec::new(), Vec::new());
        for step in &self.steps {
            let before = files(&place);
            let mut command = Command::new("bash");
            command.args(["-c", &step.command]).current_dir(place.path("")).env_clear();
            let program = Path::new(env!("CARGO_BIN_EXE_ncp-envelope")).parent().unwrap();
            command.env("PATH", format!("{}:/usr/bin:/bin", program.display()));
            command.env("HOME", place.dir.path());
            command.env("XDG_DATA_HOME", place.dir.path().join("data"));
            command.env("NCLOUD_METADATA_API_ENDPOINT", "http://127.0.0.1:1");
            let mut words = vec![(place.dir.path().display().to_string(), "[DIR]")];
            if let Some(emulator) = &emulator {
                command.env("NCP_KMS_ENDPOINT", emulator.url());
                command.env("NCP_KMS_KEY_TAG", emulator.key_tag());
                command.env("NCP_ACCESS_KEY", emulator.access_key());
                command.env("NCP_SECRET_KEY", emulator.secret_key());
                words.push((emulator.url().to_owned(), "[URL]"));
                words.push((emulator.key_tag().to_owned(), "[TAG]"));
            }
            let output = command.output().unwrap();
            let marked = |mark: char, bytes: &[u8]| {
                let text = String::from_utf8_lossy(bytes).into_owned();
                let shown = |text: String, (word, name): &(String, &str)| text.replace(word, name);
                let text = words.iter().fold(text, shown);
                let line = |line: &str| format!("{mark} {line}").trim_end().to_owned();
                text.lines().map(line).collect::<Vec<_>>()
            };
            let secrets =
                [SECRET, emulator.as_ref().map_or(SECRET, |emulator| emulator.secret_key())];
            let all = String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat())
                .into_owned();
            if secrets.iter().any(|secret| all.contains(secret)) {
                faults.push(format!("prints a secret: {}", step.command));
            }
            let code = output.status.code().unwrap_or(-1);
            if code != 0 && !self.needs("leaves something") && files(&place) != before {
                faults.push(format!("fails and leaves something: {}", step.command));
            }
            let said = [marked('>', &output.stdout), marked('!', &output.stderr)].concat();
            steps.push(Step { command: step.command.clone(), said, code });
        }
        (steps, faults)
    }
}

/// The files there, and what is in them.
fn files(place: &Place) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut all = BTreeMap::new();
    let mut dirs = vec![place.path("")];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap()) {
            let kind = entry.file_type().unwrap();
            match kind.is_dir() {
                true => dirs.push(entry.path()),
                // A FIFO has no end.
                false => {
                    let is_file = kind.is_file();
                    let content = is_file.then(|| fs::read(entry.path()).unwrap_or_default());
                    all.insert(entry.path(), content);
                }
            }
        }
    }
    all
}

/// Whether `line` is `expected`, in which `[..]` stands for any text.
pub(crate) fn is_like(expected: &str, line: &str) -> bool {
    let mut parts = expected.split("[..]");
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let parts: Vec<_> = parts.collect();
    let Some((last, between)) = parts.split_last() else { return rest.is_empty() };
    for part in between {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[test]
fn lines_are_compared() {
    for (expected, line, like) in [
        ("a", "a", true),
        ("a", "ab", false),
        ("a[..]", "ab", true),
        ("a[..]c", "abc", true),
        ("a[..]c", "abcd", false),
        ("[..]b[..]", "abc", true),
        ("[..]d[..]", "abc", false),
    ] {
        assert_eq!(is_like(expected, line), like, "{expected} {line}");
    }
}

#[test]
fn every_case_goes_as_written() {
    let all = cases();
    assert!(all.len() > 100, "{}", all.len());
    let overwrite = std::env::var_os("CASES").is_some_and(|value| value == "overwrite");
    let (next, wrong) = (AtomicUsize::new(0), std::sync::Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(case) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (mut steps, mut faults) = case.run();
                    // Lines that are right stay as they are written.
                    for (expected, step) in case.steps.iter().zip(&mut steps) {
                        let lines = expected.said.iter().zip(&mut step.said);
                        for (expected, line) in
                            lines.filter(|(expected, line)| is_like(expected, line))
                        {
                            line.clone_from(expected);
                        }
                    }
                    if steps != case.steps {
                        let (is, should) = (case.text(&steps), case.text(&case.steps));
                        match overwrite {
                            true => fs::write(&case.path, is).unwrap(),
                            false => {
                                faults.push(format!("expected:\n{should}and there was:\n{is}"))
                            }
                        }
                    }
                    let fault = |fault: String| format!("{}: {fault}", case.path.display());
                    wrong.lock().unwrap().extend(faults.into_iter().map(fault));
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
