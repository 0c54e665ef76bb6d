//! What is in configuration files and in the environment.

use crate::Anything;
use ncp_envelope::format::Profile;
use ncp_envelope::kms::Endpoint;
use ncp_envelope::{CacheLimits, DataKey, EncryptionContext, Envelope, LocalKeyWrapper};
use serde_json::json;

#[derive(serde::Deserialize)]
struct Settings {
    endpoint: Endpoint,
    cache: CacheLimits,
    profile: Profile,
    context: EncryptionContext,
}

#[test]
fn a_programs_own_settings() -> Anything {
    let settings: Settings = serde_json::from_value(json!({
        "endpoint": "kr",
        "cache": { "ttl": "5m" },
        "profile": "durable",
        "context": { "service": "billing" },
    }))?;
    assert_eq!(settings.endpoint, Endpoint::Kr);
    let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
    let envelope = Envelope::builder(wrapper).cache(settings.cache).build()?.blocking();
    let options = ncp_envelope::EncryptOptions::from(settings.context).layout(settings.profile);
    let opened = envelope.decrypt(envelope.encrypt("hello", options)?, [("service", "billing")])?;
    assert_eq!(opened.context.get("service"), Some("billing"));
    Ok(())
}
