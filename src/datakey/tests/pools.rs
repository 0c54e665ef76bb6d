//! Data keys kept ready for writing.

use crate::datakey::limits::PoolLimits;
use crate::datakey::reaper;
use crate::datakey::reaper::Due;
use crate::datakey::supply::mint::Minted;
use crate::datakey::supply::pool::Pool;
use crate::datakey::tests::kit::*;
use crate::datakey::tests::service::{Op, Reply, fits};
use crate::error::{ErrorKind, Result};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

const AGE: Duration = secs(10);

type Write = Task<Result<Arc<Minted>>>;

fn take(pool: &Arc<Pool>) -> Write {
    let pool = pool.clone();
    Task::new(async move { pool.wait(pool.take()).await })
}

fn kept(rig: &Rig) -> Arc<Pool> {
    rig.pool(Some(PoolLimits::new(AGE)))
}

#[track_caller]
fn good(task: Write) -> Arc<Minted> {
    let minted = task.done().unwrap();
    assert!(fits(&minted.key, &minted.slots[0]), "a key with another one's wrapped key");
    minted
}

#[test]
fn without_limits_each_key_is_made_for_one_who_waits() {
    let rig = Rig::new(None);
    let pool = rig.pool(None);
    let keys: Vec<_> = (0..3).map(|_| good(take(&pool))).collect();
    assert_eq!((rig.service.sizes(), pool.depth()), (vec![1, 1, 1], (0, 0)));
    assert!(keys[0].key.expose_secret() != keys[1].key.expose_secret());
    rig.service.holds();
    let mut tasks: Vec<_> = (0..10).map(|_| take(&pool)).collect();
    assert_eq!(rig.service.sizes()[3..], [1]);
    rig.settle();
    assert_eq!(rig.service.sizes()[3..], [1, 9], "concurrent waiters share a call");
    rig.settle();
    assert_eq!((run_all(&mut tasks), pool.depth()), (10, (0, 0)));
    // Nobody waits for what comes now: it is not kept.
    drop(take(&pool));
    rig.settle();
    assert_eq!(pool.depth(), (0, 0));
}

#[test]
fn keys_are_ready_before_they_are_needed_and_none_is_used_twice() {
    let rig = Rig::new(None);
    let pool = kept(&rig);
    assert_eq!(
        (rig.service.count(), pool.depth()),
        (0, (0, 0)),
        "a pool that is not used makes no calls"
    );
    let mut seen = HashSet::new();
    for _ in 0..5_000 {
        assert!(seen.insert(*good(take(&pool)).key.expose_secret()));
    }
    assert!(rig.service.count() < 5_000 / 10, "{}", rig.service.count());
    let (ready, coming) = pool.depth();
    assert!(ready > 0 && coming == 0);
}

#[test]
fn first_come_first_served() {
    let rig = Rig::new(None);
    for pool in [rig.pool(None), kept(&rig)] {
        rig.service.holds();
        let mut tasks: Vec<_> = (0..4).map(|_| take(&pool)).collect();
        let call = rig.service.count() - 1;
        drop(tasks.remove(1));
        rig.service.call(call).answer(Reply::Good);
        rig.driver.nudge();
        // The first call brought one key or all; either way the first ones have theirs.
        let have: Vec<_> = tasks.iter_mut().map(Task::run).collect();
        assert!(have[0] && have.is_sorted_by(|a, b| a >= b), "{have:?}");
        rig.settle();
        rig.settle();
        assert_eq!(run_all(&mut tasks), 3);
        rig.settle();
    }
}

#[test]
fn whoever_goes_away_costs_nobody_a_key() {
    let rig = Rig::new(None);
    let pool = rig.pool(None);
    rig.service.holds();
    let mut tasks: Vec<_> = (0..100).map(|_| take(&pool)).collect();
    let mut index = 0;
    tasks.retain(|_| {
        index += 1;
        index % 3 == 0
    });
    rig.settle();
    rig.settle();
    assert_eq!((run_all(&mut tasks), pool.depth()), (33, (0, 0)));
}

