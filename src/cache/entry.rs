//! What a cached key is found by.

use crate::context::Scope;
use crate::wrap::{Provider, WrappedKey};
use aws_lc_rs::digest;

/// SHA-256 over everything that decides which data key comes out and for what it may be used, each part with its length in front.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct CacheId([u8; 32]);

impl CacheId {
    pub(crate) fn new(wrapped: &WrappedKey, scope: &Scope, suite: u16) -> Self {
        let key = wrapped.key_id();
        let provider: &[u8] = match key.provider() {
            Provider::NcpKms => b"ncp-kms",
            Provider::Local => b"local",
        };
        let mut hash = digest::Context::new(&digest::SHA256);
        for part in [provider, key.id().as_bytes(), wrapped.as_bytes(), scope.hash(), &suite.to_be_bytes()] {
            hash.update(&(part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let mut id = [0; 32];
        id.copy_from_slice(hash.finish().as_ref());
        Self(id)
    }
}
