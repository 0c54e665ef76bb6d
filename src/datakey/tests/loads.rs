//! What is found, for how long, and what makes it go.

use crate::context::Scope;
use crate::datakey::cache::Outbox;
use crate::datakey::cache::Realm;
use crate::datakey::ends::End;
use crate::datakey::limits::CacheLimits;
use crate::datakey::tests::kit::*;
use crate::datakey::tests::service::{Reply, number as number_of, wrapped};
use crate::error::{Error, ErrorKind};
use crate::suite::Suite;
use crate::wrap::{Binding, KeyId, Provider, ZoneHint};
use std::sync::Arc;
use std::time::Duration;

const TTL: Duration = secs(10);

const DENIALS: [ErrorKind; 3] =
    [ErrorKind::AccessDenied, ErrorKind::KeyUnusable, ErrorKind::Credentials];
const OUTAGES: [ErrorKind; 2] = [ErrorKind::Unavailable, ErrorKind::Throttled];
const OWN: [ErrorKind; 2] = [ErrorKind::Internal, ErrorKind::Io];
const OF_KEY: [ErrorKind; 5] = [
    ErrorKind::Authentication,
    ErrorKind::Malformed,
    ErrorKind::KeyNotAllowed,
    ErrorKind::NotAccepted,
    ErrorKind::LimitExceeded,
];

fn rig() -> Rig {
    Rig::new(Some(CacheLimits::new(TTL)))
}

#[test]
fn a_key_is_asked_for_once_and_gone_at_its_time_to_the_nanosecond() {
    let rig = rig();
    assert_eq!(number(&rig.read(7).done()), 7);
    pass(TTL - nanos(1));
    assert_eq!(number_of(&rig.hit(7).key), 7);
    pass(nanos(1));
    assert_eq!(number(&rig.read(7).done()), 7);
    let stats = rig.cache.stats();
    assert_eq!(
        (rig.service.count(), stats.hits, stats.misses, stats.expired, stats.keys),
        (2, 1, 2, 1, 1)
    );
}

#[test]
fn jitter_makes_a_key_go_up_to_a_tenth_earlier_and_never_later() {
    for chance in [0, 1, u64::MAX / 2, u64::MAX - 1, u64::MAX] {
        let rig = rig();
        set_chance(chance);
        assert!(rig.read(1).done().is_ok());
        let early = Duration::from_nanos(((u128::from(chance) * 1_000_000_000) >> 64) as u64);
        assert!(early < secs(1));
        pass(TTL - early - nanos(1));
        rig.hit(1);
        pass(nanos(1));
        assert!(rig.read(1).done().is_ok());
        assert_eq!(rig.service.count(), 2, "chance {chance}");
    }
    set_chance(0);
}

#[test]
fn time_counts_from_before_the_call() {
    let rig = rig();
    rig.service.holds();
    let slow = rig.read(1);
    pass(TTL - nanos(1));
    rig.service.last().answer(Reply::Good);
    assert!(slow.done().is_ok());
    rig.hit(1);
    pass(nanos(1));
    let slow = rig.read(1);
    pass(TTL);
    rig.service.last().answer(Reply::Good);
    assert!(slow.done().is_ok(), "a waiter gets the key");
    assert_eq!(rig.cache.0.len(), (0, 0), "and it is not kept");
}

#[test]
fn a_key_that_nobody_uses_goes_earlier() {
    let rig = Rig::new(Some(CacheLimits::new(TTL).with_idle(secs(2))));
    assert!(rig.read(1).done().is_ok());
    for _ in 0..2 {
        pass(secs(2) - nanos(1));
        rig.hit(1);
    }
    pass(secs(2));
    assert!(rig.read(1).done().is_ok());
    assert_eq!((rig.service.count(), rig.cache.stats().idle), (2, 1));
}

