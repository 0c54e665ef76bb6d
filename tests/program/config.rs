//! The configuration file: what is written into it, and which value of a setting counts.

use crate::kit::Place;
use crate::server::{Server, success};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

impl Place {
    fn config(&self) -> PathBuf {
        self.dir.path().join(".config/ncp-envelope/config.toml")
    }

    fn configure(&self, text: &str) {
        fs::create_dir_all(self.config().parent().unwrap()).unwrap();
        fs::write(self.config(), text).unwrap();
        set_mode(&self.config(), 0o600);
    }

    /// A run that finds no credentials by itself.
    fn command(&self, args: &[&str], variables: &[(&str, &str)]) -> Command {
        let mut command = self.std_command();
        command.env("NCLOUD_METADATA_API_ENDPOINT", "http://127.0.0.1:1");
        command.args(args).envs(variables.iter().copied()).stdin(std::process::Stdio::null());
        command
    }

    fn output(&self, args: &[&str], variables: &[(&str, &str)]) -> Output {
        let output = self.command(args, variables).output().unwrap();
        assert!(!format!("{output:?}").contains("CANARY"), "{output:?}");
        output
    }

    /// What `config show` says: value, source and place of each setting.
    fn show(&self, args: &[&str], variables: &[(&str, &str)]) -> BTreeMap<String, Value> {
        let args = [&["config", "show", "--json"], args].concat();
        let output = self.output(&args, variables);
        assert!(output.status.success(), "{output:?}");
        let records: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
        let name = |record: &Value| record["setting"].as_str().unwrap().to_owned();
        records.into_iter().map(|record| (name(&record), record)).collect()
    }

    fn fails(&self, args: &[&str], variables: &[(&str, &str)], code: i32) -> String {
        let output = self.output(args, variables);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        said
    }
}

