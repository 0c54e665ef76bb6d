//! `rewrap` and `audit` as a user runs them.

use crate::kit::{World, census, envelope, open_all, rests, wait};
use ncp_envelope::EncryptionContext;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime};

impl World {
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ncp-envelope"));
        command
            .env_clear()
            .env("HOME", self.path("home"))
            .env("NCP_KMS_ENDPOINT", self.emulator.url())
            .env("NCP_KMS_KEY_TAG", self.emulator.key_tag())
            .env("NCP_ACCESS_KEY", self.emulator.access_key())
            .env("NCP_SECRET_KEY", self.emulator.secret_key())
            .env("NCLOUD_METADATA_API_ENDPOINT", "http://127.0.0.1:1")
            .current_dir(self.path(""))
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn run(&self, args: &[&str], stdin: &str) -> Done {
        let mut child = self.command(args).spawn().unwrap();
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        Done::of(child.wait_with_output().unwrap())
    }
}

struct Done {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Done {
    fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("{}{}", self.out, self.err))
    }

    fn number(&self, name: &str) -> u64 {
        self.json()[name].as_u64().unwrap_or_else(|| panic!("{name}: {}", self.out))
    }
}

const JSON: &[&str] = &["rewrap", "--json", "--no-sync"];

#[test]
fn killed_a_hundred_times_and_gone_on_no_file_is_lost_or_done_twice() {
    const COUNT: usize = 600;
    let world = World::new();
    let paths = world.fill("tree", COUNT);
    let before = rests(&paths);
    let mut newest = world.rotate();
    let ways = [&["--replace"][..], &[]];
    let args = |kills: usize| {
        let common = ["-r", "--checkpoint", "checkpoint", "tree"];
        [JSON, ways[kills % 2], &common].concat()
    };
    // How long a run takes tells only where to aim.
    let start = Instant::now();
    assert_eq!(world.run(&args(0), "").number("rewrapped"), COUNT as u64);
    let mut whole = start.elapsed();
    newest = newest.max(world.rotate());
    let seed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64;
    let mut random = seed | 1;
    let (mut kills, mut halves) = (0, 0);
    while kills < 100 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let at = Duration::from_nanos(random % (whole.as_nanos() as u64));
        let mut child = world.command(&args(kills)).spawn().unwrap();
        std::thread::sleep(at);
        child.kill().unwrap();
        let done = Done::of(child.wait_with_output().unwrap());
        let census = census(&paths);
        match done.code {
            None => {
                kills += 1;
                halves += usize::from(census.len() > 1);
                whole = whole * 21 / 20;
            }
            // A key has 100 versions at most, and each run that ends takes one.
            Some(_) => whole = whole * 4 / 5,
        }
        assert!(rests(&paths) == before, "seed {seed}");
        for (version, generation) in census.keys() {
            assert_eq!(version, generation, "seed {seed}: done twice: {census:?}");
        }
        if kills % 10 == 0 {
            open_all(&world.envelope, &paths);
        }
        if census == BTreeMap::from([((newest, newest), COUNT)]) {
            newest = world.rotate();
        }
    }
    assert!(halves > 5, "seed {seed}: hardly any run was killed in the middle: {halves}");
    let last = world.run(&args(0), "");
    assert_eq!((last.code, last.number("failed")), (Some(0), 0), "{}", last.err);
    assert_eq!(census(&paths), BTreeMap::from([((newest, newest), COUNT)]), "seed {seed}");
    open_all(&world.envelope, &paths);
    // A kill between two names of a new file leaves one that says what it is, and is passed over.
    let names = crate::common::names(&world.path("tree"));
    let (left, files): (Vec<_>, Vec<_>) =
        names.iter().partition(|name| ncp_envelope::io::is_unfinished(name));
    assert!(files.len() == COUNT && left.len() <= 50, "{left:?}");
    assert_eq!(last.number("rewrapped") + last.number("newest"), COUNT as u64);
}

#[test]
fn two_programs_at_once_do_each_file_once() {
    let world = World::new();
    let paths = world.fill("tree", 600);
    let before = rests(&paths);
    world.rotate();
    let args = [JSON, &["-r", "tree"]].concat();
    let children = [(); 2].map(|()| world.command(&args).spawn().unwrap());
    let done = children.map(|child| Done::of(child.wait_with_output().unwrap()));
    let sum = |name| done.iter().map(|done| done.number(name)).sum::<u64>();
    assert_eq!((sum("rewrapped"), sum("newest"), sum("failed")), (600, 600, 0));
    assert_eq!(census(&paths), BTreeMap::from([((2, 2), 600)]));
    assert!(rests(&paths) == before);
    open_all(&world.envelope, &paths);
}