#[test]
fn the_least_recently_used_key_goes_first_and_is_wiped() {
    let rig = Rig::new(Some(CacheLimits::new(TTL).with_max_keys(2)));
    let one = Arc::downgrade(&rig.read(1).done().ok().unwrap().1);
    let two = Arc::downgrade(&rig.read(2).done().ok().unwrap().1);
    rig.hit(1);
    let held = rig.read(3).done().ok().unwrap().1;
    assert!(two.upgrade().is_none(), "the key is dropped, so it was wiped");
    assert!(one.upgrade().is_some());
    rig.hit(1);
    rig.hit(3);
    assert!(rig.read(4).done().is_ok());
    assert!(rig.read(5).done().is_ok());
    assert_eq!(number_of(&held.key), 3, "who uses an evicted key goes on using it");
    assert_eq!((rig.cache.0.len(), rig.cache.stats().evicted), ((2, 0), 3));
}

#[test]
fn many_wait_for_one_unwrap_and_share_its_answer() {
    for reply in
        [Reply::Good, Reply::Fail(ErrorKind::Unavailable), Reply::Fail(ErrorKind::Internal)]
    {
        let rig = rig();
        rig.service.holds();
        let mut tasks: Vec<_> = (0..100).map(|_| rig.read(1)).collect();
        assert_eq!((run_all(&mut tasks), rig.service.count()), (0, 1));
        rig.service.call(0).answer(reply);
        assert_eq!(run_all(&mut tasks), 100);
        for task in tasks {
            match (task.done(), reply) {
                (read @ Ok(_), Reply::Good) => assert_eq!(number(&read), 1),
                (Err(error), Reply::Fail(kind)) => assert_eq!(error.kind(), kind),
                other => panic!("{:?} for {reply:?}", other.0.map(|_| ())),
            }
        }
        assert_eq!(rig.cache.stats().joins, 99);
        rig.service.replies(Reply::Good);
        assert!(rig.read(1).done().is_ok());
        assert_eq!(
            rig.service.count(),
            if reply == Reply::Good { 1 } else { 2 },
            "a failure is not kept, a key is"
        );
    }
}

#[test]
fn whoever_goes_away_takes_nothing_with_it() {
    let rig = rig();
    rig.service.holds();
    let leader = rig.read(1);
    let mut waiting: Vec<_> = (0..3).map(|_| rig.read(1)).collect();
    drop(leader);
    drop(waiting.remove(0));
    rig.service.call(0).answer(Reply::Good);
    assert_eq!((run_all(&mut waiting), rig.service.count(), rig.cache.0.len()), (2, 1, (1, 0)));
    // All of them go: what was asked is finished by whoever comes next.
    drop(rig.read(2));
    assert_eq!(rig.cache.0.len(), (1, 1));
    let other = rig.read(2);
    rig.service.call(1).answer(Reply::Good);
    assert!(other.done().is_ok());
    assert_eq!(rig.service.count(), 2);
}

#[test]
fn an_unwrap_that_was_never_sent_leaves_nobody_waiting() {
    let rig = rig();
    let (reader, mut outbox) = (rig.reader("p", "s"), Outbox::default());
    let one = slot("tag", 1);
    let asked = reader.ask(&one, reader.id(&one), None, &mut outbox);
    let mut waiting = [rig.read(1), rig.read(1)];
    assert_eq!(run_all(&mut waiting), 0);
    drop(outbox);
    assert_eq!(run_all(&mut waiting), 2);
    drop(asked);
    assert_eq!(
        (rig.service.count(), rig.cache.0.len()),
        (1, (1, 0)),
        "one waiter requested it for all"
    );
}

#[test]
fn without_a_cache_unwraps_are_shared_and_nothing_is_kept() {
    let rig = Rig::new(None);
    rig.service.holds();
    let mut tasks = [rig.read(1), rig.read(1)];
    rig.service.call(0).answer(Reply::Good);
    assert_eq!(run_all(&mut tasks), 2);
    drop(rig.read(1));
    assert_eq!((rig.service.count(), rig.cache.0.len().0), (2, 0));
}

