//! Clients that a configuration file sets up. What the environment holds is set for children of
//! this process, as in `from_env`.

use ncp_envelope::blocking::wait;
use ncp_envelope::emulator::Emulator;
use ncp_envelope::kms::{Client, ClientBuilder, Profile};
use ncp_envelope::{ErrorKind, Result};
use proptest::prelude::*;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a child is to do, and with which profile.
const TASK: &str = "PROFILE_TEST_TASK";
const NAME: &str = "PROFILE_TEST_NAME";

/// A home with a configuration file.
struct Home(tempfile::TempDir);

impl Home {
    fn new(config: &str) -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        home.write(config);
        home
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("ncp-envelope/config.toml")
    }

    fn write(&self, config: impl AsRef<[u8]>) {
        fs::create_dir_all(self.path().parent().unwrap()).unwrap();
        fs::write(self.path(), config).unwrap();
        set_mode(&self.path(), 0o600);
    }

    /// What a child with these variables does with the profile `name`.
    fn child(&self, task: &str, name: Option<&str>, variables: &[(&str, &str)]) -> String {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "profile::what_a_child_does", "--nocapture"]);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("NC") {
                child.env_remove(name);
            }
        }
        for variable in ["HOME", "USERPROFILE", "APPDATA", "XDG_CONFIG_HOME"] {
            child.env(variable, self.0.path());
        }
        child.env("NCLOUD_METADATA_API_ENDPOINT", "http://127.0.0.1:1").env(TASK, task);
        child.envs(name.map(|name| (NAME, name)));
        let output = child.envs(variables.iter().copied()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(!said.contains("CANARY"), "{said}");
        let outcome = said.lines().find_map(|line| line.split_once("outcome: "));
        outcome.unwrap_or_else(|| panic!("{output:?}")).1.to_owned()
    }
}

fn set_mode(path: &Path, mode: u32) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    #[cfg(not(unix))]
    let _ = (path, mode);
}

#[test]
// Its parent reads the outcome there.
#[allow(clippy::print_stdout)]
fn what_a_child_does() {
    // Only a child has the variable; elsewhere there is nothing to do.
    let Ok(task) = std::env::var(TASK) else { return };
    let name = std::env::var(NAME).ok();
    let name = name.as_deref();
    let outcome = || -> Result<String> {
        match &*task {
            "show" => ClientBuilder::from_profile(name).map(|builder| format!("{builder:?}")),
            "name" => Ok(Profile::load(name)?.map_or("none".to_owned(), |profile| profile.name)),
            tag => {
                let client = Client::from_profile(name)?;
                wait(client.key(tag)?.encrypt(b"hello"))??;
                Ok(format!("{} {}", client.api(), client.current_access_token().is_some()))
            }
        }
    };
    println!("outcome: {}", outcome().unwrap_or_else(|error| error.to_string()));
}

#[test]
fn the_environment_counts_before_the_file_and_the_file_before_the_default() {
    let home = Home::new("");
    let file = |name: &str| home.0.path().join(name).to_str().unwrap().replace('\\', "/");
    let (file_1, file_2) = (file("1"), file("2"));
    let store = |path: &str| format!("token_store: Some(FileTokenStore {{ path: {path:?} }})");
    let (kept_1, kept_2) = (store(&file_1), store(&file_2));
    let none = "token_store: None";
    // A setting in the file, the same in the environment, and what a builder has of either and of
    // neither.
    for (setting, (variable, value), in_file, in_environment, default) in [
        (
            "endpoint = \"kr\"".to_owned(),
            ("NCP_KMS_ENDPOINT", "jp"),
            "endpoint: Endpoint(kr)",
            "endpoint: Endpoint(jp)",
            "endpoint: Endpoint(global)",
        ),
        ("api = 1".to_owned(), ("NCP_KMS_API", "2"), "api: V1", "api: V2", "api: V2"),
        (
            "signature = \"v1\"".to_owned(),
            ("NCP_KMS_SIGNATURE", "v2"),
            "signature: V1",
            "signature: V2",
            "signature: V2",
        ),
        (
            "proxy = \"http://proxy.example\"".to_owned(),
            ("NCP_KMS_PROXY", "system"),
            "proxy: Url(",
            "proxy: System",
            "proxy: None",
        ),
        (
            format!("token_store = \"{file_1}\""),
            ("NCP_KMS_TOKEN_STORE", &file_2),
            &kept_1,
            &kept_2,
            none,
        ),
        (
            "root_certificate_files = [\"a.pem\", \"b.pem\"]".to_owned(),
            ("NCP_KMS_CA_CERT", &file_2),
            "trust: Trust { given: 2, only: false }",
            "trust: Trust { given: 1, only: false }",
            "trust: Trust { given: 0, only: false }",
        ),
        (
            "connect_timeout = \"1s\"\nattempt_timeout = 2\ncall_timeout = \"3s\"".to_owned(),
            ("NCP_UNKNOWN", "1"),
            "connect_timeout: 1s, attempt_timeout: 2s, call_timeout: 3s",
            "connect_timeout: 3s, attempt_timeout: 10s, call_timeout: 30s",
            "connect_timeout: 3s, attempt_timeout: 10s, call_timeout: 30s",
        ),
        (
            "max_attempts = 2\nrate_limit = \"off\"\nqueue_limit = 5\ncircuit_breaker = false"
                .to_owned(),
            ("NCP_UNKNOWN", "1"),
            "max_attempts: 2, rate_limit: Off, queue_limit: 5, circuit_breaker: false",
            "max_attempts: 3, rate_limit: Service, queue_limit: 2048, circuit_breaker: true",
            "max_attempts: 3, rate_limit: Service, queue_limit: 2048, circuit_breaker: true",
        ),
    ] {
        let variable = [(variable, value)];
        home.write("[profiles.default]\n");
        assert!(home.child("show", None, &[]).contains(default), "{setting}");
        assert!(home.child("show", None, &variable).contains(in_environment), "{setting}");
        home.write(format!("[profiles.default]\n{setting}\n"));
        let shown = home.child("show", None, &[]);
        assert!(shown.contains(in_file), "{setting}: {shown}");
        let both = if variable[0].0 == "NCP_UNKNOWN" { in_file } else { in_environment };
        let shown = home.child("show", None, &variable);
        assert!(shown.contains(both), "{setting}: {shown}");
    }
}

