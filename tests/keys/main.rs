//! Data keys through the public API: number of calls, policies, expiry.
//! With the real client over loopback HTTP wherever a key service is called.

#![cfg(all(feature = "kms", feature = "emulator"))]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

#[path = "../common/mod.rs"]
mod common;

mod calls;
mod ends;
mod expiry;
mod outage;
mod policies;
mod recipients;
mod runtimes;

use common::message_under;
use ncp_envelope::emulator::{Emulator, RecordedRequest};
use ncp_envelope::format::{Header, SlotTable};
use ncp_envelope::kms::{Client, ClientBuilder, Credentials, Endpoint, Key, RateLimit};
use ncp_envelope::{
    CacheLimits, DataKey, DecryptPolicy, EncryptOptions, Envelope, Error, ErrorKind, WrappedKey,
};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);

/// An emulator without limits of its own, so that a call too many is counted and not refused.
async fn emulator() -> Emulator {
    Emulator::builder().unthrottled().start().await.unwrap()
}

fn client(emulator: &Emulator) -> ClientBuilder {
    let account = Credentials::account(emulator.access_key(), emulator.secret_key()).unwrap();
    client_as(emulator, account)
}

fn client_as(emulator: &Emulator, credentials: Credentials) -> ClientBuilder {
    Client::builder()
        .endpoint(Endpoint::Custom(emulator.url().to_owned()))
        .credentials(credentials)
        .rate_limit(RateLimit::Off)
}

fn key(emulator: &Emulator) -> Key {
    client(emulator).build().unwrap().key(emulator.key_tag()).unwrap()
}

fn cached(key: &Key) -> Envelope {
    Envelope::builder(key.clone())
        .cache(CacheLimits::new(HOUR).with_max_keys(10_000))
        .build()
        .unwrap()
}

fn uncached(key: &Key) -> Envelope {
    Envelope::builder(key.clone()).build().unwrap()
}

fn policy() -> DecryptPolicy {
    DecryptPolicy::new()
}

/// A wrapper that wrote nothing, so that it has no key cached.
async fn write(key: &Key, count: usize) -> Vec<Vec<u8>> {
    let texts: Vec<_> = (0..count).map(text).collect();
    uncached(key).encrypt_many(&texts, EncryptOptions::new()).await.unwrap()
}

fn text(index: usize) -> Vec<u8> {
    format!("message {index}").into_bytes()
}

fn slots(message: &[u8]) -> Vec<WrappedKey> {
    Header::decode(message).unwrap().slots().slots().to_vec()
}

/// A wrapped key with one character changed: well-formed, and opens to nothing.
fn spoilt(wrapped: &WrappedKey) -> WrappedKey {
    let mut bytes = wrapped.as_bytes().to_vec();
    // In the middle of the base64, so that length, prefix and alphabet stay.
    let at = bytes.len() - 20;
    bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
    WrappedKey::new(wrapped.key_id().clone(), bytes).unwrap()
}

/// A message with these slots, forged without their keys.
fn forged(slots: Vec<WrappedKey>) -> Vec<u8> {
    message_under(&DataKey::generate().unwrap(), &SlotTable::new(slots).unwrap(), b"forged")
}

/// Runs all of them as tasks of their own that begin together.
async fn at_once<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    count: usize,
    call: impl Fn(usize) -> F,
) -> Vec<T> {
    let barrier = Arc::new(tokio::sync::Barrier::new(count));
    let tasks: Vec<_> = (0..count)
        .map(|index| {
            let (barrier, call) = (barrier.clone(), call(index));
            tokio::spawn(async move {
                barrier.wait().await;
                call.await
            })
        })
        .collect();
    let mut results = Vec::with_capacity(count);
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}

/// Runs `test` on one thread and on several.
fn on_both_runtimes<F: Future<Output = ()>>(test: impl Fn() -> F) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test());
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(3)
        .enable_all()
        .build()
        .unwrap()
        .block_on(test());
}

fn kind<T>(result: Result<T, Error>) -> ErrorKind {
    result.err().expect("an error").kind()
}

/// Those of the requests that are this call.
fn of<'r>(requests: &'r [RecordedRequest], action: &str) -> Vec<&'r RecordedRequest> {
    requests.iter().filter(|request| request.action == Some(action)).collect()
}

/// Waits until that is so. It has all the time it needs, and a test that waits in vain is stopped
/// by whoever runs it.
async fn until(mut so: impl AsyncFnMut() -> bool) {
    while !so().await {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
