//! A pool of data keys for writing, each for one message, generated and wrapped ahead of need.
//!
//! Promises: no key is used twice, after it expired, or after it was invalidated. An unused key is
//! wiped when it expires. A caller that finds no key ready waits; waiters are served in FIFO order,
//! and the failure of another caller's refill never leaves one waiting. Without limits no key is
//! kept ready: each is generated for one waiter, and concurrent waiters share calls.
//!
//! The number of ready keys follows the demand: it doubles when a caller had to wait, and shrinks
//! when keys expire unused. Only a caller that takes a key orders more, so an idle pool makes no
//! calls.

use crate::datakey::batch::drive::Lost;
use crate::datakey::batch::flight::{Flight, Wait};
use crate::datakey::batch::lane::MAX_BATCH;
use crate::datakey::batch::ticket::Waiters;
use crate::datakey::clock::Instant;
use crate::datakey::ends::{End, Holder, Registration};
use crate::datakey::limits::PoolLimits;
use crate::datakey::observe;
use crate::datakey::reaper;
use crate::datakey::reaper::Due;
use crate::datakey::supply::gather::Outcome;
use crate::datakey::supply::mint::{Mint, Minted};
use crate::datakey::supply::orders::{Orders, Placed};
use crate::datakey::sync::{Guard, Own, lock, own};
use crate::error::Result;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Keys kept ready before any demand is known.
const FIRST_TARGET: usize = 32;

pub(crate) struct Pool(Arc<Inner>);

struct Inner {
    registration: Registration,
    mint: Mint,
    limits: Option<PoolLimits>,
    state: Own<PoolState>,
}

#[derive(Default)]
struct PoolState {
    /// Oldest first.
    ready: VecDeque<Minted>,
    /// Waiters in FIFO order. A waiter that is dropped is removed.
    waiting: BTreeMap<u64, Arc<Flight<Arc<Minted>>>>,
    /// The number of the last waiter.
    waited: u64,
    /// How many keys should be ready.
    target: usize,
    orders: Orders,
}

/// A requested key.
pub(crate) struct Taken(Found);

enum Found {
    Here(Result<Arc<Minted>>),
    Coming(InLine),
}

/// A waiter in the queue.
struct InLine {
    pool: Arc<Inner>,
    number: u64,
    flight: Arc<Flight<Arc<Minted>>>,
}

impl Drop for InLine {
    fn drop(&mut self) {
        let _flight = lock(&self.pool.state).waiting.remove(&self.number);
    }
}

impl Pool {
    pub(crate) fn new(mint: Mint, limits: Option<PoolLimits>) -> Result<Self> {
        let limits = limits.filter(PoolLimits::keeps);
        if limits.is_some() {
            reaper::start()?;
        }
        let target = limits.as_ref().map_or(0, |limits| FIRST_TARGET.min(limits.max_keys));
        let state = own(PoolState { target, ..PoolState::default() }, move |parents| {
            let _ = reaper::start();
            // Continues the count, so that numbers stay unique.
            let waited = parents.map_or_else(Default::default, |parents| {
                parents.ready.clear();
                parents.waited
            });
            PoolState { target, waited, ..PoolState::default() }
        });
        Ok(Self(Arc::new_cyclic(|pool: &Weak<Inner>| {
            let registration = mint.register(pool.clone());
            Inner { registration, mint, limits, state }
        })))
    }

    pub(crate) fn take(&self) -> Taken {
        self.0.take(Inner::take_one)
    }

    /// Takes a key for each of `count` messages, and orders the missing ones together.
    pub(crate) fn take_many(&self, count: usize) -> Vec<Taken> {
        self.0.take(|inner, state, now| (0..count).map(|_| inner.take_one(state, now)).collect())
    }

    pub(crate) async fn wait(&self, taken: Taken) -> Result<Arc<Minted>> {
        let (mut taken, mut lost) = (taken, Lost::default());
        loop {
            match taken.0 {
                Found::Here(result) => return result,
                Found::Coming(ref in_line) => {
                    let wait = Wait::new(in_line.flight.clone());
                    if let Some(result) = self.0.mint.driver.wait(wait).await {
                        return result;
                    }
                    // The order was dropped with its runtime.
                    lost.again()?;
                    taken = self.take();
                }
            }
        }
    }

