//! Who makes a call: picks the check that the call's path asks for, and carries it out.

use crate::emulator::answer::{Kind, Refusal};
use crate::emulator::auth::account::{Account, Accounts, Stage};
use crate::emulator::auth::route::{Accepts, Call};
use crate::emulator::keys::token::TokenType;
use crate::emulator::state::record::AuthRow;
use crate::emulator::state::view::{Key, View};
use crate::emulator::text;
use axum::http::request::Parts;
use std::net::IpAddr;
use std::sync::Arc;

const TOKEN: &str = "x-ncp-ocapi-token";

/// Who calls, and about which key.
pub(crate) struct Caller {
    pub(crate) account: Arc<Account>,
    /// None if the call is not about one, or there is none of the name.
    pub(crate) key: Option<Arc<Key>>,
}

/// The row of authentication that a call comes under.
///
/// Where a call takes both kinds, the one that sends a token is held to it: a client that sends a
/// bad token and a good signature has a mistake worth finding.
pub(crate) fn row(accounts: &Accounts, call: &Call<'_>, parts: &Parts) -> AuthRow {
    match call.accepts {
        Accepts::Account(Stage::V1) => AuthRow::AccountV1,
        Accepts::AccountOrAccessToken if has_token(parts) => AuthRow::AccessToken,
        Accepts::Account(Stage::V2) | Accepts::AccountOrAccessToken => {
            match accounts.stage(&parts.headers) {
                Stage::V1 => AuthRow::AccountV1,
                Stage::V2 => AuthRow::AccountV2,
            }
        }
        Accepts::RefreshToken => AuthRow::RefreshToken,
        Accepts::AnyToken => AuthRow::AnyToken,
    }
}

pub(crate) fn has_token(parts: &Parts) -> bool {
    parts.headers.contains_key(TOKEN)
}

/// Authenticates the call at `now` milliseconds since the Unix epoch.
///
/// Only the account learns that a key is not there; a token cannot be one of a key that is not.
pub(crate) fn authenticate(
    accounts: &Accounts,
    view: &View,
    call: &Call<'_>,
    row: AuthRow,
    parts: &Parts,
    now: i64,
) -> Result<Caller, Refusal> {
    let key = call.tag.and_then(|tag| view.key(tag));
    let signed = |stage| {
        let target = parts.uri.path_and_query().map_or(parts.uri.path(), |target| target.as_str());
        let account = accounts.check(stage, parts.method.as_str(), target, &parts.headers, now)?;
        Ok(Caller { account, key: key.cloned() })
    };
    let wanted = match row {
        AuthRow::AccountV1 => return signed(Stage::V1),
        AuthRow::AccountV2 => return signed(Stage::V2),
        AuthRow::AccessToken => Some(TokenType::Access),
        AuthRow::RefreshToken => Some(TokenType::Refresh),
        AuthRow::AnyToken => None,
        AuthRow::None => return Err(Refusal::internal("call has no row of authentication")),
    };
    let token = text::header(&parts.headers, TOKEN).ok_or(Refusal::token("no token"))?;
    let key = key.ok_or(Refusal::token("token for a key that is not there"))?;
    let generator = key.generator().ok_or(Refusal::token("key has no token generator"))?;
    let (found, subject) = generator.check(token, &key.tag, now)?;
    let account =
        accounts.by_id(&subject).ok_or(Refusal::token("token of an account that is not there"))?;
    match wanted.is_none_or(|wanted| wanted == found) {
        true => Ok(Caller { account: Arc::clone(account), key: Some(Arc::clone(key)) }),
        false => Err(Refusal::token("token is of the other type")),
    }
}

/// Refuses a signed call of a sub account from an address that its own list does not allow. Tokens
/// are subject to their key's list instead.
pub(crate) fn admit_account(account: &Account, row: AuthRow, from: IpAddr) -> Result<(), Refusal> {
    match is_token(row) || account.is_allowed(from) {
        true => Ok(()),
        false => Err(Refusal::new(
            Kind::AddressDenied,
            "the sub account's IP access list does not allow the caller's address",
        )),
    }
}

/// Refuses a token from an address that its key's list does not allow. Signed calls are not subject
/// to it.
pub(crate) fn admit(key: &Key, row: AuthRow, from: IpAddr) -> Result<(), Refusal> {
    let allowed = match from {
        IpAddr::V4(from) => key.acl.allowed.contains(&from),
        // The list takes IPv4 addresses only.
        IpAddr::V6(_) => false,
    };
    match is_token(row) && key.acl.enabled && !allowed {
        true => Err(Refusal::new(
            Kind::Forbidden,
            "the key's IP access list does not allow the caller's address",
        )),
        false => Ok(()),
    }
}

fn is_token(row: AuthRow) -> bool {
    matches!(row, AuthRow::AccessToken | AuthRow::RefreshToken | AuthRow::AnyToken)
}
