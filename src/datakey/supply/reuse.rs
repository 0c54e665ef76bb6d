//! Reuse of one data key for many messages, within limits of age, messages and bytes.
//!
//! Promises: a key is never used past any of its limits. Its successor is ordered before it is used
//! up, so that no caller waits while the service answers. Waiters share one order (single flight),
//! which none of them owns. A key that is used up or expired is dropped, and so wiped, at once.

use crate::datakey::batch::drive::Lost;
use crate::datakey::batch::flight::{Flight, Wait};
use crate::datakey::clock::Instant;
use crate::datakey::ends::{End, Holder, Registration};
use crate::datakey::limits::ReuseLimits;
use crate::datakey::reaper;
use crate::datakey::reaper::Due;
use crate::datakey::supply::gather::Outcome;
use crate::datakey::supply::mint::{Mint, Minted};
use crate::datakey::supply::orders::{Orders, Placed};
use crate::datakey::sync::{Own, lock, own};
use crate::error::Result;
use std::collections::VecDeque;
use std::sync::{Arc, Weak};

/// The most successors in flight.
const MAX_LOT: usize = 256;

pub(crate) struct Reuse(Arc<Inner>);

struct Inner {
    registration: Registration,
    mint: Mint,
    limits: ReuseLimits,
    state: Own<ReuseState>,
}

#[derive(Default)]
struct ReuseState {
    current: Option<Current>,
    next: VecDeque<Arc<Minted>>,
    /// How many successors are ordered together: one, unless keys are used up faster than one call
    /// provides the next.
    lot: usize,
    /// The flight of callers that found no key.
    waiting: Option<Arc<Flight<()>>>,
    orders: Orders,
}

struct Current {
    minted: Arc<Minted>,
    messages: u64,
    bytes: u64,
}

impl Reuse {
    pub(crate) fn new(mint: Mint, limits: ReuseLimits) -> Result<Self> {
        reaper::start()?;
        let state = own(ReuseState::default(), |parents| {
            let _ = reaper::start();
            if let Some(parents) = parents {
                parents.current = None;
                parents.next.clear();
            }
            ReuseState::default()
        });
        Ok(Self(Arc::new_cyclic(|reuse: &Weak<Inner>| {
            let registration = mint.register(reuse.clone());
            Inner { registration, mint, limits, state }
        })))
    }

    /// A key for a message of `len` bytes; `None` if the message is too long for a shared key.
    pub(crate) async fn take(&self, len: u64) -> Result<Option<Arc<Minted>>> {
        if len > self.0.limits.max_bytes {
            return Ok(None);
        }
        let mut lost = Lost::default();
        loop {
            let (found, order) = {
                let mut state = lock(&self.0.state);
                let now = (self.0.mint.source.now)();
                match self.0.use_one(&mut state, len, now) {
                    Some(minted) => (Ok(minted), self.0.order_ahead(&mut state, now)),
                    None => {
                        let (flight, order) = self.0.join(&mut state, now)?;
                        (Err(flight), order)
                    }
                }
            };
            self.0.send(order);
            match found {
                Ok(minted) => return Ok(Some(minted)),
                // Other callers may have used up the new key, or the order was dropped with its
                // runtime: try again.
                Err(flight) => self
                    .0
                    .mint
                    .driver
                    .wait(Wait::new(flight))
                    .await
                    .unwrap_or_else(|| lost.again())?,
            }
        }
    }
}

impl Inner {
    fn drop_old(&self, state: &mut ReuseState, now: Instant) {
        let max_age = self.limits.max_age;
        if state.current.as_ref().is_some_and(|current| current.minted.is_old(max_age, now)) {
            state.current = None;
            // A caller that finds no key now met an expiry, which is no demand for more.
            state.orders.raised = true;
        }
        let before = state.next.len();
        state.next.retain(|minted| !minted.is_old(max_age, now));
        let old = before - state.next.len();
        state.lot = state.lot.saturating_sub(old.div_ceil(2)).max(1);
        self.mint.counters.too_old.by(old);
    }

    fn use_one(&self, state: &mut ReuseState, len: u64, now: Instant) -> Option<Arc<Minted>> {
        self.drop_old(state, now);
        if state
            .current
            .as_ref()
            .is_some_and(|current| current.bytes.saturating_add(len) > self.limits.max_bytes)
        {
            state.current = None;
        }
        if state.current.is_none() {
            state.current =
                Some(Current { minted: state.next.pop_front()?, messages: 0, bytes: 0 });
            self.mint.counters.taken.add();
        } else {
            self.mint.counters.reused.add();
        }
        let current = state.current.as_mut()?;
        current.messages += 1;
        current.bytes += len;
        let minted = current.minted.clone();
        if current.messages >= self.limits.max_messages {
            state.current = None;
        }
        Some(minted)
    }

