//! Directories: the output of one is a copy, a run that was ended goes on where it stopped, and a
//! tree of somebody else cannot make the program write elsewhere.

use crate::common::sample;
use crate::kit::{Place, send, until};
use ncp_envelope::emulator::Emulator;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, SystemTime};

/// Everything that a copy keeps: what it is, its rights, its time of last change, its content.
fn described(dir: &Path) -> BTreeMap<PathBuf, (String, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut open = vec![dir.to_owned()];
    while let Some(path) = open.pop() {
        let there = fs::symlink_metadata(&path).unwrap();
        let name = path.strip_prefix(dir).unwrap().to_owned();
        let time = format!("{}.{:09}", there.mtime(), there.mtime_nsec());
        let (text, content) = match there.file_type() {
            kind if kind.is_symlink() => {
                ("link".to_owned(), fs::read_link(&path).unwrap().as_os_str().as_bytes().to_vec())
            }
            kind if kind.is_dir() => {
                open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
                (format!("directory {:o} {time}", there.mode()), Vec::new())
            }
            _ => (format!("file {:o} {time}", there.mode()), fs::read(&path).unwrap()),
        };
        found.insert(name, (text, content));
    }
    found
}

fn assert_same(one: &Path, other: &Path) {
    let (one, other) = (described(one), described(other));
    for (name, (text, content)) in &one {
        let Some((other_text, other_content)) = other.get(name) else {
            panic!("{name:?} is missing");
        };
        assert_eq!(text, other_text, "{name:?}");
        assert!(content == other_content, "{name:?}");
    }
    assert_eq!(one.len(), other.len(), "there is more");
}

fn set(path: &Path, mode: u32, seconds: u64) {
    let time = SystemTime::UNIX_EPOCH + Duration::new(seconds, 123_456_789);
    File::open(path).unwrap().set_modified(time).unwrap();
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// `photos`, with everything that a copy keeps.
fn odd_tree(place: &Place) -> PathBuf {
    let photos = place.path("photos");
    fs::create_dir_all(photos.join("2024/may")).unwrap();
    fs::create_dir(photos.join("empty")).unwrap();
    let names: [&[u8]; 7] =
        [b"a", b".hidden", b"2024/may/new\nline", b"2024/no utf \xff\xfe", b"x.ncpe", b"0", b"b c"];
    for (at, name) in names.iter().enumerate() {
        let path = photos.join(OsStr::from_bytes(name));
        fs::write(&path, sample(1_000 * at)).unwrap();
        set(&path, [0o644, 0o600, 0o444, 0o755][at % 4], 1_000_000_000 + at as u64);
    }
    symlink("a", photos.join("relative")).unwrap();
    symlink("/nowhere/at/all", photos.join("dangling")).unwrap();
    symlink("2024", photos.join("2025")).unwrap();
    symlink("../..", photos.join("2024/above")).unwrap();
    set(&photos.join("empty"), 0o700, 500_000_000);
    set(&photos.join("2024/may"), 0o555, 600_000_000);
    set(&photos.join("2024"), 0o755, 700_000_000);
    set(&photos, 0o750, 800_000_000);
    photos
}

/// Runs the program with a umask of 022; the exit code and what it said.
fn run(place: &Place, args: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = masked(place).args(args).output().unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&stdout),
        String::from_utf8_lossy(&stderr).lines().fold(String::new(), |all, line| {
            match line.contains("--local is for") {
                true => all,
                false => all + line + "\n",
            }
        })
    );
    (status.code(), said)
}

fn masked(place: &Place) -> Command {
    let own = place.std_command();
    let mut command = Command::new("sh");
    command.args(["-c", "umask 022; exec \"$0\" \"$@\""]).arg(own.get_program());
    command.current_dir(place.path("")).env_clear().env("HOME", place.dir.path());
    command.env("XDG_DATA_HOME", place.dir.path().join("data"));
    command
}

fn succeeds(place: &Place, args: &[&str]) -> String {
    let (code, said) = run(place, args);
    assert_eq!(code, Some(0), "{args:?}: {said}");
    said
}

