//! Several recipients: two emulators as two services, each with a client of its own, and wrappers
//! that are told what to do.

mod reading;
mod services;
mod told;
mod writing;

use super::*;
use ncp_envelope::emulator::{Fault, FaultId, FaultKind};
use ncp_envelope::wrap::{Provider, ZoneHint};
use ncp_envelope::{EnvelopeBuilder, KeyId, LocalKeyWrapper, RecipientStats};
use told::Told;

/// A service: an emulator, and a key of it through a client that does not try for long.
struct Service {
    emulator: Emulator,
    key: Key,
}

impl Service {
    async fn start() -> Self {
        let emulator = emulator().await;
        let client = client(&emulator).max_attempts(1).build().unwrap();
        let key = client.key(emulator.key_tag()).unwrap();
        Self { emulator, key }
    }

    /// Two that hold different keys.
    async fn two() -> [Self; 2] {
        [Self::start().await, Self::start().await]
    }

    async fn down(&self) -> FaultId {
        self.emulator.inject(Fault::new(FaultKind::Refused)).await.unwrap()
    }

    fn id(&self) -> &KeyId {
        ncp_envelope::KeyWrapper::key_id(&self.key)
    }

    /// Number of unwrap calls, and of keys in them.
    fn unwraps(&self) -> (usize, usize) {
        let requests = self.emulator.requests();
        let calls = of(&requests, "decrypt");
        (calls.len(), calls.iter().map(|call| call.items).sum())
    }
}

/// The order of recipients: `a` is called first.
fn both(a: &Service, b: &Service) -> EnvelopeBuilder {
    Envelope::builder(a.key.clone()).and(b.key.clone())
}

fn build(builder: EnvelopeBuilder) -> Envelope {
    builder.build().unwrap()
}

fn recipient(envelope: &Envelope, at: usize) -> RecipientStats {
    envelope.stats().recipients[at].clone()
}

/// Messages for all recipients of an envelope.
async fn written(envelope: &Envelope, count: usize) -> Vec<Vec<u8>> {
    let texts: Vec<_> = (0..count).map(text).collect();
    envelope.encrypt_many(&texts, EncryptOptions::new()).await.unwrap()
}

async fn opens(envelope: &Envelope, messages: &[Vec<u8>]) {
    for (index, result) in envelope.decrypt_many(messages, &policy()).await.into_iter().enumerate()
    {
        assert_eq!(*result.unwrap(), text(index));
    }
}