/// A tree with 9 messages, and whatever else a tree has.
fn mixed(world: &World) -> Vec<PathBuf> {
    let paths = world.fill("tree/deep", 9);
    let other = wait(world.emulator.create_key("another"));
    let other = envelope(&world.emulator, &other);
    let message = other.encrypt(b"theirs", EncryptionContext::new()).unwrap();
    fs::write(world.path("tree/other"), message).unwrap();
    fs::write(world.path("tree/text"), "no message, and longer than a header is").unwrap();
    fs::write(world.path("tree/empty"), "").unwrap();
    fs::write(world.path("tree/.ncp-envelope-0123456789.tmp"), "half").unwrap();
    symlink("deep/000000.ncpe", world.path("tree/link")).unwrap();
    symlink("deep", world.path("tree/link-to-directory")).unwrap();
    symlink("nowhere", world.path("tree/dangling")).unwrap();
    drop(UnixListener::bind(world.path("tree/socket")).unwrap());
    paths
}

#[test]
fn a_tree_of_all_sorts_has_a_report_and_no_failure() {
    let world = World::new();
    let paths = mixed(&world);
    world.rotate();
    let dry = world.run(&[JSON, &["-r", "--dry-run", "tree"]].concat(), "");
    let done = world.run(&[JSON, &["-r", "tree"]].concat(), "");
    for (name, count) in [
        ("rewrapped", 9),
        ("newest", 0),
        ("other_key", 1),
        ("not_messages", 3),
        ("links", 3),
        ("failed", 0),
    ] {
        assert_eq!(done.number(name), count, "{name}");
        assert_eq!(dry.number(name), count, "{name}");
    }
    assert_eq!((done.code, &done.err[..]), (Some(0), ""));
    assert_eq!(
        (dry.json()["dry_run"].as_bool(), done.json()["stopped"].is_null()),
        (Some(true), true)
    );
    assert_eq!(census(&paths), BTreeMap::from([((2, 2), 9)]));
    let table = world.run(&["rewrap", "-r", "tree"], "");
    assert!(
        table.out.contains("newest        9\n") && table.out.contains("links         3\n"),
        "{}",
        table.out
    );
}

#[test]
fn what_fails_is_named_and_decides_the_exit_code() {
    let world = World::new();
    let paths = mixed(&world);
    world.rotate();
    let mut damaged = fs::read(&paths[0]).unwrap();
    damaged[100] ^= 1;
    fs::write(world.path("damaged"), damaged).unwrap();
    symlink("loop", world.path("loop")).unwrap();
    for (args, stdin, code, failed, text) in [
        (&["tree/text"][..], "", 3, 1, "tree/text: "),
        (&["tree/other"], "", 3, 1, "tree/other: message is under another key"),
        (&["damaged"], "", 3, 1, "damaged: key slots are malformed"),
        (&["absent"], "", 1, 1, "cannot open absent"),
        (&["loop"], "", 1, 1, "cannot open loop"),
        (&["tree/link", "tree/text", "absent"], "", 3, 2, "cannot open absent"),
        // In a list they are passed over, but for what cannot be read.
        (&["-"], "tree/text\ntree/other\n\ntree/deep\n", 0, 0, ""),
        (&["-"], "/proc/self/mem\n", 1, 1, "cannot read /proc/self/mem"),
        (&["-"], "tree/deep/000003.ncpe\ndamaged", 3, 1, "damaged: "),
        (&["-r", "-0", "-"], "tree/deep\0damaged\0", 3, 1, "damaged: "),
    ] {
        let done = world.run(&[JSON, args].concat(), stdin);
        assert_eq!(done.code, Some(code), "{args:?}: {}", done.err);
        assert_eq!(done.number("failed"), failed, "{args:?}");
        assert_eq!(done.json()["failures"].as_array().unwrap().len() as u64, failed);
        assert!(done.err.contains(text), "{args:?}: {}", done.err);
    }
    assert_eq!(census(&paths), BTreeMap::from([((2, 2), 9)]));
    for (args, text) in [
        (&["tree"][..], "tree is a directory: give -r for the files in it"),
        (&["-", "tree/text"], "give - alone"),
        (&["-0", "tree/text"], "-0 is for names on standard input"),
        (&["--checkpoint", "tree/text", "damaged"], "is no checkpoint of a rewrap"),
    ] {
        let done = world.run(&[JSON, args].concat(), "");
        assert_eq!((done.code, &done.out[..]), (Some(2), ""), "{args:?}: {}", done.err);
        assert!(done.err.contains(text), "{args:?}: {}", done.err);
    }
}

