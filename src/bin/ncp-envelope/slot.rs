//! A key slot, as shown to people and programs.

use crate::output::Record;
use ncp_envelope::WrappedKey;
use ncp_envelope::kms::key_version;
use ncp_envelope::wrap::{Provider, ZoneHint};
use serde_json::json;

/// Columns of a list of slots.
pub(crate) const COLUMNS: [&str; 5] = ["key_tag", "key_version", "provider", "zone", "wrapped_len"];

pub(crate) fn record(slot: &WrappedKey) -> Record {
    vec![
        ("provider", json!(slot.key_id().provider().to_string())),
        ("zone", json!(zone(slot))),
        ("key_tag", json!(slot.key_id().id())),
        ("key_version", json!(version(slot))),
        ("wrapped_len", json!(slot.as_bytes().len())),
    ]
}

/// This program cannot read other services' wrapped keys.
pub(crate) fn version(slot: &WrappedKey) -> Option<u32> {
    let ncp = slot.key_id().provider() == Provider::NcpKms;
    ncp.then(|| key_version(std::str::from_utf8(slot.as_bytes()).ok()?))?
}

pub(crate) fn zone(slot: &WrappedKey) -> &'static str {
    match slot.key_id().zone() {
        ZoneHint::None => "none",
        ZoneHint::Global => "global",
        ZoneHint::Kr => "kr",
        ZoneHint::Jp => "jp",
        ZoneHint::Gov => "gov",
        ZoneHint::Fin => "fin",
        _ => "unknown",
    }
}
