//! The program as a user runs it.

use crate::common::sample;
use crate::emulator::Served;
use crate::kit::Place;
use std::fs;
use std::io::Read;
use std::process::Stdio;
use std::time::Duration;

#[test]
fn files_and_pipes_round_trip_on_the_local_service() {
    let place = Place::new();
    let plaintext = sample((1 << 20) + 7);
    place.write("f", &plaintext);
    place.run(&["encrypt", "--local", "f"]).assert().success().stdout("");
    place.refuses(&["encrypt", "--local", "f"], 2, "f.ncpe exists");
    place
        .run(&[
            "encrypt",
            "--local",
            "--force",
            "--layout",
            "durable",
            "-c",
            "tenant=42",
            "--scope",
            "s",
            "f",
        ])
        .assert()
        .success();
    place.refuses(&["decrypt", "--local", "--scope", "s", "f.ncpe"], 2, "f exists");
    place
        .run(&["decrypt", "--local", "--scope", "s", "-c", "tenant=42", "-o", "g", "f.ncpe"])
        .assert()
        .success();
    assert_eq!(place.read("g"), plaintext);

    let message =
        place.run(&["encrypt", "--local", "-"]).write_stdin(plaintext.clone()).output().unwrap();
    assert!(message.status.success());
    let back = place
        .run(&["decrypt", "--local", "-"])
        .write_stdin(message.stdout.clone())
        .output()
        .unwrap();
    assert_eq!(back.stdout, plaintext);
    place
        .run(&["decrypt", "--local", "-o", "h", "-"])
        .write_stdin(message.stdout.clone())
        .assert()
        .success();
    assert_eq!(place.read("h"), plaintext);
    place.run(&["encrypt", "--local", "-o", "-", "f"]).assert().success();
    assert_eq!(place.names(), ["f", "f.ncpe", "g", "h"]);

    // A pipe that ends early: everything verified was written, the run failed, and no file has the
    // name.
    let cut = message.stdout[..message.stdout.len() - 1].to_vec();
    place.run(&["decrypt", "--local", "-o", "i", "-"]).write_stdin(cut).assert().code(3);
    assert_eq!(place.names(), ["f", "f.ncpe", "g", "h"]);
}

#[test]
fn refused_messages_have_their_own_exit_code_and_leave_nothing() {
    let place = Place::new();
    place.write("f", &sample(40_000));
    place.write("aad", b"volume 7");
    place.write("aad2", b"volume 8");
    place.write("empty", b"");
    place
        .run(&["encrypt", "--local", "-c", "tenant=42", "--aad-file", "aad", "--scope", "s", "f"])
        .assert()
        .success();
    let decrypt = |args: &[&str], code, text| {
        place.refuses(
            &[&["decrypt", "--local", "-o", "g"], args, &["f.ncpe"]].concat(),
            code,
            text,
        );
    };
    decrypt(&["--aad-file", "aad2", "--scope", "s"], 3, "not authentic");
    decrypt(&["--scope", "s"], 3, "associated data");
    decrypt(&["--aad-file", "aad"], 3, "key, scope or associated data");
    decrypt(
        &["--aad-file", "aad", "--scope", "s", "-c", "tenant=43"],
        3,
        "another value for \"tenant\"",
    );
    decrypt(&["--aad-file", "aad", "--scope", "s", "-c", "owner=me"], 3, "lacks \"owner\"");
    decrypt(&["--aad-file", "absent", "--scope", "s"], 1, "cannot open absent");
    decrypt(&["--aad-file", "empty", "--scope", "s"], 2, "is empty");

    let message = place.read("f.ncpe");
    let damaged = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = message.clone();
        change(&mut bytes);
        place.write("f.ncpe", &bytes);
    };
    damaged(&|bytes| bytes[20_000] ^= 1);
    decrypt(&["--aad-file", "aad", "--scope", "s"], 3, "not authentic");
    damaged(&|bytes| bytes.truncate(20_000));
    decrypt(&["--aad-file", "aad", "--scope", "s"], 3, "not authentic");
    damaged(&|bytes| bytes.truncate(100));
    decrypt(&["--aad-file", "aad", "--scope", "s"], 3, "truncated");
    place.refuses(&["decrypt", "--local", "-o", "g", "aad"], 3, "not an ncp-envelope message");
    place.refuses(&["inspect", "aad"], 3, "not an ncp-envelope message");
}

