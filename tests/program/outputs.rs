//! Files that commands write: the same way for all, their rights, several at once, and sources that
//! change.

use crate::common::sample;
use crate::kit::{Place, by_shell, fifo, until_it_waits};
use rustix::fs::{OFlags, fcntl_setfl};
use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::process::Stdio;

fn mode(place: &Place, name: &str) -> u32 {
    fs::metadata(place.path(name)).unwrap().permissions().mode() & 0o777
}

fn set_mode(place: &Place, name: &str, mode: u32) {
    fs::set_permissions(place.path(name), Permissions::from_mode(mode)).unwrap();
}

/// The program under a umask of 022.
fn run(place: &Place, shell: &str) {
    let output = by_shell(place, &format!("umask 022; {shell}"), &[]).output().unwrap();
    assert!(output.status.success(), "{shell}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn an_output_has_the_rights_of_its_source_or_those_that_are_asked_for() {
    let place = Place::new();
    place.write("f", &sample(100));
    run(&place, "\"$0\" encrypt --local -o m f");
    run(&place, "\"$0\" cipher encrypt --local -o c f");
    // The input and its rights, the command, and the rights of its output `out`.
    for (source, rights, shell, expected) in [
        ("f", 0o600, "encrypt --local -o out f", 0o600),
        ("f", 0o644, "encrypt --local -o out f", 0o644),
        ("f", 0o666, "encrypt --local -o out f", 0o644),
        ("f", 0o600, "encrypt --local -o out - <f", 0o600),
        ("f", 0o600, "encrypt --local -o out - < <(cat f)", 0o644),
        ("f", 0o600, "encrypt --local --mode 640 -o out f", 0o640),
        ("f", 0o600, "encrypt --local --mode 666 -o out - <f", 0o666),
        ("m", 0o600, "decrypt --local -o out m", 0o600),
        ("m", 0o644, "decrypt --local -o out m", 0o644),
        ("m", 0o600, "decrypt --local -o out - <m", 0o600),
        ("m", 0o644, "decrypt --local -o out - <m", 0o644),
        ("m", 0o644, "decrypt --local -o out - < <(cat m)", 0o600),
        ("m", 0o644, "decrypt --local -o out <(cat m)", 0o600),
        ("m", 0o644, "decrypt --local --mode 644 -o out - < <(cat m)", 0o644),
        ("m", 0o600, "decrypt --local --mode 0444 -o out m", 0o444),
        ("f", 0o600, "cipher encrypt --local -o out f", 0o600),
        ("f", 0o644, "cipher encrypt --local -o out f", 0o644),
        ("f", 0o644, "cipher encrypt --local --mode 600 -o out f", 0o600),
        ("c", 0o644, "cipher decrypt --local -o out c", 0o600),
        ("c", 0o400, "cipher decrypt --local -o out c", 0o400),
        ("c", 0o644, "cipher decrypt --local --mode 640 -o out c", 0o640),
        ("f", 0o644, "cipher custom-key --local -o out", 0o644),
        ("f", 0o644, "cipher custom-key --local -o x --force --plaintext out", 0o600),
        ("f", 0o644, "cipher custom-key --local -o x --mode 644 --force --plaintext out", 0o600),
    ] {
        set_mode(&place, source, rights);
        run(&place, &format!("\"$0\" {shell}"));
        assert_eq!(mode(&place, "out"), expected, "{shell}, source {rights:o}");
        fs::remove_file(place.path("out")).unwrap();
        set_mode(&place, source, 0o644);
    }
    // A file that is replaced does not get wider rights.
    for (shell, expected) in [
        ("encrypt --local --force -o old f", 0o600),
        ("decrypt --local --force -o old m", 0o600),
        ("cipher encrypt --local --force -o old f", 0o600),
        ("cipher encrypt --local --force --mode 644 -o old f", 0o644),
    ] {
        place.write("old", b"old");
        set_mode(&place, "old", 0o600);
        run(&place, &format!("\"$0\" {shell}"));
        assert_eq!(mode(&place, "old"), expected, "{shell}");
    }
    for wrong in ["", "8", "1777", "0o600", "+600", "-1", "u=rw", "rw-------"] {
        let arg = format!("--mode={wrong}");
        place.refuses(&["encrypt", "--local", &arg, "-o", "new", "f"], 2, "octal");
    }
}

/// Nothing is replaced before all outputs are written, whatever fails.
#[test]
fn a_custom_key_destroys_none_when_one_of_its_outputs_fails() {
    let place = Place::new();
    place.write("wrapped", b"the wrapped key that everything is under");
    place.write("plain", b"its key");
    fs::create_dir(place.path("dir")).unwrap();
    symlink("wrapped", place.path("link")).unwrap();
    symlink("new", place.path("dangling")).unwrap();
    fs::hard_link(place.path("wrapped"), place.path("again")).unwrap();
    let before = place.names();
    // A shell command, and the exit code.
    for (shell, code) in [
        // The second output cannot be written.
        ("-o wrapped --plaintext no/dir/plain", 1),
        ("-o wrapped --plaintext /dev/full", 1),
        ("-o wrapped --plaintext - >/dev/full", 1),
        ("-o wrapped --plaintext - >&-", 1),
        ("-o wrapped --plaintext dir", 2),
        ("-o no/dir/wrapped --plaintext plain", 1),
        ("-o - --plaintext plain >/dev/full", 1),
        ("-o - --plaintext plain >&-", 1),
        ("-o /dev/full --plaintext plain", 1),
        ("-o wrapped --plaintext plain --endpoint http://127.0.0.1:1", 2),
        // Both are the same file under different names.
        ("-o wrapped --plaintext wrapped", 2),
        ("-o wrapped --plaintext ./wrapped", 2),
        ("-o wrapped --plaintext dir/../wrapped", 2),
        ("-o wrapped --plaintext link", 2),
        ("-o wrapped --plaintext again", 2),
        ("-o new --plaintext ./new", 2),
        ("-o new --plaintext dangling", 2),
        ("-o - --plaintext /dev/stdout", 2),
        ("-o /dev/fd/1 --plaintext /proc/self/fd/1", 2),
        ("-o wrapped --plaintext - >>wrapped", 2),
        ("-o wrapped --plaintext /dev/fd/3 3>>wrapped", 2),
    ] {
        let shell = format!("\"$0\" cipher custom-key --local --force {shell}");
        let output = by_shell(&place, &shell, &[]).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{shell}: {said}");
        assert_eq!(place.read("wrapped"), b"the wrapped key that everything is under", "{shell}");
        assert_eq!(place.read("plain"), b"its key", "{shell}");
        assert_eq!(place.names(), before, "{shell}");
    }
    // Without --force neither.
    for shell in ["-o wrapped --plaintext new", "-o new --plaintext plain"] {
        let shell = format!("\"$0\" cipher custom-key --local {shell}");
        assert_eq!(by_shell(&place, &shell, &[]).output().unwrap().status.code(), Some(2));
        assert_eq!(place.names(), before);
    }
    run(&place, "\"$0\" cipher custom-key --local --force -o link --plaintext plain");
    let key = place.read("plain");
    run(&place, "\"$0\" cipher decrypt --local -o key wrapped");
    assert_eq!((place.read("key"), key.len()), (key, 32));
    assert!(fs::symlink_metadata(place.path("link")).unwrap().is_symlink());
}

/// As root, a file with a key in it replaced `/dev/stdout`.
#[test]
fn cipher_replaces_no_device_fifo_or_link() {
    let place = Place::new();
    place.write("f", b"x");
    fifo(&place.path("fifo"));
    symlink("/dev/stdout", place.path("link")).unwrap();
    for shell in [
        "\"$0\" cipher encrypt --local --force -o link f",
        "\"$0\" cipher encrypt --local --force -o /dev/stdout f",
        "\"$0\" cipher encrypt --local --force -o fifo f & cat fifo; wait $!",
        "\"$0\" cipher custom-key --local --force -o /dev/null --plaintext link",
        "\"$0\" cipher public-key --local --force -o link; true",
    ] {
        let output = by_shell(&place, shell, &[]).output().unwrap();
        assert!(output.status.success(), "{shell}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(!output.stdout.is_empty() || shell.ends_with("true"), "{shell}");
        assert_eq!(place.names(), ["f", "fifo", "link"], "{shell}");
        assert!(fs::symlink_metadata(place.path("link")).unwrap().is_symlink(), "{shell}");
        assert!(fs::symlink_metadata("/dev/stdout").is_ok_and(|there| !there.is_file()));
    }
}

/// A source that changes while it is read, without a change of length: the message would hold
/// content that the file never had.
#[test]
fn a_source_that_changes_is_refused_unless_that_is_allowed() {
    let place = Place::new();
    place.write("f", &sample(3 << 20));
    place.write("short", &sample(100));
    fifo(&place.path("out"));
    for (args, stdin, allowed) in [
        ("encrypt --local -o out f", "short", false),
        ("encrypt --local -o out -", "f", false),
        ("encrypt --local --allow-changing -o out f", "short", true),
        ("encrypt --local --allow-changing -o out -", "f", true),
    ] {
        let mut command = place.std_command();
        command.args(args.split(' ')).stdin(File::open(place.path(stdin)).unwrap());
        let child = command.stderr(Stdio::piped()).spawn().unwrap();
        // Opened without waiting for a process that may never open it.
        let reader = OFlags::NONBLOCK.bits().cast_signed();
        let reader =
            File::options().read(true).custom_flags(reader).open(place.path("out")).unwrap();
        fcntl_setfl(&reader, OFlags::empty()).unwrap();
        // Its pipe is full, so it is in the middle of its work.
        until_it_waits(&child, 15);
        let mut source = File::options().write(true).open(place.path("f")).unwrap();
        source.write_all(b"something else").unwrap();
        drop(source);
        let drained = std::thread::spawn(move || std::io::copy(&mut &reader, &mut std::io::sink()));
        let output = child.wait_with_output().unwrap();
        drained.join().unwrap().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(i32::from(!allowed)), "{args}: {said}");
        assert_eq!(said.contains("was changed while it was read"), !allowed, "{args}: {said}");
    }
}
