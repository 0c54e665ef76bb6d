//! Messages that are verified, without plaintext output.

use crate::common::sample;
use crate::kit::{Place, by_shell, fifo};
use serde_json::Value;

fn place() -> Place {
    let place = Place::new();
    place.write("f", &sample((2 << 20) + 5));
    place.write("one", b"x");
    for name in ["f", "one"] {
        place.run(&["encrypt", "--local", name]).assert().success();
    }
    place.run(&["encrypt", "--local", "-c", "kind=note", "-o", "note", "one"]).assert().success();
    let mut changed = place.read("f.ncpe");
    changed[1 << 20] ^= 1;
    place.write("changed", &changed);
    place.write("cut", &place.read("f.ncpe")[..70_000]);
    place
}

/// The exit code, and the lines on standard output.
fn verify(place: &Place, args: &[&str]) -> (Option<i32>, Vec<String>, String) {
    let output = place.run(&[&["verify", "--local"], args].concat()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), text.lines().map(str::to_owned).collect(), said)
}

#[test]
fn each_file_has_a_line_and_failures_do_not_stop_the_others() {
    let place = place();
    let before = place.names();
    let (code, lines, said) = verify(&place, &["f.ncpe", "one.ncpe", "note"]);
    assert_eq!(lines, ["f.ncpe: ok, 2097157 bytes", "one.ncpe: ok, 1 byte", "note: ok, 1 byte"]);
    let summary = "\nncp-envelope: verified 3 messages: 2.00 MiB in ";
    assert!(code == Some(0) && said.contains(summary), "{said}");

    let all = ["absent", "f.ncpe", "changed", "cut", ".", "one", "note"];
    let (code, lines, said) = verify(&place, &all);
    assert_eq!(code, Some(3), "a refused message counts more than one that cannot be read");
    assert!(
        said.contains("verified 2 messages: 2.00 MiB in ") && said.contains("; failed: 5\n"),
        "{said}"
    );
    for (line, words) in lines.iter().zip([
        "absent: cannot open absent: No such file",
        "f.ncpe: ok, 2097157 bytes",
        "changed: message is not authentic",
        "cut: message is not authentic",
        ".: . is a directory",
        "one: not an ncp-envelope message",
        "note: ok",
    ]) {
        assert!(line.starts_with(words), "{line}");
    }
    assert_eq!(lines.len(), 7);
    assert_eq!(place.names(), before);
}

#[test]
fn exit_codes_are_those_of_the_faults() {
    let place = place();
    let code = |args: &[&str]| verify(&place, args).0;
    assert_eq!(code(&["f.ncpe", "absent"]), Some(1));
    assert_eq!(code(&["."]), Some(1));
    assert_eq!(code(&["absent", "changed"]), Some(3));
    assert_eq!(code(&["-c", "kind=note", "note"]), Some(0));
    assert_eq!(code(&["-c", "kind=note", "note", "f.ncpe"]), Some(3));
    assert_eq!(code(&[]), Some(2));
    place.run(&["keys", "disable", "--local", "--yes"]).assert().success();
    let (code, lines, _) = verify(&place, &["absent", "f.ncpe"]);
    assert!(code == Some(1) && lines.len() == 2, "they are of several kinds: {lines:?}");
    let (code, lines, _) = verify(&place, &["f.ncpe", "one.ncpe"]);
    assert!(code == Some(4) && lines[0].starts_with("f.ncpe: "), "{lines:?}");
    let mut unreachable = place.run(&["verify", "--key", "k", "f.ncpe"]);
    unreachable.env("NCP_KMS_ENDPOINT", "http://127.0.0.1:1").env("NCP_ACCESS_KEY", "a");
    // Another key's message is refused before any call.
    unreachable.env("NCP_SECRET_KEY", "s").assert().code(3);
    let view = place.run(&["inspect", "--json", "f.ncpe"]).output().unwrap().stdout;
    let view: Value = serde_json::from_slice(&view).unwrap();
    unreachable.env("NCP_KMS_KEY_TAG", view["slots"][0]["key_tag"].as_str().unwrap());
    let mut unreachable = place.run(&["verify", "f.ncpe"]);
    unreachable.env("NCP_KMS_ENDPOINT", "http://127.0.0.1:1").env("NCP_ACCESS_KEY", "a");
    unreachable.env("NCP_KMS_KEY_TAG", view["slots"][0]["key_tag"].as_str().unwrap());
    unreachable.env("NCP_SECRET_KEY", "s").assert().code(5);
}

#[test]
fn json_counts_and_names_the_failures() {
    let place = place();
    let args = ["--json", "f.ncpe", "changed", "one.ncpe", "absent", "one.ncpe"];
    let (code, lines, said) = verify(&place, &args);
    assert_eq!((code, lines.len()), (Some(3), 1));
    let all: Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!((&all["files"], &all["bytes_written"]), (&3.into(), &2_097_159.into()));
    assert_eq!((&all["failed"], &all["stopped"]), (&2.into(), &Value::Null));
    let mut failures = all["failures"].as_array().unwrap().clone();
    failures.sort_by_key(|failure| failure["code"].as_u64());
    assert_eq!((&failures[0]["path"], &failures[0]["code"]), (&"absent".into(), &1.into()));
    assert_eq!((&failures[1]["path"], &failures[1]["code"]), (&"changed".into(), &3.into()));
    for failure in failures {
        let error = failure["error"].as_str().unwrap();
        assert_eq!(said.matches(error).count(), 1, "{said}: {error}");
    }
}

#[test]
fn standard_input_and_fifos_are_verified_too() {
    let place = place();
    let run = |shell: &str| {
        let output = by_shell(&place, shell, &[]).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let good = "-: ok, 2097157 bytes\n";
    assert_eq!(run("\"$0\" verify --local - <f.ncpe"), (Some(0), good.to_owned()));
    assert_eq!(run("cat f.ncpe | \"$0\" verify --local -"), (Some(0), good.to_owned()));
    let (code, text) = run("cat changed | \"$0\" verify --local - one.ncpe");
    assert!(code == Some(3) && text.starts_with("-: message is not authentic"), "{text}");
    assert!(text.ends_with("\none.ncpe: ok, 1 byte\n"), "{text}");
    let (code, text) = run("\"$0\" verify --local - one.ncpe <&-");
    assert!(code == Some(1) && text.starts_with("-: cannot read standard input: it is closed"));
    assert_eq!(run("\"$0\" verify --local - one.ncpe /dev/stdin <f.ncpe").0, Some(2));
    assert_eq!(run("\"$0\" verify --local --aad-file - - <f.ncpe").0, Some(2));
    fifo(&place.path("fifo"));
    let (code, text) = run("cat f.ncpe >fifo & \"$0\" verify --local fifo");
    assert_eq!((code, &text[..]), (Some(0), "fifo: ok, 2097157 bytes\n"));
}

/// The name of a file cannot control a terminal.
#[test]
fn names_are_escaped() {
    let place = place();
    let name = "a\u{1b}[31m\nb";
    place.write(name, b"no message");
    let (code, lines, said) = verify(&place, &[name]);
    assert_eq!((code, lines.len()), (Some(3), 1));
    assert!(lines[0].starts_with("a\\u{1b}[31m\\nb: not an ncp-envelope message"), "{lines:?}");
    assert!(!said.contains('\u{1b}'));
}
