//! Signals end the program soon, and it leaves nothing behind, even if it waits for something that
//! never comes.

use crate::common::sample;
use crate::kit::{Place, by_shell, fifo, send, until, until_it_waits};
use std::fs::{self, File};
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const HUP: i32 = 1;
const INT: i32 = 2;
const QUIT: i32 = 3;
const TERM: i32 = 15;
/// Signals that people and systems send.
const SENT: [i32; 4] = [HUP, INT, QUIT, TERM];
/// The program takes half a second at most; a busy machine gets ten times that.
const SOON: Duration = Duration::from_secs(5);

/// Every wait of every command: its arguments, and whether standard input is silent. `fifo` has no
/// other end, `held` has a silent writer, `silent` is a service that does not answer, and `full` is
/// a pipe without a reader.
const WAITS: &[(&str, &str)] = &[
    ("standard input", "encrypt --local -"),
    ("standard input", "encrypt --local -o out -"),
    ("standard input", "decrypt --local -"),
    ("standard input", "decrypt --local -o out -"),
    ("standard input", "cat --local -"),
    ("standard input", "cat --local --header - f.ncpe"),
    ("standard input", "verify --local f.ncpe -"),
    ("standard input", "encrypt --local --files-from -"),
    ("standard input", "decrypt --local -r -0 --files-from - -o out"),
    ("standard input", "verify --local --files-from - f.ncpe"),
    ("standard input", "inspect -"),
    ("standard input", "rewrap --local -"),
    ("standard input", "slots remove --key k -"),
    ("standard input", "rekey --local -0 -"),
    ("standard input", "audit -"),
    ("standard input", "cipher encrypt --local"),
    ("standard input", "cipher decrypt --local -o out"),
    ("standard input", "cipher re-encrypt --local"),
    ("standard input", "cipher sign --local"),
    ("standard input", "cipher verify --local --signature-file text"),
    ("standard input", "field encrypt --local --ring ring --field a"),
    ("standard input", "field decrypt --local --ring ring --field a"),
    ("standard input", "field index --local --ring ring --field a"),
    ("standard input", "field csv encrypt --local --ring ring --column a"),
    ("standard input", "field csv decrypt --local --ring ring --column a"),
    ("a FIFO without a writer", "ring show --ring fifo"),
    ("a FIFO without a writer", "encrypt --local -o out fifo"),
    ("a FIFO without a writer", "decrypt --local -o out fifo"),
    ("a FIFO without a writer", "cat --local fifo"),
    ("a FIFO without a writer", "cat --local --header fifo f.ncpe"),
    ("a FIFO without a writer", "verify --local fifo"),
    ("a FIFO without a writer", "inspect fifo"),
    ("a FIFO without a writer", "cipher encrypt --local fifo"),
    ("a FIFO without a writer", "cipher verify --local --signature-file fifo f"),
    ("a FIFO without a writer", "encrypt --local --aad-file fifo -o out f"),
    ("a FIFO without a writer", "decrypt --local --aad-file fifo -o out f.ncpe"),
    ("a silent FIFO", "encrypt --local -o out held"),
    ("a silent FIFO", "decrypt --local -o out held"),
    ("a silent FIFO", "cat --local held"),
    ("a silent FIFO", "verify --local held"),
    ("a silent FIFO", "inspect held"),
    ("a silent FIFO", "encrypt --local --aad-file held -o out f"),
    ("a FIFO without a reader", "encrypt --local -o fifo f"),
    ("a FIFO without a reader", "decrypt --local -o fifo f.ncpe"),
    ("a FIFO without a reader", "cipher encrypt --local -o fifo f"),
    ("a FIFO without a reader", "cipher custom-key --local --plaintext fifo -o out"),
    ("a FIFO without a reader", "emulator --tls --ca-out fifo"),
    ("a pipe that is full", "encrypt --local -o - big"),
    ("a pipe that is full", "decrypt --local -o - big.ncpe"),
    ("a pipe that is full", "cat --local big.ncpe"),
    ("a pipe that is full", "cat --local --range 9- big.ncpe"),
    ("a silent service", "encrypt -o out f"),
    ("a silent service", "decrypt -o out f.ncpe"),
    ("a silent service", "cat f.ncpe"),
    ("a silent service", "cat --range 0-5 f.ncpe"),
    ("a silent service", "verify f.ncpe"),
    ("a silent service", "encrypt text big"),
    ("a silent service", "decrypt f.ncpe m.ncpe"),
    ("a silent service", "verify -r ."),
    ("a silent service", "rewrap f.ncpe"),
    ("a silent service", "slots move --to-key k f.ncpe"),
    ("a silent service", "rekey f.ncpe"),
    ("a silent service", "ring create --ring out"),
    ("a silent service", "ring rotate --ring ring"),
    ("a silent service", "ring rewrap --ring ring"),
    ("a silent service", "cipher encrypt f"),
    ("a silent service", "keys list"),
    ("a silent service", "keys create abc"),
    ("a silent service", "tokens create --store out"),
    ("a silent metadata service", "keys list"),
    ("the lock of the message", "rekey --local f.ncpe"),
    ("the lock of the ring", "ring rotate --local --ring ring"),
    ("the lock of the ring", "ring retire --number 1 --yes --ring ring"),
    ("the lock of the state", "encrypt --local -o out f"),
    ("the lock of the state", "emulator --state ../data/ncp-envelope/local-kms"),
    ("the lock of the configuration", "config init"),
    ("callers", "emulator"),
    ("callers or its parent", "emulator --exit-with-parent"),
];