#[test]
fn a_key_of_another_scope_or_partition_is_asked_for_anew() {
    let rig = rig();
    assert!(rig.read(1).done().is_ok());
    let read =
        |partition, scope, slot| Task::new(read(rig.reader(partition, scope), slot, None)).done();
    assert!(read("q", "s", slot("tag", 1)).is_ok());
    assert_eq!(rig.service.count(), 2);
    assert_eq!(
        read("p", "t", slot("tag", 1)).err().unwrap().kind(),
        ErrorKind::Authentication,
        "a key of another scope"
    );
    assert!(read("p", "t", slot_of("tag", 1, 1, "t")).is_ok());
    assert_eq!((rig.service.count(), rig.cache.0.len()), (4, (3, 0)));
}

#[test]
fn readers_of_one_cache_have_own_limits_of_age() {
    let rig = rig();
    let young = |age| rig.read_of("tag", 1, Some(age));
    assert!(young(Duration::ZERO).done().is_ok());
    pass(secs(2));
    assert!(young(secs(2)).done().is_ok());
    assert_eq!(rig.service.count(), 1, "two seconds are not more than two seconds");
    assert!(young(secs(2) - nanos(1)).done().is_ok());
    assert_eq!(rig.service.count(), 2);
    // The patient reader has the younger key now too, and its time has begun anew.
    pass(secs(9));
    rig.hit(1);
    // An unwrap in flight is young enough.
    rig.service.holds();
    let mut both = [young(secs(1)), young(Duration::ZERO)];
    rig.hit(1);
    rig.service.last().answer(Reply::Good);
    assert_eq!((run_all(&mut both), rig.service.count()), (2, 3));
    // An outage does not make a key younger.
    pass(secs(3));
    rig.service.replies(Reply::Fail(ErrorKind::Unavailable));
    assert_eq!(kind(young(secs(1))), ErrorKind::Unavailable);
    rig.hit(1);
}

#[test]
fn a_key_in_use_is_asked_for_again_in_the_background_once() {
    let rig = Rig::new(Some(CacheLimits::new(TTL).with_refresh_after(secs(4))));
    assert!(rig.read(1).done().is_ok());
    pass(secs(4) - nanos(1));
    rig.hit(1);
    pass(nanos(1));
    rig.service.holds();
    // Found at once by all, and asked for by the first.
    for _ in 0..5 {
        assert!(rig.read(1).done().is_ok());
    }
    assert_eq!((rig.service.count(), rig.cache.stats().refreshes), (2, 1));
    pass(secs(3));
    let asked_later = rig.read(1);
    rig.service.last().answer(Reply::Good);
    assert!(asked_later.done().is_ok());
    // Nobody waits for the answer; whoever comes next polls it.
    rig.hit(1);
    // Its time counts from the second unwrap, at 4 s: now it is 7 s.
    pass(secs(1) - nanos(1));
    rig.hit(1);
    pass(nanos(1));
    assert!(rig.read(1).done().is_ok());
    assert_eq!(rig.service.count(), 3, "a second refresh, 4 s after the first was asked");
    pass(secs(6) - nanos(1));
    assert!(rig.read(1).done().is_ok());
    assert_eq!(rig.service.count(), 3);
    pass(nanos(1));
    assert!(
        rig.read(1).pending(),
        "at 14 s, 10 s after the unwrap at 4 s, the key is gone: the unwrap at 8 s is waited \
         for"
    );
    assert_eq!(rig.service.count(), 3);
}

#[test]
fn a_denial_in_the_background_removes_the_key_at_once() {
    for denial in DENIALS.into_iter().chain(OF_KEY) {
        let rig = Rig::new(Some(
            CacheLimits::new(TTL).with_refresh_after(secs(4)).with_stale_window(secs(60)),
        ));
        let held = rig.read(1).done().ok().unwrap().1;
        pass(secs(4));
        rig.service.replies(Reply::Fail(denial));
        rig.hit_and(1);
        assert_eq!(rig.cache.0.len().0, 0);
        assert_eq!(kind(rig.read(1)), denial);
        assert_eq!(
            (rig.service.count(), rig.cache.stats().denied, rig.cache.stats().refused_again),
            (2, 1, 1),
            "{denial:?}"
        );
        drop(held);
    }
}

