//! How many messages one process can write and read against a key service with a rate limit.
//!
//! ```sh
//! cargo run --release --features emulator --example call_wall             # a table
//! cargo run --release --features emulator --example call_wall -- --json   # one JSON object
//! cargo run --release --features emulator --example call_wall -- --seconds 10
//! ```
//!
//! Starts the emulator with answers that take 20 ms and the service's rate limit of 300 calls a
//! second for a key. Writes messages of 1 KiB and reads them with an empty cache, each message
//! under a data key of its own: first with a call for each message, then with the pool and batches
//! of an [`Envelope`]. Emulator and caller share the machine.

#![allow(clippy::print_stdout)]

use ncp_envelope::emulator::Emulator;
use ncp_envelope::kms::{Client, Credentials, Endpoint, Key};
use ncp_envelope::{BatchStats, DecryptPolicy, EncryptOptions, Envelope, PoolLimits};
use std::error::Error;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

const LATENCY: Duration = Duration::from_millis(20);
const PLAINTEXT: [u8; 1_024] = [0x5A; 1_024];
/// Callers that write at the same time.
const WRITERS: usize = 64;
/// Callers that read at the same time, each waiting for its own key.
const READERS: usize = 4_096;
/// Enough callers to have calls in flight at all times, and few enough to wait for the rate limit
/// without being refused.
const SINGLE_CALLERS: usize = 32;
/// How long the pool gets to learn the demand.
const WARM_UP: Duration = Duration::from_millis(1_500);

type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

struct Measured {
    per_s: f64,
    keys_per_call: f64,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Fallible<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let json = arguments.iter().any(|argument| argument == "--json");
    let seconds = match arguments.iter().position(|argument| argument == "--seconds") {
        Some(at) => arguments.get(at + 1).ok_or("--seconds needs a number")?.parse()?,
        None => 3,
    };
    let time = Duration::from_secs(seconds);

    let emulator = Emulator::builder().latency(LATENCY).start().await?;
    let credentials = Credentials::account(emulator.access_key(), emulator.secret_key())?;
    let client = Client::builder()
        .endpoint(Endpoint::Custom(emulator.url().to_owned()))
        .credentials(credentials)
        .build()?;
    let key = client.key(emulator.key_tag())?;

    let single = single_calls(&key, time).await?;
    let envelope = Envelope::builder(key.clone())
        .pool(PoolLimits::new(Duration::from_secs(60)).with_max_keys(16_384))
        .build()?;
    let (sealed, messages) = write(&envelope, time).await?;
    let opened = read(&Envelope::builder(key.clone()).build()?, messages).await?;
    let throttled = client.stats().throttled;

    let keys_per_call = sealed.keys_per_call.min(opened.keys_per_call);
    if json {
        println!(
            "{{\"sealed_per_s\": {:.0}, \"opened_per_s\": {:.0}, \
             \"keys_per_call\": {keys_per_call:.1}, \"throttled\": {throttled}, \
             \"one_call_per_message_per_s\": {:.0}}}",
            sealed.per_s, opened.per_s, single.per_s
        );
        return Ok(());
    }
    println!(
        "1 KiB messages, each under a data key of its own; answers take {LATENCY:?}, 300 calls a \
         second are allowed\n"
    );
    println!("{:<44} {:>12} {:>14}", "", "messages/s", "keys per call");
    for (what, measured) in [
        ("written, one call for each message", single),
        ("written, pool and batches", sealed),
        ("read from an empty cache, batches", opened),
    ] {
        println!("{what:<44} {:>12.0} {:>14.1}", measured.per_s, measured.keys_per_call);
    }
    println!("\ncalls refused because there were too many: {throttled}");
    Ok(())
}

/// A program that calls the service for each message.
async fn single_calls(key: &Key, time: Duration) -> Fallible<Measured> {
    let key = key.clone();
    let written = repeat(SINGLE_CALLERS, time, move || {
        // An envelope of its own shares no calls.
        let envelope = Envelope::builder(key.clone()).build();
        async move { Ok(envelope?.encrypt(&PLAINTEXT, EncryptOptions::new()).await?) }
    });
    let (messages, spent) = written.await?;
    Ok(Measured { per_s: messages.len() as f64 / spent.as_secs_f64(), keys_per_call: 1.0 })
}

/// Writes for `time`, once the pool has learned the demand.
async fn write(envelope: &Envelope, time: Duration) -> Fallible<(Measured, Vec<Vec<u8>>)> {
    let run = |time| {
        let envelope = envelope.clone();
        repeat(WRITERS, time, move || {
            let envelope = envelope.clone();
            async move { Ok(envelope.encrypt(&PLAINTEXT, EncryptOptions::new()).await?) }
        })
    };
    run(WARM_UP).await?;
    let before = envelope.stats().wrap;
    let (messages, spent) = run(time).await?;
    let keys_per_call = steady(before, envelope.stats().wrap);
    Ok((Measured { per_s: messages.len() as f64 / spent.as_secs_f64(), keys_per_call }, messages))
}

/// Reads every message once, with an empty cache.
async fn read(envelope: &Envelope, messages: Vec<Vec<u8>>) -> Fallible<Measured> {
    let (messages, next) = (Arc::new(messages), Arc::new(AtomicUsize::new(0)));
    let begun = Instant::now();
    let mut readers = JoinSet::new();
    for _ in 0..READERS {
        let (envelope, messages, next) = (envelope.clone(), messages.clone(), next.clone());
        readers.spawn(async move {
            let policy = DecryptPolicy::new();
            while let Some(message) = messages.get(next.fetch_add(1, Ordering::Relaxed)) {
                if *envelope.decrypt(message, &policy).await? != PLAINTEXT {
                    return Err("a message says something else".into());
                }
            }
            Ok::<(), Box<dyn Error + Send + Sync>>(())
        });
    }
    while let Some(reader) = readers.join_next().await {
        reader??;
    }
    let per_s = messages.len() as f64 / begun.elapsed().as_secs_f64();
    Ok(Measured { per_s, keys_per_call: envelope.stats().unwrap.keys_per_call() })
}

/// Runs `work` in a loop for `time`, with `callers` callers.
async fn repeat<F, Fut>(
    callers: usize,
    time: Duration,
    work: F,
) -> Fallible<(Vec<Vec<u8>>, Duration)>
where
    F: Fn() -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Fallible<Vec<u8>>> + Send + 'static,
{
    let over = Arc::new(AtomicBool::new(false));
    let begun = Instant::now();
    let mut running = JoinSet::new();
    for _ in 0..callers {
        let (work, over) = (work.clone(), over.clone());
        running.spawn(async move {
            let mut done = Vec::new();
            while !over.load(Ordering::Relaxed) {
                done.push(work().await?);
            }
            Ok::<_, Box<dyn Error + Send + Sync>>(done)
        });
    }
    tokio::time::sleep(time).await;
    over.store(true, Ordering::Relaxed);
    let mut all = Vec::new();
    while let Some(done) = running.join_next().await {
        all.extend(done??);
    }
    Ok((all, begun.elapsed()))
}

fn steady(before: BatchStats, after: BatchStats) -> f64 {
    (after.keys - before.keys) as f64 / (after.calls - before.calls).max(1) as f64
}
