//! This crate, with keys wrapped in the process: no call to a key service.

use crate::contestant::{Contestant, Entry};
use ncp_envelope::{
    CacheLimits, CipherBackend, DataKey, DecryptPolicy, EncryptOptions, Envelope, EnvelopeBuilder,
    LocalKeyWrapper, ReuseLimits,
};
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// The length from which a message is large.
const LARGE: usize = 1 << 20;

pub fn entries(len: usize) -> Vec<Entry> {
    let ours = |reuse, calls| Ours::new(reuse, calls);
    if len < LARGE {
        return vec![
            reused("ncp-envelope, data key reused, encrypt_into()"),
            Entry::new("ncp-envelope, data key reused, encrypt()", ours(true, (encrypt, decrypt))),
            Entry::new(
                "ncp-envelope, a data key for each message",
                ours(false, (encrypt_into, decrypt_into)),
            ),
        ];
    }
    let mut entries = vec![
        Entry::new(
            "ncp-envelope, encrypt_into(), into a reused buffer",
            ours(false, (encrypt_into, decrypt_into)),
        ),
        Entry::new(
            "ncp-envelope, encrypt(), returns a new vector",
            ours(false, (encrypt, decrypt)),
        ),
    ];
    let other = |backend: &&CipherBackend| **backend != cipher();
    if let Some(backend) = CipherBackend::ALL.iter().find(other) {
        let forced = Ours::with(builder().cipher(*backend), (encrypt_into, decrypt_into));
        entries.push(Entry::new("ncp-envelope, encrypt_into(), with the other cipher", forced));
    }
    entries
}

/// Whose AES-GCM this crate uses here, unless it is told otherwise.
pub fn cipher() -> CipherBackend {
    builder().build().unwrap().cipher()
}

/// As messages, with one data key for many of them.
pub fn reused(name: &'static str) -> Entry {
    Entry::new(name, Ours::new(true, (encrypt_into, decrypt_into)))
}

fn encrypt(ours: &mut Ours, plaintext: &[u8]) {
    ours.message = ready(ours.envelope.encrypt(plaintext, &ours.options)).unwrap();
}

fn decrypt(ours: &mut Ours) {
    let mut opened = ready(ours.envelope.decrypt(&ours.message, &ours.policy)).unwrap();
    ours.opened = std::mem::take(&mut opened.plaintext);
}

fn encrypt_into(ours: &mut Ours, plaintext: &[u8]) {
    ready(ours.envelope.encrypt_into(plaintext, &ours.options, &mut ours.message)).unwrap();
}

fn decrypt_into(ours: &mut Ours) {
    ready(ours.envelope.decrypt_into(&ours.message, &ours.policy, &mut ours.opened)).unwrap();
}

/// The result of a future that is ready at once.
pub fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a future without I/O waits"),
    }
}

const HOUR: Duration = Duration::from_secs(3_600);

fn builder() -> EnvelopeBuilder {
    let wrapper = LocalKeyWrapper::new("bench", &DataKey::generate().unwrap()).unwrap();
    Envelope::builder(wrapper).cache(CacheLimits::new(HOUR))
}

type Calls = (fn(&mut Ours, &[u8]), fn(&mut Ours));

struct Ours {
    envelope: Envelope,
    options: EncryptOptions,
    policy: DecryptPolicy,
    calls: Calls,
    message: Vec<u8>,
    opened: Vec<u8>,
}

impl Ours {
    fn new(reuse: bool, calls: Calls) -> Self {
        let messages = ReuseLimits::new(HOUR).with_max_messages(1 << 32);
        Self::with(if reuse { builder().reuse(messages) } else { builder() }, calls)
    }

    fn with(builder: EnvelopeBuilder, calls: Calls) -> Self {
        let (options, policy) = (EncryptOptions::new(), DecryptPolicy::new());
        Self {
            envelope: builder.build().unwrap(),
            options,
            policy,
            calls,
            message: Vec::new(),
            opened: Vec::new(),
        }
    }
}

impl Contestant for Ours {
    fn encrypt(&mut self, plaintext: &[u8]) {
        self.calls.0(self, plaintext);
    }

    fn decrypt(&mut self) {
        self.calls.1(self);
    }

    fn message(&self) -> &[u8] {
        &self.message
    }

    fn opened(&self) -> &[u8] {
        &self.opened
    }
}
