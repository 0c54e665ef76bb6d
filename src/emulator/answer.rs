//! Every status, code and shape that the emulator answers with.
//!
//! The documentation leaves much of this open. It is all in this file, so that a correction is a
//! change in one place. An answer says what kind of thing is wrong and never which check failed.
//! The reason goes to the record of requests, which only the emulator's owner reads.

use crate::error::{Error, ErrorKind};
use serde_json::{Value, json};

/// The type of every answer's body.
pub(crate) const CONTENT_TYPE: &str = "application/json;charset=UTF-8";

/// Which generation of the API a call used. They wrap answers differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Generation {
    /// API 1.0: `code`, `msg`, `data`.
    One,
    /// API 2.0: `code`, `data`.
    Two,
}

/// Why a call is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) kind: Kind,
    /// For the record of requests; contains nothing that the caller sent.
    pub(crate) reason: &'static str,
}

/// The kinds of refusal, those of the API gateway first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Gateway: account authentication failed.
    AuthenticationFailed,
    /// Gateway: no such path, or not with this method.
    NoSuchRoute,
    /// Gateway: the body is too large.
    EntityTooLarge,
    /// Service: the request is malformed or exceeds a limit.
    InvalidRequest,
    /// Service: the token is missing, not valid, expired, of the wrong type or for another key.
    Unauthorized,
    /// Gateway: the account has no permission at all.
    PermissionDenied,
    /// Gateway: too many calls.
    Throttled,
    /// Service: the caller lacks the permission, or its token may not be used from its address.
    Forbidden,
    /// Service: no such key or key version.
    NotFound,
    /// Service: the sub account may not call from this address.
    AddressDenied,
    /// Service: the key's state does not permit this.
    InvalidStatus,
    /// Service: the key version's state does not permit this.
    InvalidVersion,
    /// Service: the emulator itself failed.
    Internal,
}

impl Refusal {
    pub(crate) const fn new(kind: Kind, reason: &'static str) -> Self {
        Self { kind, reason }
    }

    pub(crate) const fn account(reason: &'static str) -> Self {
        Self::new(Kind::AuthenticationFailed, reason)
    }

    pub(crate) const fn token(reason: &'static str) -> Self {
        Self::new(Kind::Unauthorized, reason)
    }

    pub(crate) const fn request(reason: &'static str) -> Self {
        Self::new(Kind::InvalidRequest, reason)
    }

    pub(crate) const fn status(reason: &'static str) -> Self {
        Self::new(Kind::InvalidStatus, reason)
    }

    pub(crate) const fn internal(reason: &'static str) -> Self {
        Self::new(Kind::Internal, reason)
    }

    /// The answer's code; the gateway's codes are numbers.
    pub(crate) fn code(self, generation: Generation) -> String {
        let body = self.answer(generation).body;
        let code = body.get("code").or_else(|| body.get("error")?.get("errorCode"));
        code.and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    pub(crate) fn answer(self, generation: Generation) -> Answer {
        let older = generation == Generation::One;
        let (status, code, message) = match self.kind {
            Kind::AuthenticationFailed => {
                return gateway(
                    401,
                    "200",
                    "Authentication Failed",
                    "Invalid authentication information.",
                );
            }
            Kind::NoSuchRoute => {
                return gateway(404, "300", "Not Found Exception", "URL not found.");
            }
            Kind::EntityTooLarge => {
                return gateway(
                    413,
                    "430",
                    "Request Entity Too Large",
                    "Request body is too large.",
                );
            }
            Kind::InvalidRequest => (400, "INVALID_REQUEST", "Invalid request"),
            Kind::Unauthorized => (401, "UNAUTHORIZED", "Unauthorized"),
            // API 1.0 has two codes each for missing permission and for an invalid state, and it
            // has no tokens.
            Kind::AddressDenied if older => (401, "UNAUTHORIZED", "Unauthorized"),
            Kind::InvalidVersion if older => (422, "UNPROCESSABLE_ENTITY", "Invalid status"),
            Kind::PermissionDenied => {
                return gateway(401, "210", "Permission Denied", "Permission denied.");
            }
            Kind::Throttled => {
                return gateway(429, "410", "Throttle Limited", "Too many requests.");
            }
            Kind::Forbidden | Kind::AddressDenied => (403, "FORBIDDEN", "Forbidden"),
            Kind::NotFound => (404, "NOT_FOUND", "Not found"),
            Kind::InvalidStatus | Kind::InvalidVersion => (400, "INVALID_STATUS", "Invalid status"),
            Kind::Internal => (500, "INTERNAL_SERVER_ERROR", "Server internal error"),
        };
        Answer { status, body: json!({ "code": code, "msg": message, "data": null }) }
    }
}

/// The error that the emulator's owner gets when a rule of the service forbids a change.
impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let kind = match refusal.kind {
            Kind::NotFound | Kind::InvalidStatus | Kind::InvalidVersion => ErrorKind::KeyUnusable,
            Kind::InvalidRequest => ErrorKind::InvalidInput,
            _ => ErrorKind::Internal,
        };
        Self::new(kind, refusal.reason)
    }
}

