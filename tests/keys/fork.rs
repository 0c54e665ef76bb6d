//! Processes that are forked off: they have the memory of their parent and none of its threads.

#![cfg(all(feature = "tokio", target_os = "linux"))]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

#[path = "../common/mod.rs"]
mod common;

use common::{Counting, block_on};
use fork::{Fork, fork, waitpid_nohang};
use ncp_envelope::fields::KeyRing;
use ncp_envelope::format::Header;
use ncp_envelope::wrap::{BoxFuture, KeyPayload};
use ncp_envelope::{
    CacheLimits, DecryptPolicy, EncryptOptions, Envelope, KeyId, KeyWrapper, PoolLimits, Result,
    ReuseLimits, WrappedKey,
};
use std::io::{Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const HOUR: Duration = Duration::from_secs(3_600);

/// Runs `test` in a process that is forked off here, and fails as it does. It prints nothing: a
/// thread of the parent may have the lock of the output.
#[track_caller]
fn in_a_child(test: impl FnOnce()) {
    let said = tempfile::NamedTempFile::new().unwrap();
    let child = match fork().unwrap() {
        Fork::Child => {
            let path = said.path().to_owned();
            set_hook(Box::new(move |panic| {
                let _ = std::fs::write(&path, panic.to_string());
            }));
            let failed = catch_unwind(AssertUnwindSafe(test)).is_err();
            // Without the end of the test program, which is the parent's.
            std::process::exit(i32::from(failed));
        }
        Fork::Parent(child) => child,
    };
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = waitpid_nohang(child).unwrap() {
            break status;
        }
        if begun.elapsed() > Duration::from_secs(60) {
            let kill = std::process::Command::new("kill").args(["-9", &child.to_string()]).status();
            panic!("the child waits for ever; {kill:?}");
        }
        thread::sleep(Duration::from_millis(2));
    };
    assert_eq!(status, 0, "{}", std::fs::read_to_string(said.path()).unwrap());
}

fn until(so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < Duration::from_secs(50), "it does not happen");
        thread::sleep(Duration::from_millis(2));
    }
}

fn text() -> EncryptOptions {
    EncryptOptions::new()
}

#[test]
fn a_child_has_threads_of_its_own_and_asks_for_keys_of_its_own() {
    let wrapper = Counting::new("local", [7; 32]);
    let envelope = Envelope::builder(wrapper.clone())
        .cache(CacheLimits::new(Duration::from_secs(2)))
        .pool(PoolLimits::new(HOUR))
        .build()
        .unwrap();
    let policy = DecryptPolicy::new();
    let message = block_on(envelope.encrypt(b"x", text())).unwrap();
    block_on(envelope.decrypt(&message, &policy)).unwrap();
    let scoped = envelope.for_scope("a").unwrap();
    block_on(scoped.encrypt(b"x", text())).unwrap();
    until(|| envelope.stats().pool.coming == 0 && scoped.stats().pool.coming == 0);
    let ready = envelope.stats().pool.ready;
    assert!(ready > 0);
    let child = || {
        let (ours, scoped) = (envelope.stats(), scoped.stats());
        assert_eq!((ours.cache.keys, ours.pool.ready, scoped.pool.ready), (0, 0, 0));
        let calls = wrapper.calls();
        block_on(envelope.decrypt(&message, &policy)).unwrap();
        assert_eq!(wrapper.calls(), calls + 1, "the parent's key serves");
        block_on(envelope.decrypt(&message, &policy)).unwrap();
        assert_eq!(wrapper.calls(), calls + 1, "its own does not");
        block_on(envelope.encrypt(b"x", text())).unwrap();
        // Its own reaper, without any traffic.
        until(|| envelope.stats().cache.keys == 0);
        // Invalidations reach holders registered before the fork.
        until(|| envelope.stats().pool.ready > 0);
        envelope.for_scope("b").unwrap().invalidate("local");
        assert_eq!(envelope.stats().pool.ready, 0);
        // And a child of it is not its parent either.
        block_on(envelope.decrypt(&message, &policy)).unwrap();
        in_a_child(|| {
            assert_eq!(envelope.stats().cache.keys, 0);
            block_on(envelope.decrypt(&message, &policy)).unwrap();
        });
    };
    in_a_child(child);
    in_a_child(child);
    assert_eq!(envelope.stats().pool.ready, ready, "the parent has what it had");
    block_on(envelope.encrypt(b"x", text())).unwrap();
}

