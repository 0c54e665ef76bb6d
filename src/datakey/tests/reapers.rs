//! The reaper and its timers.

use crate::datakey::clock::{Instant, Source};
use crate::datakey::limits::{CacheLimits, PoolLimits, ReuseLimits};
use crate::datakey::reaper;
use crate::datakey::reaper::{Due, NextTimer, Timer};
use crate::datakey::tests::kit::{Rig, SOURCE, millis, now, pass, secs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::Duration;

/// Not how soon: whether at all.
#[track_caller]
fn sooner_or_later(done: impl Fn() -> bool) {
    let end = Instant::now() + secs(60);
    while !done() {
        assert!(Instant::now() < end, "it does not happen");
        thread::sleep(millis(1));
    }
}

#[test]
fn keys_are_wiped_at_their_time_though_nobody_asks_for_any() {
    let ttl = millis(30);
    let rig = Rig::with_source(Some(CacheLimits::new(ttl)), Source::REAL);
    reaper::start().unwrap();
    let read = rig.read(1).done().ok().unwrap().1;
    let key = Arc::downgrade(&read);
    drop(read);
    sooner_or_later(|| key.upgrade().is_none());
    assert_eq!(rig.cache.stats().expired, 1);

    let pool = rig.pool(Some(PoolLimits::new(ttl)));
    let minted = crate::datakey::tests::kit::Task::new({
        let pool = pool.clone();
        async move { pool.wait(pool.take()).await }
    });
    drop(minted.done().unwrap());
    sooner_or_later(|| pool.depth() == (0, 0));

    let reuse = rig.reuse(ReuseLimits::new(ttl));
    let minted = crate::datakey::tests::kit::Task::new({
        let reuse = reuse.clone();
        async move { reuse.take(1).await }
    });
    let minted = minted.done().unwrap().unwrap();
    sooner_or_later(|| Arc::strong_count(&minted) == 1);
}

#[test]
fn timers_fire_in_the_order_of_their_times_and_a_panic_stops_none() {
    struct Log(Mutex<Vec<u32>>);
    struct Fired(u32, Arc<Log>);
    impl Due for Fired {
        fn due(self: Arc<Self>, _: Instant) {
            self.1.0.lock().unwrap().push(self.0);
            assert!(self.0 != 2, "planted");
        }
    }
    reaper::start().unwrap();
    let log = Arc::new(Log(Mutex::default()));
    let all: Vec<Arc<dyn Due>> =
        (0..5).map(|n| Arc::new(Fired(n, log.clone())) as Arc<dyn Due>).collect();
    let gone = {
        let gone: Arc<dyn Due> = Arc::new(Fired(9, log.clone()));
        Arc::downgrade(&gone)
    };
    let start = Instant::now() + millis(50);
    let cancelled = Arc::new(Fired(8, log.clone()));
    let timer =
        |after, target: &Arc<dyn Due>| Timer::set(start + millis(after), Arc::downgrade(target));
    let mut timers = vec![Timer::set(start, gone), timer(1, &(cancelled as Arc<dyn Due>))];
    timers.extend([3, 1, 4, 0, 2].map(|n| timer(n, &all[n as usize])));
    drop(timers.remove(1));
    sooner_or_later(|| log.0.lock().unwrap().len() >= 5);
    assert_eq!(*log.0.lock().unwrap(), [0, 1, 2, 3, 4]);
}

#[test]
fn a_timer_keeps_nothing_alive() {
    struct Alive(AtomicBool);
    impl Due for Alive {
        fn due(self: Arc<Self>, _: Instant) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    reaper::start().unwrap();
    let alive: Arc<dyn Due> = Arc::new(Alive(AtomicBool::new(false)));
    let weak: Weak<dyn Due> = Arc::downgrade(&alive);
    let _timer = Timer::set(Instant::now() + secs(3_600), weak.clone());
    drop(alive);
    assert!(weak.upgrade().is_none());
}

#[test]
fn a_dropped_target_leaves_no_timer() {
    struct Short(Mutex<NextTimer>);
    impl Due for Short {
        fn due(self: Arc<Self>, _: Instant) {}
    }
    reaper::start().unwrap();
    let (early, late) = (Instant::now() + secs(3_600), Instant::now() + secs(7_200));
    let short = Arc::new(Short(Mutex::default()));
    let set = |at| short.0.lock().unwrap().by(at, Source::REAL, &short);
    set(late);
    assert_eq!((reaper::timers_at(early), reaper::timers_at(late)), (0, 1));
    set(early);
    assert_eq!((reaper::timers_at(early), reaper::timers_at(late)), (1, 0));
    drop(short);
    assert_eq!((reaper::timers_at(early), reaper::timers_at(late)), (0, 0));
}

/// Lets time pass and fires the timers that are due. Returns their number.
fn live(time: Duration) -> usize {
    let (end, mut made) = (now() + time, 0);
    loop {
        let next = reaper::recorded_timers(|timers| {
            let first = timers.iter().enumerate().min_by_key(|(_, (at, _))| *at)?.0;
            (timers[first].0 <= end).then(|| timers.swap_remove(first))
        });
        let Some((at, target)) = next else { break };
        pass(at.saturating_duration_since(now()));
        target.upgrade().unwrap().due(at);
        made += 1;
    }
    pass(end - now());
    made
}

#[test]
fn a_cache_sets_one_timer_however_its_keys_expire() {
    reaper::record_timers();
    let rig = Rig::with_source(Some(CacheLimits::new(secs(100))), Source { real: true, ..SOURCE });
    for n in 0..50 {
        // Each ends before those that came before it.
        crate::datakey::tests::kit::set_chance(u64::from(n) << 58);
        drop(rig.read(n).done());
    }
    crate::datakey::tests::kit::set_chance(0);
    let mut made = 0;
    for n in 0..400 {
        drop(rig.read(100 + n).done());
        made += live(secs(1));
    }
    assert!(
        reaper::recorded_timers(|timers| timers.len()) <= 1,
        "{}",
        reaper::recorded_timers(|timers| timers.len())
    );
    assert!((300..500).contains(&made), "{made} timers for 351 ends");
    assert_eq!(rig.cache.stats().expired, 351);
    live(secs(100));
    assert_eq!((rig.cache.0.len(), reaper::recorded_timers(|timers| timers.len())), ((0, 0), 0));
}