fn set_mode(path: &std::path::Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &std::path::Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn every_setting_is_shown_with_its_source() {
    let place = Place::new();
    let in_place = |name: &str| place.path(name).display().to_string();
    let (here, beside) = (in_place("x"), place.config().with_file_name("x").display().to_string());
    // Field; its text in the file and what is shown; option and variable with a value, if there
    // are any; the default.
    type Way<'a> = Option<(&'a str, &'a str, Value)>;
    let cases: Vec<(&str, &str, Value, Way<'_>, Way<'_>, Value)> = vec![
        (
            "endpoint",
            "\"kr\"",
            json!("kr"),
            Some(("--endpoint", "jp", json!("jp"))),
            Some(("NCP_KMS_ENDPOINT", "gov", json!("gov"))),
            json!("global"),
        ),
        (
            "api",
            "1",
            json!("1.0"),
            Some(("--api", "2", json!("2.0"))),
            Some(("NCP_KMS_API", "1", json!("1.0"))),
            json!("2.0"),
        ),
        (
            "signature",
            "\"v1\"",
            json!("v1"),
            Some(("--signature", "v2", json!("v2"))),
            Some(("NCP_KMS_SIGNATURE", "v1", json!("v1"))),
            json!("v2"),
        ),
        (
            "key",
            "\"f\"",
            json!("f"),
            Some(("--key", "o", json!("o"))),
            Some(("NCP_KMS_KEY_TAG", "e", json!("e"))),
            Value::Null,
        ),
        (
            "also_keys",
            "[\"f\", \"g\"]",
            json!(["f", "g"]),
            Some(("--also-key", "o", json!(["o"]))),
            None,
            Value::Null,
        ),
        ("scope", "\"f\"", json!("f"), Some(("--scope", "o", json!("o"))), None, Value::Null),
        (
            "token_store",
            "\"x\"",
            json!(beside),
            Some(("--token-store", &here, json!(here))),
            Some(("NCP_KMS_TOKEN_STORE", "e", json!("e"))),
            Value::Null,
        ),
        (
            "proxy",
            "\"http://f\"",
            json!("http://f"),
            Some(("--proxy", "system", json!("system"))),
            Some(("NCP_KMS_PROXY", "http://me:CANARY@e", json!("set"))),
            Value::Null,
        ),
        (
            "root_certificate_files",
            "[\"x\", \"/y\"]",
            json!([beside, "/y"]),
            Some(("--ca-cert", &here, json!([here]))),
            Some(("NCP_KMS_CA_CERT", "e", json!(["e"]))),
            Value::Null,
        ),
        (
            "cache",
            "{ ttl = \"5m\" }",
            json!({ "ttl": "5m", "max_keys": 1000 }),
            None,
            None,
            Value::Null,
        ),
        (
            "credentials",
            "{ source = \"configure-file\" }",
            json!("configure-file"),
            None,
            None,
            json!("automatic"),
        ),
        ("issue_tokens", "false", json!(false), None, None, json!(true)),
        ("root_certificates_only", "true", json!(true), None, None, json!(false)),
        ("connect_timeout", "\"500ms\"", json!("500ms"), None, None, json!("3s")),
        ("attempt_timeout", "2", json!("2s"), None, None, json!("10s")),
        ("call_timeout", "\"1m 30s\"", json!("1m 30s"), None, None, json!("30s")),
        ("max_attempts", "2", json!(2), None, None, json!(3)),
        ("rate_limit", "50", json!(50), None, None, json!("service")),
        ("queue_limit", "5", json!(5), None, None, json!(2048)),
        ("circuit_breaker", "false", json!(false), None, None, json!(true)),
        (
            "re_encrypt_action",
            "\"r\"",
            json!("r"),
            None,
            None,
            json!("re-encrypt, with API 1.0 reencrypt"),
        ),
    ];
    let file = format!("{}: profiles.work", place.config().display());
    let mut seen = vec!["credentials".to_owned(), "local".to_owned(), "profile".to_owned()];
    for (field, text, in_file, option, variable, default) in cases {
        place.configure(&format!("[profiles.work]\n{field} = {text}\n[profiles.none]\n"));
        let setting = if field == "credentials" { "credentials.source" } else { field };
        let options: Vec<&str> =
            option.iter().flat_map(|(name, value, _)| [*name, *value]).collect();
        let variables: Vec<_> = variable.iter().map(|(name, value, _)| (*name, *value)).collect();
        let mut expected = vec![
            ("none", &[][..], &[][..], (default, "default", Value::Null)),
            ("work", &[], &[], (in_file, "file", json!(file))),
        ];
        if let Some((name, _, value)) = &variable {
            expected.push(("work", &[], &variables, (value.clone(), "environment", json!(name))));
            expected.push(("none", &[], &variables, (value.clone(), "environment", json!(name))));
        }
        if let Some((name, _, value)) = &option {
            for variables in [&[][..], &variables] {
                let told = (value.clone(), "flag", json!(name));
                expected.push(("work", &options[..], variables, told));
            }
        }
        for (profile, options, variables, (value, source, from)) in expected {
            let shown = place.show(&[options, &["--profile", profile]].concat(), variables);
            let what = format!("{field} {profile} {options:?} {variables:?}");
            let record =
                json!({ "setting": setting, "value": value, "source": source, "from": from });
            assert_eq!(shown[setting], record, "{what}");
            assert_eq!(shown["profile"]["value"], profile);
        }
        seen.push(setting.to_owned());
    }
    seen.sort();
    let all: Vec<_> = place.show(&["--profile", "none"], &[]).into_keys().collect();
    assert_eq!(all, seen, "a setting is not tested, or not shown");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_shown_is_what_a_call_uses() {
    let place = Place::new();
    let answer = || Server::start(|_, _| success(json!({ "ciphertext": "ncpkms:v1:AAAA" })));
    let (in_file, in_variable, in_option) = (answer().await, answer().await, answer().await);
    let servers = [&in_file, &in_variable, &in_option];
    let urls = servers.map(Server::url);
    fs::create_dir(place.dir.path().join(".ncloud")).unwrap();
    let account = "ncloud_access_key_id = file\nncloud_secret_access_key = CANARY\n";
    fs::write(place.dir.path().join(".ncloud/configure"), account).unwrap();
    place.configure(&format!(
        "default_profile = \"work\"\n[profiles.work]\nendpoint = {:?}\nkey = \"filed\"\n\
         [profiles.old]\nendpoint = {:?}\nkey = \"filed\"\napi = \"1.0\"\nsignature = \"v2\"\n\
         [profiles.kept]\nendpoint = {:?}\nkey = \"filed\"\n[profiles.kept.credentials]\n\
         source = \"stored\"\naccess_key = \"kept\"\nsecret_key = \"CANARY\"\n",
        urls[0], urls[0], urls[0]
    ));
    let ours = [("NCP_ACCESS_KEY", "ours"), ("NCP_SECRET_KEY", "CANARY")];
    let endpoint = ("NCP_KMS_ENDPOINT", urls[1].as_str());
    for (options, variables, server, path, access) in [
        (&[][..], &[][..], 0, "/kms/v1/keys/filed/encrypt", "file"),
        (&[], &[endpoint], 1, "/kms/v1/keys/filed/encrypt", "file"),
        (&["--endpoint", &urls[2]], &[endpoint], 2, "/kms/v1/keys/filed/encrypt", "file"),
        (&[], &[("NCP_KMS_KEY_TAG", "set")], 0, "/kms/v1/keys/set/encrypt", "file"),
        (
            &["--key", "given"],
            &[("NCP_KMS_KEY_TAG", "set")],
            0,
            "/kms/v1/keys/given/encrypt",
            "file",
        ),
        (&[], &ours, 0, "/kms/v1/keys/filed/encrypt", "ours"),
        (&[], &[("NCP_KMS_PROFILE", "old")], 0, "/keys/v2/filed/encrypt", "file"),
        (&["--profile", "old", "--api", "2"], &[], 0, "/kms/v1/keys/filed/encrypt", "file"),
        (&[], &[("NCP_KMS_API", "1")], 0, "/keys/v2/filed/encrypt", "file"),
        (&["--profile", "kept"], &[], 0, "/kms/v1/keys/filed/encrypt", "kept"),
        (&["--profile", "kept"], &ours, 0, "/kms/v1/keys/filed/encrypt", "ours"),
    ] {
        let what = format!("{options:?} {variables:?}");
        let shown = place.show(options, variables);
        let before = servers.map(|server| server.requests().len());
        let mut call = place.command(&[&["cipher", "encrypt", "-"], options].concat(), variables);
        let output = tokio::task::spawn_blocking(move || call.output().unwrap()).await.unwrap();
        assert!(output.status.success(), "{what}: {output:?}");
        let requests = servers[server].requests().split_off(before[server]);
        assert_eq!(requests.len(), 1, "{what}");
        assert_eq!(requests[0].path, path, "{what}");
        assert_eq!(requests[0].header("x-ncp-iam-access-key"), Some(access), "{what}");
        assert_eq!(shown["endpoint"]["value"], json!(servers[server].url()), "{what}");
        let tag = shown["key"]["value"].as_str().unwrap();
        assert_eq!(path.split('/').rev().nth(1), Some(tag), "{what}");
        let api = if path.starts_with("/kms") { "2.0" } else { "1.0" };
        assert_eq!(shown["api"]["value"], json!(api), "{what}");
        let credentials = &shown["credentials"];
        assert_eq!(credentials["value"], json!("set"), "{what}");
        let from = credentials["from"].as_str().unwrap();
        let ends = match access {
            "ours" => "NCP_ACCESS_KEY",
            "kept" => "config.toml: profiles.kept",
            _ => ".ncloud/configure",
        };
        assert!(from.ends_with(ends), "{what}: {from}");
    }
    let none = [("HOME", "/nowhere"), ("NCP_ENVELOPE_CONFIG", place.config().to_str().unwrap())]
        .map(|(name, value)| (name, value.to_owned()));
    let none: Vec<_> = none.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let shown = place.show(&[], &none);
    assert_eq!(shown["credentials"]["source"], json!("server role"));
}

#[test]
fn scope_cache_and_further_keys_of_a_profile_are_used() {
    let place = Place::new();
    place.write("f", b"text");
    place.configure("[profiles.default]\nlocal = true\nscope = \"s\"\ncache = { ttl = \"1m\" }\n");
    assert!(place.output(&["encrypt", "f"], &[]).status.success());
    // The option reads no profile, so that the scope is missing.
    let refused = place.output(&["verify", "f.ncpe", "--local"], &[]);
    assert_eq!(refused.status.code(), Some(3), "{refused:?}");
    for args in [&["verify", "f.ncpe"][..], &["verify", "f.ncpe", "--local", "--scope", "s"]] {
        assert!(place.output(args, &[]).status.success(), "{args:?}");
    }
    let refused = place.output(&["verify", "f.ncpe", "--scope", "other"], &[]);
    assert_eq!(refused.status.code(), Some(3));
    place.configure("[profiles.default]\nlocal = true\nalso_keys = [\"no such key\"]\n");
    let said = place.output(&["encrypt", "f", "-o", "g"], &[]);
    assert_eq!(said.status.code(), Some(2), "{said:?}");
    assert!(String::from_utf8(said.stderr).unwrap().contains("local = true is for development"));
    let shown = place.show(&[], &[("NCP_KMS_KEY_TAG", "elsewhere")]);
    assert_eq!(
        shown.keys().collect::<Vec<_>>(),
        ["also_keys", "cache", "key", "local", "profile", "scope"]
    );
    assert_eq!(shown["key"]["value"], Value::Null);
    let said = place.fails(&["encrypt", "f", "-o", "g", "--api", "1"], &[], 2);
    assert!(said.contains("--api is not for the embedded service"), "{said}");
    // A service that is named is used instead of it.
    let named = place.show(&[], &[("NCP_KMS_ENDPOINT", "kr")]);
    assert_eq!(named["local"]["value"], json!(false));
}

#[test]
fn what_is_wrong_is_said_with_the_line_and_what_to_do() {
    let place = Place::new();
    place.write("f", b"text");
    place.configure("[profiles.work]\n# CANARY\nendpont = \"CANARY\"\n");
    for args in [&["encrypt", "f"][..], &["config", "show"], &["config", "init", "--profile", "x"]]
    {
        let said = place.fails(args, &[], 2);
        let says = "config.toml line 3: profiles.work has no \"endpont\": endpoint is meant?";
        assert!(said.contains(says), "{said}");
    }
    place.configure("[profiles.work]\nkey = \"tag\"\n");
    let named = [("NCP_KMS_PROFILE", "wrok")];
    for (args, variables, says) in [
        (
            &["config", "show", "--profile", "wrok"][..],
            &[][..],
            "there is no profile \"wrok\": work",
        ),
        (&["config", "show"], &named, "NCP_KMS_PROFILE: "),
        (&["encrypt", "f"], &[], "config init --key TAG"),
        (&["config", "show", "--local", "--profile", "work"], &[], "--local reads no profile"),
    ] {
        let output = place.output(args, variables);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && said.contains(says), "{args:?}: {said}");
    }
    let said = place.fails(&["encrypt", "f", "--profile", "work"], &[], 4);
    assert!(said.contains("or store them in a profile of the configuration file"), "{said}");
    let nowhere = [("NCP_ENVELOPE_CONFIG", "nowhere.toml")];
    let said = place.fails(&["encrypt", "f"], &nowhere, 2);
    assert!(said.contains("does not exist: write it with ncp-envelope config init"), "{said}");
    // What is not a file is not waited for.
    fs::remove_file(place.config()).unwrap();
    crate::kit::fifo(&place.config());
    for args in [&["encrypt", "f"][..], &["config", "init"]] {
        assert!(place.fails(args, &[], 4).contains("is not a file of at most"));
    }
    let path = place.output(&["config", "path"], &[]).stdout;
    assert_eq!(String::from_utf8(path).unwrap().trim_end(), place.config().to_str().unwrap());
}

#[test]
fn a_secret_that_others_can_read_is_refused_by_every_command() {
    let place = Place::new();
    place.write("f", b"text");
    let text = "[profiles.default]\nkey = \"tag\"\n[profiles.b.credentials]\nsource = \"stored\"\n\
                access_key = \"CANARY\"\nsecret_key = \"CANARY\"\n";
    for (mode, refused) in [(0o600, false), (0o644, true), (0o640, true), (0o660, true)] {
        place.configure(text);
        set_mode(&place.config(), mode);
        for args in [&["config", "show"][..], &["config", "show", "--profile", "b"]] {
            match refused {
                true => assert!(place.fails(args, &[], 4).contains("chmod")),
                false => assert!(place.output(args, &[]).status.success()),
            }
        }
    }
    for args in [&["config", "init", "--profile", "c"][..], &["encrypt", "f"]] {
        assert!(place.fails(args, &[], 4).contains("chmod"), "{args:?}");
    }
    assert_eq!(fs::read_to_string(place.config()).unwrap(), text);
    place.configure("[profiles.default]\nkey = \"tag\"\n");
    set_mode(&place.config(), 0o644);
    assert_eq!(place.show(&[], &[])["key"]["value"], json!("tag"));
}

#[test]
fn init_writes_the_options_that_are_given_for_the_owner_alone() {
    let place = Place::new();
    place.write("ca.pem", b"");
    let account = [("NCP_ACCESS_KEY", "CANARYa"), ("NCP_SECRET_KEY", "CANARYs")];
    let init = [
        "config",
        "init",
        "--endpoint",
        "gov",
        "--api",
        "1",
        "--signature",
        "v2",
        "--key",
        "a\"b",
        "--also-key",
        "c",
        "--also-key",
        "d",
        "--scope",
        "s",
        "--token-store",
        "tokens.json",
        "--proxy",
        "http://proxy",
        "--ca-cert",
        "ca.pem",
        "--ca-cert-only",
        "--json",
    ];
    let output = place.output(&init, &account);
    assert!(output.status.success(), "{output:?}");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["credentials"], json!("not stored"));
    assert_eq!(said["file"], json!(place.config()));
    let (tokens, ca) = (place.path("tokens.json"), place.path("ca.pem"));
    let shown = place.show(&[], &[]);
    for (setting, value) in [
        ("profile", json!("default")),
        ("endpoint", json!("gov")),
        ("api", json!("1.0")),
        ("signature", json!("v2")),
        ("key", json!("a\"b")),
        ("also_keys", json!(["c", "d"])),
        ("scope", json!("s")),
        ("token_store", json!(tokens)),
        ("proxy", json!("http://proxy")),
        ("root_certificate_files", json!([ca])),
        ("root_certificates_only", json!(true)),
    ] {
        assert_eq!(shown[setting]["value"], value, "{setting}");
        assert_eq!(shown[setting]["source"], json!("file"), "{setting}");
    }
    let text = fs::read_to_string(place.config()).unwrap();
    assert!(text.starts_with("# Settings of ncp-envelope.") && !text.contains("CANARY"), "{text}");
    assert_eq!(mode(&place.config()), 0o600);
    assert_eq!(mode(place.config().parent().unwrap()), 0o700);

    // A second time, with and without force; the rest stays, byte for byte.
    let said = place.fails(&["config", "init", "--key", "k"], &[], 2);
    assert!(said.contains("has a profile default: give --force to replace it"), "{said}");
    assert_eq!(fs::read_to_string(place.config()).unwrap(), text);
    let more = ["config", "init", "--profile", "b", "--local"];
    assert!(place.output(&more, &[]).status.success());
    let both = fs::read_to_string(place.config()).unwrap();
    assert_eq!(both, format!("{text}\n[profiles.b]\nlocal = true\n"));
    let force = ["config", "init", "--force", "--key", "k"];
    assert!(place.output(&force, &[]).status.success());
    let (head, _) = text.split_once("[profiles.default]").unwrap();
    let forced = format!("{head}[profiles.default]\nkey = \"k\"\n\n[profiles.b]\nlocal = true\n");
    assert_eq!(fs::read_to_string(place.config()).unwrap(), forced);
    for (args, says) in [
        (&["--proxy", "http://me:CANARY@proxy"][..], "set NCP_KMS_PROXY instead"),
        (&["--endpoint", "korea"], "an endpoint is global, kr"),
        (&["--profile", ""], "a profile has a name"),
    ] {
        let said = place.fails(&[&["config", "init", "--force"], args].concat(), &[], 2);
        assert!(said.contains(says), "{said}");
    }
    assert_eq!(fs::read_to_string(place.config()).unwrap(), forced);
}

