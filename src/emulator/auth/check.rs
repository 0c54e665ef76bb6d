//! Authentication of a call, by the method that its path requires.

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

/// The authenticated caller and the call's key.
pub(crate) struct Caller {
    pub(crate) account: Arc<Account>,
    /// None if the call has no key, or its key does not exist.
    pub(crate) key: Option<Arc<Key>>,
}

/// How a call is authenticated.
///
/// Where a call accepts both kinds, a token that is sent must be valid: a client that sends a bad
/// token and a good signature has a mistake worth finding.
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
/// Only a signed call learns that a key does not exist: no token can belong to such a key.
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
    let key = key.ok_or(Refusal::token("token for a key that does not exist"))?;
    let generator = key.generator().ok_or(Refusal::token("key has no token generator"))?;
    let (found, subject) = generator.check(token, &key.tag, now)?;
    let account = accounts
        .by_id(&subject)
        .ok_or(Refusal::token("token of an account that does not exist"))?;
    match wanted.is_none_or(|wanted| wanted == found) {
        true => Ok(Caller { account: Arc::clone(account), key: Some(Arc::clone(key)) }),
        false => Err(Refusal::token("token is of the other type")),
    }
}

/// Refuses a signed call of a sub account from an address that its own list does not allow. The
/// list of their key restricts tokens instead.
pub(crate) fn admit_account(account: &Account, row: AuthRow, from: IpAddr) -> Result<(), Refusal> {
    match is_token(row) || account.is_allowed(from) {
        true => Ok(()),
        false => Err(Refusal::new(
            Kind::AddressDenied,
            "the sub account's IP access list does not allow the caller's address",
        )),
    }
}

/// Refuses a token from an address that its key's list does not allow. Signed calls are not
/// restricted by it.
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