#[test]
fn an_outage_in_the_background_keeps_the_key_until_its_time_and_is_not_asked_again_for_a_second() {
    for outage in OUTAGES {
        let rig = Rig::new(Some(CacheLimits::new(TTL).with_refresh_after(secs(4))));
        assert!(rig.read(1).done().is_ok());
        rig.service.replies(Reply::Fail(outage));
        pass(secs(4));
        rig.hit_and(1);
        for asked in 2..=6 {
            assert_eq!(rig.service.count(), asked);
            pass(secs(1) - nanos(1));
            rig.hit(1);
            pass(nanos(1));
            rig.hit_and(1);
        }
        assert_eq!(rig.service.count(), 7, "at 9 s");
        pass(secs(1) - nanos(1));
        rig.hit(1);
        pass(nanos(1));
        assert_eq!(kind(rig.read(1)), outage, "at 10 s the key is gone");
    }
}

#[test]
fn a_refusal_is_remembered_for_a_second() {
    for refusal in DENIALS.into_iter().chain(OF_KEY) {
        let rig = rig();
        rig.service.replies(Reply::Fail(refusal));
        assert_eq!(kind(rig.read(1)), refusal);
        pass(secs(1) - nanos(1));
        assert_eq!(kind(rig.read(1)), refusal);
        assert_eq!((rig.service.count(), rig.cache.stats().refused_again), (1, 1));
        pass(nanos(1));
        rig.service.replies(Reply::Good);
        assert!(rig.read(1).done().is_ok());
    }
    for passing in OUTAGES.into_iter().chain(OWN) {
        let rig = rig();
        rig.service.replies(Reply::Fail(passing));
        assert_eq!(kind(rig.read(1)), passing);
        assert_eq!(kind(rig.read(1)), passing);
        assert_eq!(rig.service.count(), 2, "{passing:?}");
    }
}

#[test]
fn a_stale_key_serves_only_in_an_outage_and_only_within_its_window() {
    for outage in OUTAGES {
        let rig = Rig::new(Some(CacheLimits::new(TTL).with_stale_window(secs(60))));
        assert!(rig.read(1).done().is_ok());
        pass(TTL);
        rig.service.replies(Reply::Fail(outage));
        assert_eq!(number(&rig.read(1).done()), 1, "{outage:?}");
        assert_eq!(rig.service.count(), 2, "past its time the service is asked first");
        pass(secs(1) - nanos(1));
        assert!(rig.read(1).done().is_ok());
        assert_eq!(
            (rig.service.count(), rig.cache.stats().stale_hits),
            (2, 2),
            "and not again for a second"
        );
        pass(nanos(1));
        assert!(rig.read(1).done().is_ok());
        assert_eq!(rig.service.count(), 3);
        // A stricter reader is not given it, whichever way it is found.
        assert_eq!(kind(rig.read_of("tag", 1, Some(TTL))), outage);
        pass(secs(2));
        assert_eq!(kind(rig.read_of("tag", 1, Some(TTL))), outage);
        pass(secs(57) - nanos(1));
        assert!(rig.read(1).done().is_ok());
        pass(nanos(1));
        assert_eq!(kind(rig.read(1)), outage, "70 s after it was asked for");
        assert_eq!(rig.cache.0.len(), (0, 0));
    }
    for other in OWN.into_iter().chain(DENIALS).chain(OF_KEY) {
        let rig = Rig::new(Some(CacheLimits::new(TTL).with_stale_window(secs(60))));
        assert!(rig.read(1).done().is_ok());
        pass(TTL);
        rig.service.replies(Reply::Fail(other));
        assert_eq!(kind(rig.read(1)), other);
    }
    // The service is back: the key has a new time.
    let rig = Rig::new(Some(CacheLimits::new(TTL).with_stale_window(secs(60))));
    assert!(rig.read(1).done().is_ok());
    pass(secs(30));
    assert!(rig.read(1).done().is_ok());
    rig.hit(1);
    assert_eq!(rig.service.count(), 2);
}

