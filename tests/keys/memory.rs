//! Searches the memory of this process for data keys: they are there while they may be, and nowhere
//! once they may not.
//!
//! A program of its own, because nothing else may hold a key meanwhile.

#![cfg(target_os = "linux")]
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    clippy::print_stdout
)]

use memory::{
    Hidden, Masking, alone, asked, nowhere, one_thread, run, search, tell, three_threads, told_by,
    wait,
};
use ncp_envelope::{
    CacheLimits, DecryptPolicy, EncryptOptions, Envelope, EnvelopeBuilder, PoolLimits, ReuseLimits,
};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

#[path = "../common/memory.rs"]
mod memory;

const HOUR: Duration = Duration::from_secs(3_600);
/// Time enough for a search or two on a busy machine; where it was not, the step is made once more.
const SHORT: Duration = Duration::from_secs(3);

fn write(runtime: &Runtime, envelope: &Envelope) -> Vec<u8> {
    let envelope = envelope.clone();
    run(
        runtime,
        async move { envelope.encrypt(b"a message", EncryptOptions::new()).await.unwrap() },
    )
}

fn read(runtime: &Runtime, envelope: &Envelope, message: &[u8]) {
    let (envelope, message) = (envelope.clone(), message.to_vec());
    run(runtime, async move {
        assert_eq!(envelope.decrypt(&message, &DecryptPolicy::new()).await.unwrap(), b"a message")
    });
}

/// What HMAC-SHA-512 keeps of each of these keys, which is as good as the key.
fn states(keys: &[Hidden]) -> Vec<Hidden> {
    let told = told_by("states_are_told_by_a_child", keys);
    told.into_iter().map(|(_, hidden)| hidden).collect()
}

/// The child.
#[test]
fn states_are_told_by_a_child() {
    let keys = asked().unwrap_or_default();
    for (key, pad) in keys.iter().flat_map(|key| [(key, 0x36), (key, 0x5C)]) {
        let mut block = [pad; 128];
        block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
        let mut state = START;
        sha2::block_api::compress512(&mut state, &[block]);
        tell("state", &state.map(u64::to_ne_bytes).concat());
    }
}

/// The initial state of SHA-512.
const START: [u64; 8] = [
    0x6a09_e667_f3bc_c908,
    0xbb67_ae85_84ca_a73b,
    0x3c6e_f372_fe94_f82b,
    0xa54f_f53a_5f1d_36f1,
    0x510e_527f_ade6_82d1,
    0x9b05_688c_2b3e_6c1f,
    0x1f83_d9ab_fb41_bd6b,
    0x5be0_cd19_137e_2179,
];

/// Neither the keys nor what is kept of them are there.
fn gone(step: &str, keys: &[Hidden]) {
    nowhere(step, &[keys, &states(keys)].concat());
}

fn masking(wrapper: &Masking) -> EnvelopeBuilder {
    Envelope::builder(wrapper.clone())
}

/// A message of somebody else, and its key. Writing it has left nothing behind.
fn message(runtime: &Runtime) -> (Masking, Vec<u8>, Vec<Hidden>) {
    let wrapper = Masking::new();
    let message = write(runtime, &masking(&wrapper).build().unwrap());
    let keys = wrapper.keys();
    assert_eq!(keys.len(), 1);
    gone("written", &keys);
    (wrapper, message, keys)
}

fn at_its_time(step: &str, runtime: impl Fn() -> Runtime, stays: bool, limits: &CacheLimits) {
    loop {
        let running = runtime();
        let (wrapper, message, keys) = message(&running);
        let envelope = masking(&wrapper).cache(limits.clone()).build().unwrap();
        read(&running, &envelope, &message);
        let read = Instant::now();
        let running = stays.then_some(running);
        let (control, kept) = (search(&keys), search(&states(&keys)));
        if envelope.stats().cache.keys == 0 {
            // Over before the search was.
            continue;
        }
        assert!(!control.is_empty(), "{step}: a key that is there was not found");
        assert!(!kept.is_empty(), "{step}: what is kept of it was not found");
        wait(|| envelope.stats().cache.keys == 0);
        let after = read.elapsed();
        gone(step, &keys);
        eprintln!("{step}: gone {after:?} after it was read, found {} times before", control.len());
        drop(running);
        return;
    }
}

