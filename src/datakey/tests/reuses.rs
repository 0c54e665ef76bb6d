//! One data key for many messages.

use crate::datakey::limits::ReuseLimits;
use crate::datakey::reaper;
use crate::datakey::reaper::Due;
use crate::datakey::supply::mint::Minted;
use crate::datakey::supply::reuse::Reuse;
use crate::datakey::tests::kit::*;
use crate::datakey::tests::service::{Reply, fits};
use crate::error::{ErrorKind, Result};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

const AGE: Duration = secs(16);

type Write = Task<Result<Option<Arc<Minted>>>>;

fn take(reuse: &Arc<Reuse>, len: u64) -> Write {
    let reuse = reuse.clone();
    Task::new(async move { reuse.take(len).await })
}

fn limits(messages: u64, bytes: u64) -> ReuseLimits {
    ReuseLimits::new(AGE).with_max_messages(messages).with_max_bytes(bytes)
}

#[track_caller]
fn good(task: Write) -> Arc<Minted> {
    let minted = task.done().unwrap().expect("a shared key");
    assert!(fits(&minted.key, &minted.slots[0]));
    minted
}

fn same(a: &Arc<Minted>, b: &Arc<Minted>) -> bool {
    Arc::ptr_eq(a, b)
}

#[test]
fn a_key_is_used_for_exactly_so_many_messages() {
    for messages in [1, 2, 7, 8, 100] {
        let rig = Rig::new(None);
        let reuse = rig.reuse(limits(messages, 1 << 30));
        let mut uses: HashMap<[u8; 32], u64> = HashMap::new();
        for _ in 0..messages * 10 {
            *uses.entry(*good(take(&reuse, 5)).key.expose_secret()).or_default() += 1;
        }
        assert!(uses.len() == 10 && uses.values().all(|uses| *uses == messages), "{messages}");
    }
}

#[test]
fn a_key_is_used_for_so_many_bytes_and_never_more() {
    let rig = Rig::new(None);
    let reuse = rig.reuse(limits(1_000, 100));
    let first = good(take(&reuse, 60));
    assert!(same(&first, &good(take(&reuse, 40))), "exactly 100");
    let second = good(take(&reuse, 1));
    assert!(!same(&first, &second));
    assert!(same(&second, &good(take(&reuse, 0))));
    let third = good(take(&reuse, 100));
    assert!(!same(&second, &third), "1 + 100 is too much");
    assert!(same(&third, &good(take(&reuse, 0))));
    assert!(take(&reuse, 101).done().unwrap().is_none(), "a longer one has a key of its own");
    assert!(take(&reuse, u64::MAX).done().unwrap().is_none());
}

#[test]
fn a_key_is_used_for_so_long_to_the_nanosecond_and_then_wiped() {
    let rig = Rig::new(None);
    let reuse = rig.reuse(limits(1 << 20, 1 << 30));
    let first = good(take(&reuse, 1));
    pass(secs(14) - nanos(1));
    assert!(same(&first, &good(take(&reuse, 1))));
    assert_eq!(rig.service.count(), 1);
    rig.service.holds();
    pass(nanos(1));
    assert!(same(&first, &good(take(&reuse, 1))));
    assert_eq!(rig.service.count(), 2, "its successor is ordered an eighth before its end");
    pass(secs(2) - nanos(1));
    assert!(same(&first, &good(take(&reuse, 1))));
    assert_eq!(rig.service.count(), 2);
    pass(nanos(1));
    let waits = take(&reuse, 1);
    assert_eq!(Arc::strong_count(&first), 1, "let go of at once");
    rig.settle();
    let second = good(waits);
    assert!(!same(&first, &second));
    // The successor's time has begun when it was ordered.
    pass(secs(14) - nanos(1));
    assert!(same(&second, &good(take(&reuse, 1))));
    pass(nanos(1));
    drop(take(&reuse, 1));
    assert_eq!(Arc::strong_count(&second), 1);
}

#[test]
fn nobody_waits_while_the_service_answers_in_time() {
    let rig = Rig::new(None);
    let reuse = rig.reuse(limits(80, 1 << 30));
    drop(good(take(&reuse, 1)));
    rig.service.holds();
    for round in 0..5 {
        for _ in usize::from(round == 0)..69 {
            drop(good(take(&reuse, 1)));
        }
        assert_eq!(rig.service.count(), 1 + round);
        drop(good(take(&reuse, 1)));
        assert_eq!(rig.service.count(), 2 + round, "ordered at 70 of 80");
        rig.settle();
        for _ in 70..80 {
            drop(good(take(&reuse, 1)));
        }
    }
}