#[test]
fn a_key_is_used_within_its_age_to_the_nanosecond() {
    let rig = Rig::new(None);
    let pool = kept(&rig);
    drop(good(take(&pool)));
    let (ready, _) = pool.depth();
    rig.service.holds();
    pass(AGE - nanos(1));
    for _ in 0..ready / 2 {
        assert!(now() - good(take(&pool)).at < AGE);
    }
    pass(nanos(1));
    let waits = take(&pool);
    assert_eq!(pool.depth().0, 0, "the others were wiped");
    rig.service.replies(Reply::Good);
    rig.settle();
    assert!(now() - good(waits).at < AGE);
}

#[test]
fn the_age_counts_from_before_the_call() {
    let rig = Rig::new(None);
    let pool = kept(&rig);
    rig.service.holds();
    let task = take(&pool);
    pass(AGE);
    rig.settle();
    assert_eq!(kind(task), ErrorKind::Unavailable);
    assert_eq!(pool.depth(), (0, 0), "nothing that is too old already is kept");
}

#[test]
fn what_is_forgotten_is_wiped_and_what_was_coming_too() {
    let rig = Rig::new(None);
    let pool = kept(&rig);
    drop(good(take(&pool)));
    rig.cache.forget_keys();
    assert_eq!(pool.depth(), (0, 0));
    // During a refill, with and without a waiter.
    rig.service.holds();
    drop(take(&pool));
    let before = now();
    pass(nanos(1));
    rig.cache.forget_keys();
    let waits = take(&pool);
    rig.service.replies(Reply::Good);
    rig.settle();
    let minted = good(waits);
    assert!(minted.at > before, "a key from before");
    let (ready, coming) = pool.depth();
    assert_eq!(coming, 0);
    for _ in 0..ready {
        assert!(good(take(&pool)).at > before, "a key from before");
    }
    rig.service.holds();
    let waits: Vec<_> = (0..200).map(|_| take(&pool)).collect();
    let before = now();
    pass(nanos(1));
    rig.cache.forget_keys();
    rig.service.replies(Reply::Good);
    rig.settle();
    // Some had got theirs before.
    let late = waits.into_iter().map(good).filter(|minted| minted.at > before).count();
    assert!(late > 50, "{late}");
}

#[test]
fn nothing_is_written_under_a_retired_version() {
    let rig = Rig::new(None);
    let pool = kept(&rig);
    drop(good(take(&pool)));
    rig.cache.retire_below("tag", 1);
    assert!(pool.depth().0 > 0, "version 1 is not below 1");
    rig.cache.retire_below("tag", 2);
    assert_eq!(pool.depth().0, 0);
    assert_eq!(kind(take(&pool)), ErrorKind::KeyUnusable, "the service still wraps with version 1");
    rig.service.rotate(2);
    pass(secs(1));
    assert_eq!(good(take(&pool)).versions, [Some(2)]);
    rig.cache.retire_below("tag", 1);
    rig.service.rotate(1);
    rig.service.holds();
    let waits: Vec<_> = (0..pool.depth().0 + 1).map(|_| take(&pool)).collect();
    rig.settle();
    rig.settle();
    let versions: Vec<_> =
        waits.into_iter().map(|task| task.done().map_err(|error| error.kind())).collect();
    assert!(versions.iter().all(|minted| match minted {
        Ok(minted) => minted.versions == [Some(2)],
        Err(kind) => *kind == ErrorKind::KeyUnusable,
    }));
    assert!(versions.last().unwrap().is_err(), "a floor does not sink");
}

#[test]
fn a_wrapper_that_lies_is_found_out_before_anything_is_written() {
    for (op, reply, verify) in [
        (Op::Wrap, Reply::Wrong, true),
        (Op::Unwrap, Reply::Wrong, true),
        (Op::Unwrap, Reply::Short, true),
    ] {
        let rig = Rig::new(None);
        let pool = Arc::new(Pool::new(rig.mint(verify), None).unwrap());
        assert!(good(take(&pool)).versions[0].is_some());
        assert_eq!(rig.service.count(), 2, "wrapped, and unwrapped again");
        rig.service.plan(move |call| Some(if call.op == op { reply } else { Reply::Good }));
        assert_eq!(kind(take(&pool)), ErrorKind::Internal, "{op:?}");
        rig.service.plan(move |call| {
            Some(if call.op == Op::Unwrap {
                Reply::Fail(ErrorKind::Unavailable)
            } else {
                Reply::Good
            })
        });
        pass(secs(1));
        assert_eq!(kind(take(&pool)), ErrorKind::Unavailable);
    }
}

