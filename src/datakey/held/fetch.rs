//! Unwraps all keys of a set: together, from whichever recipient answers.

use crate::datakey::cache::Loader;
use crate::datakey::ends::Family;
use crate::datakey::reading::{Readers, Route, Search, Terms};
use crate::error::{Error, ErrorKind, Result};
use crate::secret::DataKey;
use crate::wrap::{Binding, WrappedKey};

/// A key that is to be unwrapped.
pub(crate) struct Wanted {
    /// What errors call it.
    pub(crate) name: String,
    /// The key wrapped for one recipient or several.
    pub(crate) slots: Vec<WrappedKey>,
    /// What it must be bound to.
    pub(crate) binding: Binding,
}

/// The key-encryption key that a key was unwrapped with, and its version if known.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) family: Family,
    pub(crate) version: Option<u32>,
}

pub(crate) struct Got {
    pub(crate) key: DataKey,
    pub(crate) origin: Origin,
}

/// The keys of a set, each with the recipients that may unwrap it.
pub(crate) struct Fetch(Vec<Each>);

struct Each {
    wanted: Wanted,
    readers: Readers,
    origins: Vec<Origin>,
}

impl Fetch {
    /// `readers` gives the recipients for a use; it is called for each key.
    pub(crate) fn new(wanted: Vec<Wanted>, readers: impl Fn(Binding) -> Readers) -> Result<Self> {
        let each = |wanted: Wanted| {
            let readers = readers(wanted.binding);
            let loader = &readers.loaders()[0];
            let origin = |slot: &WrappedKey| Origin {
                family: loader.realm.family(slot.key_id()),
                version: version(&readers, slot),
            };
            let origins = wanted.slots.iter().map(origin).collect();
            let each = Each { wanted, readers, origins };
            let has_route = each.routes().next().is_some();
            if has_route { Ok(each) } else { Err(each.not_for_us()) }
        };
        wanted.into_iter().map(each).collect::<Result<_>>().map(Self)
    }

    /// Where keys can come from.
    pub(crate) fn origins(&self) -> impl Iterator<Item = &Origin> {
        self.0.iter().flat_map(|each| &each.origins)
    }

    /// Asks for all keys together.
    pub(crate) fn ask(&self) -> Vec<Search> {
        let mut all = None;
        let mut searches = Vec::with_capacity(self.0.len());
        for each in &self.0 {
            let mut asking = each.readers.asking();
            let terms = Terms { max_age: None, max_unwraps: each.wanted.slots.len() };
            searches.push(asking.begin(each.routes(), &each.wanted.slots, terms));
            match &mut all {
                None => all = Some(asking),
                Some(all) => all.append(asking),
            }
        }
        if let Some(all) = all {
            all.send();
        }
        searches
    }

    /// Waits for all keys, or the first that cannot be unwrapped.
    pub(crate) async fn finish(&self, searches: Vec<Search>) -> Result<Vec<Got>> {
        let mut searches: Vec<_> = searches.into_iter().map(Some).collect();
        let mut got = Vec::with_capacity(self.0.len());
        for (at, each) in self.0.iter().enumerate() {
            let Some(search) = searches[at].take() else { continue };
            let copy = |key: &DataKey| Ok(DataKey::copy_from(key.expose_secret()));
            let slots = &each.wanted.slots;
            let (found, moved_on) = each.readers.finish_by(search, slots, copy).await;
            let (key, slot) = found.map_err(|error| each.named(error))?;
            got.push(Got { key, origin: each.origins[slot].clone() });
            if moved_on {
                self.hurry(at + 1, &mut searches);
            }
        }
        Ok(got)
    }

    /// The service that was called first failed or was late: probably also for the rest.
    fn hurry(&self, from: usize, searches: &mut [Option<Search>]) {
        let Some(first) = self.0.get(from) else { return };
        let mut all = first.readers.asking();
        for (each, search) in self.0[from..].iter().zip(&mut searches[from..]) {
            let Some(search) = search else { continue };
            let mut asking = each.readers.asking();
            asking.hurry(search, &each.wanted.slots);
            all.append(asking);
        }
        all.send();
    }
}

impl Each {
    /// The routes to slots that are for one of the recipients: a wrapper may be able to unwrap
    /// others, and must not be made to.
    fn routes(&self) -> impl Iterator<Item = Route> {
        let slots = &self.wanted.slots;
        let routes = self.readers.routes(slots).into_iter();
        routes.filter(|route| self.readers.is_for(slots[route.slot].key_id()))
    }

    fn not_for_us(&self) -> Error {
        let list = |keys: Vec<String>| keys.join(", ");
        let theirs = self.wanted.slots.iter().map(|slot| slot.key_id().to_string()).collect();
        let text = format!(
            "{} is wrapped under {}, and this envelope is for {}: use a key that it is wrapped \
             under",
            self.wanted.name,
            list(theirs),
            list(self.readers.names()),
        );
        Error::new(ErrorKind::KeyNotAllowed, text)
    }

    fn named(&self, error: Error) -> Error {
        let name = &self.wanted.name;
        if error.kind() != ErrorKind::Authentication {
            return error.of(format_args!("cannot unwrap {name}"));
        }
        let text = format!(
            "{name} is not authentic: its wrapped key was changed, is one of another ring, number \
             or role, or the scope is not the one that it was made for"
        );
        Error::with_source(ErrorKind::Authentication, text, error)
    }
}

fn version(readers: &Readers, slot: &WrappedKey) -> Option<u32> {
    let of = |loader: &&Loader| loader.batcher.recipient().key == *slot.key_id();
    readers.loaders().iter().find(of)?.batcher.key_version(slot)
}
