//! Messages and parts of them on standard output.

use crate::common::sample;
use crate::kit::{Place, by_shell};
use crate::made::{Made, content};
use ncp_envelope::DataKey;
use ncp_envelope::format::{Header, Layout, PREAMBLE_LEN, Profile};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;

const LEN: usize = 100_000;

fn place() -> (Place, Vec<u8>) {
    let (place, plaintext) = (Place::new(), sample(LEN));
    place.write("f", &plaintext);
    place.write("empty", b"");
    place.write("aad", b"volume 7");
    for name in ["f", "empty"] {
        place.run(&["encrypt", "--local", name]).assert().success();
    }
    let bound = ["encrypt", "--local", "--aad-file", "aad", "-c", "kind=note", "--scope", "s"];
    place.run(&[&bound[..], &["-o", "bound", "f"]].concat()).assert().success();
    (place, plaintext)
}

#[test]
fn a_message_comes_whole_from_a_file_and_from_a_pipe() {
    let (place, plaintext) = place();
    let same = |args: &[&str], input: Vec<u8>| {
        let output = place.run(args).write_stdin(input).output().unwrap();
        assert!(output.status.success(), "{args:?}");
        assert!(output.stdout == plaintext, "{args:?}");
    };
    same(&["cat", "--local", "f.ncpe"], Vec::new());
    same(&["cat", "--local", "-"], place.read("f.ncpe"));
    let bound = ["cat", "--local", "--aad-file", "aad", "-c", "kind=note", "--scope", "s", "bound"];
    same(&bound, Vec::new());
    let output = place.run(&["cat", "--local", "empty.ncpe"]).output().unwrap();
    assert!(output.status.success() && output.stdout.is_empty());
}

#[test]
fn ranges_are_those_of_http() {
    let (place, plaintext) = place();
    for (range, part) in [
        ("0-0", 0..1),
        ("0-", 0..LEN),
        ("5-9", 5..10),
        ("16383-16384", 16_383..16_385),
        ("20000-89999", 20_000..90_000),
        ("99999-99999", 99_999..LEN),
        ("99990-1000000", 99_990..LEN),
        ("1-18446744073709551615", 1..LEN),
        ("-1", 99_999..LEN),
        ("-16385", 83_615..LEN),
        ("-99999999", 0..LEN),
    ] {
        let arg = format!("--range={range}");
        let output = place.run(&["cat", "--local", &arg, "f.ncpe"]).output().unwrap();
        assert!(output.status.success() && output.stdout == plaintext[part], "{range}");
    }
    // Its own name for standard output, and a regular file that another program has opened.
    let part = by_shell(&place, "\"$0\" cat --local --range -7 - <f.ncpe", &[]).output().unwrap();
    assert!(part.status.success() && part.stdout == plaintext[LEN - 7..]);
    let suffix = place.run(&["cat", "--local", "--range", "-7", "empty.ncpe"]).output().unwrap();
    assert!(suffix.status.success() && suffix.stdout.is_empty());
}

