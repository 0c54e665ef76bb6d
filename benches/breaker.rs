//! How fast a call fails while the circuit breaker is open, and how much a minute of outage costs.
//!
//! `cargo bench --bench breaker` prints percentiles of 100,000 calls; `cargo bench --bench breaker -- minute` makes calls for a minute
//! against a server that closes every connection, and prints what each call cost it.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use ncp_envelope::kms::{Client, Credentials, Endpoint, Key};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A key of a server that reads a little of each request and closes the connection, and how many it has seen.
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
    let client = Client::builder().endpoint(Endpoint::Custom(url)).credentials(credentials).build().unwrap();
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
        if failed && sent == requests.load(Ordering::Relaxed) && key.client().stats().breaker_refusals > refused {
            times.push(time);
        }
    }
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!("breaker open: p50 {:?}, p99 {:?}, p99.9 {:?}, max {:?}", at(0.5), at(0.99), at(0.999), at(1.0));
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
    println!("a minute of outage: {calls} calls, {requests} requests, {:.4} for each call", requests as f64 / calls as f64);
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    match std::env::args().any(|argument| argument == "minute") {
        true => runtime.block_on(minute()),
        false => runtime.block_on(percentiles()),
    }
}
