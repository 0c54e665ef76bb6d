//! Searches the memory of this process for the keys of a ring and for all that is derived from
//! them, the states of HMAC keys included: they are there while they are used, and nowhere after a
//! denial, at the end of their time, or without a ring.
//!
//! A program of its own, because nothing else may hold a key meanwhile. What is derived is told by
//! a child process, masked.

#![cfg(target_os = "linux")]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

#[path = "../common/memory.rs"]
mod memory;

use aws_lc_rs::hmac;
use memory::{
    Hidden, Masking, alone, asked, nowhere, one_thread, run, search, tell, three_threads, told_by,
    wait,
};
use ncp_envelope::fields::{Field, FieldMode, KeyRing};
use ncp_envelope::{CacheLimits, Envelope, ErrorKind};
use std::time::Duration;
use tokio::runtime::Runtime;

const HOUR: Duration = Duration::from_secs(3_600);
/// Time enough for a search or two on a busy machine; where it was not, the step is made once more.
const SHORT: Duration = Duration::from_secs(3);
const NAME: &str = "customers.email";

/// What a ring with one key of each role and one field has in memory, or must not have.
struct Keys {
    /// There while the ring is used: both keys, and for each mode the key of the cipher and the two
    /// states of its HMAC; those of the index as well.
    used: Vec<Hidden>,
    /// Nowhere, as soon as a call has returned: the keys of HMAC, and the states of those that the
    /// ring's own keys are in derivation. What a key of HMAC is in its pads may be in the buffer of
    /// the library's key, and is wiped with it.
    passing: Vec<Hidden>,
}

impl Keys {
    /// Of the two keys that were wrapped first.
    fn of(wrapper: &Masking) -> Self {
        let keys = wrapper.keys();
        let told = told_by("what_is_derived_is_told_by_a_child", &keys[..2]);
        let of = |kind: &str| {
            let of_kind = told.iter().filter(|(told, _)| told == kind);
            of_kind.map(|(_, hidden)| hidden.clone()).collect::<Vec<_>>()
        };
        let mut used = of("used");
        used.extend(keys[..2].iter().cloned());
        assert_eq!(used.len(), 2 * 3 + 2 + 2);
        Self { used, passing: of("passing") }
    }

    fn all(&self) -> Vec<Hidden> {
        [&self.used[..], &self.passing].concat()
    }

    /// Whether each is there that should be while the ring is used.
    fn are_found(&self) -> bool {
        let found = search(&self.used);
        (0..self.used.len()).all(|which| found.iter().any(|place| place.which == which))
    }
}

/// The child: it is given the value key and the index key.
#[test]
fn what_is_derived_is_told_by_a_child() {
    let Some(keys) = asked() else { return };
    let [value, index] = &keys[..] else { panic!("two keys") };
    for key in [value, index] {
        states(key).iter().for_each(|state| tell("passing", state));
    }
    for mode in [1, 2] {
        let (km, ke) = expand(value, b"ncp-envelope field v1\0", &[&[mode], &name()[..]].concat());
        tell("passing", &km);
        tell("used", &ke);
        states(&km).iter().for_each(|state| tell("used", state));
    }
    let info = [&name()[..], &128_u16.to_be_bytes()].concat();
    let (ki, _) = expand(index, b"ncp-envelope index v1\0", &info);
    tell("passing", &ki);
    states(&ki).iter().for_each(|state| tell("used", state));
}

/// The field, with its length.
fn name() -> Vec<u8> {
    [&(NAME.len() as u16).to_be_bytes(), NAME.as_bytes()].concat()
}

/// The first two blocks of HKDF-Expand.
fn expand(key: &[u8], label: &[u8], info: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let block = |parts: &[&[u8]]| hmac::sign(&key, &parts.concat()).as_ref().to_vec();
    let first = block(&[label, info, &[1]]);
    let second = block(&[&first, label, info, &[2]]);
    (first, second)
}

/// What SHA-256 has in memory after the first block of each of its two uses in HMAC.
fn states(key: &[u8]) -> [Vec<u8>; 2] {
    const START: [u32; 8] = [
        0x6a09_e667,
        0xbb67_ae85,
        0x3c6e_f372,
        0xa54f_f53a,
        0x510e_527f,
        0x9b05_688c,
        0x1f83_d9ab,
        0x5be0_cd19,
    ];
    [0x36, 0x5c].map(|pad| {
        let mut block = [pad; 64];
        block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
        let mut state = START;
        sha2::block_api::compress256(&mut state, &[block]);
        state.iter().flat_map(|word| word.to_ne_bytes()).collect()
    })
}

fn envelope(wrapper: &Masking, limits: CacheLimits) -> Envelope {
    Envelope::builder(wrapper.clone()).cache(limits).build().unwrap()
}

fn field(ring: &KeyRing) -> Field {
    ring.field(NAME).unwrap()
}

/// A stored ring, and its keys: making it has left nothing behind.
fn stored(runtime: &Runtime) -> (Masking, Vec<u8>, Keys) {
    let wrapper = Masking::new();
    let envelope = envelope(&wrapper, CacheLimits::new(HOUR));
    let bytes = run(runtime, async move {
        let ring = KeyRing::create(&envelope).await.unwrap();
        use_all(&ring);
        ring.to_bytes()
    });
    let keys = Keys::of(&wrapper);
    nowhere("made", &keys.all());
    (wrapper, bytes, keys)
}

