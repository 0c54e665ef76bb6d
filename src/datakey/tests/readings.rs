//! Who is asked for the key of a message, to the moment; and what a data key waits for that is
//! wrapped for several.

use crate::datakey::clock::Source;
use crate::datakey::delay::Delay;
use crate::datakey::limits::CacheLimits;
use crate::datakey::reading::{Readers, Search, Terms};
use crate::datakey::reaper::{record_timers, recorded_timers};
use crate::datakey::recipient::{PASSED_OVER, Recipient};
use crate::datakey::tests::kit::*;
use crate::datakey::tests::service::{Reply, Service};
use crate::error::{ErrorKind, Result};
use crate::wrap::WrappedKey;
use std::sync::Arc;

const TERMS: Terms = Terms { max_age: None, max_unwraps: 4 };
const HEDGE: std::time::Duration = millis(100);
const OUTAGE: Reply = Reply::Fail(ErrorKind::Unavailable);

/// Two services, and who reads with both.
struct Pair {
    services: [Arc<Service>; 2],
    readers: Arc<Readers>,
    slots: Arc<[WrappedKey]>,
    _rig: Rig,
}

fn pair() -> Pair {
    let rig = Rig::new(Some(CacheLimits::new(secs(3_600))));
    let (other, first) = (Arc::new(Service::new("other")), rig.reader("p", "s"));
    let unwrap = crate::datakey::batch::operation::Unwrap;
    let recipient = Recipient::new(other.clone());
    let batcher =
        crate::datakey::batch::batcher::Batcher::new(unwrap, recipient, rig.driver.clone(), SOURCE);
    let second = crate::datakey::cache::Loader { batcher, ..first.clone() };
    let readers = Arc::new(Readers::new(vec![first, second], HEDGE));
    let services = [rig.service.clone(), other];
    Pair { services, readers, slots: [slot("tag", 7), slot("other", 7)].into(), _rig: rig }
}

impl Pair {
    fn read(&self) -> Task<Result<u32>> {
        let (readers, slots) = (self.readers.clone(), self.slots.clone());
        Task::new(async move {
            let routes = readers.routes(&slots).into_iter();
            let number = |key: &_| Ok(crate::datakey::tests::service::number(key));
            readers.open(&slots, routes, TERMS, number).await
        })
    }

    fn counts(&self) -> [usize; 2] {
        self.services.each_ref().map(|service| service.count())
    }

    fn stats(&self, at: usize) -> crate::datakey::RecipientStats {
        self.readers.loaders()[at].batcher.recipient().stats()
    }
}

/// Has the reaper come to whoever asked for it at that time.
fn ring(at: crate::datakey::clock::Instant) {
    let due = recorded_timers(|visits| {
        let due = visits.iter().filter(|(when, _)| *when == at);
        due.filter_map(|(when, whom)| Some((*when, whom.upgrade()?))).collect::<Vec<_>>()
    });
    due.into_iter().for_each(|(at, whom)| whom.due(at));
}

#[test]
fn the_next_one_is_asked_when_the_hedge_delay_is_over_and_the_first_answer_counts() {
    for first in [0, 1] {
        record_timers();
        let pair = pair();
        pair.services.iter().for_each(|service| service.holds());
        let mut reading = pair.read();
        assert!(reading.pending());
        assert_eq!(pair.counts(), [1, 0]);
        ring(now() + HEDGE);
        assert!(reading.pending());
        assert_eq!(pair.counts(), [1, 1]);
        assert_eq!(
            recorded_timers(|visits| visits.iter().filter(|(at, _)| *at == now() + HEDGE).count()),
            1
        );
        pair.services[first].call(0).answer(Reply::Good);
        assert_eq!(reading.done().unwrap(), 7);
        assert_eq!(pair.stats(0).overtaken, first as u64);
        assert_eq!(pair.stats(1).overtaken, 0);
    }
}

#[test]
fn an_alarm_that_is_dropped_is_called_off_and_no_time_is_no_wait() {
    let real = Source::REAL;
    assert!(Task::new(Delay::new(secs(0), real)).run());
    record_timers();
    let mut delay = Task::new(Delay::new(HEDGE, SOURCE));
    assert!(delay.pending());
    let at = now() + HEDGE;
    assert!(recorded_timers(|visits| visits[0].1.upgrade().is_some()));
    ring(at);
    assert!(delay.run());
    drop(delay);
    assert!(recorded_timers(|visits| visits.iter().all(|(_, whom)| whom.upgrade().is_none())));
}