#[test]
fn a_profile_is_chosen_by_name_then_the_environment_then_the_file() {
    let plain = "[profiles.default]\n[profiles.a]\n[profiles.b]\n[profiles.c]\n";
    let chosen = format!("default_profile = \"c\"\n{plain}");
    let home = Home::new("");
    let variable = [("NCP_KMS_PROFILE", "b")];
    for (config, name, variables, expected) in [
        (&*chosen, Some("a"), &variable[..], "a"),
        (&chosen, None, &variable, "b"),
        (&chosen, None, &[("NCP_KMS_PROFILE", "")], "c"),
        (&chosen, None, &[], "c"),
        (plain, None, &[], "default"),
        ("[profiles.a]\n", None, &[], "none"),
        ("", None, &[], "none"),
    ] {
        home.write(config);
        assert_eq!(home.child("name", name, variables), expected, "{config:?} {name:?}");
    }
    home.write(plain);
    let said = home.child("name", Some("aa"), &variable);
    assert!(said.ends_with("there is no profile \"aa\": a is meant?"), "{said}");
    let said = home.child("name", None, &[("NCP_KMS_PROFILE", "zzzz")]);
    assert!(said.starts_with("NCP_KMS_PROFILE: ") && said.contains("a, b, c, default"), "{said}");
    // Another file; what is named must be there.
    let other = Home::new("[profiles.other]\n");
    let named = ("NCP_ENVELOPE_CONFIG", other.path().to_str().unwrap().to_owned());
    assert_eq!(home.child("name", Some("other"), &[(named.0, &named.1)]), "other");
    fs::remove_file(other.path()).unwrap();
    let said = home.child("name", None, &[(named.0, &named.1)]);
    assert!(said.starts_with("NCP_ENVELOPE_CONFIG: ") && said.contains("config init"), "{said}");
    fs::remove_file(home.path()).unwrap();
    assert_eq!(home.child("name", None, &[]), "none");
    let said = home.child("name", Some("a"), &[]);
    assert!(said.ends_with("does not exist: write it with ncp-envelope config init"), "{said}");
}

#[test]
fn credentials_come_from_where_the_profile_says() {
    let emulator = Emulator::builder().start_blocking().unwrap();
    let (access, secret) = (emulator.access_key(), emulator.secret_key());
    let home = Home::new("");
    let configure = home.0.path().join(".ncloud/configure");
    fs::create_dir(configure.parent().unwrap()).unwrap();
    let environment = [("NCP_ACCESS_KEY", access), ("NCP_SECRET_KEY", secret)];
    let wrong = [("NCP_ACCESS_KEY", access), ("NCP_SECRET_KEY", "CANARYwrong")];
    let right = format!("ncloud_access_key_id = {access}\nncloud_secret_access_key = {secret}\n");
    let stored = |secret: &str| {
        format!("source = \"stored\"\naccess_key = \"{access}\"\nsecret_key = \"{secret}\"")
    };
    let (good, bad) = (stored(secret), stored("CANARYwrong"));
    let works = "2.0 false";
    for (source, file, variables, says) in [
        ("source = \"automatic\"", &*right, &[][..], works),
        ("source = \"automatic\"", "", &environment, works),
        ("source = \"automatic\"", &right, &wrong, "the key service refused"),
        ("source = \"environment\"", &right, &[], "no credentials: set NCP_ACCESS_KEY"),
        ("source = \"environment\"", "", &environment, works),
        ("source = \"configure-file\"", &right, &wrong, works),
        ("source = \"configure-file\"", "", &environment, "no credentials: no keys are in "),
        ("source = \"server-role\"", &right, &environment, "no credentials: no server role: "),
        (&good, "", &[], works),
        (&bad, &right, &[], "the key service refused"),
        (&bad, "", &environment, works),
        (&good, "", &wrong, "the key service refused"),
    ] {
        fs::write(&configure, file).unwrap();
        home.write(format!(
            "[profiles.default]\nendpoint = \"{}\"\n[profiles.default.credentials]\n{source}\n",
            emulator.url()
        ));
        let said = home.child(emulator.key_tag(), None, variables);
        assert!(said.contains(says), "{source} {file:?} {variables:?}: {said}");
    }
    home.write("[profiles.default]\nlocal = true\n");
    let said = home.child(emulator.key_tag(), None, &[]);
    assert!(said.contains("is for the embedded key service of the program"), "{said}");
}

