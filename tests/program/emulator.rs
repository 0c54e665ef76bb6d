//! The command `emulator`: its options, its addresses, and how it ends.

use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Generous: nothing here takes that long.
const SOON: Duration = Duration::from_secs(30);

/// The program in `dir`, without the caller's settings.
fn program(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ncp-envelope"));
    command.current_dir(dir).env_clear().arg("emulator").stdout(Stdio::piped());
    command
}

/// A standalone emulator, stopped when dropped.
pub(crate) struct Served {
    pub(crate) child: Child,
    connection: Value,
}

impl Served {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        Self { child, connection: serde_json::from_str(&line).unwrap() }
    }

    pub(crate) fn get(&self, field: &str) -> &str {
        self.connection[field].as_str().unwrap()
    }

    fn address(&self) -> SocketAddr {
        self.get("url").split_once("://").unwrap().1.parse().unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until nothing listens there, and returns whether that happened.
fn gone(address: SocketAddr) -> bool {
    let start = Instant::now();
    while TcpStream::connect(address).is_ok() {
        if start.elapsed() > SOON {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

async fn ask(method: &str, url: &str, body: Value) -> Value {
    let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.request(method, url).body(body.to_string()).send().await.unwrap();
    serde_json::from_str(&answer.text().await.unwrap()).unwrap()
}

#[tokio::test]
async fn what_is_fixed_comes_from_a_file_and_options_and_the_environment_win() {
    let dir = tempfile::tempdir().unwrap();
    let config = json!({
        "account": { "accessKey": "file-access", "secretKey": "file-secret" },
        "apigwApiKey": "file-gateway",
        "keyTag": "filetag",
        "clock": "2026-01-31T12:00:00Z",
        "subAccounts": [
            {
                "accessKey": "sub", "secretKey": "sub-secret", "permissions": ["Change/encrypt"],
                "addresses": ["127.0.0.1"],
            },
        ],
    });
    fs::write(dir.path().join("config"), config.to_string()).unwrap();
    let by_file = ["--config", "config", "--listen", "localhost:0", "--admin", "localhost:0"];
    let served = Served::start(program(dir.path()).args(by_file));
    let fields = ["access_key", "secret_key", "apigw_api_key", "key_tag"];
    assert_eq!(
        fields.map(|field| served.get(field)),
        ["file-access", "file-secret", "file-gateway", "filetag"]
    );
    assert!(served.address().ip().is_loopback());
    let clock = ask("GET", &format!("{}/clock", served.get("admin_url")), Value::Null).await;
    assert_eq!(clock["now"], 1_769_860_800_000_u64);
    // Nothing is written: the state is in memory.
    let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["config"]);

    let served = Served::start(
        program(dir.path())
            .args(["--config", "config", "--key-tag", "optiontag", "--metadata", "127.0.0.1:0"])
            .env("NCP_EMULATOR_ACCESS_KEY", "env-access")
            .env("NCP_EMULATOR_SECRET_KEY", "env-secret")
            .env("NCP_EMULATOR_APIGW_API_KEY", "env-gateway")
            // Real ones are not taken over.
            .env("NCP_ACCESS_KEY", "real")
            .env("NCP_SECRET_KEY", "real"),
    );
    assert_eq!(
        fields.map(|field| served.get(field)),
        ["env-access", "env-secret", "env-gateway", "optiontag"]
    );
    assert!(served.get("metadata_url").starts_with("http://127.0.0.1:"));
    let health = ask("GET", &format!("{}/health", served.get("url")), Value::Null).await;
    assert_eq!(health, json!({ "status": "ok" }));
}

#[tokio::test]
async fn tls_comes_with_a_certificate_to_trust() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("ca"), "an older one").unwrap();
    let served = Served::start(program(dir.path()).args(["--tls", "--ca-out", "ca"]));
    let pem = fs::read_to_string(dir.path().join("ca")).unwrap();
    assert_eq!(pem, served.get("certificate_pem"));
    let trusted = reqwest::Certificate::from_pem(pem.as_bytes()).unwrap();
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([trusted]).build().unwrap();
    let health = client.get(format!("{}/health", served.get("url"))).send().await.unwrap();
    assert_eq!(health.status(), 200);

    // By its name in a container.
    let named = ["--tls", "--tls-name", "kms.test", "--listen", "0.0.0.0:0", "--allow-remote"];
    let served = Served::start(program(dir.path()).args(named));
    let trusted = reqwest::Certificate::from_pem(served.get("certificate_pem").as_bytes()).unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], served.address().port()));
    for (name, accepted) in [("kms.test", true), ("localhost", true), ("other.test", false)] {
        let client = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([trusted.clone()])
            .resolve(name, address)
            .build()
            .unwrap();
        let url = format!("https://{name}:{}/health", address.port());
        assert_eq!(client.get(url).send().await.is_ok(), accepted, "{name}");
    }
}

