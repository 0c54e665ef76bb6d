//! What must not grow with the number of tenants and cached keys: counts of work, not times.

use crate::datakey::cache::store::{CachedKey, Loaded, Store};
use crate::datakey::ends::{End, Ends, Family, Holder};
use crate::datakey::limits::{CacheLimits, PoolLimits, ReuseLimits};
use crate::datakey::stats::CacheCounters;
use crate::datakey::supply::pool::Pool;
use crate::datakey::tests::kit::*;
use crate::datakey::tests::service::Reply;
use crate::error::{Error, ErrorKind};
use crate::secret::DataKey;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

const HOUR: std::time::Duration = secs(3_600);

fn deny(rig: &Rig, n: u32) {
    rig.service.replies(Reply::Fail(ErrorKind::KeyUnusable));
    assert_eq!(kind(rig.read(n)), ErrorKind::KeyUnusable);
    rig.service.replies(Reply::Good);
}

#[test]
fn a_denied_unwrap_is_told_to_none_that_hold_nothing() {
    let rig = Rig::new(Some(CacheLimits::new(HOUR)));
    let pools = [(); 3].map(|()| rig.pool(Some(PoolLimits::new(HOUR))));
    let (bare, reuse) = (rig.pool(None), rig.reuse(ReuseLimits::new(HOUR)));
    let told = || rig.cache.0.ends.awake();
    assert_eq!(told(), 1, "the cache");
    let take = |pool: &Arc<Pool>| {
        let pool = pool.clone();
        Task::new(async move { pool.wait(pool.take()).await }).done().is_ok()
    };
    for round in 1..=2 {
        rig.service.replies(Reply::Good);
        assert!(take(&pools[0]) && take(&bare));
        let taken = reuse.clone();
        let in_use = Task::new(async move { taken.take(1).await }).done().unwrap().unwrap();
        assert_eq!(told(), 4);
        deny(&rig, round);
        assert_eq!((told(), pools[0].depth(), Arc::strong_count(&in_use)), (1, (0, 0), 1));
        pass(secs(1));
    }
    // What has a key left goes on to be told.
    rig.service.rotate(2);
    assert!(take(&pools[0]));
    rig.cache.retire_below("tag", 2);
    assert!(pools[0].depth().0 > 0);
    assert_eq!(told(), 2);
    deny(&rig, 3);
    assert_eq!((told(), pools[0].depth()), (1, (0, 0)));
}

#[test]
fn one_that_rests_is_told_all_but_denials_of_unwraps() {
    #[derive(Default)]
    struct Told(AtomicUsize);
    impl Holder for Told {
        fn end(self: Arc<Self>, _: End<'_>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let ([family, ..], ends, told) = (families(), Ends::new(), Arc::new(Told::default()));
    let weak: Weak<Told> = Arc::downgrade(&told);
    let registration = ends.register(weak);
    let error = Error::new(ErrorKind::KeyUnusable, "disabled");
    let times = |end| {
        ends.tell(end);
        told.0.swap(0, Ordering::Relaxed)
    };
    let others = [End::All, End::Key("one"), End::Below("one", 2), End::Wraps(&family, &error)];
    for rests in [false, true, false] {
        if rests {
            registration.rest()
        } else {
            registration.wake()
        }
        assert_eq!(times(End::Unwraps(&family, &error)), usize::from(!rests));
        assert_eq!(others.map(times), [1; 4]);
    }
}

#[test]
fn one_that_is_gone_is_not_among_the_told() {
    let rig = Rig::new(Some(CacheLimits::new(HOUR)));
    let pool = rig.pool(Some(PoolLimits::new(HOUR)));
    let taken = pool.clone();
    assert!(Task::new(async move { taken.wait(taken.take()).await }).done().is_ok());
    assert_eq!(rig.cache.0.ends.awake(), 2);
    drop(pool);
    assert_eq!(rig.cache.0.ends.awake(), 1);
}

/// A store with keys `..count`, all in `family` but the last.
fn store(limits: CacheLimits, count: usize, family: &Family, other: &Family) -> Store {
    let (mut store, counters) = (Store::new(limits), CacheCounters::default());
    let reader = Rig::new(None).reader("p", "s");
    for n in 0..count {
        let family = if n + 1 < count { family } else { other }.clone();
        let loaded = Loaded { family, version: None, asked: now() };
        let key = Arc::new(CachedKey::new(DataKey::copy_from(&[7; 32])));
        let id = reader.id(&slot("tag", u32::try_from(n).unwrap()));
        drop(store.put(id, key, loaded, now(), SOURCE, &counters));
    }
    store
}

fn families() -> [Family; 3] {
    ["one", "two", "three"].map(|tag| Family { partition: [0; 32], key: key_id(tag) })
}

#[test]
fn a_denial_looks_at_no_key_unless_there_is_one_of_its_family() {
    let [many, one, none] = families();
    let mut store = store(CacheLimits::new(HOUR), 100, &many, &one);
    let error = Error::new(ErrorKind::KeyUnusable, "disabled");
    for absent in [End::Unwraps(&none, &error), End::Key("three"), End::Below("three", 2)] {
        assert_eq!((store.remove_ended(&absent).len(), store.walked), (0, 0));
    }
    for again in [1, 0] {
        assert_eq!(store.remove_ended(&End::Unwraps(&one, &error)).len(), again);
        assert_eq!((store.len(), store.walked), (99, 100), "the second one walks no more");
    }
    assert_eq!(store.remove_ended(&End::Unwraps(&many, &error)).len(), 99);
    assert_eq!((store.len(), store.walked), (0, 0), "all are taken as they are");
    assert_eq!(store.next_end(), None);
}

#[test]
fn a_sweep_is_in_parts() {
    let ([many, one, _], counters) = (families(), CacheCounters::default());
    let idle = CacheLimits::new(HOUR).with_idle(secs(60));
    for (limits, after) in [(CacheLimits::new(HOUR), HOUR), (idle, secs(60))] {
        let mut store = store(limits, 250, &many, &one);
        let early = now() + (after - nanos(1));
        assert_eq!(store.sweep(early, 100, &counters).len(), 0);
        let parts = [(); 4].map(|()| store.sweep(now() + after, 100, &counters).len());
        assert_eq!((parts, store.len()), ([100, 100, 50, 0], 0));
    }
}

#[test]
fn one_timer_removes_all_that_is_over() {
    use crate::datakey::reaper::Due;
    let rig = Rig::new(Some(CacheLimits::new(HOUR).with_max_keys(3_000)));
    for n in 0..2_500 {
        assert!(rig.read(n).done().is_ok());
    }
    pass(HOUR);
    rig.cache.0.clone().due(now());
    assert_eq!((rig.cache.0.len().0, rig.cache.stats().expired), (0, 2_500));
}
