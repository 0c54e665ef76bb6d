//! Kinds of outputs and inputs: directories, FIFOs, devices, open files, links; and how names with
//! control characters are printed.

use crate::common::sample;
use crate::kit::{Place, by_shell, fifo};
use std::fs::{self, File};
use std::os::unix::fs::{FileTypeExt, symlink};

fn place() -> Place {
    let place = Place::new();
    place.write("f", &sample(100_000));
    place.run(&["encrypt", "--local", "f"]).assert().success();
    fs::create_dir(place.path("dir")).unwrap();
    place
}

#[test]
fn a_directory_takes_the_file_under_its_usual_name() {
    let place = place();
    place.run(&["encrypt", "--local", "-o", "dir", "f"]).assert().success();
    place.run(&["decrypt", "--local", "-o", "dir/", "dir/f.ncpe"]).assert().success();
    assert_eq!(place.read("dir/f"), place.read("f"));
    for (args, code, words) in [
        (&["encrypt", "--local", "-o", "dir", "f"][..], 2, "dir/f.ncpe exists"),
        (&["decrypt", "--local", "-o", "dir", "f"], 2, "does not end in .ncpe"),
        (&["encrypt", "--local", "-o", "dir", "-"], 2, "dir is a directory: give the name"),
        (&["encrypt", "--local", "--force", "-o", "new/", "f"], 2, "no directory new/"),
        (&["cipher", "encrypt", "--local", "-o", "dir", "f"], 2, "dir is a directory"),
        (&["cipher", "custom-key", "--local", "-o", "dir", "--force"], 2, "dir is a directory"),
        (&["emulator", "--tls", "--ca-out", "dir"], 2, "dir is a directory"),
        (&["tokens", "create", "--local", "--store", "dir"], 2, "dir is a directory"),
        (&["tokens", "create", "--local", "--store", "/dev/null"], 2, "is not a regular file"),
        (&["tokens", "renew", "--store", "/dev/stdout"], 2, "is not a regular file"),
    ] {
        place.refuses(args, code, words);
    }
    let output = place.run(&["encrypt", "--local", "-o", "dir", "--force", "f"]).output().unwrap();
    assert!(output.status.success());
}

/// At once: no call is made, and no byte is written.
#[test]
fn a_directory_is_no_input() {
    let place = place();
    for args in [
        "encrypt --local -o - dir",
        "encrypt --local dir",
        "encrypt --local -o out dir",
        "encrypt --local --aad-file dir f",
        "decrypt --local -o - dir",
        "decrypt --local -o out dir",
        "inspect dir",
        "cipher encrypt --local dir",
        "cipher decrypt --local dir",
        "cipher sign --local dir",
        "cipher verify --local --signature-file dir f",
    ] {
        let args: Vec<_> = args.split(' ').collect();
        let output = place.run(&args).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{args:?}: {said}");
        let is_file_command =
            ["encrypt", "decrypt"].contains(&args[0]) && args.last() == Some(&"dir");
        let next = if is_file_command { ": give -r for the files in it" } else { "" };
        assert_eq!(said, format!("ncp-envelope: dir is a directory{next}\n"), "{args:?}");
    }
    for args in [&["encrypt", "--local", "-"][..], &["inspect", "-"], &["cipher", "encrypt"]] {
        let output = by_shell(&place, "exec \"$0\" \"$@\" <dir", args).output().unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{args:?}");
    }
}

