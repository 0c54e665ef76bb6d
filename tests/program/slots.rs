//! `slots` and `rekey` as a user runs them.

use crate::kit::Place;
use serde_json::Value;
use std::fs;

/// The keys of a message, in order.
fn keys(place: &Place, name: &str) -> Vec<String> {
    let output = place.run(&["slots", "list", "--json", name]).output().unwrap();
    let slots: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    slots.iter().map(|slot| slot["key_tag"].as_str().unwrap().to_owned()).collect()
}

fn new_key(place: &Place, name: &str) -> String {
    let output = place.run(&["keys", "create", "--local", "--json", name]).output().unwrap();
    let key: Value = serde_json::from_slice(&output.stdout).unwrap();
    key["key_tag"].as_str().unwrap().to_owned()
}

/// The command's exit code, its counts, and the number of failures.
fn run(place: &Place, args: &[&str]) -> (i32, Value) {
    let output = place.run(args).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let counts = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{text}"));
    (output.status.code().unwrap(), counts)
}

fn counts(value: &Value, names: &[&str]) -> Vec<u64> {
    names.iter().map(|name| value[*name].as_u64().unwrap_or_else(|| panic!("{value}"))).collect()
}

/// A tree with a message of each layout, another file, and a link.
#[cfg(unix)]
fn tree() -> (Place, String) {
    let place = Place::new();
    fs::create_dir_all(place.path("tree/deep")).unwrap();
    for (name, layout) in [("a", "compact"), ("b", "durable"), ("deep/c", "page")] {
        let name = format!("tree/{name}");
        fs::write(place.path(&name), &name).unwrap();
        let args = ["encrypt", "--local", "--layout", layout, "--scope", "s", "-c", "n=1", &name];
        place.run(&args).assert().success();
        fs::remove_file(place.path(&name)).unwrap();
    }
    fs::write(place.path("tree/foreign"), "something else").unwrap();
    std::os::unix::fs::symlink("b.ncpe", place.path("tree/link")).unwrap();
    let tag = new_key(&place, "second");
    (place, tag)
}

#[cfg(unix)]
#[test]
fn a_tree_gets_another_key_and_loses_the_first() {
    let (place, second) = tree();
    let opens = |name: &str, key: &[&str]| {
        let args = [&["decrypt", "--local", "--scope", "s", "-o", "-", name][..], key].concat();
        let output = place.run(&args).output().unwrap();
        output.status.success().then(|| {
            assert!(name.starts_with(std::str::from_utf8(&output.stdout).unwrap()));
        })
    };
    let common = ["--local", "--scope", "s", "--json", "-r", "tree"];
    let names = ["changed", "already", "not_messages", "links", "failed"];
    let add = [&["slots", "add", "--to-key", &second][..], &common].concat();
    let (code, done) = run(&place, &add);
    assert_eq!((code, counts(&done, &names)), (3, vec![2, 0, 1, 1, 1]));
    let why = done["failures"][0]["error"].as_str().unwrap();
    assert!(why.contains("tree/a.ncpe") && why.contains("rekey"), "{why}");
    let (_, done) = run(&place, &add);
    assert_eq!(counts(&done, &names), [0, 2, 1, 1, 1]);
    for (name, count) in [("tree/a.ncpe", 1), ("tree/b.ncpe", 2), ("tree/deep/c.ncpe", 2)] {
        assert_eq!(keys(&place, name).len(), count);
        assert_eq!(opens(name, &["--key", &second]).is_some(), count == 2);
        assert!(opens(name, &[]).is_some());
    }
    let first = keys(&place, "tree/a.ncpe").remove(0);
    let (code, done) =
        run(&place, &[&["slots", "move", "--to-key", &second][..], &common].concat());
    assert_eq!((code, counts(&done, &names)), (0, vec![3, 0, 1, 1, 0]));
    for name in ["tree/a.ncpe", "tree/b.ncpe", "tree/deep/c.ncpe"] {
        assert_eq!(keys(&place, name), [second.as_str()]);
        assert!(opens(name, &[]).is_none() && opens(name, &["--key", &second]).is_some());
    }
    let remove = |key| run(&place, &["slots", "remove", "--key", key, "--json", "-r", "tree"]);
    let (code, done) = remove(&first);
    assert_eq!((code, counts(&done, &names)), (0, vec![0, 3, 1, 1, 0]));
    let (code, done) = remove(&second);
    assert_eq!((code, counts(&done, &names)), (1, vec![0, 0, 1, 1, 3]));
    // A named file must be one.
    place.refuses(&["slots", "list", "tree/foreign"], 3, "not an ncp-envelope message");
    let (code, done) =
        run(&place, &["slots", "remove", "--key", &first, "--json", "tree/foreign", "tree/b.ncpe"]);
    assert_eq!((code, counts(&done, &names)), (3, vec![0, 1, 0, 0, 1]));
}

