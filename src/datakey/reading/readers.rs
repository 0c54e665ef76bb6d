//! Opens messages with the recipients of an envelope.

use crate::datakey::cache::store::CachedKey;
use crate::datakey::cache::{Loader, Outbox};
use crate::datakey::delay::Delay;
use crate::datakey::failure::Failure;
use crate::datakey::reading::faults::Faults;
use crate::datakey::reading::search::{Begun, Search, Terms};
use crate::datakey::reading::services::{Route, Services};
use crate::error::Result;
use crate::secret::DataKey;
use crate::wrap::{BoxFuture, KeyId, WrappedKey};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

/// The recipients of an envelope, for one scope.
pub(crate) struct Readers {
    services: Services,
    /// How long to wait for one service before the next one is called too.
    hedge: Duration,
}

/// Requests for many messages, collected for each recipient and then submitted together.
pub(crate) struct Asking<'r> {
    readers: &'r Readers,
    outboxes: Vec<Outbox>,
}

/// A request in flight.
struct Waiting<'a> {
    route: Route,
    number: usize,
    answer: BoxFuture<'a, Result<Arc<CachedKey>>>,
}

enum Event {
    Came(usize, Result<Arc<CachedKey>>),
    /// No answer within the hedge delay.
    Late,
}

impl Readers {
    /// Needs at least one loader; all must use the same cache.
    pub(crate) fn new(loaders: Vec<Loader>, hedge: Duration) -> Self {
        Self { services: Services(loaders), hedge }
    }

    pub(crate) fn loaders(&self) -> &[Loader] {
        &self.services.0
    }

    /// Whether one of the recipients has this key.
    pub(crate) fn is_for(&self, key: &KeyId) -> bool {
        self.loaders().iter().any(|loader| loader.batcher.recipient().key == *key)
    }

    /// The recipients' keys, for errors.
    pub(crate) fn names(&self) -> Vec<String> {
        self.loaders().iter().map(|loader| loader.batcher.recipient().key.to_string()).collect()
    }

    /// The routes to `slots`, in the order of recipients. A slot is opened by the recipient that it
    /// names. A slot that names none of them may open with another recipient's client: with those
    /// of the same provider, or with any if there is none.
    pub(crate) fn routes(&self, slots: &[WrappedKey]) -> Vec<Route> {
        let mut routes = Vec::with_capacity(slots.len());
        for (place, slot) in slots.iter().enumerate() {
            let key = |reader: usize| &self.services.recipient(reader).key;
            let mut route = |reader: usize, id| routes.push(Route { slot: place, reader, id });
            let loader = |reader: usize| &self.loaders()[reader];
            let all = 0..self.loaders().len();
            let same = |reader: &usize| key(*reader).provider() == slot.key_id().provider();
            if let Some(own) = all.clone().find(|reader| key(*reader) == slot.key_id()) {
                route(own, loader(own).id(slot));
            } else if all.len() == 1 {
                route(0, loader(0).id(slot));
            } else {
                let any = !all.clone().any(|reader| same(&reader));
                let may = all.filter(|reader| any || same(reader));
                may.for_each(|reader| route(reader, loader(reader).id_through(slot)));
            }
        }
        routes.sort_by_key(|route| (route.reader, route.slot));
        routes
    }

    /// Searches for the data key that satisfies `open`, by these routes to `slots`.
    pub(crate) async fn open<T>(
        &self,
        slots: &[WrappedKey],
        routes: impl Iterator<Item = Route>,
        terms: Terms,
        open: impl FnMut(&DataKey) -> Result<T>,
    ) -> Result<T> {
        match self.loaders() {
            [loader] => one_by_one(loader, slots, routes, terms, open).await,
            _ => self.finish(Search::new(routes, terms), slots, open).await.0,
        }
    }

