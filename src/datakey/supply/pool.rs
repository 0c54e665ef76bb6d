//! Data keys for writing, each for one message, made and wrapped ahead of need.
//!
//! Promises: no key is used twice, past its age, or after it was forgotten; a key that is not used
//! is wiped at its age; whoever finds none ready waits, first come first served, and is never made
//! to wait for a key that somebody else's refill failed to bring. Without limits nothing is kept:
//! each key is made for someone who waits, and those who wait together share calls.
//!
//! How many are kept follows the demand: twice as many after each time that somebody had to wait,
//! fewer after keys became too old. Nothing is ordered but by someone who takes a key, so a pool
//! that is not used makes no calls.

use crate::datakey::batch::drive::Lost;
use crate::datakey::batch::flight::{Flight, Wait};
use crate::datakey::batch::lane::MAX_BATCH;
use crate::datakey::batch::ticket::Waiters;
use crate::datakey::clock::Instant;
use crate::datakey::ends::{End, Holder, Place};
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
use std::sync::Arc;
use std::time::Duration;

/// Keys kept ready before any demand was seen.
const FIRST_TARGET: usize = 32;

pub(crate) struct Pool {
    inner: Arc<Inner>,
    _place: Place,
}

struct Inner {
    mint: Mint,
    limits: Option<PoolLimits>,
    state: Own<PoolState>,
}

#[derive(Default)]
struct PoolState {
    /// Oldest first.
    ready: VecDeque<Minted>,
    /// First come first served. Who goes away leaves the line.
    waiting: BTreeMap<u64, Arc<Flight<Arc<Minted>>>>,
    /// How many have waited.
    waited: u64,
    /// How many are to be ready.
    target: usize,
    orders: Orders,
}

/// A key that was asked for.
pub(crate) struct Taken(Found);

enum Found {
    Here(Result<Arc<Minted>>),
    Coming(InLine),
}

/// One who waits for a key.
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
            // Numbers in line stay those of one waiter each.
            let waited = parents.map_or_else(Default::default, |parents| {
                parents.ready.clear();
                parents.waited
            });
            PoolState { target, waited, ..PoolState::default() }
        });
        let pool = Arc::new(Inner { mint, limits, state });
        let _place = pool.mint.join(&pool);
        Ok(Self { inner: pool, _place })
    }

    pub(crate) fn take(&self) -> Taken {
        self.inner.take(Inner::take_one)
    }

    /// Takes a key for each of `count` messages, and orders what is missing in one go.
    pub(crate) fn take_many(&self, count: usize) -> Vec<Taken> {
        self.inner
            .take(|inner, state, now| (0..count).map(|_| inner.take_one(state, now)).collect())
    }

    pub(crate) async fn wait(&self, taken: Taken) -> Result<Arc<Minted>> {
        let (mut taken, mut lost) = (taken, Lost::default());
        loop {
            match taken.0 {
                Found::Here(result) => return result,
                Found::Coming(ref in_line) => {
                    let wait = Wait::new(in_line.flight.clone());
                    if let Some(result) = self.inner.mint.driver.wait(wait).await {
                        return result;
                    }
                    // The order went with its runtime.
                    lost.again()?;
                    taken = self.take();
                }
            }
        }
    }

    #[cfg(shuttle)]
    pub(crate) fn ends(&self) -> &crate::datakey::ends::Ends {
        &self.inner.mint.ends
    }

    /// Keys ready and keys coming.
    pub(crate) fn depth(&self) -> (usize, usize) {
        let state = lock(&self.inner.state);
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
                // Each its own: what was ordered for others goes when they go.
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

    /// How many keys to order besides those that are coming.
    fn missing(&self, state: &PoolState, now: Instant) -> usize {
        let coming = state.orders.coming();
        let uncovered = state.waiting.len().saturating_sub(coming);
        if state.orders.is_quiet(now) {
            return uncovered;
        }
        let missing =
            (state.waiting.len() + state.target).saturating_sub(state.ready.len() + coming);
        let ahead = match missing {
            // Whole batches, so that the calls are full.
            MAX_BATCH.. => missing / MAX_BATCH * MAX_BATCH,
            _ if missing * 4 >= state.target => missing,
            _ => 0,
        };
        ahead.max(uncovered)
    }

    /// Counts `count` keys as coming. Without limits they are for those in line from `first` on,
    /// one each and in their order: then a key that is still queued is that of one who still waits,
    /// as only keys that were queued before it can have served anyone.
    fn place(self: &Arc<Self>, state: &mut PoolState, count: usize, first: u64) -> Order {
        let line = state.waiting.range(first..);
        let waiters = match &self.limits {
            // The line holds each flight, and so does who stands in it.
            None => line.map(|(_, flight)| Waiters::of(flight, 1)).collect(),
            Some(_) => Vec::new(),
        };
        let placed = state.orders.place(count);
        Order { pool: self.clone(), placed, waiters }
    }

    fn order(&self, order: Order) {
        // Making hundreds of keys takes a fraction of a millisecond, which is nothing to let a
        // caller wait for.
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
        // One that was ordered for somebody who went away may be one too many.
        if self.limits.as_ref().is_some_and(|limits| state.ready.len() < limits.max_keys) {
            // Calls do not come back in the order that they left in.
            let place = state.ready.partition_point(|other| other.at <= minted.at);
            state.ready.insert(place, minted);
            self.call_reaper(&mut state, now);
        }
    }

    /// One key less than was hoped for: if more wait than are coming, the first of them has waited
    /// for this one.
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
            // Who finds none now has met their age, and not a demand for more.
            state.orders.raised = true;
            self.mint.counters.too_old.by(old);
            observe::too_old(old);
        }
    }

    fn call_reaper(self: &Arc<Self>, state: &mut PoolState, now: Instant) {
        let (Some(limits), Some(first)) = (&self.limits, state.ready.front()) else { return };
        let at = reaper::no_sooner(first.at.checked_add(limits.max_age).unwrap_or(now), now);
        state.orders.visit.by(at, self.mint.source, self);
    }
}

/// Keys that are counted as coming. If it is dropped before it was sent, they are not.
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
        if !self.mint.hears(&end) {
            return;
        }
        let mut guard = lock(&self.state);
        let state = &mut *guard;
        let before = state.ready.len();
        state.ready.retain(|minted| !self.mint.is_ended(&end, minted));
        let coming = state.orders.end(end, (self.mint.source.now)());
        self.mint.counters.forgotten.by(before - state.ready.len() + coming);
        if let End::Wraps(_, error) = end {
            let waiting = std::mem::take(&mut state.waiting);
            drop(guard);
            waiting.values().for_each(|flight| flight.finish(Some(Err(error.clone()))));
        } else {
            // Those who wait now need others.
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
        if state.orders.visit.is(at) {
            self.call_reaper(&mut state, now);
        }
    }
}
