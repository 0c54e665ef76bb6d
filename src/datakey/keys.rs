//! The keys of one envelope: joins key services, cache and supply.

use crate::datakey::batch::batcher::Batcher;
use crate::datakey::batch::drive;
use crate::datakey::batch::drive::KeepAlive;
use crate::datakey::batch::flight::{Flight, Wait};
use crate::datakey::batch::operation::{Rewrap, Unwrap, Wrap};
use crate::datakey::batch::parts::in_parts;
use crate::datakey::batch::ticket::{Ticket, Waiters};
use crate::datakey::cache::{KeyCache, Loader, Realm};
use crate::datakey::clock::Source;
use crate::datakey::held::fetch::Fetch;
use crate::datakey::held::{self, Held, Wanted};
use crate::datakey::limits::{PoolLimits, ReuseLimits};
use crate::datakey::reading::Readers;
use crate::datakey::reaper;
use crate::datakey::recipient::Recipient;
use crate::datakey::stats::{BatchStats, EnvelopeStats, PoolCounters};
use crate::datakey::supply::Supply;
use crate::datakey::supply::mint::{Mint, WrapTarget};
use crate::error::{Error, ErrorKind, Result};
use crate::secret::DataKey;
use crate::wrap::{Binding, KeyId, KeyWrapper, WrappedKey};
use std::sync::Arc;
use std::time::Duration;

/// The key settings of an envelope.
#[derive(Clone)]
pub(crate) struct KeySettings {
    pub(crate) cache: KeyCache,
    pub(crate) partition: Vec<u8>,
    pub(crate) pool: Option<PoolLimits>,
    pub(crate) reuse: Option<ReuseLimits>,
    /// Whether to unwrap and compare each new wrapped key before it is used.
    pub(crate) verify: bool,
    /// The hedge delay: how long to wait for one service before the next one is called too.
    pub(crate) hedge: Duration,
}

/// The keys of one envelope.
pub(crate) struct Keys {
    pub(crate) readers: Readers,
    pub(crate) supply: Supply,
    services: Vec<Service>,
    keep_alive: Arc<KeepAlive>,
    settings: KeySettings,
}

/// The calls to the service of one recipient, for all scopes.
#[derive(Clone)]
struct Service {
    recipient: Arc<Recipient>,
    wrap: Batcher<Wrap>,
    unwrap: Batcher<Unwrap>,
    rewrap: Batcher<Rewrap>,
}

impl Keys {
    /// Keys for the recipients with these wrappers: at least one, and no two with the same id.
    pub(crate) fn new(
        wrappers: Vec<Arc<dyn KeyWrapper>>,
        binding: Binding,
        settings: KeySettings,
    ) -> Result<Self> {
        let (driver, source) = (settings.cache.0.driver.clone(), Source::REAL);
        let verify = settings.verify;
        let service = |wrapper| {
            let recipient = Recipient::new(wrapper);
            Service {
                wrap: Batcher::new(Wrap { verify }, recipient.clone(), driver.clone(), source),
                unwrap: Batcher::new(Unwrap, recipient.clone(), driver.clone(), source),
                rewrap: Batcher::new(Rewrap, recipient.clone(), driver.clone(), source),
                recipient,
            }
        };
        let services = wrappers.into_iter().map(service).collect();
        Self::join(services, binding, settings, Arc::new(KeepAlive::new(driver.clone())))
    }

    /// Keys for another use, which share calls and cache with these.
    pub(crate) fn bound_to(&self, binding: Binding) -> Result<Self> {
        let (services, settings) = (self.services.clone(), self.settings.clone());
        Self::join(services, binding, settings, self.keep_alive.clone())
    }

    fn join(
        services: Vec<Service>,
        binding: Binding,
        settings: KeySettings,
        keep_alive: Arc<KeepAlive>,
    ) -> Result<Self> {
        let driver = &keep_alive.0;
        let loader = |service| service_loader(service, &settings, &settings.cache, binding);
        let loaders: Vec<_> = services.iter().map(loader).collect();
        let target = |(service, loader): (&Service, &Loader)| WrapTarget {
            batcher: service.wrap.clone(),
            family: loader.realm.family(&service.recipient.key),
        };
        let mint = Mint {
            targets: services.iter().zip(&loaders).map(target).collect(),
            driver: driver.clone(),
            binding,
            ends: settings.cache.0.ends.clone(),
            source: Source::REAL,
            counters: Arc::new(PoolCounters::default()),
        };
        let supply = Supply::new(mint, settings.pool.clone(), settings.reuse.clone())?;
        let readers = Readers::new(loaders, settings.hedge);
        Ok(Self { readers, supply, services, keep_alive, settings })
    }

