//! Cached data keys: each of N messages has a data key of its own.

use crate::cells::{Cell, Figures, Random, seconds, wrapper};
use crate::machine;
use ncp_envelope::{BlockingEnvelope, CacheLimits, DecryptPolicy, Envelope};
use std::time::Duration;

const NONE: [(&str, &str); 0] = [];
const LEN: usize = 64;
const LOOK_UPS: usize = 300_000;
/// Keys that evict others.
const MORE: usize = 10_000;
const TOGETHER: usize = 1_000;

pub(crate) fn keys(cell: &Cell) -> Figures {
    let units = cell.units as usize;
    let limits = CacheLimits::new(Duration::from_secs(24 * 3_600)).with_max_keys(units);
    let envelope = Envelope::builder(wrapper()).cache(limits).build().unwrap().blocking();
    let messages = messages(&envelope, units + MORE);
    let open = |message: &Vec<u8>| drop(envelope.decrypt(message, DecryptPolicy::new()).unwrap());
    let keys = || envelope.stats().cache;

    let before = machine::resident();
    let first = cell.each(|| messages[..units].iter().for_each(open));
    let bytes = (machine::resident() - before) / units as f64;
    assert_eq!((keys().keys, keys().hits), (units as u64, 0));

    let (mut random, look_ups) = (Random(1), LOOK_UPS as f64);
    let hit = seconds(|| (0..LOOK_UPS).for_each(|_| open(&messages[units / 2]))) / look_ups;
    let any = seconds(|| {
        (0..LOOK_UPS).for_each(|_| open(&messages[random.below(units)]));
    });
    assert_eq!(keys().hits, 2 * LOOK_UPS as u64);

    let evict = seconds(|| messages[units..].iter().for_each(open)) / MORE as f64;
    assert_eq!((keys().keys, keys().evicted), (units as u64, MORE as u64));
    let peak = machine::peak();
    let forget = cell.each(|| envelope.forget_keys());
    assert_eq!(keys().keys, 0);
    let figures = [
        ("first", first),
        ("hit", hit),
        ("any", any / look_ups),
        ("line", line(bytes * units as f64)),
        ("evict", evict),
        ("forget", forget),
        ("bytes", bytes),
        ("peak", peak),
    ];
    figures.map(|(name, figure)| (name.to_owned(), figure)).into()
}

/// Seconds to read a random place of that many bytes, each read from where the last one says.
fn line(bytes: f64) -> f64 {
    const WORDS: usize = 8;
    let lines = bytes as usize / (WORDS * size_of::<u64>());
    let (mut random, mut at) = (Random(2), 0);
    let memory: Vec<u64> = (0..lines * WORDS).map(|_| random.below(lines) as u64).collect();
    let spent = seconds(|| {
        // A walk that did not depend on its own steps would soon be in a circle.
        for step in 0..LOOK_UPS {
            at = (memory[at * WORDS] as usize + step) % lines;
        }
    });
    std::hint::black_box(at);
    spent / LOOK_UPS as f64
}

fn messages(envelope: &BlockingEnvelope, count: usize) -> Vec<Vec<u8>> {
    let plain = [[7; LEN]; TOGETHER];
    let some = |at| envelope.encrypt_many(&plain[..TOGETHER.min(count - at)], NONE).unwrap();
    (0..count).step_by(TOGETHER).flat_map(some).collect()
}
