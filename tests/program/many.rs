//! Many inputs in one run: where outputs go, what is refused before any work, and what is said.

use crate::kit::{Place, by_shell, fifo};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::symlink;
use std::time::{Duration, SystemTime};

/// The exit code, what was printed, and what was said without the notice of `--local`.
fn run(place: &Place, args: &[&str]) -> (Option<i32>, String, String) {
    let output = place.run(args).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let lines = said.lines().filter(|line| !line.contains("--local is for"));
    let said = lines.map(|line| format!("{line}\n")).collect();
    (output.status.code(), String::from_utf8(output.stdout).unwrap(), said)
}

fn succeeds(place: &Place, args: &[&str]) -> String {
    let (code, printed, said) = run(place, args);
    assert_eq!((code, &printed[..]), (Some(0), ""), "{args:?}: {said}");
    said
}

/// Three files and a directory.
fn place() -> Place {
    let place = Place::new();
    for name in ["a", "b", "c"] {
        place.write(name, name.as_bytes());
    }
    fs::create_dir(place.path("dir")).unwrap();
    place.write("dir/a", b"another");
    place
}

#[test]
fn outputs_are_beside_the_inputs_or_in_one_directory() {
    let place = place();
    let said = succeeds(&place, &["encrypt", "--local", "a", "b", "dir/a"]);
    assert!(said.starts_with("ncp-envelope: encrypted 3 files: 9 bytes -> "), "{said}");
    assert!(said.contains(" to the key service\n") && said.lines().count() == 1, "{said}");
    assert_eq!(place.names(), ["a", "a.ncpe", "b", "b.ncpe", "c", "dir"]);
    // A directory that is not there yet, and then is.
    succeeds(&place, &["decrypt", "--local", "-o", "new", "a.ncpe", "b.ncpe"]);
    assert_eq!((place.read("new/a"), place.read("new/b")), (b"a".to_vec(), b"b".to_vec()));
    succeeds(&place, &["encrypt", "--local", "-o", "new", "c", "dir/a"]);
    assert!(fs::exists(place.path("new/a.ncpe")).unwrap());
    // A single input is a file, whatever it is called.
    succeeds(&place, &["encrypt", "--local", "-o", "single", "a"]);
    assert!(place.path("single").is_file());
}

#[test]
fn what_cannot_be_meant_is_refused_before_any_work() {
    let place = place();
    place.write("file", b"x");
    fs::create_dir_all(place.path("dir/sub")).unwrap();
    symlink("dir", place.path("link")).unwrap();
    for (args, words) in [
        ("encrypt --local a -", "- is standard input, and can only be the one input"),
        ("encrypt --local -r -", "- is standard input"),
        ("decrypt --local a.ncpe - b.ncpe", "- is standard input"),
        ("verify --local -r -", "- is standard input"),
        ("encrypt --local -o - a b", "many outputs cannot go to standard output"),
        ("decrypt --local -r -o - dir", "many outputs cannot go to standard output"),
        ("encrypt --local -o file a b", "file is no directory"),
        ("encrypt --local -o no/new a b", "cannot make the directory no/new"),
        ("encrypt --local a dir", "dir is a directory: give -r"),
        ("decrypt --local dir", "dir is a directory: give -r"),
        ("encrypt --local -o out a dir/a", "a and dir/a have the same output out/a.ncpe"),
        ("encrypt --local a ./a", "a and ./a have the same output"),
        ("encrypt --local -r dir dir/a", "dir/a is an input twice"),
        ("encrypt --local -r dir/sub dir", "dir/sub is an input twice"),
        ("encrypt --local -r dir link", "link is an input twice"),
        ("encrypt --local -r -o dir/out dir", "which is an input"),
        ("encrypt --local -r -o dir dir", "which is an input"),
        ("encrypt --local -r -o link/out dir", "which is an input"),
        ("encrypt --local -r -o dir/sub link", "which is an input"),
        ("encrypt --local -r -o . dir", "leave -o away"),
        ("encrypt --local -r -o out . a", "goes into out itself"),
        ("decrypt --local --header a b.ncpe c.ncpe", "--header is the header of one message"),
        ("verify --local --header a -r dir", "--header is the header of one message"),
        ("encrypt --local --remove-source -o - a", "--remove-source is for files"),
        ("encrypt --local --remove-source -", "--remove-source is for files"),
        ("encrypt --local --json -o - a", "standard output is for the JSON"),
        ("encrypt --local --remove-source --no-sync a", "cannot be used with"),
        ("encrypt --local --remove-source --keep a", "cannot be used with"),
        ("encrypt --local -0 a", "--files-from"),
        ("encrypt --local", "required"),
    ] {
        let args: Vec<_> = args.split(' ').collect();
        let code = if words.starts_with("cannot make") { 1 } else { 2 };
        place.refuses(&args, code, words);
        assert_eq!(fs::read_dir(place.path("dir")).unwrap().count(), 2, "{args:?}");
    }
}

