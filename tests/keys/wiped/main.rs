//! Looks at memory as it is freed: what held plaintext or a key was wiped before, on every way out.
//!
//! A program of its own, because its allocator is that of everything in it. It looks for 16 bytes
//! of a text that all plaintexts here repeat, and of each data key that is wrapped. What a buffer
//! leaves behind when it grows is freed memory, too: growing is always moving here. The test's own
//! copies are wiped.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod fields;
mod freed;
mod keys;
mod messages;
mod ranges;
mod streams;

use freed::{begin, look_for, mask, planted, watch};
use ncp_envelope::format::{Header, SEALED_CHUNK_LEN};
use ncp_envelope::wrap::{BoxFuture, KeyPayload};
use ncp_envelope::{
    DataKey, EncryptOptions, Envelope, Error, ErrorKind, KeyId, KeyWrapper, LocalKeyWrapper,
    Result, WrappedKey,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use zeroize::Zeroizing;

const CHUNK_LEN: usize = 16_384;
/// What all plaintexts consist of, masked.
const MASKED_TEXT: [u64; 2] = [0xD1A5_7E94_0B3C_86F2, 0x69C8_F30E_5D17_A24B];
const MASKED_KEK: [u64; 4] = [0x8F14_E45F_CEEA_167A, 0x5A36_DEDD_4BEA_2543, 0x71, 0x72];

fn word(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(*bytes.first_chunk().unwrap())
}

fn plaintext(len: usize) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(len));
    for at in 0..len {
        let word = mask(MASKED_TEXT[at / 8 % 2]);
        bytes.push((word >> (at % 8 * 8)) as u8);
    }
    bytes
}

/// A local key that tells each data key it wraps, and refuses on demand.
#[derive(Debug, Clone)]
struct Telling(Arc<LocalKeyWrapper>, Arc<AtomicBool>);

impl Telling {
    fn new() -> Self {
        let mut kek = Zeroizing::new([0; 32]);
        for (to, word) in kek.chunks_exact_mut(8).zip(MASKED_KEK) {
            to.copy_from_slice(&mask(word).to_le_bytes());
        }
        let local = LocalKeyWrapper::new("k", &DataKey::copy_from(&kek)).unwrap();
        Self(Arc::new(local), Arc::default())
    }

    fn refuse(&self, refuse: bool) {
        self.1.store(refuse, Relaxed);
    }

    fn permit(&self) -> Result<()> {
        match self.1.load(Relaxed) {
            true => Err(Error::new(ErrorKind::KeyUnusable, "refused")),
            false => Ok(()),
        }
    }
}

impl KeyWrapper for Telling {
    fn key_id(&self) -> &KeyId {
        self.0.key_id()
    }

    fn wrap_keys<'a>(
        &'a self,
        payloads: &'a [KeyPayload],
    ) -> BoxFuture<'a, Result<Vec<WrappedKey>>> {
        for payload in payloads {
            let key = &payload.expose_secret()[48..];
            look_for([0, 8].map(|at| mask(word(&key[at..]))));
        }
        Box::pin(async move {
            self.permit()?;
            self.0.wrap_keys(payloads).await
        })
    }

    fn unwrap_keys<'a>(
        &'a self,
        wrapped: &'a [WrappedKey],
    ) -> BoxFuture<'a, Result<Vec<KeyPayload>>> {
        Box::pin(async move {
            let payloads = self.0.unwrap_keys(wrapped).await;
            self.permit()?;
            payloads
        })
    }

    fn rewrap_keys<'a>(
        &'a self,
        wrapped: &'a [WrappedKey],
    ) -> BoxFuture<'a, Result<Vec<WrappedKey>>> {
        self.0.rewrap_keys(wrapped)
    }
}

fn envelope() -> Envelope {
    Envelope::builder(Telling::new()).build().unwrap()
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn sealed(envelope: &Envelope, len: usize) -> Vec<u8> {
    block_on(envelope.encrypt(&plaintext(len), EncryptOptions::new())).unwrap()
}

/// `message` and what becomes of it: cut, and changed in its first, middle and last chunk.
fn damaged(message: &[u8]) -> Vec<Vec<u8>> {
    let body = Header::len_from(message).unwrap() + 56;
    let chunks = (message.len() - body).div_ceil(SEALED_CHUNK_LEN);
    let mut messages: Vec<_> = [0, chunks / 2, chunks - 1]
        .iter()
        .map(|chunk| {
            let mut changed = message.to_vec();
            changed[body + chunk * SEALED_CHUNK_LEN] ^= 1;
            changed
        })
        .collect();
    messages.extend([message[..message.len() - 1].to_vec(), message[..body].to_vec()]);
    messages
}

#[test]
fn what_is_not_wiped_is_found() {
    let _turn = begin();
    watch("wiped", || drop(plaintext(100)));
    let mut plain = Vec::new();
    watch("allocated", || plain = plaintext(100).to_vec());
    planted(|| plain.reserve_exact(1_000));
    planted(|| drop(plain));
    let part = plaintext(100)[67..67 + 31].to_vec();
    planted(|| drop(part));
}
