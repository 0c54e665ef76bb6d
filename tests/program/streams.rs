//! Standard input, output and error in every state: closed, full, broken, non-blocking. Exit codes
//! hold, and lost output is no success.

use crate::common::sample;
use crate::kit::{Place, by_shell, until_it_waits};
use rustix::fs::{OFlags, fcntl_setfl};
use std::fs::{self, File};
use std::io::{PipeReader, Read, Write, pipe};
use std::process::{Command, Output, Stdio};

fn place() -> Place {
    let place = Place::new();
    place.write("f", &sample(30_000));
    place.write("big", &sample(3 << 20));
    place.run(&["encrypt", "--local", "f"]).assert().success();
    place.run(&["encrypt", "--local", "big"]).assert().success();
    place.run(&["ring", "create", "--local", "--ring", "ring"]).assert().success();
    place
}

/// Runs the program with a shell's `redirection`.
fn redirected(place: &Place, redirection: &str, args: &str) -> Output {
    let args: Vec<_> = args.split(' ').collect();
    let shell = format!("exec \"$0\" \"$@\" {redirection}");
    by_shell(place, &shell, &args).output().unwrap()
}

/// The writing end of a pipe without a reader.
fn broken() -> Stdio {
    pipe().unwrap().1.into()
}

fn non_blocking<E: std::os::fd::AsFd>(end: &E) {
    fcntl_setfl(end, OFlags::NONBLOCK).unwrap();
}

/// Commands that print.
const PRINTING: &[&str] = &[
    "--help",
    "--version",
    "help encrypt",
    "encrypt --help",
    "encrypt --local -o - f",
    "encrypt --local -o /dev/stdout f",
    "encrypt --local -o - big",
    "encrypt --local -",
    "decrypt --local -o - f.ncpe",
    "decrypt --local -o - big.ncpe",
    "cat --local f.ncpe",
    "cat --local --range 5-9 big.ncpe",
    "cat --local --range -2000000 big.ncpe",
    "verify --local f.ncpe",
    "verify --local --json f.ncpe big.ncpe",
    "verify --local --json -r .",
    "encrypt --local --json -o key f",
    "decrypt --local --json -o key f.ncpe",
    "inspect f.ncpe",
    "inspect --json f.ncpe",
    "rewrap --local f.ncpe",
    "slots list f.ncpe",
    "slots remove --key k --json f.ncpe",
    "rekey --local f.ncpe",
    "audit f.ncpe",
    "audit --csv f.ncpe big.ncpe",
    "ring show --ring ring",
    "ring show --json --ring ring",
    "ring rewrap --local --ring ring",
    "field encrypt --local --ring ring --field a",
    "field encrypt --local --ring ring --field a --text",
    "field index --local --ring ring --field a",
    "cipher encrypt --local f",
    "cipher custom-key --local",
    "cipher custom-key --local -o - --plaintext key",
    "cipher custom-key --local -o key --plaintext -",
    "keys list --local",
    "keys info --local",
    "keys list --local --json",
    "tokens create --local",
    "config path",
    "config show --local",
    "config show --json",
    "config init --profile streams --force --key k",
    "emulator",
    "emulator --tls --ca-out key",
    "bench --size 1MiB --dir .",
    "completions bash",
    "man",
    "man keys create",
];

