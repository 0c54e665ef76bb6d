//! Keys that are held together, to the moment.

use crate::datakey::batch::batcher::Batcher;
use crate::datakey::batch::drive::KeepAlive;
use crate::datakey::batch::operation::Unwrap;
use crate::datakey::cache::Loader;
use crate::datakey::ends::End;
use crate::datakey::held::fetch::Fetch;
use crate::datakey::held::shared::Shared;
use crate::datakey::held::state::{Limits, QUIET};
use crate::datakey::held::{Held, Wanted};
use crate::datakey::limits::CacheLimits;
use crate::datakey::reading::Readers;
use crate::datakey::reaper::Due;
use crate::datakey::recipient::Recipient;
use crate::datakey::tests::kit::*;
use crate::datakey::tests::service::{Reply, Service};
use crate::error::{Error, ErrorKind, Result};
use crate::secret::DataKey;
use crate::wrap::WrappedKey;
use std::sync::{Arc, Weak};
use std::time::Duration;

const TTL: Duration = secs(60);
const SOFT: Duration = secs(30);
const STALE: Duration = secs(100);
const OUTAGE: Reply = Reply::Fail(ErrorKind::Unavailable);
const DENIED: Reply = Reply::Fail(ErrorKind::AccessDenied);

#[derive(Debug, PartialEq)]
struct Numbers(Vec<u32>);

struct Holding {
    rig: Rig,
    other: Arc<Service>,
    shared: Arc<Shared<Numbers>>,
    held: Arc<Held<Numbers>>,
}

fn limits() -> CacheLimits {
    CacheLimits::new(TTL)
}

/// Holds keys 1 and 2 under `tag`.
fn holding(limits: CacheLimits) -> Holding {
    holding_of(Some(limits), vec![vec![slot("tag", 1)], vec![slot("tag", 2)]]).unwrap()
}

fn holding_of(limits: Option<CacheLimits>, keys: Vec<Vec<WrappedKey>>) -> Result<Holding> {
    let (rig, other) = (Rig::new(limits), Arc::new(Service::new("other")));
    let (held, shared) = set(&rig, &other, keys)?;
    Ok(Holding { rig, other, shared, held })
}

type Set = (Arc<Held<Numbers>>, Arc<Shared<Numbers>>);

fn set_of(rig: &Rig, keys: Vec<Vec<WrappedKey>>) -> Set {
    set(rig, &Arc::new(Service::new("other")), keys).unwrap()
}

fn set(rig: &Rig, other: &Arc<Service>, keys: Vec<Vec<WrappedKey>>) -> Result<Set> {
    let beside = rig.cache.beside();
    let recipient = Recipient::new(other.clone());
    let batcher = Batcher::new(Unwrap, recipient, rig.driver.clone(), SOURCE);
    let readers = |binding| {
        let first = Loader { cache: beside.clone(), binding, ..rig.reader("p", "s") };
        let second = Loader { batcher: batcher.clone(), ..first.clone() };
        Readers::new(vec![first, second], millis(100))
    };
    let wanted = |(at, slots)| Wanted { name: format!("key {at}"), slots, binding: binding("s") };
    let fetch = Fetch::new(keys.into_iter().enumerate().map(wanted).collect(), readers)?;
    let build = |keys: Vec<DataKey>| {
        // A false key differs from the right one at its end.
        let last = |key: &DataKey| u32::from(key.expose_secret()[31]) << 16;
        let number = |key| crate::datakey::tests::service::number(key) + last(key);
        Numbers(keys.iter().map(number).collect())
    };
    let (driver, ends) = (rig.driver.clone(), rig.cache.0.ends.clone());
    let keep_alive = Arc::new(KeepAlive::new(driver.clone()));
    let shared = Shared::new(fetch, build, Limits::of(rig.cache.0.limits()), SOURCE, driver, ends);
    let held = Arc::new(Held::new(shared.clone(), keep_alive));
    Ok((held, shared))
}

impl Holding {
    fn ready(&self) -> Task<Result<Arc<Numbers>>> {
        let held = self.held.clone();
        Task::new(async move { held.ready().await })
    }

