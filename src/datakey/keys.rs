//! Everything that one envelope asks of key service, cache and pool, joined.

use crate::context::Scope;
use crate::datakey::batch::batcher::Batcher;
use crate::datakey::batch::drive;
use crate::datakey::batch::drive::Home;
use crate::datakey::batch::flight::{Flight, Wait};
use crate::datakey::batch::operation::{Rewrap, Unwrap, Wrap};
use crate::datakey::batch::parts::in_parts;
use crate::datakey::batch::ticket::{Ticket, Waiters};
use crate::datakey::cache::{KeyCache, Loader, Realm};
use crate::datakey::clock::Source;
use crate::datakey::limits::{PoolLimits, ReuseLimits};
use crate::datakey::stats::{EnvelopeStats, PoolCounters};
use crate::datakey::supply::Supply;
use crate::datakey::supply::mint::Mint;
use crate::error::Result;
use crate::suite::Suite;
use crate::wrap::{KeyWrapper, WrappedKey};
use std::sync::Arc;

/// How an envelope's keys are had and kept.
#[derive(Clone)]
pub(crate) struct KeySettings {
    pub(crate) cache: KeyCache,
    pub(crate) partition: Vec<u8>,
    pub(crate) pool: Option<PoolLimits>,
    pub(crate) reuse: Option<ReuseLimits>,
    /// Whether to unwrap what was wrapped before it is used.
    pub(crate) verify: bool,
}

/// The keys of one envelope.
pub(crate) struct Keys {
    pub(crate) loader: Loader,
    pub(crate) supply: Supply,
    wrap: Batcher<Wrap>,
    rewrap: Batcher<Rewrap>,
    home: Arc<Home>,
    settings: KeySettings,
    wrapper: Arc<dyn KeyWrapper>,
}

impl Keys {
    pub(crate) fn new(
        wrapper: Arc<dyn KeyWrapper>,
        scope: &Scope,
        suite: Suite,
        settings: KeySettings,
    ) -> Result<Self> {
        let (driver, source) = (settings.cache.0.driver.clone(), Source::REAL);
        let batchers = (
            Batcher::new(Wrap { verify: settings.verify }, wrapper.clone(), driver.clone(), source),
            Batcher::new(Unwrap, wrapper.clone(), driver.clone(), source),
            Batcher::new(Rewrap, wrapper.clone(), driver.clone(), source),
        );
        Self::join(wrapper, scope, suite, settings, batchers, Arc::new(Home::new(driver)))
    }

    /// Keys for another scope, which share calls and cache with these.
    pub(crate) fn for_scope(&self, scope: &Scope) -> Result<Self> {
        let batchers = (self.wrap.clone(), self.loader.batcher.clone(), self.rewrap.clone());
        Self::join(
            self.wrapper.clone(),
            scope,
            self.loader.suite,
            self.settings.clone(),
            batchers,
            self.home.clone(),
        )
    }

    fn join(
        wrapper: Arc<dyn KeyWrapper>,
        scope: &Scope,
        suite: Suite,
        settings: KeySettings,
        (wrap, unwrap, rewrap): (Batcher<Wrap>, Batcher<Unwrap>, Batcher<Rewrap>),
        home: Arc<Home>,
    ) -> Result<Self> {
        let driver = &home.0;
        let loader = Loader {
            cache: settings.cache.clone(),
            batcher: unwrap,
            driver: driver.clone(),
            realm: Realm::new(&settings.partition, wrapper.key_id().zone(), scope, suite),
            scope: scope.clone(),
            suite,
        };
        let mint = Mint {
            batcher: wrap.clone(),
            driver: driver.clone(),
            scope: scope.clone(),
            suite,
            family: loader.realm.family(wrapper.key_id()),
            ends: settings.cache.0.ends.clone(),
            source: Source::REAL,
            counters: Arc::new(PoolCounters::default()),
        };
        let supply = Supply::new(mint, settings.pool.clone(), settings.reuse.clone())?;
        Ok(Self { loader, supply, wrap, rewrap, home, settings, wrapper })
    }

    /// Wraps each key anew, in as few calls as there can be.
    pub(crate) async fn rewrap(&self, keys: &[WrappedKey]) -> Vec<Result<WrappedKey>> {
        let mut results = Vec::with_capacity(keys.len());
        for (_, flights) in in_parts(keys, |part| self.ask_to_rewrap(part)) {
            for flight in flights {
                let result = self.home.0.wait(Wait::new(flight)).await;
                results.push(result.unwrap_or_else(|| Err(drive::gone())));
            }
        }
        results
    }

    fn ask_to_rewrap(&self, keys: &[WrappedKey]) -> Vec<Arc<Flight<WrappedKey>>> {
        let flights: Vec<_> = keys.iter().map(|_| Arc::new(Flight::new())).collect();
        let tickets = flights.iter().map(|flight| {
            let waiters = Waiters::of(flight, 1);
            let flight = flight.clone();
            Ticket::for_waiters(Some(waiters), move |result| flight.finish(result))
        });
        self.rewrap.submit(keys.iter().cloned().zip(tickets.collect::<Vec<_>>()));
        flights
    }

    /// Through which keys are ended, for all who share the cache.
    pub(crate) fn cache(&self) -> &KeyCache {
        &self.loader.cache
    }

    pub(crate) fn stats(&self) -> EnvelopeStats {
        EnvelopeStats {
            cache: self.loader.cache.stats(),
            pool: self.supply.stats(),
            wrap: self.wrap.stats(),
            unwrap: self.loader.batcher.stats(),
            rewrap: self.rewrap.stats(),
        }
    }
}