#[test]
fn what_the_local_service_cannot_do_is_told_and_leaves_nothing() {
    let place = Place::new();
    place.write("f", b"x");
    let refuses = |args: &[&str], text| place.refuses(args, 2, text);
    refuses(&["encrypt", "--local", "--force", "-o", "f", "f"], "same file");
    place.refuses(&["encrypt", "--local", "absent"], 1, "cannot open absent");
    place.refuses(&["encrypt", "--local", "-o", "no/dir/x", "f"], 1, "cannot create a file beside");
}

#[test]
fn inspect_needs_no_key_and_shows_what_is_there() {
    let place = Place::new();
    place.write("f", &sample(40_000));
    place
        .run(&["encrypt", "--local", "-c", "tenant=42", "-c", "odd=\u{1b}[31m", "f"])
        .assert()
        .success();
    fs::remove_dir_all(place.dir.path().join("data")).unwrap();

    let output = place.run(&["inspect", "--json", "f.ncpe"]).output().unwrap();
    let view: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(view["context"]["tenant"], "42");
    assert_eq!(
        (view["plaintext_len"].as_u64(), view["profile"].as_str()),
        (Some(40_000), Some("compact"))
    );
    assert_eq!(view["message_len"].as_u64().unwrap() - 40_000, view["overhead"].as_u64().unwrap());
    assert_eq!(view["slots"][0]["key_version"], 1);
    assert_eq!(view["slots"][0]["provider"], "ncp-kms");

    let output = place.run(&["inspect", "-"]).write_stdin(place.read("f.ncpe")).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("tenant=42") && text.contains("40000 bytes"), "{text}");
    assert!(!text.contains('\u{1b}'), "a message must not be able to steer the terminal");

    let message = place.read("f.ncpe");
    place.write("cut", &message[..message.len() - 7_240]);
    let output = place.run(&["inspect", "cut"]).output().unwrap();
    assert!(
        output.status.success() && String::from_utf8(output.stdout).unwrap().contains("truncated")
    );
}

/// The standalone emulator, with its state in `place`.
fn serve(place: &Place) -> Served {
    let mut command = place.std_command();
    command.args(["emulator", "--listen", "127.0.0.1:0", "--state", "emulator-state"]);
    Served::start(command.stdout(Stdio::piped()))
}

#[test]
fn the_standalone_emulator_serves_all_four_rows() {
    let place = Place::new();
    place.write("f", &sample(40_000));
    let mut served = serve(&place);
    let account = [
        ("NCP_ACCESS_KEY", "access_key"),
        ("NCP_SECRET_KEY", "secret_key"),
        ("NCP_APIGW_API_KEY", "apigw_api_key"),
    ];
    let token =
        [("NCP_KMS_ACCESS_TOKEN", "access_token"), ("NCP_KMS_REFRESH_TOKEN", "refresh_token")];
    type Row<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)]);
    let rows: [Row<'_>; 4] = [
        (&["--api", "1", "--signature", "v1"], &account),
        (&["--api", "1", "--signature", "v2"], &account),
        (&["--api", "2"], &account),
        (&["--api", "2"], &token),
    ];
    for restart in [false, true] {
        if restart {
            drop(served);
            served = serve(&place);
        }
        for (index, (options, variables)) in rows.iter().enumerate() {
            let run = |command: &str, args: &[&str], secret: Option<&str>| {
                let all = [
                    &[command, "--endpoint", served.get("url"), "--key", served.get("key_tag")],
                    *options,
                    args,
                ]
                .concat();
                let mut run = place.run(&all);
                for (variable, field) in *variables {
                    let hidden = *field == "secret_key" || *field == "access_token";
                    run.env(
                        variable,
                        if hidden {
                            secret.unwrap_or(served.get(field))
                        } else {
                            served.get(field)
                        },
                    );
                }
                run
            };
            let name = format!("row{index}");
            if !restart {
                run("encrypt", &["-o", &name, "f"], None).assert().success();
            }
            run("decrypt", &["--force", "-o", "g", &name], None).assert().success();
            assert_eq!(place.read("g"), place.read("f"));
            if options.contains(&"1") || *variables == account {
                run("decrypt", &["--force", "-o", "g", &name], Some("wrong")).assert().code(4);
            }
        }
    }
    drop(served);
    assert!(place.names().contains(&"emulator-state".to_owned()));
}

