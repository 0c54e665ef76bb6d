//! Keys as JSON, in the form of API 2.0's answers.

use crate::emulator::answer::Refusal;
use crate::emulator::calls::page::{Page, Query};
use crate::emulator::keys::key::{KeyState, VersionState};
use crate::emulator::state::usage::Usage;
use serde_json::{Value, json};

/// The key store of all keys. The service has several; an emulator has one.
const KEYSTORE: u64 = 1;
const DAY: i64 = 24 * 3_600_000;

/// The parts of a key's resource name.
pub(crate) struct Named<'a> {
    pub(crate) base_url: &'a str,
    pub(crate) account: &'a str,
}

impl Named<'_> {
    /// The resource name. Its form is invented.
    pub(crate) fn nrn(&self, key: &KeyState) -> String {
        format!("nrn:EMULATOR:KMS::{}:Key/{}", self.account, key.id)
    }
}

/// All fields of a key.
pub(crate) fn full(key: &KeyState, named: &Named<'_>) -> Value {
    json!({
        "keyId": key.id,
        "keyTag": key.tag,
        "keyName": key.name,
        "nrn": named.nrn(key),
        "baseUrl": named.base_url,
        "keyType": key.key_type,
        "status": key.status,
        "keystoreId": KEYSTORE,
        "currentVersion": key.current(),
        "protectionType": key.protection,
        "memo": key.memo,
        "isConvergent": key.convergent,
        "isAutoRotation": key.next_rotation.is_some(),
        "rotationPeriod": key.rotation_period,
        "nextRotationDate": key.next_rotation,
        "registerDate": key.register_date,
        "destroyDate": key.destroy_date,
    })
}

/// A page of keys. The counters are beside the list, within `data`.
pub(crate) fn list(page: &Page<'_, KeyState>) -> Result<Value, Refusal> {
    let entry = |key: &KeyState| {
        json!({
            "keyId": key.id,
            "keyTag": key.tag,
            "keyName": key.name,
            "keyType": key.key_type,
            "status": key.status,
            "protectionType": key.protection,
            "isConvergent": key.convergent,
            "registerDate": key.register_date,
            "destroyDate": key.destroy_date,
        })
    };
    let keys: Vec<_> = page.items.iter().map(entry).collect();
    Ok(json!({ "keyList": keys, "currentPageNo": page.number, "totalPageNo": page.pages,
            "totalCount": page.count }))
}

pub(crate) fn status(key: &KeyState) -> Value {
    json!({ "keyTag": key.tag, "status": key.status, "statusDate": key.status_date })
}

/// The versions of a key, newest first.
pub(crate) fn versions(key: &KeyState) -> Value {
    let list: Vec<_> = key.versions.iter().rev().map(|of| version(of, true)).collect();
    json!({ "keyTag": key.tag, "currentVersion": key.current(), "versionList": list })
}

/// One version; in a list, with the date of its rotation.
pub(crate) fn version(version: &VersionState, with_rotation: bool) -> Value {
    let status = if version.enabled { "ENABLE" } else { "DISABLE" };
    let mut shown =
        json!({ "version": version.version, "status": status, "statusDate": version.status_date });
    if with_rotation {
        shown["rotatedDate"] = version.rotated_date.into();
    }
    shown
}

/// The IP access list of a key; as an answer of its own, with whether it is enabled.
pub(crate) fn acl(key: &KeyState, with_state: bool) -> Value {
    let mut shown = json!({ "keyTag": key.tag, "allowedIpList": key.acl.allowed });
    if with_state {
        shown["isAclEnabled"] = key.acl.enabled.into();
    }
    shown
}

/// The token generator of a key.
pub(crate) fn generator(key: &KeyState, usage: &Usage) -> Value {
    match &key.token_generator {
        Some(generator) => json!({
            "tokenGeneratorId": generator.id,
            "status": "ACTIVE",
            "enabledDate": generator.enabled_date,
            "disabledDate": null,
            "issuedTokenCount": usage.issued_count(&generator.id),
        }),
        None => json!({
            "tokenGeneratorId": null,
            "status": "INACTIVE",
            "enabledDate": null,
            "disabledDate": key.generator_disabled,
            "issuedTokenCount": 0,
        }),
    }
}

/// A page of the activity log of a key, newest first.
pub(crate) fn activities(
    key: &KeyState,
    usage: &Usage,
    query: &Query,
    named: &Named<'_>,
    now: i64,
) -> Result<Value, Refusal> {
    let from = query.number("timestampFrom")?.unwrap_or(now.saturating_sub(DAY));
    let to = query.number("timestampTo")?.unwrap_or(now);
    let keyword = query.get("keyword").unwrap_or_default();
    let mut all = usage.activities(key.id);
    all.retain(|activity| (from..=to).contains(&activity.time) && activity.mentions(keyword));
    let page = Page::of(&all, query)?;
    let list: Vec<_> = page
        .items
        .iter()
        .map(|activity| activity.json(&key.tag, &key.name, &named.nrn(key)))
        .collect();
    Ok(json!({
        "activityLogList": list,
        "pageSize": page.size,
        "currentPageNo": page.number,
        "totalPageNo": page.pages,
        "totalCount": page.count,
    }))
}