#[test]
fn a_copy_is_identical_once_it_is_decrypted() {
    let place = Place::new();
    let photos = odd_tree(&place);
    let said = succeeds(&place, &["encrypt", "--local", "-r", "-o", "sealed", "photos"]);
    assert!(said.contains("encrypted 7 files: "), "{said}");
    let sealed = described(&place.path("sealed/photos"));
    for (name, (text, content)) in described(&photos) {
        if text.starts_with("file ") {
            let (other, message) = &sealed[&name.with_file_name({
                let mut name = name.file_name().unwrap().to_owned();
                name.push(".ncpe");
                name
            })];
            assert_eq!((other, message.len() > content.len() + 200), (&text, true), "{name:?}");
        } else {
            assert_eq!(sealed[&name], (text, content), "{name:?}");
        }
    }
    let said = succeeds(&place, &["verify", "--local", "-r", "sealed"]);
    assert!(said.contains("verified 7 messages") && said.contains("passed over: 4 links"));
    // The output directory exists, and the copy has the same place in it.
    fs::create_dir(place.path("back")).unwrap();
    succeeds(&place, &["decrypt", "--local", "-r", "-o", "back", "sealed/photos/"]);
    assert_same(&photos, &place.path("back/photos"));

    // Once more, into directories that cannot be written to, and by other names of the same.
    fs::remove_file(place.path("sealed/photos/2024/may/new\nline.ncpe")).unwrap();
    let said = succeeds(&place, &["encrypt", "--local", "-r", "-osealed", "./photos//"]);
    assert!(said.contains("encrypted 1 file: ") && said.contains("already done: 6"), "{said}");
    assert_eq!(described(&place.path("sealed/photos")).len(), sealed.len());
    // Messages are files too.
    let said = succeeds(&place, &["encrypt", "--local", "-r", "-o", "twice", "sealed/photos"]);
    assert_eq!(said.matches(" is a message already: it is encrypted once more\n").count(), 7);
    assert!(said.ends_with("; encrypted once more: 7\n"), "{said}");
    succeeds(&place, &["decrypt", "--local", "-r", "-o", "once", "twice/photos"]);
    assert_same(&place.path("sealed/photos"), &place.path("once/photos"));
    // The content alone.
    succeeds(&place, &["decrypt", "--local", "-r", "-o", "content", "sealed/photos/."]);
    let content = described(&place.path("content"));
    assert_eq!(content.len(), described(&photos).len());
    assert!(content.iter().skip(1).eq(described(&photos).iter().skip(1)));
}