    fn count(&self) -> usize {
        self.rig.service.count()
    }

    #[track_caller]
    fn get(&self) -> Arc<Numbers> {
        self.held.get().expect("keys")
    }

    #[track_caller]
    fn kind(&self) -> ErrorKind {
        self.held.get().expect_err("no keys").kind()
    }

    fn replies(&self, reply: Reply) {
        self.rig.service.replies(reply);
    }

    /// The reaper comes.
    fn due(&self) {
        self.shared.clone().due(now());
    }
}

/// Only a test says that keys are in memory.
fn watch(keys: Arc<Numbers>) -> Weak<Numbers> {
    Arc::downgrade(&keys)
}

#[test]
fn all_keys_come_by_one_call_however_many_wait() {
    let holding = holding(limits());
    holding.rig.service.holds();
    let mut waiting: Vec<_> = (0..5).map(|_| holding.ready()).collect();
    assert_eq!(holding.kind(), ErrorKind::Unavailable);
    assert_eq!(holding.rig.service.sizes(), [2]);
    holding.rig.service.call(0).answer(Reply::Good);
    assert_eq!(run_all(&mut waiting), 5);
    assert_eq!(*holding.get(), Numbers(vec![1, 2]));
    assert!(waiting.into_iter().all(|task| task.done().is_ok()));
    assert_eq!(holding.count(), 1);
    assert!(holding.held.is_here());
}

#[test]
fn a_call_takes_256_keys() {
    let keys = (0..600).map(|n| vec![slot("tag", n)]).collect();
    let holding = holding_of(Some(limits()), keys).unwrap();
    assert!(holding.ready().done().is_ok());
    assert_eq!(holding.rig.service.sizes(), [256, 256, 88]);
    assert_eq!(*holding.get(), Numbers((0..600).collect()));
}

#[test]
fn who_cannot_wait_has_a_load_begun_and_finds_what_comes_at_once() {
    let holding = holding(limits());
    assert_eq!(*holding.get(), Numbers(vec![1, 2]));
    holding.held.forget();
    assert!(!holding.held.is_here());
    holding.rig.service.holds();
    assert_eq!(holding.kind(), ErrorKind::Unavailable);
    assert_eq!(holding.kind(), ErrorKind::Unavailable);
    assert_eq!(holding.count(), 2);
    holding.rig.service.call(1).answer(Reply::Good);
    holding.rig.driver.nudge();
    assert_eq!(*holding.get(), Numbers(vec![1, 2]));
    assert_eq!(holding.count(), 2);
}

#[test]
fn keys_in_use_are_refreshed_at_half_of_their_time_and_keep_their_place() {
    let holding = holding(limits());
    let first = holding.get();
    pass(SOFT - nanos(1));
    holding.get();
    assert_eq!(holding.count(), 1);
    holding.rig.service.holds();
    pass(nanos(1));
    for _ in 0..3 {
        assert!(Arc::ptr_eq(&holding.get(), &first), "nobody waits for it");
    }
    assert_eq!(holding.count(), 2, "one refresh at a time");
    pass(secs(10));
    holding.rig.service.call(1).answer(Reply::Good);
    holding.rig.driver.nudge();
    // The time to live counts from before the call.
    pass(TTL - secs(10) - nanos(1));
    assert!(Arc::ptr_eq(&holding.get(), &first), "with all that was derived from it");
}

#[test]
fn a_soft_time_of_the_callers_counts() {
    let holding = holding(limits().with_refresh_after(secs(5)));
    holding.get();
    pass(secs(5));
    holding.get();
    assert_eq!(holding.count(), 2);
}

#[test]
fn keys_are_used_until_their_time_is_over_and_not_a_moment_longer() {
    let holding = holding(limits());
    holding.get();
    holding.rig.service.holds();
    pass(TTL - nanos(1));
    holding.get();
    pass(nanos(1));
    assert_eq!(holding.kind(), ErrorKind::Unavailable);
    assert!(!holding.held.is_here());
}