/// A service that never answers a reader.
#[derive(Debug)]
struct Silent(Counting);

impl KeyWrapper for Silent {
    fn key_id(&self) -> &KeyId {
        self.0.key_id()
    }

    fn wrap_keys<'a>(&'a self, keys: &'a [KeyPayload]) -> BoxFuture<'a, Result<Vec<WrappedKey>>> {
        self.0.wrap_keys(keys)
    }

    fn unwrap_keys<'a>(&'a self, _: &'a [WrappedKey]) -> BoxFuture<'a, Result<Vec<KeyPayload>>> {
        Box::pin(std::future::pending())
    }

    fn rewrap_keys<'a>(&'a self, keys: &'a [WrappedKey]) -> BoxFuture<'a, Result<Vec<WrappedKey>>> {
        self.0.rewrap_keys(keys)
    }
}

/// What wakes the reader is a thread, and a child has its own.
#[test]
fn a_child_does_not_wait_for_one_recipient_while_there_is_another() {
    let answers = Counting::new("answers", [7; 32]);
    let silent = Silent(Counting::new("silent", [8; 32]));
    let envelope = Envelope::builder(silent).and(answers.clone()).build().unwrap();
    let message = block_on(envelope.encrypt(b"x", text())).unwrap();
    let policy = DecryptPolicy::new();
    let reads = |expected| {
        let calls = answers.calls();
        assert_eq!(block_on(envelope.decrypt(&message, &policy)).unwrap(), b"x");
        assert_eq!(answers.calls(), calls + 1);
        assert_eq!(envelope.stats().recipients[0].overtaken, expected);
    };
    in_a_child(|| reads(1));
    reads(1);
    // That the parent has passed it over says nothing of this process.
    in_a_child(|| reads(2));
    block_on(envelope.encrypt(b"x", text())).unwrap();
}

/// Where in this process's memory `needle` is, which is given with every bit flipped.
fn found(needle: &[u8]) -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let mut memory = std::fs::File::open("/proc/self/mem").unwrap();
    let (mut bytes, mut found) = (Vec::new(), 0);
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let (start, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let number = |text| u64::from_str_radix(text, 16).unwrap();
        let (start, end) = (number(start), number(end));
        bytes.resize((end - start) as usize, 0);
        if memory.seek(SeekFrom::Start(start)).is_err() || memory.read_exact(&mut bytes).is_err() {
            continue;
        }
        // The search must not find what it has read.
        bytes.iter_mut().for_each(|byte| *byte = !*byte);
        found += bytes.windows(needle.len()).filter(|window| *window == needle).count();
        bytes.fill(0);
    }
    found
}

#[test]
fn a_child_that_uses_one_envelope_has_no_key_of_any() {
    let wrapper = Counting::new("local", [9; 32]);
    let build = |builder: ncp_envelope::EnvelopeBuilder| builder.build().unwrap();
    let cached = build(Envelope::builder(wrapper.clone()).cache(CacheLimits::new(HOUR)));
    let reused = build(Envelope::builder(wrapper.clone()).reuse(ReuseLimits::new(HOUR)));
    let policy = DecryptPolicy::new();
    let messages = [&cached, &reused].map(|envelope| {
        let message = block_on(envelope.encrypt(b"x", text())).unwrap();
        block_on(cached.decrypt(&message, &policy)).unwrap();
        message
    });
    // Flipped before anything else has it, so that it is in memory only where it is kept.
    let needles = messages.each_ref().map(|message| {
        let header = Header::decode(message).unwrap();
        let payloads = block_on(wrapper.unwrap_keys(header.slots().slots())).unwrap();
        let key = &payloads[0].expose_secret()[payloads[0].expose_secret().len() - 32..];
        key.iter().map(|byte| !byte).collect::<Vec<_>>()
    });
    for needle in &needles {
        assert!(found(needle) > 0, "the parent has no key, so the test shows nothing");
    }
    let another = build(Envelope::builder(wrapper).cache(CacheLimits::new(HOUR)));
    in_a_child(|| {
        let own = block_on(another.encrypt(b"x", text())).unwrap();
        block_on(another.decrypt(&own, &policy)).unwrap();
        until(|| needles.iter().all(|needle| found(needle) == 0));
    });
    for needle in &needles {
        assert!(found(needle) > 0, "the parent lost a key");
    }
}