#[test]
fn one_who_was_out_of_reach_is_passed_over_for_ten_seconds_and_then_one_finds_out() {
    let recipient = Recipient::new(Arc::new(Service::new("tag")));
    let over = |recipient: &Recipient| recipient.is_passed_over(now());
    assert!(!over(&recipient));
    use crate::datakey::failure::Failure;
    recipient.came_back(Some(Failure::Outage), now());
    pass(PASSED_OVER - nanos(1));
    assert!(over(&recipient) && over(&recipient));
    pass(nanos(1));
    assert!(!over(&recipient), "the first one after it asks");
    assert!(over(&recipient), "and the others let it");
    recipient.came_back(Some(Failure::Own), now());
    assert!(over(&recipient), "which says nothing of the service");
    for answer in [None, Some(Failure::OfKey), Some(Failure::OfFamily)] {
        recipient.was_overtaken(now());
        assert!(over(&recipient));
        recipient.came_back(answer, now());
        assert!(!over(&recipient), "{answer:?}");
    }
}

#[test]
fn one_who_answers_late_is_asked_first_again() {
    record_timers();
    let pair = pair();
    pair.services[0].holds();
    let mut reading = pair.read();
    ring(now() + HEDGE);
    assert!(reading.run());
    pair.readers.loaders()[0].cache.forget_keys();
    // Passed over, although it is only slow.
    assert!(pair.read().run());
    assert_eq!(pair.counts(), [1, 2]);
    pair.services[0].call(0).answer(Reply::Good);
    pair.readers.loaders()[0].driver.nudge();
    pair.services[0].replies(Reply::Good);
    pair.readers.loaders()[0].cache.forget_keys();
    assert!(pair.read().run());
    assert_eq!(pair.counts(), [2, 2]);
    assert_eq!((pair.stats(0).opened, pair.stats(0).passed_over), (2, 1));
}

#[test]
fn after_the_while_one_read_asks_and_the_others_do_not_wait() {
    record_timers();
    let pair = pair();
    pair.services[0].replies(OUTAGE);
    assert!(pair.read().run());
    assert_eq!(pair.counts(), [1, 1]);
    pass(PASSED_OVER);
    pair.services[0].holds();
    pair.readers.loaders()[0].cache.forget_keys();
    let mut finds_out = pair.read();
    assert!(finds_out.pending());
    assert_eq!(pair.counts(), [2, 1]);
    assert!(pair.read().run());
    assert_eq!(pair.counts(), [2, 2], "nobody else asks it");
    ring(now() + HEDGE);
    assert!(finds_out.run(), "from the cache now");
    assert_eq!(pair.counts(), [2, 2]);
}

/// Nobody is asked about one message twice at the same time.
#[test]
fn two_slots_of_one_recipient_are_asked_one_after_the_other() {
    record_timers();
    let mut pair = pair();
    pair.slots = [slot("tag", 1), slot("tag", 2), slot("other", 7)].into();
    pair.services.iter().for_each(|service| service.holds());
    let mut reading = pair.read();
    ring(now() + HEDGE);
    assert!(reading.pending());
    assert_eq!(pair.counts(), [1, 1], "the other one, and not the same one for its other slot");
    ring(now() + HEDGE);
    assert!(reading.pending());
    assert_eq!(pair.counts(), [1, 1]);
    pair.services[1].call(0).answer(OUTAGE);
    assert!(reading.pending());
    pair.services[0].call(0).answer(Reply::Fail(ErrorKind::Authentication));
    assert!(reading.pending());
    assert_eq!(pair.counts(), [2, 1]);
    pair.services[0].call(1).answer(Reply::Good);
    assert_eq!(reading.done().unwrap(), 2);
}

#[test]
fn who_gives_up_leaves_no_seat_and_no_visit() {
    record_timers();
    let pair = pair();
    pair.services.iter().for_each(|service| service.holds());
    let mut reading = pair.read();
    ring(now() + HEDGE);
    assert!(reading.pending());
    let driver = pair.readers.loaders()[0].driver.clone();
    assert_eq!(driver.waiting(), 2);
    drop(reading);
    assert_eq!(driver.waiting(), 0);
    let alive = |(at, whom): &(_, std::sync::Weak<dyn crate::datakey::reaper::Due>)| {
        *at == now() + HEDGE && whom.upgrade().is_some()
    };
    assert!(recorded_timers(|visits| !visits.iter().any(alive)));
}

#[test]
fn many_that_are_asked_together_move_on_together() {
    let pair = pair();
    pair.services[0].holds();
    let slots: Vec<[WrappedKey; 2]> =
        (0..300).map(|n| [slot("tag", n), slot("other", n)]).collect();
    let mut asking = pair.readers.asking();
    let mut searches: Vec<Search> = slots
        .iter()
        .map(|slots| asking.begin(pair.readers.routes(slots).into_iter(), slots, TERMS))
        .collect();
    asking.send();
    assert_eq!(pair.services[0].sizes(), [256]);
    let later = searches.iter_mut().zip(&slots).map(|(search, slots)| (search, &slots[..]));
    pair.readers.hurry(later);
    assert_eq!(pair.services[1].sizes(), [256, 44]);
    // What has come is not asked for again.
    let later = searches.iter_mut().zip(&slots).map(|(search, slots)| (search, &slots[..]));
    pair.readers.hurry(later);
    assert_eq!(pair.services[1].sizes(), [256, 44]);
}
