//! The commands `keys`, `tokens` and `cipher` against a scripted server.

use crate::server::{Reply, Request, Server, success};
#[allow(dead_code)]
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Stdio};

const SECRETS: [&str; 4] = ["CANARYsecret", "CANARYaccess", "CANARYtoken", "CANARYrefresh"];

struct Done {
    code: i32,
    out: String,
    err: String,
}

/// Runs the program with account credentials and tokens in its environment, and without a terminal.
async fn run(server: &Server, args: &[&str], stdin: &[u8]) -> Done {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ncp-envelope"));
    command
        .env_clear()
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.env("NCP_KMS_ENDPOINT", server.url()).env("NCP_KMS_KEY_TAG", "tag");
    command.env("NCP_ACCESS_KEY", "CANARYaccess").env("NCP_SECRET_KEY", "CANARYsecret");
    if !args.contains(&"cipher") {
        command
            .env("NCP_KMS_ACCESS_TOKEN", "CANARYtoken")
            .env("NCP_KMS_REFRESH_TOKEN", "CANARYrefresh");
    }
    let stdin = stdin.to_owned();
    let output = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().unwrap();
        // A command that fails early does not read it.
        let _ = child.stdin.take().unwrap().write_all(&stdin);
        child.wait_with_output().unwrap()
    });
    let output = output.await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let done = Done {
        code: output.status.code().unwrap(),
        out: text(&output.stdout),
        err: text(&output.stderr),
    };
    for secret in SECRETS {
        assert!(
            !done.out.contains(secret) && !done.err.contains(secret),
            "{args:?}: {} {}",
            done.out,
            done.err
        );
    }
    done
}

fn line(request: &Request) -> String {
    let who = request
        .header("x-ncp-ocapi-token")
        .map_or("account", |token| token.strip_prefix("CANARY").unwrap());
    format!(
        "{who} {} {} {}",
        request.method,
        request.path.replace("/kms/v1/keys", ""),
        request.body
    )
    .trim_end()
    .to_owned()
}