#[test]
fn output_that_cannot_be_written_is_no_success() {
    let place = place();
    let before = place.names();
    for args in PRINTING.iter().filter(|args| !args.starts_with("bench")) {
        for (redirection, words) in [(">&-", "closed"), (">/dev/full", "No space left")] {
            let output = redirected(&place, &format!("{redirection} <f"), args);
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{args} {redirection}: {said}");
            assert!(said.contains(words), "{args} {redirection}: {said}");
            assert!(said.contains("output"), "{args} {redirection}: {said}");
            // A certificate is written before standard output, and so is a file that is told of.
            let _ = fs::remove_file(place.path("key"));
            assert_eq!(place.names(), before, "{args} {redirection}");
        }
        let mut command = place.std_command();
        command.args(args.split(' ')).stdin(File::open(place.path("f")).unwrap());
        let output = command.stdout(broken()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{args}: {said}");
        assert!(said.contains("Broken pipe"), "{args}: {said}");
        let _ = fs::remove_file(place.path("key"));
    }
    // No work is done whose result would be lost.
    for args in [
        "keys create abc --local",
        "bench --size 1MiB --dir .",
        "encrypt --local --json -o key f",
        "encrypt --local --json -r -o key .",
        "decrypt --local --json -o key f.ncpe",
        "decrypt --local --json -o key f.ncpe big.ncpe",
    ] {
        assert_eq!(redirected(&place, ">&-", args).status.code(), Some(1), "{args}");
        assert_eq!(place.names(), before, "{args}");
    }
    let keys = place.run(&["keys", "list", "--local", "--json"]).output().unwrap().stdout;
    assert!(!String::from_utf8(keys).unwrap().contains("\"abc\""));
}

#[test]
fn standard_input_that_is_closed_is_not_empty() {
    let place = place();
    let before = place.names();
    for args in [
        "encrypt --local -",
        "encrypt --local -o out -",
        "encrypt --local -o out /dev/stdin",
        "decrypt --local -",
        "cat --local -",
        "cat --local --range 0-5 -",
        "cat --local --header - f.ncpe",
        "inspect -",
        "rewrap --local -",
        "slots remove --key k -",
        "rekey --local -",
        "audit -",
        "cipher encrypt --local",
        "cipher decrypt --local",
        "cipher verify --local --signature-file f",
    ] {
        let output = redirected(&place, "<&-", args);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{args}: {said}");
        assert!(said.contains("standard input: it is closed"), "{args}: {said}");
        assert!(output.stdout.is_empty());
        assert_eq!(place.names(), before, "{args}");
    }
    // `/dev/null`, however it was opened, is empty and not closed.
    for redirection in ["</dev/null", "<>/dev/null", "0<>/dev/null 1<>/dev/null"] {
        let output = redirected(&place, redirection, "encrypt --local -");
        assert_eq!(output.status.code(), Some(0), "{redirection}");
    }
    // And it is not read twice.
    for args in [
        "encrypt --local --aad-file - -",
        "decrypt --local --aad-file - -o out /dev/stdin",
        "cipher verify --local --signature-file -",
    ] {
        place.refuses(&args.split(' ').collect::<Vec<_>>(), 2, "standard input cannot be both");
    }
    place.run(&["encrypt", "--local", "--force", "--aad-file", "-", "f"]).write_stdin("a").unwrap();
    // Commands that do not need it ignore it.
    assert_eq!(redirected(&place, "<&-", "inspect f.ncpe").status.code(), Some(0));
    assert_eq!(redirected(&place, "<&- >&-", "encrypt --local -o out f").status.code(), Some(0));
}

/// Messages cannot be written, but the work is done and the exit code is right.
#[test]
fn exit_codes_hold_without_standard_error() {
    let place = place();
    place.write("changed", &{
        let mut message = place.read("f.ncpe");
        message[20_000] ^= 1;
        message
    });
    for (args, code) in [
        ("encrypt --local --force f", 0),
        ("decrypt --local --force -o out f.ncpe", 0),
        ("decrypt --local --force -o out changed", 3),
        ("decrypt --local --force -o out absent", 1),
        ("encrypt --local f", 2),
        ("encrypt --wrong", 2),
        ("cat --local f.ncpe", 0),
        ("cat --local --range -20 f.ncpe", 0),
        ("cat --local --range 20000- changed", 3),
        ("verify --local f.ncpe", 0),
        ("verify --local changed", 3),
        ("inspect f.ncpe", 0),
        ("rewrap --local f.ncpe", 0),
        ("slots remove --key k f.ncpe", 0),
        ("rekey --local f.ncpe", 0),
        ("rekey --local changed", 3),
        ("audit f.ncpe absent", 1),
        ("keys list --local", 0),
        ("cipher encrypt --local f", 0),
        ("keys disable --local", 2),
        ("--help", 0),
    ] {
        let expected = redirected(&place, "", args);
        assert_eq!(expected.status.code(), Some(code), "{args}");
        for redirection in ["2>&-", "2>/dev/full", "2>/dev/null", "<&- 2>&-"] {
            let output = redirected(&place, redirection, args);
            assert_eq!(output.status.code(), Some(code), "{args} {redirection}");
            if !args.starts_with("cipher") {
                assert_eq!(output.stdout, expected.stdout, "{args} {redirection}");
            }
        }
        let mut command = place.std_command();
        command.args(args.split(' ')).stderr(broken());
        assert_eq!(command.output().unwrap().status.code(), Some(code), "{args}");
    }
    // A terminal that is gone, which showed a progress bar.
    const GONE: &str = r#"
import os, pty, subprocess, sys
ours, theirs = pty.openpty()
args = [sys.argv[1], "encrypt", "--local", "--force", "-"]
child = subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=theirs)
os.close(theirs)
child.stdin.write(b"x" * 10000)
child.stdin.flush()
os.read(ours, 10)
os.close(ours)
out, _ = child.communicate(b"y" * 10000)
assert child.returncode == 0 and len(out) > 20000, (child.returncode, len(out))
"#;
    let mut python = Command::new("python3");
    python.args(["-c", GONE, env!("CARGO_BIN_EXE_ncp-envelope")]);
    python.env("XDG_DATA_HOME", place.dir.path().join("data"));
    let output = python.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Reads in small pieces and slowly, so that the pipe is full in between.
fn slowly(mut reader: PipeReader) -> Vec<u8> {
    let (mut all, mut piece) = (Vec::new(), [0; 30_011]);
    loop {
        std::thread::yield_now();
        match reader.read(&mut piece).unwrap() {
            0 => return all,
            len => all.extend_from_slice(&piece[..len]),
        }
    }
}

#[test]
fn pipes_that_do_not_block_are_waited_for() {
    let place = place();
    let (plain, message) = (place.read("big"), place.read("big.ncpe"));
    for (args, input, output_len, same) in [
        ("encrypt --local -", &plain, message.len(), None),
        ("decrypt --local -", &message, plain.len(), Some(&plain)),
        ("decrypt --local -o - big.ncpe", &plain, plain.len(), Some(&plain)),
        ("cat --local -", &message, plain.len(), Some(&plain)),
        ("cat --local --range 0- big.ncpe", &plain, plain.len(), Some(&plain)),
    ] {
        let (input_reader, mut input_writer) = pipe().unwrap();
        let (output_reader, output_writer) = pipe().unwrap();
        let (error_reader, error_writer) = pipe().unwrap();
        non_blocking(&input_reader);
        non_blocking(&output_writer);
        non_blocking(&error_writer);
        let mut command = place.std_command();
        command.args(args.split(' ')).stdin(input_reader);
        let mut child = command.stdout(output_writer).stderr(error_writer).spawn().unwrap();
        drop(command);
        let input = input.clone();
        let feed = std::thread::spawn(move || {
            // The first read finds no data, and must not take that for the end.
            let (first, rest) = input.split_at(1_000);
            let _ = input_writer.write_all(first);
            let _ = rest.chunks(70_001).try_for_each(|piece| input_writer.write_all(piece));
        });
        let out = slowly(output_reader);
        assert_eq!(child.wait().unwrap().code(), Some(0), "{args}: {:?}", slowly(error_reader));
        feed.join().unwrap();
        assert_eq!(out.len(), output_len, "{args}");
        assert!(same.is_none_or(|same| *same == out), "{args}");
    }
    // The parent counts as running as long as the pipe is open, not as long as it has data.
    let (reader, writer) = pipe().unwrap();
    non_blocking(&reader);
    let mut emulator = place.std_command();
    emulator.args(["emulator", "--exit-with-parent"]).stdin(reader).stdout(Stdio::null());
    let mut emulator = emulator.spawn().unwrap();
    until_it_waits(&emulator, 15);
    assert!(emulator.try_wait().unwrap().is_none(), "it takes an empty pipe for its end");
    drop(writer);
    assert_eq!(emulator.wait().unwrap().code(), Some(0));
    for args in ["inspect -", "cipher decrypt --local"] {
        let (reader, mut writer) = pipe().unwrap();
        non_blocking(&reader);
        let mut command = place.std_command();
        command.args(args.split(' ')).stdin(reader).stdout(Stdio::piped());
        let child = command.stderr(Stdio::piped()).spawn().unwrap();
        until_it_waits(&child, 15);
        let message = if args.starts_with("inspect") { &message[..] } else { b"no ciphertext" };
        writer.write_all(message).unwrap();
        drop(writer);
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!said.contains("temporarily unavailable"), "{args}: {said}");
        assert_eq!(output.status.success(), args.starts_with("inspect"), "{args}: {said}");
    }
}

