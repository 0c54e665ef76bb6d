//! Observers of the cache may use what they observe.

#![cfg(feature = "tracing")]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use ncp_envelope::{
    CacheLimits, DataKey, DecryptPolicy, EncryptionContext, Envelope, LocalKeyWrapper, PoolLimits,
};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::thread;
use std::time::Duration;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Asks the envelope that it hears of for its numbers, and has it give up keys, at each event.
#[derive(Clone, Default)]
struct Curious {
    envelope: Arc<OnceLock<Envelope>>,
    heard: Arc<Mutex<Vec<&'static str>>>,
}

impl Subscriber for Curious {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "ncp_envelope::cache"
    }

    fn event(&self, event: &Event<'_>) {
        let message = event
            .metadata()
            .fields()
            .iter()
            .map(|field| field.name())
            .find(|name| *name != "message")
            .unwrap_or_default();
        self.heard.lock().unwrap().push(message);
        let envelope = self.envelope.get().unwrap();
        envelope.stats();
        // Not that of the keys in flight, or no caller would ever get one.
        envelope.invalidate("another");
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[test]
fn an_observer_may_use_the_envelope() {
    let (done, waiting) = mpsc::channel();
    // If a lock is held while an event is sent, this thread waits for itself for ever.
    thread::spawn(move || {
        let hour = Duration::from_secs(3_600);
        let wrapper = LocalKeyWrapper::new("k", &DataKey::generate().unwrap()).unwrap();
        let envelope = Envelope::builder(wrapper)
            .cache(CacheLimits::new(hour))
            .pool(PoolLimits::new(hour))
            .build()
            .unwrap();
        let curious = Curious::default();
        curious.envelope.set(envelope.clone()).unwrap();
        let _guard = tracing::subscriber::set_default(curious.clone());
        // Who wants to hear of something is settled the first time, and that must not be while
        // something else is being heard.
        envelope.forget_keys();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            for _ in 0..3 {
                let message = envelope.encrypt(b"x", EncryptionContext::new()).await.unwrap();
                assert_eq!(envelope.decrypt(&message, &DecryptPolicy::new()).await.unwrap(), b"x");
                envelope.forget_keys();
                envelope.invalidate("k");
            }
        });
        done.send(curious.heard.lock().unwrap().clone()).unwrap();
    });
    let heard = waiting
        .recv_timeout(Duration::from_secs(30))
        .expect("an observer that asks for numbers waits for itself");
    for field in ["operation", "keys", "target"] {
        assert!(heard.contains(&field), "no event has the field {field}: {heard:?}");
    }
}
