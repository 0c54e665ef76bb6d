//! The data keys of new messages: from the pool, or shared.

use crate::datakey::limits::{PoolLimits, ReuseLimits};
use crate::datakey::stats::PoolStats;
use crate::datakey::supply::mint::{Mint, Minted};
use crate::datakey::supply::pool::{Pool, Taken};
use crate::datakey::supply::reuse::Reuse;
use crate::error::Result;
use crate::secret::DataKey;
use crate::wrap::{Binding, WrappedKey};
use std::sync::Arc;

/// The keys for writing of one envelope, which has one list of recipients and one scope.
pub(crate) struct Supply {
    mint: Mint,
    pool: Pool,
    reuse: Option<Reuse>,
}

impl Supply {
    pub(crate) fn new(
        mint: Mint,
        pool: Option<PoolLimits>,
        reuse: Option<ReuseLimits>,
    ) -> Result<Self> {
        let reuse = reuse.filter(ReuseLimits::shares);
        let reuse = reuse.map(|limits| Reuse::new(mint.clone(), limits)).transpose()?;
        Ok(Self { pool: Pool::new(mint.clone(), pool)?, mint, reuse })
    }

    /// A key that no other message uses.
    pub(crate) async fn unique(&self) -> Result<Arc<Minted>> {
        self.pool.wait(self.pool.take()).await
    }

    /// A key for a message of `len` bytes, shared with other messages if reuse is on.
    pub(crate) async fn for_message(&self, len: usize) -> Result<Arc<Minted>> {
        if let Some(reuse) = &self.reuse
            && let Some(minted) = reuse.take(len as u64).await?
        {
            return Ok(minted);
        }
        self.unique().await
    }

    /// Requests `count` keys that no other message uses, together.
    pub(crate) fn ask(&self, count: usize) -> Vec<Taken> {
        self.pool.take_many(count)
    }

    pub(crate) async fn wait(&self, taken: Taken) -> Result<Arc<Minted>> {
        self.pool.wait(taken).await
    }

    /// Wraps an existing data key for the recipients with these indices.
    pub(crate) async fn wrap(&self, key: &DataKey, which: &[usize]) -> Result<Vec<WrappedKey>> {
        self.mint.wrap(key, which).await
    }

    /// Wraps existing keys, each for a use of its own, for all recipients.
    pub(crate) async fn wrap_bound(
        &self,
        keys: &[(&DataKey, Binding)],
    ) -> Result<Vec<Vec<WrappedKey>>> {
        let all: Vec<_> = (0..self.mint.targets.len()).collect();
        self.mint.wrap_bound(keys, &all).await
    }

    /// Whether messages may share a key.
    pub(crate) fn reuses(&self) -> bool {
        self.reuse.is_some()
    }

    pub(crate) fn stats(&self) -> PoolStats {
        let (ready, coming) = self.pool.depth();
        self.mint.counters.ready.set(ready);
        self.mint.counters.coming.set(coming);
        self.mint.counters.stats()
    }
}