    #[cfg(shuttle)]
    pub(crate) fn ends(&self) -> &crate::datakey::ends::Ends {
        &self.0.mint.ends
    }

    /// Keys ready and keys in flight.
    pub(crate) fn depth(&self) -> (usize, usize) {
        let state = lock(&self.0.state);
        (state.ready.len(), state.orders.coming())
    }
}

impl Inner {
    fn take<T>(self: &Arc<Self>, take: impl FnOnce(&Arc<Self>, &mut PoolState, Instant) -> T) -> T {
        let (taken, order) = {
            let mut state = lock(&self.state);
            let now = (self.mint.source.now)();
            self.drop_old(&mut state, now);
            let waited = state.waited;
            let taken = take(self, &mut state, now);
            let order = match &self.limits {
                Some(_) => self.missing(&state, now),
                // One for each new waiter: an order of another waiter is dropped with that one.
                None => (state.waited - waited) as usize,
            };
            (taken, self.place(&mut state, order, waited + 1))
        };
        self.order(order);
        taken
    }

    fn take_one(self: &Arc<Self>, state: &mut PoolState, now: Instant) -> Taken {
        if let Some(minted) = state.ready.pop_front() {
            self.mint.counters.taken.add();
            return Taken(Found::Here(Ok(Arc::new(minted))));
        }
        if let Err(error) = state.orders.denied(now) {
            return Taken(Found::Here(Err(error)));
        }
        self.mint.counters.dry.add();
        let flight = Arc::new(Flight::new());
        state.waited += 1;
        let number = state.waited;
        state.waiting.insert(number, flight.clone());
        if let Some(limits) = &self.limits
            && (!state.orders.raised || state.waiting.len() > state.target / 2)
        {
            state.orders.raised = true;
            state.target = (state.target * 2).min(limits.max_keys);
            observe::dry(state.target);
        }
        Taken(Found::Coming(InLine { pool: self.clone(), number, flight }))
    }

    /// How many keys to order besides those in flight.
    fn missing(&self, state: &PoolState, now: Instant) -> usize {
        let coming = state.orders.coming();
        let uncovered = state.waiting.len().saturating_sub(coming);
        if state.orders.is_quiet(now) {
            return uncovered;
        }
        let missing =
            (state.waiting.len() + state.target).saturating_sub(state.ready.len() + coming);
        let ahead = match missing {
            // Full batches, so that calls are not wasted.
            MAX_BATCH.. => missing / MAX_BATCH * MAX_BATCH,
            _ if missing * 4 >= state.target => missing,
            _ => 0,
        };
        ahead.max(uncovered)
    }

    /// Counts `count` keys as in flight. Without limits they are for the waiters from `first` on,
    /// one each and in order. So a key that is still queued belongs to a waiter that still waits:
    /// only keys that were queued before it can have served anyone.
    fn place(self: &Arc<Self>, state: &mut PoolState, count: usize, first: u64) -> Order {
        let line = state.waiting.range(first..);
        let waiters = match &self.limits {
            // Besides its waiter, the queue holds each flight.
            None => line.map(|(_, flight)| Waiters::of(flight, 1)).collect(),
            Some(_) => Vec::new(),
        };
        let placed = state.orders.place(count, &self.registration);
        Order { pool: self.clone(), placed, waiters }
    }

    fn order(&self, order: Order) {
        // Generating hundreds of keys takes a fraction of a millisecond, which the caller should
        // not wait for.
        if order.placed.count > FIRST_TARGET {
            self.mint.driver.spawn(async move { order.send() })
        } else {
            order.send()
        }
        self.mint.driver.nudge();
    }

    fn arrive(self: &Arc<Self>, epoch: u64, minted: Outcome<Minted>) {
        // All of one order are denied together, and the first ends the order.
        let wanted = lock(&self.state).orders.is_of(epoch);
        if wanted && self.mint.tell_denial(&minted) {
            return;
        }
        let mut state = lock(&self.state);
        if !state.orders.expects(epoch) {
            return;
        }
        let now = (self.mint.source.now)();
        match minted.map(|minted| state.orders.judge(minted, self.max_age(), &self.mint, now)) {
            Some(Ok(minted)) => self.hand_out(state, minted, now),
            Some(Err(error)) => Self::disappoint(state, Some(Err(error))),
            None => Self::disappoint(state, None),
        }
    }

