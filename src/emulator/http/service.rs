//! A request, step by step: body, route, authentication, rate limit, permission, key, action,
//! record.

use crate::emulator::action::Action;
use crate::emulator::answer::{Answer, Generation, Refusal};
use crate::emulator::app::App;
use crate::emulator::auth::check;
use crate::emulator::auth::route::Call;
use crate::emulator::calls::body::TokenRequest;
use crate::emulator::calls::cipher;
use crate::emulator::calls::manage;
use crate::emulator::calls::manage::Command;
use crate::emulator::faults::fault::FaultKind;
use crate::emulator::faults::injected::Asked;
use crate::emulator::http::disturb::{self, Reply};
use crate::emulator::http::exchange::Exchange;
use crate::emulator::http::peer::Peer;
use crate::emulator::keys::token::{Lifetime, TokenType};
use crate::emulator::state::content::UNKNOWN_KEY;
use crate::emulator::state::record::{AuthRow, RecordedRequest};
use crate::emulator::state::usage::Activity;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::Method;
use axum::http::request::Parts;
use axum::response::Response;
use serde_json::{Value, json};
use std::sync::Arc;

/// Answers one request and records it, unless a fault replaces the answer.
pub(crate) async fn serve(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    if parts.method == Method::GET && parts.uri.path() == "/health" {
        // Not a call of the service. Programs poll it while they wait for the emulator, so it is
        // not recorded and meets no fault.
        let healthy = Answer { status: 200, body: json!({ "status": "ok" }) };
        return Reply::from(healthy).into_response();
    }
    let call = Call::parse(parts.method.as_str(), parts.uri.path());
    let asked = call.as_ref().map_or_else(
        |_| Asked::default(),
        |call| Asked { action: Some(call.action.name()), key: call.tag },
    );
    let plan = app.faults.plan(asked);
    let mut exchange = Exchange::new(&app.record, peer, plan, &parts, asked.action);
    let (body, time) = match exchange.receive(body, &app.clock).await {
        Ok(received) => received,
        Err(response) => return response,
    };
    // An unknown call is answered as in API 2.0; the gateway's shape is the same in both.
    let generation = call.as_ref().map_or(Generation::Two, |call| call.generation);
    let stale = exchange.fault() == Some(&FaultKind::StaleVersion);
    let now = Now { millis: time.millis, stale };
    let answer = match (call, body) {
        (Ok(call), Ok(body)) => answer(&app, &call, &parts, &body, now, &mut exchange.entry).await,
        (_, Err(refusal)) | (Err(refusal), _) => Err(refusal),
    };
    let mut answer = answer.unwrap_or_else(|refusal| {
        exchange.entry.refusal = Some(refusal.reason);
        refusal.answer(generation)
    });
    if let Some(kind) = exchange.fault() {
        disturb::corrupt(kind, &mut answer);
    }
    exchange.send(answer.into(), &time).await
}

/// The time of a request, and whether it sees the last rotation.
#[derive(Clone, Copy)]
struct Now {
    /// Milliseconds since the Unix epoch.
    millis: i64,
    /// Whether the last rotation is not visible yet.
    stale: bool,
}

/// Answers a request at `now`.
async fn answer(
    app: &Arc<App>,
    call: &Call<'_>,
    parts: &Parts,
    body: &[u8],
    now: Now,
    entry: &mut RecordedRequest,
) -> Result<Answer, Refusal> {
    entry.auth = check::row(&app.accounts, call, parts);
    if app.is_due() {
        blocking(app, |app| app.settle()).await?;
    }
    let view = app.store.view();
    let caller = check::authenticate(&app.accounts, &view, call, entry.auth, parts, now.millis);
    if call.action == Action::ValidateToken && check::has_token(parts) {
        let admitted = caller.and_then(|caller| {
            check::admit(caller.key.as_ref().ok_or(UNKNOWN_KEY)?, entry.auth, entry.peer)
        });
        entry.refusal = admitted.as_ref().err().map(|refusal| refusal.reason);
        return Ok(Answer::success(Generation::Two, json!({ "validated": admitted.is_ok() })));
    }
    let caller = caller?;
    let result = carry_out(app, call, &caller, parts.uri.query(), body, now, entry).await;
    if let Some(key) = &caller.key {
        let result = result
            .as_ref()
            .map_or_else(|refusal| refusal.code(call.generation), |_| "SUCCESS".into());
        let requestor = caller.account.id.clone();
        app.usage.push(
            key.id,
            Activity { time: now.millis, action: call.action, requestor, ip: entry.peer, result },
        );
    }
    Ok(Answer::success(call.generation, result?))
}