/// A directory with everything that the waits need, and the names in it.
fn place() -> (Place, Vec<String>) {
    let place = Place::new();
    place.write("f", &sample(100));
    place.write("text", b"no ciphertext\n");
    place.write("big", &sample(2 << 20));
    for name in ["f", "big"] {
        place.run(&["encrypt", "--local", name]).assert().success();
    }
    place.run(&["ring", "create", "--local", "--ring", "ring"]).assert().success();
    // One whose plaintext is not there.
    place.write("m.ncpe", &place.read("f.ncpe"));
    fifo(&place.path("fifo"));
    fifo(&place.path("held"));
    let names = place.names();
    (place, names)
}

/// The message's own key, under which it is decrypted elsewhere too.
fn key_tag(place: &Place) -> String {
    let view = place.run(&["inspect", "--json", "f.ncpe"]).output().unwrap().stdout;
    let view: serde_json::Value = serde_json::from_slice(&view).unwrap();
    view["slots"][0]["key_tag"].as_str().unwrap().to_owned()
}

/// How a program ended after a signal.
fn end(child: &mut Child) -> Option<i32> {
    let start = Instant::now();
    while start.elapsed() < SOON {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status.code().unwrap_or(-1));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    None
}

fn every_wait_ends_with(signal: i32) {
    let (place, names) = place();
    let key = key_tag(&place);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let held = File::options().read(true).write(true).open(place.path("held")).unwrap();
    let lock = place.dir.path().join("data/ncp-envelope/local-kms/state.lock");
    let lock = File::options().write(true).open(lock).unwrap();
    let message = File::open(place.path("f.ncpe")).unwrap();
    let ring = File::open(place.path("ring")).unwrap();
    let configuration = place.dir.path().join(".config/ncp-envelope/config.toml.lock");
    std::fs::create_dir_all(configuration.parent().unwrap()).unwrap();
    let configuration = File::create(configuration).unwrap();
    for (what, args) in WAITS {
        let mut command = place.std_command();
        command.args(args.split(' ')).stdin(Stdio::piped()).stdout(Stdio::piped());
        command.stderr(Stdio::null()).env("NCP_KMS_KEY_TAG", &key);
        match *what {
            "a silent service" => {
                command.env("NCP_KMS_ENDPOINT", &url);
                command.env("NCP_ACCESS_KEY", "a").env("NCP_SECRET_KEY", "s");
            }
            "a silent metadata service" => {
                command.env("NCP_KMS_ENDPOINT", "http://127.0.0.1:1");
                command.env("NCLOUD_METADATA_API_ENDPOINT", &url);
            }
            "the lock of the message" => message.lock().unwrap(),
            "the lock of the ring" => ring.lock().unwrap(),
            "the lock of the state" => lock.lock().unwrap(),
            "the lock of the configuration" => configuration.lock().unwrap(),
            _ => {}
        }
        let mut child = command.spawn().unwrap();
        until_it_waits(&child, signal);
        assert!(child.try_wait().unwrap().is_none(), "{args} does not wait for {what}");
        send(&child, signal);
        assert_eq!(end(&mut child), Some(128 + signal), "{args}, waiting for {what}");
        lock.unlock().unwrap();
        message.unlock().unwrap();
        ring.unlock().unwrap();
        configuration.unlock().unwrap();
        assert_eq!(place.names(), names, "{args}, waiting for {what}");
    }
    drop(held);
}