/// One of each fault among good files.
#[test]
fn a_file_that_fails_stops_no_other() {
    let place = place();
    succeeds(&place, &["encrypt", "--local", "-o", "dir/m.ncpe", "a"]);
    place.write("message", &place.read("dir/m.ncpe"));
    place.write("c.ncpe", b"was here before");
    let args = ["encrypt", "--local", "a", "absent", "b", "message", "c"];
    let (code, printed, said) = run(&place, &args);
    assert_eq!((code, &printed[..]), (Some(1), ""), "{said}");
    for words in [
        "cannot open absent: No such file",
        "message is a message already: it is encrypted once more\n",
        "c.ncpe exists, and not as an earlier run left it: ",
        "or replace it with --force\n",
        "encrypted 3 files: ",
        "; encrypted once more: 1; failed: 2\n",
    ] {
        assert!(said.contains(words), "{said:?} should say {words:?}");
    }
    assert_eq!(place.read("c.ncpe"), b"was here before");
    succeeds(&place, &["encrypt", "--local", "--force", "c"]);

    place.write("foreign.txt", b"no message");
    place.write("foreign.ncpe", b"no message");
    let names = ["a.ncpe", "foreign.txt", "foreign.ncpe", "gone.ncpe", "message", "c.ncpe"];
    let (code, _, said) = run(&place, &[&["decrypt", "--local", "-o", "out"], &names[..]].concat());
    assert_eq!(code, Some(3), "a refused message counts more than the others: {said}");
    for words in [
        "foreign.txt: not an ncp-envelope message",
        "foreign.ncpe: not an ncp-envelope message",
        "cannot open gone.ncpe: No such file",
        "message: its name does not end in .ncpe: decrypt it alone, with -o OUT\n",
        "decrypted 2 files: ",
        "; failed: 4\n",
    ] {
        assert!(said.contains(words), "{said:?} should say {words:?}");
    }
    assert_eq!((place.read("out/a"), place.read("out/c")), (b"a".to_vec(), b"c".to_vec()));
    assert_eq!(fs::read_dir(place.path("out")).unwrap().count(), 2);
}

/// The rule is the same for all commands that take many files.
#[test]
fn a_refused_message_decides_the_exit_code_of_every_command() {
    let place = place();
    succeeds(&place, &["encrypt", "--local", "a"]);
    let message = place.read("a.ncpe");
    place.write("cut.ncpe", &message[..message.len() / 2]);
    let view = place.run(&["inspect", "--json", "a.ncpe"]).output().unwrap().stdout;
    let view: Value = serde_json::from_slice(&view).unwrap();
    let key = view["slots"][0]["key_tag"].as_str().unwrap();
    for args in [
        "decrypt --local -o out",
        "verify --local",
        "rewrap --local",
        "rekey --local",
        "audit",
        &format!("slots remove --key {key}"),
    ] {
        let args: Vec<_> = args.split(' ').collect();
        for (names, code) in [(&["absent.ncpe", "cut.ncpe"][..], 3), (&["absent.ncpe", "no"], 1)] {
            let (ended, _, said) = run(&place, &[&args[..], names].concat());
            assert_eq!(ended, Some(code), "{args:?} {names:?}: {said}");
        }
    }
}

