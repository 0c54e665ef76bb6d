//! Objects through an encrypted store and without it, in turns, on an S3 server of this machine.
//!
//! Run with `cargo bench -p ncp-envelope-object-store -- [--size MIB] [--rounds N]`: multipart
//! uploads and downloads of 2,048 MiB, 3 rounds; then 1,000 random ranges of half as much. The
//! server is a process of its own, and its files are in the package's target directory, which
//! needs three times the size. The ratio is the median of the rounds' ratios. The peak of memory is
//! that of a process that uploads and downloads once.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

#[path = "../tests/kit/faulty.rs"]
#[allow(dead_code)]
mod faulty;
#[path = "../tests/kit/server.rs"]
#[allow(dead_code)]
mod server;

use faulty::Faulty;
use futures_util::stream::{FuturesUnordered, StreamExt};
use ncp_envelope::{CacheLimits, DataKey, Envelope, LocalKeyWrapper};
use ncp_envelope_object_store::EncryptedStore;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

const PART: usize = 8 << 20;
const IN_FLIGHT: usize = 8;
const RANGES: u64 = 1_000;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let given = |flag: &str| arguments.iter().any(|argument| argument == flag);
    // The test runner of `cargo test --benches` passes this flag; there is nothing to test here.
    if given("--test") {
        return;
    }
    let setting = |name: &str| arguments.iter().skip_while(|argument| *argument != name).nth(1);
    let number = |name: &str, otherwise: u64| {
        setting(name).map_or(otherwise, |text| text.parse().expect("a number is missing"))
    };
    let (size, rounds) = (number("--size", 2_048) << 20, number("--rounds", 3));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if given("--serve") {
        return runtime.block_on(async {
            let server = server::Server::start_in(env!("CARGO_TARGET_TMPDIR")).await;
            println!("{}", server.address);
            // Until the parent ends it.
            let _ = std::io::stdin().read_line(&mut String::new());
        });
    }
    if let Some(address) = setting("--peak") {
        let address = address.parse().unwrap();
        runtime.block_on(async {
            let store = EncryptedStore::new(server::store(address, server::SECRET_KEY), envelope());
            let before = peak();
            upload(&store, size).await;
            download(&store, size).await;
            println!("{:.0} MiB above the {before:.0} MiB at its start", peak() - before);
        });
        return;
    }
    let server = Serving::start();
    runtime.block_on(measure(&server, size, rounds));
}

async fn measure(server: &Serving, size: u64, rounds: u64) {
    let plain = server::store(server.address.parse().unwrap(), server::SECRET_KEY);
    let envelope = envelope();
    let counted = Faulty::new(Arc::new(plain.clone()));
    let store = EncryptedStore::new(counted.clone(), envelope.clone());

    let mut seconds = [const { Vec::new() }; 4];
    for _ in 0..=rounds {
        seconds[0].push(timed(upload(&plain, size)).await);
        seconds[1].push(timed(download(&plain, size)).await);
        seconds[2].push(timed(upload(&store, size)).await);
        seconds[3].push(timed(download(&store, size)).await);
        counted.seen.sent.lock().unwrap().clear();
    }
    println!("\n{} MiB in parts of {} MiB, {IN_FLIGHT} in flight", size >> 20, PART >> 20);
    for (operation, [plain, own]) in [("upload", [0, 2]), ("download", [1, 3])] {
        // The first round has the server make its files.
        let ratios =
            seconds[plain].iter().zip(&seconds[own]).skip(1).map(|(plain, own)| plain / own);
        let speed = |of: usize| size as f64 / 1e9 / median(seconds[of][1..].to_vec());
        let ratio = median(ratios.collect());
        let (plain, own) = (speed(plain), speed(own));
        println!("{operation:<9} plain {plain:.2} GB/s, encrypted {own:.2} GB/s, ratio {ratio:.2}");
    }
    let mut own = Command::new(std::env::current_exe().unwrap());
    let size_mib = (size >> 20).to_string();
    let peak = own.args(["--peak", &server.address, "--size", &size_mib]).output().unwrap();
    print!("peak memory of a process that does both: {}", String::from_utf8_lossy(&peak.stdout));

    let size = size / 2;
    upload(&store, size).await;
    let (unwraps, gets, fetched) =
        (envelope.stats().unwrap.calls, counted.gets(), counted.fetched());
    let mut random = 7_u64;
    let mut below = |end: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (random >> 16) % end
    };
    let mut most = 4_096 + 56;
    for _ in 0..RANGES {
        let start = below(size);
        let end = start + 1 + below((1 << 20).min(size - start));
        let got = store.get_range(&path(), start..end).await.unwrap();
        assert!(got.iter().zip(start..).all(|(byte, at)| *byte == byte_at(at)), "{start}..{end}");
        most += end - start + 2 * (16_384 + 16);
    }
    println!(
        "\n{RANGES} random ranges of {} MiB, all equal: {} requests, {} bytes fetched (at most \
         range, two chunks and a header: {most}), {} unwraps",
        size >> 20,
        counted.gets() - gets,
        counted.fetched() - fetched,
        envelope.stats().unwrap.calls - unwraps
    );
}

fn path() -> Path {
    Path::from("large.bin")
}

fn envelope() -> Envelope {
    let wrapper = LocalKeyWrapper::new("bench", &DataKey::generate().unwrap()).unwrap();
    let limits = CacheLimits::new(Duration::from_secs(3_600));
    Envelope::builder(wrapper).cache(limits).build().unwrap()
}

fn byte_at(at: u64) -> u8 {
    ((at as u32).wrapping_mul(2_654_435_761) >> 24) as u8
}

async fn timed(work: impl Future<Output = ()>) -> f64 {
    let start = Instant::now();
    work.await;
    start.elapsed().as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The pattern repeats after 4 GiB, and a part begins where its first byte says.
fn part(at: u64, len: usize) -> Vec<u8> {
    (at..at + len as u64).map(byte_at).collect()
}

async fn upload(store: &dyn ObjectStore, size: u64) {
    let mut upload = store.put_multipart(&path()).await.unwrap();
    let mut in_flight =
        FuturesUnordered::<tokio::task::JoinHandle<object_store::Result<()>>>::new();
    for at in (0..size).step_by(PART) {
        if in_flight.len() == IN_FLIGHT {
            in_flight.next().await.unwrap().unwrap().unwrap();
        }
        let len = PART.min((size - at) as usize);
        in_flight.push(tokio::spawn(upload.put_part(part(at, len).into())));
    }
    while let Some(sent) = in_flight.next().await {
        sent.unwrap().unwrap();
    }
    upload.complete().await.unwrap();
}

async fn download(store: &dyn ObjectStore, size: u64) {
    let mut stream = store.get(&path()).await.unwrap().into_stream();
    let mut got = 0;
    while let Some(bytes) = stream.next().await {
        got += bytes.unwrap().len() as u64;
    }
    assert_eq!(got, size);
}

/// In MiB.
fn peak() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kib.map_or(f64::NAN, |kib| kib / 1_024.0)
}

/// The server's process, which ends with this.
struct Serving {
    process: Child,
    address: String,
}

impl Serving {
    fn start() -> Self {
        let mut own = Command::new(std::env::current_exe().unwrap());
        let own = own.arg("--serve").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = own.spawn().unwrap();
        let mut address = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut address).unwrap();
        Self { process, address: address.trim().to_owned() }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}