#[test]
fn a_stale_key_serves_a_stricter_reader_up_to_its_limit() {
    let rig = Rig::new(Some(CacheLimits::new(TTL).with_stale_window(secs(60))));
    assert!(rig.read(1).done().is_ok());
    pass(TTL);
    rig.service.replies(Reply::Fail(OUTAGES[0]));
    // By the call that fails, and by what is remembered of it.
    for _ in 0..2 {
        assert_eq!(number(&rig.read_of("tag", 1, Some(TTL)).done()), 1);
    }
    assert_eq!(rig.service.count(), 2);
    assert_eq!(kind(rig.read_of("tag", 1, Some(TTL - nanos(1)))), OUTAGES[0]);
    assert_eq!(rig.service.count(), 3, "a stricter one asks for itself");
}

#[test]
fn a_key_that_ends_while_it_is_asked_for_again_is_not_found() {
    let rig = Rig::new(Some(CacheLimits::new(TTL).with_refresh_after(secs(4))));
    assert!(rig.read(1).done().is_ok());
    rig.service.holds();
    pass(secs(9));
    assert!(rig.read(1).done().is_ok());
    pass(secs(1));
    let mut late = [rig.read(1), rig.read(1)];
    assert_eq!(
        run_all(&mut late),
        0,
        "the key is over; the answer that is on its way is waited for"
    );
    assert_eq!(rig.service.count(), 2);
    rig.service.last().answer(Reply::Good);
    assert_eq!(run_all(&mut late), 2);
}

#[test]
fn a_denial_of_the_family_ends_its_keys_in_its_partition_and_no_others() {
    for denial in DENIALS.into_iter().chain(OF_KEY) {
        let rig = Rig::new(Some(CacheLimits::new(TTL).with_stale_window(secs(60))));
        let scoped = || Task::new(read(rig.reader("p", "t"), slot_of("tag", 1, 1, "t"), None));
        let elsewhere = || Task::new(read(rig.reader("q", "s"), slot("tag", 1), None));
        let local = KeyId::new(Provider::Local, ZoneHint::None, "tag").unwrap();
        let local = wrapped(&local, 1, &crate::datakey::tests::service::payload(1, "s"));
        let other_provider = || Task::new(read(rig.reader("p", "s"), local.clone(), None));
        for n in 1..=3 {
            assert!(rig.read(n).done().is_ok());
        }
        for task in [scoped(), elsewhere(), other_provider(), rig.read_of("other", 1, None)] {
            assert!(task.done().is_ok());
        }
        rig.service.replies(Reply::Fail(denial));
        pass(secs(1));
        assert_eq!(kind(rig.read_of("tag", 2, Some(Duration::ZERO))), denial);
        let of_family = DENIALS.contains(&denial);
        assert_eq!(rig.cache.0.len().0, if of_family { 3 } else { 6 }, "{denial:?}");
        assert_eq!(rig.cache.stats().denied, if of_family { 4 } else { 1 });
        let asked = rig.service.count();
        for task in [elsewhere(), other_provider(), rig.read_of("other", 1, None)] {
            assert!(task.done().is_ok());
        }
        assert_eq!(rig.service.count(), asked);
        rig.service.replies(Reply::Good);
        for task in [rig.read(1), rig.read(3), scoped()] {
            assert!(task.done().is_ok());
        }
        assert_eq!(rig.service.count(), asked + if of_family { 3 } else { 0 });
    }
}

