//! What leaves when, with whom, and what comes of it.

use crate::datakey::batch::batcher::Batcher;
use crate::datakey::batch::drive::Driver;
use crate::datakey::batch::lane::MAX_BATCH;
use crate::datakey::batch::operation::Unwrap;
use crate::datakey::batch::ticket::Ticket;
use crate::datakey::clock::Source;
use crate::datakey::reaper;
use crate::datakey::recipient::Recipient;
use crate::datakey::tests::kit::*;
use crate::datakey::tests::service::{Reply, Service};
use crate::error::{ErrorKind, Result};
use crate::wrap::{KeyPayload, WrappedKey};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

type Outcome = Option<Result<KeyPayload>>;

struct Rig {
    service: Arc<Service>,
    driver: Arc<Driver>,
    batcher: Batcher<Unwrap>,
    outcomes: Arc<Mutex<BTreeMap<u32, Outcome>>>,
}

impl Rig {
    fn new() -> Self {
        Self::with_source(SOURCE)
    }

    fn with_source(source: Source) -> Self {
        let (service, driver) = (Arc::new(Service::new("tag")), Arc::new(Driver::default()));
        let batcher = Batcher::new(Unwrap, Recipient::new(service.clone()), driver.clone(), source);
        Self { service, driver, batcher, outcomes: Arc::default() }
    }

    fn submit(&self, tag: &str, numbers: impl IntoIterator<Item = u32>) {
        self.submit_keys(numbers.into_iter().map(|n| (n, slot(tag, n))));
    }

    fn submit_keys(&self, keys: impl Iterator<Item = (u32, WrappedKey)>) {
        let items = keys.map(|(n, key)| {
            let outcomes = self.outcomes.clone();
            let answer = move |outcome| {
                assert!(
                    outcomes.lock().unwrap().insert(n, outcome).is_none(),
                    "{n} was answered twice"
                )
            };
            (key, Ticket::new(answer))
        });
        self.batcher.submit(items);
        self.driver.nudge();
    }

    fn answer(&self, call: usize, reply: Reply) {
        self.service.call(call).answer(reply);
        self.driver.nudge();
    }

    /// What came of each key: its number if it is the right one, or the kind of error, or that the
    /// work was dropped.
    fn outcome(&self, n: u32) -> Option<Option<ErrorKind>> {
        let outcomes = self.outcomes.lock().unwrap();
        match outcomes.get(&n)?.as_ref()? {
            Ok(payload) => {
                assert_eq!(
                    payload.expose_secret(),
                    crate::datakey::tests::service::payload(n, "s").expose_secret(),
                    "{n} got another one's key"
                );
                Some(None)
            }
            Err(error) => Some(Some(error.kind())),
        }
    }

    fn answered(&self) -> usize {
        self.outcomes.lock().unwrap().len()
    }

    #[track_caller]
    fn all_good(&self, numbers: impl IntoIterator<Item = u32>) {
        for n in numbers {
            assert_eq!(self.outcome(n), Some(None), "{n}");
        }
    }
}

#[test]
fn a_key_leaves_at_once_when_nothing_is_under_way_and_with_others_when_something_is() {
    let rig = Rig::new();
    rig.service.holds();
    rig.submit("tag", [0]);
    assert_eq!(rig.service.sizes(), [1]);
    for n in 1..=5 {
        rig.submit("tag", [n]);
    }
    assert_eq!(rig.service.sizes(), [1], "they wait for the call in flight");
    rig.answer(0, Reply::Good);
    assert_eq!(rig.service.sizes(), [1, 5]);
    rig.answer(1, Reply::Good);
    rig.all_good(0..=5);
    rig.submit("tag", [6]);
    assert_eq!(rig.service.sizes(), [1, 5, 1]);
}