fn answer(request: &Request) -> Reply {
    let path = request.path.strip_prefix("/kms/v1/keys").unwrap();
    match (request.method.as_str(), path) {
        ("GET", "/tag") | ("POST", "") => {
            success(json!({ "keyTag": "tag", "keyName": "bad\u{1b}[31m", "status": "ENABLE",
                "keyType": "AES256" }))
        }
        ("GET", "/tag/versions") => success(
            json!({ "versionList": [{ "version": 1, "status": "ENABLE" }, { "version": 12 }] }),
        ),
        ("GET", path) if path.starts_with("?pageNo=1&") => {
            success(json!({ "keyList": [{ "keyTag": "a" }], "totalPageNo": 2 }))
        }
        ("GET", path) if path.starts_with('?') => {
            success(json!({ "keyList": [{ "keyTag": "b", "keyType": "ECDSA" }], "totalPageNo": 2 }))
        }
        ("GET", path) if path.starts_with("/tag/activities") => {
            success(json!({ "activityLogList": [{ "api": { "action": "encrypt" } }, {}],
                "totalPageNo": 1 }))
        }
        (_, "/tag/token-set") => {
            success(json!({ "accessToken": "issued1", "refreshToken": "issued\"2" }))
        }
        (_, "/tag/access-token") => success(json!({ "accessToken": "issued3" })),
        (_, "/tag/validate-token") => success(
            json!({ "validated": request.header("x-ncp-ocapi-token") == Some("CANARYtoken") }),
        ),
        (_, "/tag/encrypt") => success(json!({ "ciphertext": "ncpkms:v1:AAAA" })),
        (_, "/tag/re-encrypt") => success(json!({ "newCiphertext": "ncpkms:v2:AAAA" })),
        (_, "/tag/decrypt") => success(json!({ "plaintext": "AAECAw==" })),
        (_, "/tag/create-custom-key") => success(
            json!({ "plaintext": "AAAAAAAAAAAAAAAAAAAAAA==", "ciphertext": "ncpkms:v1:BBBB" }),
        ),
        (_, "/tag/sign") => success(json!({ "signature": "ncpkms:v1:CCCC" })),
        (_, "/tag/verify") => success(json!({ "valid": request.body.contains("CCCC") })),
        (_, "/tag/get-pub-key") => success(
            json!({ "publicKey": "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n" }),
        ),
        _ => success(Value::Null),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_make_the_calls_they_name() {
    let server = Server::start(|request, _| answer(request)).await;
    let table: [(&[&str], &str); 33] = [
        (
            &["keys", "create", "orders", "--type", "ECDSA", "--memo", "m"],
            "account POST  {\"isAutoRotation\":false,\"keyName\":\"orders\",\
             \"keyType\":\"ECDSA\",\"memo\":\"m\",\"protectionType\":\"BASIC\"}",
        ),
        (
            &["keys", "create", "orders", "--convergent", "--auto-rotation=30"],
            "account POST  {\"isAutoRotation\":true,\"isConvergent\":true,\
             \"keyName\":\"orders\",\"keyType\":\"AES256\",\
             \"protectionType\":\"BASIC\",\"rotationPeriod\":30}",
        ),
        (&["keys", "info"], "account GET /tag"),
        (&["keys", "info", "--key", "other/tag"], "account GET /other%2Ftag"),
        (&["keys", "rotate"], "account POST /tag/rotate {}"),
        (&["keys", "enable"], "account POST /tag/enable {}"),
        (&["keys", "disable", "--yes"], "account POST /tag/disable {}"),
        (&["keys", "rename", "other"], r#"account PUT /tag/name {"keyName":"other"}"#),
        (&["keys", "memo", "some text"], r#"account PUT /tag/memo {"memo":"some text"}"#),
        (&["keys", "auto-rotation", "on"], "account POST /tag/enable-auto-rotation {}"),
        (&["keys", "auto-rotation", "off"], "account POST /tag/disable-auto-rotation {}"),
        (
            &["keys", "auto-rotation", "period", "7"],
            r#"account PUT /tag/rotation-period {"rotationPeriod":7}"#,
        ),
        (&["keys", "versions", "list"], "account GET /tag/versions"),
        (&["keys", "versions", "enable", "2"], "account POST /tag/versions/2/enable {}"),
        (&["keys", "versions", "disable", "2", "--yes"], "account POST /tag/versions/2/disable {}"),
        (&["keys", "request-deletion", "--yes"], "account POST /tag/request-deletion {}"),
        (&["keys", "cancel-deletion"], "account POST /tag/cancel-deletion {}"),
        (&["keys", "delete", "--yes"], "account DELETE /tag"),
        (&["keys", "acl", "list"], "account GET /tag/acl"),
        (&["keys", "acl", "enable", "--yes"], "account POST /tag/acl/enable {}"),
        (&["keys", "acl", "disable"], "account POST /tag/acl/disable {}"),
        (
            &["keys", "acl", "add", "203.0.113.7", "203.0.113.8"],
            r#"account POST /tag/acl {"ipList":["203.0.113.7","203.0.113.8"]}"#,
        ),
        (
            &["keys", "acl", "remove", "203.0.113.7"],
            r#"account DELETE /tag/acl {"ipList":["203.0.113.7"]}"#,
        ),
        (
            &["keys", "activities", "--keyword", "x", "--from", "1"],
            "account GET /tag/activities?keyword=x&timestampFrom=1&pageNo=1&pageSize=100",
        ),
        (&["keys", "last-use"], "account GET /tag/last-use-info"),
        (
            &["tokens", "create", "--access-hours", "UL"],
            r#"account POST /tag/token-set {"accessTokenHours":"UL"}"#,
        ),
        (
            &["tokens", "renew", "--refresh-hours", "5"],
            r#"refresh PUT /tag/token-set {"refreshTokenHours":5}"#,
        ),
        (
            &["tokens", "access", "--access-hours", "5"],
            r#"refresh POST /tag/access-token {"accessTokenHours":5}"#,
        ),
        (&["tokens", "validate"], "token GET /tag/validate-token"),
        (&["tokens", "generator", "show"], "account GET /tag/token-generator"),
        (&["tokens", "generator", "enable"], "account POST /tag/token-generator {}"),
        (&["tokens", "generator", "replace", "--yes"], "account PUT /tag/token-generator {}"),
        (&["tokens", "generator", "disable", "--yes"], "account DELETE /tag/token-generator"),
    ];
    let mut made = 0;
    for (index, (args, want)) in table.iter().enumerate() {
        // The other tag gets an answer without a key in it.
        let done = run(&server, args, b"").await;
        assert_eq!(
            done.code,
            if want.contains("other%2Ftag") { 1 } else { 0 },
            "{args:?}: {}",
            done.err
        );
        made += 1;
        let requests = server.requests();
        assert_eq!(requests.len(), made, "{args:?}");
        assert_eq!(line(&requests[made - 1]), *want);
        if done.code == 0 && index % 4 == 2 {
            let json = run(&server, &[args, &["--json"][..]].concat(), b"").await;
            assert!(serde_json::from_str::<Value>(&json.out).is_ok(), "{args:?}: {}", json.out);
            made += 1;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_printed() {
    let server = Server::start(|request, _| answer(request)).await;
    for (args, want) in [
        (
            &["keys", "info"][..],
            "key_tag  tag\n\
             name     bad\\u{1b}[31m\n\
             type     AES256\n\
             status   ENABLE\n",
        ),
        (
            &["keys", "versions", "list"],
            "VERSION  STATUS  STATUS_CHANGED  ROTATED\n\
             1        ENABLE  -               -\n\
             12       -       -               -\n",
        ),
        (
            &["keys", "activities", "--limit", "1"],
            "TIMESTAMP  ACTION   RESULT  REQUESTOR  IP\n-          encrypt  -       -          -\n",
        ),
        (
            &["keys", "list"],
            "KEY_TAG  NAME  TYPE   STATUS  CONVERGENT  REGISTERED\n\
             a        -     -      -       -           -\n\
             b        -     ECDSA  -       -           -\n",
        ),
        (&["keys", "last-use", "--json"], "{}\n"),
        (&["tokens", "create"], "access_token   issued1\nrefresh_token  issued\"2\n"),
        (
            &["tokens", "create", "--json"],
            "{\"access_token\":\"issued1\",\"refresh_token\":\"issued\\\"2\"}\n",
        ),
        (&["tokens", "access"], "issued3\n"),
        (&["tokens", "access", "--json"], "{\"access_token\":\"issued3\"}\n"),
        (&["tokens", "validate"], "valid  true\n"),
    ] {
        let done = run(&server, args, b"").await;
        assert_eq!((done.code, done.out.as_str()), (0, want), "{args:?}: {}", done.err);
    }
    let done = run(&server, &["tokens", "validate", "--refresh"], b"").await;
    assert_eq!((done.code, done.out.as_str()), (4, "valid  false\n"), "{}", done.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_destroys_is_not_done_without_asking_and_misuse_makes_no_call() {
    let server = Server::start(|request, _| answer(request)).await;
    for args in [
        &["keys", "disable"][..],
        &["keys", "delete"],
        &["keys", "request-deletion"],
        &["keys", "versions", "disable", "1"],
        &["keys", "acl", "enable"],
        &["tokens", "generator", "replace"],
        &["tokens", "generator", "disable"],
    ] {
        let done = run(&server, args, b"yes\n").await;
        assert_eq!((done.code, done.out.as_str()), (2, ""), "{args:?}");
        assert!(done.err.contains("--yes"), "{}", done.err);
    }
    for args in [
        &["keys", "list", "--key", "x"][..],
        &["keys", "create", "1"],
        &["keys", "info", "--api", "1"],
        &["keys", "acl", "add", "::1"],
        &["keys", "acl", "add", "203.0.113.0/24"],
        &["tokens", "create", "--access-hours", "0"],
        &["cipher", "encrypt", "--context", ""],
        &["cipher", "custom-key", "--plaintext", "-"],
        &["cipher", "verify"],
    ] {
        let done = run(&server, args, b"x").await;
        assert_eq!(done.code, 2, "{args:?}: {} {}", done.out, done.err);
    }
    assert_eq!(run(&server, &["cipher", "encrypt"], &[0; 32_769]).await.code, 2);
    assert!(server.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cipher_commands_work_as_filters() {
    let server = Server::start(|request, _| answer(request)).await;
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("good.sig"), "ncpkms:v1:CCCC\n").unwrap();
    std::fs::write(path("bad.sig"), "ncpkms:v1:DDDD\n").unwrap();
    let (good, bad, sealed, plain) =
        (path("good.sig"), path("bad.sig"), path("sealed"), path("plain"));
    for (args, stdin, code, want) in [
        (&["cipher", "encrypt"][..], "x", 0, "ncpkms:v1:AAAA\n"),
        (&["cipher", "encrypt", "--context", "c", "-"], "x", 0, "ncpkms:v1:AAAA\n"),
        (&["cipher", "re-encrypt"], " ncpkms:v1:AAAA\n", 0, "ncpkms:v2:AAAA\n"),
        (&["cipher", "decrypt"], "ncpkms:v1:AAAA\n", 0, "\0\u{1}\u{2}\u{3}"),
        (&["cipher", "decrypt", "--base64"], "ncpkms:v1:AAAA", 0, "AAECAw==\n"),
        (&["cipher", "sign"], "data", 0, "ncpkms:v1:CCCC\n"),
        (&["cipher", "verify", "--signature-file", &good], "data", 0, "valid\n"),
        (&["cipher", "verify", "--signature-file", &bad], "data", 3, ""),
        (
            &["cipher", "public-key", "--version-number", "2"],
            "",
            0,
            "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        ),
        (&["cipher", "custom-key"], "", 0, "ncpkms:v1:BBBB\n"),
        (
            &["cipher", "custom-key", "--bits", "128", "--plaintext", &plain, "-o", &sealed],
            "",
            0,
            "",
        ),
        (&["cipher", "encrypt", "-o", &sealed], "x", 2, ""),
        (&["cipher", "decrypt", "-o", &plain], "ncpkms:v1:AAAA", 2, ""),
        (&["cipher", "encrypt", "--force", "-o", &sealed], "x", 0, ""),
    ] {
        let done = run(&server, args, stdin.as_bytes()).await;
        assert_eq!((done.code, done.out.as_str()), (code, want), "{args:?}: {}", done.err);
    }
    assert_eq!(std::fs::read(&plain).unwrap(), [0; 16]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&plain).unwrap().permissions().mode() & 0o077, 0);
    }
    assert_eq!(std::fs::read_to_string(&sealed).unwrap(), "ncpkms:v1:AAAA\n");
    let sent: Vec<String> = server.requests().iter().map(line).collect();
    assert_eq!(
        sent[..4],
        [
            r#"account POST /tag/encrypt {"plaintext":"eA=="}"#,
            r#"account POST /tag/encrypt {"plaintext":"eA==","context":"Yw=="}"#,
            r#"account POST /tag/re-encrypt {"ciphertext":"ncpkms:v1:AAAA"}"#,
            r#"account POST /tag/decrypt {"ciphertext":"ncpkms:v1:AAAA"}"#,
        ]
    );
    assert!(sent.contains(&r#"account POST /tag/get-pub-key {"keyVersion":2}"#.to_owned()));
}
