//! A result with many waiters, independent of any async runtime.

use crate::datakey::sync::{Mutex, lock};
use crate::error::Result;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// `None`: the call was dropped without a result.
pub(crate) type Outcome<T> = Option<Result<T>>;

pub(crate) struct Flight<T>(Mutex<FlightState<T>>);

enum FlightState<T> {
    Pending(Wakers),
    Done(Outcome<T>),
}

/// The wakers of all waiters, each at the same index for as long as it waits.
#[derive(Default)]
struct Wakers {
    wakers: Vec<Option<Waker>>,
    free: Vec<usize>,
}

impl Wakers {
    fn add(&mut self, waker: Waker) -> usize {
        match self.free.pop() {
            Some(place) => {
                self.wakers[place] = Some(waker);
                place
            }
            None => {
                self.wakers.push(Some(waker));
                self.wakers.len() - 1
            }
        }
    }

    fn remove(&mut self, place: usize) -> Option<Waker> {
        let waker = self.wakers[place].take();
        self.free.push(place);
        if self.free.len() == self.wakers.len() {
            // The memory for many waiters is freed once all are gone.
            *self = Self::default();
        }
        waker
    }
}

impl<T: Clone> Flight<T> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(FlightState::Pending(Wakers::default())))
    }

    /// Gives all waiters the outcome. Only the first call has an effect.
    pub(crate) fn finish(&self, outcome: Outcome<T>) {
        let waiters = {
            let mut state = lock(&self.0);
            let FlightState::Pending(waiters) = &mut *state else { return };
            let waiters = std::mem::take(waiters);
            *state = FlightState::Done(outcome);
            waiters
        };
        // Outside the lock: a waker may run its task at once.
        waiters.wakers.into_iter().flatten().for_each(Waker::wake);
    }

    /// Whether it has succeeded.
    pub(crate) fn has_succeeded(&self) -> bool {
        matches!(&*lock(&self.0), FlightState::Done(Some(Ok(_))))
    }

    #[cfg(test)]
    pub(crate) fn room(&self) -> usize {
        match &*lock(&self.0) {
            FlightState::Pending(waiters) => waiters.wakers.capacity(),
            FlightState::Done(_) => 0,
        }
    }
}

/// Waits for a flight. Dropping it is always safe: no waiter owns the flight.
pub(crate) struct Wait<T> {
    flight: Arc<Flight<T>>,
    /// The index of its waker, so that polling again does not add another.
    place: Option<usize>,
}

impl<T> Wait<T> {
    pub(crate) fn new(flight: Arc<Flight<T>>) -> Self {
        Self { flight, place: None }
    }
}

impl<T: Clone> Future for Wait<T> {
    type Output = Outcome<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome<T>> {
        let this = self.get_mut();
        match &mut *lock(&this.flight.0) {
            FlightState::Done(outcome) => return Poll::Ready(outcome.clone()),
            FlightState::Pending(waiters) => {
                match this.place.map(|place| &mut waiters.wakers[place]) {
                    Some(Some(waker)) => waker.clone_from(cx.waker()),
                    _ => this.place = Some(waiters.add(cx.waker().clone())),
                }
            }
        }
        Poll::Pending
    }
}

impl<T> Drop for Wait<T> {
    fn drop(&mut self) {
        let Some(place) = self.place else { return };
        // Dropped outside the lock: it may hold the last reference to a task.
        let _waker = match &mut *lock(&self.flight.0) {
            FlightState::Pending(waiters) => waiters.remove(place),
            FlightState::Done(_) => None,
        };
    }
}