/// The same walk as in the emulator's own tests, against the program.
#[test]
fn the_standalone_emulator_is_walked_through_with_curl_and_openssl() {
    let is_there =
        |program: &&str| std::process::Command::new(program).arg("version").output().is_ok();
    if !["sh", "curl", "openssl"].iter().all(is_there) {
        assert!(std::env::var_os("CI").is_none(), "the checks install sh, curl and openssl");
        return;
    }
    let place = Place::new();
    let served = serve(&place);
    let output = std::process::Command::new("sh")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/emulator/walk.sh"))
        .env("URL", served.get("url"))
        .env("ACCESS_KEY", served.get("access_key"))
        .env("SECRET_KEY", served.get("secret_key"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(said.lines().filter(|line| line.ends_with(": ok")).count(), 11, "{said}");
}

#[test]
fn an_interrupted_emulator_stops() {
    let place = Place::new();
    fs::create_dir_all(place.dir.path().join("files")).unwrap();
    let mut served = serve(&place);
    let pid = served.child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert_eq!(served.child.wait().unwrap().code(), Some(130));
    let mut rest = String::new();
    served.child.stdout.take().unwrap().read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "", "one line and no more");
}

/// Kills the program at 50 moments: the target is the old file or the complete new one, never
/// anything else.
#[test]
fn a_killed_run_leaves_the_old_target_or_none() {
    let place = Place::new();
    let plaintext = sample(24 << 20);
    place.write("f", &plaintext);
    let start = std::time::Instant::now();
    place.run(&["encrypt", "--local", "f"]).assert().success();
    // The moments adapt to the machine: from the start of a run to a little past its end.
    let span = start.elapsed().as_micros() as u64 * 11 / 10 + 1;
    let message_len = place.read("f.ncpe").len();
    let (mut killed, mut finished) = (0, 0);
    let mut random = 0x2545_F491_u64;
    for round in 0..50 {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let decrypting = round % 2 == 0;
        let old = round % 4 < 2;
        let _ = fs::remove_file(place.path("out"));
        if old {
            place.write("out", b"old");
        }
        let args: &[&str] = if decrypting {
            &["decrypt", "--local", "--force", "-o", "out", "f.ncpe"]
        } else {
            &["encrypt", "--local", "--force", "-o", "out", "f"]
        };
        let mut child = place.std_command().args(args).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_micros((random >> 20) % span));
        child.kill().unwrap();
        if child.wait().unwrap().success() {
            finished += 1
        } else {
            killed += 1
        }
        match fs::read(place.path("out")) {
            Ok(bytes) if bytes == b"old" => assert!(old),
            Ok(bytes) if decrypting => {
                assert!(bytes == plaintext, "a part of the plaintext has the target's name")
            }
            Ok(bytes) => {
                assert_eq!(bytes.len(), message_len, "a part of the message has the target's name")
            }
            Err(error) => assert!(!old && error.kind() == std::io::ErrorKind::NotFound),
        }
        for name in place.names().into_iter().filter(|name| name.ends_with(".tmp")) {
            fs::remove_file(place.path(&name)).unwrap();
        }
    }
    assert!(killed > 10, "{killed} of 50 runs were killed on the way, {finished} finished");
}

