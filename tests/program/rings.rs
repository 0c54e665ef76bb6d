//! Key rings and CSV files.

use crate::kit::Place;
use ncp_envelope::emulator::Emulator;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Stdio};
use std::thread;

const COLUMNS: &str = "--column name --column email --row-column id --index email";

fn new_ring(place: &Place) {
    place.run(&["ring", "create", "-q", "--local", "--ring", "ring"]).assert().success();
}

/// `field csv` with what is on the command line.
fn csv(way: &str, options: &str) -> Vec<String> {
    let fixed = format!("field csv {way} --local --ring ring {options}");
    fixed.split_whitespace().map(str::to_owned).collect()
}

/// What is printed, the exit code, and what is said.
fn through(place: &Place, args: &[String], input: &[u8]) -> (Vec<u8>, i32, String) {
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let output = place.run(&args).write_stdin(input).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    (output.stdout, output.status.code().unwrap(), said)
}

fn keys(place: &Place) -> serde_json::Value {
    let shown = place.run(&["ring", "show", "--json", "--ring", "ring"]).output().unwrap();
    serde_json::from_slice(&shown.stdout).unwrap()
}

#[test]
fn rotations_at_the_same_time_lose_no_key() {
    const AT_ONCE: u64 = 6;
    let place = Place::new();
    new_ring(&place);
    let rotate = |at: u64| {
        let what = ["rotate", "rotate-index"][at as usize % 2];
        let mut command = place.std_command();
        command.args(["ring", what, "-q", "--json", "--local", "--ring", "ring"]);
        command.stdout(Stdio::piped()).spawn().unwrap()
    };
    let running: Vec<_> = (0..AT_ONCE).map(rotate).collect();
    let mut newest: Vec<_> = running
        .into_iter()
        .zip(["value_key", "index_key"].into_iter().cycle())
        .map(|(child, key)| {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success());
            let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            told[key].as_u64().unwrap()
        })
        .collect();
    newest.sort_unstable();
    assert_eq!(newest, (3..3 + AT_ONCE).collect::<Vec<_>>());
    let shown = keys(&place);
    let numbers: Vec<_> =
        shown["keys"].as_array().unwrap().iter().map(|key| &key["number"]).collect();
    assert_eq!(numbers, (1..3 + AT_ONCE).collect::<Vec<_>>());
    assert_eq!(place.names(), ["ring"]);
}