#[test]
fn the_reaper_wipes_what_nobody_uses() {
    let holding = holding(limits());
    assert!(holding.ready().done().is_ok());
    let keys = watch(holding.get());
    pass(TTL - nanos(1));
    holding.rig.service.holds();
    holding.due();
    assert!(keys.upgrade().is_some());
    pass(nanos(1));
    holding.due();
    assert!(keys.upgrade().is_none());
}

#[test]
fn the_reaper_refreshes_what_was_used_and_nothing_else() {
    let unused = holding(limits());
    assert!(unused.ready().done().is_ok());
    pass(SOFT);
    unused.due();
    let idle = unused.count();
    let used = holding(limits());
    used.get();
    pass(SOFT);
    used.due();
    assert_eq!((idle, used.count()), (2, 2));
    // Once: it was not used since.
    pass(SOFT);
    used.due();
    assert_eq!(used.count(), 2);
}

#[test]
fn keys_without_use_for_the_idle_time_are_dropped() {
    let holding = holding(limits().with_idle(secs(7)));
    let keys = watch(holding.get());
    pass(secs(6));
    holding.get();
    pass(secs(7) - nanos(1));
    holding.due();
    assert!(keys.upgrade().is_some());
    pass(nanos(1));
    holding.due();
    assert!(keys.upgrade().is_none());
}

#[test]
fn a_denial_ends_the_keys_and_is_told_until_the_service_gives_them_again() {
    let holding = holding(limits());
    let keys = watch(holding.get());
    holding.replies(DENIED);
    pass(SOFT);
    // The last use: the refresh that it begins is denied.
    holding.get();
    assert!(keys.upgrade().is_none());
    let denied = holding.count();
    for _ in 0..10 {
        assert_eq!(holding.kind(), ErrorKind::AccessDenied);
    }
    assert_eq!(holding.count(), denied, "not asked again within a second");
    pass(QUIET);
    assert_eq!(holding.kind(), ErrorKind::AccessDenied);
    assert_eq!(holding.count(), denied + 1);
    holding.replies(Reply::Good);
    pass(QUIET);
    assert_eq!(*holding.get(), Numbers(vec![1, 2]));
}

#[test]
fn who_waits_is_told_of_a_denial() {
    let holding = holding(limits());
    holding.replies(Reply::Fail(ErrorKind::KeyUnusable));
    let error = holding.ready().done().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::KeyUnusable);
    assert!(error.to_string().starts_with("cannot unwrap key 0: "), "{error}");
    assert_eq!(holding.kind(), ErrorKind::KeyUnusable);
}

#[test]
fn an_outage_leaves_the_keys_for_the_stale_window() {
    let holding = holding(limits().with_stale_window(STALE));
    let first = holding.get();
    holding.replies(OUTAGE);
    pass(SOFT);
    holding.get();
    assert_eq!(holding.count(), 2);
    holding.get();
    assert_eq!(holding.count(), 2);
    pass(QUIET);
    holding.get();
    assert_eq!(holding.count(), 3, "once a second");
    pass(TTL - SOFT - QUIET);
    assert!(Arc::ptr_eq(&holding.get(), &first), "stale");
    assert!(Arc::ptr_eq(&holding.ready().done().unwrap(), &first));
    pass(STALE - nanos(1));
    assert!(Arc::ptr_eq(&holding.get(), &first));
    assert!(Arc::ptr_eq(&holding.ready().done().unwrap(), &first));
    drop(first);
    pass(nanos(1));
    assert_eq!(holding.kind(), ErrorKind::Unavailable);
    assert_eq!(holding.ready().done().unwrap_err().kind(), ErrorKind::Unavailable);
    holding.replies(Reply::Good);
    assert!(holding.ready().done().is_ok());
    assert_eq!(*holding.get(), Numbers(vec![1, 2]));
}

#[test]
fn expired_keys_are_used_once_the_service_was_found_unreachable_and_not_before() {
    let holding = holding(limits().with_stale_window(STALE));
    let first = holding.get();
    holding.rig.service.holds();
    pass(TTL);
    assert_eq!(holding.kind(), ErrorKind::Unavailable, "nobody has asked since");
    assert_eq!(holding.count(), 2);
    holding.rig.service.call(1).answer(OUTAGE);
    holding.rig.driver.nudge();
    assert!(Arc::ptr_eq(&holding.get(), &first));
}