    fn max_age(&self) -> Option<Duration> {
        self.limits.as_ref().map(|limits| limits.max_age)
    }

    fn hand_out(self: &Arc<Self>, mut state: Guard<'_, PoolState>, minted: Minted, now: Instant) {
        if let Some((_, flight)) = state.waiting.pop_first() {
            drop(state);
            self.mint.counters.taken.add();
            flight.finish(Some(Ok(Arc::new(minted))));
            return;
        }
        // A key whose waiter is gone may exceed the limit.
        if self.limits.as_ref().is_some_and(|limits| state.ready.len() < limits.max_keys) {
            // Calls can return out of order.
            let place = state.ready.partition_point(|other| other.at <= minted.at);
            state.ready.insert(place, minted);
            self.set_timer(&mut state, now);
        }
    }

    /// One key failed. If there are more waiters than keys in flight, the first waiter gets the
    /// failure.
    fn disappoint(mut state: Guard<'_, PoolState>, outcome: Option<Result<Arc<Minted>>>) {
        if state.waiting.len() > state.orders.coming()
            && let Some((_, flight)) = state.waiting.pop_first()
        {
            drop(state);
            flight.finish(outcome);
        }
    }

    fn drop_old(&self, state: &mut PoolState, now: Instant) {
        let Some(limits) = &self.limits else { return };
        let before = state.ready.len();
        while state.ready.front().is_some_and(|minted| minted.is_old(limits.max_age, now)) {
            state.ready.pop_front();
        }
        let old = before - state.ready.len();
        if old > 0 {
            state.target =
                state.target.saturating_sub(old / 2).max(FIRST_TARGET.min(limits.max_keys));
            // A caller that finds no key now met an expiry, which is no demand for more.
            state.orders.raised = true;
            self.mint.counters.too_old.by(old);
            observe::too_old(old);
        }
    }

    fn set_timer(self: &Arc<Self>, state: &mut PoolState, now: Instant) {
        let (Some(limits), Some(first)) = (&self.limits, state.ready.front()) else { return };
        let at = reaper::no_sooner(first.at.checked_add(limits.max_age).unwrap_or(now), now);
        state.orders.timer.by(at, self.mint.source, self);
    }
}

/// Keys that are counted as in flight. If it is dropped before it is sent, they fail.
struct Order {
    pool: Arc<Inner>,
    placed: Placed,
    waiters: Vec<Waiters>,
}

impl Order {
    fn send(mut self) {
        let count = std::mem::take(&mut self.placed.count);
        if count == 0 {
            return;
        }
        let mut waiters = std::mem::take(&mut self.waiters).into_iter();
        self.pool.mint.order((0..count).map(|_| {
            let (pool, epoch) = (self.pool.clone(), self.placed.epoch);
            (waiters.next(), move |minted| pool.arrive(epoch, minted))
        }));
    }
}

impl Drop for Order {
    fn drop(&mut self) {
        (0..self.placed.count).for_each(|_| self.pool.arrive(self.placed.epoch, None));
    }
}

impl Holder for Inner {
    fn end(self: Arc<Self>, end: End<'_>) {
        if !self.mint.is_touched(&end) {
            return;
        }
        let mut guard = lock(&self.state);
        let state = &mut *guard;
        let before = state.ready.len();
        state.ready.retain(|minted| !self.mint.is_ended(&end, minted));
        let (holds, now) = (!state.ready.is_empty(), (self.mint.source.now)());
        let coming = state.orders.end(end, holds, now, &self.registration);
        self.mint.counters.forgotten.by(before - state.ready.len() + coming);
        if let End::Wraps(_, error) = end {
            let waiting = std::mem::take(&mut state.waiting);
            drop(guard);
            waiting.values().for_each(|flight| flight.finish(Some(Err(error.clone()))));
        } else {
            // Present waiters need new keys.
            let count = state.waiting.len();
            let order = self.place(state, count, 0);
            drop(guard);
            self.order(order);
        }
    }
}

impl Due for Inner {
    fn due(self: Arc<Self>, at: Instant) {
        let mut state = lock(&self.state);
        let now = (self.mint.source.now)();
        self.drop_old(&mut state, now);
        if state.orders.timer.is(at) {
            self.set_timer(&mut state, now);
        }
    }
}
