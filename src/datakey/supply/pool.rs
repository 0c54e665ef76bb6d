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
use crate::datakey::limits::PoolLimits;
use crate::datakey::observe;
use crate::datakey::reaper;
use crate::datakey::reaper::Due;
use crate::datakey::supply::mint::{Mint, Minted};
use crate::datakey::supply::orders::{Orders, Placed};
use crate::datakey::sync::{Guard, Mutex, lock};
use crate::error::Result;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Keys kept ready before any demand was seen.
const FIRST_TARGET: usize = 32;

pub(crate) struct Pool(Arc<Inner>);

struct Inner {
    mint: Mint,
    limits: Option<PoolLimits>,
    state: Mutex<PoolState>,
}

#[derive(Default)]
struct PoolState {
    /// Oldest first.
    ready: VecDeque<Minted>,
    waiting: VecDeque<Arc<Flight<Arc<Minted>>>>,
    /// How many are to be ready.
    target: usize,
    orders: Orders,
}

/// A key that was asked for.
pub(crate) struct Taken(Found);

enum Found {
    Here(Result<Arc<Minted>>),
    Coming(Wait<Arc<Minted>>),
}

impl Pool {
    pub(crate) fn new(mint: Mint, limits: Option<PoolLimits>) -> Result<Self> {
        let mut state = PoolState::default();
        let limits = limits.filter(PoolLimits::keeps);
        if let Some(limits) = &limits {
            reaper::start()?;
            state.target = FIRST_TARGET.min(limits.max_keys);
        }
        Ok(Self(Arc::new(Inner { mint, limits, state: Mutex::new(state) })))
    }

    pub(crate) fn take(&self) -> Taken {
        self.0.take(Inner::take_one)
    }

    /// Takes a key for each of `count` messages, and orders what is missing in one go.
    pub(crate) fn take_many(&self, count: usize) -> Vec<Taken> {
        self.0.take(|inner, state, now| (0..count).map(|_| inner.take_one(state, now)).collect())
    }

    pub(crate) async fn wait(&self, taken: Taken) -> Result<Arc<Minted>> {
        let (mut taken, mut lost) = (taken, Lost::default());
        loop {
            match taken.0 {
                Found::Here(result) => return result,
                Found::Coming(wait) => {
                    if let Some(result) = self.0.mint.driver.wait(wait).await {
                        return result;
                    }
                    // The order went with its runtime.
                    lost.again()?;
                    taken = self.take();
                }
            }
        }
    }

    /// Wipes what is ready, and throws away what comes of earlier orders.
    pub(crate) fn forget(&self) {
        self.0.throw_away(|_| false);
    }

    pub(crate) fn retire_below(&self, version: u32) {
        lock(&self.0.state).orders.raise_floor(version);
        self.0.throw_away(|minted| minted.is_above(version));
    }

    /// Keys ready and keys coming.
    pub(crate) fn depth(&self) -> (usize, usize) {
        let state = lock(&self.0.state);
        (state.ready.len(), state.orders.coming())
    }
}

impl Inner {
    fn take<T>(self: &Arc<Self>, take: impl FnOnce(&Self, &mut PoolState, Instant) -> T) -> T {
        let (taken, order) = {
            let mut state = lock(&self.state);
            let now = (self.mint.source.now)();
            self.drop_old(&mut state, now);
            let taken = take(self, &mut state, now);
            (taken, self.missing(&mut state, now))
        };
        self.order(order);
        taken
    }

    fn take_one(&self, state: &mut PoolState, now: Instant) -> Taken {
        if let Some(minted) = state.ready.pop_front() {
            self.mint.counters.taken.add();
            return Taken(Found::Here(Ok(Arc::new(minted))));
        }
        if let Err(error) = state.orders.denied(now) {
            return Taken(Found::Here(Err(error)));
        }
        self.mint.counters.dry.add();
        let flight = Arc::new(Flight::new());
        state.waiting.push_back(flight.clone());
        if let Some(limits) = &self.limits
            && (!state.orders.raised || state.waiting.len() > state.target / 2)
        {
            state.orders.raised = true;
            state.target = (state.target * 2).min(limits.max_keys);
            observe::dry(state.target);
        }
        Taken(Found::Coming(Wait::new(flight)))
    }

    fn missing(&self, state: &mut PoolState, now: Instant) -> Placed {
        let coming = state.orders.coming();
        let uncovered = state.waiting.len().saturating_sub(coming);
        let ahead = if self.limits.is_some() && !state.orders.is_quiet(now) {
            let missing =
                (state.waiting.len() + state.target).saturating_sub(state.ready.len() + coming);
            match missing {
                // Whole batches, so that the calls are full.
                MAX_BATCH.. => missing / MAX_BATCH * MAX_BATCH,
                _ if missing * 4 >= state.target => missing,
                _ => 0,
            }
        } else {
            0
        };
        state.orders.place(ahead.max(uncovered))
    }

    fn order(self: &Arc<Self>, Placed { count, epoch }: Placed) {
        if count == 0 {
            return;
        }
        let order = Order { pool: self.clone(), count, epoch };
        // Making hundreds of keys takes a fraction of a millisecond, which is nothing to let a
        // caller wait for.
        if count > FIRST_TARGET {
            self.mint.driver.spawn(async move { order.place() })
        } else {
            order.place()
        }
        self.mint.driver.nudge();
    }

    fn arrive(self: &Arc<Self>, epoch: u64, minted: Option<Result<Minted>>) {
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
        while let Some(flight) = state.waiting.pop_front() {
            // The list has the last hold of a flight whose waiter went away.
            if Arc::strong_count(&flight) > 1 {
                drop(state);
                self.mint.counters.taken.add();
                flight.finish(Some(Ok(Arc::new(minted))));
                return;
            }
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
            && let Some(flight) = state.waiting.pop_front()
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

    fn throw_away(self: &Arc<Self>, keep: impl Fn(&Minted) -> bool) {
        let order = {
            let mut state = lock(&self.state);
            let before = state.ready.len();
            state.ready.retain(keep);
            let coming = state.orders.throw_away();
            self.mint.counters.forgotten.by(before - state.ready.len() + coming);
            // Those who wait now need others.
            let waiting = state.waiting.len();
            state.orders.place(waiting)
        };
        self.order(order);
    }

    fn call_reaper(self: &Arc<Self>, state: &mut PoolState, now: Instant) {
        let (Some(limits), Some(first)) = (&self.limits, state.ready.front()) else { return };
        let at = reaper::no_sooner(first.at.checked_add(limits.max_age).unwrap_or(now), now);
        state.orders.visit.by(at, self.mint.source, self);
    }
}

/// Keys that are counted as coming. If it is dropped before it was placed, they are not.
struct Order {
    pool: Arc<Inner>,
    count: usize,
    epoch: u64,
}

impl Order {
    fn place(mut self) {
        let count = std::mem::take(&mut self.count);
        self.pool.mint.order(count, || {
            let (pool, epoch) = (self.pool.clone(), self.epoch);
            move |minted| pool.arrive(epoch, minted)
        });
    }
}

impl Drop for Order {
    fn drop(&mut self) {
        (0..self.count).for_each(|_| self.pool.arrive(self.epoch, None));
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
