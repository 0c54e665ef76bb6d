//! The places where the program finds credentials, in their order.

use crate::server::{Reply, Server, success};
use serde_json::json;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Runs `cipher encrypt` and returns its exit code and output.
async fn run(server: &Server, home: &Path, variables: &[(&str, &str)]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ncp-envelope"));
    command.env_clear().env("HOME", home).stdin(Stdio::null());
    command.env("NCP_KMS_ENDPOINT", server.url()).env("NCP_KMS_KEY_TAG", "tag");
    // Never the test machine's own credentials.
    command.env("NCLOUD_METADATA_API_ENDPOINT", "http://127.0.0.1:1");
    command.envs(variables.iter().copied());
    command.args(["cipher", "encrypt", "-"]);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

async fn service() -> Server {
    Server::start(|_, _| success(json!({ "ciphertext": "ncpkms:v1:AAAA" }))).await
}

async fn metadata() -> Server {
    Server::start(|request, _| match request.path.rsplit('/').next().unwrap() {
        "token" => Reply::new(404, "text/plain", ""),
        "" => Reply::new(200, "text/plain", "role"),
        _ => Reply::json(
            200,
            &json!({ "Code": "Success", "AccessKeyId": "role", "SecretAccessKey": "CANARY",
                "Expiration": "2100-01-01T00:00:00Z" }),
        ),
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_place_that_has_any_is_used_and_the_network_is_asked_last() {
    let (home, empty) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::create_dir(home.path().join(".ncloud")).unwrap();
    std::fs::write(
        home.path().join(".ncloud/configure"),
        "[DEFAULT]\nncloud_access_key_id = file\nncloud_secret_access_key = CANARY\n",
    )
    .unwrap();
    let secret = home.path().join("secret");
    std::fs::write(&secret, "CANARY\n").unwrap();
    let (server, role) = (service().await, metadata().await);
    let role_url = role.url();
    let metadata = ("NCLOUD_METADATA_API_ENDPOINT", role_url.as_str());
    let ours = [("NCP_ACCESS_KEY", "ours"), ("NCP_SECRET_KEY", "CANARY")];
    let mounted = [ours[0], ("NCP_SECRET_KEY_FILE", secret.to_str().unwrap())];
    let vendor = [("NCLOUD_ACCESS_KEY", "vendor"), ("NCLOUD_SECRET_ACCESS_KEY", "CANARY")];
    let token = ("NCP_KMS_ACCESS_TOKEN", "CANARYtoken");
    for (home, variables, expected) in [
        (&home, &[ours[0], ours[1], vendor[0], vendor[1], metadata][..], Some("ours")),
        (&home, &[mounted[0], mounted[1], metadata], Some("ours")),
        (&home, &[vendor[0], vendor[1], metadata], Some("vendor")),
        (&home, &[token, metadata], None),
        (&home, &[metadata], Some("file")),
        (&empty, &[token, metadata], None),
        // A proxy is not for the machine's own network.
        (&empty, &[metadata, ("http_proxy", "http://127.0.0.1:1")], Some("role")),
    ] {
        let before = server.requests().len();
        let (code, said) = run(&server, home.path(), variables).await;
        assert_eq!((code, said.as_str()), (0, ""), "{variables:?}");
        let requests = server.requests().split_off(before);
        assert_eq!(requests.len(), 1);
        assert_eq!(requests[0].header("x-ncp-iam-access-key"), expected);
        assert_eq!(role.requests().is_empty(), expected != Some("role"), "{variables:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn off_the_cloud_it_is_known_soon_that_there_are_none_and_where_was_looked() {
    let home = tempfile::tempdir().unwrap();
    let server = service().await;
    let silent = Server::start(|_, _| Reply::stalled(200)).await;
    let url = silent.url();
    let places = home.path().join(".ncloud").join("configure").display().to_string();
    for variables in [&[][..], &[("NCLOUD_METADATA_API_ENDPOINT", url.as_str())]] {
        let begun = Instant::now();
        let (code, said) = run(&server, home.path(), variables).await;
        // A second, plus the time to start a program on a busy machine.
        assert!(begun.elapsed() < Duration::from_secs(5));
        assert_eq!(code, 4, "{said}");
        for place in ["NCP_ACCESS_KEY", "NCLOUD_ACCESS_KEY_ID", &places, "the metadata service at"]
        {
            assert!(said.contains(place), "{place}: {said}");
        }
        assert_eq!(said.lines().count(), 1);
    }
    assert!(server.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_half_set_or_set_twice_is_not_passed_over() {
    let home = tempfile::tempdir().unwrap();
    let server = service().await;
    for (variables, words) in [
        (
            &[("NCP_ACCESS_KEY", "a"), ("NCP_ACCESS_KEY_FILE", "b"), ("NCP_SECRET_KEY", "CANARY")]
                [..],
            "NCP_ACCESS_KEY and NCP_ACCESS_KEY_FILE are both set",
        ),
        (&[("NCLOUD_SECRET_KEY", "CANARY")], "NCLOUD_SECRET_ACCESS_KEY is set and"),
        (&[("NCLOUD_METADATA_API_ENDPOINT", "https://CANARY:x@y")], "must begin with http://"),
    ] {
        let (code, said) = run(&server, home.path(), variables).await;
        assert!(code == 4 || code == 2, "{said}");
        assert!(said.contains(words) && !said.contains("CANARY"), "{said}");
    }
}
