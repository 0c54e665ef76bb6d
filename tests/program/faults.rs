//! Exit codes follow the cause of a fault: a fault of the program's own files, or of the
//! credentials, is not reported as one of the message; and the owner of a service's state learns
//! why it cannot be saved.

use crate::emulator::Served;
use crate::kit::{Place, by_shell, fifo};
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

fn place() -> Place {
    let place = Place::new();
    place.write("f", b"x");
    place.run(&["encrypt", "--local", "f"]).assert().success();
    place
}

#[test]
fn a_damaged_key_store_is_not_a_refused_message() {
    let place = place();
    let state = place.dir.path().join("data/ncp-envelope/local-kms/state.json");
    let whole = fs::read_to_string(&state).unwrap();
    for (what, damaged) in [
        ("no JSON", "garbage".to_owned()),
        ("nothing", String::new()),
        ("half", whole[..whole.len() / 2].to_owned()),
        ("another version", whole.replace("\"version\": 3", "\"version\": 4")),
        ("a changed key", whole.replace("emulator-key", "emulator-kei")),
        ("another program's", whole.replace("ncp-envelope-emulator", "another")),
    ] {
        fs::write(&state, damaged).unwrap();
        for args in [
            "encrypt --local -o out f",
            "encrypt --local -",
            "decrypt --local -o out f.ncpe",
            "decrypt --local -",
            "cipher encrypt --local f",
            "cipher decrypt --local f",
            "keys list --local",
            "tokens create --local",
            "emulator --state ../data/ncp-envelope/local-kms",
        ] {
            let args: Vec<_> = args.split(' ').collect();
            place.refuses(&args, 1, "local-kms/state.json");
            place.refuses(&args, 1, "state file");
        }
        assert_ne!(fs::read_to_string(&state).unwrap(), whole, "{what} stays as it is");
    }
}

/// A limit on the size of files simulates a full disk.
#[test]
fn a_state_that_cannot_be_kept_is_said_with_its_place() {
    let place = place();
    let before = place.run(&["keys", "list", "--local"]).output().unwrap().stdout;
    for args in [
        "keys create abcd --local",
        "keys rotate --local",
        "keys memo text --local",
        "tokens create --local",
    ] {
        let shell = format!("ulimit -f 1; exec \"$0\" {args}");
        let output = by_shell(&place, &shell, &[]).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{args}: {said}");
        for words in ["cannot write the state", "local-kms", "File too large"] {
            assert!(said.contains(words), "{args}: {said}");
        }
        assert!(!said.contains("http 500") && output.stdout.is_empty(), "{args}: {said}");
    }
    assert_eq!(place.run(&["keys", "list", "--local"]).output().unwrap().stdout, before);
    // A call that changes nothing needs no space.
    let shell = "ulimit -f 1; exec \"$0\" encrypt --local -o out f";
    assert!(by_shell(&place, shell, &[]).output().unwrap().status.success());
}

#[test]
fn the_standalone_emulator_says_why_it_answers_that_it_failed() {
    let place = place();
    let mut command = place.std_command();
    command.args(["emulator", "--state", "kept"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut served = Served::start(&mut command);
    fs::remove_dir_all(place.path("kept")).unwrap();
    let mut create = place.run(&["keys", "create", "abcd"]);
    create.env("NCP_KMS_ENDPOINT", served.get("url"));
    create.env("NCP_ACCESS_KEY", served.get("access_key"));
    create.env("NCP_SECRET_KEY", served.get("secret_key"));
    // A service reports no more than that.
    create.assert().code(5);
    let mut errors = served.child.stderr.take().unwrap();
    drop(served);
    let mut said = String::new();
    errors.read_to_string(&mut said).unwrap();
    assert!(said.starts_with("ncp-envelope: cannot open the state's lock kept"), "{said}");
}

#[test]
fn credentials_that_are_no_files_are_not_a_refused_message() {
    let place = place();
    place.write("garbage", b"garbage");
    fs::set_permissions(place.path("garbage"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::create_dir_all(place.path("dir")).unwrap();
    fs::create_dir_all(place.dir.path().join(".ncloud/configure")).unwrap();
    fifo(&place.path("fifo"));
    let view = place.run(&["inspect", "--json", "f.ncpe"]).output().unwrap().stdout;
    let view: serde_json::Value = serde_json::from_slice(&view).unwrap();
    let key = view["slots"][0]["key_tag"].as_str().unwrap().to_owned();
    let account = [("NCP_ACCESS_KEY", "a"), ("NCP_SECRET_KEY", "s")];
    /// Variables, options, the exit code and the text.
    type Row<'a> = (&'a [(&'a str, &'a str)], &'a str, i32, &'a str);
    let rows: &[Row<'_>] = &[
        (&account, "--token-store garbage", 4, "garbage is not a token file"),
        (&account, "--token-store dir", 4, "dir is not a file"),
        (&account, "--token-store fifo", 4, "fifo is not a file"),
        (&account, "--ca-cert absent", 1, "absent: No such file"),
        (&account, "--ca-cert dir", 1, "dir: not a file"),
        (&account, "--ca-cert garbage", 2, "garbage is not a certificate"),
        (&[("NCP_ACCESS_KEY_FILE", "dir"), ("NCP_SECRET_KEY", "s")], "", 4, "dir is not a file"),
        (&[("NCP_ACCESS_KEY_FILE", "fifo"), ("NCP_SECRET_KEY", "s")], "", 4, "fifo is not a file"),
        (&[("NCP_ACCESS_KEY_FILE", "absent"), ("NCP_SECRET_KEY", "s")], "", 4, "absent"),
        // Those of the cloud's own programs, in the user's directory.
        (&[], "", 4, ".ncloud/configure is not a file"),
    ];
    for (variables, options, code, words) in rows {
        for command in
            ["encrypt -o out f", "decrypt -o out f.ncpe", "decrypt -", "cipher encrypt f"]
        {
            let args = format!("{command} --endpoint https://127.0.0.1:1 {options}");
            let mut run = place.std_command();
            run.args(args.split_whitespace()).env("NCP_KMS_KEY_TAG", &key);
            run.envs(variables.iter().copied())
                .env("NCLOUD_METADATA_API_ENDPOINT", "http://[::1]:1");
            let input = fs::File::open(place.path("f.ncpe")).unwrap();
            let output = run.stdin(input).output().unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(*code), "{args} {variables:?}: {said}");
            assert!(said.contains(words), "{args} {variables:?}: {said}");
            assert!(!fs::exists(place.path("out")).unwrap(), "{args}");
        }
    }
}