#[cfg(unix)]
#[test]
fn a_tree_is_written_anew_under_other_data_keys() {
    let (place, second) = tree();
    let names = ["rekeyed", "not_messages", "links", "failed"];
    let common = ["rekey", "--local", "--scope", "s", "--json", "-r", "tree"];
    let before = fs::read(place.path("tree/deep/c.ncpe")).unwrap();
    let more = ["--also-key", &second, "--layout", "page", "-c", "n=1"];
    let (code, done) = run(&place, &[&common[..], &more].concat());
    assert_eq!((code, counts(&done, &names)), (0, vec![3, 1, 1, 0]));
    let after = fs::read(place.path("tree/deep/c.ncpe")).unwrap();
    assert_eq!(before.len(), after.len());
    assert!(before[4_096..] != after[4_096..]);
    // Back to one key, which would drop the other one unasked.
    let (code, done) = run(&place, &common);
    assert_eq!((code, counts(&done, &names)), (3, vec![0, 1, 1, 3]));
    let (code, done) = run(&place, &[&common[..], &["--drop-other-keys"]].concat());
    assert_eq!((code, counts(&done, &names)), (0, vec![3, 1, 1, 0]));
    let (code, done) = run(&place, &[&common[..], &["-c", "n=2"]].concat());
    assert_eq!((code, counts(&done, &names)), (3, vec![0, 1, 1, 3]));
    let output = place
        .run(&["decrypt", "--local", "--scope", "s", "-o", "-", "tree/a.ncpe"])
        .output()
        .unwrap();
    assert_eq!(output.stdout, b"tree/a");
}

#[test]
fn associated_data_is_needed_where_a_data_key_is_seen() {
    let place = Place::new();
    place.write("f", b"content");
    place.write("aad", b"volume 7");
    let second = new_key(&place, "second");
    let args = ["encrypt", "--local", "--layout", "page", "--aad-file", "aad", "f"];
    place.run(&args).assert().success();
    for command in [&["slots", "add", "--to-key", &second][..], &["rekey"]] {
        let args = [command, &["--local", "--json", "f.ncpe"]].concat();
        let before = place.read("f.ncpe");
        let (code, done) = run(&place, &args);
        assert_eq!((code, counts(&done, &["failed"])), (3, vec![1]));
        assert_eq!(place.read("f.ncpe"), before);
        let drop = if command.len() == 1 { &["--drop-other-keys"][..] } else { &[] };
        let (code, done) = run(&place, &[&args[..], &["--aad-file", "aad"], drop].concat());
        assert_eq!((code, counts(&done, &["failed"])), (0, vec![0]), "{command:?}");
        assert_ne!(place.read("f.ncpe"), before);
    }
}

#[test]
fn a_message_for_many_keys_is_read_and_changed_with_any_of_them() {
    let place = Place::new();
    place.write("f", b"content");
    let others: Vec<_> = (1..=6).map(|n| new_key(&place, &format!("key-{n}"))).collect();
    let also: Vec<_> = others[..5].iter().flat_map(|tag| ["--also-key", tag]).collect();
    let args = [&["encrypt", "--local", "--layout", "page", "f"][..], &also].concat();
    place.run(&args).assert().success();
    assert_eq!(keys(&place, "f.ncpe").len(), 6);
    let last = &others[4];
    for command in ["decrypt", "cat"] {
        let out = if command == "cat" { &[][..] } else { &["-o", "-"] };
        let args = [&[command, "--local", "--key", last, "f.ncpe"][..], out].concat();
        let output = place.run(&args).output().unwrap();
        assert_eq!(output.stdout, b"content", "{output:?}");
    }
    let args = ["slots", "add", "--local", "--json", "--key", last, "--to-key", &others[5]];
    let (code, done) = run(&place, &[&args[..], &["f.ncpe"]].concat());
    assert_eq!((code, counts(&done, &["changed"])), (0, vec![1]), "{done}");
    assert_eq!(keys(&place, "f.ncpe").len(), 7);
    let args = ["rekey", "--local", "--json", "--key", last, "--drop-other-keys", "f.ncpe"];
    let (code, done) = run(&place, &args);
    assert_eq!((code, counts(&done, &["rekeyed"])), (0, vec![1]), "{done}");
    assert_eq!(keys(&place, "f.ncpe"), [last.as_str()]);
}

/// A file name that happens to occur in every text is still printed.
#[test]
fn a_failure_names_its_file_whatever_that_is_called() {
    let place = Place::new();
    place.write("f", b"content");
    let second = new_key(&place, "second");
    place.run(&["encrypt", "--local", "--layout", "page", "-o", "m", "f"]).assert().success();
    let mut message = place.read("m");
    message[4_100] ^= 1;
    place.write("m", &message);
    let add = ["slots", "add", "--local", "--json", "--to-key", &second, "m"];
    for args in [&add[..], &["rekey", "--local", "--json", "m"]] {
        let (code, done) = run(&place, args);
        let why = done["failures"][0]["error"].as_str().unwrap();
        assert_eq!((code, why.starts_with("m: message is not authentic")), (3, true), "{why}");
    }
    assert_eq!(place.read("m"), message);
}