#[test]
fn init_stores_an_account_only_when_it_is_told_to() {
    let place = Place::new();
    let store = ["config", "init", "--key", "tag", "--store-credentials"];
    let said = place.fails(&store, &[("NCP_ACCESS_KEY", "CANARYa")], 4);
    assert!(said.contains("NCP_SECRET_KEY is not set"), "{said}");
    assert!(!place.config().exists());
    let account = [("NCP_ACCESS_KEY", "CANARYa"), ("NCP_SECRET_KEY", "CANARYs\"\\")];
    let output = place.output(&store, &account);
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("stored in the file") && said.contains("config.toml"), "{said}");
    let text = fs::read_to_string(place.config()).unwrap();
    assert!(text.contains("secret_key = 'CANARYs\"\\'\n"));
    let shown = place.show(&[], &[]);
    assert_eq!(shown["credentials.source"]["value"], json!("stored"));
    assert_eq!(shown["credentials"]["value"], json!("set"));
    // Where others can read it, nothing is stored.
    set_mode(&place.config(), 0o644);
    place.fails(&["config", "init", "--profile", "b", "--store-credentials"], &account, 4);
    assert_eq!(fs::read_to_string(place.config()).unwrap(), text);
}

#[test]
fn init_leaves_links_and_line_ends_and_loses_no_profile_of_another_run() {
    let place = Place::new();
    place.configure("");
    let real = place.dir.path().join("dotfiles.toml");
    fs::write(&real, "\u{feff}# mine\r\n[profiles.a]\r\nkey = \"x\" # why").unwrap();
    fs::remove_file(place.config()).unwrap();
    std::os::unix::fs::symlink(&real, place.config()).unwrap();
    assert!(place.output(&["config", "init", "--key", "k"], &[]).status.success());
    assert!(fs::symlink_metadata(place.config()).unwrap().is_symlink());
    assert_eq!(
        fs::read_to_string(&real).unwrap(),
        "\u{feff}# mine\r\n[profiles.a]\r\nkey = \"x\" # why\r\n\r\n\
         [profiles.default]\r\nkey = \"k\"\r\n"
    );
    let names: Vec<String> = (0..8).map(|number| format!("p{number}")).collect();
    let runs: Vec<_> = names
        .iter()
        .map(|name| {
            place
                .command(&["config", "init", "--profile", name], &[])
                .stdout(std::process::Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    for mut run in runs {
        assert!(run.wait().unwrap().success());
    }
    for name in &names {
        assert_eq!(place.show(&["--profile", name], &[])["profile"]["value"], json!(name));
    }
    // A file that is not there yet is written once, too.
    let place = Place::new();
    let runs = ["a", "b", "c"].map(|name| {
        place
            .command(&["config", "init", "--profile", name], &[])
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap()
    });
    for mut run in runs {
        assert!(run.wait().unwrap().success());
    }
    for name in ["a", "b", "c"] {
        place.show(&["--profile", name], &[]);
    }
}
