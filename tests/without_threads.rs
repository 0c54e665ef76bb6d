//! Where the system gives no thread: what can be done without one is, and the rest is an error.
//!
//! The tests run in children of their own, in which no thread can be started: the standard library
//! asks for stacks that no machine has.

#![cfg(all(feature = "kms", feature = "tokio"))]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use ncp_envelope::io::FileOptions;
use ncp_envelope::kms::{Client, Credentials, Endpoint};
use ncp_envelope::{
    CacheLimits, DataKey, DecryptPolicy, EncryptOptions, Envelope, Error, ErrorKind,
    LocalKeyWrapper, PoolLimits, ReuseLimits,
};
use std::process::Command;
use std::time::Duration;

const CHILD: &str = "NCP_ENVELOPE_TEST_WITHOUT_THREADS";
const HOUR: Duration = Duration::from_secs(3_600);

/// Runs `test` in a child, as the one of this name.
fn without_threads(name: &str, test: impl FnOnce()) {
    if std::env::var_os(CHILD).is_some() {
        assert!(std::thread::Builder::new().spawn(|| ()).is_err(), "there are threads");
        return test();
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        .env("RUST_MIN_STACK", (1_u64 << 52).to_string())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    // One that was caught is one too many.
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
            assert_eq!(*envelope.decrypt(&sealed, &DecryptPolicy::new()).await.unwrap(), b"x");
            envelope.encrypt_file(&plain, &message, EncryptOptions::new(), &files).await.unwrap();
            envelope.decrypt_file(&message, &back, &DecryptPolicy::new(), &files).await.unwrap();
        });
        assert!(std::fs::read(&back).unwrap() == text);
        let blocking = envelope.blocking();
        let sealed = blocking.encrypt(b"x", EncryptOptions::new()).unwrap();
        assert_eq!(*blocking.decrypt(&sealed, &DecryptPolicy::new()).unwrap(), b"x");
    });
}

#[test]
fn what_needs_a_thread_says_so() {
    without_threads("what_needs_a_thread_says_so", || {
        // Nothing would wipe keys at their time.
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