/// Carries out the call of an authenticated caller, if it is permitted.
async fn carry_out(
    app: &Arc<App>,
    call: &Call<'_>,
    caller: &check::Caller,
    query: Option<&str>,
    body: &[u8],
    now: Now,
    entry: &mut RecordedRequest,
) -> Result<Value, Refusal> {
    check::admit_account(&caller.account, entry.auth, entry.peer)?;
    if let Some(key) = &caller.key {
        // By the emulator's own clock: a fault that shifts a request's time must not refill a
        // bucket.
        app.throttle.take(call.generation, key.id, app.clock.unix_millis())?;
        check::admit(key, entry.auth, entry.peer)?;
    }
    if entry.auth != AuthRow::RefreshToken {
        caller.account.may(call.action)?;
    }
    if call.tag.is_some() && caller.key.is_none() {
        return Err(UNKNOWN_KEY);
    }
    let Some(key) = caller.key.as_ref().filter(|_| !manage::is_management(call.action)) else {
        let command = Command {
            action: call.action,
            tag: call.tag.unwrap_or_default().to_owned(),
            version: call.version.to_owned(),
            query: query.unwrap_or_default().to_owned(),
            body: body.to_vec(),
        };
        return blocking(app, move |app| manage::carry_out(app, &command)).await;
    };
    key.usable()?;
    let current = if now.stale { key.previous()? } else { key.current()? };
    match call.action {
        Action::Encrypt => cipher::encrypt(current, body, &mut entry.items),
        Action::Decrypt => cipher::decrypt(key, body, &mut entry.items),
        Action::Reencrypt => cipher::reencrypt(key, current, body, &mut entry.items),
        Action::CreateCustomKey => {
            cipher::create_custom_key(current, call.generation, body, &mut entry.items)
        }
        Action::Sign => cipher::sign(current, body, &mut entry.items),
        Action::Verify => cipher::verify(key, body, &mut entry.items),
        Action::PublicKey => cipher::public_key(key, body),
        Action::IssueTokenSet | Action::RenewTokenSet => {
            let request = TokenRequest::parse(body)?;
            let wanted =
                [(TokenType::Refresh, request.refresh()?), (TokenType::Access, request.access()?)];
            let [refresh, access] =
                mint(app, &key.tag, &caller.account.id, wanted, now.millis).await?;
            Ok(json!({ "refreshToken": refresh, "accessToken": access }))
        }
        Action::IssueAccessToken => {
            let wanted = [(TokenType::Access, TokenRequest::parse(body)?.access()?)];
            let [access] = mint(app, &key.tag, &caller.account.id, wanted, now.millis).await?;
            Ok(json!({ "accessToken": access }))
        }
        _ => Err(Refusal::token("no token")),
    }
}

/// Mints tokens off the server's thread, which RSA would block.
async fn mint<const N: usize>(
    app: &Arc<App>,
    tag: &str,
    subject: &str,
    wanted: [(TokenType, Lifetime); N],
    now: i64,
) -> Result<[Value; N], Refusal> {
    let (tag, subject) = (tag.to_owned(), subject.to_owned());
    blocking(app, move |app| {
        if app.store.view().key(&tag).is_some_and(|key| key.generator_id().is_none()) {
            return Err(Refusal::status("key has no token generator"));
        }
        let mut minted = Vec::with_capacity(N);
        for (token_type, lifetime) in wanted {
            minted.push(Value::String(
                app.mint(&tag, &subject, token_type, lifetime, now)?.to_string(),
            ));
        }
        minted.try_into().map_err(|_| Refusal::internal("token generator failed"))
    })
    .await
}

/// Runs `work`, which may block, off the server's thread.
async fn blocking<T: Send + 'static>(
    app: &Arc<App>,
    work: impl FnOnce(&App) -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let app = Arc::clone(app);
    tokio::task::spawn_blocking(move || work(&app))
        .await
        .unwrap_or(Err(Refusal::internal("the emulator failed")))
}
