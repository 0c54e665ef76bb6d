//! Threads in orders that chance alone would not bring: each test runs under thousands of
//! schedules. Built with `--cfg shuttle`; see CONTRIBUTING.md.
//!
//! A thread that nobody wakes any more is a failure by itself, so that each of these says too that
//! nobody hangs.

mod ends;
mod held;
mod recipients;

use crate::datakey::KeyCache;
use crate::datakey::batch::batcher::Batcher;
use crate::datakey::batch::drive::{Driver, KeepAlive};
use crate::datakey::batch::flight::{Flight, Wait};
use crate::datakey::batch::operation::{Unwrap, Wrap};
use crate::datakey::batch::ticket::Ticket;
use crate::datakey::cache::Realm;
use crate::datakey::cache::load::Loader;
use crate::datakey::cache::store::Store;
use crate::datakey::clock::Instant;
use crate::datakey::ends::{End, Ends, Family};
use crate::datakey::limits::{CacheLimits, PoolLimits};
use crate::datakey::recipient::Recipient;
use crate::datakey::stats::PoolCounters;
use crate::datakey::supply::mint::{Mint, Minted, WrapTarget};
use crate::datakey::supply::pool::Pool;
use crate::datakey::tests::kit::*;
use crate::datakey::tests::service::{number, payload, wrapped};
use crate::error::{Error, ErrorKind, Result};
use crate::wrap::{BoxFuture, KeyId, KeyPayload, KeyWrapper, WrappedKey, ZoneHint};
use shuttle::future::block_on;
use shuttle::rand::{Rng, thread_rng};
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::{Config, Runner, thread};
use std::collections::HashSet;
use std::fmt;
use std::future::poll_fn;
use std::ops::Deref;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::Poll;

const RANDOM: usize = 10_000;
const PCT: usize = 2_000;

fn explore(test: fn()) {
    let config = || {
        let mut config = Config::new();
        // The cryptography wants more than the explorer's threads have.
        config.stack_size = 1 << 18;
        config
    };
    Runner::new(RandomScheduler::new(RANDOM), config()).run(test);
    Runner::new(PctScheduler::new(3, PCT), config()).run(test);
}

/// What the tests note for themselves. Not the explorer's lock, which would double the schedules
/// and show nothing: it is never held over anything that another thread could come in between.
fn note<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn chance() -> bool {
    thread_rng().gen_bool(0.5)
}

/// A key service each call of which is answered by a thread of its own, so at any time.
struct Remote {
    id: KeyId,
    log: Mutex<Log>,
    reply: fn(&Remote, &[Vec<u8>]) -> Option<ErrorKind>,
    /// Each unwrap of a key brings another key: the number of the call.
    fickle: bool,
}

#[derive(Default)]
struct Log {
    calls: Vec<Seen>,
    threads: Vec<thread::JoinHandle<()>>,
    /// Counts whatever happens, to tell what came before what.
    event: usize,
    failures: usize,
}

#[derive(Clone)]
struct Seen {
    keys: Vec<Vec<u8>>,
    at: Instant,
    began: usize,
    /// When it was answered or dropped.
    over: Option<usize>,
}

struct Over<'a>(&'a Remote, usize);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        let event = self.0.event();
        note(&self.0.log).calls[self.1].over = Some(event);
    }
}

impl Remote {
    fn new(reply: fn(&Self, &[Vec<u8>]) -> Option<ErrorKind>, fickle: bool) -> Arc<Self> {
        Arc::new(Self { id: key_id("tag"), log: Mutex::default(), reply, fickle })
    }

    /// One that holds another key.
    fn of(tag: &str, reply: fn(&Self, &[Vec<u8>]) -> Option<ErrorKind>) -> Arc<Self> {
        Arc::new(Self { id: key_id(tag), log: Mutex::default(), reply, fickle: false })
    }

    fn event(&self) -> usize {
        let mut log = note(&self.log);
        log.event += 1;
        log.event
    }

    fn seen(&self) -> Vec<Seen> {
        note(&self.log).calls.clone()
    }

    /// Until every call that was made so far has been answered.
    fn settle(&self) {
        loop {
            let Some(thread) = note(&self.log).threads.pop() else { break };
            thread.join().unwrap();
        }
    }

