//! A clock, an executor and a set-up for tests.

#![allow(dead_code)]

use crate::context::Scope;
use crate::datakey::batch::batcher::Batcher;
use crate::datakey::batch::drive::{Driver, KeepAlive};
use crate::datakey::batch::operation::{Unwrap, Wrap};
use crate::datakey::cache::load::{Loader, Outbox};
use crate::datakey::cache::store::{CachedKey, Store};
use crate::datakey::cache::{CacheId, Realm};
use crate::datakey::clock::{Instant, Source};
use crate::datakey::limits::{CacheLimits, PoolLimits, ReuseLimits};
use crate::datakey::recipient::Recipient;
use crate::datakey::stats::PoolCounters;
use crate::datakey::supply::mint::{Mint, WrapTarget};
use crate::datakey::supply::pool::Pool;
use crate::datakey::supply::reuse::Reuse;
use crate::datakey::tests::service::{Reply, Service};
use crate::datakey::{KeyCache, Keys};
use crate::error::{ErrorKind, Result};
use crate::suite::Suite;
use crate::wrap::{Binding, KeyId, Provider, WrappedKey, ZoneHint};
use std::cell::Cell;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// Of messages of a scope.
pub(crate) fn binding(scope: &str) -> Binding {
    Binding::message(Suite::Cobblestone256, &Scope::new(scope))
}

pub(crate) const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub(crate) const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) const fn nanos(nanos: u64) -> Duration {
    Duration::from_nanos(nanos)
}

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

thread_local! {
    static PASSED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    static CHANCE: Cell<u64> = const { Cell::new(0) };
}

/// Time that passes only when a test says so, and no jitter unless it says so; for each thread.
pub(crate) const SOURCE: Source = Source { now, random: || CHANCE.get(), real: false };

pub(crate) fn now() -> Instant {
    *START + PASSED.get()
}

pub(crate) fn pass(time: Duration) {
    PASSED.set(PASSED.get() + time);
}

pub(crate) fn set_chance(chance: u64) {
    CHANCE.set(chance);
}

pub(crate) type Read = Result<(CacheId, Arc<CachedKey>)>;

/// How the envelope of one recipient looks for keys.
pub(crate) fn first_loader(keys: &Keys) -> Loader {
    keys.readers.loaders()[0].clone()
}

/// Looks for a key as an envelope does.
pub(crate) async fn read(loader: Loader, slot: WrappedKey, max_age: Option<Duration>) -> Read {
    let mut outbox = Outbox::default();
    let id = loader.id(&slot);
    let asked = loader.ask(&slot, id, max_age, &mut outbox);
    loader.send(outbox);
    Ok((id, loader.wait(asked, &slot, max_age).await?))
}

/// The number of the key that was read.
pub(crate) fn number(read: &Read) -> u32 {
    crate::datakey::tests::service::number(&read.as_ref().expect("a key").1.key)
}

/// A future with a waker of its own.
pub(crate) struct Task<T> {
    future: Option<Pin<Box<dyn Future<Output = T>>>>,
    woken: Arc<Woken>,
    pub(crate) output: Option<T>,
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl<T> Task<T> {
    /// Polled once, as a task is that a runtime has just got.
    pub(crate) fn new(future: impl Future<Output = T> + 'static) -> Self {
        let mut task = Self {
            future: Some(Box::pin(future)),
            woken: Arc::new(Woken(AtomicBool::new(true))),
            output: None,
        };
        task.run();
        task
    }

    /// Polls for as long as it is woken. Whether it ended.
    pub(crate) fn run(&mut self) -> bool {
        while let Some(future) = &mut self.future
            && self.woken.0.swap(false, Ordering::SeqCst)
        {
            let waker = Waker::from(self.woken.clone());
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                (self.future, self.output) = (None, Some(output));
            }
        }
        self.output.is_some()
    }

    pub(crate) fn pending(&mut self) -> bool {
        !self.run()
    }

    #[track_caller]
    pub(crate) fn done(mut self) -> T {
        self.run();
        self.output.take().expect("the future has not ended, or was not woken")
    }
}

/// Runs all of them until none is woken any more. How many ended.
pub(crate) fn run_all<T>(tasks: &mut [Task<T>]) -> usize {
    loop {
        let woken =
            tasks.iter().any(|task| task.future.is_some() && task.woken.0.load(Ordering::SeqCst));
        let ended = tasks.iter_mut().filter_map(|task| task.run().then_some(())).count();
        if !woken {
            return ended;
        }
    }
}