#[test]
fn a_ring_is_rewrapped_without_a_key_in_sight_and_no_value_changes() {
    let emulator = Emulator::builder().start_blocking().unwrap();
    let place = Place::new();
    let run = |args: &[&str], input: &[u8]| {
        let mut command = place.run(args);
        command.env("NCP_KMS_ENDPOINT", emulator.url()).env("NCP_KMS_KEY_TAG", emulator.key_tag());
        command.env("NCP_ACCESS_KEY", emulator.access_key());
        command.env("NCP_SECRET_KEY", emulator.secret_key()).write_stdin(input);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        output.stdout
    };
    let field = ["--ring", "ring", "--field", "customers.email", "--row", "17"];
    run(&["ring", "create", "-q", "--ring", "ring"], b"");
    let ciphertext = run(&[&["field", "encrypt"], &field[..]].concat(), b"kim@example.com");
    run(&["keys", "rotate"], b"");
    let before = emulator.requests().len();
    run(&["ring", "rewrap", "-q", "--ring", "ring"], b"");
    let requests = emulator.requests().split_off(before);
    let actions: Vec<_> = requests.iter().filter_map(|request| request.action).collect();
    assert!(actions.contains(&"re-encrypt"), "{actions:?}");
    assert!(!actions.contains(&"decrypt"), "{actions:?}");
    let versions: Vec<_> = keys(&place)["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key["slots"][0]["key_version"].as_u64().unwrap())
        .collect();
    assert_eq!(versions, [2, 2]);
    let opened = run(&[&["field", "decrypt"], &field[..]].concat(), &ciphertext);
    assert_eq!(opened, b"kim@example.com");
}

#[test]
fn every_kind_of_cell_comes_back() {
    let place = Place::new();
    new_ring(&place);
    let plain = b"id,\"na\"\"me,\r\n\",email,note\n\
        1,Kim,kim@example.com,\n\
        2,,\"\",\xff\xfe\n\
        3,\"a \"\"quoted\"\" name\",\"two\nlines\r\n,and a comma\",\" spaces \"\n\
        4,\xea\xb9\x80\xea\xb0\x80,'=1+1,\"\"\n";
    // As the crate writes it.
    let written = b"id,\"na\"\"me,\r\n\",email,note\n\
        1,Kim,kim@example.com,\n\
        2,,,\xff\xfe\n\
        3,\"a \"\"quoted\"\" name\",\"two\nlines\r\n,and a comma\", spaces \n\
        4,\xea\xb9\x80\xea\xb0\x80,'=1+1,\n";
    let mut args = csv("encrypt", "--column email --column note --row-column id --column");
    args.push("na\"me,\r\n".to_owned());
    let (sealed, code, said) = through(&place, &args, plain);
    assert_eq!(code, 0, "{said}");
    for clear in [&b"Kim"[..], b"example", b"quoted", b"lines", b"\xff\xfe", b"=1"] {
        assert!(!sealed.windows(clear.len()).any(|part| part == clear), "{clear:?}");
    }
    args[2] = "decrypt".to_owned();
    let (opened, code, said) = through(&place, &args, &sealed);
    assert_eq!((opened, code), (written.to_vec(), 0), "{said}");
    // Written once more, it is the same.
    for (text, same) in [
        (&b"name\n\"\"\nKim\n\"\"\n"[..], true),
        (b"name\r\nKim\r\nLee\r\n", true),
        (b"name,other\n,\n,\n", true),
        (b"name,other\nKim,1", false),
    ] {
        let (sealed, code, said) = through(&place, &csv("encrypt", "--column name"), text);
        assert_eq!(code, 0, "{said}");
        let opened = through(&place, &csv("decrypt", "--column name"), &sealed).0;
        let expected = if same { text.to_vec() } else { [text, b"\n"].concat() };
        assert_eq!(opened, expected);
    }
}

#[test]
fn an_empty_line_is_not_taken_for_a_value_or_for_nothing() {
    let place = Place::new();
    new_ring(&place);
    for way in ["encrypt", "decrypt"] {
        let (_, code, said) = through(&place, &csv(way, "--column name"), b"name\n\nKim\n");
        assert_eq!(code, 1, "{said}");
        assert!(said.contains("standard input, line 2: the line is empty"), "{said}");
        assert!(said.contains("0 records written before"), "{said}");
    }
    // Beside other columns there is nothing that it could be.
    let args = csv("encrypt", "--column name");
    assert_eq!(through(&place, &args, b"name,id\n\nKim,1\n\n").1, 0);
}

/// The first `records` records, long enough for many batches.
fn table(records: usize) -> String {
    let record = |id| format!("{id},Person {id},person.{id}@example.com,{}\n", "-".repeat(40));
    (0..records).map(record).fold("id,name,email,note\n".to_owned(), |text, line| text + &line)
}

#[test]
fn a_damaged_cell_lets_nothing_of_its_batch_out() {
    let place = Place::new();
    new_ring(&place);
    let plain = table(20_000);
    let (sealed, code, said) = through(&place, &csv("encrypt", COLUMNS), plain.as_bytes());
    assert_eq!(code, 0, "{said}");
    let mut lines: Vec<_> =
        sealed.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    let at = 12_345;
    let comma = lines[at].iter().position(|byte| *byte == b',').unwrap();
    // Within the tag.
    let digit = &mut lines[at][comma + 30];
    *digit = if *digit == b'A' { b'B' } else { b'A' };
    let (opened, code, said) = through(&place, &csv("decrypt", COLUMNS), &lines.concat());
    assert_eq!(code, 3, "{said}");
    assert!(said.contains(&format!("line {}, column name: ", at + 1)), "{said}");
    // What is written is whole batches before, and the number told.
    assert!(plain.as_bytes().starts_with(&opened));
    let records = opened.iter().filter(|byte| **byte == b'\n').count() - 1;
    assert!(records > 0 && records < at - 1, "{records}");
    let told = said.replace(',', "");
    assert!(told.contains(&format!("{records} records written before")), "{said}");
}

#[cfg(target_os = "linux")]
#[test]
fn memory_does_not_grow_with_the_file() {
    const MOST: usize = 48 << 20;
    let place = Place::new();
    new_ring(&place);
    let start = |way| {
        let mut command = place.std_command();
        command.args(csv(way, COLUMNS)).arg("-q").stdin(Stdio::piped()).stdout(Stdio::piped());
        command.spawn().unwrap()
    };
    let (mut sealing, mut opening) = (start("encrypt"), start("decrypt"));
    let (mut to, mut between) = (sealing.stdin.take().unwrap(), sealing.stdout.take().unwrap());
    let (mut on, from) = (opening.stdin.take().unwrap(), opening.stdout.take().unwrap());
    let plain = table(600_000);
    let (moved, read) = thread::scope(|scope| {
        scope.spawn(|| {
            to.write_all(plain.as_bytes()).unwrap();
            drop(to);
        });
        let moving = scope.spawn(move || std::io::copy(&mut between, &mut on).unwrap());
        let mut from = BufReader::new(from);
        let (mut line, mut read) = (String::new(), 0);
        // What is left is more than is on its way: neither of them is at its end.
        while read < plain.len() * 3 / 4 {
            line.clear();
            read += from.read_line(&mut line).unwrap();
        }
        let most = [&sealing, &opening].map(most_memory);
        read += from.read_to_end(&mut Vec::new()).unwrap();
        assert!(most.iter().all(|most| *most < MOST), "{most:?}");
        (moving.join().unwrap(), read)
    });
    assert!(sealing.wait().unwrap().success() && opening.wait().unwrap().success());
    assert_eq!(read, plain.len());
    assert!(moved as usize > 2 * MOST, "{moved}");
}

/// The most bytes that the child has had in memory so far.
#[cfg(target_os = "linux")]
fn most_memory(child: &Child) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().trim().parse::<usize>().unwrap() * 1_024
}