#[test]
fn a_service_that_refuses_or_is_not_there_ends_the_run() {
    let world = World::new();
    let paths = world.fill("tree", 600);
    world.rotate();
    let args = [JSON, &["-r", "--checkpoint", "checkpoint", "tree"]].concat();
    let before = world.emulator.request_count();
    let mut command = world.command(&args);
    command.env("NCP_SECRET_KEY", "another");
    let done = Done::of(command.output().unwrap());
    assert_eq!((done.code, done.number("failed")), (Some(4), 0), "{}", done.err);
    assert!(done.err.contains("stopped before the last file"), "{}", done.err);
    assert!(done.err.contains("again with the same checkpoint"), "{}", done.err);
    // A version that is disabled, which the others may not be.
    wait(world.emulator.disable_key_version(world.emulator.key_tag(), 1));
    let done = world.run(&args, "");
    assert_eq!((done.code, done.number("failed")), (Some(4), 600));
    assert!(done.json()["stopped"].is_null());
    wait(world.emulator.enable_key_version(world.emulator.key_tag(), 1));
    assert!(world.emulator.request_count() - before < 40);
    let mut command = world.command(&args);
    command.env("NCP_KMS_ENDPOINT", "http://127.0.0.1:1");
    let done = Done::of(command.output().unwrap());
    assert_eq!(done.code, Some(5), "{}", done.err);
    assert!(!done.json()["stopped"].is_null());
    assert_eq!(census(&paths), BTreeMap::from([((1, 1), 600)]));
    let done = world.run(&args, "");
    assert_eq!((done.code, done.number("rewrapped")), (Some(0), 600), "{}", done.err);
}

#[test]
fn an_audit_is_a_table_json_and_csv_and_asks_nobody() {
    let world = World::new();
    let paths = mixed(&world);
    world.rotate();
    let four: Vec<_> = paths[..4].iter().map(|path| path.to_str().unwrap()).collect();
    assert_eq!(world.run(&[JSON, &four].concat(), "").code, Some(0));
    let asked = world.emulator.request_count();
    let audit = |args: &[&str], stdin: &str| {
        let mut command = world.command(&[&["audit"], args].concat());
        // Nobody to ask, and nothing to ask with.
        command.env_clear();
        let mut child = command.spawn().unwrap();
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        Done::of(child.wait_with_output().unwrap())
    };
    let done = audit(&["--json", "-r", "tree"], "");
    assert_eq!((done.code, &done.err[..]), (Some(0), ""));
    let own = |version: u64| {
        let json = done.json();
        let keys = json["keys"].as_array().unwrap().iter();
        let tag = world.emulator.key_tag();
        let mut own = keys.filter(|of| of["key_tag"] == tag && of["version"] == version);
        own.next().unwrap().clone()
    };
    assert_eq!((own(1)["files"].as_u64(), own(2)["files"].as_u64()), (Some(5), Some(4)));
    assert_eq!(own(1)["only"].as_u64(), Some(5));
    assert_eq!(done.number("messages"), 10);
    assert_eq!((done.number("not_messages"), done.number("links")), (3, 3));
    let table = audit(&["-r", "tree"], "");
    assert!(table.out.starts_with("KEY_TAG"), "{}", table.out);
    assert!(table.out.contains("\nmessages"), "{}", table.out);
    let csv = audit(&["-r", "--csv", "tree"], "");
    let lines: Vec<_> = csv.out.split("\r\n").collect();
    assert_eq!(lines[0], "key_tag,version,provider,files,bytes,only,only_bytes,oldest");
    assert_eq!(lines.len(), 5, "{}", csv.out);
    let list: String = paths.iter().map(|path| format!("{}\n", path.display())).collect();
    assert_eq!(audit(&["--json", "-"], &list).number("messages"), 9);
    let done = audit(&["--json", "tree/text", "absent"], "");
    assert_eq!(
        (done.code, done.number("unreadable"), done.number("not_messages")),
        (Some(3), 1, 1)
    );
    assert_eq!(audit(&["--json", "tree/text"], "").code, Some(3));
    assert_eq!(world.emulator.request_count(), asked);
}

#[test]
fn the_embedded_service_will_do() {
    let world = World::new();
    fs::create_dir_all(world.path("home")).unwrap();
    fs::write(world.path("plain"), "hello").unwrap();
    assert_eq!(world.run(&["encrypt", "--local", "plain"], "").code, Some(0));
    let done = world.run(&["rewrap", "--local", "--json", "plain.ncpe"], "");
    assert_eq!((done.code, done.number("newest")), (Some(0), 1), "{}", done.err);
}