const SECRET: &str = "[profiles.plain]\n[profiles.other.credentials]\nsource = \"stored\"\n\
                      access_key = \"CANARY1\"\nsecret_key = \"CANARY2\"\n";
const PLAIN: &str = "[profiles.plain]\nkey = \"tag\"\n";

fn refused(path: &Path) -> String {
    let error = Profile::from_file(path, Some("plain")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Credentials, "{error}");
    assert!(!format!("{error} {error:?}").contains("CANARY"), "{error:?}");
    error.to_string()
}

#[cfg(unix)]
#[test]
fn a_file_with_a_secret_is_for_its_owner_alone() {
    let home = Home::new(SECRET);
    let path = home.path();
    let commented = format!("{PLAIN}# secret_key = \"CANARY\"\n");
    let broken = format!("{SECRET}key = \"CANARY\n");
    for text in [SECRET, &commented, &broken] {
        home.write(text);
        for mode in [0o644, 0o640, 0o604, 0o440, 0o610, 0o660] {
            set_mode(&path, mode);
            let said = refused(&path);
            assert!(said.contains("chmod"), "{mode:o}: {said}");
        }
    }
    home.write(SECRET);
    set_mode(&path, 0o400);
    let profile = Profile::from_file(&path, Some("other")).unwrap();
    assert!(!format!("{profile:?}").contains("CANARY"));
    // What anyone may read is not for anyone to write: it says where data keys go.
    home.write(PLAIN);
    for (mode, good) in [(0o644, true), (0o444, true), (0o664, false), (0o646, false)] {
        set_mode(&path, mode);
        assert_eq!(Profile::from_file(&path, Some("plain")).is_ok(), good, "{mode:o}");
    }
    // Only root may give a file away.
    set_mode(&path, 0o600);
    if std::os::unix::fs::chown(&path, Some(12_345), None).is_ok() {
        assert!(refused(&path).contains("user 12345"));
    }
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_refused_and_not_waited_for() {
    let home = Home::new(PLAIN);
    let link = home.0.path().join("link.toml");
    std::os::unix::fs::symlink(home.path(), &link).unwrap();
    assert_eq!(Profile::from_file(&link, Some("plain")).unwrap().path, link);
    // A secret is as visible as the file behind the link.
    home.write(SECRET);
    set_mode(&home.path(), 0o644);
    assert!(refused(&link).contains("chmod 600"));
    assert!(refused(home.0.path()).contains("is not a file of at most 1048576 bytes"));
    let pipe = home.0.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    assert!(refused(&pipe).contains("is not a file"));
    assert!(refused(Path::new("/dev/zero")).contains("is not a file"));
    let long = "#".repeat((1 << 20) - PLAIN.len());
    home.write(format!("{PLAIN}{long}"));
    assert!(Profile::from_file(home.path(), Some("plain")).is_ok());
    home.write(format!("{PLAIN}{long}#"));
    assert!(refused(&home.path()).contains("is not a file of at most 1048576 bytes"));
}

#[test]
fn the_example_of_the_page_is_a_configuration() {
    let page = include_str!("../../docs/configuration.md");
    let (_, example) = page.split_once("```toml\n").unwrap();
    let home = Home::new(example.split_once("```").unwrap().0);
    assert_eq!(Profile::names(home.path()).unwrap(), ["gov", "try", "work"]);
    let work = Profile::from_file(home.path(), None).unwrap();
    assert_eq!((work.name.as_str(), work.scope.as_deref()), ("work", Some("tenant-42")));
    assert!(work.cache.is_some() && work.token_store.unwrap().is_absolute());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_text_makes_it_panic_or_show_a_secret(parts in prop::collection::vec(
        prop_oneof![
            4 => prop::sample::select(vec![
                "[profiles.plain]", "[profiles.plain.credentials]", "[[profiles]]", "\n", "\r\n",
                "profiles", ".", "plain", " = ", "=", "{", "}", "[", "]", ",", "\"", "'", "\"\"\"",
                "'''", "\\", "#", "key", "cache", "ttl", "\"5m\"", "source", "\"stored\"",
                "secret_key", "access_key", "proxy", "api", "1", "-1", "1e9", "true", "2026-01-01",
                "default_profile", "\u{feff}", "\u{e9}",
            ]).prop_map(str::to_owned),
            1 => "\\PC{0,8}",
        ],
        0..40,
    )) {
        let home = Home::new("");
        let text = parts.concat();
        home.write(text.replace("secret_key", "secret_key=\"CANARY\""));
        let read = format!("{:?}", Profile::from_file(home.path(), Some("plain")));
        prop_assert!(!read.contains("CANARY"), "{}", read);
    }
}