#[test]
fn a_whole_batch_leaves_at_once() {
    let rig = Rig::new();
    rig.service.holds();
    rig.submit("tag", 0..1);
    rig.submit("tag", 1..256);
    assert_eq!(rig.service.sizes(), [1]);
    rig.submit("tag", [256]);
    assert_eq!(rig.service.sizes(), [1, 256]);
    rig.submit("tag", 257..257 + 600);
    assert_eq!(rig.service.sizes(), [1, 256, 256, 256]);
    for call in 0..4 {
        rig.answer(call, Reply::Good);
    }
    assert_eq!(rig.service.sizes(), [1, 256, 256, 256, 88]);
    rig.answer(4, Reply::Good);
    rig.all_good(0..857);
    let stats = rig.batcher.stats();
    assert_eq!((stats.calls, stats.keys, stats.largest, stats.failed_calls), (5, 857, 256, 0));
}

#[test]
fn no_more_than_32_calls_of_a_key_are_under_way() {
    let rig = Rig::new();
    rig.service.holds();
    rig.submit("tag", 0..40 * 256);
    assert_eq!(rig.service.count(), 32);
    rig.answer(7, Reply::Good);
    assert_eq!(rig.service.count(), 33);
    rig.submit("other", [40 * 256]);
    assert_eq!(rig.service.count(), 34, "another key-encryption key has a limit of its own");
    rig.service.replies(Reply::Good);
    for call in 0..34 {
        rig.service.call(call).answer(Reply::Good);
    }
    rig.driver.nudge();
    rig.all_good(0..40 * 256 + 1);
}

#[test]
fn a_queue_is_bounded() {
    let rig = Rig::new();
    rig.service.holds();
    let key = WrappedKey::new(key_id("tag"), *b"x").unwrap();
    let room = 32 * 256 + (1 << 18);
    rig.submit_keys((0..32 * 256).map(|n| (n, key.clone())));
    rig.submit_keys((32 * 256..room + 2).map(|n| (n, key.clone())));
    assert_eq!(
        (rig.answered(), rig.outcome(room), rig.outcome(room + 1)),
        (2, Some(Some(ErrorKind::Throttled)), Some(Some(ErrorKind::Throttled)))
    );
}

#[test]
fn a_key_does_not_wait_for_a_call_that_takes_long() {
    let rig = Rig::new();
    rig.service.holds();
    rig.submit("tag", [0]);
    rig.submit("tag", [1]);
    pass(millis(20) - nanos(1));
    rig.submit("tag", [2]);
    assert_eq!(rig.service.sizes(), [1]);
    pass(nanos(1));
    rig.submit("tag", [3]);
    assert_eq!(rig.service.sizes(), [1, 3], "those who came later leave too");
    // Twice what a call takes, once that is known: 20 ms and 100 ms make (3 * 20 + 100) / 4 = 40.
    rig.answer(1, Reply::Good);
    rig.submit("tag", [4]);
    pass(millis(20));
    rig.submit("tag", [5]);
    assert_eq!(rig.service.sizes(), [1, 3, 2]);
    pass(millis(60));
    rig.answer(0, Reply::Good);
    rig.submit("tag", [6]);
    pass(millis(1));
    rig.submit("tag", [7]);
    assert_eq!(rig.service.count(), 3);
    pass(secs(1));
    rig.submit("tag", [8]);
    assert_eq!(rig.service.sizes(), [1, 3, 2, 3]);
}

#[test]
fn one_bad_key_among_256_fails_alone() {
    for kind in [
        ErrorKind::Authentication,
        ErrorKind::Malformed,
        ErrorKind::InvalidInput,
        ErrorKind::LimitExceeded,
        ErrorKind::KeyNotAllowed,
    ] {
        let rig = Rig::new();
        let bad = slot("tag", 77).as_bytes().to_vec();
        rig.service.plan(move |call| {
            Some(if call.keys.contains(&bad) { Reply::Fail(kind) } else { Reply::Good })
        });
        rig.submit("tag", 0..256);
        assert_eq!(rig.service.count(), 17, "two calls for each halving, and the first one");
        for n in 0..256 {
            assert_eq!(rig.outcome(n), Some((n == 77).then_some(kind)));
        }
        assert_eq!(rig.batcher.stats().splits, 8);
        rig.submit("tag", 300..556);
        assert_eq!(rig.service.sizes()[17..], [256], "nothing was learned from it about sizes");
    }
}

