//! The recipients of an envelope as those who open its messages.

use crate::datakey::alarm::Alarm;
use crate::datakey::cache::store::CachedKey;
use crate::datakey::cache::{Loader, Outbox};
use crate::datakey::failure::Failure;
use crate::datakey::reading::faults::Faults;
use crate::datakey::reading::search::{Begun, Search, Terms};
use crate::datakey::reading::services::{Route, Services};
use crate::error::Result;
use crate::secret::DataKey;
use crate::wrap::{BoxFuture, WrappedKey};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

/// The recipients of an envelope, for one scope.
pub(crate) struct Readers {
    services: Services,
    /// How long one service is waited for before the next one is asked too.
    hedge: Duration,
}

/// What is asked for many messages together, for each recipient what was not sent yet.
pub(crate) struct Asking<'r> {
    readers: &'r Readers,
    outboxes: Vec<Outbox>,
}

/// One who was asked, and is waited for.
struct Waiting<'a> {
    route: Route,
    number: usize,
    answer: BoxFuture<'a, Result<Arc<CachedKey>>>,
}

enum Event {
    Came(usize, Result<Arc<CachedKey>>),
    /// None of those who were asked has answered within the hedge delay.
    Late,
}

impl Readers {
    /// At least one loader, and all of one cache.
    pub(crate) fn new(loaders: Vec<Loader>, hedge: Duration) -> Self {
        Self { services: Services(loaders), hedge }
    }

    pub(crate) fn loaders(&self) -> &[Loader] {
        &self.services.0
    }

    /// Who may open which of `slots`, in the order of the recipients: the one that a slot is for. A
    /// slot that is for none of them may open with another's client: of those with the same
    /// provider, or of any if there is none.
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

    /// Looks for the data key that satisfies `open`, by these ways to `slots`.
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

    /// To ask for the keys of many messages together.
    pub(crate) fn asking(&self) -> Asking<'_> {
        let outboxes = self.loaders().iter().map(|_| Outbox::default()).collect();
        Asking { readers: self, outboxes }
    }

    /// Asks for each of many messages whose key has not come yet one more, together: a message
    /// before them could not be opened with who was asked first.
    pub(crate) fn hurry<'s>(
        &self,
        searches: impl Iterator<Item = (&'s mut Search, &'s [WrappedKey])>,
    ) {
        let mut asking = self.asking();
        for (search, slots) in searches {
            if !search.begun.iter().any(|begun| begun.asked.is_here()) {
                asking.next(search, slots);
            }
        }
        asking.send();
    }

    /// Goes on with a search until a data key satisfies `open`. Whether someone had to be asked
    /// because of the service of another: then the same is to be expected of the next message.
    pub(crate) async fn finish<T>(
        &self,
        mut search: Search,
        slots: &[WrappedKey],
        mut open: impl FnMut(&DataKey) -> Result<T>,
    ) -> (Result<T>, bool) {
        let max_age = search.terms.max_age;
        let wait = |begun: Begun| self.waiting(begun, slots, max_age);
        let mut waiting: Vec<_> = search.begun.drain(..).map(wait).collect();
        let (mut alarm, mut failed, mut moved_on) = (None, false, false);
        loop {
            if waiting.is_empty() {
                let Some(begun) = self.ask(&mut search, slots, |_| false) else {
                    return (Err(search.faults.told()), moved_on);
                };
                moved_on |= failed;
                waiting.push(self.waiting(begun, slots, max_age));
                alarm = None;
            }
            let busy = |reader| waiting.iter().any(|one: &Waiting<'_>| one.route.reader == reader);
            if alarm.is_none() && search.has_another(busy) {
                alarm = Some(Alarm::after(self.hedge, self.loaders()[0].cache.0.source));
            }
            match first_of(&mut waiting, &mut alarm).await {
                Event::Late => {
                    alarm = None;
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
                            return (Ok(opened), moved_on);
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

    /// Asks the next one who is not `busy`.
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
    /// Begins the search for one message's key by these ways to `slots`, and asks the first.
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

/// Where there is one recipient, nobody else is to be asked: each slot in its turn.
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

/// The first of them that has an answer: of several, the one who was asked first.
async fn first_of(waiting: &mut [Waiting<'_>], alarm: &mut Option<Alarm>) -> Event {
    poll_fn(|cx| {
        for (at, one) in waiting.iter_mut().enumerate() {
            if let Poll::Ready(answer) = one.answer.as_mut().poll(cx) {
                return Poll::Ready(Event::Came(at, answer));
            }
        }
        match alarm {
            Some(alarm) => Pin::new(alarm).poll(cx).map(|()| Event::Late),
            None => Poll::Pending,
        }
    })
    .await
}
