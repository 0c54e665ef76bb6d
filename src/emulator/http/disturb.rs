//! The effect of faults on answers.

use crate::emulator::answer::{Answer, CONTENT_TYPE};
use crate::emulator::faults::fault::{FaultKind, FaultShape};
use crate::emulator::http::peer::Peer;
use crate::emulator::random;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use std::io;
use std::time::Duration;

/// Number of pieces of a slow answer.
const PIECES: usize = 8;
const PAGE: &str =
    "<html><head><title>Oops</title></head><body>Something went wrong.</body></html>";

/// An answer before it is sent.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) body: Vec<u8>,
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        let body = answer.body.to_string().into_bytes();
        Self { status: answer.status, content_type: CONTENT_TYPE, body }
    }
}

impl Reply {
    pub(crate) fn into_response(self) -> Response {
        let content_type = HeaderValue::from_static(self.content_type);
        plain(self.status, content_type, self.body.into())
    }
}

/// The answer of a fault that keeps the request from being carried out.
pub(crate) fn replacement(kind: &FaultKind) -> Option<Response> {
    match kind {
        FaultKind::Status { status, shape, retry_after } => {
            let mut response = match shape {
                FaultShape::Service => Reply::from(Answer::service_fault(*status)).into_response(),
                FaultShape::Gateway => Reply::from(Answer::gateway_fault(*status)).into_response(),
                FaultShape::Html => page(*status),
            };
            if let Some(seconds) = retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(*seconds));
            }
            Some(response)
        }
        FaultKind::Redirect(location) => {
            let mut response = page(307);
            response.headers_mut().insert(header::LOCATION, HeaderValue::from_str(location).ok()?);
            Some(response)
        }
        _ => None,
    }
}

/// Changes the content of an answer.
pub(crate) fn corrupt(kind: &FaultKind, answer: &mut Answer) {
    let Some(data) = answer.body.get_mut("data") else { return };
    match kind {
        FaultKind::MissingField => *data = Value::Object(Map::new()),
        FaultKind::BrokenBase64 => each_text(data, &mut |text| {
            text.pop();
            text.push('!');
        }),
        FaultKind::OtherPlaintext => {
            if let Some(plaintext) = data.get_mut("plaintext") {
                each_text(plaintext, &mut |text| {
                    let len = STANDARD.decode(&*text).map_or(0, |bytes| bytes.len());
                    // Without random bytes the text is emptied, which is another plaintext as well.
                    *text = random::bytes(len)
                        .map(|other| STANDARD.encode(&*other))
                        .unwrap_or_default();
                });
            }
        }
        _ => {}
    }
}

/// Sends an answer in a way that the HTTP library would not. Returns the response that the library
/// should send, if any.
pub(crate) async fn send(
    kind: &FaultKind,
    peer: &Peer,
    reply: Reply,
    date: &HeaderValue,
) -> Option<Response> {
    let body = &reply.body;
    let head = |len| head(&reply, len, date);
    let sent = match kind {
        FaultKind::NotJson => return Some(page(200)),
        FaultKind::SlowHeader(pause) => {
            slowly(peer, &head(body.len()), *pause, body, Duration::ZERO).await
        }
        FaultKind::SlowBody(pause) => {
            slowly(peer, &head(body.len()), Duration::ZERO, body, *pause).await
        }
        FaultKind::CutBody => {
            let half = &body[..body.len() / 2];
            slowly(peer, &head(body.len()), Duration::ZERO, half, Duration::ZERO).await
        }
        FaultKind::WrongLength => {
            let announced = body.len().saturating_sub(7);
            slowly(peer, &head(announced), Duration::ZERO, body, Duration::ZERO).await
        }
        _ => return Some(reply.into_response()),
    };
    // A peer that closed the connection during a slow answer gets no more of it.
    drop(sent);
    peer.end().await;
    None
}

/// A response that is never sent, because its connection is lost.
pub(crate) fn nothing() -> Response {
    Response::new(Body::empty())
}

async fn slowly(
    peer: &Peer,
    head: &[u8],
    head_pause: Duration,
    body: &[u8],
    body_pause: Duration,
) -> io::Result<()> {
    for (part, pause) in [(head, head_pause), (body, body_pause)] {
        if pause.is_zero() {
            peer.write(part).await?;
            continue;
        }
        for piece in part.chunks(part.len().div_ceil(PIECES).max(1)) {
            tokio::time::sleep(pause).await;
            peer.write(piece).await?;
        }
    }
    Ok(())
}

fn head(reply: &Reply, len: usize, date: &HeaderValue) -> Vec<u8> {
    let Reply { status, content_type, .. } = reply;
    let reason = StatusCode::from_u16(*status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("Unknown");
    let date = date.to_str().unwrap_or_default();
    format!(
        "HTTP/1.1 {status} {reason}\r\ncontent-type: {content_type}\r\ncontent-length: \
         {len}\r\nconnection: close\r\ndate: {date}\r\n\r\n"
    )
    .into_bytes()
}

fn page(status: u16) -> Response {
    plain(status, HeaderValue::from_static("text/html"), PAGE.into())
}

fn plain(status: u16, content_type: HeaderValue, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

fn each_text(value: &mut Value, change: &mut dyn FnMut(&mut String)) {
    match value {
        Value::String(text) => change(text),
        Value::Array(values) => values.iter_mut().for_each(|value| each_text(value, change)),
        Value::Object(fields) => fields.values_mut().for_each(|value| each_text(value, change)),
        _ => {}
    }
}
