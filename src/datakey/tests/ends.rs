//! What ends keys, for all who hold them, and for what was asked for before.

use crate::datakey::batch::batcher::Batcher;
use crate::datakey::batch::operation::Unwrap;
use crate::datakey::cache::Loader;
use crate::datakey::limits::{CacheLimits, PoolLimits, ReuseLimits};
use crate::datakey::recipient::Recipient;
use crate::datakey::supply::mint::Minted;
use crate::datakey::supply::pool::Pool;
use crate::datakey::tests::kit::*;
use crate::datakey::tests::service::{Op, Reply};
use crate::error::{ErrorKind, Result};
use std::sync::Arc;

const HOUR: std::time::Duration = secs(3_600);
const DENIED: Reply = Reply::Fail(ErrorKind::AccessDenied);

fn take(pool: &Arc<Pool>) -> Task<Result<Arc<Minted>>> {
    let pool = pool.clone();
    Task::new(async move { pool.wait(pool.take()).await })
}

fn rig() -> Rig {
    Rig::new(Some(CacheLimits::new(HOUR)))
}

/// Every way to end the keys under "tag".
fn ends() -> [fn(&Rig); 5] {
    [
        |rig| {
            rig.service.replies(DENIED);
            // Of another client, so that it does not wait for the calls of the usual one.
            let unwrap = Batcher::new(
                Unwrap,
                Recipient::new(rig.service.clone()),
                rig.driver.clone(),
                SOURCE,
            );
            let reader = Loader { batcher: unwrap, ..rig.reader("p", "s") };
            let denied = Task::new(read(reader, slot("tag", 77), None));
            assert_eq!(kind(denied), ErrorKind::AccessDenied);
        },
        |rig| {
            rig.service.replies(DENIED);
            assert_eq!(kind(take(&rig.pool(None))), ErrorKind::AccessDenied);
        },
        |rig| rig.cache.invalidate("tag"),
        |rig| rig.cache.forget_keys(),
        |rig| rig.cache.retire_below("tag", 2),
    ]
}

#[test]
fn an_unwrap_from_before_an_end_is_for_those_who_wait_and_for_nobody_else() {
    for end in ends() {
        let rig = rig();
        rig.service.holds();
        let early = rig.read(1);
        end(&rig);
        rig.service.holds();
        // It is not joined either: what it brings was asked for before.
        let late = rig.read(1);
        let calls = rig.service.count() + 1;
        rig.service.call(0).answer(Reply::Good);
        assert!(early.done().is_ok());
        rig.settle();
        assert!(late.done().is_ok());
        assert_eq!(rig.service.count(), calls);
    }
    for (at, end) in ends().into_iter().enumerate() {
        let rig = rig();
        rig.service.holds();
        let early = rig.read(1);
        end(&rig);
        rig.service.call(0).answer(Reply::Good);
        assert!(early.done().is_ok());
        let calls = rig.service.count();
        rig.service.replies(Reply::Good);
        assert!(rig.read(1).done().is_ok());
        assert_eq!(rig.service.count(), calls + 1, "end {at} let a key from before it pass");
    }
}

#[test]
fn an_answer_of_yes_that_was_asked_for_after_a_denial_is_kept() {
    let rig = rig();
    rig.service.holds();
    let (denied, slow) = (rig.read(1), rig.read(2));
    // Two keys of one batch, and one that is still in the queue behind it.
    assert_eq!(rig.service.count(), 1);
    rig.service.call(0).answer(DENIED);
    assert_eq!(kind(denied), ErrorKind::AccessDenied);
    rig.settle();
    assert!(slow.done().is_ok());
    rig.service.replies(Reply::Good);
    pass(secs(1));
    assert!(rig.read(1).done().is_ok());
    rig.hit(1);
}

#[test]
fn all_of_a_batch_are_refused_for_a_second_by_one_denial() {
    let rig = rig();
    rig.service.holds();
    drop(rig.read(0));
    let reads: Vec<_> = (1..=5).map(|n| rig.read(n)).collect();
    rig.settle();
    assert_eq!(rig.service.sizes(), [1, 5]);
    rig.service.call(1).answer(DENIED);
    for read in reads {
        assert_eq!(kind(read), ErrorKind::AccessDenied);
    }
    for n in 1..=5 {
        assert_eq!(kind(rig.read(n)), ErrorKind::AccessDenied);
    }
    assert_eq!(rig.service.count(), 2, "nobody is asked again");
    assert_eq!(rig.cache.stats().refused_again, 5);
}

#[test]
fn an_end_reaches_every_pool_and_every_key_in_use_of_its_family() {
    for (at, end) in ends().into_iter().enumerate() {
        let rig = rig();
        let pools = [(); 3].map(|()| rig.pool(Some(PoolLimits::new(HOUR))));
        let reuse = rig.reuse(ReuseLimits::new(HOUR));
        let in_use = {
            let reuse = reuse.clone();
            Task::new(async move { reuse.take(1).await }).done().unwrap().unwrap()
        };
        for pool in &pools {
            assert!(take(pool).done().is_ok());
            assert!(pool.depth().0 > 0);
        }
        end(&rig);
        for pool in &pools {
            assert_eq!(pool.depth(), (0, 0), "end {at}");
        }
        assert_eq!(Arc::strong_count(&in_use), 1, "end {at}");
        rig.service.rotate(2);
        rig.service.replies(Reply::Good);
        pass(secs(1));
        let before = now();
        for pool in &pools {
            assert!(take(pool).done().unwrap().at >= before);
        }
    }
}

#[test]
fn a_key_on_order_when_its_family_is_denied_is_not_kept() {
    for of_wrap in [false, true] {
        let rig = rig();
        let pools = [(); 2].map(|()| rig.pool(Some(PoolLimits::new(HOUR))));
        rig.service.holds();
        let waiting = pools.each_ref().map(take);
        if of_wrap {
            rig.service.call(0).answer(DENIED);
            for task in waiting {
                assert_eq!(kind(task), ErrorKind::AccessDenied);
            }
            rig.settle();
            assert_eq!(pools.each_ref().map(|pool| pool.depth()), [(0, 0); 2]);
        } else {
            rig.service.plan(|call| (call.op == Op::Unwrap).then_some(DENIED));
            assert_eq!(kind(rig.read(1)), ErrorKind::AccessDenied);
            let before = now();
            pass(nanos(1));
            // They are not denied, and need keys from after it.
            rig.service.replies(Reply::Good);
            rig.settle();
            rig.settle();
            for task in waiting {
                assert!(task.done().unwrap().at >= before);
            }
        }
    }
}

#[test]
fn other_families_hear_nothing() {
    let rig = rig();
    let pool = rig.pool(Some(PoolLimits::new(HOUR)));
    assert!(take(&pool).done().is_ok());
    let depth = pool.depth();
    rig.service.replies(DENIED);
    let other = rig.reader("q", "s");
    assert_eq!(kind(Task::new(read(other, slot("tag", 1), None))), ErrorKind::AccessDenied);
    assert_eq!(kind(rig.read_of("other", 1, None)), ErrorKind::AccessDenied);
    rig.cache.invalidate("other");
    rig.cache.retire_below("other", 9);
    rig.cache.retire_below("tag", 1);
    assert_eq!(pool.depth(), depth);
}

#[test]
fn a_pool_that_comes_later_knows_what_was_retired() {
    let rig = rig();
    rig.cache.retire_below("tag", 2);
    for pool in [rig.pool(None), rig.pool(Some(PoolLimits::new(HOUR)))] {
        assert_eq!(kind(take(&pool)), ErrorKind::KeyUnusable, "the service wraps with version 1");
    }
}
