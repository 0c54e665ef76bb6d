//! Rings at the emulator, by the real client over loopback HTTP.

use ncp_envelope::emulator::{Emulator, RecordedRequest};
use ncp_envelope::fields::{Field, KeyRing};
use ncp_envelope::kms::{Client, Credentials, Endpoint, Key, RateLimit};
use ncp_envelope::{CacheLimits, Envelope, ErrorKind};
use std::time::Duration;

pub(crate) const HOUR: Duration = Duration::from_secs(3_600);

/// Without limits of its own, so that a call too many is counted and not refused.
pub(crate) async fn emulator() -> Emulator {
    Emulator::builder().unthrottled().start().await.unwrap()
}

/// By a client of its own that does not try for long.
pub(crate) fn key(emulator: &Emulator) -> Key {
    let account = Credentials::account(emulator.access_key(), emulator.secret_key()).unwrap();
    let client = Client::builder()
        .endpoint(Endpoint::Custom(emulator.url().to_owned()))
        .credentials(account)
        .rate_limit(RateLimit::Off)
        .max_attempts(1);
    client.build().unwrap().key(emulator.key_tag()).unwrap()
}

/// What a new process would have.
pub(crate) fn envelope(emulator: &Emulator) -> Envelope {
    limited(emulator, CacheLimits::new(HOUR))
}

pub(crate) fn limited(emulator: &Emulator, limits: CacheLimits) -> Envelope {
    Envelope::builder(key(emulator)).cache(limits).build().unwrap()
}

pub(crate) fn email(ring: &KeyRing) -> Field {
    ring.field("customers.email").unwrap()
}

/// Those of the recorded requests that are this call.
pub(crate) fn of(emulator: &Emulator, action: &str) -> Vec<RecordedRequest> {
    let requests = emulator.requests();
    requests.into_iter().filter(|request| request.action == Some(action)).collect()
}

/// Waits until that is so. It has all the time it needs, and a test that waits in vain is stopped
/// by whoever runs it.
pub(crate) async fn until(mut so: impl AsyncFnMut() -> bool) {
    while !so().await {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// How every call of a field fails, if they all do.
pub(crate) fn every_call_fails(field: &Field, ciphertext: &[u8]) -> Vec<ErrorKind> {
    let text = ncp_envelope::fields::FieldCiphertext::to_text(ciphertext);
    let mut out = Vec::new();
    let results = [
        field.encrypt("v", "r").map(drop),
        field.encrypt_text("v", "r").map(drop),
        field.encrypt_into("v", "r", &mut out),
        field.decrypt(ciphertext, "17").map(drop),
        field.decrypt_text(&text, "17").map(drop),
        field.decrypt_into(ciphertext, "17", &mut out),
        field.index("v").map(drop),
        field.indexes("v").map(drop),
        field.index_under(2, "v").map(drop),
        field.encrypt_many(&[("v", "r")]).map(drop),
        field.decrypt_many(&[(ciphertext, "17")]).map(drop),
        field.index_many(&["v"]).map(drop),
    ];
    assert!(out.is_empty());
    results.into_iter().map(|result| result.expect_err("a call worked").kind()).collect()
}