#[test]
fn keys_are_in_memory_only_while_they_may_be() {
    let _alone = alone();
    let ends = CacheLimits::new(SHORT);
    at_its_time("expired, runtime gone", one_thread, false, &ends);
    at_its_time("expired, runtime idle", three_threads, true, &ends);
    at_its_time("idle", one_thread, false, &CacheLimits::new(HOUR).with_idle(SHORT));
    at_its_time(
        "stale",
        one_thread,
        false,
        &CacheLimits::new(SHORT / 2).with_stale_window(SHORT / 2),
    );

    let runtime = three_threads();
    let kept = |wrapper: &Masking| {
        masking(wrapper).cache(CacheLimits::new(HOUR).with_max_keys(1)).build().unwrap()
    };
    let (wrapper, message_one, keys) = message(&runtime);
    let envelope = kept(&wrapper);
    read(&runtime, &envelope, &message_one);
    assert!(!search(&keys).is_empty());
    envelope.forget_keys();
    gone("forgotten", &keys);

    read(&runtime, &envelope, &message_one);
    assert!(!search(&keys).is_empty());
    let other = write(&runtime, &masking(&wrapper).build().unwrap());
    read(&runtime, &envelope, &other);
    gone("crowded out", &keys);
    let keys = wrapper.keys();
    assert!(search(&keys).iter().all(|place| place.which == 1) && !search(&keys).is_empty());
    drop(envelope);
    gone("dropped", &keys);

    // Streams and messages that fail leave nothing either.
    let envelope = masking(&wrapper).build().unwrap();
    let mut broken = other.clone();
    *broken.last_mut().unwrap() ^= 1;
    run(&runtime, async move {
        assert!(envelope.decrypt(&broken, &DecryptPolicy::new()).await.is_err());
        let mut reader = envelope.reader(&broken[..], &DecryptPolicy::new()).await.unwrap();
        assert!(std::io::Read::read_to_end(&mut reader, &mut Vec::new()).is_err());
        assert!(
            envelope
                .for_scope("other")
                .unwrap()
                .decrypt(&other, &DecryptPolicy::new())
                .await
                .is_err()
        );
        envelope.encryptor(EncryptOptions::new()).await.unwrap();
    });
    gone("failed", &wrapper.keys());

    unused(&runtime);
    shared_by_messages(&runtime);
}

/// Keys that were made ahead of need.
fn unused(runtime: &Runtime) {
    loop {
        let wrapper = Masking::new();
        let envelope = masking(&wrapper).pool(PoolLimits::new(SHORT)).build().unwrap();
        write(runtime, &envelope);
        wait(|| envelope.stats().pool.ready > 10 || envelope.stats().pool.too_old > 0);
        let keys = wrapper.keys();
        let control = search(&keys);
        if envelope.stats().pool.too_old > 0 {
            continue;
        }
        assert!(control.len() > 10);
        wait(|| envelope.stats().pool.ready == 0);
        gone("too old in the pool", &keys);
        break;
    }
    for forget in [true, false] {
        let wrapper = Masking::new();
        let envelope = masking(&wrapper).pool(PoolLimits::new(HOUR)).build().unwrap();
        write(runtime, &envelope);
        wait(|| envelope.stats().pool.ready > 10 && envelope.stats().pool.coming == 0);
        let keys = wrapper.keys();
        assert!(search(&keys).len() > 10);
        let _still = forget.then(|| envelope.clone());
        if forget {
            envelope.forget_keys();
        }
        drop(envelope);
        gone("thrown away in the pool", &keys);
    }
}

/// A key for many messages.
fn shared_by_messages(runtime: &Runtime) {
    for (step, age) in [("too old to be used again", SHORT), ("forgotten", HOUR), ("dropped", HOUR)]
    {
        let wrapper = Masking::new();
        let envelope = masking(&wrapper).reuse(ReuseLimits::new(age)).build().unwrap();
        write(runtime, &envelope);
        write(runtime, &envelope);
        let keys = wrapper.keys();
        assert_eq!(keys.len(), 1);
        assert!(age < HOUR || !search(&keys).is_empty());
        match step {
            "forgotten" => envelope.forget_keys(),
            "dropped" => drop(envelope),
            _ => wait(|| search(&keys).is_empty()),
        }
        gone(step, &keys);
    }
}

/// The same with the real client, and the key service in a process of its own.
#[cfg(feature = "cli")]
mod service {
    use super::*;
    use memory::{KEY_AT, mask};
    use ncp_envelope::kms::{Client, Credentials, Endpoint, Key};
    use ncp_envelope::wrap::{BoxFuture, KeyPayload};
    use ncp_envelope::{KeyId, KeyWrapper, Result, WrappedKey};
    use std::io::{BufRead, BufReader};
    use std::process::{Child, Command, Stdio};
    use std::sync::{Arc, Mutex};

    /// The data key in a payload.
    fn hidden(payload: &[u8]) -> Hidden {
        let key = payload[KEY_AT..].iter().enumerate();
        Hidden(key.map(|(at, byte)| byte ^ mask(at)).collect(), 0)
    }

