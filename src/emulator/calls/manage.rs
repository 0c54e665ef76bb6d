//! Key management: the calls of API 2.0 that read and change keys.

use crate::emulator::action::Action;
use crate::emulator::answer::Refusal;
use crate::emulator::app::App;
use crate::emulator::calls::body::{object, object_or_nothing};
use crate::emulator::calls::key_json;
use crate::emulator::calls::key_json::Named;
use crate::emulator::calls::page::{Page, Query};
use crate::emulator::keys::key::{KeyState, Protection};
use crate::emulator::keys::kind::KeyType;
use crate::emulator::keys::version::version_number;
use crate::emulator::state::content::{State, UNKNOWN_KEY};
use serde::Deserialize;
use serde_json::{Value, json};
use std::net::Ipv4Addr;

/// A management call.
pub(crate) struct Command {
    pub(crate) action: Action,
    pub(crate) tag: String,
    pub(crate) version: String,
    pub(crate) query: String,
    pub(crate) body: Vec<u8>,
}

/// Body of create-key. Fields on which the documentation of the zones disagrees are optional.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CreateRequest {
    key_name: String,
    key_type: KeyType,
    #[serde(default)]
    memo: Option<String>,
    #[serde(default)]
    is_convergent: Option<bool>,
    #[serde(default)]
    is_auto_rotation: Option<bool>,
    #[serde(default)]
    rotation_period: Option<u32>,
    #[serde(default)]
    protection_type: Option<Protection>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NameRequest {
    key_name: String,
}