    /// The number of the call.
    async fn call(&self, keys: Vec<Vec<u8>>) -> Result<usize> {
        let (reply, began) = ((self.reply)(self, &keys), self.event());
        let number = {
            let mut log = note(&self.log);
            log.calls.push(Seen { keys, at: now(), began, over: None });
            log.calls.len() - 1
        };
        let _over = Over(self, number);
        let flight = Arc::new(Flight::new());
        let answer = flight.clone();
        let thread = thread::spawn(move || answer.finish(Some(Ok(()))));
        note(&self.log).threads.push(thread);
        Wait::new(flight).await;
        match reply {
            Some(kind) => Err(Error::new(kind, "told to")),
            None => Ok(number),
        }
    }
}

impl KeyWrapper for Remote {
    fn key_id(&self) -> &KeyId {
        &self.id
    }

    /// The wrapped key names its call.
    fn wrap_keys<'a>(
        &'a self,
        payloads: &'a [KeyPayload],
    ) -> BoxFuture<'a, Result<Vec<WrappedKey>>> {
        Box::pin(async move {
            let number = self
                .call(payloads.iter().map(|payload| payload.expose_secret().to_vec()).collect())
                .await?;
            payloads
                .iter()
                .map(|_| WrappedKey::new(self.id.clone(), format!("test:v1:{number}")))
                .collect()
        })
    }

    fn unwrap_keys<'a>(&'a self, keys: &'a [WrappedKey]) -> BoxFuture<'a, Result<Vec<KeyPayload>>> {
        Box::pin(async move {
            let call = self.call(keys.iter().map(|key| key.as_bytes().to_vec()).collect()).await?;
            Ok(keys
                .iter()
                .map(|key| payload(if self.fickle { call as u32 } else { plain(key) }, "s"))
                .collect())
        })
    }

    fn rewrap_keys<'a>(&'a self, _: &'a [WrappedKey]) -> BoxFuture<'a, Result<Vec<WrappedKey>>> {
        unreachable!("nothing is rewrapped here")
    }

    fn key_version(&self, _: &WrappedKey) -> Option<u32> {
        Some(1)
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Remote")
    }
}

/// The number in a slot.
fn plain(slot: &WrappedKey) -> u32 {
    (0..4)
        .find(|n| wrapped(slot.key_id(), 1, &payload(*n, "s")).as_bytes() == slot.as_bytes())
        .unwrap()
}

/// A reader, and an envelope for it.
struct Reader(Loader, KeepAlive);

impl Reader {
    fn of(remote: &Arc<Remote>, cache: KeyCache) -> Self {
        let driver = cache.0.driver.clone();
        let batcher = Batcher::new(Unwrap, Recipient::new(remote.clone()), driver.clone(), SOURCE);
        Self(loader_of(batcher, cache), KeepAlive::new(driver))
    }
}

impl Deref for Reader {
    type Target = Loader;

    fn deref(&self) -> &Loader {
        &self.0
    }
}

fn loader_of(batcher: Batcher<Unwrap>, cache: KeyCache) -> Loader {
    let (driver, binding) = (cache.0.driver.clone(), binding("s"));
    let realm = Realm::new(b"p", ZoneHint::None, &binding);
    Loader { batcher, realm, cache, driver, binding }
}

fn loader(remote: &Arc<Remote>, limits: CacheLimits) -> Reader {
    Reader::of(remote, KeyCache::with(Some(Store::new(limits)), SOURCE))
}

/// `work`, dropped where it waits once `stop` has landed.
async fn unless<T>(stop: Arc<Flight<()>>, work: impl Future<Output = T>) -> Option<T> {
    let (mut stop, mut work) = (pin!(Wait::new(stop)), pin!(work));
    poll_fn(|cx| match stop.as_mut().poll(cx) {
        Poll::Ready(_) => Poll::Ready(None),
        Poll::Pending => work.as_mut().poll(cx).map(Some),
    })
    .await
}

fn join<T>(threads: impl IntoIterator<Item = thread::JoinHandle<T>>) -> Vec<T> {
    threads
        .into_iter()
        .collect::<Vec<_>>()
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .collect()
}

#[test]
fn one_call_serves_all_whoever_goes_away() {
    explore(|| {
        let remote = Remote::new(|_, _| None, false);
        let loader = loader(&remote, CacheLimits::new(secs(10)));
        let stop = Arc::new(Flight::new());
        // Whichever of them comes first asks.
        let threads: Vec<_> = (0..3)
            .map(|n| {
                let (loader, stop) = (loader.clone(), stop.clone());
                thread::spawn(move || {
                    let read = read(loader, slot("tag", 1), None);
                    if n == 0 { block_on(unless(stop, read)) } else { Some(block_on(read)) }
                })
            })
            .collect();
        stop.finish(Some(Ok(())));
        let reads = join(threads);
        assert!(reads[1..].iter().all(Option::is_some));
        assert!(reads.iter().flatten().all(|read| crate::datakey::tests::kit::number(read) == 1));
        assert_eq!(remote.seen().len(), 1);
        assert_eq!(loader.cache.0.len(), (1, 0));
        assert_eq!(loader.driver.waiting(), 0);
    });
}