#[test]
fn an_outage_is_written_through_with_the_keys_that_are_ready() {
    for outage in [ErrorKind::Unavailable, ErrorKind::Throttled] {
        let rig = Rig::new(None);
        let pool = kept(&rig);
        drop(good(take(&pool)));
        let (ready, _) = pool.depth();
        rig.service.replies(Reply::Fail(outage));
        let before = rig.service.count();
        for _ in 0..ready {
            drop(good(take(&pool)));
        }
        assert_eq!(
            rig.service.count(),
            before + 1,
            "ahead of need once, and then not for a second"
        );
        // A waiter is worth a call each time.
        assert_eq!(kind(take(&pool)), outage);
        assert_eq!(kind(take(&pool)), outage);
        assert_eq!(rig.service.count(), before + 3);
        rig.service.replies(Reply::Good);
        drop(good(take(&pool)));
        assert!(pool.depth().0 == 0 || pool.depth().0 > 30);
        drop(good(take(&pool)));
        assert!(pool.depth().0 > 30, "back to normal at once");
    }
}

#[test]
fn a_failed_refill_fails_those_who_waited_for_it_and_no_others() {
    let rig = Rig::new(None);
    let pool = kept(&rig);
    rig.service.holds();
    let mut first: Vec<_> = (0..3).map(|_| take(&pool)).collect();
    let call = rig.service.count();
    rig.service.call(call - 1).answer(Reply::Fail(ErrorKind::Unavailable));
    rig.driver.nudge();
    // 65 were coming for three: the waiters fail once no key is in flight.
    rig.service.holds();
    rig.settle();
    rig.settle();
    assert_eq!(run_all(&mut first), 3);
    for task in first {
        assert!(task.done().map_or_else(|error| error.kind() == ErrorKind::Unavailable, |_| true));
    }
}

#[test]
fn a_refusal_is_remembered_for_a_second() {
    for refusal in [ErrorKind::AccessDenied, ErrorKind::KeyUnusable, ErrorKind::Credentials] {
        let rig = Rig::new(None);
        for pool in [rig.pool(None), kept(&rig)] {
            rig.service.replies(Reply::Fail(refusal));
            assert_eq!(kind(take(&pool)), refusal);
            let before = rig.service.count();
            pass(secs(1) - nanos(1));
            assert_eq!(kind(take(&pool)), refusal);
            assert_eq!(rig.service.count(), before);
            rig.service.replies(Reply::Good);
            assert_eq!(kind(take(&pool)), refusal);
            pass(nanos(1));
            drop(good(take(&pool)));
            // Who forgets keys asks anew.
            rig.service.replies(Reply::Fail(refusal));
            rig.cache.forget_keys();
            assert_eq!(kind(take(&pool)), refusal);
            rig.service.replies(Reply::Good);
            rig.cache.forget_keys();
            drop(good(take(&pool)));
        }
    }
}

#[test]
fn many_are_ordered_in_one_go() {
    let rig = Rig::new(None);
    let pool = rig.pool(None);
    rig.service.holds();
    let taken = pool.take_many(700);
    assert_eq!(rig.service.sizes(), [256, 256]);
    rig.settle();
    rig.settle();
    let mut keys = HashSet::new();
    for taken in taken {
        let pool = pool.clone();
        assert!(
            keys.insert(
                *good(Task::new(async move { pool.wait(taken).await })).key.expose_secret()
            )
        );
    }
    assert_eq!(rig.service.sizes(), [256, 256, 188]);
}

