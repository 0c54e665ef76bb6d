//! Many files.

use crate::kit::{World, census, open_all, quick, rests};
use ncp_envelope::stored::Outcome;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[test]
fn ten_thousand_files_take_forty_calls_and_keep_their_bodies() {
    const COUNT: usize = 10_000;
    let world = World::new();
    let paths = world.fill("tree", COUNT);
    let before = rests(&paths);
    world.rotate();
    let asked = world.emulator.requests().len();
    let seen = Arc::new(AtomicU64::new(0));
    let count = seen.clone();
    let options = quick().on_each(move |_, outcome| {
        let moved = matches!(outcome, Outcome::Rewrapped { from: Some(1), to: Some(2) });
        count.fetch_add(u64::from(moved), Ordering::Relaxed);
    });
    let report = world.rewrap(&paths, &options);
    assert_eq!((report.rewrapped, report.failed), (COUNT as u64, 0), "{report:?}");
    assert_eq!(seen.load(Ordering::Relaxed), COUNT as u64);
    let bytes: u64 = paths.iter().map(|path| std::fs::metadata(path).unwrap().len()).sum();
    assert_eq!(report.bytes, bytes);
    assert_eq!(census(&paths), BTreeMap::from([((2, 2), COUNT)]));
    assert!(rests(&paths) == before, "a body or a region A was changed");
    let asked = world.asked(asked);
    assert!(asked.iter().all(|(action, _)| *action == Some("re-encrypt")), "{asked:?}");
    let items: usize = asked.iter().map(|(_, items)| items).sum();
    assert_eq!(items, COUNT);
    let (_, full) = asked.split_last().unwrap();
    assert!(full.iter().all(|(_, items)| *items >= 200), "{asked:?}");
    open_all(&world.envelope, &paths);

    // Again: the first array is asked about, and nothing is written.
    let requests = world.emulator.requests().len();
    let report = world.rewrap(&paths, &quick());
    assert_eq!((report.newest, report.rewrapped), (COUNT as u64, 0));
    assert_eq!(world.asked(requests).len(), 1);
    assert_eq!(census(&paths), BTreeMap::from([((2, 2), COUNT)]));
}
