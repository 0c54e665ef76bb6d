//! One result that many wait for, independent of any async runtime.

use crate::datakey::sync::{Mutex, lock};
use crate::error::Result;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// `None`: whoever was to bring the result went away without one.
pub(crate) type Outcome<T> = Option<Result<T>>;

pub(crate) struct Flight<T>(Mutex<FlightState<T>>);

enum FlightState<T> {
    Flying(Vec<Waker>),
    Landed(Outcome<T>),
}

impl<T: Clone> Flight<T> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(FlightState::Flying(Vec::new())))
    }

    /// Gives everyone who waits the outcome. Only the first call counts.
    pub(crate) fn finish(&self, outcome: Outcome<T>) {
        let wakers = {
            let mut state = lock(&self.0);
            let FlightState::Flying(wakers) = &mut *state else { return };
            let wakers = std::mem::take(wakers);
            *state = FlightState::Landed(outcome);
            wakers
        };
        // Outside the lock: a waker may run its task at once.
        wakers.into_iter().for_each(Waker::wake);
    }
}

/// Waits for a flight. Dropping it is always safe: a flight belongs to nobody who waits for it.
pub(crate) struct Wait<T> {
    flight: Arc<Flight<T>>,
    /// Where this one's waker is, so that asking again does not make the list longer.
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
            FlightState::Landed(outcome) => return Poll::Ready(outcome.clone()),
            FlightState::Flying(wakers) => match this.place {
                Some(place) => wakers[place].clone_from(cx.waker()),
                None => {
                    this.place = Some(wakers.len());
                    wakers.push(cx.waker().clone());
                }
            },
        }
        Poll::Pending
    }
}
