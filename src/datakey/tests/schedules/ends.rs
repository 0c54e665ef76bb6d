//! What ends keys, in any order with what was asked for before and after; and envelopes that go
//! while others wait for what they began.

use crate::datakey::KeyCache;
use crate::datakey::batch::batcher::Batcher;
use crate::datakey::batch::drive::KeepAlive;
use crate::datakey::batch::flight::Flight;
use crate::datakey::batch::operation::{Unwrap, Wrap};
use crate::datakey::limits::{CacheLimits, PoolLimits};
use crate::datakey::recipient::Recipient;
use crate::datakey::supply::mint::{Mint, WrapTarget};
use crate::datakey::supply::pool::Pool;
use crate::datakey::tests::kit::*;
use crate::datakey::tests::schedules::*;
use crate::error::ErrorKind;
use shuttle::future::block_on;
use shuttle::thread;
use std::sync::Arc;

/// Denies key 2 and whatever shares a call with it.
fn denies_two(_: &Remote, keys: &[Vec<u8>]) -> Option<ErrorKind> {
    let two = slot("tag", 2);
    keys.iter().any(|key| key == two.as_bytes()).then_some(ErrorKind::AccessDenied)
}

#[test]
fn what_was_asked_for_before_a_denial_is_not_found_after() {
    explore(|| {
        let remote = Remote::new(denies_two, true);
        let loader = loader(&remote, CacheLimits::new(secs(10)));
        let asking = {
            let loader = loader.clone();
            // Without this one's own word: it may have shared the denied call.
            thread::spawn(move || drop(look(&loader)))
        };
        // With another client, whose calls do not wait for those of the first.
        let other = Reader::of(&remote, loader.cache.clone());
        let denied = block_on(read(other.clone(), slot("tag", 2), None));
        assert_eq!(denied.err().unwrap().kind(), ErrorKind::AccessDenied);
        let found = look(&loader).0;
        asking.join().unwrap();
        let late = look(&loader).0;
        let seen = remote.seen();
        let two = slot("tag", 2);
        let denial = seen.iter().find(|call| call.keys.iter().any(|key| key == two.as_bytes()));
        let over = denial.unwrap().over.unwrap();
        for call in [found, late].into_iter().flatten() {
            assert!(seen[call].began > over, "a key from before the denial");
        }
    });
}

/// Pools of sibling scopes, of one cache and one client.
fn siblings(remote: &Arc<Remote>, reader: &Reader) -> [Arc<Pool>; 2] {
    let batcher = Batcher::new(
        Wrap { verify: false },
        Recipient::new(remote.clone()),
        reader.driver.clone(),
        SOURCE,
    );
    [(); 2].map(|()| {
        let family = reader.realm.family(&key_id("tag"));
        let mint = Mint {
            targets: [WrapTarget { batcher: batcher.clone(), family }].into(),
            driver: reader.driver.clone(),
            binding: reader.binding,
            ends: reader.cache.0.ends.clone(),
            source: SOURCE,
            counters: Arc::default(),
        };
        let limits = PoolLimits::new(secs(60)).with_max_keys(2);
        Arc::new(Pool::new(mint, Some(limits)).unwrap())
    })
}

#[test]
fn an_end_reaches_the_pools_of_all_siblings() {
    explore(|| {
        let remote = Remote::new(denies_two, true);
        let reader = loader(&remote, CacheLimits::new(secs(10)));
        let pools = siblings(&remote, &reader);
        let writing = pools.clone().map(|pool| thread::spawn(move || drop(take(&pool))));
        let event = if chance() {
            let event = remote.event();
            reader.cache.invalidate("tag");
            event
        } else {
            let denied = block_on(read(reader.clone(), slot("tag", 2), None));
            assert_eq!(denied.err().unwrap().kind(), ErrorKind::AccessDenied);
            let two = slot("tag", 2);
            let over = |call: &Seen| {
                call.keys.iter().any(|key| key == two.as_bytes()).then_some(call.over).flatten()
            };
            remote.seen().iter().find_map(over).unwrap()
        };
        for pool in &pools {
            let minted = take(pool).unwrap();
            assert!(remote.seen()[call_of(&minted)].began > event, "a key from before the end");
        }
        join(writing);
        for pool in &pools {
            let minted = take(pool).unwrap();
            assert!(remote.seen()[call_of(&minted)].began > event, "a key from before the end");
        }
    });
}

#[test]
fn who_waits_keeps_a_call_alive_whoever_began_it_goes() {
    explore(|| {
        let remote = Remote::new(|_, _| None, false);
        let cache = KeyCache::none();
        let driver = cache.0.driver.clone();
        let reader = || Reader::of(&remote, cache.clone());
        let stop = Arc::new(Flight::new());
        let waits = {
            let reader = reader();
            thread::spawn(move || {
                let one = block_on(read(reader.clone(), slot("tag", 1), None));
                assert_eq!(crate::datakey::tests::kit::number(&one), 1);
            })
        };
        let goes = [(); 2].map(|()| {
            let (reader, stop) = (reader(), stop.clone());
            thread::spawn(move || {
                block_on(unless(stop, read(reader.clone(), slot("tag", 1), None)));
            })
        });
        stop.finish(Some(Ok(())));
        join(goes);
        waits.join().unwrap();
        remote.settle();
        assert_eq!(driver.waiting(), 0);
        assert_eq!(driver.orphans(), 0, "a call that nobody waits for is held for ever");
        // One for concurrent waiters, and another if the one was given up before the last
        // of them came.
        assert!(remote.seen().len() <= 3, "{}", remote.seen().len());
    });
}

#[test]
fn a_home_that_goes_while_another_comes_strands_nobody() {
    explore(|| {
        let remote = Remote::new(|_, _| None, false);
        let cache = KeyCache::none();
        let driver = cache.0.driver.clone();
        let threads = [1, 2].map(|n| {
            let (remote, cache) = (remote.clone(), cache.clone());
            thread::spawn(move || {
                for _ in 0..2 {
                    let keep_alive = KeepAlive::new(cache.0.driver.clone());
                    let batcher = Batcher::new(
                        Unwrap,
                        Recipient::new(remote.clone()),
                        cache.0.driver.clone(),
                        SOURCE,
                    );
                    let one = read(loader_of(batcher, cache.clone()), slot("tag", n), None);
                    assert_eq!(crate::datakey::tests::kit::number(&block_on(one)), n);
                    drop(keep_alive);
                }
            })
        });
        join(threads);
        remote.settle();
        assert_eq!((driver.waiting(), driver.orphans()), (0, 0));
    });
}