#[test]
fn what_says_nothing_of_one_key_is_not_asked_again_in_halves() {
    for kind in [
        ErrorKind::AccessDenied,
        ErrorKind::KeyUnusable,
        ErrorKind::Credentials,
        ErrorKind::Unavailable,
        ErrorKind::Throttled,
        ErrorKind::Internal,
    ] {
        let rig = Rig::new();
        rig.service.replies(Reply::Fail(kind));
        rig.submit("tag", 0..256);
        assert_eq!(rig.service.count(), 1);
        assert!((0..256).all(|n| rig.outcome(n) == Some(Some(kind))));
    }
}

#[test]
fn smaller_batches_are_learned_and_larger_ones_tried_again() {
    let rig = Rig::new();
    rig.service.plan(|call| {
        Some(if call.keys.len() > 64 { Reply::Fail(ErrorKind::LimitExceeded) } else { Reply::Good })
    });
    rig.submit("tag", 0..256);
    rig.all_good(0..256);
    let mut sizes = rig.service.sizes();
    sizes.sort_unstable();
    assert_eq!(sizes, [64, 64, 64, 64, 128, 128, 256]);
    rig.submit("tag", 256..512);
    rig.all_good(256..512);
    assert_eq!(rig.service.sizes()[7..], [64; 4]);
    rig.submit("other", 1_000..1_256);
    assert_eq!(
        rig.service.sizes()[11],
        256,
        "what one key-encryption key takes says nothing of another"
    );

    let rig = Rig::new();
    rig.service.plan(|call| {
        Some(if call.keys.len() > 1 { Reply::Fail(ErrorKind::LimitExceeded) } else { Reply::Good })
    });
    rig.submit("tag", 0..4);
    rig.service.replies(Reply::Good);
    let before = rig.service.count();
    rig.submit("tag", 4..1_003);
    assert_eq!(rig.service.sizes()[before..], [1; 999]);
    rig.submit("tag", [1_003]);
    rig.submit("tag", 1_004..1_008);
    assert_eq!(rig.service.sizes()[before + 1_000..], [2, 2]);
    rig.all_good(0..1_008);
}

#[test]
fn keys_under_different_key_encryption_keys_share_no_call_and_no_fate() {
    let rig = Rig::new();
    rig.service.plan(|call| {
        Some(if call.tag == "b" { Reply::Fail(ErrorKind::AccessDenied) } else { Reply::Good })
    });
    let tags = ["a", "b", "c"];
    rig.submit_keys((0..300).map(|n| (n, slot(tags[n as usize % 3], n))));
    assert_eq!(rig.service.sizes(), [100, 100, 100]);
    for n in 0..300 {
        assert_eq!(rig.outcome(n), Some((n % 3 == 1).then_some(ErrorKind::AccessDenied)));
    }
}

#[test]
fn a_wrong_number_of_results_is_given_to_nobody() {
    let rig = Rig::new();
    rig.service.replies(Reply::Short);
    rig.submit("tag", 0..10);
    assert!((0..10).all(|n| rig.outcome(n) == Some(Some(ErrorKind::Internal))));
    assert_eq!((rig.service.count(), rig.batcher.stats().failed_calls), (1, 1));
}

#[test]
fn a_lane_that_is_idle_gives_way_to_new_ones() {
    let rig = Rig::new();
    for n in 0..3_000 {
        rig.submit(&format!("tag{n}"), [n]);
    }
    rig.all_good(0..3_000);
    assert!(rig.batcher.lanes() <= 1_024);
}

