//! Answers of the service as names and values to print. The names are part of the program's
//! interface.

use crate::output::Record;
use ncp_envelope::kms::{
    Acl, Activity, AutoRotation, KeyInfo, KeyVersion, Rotation, StatusChange, Timestamp,
    TokenGenerator,
};
use serde_json::{Value, json};
use std::fmt::Display;

/// Columns of a list of keys.
pub(crate) const KEY_COLUMNS: [&str; 6] =
    ["key_tag", "name", "type", "status", "convergent", "registered"];
/// Columns of a list of versions.
pub(crate) const VERSION_COLUMNS: [&str; 4] = ["version", "status", "status_changed", "rotated"];
/// Columns of a key's log.
pub(crate) const ACTIVITY_COLUMNS: [&str; 5] = ["timestamp", "action", "result", "requestor", "ip"];

pub(crate) fn key(info: KeyInfo) -> Record {
    vec![
        ("key_tag", json!(info.tag)),
        ("name", json!(info.name)),
        ("type", text(info.key_type)),
        ("status", text(info.status)),
        ("current_version", json!(info.current_version)),
        ("convergent", json!(info.convergent)),
        ("protection", text(info.protection)),
        ("memo", json!(info.memo)),
        ("auto_rotation", json!(info.auto_rotation)),
        ("rotation_period_days", json!(info.rotation_period_days)),
        ("next_rotation", time(info.next_rotation)),
        ("registered", time(info.registered)),
        ("destroyed", time(info.destroyed)),
        ("key_id", json!(info.id)),
        ("keystore_id", json!(info.keystore_id)),
        ("nrn", json!(info.nrn)),
        ("base_url", json!(info.base_url)),
    ]
}

pub(crate) fn version(version: KeyVersion) -> Record {
    vec![
        ("version", json!(version.version)),
        ("status", text(version.status)),
        ("status_changed", time(version.status_changed)),
        ("rotated", time(version.rotated)),
    ]
}

pub(crate) fn status(change: StatusChange) -> Record {
    vec![("status", text(change.status)), ("status_changed", time(change.changed))]
}

pub(crate) fn rotation(rotation: Rotation) -> Record {
    vec![("version", json!(rotation.version)), ("rotated", time(rotation.rotated))]
}

pub(crate) fn auto_rotation(auto: AutoRotation) -> Record {
    vec![
        ("auto_rotation", json!(auto.enabled)),
        ("rotation_period_days", json!(auto.period_days)),
        ("next_rotation", time(auto.next)),
    ]
}

pub(crate) fn acl(acl: Acl) -> Record {
    vec![("enabled", json!(acl.enabled)), ("allowed", json!(acl.allowed))]
}

pub(crate) fn activity(activity: Activity) -> Record {
    vec![
        ("timestamp", json!(activity.timestamp)),
        ("action", json!(activity.action)),
        ("kind", json!(activity.kind)),
        ("result", json!(activity.result)),
        ("request_type", text(activity.request_type)),
        ("requestor", json!(activity.requestor_id)),
        ("ip", json!(activity.requestor_ip)),
        ("key_tag", json!(activity.key_tag)),
        ("key_name", json!(activity.key_name)),
        ("nrn", json!(activity.nrn)),
        ("message", json!(activity.message)),
        ("raw", serde_json::from_str(&activity.raw).unwrap_or(Value::Null)),
    ]
}

pub(crate) fn generator(generator: TokenGenerator) -> Record {
    vec![
        ("generator_id", json!(generator.id)),
        ("status", text(generator.status)),
        ("enabled", time(generator.enabled)),
        ("disabled", time(generator.disabled)),
        ("issued_tokens", json!(generator.issued_tokens)),
    ]
}

pub(crate) fn time(time: Option<Timestamp>) -> Value {
    text(time)
}

fn text(value: Option<impl Display>) -> Value {
    value.map_or(Value::Null, |value| value.to_string().into())
}