/// The refusal that a caller gets when the emulator cannot save its state.
impl From<Error> for Refusal {
    fn from(_: Error) -> Self {
        Self::internal("the emulator's state cannot be changed")
    }
}

/// A status and a JSON body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn success(generation: Generation, data: Value) -> Self {
        let mut body = serde_json::Map::with_capacity(3);
        body.insert("code".into(), Value::String("SUCCESS".into()));
        if generation == Generation::One {
            body.insert("msg".into(), Value::String(String::new()));
        }
        body.insert("data".into(), data);
        Self { status: 200, body: Value::Object(body) }
    }

    /// The service's answer with a fault's status. For 429 no code is documented.
    pub(crate) fn service_fault(status: u16) -> Self {
        let (code, message) = match status {
            400 => ("INVALID_REQUEST", "Invalid request"),
            401 => ("UNAUTHORIZED", "Unauthorized"),
            403 => ("FORBIDDEN", "Forbidden"),
            404 => ("NOT_FOUND", "Not found"),
            409 => ("INVALID_STATUS", "Invalid status"),
            422 => ("UNPROCESSABLE_ENTITY", "Invalid status"),
            429 => ("TOO_MANY_REQUESTS", "Too many requests"),
            _ => ("INTERNAL_SERVER_ERROR", "Server internal error"),
        };
        Self { status, body: json!({ "code": code, "msg": message, "data": null }) }
    }

    /// The gateway's answer with a fault's status.
    pub(crate) fn gateway_fault(status: u16) -> Self {
        let (code, message) = match status {
            400 => ("100", "Bad Request Exception"),
            401 => ("200", "Authentication Failed"),
            403 => ("230", "Forbidden"),
            404 => ("300", "Not Found Exception"),
            413 => ("430", "Request Entity Too Large"),
            429 => ("410", "Throttle Limited"),
            503 => ("500", "Endpoint Error"),
            504 => ("510", "Endpoint Timeout"),
            _ => ("900", "Unexpected Error"),
        };
        gateway(status, code, message, "A fault was injected.")
    }
}

fn gateway(status: u16, code: &str, message: &str, details: &str) -> Answer {
    Answer {
        status,
        body: json!({ "error": { "errorCode": code, "message": message, "details": details } }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_those_of_the_two_layers() {
        let gateway = Refusal::account("signature differs").answer(Generation::Two);
        assert_eq!(gateway.status, 401);
        assert_eq!(gateway.body["error"]["errorCode"], "200");
        assert!(!gateway.body.to_string().contains("differs"));

        let service = Refusal::token("expired").answer(Generation::Two);
        assert_eq!((service.status, service.body["code"].as_str()), (401, Some("UNAUTHORIZED")));
        assert_eq!(service.body["msg"], "Unauthorized");
    }

    /// The table that is published for API 1.0, each code with its message.
    #[test]
    fn the_older_interface_answers_with_every_code_of_its_table() {
        let table = [
            ("FORBIDDEN", "Forbidden", Kind::Forbidden),
            ("INTERNAL_SERVER_ERROR", "Server internal error", Kind::Internal),
            ("UNPROCESSABLE_ENTITY", "Invalid status", Kind::InvalidVersion),
            ("INVALID_REQUEST", "Invalid request", Kind::InvalidRequest),
            ("UNAUTHORIZED", "Unauthorized", Kind::AddressDenied),
            ("NOT_FOUND", "Not found", Kind::NotFound),
            ("INVALID_STATUS", "Invalid status", Kind::InvalidStatus),
        ];
        for (code, message, kind) in table {
            let answer = Refusal::new(kind, "reason").answer(Generation::One);
            assert_eq!(answer.body, json!({ "code": code, "msg": message, "data": null }));
            assert_eq!(Refusal::new(kind, "reason").code(Generation::One), code);
        }
    }

    #[test]
    fn only_the_older_interface_has_a_message_on_success() {
        assert_eq!(
            Answer::success(Generation::One, Value::Null).body,
            json!({ "code": "SUCCESS", "msg": "", "data": null })
        );
        assert_eq!(
            Answer::success(Generation::Two, Value::Null).body,
            json!({ "code": "SUCCESS", "data": null })
        );
    }
}