#[test]
fn forgotten_keys_are_dropped_and_asked_for_anew() {
    let rig = rig();
    for tag in ["tag", "other"] {
        assert!(rig.read_of(tag, 1, None).done().is_ok());
    }
    let old = Task::new(read(rig.reader("q", "s"), slot_of("tag", 1, 4, "s"), None))
        .done()
        .ok()
        .unwrap()
        .1;
    rig.cache.invalidate("nobody");
    assert_eq!(rig.cache.0.len().0, 3);
    rig.cache.retire_below("tag", 4);
    assert_eq!(rig.cache.0.len().0, 2, "version 4 and the other key stay");
    for _ in 0..2 {
        assert!(rig.read(1).done().is_ok(), "a retired version is served");
    }
    assert_eq!((rig.service.count(), rig.cache.0.len().0), (5, 2), "and asked for each time");
    rig.cache.retire_below("tag", 2);
    drop(rig.read(1).done());
    assert_eq!(rig.cache.0.len().0, 2, "a floor does not sink");
    rig.cache.invalidate("tag");
    assert_eq!(rig.cache.0.len().0, 1, "in all partitions");
    rig.cache.forget_keys();
    assert_eq!((rig.cache.0.len().0, rig.cache.stats().forgotten), (0, 3));
    assert_eq!(Arc::strong_count(&old), 1);
}

#[test]
fn what_is_forgotten_during_a_fill_is_given_to_those_who_wait_and_to_nobody_else() {
    type Forget = fn(&Rig);
    let ways: [(Forget, bool); 4] = [
        (|rig| rig.cache.forget_keys(), true),
        (|rig| rig.cache.invalidate("tag"), true),
        (|rig| rig.cache.invalidate("other"), false),
        (|rig| rig.cache.retire_below("tag", 1), false),
    ];
    for (at, (forget, forgets)) in ways.into_iter().enumerate() {
        let rig = rig();
        rig.service.holds();
        let mut early = [rig.read(1), rig.read(1)];
        forget(&rig);
        let mut late = [rig.read(1), rig.read(1)];
        rig.service.call(0).answer(Reply::Good);
        assert_eq!(run_all(&mut early), 2, "{at}");
        assert_eq!(run_all(&mut late), if forgets { 0 } else { 2 }, "{at}");
        assert_eq!(rig.cache.0.len(), if forgets { (0, 1) } else { (1, 0) }, "{at}");
        if forgets {
            rig.service.call(1).answer(Reply::Good);
            assert_eq!(run_all(&mut late), 2);
            let [early, _] = early;
            assert!(!Arc::ptr_eq(&early.done().ok().unwrap().1, &rig.hit(1)));
        }
        assert_eq!(rig.service.count(), if forgets { 2 } else { 1 });
    }
    // A version that is retired while it is asked for.
    let rig = rig();
    rig.service.holds();
    let task = rig.read(1);
    rig.cache.retire_below("tag", 2);
    rig.service.last().answer(Reply::Good);
    assert!(task.done().is_ok());
    assert_eq!(rig.cache.0.len(), (0, 0));
}

#[test]
fn a_key_that_opens_nothing_is_dropped_unless_it_has_opened_something() {
    let rig = rig();
    let reader = rig.reader("p", "s");
    rig.service.replies(Reply::Wrong);
    let (id, wrong) = rig.read(1).done().ok().unwrap();
    reader.tried(&id, &wrong, false);
    assert_eq!((rig.cache.0.len().0, rig.cache.stats().wrong), (0, 1));
    rig.service.replies(Reply::Good);
    let (id, right) = rig.read(1).done().ok().unwrap();
    // The one that was dropped does not take another with it.
    reader.tried(&id, &wrong, false);
    assert!(Arc::ptr_eq(&rig.hit(1), &right));
    reader.tried(&id, &right, true);
    reader.tried(&id, &right, false);
    assert!(Arc::ptr_eq(&rig.hit(1), &right), "a forged message cannot drive it out");
    // The service contradicts itself: what opened a message stays, and its time does not begin
    // anew.
    pass(secs(4));
    rig.service.replies(Reply::Wrong);
    let (_, other) = rig.read_of("tag", 1, Some(Duration::ZERO)).done().ok().unwrap();
    assert!(!Arc::ptr_eq(&other, &right));
    reader.tried(&id, &other, false);
    assert!(Arc::ptr_eq(&rig.hit(1), &right));
    pass(secs(6));
    assert!(!Arc::ptr_eq(&rig.read(1).done().ok().unwrap().1, &right));
    // What has opened nothing gives way to what came later.
    rig.service.replies(Reply::Good);
    let (_, later) = rig.read_of("tag", 1, Some(Duration::ZERO)).done().ok().unwrap();
    assert!(Arc::ptr_eq(&rig.hit(1), &later));
}