    /// Holds keys together; `build` makes of them what is used.
    pub(crate) fn hold<T: PartialEq + Send + Sync + 'static>(
        &self,
        wanted: Vec<Wanted>,
        build: impl Fn(Vec<DataKey>) -> T + Send + Sync + 'static,
    ) -> Result<Held<T>> {
        // The thread that wipes them.
        reaper::start()?;
        let beside = self.cache().beside();
        let readers = |binding| {
            let loader = |service| service_loader(service, &self.settings, &beside, binding);
            Readers::new(self.services.iter().map(loader).collect(), self.settings.hedge)
        };
        let fetch = Fetch::new(wanted, readers)?;
        let limits = held::state::Limits::of(self.cache().0.limits());
        let (driver, ends) = (self.keep_alive.0.clone(), self.cache().0.ends.clone());
        let shared = held::shared::Shared::new(fetch, build, limits, beside.0.source, driver, ends);
        Ok(Held::new(shared, self.keep_alive.clone()))
    }

    /// Wraps new keys, each for a use of its own, for all recipients.
    pub(crate) async fn wrap_bound(
        &self,
        keys: &[(&DataKey, Binding)],
    ) -> Result<Vec<Vec<WrappedKey>>> {
        self.supply.wrap_bound(keys).await
    }

    /// Wraps an existing data key under the keys with these ids.
    pub(crate) async fn wrap(&self, key: &DataKey, under: &[KeyId]) -> Result<Vec<WrappedKey>> {
        let place = |key| self.place(key).ok_or_else(|| no_recipient(key));
        let which = under.iter().map(place).collect::<Result<Vec<_>>>()?;
        self.supply.wrap(key, &which).await
    }

    /// Rewraps keys, in as few calls as possible.
    pub(crate) async fn rewrap(&self, keys: &[WrappedKey]) -> Vec<Result<WrappedKey>> {
        let mut results = Vec::with_capacity(keys.len());
        for (_, flights) in in_parts(keys, |part| self.ask_to_rewrap(part)) {
            for flight in flights {
                let result = self.keep_alive.0.wait(Wait::new(flight)).await;
                results.push(result.unwrap_or_else(|| Err(drive::gone())));
            }
        }
        results
    }

    fn ask_to_rewrap(&self, keys: &[WrappedKey]) -> Vec<Arc<Flight<WrappedKey>>> {
        let mut items: Vec<Vec<_>> = self.services.iter().map(|_| Vec::new()).collect();
        let mut flights = Vec::with_capacity(keys.len());
        for key in keys {
            let flight = Arc::new(Flight::new());
            match self.place(key.key_id()) {
                Some(at) => {
                    let (waiters, flight) = (Waiters::of(&flight, 1), flight.clone());
                    let ticket =
                        Ticket::for_waiters(Some(waiters), move |result| flight.finish(result));
                    items[at].push((key.clone(), ticket));
                }
                None => flight.finish(Some(Err(no_recipient(key.key_id())))),
            }
            flights.push(flight);
        }
        for (service, items) in self.services.iter().zip(items) {
            service.rewrap.submit(items);
        }
        flights
    }

    /// The version that a wrapped key is under, if the wrapper of its recipient knows it.
    pub(crate) fn key_version(&self, wrapped: &WrappedKey) -> Option<u32> {
        let at = self.place(wrapped.key_id())?;
        self.services[at].recipient.wrapper.key_version(wrapped)
    }

    /// The index of the recipient with that id.
    fn place(&self, key: &KeyId) -> Option<usize> {
        self.services.iter().position(|service| service.recipient.key == *key)
    }

    pub(crate) fn wrappers(&self) -> impl Iterator<Item = &dyn KeyWrapper> {
        self.services.iter().map(|service| &*service.recipient.wrapper)
    }

    /// The cache, which also takes invalidations for all envelopes that share it.
    pub(crate) fn cache(&self) -> &KeyCache {
        &self.settings.cache
    }

    pub(crate) fn stats(&self) -> EnvelopeStats {
        let services = || self.services.iter();
        EnvelopeStats {
            cache: self.cache().stats(),
            pool: self.supply.stats(),
            wrap: BatchStats::sum(services().map(|service| service.wrap.stats())),
            unwrap: BatchStats::sum(services().map(|service| service.unwrap.stats())),
            rewrap: BatchStats::sum(services().map(|service| service.rewrap.stats())),
            recipients: services().map(|service| service.recipient.stats()).collect(),
        }
    }
}

/// Loads keys of one use from one service, through `cache`.
fn service_loader(
    service: &Service,
    settings: &KeySettings,
    cache: &KeyCache,
    binding: Binding,
) -> Loader {
    Loader {
        cache: cache.clone(),
        batcher: service.unwrap.clone(),
        driver: cache.0.driver.clone(),
        realm: Realm::new(&settings.partition, service.recipient.key.zone(), &binding),
        binding,
    }
}

fn no_recipient(key: &KeyId) -> Error {
    let what = format!("no recipient of the envelope has the key {key} ({})", key.provider());
    Error::new(ErrorKind::KeyNotAllowed, what)
}