/// A ring's keys are there without waiting: the child has to have them unwrapped for itself.
#[test]
fn a_child_has_no_keys_of_its_parents_ring() {
    let wrapper = Counting::new("local", [9; 32]);
    let builder = Envelope::builder(wrapper.clone());
    let envelope = builder.cache(CacheLimits::new(Duration::from_secs(2))).build().unwrap();
    let ring = block_on(KeyRing::create(&envelope)).unwrap();
    let field = ring.field("customers.email").unwrap();
    let ciphertext = field.encrypt("kim@example.com", "17").unwrap();
    assert!(ring.is_ready());
    in_a_child(|| {
        assert!(!ring.is_ready(), "the parent's keys serve");
        let calls = wrapper.calls();
        block_on(ring.ready()).unwrap();
        assert_eq!(wrapper.calls(), calls + 1);
        assert_eq!(*field.decrypt(&ciphertext, "17").unwrap(), b"kim@example.com");
        // Its own reaper, without any traffic.
        until(|| !ring.is_ready());
        in_a_child(|| assert!(!ring.is_ready()));
    });
    assert!(field.decrypt(&ciphertext, "17").is_ok(), "the parent has what it had");
}

/// Locks that a thread of the parent holds at the moment of the fork are held for ever.
#[test]
fn a_child_of_a_busy_parent_does_not_wait_for_threads_that_are_not_there() {
    let wrapper = Counting::new("local", [8; 32]);
    let envelope = Envelope::builder(wrapper)
        .cache(CacheLimits::new(HOUR).with_max_keys(2))
        .pool(PoolLimits::new(HOUR))
        .build()
        .unwrap();
    let policy = DecryptPolicy::new();
    let messages = Arc::new([(); 4].map(|()| block_on(envelope.encrypt(b"x", text())).unwrap()));
    let stop = Arc::new(AtomicBool::new(false));
    let busy: Vec<_> = (0..3)
        .map(|_| {
            let (envelope, messages, stop) = (envelope.clone(), messages.clone(), stop.clone());
            thread::spawn(move || {
                let policy = DecryptPolicy::new();
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                runtime.block_on(async {
                    while !stop.load(Ordering::Relaxed) {
                        for message in &*messages {
                            envelope.decrypt(message, &policy).await.unwrap();
                        }
                        envelope.encrypt(b"x", text()).await.unwrap();
                        envelope.invalidate("nobody");
                    }
                });
            })
        })
        .collect();
    for _ in 0..200 {
        in_a_child(|| {
            for message in &*messages {
                block_on(envelope.decrypt(message, &policy)).unwrap();
            }
            block_on(envelope.encrypt(b"x", text())).unwrap();
            envelope.forget_keys();
        });
    }
    stop.store(true, Ordering::Relaxed);
    busy.into_iter().for_each(|thread| thread.join().unwrap());
}

/// The real client, whose connections and calls in flight are its parent's.
#[cfg(all(feature = "kms", feature = "emulator"))]
mod client {
    use super::*;
    use ncp_envelope::emulator::{Emulator, Fault, FaultKind, TokenSet};
    use ncp_envelope::kms::{Client, ClientBuilder, Credentials, Endpoint};

    fn emulator() -> Emulator {
        Emulator::builder().unthrottled().start_blocking().unwrap()
    }

    fn client(emulator: &Emulator, credentials: Credentials) -> ClientBuilder {
        Client::builder()
            .endpoint(Endpoint::Custom(emulator.url().to_owned()))
            .credentials(credentials)
    }

