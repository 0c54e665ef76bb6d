use super::*;
use crate::context::Scope;
use crate::error::{Error, ErrorKind};
use crate::wrap::{KeyId, Provider, WrappedKey, ZoneHint};
use std::cell::Cell;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

thread_local! {
    static PASSED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    static START: Instant = Instant::now();
}

fn test_now() -> Instant {
    START.with(|start| *start) + PASSED.get()
}

fn pass(time: Duration) {
    PASSED.set(PASSED.get() + time);
}

fn id(n: u32) -> CacheId {
    let key = KeyId::new(Provider::NcpKms, ZoneHint::None, "tag").unwrap();
    CacheId::new(&WrappedKey::new(key, n.to_be_bytes()).unwrap(), &Scope::default(), 1)
}

fn cache(max_keys: usize) -> KeyCache {
    let limits = CacheLimits::new(Duration::from_secs(10)).with_max_keys(max_keys);
    KeyCache { now: test_now, ..KeyCache::new(limits).unwrap() }
}

fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn ready<F: Future>(future: F) -> F::Output {
    match poll_once(pin!(future)) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("not ready"),
    }
}

async fn load(byte: u8, calls: &AtomicUsize) -> Result<DataKey> {
    calls.fetch_add(1, Ordering::Relaxed);
    Ok(DataKey::copy_from(&[byte; 32]))
}

/// Pends until told.
async fn gated(open: &Cell<bool>, result: Result<DataKey>) -> Result<DataKey> {
    let mut result = Some(result);
    std::future::poll_fn(|_| if open.get() { Poll::Ready(result.take().unwrap()) } else { Poll::Pending }).await
}

#[test]
fn a_key_is_loaded_once_and_gone_at_its_time() {
    let (cache, calls) = (cache(10), AtomicUsize::new(0));
    for _ in 0..3 {
        ready(cache.get_or_load(id(1), || load(1, &calls))).unwrap();
    }
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    pass(Duration::from_millis(9_999));
    ready(cache.get_or_load(id(1), || load(1, &calls))).unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    pass(Duration::from_millis(1));
    ready(cache.get_or_load(id(1), || load(1, &calls))).unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 2);
}

#[test]
fn time_counts_from_before_the_call() {
    let (cache, open, calls) = (cache(10), Cell::new(false), AtomicUsize::new(0));
    let mut slow = pin!(cache.get_or_load(id(1), || gated(&open, Ok(DataKey::copy_from(&[1; 32])))));
    assert!(poll_once(slow.as_mut()).is_pending());
    pass(Duration::from_secs(10));
    open.set(true);
    assert!(matches!(poll_once(slow), Poll::Ready(Ok(_))));
    ready(cache.get_or_load(id(1), || load(1, &calls))).unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 1, "the late answer was not kept");
}

#[test]
fn the_least_recently_used_key_goes_first_and_nobody_holds_it() {
    let (cache, calls) = (cache(2), AtomicUsize::new(0));
    let first = Arc::downgrade(&ready(cache.get_or_load(id(1), || load(1, &calls))).unwrap().0);
    ready(cache.get_or_load(id(2), || load(2, &calls))).unwrap();
    ready(cache.get_or_load(id(3), || load(3, &calls))).unwrap();
    assert_eq!(cache.state().store.len(), 2);
    assert!(first.upgrade().is_none(), "the evicted key was dropped, so it was wiped");
    pass(Duration::from_secs(11));
    ready(cache.get_or_load(id(4), || load(4, &calls))).unwrap();
    assert_eq!(cache.state().store.len(), 1, "expired keys do not stay until they are asked for");
}

#[test]
fn many_wait_for_one_load_and_share_its_result() {
    for fails in [false, true] {
        let (cache, open, calls) = (cache(10), Cell::new(false), AtomicUsize::new(0));
        let result = if fails { Err(Error::new(ErrorKind::Unavailable, "down")) } else { Ok(DataKey::copy_from(&[1; 32])) };
        let mut leader = pin!(cache.get_or_load(id(1), || gated(&open, result)));
        assert!(poll_once(leader.as_mut()).is_pending());
        let mut waiting: Vec<_> = (0..100).map(|_| Box::pin(cache.get_or_load(id(1), || load(9, &calls)))).collect();
        assert!(waiting.iter_mut().all(|one| poll_once(one.as_mut()).is_pending()));
        open.set(true);
        assert!(poll_once(leader).is_ready());
        for one in &mut waiting {
            match poll_once(one.as_mut()) {
                Poll::Ready(Ok((key, own))) => assert!(!fails && !own && key.expose_secret() == &[1; 32]),
                Poll::Ready(Err(error)) => assert!(fails && error.kind() == ErrorKind::Unavailable),
                Poll::Pending => panic!("still waiting"),
            }
        }
        assert_eq!(calls.load(Ordering::Relaxed), 0);
        ready(cache.get_or_load(id(1), || load(9, &calls))).unwrap();
        assert_eq!(calls.load(Ordering::Relaxed), usize::from(fails), "a failure is not kept, a key is");
    }
}

#[test]
fn a_leader_that_goes_away_hands_over() {
    let (cache, open, calls) = (cache(10), Cell::new(false), AtomicUsize::new(0));
    let mut leader = Box::pin(cache.get_or_load(id(1), || gated(&open, Ok(DataKey::copy_from(&[1; 32])))));
    assert!(poll_once(leader.as_mut()).is_pending());
    let mut waiting: Vec<_> = (0..3).map(|_| Box::pin(cache.get_or_load(id(1), || load(9, &calls)))).collect();
    assert!(waiting.iter_mut().all(|one| poll_once(one.as_mut()).is_pending()));
    drop(leader);
    for one in &mut waiting {
        assert!(matches!(poll_once(one.as_mut()), Poll::Ready(Ok((key, _))) if key.expose_secret() == &[9; 32]));
    }
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    assert!(cache.state().flights.is_empty());
}

#[test]
fn limits_are_bounded_and_a_large_one_costs_nothing() {
    let limits = |ttl| CacheLimits::new(ttl).with_max_keys(usize::MAX);
    assert!(KeyCache::new(limits(Duration::from_secs(1))).is_ok());
    for odd in [limits(Duration::ZERO), limits(Duration::MAX), CacheLimits::new(Duration::from_secs(1)).with_max_keys(0)] {
        assert_eq!(KeyCache::new(odd).err().map(|error| error.kind()), Some(ErrorKind::InvalidInput));
    }
}

#[test]
fn ids_differ_by_every_part() {
    let tag = |provider, text| KeyId::new(provider, ZoneHint::None, text).unwrap();
    let wrapped = |key, bytes: &[u8]| WrappedKey::new(key, bytes).unwrap();
    let base = CacheId::new(&wrapped(tag(Provider::NcpKms, "ab"), b"cd"), &Scope::default(), 1);
    let others = [
        CacheId::new(&wrapped(tag(Provider::Local, "ab"), b"cd"), &Scope::default(), 1),
        CacheId::new(&wrapped(tag(Provider::NcpKms, "abc"), b"d"), &Scope::default(), 1),
        CacheId::new(&wrapped(tag(Provider::NcpKms, "ab"), b"ce"), &Scope::default(), 1),
        CacheId::new(&wrapped(tag(Provider::NcpKms, "ab"), b"cd"), &Scope::new("s"), 1),
        CacheId::new(&wrapped(tag(Provider::NcpKms, "ab"), b"cd"), &Scope::default(), 2),
    ];
    assert!(others.iter().all(|other| *other != base));
}
