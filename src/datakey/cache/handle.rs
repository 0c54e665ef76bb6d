//! The cache as its users hold it.

use crate::datakey::cache::shared::Shared;
use crate::datakey::cache::store::Store;
use crate::datakey::clock::Source;
use crate::datakey::ends::End;
use crate::datakey::limits::CacheLimits;
use crate::datakey::reaper;
use crate::datakey::stats::CacheStats;
use crate::error::Result;
use std::fmt;
use std::sync::Arc;

/// A cache of unwrapped data keys that several envelopes may share. Cheap to clone; clones are the
/// same cache.
///
/// An [`Envelope`](crate::Envelope) that is given [limits](crate::EnvelopeBuilder::cache) has a
/// cache of its own. One cache for many bounds the keys of all together. Who shares a cache *and* a
/// partition name is served the keys that others obtained, without asking the service: give the
/// same name only to envelopes whose credentials may use the same keys.
///
/// ```
/// use ncp_envelope::{CacheLimits, DataKey, Envelope, KeyCache, LocalKeyWrapper};
/// let cache = KeyCache::new(CacheLimits::new(std::time::Duration::from_secs(300)))?;
/// let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
/// let builder = Envelope::builder(wrapper).scope("tenant-42");
/// let envelope = builder.shared_cache(&cache, "readers").build()?;
/// cache.forget_keys();
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Clone)]
pub struct KeyCache(pub(crate) Arc<Shared>);

impl KeyCache {
    /// An empty cache.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) if the system gives no thread to wipe
    /// keys at their time.
    pub fn new(limits: CacheLimits) -> Result<Self> {
        if !limits.keeps() {
            return Ok(Self::none());
        }
        reaper::start()?;
        Ok(Self::with(Some(Store::new(limits)), Source::REAL))
    }

    /// Keeps nothing.
    pub(crate) fn none() -> Self {
        Self::with(None, Source::REAL)
    }

    pub(crate) fn with(store: Option<Store>, source: Source) -> Self {
        Self(Shared::new(store, source))
    }

    /// Drops every key, in all partitions: those in the cache, and those that the envelopes that
    /// share it keep for writing. What is being asked for now is not kept when it comes.
    pub fn forget_keys(&self) {
        self.0.ends.tell(End::All);
    }

    /// Drops every key wrapped under the key-encryption key `tag`, in all partitions and in every
    /// envelope that shares this cache, as after it was disabled. Who needs one next asks the
    /// service.
    pub fn invalidate(&self, tag: &str) {
        self.0.ends.tell(End::Key(tag));
    }

    /// Drops every key wrapped under a version of `tag` below `version`, in every envelope that
    /// shares this cache. From now on no such key is kept, each use of one asks the service, and no
    /// message is written with one.
    pub fn retire_below(&self, tag: &str, version: u32) {
        self.0.ends.tell(End::Below(tag, version));
    }

    /// What the cache did so far.
    pub fn stats(&self) -> CacheStats {
        self.0.stats()
    }
}

impl fmt::Debug for KeyCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyCache").field("stats", &self.stats()).finish()
    }
}