#[test]
fn ten_thousand_files_are_one_command_and_few_calls_each_way() {
    let place = Place::new();
    let emulator = Emulator::builder().start_blocking().unwrap();
    let photos = odd_tree(&place);
    let bytes = sample(16 << 10);
    for directory in 0..100 {
        let path = photos.join(format!("many/{directory}"));
        fs::create_dir_all(&path).unwrap();
        for file in 0..100 {
            fs::write(path.join(format!("{file}.jpg")), &bytes).unwrap();
        }
    }
    let mut calls = emulator.request_count();
    let mut run = |args: &[&str]| {
        let mut command = masked(&place);
        command.args(args).args(["--endpoint", emulator.url(), "--key", emulator.key_tag()]);
        command.env("NCP_ACCESS_KEY", emulator.access_key());
        let output = command.env("NCP_SECRET_KEY", emulator.secret_key()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{args:?}: {said}");
        let made = emulator.request_count() - calls;
        calls += made;
        assert!(made <= 45, "{args:?} made {made} calls: {said}");
        assert!(said.contains(&format!(", {made} calls to the key service")), "{said}");
        assert!(said.contains(" 10,007 "), "{said}");
    };
    run(&["encrypt", "-r", "-o", "sealed", "photos"]);
    run(&["verify", "-r", "sealed"]);
    run(&["decrypt", "-r", "-o", "back", "sealed/photos"]);
    assert_same(&photos, &place.path("back/photos"));
}

/// Starts the run, and ends it by `signal` when some of its outputs are there. None if it was
/// faster.
fn ended_by(place: &Place, args: &[&str], out: &str, signal: i32) -> Option<(Output, usize)> {
    let mut command = masked(place);
    command.args(args).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    until("some outputs", || {
        let there = fs::read_dir(place.path(out)).map_or(0, Iterator::count);
        (there > 20 || child.try_wait().unwrap().is_some()).then_some(())
    });
    send(&child, signal);
    let output = child.wait_with_output().unwrap();
    let there = fs::read_dir(place.path(out)).unwrap().map(|entry| entry.unwrap());
    let complete = there.filter(|entry| !ncp_envelope::io::is_unfinished(entry.file_name()));
    (!output.status.success()).then(|| (output, complete.count()))
}

#[test]
fn a_run_that_was_ended_goes_on_where_it_stopped() {
    const FILES: usize = 600;
    for signal in [9, 2] {
        let place = Place::new();
        let photos = odd_tree(&place);
        fs::create_dir(photos.join("many")).unwrap();
        for file in 0..FILES {
            fs::write(photos.join(format!("many/{file}")), sample(10_000 + file)).unwrap();
        }
        for (args, out) in [
            (["encrypt", "--local", "-r", "-o", "sealed", "photos"], "sealed/photos/many"),
            (["decrypt", "--local", "-r", "-o", "back", "sealed/photos"], "back/photos/many"),
        ] {
            let ended = (0..20).find_map(|_| {
                let _ = fs::remove_dir_all(place.path(args[4]));
                ended_by(&place, &args, out, signal)
            });
            let (output, there) = ended.expect("a run of 600 files can be ended");
            let said = String::from_utf8(output.stderr).unwrap();
            assert!(there < FILES, "{there}");
            if signal == 9 {
                assert_eq!(output.status.signal(), Some(9));
            } else {
                assert_eq!(output.status.code(), Some(130), "{said}");
                let line = said.lines().last().unwrap();
                assert!(line.starts_with("ncp-envelope: interrupted: "), "{said}");
                assert!(line.ends_with(" files; run it again to continue"), "{said}");
                let left = fs::read_dir(place.path(out)).unwrap().map(|it| it.unwrap().file_name());
                assert_eq!(left.filter(|it| ncp_envelope::io::is_unfinished(it)).count(), 0);
            }
            let said = succeeds(&place, &args);
            let done = said.split_once("already done: ").expect(&said).1;
            let done: usize = done.split([';', '\n']).next().unwrap().parse().unwrap();
            assert!((there..there + 7).contains(&done), "{there}: {said}");
            assert!(said.contains(&format!("ed {} files: ", FILES + 7 - done)), "{said}");
        }
        assert_same(&photos, &place.path("back/photos"));
    }
}

#[test]
fn what_cannot_be_copied_is_named_and_the_rest_is_done() {
    let place = Place::new();
    let photos = odd_tree(&place);
    crate::kit::fifo(&photos.join("fifo"));
    let _socket = std::os::unix::net::UnixListener::bind(photos.join("socket")).unwrap();
    // Its output's name would be too long.
    let long = "n".repeat(254);
    fs::write(photos.join(&long), "x").unwrap();
    let args = ["encrypt", "--local", "-r", "-o", "sealed", "photos"];
    let (code, said) = run(&place, &args);
    assert_eq!(code, Some(1), "{said}");
    for words in [
        "photos/fifo: a FIFO is not copied\n",
        "photos/socket: a socket is not copied\n",
        &format!("{long}.ncpe"),
        "encrypted 7 files: ",
        "; failed: 3\n",
    ] {
        assert!(said.contains(words), "{said:?} should say {words:?}");
    }

    fs::write(place.path("sealed/photos/foreign"), "no message").unwrap();
    fs::write(place.path("sealed/photos/bad.ncpe"), "no message").unwrap();
    fs::rename(place.path("sealed/photos/a.ncpe"), place.path("sealed/photos/renamed")).unwrap();
    let (code, said) = run(&place, &["decrypt", "--local", "-r", "-o", "back", "sealed/photos"]);
    assert_eq!(code, Some(3), "{said}");
    for words in [
        "photos/foreign: not an ncp-envelope message",
        "photos/bad.ncpe: not an ncp-envelope message",
        "photos/renamed: its name does not end in .ncpe: decrypt it alone, with -o OUT\n",
        "decrypted 6 files: ",
        "; failed: 3\n",
    ] {
        assert!(said.contains(words), "{said:?} should say {words:?}");
    }
    assert!(!fs::exists(place.path("back/photos/foreign")).unwrap());
}

#[test]
fn a_directory_that_cannot_be_made_or_read_stops_nothing_else() {
    let place = Place::new();
    odd_tree(&place);
    fs::create_dir_all(place.path("sealed/photos")).unwrap();
    fs::write(place.path("sealed/photos/2024"), "a file").unwrap();
    let (code, said) = run(&place, &["encrypt", "--local", "-r", "-o", "sealed", "photos"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("make the directory sealed/photos/2024: it exists and is no"), "{said}");
    assert!(said.contains("encrypted 5 files: ") && said.contains("; failed: 1\n"), "{said}");
    assert_eq!(place.read("sealed/photos/2024"), b"a file");
}

#[test]
fn nothing_is_written_through_a_link() {
    let place = Place::new();
    fs::create_dir_all(place.path("mail/d")).unwrap();
    place.write("mail/d/e", b"evil");
    place.write("mail/f", b"evil");
    fs::create_dir_all(place.path("etc")).unwrap();
    place.write("passwd", b"root");
    succeeds(&place, &["encrypt", "--local", "-r", "-o", "sealed", "mail"]);
    // Of a tree before it, which had links.
    fs::create_dir_all(place.path("out/mail")).unwrap();
    symlink(place.path("etc"), place.path("out/mail/d")).unwrap();
    symlink(place.path("passwd"), place.path("out/mail/f")).unwrap();
    for force in [&[][..], &["--force"]] {
        let args = [&["decrypt", "--local", "-r", "-o", "out", "sealed/mail"][..], force].concat();
        let (code, said) = run(&place, &args);
        assert_eq!(code, Some(1), "{said}");
        for link in ["out/mail/d", "out/mail/f"] {
            assert!(said.contains(&format!("{link} is a symbolic link")), "{said}");
        }
        assert_eq!(place.read("passwd"), b"root");
        assert_eq!(fs::read_dir(place.path("etc")).unwrap().count(), 0);
    }
    // A link and a message of one tree want the same name: the file is written, and not through it.
    fs::remove_dir_all(place.path("out")).unwrap();
    symlink(place.path("passwd"), place.path("sealed/mail/f")).unwrap();
    symlink(place.path("etc"), place.path("sealed/mail/a link")).unwrap();
    let args = ["decrypt", "--local", "-r", "-o", "out", "sealed/mail", "--force"];
    let (code, said) = run(&place, &args);
    assert_eq!((code, place.read("passwd")), (Some(0), b"root".to_vec()), "{said}");
    assert!(fs::symlink_metadata(place.path("out/mail/f")).unwrap().is_symlink());
    // In place.
    symlink(place.path("passwd"), place.path("sealed/mail/d/e")).unwrap();
    let (code, said) = run(&place, &["decrypt", "--local", "-r", "sealed/mail/d", "--force"]);
    assert_eq!((code, place.read("passwd")), (Some(1), b"root".to_vec()), "{said}");
    // As the directory of the copy itself.
    fs::remove_dir_all(place.path("out")).unwrap();
    fs::create_dir(place.path("out")).unwrap();
    symlink(place.path("etc"), place.path("out/mail")).unwrap();
    let (code, said) = run(&place, &args);
    assert!(code == Some(1) && said.contains("out/mail is a symbolic link"), "{said}");
    assert_eq!(fs::read_dir(place.path("etc")).unwrap().count(), 0);
    // No name leads out of the directory.
    fs::create_dir_all(place.path("up/in")).unwrap();
    fs::copy(place.path("sealed/mail/f.ncpe"), place.path("up/in/...ncpe")).unwrap();
    fs::copy(place.path("sealed/mail/f.ncpe"), place.path("up/in/..ncpe")).unwrap();
    let (code, said) = run(&place, &["decrypt", "--local", "-r", "-o", "o", "up", "--force"]);
    assert!(code == Some(1) && said.contains("; failed: 2\n"), "{said}");
}

#[test]
fn a_damaged_message_costs_its_own_plaintext_only() {
    let place = Place::new();
    let photos = odd_tree(&place);
    succeeds(&place, &["encrypt", "--local", "-r", "-o", "sealed", "photos"]);
    let damage = |name: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let path = place.path("sealed/photos").join(name);
        let mut bytes = fs::read(&path).unwrap();
        change(&mut bytes);
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        fs::write(path, bytes).unwrap();
    };
    damage("b c.ncpe", &|bytes| bytes[3_000] ^= 1);
    damage(".hidden.ncpe", &|bytes| {
        bytes.pop();
    });
    let verified = run(&place, &["verify", "--local", "-r", "sealed"]);
    let decrypted = run(&place, &["decrypt", "--local", "-r", "-o", "back", "sealed/photos"]);
    for (code, said) in [verified, decrypted] {
        assert_eq!(code, Some(3), "{said}");
        assert!(said.contains("ed 5 ") && said.contains("; failed: 2\n"), "{said}");
        assert!(said.contains("photos/b c.ncpe: message is not authentic"), "{said}");
        assert!(said.contains("photos/.hidden.ncpe: message is not authentic"), "{said}");
    }
    for name in ["b c", ".hidden"] {
        assert!(!fs::exists(place.path("back/photos").join(name)).unwrap(), "{name}");
    }
    assert_eq!(described(&place.path("back/photos")).len(), described(&photos).len() - 2);
}

#[test]
fn a_tree_in_place_takes_files_only_and_never_its_own_outputs() {
    let place = Place::new();
    let photos = odd_tree(&place);
    let before = described(&photos);
    crate::kit::fifo(&photos.join("fifo"));
    let said = succeeds(&place, &["encrypt", "--local", "-r", "photos"]);
    let over = "passed over: 4 links, 1 special file\n";
    assert!(said.contains("encrypted 7 files: ") && said.ends_with(over), "{said}");
    let said = succeeds(&place, &["encrypt", "--local", "-r", "photos"]);
    let over = "passed over: 4 links, 1 special file, 7 messages\n";
    assert!(
        said.contains("encrypted 0 files; already done: 7; ") && said.ends_with(over),
        "{said}"
    );
    fs::remove_file(photos.join("fifo")).unwrap();
    // What was not encrypted is still there; what was is removed, and comes back.
    for name in before.keys().filter(|name| before[*name].0.starts_with("file")) {
        fs::remove_file(photos.join(name)).unwrap();
    }
    fs::write(photos.join("foreign"), "no message").unwrap();
    let args = ["decrypt", "--local", "-r", "--remove-source", "photos"];
    let said = succeeds(&place, &args);
    let over = "passed over: 4 links, 1 other file\n";
    assert!(said.contains("decrypted 7 files: ") && said.ends_with(over), "{said}");
    fs::remove_file(photos.join("foreign")).unwrap();
    let after = described(&photos);
    // Directories were written to.
    let files = |all: &BTreeMap<PathBuf, (String, Vec<u8>)>| {
        let all = all.clone().into_iter();
        all.filter(|(_, (text, _))| !text.starts_with("directory")).collect::<Vec<_>>()
    };
    assert_eq!(files(&before), files(&after));
    // `x.ncpe` is no message: an attacker could have made it so.
    let (code, said) = run(&place, &["decrypt", "--local", "-r", "photos"]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("photos/x.ncpe: not an ncp-envelope message"), "{said}");
}
