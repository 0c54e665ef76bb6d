//! The admin port: faults, latency, clock, record and reset for programs outside the process. JSON
//! over plain HTTP, on loopback only.
//!
//! It needs no credential, so it must refuse web pages: a request that a browser makes for one
//! carries an `Origin`, or a `Host` that is not a loopback address.

use crate::emulator::app::App;
use crate::emulator::faults::fault::{Fault, FaultId, FaultKind, FaultShape};
use crate::emulator::http::body;
use crate::emulator::state::record::{Record, RecordedRequest};
use crate::emulator::text;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// A fault in JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct FaultRequest {
    kind: String,
    #[serde(default)]
    status: Option<u16>,
    #[serde(default)]
    shape: Option<Shape>,
    #[serde(default)]
    retry_after: Option<u64>,
    #[serde(default)]
    location: Option<String>,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    millis: Option<i64>,
    #[serde(default)]
    action: Option<String>,
    #[serde(default)]
    key: Option<String>,
    #[serde(default)]
    times: Option<u64>,
    #[serde(default)]
    probability: Option<f64>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Shape {
    Service,
    Gateway,
    Html,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Millis {
    millis: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Now {
    now: i64,
}

/// Why a request of the admin port fails: status and message.
type Failure = (StatusCode, String);

pub(crate) async fn serve(State(app): State<Arc<App>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let result = match (is_local(&parts.headers), body::read(body).await) {
        (false, _) => Err((StatusCode::FORBIDDEN, "not for web pages".to_owned())),
        (_, Err(refusal)) => Err((StatusCode::BAD_REQUEST, refusal.reason.to_owned())),
        (true, Ok(body)) => answer(&app, parts.method.as_str(), parts.uri.path(), &body).await,
    };
    let (status, body) = match result {
        Ok(body) => (StatusCode::OK, body),
        Err((status, message)) => (status, json!({ "error": message })),
    };
    let mut response = (status, body.to_string()).into_response();
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

async fn answer(app: &App, method: &str, path: &str, body: &[u8]) -> Result<Value, Failure> {
    match (method, path) {
        ("GET", "/faults") => {
            Ok(app.faults.list().iter().map(|(id, fault)| shown(*id, fault)).collect())
        }
        ("POST", "/faults") => {
            let fault = parse::<FaultRequest>(body)?.into_fault()?;
            let id = app.faults.inject(fault).await.map_err(|error| bad(error.to_string()))?;
            Ok(json!({ "id": id.0 }))
        }
        ("DELETE", "/faults") => {
            app.faults.clear(None).await;
            Ok(json!({}))
        }
        ("PUT", "/latency") => {
            app.faults.set_latency(duration(parse::<Millis>(body)?.millis)?);
            Ok(json!({}))
        }
        ("GET", "/health") => Ok(json!({ "status": "ok" })),
        ("POST", "/reset") => {
            let keys = app.reset().await.map_err(|error| bad(error.to_string()))?;
            Ok(json!({ "keys": if keys { "reset" } else { "kept" } }))
        }
        ("GET", "/clock") => Ok(json!({ "now": app.clock.unix_millis() })),
        ("PUT", "/clock") => {
            app.clock.set_millis(parse::<Now>(body)?.now);
            Ok(json!({ "now": app.clock.unix_millis() }))
        }
        ("POST", "/clock") => {
            let millis = parse::<Millis>(body)?.millis;
            let by = Duration::from_millis(millis.unsigned_abs());
            if millis < 0 {
                app.clock.rewind(by)
            } else {
                app.clock.advance(by)
            }
            Ok(json!({ "now": app.clock.unix_millis() }))
        }
        ("GET", "/requests") => Ok(listed(&app.record)),
        ("GET", "/metadata-requests") => Ok(listed(&app.metadata_record)),
        _ => {
            let id = path
                .strip_prefix("/faults/")
                .and_then(text::number)
                .and_then(|id| u64::try_from(id).ok());
            match id.filter(|_| method == "DELETE") {
                Some(id) if app.faults.clear(Some(FaultId(id))).await => Ok(json!({})),
                _ => Err((StatusCode::NOT_FOUND, "no such call or fault".into())),
            }
        }
    }
}

impl FaultRequest {
    fn into_fault(self) -> Result<Fault, Failure> {
        let pause = || duration(self.millis.unwrap_or(100));
        let kind = match self.kind.as_str() {
            "refused" => FaultKind::Refused,
            "reset-before" => FaultKind::ResetBefore,
            "reset-after" => FaultKind::ResetAfter,
            "silent" => FaultKind::Silent,
            "slow-header" => FaultKind::SlowHeader(pause()?),
            "slow-body" => FaultKind::SlowBody(pause()?),
            "cut-body" => FaultKind::CutBody,
            "wrong-length" => FaultKind::WrongLength,
            "not-json" => FaultKind::NotJson,
            "missing-field" => FaultKind::MissingField,
            "broken-base64" => FaultKind::BrokenBase64,
            "other-plaintext" => FaultKind::OtherPlaintext,
            "stale-version" => FaultKind::StaleVersion,
            "status" => FaultKind::Status {
                status: self.status.ok_or_else(|| bad("status is missing"))?,
                shape: match self.shape {
                    None | Some(Shape::Service) => FaultShape::Service,
                    Some(Shape::Gateway) => FaultShape::Gateway,
                    Some(Shape::Html) => FaultShape::Html,
                },
                retry_after: self.retry_after,
            },
            "redirect" => FaultKind::Redirect(
                self.location.clone().ok_or_else(|| bad("location is missing"))?,
            ),
            "clock-shift" => {
                FaultKind::ClockShift(self.millis.ok_or_else(|| bad("millis is missing"))?)
            }
            "latency" => FaultKind::Latency(pause()?),
            "code" => FaultKind::Code(self.code.clone().ok_or_else(|| bad("code is missing"))?),
            _ => return Err(bad("no such kind of fault")),
        };
        let (action, key, times, probability) =
            (self.action, self.key, self.times, self.probability.unwrap_or(1.0));
        Ok(Fault { kind, action, key, times, probability })
    }
}

fn listed(record: &Record) -> Value {
    let shown = |request: &RecordedRequest| {
        json!({
            "method": request.method, "path": request.path, "peer": request.peer.to_string(),
            "action": request.action, "auth": format!("{:?}", request.auth),
            "status": request.status, "items": request.items, "refusal": request.refusal,
            "fault": request.fault,
        })
    };
    record.requests().iter().map(shown).collect()
}

fn shown(id: FaultId, fault: &Fault) -> Value {
    json!({
        "id": id.0, "kind": fault.kind.name(), "action": fault.action, "key": fault.key,
        "times": fault.times,
        "probability": fault.probability,
    })
}

/// Whether the request names this machine and does not come from a web page.
fn is_local(headers: &HeaderMap) -> bool {
    let host = text::header(headers, "host").is_some_and(|host| {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        let loopback = |ip: IpAddr| ip.is_loopback();
        name == "localhost"
            || name.parse().is_ok_and(loopback)
            || host.parse().is_ok_and(|addr: SocketAddr| addr.ip().is_loopback())
    });
    host && !headers.contains_key(header::ORIGIN)
}

fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|error| bad(error.to_string()))
}

fn duration(millis: i64) -> Result<Duration, Failure> {
    u64::try_from(millis).map(Duration::from_millis).map_err(|_| bad("millis must not be negative"))
}

fn bad(message: impl Into<String>) -> Failure {
    (StatusCode::BAD_REQUEST, message.into())
}