// A client that tries again and again answers late: who cannot wait must not find a gap.
#[test]
fn expired_keys_are_used_while_a_refresh_that_began_in_time_is_not_answered() {
    for (answer, fails) in [(OUTAGE, None), (DENIED, Some(ErrorKind::AccessDenied))] {
        let holding = holding(limits().with_stale_window(STALE));
        let first = holding.get();
        holding.rig.service.holds();
        pass(SOFT);
        holding.get();
        pass(TTL - SOFT);
        assert!(Arc::ptr_eq(&holding.get(), &first));
        assert!(holding.ready().pending(), "who can wait waits for the answer");
        holding.rig.service.call(1).answer(answer);
        holding.rig.driver.nudge();
        assert_eq!(holding.held.get().err().map(|error| error.kind()), fails);
    }
}

#[test]
fn a_denial_within_the_stale_window_ends_it() {
    let holding = holding(limits().with_stale_window(STALE));
    holding.get();
    holding.replies(OUTAGE);
    pass(TTL);
    assert!(holding.ready().done().is_ok());
    holding.replies(DENIED);
    pass(QUIET);
    holding.get();
    assert_eq!(holding.kind(), ErrorKind::AccessDenied);
}

#[test]
fn a_denial_that_others_met_ends_the_keys_too() {
    let holding = holding(limits());
    let keys = watch(holding.get());
    let family = |tag| holding.rig.reader("p", "s").realm.family(slot(tag, 1).key_id());
    let error = Error::new(ErrorKind::KeyUnusable, "disabled");
    holding.rig.cache.0.ends.tell(End::Unwraps(&family("third"), &error));
    assert!(keys.upgrade().is_some());
    holding.replies(DENIED);
    holding.rig.cache.0.ends.tell(End::Unwraps(&family("tag"), &error));
    assert!(keys.upgrade().is_none());
    assert_eq!(holding.ready().done().unwrap_err().kind(), ErrorKind::AccessDenied);
}

#[test]
fn what_comes_after_an_invalidation_is_not_held() {
    let family = |rig: &Rig| rig.reader("p", "s").realm.family(slot("tag", 1).key_id());
    let denied = Error::new(ErrorKind::AccessDenied, "denied");
    let ends: [&dyn Fn(&Holding); 5] = [
        &|holding| holding.held.forget(),
        &|holding| holding.rig.cache.forget_keys(),
        &|holding| holding.rig.cache.invalidate("tag"),
        &|holding| holding.rig.cache.0.ends.tell(End::Unwraps(&family(&holding.rig), &denied)),
        &|holding| holding.rig.cache.0.ends.tell(End::Wraps(&family(&holding.rig), &denied)),
    ];
    for (at, end) in ends.iter().enumerate() {
        let holding = holding(limits());
        holding.rig.service.holds();
        let mut waiting = holding.ready();
        end(&holding);
        holding.rig.service.call(0).answer(Reply::Good);
        assert!(waiting.pending(), "{at}: it asks again");
        assert!(!holding.held.is_here(), "{at}");
        holding.rig.service.call(1).answer(Reply::Good);
        assert!(waiting.done().is_ok(), "{at}");
        assert!(holding.held.is_here(), "{at}");
    }
}

#[test]
fn keys_under_a_retired_version_are_not_held() {
    let holding = holding(limits());
    let keys = watch(holding.get());
    holding.rig.cache.retire_below("tag", 1);
    assert!(keys.upgrade().is_some());
    holding.rig.cache.retire_below("tag", 2);
    assert!(keys.upgrade().is_none());
    assert_eq!(holding.ready().done().unwrap_err().kind(), ErrorKind::KeyUnusable);
    assert_eq!(holding.kind(), ErrorKind::KeyUnusable);
}

