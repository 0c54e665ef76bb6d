//! Helpers that several tests share.

#![allow(dead_code, unreachable_pub)]

use ncp_envelope::format::{BoundHeader, Encryptor, Profile, SlotTable};
use ncp_envelope::wrap::{BoxFuture, KeyPayload};
use ncp_envelope::{
    DataKey, EncryptionContext, Envelope, KeyId, KeyWrapper, LocalKeyWrapper, Result, Scope,
    WrappedKey,
};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

pub fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// A wrapper that counts the calls that reach it.
#[derive(Debug, Clone)]
pub struct Counting {
    inner: Arc<LocalKeyWrapper>,
    calls: Arc<AtomicUsize>,
}

impl Counting {
    pub fn new(id: &str, kek: [u8; 32]) -> Self {
        let inner = LocalKeyWrapper::new(id, &DataKey::copy_from(&kek)).unwrap();
        Self { inner: Arc::new(inner), calls: Arc::default() }
    }

    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    fn count(&self) -> &LocalKeyWrapper {
        self.calls.fetch_add(1, Ordering::SeqCst);
        &self.inner
    }
}

impl KeyWrapper for Counting {
    fn key_id(&self) -> &KeyId {
        self.inner.key_id()
    }
    fn wrap_keys<'a>(
        &'a self,
        payloads: &'a [KeyPayload],
    ) -> BoxFuture<'a, Result<Vec<WrappedKey>>> {
        self.count().wrap_keys(payloads)
    }
    fn unwrap_keys<'a>(
        &'a self,
        wrapped: &'a [WrappedKey],
    ) -> BoxFuture<'a, Result<Vec<KeyPayload>>> {
        self.count().unwrap_keys(wrapped)
    }
    fn rewrap_keys<'a>(
        &'a self,
        wrapped: &'a [WrappedKey],
    ) -> BoxFuture<'a, Result<Vec<WrappedKey>>> {
        self.count().rewrap_keys(wrapped)
    }
}

pub const KEK: [u8; 32] = [0x4B; 32];
pub const KEY_ID: &str = "test-key";

/// Every layout of a header.
pub const PROFILES: [Profile; 3] = [Profile::Compact, Profile::Durable, Profile::Page];

pub fn counting_envelope() -> (Envelope, Counting) {
    let wrapper = Counting::new(KEY_ID, KEK);
    (Envelope::builder(wrapper.clone()).build().unwrap(), wrapper)
}

pub fn envelope() -> Envelope {
    counting_envelope().0
}

/// The names in a directory, in order.
pub fn names(dir: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Bytes that no two positions share by accident.
pub fn sample(len: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut out = Vec::with_capacity(len + 8);
    while out.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.extend_from_slice(&state.to_be_bytes());
    }
    out.truncate(len);
    out
}

/// The payload of `docs/format.md`, F-28, built by hand.
pub fn payload(key: &DataKey, scope: &str) -> KeyPayload {
    use aws_lc_rs::digest;
    let scope =
        digest::digest(&digest::SHA256, &[b"ncp-envelope scope v1\0", scope.as_bytes()].concat());
    let mut bytes = b"NCPENVK1\x00\x01\x00\x00\x00\x00\x00\x00".to_vec();
    bytes.extend_from_slice(scope.as_ref());
    bytes.extend_from_slice(key.expose_secret());
    KeyPayload::from_boxed(bytes.into())
}

/// Slots with this many copies of `key` wrapped for [`envelope`].
pub fn slots(key: &DataKey, count: usize) -> SlotTable {
    let wrapper = Counting::new(KEY_ID, KEK);
    let payloads: Vec<_> = (0..count).map(|_| payload(key, "")).collect();
    SlotTable::new(block_on(wrapper.wrap_keys(&payloads)).unwrap()).unwrap()
}

/// A message under a given data key, written through the format alone.
pub fn message_under(key: &DataKey, slots: &SlotTable, plaintext: &[u8]) -> Vec<u8> {
    let bound =
        BoundHeader::new(Profile::Compact, &EncryptionContext::new(), false, slots).unwrap();
    let mut encryptor = Encryptor::new(key, &bound, slots, b"").unwrap();
    let mut out = encryptor.front().to_vec();
    let mut chunks = vec![0; encryptor.update_len(plaintext.len())];
    encryptor.update(plaintext, &mut chunks).unwrap();
    out.append(&mut chunks);
    let mut last = vec![0; encryptor.finish_len()];
    encryptor.finish(&mut last).unwrap();
    out.append(&mut last);
    out
}

pub fn scope(name: &str) -> Scope {
    Scope::new(name)
}

/// Standard base64 with padding.
pub fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for part in bytes.chunks(3) {
        let word = part.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte))
            << (8 * (3 - part.len()));
        for at in 0..4 {
            let index = (word >> (18 - 6 * at)) as usize & 63;
            out.push(if at <= part.len() { char::from(ALPHABET[index]) } else { '=' });
        }
    }
    out
}
