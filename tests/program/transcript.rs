//! `docs/first-five-minutes.md`: every command of the page, in one shell and in the page's order.
//!
//! They share variables and jobs, as the commands of a case do not. `[..]` in an expected line
//! stands for anything.

use crate::cases::is_like;
use crate::kit::Place;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

/// A command, with the line it is on, and what it prints.
struct Step<'a> {
    line: usize,
    command: &'a str,
    prints: Vec<&'a str>,
}

fn steps(page: &str) -> Vec<Step<'_>> {
    let (mut steps, mut inside) = (Vec::<Step<'_>>::new(), false);
    for (index, line) in page.lines().enumerate() {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if !inside {
        } else if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step { line: index + 1, command, prints: Vec::new() });
        } else {
            steps.last_mut().expect("a block starts with a command").prints.push(line);
        }
    }
    steps
}

/// Before each command, in what the shell prints.
const MARK: &str = "=== step ";

fn script(steps: &[Step<'_>]) -> String {
    // The exit code of a step is there for the next one.
    let mut script = "exec 2>&1\n".to_owned();
    for (index, step) in steps.iter().enumerate() {
        let mark = format!("code=$?; echo '{MARK}{index}'; (exit $code)");
        writeln!(script, "{mark}\n{}", step.command).unwrap();
    }
    script
}

#[test]
fn the_first_five_minutes_are_as_the_page_shows_them() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/first-five-minutes.md");
    let page = fs::read_to_string(path).unwrap();
    let steps = steps(&page);
    assert!(steps.len() > 20, "commands are found");

    let place = Place::new();
    let program = Path::new(env!("CARGO_BIN_EXE_ncp-envelope")).parent().unwrap();
    fs::create_dir_all(place.path("")).unwrap();
    let mut shell = std::process::Command::new("bash");
    shell.arg("-s").current_dir(place.path("")).env_clear();
    shell
        .env("PATH", format!("{}:/usr/bin:/bin", program.display()))
        .env("HOME", place.dir.path())
        .env("NCLOUD_METADATA_API_ENDPOINT", "http://127.0.0.1:1")
        .env("LC_ALL", "C");
    let mut shell = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    shell.stdin.take().unwrap().write_all(script(&steps).as_bytes()).unwrap();
    let output = shell.wait_with_output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();

    let mut faults = String::new();
    let mut parts = printed.split(MARK).skip(1);
    for (index, step) in steps.iter().enumerate() {
        let part = parts.next().unwrap_or_else(|| panic!("it ended early: {printed}"));
        let part = part.strip_prefix(&format!("{index}\n")).unwrap();
        let lines: Vec<_> = part.lines().collect();
        let same = lines.len() == step.prints.len()
            && lines.iter().zip(&step.prints).all(|(line, expected)| is_like(expected, line));
        if !same {
            writeln!(faults, "line {}: $ {}\n{part}", step.line, step.command).unwrap();
        }
    }
    assert!(faults.is_empty(), "the page shows something else than this:\n{faults}");
}

#[test]
fn what_differs_is_found() {
    for (line, expected, same) in [
        ("20 bytes", "20 bytes", true),
        ("20 bytes", "21 bytes", false),
        ("20 bytes", "20", false),
        ("20 bytes", "[..] bytes", true),
        ("20 bytes", "[..] files", false),
        ("a b c d", "a [..] c [..]", true),
        ("a b c d", "a [..] d [..]", false),
        ("a b c d", "[..]", true),
    ] {
        assert_eq!(is_like(expected, line), same, "{line:?}, {expected:?}");
    }
    let page = "```console\n$ a\nb\n$ c\n```\n$ d\n```sh\n$ e\n```\n";
    let steps = steps(page);
    let found: Vec<_> = steps.iter().map(|step| (step.line, step.command)).collect();
    assert_eq!(found, [(2, "a"), (4, "c")]);
    assert_eq!(steps[0].prints, ["b"]);
}