#[test]
fn a_call_that_all_went_away_from_is_brought_home_by_the_next() {
    explore(|| {
        let remote = Remote::new(|_, _| None, false);
        let loader = loader(&remote, CacheLimits::new(secs(10)));
        let stop = Arc::new(Flight::new());
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let (loader, stop) = (loader.clone(), stop.clone());
                thread::spawn(move || block_on(unless(stop, read(loader, slot("tag", 1), None))))
            })
            .collect();
        stop.finish(Some(Ok(())));
        join(threads);
        assert_eq!(
            crate::datakey::tests::kit::number(&block_on(read(
                loader.clone(),
                slot("tag", 1),
                None
            ))),
            1
        );
        assert_eq!(remote.seen().len(), 1);
        assert_eq!(loader.cache.0.len(), (1, 0));
    });
}

/// Reads a key of a fickle service: which call it is of, and what time it was just before it was
/// looked for.
fn look(loader: &Loader) -> (Result<usize>, Instant) {
    let time = now();
    let key = block_on(read(loader.clone(), slot("tag", 1), None));
    (key.map(|(_, key)| number(&key.key) as usize), time)
}

fn expire_during_refresh(reply: fn(&Remote, &[Vec<u8>]) -> Option<ErrorKind>, stale: u64) {
    let remote = Remote::new(reply, true);
    let loader = loader(
        &remote,
        CacheLimits::new(secs(10)).with_refresh_after(secs(5)).with_stale_window(secs(stale)),
    );
    assert_eq!(look(&loader).0.unwrap(), 0);
    pass(secs(6));
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let loader = loader.clone();
            thread::spawn(move || (0..2).map(|_| look(&loader)).collect::<Vec<_>>())
        })
        .collect();
    // To just before the first key's time, to its end, to the end of its stale window.
    for step in [3, 1, stale] {
        thread::yield_now();
        pass(secs(step));
    }
    let reads = join(threads);
    let seen = remote.seen();
    for (found, time) in reads.into_iter().flatten() {
        match found {
            Ok(call) => {
                let outage = note(&remote.log).failures > 0;
                let limit = if outage { 10 + stale } else { 10 };
                assert!(time - seen[call].at < secs(limit), "past its limits");
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable),
        }
    }
    // Single flight.
    for two in seen.windows(2) {
        assert!(two[0].over.is_some_and(|over| over < two[1].began), "two unwraps of one key");
    }
    remote.settle();
    pass(secs(20));
    let (last, time) = look(&loader);
    match last {
        Ok(call) => assert_eq!(remote.seen()[call].at, time),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable),
    }
    assert_eq!(loader.cache.0.len().1, 0);
}

fn outage(remote: &Remote, _: &[Vec<u8>]) -> Option<ErrorKind> {
    let first = note(&remote.log).calls.is_empty();
    (!first && chance()).then(|| {
        note(&remote.log).failures += 1;
        ErrorKind::Unavailable
    })
}

#[test]
fn a_key_whose_time_ends_during_its_refresh_is_not_found() {
    explore(|| expire_during_refresh(|_, _| None, 0));
}

#[test]
fn an_outage_during_a_refresh_lengthens_no_limit() {
    explore(|| expire_during_refresh(outage, 0));
}

#[test]
fn an_outage_during_a_refresh_keeps_a_key_for_the_stale_window_and_no_longer() {
    explore(|| expire_during_refresh(outage, 2));
}

#[test]
fn what_was_asked_for_before_it_was_invalidated_is_not_found_after() {
    explore(|| {
        let remote = Remote::new(|_, _| None, true);
        let loader = loader(&remote, CacheLimits::new(secs(10)));
        let asking = {
            let loader = loader.clone();
            thread::spawn(move || look(&loader).0.unwrap())
        };
        let invalidating = {
            let (remote, loader) = (remote.clone(), loader.clone());
            thread::spawn(move || {
                let event = remote.event();
                if chance() {
                    loader.cache.invalidate("tag")
                } else {
                    loader.cache.forget_keys()
                }
                let others: Vec<_> = (0..2)
                    .map(|_| {
                        let loader = loader.clone();
                        thread::spawn(move || look(&loader).0.unwrap())
                    })
                    .collect();
                (event, join(others))
            })
        };
        let (event, found) = invalidating.join().unwrap();
        asking.join().unwrap();
        let seen = remote.seen();
        assert!(found.iter().all(|call| seen[*call].began > event), "a key from before");
        // What is kept is not from before either.
        remote.settle();
        assert!(remote.seen()[look(&loader).0.unwrap()].began > event);
        assert!(remote.seen().len() <= 2);
        assert_eq!(loader.cache.0.len(), (1, 0));
    });
}