#[derive(Deserialize, Default)]
struct MemoRequest {
    #[serde(default)]
    memo: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PeriodRequest {
    rotation_period: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IpRequest {
    ip_list: Vec<String>,
}

/// Whether a call is a management call; the others use a key.
pub(crate) fn is_management(action: Action) -> bool {
    use Action::{IssueAccessToken, IssueTokenSet, RenewTokenSet, ValidateToken};
    !action.is_cipher()
        && !matches!(action, IssueTokenSet | RenewTokenSet | IssueAccessToken | ValidateToken)
}

/// Carries out a call and returns its `data`. Blocks.
pub(crate) fn carry_out(app: &App, command: &Command) -> Result<Value, Refusal> {
    let named = Named { base_url: &app.base_url, account: app.accounts.main_id() };
    let look = |each: &dyn Fn(&KeyState) -> Result<Value, Refusal>| {
        app.store.read(|state| each(find(state, &command.tag)?))
    };
    match command.action {
        Action::ListKeys => {
            let query = Query::parse(&command.query);
            app.store.read(|state| key_json::list(&Page::of(&state.keys, &query)?))
        }
        Action::CreateKey => create(app, &named, &command.body),
        Action::ShowKey => look(&|key| Ok(key_json::full(key, &named))),
        Action::ListVersions => look(&|key| Ok(key_json::versions(key))),
        Action::ShowAcl => look(&|key| Ok(key_json::acl(key, true))),
        Action::ShowGenerator => look(&|key| Ok(key_json::generator(key, &app.usage))),
        Action::ShowLastUse => look(&|key| {
            let last = app.usage.last_use(key.id);
            Ok(last.map_or(Value::Null, |activity| {
                activity.json(&key.tag, &key.name, &named.nrn(key))
            }))
        }),
        Action::ShowActivities => {
            let query = Query::parse(&command.query);
            let now = app.clock.unix_millis();
            look(&|key| key_json::activities(key, &app.usage, &query, &named, now))
        }
        Action::DeleteKey => {
            app.change(|state, _| state.delete_key(&command.tag)).map(|()| Value::Null)
        }
        Action::RenameKey => {
            let name = object::<NameRequest>(&command.body)?.key_name;
            app.change(|state, _| state.rename_key(&command.tag, &name))?;
            Ok(json!({ "keyTag": command.tag, "keyName": name }))
        }
        _ => app.change(|state, now| change_key(state.key(&command.tag)?, command, now)),
    }
}

/// The changes of a single key.
fn change_key(key: &mut KeyState, command: &Command, now: i64) -> Result<Value, Refusal> {
    match command.action {
        Action::EnableKey | Action::DisableKey => {
            key.set_enabled(command.action == Action::EnableKey, now)?;
            Ok(key_json::status(key))
        }
        Action::RequestDeletion => key.request_deletion(now).map(|()| key_json::status(key)),
        Action::CancelDeletion => key.cancel_deletion(now).map(|()| key_json::status(key)),
        Action::SetMemo => {
            key.set_memo(
                &object_or_nothing::<MemoRequest>(&command.body)?.memo.unwrap_or_default(),
            )?;
            Ok(json!({ "keyTag": key.tag, "memo": key.memo }))
        }
        Action::RotateKey => {
            let (version, date) =
                key.rotate(now).map(|version| (version.version, version.rotated_date))?;
            Ok(json!({ "keyTag": key.tag, "version": version, "rotatedDate": date }))
        }
        Action::EnableAutoRotation => {
            key.set_auto_rotation(true, now);
            Ok(json!({
                "keyTag": key.tag, "isAutoRotation": true, "rotationPeriod": key.rotation_period,
                "nextRotationDate": key.next_rotation,
            }))
        }
        Action::DisableAutoRotation => {
            key.set_auto_rotation(false, now);
            Ok(json!({ "keyTag": key.tag, "isAutoRotation": false }))
        }
        Action::SetRotationPeriod => {
            let days = object::<PeriodRequest>(&command.body)?.rotation_period;
            if key.next_rotation.is_none() {
                return Err(Refusal::status("automatic rotation is off"));
            }
            key.set_rotation_period(days, now)?;
            Ok(json!({ "keyTag": key.tag, "rotationPeriod": days,
                    "nextRotationDate": key.next_rotation }))
        }
        Action::EnableVersion | Action::DisableVersion => {
            let number = version_number(&command.version)
                .ok_or(Refusal::request("version is not a number"))?;
            let version =
                key.set_version_enabled(number, command.action == Action::EnableVersion, now)?;
            Ok(key_json::version(version, false))
        }
        Action::EnableAcl | Action::DisableAcl => {
            key.acl.enabled = command.action == Action::EnableAcl;
            Ok(json!({ "keyTag": key.tag, "isAclEnabled": key.acl.enabled }))
        }
        Action::AddToAcl => {
            let more = addresses(&command.body)?;
            key.acl.allowed.retain(|known| !more.contains(known));
            key.acl.allowed.extend(more);
            Ok(key_json::acl(key, false))
        }
        Action::RemoveFromAcl => {
            let less = addresses(&command.body)?;
            key.acl.allowed.retain(|known| !less.contains(known));
            Ok(key_json::acl(key, false))
        }
        Action::CreateGenerator if key.token_generator.is_some() => {
            Err(Refusal::status("key has a token generator already"))
        }
        Action::ReplaceGenerator if key.token_generator.is_none() => {
            Err(Refusal::status("key has no token generator"))
        }
        Action::CreateGenerator | Action::ReplaceGenerator => {
            key.install_generator(now).map(|()| Value::Null)
        }
        Action::DeleteGenerator => key.remove_generator(now).map(|()| Value::Null),
        _ => Err(Refusal::internal("no such change of a key")),
    }
}

fn create(app: &App, named: &Named<'_>, body: &[u8]) -> Result<Value, Refusal> {
    let request: CreateRequest = object(body)?;
    app.change(|state, now| {
        let key = state.create_key(
            &request.key_name,
            request.key_type,
            request.is_convergent.unwrap_or(false),
            now,
        )?;
        key.set_memo(request.memo.as_deref().unwrap_or_default())?;
        key.protection = request.protection_type.unwrap_or(Protection::Basic);
        key.set_auto_rotation(request.is_auto_rotation.unwrap_or(false), now);
        if let Some(days) = request.rotation_period {
            key.set_rotation_period(days, now)?;
        }
        Ok(key_json::full(key, named))
    })
}

fn find<'a>(state: &'a State, tag: &str) -> Result<&'a KeyState, Refusal> {
    state.keys.iter().find(|key| key.tag == tag).ok_or(UNKNOWN_KEY)
}

/// IPv4 addresses without duplicates.
fn addresses(body: &[u8]) -> Result<Vec<Ipv4Addr>, Refusal> {
    let sent: IpRequest = object(body)?;
    let mut addresses = Vec::with_capacity(sent.ip_list.len());
    for text in &sent.ip_list {
        let address =
            text.parse().map_err(|_| Refusal::request("an address is not an IPv4 address"))?;
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() { Err(Refusal::request("no address is named")) } else { Ok(addresses) }
}
