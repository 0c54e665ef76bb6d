//! Token stores of the program: tokens that one command issues and others use.

use crate::server::{Reply, Request, Server, success};
use serde_json::json;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

fn token(name: &str, tag: &str, ends: i64) -> String {
    use base64::Engine;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    let claims = format!(
        r#"{{"sub":"{name}","2":"keytag__{tag}","iat":{},"exp":{}}}"#,
        now - 4_000,
        now + ends
    );
    format!("CANARY.{}.x", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(claims))
}

fn program(server: &Server, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ncp-envelope"));
    command.env_clear().args(args).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env("NCP_KMS_ENDPOINT", server.url()).env("NCP_KMS_KEY_TAG", "tag");
    command
}

/// Exit code, standard output and standard error of a running program.
async fn done(child: Child) -> (i32, String, String) {
    let output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap());
    let output = output.await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// Accepts the access token `good`, and issues it together with `refresh`.
async fn issuing(good: String, refresh: String) -> Server {
    Server::start(move |request, _| match request.path.rsplit('/').next().unwrap() {
        "access-token" => success(json!({ "accessToken": good })).after(Duration::from_millis(500)),
        "token-set" => success(json!({ "accessToken": good, "refreshToken": refresh })),
        _ if request.header("x-ncp-ocapi-token") == Some(&good) => {
            success(json!({ "ciphertext": "ncpkms:v1:AAAA" }))
        }
        _ => Reply::json(401, &json!({ "code": "UNAUTHORIZED" })),
    })
    .await
}

fn count(server: &Server, which: impl Fn(&Request) -> bool) -> usize {
    server.requests().iter().filter(|request| which(request)).count()
}

fn write(path: &Path, access: &str, refresh: &str) {
    std::fs::write(path, json!({ "accessToken": access, "refreshToken": refresh }).to_string())
        .unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_processes_with_one_store_make_one_refresh() {
    let directory = tempfile::tempdir().unwrap();
    let (store, input) = (directory.path().join("tokens"), directory.path().join("input"));
    std::fs::write(&input, "x").unwrap();
    let good = token("good", "tag", 3_600);
    let server = issuing(good.clone(), String::new()).await;
    write(&store, &token("old", "tag", -1), &token("refresh", "tag", 36_000));
    let children: Vec<_> = (0..4)
        .map(|_| {
            program(&server, &["cipher", "encrypt", input.to_str().unwrap()])
                .env("NCP_KMS_TOKEN_STORE", &store)
                .spawn()
                .unwrap()
        })
        .collect();
    for child in children {
        assert_eq!(done(child).await, (0, "ncpkms:v1:AAAA\n".to_owned(), String::new()));
    }
    assert_eq!(count(&server, |request| request.path.ends_with("/access-token")), 1);
    assert!(std::fs::read_to_string(&store).unwrap().contains(&good));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_set_that_is_issued_into_a_store_serves_the_next_commands() {
    let directory = tempfile::tempdir().unwrap();
    let (store, input) = (directory.path().join("tokens"), directory.path().join("input"));
    std::fs::write(&input, "x").unwrap();
    let (store, input) = (store.to_str().unwrap(), input.to_str().unwrap());
    let refresh = token("refresh", "tag", 36_000);
    let server = issuing(token("good", "tag", 3_600), refresh.clone()).await;
    // With or without a name of its own.
    for args in [
        &["tokens", "issue", "--store", "--token-store", store][..],
        &["tokens", "create", "--store", store],
    ] {
        let mut command = program(&server, args);
        command.env("NCP_ACCESS_KEY", "CANARYa").env("NCP_SECRET_KEY", "CANARYs");
        assert_eq!(
            done(command.spawn().unwrap()).await,
            (0, String::new(), String::new()),
            "{args:?}"
        );
    }
    // No credentials but those in the store.
    for args in [
        &["cipher", "encrypt", "--token-store", store, input][..],
        &["tokens", "renew", "--token-store", store, "--store"],
        &["tokens", "access", "--token-store", store, "--store"],
    ] {
        let (code, _, err) = done(program(&server, args).spawn().unwrap()).await;
        assert_eq!((code, err.as_str()), (0, ""), "{args:?}");
    }
    let from_store =
        |request: &Request| request.header("x-ncp-ocapi-token") == Some(refresh.as_str());
    assert_eq!(count(&server, from_store), 2);
    assert_eq!(count(&server, |request| request.path.ends_with("/encrypt")), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_none_or_another_keys_is_refused_in_words() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("tokens");
    let server = issuing(String::new(), String::new()).await;
    write(&store, &token("good", "other", 3_600), &token("refresh", "other", 3_600));
    for (args, code, words) in [
        (&["cipher", "encrypt", "-"][..], 4, "holds tokens of key other, not of tag"),
        (&["tokens", "create", "--store"], 2, "--store: no file"),
    ] {
        let mut command = program(&server, args);
        if code == 4 {
            command.env("NCP_KMS_TOKEN_STORE", &store);
        }
        let (exit, out, err) = done(command.spawn().unwrap()).await;
        assert_eq!((exit, out.as_str()), (code, ""));
        assert!(err.contains(words) && err.lines().count() == 1, "{err}");
    }
    assert_eq!(server.requests().len(), 0);
}
