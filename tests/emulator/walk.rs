//! The service walked through without a line of this crate's on the calling side.

use ncp_envelope::emulator::Emulator;
use std::process::Command;

fn is_there(program: &str) -> bool {
    Command::new(program).arg("version").output().is_ok()
}

/// Where one of the three programs is missing there is nothing to test, except that the checks
/// bring them.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn curl_and_openssl_are_enough() {
    if !["sh", "curl", "openssl"].into_iter().all(is_there) {
        assert!(std::env::var_os("CI").is_none(), "the checks install sh, curl and openssl");
        return;
    }
    let emulator = Emulator::start().await.unwrap();
    let output = Command::new("sh")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/emulator/walk.sh"))
        .env("URL", emulator.url())
        .env("ACCESS_KEY", emulator.access_key())
        .env("SECRET_KEY", emulator.secret_key())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(said.lines().filter(|line| line.ends_with(": ok")).count(), 11, "{said}");
    assert!(emulator.requests().iter().all(|request| request.status == 200));
}