#[test]
fn a_key_that_is_crowded_out_in_use_stays_whole_and_goes_with_its_last_user() {
    explore(|| {
        let remote = Remote::new(|_, _| None, false);
        let loader = loader(&remote, CacheLimits::new(secs(10)).with_max_keys(1));
        let threads = [[1, 2], [2, 1], [1, 2]].map(|order| {
            let loader = loader.clone();
            thread::spawn(move || {
                let held: Vec<_> = order
                    .map(|n| (n, block_on(read(loader.clone(), slot("tag", n), None)).unwrap().1))
                    .into();
                thread::yield_now();
                assert!(
                    held.iter().all(|(n, key)| number(&key.key) == *n),
                    "another key, or a wiped one"
                );
                assert!(loader.cache.0.len().0 <= 1);
                held.iter().map(|(_, key)| Arc::downgrade(key)).collect::<Vec<_>>()
            })
        });
        let seen: Vec<_> = join(threads).into_iter().flatten().collect();
        remote.settle();
        let alive: HashSet<_> =
            seen.iter().filter_map(Weak::upgrade).map(|key| Arc::as_ptr(&key)).collect();
        assert_eq!((alive.len(), loader.cache.0.len()), (1, (1, 0)));
        loader.cache.forget_keys();
        assert!(
            seen.iter().all(|key| key.upgrade().is_none()),
            "a key that nobody uses is still there"
        );
    });
}

fn pool(remote: &Arc<Remote>, limits: Option<PoolLimits>) -> (Arc<Pool>, KeepAlive) {
    let driver = Arc::new(Driver::default());
    let recipient = Recipient::new(remote.clone());
    let batcher = Batcher::new(Wrap { verify: false }, recipient, driver.clone(), SOURCE);
    let family = Family { partition: [0; 32], key: key_id("tag") };
    let mint = Mint {
        targets: [WrapTarget { batcher, family }].into(),
        driver: driver.clone(),
        binding: binding("s"),
        ends: Ends::new(),
        source: SOURCE,
        counters: Arc::new(PoolCounters::default()),
    };
    (Arc::new(Pool::new(mint, limits).unwrap()), KeepAlive::new(driver))
}

/// The call that a key was wrapped in.
fn call_of(minted: &Minted) -> usize {
    std::str::from_utf8(minted.slots[0].as_bytes())
        .unwrap()
        .rsplit(':')
        .next()
        .unwrap()
        .parse()
        .unwrap()
}

fn take(pool: &Pool) -> Option<Arc<Minted>> {
    match block_on(pool.wait(pool.take())) {
        Ok(minted) => Some(minted),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            None
        }
    }
}

fn take_and_forget(limits: Option<PoolLimits>) {
    let remote = Remote::new(|_, _| chance().then_some(ErrorKind::Unavailable), false);
    let (pool, keep_alive) = pool(&remote, limits);
    let (driver, ends) = (&keep_alive.0, pool.ends().clone());
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let pool = pool.clone();
            thread::spawn(move || [take(&pool), take(&pool)])
        })
        .collect();
    // One who does not wait for what was asked for.
    drop(pool.take());
    let event = remote.event();
    ends.tell(End::All);
    let after = take(&pool);
    let before = join(threads).into_iter().flatten().flatten();
    let seen = remote.seen();
    if let Some(after) = &after {
        assert!(seen[call_of(after)].began > event, "a key from before it was forgotten");
    }
    let keys: Vec<_> = before.chain(after).collect();
    let different: HashSet<_> = keys.iter().map(|minted| *minted.key.expose_secret()).collect();
    assert_eq!(different.len(), keys.len(), "a key was handed out twice");
    for minted in &keys {
        let sent = &seen[call_of(minted)].keys;
        assert!(
            sent.iter()
                .any(|payload| payload.windows(32).any(|part| part == minted.key.expose_secret())),
            "not the key that was wrapped"
        );
    }
    while pool.depth().1 > 0 {
        remote.settle();
        driver.nudge();
    }
    assert!(pool.depth().0 <= 2);
    assert_eq!(driver.waiting(), 0);
}

