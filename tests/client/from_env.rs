//! Clients that the environment configures. What it holds is set for children of this process, as
//! setting it in a process with several threads is not safe.

use ncp_envelope::blocking::wait;
use ncp_envelope::emulator::Emulator;
use ncp_envelope::kms::Client;
use std::process::Command;

const TAG: &str = "NCP_ENVELOPE_TEST_KEY_TAG";

/// What a child with these variables makes of a client and of one call.
fn outcome(tag: &str, variables: &[(&str, &str)]) -> String {
    let home = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "from_env::what_a_child_does", "--nocapture"]);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("NC") {
            child.env_remove(name);
        }
    }
    child.env("HOME", home.path()).env("USERPROFILE", home.path()).env(TAG, tag);
    child.env("NCLOUD_METADATA_API_ENDPOINT", "http://127.0.0.1:1");
    let output = child.envs(variables.iter().copied()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let outcome = said.lines().find_map(|line| line.split_once("outcome: "));
    outcome.unwrap_or_else(|| panic!("{output:?}")).1.to_owned()
}

#[test]
// Its parent reads the outcome there.
#[allow(clippy::print_stdout)]
fn what_a_child_does() {
    // Only a child has the variable; elsewhere there is nothing to do.
    let Ok(tag) = std::env::var(TAG) else { return };
    let call = || -> ncp_envelope::Result<String> {
        let client = Client::from_env()?;
        let ciphertext = wait(client.key(tag)?.encrypt(b"hello"))??;
        Ok(format!("{ciphertext:.9} {} {}", client.api(), client.current_access_token().is_some()))
    };
    println!("outcome: {}", call().unwrap_or_else(|error| error.to_string()));
}

#[test]
fn the_environment_alone_configures_a_client() {
    let emulator = Emulator::builder().tls().start_blocking().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let certificate = file("ca.pem", emulator.certificate_pem().unwrap());
    let to = [("NCP_KMS_ENDPOINT", emulator.url()), ("NCP_KMS_CA_CERT", &*certificate)];
    let account =
        [("NCP_ACCESS_KEY", emulator.access_key()), ("NCP_SECRET_KEY", emulator.secret_key())];
    let tag = emulator.key_tag();
    let call = |more: &[(&str, &str)]| outcome(tag, &[&to, &account, more].concat());
    assert_eq!(call(&[]), "ncpkms:v1 2.0 false");
    let gateway = ("NCP_APIGW_API_KEY", emulator.apigw_api_key());
    let first = call(&[("NCP_KMS_API", "1"), ("NCP_KMS_SIGNATURE", "v1"), gateway]);
    assert_eq!(first, "ncpkms:v1 1.0 false");
    let token = wait(emulator.access_token()).unwrap().unwrap();
    let tokens = file("tokens.json", &format!(r#"{{"accessToken":"{token}","refreshToken":"r"}}"#));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&tokens, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    assert_eq!(call(&[("NCP_KMS_TOKEN_STORE", &tokens)]), "ncpkms:v1 2.0 true");

    // Every place that was searched.
    let said = outcome(tag, &to);
    for place in [
        "no credentials: set NCP_ACCESS_KEY and NCP_SECRET_KEY, NCP_KMS_ACCESS_TOKEN, or NCLOUD_",
        "no keys are in ",
        "configure",
        "no server role: the metadata service at http://127.0.0.1:1: ",
    ] {
        assert!(said.contains(place), "{said}");
    }

    let absent = folder.path().join("absent.pem");
    for (variable, value, says) in [
        ("NCP_KMS_ENDPOINT", "korea", "an endpoint is global, kr, jp, gov, fin or a url"),
        ("NCP_KMS_ENDPOINT", "http://kms.example", "https unless its host is a loopback address"),
        ("NCP_KMS_API", "3", "1 or 2"),
        ("NCP_KMS_SIGNATURE", "2", "v1 or v2"),
        ("NCP_KMS_PROXY", "socks5://CANARY@proxy", "another scheme than http and https"),
        ("NCP_KMS_CA_CERT", absent.to_str().unwrap(), "cannot read root certificates"),
        ("NCP_SECRET_KEY", "two CANARY", "NCP_SECRET_KEY has a space"),
        ("NCLOUD_METADATA_API_ENDPOINT", "https://x", "http://"),
    ] {
        let said = call(&[(variable, value)]);
        assert!(said.starts_with(variable) && said.contains(says), "{variable}={value}: {said}");
        assert!(!said.contains("CANARY"), "{said}");
    }
}