    /// Joins the waiters; orders keys if none are in flight.
    fn join(&self, state: &mut ReuseState, now: Instant) -> Result<(Arc<Flight<()>>, Placed)> {
        state.orders.denied(now)?;
        self.mint.counters.dry.add();
        let flight = state.waiting.get_or_insert_with(|| Arc::new(Flight::new())).clone();
        if !state.orders.raised && self.mint.counters.stats().taken > 0 {
            state.lot = (state.lot * 2).min(MAX_LOT);
            state.orders.raised = true;
        }
        let count = if state.orders.coming() > 0 { 0 } else { state.lot() };
        Ok((flight, state.orders.place(count, &self.registration)))
    }

    /// Orders successors if the key in use is near one of its limits and none is ready.
    fn order_ahead(&self, state: &mut ReuseState, now: Instant) -> Placed {
        let near = |used: u64, max: u64| used >= max - max / 8;
        let ending = state.current.as_ref().is_none_or(|current| {
            let age = now.saturating_duration_since(current.minted.at);
            age >= self.limits.max_age / 8 * 7
                || near(current.messages, self.limits.max_messages)
                || near(current.bytes, self.limits.max_bytes)
        });
        let few = state.next.len() <= state.lot / 2;
        let due = ending && few && !state.orders.is_quiet(now) && state.orders.coming() == 0;
        let count = if due { state.lot() } else { 0 };
        state.orders.place(count, &self.registration)
    }

    fn send(self: &Arc<Self>, Placed { count, epoch }: Placed) {
        if count > 0 {
            self.mint.order((0..count).map(|_| {
                let this = self.clone();
                (None, move |minted| this.arrive(epoch, minted))
            }));
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
        let max_age = Some(self.limits.max_age);
        let outcome = minted.map(|minted| {
            let minted = state.orders.judge(minted, max_age, &self.mint, now)?;
            state.next.push_back(Arc::new(minted));
            self.set_timer(&mut state);
            Ok(())
        });
        // Waiters get a failure only if no other key is in flight.
        let told = matches!(outcome, Some(Ok(()))) || state.orders.coming() == 0;
        let flight = if told { state.waiting.take() } else { None };
        drop(state);
        if let Some(flight) = flight {
            flight.finish(outcome);
        }
    }

    fn set_timer(self: &Arc<Self>, state: &mut ReuseState) {
        let current = state.current.as_ref().map(|current| &current.minted);
        let Some(at) = current
            .into_iter()
            .chain(&state.next)
            .filter_map(|minted| minted.at.checked_add(self.limits.max_age))
            .min()
        else {
            return;
        };
        state.orders.timer.by(at, self.mint.source, self);
    }
}

impl ReuseState {
    fn held(&self) -> usize {
        self.next.len() + usize::from(self.current.is_some())
    }

    /// How many keys to order together.
    fn lot(&self) -> usize {
        self.lot.max(1)
    }
}

impl Holder for Inner {
    fn end(self: Arc<Self>, end: End<'_>) {
        if !self.mint.is_touched(&end) {
            return;
        }
        let mut state = lock(&self.state);
        let held = state.held();
        let keeps = |minted: &Minted| !self.mint.is_ended(&end, minted);
        state.current = state.current.take().filter(|current| keeps(&current.minted));
        state.next.retain(|minted| keeps(minted));
        let (holds, now) = (state.held() > 0, (self.mint.source.now)());
        let coming = state.orders.end(end, holds, now, &self.registration);
        self.mint.counters.forgotten.by(held - state.held() + coming);
        if let End::Wraps(_, error) = end {
            let waiting = state.waiting.take();
            drop(state);
            waiting.iter().for_each(|flight| flight.finish(Some(Err(error.clone()))));
        } else {
            // Present waiters need new keys.
            let count = if state.waiting.is_some() { state.lot() } else { 0 };
            let order = state.orders.place(count, &self.registration);
            drop(state);
            self.send(order);
        }
    }
}

impl Due for Inner {
    fn due(self: Arc<Self>, at: Instant) {
        let mut state = lock(&self.state);
        let now = (self.mint.source.now)();
        self.drop_old(&mut state, now);
        if state.orders.timer.is(at) {
            self.set_timer(&mut state);
        }
    }
}