#[test]
fn one_of_two_recipients_is_enough_and_the_denial_of_the_other_ends_nothing() {
    let keys = (1..3).map(|n| vec![slot("tag", n), slot("other", n)]).collect();
    let holding = holding_of(Some(limits()), keys).unwrap();
    holding.replies(DENIED);
    let first = holding.get();
    // The first key finds out, and the others follow together.
    assert_eq!((holding.rig.service.sizes(), holding.other.sizes()), (vec![2], vec![1, 1]));
    pass(SOFT);
    for _ in 0..3 {
        assert!(Arc::ptr_eq(&holding.get(), &first), "also while it is refreshed");
    }
    assert_eq!(holding.other.count(), 4);
    let family = |tag| holding.rig.reader("p", "s").realm.family(slot(tag, 1).key_id());
    let error = Error::new(ErrorKind::KeyUnusable, "disabled");
    holding.rig.cache.0.ends.tell(End::Unwraps(&family("tag"), &error));
    assert!(Arc::ptr_eq(&holding.get(), &first));
    holding.other.replies(DENIED);
    pass(SOFT);
    holding.get();
    assert_eq!(holding.kind(), ErrorKind::AccessDenied);
}

#[test]
fn one_false_answer_says_nothing_of_keys_that_are_there() {
    for reply in [Reply::Wrong, Reply::Fail(ErrorKind::Authentication)] {
        let holding = holding(limits());
        let first = holding.get();
        holding.replies(reply);
        pass(SOFT);
        holding.get();
        assert!(Arc::ptr_eq(&holding.get(), &first));
        let asked = holding.count();
        holding.replies(Reply::Good);
        pass(QUIET);
        holding.get();
        assert_eq!(holding.count(), asked + 1);
        pass(TTL - QUIET);
        assert!(Arc::ptr_eq(&holding.get(), &first));
    }
}

#[test]
fn a_key_of_another_use_is_refused_by_name() {
    let keys = vec![vec![slot("tag", 1)], vec![slot_of("tag", 2, 1, "t")]];
    let holding = holding_of(Some(limits()), keys).unwrap();
    let error = holding.ready().done().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authentication);
    assert!(error.to_string().starts_with("key 1 is not authentic"), "{error}");
    assert_eq!(holding.kind(), ErrorKind::Authentication);
}

#[test]
fn a_key_that_is_for_others_is_refused_without_a_call() {
    let error = holding_of(None, vec![vec![slot("third", 1)]]).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::KeyNotAllowed);
    assert_eq!(
        error.to_string(),
        "key 0 is wrapped under third, and this envelope is for tag, other: use a key that it is \
         wrapped under"
    );
}

#[test]
fn beside_a_cache_that_keeps_nothing_keys_are_held_for_five_minutes() {
    let holding = holding_of(None, vec![vec![slot("tag", 1)]]).unwrap();
    holding.get();
    holding.rig.service.holds();
    pass(secs(300) - nanos(1));
    holding.get();
    pass(nanos(1));
    assert_eq!(holding.kind(), ErrorKind::Unavailable);
}

#[test]
fn a_load_that_nobody_waits_for_ends_with_its_envelope() {
    let holding = holding(limits());
    holding.rig.service.holds();
    holding.held.get().unwrap_err();
    let service = holding.rig.service.clone();
    assert_eq!(service.in_flight(), 1);
    drop(holding);
    assert_eq!(service.in_flight(), 0, "loads keep each other alive");
}

// Each would be polled within the one before.
#[test]
fn loads_of_many_sets_do_not_nest() {
    let rig = Arc::new(Rig::new(None));
    rig.service.holds();
    let sets: Vec<_> = (0..500).map(|n| set_of(&rig, vec![vec![slot("tag", n)]])).collect();
    for (held, _) in &sets {
        held.get().unwrap_err();
    }
    let (last, _) = sets.last().unwrap().clone();
    let mut waiting = Task::new(async move { last.ready().await });
    assert!(waiting.pending());
    rig.service.replies(Reply::Good);
    rig.settle();
    assert!(waiting.done().is_ok());
    assert!(sets.iter().all(|(held, _)| held.is_here()));
}

#[test]
fn a_load_that_is_dropped_is_begun_again() {
    let holding = holding(limits());
    holding.get();
    pass(SOFT);
    holding.rig.service.holds();
    holding.get();
    holding.rig.driver.drop_orphans();
    pass(QUIET);
    holding.get();
    assert_eq!(holding.count(), 3);
}