#[test]
fn a_lost_terminal_ends_every_wait() {
    every_wait_ends_with(HUP);
}

#[test]
fn an_interrupt_ends_every_wait() {
    every_wait_ends_with(INT);
}

#[test]
fn quit_ends_every_wait() {
    every_wait_ends_with(QUIT);
}

#[test]
fn a_request_to_terminate_ends_every_wait() {
    every_wait_ends_with(TERM);
}

/// All signals that end a program by default: an alarm, the user's own, limits, power.
#[test]
fn what_ends_a_program_leaves_no_file() {
    let place = Place::new();
    place.write("f", b"x");
    for signal in [10, 12, 14, 16, 24, 26, 27, 29, 30, 34, 64] {
        let mut command = place.std_command();
        command.args(["encrypt", "--local", "-o", "out", "-"]).stdin(Stdio::piped());
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        // Some bytes, so that the output is started.
        child.stdin.as_mut().unwrap().write_all(&[7; 100_000]).unwrap();
        until_it_waits(&child, signal);
        send(&child, signal);
        assert_eq!(end(&mut child), Some(128 + signal));
        assert_eq!(place.names(), ["f"], "signal {signal}");
    }
}

/// Runs `args` to its end, and then interrupts it at random moments within that time, or within
/// `span` if it ends late or never.
fn breaks_off(args: &str, output: Option<&str>, span: Option<Duration>) -> usize {
    let (place, names) = place();
    let stdin = || File::open(place.path(if args.starts_with('d') { "big.ncpe" } else { "big" }));
    let run = || {
        let mut command = place.std_command();
        command.args(args.split(' ')).stdin(stdin().unwrap());
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let start = Instant::now();
    let whole = span.is_none().then(|| assert!(run().wait().unwrap().success(), "{args}"));
    let span = span.unwrap_or_else(|| start.elapsed()).as_micros() as u64;
    let whole = whole.and(output).map(|name| place.read(name).len());
    let mut random = 0x2545_F491_u64;
    let mut by_signal = 0;
    for (signal, round) in SENT.into_iter().flat_map(|signal| (0..10).map(move |r| (signal, r))) {
        output.map(|name| fs::remove_file(place.path(name)));
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut child = run();
        std::thread::sleep(Duration::from_micros((random >> 20) % span.max(1)));
        send(&child, signal);
        let start = Instant::now();
        let status = until("the end", || child.try_wait().unwrap());
        assert!(start.elapsed() < SOON, "{args} took {:?}", start.elapsed());
        // Before the program's first step the system ends it, and after its last step it is done.
        let ended = status.code() == Some(128 + signal);
        let early = status.signal() == Some(signal);
        assert!(ended || early || status.success(), "{args}, {signal}, {round}: {status}");
        by_signal += usize::from(ended);
        let left: Vec<_> = place.names().into_iter().filter(|name| !names.contains(name)).collect();
        match (output, &left[..]) {
            (_, []) => assert!(output.is_none() || !status.success()),
            // Only the last steps were left, and it took them.
            (Some(name), [left]) if left == name => {
                assert!(status.success(), "{args}, {signal}, {round}: {status}");
                assert_eq!(Some(place.read(name).len()), whole, "{args}");
            }
            (_, left) => panic!("{args}, {signal}, {round} left {left:?}"),
        }
    }
    by_signal
}

#[test]
fn at_any_moment_a_signal_ends_a_run_and_leaves_nothing() {
    let long = Some(Duration::from_millis(400));
    let rows = [
        ("encrypt --local -o out big", Some("out"), None),
        ("decrypt --local -o out big.ncpe", Some("out"), None),
        ("encrypt --local -o out -", Some("out"), None),
        ("decrypt --local -o out -", Some("out"), None),
        ("cat --local --range 9- big.ncpe", None, None),
        ("verify --local big.ncpe", None, None),
        ("inspect big.ncpe", None, None),
        ("rekey --local big.ncpe", None, None),
        ("audit big.ncpe", None, None),
        ("cipher encrypt --local -o out f", Some("out"), None),
        ("cipher custom-key --local --plaintext out", Some("out"), None),
        ("keys list --local", None, None),
        ("tokens create --local", None, None),
        ("bench --size 8MiB --dir .", None, long),
        ("emulator --tls", None, long),
    ];
    let ended: usize = std::thread::scope(|scope| {
        let parts = rows.chunks(3).map(|rows| {
            let each = rows.iter();
            scope.spawn(|| each.map(|row| breaks_off(row.0, row.1, row.2)).sum::<usize>())
        });
        let parts: Vec<_> = parts.collect();
        parts.into_iter().map(|part| part.join().unwrap()).sum()
    });
    assert!(ended > 100, "{ended} of 600 runs were ended by a signal that was heard");
}

#[test]
fn what_was_ignored_at_the_start_stays_ignored() {
    let (place, _) = place();
    let ignoring = "trap '' HUP INT QUIT TERM USR1";
    let args = ["encrypt", "--local", "-o", "out", "fifo"];
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{ignoring}; exec \"$0\" \"$@\"")]);
    command.arg(env!("CARGO_BIN_EXE_ncp-envelope")).args(args).stderr(Stdio::null());
    command.current_dir(place.path("")).env("XDG_DATA_HOME", place.dir.path().join("data"));
    let mut child = command.spawn().unwrap();
    let mut feed = File::options().write(true).open(place.path("fifo")).unwrap();
    until_it_waits(&child, HUP);
    for signal in [HUP, INT, QUIT, TERM, 10] {
        send(&child, signal);
    }
    feed.write_all(&place.read("big")).unwrap();
    drop(feed);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    place.run(&["decrypt", "--local", "-o", "again", "out"]).assert().success();
    assert_eq!(place.read("again"), place.read("big"));
}