#[test]
fn realms_do_not_share_keys_of_other_zones_or_suites() {
    let rig = rig();
    let mut kr = rig.reader("p", "s");
    kr.realm = Realm::new(b"p", ZoneHint::Kr, &kr.binding);
    assert!(rig.read(1).done().is_ok());
    assert!(Task::new(read(kr, slot("tag", 1), None)).done().is_ok());
    let mut later = rig.reader("p", "s");
    later.binding = Binding::message(Suite::Unknown, &Scope::new("s"));
    later.realm = Realm::new(b"p", ZoneHint::None, &later.binding);
    assert_eq!(
        Task::new(read(later, slot("tag", 1), None)).done().err().unwrap().kind(),
        ErrorKind::Authentication
    );
    assert_eq!(rig.service.count(), 3);
}

#[test]
fn sweeping_removes_what_is_over_without_anyone_looking() {
    use crate::datakey::reaper::Due;
    let rig = Rig::new(Some(CacheLimits::new(TTL).with_idle(secs(3))));
    for n in 1..=4 {
        assert!(rig.read(n).done().is_ok());
    }
    for _ in 0..2 {
        pass(secs(2));
        rig.hit(1);
        rig.hit(2);
    }
    rig.cache.0.clone().due(now());
    assert_eq!((rig.cache.0.len().0, rig.cache.stats().idle), (2, 2));
    pass(secs(2));
    rig.hit(1);
    pass(secs(2));
    rig.hit(1);
    pass(secs(2));
    rig.cache.0.clone().due(now());
    assert_eq!((rig.cache.0.len().0, rig.cache.stats().idle, rig.cache.stats().expired), (0, 2, 2));
}

#[test]
fn a_refusal_from_before_a_key_was_forgotten_is_not_remembered() {
    for denial in [ErrorKind::KeyUnusable, ErrorKind::Malformed] {
        let rig = rig();
        rig.service.holds();
        let early = rig.read(1);
        rig.cache.invalidate("tag");
        rig.service.replies(Reply::Good);
        rig.service.call(0).answer(Reply::Fail(denial));
        assert_eq!(kind(early), denial);
        assert!(rig.read(1).done().is_ok(), "the next reader asks the service");
        assert_eq!(rig.service.count(), 2);
    }
    let rig = rig();
    rig.service.replies(Reply::Fail(ErrorKind::KeyUnusable));
    assert!(rig.read(1).done().is_err());
    rig.service.replies(Reply::Good);
    rig.cache.invalidate("tag");
    assert!(rig.read(1).done().is_ok(), "nor is one that came before");
}

#[test]
fn an_unwrap_that_takes_longer_than_keys_are_kept_is_joined_no_more() {
    let rig = rig();
    rig.service.holds();
    let asked = || (rig.cache.stats().misses, rig.cache.stats().joins);
    let first = rig.read(1);
    pass(TTL - nanos(1));
    let joins = rig.read(1);
    assert_eq!(asked(), (1, 1));
    pass(nanos(1));
    let leads = rig.read(1);
    assert_eq!(asked(), (2, 1));
    rig.service.replies(Reply::Good);
    rig.settle();
    assert!([first, joins, leads].into_iter().all(|read| read.done().is_ok()));
}

