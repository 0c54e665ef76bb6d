//! Keys: where they are made, wrapped, kept, used and refused.

use crate::*;
use ncp_envelope::{
    CacheLimits, DecryptPolicy, EnvelopeBuilder, PoolLimits, ReuseLimits, SecretBytes,
};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);

#[test]
fn keys_of_every_kind_of_envelope() {
    let _turn = begin();
    let kinds: [fn(EnvelopeBuilder) -> EnvelopeBuilder; 6] = [
        |builder| builder,
        |builder| builder.cache(CacheLimits::new(HOUR)),
        |builder| builder.cache(CacheLimits::new(HOUR).with_max_keys(1)),
        |builder| builder.pool(PoolLimits::new(HOUR).with_max_keys(4)),
        |builder| builder.reuse(ReuseLimits::new(HOUR).with_max_messages(2)),
        |builder| builder.verify_wrapped(true),
    ];
    for kind in kinds {
        watch("an envelope", || {
            let service = Telling::new();
            let envelope = kind(Envelope::builder(service.clone())).build().unwrap();
            let open = DecryptPolicy::new();
            let texts = [&plaintext(20)[..], b"two", b"three", b"four"];
            let messages = block_on(envelope.encrypt_many(&texts, EncryptOptions::new())).unwrap();
            for _ in 0..2 {
                for message in &messages {
                    block_on(envelope.decrypt(message, &open)).unwrap();
                }
                for opened in block_on(envelope.decrypt_many(&messages, &open)) {
                    opened.unwrap();
                }
            }
            let slot = Header::decode(&messages[0]).unwrap().slots().slots()[0].clone();
            block_on(envelope.rewrap_keys(&[slot])).pop().unwrap().unwrap();
            // Refused while there are keys, and for another scope after it was unwrapped.
            let other = envelope.for_scope("other").unwrap();
            assert!(block_on(other.decrypt(&messages[0], &open)).is_err());
            envelope.invalidate("k");
            service.refuse(true);
            assert!(block_on(envelope.decrypt(&messages[0], &open)).is_err());
            assert!(block_on(other.encrypt(b"x", EncryptOptions::new())).is_err());
            service.refuse(false);
            let _ = block_on(other.encrypt(b"x", EncryptOptions::new()));
            envelope.forget_keys();
        });
    }
}

#[test]
fn keys_that_callers_hold() {
    let _turn = begin();
    watch("keys and payloads", || {
        let key = DataKey::generate().unwrap();
        look_for([0, 8].map(|at| mask(word(&key.expose_secret()[at..]))));
        let copy = DataKey::copy_from(key.expose_secret());
        let wrapper = LocalKeyWrapper::new("k", &copy).unwrap();
        let payload = KeyPayload::copy_from(copy.expose_secret());
        drop(KeyPayload::from(SecretBytes::copy_from(copy.expose_secret())));
        drop(SecretBytes::from_boxed(copy.expose_secret().to_vec().into()));
        let wrapped = block_on(wrapper.wrap_keys(&[payload])).unwrap();
        block_on(wrapper.unwrap_keys(&wrapped)).unwrap();
        block_on(wrapper.rewrap_keys(&wrapped)).unwrap();
        let mut bytes = wrapped[0].as_bytes().to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        let changed = WrappedKey::new(wrapped[0].key_id().clone(), bytes).unwrap();
        for keys in [vec![changed.clone()], vec![wrapped[0].clone(), changed]] {
            assert!(block_on(wrapper.unwrap_keys(&keys)).is_err());
        }
    });
}
