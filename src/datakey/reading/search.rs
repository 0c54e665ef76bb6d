//! The state of the search for one message's data key: requests made, and routes left.

use crate::datakey::cache::Asked;
use crate::datakey::clock::Instant;
use crate::datakey::reading::faults::Faults;
use crate::datakey::reading::services::{Route, Services};
use std::collections::VecDeque;
use std::time::Duration;

/// The limits of a reader.
#[derive(Clone, Copy)]
pub(crate) struct Terms {
    /// How old a key from the cache may be.
    pub(crate) max_age: Option<Duration>,
    /// The most unwraps, including cached keys.
    pub(crate) max_unwraps: usize,
}

pub(crate) struct Search {
    pub(super) terms: Terms,
    /// Requests without an answer yet.
    pub(super) begun: Vec<Begun>,
    /// Routes left, in the order in which they are tried.
    rest: VecDeque<Route>,
    /// Number of requests.
    asked: usize,
    /// Whether recipients that are passed over were moved behind the others.
    sorted: bool,
    pub(super) faults: Faults,
}

pub(super) struct Begun {
    pub(super) route: Route,
    /// Number of requests before it.
    pub(super) number: usize,
    pub(super) asked: Asked,
}

impl Search {
    pub(super) fn new(routes: impl Iterator<Item = Route>, terms: Terms) -> Self {
        Self {
            terms,
            begun: Vec::new(),
            rest: routes.collect(),
            asked: 0,
            sorted: false,
            faults: Faults::default(),
        }
    }

    /// Whether a recipient that is not `busy` can be called.
    pub(super) fn has_another(&self, busy: impl Fn(usize) -> bool) -> bool {
        self.asked < self.terms.max_unwraps && self.rest.iter().any(|route| !busy(route.reader))
    }

    /// The next route and the number of requests before it: a route with a cached key, otherwise
    /// one whose recipient is not `busy`.
    pub(super) fn next(
        &mut self,
        services: &Services,
        busy: impl Fn(usize) -> bool,
        now: Instant,
    ) -> Option<(Route, usize)> {
        if self.asked >= self.terms.max_unwraps {
            return None;
        }
        // With one service slots are tried in their order (`F-33`).
        let at = if self.rest.len() < 2 || services.is_one() {
            self.rest.iter().position(|route| !busy(route.reader))?
        } else {
            let ids = self.rest.iter().map(|route| &route.id);
            match services.first_cached(ids, self.terms.max_age) {
                Some(at) => at,
                None => {
                    self.sort(services, now);
                    self.rest.iter().position(|route| !busy(route.reader))?
                }
            }
        };
        let number = self.asked;
        self.asked += 1;
        self.rest.remove(at).map(|route| (route, number))
    }

    /// Moves recipients that are passed over behind the others, if there are others.
    fn sort(&mut self, services: &Services, now: Instant) {
        if std::mem::replace(&mut self.sorted, true) {
            return;
        }
        let first = self.rest.front().map(|route| route.reader);
        if self.rest.iter().all(|route| Some(route.reader) == first) {
            return;
        }
        let mut over: Vec<Option<bool>> = Vec::new();
        let mut is_over = |reader: usize| {
            if over.len() <= reader {
                over.resize(reader + 1, None);
            }
            *over[reader].get_or_insert_with(|| services.recipient(reader).is_passed_over(now))
        };
        let (passed, asked): (VecDeque<_>, VecDeque<_>) =
            self.rest.drain(..).partition(|route| is_over(route.reader));
        // Routes are in the order of recipients.
        if let Some(instead) = asked.front() {
            let before = |reader: &usize| *reader < instead.reader;
            let mut passed: Vec<_> = passed.iter().map(|route| route.reader).collect();
            passed.dedup();
            for reader in passed.into_iter().filter(before) {
                services.recipient(reader).counters.passed_over.add();
            }
        }
        self.rest = asked;
        self.rest.extend(passed);
    }
}