    /// Starts to request the keys of many messages together.
    pub(crate) fn asking(&self) -> Asking<'_> {
        let outboxes = self.loaders().iter().map(|_| Outbox::default()).collect();
        Asking { readers: self, outboxes }
    }

    /// Calls one more recipient for each message whose key is not available yet, together: an
    /// earlier message could not be opened by the recipient called first.
    pub(crate) fn hurry<'s>(
        &self,
        searches: impl Iterator<Item = (&'s mut Search, &'s [WrappedKey])>,
    ) {
        let mut asking = self.asking();
        searches.for_each(|(search, slots)| asking.hurry(search, slots));
        asking.send();
    }

    /// Continues a search until a data key satisfies `open`. Also returns whether it moved on from
    /// a service that failed or was late: then the next message will probably have to as well.
    pub(crate) async fn finish<T>(
        &self,
        search: Search,
        slots: &[WrappedKey],
        open: impl FnMut(&DataKey) -> Result<T>,
    ) -> (Result<T>, bool) {
        let (opened, moved_on) = self.finish_by(search, slots, open).await;
        (opened.map(|(opened, _)| opened), moved_on)
    }

    /// As [`finish`](Self::finish), and says by which slot.
    pub(crate) async fn finish_by<T>(
        &self,
        mut search: Search,
        slots: &[WrappedKey],
        mut open: impl FnMut(&DataKey) -> Result<T>,
    ) -> (Result<(T, usize)>, bool) {
        let max_age = search.terms.max_age;
        let wait = |begun: Begun| self.waiting(begun, slots, max_age);
        let mut waiting: Vec<_> = search.begun.drain(..).map(wait).collect();
        let (mut delay, mut failed, mut moved_on) = (None, false, false);
        loop {
            if waiting.is_empty() {
                let Some(begun) = self.ask(&mut search, slots, |_| false) else {
                    return (Err(search.faults.told()), moved_on);
                };
                moved_on |= failed;
                waiting.push(self.waiting(begun, slots, max_age));
                delay = None;
            }
            let busy = |reader| waiting.iter().any(|one: &Waiting<'_>| one.route.reader == reader);
            if delay.is_none() && search.has_another(busy) {
                delay = Some(Delay::new(self.hedge, self.loaders()[0].cache.0.source));
            }
            match first_of(&mut waiting, &mut delay).await {
                Event::Late => {
                    delay = None;
                    let busy = |reader| waiting.iter().any(|one| one.route.reader == reader);
                    if let Some(begun) = self.ask(&mut search, slots, busy) {
                        moved_on = true;
                        waiting.push(self.waiting(begun, slots, max_age));
                    }
                }
                Event::Came(at, answer) => {
                    let Waiting { route, number, .. } = waiting.remove(at);
                    let loader = &self.loaders()[route.reader];
                    match answer.and_then(|key| try_key(loader, &route, &key, &mut open)) {
                        Ok(opened) => {
                            self.overtaken(&waiting, number);
                            return (Ok((opened, route.slot)), moved_on);
                        }
                        Err(error) => {
                            failed |= matches!(
                                Failure::of(error.kind()),
                                Failure::Outage | Failure::OfFamily
                            );
                            search.faults.note(route.slot, number, error);
                        }
                    }
                }
            }
        }
    }

    fn overtaken(&self, waiting: &[Waiting<'_>], number: usize) {
        for slower in waiting.iter().filter(|slower| slower.number < number) {
            self.services.recipient(slower.route.reader).was_overtaken(self.services.now());
        }
    }

    /// Calls the next recipient that is not `busy`.
    fn ask(
        &self,
        search: &mut Search,
        slots: &[WrappedKey],
        busy: impl Fn(usize) -> bool,
    ) -> Option<Begun> {
        let (route, number) = search.next(&self.services, busy, self.services.now())?;
        let (loader, mut outbox) = (&self.loaders()[route.reader], Outbox::default());
        let asked = loader.ask(&slots[route.slot], route.id, search.terms.max_age, &mut outbox);
        loader.send(outbox);
        Some(Begun { route, number, asked })
    }

    fn waiting<'a>(
        &'a self,
        begun: Begun,
        slots: &'a [WrappedKey],
        max_age: Option<Duration>,
    ) -> Waiting<'a> {
        let Begun { route, number, asked } = begun;
        let answer = self.loaders()[route.reader].wait(asked, &slots[route.slot], max_age);
        Waiting { route, number, answer: Box::pin(answer) }
    }
}