#[test]
fn a_limit_on_the_size_of_files_is_an_error_of_writing() {
    let (place, names) = place();
    // In units of 1 KiB.
    for ignoring in ["", "trap '' XFSZ;"] {
        for (args, stdin) in [
            ("encrypt --local -o out big", "f"),
            ("decrypt --local -o out big.ncpe", "f"),
            ("encrypt --local -o out -", "big"),
            ("decrypt --local -o out -", "big.ncpe"),
        ] {
            let args: Vec<_> = args.split(' ').collect();
            let mut command =
                by_shell(&place, &format!("{ignoring} ulimit -f 512; exec \"$0\" \"$@\""), &args);
            command.stdin(File::open(place.path(stdin)).unwrap());
            let output = command.output().unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
            assert!(said.contains("File too large"), "{args:?}: {said}");
            assert_eq!(place.names(), names, "{args:?}");
        }
    }
}

/// A signal that cannot be handled leaves the old file, or none, and no other name.
#[test]
fn a_killed_run_leaves_no_name() {
    let (place, names) = place();
    let plaintext = place.read("big");
    let start = Instant::now();
    place.run(&["decrypt", "--local", "-o", "out", "big.ncpe"]).assert().success();
    let span = start.elapsed().as_micros() as u64;
    let mut random = 0x9E37_79B9_u64;
    let mut killed = 0;
    for round in 0..40 {
        let _ = fs::remove_file(place.path("out"));
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let input = if round % 2 == 0 { "big.ncpe" } else { "-" };
        let mut command = place.std_command();
        command.args(["decrypt", "--local", "-o", "out", input]).stderr(Stdio::null());
        let mut child = command.stdin(File::open(place.path("big.ncpe")).unwrap()).spawn().unwrap();
        std::thread::sleep(Duration::from_micros((random >> 20) % span));
        child.kill().unwrap();
        killed += usize::from(!child.wait().unwrap().success());
        match fs::read(place.path("out")) {
            Ok(whole) => assert!(whole == plaintext),
            Err(_) => assert_eq!(place.names(), names),
        }
        assert!(place.names().iter().all(|name| names.contains(name) || name == "out"));
    }
    assert!(killed > 5, "{killed} of 40 runs were killed on the way");
}

/// A prompt on a terminal, and what is typed or sent there.
#[test]
fn a_question_is_ended_by_a_signal() {
    const ASKED: &str = r#"
import os, pty, signal, sys
for number in (1, 2, 3, 15):
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.argv[1], sys.argv[1:])
    said = b""
    while b'Type "yes": ' not in said:
        said += os.read(terminal, 1000)
    if number == 2:
        os.write(terminal, b"\x03")
    else:
        os.kill(pid, number)
    signal.alarm(5)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    signal.alarm(0)
    assert code == 128 + number, (number, code)
    os.close(terminal)
"#;
    let place = Place::new();
    place.write("f", b"x");
    let mut command = Command::new("python3");
    command.args(["-c", ASKED, env!("CARGO_BIN_EXE_ncp-envelope")]);
    command.args(["keys", "disable", "--local"]).current_dir(place.path(""));
    let output = command.env("XDG_DATA_HOME", place.dir.path().join("data")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
