//! The metadata service's port: plain HTTP, as on a server.
//!
//! No public documentation was found. The paths and fields are those that the vendor's SDK and
//! public scripts use; the rest follows the metadata services of other clouds.

use crate::emulator::action::{METADATA_KEYS, METADATA_ROLES, METADATA_TOKEN};
use crate::emulator::answer::Refusal;
use crate::emulator::app::App;
use crate::emulator::date;
use crate::emulator::faults::fault::FaultKind;
use crate::emulator::faults::injected::Asked;
use crate::emulator::http::disturb::Reply;
use crate::emulator::http::exchange::Exchange;
use crate::emulator::http::peer::Peer;
use crate::emulator::metadata::{Issuer, Keys, MAX_TTL};
use crate::emulator::text;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::json;
use std::sync::Arc;

const TOKEN: &str = "x-ncp-metadata-token";
const TTL: &str = "x-ncp-metadata-token-ttl-seconds";
const CREDENTIALS: &str = "/latest/meta-data/iam/security-credentials/";

/// A status, and the reason for the record.
type Refused = (u16, &'static str);

/// The call of a request.
#[derive(Clone, Copy)]
enum Wanted<'a> {
    Token,
    Roles,
    Keys(&'a str),
}

pub(crate) async fn serve(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let wanted = Wanted::parse(parts.method.as_str(), parts.uri.path());
    let action = wanted.ok().map(Wanted::name);
    let plan = app.faults.plan(Asked { action, key: None });
    let mut exchange = Exchange::new(&app.metadata_record, peer, plan, &parts, action);
    let time = match exchange.receive(body, &app.clock).await {
        // No call takes a body, so it is ignored.
        Ok((_, time)) => time,
        Err(response) => return response,
    };
    let reply = match (&app.metadata, wanted) {
        (Some(issuer), Ok(wanted)) => {
            answer(&app, issuer, wanted, &parts.headers, time.millis, exchange.fault())
        }
        (None, _) => Err((404, "there is no metadata service")),
        (_, Err(refused)) => Err(refused),
    };
    let reply = reply.unwrap_or_else(|(status, reason)| {
        exchange.entry.refusal = Some(reason);
        plain(status, String::new())
    });
    exchange.send(reply, &time).await
}

impl<'a> Wanted<'a> {
    fn parse(method: &str, path: &'a str) -> Result<Self, Refused> {
        let (wanted, expected) = match path.strip_prefix(CREDENTIALS) {
            _ if path == "/latest/api/token" => (Self::Token, "PUT"),
            Some("") => (Self::Roles, "GET"),
            Some(role) => (Self::Keys(role), "GET"),
            None => return Err((404, "no such path")),
        };
        if method == expected { Ok(wanted) } else { Err((405, "not with this method")) }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Token => METADATA_TOKEN,
            Self::Roles => METADATA_ROLES,
            Self::Keys(_) => METADATA_KEYS,
        }
    }
}

fn answer(
    app: &App,
    issuer: &Issuer,
    wanted: Wanted<'_>,
    headers: &HeaderMap,
    now: i64,
    fault: Option<&FaultKind>,
) -> Result<Reply, Refused> {
    if let Wanted::Token = wanted {
        if !issuer.has_tokens() {
            return Err((405, "version 1 has no tokens"));
        }
        let ttl = text::header(headers, TTL).and_then(text::number);
        let ttl = ttl.filter(|ttl| (1..=MAX_TTL).contains(ttl));
        let ttl = ttl.ok_or((400, "a token's lifetime is 1 to 21600 seconds, in its header"))?;
        return Ok(plain(200, issuer.token(ttl, now).map_err(failed)?.to_string()));
    }
    let token = match headers.contains_key(TOKEN) {
        // A token that is not plain text cannot be valid.
        true => Some(text::header(headers, TOKEN).unwrap_or_default()),
        false => None,
    };
    if !issuer.accepts(token, now) {
        return Err((401, "the token is missing, unknown or expired"));
    }
    let Wanted::Keys(role) = wanted else {
        let roles: Vec<_> = issuer.roles().collect();
        return match roles.is_empty() {
            true => Err((404, "the server has no role")),
            false => Ok(plain(200, roles.join("\n"))),
        };
    };
    let keys = issuer.keys(role, &app.accounts, now).ok_or((404, "there is no such role"))?;
    Ok(shown(&keys.map_err(failed)?, fault))
}

fn shown(keys: &Keys, fault: Option<&FaultKind>) -> Reply {
    let mut shown = match fault {
        Some(FaultKind::Code(code)) => json!({
            "Code": code, "LastUpdated": date::rfc3339(keys.issued),
            "Message": "a fault was injected",
        }),
        _ => json!({
            "Code": "Success", "LastUpdated": date::rfc3339(keys.issued), "Type": "NCP-HMAC",
            "AccessKeyId": keys.access_key, "SecretAccessKey": *keys.secret_key, "Token": "",
            "Expiration": date::rfc3339(keys.expires),
        }),
    };
    if let (Some(FaultKind::MissingField), Some(fields)) = (fault, shown.as_object_mut()) {
        fields.remove("SecretAccessKey");
    }
    Reply { status: 200, content_type: "application/json", body: shown.to_string().into_bytes() }
}

fn plain(status: u16, text: String) -> Reply {
    Reply { status, content_type: "text/plain", body: text.into_bytes() }
}

fn failed(refusal: Refusal) -> Refused {
    (500, refusal.reason)
}