    /// The same as base64 writes it behind the 48 bytes in front of it, which are no part of any
    /// letter; without the last two bytes, which share letters with the padding.
    fn base64(hidden: &Hidden) -> Hidden {
        const ALPHABET: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let letter = |at: usize| {
            let (byte, shift) = (at * 6 / 8, at * 6 % 8);
            let pair = u16::from(hidden.byte(byte)) << 8 | u16::from(hidden.byte(byte + 1));
            ALPHABET[usize::from(pair >> (10 - shift) & 63)]
        };
        Hidden((0..40).map(|at| letter(at) ^ mask(at)).collect(), 0)
    }

    struct Served {
        child: Child,
        key: Key,
        _dir: tempfile::TempDir,
    }

    impl Served {
        fn start() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let mut command = Command::new(env!("CARGO_BIN_EXE_ncp-envelope"));
            command
                .args(["emulator", "--listen", "127.0.0.1:0", "--state", "state"])
                .current_dir(dir.path());
            let mut child =
                command.env_clear().env("HOME", dir.path()).stdout(Stdio::piped()).spawn().unwrap();
            let mut line = String::new();
            BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
            let connection: serde_json::Value = serde_json::from_str(&line).unwrap();
            let field = |name: &str| connection[name].as_str().unwrap().to_owned();
            let account = Credentials::account(field("access_key"), field("secret_key")).unwrap();
            let client = Client::builder()
                .endpoint(Endpoint::Custom(field("url")))
                .credentials(account)
                .build()
                .unwrap();
            Self { child, key: client.key(field("key_tag")).unwrap(), _dir: dir }
        }
    }

    impl Drop for Served {
        fn drop(&mut self) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    /// Remembers what it has wrapped, masked.
    #[derive(Debug, Clone)]
    struct Noting {
        key: Key,
        seen: Arc<Mutex<Vec<Hidden>>>,
    }

    impl KeyWrapper for Noting {
        fn key_id(&self) -> &KeyId {
            self.key.id()
        }

        fn wrap_keys<'a>(
            &'a self,
            payloads: &'a [KeyPayload],
        ) -> BoxFuture<'a, Result<Vec<WrappedKey>>> {
            self.seen
                .lock()
                .unwrap()
                .extend(payloads.iter().map(|payload| hidden(payload.expose_secret())));
            self.key.wrap_keys(payloads)
        }

        fn unwrap_keys<'a>(
            &'a self,
            wrapped: &'a [WrappedKey],
        ) -> BoxFuture<'a, Result<Vec<KeyPayload>>> {
            self.key.unwrap_keys(wrapped)
        }

        fn rewrap_keys<'a>(
            &'a self,
            wrapped: &'a [WrappedKey],
        ) -> BoxFuture<'a, Result<Vec<WrappedKey>>> {
            self.key.rewrap_keys(wrapped)
        }
    }

    #[test]
    fn the_client_leaves_no_key_behind() {
        let _alone = alone();
        let served = Served::start();
        for runtime in [one_thread, three_threads] {
            let running = runtime();
            let wrapper = Noting { key: served.key.clone(), seen: Arc::default() };
            let seen = || wrapper.seen.lock().unwrap().clone();
            // What the client sends is its own memory. What it receives stays, as text, in the read
            // buffer of the HTTP library until that is written over, so that is not looked for.
            let as_text = || seen().iter().map(base64).collect::<Vec<_>>();
            let message = write(&running, &Envelope::builder(wrapper.clone()).build().unwrap());
            gone("wrapped by the service", &seen());
            nowhere("sent to the service", &as_text());
            let envelope =
                Envelope::builder(wrapper.clone()).cache(CacheLimits::new(HOUR)).build().unwrap();
            read(&running, &envelope, &message);
            assert!(!search(&seen()).is_empty());
            envelope.forget_keys();
            gone("unwrapped by the service", &seen());
            let pooled =
                Envelope::builder(wrapper.clone()).pool(PoolLimits::new(HOUR)).build().unwrap();
            let messages: Vec<_> = (0..40).map(|_| write(&running, &pooled)).collect();
            run(&running, async move {
                for result in envelope.decrypt_many(&messages, &DecryptPolicy::new()).await {
                    assert_eq!(result.unwrap(), b"a message");
                }
            });
            assert!(search(&seen()).len() >= 40);
            // Those on their way are wiped when they are there.
            running.block_on(async {
                while pooled.stats().pool.coming > 0 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            });
            pooled.forget_keys();
            gone("many by the service", &seen());
        }
    }
}
