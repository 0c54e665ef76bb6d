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
    Flying(Seats),
    Landed(Outcome<T>),
}

/// The wakers of those who wait, each in its place for as long as it waits.
#[derive(Default)]
struct Seats {
    wakers: Vec<Option<Waker>>,
    free: Vec<usize>,
}

impl Seats {
    fn take(&mut self, waker: Waker) -> usize {
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

    fn leave(&mut self, place: usize) -> Option<Waker> {
        let waker = self.wakers[place].take();
        self.free.push(place);
        if self.free.len() == self.wakers.len() {
            // A crowd that has gone leaves no room behind.
            *self = Self::default();
        }
        waker
    }
}

impl<T: Clone> Flight<T> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(FlightState::Flying(Seats::default())))
    }

    /// Gives everyone who waits the outcome. Only the first call counts.
    pub(crate) fn finish(&self, outcome: Outcome<T>) {
        let seats = {
            let mut state = lock(&self.0);
            let FlightState::Flying(seats) = &mut *state else { return };
            let seats = std::mem::take(seats);
            *state = FlightState::Landed(outcome);
            seats
        };
        // Outside the lock: a waker may run its task at once.
        seats.wakers.into_iter().flatten().for_each(Waker::wake);
    }

    /// Whether it has brought what it was to bring.
    pub(crate) fn has_brought(&self) -> bool {
        matches!(&*lock(&self.0), FlightState::Landed(Some(Ok(_))))
    }

    #[cfg(test)]
    pub(crate) fn room(&self) -> usize {
        match &*lock(&self.0) {
            FlightState::Flying(seats) => seats.wakers.capacity(),
            FlightState::Landed(_) => 0,
        }
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
            FlightState::Flying(seats) => match this.place.map(|place| &mut seats.wakers[place]) {
                Some(Some(waker)) => waker.clone_from(cx.waker()),
                _ => this.place = Some(seats.take(cx.waker().clone())),
            },
        }
        Poll::Pending
    }
}

impl<T> Drop for Wait<T> {
    fn drop(&mut self) {
        let Some(place) = self.place else { return };
        // Dropped outside the lock, as it may be the last hold of a task.
        let _waker = match &mut *lock(&self.flight.0) {
            FlightState::Flying(seats) => seats.leave(place),
            FlightState::Landed(_) => None,
        };
    }
}
