//! Where a client puts the tokens it was issued, so that the next run of the program, and others
//! that run now, have them.
//!
//! Promises: no token is in an error or a `Debug` output. This module knows nothing of when tokens
//! are renewed, nor of files.

use crate::error::Result;
use crate::kms::auth::token_set::TokenSet;
use std::any::Any;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Keeps the tokens of one key between runs of a program, and for all programs that use it at the
/// same time.
///
/// A client with a store starts with what is stored, unless what it was given lives longer; that
/// one it tries when what is stored is refused.
/// Before it asks for new tokens, and before it gives up, it reads the store again and goes on with
/// what it finds, if that lives longer than what it has or was not refused. What it is issued later
/// it stores, but never over another set that lives longer. How long a set lives is what its tokens
/// say about themselves ([`TokenClaims`](crate::kms::TokenClaims)).
///
/// While a client does that it holds the store's lock ([`try_lock`](Self::try_lock)), so that
/// several clients, also in several processes, make one refresh.
///
/// The calls may block: a client makes them away from its tasks, except for the
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
    /// What was stored last; `None` if nothing was.
    ///
    /// # Errors
    /// Those of the store. A client cannot be built then; one that runs goes on with the tokens it
    /// has, and does not store others over what it cannot read.
    fn load(&self) -> Result<Option<TokenSet>>;

    /// Stores a set in place of the one before.
    ///
    /// # Errors
    /// Those of the store. The client goes on with the new tokens and counts the failure in
    /// [`Stats`](crate::kms::Stats::failed_stores).
    fn store(&self, tokens: &TokenSet) -> Result<()>;

    /// Keeps others away until the lock is dropped; `None` while another holds it. Does not wait:
    /// a client that gets none asks again, for half of the time that a call has, and then goes on
    /// without, since a refresh too many is better than none.
    ///
    /// A lock should end with the process that holds it. Unless written, a store has a lock that
    /// keeps nobody away.
    ///
    /// # Errors
    /// The store cannot lock. The client goes on without.
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
#[must_use = "a lock that is dropped locks nothing"]
pub struct StoreLock(Option<Box<dyn Any + Send>>);

impl StoreLock {
    /// A lock that lasts as long as `guard`.
    pub fn new(guard: impl Any + Send) -> Self {
        Self(Some(Box::new(guard)))
    }

    /// The lock of a store that keeps nobody away.
    pub fn none() -> Self {
        Self(None)
    }
}

impl fmt::Debug for StoreLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "StoreLock" } else { "StoreLock(none)" })
    }
}

/// A store in memory, for tests and for programs that hand tokens on themselves. Clones share their
/// contents and their lock.
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
