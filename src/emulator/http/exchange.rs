//! One request and its answer, with the effect of faults on both, for either service.

use crate::emulator::answer::Refusal;
use crate::emulator::clock::EmulatorClock;
use crate::emulator::date;
use crate::emulator::faults::fault::FaultKind;
use crate::emulator::faults::injected::Plan;
use crate::emulator::http::disturb::Reply;
use crate::emulator::http::peer::Peer;
use crate::emulator::http::{body, disturb};
use crate::emulator::state::record::{AuthRow, Record, RecordedRequest};
use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::Response;

/// A received request, until it is answered and recorded.
pub(crate) struct Exchange<'a> {
    record: &'a Record,
    peer: Peer,
    plan: Plan,
    pub(crate) entry: RecordedRequest,
}

/// The time by which a request is judged and its answer dated.
pub(crate) struct Time {
    /// Milliseconds since the Unix epoch.
    pub(crate) millis: i64,
    /// From the emulator's clock, so that clients can measure the skew of their own.
    date: HeaderValue,
}

impl<'a> Exchange<'a> {
    pub(crate) fn new(
        record: &'a Record,
        peer: Peer,
        plan: Plan,
        parts: &Parts,
        action: Option<&'static str>,
    ) -> Self {
        let entry = RecordedRequest {
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            peer: peer.ip,
            action,
            auth: AuthRow::None,
            status: 0,
            items: 0,
            refusal: None,
            fault: plan.name,
        };
        Self { record, peer, plan, entry }
    }

    /// The fault that this request meets, other than latency and clock shift.
    pub(crate) fn fault(&self) -> Option<&FaultKind> {
        self.plan.kind.as_ref()
    }

    /// Reads the request's body and determines its time. An `Err` is the whole answer, where a
    /// fault keeps the request from being judged.
    pub(crate) async fn receive(
        &mut self,
        body: Body,
        clock: &EmulatorClock,
    ) -> Result<(Result<Vec<u8>, Refusal>, Time), Response> {
        if matches!(self.fault(), Some(FaultKind::ResetBefore | FaultKind::Refused)) {
            self.note();
            self.peer.reset();
            return Err(disturb::nothing());
        }
        // The body is read before the request is judged, so that a refusal never cuts off a peer
        // that is still writing.
        let body = body::read(body).await;
        if !self.plan.latency.is_zero() {
            // Skipped for zero: a timer costs a millisecond even then.
            tokio::time::sleep(self.plan.latency).await;
        }
        let millis = clock.unix_millis().saturating_add(self.plan.shift);
        let time = Time { millis, date: date::http(millis) };
        match self.fault() {
            Some(FaultKind::Silent) => {
                self.note();
                // Until the peer closes the connection or the server stops.
                std::future::pending().await
            }
            fault => match fault.and_then(disturb::replacement) {
                Some(response) => {
                    self.entry.status = response.status().as_u16();
                    self.note();
                    Err(dated(response, &time))
                }
                None => Ok((body, time)),
            },
        }
    }

    /// Records the request and sends the answer, as changed by a fault.
    pub(crate) async fn send(mut self, reply: Reply, time: &Time) -> Response {
        self.entry.status = reply.status;
        self.note();
        let response = match self.fault() {
            None => reply.into_response(),
            Some(FaultKind::ResetAfter) => {
                self.peer.reset();
                disturb::nothing()
            }
            Some(kind) => disturb::send(kind, &self.peer, reply, &time.date)
                .await
                .unwrap_or_else(disturb::nothing),
        };
        dated(response, time)
    }

    fn note(&self) {
        self.record.push(self.entry.clone());
    }
}

fn dated(mut response: Response, time: &Time) -> Response {
    response.headers_mut().insert(header::DATE, time.date.clone());
    response
}
