//! The way of a request: body, route, authentication, key, action, record.

use super::actions;
use super::answer::{Answer, Generation, Refusal};
use super::app::App;
use super::auth;
use super::body;
use super::record::{AuthRow, RecordedRequest};
use super::route::{Action, Call};
use super::token::{Lifetime, TokenType};
use super::wire::TokenRequest;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use std::sync::Arc;

/// Answers one request and records it.
pub(super) async fn serve(State(app): State<Arc<App>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let mut entry = RecordedRequest {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        auth: AuthRow::None,
        status: 0,
        items: 0,
        refusal: None,
    };
    // Read before anything is judged, so that a refusal never cuts off a peer that still writes.
    let answer = match body::read(body).await {
        Ok(body) => answer(&app, &parts, &body, &mut entry).await,
        Err(refusal) => Err(refusal),
    };
    let answer = answer.unwrap_or_else(|refusal| {
        entry.refusal = Some(refusal.reason);
        refusal.answer()
    });
    entry.status = answer.status;
    app.record.push(entry);
    answer.into_response()
}

async fn answer(app: &Arc<App>, parts: &Parts, body: &[u8], entry: &mut RecordedRequest) -> Result<Answer, Refusal> {
    let call = Call::parse(parts.method.as_str(), parts.uri.path())?;
    entry.auth = auth::row(&call, parts);
    let view = app.store.view();
    let authenticated = auth::authenticate(&view, &call, entry.auth, parts, app.clock.unix_millis());
    if call.action == Action::ValidateToken && auth::has_token(parts) {
        entry.refusal = authenticated.as_ref().err().map(|refusal| refusal.reason);
        return Ok(Answer::success(Generation::Two, json!({ "validated": authenticated.is_ok() })));
    }
    let key = authenticated?;
    key.usable()?;
    let data = match call.action {
        Action::Encrypt => actions::encrypt(&key, body, &mut entry.items)?,
        Action::Decrypt => actions::decrypt(&key, body, &mut entry.items)?,
        Action::Reencrypt => actions::reencrypt(&key, body, &mut entry.items)?,
        Action::IssueTokenSet | Action::RenewTokenSet => {
            let request = TokenRequest::parse(body)?;
            let (access, refresh) = (request.access()?, request.refresh()?);
            let [refresh, access] = mint(app, call.tag, [(TokenType::Refresh, refresh), (TokenType::Access, access)]).await?;
            json!({ "refreshToken": refresh, "accessToken": access })
        }
        Action::IssueAccessToken => {
            let lifetime = TokenRequest::parse(body)?.access()?;
            let [access] = mint(app, call.tag, [(TokenType::Access, lifetime)]).await?;
            json!({ "accessToken": access })
        }
        Action::ValidateToken => return Err(Refusal::token("no token")),
    };
    Ok(Answer::success(call.generation, data))
}

/// Mints tokens away from the server's thread, which RSA would hold up.
async fn mint<const N: usize>(app: &Arc<App>, tag: &str, wanted: [(TokenType, Lifetime); N]) -> Result<[Value; N], Refusal> {
    let (app, tag) = (Arc::clone(app), tag.to_owned());
    tokio::task::spawn_blocking(move || wanted.map(|(token_type, lifetime)| app.mint(&tag, token_type, lifetime)))
        .await
        .ok()
        .and_then(|minted| {
            minted.into_iter().map(|token| token.ok().map(|token| Value::String(token.to_string()))).collect::<Option<Vec<_>>>()
        })
        .and_then(|tokens| tokens.try_into().ok())
        .ok_or(Refusal::internal("token generator failed"))
}