    fn issue(emulator: &Emulator) -> TokenSet {
        let tag = emulator.key_tag();
        block_on(emulator.issue_tokens(tag, Duration::from_secs(60), HOUR * 24)).unwrap()
    }

    fn account(emulator: &Emulator) -> Credentials {
        Credentials::account(emulator.access_key(), emulator.secret_key()).unwrap()
    }

    #[test]
    fn a_child_calls_over_connections_of_its_own() {
        let emulator = emulator();
        let key = client(&emulator, account(&emulator)).build().unwrap();
        let key = key.key(emulator.key_tag()).unwrap();
        let envelope = Envelope::builder(key.clone()).build().unwrap();
        let message = block_on(envelope.encrypt(b"x", text())).unwrap();
        let child = || {
            for _ in 0..3 {
                block_on(key.encrypt(b"y")).unwrap();
                block_on(envelope.decrypt(&message, &DecryptPolicy::new())).unwrap();
            }
            // What goes here takes nothing of the parent's along.
            drop((key.clone(), envelope.clone()));
        };
        in_a_child(child);
        block_on(key.encrypt(b"y")).unwrap();
        in_a_child(child);
        block_on(envelope.decrypt(&message, &DecryptPolicy::new())).unwrap();
    }

    #[test]
    fn a_child_that_drops_its_parents_emulator_does_not_wait_for_it() {
        let (dropped, shut_down) = (emulator(), emulator());
        in_a_child(move || {
            drop(dropped);
            block_on(shut_down.shutdown());
        });
    }

    /// At the moment of the fork every turn is taken: places under the rate limit, the token's
    /// refresh, the breaker's probe.
    #[test]
    fn a_child_does_not_wait_for_what_its_parent_was_at() {
        let emulator = emulator();
        let tokens = issue(&emulator);
        let credentials =
            Credentials::token(tokens.access_token(), Some(tokens.refresh_token().into())).unwrap();
        let built = client(&emulator, credentials).build().unwrap();
        let key = built.key(emulator.key_tag()).unwrap();
        let envelope =
            Envelope::builder(key.clone()).cache(CacheLimits::new(HOUR)).build().unwrap();
        let message = block_on(envelope.encrypt(b"x", text())).unwrap();
        emulator.set_latency(Duration::from_secs(3));
        let before = emulator.request_count();
        let waiting: Vec<_> = (0..40)
            .map(|n| {
                let (key, envelope, message) = (key.clone(), envelope.clone(), message.clone());
                thread::spawn(move || match n % 2 {
                    0 => block_on(key.encrypt(b"y")).map(drop),
                    _ => block_on(envelope.decrypt(&message, &DecryptPolicy::new())).map(drop),
                })
            })
            .collect();
        until(|| emulator.request_count() > before + 10);
        emulator.set_latency(Duration::ZERO);
        in_a_child(|| {
            let begun = Instant::now();
            block_on(key.encrypt(b"y")).unwrap();
            block_on(envelope.decrypt(&message, &DecryptPolicy::new())).unwrap();
            assert!(begun.elapsed() < Duration::from_secs(25), "waited for the parent's calls");
        });
        waiting.into_iter().for_each(|thread| thread.join().unwrap().unwrap());
    }

    #[test]
    fn a_child_of_a_parent_that_refreshes_its_token_refreshes_its_own() {
        let emulator = emulator();
        let tokens = issue(&emulator);
        let credentials =
            Credentials::token("e30.e30.x", Some(tokens.refresh_token().into())).unwrap();
        let key = client(&emulator, credentials).build().unwrap();
        let key = key.key(emulator.key_tag()).unwrap();
        let late = Fault::new(FaultKind::Latency(Duration::from_secs(3)));
        block_on(emulator.inject(late.on_action("access-token").once())).unwrap();
        let refreshing = {
            let key = key.clone();
            thread::spawn(move || block_on(key.encrypt(b"y")).map(drop))
        };
        until(|| {
            let requests = emulator.requests();
            requests.iter().any(|request| request.action == Some("access-token"))
        });
        in_a_child(|| {
            block_on(key.encrypt(b"y")).unwrap();
        });
        refreshing.join().unwrap().unwrap();
    }
}