#[test]
fn it_ends_when_its_standard_input_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let mut served =
        Served::start(program(dir.path()).arg("--exit-with-parent").stdin(Stdio::piped()));
    assert!(TcpStream::connect(served.address()).is_ok());
    drop(served.child.stdin.take());
    assert_eq!(served.child.wait().unwrap().code(), Some(0));
    assert!(gone(served.address()));
}

#[cfg(unix)]
#[test]
fn it_ends_when_its_parent_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "\"$PROGRAM\" emulator --exit-with-parent </dev/null & echo $! >pid; wait"])
        .env("PROGRAM", env!("CARGO_BIN_EXE_ncp-envelope"))
        .current_dir(dir.path())
        .stdout(Stdio::piped());
    let mut served = Served::start(&mut shell);
    assert!(TcpStream::connect(served.address()).is_ok());
    served.child.kill().unwrap();
    served.child.wait().unwrap();
    let gone = gone(served.address());
    if !gone {
        // Nothing else will.
        let pid = fs::read_to_string(dir.path().join("pid")).unwrap();
        Command::new("kill").arg(pid.trim()).status().unwrap();
    }
    assert!(gone, "it goes on without its parent");
}

#[test]
fn the_guide_has_every_option() {
    let help = program(Path::new(".")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let guide = include_str!("../../docs/emulator.md");
    let mut options: Vec<_> =
        help.split_whitespace().filter(|word| word.starts_with("--")).collect();
    // Every command has these.
    options.retain(|option| !["--help", "--quiet"].contains(option));
    assert!(options.len() > 10, "{help}");
    for option in options {
        let name = option.trim_end_matches([',', '.']);
        assert!(guide.contains(&format!("| `{name}")), "{name} has no row");
    }
}

#[test]
fn the_guides_configuration_is_taken() {
    let guide = include_str!("../../docs/emulator.md");
    let (_, example) = guide.split_once("```json\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("config"), example).unwrap();
    let served = Served::start(program(dir.path()).args(["--config", "config"]));
    let expected: Value = serde_json::from_str(example).unwrap();
    assert_eq!(served.connection["access_key"], expected["account"]["accessKey"]);
    assert_eq!(served.connection["key_tag"], expected["keyTag"]);
    // A misspelt field is not ignored.
    fs::write(dir.path().join("config"), example.replace("keyTag", "keyTags")).unwrap();
    let refused = program(dir.path()).args(["--config", "config"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("line 4") && !said.contains("secret"), "{said}");
}

#[test]
fn without_a_parent_to_end_with_it_stays() {
    let dir = tempfile::tempdir().unwrap();
    let mut served = Served::start(program(dir.path()).stdin(Stdio::piped()));
    drop(served.child.stdin.take());
    assert!(TcpStream::connect(served.address()).is_ok());
    assert!(served.child.try_wait().unwrap().is_none());
}