#[test]
fn a_key_that_came_later_does_not_hide_an_older_one() {
    reaper::record_timers();
    let rig = Rig::with_source(None, crate::datakey::clock::Source { real: true, ..SOURCE });
    let pool = rig.pool(Some(PoolLimits::new(AGE).with_max_keys(4)));
    rig.service.holds();
    let old = [take(&pool)];
    assert_eq!(rig.service.sizes(), [5]);
    pass(secs(5));
    // The first call is stuck, so the next leaves and comes back before it.
    let first = take(&pool);
    pass(millis(20));
    let young = [first, take(&pool)];
    assert_eq!(rig.service.count(), 2);
    drop((old, young));
    rig.service.call(1).answer(Reply::Good);
    rig.driver.nudge();
    let (first, _) = pool.depth();
    rig.service.call(0).answer(Reply::Good);
    rig.driver.nudge();
    let (both, _) = pool.depth();
    assert!(first > 0 && both > first, "{first} {both}");
    // The reaper comes for the older ones at their time.
    let visits = reaper::recorded_timers(std::mem::take);
    let next = visits.iter().map(|(at, _)| *at).filter(|at| *at > now()).min().unwrap();
    assert_eq!(next, now() + secs(5) - millis(20));
    pass(secs(5) - millis(20));
    let pool_now = pool.take_many(both);
    let ages: Vec<_> = pool_now
        .into_iter()
        .map_while(|taken| {
            let pool = pool.clone();
            let mut task = Task::new(async move { pool.wait(taken).await });
            task.run().then(|| now() - good(task).at)
        })
        .collect();
    assert!(!ages.is_empty() && ages.iter().all(|age| *age < AGE), "{ages:?}");
}

#[test]
fn more_are_kept_when_somebody_had_to_wait_and_fewer_when_they_became_old() {
    let rig = Rig::new(None);
    let pool = kept(&rig);
    drop(good(take(&pool)));
    assert_eq!(pool.depth(), (64, 0), "32, and twice as many since the first had to wait");
    (0..64).for_each(|_| drop(good(take(&pool))));
    assert!(pool.depth().0 <= 64);
    // Used up while no key comes: somebody waits.
    rig.service.holds();
    let mut tasks: Vec<_> = (0..64 + 16).map(|_| take(&pool)).collect();
    assert!(run_all(&mut tasks) < 80);
    rig.service.replies(Reply::Good);
    rig.settle();
    rig.settle();
    assert_eq!(run_all(&mut tasks), 80);
    drop(good(take(&pool)));
    let (many, _) = pool.depth();
    assert!(many > 64, "{many}");
    let mut depths = vec![many];
    for _ in 0..4 {
        pass(AGE);
        drop(good(take(&pool)));
        depths.push(pool.depth().0);
    }
    assert!(depths.is_sorted_by(|a, b| a >= b) && depths[4] == 32, "{depths:?}");
    // Never more than the limit.
    let small = rig.pool(Some(PoolLimits::new(AGE).with_max_keys(5)));
    let mut tasks: Vec<_> = (0..50).map(|_| take(&small)).collect();
    assert_eq!(run_all(&mut tasks), 50);
    let (ready, coming) = small.depth();
    assert!((1..=5).contains(&ready) && coming == 0, "{ready} {coming}");
}

#[test]
fn the_reaper_wipes_what_nobody_takes_and_asks_to_come_once() {
    reaper::record_timers();
    let rig = Rig::with_source(None, crate::datakey::clock::Source { real: true, ..SOURCE });
    let pool = kept(&rig);
    drop(good(take(&pool)));
    pass(secs(1));
    (0..40).for_each(|_| drop(good(take(&pool))));
    let mut visits = 0;
    while let Some((at, whom)) = reaper::recorded_timers(|visits| {
        let first = visits.iter().enumerate().min_by_key(|(_, (at, _))| *at)?.0;
        Some(visits.swap_remove(first))
    }) {
        visits += 1;
        pass(at.saturating_duration_since(now()));
        let whom: Arc<dyn Due> = whom.upgrade().unwrap();
        // One too many, as after an earlier time had been asked for.
        whom.clone().due(at - nanos(1));
        whom.due(at);
        assert!(reaper::recorded_timers(|visits| visits.len()) <= 1);
    }
    assert_eq!(
        (pool.depth().0, visits),
        (0, 2),
        "at the end of those that came first, and of those that came later"
    );
}