#[test]
fn a_second_run_of_the_same_glob_does_not_encrypt_its_outputs() {
    let place = place();
    succeeds(&place, &["encrypt", "--local", "a", "b", "c"]);
    let before = place.names();
    let said = succeeds(&place, &["encrypt", "--local", "a", "a.ncpe", "b", "b.ncpe", "c"]);
    let line = "encrypted 0 files; already done: 3; passed over: 2 messages\n";
    assert!(said.ends_with(line), "{said}");
    assert_eq!(place.names(), before);
    // A single message is encrypted, with a warning.
    let said = succeeds(&place, &["encrypt", "--local", "a.ncpe"]);
    assert_eq!(said, "ncp-envelope: a.ncpe is a message already: it is encrypted once more\n");
    // What has changed since is no output of the same run.
    place.write("b", b"B");
    let (code, _, said) = run(&place, &["encrypt", "--local", "a", "b"]);
    assert_eq!(code, Some(1), "{said}");
    let said = succeeds(&place, &["encrypt", "--local", "--force", "a", "b"]);
    assert!(said.contains("encrypted 1 file: ") && said.contains("; already done: 1\n"), "{said}");
}

#[test]
fn outputs_have_the_time_of_their_inputs() {
    let place = place();
    let time = SystemTime::UNIX_EPOCH + Duration::new(1_234_567_890, 987_654_321);
    let of = |name: &str| fs::metadata(place.path(name)).unwrap().modified().unwrap();
    for name in ["a", "b"] {
        fs::File::open(place.path(name)).unwrap().set_modified(time).unwrap();
    }
    succeeds(&place, &["encrypt", "--local", "a"]);
    succeeds(&place, &["decrypt", "--local", "-o", "again", "a.ncpe"]);
    succeeds(&place, &["encrypt", "--local", "-o", "out", "a", "b"]);
    for name in ["a.ncpe", "again", "out/a.ncpe", "out/b.ncpe"] {
        assert_eq!(of(name), time, "{name}");
    }
}

#[test]
fn a_source_is_removed_after_its_output_and_never_without_one() {
    let place = place();
    place.write("c.ncpe", b"in the way");
    succeeds(&place, &["encrypt", "--local", "--remove-source", "a"]);
    let (code, _, said) = run(&place, &["encrypt", "--local", "--remove-source", "b", "c"]);
    assert_eq!(code, Some(1), "{said}");
    assert_eq!(place.names(), ["a.ncpe", "b.ncpe", "c", "c.ncpe", "dir"]);
    // Not of a message that does not open.
    let mut message = place.read("b.ncpe");
    *message.last_mut().unwrap() ^= 1;
    place.write("b.ncpe", &message);
    let args = ["decrypt", "--local", "--remove-source", "a.ncpe", "b.ncpe"];
    assert_eq!(run(&place, &args).0, Some(3));
    assert_eq!(place.names(), ["a", "b.ncpe", "c", "c.ncpe", "dir"]);
    assert_eq!(place.read("b.ncpe"), message);
    succeeds(&place, &["encrypt", "--local", "--keep", "a"]);
    assert!(fs::exists(place.path("a")).unwrap());
    // The output that an earlier run left is no reason to remove what it was made from.
    let before = place.read("a.ncpe");
    let said = succeeds(&place, &["encrypt", "--local", "--remove-source", "-r", "a"]);
    assert!(said.contains("encrypted 1 file: "), "{said}");
    assert!(!fs::exists(place.path("a")).unwrap());
    assert_ne!(place.read("a.ncpe"), before);
}

