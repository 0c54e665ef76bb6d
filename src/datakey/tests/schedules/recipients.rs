//! Several recipients: what is wrapped for all of them, and reads that ask one after the other.
//! Where schedules are explored no time passes, so the next one is asked at once.

use crate::datakey::KeyCache;
use crate::datakey::batch::batcher::Batcher;
use crate::datakey::batch::drive::KeepAlive;
use crate::datakey::batch::flight::Flight;
use crate::datakey::batch::operation::{Unwrap, Wrap};
use crate::datakey::ends::Family;
use crate::datakey::limits::{CacheLimits, PoolLimits};
use crate::datakey::reading::{Readers, Terms};
use crate::datakey::recipient::Recipient;
use crate::datakey::supply::mint::{Mint, WrapTarget};
use crate::datakey::supply::pool::Pool;
use crate::datakey::tests::kit::*;
use crate::datakey::tests::schedules::*;
use crate::error::{ErrorKind, Result};
use crate::secret::DataKey;
use shuttle::future::block_on;
use shuttle::thread;
use std::sync::Arc;

fn remotes(second: fn(&Remote, &[Vec<u8>]) -> Option<ErrorKind>) -> [Arc<Remote>; 2] {
    [Remote::of("tag", |_, _| None), Remote::of("other", second)]
}

fn fails_by_chance(_: &Remote, _: &[Vec<u8>]) -> Option<ErrorKind> {
    chance().then_some(ErrorKind::Unavailable)
}

fn pool_of(remotes: &[Arc<Remote>; 2], cache: &KeyCache, limits: Option<PoolLimits>) -> Arc<Pool> {
    let driver = cache.0.driver.clone();
    let press = |remote: &Arc<Remote>| {
        let recipient = Recipient::new(remote.clone());
        let family = Family { partition: [0; 32], key: recipient.key.clone() };
        let wrap = Wrap { verify: false };
        WrapTarget { batcher: Batcher::new(wrap, recipient, driver.clone(), SOURCE), family }
    };
    let mint = Mint {
        targets: remotes.iter().map(press).collect(),
        driver: driver.clone(),
        binding: binding("s"),
        ends: cache.0.ends.clone(),
        source: SOURCE,
        counters: Arc::default(),
    };
    Arc::new(Pool::new(mint, limits).unwrap())
}

#[test]
fn a_key_is_wrapped_for_all_or_there_is_none() {
    explore(|| {
        let (remotes, cache) = (remotes(fails_by_chance), KeyCache::none());
        let limits = chance().then(|| PoolLimits::new(secs(60)).with_max_keys(2));
        let pool = pool_of(&remotes, &cache, limits);
        let keep_alive = KeepAlive::new(cache.0.driver.clone());
        let stop = Arc::new(Flight::new());
        let threads: Vec<_> = (0..3)
            .map(|n| {
                let (pool, stop) = (pool.clone(), stop.clone());
                thread::spawn(move || {
                    let taking = async { pool.wait(pool.take()).await };
                    let taken = if n == 0 {
                        block_on(unless(stop, taking))
                    } else {
                        Some(block_on(taking))
                    };
                    let Some(Ok(minted)) = taken else { return };
                    let tags: Vec<_> = minted.slots.iter().map(|slot| slot.key_id().id()).collect();
                    assert_eq!(tags, ["tag", "other"]);
                })
            })
            .collect();
        stop.finish(Some(Ok(())));
        join(threads);
        remotes.iter().for_each(|remote| remote.settle());
        drop((pool, keep_alive));
        assert_eq!(cache.0.driver.waiting(), 0);
    });
}

#[test]
fn an_end_for_one_recipient_reaches_what_is_wrapped_for_all() {
    explore(|| {
        let (remotes, cache) = (remotes(|_, _| None), KeyCache::none());
        let limits = PoolLimits::new(secs(60)).with_max_keys(2);
        let pool = pool_of(&remotes, &cache, Some(limits));
        let _home = KeepAlive::new(cache.0.driver.clone());
        let writing = {
            let pool = pool.clone();
            thread::spawn(move || drop(take(&pool)))
        };
        let event = remotes[0].event();
        cache.invalidate("other");
        let minted = take(&pool).unwrap();
        assert!(remotes[0].seen()[call_of(&minted)].began > event, "a key from before the end");
        writing.join().unwrap();
        remotes.iter().for_each(|remote| remote.settle());
    });
}

fn reads(readers: &Readers, n: u32) -> impl Future<Output = Result<u32>> + '_ {
    let slots = [slot("tag", n), slot("other", n)];
    async move {
        let terms = Terms { max_age: None, max_unwraps: 4 };
        let number_of = |key: &DataKey| Ok(crate::datakey::tests::service::number(key));
        readers.open(&slots, readers.routes(&slots).into_iter(), terms, number_of).await
    }
}

#[test]
fn one_of_two_is_enough_whoever_answers_first_and_whoever_goes_away() {
    explore(|| {
        let (remotes, cache) = (
            remotes(fails_by_chance),
            match chance() {
                true => KeyCache::none(),
                false => KeyCache::with(
                    Some(crate::datakey::cache::store::Store::new(CacheLimits::new(secs(10)))),
                    SOURCE,
                ),
            },
        );
        let driver = cache.0.driver.clone();
        let loader = |remote: &Arc<Remote>| {
            let recipient = Recipient::new(remote.clone());
            loader_of(Batcher::new(Unwrap, recipient, driver.clone(), SOURCE), cache.clone())
        };
        let keep_alive = KeepAlive::new(driver.clone());
        let readers = Arc::new(Readers::new(remotes.iter().map(loader).collect(), secs(1)));
        let stop = Arc::new(Flight::new());
        let threads: Vec<_> = (0..3)
            .map(|n| {
                let (readers, stop) = (readers.clone(), stop.clone());
                thread::spawn(move || {
                    let read = reads(&readers, 1);
                    if n == 0 { block_on(unless(stop, read)) } else { Some(block_on(read)) }
                })
            })
            .collect();
        stop.finish(Some(Ok(())));
        for (n, read) in join(threads).into_iter().enumerate() {
            match read {
                Some(read) => assert_eq!(read.unwrap(), 1),
                None => assert_eq!(n, 0),
            }
        }
        assert_eq!(driver.waiting(), 0);
        drop((readers, keep_alive));
        assert_eq!(driver.orphans(), 0, "a call that nobody waits for is held for ever");
        remotes.iter().for_each(|remote| remote.settle());
    });
}
