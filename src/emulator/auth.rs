//! Who makes a call: picks the check that the call's path asks for, and carries it out.

use super::account::Stage;
use super::answer::{Kind, Refusal};
use super::keys::{Key, View};
use super::record::AuthRow;
use super::route::{Accepts, Call};
use super::text;
use super::token::TokenType;
use axum::http::request::Parts;
use std::sync::Arc;

const TOKEN: &str = "x-ncp-ocapi-token";

/// The row of authentication that a call comes under.
///
/// Where a call takes both kinds, the one that sends a token is held to it: a client that sends a bad token and a good signature
/// has a mistake worth finding.
pub(super) fn row(call: &Call<'_>, parts: &Parts) -> AuthRow {
    match call.accepts {
        Accepts::Account(Stage::V1) => AuthRow::AccountV1,
        Accepts::Account(Stage::V2) => AuthRow::AccountV2,
        Accepts::AccountOrAccessToken if has_token(parts) => AuthRow::AccessToken,
        Accepts::AccountOrAccessToken => AuthRow::AccountV2,
        Accepts::RefreshToken => AuthRow::RefreshToken,
        Accepts::AnyToken => AuthRow::AnyToken,
    }
}

pub(super) fn has_token(parts: &Parts) -> bool {
    parts.headers.contains_key(TOKEN)
}

/// Authenticates the call at `now` milliseconds since the Unix epoch and gives the key it is about.
///
/// Only the account learns that a key is not there; a token cannot be one of a key that is not.
pub(super) fn authenticate(view: &View, call: &Call<'_>, row: AuthRow, parts: &Parts, now: i64) -> Result<Arc<Key>, Refusal> {
    let wanted = match row {
        AuthRow::AccountV1 => return account(view, call, Stage::V1, parts, now),
        AuthRow::AccountV2 => return account(view, call, Stage::V2, parts, now),
        AuthRow::AccessToken => Some(TokenType::Access),
        AuthRow::RefreshToken => Some(TokenType::Refresh),
        AuthRow::AnyToken => None,
        AuthRow::None => return Err(Refusal::internal("call has no row of authentication")),
    };
    let token = text::header(&parts.headers, TOKEN).ok_or(Refusal::token("no token"))?;
    let key = view.key(call.tag).ok_or(Refusal::token("token for a key that is not there"))?;
    let generator = key.generator().ok_or(Refusal::token("key has no token generator"))?;
    let found = generator.check(token, &view.account.id, &key.tag, now)?;
    match wanted.is_none_or(|wanted| wanted == found) {
        true => Ok(Arc::clone(key)),
        false => Err(Refusal::token("token is of the other type")),
    }
}

fn account(view: &View, call: &Call<'_>, stage: Stage, parts: &Parts, now: i64) -> Result<Arc<Key>, Refusal> {
    let target = parts.uri.path_and_query().map_or(parts.uri.path(), |target| target.as_str());
    view.account.check(stage, parts.method.as_str(), target, &parts.headers, now)?;
    view.key(call.tag).cloned().ok_or(Refusal::new(Kind::NotFound, "no such key"))
}
