//! Callers who give up leave nothing behind: no waker, no place in a line, no key in a queue.

use crate::datakey::batch::flight::{Flight, Wait};
use crate::datakey::tests::kit::*;
use crate::datakey::tests::service::Reply;
use crate::datakey::{KeyCache, KeySettings, Keys};
use std::sync::Arc;

#[test]
fn a_flight_has_room_for_those_who_wait_and_no_more() {
    let flight = Arc::new(Flight::<()>::new());
    let wait = || Task::new(Wait::new(flight.clone()));
    let stays = wait();
    for _ in 0..10_000 {
        assert!(wait().pending());
    }
    assert!(flight.room() <= 8, "{}", flight.room());
    let crowd: Vec<_> = (0..1_000).map(|_| wait()).collect();
    assert!(flight.room() >= 1_000);
    drop(crowd);
    let next = wait();
    drop(stays);
    flight.finish(Some(Ok(())));
    assert!(next.done().is_some());
    let flight = Arc::new(Flight::<()>::new());
    drop((0..1_000).map(|_| Task::new(Wait::new(flight.clone()))).collect::<Vec<_>>());
    assert_eq!(flight.room(), 0, "a crowd that has gone left its room");
}

#[test]
fn keys_that_nobody_waits_for_any_more_are_not_asked_for() {
    const MANY: u32 = 50_000;
    let rig = Rig::new(None);
    rig.service.holds();
    let first = rig.read(0);
    let mut wanted = Vec::new();
    for n in 1..=MANY {
        let read = rig.read(n);
        if n % 1_000 == 0 {
            wanted.push(read);
        }
        assert!(rig.cache.0.len().1 < 10_000, "questions pile up");
    }
    rig.service.replies(Reply::Good);
    rig.service.call(0).answer(Reply::Good);
    assert!(first.done().is_ok());
    rig.driver.nudge();
    for (at, read) in wanted.into_iter().enumerate() {
        assert_eq!(number(&read.done()), (at as u32 + 1) * 1_000);
    }
    let asked: usize = rig.service.sizes().iter().sum();
    // The others were in flight before their callers went.
    assert!(asked < 10_000, "{asked} keys were asked for");
    assert_eq!(rig.cache.0.len(), (0, 0));
}

#[test]
fn writers_who_go_away_leave_no_order_and_those_who_stay_lose_none() {
    let rig = Rig::new(None);
    let pool = rig.pool(None);
    let take = || {
        let pool = pool.clone();
        Task::new(async move { pool.wait(pool.take()).await })
    };
    rig.service.holds();
    let mut stay = vec![take()];
    for n in 0..50_000 {
        let task = take();
        if n % 1_000 == 0 {
            stay.push(task);
        }
        assert!(pool.depth().1 < 10_000, "orders pile up");
    }
    rig.service.replies(Reply::Good);
    rig.settle();
    assert_eq!(run_all(&mut stay), 51);
    assert_eq!(pool.depth(), (0, 0));
    let asked: usize = rig.service.sizes().iter().sum();
    assert!(asked < 10_000, "{asked} keys were asked for");
}

/// Whoever began a call: its envelope goes, and another one's reader waits.
#[test]
fn an_envelope_that_goes_takes_no_call_from_those_who_wait() {
    let rig = Rig::new(None);
    rig.service.holds();
    let cache = KeyCache::none();
    let envelope = || {
        let settings = KeySettings {
            cache: cache.clone(),
            partition: Vec::new(),
            pool: None,
            reuse: None,
            verify: false,
            hedge: secs(1),
        };
        Keys::new(vec![rig.service.clone()], binding("s"), settings).unwrap()
    };
    let (begins, waits) = (envelope(), envelope());
    let mut beginning = Task::new(read(first_loader(&begins), slot("tag", 1), None));
    let mut waiting = Task::new(read(first_loader(&waits), slot("tag", 1), None));
    assert!(beginning.pending() && waiting.pending());
    drop((beginning, begins));
    for _ in 0..100 {
        let short = envelope();
        assert!(Task::new(read(first_loader(&short), slot("tag", 1), None)).pending());
    }
    drop(waits);
    assert!(waiting.pending());
    assert_eq!((rig.service.count(), rig.service.in_flight()), (1, 1), "begun again");
    rig.service.call(0).answer(Reply::Good);
    assert!(waiting.done().is_ok());
}