#[test]
fn a_range_that_cannot_be_had_is_refused() {
    let (place, plaintext) = place();
    let refuses = |args: &str, code, text| {
        let args: Vec<_> = args.split(' ').collect();
        place.refuses(&[&["cat", "--local"], &args[..]].concat(), code, text);
    };
    refuses("--range 100000- f.ncpe", 2, "begins at byte 100000, and the message has 100000 bytes");
    refuses("--range 200000-300000 f.ncpe", 2, "f.ncpe: range begins at byte 200000");
    refuses("--range 0- empty.ncpe", 2, "the message has 0 bytes");
    refuses("--range 0-5 -c kind=note f.ncpe", 3, "lacks \"kind\"");
    refuses("--range 0-5 bound", 3, "associated data");
    refuses("--range 0-5 aad", 3, "aad: not an ncp-envelope message");
    refuses("--range 0-5 absent", 1, "cannot open absent");
    refuses("--range 0-5 .", 2, "is a directory");
    let piped = place.run(&["cat", "--local", "--range", "0-5", "-"]).write_stdin("x").output();
    let said = String::from_utf8(piped.unwrap().stderr).unwrap();
    assert!(said.contains("standard input is not a regular file"), "{said}");
    assert!(said.contains("leave out --range, or save it to a file first"), "{said}");

    // Damage matters where it is read, and a missing end wherever the end is needed.
    let message = place.read("f.ncpe");
    let damaged = |bytes: &[u8]| place.write("f.ncpe", bytes);
    let runs = |range: &str| {
        let output = place.run(&["cat", "--local", "--range", range, "f.ncpe"]).output().unwrap();
        // Everything verified before the damage is written, and nothing else.
        let from = range.split('-').next().unwrap().parse().unwrap_or(LEN - 9);
        assert!(plaintext[from..].starts_with(&output.stdout), "{range}");
        output.status.code()
    };
    let mut changed = message.clone();
    changed[40_000] ^= 1;
    damaged(&changed);
    assert_eq!([runs("0-9"), runs("-9"), runs("30000-50000")], [Some(0), Some(0), Some(3)]);
    damaged(&message[..message.len() - 1]);
    assert_eq!([runs("0-9"), runs("-9"), runs("99000-")], [Some(0), Some(3), Some(3)]);
    damaged(&message[..message.len() - 1_700]);
    assert_eq!([runs("0-9"), runs("-9"), runs("0-")], [Some(0), Some(3), Some(3)]);
    damaged(&message[..100]);
    assert_eq!(runs("0-9"), Some(3));
}

/// Header and body of a message, in files of their own.
fn detached(place: &Place) -> Made {
    let key = local_key(place);
    let front = place.read("f.ncpe");
    let header = Header::decode(&front).unwrap();
    let slots = header.slots();
    let layout = Layout::from(Profile::Compact).detached(true);
    let context = ncp_envelope::EncryptionContext::new();
    let bound = ncp_envelope::format::BoundHeader::new(layout, &context, false, slots).unwrap();
    let encryptor = ncp_envelope::format::Encryptor::new(&key, &bound, slots, b"").unwrap();
    let made = Made::behind(encryptor.front().to_vec(), &key, LEN as u64);
    let message = made.message();
    let (header, body) = message.split_at(made.body as usize);
    place.write("header", header);
    place.write("body", body);
    made
}

/// The data key of `f.ncpe`, from the service that wrapped it.
fn local_key(place: &Place) -> DataKey {
    let header = Header::decode(&place.read("f.ncpe")).unwrap();
    place.write("wrapped", header.slots().slots()[0].as_bytes());
    let payload = place.run(&["cipher", "decrypt", "--local", "wrapped"]).output().unwrap().stdout;
    fs::remove_file(place.path("wrapped")).unwrap();
    // F-28
    DataKey::copy_from(payload[48..].try_into().unwrap())
}

// F-13
#[test]
fn a_body_is_read_with_its_header() {
    let (place, _) = place();
    detached(&place);
    let plaintext = content(0, LEN as u64);
    let cat = |args: &[&str]| {
        let args = [&["cat", "--local", "--header", "header"], args].concat();
        let output = place.run(&args).output().unwrap();
        assert!(output.status.success(), "{args:?}");
        output.stdout
    };
    assert!(cat(&["body"]) == plaintext);
    assert!(cat(&["--range", "20000-50000", "body"]) == plaintext[20_000..=50_000]);
    assert!(cat(&["--range", "-20000", "body"]) == plaintext[80_000..]);
    let piped = place.run(&["cat", "--local", "--header", "header", "-"]);
    let piped = { piped }.write_stdin(place.read("body")).output().unwrap();
    assert!(piped.stdout == plaintext);
    place.run(&["decrypt", "--local", "--header", "header", "-o", "g", "body"]).assert().success();
    assert!(place.read("g") == plaintext);
    place.run(&["verify", "--local", "--header", "header", "body"]).assert().success();

    let refuses = |args: &[&str], code, text| place.refuses(args, code, text);
    refuses(&["cat", "--local", "--header", "body", "body"], 3, "body: not an ncp-envelope");
    refuses(
        &["cat", "--local", "--header", "f.ncpe", "body"],
        3,
        "f.ncpe: message has its body behind its header",
    );
    refuses(&["cat", "--local", "--header", "f", "body"], 3, "f: not an ncp-envelope message");
    refuses(&["cat", "--local", "header"], 3, "is a detached header");
    refuses(&["cat", "--local", "--header", "absent", "body"], 1, "cannot open absent");
    refuses(&["cat", "--local", "--header", "-", "-"], 2, "cannot be both inputs");
    refuses(
        &["verify", "--local", "--header", "header", "body", "f.ncpe"],
        2,
        "--header is the header of one message",
    );
    place.write("large", &[7; 200_000]);
    refuses(&["cat", "--local", "--header", "large", "body"], 2, "longer than 192 KiB");
    place.write("header", &[&place.read("header")[..], b"x"].concat());
    refuses(&["cat", "--local", "--header", "header", "body"], 3, "header: ");
}