#[test]
fn an_outage_fails_those_who_wait_and_the_key_in_use_goes_on_and_a_denial_ends_it() {
    for failure in [ErrorKind::Unavailable, ErrorKind::AccessDenied] {
        let rig = Rig::new(None);
        let reuse = rig.reuse(limits(8, 1 << 30));
        let first = good(take(&reuse, 1));
        rig.service.replies(Reply::Fail(failure));
        // The last of these orders a successor, as all of them do once one was refused.
        let ordered = (1..8).take_while(|_| {
            assert!(same(&first, &good(take(&reuse, 1))), "{failure:?}");
            rig.service.count() == 1
        });
        assert_eq!(ordered.count(), 5);
        let before = rig.service.count();
        assert_eq!(before, 2);
        if failure == ErrorKind::Unavailable {
            assert!(same(&first, &good(take(&reuse, 1))));
            assert_eq!(rig.service.count(), before, "no successor is ordered for a second");
        }
        assert_eq!(kind(take(&reuse, 1)), failure);
        let asked = usize::from(failure == ErrorKind::Unavailable);
        assert_eq!(
            rig.service.count(),
            before + asked,
            "a refusal is remembered, an outage is not"
        );
        pass(secs(1));
        rig.service.holds();
        let mut tasks = [take(&reuse, 1), take(&reuse, 1)];
        rig.service.last().answer(Reply::Fail(failure));
        assert_eq!(run_all(&mut tasks), 2);
        for task in tasks {
            assert_eq!(kind(task), failure);
        }
        pass(secs(1));
        rig.service.replies(Reply::Good);
        drop(good(take(&reuse, 1)));
    }
}

#[test]
fn a_key_that_is_forgotten_is_used_no_more() {
    let rig = Rig::new(None);
    let reuse = rig.reuse(limits(8, 1 << 30));
    let first = good(take(&reuse, 1));
    rig.cache.forget_keys();
    assert_eq!(Arc::strong_count(&first), 1);
    for _ in 0..7 {
        assert!(!same(&first, &good(take(&reuse, 1))));
    }
    rig.cache.forget_keys();
    // While it is in flight: waiters get another one.
    rig.service.holds();
    let waits = take(&reuse, 1);
    let before = now();
    pass(nanos(1));
    rig.cache.forget_keys();
    rig.settle();
    rig.settle();
    assert!(good(waits).at > before);
    let stays = good(take(&reuse, 1));
    rig.cache.retire_below("tag", 1);
    assert!(same(&stays, &good(take(&reuse, 1))));
    rig.service.replies(Reply::Good);
    rig.cache.retire_below("tag", 2);
    assert_eq!(kind(take(&reuse, 1)), ErrorKind::KeyUnusable);
    rig.service.rotate(2);
    pass(secs(1));
    assert_eq!(good(take(&reuse, 1)).versions, [Some(2)]);
}

#[test]
fn a_key_that_came_too_late_is_not_used() {
    let rig = Rig::new(None);
    let reuse = rig.reuse(limits(8, 1 << 30));
    rig.service.holds();
    let waits = take(&reuse, 1);
    pass(AGE);
    rig.settle();
    assert_eq!(kind(waits), ErrorKind::Unavailable);
}

#[test]
fn those_who_wait_share_an_order_and_all_are_served() {
    let rig = Rig::new(None);
    for messages in [1, 3, 50, 1_000] {
        let reuse = rig.reuse(limits(messages, 1 << 30));
        rig.service.holds();
        let mut tasks: Vec<_> = (0..1_000).map(|_| take(&reuse, 1)).collect();
        tasks.drain(..10);
        let before = rig.service.count();
        assert_eq!(run_all(&mut tasks), 0);
        let mut rounds = 0;
        while run_all(&mut tasks) < 990 {
            rig.settle();
            rounds += 1;
            assert!(rounds < 20, "the lots do not grow");
        }
        assert!(rig.service.count() - before < 20);
        let mut uses: HashMap<[u8; 32], u64> = HashMap::new();
        for task in tasks {
            *uses.entry(*good(task).key.expose_secret()).or_default() += 1;
        }
        assert!(uses.values().all(|uses| *uses <= messages));
        assert_eq!(uses.values().sum::<u64>(), 990);
        rig.settle();
    }
}

#[test]
fn a_key_now_and_then_is_ordered_alone() {
    let rig = Rig::new(None);
    let reuse = rig.reuse(limits(8, 1 << 30));
    for _ in 0..10 {
        drop(good(take(&reuse, 1)));
        pass(AGE);
    }
    assert_eq!(rig.service.sizes(), [1; 10], "nobody used them up");
}

#[test]
fn the_reaper_wipes_what_nobody_uses_and_asks_to_come_once() {
    reaper::record_timers();
    let rig = Rig::with_source(None, crate::datakey::clock::Source { real: true, ..SOURCE });
    let reuse = rig.reuse(limits(8, 1 << 30));
    let key = Arc::downgrade(&good(take(&reuse, 1)));
    let mut visits = 0;
    while let Some((at, whom)) = reaper::recorded_timers(Vec::pop) {
        visits += 1;
        pass(at.saturating_duration_since(now()) - nanos(1));
        let whom: Arc<dyn Due> = whom.upgrade().unwrap();
        whom.clone().due(at - nanos(1));
        assert!(
            reaper::recorded_timers(|visits| visits.is_empty()),
            "before its time it has nothing to ask for"
        );
        pass(nanos(1));
        whom.due(at);
    }
    assert!(key.upgrade().is_none());
    assert_eq!(visits, 1);
}
