//! If the system gives no thread, everything that works without one still works, and the rest is an
//! error.
//!
//! The tests run in child processes in which no thread can be started, because the standard library
//! asks for larger stacks than any machine has.

#![cfg(all(feature = "kms", feature = "tokio"))]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use ncp_envelope::io::{FileOptions, FilesOptions};
use ncp_envelope::kms::{Client, Credentials, Endpoint};
use ncp_envelope::{
    CacheLimits, DataKey, DecryptPolicy, EncryptOptions, Envelope, Error, ErrorKind,
    LocalKeyWrapper, PoolLimits, ReuseLimits,
};
use std::process::Command;
use std::time::Duration;

const CHILD: &str = "NCP_ENVELOPE_TEST_WITHOUT_THREADS";
const HOUR: Duration = Duration::from_secs(3_600);

/// Runs `test` in a child process, under this name.
fn without_threads(name: &str, test: impl FnOnce()) {
    in_a_child(name, &[("RUST_MIN_STACK", "4503599627370496")], || {
        assert!(std::thread::Builder::new().spawn(|| ()).is_err(), "there are threads");
        test();
    });
}

fn in_a_child(name: &str, variables: &[(&str, &str)], test: impl FnOnce()) {
    if std::env::var_os(CHILD).is_some() {
        return test();
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    // A caught panic is one too many.
    assert!(!said.contains("panicked"), "{said}");
}

fn wrapper() -> LocalKeyWrapper {
    LocalKeyWrapper::new("local", &DataKey::copy_from(&[7; 32])).unwrap()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn internal<T>(result: Result<T, Error>) {
    let error = result.err().expect("a thread was had");
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert!(error.to_string().contains("thread"), "{error}");
}

#[test]
fn messages_and_files_are_done_on_the_calling_thread() {
    without_threads("messages_and_files_are_done_on_the_calling_thread", || {
        let envelope = Envelope::builder(wrapper()).build().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let [plain, message, back] = ["plain", "message", "back"].map(|name| dir.path().join(name));
        let text = vec![7; 3_000_000];
        std::fs::write(&plain, &text).unwrap();
        let files = FileOptions::new();
        block_on(async {
            let sealed = envelope.encrypt(b"x", EncryptOptions::new()).await.unwrap();
            assert_eq!(envelope.decrypt(&sealed, &DecryptPolicy::new()).await.unwrap(), b"x");
            envelope
                .encrypt_file_with(&plain, &message, EncryptOptions::new(), &files)
                .await
                .unwrap();
            envelope
                .decrypt_file_with(&message, &back, &DecryptPolicy::new(), &files)
                .await
                .unwrap();
        });
        assert!(std::fs::read(&back).unwrap() == text);
        let pairs = [(plain, dir.path().join("a")), (back, dir.path().join("b"))];
        let none: [(&str, &str); 0] = [];
        let report = block_on(envelope.encrypt_files(pairs, none, &FilesOptions::new().jobs(3)));
        assert_eq!(report.unwrap().check().unwrap().done, 2);
        let blocking = envelope.blocking();
        let sealed = blocking.encrypt(b"x", EncryptOptions::new()).unwrap();
        assert_eq!(blocking.decrypt(&sealed, DecryptPolicy::new()).unwrap(), b"x");
    });
}

#[test]
fn what_needs_a_thread_says_so() {
    without_threads("what_needs_a_thread_says_so", || {
        // Nothing would wipe expired keys.
        let builder = || Envelope::builder(wrapper());
        internal(builder().cache(CacheLimits::new(HOUR)).build());
        internal(builder().pool(PoolLimits::new(HOUR)).build());
        internal(builder().reuse(ReuseLimits::new(HOUR)).build());
        let client = Client::builder()
            .endpoint(Endpoint::Custom("http://127.0.0.1:9".to_owned()))
            .credentials(Credentials::account("a", "s").unwrap())
            .build()
            .unwrap();
        let key = client.key("00000000-0000-0000-0000-000000000000").unwrap();
        internal(block_on(key.encrypt(b"x")));
        let envelope = Envelope::builder(key).build().unwrap();
        internal(block_on(envelope.encrypt(b"x", EncryptOptions::new())));
    });
}

/// The client's own thread started while there were threads; resolving a name needs another one.
#[cfg(target_os = "linux")]
#[test]
fn a_host_is_found_though_there_are_no_more_threads() {
    in_a_child("a_host_is_found_though_there_are_no_more_threads", &[], || {
        let client = |url: &str| {
            Client::builder()
                .endpoint(Endpoint::Custom(url.to_owned()))
                .credentials(Credentials::account("a", "s").unwrap())
                .max_attempts(1)
                .call_timeout(Duration::from_secs(20))
                .build()
                .unwrap()
                .key("tag")
                .unwrap()
        };
        let (address, name) = (client("http://127.0.0.1:9"), client("https://host.invalid"));
        let error = block_on(address.encrypt(b"x")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        // No memory for another stack.
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")).unwrap();
        let size: u64 = size.trim().trim_end_matches(" kB").parse().unwrap();
        let limit = format!("--as={}", (size + 1_024) << 10);
        let id = std::process::id().to_string();
        assert!(Command::new("prlimit").args(["--pid", &id, &limit]).status().unwrap().success());
        assert!(std::thread::Builder::new().spawn(|| ()).is_err(), "there are threads");
        let error = block_on(name.encrypt(b"x")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    });
}