/// A file of 4 GiB that holds only the bytes that the range needs.
#[test]
fn a_range_of_1_mib_in_4_gib_reads_little_more_than_itself() {
    let (place, _) = place();
    let front = place.read("f.ncpe");
    let body = Header::decode(&front).unwrap().bound().body_offset();
    let front = front[..body + PREAMBLE_LEN].to_vec();
    let made = Made::behind(front, &local_key(&place), (4 << 30) + 5);
    let file = File::create(place.path("large")).unwrap();
    file.set_len(made.message_len()).unwrap();
    file.write_all_at(made.front(), 0).unwrap();
    // From behind the middle of one chunk to behind the middle of another.
    let from = (2_u64 << 30) + 7_000;
    let to = from + (1 << 20);
    for chunk in from / 16_384..to.div_ceil(16_384) {
        file.write_all_at(&made.chunk(chunk), made.chunk_at(chunk).start).unwrap();
    }
    let last = made.len / 16_384;
    file.write_all_at(&made.chunk(last), made.chunk_at(last).start).unwrap();

    // A shell's counters include its children's reads.
    let shell = "\"$0\" \"$@\" >out || exit 9; while read -r line; do echo \"$line\"; done \
                 </proc/$$/io";
    let range = format!("{from}-{}", to - 1);
    let args = ["cat", "--local", "--range", &range, "large"];
    let output = by_shell(&place, shell, &args).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_ne!(output.status.code(), Some(9), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(place.read("out") == content(from, to - from));
    let read = said.lines().find_map(|line| line.strip_prefix("rchar: ")?.parse::<u64>().ok());
    // Not every system counts.
    if let Some(read) = read {
        assert!((1 << 20..(12 << 20) / 10).contains(&read), "{read} bytes were read");
    }
    // The end, too; the rest is empty.
    let args = ["cat", "--local", "--range", "-5", "large"];
    assert!(place.run(&args).output().unwrap().stdout == content(made.len - 5, 5));
    place.refuses(&["cat", "--local", "--range", "0-0", "large"], 3, "not authentic");
}

/// `cat` may write a message to a terminal, because that is its purpose.
#[test]
fn a_terminal_is_written_to() {
    const SHOWN: &str = r#"
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
said = b""
try:
    while True:
        said += os.read(terminal, 1000)
except OSError:
    pass
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
assert b"what is in it" in said, said
"#;
    let place = Place::new();
    place.write("note", b"so this is what is in it\n");
    place.run(&["encrypt", "--local", "note"]).assert().success();
    for range in [&[][..], &["--range", "3-"]] {
        let mut command = std::process::Command::new("python3");
        command.args(["-c", SHOWN, env!("CARGO_BIN_EXE_ncp-envelope"), "cat", "--local"]);
        command.args(range).arg("note.ncpe").current_dir(place.path(""));
        let output = command.env("XDG_DATA_HOME", place.dir.path().join("data")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