/// The reaper as it is on a machine whose clock goes from one visit to the next.
fn next_visit(rig: &Rig) -> Option<usize> {
    let (at, whom) = reaper::recorded_timers(|visits| {
        let first = visits.iter().enumerate().min_by_key(|(_, (at, _))| *at)?.0;
        Some(visits.swap_remove(first))
    })?;
    assert!(
        at > now() || rig.service.in_flight() == 0,
        "a visit at once would come again and again"
    );
    pass(at.saturating_duration_since(now()));
    whom.upgrade()?.due(at);
    rig.driver.nudge();
    Some(reaper::recorded_timers(|visits| visits.len()))
}

const WITH_REAPER: Source = Source { real: true, ..SOURCE };

#[test]
fn what_waits_too_long_is_fetched() {
    reaper::record_timers();
    let rig = Rig::with_source(WITH_REAPER);
    rig.service.holds();
    rig.submit("tag", 0..1);
    rig.submit("tag", 1..3);
    assert_eq!(rig.service.sizes(), [1]);
    assert_eq!(next_visit(&rig), Some(0));
    assert_eq!(rig.service.sizes(), [1, 2]);
}

#[test]
fn visits_do_not_multiply_with_the_key_encryption_keys() {
    reaper::record_timers();
    let rig = Rig::with_source(WITH_REAPER);
    rig.service.holds();
    let tags: Vec<_> = (0..12_u32).map(|n| format!("tag{n}")).collect();
    let mut n = 0..;
    for tag in &tags {
        rig.submit(tag, n.next());
    }
    let mut most = 0;
    for round in 0..40 {
        for tag in &tags {
            rig.submit(tag, n.next());
            pass(millis(1));
        }
        while let Some(left) = next_visit(&rig) {
            most = most.max(left);
            assert!(left <= tags.len(), "{left} visits for {} queues in round {round}", tags.len());
        }
        if round % 2 == 1 {
            (0..rig.service.count()).for_each(|call| rig.answer(call, Reply::Good));
            assert_eq!(rig.service.in_flight(), 0);
            for tag in &tags {
                rig.submit(tag, n.next());
            }
        }
    }
    assert!(most > 0, "nothing waited");
}

#[test]
fn nobody_is_sent_to_look_at_a_queue_that_cannot_move() {
    reaper::record_timers();
    let rig = Rig::with_source(WITH_REAPER);
    rig.service.holds();
    rig.submit("tag", 0..32 * MAX_BATCH as u32);
    rig.submit("tag", [32 * MAX_BATCH as u32]);
    pass(secs(2));
    rig.submit("tag", [32 * MAX_BATCH as u32 + 1]);
    for _ in 0..10 {
        if next_visit(&rig).is_none() {
            rig.answer(3, Reply::Good);
            assert_eq!(rig.service.sizes()[32..], [2]);
            return;
        }
    }
    panic!("visits without end");
}

#[test]
fn a_wrapper_that_panics_has_failed_and_is_not_asked_for_ever() {
    let rig = Rig::new();
    rig.service.holds();
    rig.submit("tag", 0..10);
    rig.submit("tag", 10..20);
    rig.service.replies(Reply::Good);
    rig.answer(0, Reply::Panic);
    assert!((0..10).all(|n| rig.outcome(n) == Some(Some(ErrorKind::Internal))));
    rig.all_good(10..20);
    let reader = crate::datakey::tests::kit::Rig::new(None);
    reader.service.replies(Reply::Panic);
    assert_eq!(reader.read(1).done().err().unwrap().kind(), ErrorKind::Internal);
    assert_eq!(reader.service.count(), 1);
}

#[test]
fn a_call_that_is_dropped_says_so_to_all_who_wait_behind_it() {
    let rig = Rig::new();
    rig.service.holds();
    rig.submit("tag", 0..300);
    rig.submit("other", [300]);
    assert_eq!(rig.service.sizes(), [256, 1]);
    rig.driver.drop_orphans();
    assert_eq!((rig.answered(), rig.service.in_flight(), rig.service.count()), (301, 0, 2));
    assert!((0..301).all(|n| rig.outcome(n).is_none()));
    rig.service.replies(Reply::Good);
    rig.submit("tag", [301]);
    assert_eq!(rig.outcome(301), Some(None));
}