#[track_caller]
pub(crate) fn kind<T>(task: Task<Result<T>>) -> ErrorKind {
    task.done().err().expect("an error").kind()
}

/// One process: a key service, a cache, and readers and writers that use both.
pub(crate) struct Rig {
    pub(crate) service: Arc<Service>,
    pub(crate) cache: KeyCache,
    pub(crate) driver: Arc<Driver>,
    pub(crate) unwrap: Batcher<Unwrap>,
    pub(crate) source: Source,
    _home: KeepAlive,
}

impl Rig {
    pub(crate) fn new(limits: Option<CacheLimits>) -> Self {
        Self::with_source(limits, SOURCE)
    }

    pub(crate) fn with_source(limits: Option<CacheLimits>, source: Source) -> Self {
        let (service, driver) = (Arc::new(Service::new("tag")), Arc::new(Driver::default()));
        let unwrap = Batcher::new(Unwrap, Recipient::new(service.clone()), driver.clone(), source);
        let cache = KeyCache::with(limits.map(Store::new), source);
        Self { service, cache, _home: KeepAlive::new(driver.clone()), driver, unwrap, source }
    }

    pub(crate) fn reader(&self, partition: &str, scope: &str) -> Loader {
        let binding = binding(scope);
        Loader {
            cache: self.cache.clone(),
            batcher: self.unwrap.clone(),
            driver: self.driver.clone(),
            realm: Realm::new(partition.as_bytes(), ZoneHint::None, &binding),
            binding,
        }
    }

    /// Starts to look for key `n` under `tag` with the usual reader.
    pub(crate) fn read(&self, n: u32) -> Task<Read> {
        self.read_of("tag", n, None)
    }

    pub(crate) fn read_of(&self, tag: &str, n: u32, max_age: Option<Duration>) -> Task<Read> {
        Task::new(read(self.reader("p", "s"), slot(tag, n), max_age))
    }

    /// Reads a key that has to be there without a call.
    #[track_caller]
    pub(crate) fn hit(&self, n: u32) -> Arc<CachedKey> {
        let before = self.service.count();
        let key = self.read(n).done().expect("a key").1;
        assert_eq!(self.service.count(), before, "the service was asked");
        key
    }

    /// Reads a key that has to be there, whatever is asked in the background.
    #[track_caller]
    pub(crate) fn hit_and(&self, n: u32) {
        assert!(self.read(n).done().is_ok());
    }

    /// Answers every call in flight.
    pub(crate) fn settle(&self) {
        for call in 0..self.service.count() {
            if !self.service.call(call).is_over() {
                self.service.call(call).answer(Reply::Good);
            }
        }
        self.driver.nudge();
    }

    pub(crate) fn mint(&self, verify: bool) -> Mint {
        let batcher = Batcher::new(
            Wrap { verify },
            Recipient::new(self.service.clone()),
            self.driver.clone(),
            self.source,
        );
        let family = self.reader("p", "s").realm.family(&key_id("tag"));
        Mint {
            targets: [WrapTarget { batcher, family }].into(),
            driver: self.driver.clone(),
            binding: binding("s"),
            ends: self.cache.0.ends.clone(),
            source: self.source,
            counters: Arc::new(PoolCounters::default()),
        }
    }

    pub(crate) fn pool(&self, limits: Option<PoolLimits>) -> Arc<Pool> {
        Arc::new(Pool::new(self.mint(false), limits).unwrap())
    }

    pub(crate) fn reuse(&self, limits: ReuseLimits) -> Arc<Reuse> {
        Arc::new(Reuse::new(self.mint(false), limits).unwrap())
    }
}

pub(crate) fn key_id(tag: &str) -> KeyId {
    KeyId::new(Provider::NcpKms, ZoneHint::None, tag).unwrap()
}

/// Key number `n`, wrapped under version 1 of `tag` for scope "s".
pub(crate) fn slot(tag: &str, n: u32) -> WrappedKey {
    slot_of(tag, n, 1, "s")
}

pub(crate) fn slot_of(tag: &str, n: u32, version: u32, scope: &str) -> WrappedKey {
    crate::datakey::tests::service::wrapped(
        &key_id(tag),
        version,
        &crate::datakey::tests::service::payload(n, scope),
    )
}
