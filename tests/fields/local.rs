//! Rings under a local key: no service is needed.

use ncp_envelope::blocking::{BlockingEnvelope, BlockingKeyRing};
use ncp_envelope::fields::{Field, FieldMode};
use ncp_envelope::{DataKey, Envelope, LocalKeyWrapper};
use proptest::test_runner::{Config, RngSeed};

pub(crate) const MODES: [FieldMode; 2] = [FieldMode::Randomized, FieldMode::Deterministic];

/// The seed is fixed, so that a run that fails fails again.
pub(crate) fn cases(cases: u32) -> Config {
    Config {
        cases,
        rng_seed: RngSeed::Fixed(0x4E43_5245),
        failure_persistence: None,
        ..Config::default()
    }
}

/// All of them have the same key-encryption key.
pub(crate) fn envelope(scope: &str) -> BlockingEnvelope {
    let wrapper = LocalKeyWrapper::new("test-key", &DataKey::copy_from(&[7; 32])).unwrap();
    Envelope::builder(wrapper).scope(scope).build().unwrap().blocking()
}

pub(crate) fn ring() -> BlockingKeyRing {
    envelope("").create_ring().unwrap()
}

pub(crate) fn field(ring: &BlockingKeyRing, mode: FieldMode) -> Field {
    ring.field("customers.email").unwrap().with_mode(mode)
}
