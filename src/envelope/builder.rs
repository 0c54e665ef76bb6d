//! How an envelope is set up.

use crate::context::Scope;
use crate::datakey::{CacheLimits, KeyCache, KeySettings, Keys, PoolLimits, ReuseLimits};
use crate::envelope::handle::Envelope;
use crate::error::Result;
use crate::suite::Suite;
use crate::wrap::KeyWrapper;
use std::sync::Arc;

impl Envelope {
    /// Starts from a key wrapper: [`LocalKeyWrapper`](crate::LocalKeyWrapper), a key of the KMS
    /// client, or an own one.
    pub fn builder(wrapper: impl KeyWrapper + 'static) -> EnvelopeBuilder {
        EnvelopeBuilder {
            wrapper: Arc::new(wrapper),
            scope: Scope::default(),
            cache: Cache::None,
            pool: None,
            reuse: None,
            verify: false,
        }
    }
}

/// Builds an [`Envelope`].
#[derive(Debug)]
#[must_use]
pub struct EnvelopeBuilder {
    wrapper: Arc<dyn KeyWrapper>,
    scope: Scope,
    cache: Cache,
    pool: Option<PoolLimits>,
    reuse: Option<ReuseLimits>,
    verify: bool,
}

#[derive(Debug)]
enum Cache {
    None,
    Own(CacheLimits),
    Shared(KeyCache, String),
}

impl EnvelopeBuilder {
    /// What the data keys are for; see [`Scope`]. Without it the empty scope is used.
    pub fn scope(mut self, scope: impl Into<Scope>) -> Self {
        self.scope = scope.into();
        self
    }

    /// Keeps unwrapped data keys in memory within these limits, so that reading many messages under
    /// one data key, or one message many times, makes one call. Without it no key is kept; those
    /// who need the same key at the same time share a call nevertheless.
    pub fn cache(mut self, limits: CacheLimits) -> Self {
        self.cache = Cache::Own(limits);
        self
    }

    /// Keeps unwrapped data keys in a cache that others use too. Keys are shared with those of the
    /// same `partition`, scope and endpoint zone; see [`KeyCache`] for what that means.
    pub fn shared_cache(mut self, cache: &KeyCache, partition: impl Into<String>) -> Self {
        self.cache = Cache::Shared(cache.clone(), partition.into());
        self
    }

    /// Keeps data keys for writing ready, made and wrapped ahead of need. Without it each is made
    /// when it is needed.
    pub fn pool(mut self, limits: PoolLimits) -> Self {
        self.pool = Some(limits);
        self
    }

    /// Uses one data key for many small messages. Without it each message has its own.
    pub fn reuse(mut self, limits: ReuseLimits) -> Self {
        self.reuse = Some(limits);
        self
    }

    /// Has every batch of wrapped keys unwrapped again and compared before one of them is used: one
    /// more call for each batch, and no message that turns out to be unreadable because the key
    /// service wrapped something else. Off unless set.
    pub fn verify_wrapped(mut self, verify: bool) -> Self {
        self.verify = verify;
        self
    }

    /// The envelope.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) if the system gives no thread to wipe
    /// keys at their time.
    pub fn build(self) -> Result<Envelope> {
        let (cache, partition) = match self.cache {
            Cache::None => (KeyCache::none(), String::new()),
            Cache::Own(limits) => (KeyCache::new(limits)?, String::new()),
            Cache::Shared(cache, partition) => (cache, partition),
        };
        let settings = KeySettings {
            cache,
            partition: partition.into_bytes(),
            pool: self.pool,
            reuse: self.reuse,
            verify: self.verify,
        };
        let keys = Keys::new(self.wrapper.clone(), &self.scope, Suite::Cobblestone256, settings)?;
        Ok(Envelope::new(self.wrapper, self.scope, keys))
    }
}