/// Neither the size of the file nor the number of threads matters: 256 MiB take no more than a few
/// buffers.
#[test]
#[cfg(target_os = "linux")]
fn memory_does_not_grow_with_the_file() {
    let place = Place::new();
    place.write("f", b"");
    fs::File::options().write(true).open(place.path("f")).unwrap().set_len(256 << 20).unwrap();
    for args in [
        &["encrypt", "--local", "f"][..],
        &["decrypt", "--local", "-o", "g", "f.ncpe"],
        &["encrypt", "--local", "--threads", "1000", "-o", "h", "f"],
    ] {
        let mut child = place.std_command().args(args).stderr(Stdio::null()).spawn().unwrap();
        let (mut peak, mut looks) = (0, 0);
        while child.try_wait().unwrap().is_none() {
            let status =
                fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
            if let Some(line) = status.lines().find(|line| line.starts_with("VmHWM:")) {
                peak = line.split_whitespace().nth(1).unwrap().parse().unwrap();
                looks += 1;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        assert!(child.wait().unwrap().success());
        // A debug build, with the embedded service in the same process.
        assert!(looks > 5 && peak < 64 * 1024, "{args:?} took {peak} KiB at its peak");
    }
}

/// Terminates `child` in the middle of its work. Its input, which is `feed`, does not end before.
fn interrupt(mut child: std::process::Child, mut feed: impl std::io::Write + Send + 'static) {
    let (taken, seen) = std::sync::mpsc::sync_channel(1);
    let feeder = std::thread::spawn(move || {
        let mut fed = 0;
        while feed.write_all(&[0; 65_536]).is_ok() {
            fed += 1;
            // Much more than all buffers hold, so that some of it is in the output.
            if fed == 256 {
                taken.send(()).unwrap();
            }
        }
    });
    seen.recv().unwrap();
    assert!(
        std::process::Command::new("kill")
            .args(["-TERM", &child.id().to_string()])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(child.wait().unwrap().code(), Some(143));
    feeder.join().unwrap();
}

/// An interrupt, unlike a kill, leaves no temporary file either.
#[test]
fn an_interrupted_run_cleans_up() {
    let place = Place::new();
    place.write("f", b"x");
    // A pipe that never ends keeps the run busy as long as needed.
    let fifo = place.path("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let child = place
        .std_command()
        .args(["encrypt", "--local", "-o", "out", "fifo"])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let feed = fs::OpenOptions::new().write(true).open(&fifo).unwrap();
    interrupt(child, feed);
    assert_eq!(place.names(), ["f", "fifo"]);
}

/// The same with standard input, where the program itself has the temporary file.
#[test]
fn an_interrupted_pipe_cleans_up() {
    let place = Place::new();
    place.write("f", b"x");
    let mut child = place
        .std_command()
        .args(["encrypt", "--local", "-o", "out", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let feed = child.stdin.take().unwrap();
    interrupt(child, feed);
    assert_eq!(place.names(), ["f"]);
}

#[test]
fn threads_and_sync_are_the_users_choice() {
    let place = Place::new();
    let plaintext = sample((3 << 20) + 77);
    place.write("f", &plaintext);
    for options in [
        &["--threads", "1"][..],
        &["--threads", "3", "--no-sync"],
        &["--threads", "0"],
        &["--no-sync"],
    ] {
        place.run(&[&["encrypt", "--local", "--force", "f"], options].concat()).assert().success();
        place
            .run(&[&["decrypt", "--local", "--force", "-o", "g", "f.ncpe"], options].concat())
            .assert()
            .success();
        assert_eq!(place.read("g"), plaintext, "{options:?}");
    }
    place.refuses(&["encrypt", "--local", "-o", "h", "--threads", "many", "f"], 2, "threads");
    place.refuses(&["encrypt", "--local", "-o", "h", "--threads", "1025", "f"], 2, "threads");
}

#[test]
#[cfg(target_os = "linux")]
fn an_output_without_room_is_refused_and_leaves_nothing() {
    let place = Place::new();
    place.write("f", &sample(4 << 20));
    place.run(&["encrypt", "--local", "f"]).assert().success();
    let before = place.names();
    // A limit on the size of files simulates a full disk: 1 MiB, in units of 512 bytes, and an
    // error in place of the signal.
    for (args, text) in [
        (["encrypt", "f"], "cannot reserve 419"),
        // The real length of a message is known only after it was opened.
        (["decrypt", "f.ncpe"], "cannot write g"),
    ] {
        for threads in ["1", "2"] {
            let mut limited = std::process::Command::new("sh");
            limited.args([
                "-c",
                r#"trap "" XFSZ; ulimit -f 2048; exec "$0" "$@""#,
                env!("CARGO_BIN_EXE_ncp-envelope"),
            ]);
            limited.args(args).args(["--local", "--threads", threads, "-o", "g"]);
            limited.current_dir(place.path("")).env("XDG_DATA_HOME", place.dir.path().join("data"));
            let output = limited.output().unwrap();
            let stderr = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{stderr}");
            assert!(stderr.contains(text), "{stderr}");
            assert_eq!(place.names(), before);
        }
    }
}

/// More than a pipe and all buffers hold, in both directions, and a reader that goes away.
#[test]
fn long_pipes_are_taken_and_given_in_pieces() {
    let place = Place::new();
    for len in [0, 1, 131_071, 131_072, 131_073, (5 << 20) + 3] {
        let plaintext = sample(len);
        let message = place
            .run(&["encrypt", "--local", "-"])
            .write_stdin(plaintext.clone())
            .output()
            .unwrap()
            .stdout;
        place.write("m", &message);
        place.run(&["decrypt", "--local", "--force", "-o", "g", "m"]).assert().success();
        assert_eq!(place.read("g"), plaintext, "one format for pipes and files");
        assert_eq!(
            place.run(&["decrypt", "--local", "-"]).write_stdin(message).output().unwrap().stdout,
            plaintext
        );
    }
    // Damaged from the fourth of 5 MiB on: the output is verified, and nothing follows it.
    let mut bad = place.read("m");
    bad[4 << 20] ^= 1;
    let output = place.run(&["decrypt", "--local", "-"]).write_stdin(bad).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let (len, plaintext) = (output.stdout.len(), sample((5 << 20) + 3));
    assert!(
        len.is_multiple_of(16_384)
            && len > 4_000_000
            && len < 4 << 20
            && output.stdout == plaintext[..len],
        "{len} bytes"
    );

    let mut child = place
        .std_command()
        .args(["decrypt", "--local", "-o", "-", "m"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut some = [0; 1_000];
    child.stdout.take().unwrap().read_exact(&mut some).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), &some[..]), (Some(1), &plaintext[..1_000]));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot write the output"));
}

#[test]
fn bench_measures_and_leaves_nothing() {
    let place = Place::new();
    place.write("f", b"x");
    let output = place.run(&["bench", "--size", "2MiB", "--dir", ".", "--json"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let view: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = view["rows"].as_array().unwrap();
    assert!(rows.len() >= 7 && view["file_bytes"] == 2 << 20);
    for row in rows {
        assert!(
            row["gb_per_s"].as_f64().unwrap() > 0.0 && row["of_copy"].as_f64().unwrap() > 0.0,
            "{row}"
        );
    }
    assert_eq!(rows[0]["of_sealing_alone"], 1.0);
    assert_eq!(place.names(), ["f"]);
    place.refuses(&["bench", "--size", "1048576GiB"], 2, "1024GiB");
    place.refuses(&["bench", "--size", "1GB"], 2, "512MiB");
    place.refuses(&["bench", "--size", "1024GiB", "--dir", "."], 1, "MiB free");
    place.refuses(&["bench", "--dir", "absent"], 1, "absent");
}