impl Asking<'_> {
    /// Begins the search for one message's key by these routes to `slots`, with the first request.
    pub(crate) fn begin(
        &mut self,
        routes: impl Iterator<Item = Route>,
        slots: &[WrappedKey],
        terms: Terms,
    ) -> Search {
        let mut search = Search::new(routes, terms);
        self.next(&mut search, slots);
        search
    }

    /// Calls one more recipient for a message whose key is not available yet.
    pub(crate) fn hurry(&mut self, search: &mut Search, slots: &[WrappedKey]) {
        if !search.begun.iter().any(|begun| begun.asked.is_here()) {
            self.next(search, slots);
        }
    }

    /// Takes over the requests of `other`, which is of the same recipients, so that they share
    /// calls with these.
    pub(crate) fn append(&mut self, other: Asking<'_>) {
        for (outbox, others) in self.outboxes.iter_mut().zip(other.outboxes) {
            outbox.append(others);
        }
    }

    fn next(&mut self, search: &mut Search, slots: &[WrappedKey]) {
        let services = &self.readers.services;
        let asked: Vec<_> = search.begun.iter().map(|begun| begun.route.reader).collect();
        let next = search.next(services, |reader| asked.contains(&reader), services.now());
        let Some((route, number)) = next else { return };
        let (loader, max_age) = (&services.0[route.reader], search.terms.max_age);
        let outbox = &mut self.outboxes[route.reader];
        let asked = loader.ask(&slots[route.slot], route.id, max_age, outbox);
        search.begun.push(Begun { route, number, asked });
    }

    pub(crate) fn send(self) {
        for (loader, outbox) in self.readers.loaders().iter().zip(self.outboxes) {
            loader.send(outbox);
        }
    }
}

/// The search with a single recipient: one slot after the other.
async fn one_by_one<T>(
    loader: &Loader,
    slots: &[WrappedKey],
    routes: impl Iterator<Item = Route>,
    terms: Terms,
    mut open: impl FnMut(&DataKey) -> Result<T>,
) -> Result<T> {
    let mut faults = Faults::default();
    for (number, route) in routes.take(terms.max_unwraps).enumerate() {
        let (slot, mut outbox) = (&slots[route.slot], Outbox::default());
        let asked = loader.ask(slot, route.id, terms.max_age, &mut outbox);
        loader.send(outbox);
        let opened = match loader.wait(asked, slot, terms.max_age).await {
            Ok(key) => try_key(loader, &route, &key, &mut open),
            Err(error) => Err(error),
        };
        match opened {
            Ok(opened) => return Ok(opened),
            Err(error) => faults.note(route.slot, number, error),
        }
    }
    Err(faults.told())
}

fn try_key<T>(
    loader: &Loader,
    route: &Route,
    key: &Arc<CachedKey>,
    open: impl FnOnce(&DataKey) -> Result<T>,
) -> Result<T> {
    let opened = open(&key.key);
    loader.tried(&route.id, key, opened.is_ok());
    opened
}

/// The first answer; of several, that of the earliest request.
async fn first_of(waiting: &mut [Waiting<'_>], delay: &mut Option<Delay>) -> Event {
    poll_fn(|cx| {
        for (at, one) in waiting.iter_mut().enumerate() {
            if let Poll::Ready(answer) = one.answer.as_mut().poll(cx) {
                return Poll::Ready(Event::Came(at, answer));
            }
        }
        match delay {
            Some(delay) => Pin::new(delay).poll(cx).map(|()| Event::Late),
            None => Poll::Pending,
        }
    })
    .await
}
