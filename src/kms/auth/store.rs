//! Where a client stores tokens, for its next run and for other programs that run now.
//!
//! Promises: no token is in an error or a `Debug` output. This module knows nothing of when tokens
//! are renewed, nor of files.

use crate::error::Result;
use crate::kms::auth::token_set::TokenSet;
use std::any::Any;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Stores the tokens of one key, for the next run of a program and for all programs that use the
/// key at the same time.
///
/// A client with a store starts with the stored tokens, unless the given ones live longer; it tries
/// those when the stored ones are refused. Before it asks the service for new tokens, and before a
/// call fails, it reads the store again. It uses what it finds if that lives longer than its own
/// tokens, or was not refused. It stores what it is issued later, but never over a set that lives
/// longer. How long a set lives is what its tokens say about themselves
/// ([`TokenClaims`](crate::kms::TokenClaims)).
///
/// Meanwhile a client holds the lock of the store ([`try_lock`](Self::try_lock)), so that several
/// clients, also in several processes, make one refresh.
///
/// The calls may block: a client makes them off its runtime thread, except for the
/// [`load`](Self::load) while it is built.
///
/// ```
/// use ncp_envelope::kms::{MemoryTokenStore, TokenSet, TokenStore};
/// let store = MemoryTokenStore::default();
/// assert!(store.load()?.is_none());
/// store.store(&TokenSet::new("access", "refresh"))?;
/// assert!(store.load()?.is_some());
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
pub trait TokenStore: fmt::Debug + Send + Sync {
    /// The set that was stored last; `None` if there is none.
    ///
    /// # Errors
    /// Those of the store. They fail the build of a client. A running client keeps its tokens, and
    /// does not store others over what it cannot read.
    fn load(&self) -> Result<Option<TokenSet>>;

    /// Replaces the stored set.
    ///
    /// # Errors
    /// Those of the store. The client uses the new tokens all the same, and counts the failure in
    /// [`Stats`](crate::kms::Stats::failed_stores).
    fn store(&self, tokens: &TokenSet) -> Result<()>;

    /// Takes the lock, which excludes others until it is dropped; `None` while another holds it.
    /// Must not wait: a client that gets `None` tries again for half of its call timeout and then
    /// continues without the lock, because one refresh too many is better than none.
    ///
    /// The system should release a lock when the process that holds it ends. The default
    /// implementation excludes nobody.
    ///
    /// # Errors
    /// If the store cannot lock. The client continues without a lock.
    fn try_lock(&self) -> Result<Option<StoreLock>> {
        Ok(Some(StoreLock::none()))
    }
}

impl<T: TokenStore + ?Sized> TokenStore for Arc<T> {
    fn load(&self) -> Result<Option<TokenSet>> {
        (**self).load()
    }

    fn store(&self, tokens: &TokenSet) -> Result<()> {
        (**self).store(tokens)
    }

    fn try_lock(&self) -> Result<Option<StoreLock>> {
        (**self).try_lock()
    }
}

/// The lock of a [`TokenStore`], until it is dropped.
///
/// ```
/// use ncp_envelope::kms::{MemoryTokenStore, TokenStore};
/// let store = MemoryTokenStore::default();
/// let lock = store.try_lock()?;
/// assert!(store.try_lock()?.is_none());
/// drop(lock);
/// assert!(store.try_lock()?.is_some());
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[must_use = "a lock that is dropped locks nothing"]
pub struct StoreLock(Option<Box<dyn Any + Send>>);

impl StoreLock {
    /// A lock that lasts as long as `guard`.
    ///
    /// ```
    /// use ncp_envelope::kms::StoreLock;
    /// use std::sync::Arc;
    /// // The guard of a lock of any kind.
    /// let guard = Arc::new(());
    /// let lock = StoreLock::new(Arc::clone(&guard));
    /// assert_eq!(Arc::strong_count(&guard), 2);
    /// drop(lock);
    /// assert_eq!(Arc::strong_count(&guard), 1);
    /// ```
    pub fn new(guard: impl Any + Send) -> Self {
        Self(Some(Box::new(guard)))
    }

    /// The lock of a store that excludes nobody.
    ///
    /// ```
    /// use ncp_envelope::kms::StoreLock;
    /// assert_eq!(format!("{:?}", StoreLock::none()), "StoreLock(none)");
    /// ```
    pub fn none() -> Self {
        Self(None)
    }
}

impl fmt::Debug for StoreLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "StoreLock" } else { "StoreLock(none)" })
    }
}

/// A token store in memory, for tests and for programs that pass tokens on themselves. Clones share
/// their contents and their lock.
///
/// ```
/// use ncp_envelope::kms::{MemoryTokenStore, TokenSet, TokenStore};
/// let store = MemoryTokenStore::default();
/// store.clone().store(&TokenSet::new("access-token", "refresh-token"))?;
/// assert!(store.load()?.is_some());
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct MemoryTokenStore(Arc<Memory>);

#[derive(Debug, Default)]
struct Memory {
    tokens: Mutex<Option<TokenSet>>,
    locked: AtomicBool,
}

impl TokenStore for MemoryTokenStore {
    fn load(&self) -> Result<Option<TokenSet>> {
        Ok(self.0.tokens.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn store(&self, tokens: &TokenSet) -> Result<()> {
        *self.0.tokens.lock().unwrap_or_else(PoisonError::into_inner) = Some(tokens.clone());
        Ok(())
    }

    fn try_lock(&self) -> Result<Option<StoreLock>> {
        let free = !self.0.locked.swap(true, Ordering::Acquire);
        Ok(free.then(|| StoreLock::new(Locked(Arc::clone(&self.0)))))
    }
}

struct Locked(Arc<Memory>);

impl Drop for Locked {
    fn drop(&mut self) {
        self.0.locked.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_keeps_the_others_away_until_it_is_dropped() {
        let store = MemoryTokenStore::default();
        let lock = store.try_lock().unwrap();
        assert!(lock.is_some() && store.clone().try_lock().unwrap().is_none());
        drop(lock);
        assert!(Arc::new(store).try_lock().unwrap().is_some());
    }
}
