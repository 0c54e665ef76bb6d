//! How fast a call fails while the circuit breaker is open, and how much a minute of outage costs.
//!
//! `cargo bench --bench breaker` prints percentiles of 100,000 calls, and of 100,000 messages whose
//! key is not in the cache or past its time there; `cargo bench --bench breaker -- minute` makes
//! calls for a minute against a server that closes every connection, and prints what each call cost
//! it.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use ncp_envelope::format::{BoundHeader, Encryptor, Profile, SlotTable};
use ncp_envelope::kms::{Client, Credentials, Endpoint, Key};
use ncp_envelope::wrap::{BoxFuture, KeyPayload};
use ncp_envelope::{
    CacheLimits, DataKey, DecryptPolicy, EncryptOptions, EncryptionContext, Envelope, KeyId,
    KeyWrapper, LocalKeyWrapper, Result, WrappedKey,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A key of a server that reads a little of each request and closes the connection, and how many it
/// has seen.
async fn dead() -> (Key, Arc<AtomicU64>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&requests);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let seen = Arc::clone(&seen);
            tokio::spawn(async move {
                if stream.readable().await.is_ok() {
                    seen.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    let credentials = Credentials::account("access", "secret").unwrap();
    let client =
        Client::builder().endpoint(Endpoint::Custom(url)).credentials(credentials).build().unwrap();
    (client.key("tag").unwrap(), requests)
}

async fn percentiles() {
    let (key, requests) = dead().await;
    while key.client().stats().breaker_opens == 0 {
        let _ = key.encrypt(b"x").await;
    }
    let mut times = Vec::with_capacity(100_000);
    while times.len() < 100_000 {
        let sent = requests.load(Ordering::Relaxed);
        let refused = key.client().stats().breaker_refusals;
        let begun = Instant::now();
        let failed = key.encrypt(b"x").await.is_err();
        let time = begun.elapsed();
        // Probes wait for the server, so they are not what is measured.
        if failed
            && sent == requests.load(Ordering::Relaxed)
            && key.client().stats().breaker_refusals > refused
        {
            times.push(time);
        }
    }
    print("breaker open", times);
}

fn print(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!(
        "{what}: p50 {:?}, p99 {:?}, p99.9 {:?}, max {:?}",
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0)
    );
}

/// A message with a wrapped key that nobody has seen, as if it were under `key`.
fn message(key: &Key, number: u64) -> Vec<u8> {
    let wrapped = WrappedKey::new(key.id().clone(), format!("ncpkms:v1:{number:0144}")).unwrap();
    let slots = SlotTable::new(vec![wrapped]).unwrap();
    let bound =
        BoundHeader::new(Profile::Compact, &EncryptionContext::new(), false, &slots).unwrap();
    let encryptor = Encryptor::new(&DataKey::generate().unwrap(), &bound, &slots, b"").unwrap();
    let mut message = encryptor.front().to_vec();
    let mut last = vec![0; encryptor.finish_len()];
    encryptor.finish(&mut last).unwrap();
    message.extend_from_slice(&last);
    message
}

/// What a reader waits for a message whose key is not there, or no longer good, while the breaker
/// is open.
async fn readers() {
    let (key, requests) = dead().await;
    let limits = CacheLimits::new(Duration::from_secs(60));
    for (what, builder) in [
        ("decrypt without a cache, breaker open", Envelope::builder(key.clone())),
        (
            "decrypt with the key not in the cache, breaker open",
            Envelope::builder(key.clone()).cache(limits),
        ),
    ] {
        let (envelope, policy) = (builder.build().unwrap(), DecryptPolicy::new());
        while key.client().stats().breaker_opens == 0 {
            let _ = envelope.decrypt(&message(&key, 0), &policy).await;
        }
        let (mut times, mut number) = (Vec::with_capacity(100_000), 0);
        while times.len() < 100_000 {
            number += 1;
            let message = message(&key, number);
            let sent = requests.load(Ordering::Relaxed);
            let refused = key.client().stats().breaker_refusals;
            let begun = Instant::now();
            let failed = envelope.decrypt(&message, &policy).await.is_err();
            let time = begun.elapsed();
            if failed
                && sent == requests.load(Ordering::Relaxed)
                && key.client().stats().breaker_refusals > refused
            {
                times.push(time);
            }
        }
        print(what, times);
    }
}

/// The same for keys that were unwrapped once and are past their time, with a stale window and
/// without. Each answer of the open breaker counts for a second, so most of these are answered
/// without asking it.
async fn expired() {
    let local = LocalKeyWrapper::new("local", &DataKey::generate().unwrap()).unwrap();
    let (key, requests) = dead().await;
    let wrapper = Failing { local, dead: key.clone(), broken: AtomicBool::new(false) };
    let wrapper = Arc::new(wrapper);
    let policy = DecryptPolicy::new();
    for (what, stale) in [("expired, with a stale window", 3_600), ("expired", 0)] {
        wrapper.broken.store(false, Ordering::Relaxed);
        let limits = CacheLimits::new(Duration::from_millis(500))
            .with_stale_window(Duration::from_secs(stale))
            .with_max_keys(20_000);
        let envelope = Envelope::builder(wrapper.clone()).cache(limits).build().unwrap();
        let messages =
            envelope.encrypt_many(&vec![b"x"; 10_000], EncryptOptions::new()).await.unwrap();
        envelope.decrypt_many(&messages, &policy).await;
        wrapper.broken.store(true, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(500)).await;
        while key.client().stats().breaker_opens == 0 {
            let _ = key.encrypt(b"x").await;
        }
        let mut times = Vec::with_capacity(100_000);
        let mut opened = 0;
        for message in messages.iter().cycle().take(100_000) {
            let sent = requests.load(Ordering::Relaxed);
            let begun = Instant::now();
            opened += usize::from(envelope.decrypt(message, &policy).await.is_ok());
            let time = begun.elapsed();
            if sent == requests.load(Ordering::Relaxed) {
                times.push(time);
            }
        }
        print(
            &format!("decrypt with the key {what}, breaker open, {opened} of 100000 opened"),
            times,
        );
    }
}

/// Wraps locally, and once it is broken asks a server that answers nobody.
#[derive(Debug)]
struct Failing {
    local: LocalKeyWrapper,
    dead: Key,
    broken: AtomicBool,
}

impl KeyWrapper for Failing {
    fn key_id(&self) -> &KeyId {
        self.local.key_id()
    }

    fn wrap_keys<'a>(
        &'a self,
        payloads: &'a [KeyPayload],
    ) -> BoxFuture<'a, Result<Vec<WrappedKey>>> {
        self.local.wrap_keys(payloads)
    }

    fn unwrap_keys<'a>(
        &'a self,
        wrapped: &'a [WrappedKey],
    ) -> BoxFuture<'a, Result<Vec<KeyPayload>>> {
        match self.broken.load(Ordering::Relaxed) {
            true => Box::pin(async {
                self.dead.encrypt(b"x").await?;
                Ok(Vec::new())
            }),
            false => self.local.unwrap_keys(wrapped),
        }
    }

    fn rewrap_keys<'a>(
        &'a self,
        wrapped: &'a [WrappedKey],
    ) -> BoxFuture<'a, Result<Vec<WrappedKey>>> {
        self.local.rewrap_keys(wrapped)
    }
}

async fn minute() {
    let (key, requests) = dead().await;
    let end = Instant::now() + Duration::from_secs(60);
    let callers: Vec<_> = (0..20)
        .map(|_| {
            let key = key.clone();
            tokio::spawn(async move {
                while Instant::now() < end {
                    let _ = key.encrypt(b"x").await;
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    let (calls, requests) = (key.client().stats().calls, requests.load(Ordering::Relaxed));
    println!(
        "a minute of outage: {calls} calls, {requests} requests, {:.4} for each call",
        requests as f64 / calls as f64
    );
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    match std::env::args().any(|argument| argument == "minute") {
        true => runtime.block_on(minute()),
        false => runtime.block_on(async {
            percentiles().await;
            readers().await;
            expired().await;
        }),
    }
}
