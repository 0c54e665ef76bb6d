//! What the tests share: envelopes, a real S3 server, and a store that counts and fails.

#![allow(dead_code, missing_docs)]

mod faulty;
mod server;

pub use faulty::Faulty;
pub use server::{Server, store};

use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use std::sync::Arc;
use tempfile::TempDir;

pub fn envelope() -> Envelope {
    let wrapper = LocalKeyWrapper::new("test", &DataKey::generate().unwrap()).unwrap();
    Envelope::builder(wrapper).build().unwrap()
}

/// Bytes that differ from place to place.
pub fn bytes(len: usize) -> Vec<u8> {
    (0..len as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// Deterministic, so that a failure can be repeated.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 16) % end
    }
}

pub fn local() -> (TempDir, Arc<LocalFileSystem>) {
    let dir = tempfile::tempdir().unwrap();
    let store = LocalFileSystem::new_with_prefix(dir.path()).unwrap();
    (dir, Arc::new(store))
}

pub fn memory() -> Arc<InMemory> {
    Arc::new(InMemory::new())
}