/// An existing file that is not regular is written to, and stays what it is.
#[test]
fn devices_fifos_and_open_files_are_written_to() {
    let place = place();
    let (plain, message_len) = (place.read("f"), place.read("f.ncpe").len());
    fifo(&place.path("fifo"));
    symlink("fifo", place.path("to-fifo")).unwrap();
    symlink("/dev/stdout", place.path("to-stdout")).unwrap();
    symlink("/dev/null", place.path("to-null")).unwrap();
    // A shell command, and whether it takes a message or a plaintext.
    for (shell, message) in [
        ("\"$0\" encrypt --local -o fifo f & cat fifo; wait $!", true),
        ("\"$0\" decrypt --local -o fifo f.ncpe & cat fifo; wait $!", false),
        ("\"$0\" decrypt --local --force -o to-fifo f.ncpe & cat fifo; wait $!", false),
        ("\"$0\" decrypt --local -o fifo - <f.ncpe & cat fifo; wait $!", false),
        ("{ \"$0\" encrypt --local -o >(cat >&3) f >/dev/null; } 3>&1; wait $!", true),
        ("\"$0\" encrypt --local -o /dev/stdout f", true),
        ("\"$0\" encrypt --local -o /dev/stdout f | cat", true),
        ("\"$0\" encrypt --local --force -o to-stdout f", true),
        ("\"$0\" decrypt --local -o /dev/fd/1 f.ncpe", false),
        ("\"$0\" decrypt --local -o /proc/self/fd/1 f.ncpe", false),
        ("\"$0\" decrypt --local -o /dev/fd/3 f.ncpe 3>&1 | cat", false),
        ("\"$0\" decrypt --local -o /dev/fd/3 f.ncpe 3>out; cat out", false),
        ("{ \"$0\" decrypt --local -o /dev/stderr - <f.ncpe; } 2>&1 | tail -c 100000", false),
        ("\"$0\" decrypt --local -o - <(cat f.ncpe)", false),
        ("\"$0\" decrypt --local -o - /dev/fd/4 4<f.ncpe", false),
        (
            "\"$0\" encrypt --local -o /dev/null f && \"$0\" encrypt --local -o to-null f && cat f",
            false,
        ),
    ] {
        let output = by_shell(&place, shell, &[]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{shell}: {said}");
        match message {
            true => assert_eq!(output.stdout.len(), message_len, "{shell}: {said}"),
            false => assert!(output.stdout == plain, "{shell}: {said}"),
        }
        assert!(fs::metadata(place.path("fifo")).unwrap().file_type().is_fifo(), "{shell}");
        for link in ["to-fifo", "to-stdout", "to-null"] {
            assert!(fs::symlink_metadata(place.path(link)).unwrap().is_symlink(), "{shell}");
        }
    }
    assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
}

#[test]
fn the_file_behind_a_link_is_written_also_if_it_is_not_there_yet() {
    let place = place();
    symlink("dir/absent", place.path("link")).unwrap();
    place.refuses(&["decrypt", "--local", "-o", "link", "f.ncpe"], 2, "link exists");
    place.run(&["decrypt", "--local", "--force", "-o", "link", "f.ncpe"]).assert().success();
    assert!(fs::symlink_metadata(place.path("link")).unwrap().is_symlink());
    assert_eq!(place.read("dir/absent"), place.read("f"));
}

/// The length of a regular file is known without reading gigabytes.
#[test]
fn inspect_reads_the_front_of_a_file() {
    let place = place();
    let grown = File::options().append(true).open(place.path("f.ncpe")).unwrap();
    grown.set_len(40 << 40).or_else(|_| grown.set_len(8 << 30)).unwrap();
    let len = grown.metadata().unwrap().len();
    for shell in ["\"$0\" inspect --json f.ncpe", "\"$0\" inspect --json - <f.ncpe"] {
        let output = by_shell(&place, shell, &[]).output().unwrap();
        let view: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(view["message_len"], len, "{shell}");
    }
    // From the offset that others have reached.
    let read_on = "{ head -c 7 >/dev/null; \"$0\" inspect --json -; } <m";
    let message = place.run(&["encrypt", "--local", "-o", "-", "f"]).output().unwrap().stdout;
    place.write("m", &[b"1234567", &message[..]].concat());
    let output = by_shell(&place, read_on, &[]).output().unwrap();
    let view: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&view["message_len"], &view["plaintext_len"]),
        (&message.len().into(), &100_000.into())
    );
}

/// Others choose names: no control character reaches a terminal, and no line is forged.
#[test]
fn names_that_a_terminal_would_obey_are_escaped() {
    const BAD: &str = "a\u{1b}[31m\u{9b}1m\u{202e}\u{7}b\nncp-envelope: done";
    let place = place();
    place.write(BAD, &sample(100));
    place.write("key\u{1b}]0;x\u{7}", b"x");
    let odd = "key\u{1b}]0;x\u{7}";
    for args in [
        &["encrypt", "--local", "absent\u{1b}[2J"][..],
        &["encrypt", "--local", "-o", BAD, "f"],
        &["encrypt", "--local", "-o", odd, "f"],
        &["encrypt", "--local", "--aad-file", "gone\u{1b}", "f"],
        &["decrypt", "--local", BAD],
        &["decrypt", "--local", "-o", "out", BAD],
        &["inspect", BAD],
        &["cipher", "decrypt", "--local", BAD],
        &["cipher", "verify", "--local", "--signature-file", "gone\u{1b}", BAD],
        &["cipher", "encrypt", "--local", "-o", odd, "f"],
        &["emulator", "--config", BAD],
        &["emulator", "--listen", BAD],
        &["emulator", "--state", "f/\u{1b}"],
        &["bench", "--dir", "gone\u{1b}"],
        &["bench", "--size", BAD],
        &["encrypt", "--threads", BAD],
        &["encrypt", "--mode", BAD],
        &["encrypt", "--context", BAD, "--scope"],
        &["encrypt", "--api", BAD],
        &[BAD],
        &["encrypt", "--local", "a", BAD, "gone\u{1b}"],
        &["keys", BAD],
        &["--enc\u{1b}rypt\u{202e}"],
        &["encrypt", "--out\u{1b}=x\ny"],
    ] {
        let output = place.run(args).output().unwrap();
        assert_ne!(output.status.code(), Some(0), "{args:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        let obeyed = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
        assert!(!said.contains(obeyed), "{args:?}: {said:?}");
        assert!(!said.lines().any(|line| line == "ncp-envelope: done"), "{args:?}: {said:?}");
        assert!(said.contains("\\u{1b}"), "{args:?}: {said:?}");
    }
}

/// `/proc` claims that its files are empty.
#[test]
fn files_that_do_not_know_their_length_are_read() {
    let place = place();
    if !fs::exists("/proc/self/status").unwrap() {
        return;
    }
    place.run(&["encrypt", "--local", "-o", "out", "/proc/version"]).assert().success();
    let back = by_shell(&place, "\"$0\" decrypt --local - <out", &[]).output().unwrap();
    assert!(back.status.success());
    assert_eq!(back.stdout, fs::read("/proc/version").unwrap());
}
