//! The program's connection to the service: the environment's proxy, and the system's certificates.

use crate::connect_proxy::{ConnectProxy, Rule};
use ncp_envelope::emulator::Emulator;

use std::process::{Command, Output};

const USER: &str = "someone:CANARYpass";

/// Makes one call to `emulator`, in an environment that has only `env`.
async fn call(emulator: &Emulator, args: &[&str], env: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ncp-envelope"));
    command.env_clear().args(["cipher", "custom-key", "--endpoint", emulator.url()]);
    command.args(["--key", emulator.key_tag()]).args(args);
    command.env("NCP_ACCESS_KEY", emulator.access_key());
    command.env("NCP_SECRET_KEY", emulator.secret_key());
    command.envs(env.iter().copied());
    command.stdin(std::process::Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let said = format!("{output:?}");
    assert!(!said.contains("CANARY"), "{said}");
    output
}

fn error(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    /// The certificate of `emulator` in a file.
    fn certificate(&self, name: &str, emulator: &Emulator) -> String {
        std::fs::write(self.path(name), emulator.certificate_pem().unwrap()).unwrap();
        self.path(name)
    }
}

async fn tls() -> Emulator {
    Emulator::builder().tls().start().await.unwrap()
}

#[tokio::test]
async fn the_environments_proxy_is_used_where_it_was_chosen() {
    let (emulator, place) = (tls().await, Place::new());
    let proxy = ConnectProxy::start(Rule::Connects).await;
    let ca = place.certificate("ca.pem", &emulator);
    let url = proxy.url();
    let system = ["--ca-cert", &ca, "--proxy", "system"];
    let mut tunnels = 0;
    for (args, env, through) in [
        (&system[..], &[("HTTPS_PROXY", url.as_str())][..], true),
        (&system, &[("https_proxy", &url)], true),
        (&system, &[("ALL_PROXY", &url)], true),
        (&system, &[("all_proxy", &url[7..])], true),
        (&system, &[("HTTPS_PROXY", ""), ("all_proxy", &url)], true),
        (&system, &[("HTTPS_PROXY", &url), ("NO_PROXY", "kms.example")], true),
        (&system, &[("HTTPS_PROXY", &url), ("NO_PROXY", "kms.example,127.0.0.1")], false),
        (&system, &[("HTTPS_PROXY", &url), ("no_proxy", "127.0.0.0/8")], false),
        (&system, &[("HTTPS_PROXY", &url), ("NO_PROXY", "*")], false),
        (&system, &[("HTTP_PROXY", &url)], false),
        (&system, &[], false),
        (&system, &[("HTTPS_PROXY", &url), ("REQUEST_METHOD", "GET")], true),
        (&system[..2], &[("HTTPS_PROXY", &url), ("ALL_PROXY", &url)], false),
        (&system[..2], &[("HTTPS_PROXY", &url), ("NCP_KMS_PROXY", "system")], true),
        (&["--ca-cert", &ca, "--proxy", &url], &[("NO_PROXY", "*")], true),
        (&["--ca-cert", &ca, "--proxy", "none"], &[("NCP_KMS_PROXY", &url)], false),
    ] {
        let output = call(&emulator, args, env).await;
        assert!(output.status.success(), "{args:?} {env:?}: {output:?}");
        tunnels += usize::from(through);
        assert_eq!(proxy.asked().len(), tunnels, "{args:?} {env:?}");
    }
}

#[tokio::test]
async fn a_proxy_that_cannot_be_used_is_never_gone_past() {
    let (emulator, place) = (tls().await, Place::new());
    let ca = place.certificate("ca.pem", &emulator);
    let proxy = ConnectProxy::start(Rule::Refuses(407)).await;
    let system = ["--ca-cert", &ca, "--proxy", "system"];

    let odd = "socks5://CANARY@127.0.0.1:1";
    let output = call(&emulator, &system, &[("HTTPS_PROXY", odd)]).await;
    assert!(error(&output, 2).contains("HTTPS_PROXY has another scheme"), "{output:?}");
    let output = call(&emulator, &system, &[("all_proxy", "http://CANARY:CANARY")]).await;
    assert!(error(&output, 2).contains("all_proxy is not the url of a proxy"), "{output:?}");

    // A password is taken from the environment only, and not shown when it is refused.
    let url = proxy.url_for(USER);
    let output = call(&emulator, &["--ca-cert", &ca], &[("NCP_KMS_PROXY", &url)]).await;
    assert!(error(&output, 5).contains("through the proxy: proxy authorization required"));
    let asked = proxy.asked().len();
    let output = call(&emulator, &["--ca-cert", &ca, "--proxy", &url], &[]).await;
    assert!(error(&output, 2).contains("set NCP_KMS_PROXY instead"), "{output:?}");
    assert_eq!((proxy.asked().len(), emulator.request_count()), (asked, 0));
}

#[tokio::test]
async fn given_certificates_are_trusted_beside_the_systems() {
    let (ours, systems, place) = (tls().await, tls().await, Place::new());
    let system = place.certificate("system.pem", &systems);
    let ca = place.certificate("ca.pem", &ours);
    let env = [("SSL_CERT_FILE", system.as_str())];
    for emulator in [&ours, &systems] {
        let output = call(emulator, &["--ca-cert", &ca], &env).await;
        assert!(output.status.success(), "{output:?}");
    }
    let output = call(&ours, &[], &[env[0], ("NCP_KMS_CA_CERT", &ca)]).await;
    assert!(output.status.success(), "{output:?}");
    // Or none of the system's.
    let only = ["--ca-cert", &ca, "--ca-cert-only"];
    assert!(call(&ours, &only, &env).await.status.success());
    let output = call(&systems, &only, &env).await;
    let text = error(&output, 5);
    assert!(text.contains("; no authority that is trusted has signed it"), "{text}");
    let output = call(&ours, &["--ca-cert-only"], &env).await;
    assert!(error(&output, 2).contains("only given root certificates are trusted, and none is"));
}

#[tokio::test]
async fn a_machine_without_certificates_is_a_fault_where_they_are_needed() {
    let (emulator, plain, place) = (tls().await, Emulator::start().await.unwrap(), Place::new());
    let empty = place.path("empty");
    std::fs::create_dir(&empty).unwrap();
    let ca = place.certificate("ca.pem", &emulator);
    let none = [("SSL_CERT_DIR", empty.as_str())];
    let output = call(&emulator, &[], &none).await;
    assert!(error(&output, 5).contains("this system has no certificates"), "{output:?}");
    assert!(call(&emulator, &["--ca-cert", &ca], &none).await.status.success());
    assert!(call(&plain, &[], &none).await.status.success());

    // The error names a file that is missing, or is something else.
    let (absent, text) = (place.path("absent.pem"), place.path("text.pem"));
    std::fs::write(&text, "CANARY").unwrap();
    for (file, said) in [
        (&absent, "which cannot be read: "),
        (&empty, "which cannot be read: not a file"),
        (&text, "which holds no certificate in pem"),
    ] {
        let env = [("SSL_CERT_FILE", file.as_str())];
        let output = call(&emulator, &["--ca-cert", &ca], &env).await;
        let text = error(&output, 2);
        assert!(text.contains(&format!("SSL_CERT_FILE names {file}, {said}")), "{text}");
        assert!(call(&plain, &[], &env).await.status.success());
        let only = ["--ca-cert", &ca, "--ca-cert-only"];
        assert!(call(&emulator, &only, &env).await.status.success());
    }
    let output = call(&emulator, &["--ca-cert", &absent], &[]).await;
    assert!(error(&output, 1).contains(&absent), "{output:?}");
    let output = call(&plain, &["--ca-cert", &ca], &[]).await;
    assert!(error(&output, 2).contains("endpoint url is plain http"), "{output:?}");

    // The embedded service does not use TLS, and needs none of this.
    let mut local = Command::new(env!("CARGO_BIN_EXE_ncp-envelope"));
    local.env_clear().env("HOME", place.path("home")).envs(none);
    local.env("SSL_CERT_FILE", &absent).env("HTTPS_PROXY", "http://127.0.0.1:1");
    local.args(["cipher", "custom-key", "--local"]);
    let output = tokio::task::spawn_blocking(move || local.output()).await.unwrap().unwrap();
    assert!(output.status.success(), "{output:?}");
}
