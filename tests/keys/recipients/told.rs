//! A scripted key wrapper: it answers, fails, or never answers.

use super::*;
use ncp_envelope::wrap::{BoxFuture, KeyPayload};
use ncp_envelope::{KeyWrapper, Result};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The outcome of an unwrap call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Does {
    Answer,
    Fail(ErrorKind),
    /// Never answers.
    Hang,
}

/// A key with any id, wrapped locally.
#[derive(Debug, Clone)]
pub(super) struct Told(Arc<TheirKey>);

#[derive(Debug)]
pub(super) struct TheirKey {
    id: KeyId,
    local: LocalKeyWrapper,
    does: Mutex<Does>,
    /// Unwrap calls, and the keys in them.
    calls: AtomicUsize,
    keys: AtomicUsize,
}

impl Told {
    pub(super) fn new(provider: Provider, zone: ZoneHint, id: &str) -> Self {
        let key = DataKey::copy_from(&[id.len() as u8; 32]);
        Self(Arc::new(TheirKey {
            id: KeyId::new(provider, zone, id).unwrap(),
            local: LocalKeyWrapper::new(id, &key).unwrap(),
            does: Mutex::new(Does::Answer),
            calls: AtomicUsize::new(0),
            keys: AtomicUsize::new(0),
        }))
    }

    /// One of the provider of those that are called by no other name.
    pub(super) fn named(id: &str) -> Self {
        Self::new(Provider::Other(200), ZoneHint::None, id)
    }

    pub(super) fn does(&self, what: Does) {
        *self.0.does.lock().unwrap() = what;
    }

    pub(super) fn unwraps(&self) -> (usize, usize) {
        (self.0.calls.load(Ordering::SeqCst), self.0.keys.load(Ordering::SeqCst))
    }

    fn renamed(&self, keys: Vec<WrappedKey>, id: &KeyId) -> Result<Vec<WrappedKey>> {
        keys.iter().map(|key| WrappedKey::new(id.clone(), key.as_bytes())).collect()
    }

    async fn told(&self) -> Result<()> {
        let does = *self.0.does.lock().unwrap();
        match does {
            Does::Answer => Ok(()),
            Does::Fail(kind) => Err(Error::new(kind, format!("{} was told to fail", self.0.id))),
            Does::Hang => std::future::pending().await,
        }
    }
}

impl KeyWrapper for Told {
    fn key_id(&self) -> &KeyId {
        &self.0.id
    }

    fn wrap_keys<'a>(&'a self, keys: &'a [KeyPayload]) -> BoxFuture<'a, Result<Vec<WrappedKey>>> {
        Box::pin(async move {
            self.told().await?;
            self.renamed(self.0.local.wrap_keys(keys).await?, &self.0.id)
        })
    }

    fn unwrap_keys<'a>(&'a self, keys: &'a [WrappedKey]) -> BoxFuture<'a, Result<Vec<KeyPayload>>> {
        Box::pin(async move {
            self.0.calls.fetch_add(1, Ordering::SeqCst);
            self.0.keys.fetch_add(keys.len(), Ordering::SeqCst);
            self.told().await?;
            let keys = self.renamed(keys.to_vec(), self.0.local.key_id())?;
            self.0.local.unwrap_keys(&keys).await
        })
    }

    fn rewrap_keys<'a>(&'a self, keys: &'a [WrappedKey]) -> BoxFuture<'a, Result<Vec<WrappedKey>>> {
        Box::pin(async move {
            self.told().await?;
            let keys = self.renamed(keys.to_vec(), self.0.local.key_id())?;
            self.renamed(self.0.local.rewrap_keys(&keys).await?, &self.0.id)
        })
    }
}