#[test]
fn lists_name_files_by_lines_or_nul_bytes() {
    let place = place();
    place.write("new\nline", b"x");
    place.write("list", b"a\n\nb\n");
    place.write("zeros", b"new\nline\0c\0");
    let said = succeeds(&place, &["encrypt", "--local", "--files-from", "list", "-o", "out"]);
    assert!(said.contains("encrypted 2 files: "), "{said}");
    let shell = "\"$0\" encrypt --local -0 --files-from - -o out <zeros";
    let output = by_shell(&place, shell, &[]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for name in ["a.ncpe", "b.ncpe", "c.ncpe", "new\nline.ncpe"] {
        assert!(fs::exists(place.path("out").join(name)).unwrap(), "{name}");
    }
    let shell = "ls out/* -d | \"$0\" verify --local --files-from - out/c.ncpe";
    let output = by_shell(&place, shell, &[]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    // `ls` writes the line break as a line break into a pipe.
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{said}");
    assert!(said.contains("verified 4 messages: ") && said.contains("; failed: 2\n"), "{said}");
    place.refuses(&["encrypt", "--local", "--files-from", "gone"], 1, "cannot open gone");
    place.write("dirs", b"dir\n");
    place.refuses(&["encrypt", "--local", "--files-from", "dirs"], 2, "dir is a directory");
    place.write("none", b"");
    let said = succeeds(&place, &["encrypt", "--local", "--files-from", "none"]);
    assert_eq!(said, "ncp-envelope: encrypted 0 files\n");
}

#[test]
fn json_says_the_same_as_the_summary() {
    let place = place();
    place.write("c.ncpe", b"in the way");
    let json = |args: &[&str], code: i32| -> Value {
        let (ended, printed, said) = run(&place, args);
        assert_eq!((ended, printed.lines().count()), (Some(code), 1), "{args:?}: {said}");
        serde_json::from_str(&printed).unwrap()
    };
    let all = json(&["encrypt", "--local", "--json", "a", "b", "c"], 1);
    assert_eq!((&all["files"], &all["bytes_read"]), (&2.into(), &2.into()));
    let written = all["bytes_written"].as_u64().unwrap();
    assert_eq!(written, (place.read("a.ncpe").len() + place.read("b.ncpe").len()) as u64);
    assert!(all["calls"].as_u64().unwrap() >= 1 && all["seconds"].is_number());
    assert_eq!((&all["failed"], &all["failures"][0]["path"]), (&1.into(), &"c".into()));
    assert_eq!(all["failures"][0]["code"], 1);
    assert!(all["failures"][0]["error"].as_str().unwrap().contains("--force"));
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let one = json(&["decrypt", "--local", "--json", "-o", "x", "a.ncpe"], 0);
    assert_eq!((&one["files"], &one["bytes_written"]), (&1.into(), &1.into()));
    let bad = json(&["decrypt", "--local", "--json", "-o", "y", "c.ncpe"], 3);
    assert_eq!((&bad["files"], &bad["failed"]), (&0.into(), &1.into()));
    assert_eq!(bad["failures"][0]["code"], 3);
    let tree = json(&["verify", "--local", "--json", "-r", "."], 3);
    assert_eq!((&tree["files"], &tree["failed"]), (&2.into(), &1.into()));
    assert_eq!(tree["not_messages"], 5);
    for other in [&one, &bad, &tree] {
        assert_eq!(names(&all), names(other), "one shape for all");
    }
}

#[test]
fn quiet_leaves_errors_and_nothing_else() {
    let place = place();
    let said = |args: &[&str], code: i32| {
        let output = place.run(args).output().unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(code), 0), "{args:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    assert_eq!(said(&["-q", "encrypt", "--local", "a", "b"], 0), "");
    assert_eq!(said(&["encrypt", "--local", "a.ncpe", "--quiet"], 0), "");
    assert_eq!(
        said(&["-q", "encrypt", "--local", "b", "c", "absent"], 1),
        "ncp-envelope: cannot open absent: No such file or directory (os error 2)\n\
         ncp-envelope: files that failed: 1\n"
    );
}

/// A named FIFO is read when it is the one input; among many it would block the others.
#[test]
fn special_files_are_no_inputs_among_many() {
    let place = place();
    fifo(&place.path("fifo"));
    let (code, _, said) = run(&place, &["encrypt", "--local", "a", "fifo", "b"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("fifo: a FIFO can only be the one input"), "{said}");
    assert!(said.contains("encrypted 2 files: "), "{said}");
}