fn open(runtime: &Runtime, wrapper: &Masking, limits: CacheLimits, stored: &[u8]) -> KeyRing {
    let (envelope, stored) = (envelope(wrapper, limits), stored.to_vec());
    run(runtime, async move { KeyRing::open(&stored, &envelope).await.unwrap() })
}

/// Every call in each mode, on this thread and on others; failing ones too.
fn use_all(ring: &KeyRing) {
    let rows: Vec<_> = (0..10_000_u32).map(|row| (row.to_string(), row.to_be_bytes())).collect();
    let long = [7; 60_000];
    for mode in [FieldMode::Randomized, FieldMode::Deterministic] {
        let field = field(ring).with_mode(mode);
        for value in [&b""[..], b"kim@example.com", &long] {
            let ciphertext = field.encrypt(value, "17").unwrap();
            assert_eq!(*field.decrypt(&ciphertext, "17").unwrap(), value);
            assert!(field.decrypt(&ciphertext, [9; 100]).is_err());
            field.index(value).unwrap();
            assert!(!field.indexes(value).unwrap().is_empty());
        }
        let column = field.encrypt_many(&rows).unwrap();
        let sealed: Vec<_> = column.iter().zip(rows.iter().map(|(_, row)| row)).collect();
        field.decrypt_many(&sealed).unwrap().check().unwrap();
        field.index_many(&rows.iter().map(|(value, _)| value).collect::<Vec<_>>()).unwrap();
    }
}

/// Uses a ring for as long as `limits` allow. `None` if it was over before the search was.
fn while_hot(ring: &KeyRing, keys: &Keys) -> Option<()> {
    use_all(ring);
    let (found, passed) = (keys.are_found(), search(&keys.passing));
    ring.is_ready().then_some(())?;
    assert!(found, "a key that is there was not found");
    assert!(passed.is_empty(), "{passed:#?}");
    Some(())
}

//
#[test]
fn keys_of_a_ring_are_gone_at_the_end_of_their_time() {
    let _alone = alone();
    let ends = CacheLimits::new(SHORT).with_refresh_after(HOUR);
    for (step, runtime, stays, limits) in [
        ("expired, runtime gone", one_thread as fn() -> Runtime, false, ends.clone()),
        ("expired, runtime idle", three_threads, true, ends),
        ("idle", one_thread, false, CacheLimits::new(HOUR).with_idle(SHORT)),
    ] {
        loop {
            let running = runtime();
            let (wrapper, stored, keys) = stored(&running);
            let ring = open(&running, &wrapper, limits.clone(), &stored);
            let running = stays.then_some(running);
            if while_hot(&ring, &keys).is_none() {
                continue;
            }
            wait(|| !ring.is_ready());
            nowhere(step, &keys.all());
            drop(running);
            break;
        }
    }
}

//
#[test]
fn keys_of_a_ring_are_gone_when_they_are_denied() {
    let _alone = alone();
    let limits = CacheLimits::new(HOUR).with_stale_window(HOUR);
    for runtime in [one_thread, three_threads] {
        let running = runtime();
        let (wrapper, stored, keys) = stored(&running);
        let limits = limits.clone().with_refresh_after(Duration::from_millis(50));
        let ring = open(&running, &wrapper, limits, &stored);
        while_hot(&ring, &keys).unwrap();
        wrapper.deny();
        wait(|| field(&ring).encrypt("v", "17").is_err());
        nowhere("denied", &keys.all());
        assert_eq!(field(&ring).index("v").map(drop).unwrap_err().kind(), ErrorKind::AccessDenied);
    }
}

//
#[test]
fn keys_of_a_ring_are_gone_with_it_and_when_they_are_forgotten() {
    let _alone = alone();
    let running = three_threads();
    let (wrapper, stored, keys) = stored(&running);
    let open = || open(&running, &wrapper, CacheLimits::new(HOUR), &stored);
    let ring = open();
    while_hot(&ring, &keys).unwrap();
    ring.forget_keys();
    nowhere("forgotten", &keys.all());
    let again = ring.clone();
    run(&running, async move { again.ready().await.unwrap() });
    while_hot(&ring, &keys).unwrap();
    let field = field(&ring);
    drop(ring);
    assert!(keys.are_found(), "the field still has its ring");
    drop(field);
    nowhere("dropped", &keys.all());

    // What is not wanted after all leaves nothing either.
    let ring = open();
    run(&running, async move {
        ring.rotate().await.unwrap();
        let two = ring.rotate_index().await.unwrap();
        ring.adopt(&two).await.unwrap();
        use_all(&ring);
    });
    nowhere("rotated", &[keys.all(), wrapper.keys()].concat());
    let (scoped, bytes) = (envelope(&wrapper, CacheLimits::new(HOUR)), stored.clone());
    let scoped = scoped.for_scope("another tenant").unwrap();
    run(&running, async move { assert!(KeyRing::open(&bytes, &scoped).await.is_err()) });
    nowhere("refused", &[keys.all(), wrapper.keys()].concat());
}