#[test]
fn a_proven_key_that_is_over_keeps_no_other_out() {
    let rig = rig();
    rig.service.holds();
    let (early, loader) = (rig.read(1), rig.reader("p", "s"));
    rig.service.call(0).answer(Reply::Good);
    let (id, key) = early.done().ok().unwrap();
    loader.tried(&id, &key, true);
    // Asked for before its time was over, and answered just when it is.
    pass(TTL - nanos(1));
    let refreshed = rig.read_of("tag", 1, Some(Duration::ZERO));
    pass(nanos(1));
    rig.service.call(1).answer(Reply::Wrong);
    let (_, other) = refreshed.done().ok().unwrap();
    assert!(!Arc::ptr_eq(&key, &other) && Arc::ptr_eq(&rig.hit(1), &other));
}

#[test]
fn a_false_answer_is_told_from_a_denial_while_a_proven_key_is_there() {
    let rig = Rig::new(Some(CacheLimits::new(TTL).with_stale_window(secs(60))));
    let loader = rig.reader("p", "s");
    let (id, key) = rig.read(1).done().ok().unwrap();
    let misfit = || rig.cache.0.misfit(&id, Error::authentication()).kind();
    assert_eq!(misfit(), ErrorKind::Authentication, "no message was opened with it");
    loader.tried(&id, &key, true);
    assert_eq!(misfit(), ErrorKind::Internal);
    pass(TTL + secs(60) - nanos(1));
    assert_eq!(misfit(), ErrorKind::Internal);
    pass(nanos(1));
    assert_eq!(misfit(), ErrorKind::Authentication, "it is over");
}

// A denial of the family is told once for each of its batches that was refused.
#[test]
fn a_refusal_is_remembered_however_often_its_family_was_denied_meanwhile() {
    for denials in 0..3 {
        let rig = rig();
        rig.service.holds();
        let early = rig.read(1);
        let family = rig.reader("p", "s").realm.family(slot("tag", 1).key_id());
        for _ in 0..denials {
            rig.cache
                .0
                .ends
                .tell(End::Unwraps(&family, &Error::new(ErrorKind::AccessDenied, "denied")));
        }
        rig.service.call(0).answer(Reply::Fail(ErrorKind::Malformed));
        assert_eq!(kind(early), ErrorKind::Malformed);
        assert_eq!(kind(rig.read(1)), ErrorKind::Malformed);
        assert_eq!(rig.service.count(), 1, "{denials}");
    }
}

#[test]
fn a_cache_without_a_refresh_age_never_asks_in_the_background() {
    let rig = rig();
    assert!(rig.read(1).done().is_ok());
    rig.service.replies(Reply::Fail(ErrorKind::Unavailable));
    pass(secs(1));
    assert!(rig.read_of("tag", 1, Some(Duration::ZERO)).done().is_err());
    pass(secs(5));
    rig.hit(1);
    assert_eq!(rig.cache.stats().refreshes, 0);
}

#[test]
fn a_refresh_that_failed_here_or_was_dropped_is_tried_again_after_a_second() {
    for own in OWN {
        let rig = Rig::new(Some(CacheLimits::new(TTL).with_refresh_after(secs(4))));
        assert!(rig.read(1).done().is_ok());
        rig.service.replies(Reply::Fail(own));
        pass(secs(4));
        rig.hit_and(1);
        assert_eq!(rig.service.count(), 2);
        rig.service.replies(Reply::Good);
        pass(secs(1) - nanos(1));
        rig.hit(1);
        pass(nanos(1));
        rig.hit_and(1);
        assert_eq!(rig.service.count(), 3, "{own:?}");
        // And the key has a new time.
        pass(TTL - nanos(1));
        rig.hit_and(1);
    }
    let rig = Rig::new(Some(CacheLimits::new(TTL).with_refresh_after(secs(4))));
    assert!(rig.read(1).done().is_ok());
    pass(secs(4));
    let mut outbox = Outbox::default();
    let (reader, one) = (rig.reader("p", "s"), slot("tag", 1));
    drop(reader.ask(&one, reader.id(&one), None, &mut outbox));
    drop(outbox);
    pass(secs(1));
    rig.hit_and(1);
    assert_eq!(rig.service.count(), 2);
}