#[test]
fn a_pool_in_an_outage_hands_out_no_key_twice_and_lets_nobody_wait_for_ever() {
    explore(|| take_and_forget(Some(PoolLimits::new(secs(60)).with_max_keys(2))));
}

#[test]
fn without_a_pool_an_outage_lets_nobody_wait_for_ever_either() {
    explore(|| take_and_forget(None));
}

#[test]
fn one_bad_key_among_many_spoils_no_other() {
    explore(|| {
        let bad = |_: &Remote, keys: &[Vec<u8>]| {
            let bad = slot("tag", 0);
            keys.iter().any(|key| *key == bad.as_bytes()).then_some(ErrorKind::Malformed)
        };
        let (remote, driver) = (Remote::new(bad, false), Arc::new(Driver::default()));
        let _home = KeepAlive::new(driver.clone());
        let batcher = Batcher::new(Unwrap, Recipient::new(remote.clone()), driver.clone(), SOURCE);
        let answers = Arc::new(Mutex::new([0; 4]));
        let threads = [vec![1], vec![0, 2], vec![3]].map(|numbers| {
            let (batcher, driver, answers) = (batcher.clone(), driver.clone(), answers.clone());
            thread::spawn(move || {
                let flights: Vec<_> = numbers.iter().map(|_| Arc::new(Flight::new())).collect();
                batcher.submit(numbers.iter().zip(&flights).map(|(n, flight)| {
                    let (n, flight, answers) = (*n, flight.clone(), answers.clone());
                    let ticket = Ticket::new(move |result: Option<Result<KeyPayload>>| {
                        note(&answers)[n as usize] += 1;
                        flight.finish(result.map(|result| {
                            result.and_then(|key| key.decode(&binding("s"))).map(|key| number(&key))
                        }));
                    });
                    (slot("tag", n), ticket)
                }));
                for (n, flight) in numbers.into_iter().zip(flights) {
                    match block_on(driver.wait(Wait::new(flight))).expect("an answer") {
                        Ok(found) => assert!(n != 0 && found == n),
                        Err(error) => assert!(n == 0 && error.kind() == ErrorKind::Malformed),
                    }
                }
            })
        });
        join(threads);
        assert_eq!(*note(&answers), [1; 4]);
        let asked: Vec<_> = remote
            .seen()
            .into_iter()
            .filter(|call| call.keys.contains(&slot("tag", 0).as_bytes().to_vec()))
            .collect();
        assert_eq!(asked.last().unwrap().keys.len(), 1, "the bad key was never alone");
        // Each place was given back: another one leaves at once.
        let calls = remote.seen().len();
        batcher.submit([(slot("tag", 1), Ticket::new(|_| {}))]);
        driver.nudge();
        assert_eq!(remote.seen().len(), calls + 1);
    });
}

#[test]
fn work_goes_on_when_the_one_who_polls_it_goes_away() {
    explore(|| {
        let (driver, stop) = (Arc::new(Driver::default()), Arc::new(Flight::new()));
        let _home = KeepAlive::new(driver.clone());
        let gates = [(); 2].map(|()| Arc::new(Flight::<u32>::new()));
        let results = [(); 2].map(|()| Arc::new(Flight::<u32>::new()));
        let waiting = |n: usize| {
            let (driver, result) = (driver.clone(), results[n].clone());
            async move { driver.wait(Wait::new(result)).await.unwrap().unwrap() }
        };
        let (going, first, second) = (unless(stop.clone(), waiting(0)), waiting(0), waiting(1));
        let threads: [Pin<Box<dyn Future<Output = u32> + Send>>; 3] =
            [Box::pin(async { going.await.unwrap_or(0) }), Box::pin(first), Box::pin(second)];
        let threads = threads.map(|work| thread::spawn(move || block_on(work)));
        let starting = {
            let (driver, gates, results) = (driver.clone(), gates.clone(), results.clone());
            thread::spawn(move || {
                for (gate, result) in gates.into_iter().zip(results) {
                    driver.start(async move {
                        let number = Wait::new(gate).await.unwrap().unwrap();
                        result.finish(Some(Ok(number)));
                    });
                }
            })
        };
        gates[0].finish(Some(Ok(1)));
        stop.finish(Some(Ok(())));
        gates[1].finish(Some(Ok(2)));
        let found = join(threads);
        starting.join().unwrap();
        assert!(found[0] <= 1);
        assert_eq!(found[1..], [1, 2]);
        assert_eq!(driver.waiting(), 0);
    });
}