#[test]
fn output_that_is_the_file_which_is_read_is_refused() {
    let place = place();
    place.write("aad", b"volume 7");
    fs::hard_link(place.path("f"), place.path("again")).unwrap();
    let before: Vec<_> =
        place.names().iter().map(|name| (name.clone(), place.read(name))).collect();
    for (args, redirection) in [
        ("encrypt --local -o - f", ">>f"),
        ("encrypt --local -o - again", ">>f"),
        ("encrypt --local -o /dev/stdout f", ">>f"),
        ("encrypt --local -o /dev/fd/3 f", "3>>f"),
        ("encrypt --local -", "<f >>f"),
        ("encrypt --local -", "<>f >&0"),
        ("encrypt --local -o f --force -", "<f"),
        ("encrypt --local -o f --force /dev/stdin", "<again"),
        ("encrypt --local -o f --force again", ""),
        ("encrypt --local --aad-file aad -o aad --force f", ""),
        ("encrypt --local --aad-file aad -o - f", ">>aad"),
        ("decrypt --local -o - f.ncpe", ">>f.ncpe"),
        ("decrypt --local -", "<f.ncpe >>f.ncpe"),
        ("decrypt --local -o f.ncpe --force -", "<f.ncpe"),
        ("cat --local f.ncpe", ">>f.ncpe"),
        ("cat --local --range 0- f.ncpe", ">>f.ncpe"),
        ("cat --local -", "<f.ncpe >>f.ncpe"),
        ("cat --local --aad-file aad f.ncpe", ">>aad"),
        ("cat --local --header aad f.ncpe", ">>aad"),
        ("verify --local big.ncpe f.ncpe", ">>f.ncpe"),
        ("inspect f.ncpe", ">>f.ncpe"),
        ("cipher encrypt --local f", ">>f"),
        ("cipher encrypt --local", "<f >>f"),
        ("cipher encrypt --local -o f --force f", ""),
        ("cipher encrypt --local -o again --force", "<f"),
        ("cipher decrypt --local f", ">>f"),
        ("cipher sign --local f", ">>f"),
        ("cipher verify --local --signature-file aad f", ">>aad"),
    ] {
        let output = redirected(&place, redirection, args);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args} {redirection}: {said}");
        assert!(said.contains("same file"), "{args} {redirection}: {said}");
        // No call is made before.
        assert!(!said.contains("--local is for"), "{args} {redirection}: {said}");
        for (name, bytes) in &before {
            assert_eq!(place.read(name), *bytes, "{args} {redirection}: {name}");
        }
        assert_eq!(place.names().len(), before.len(), "{args} {redirection}");
    }
}
