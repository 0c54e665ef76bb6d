//! What the tests share: envelopes, a real S3 server, and a store that counts and fails.

// Each of the tests takes what it needs.
#![allow(dead_code, unused_imports)]

mod faulty;
mod server;

pub(crate) use faulty::Faulty;
pub(crate) use server::{Server, store};

use ncp_envelope::{CacheLimits, DataKey, Envelope, LocalKeyWrapper};
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

pub(crate) const HOUR: Duration = Duration::from_secs(3_600);

pub(crate) fn envelope() -> Envelope {
    let wrapper = LocalKeyWrapper::new("test", &DataKey::generate().unwrap()).unwrap();
    Envelope::builder(wrapper).cache(CacheLimits::new(HOUR)).build().unwrap()
}

/// Bytes that differ from place to place.
pub(crate) fn bytes(len: usize) -> Vec<u8> {
    (0..len as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// Deterministic, so that a failure can be repeated.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 16) % end
    }
}

pub(crate) fn local() -> (TempDir, Arc<LocalFileSystem>) {
    let dir = tempfile::tempdir().unwrap();
    let store = LocalFileSystem::new_with_prefix(dir.path()).unwrap();
    (dir, Arc::new(store))
}

pub(crate) fn memory() -> Arc<InMemory> {
    Arc::new(InMemory::new())
}
