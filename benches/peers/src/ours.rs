//! This crate, with keys wrapped in the process: no call to a key service.

use crate::contestant::{Contestant, Entry};
use ncp_envelope::format::{Header, PREAMBLE_LEN};
use ncp_envelope::{CacheLimits, DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper};
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Where the comparison with `encrypt` and `decrypt` ends and the one with the encryptor begins.
const LARGE: usize = 1 << 20;

pub fn entries(len: usize) -> Vec<Entry> {
    let call = || Ours::new(encrypt, decrypt);
    if len < LARGE {
        return vec![Entry::new("ncp-envelope", call())];
    }
    vec![
        Entry::new("ncp-envelope, encryptor, into a reused buffer", Ours::new(encrypt_large, decrypt_large)),
        Entry::new("ncp-envelope, encrypt(), returns a new vector", call()),
    ]
}

/// A small message.
fn encrypt(envelope: &Envelope, plaintext: &[u8], out: &mut Vec<u8>) {
    *out = ready(envelope.encrypt(plaintext, EncryptionContext::new())).unwrap();
}

fn decrypt(envelope: &Envelope, message: &[u8], out: &mut Vec<u8>) {
    *out = std::mem::take(&mut ready(envelope.decrypt(message, &DecryptPolicy::new())).unwrap());
}

/// A message of a megabyte or more.
fn encrypt_large(envelope: &Envelope, plaintext: &[u8], out: &mut Vec<u8>) {
    let mut encryptor = ready(envelope.encryptor(EncryptionContext::new())).unwrap();
    let start = encryptor.header().len();
    // Room for the body's tags; what was there already is neither touched nor cleared.
    out.resize(start + encryptor.update_len(plaintext.len()) + ncp_envelope::format::SEALED_CHUNK_LEN, 0);
    out[..start].copy_from_slice(encryptor.header());
    let written = start + encryptor.update(plaintext, &mut out[start..]).unwrap().written;
    let last = encryptor.finish(&mut out[written..]).unwrap();
    out.truncate(written + last);
}

fn decrypt_large(envelope: &Envelope, message: &[u8], out: &mut Vec<u8>) {
    let header = Header::decode(message).unwrap();
    let (preamble, chunks) = message[header.sealed().body_offset()..].split_first_chunk::<PREAMBLE_LEN>().unwrap();
    let mut decryptor = ready(envelope.decryptor(&header, preamble, &DecryptPolicy::new())).unwrap();
    out.resize(chunks.len(), 0);
    let written = decryptor.update(chunks, out).unwrap().written;
    let last = decryptor.finish(&mut out[written..]).unwrap();
    out.truncate(written + last);
}

/// The result of a future that waits for nobody.
pub fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a future without I/O waits"),
    }
}

type Call = fn(&Envelope, &[u8], &mut Vec<u8>);

struct Ours {
    envelope: Envelope,
    calls: (Call, Call),
    message: Vec<u8>,
    opened: Vec<u8>,
}

impl Ours {
    fn new(encrypt: Call, decrypt: Call) -> Self {
        let wrapper = LocalKeyWrapper::new("bench", &DataKey::generate().unwrap()).unwrap();
        let envelope = Envelope::builder(wrapper).cache(CacheLimits::new(Duration::from_secs(3_600))).build().unwrap();
        Self { envelope, calls: (encrypt, decrypt), message: Vec::new(), opened: Vec::new() }
    }
}

impl Contestant for Ours {
    fn encrypt(&mut self, plaintext: &[u8]) {
        self.calls.0(&self.envelope, plaintext, &mut self.message);
    }

    fn decrypt(&mut self) {
        self.calls.1(&self.envelope, &self.message, &mut self.opened);
    }

    fn message(&self) -> &[u8] {
        &self.message
    }

    fn opened(&self) -> &[u8] {
        &self.opened
    }
}
