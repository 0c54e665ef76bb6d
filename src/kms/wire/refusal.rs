//! How the service, its gateway or a proxy on the way refuses a call, and what that means.

use crate::error::ErrorKind;
use serde_json::Value;

/// Longest part of an answer's message that is looked at, and that is shown, in characters.
const READ: usize = 4_096;
const SHOWN: usize = 200;
/// Runs of base64 characters of this length are taken for a token, signature or ciphertext.
const OPAQUE: usize = 32;
/// Runs of this length are hidden if they were part of the request.
const ECHO: usize = 8;

/// A refusal, whatever its shape was.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The service's code: a name from the service itself, a number from the gateway.
    pub(crate) code: Option<String>,
    /// The service's message, not yet fit to be shown.
    pub(crate) message: Option<String>,
    /// Whether it has the form of the gateway's errors.
    pub(crate) of_gateway: bool,
}

/// What a refusal means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Meaning {
    pub(crate) kind: ErrorKind,
    /// Whether the same call may succeed a little later.
    pub(crate) transient: bool,
}

impl Refusal {
    /// Reads all shapes seen: the service's `code` and `msg`; the gateway's `error` with
    /// `errorCode` as string or number; `responseError`; a bare `errorCode`; Spring's `error` that
    /// is a phrase; and nothing of use, as in HTML or an empty body.
    ///
    /// Uncertain: whether API 2.0 calls its text `msg` or `message`; both are read.
    pub(crate) fn read(body: &[u8]) -> Self {
        let Ok(Value::Object(top)) = serde_json::from_slice(body) else {
            return Self::default();
        };
        let inner = |name| top.get(name).and_then(Value::as_object);
        let (error, response) = (inner("error"), inner("responseError"));
        let code = [
            top.get("code"),
            error.and_then(|error| error.get("errorCode").or_else(|| error.get("code"))),
            response.and_then(|error| error.get("returnCode")),
            top.get("errorCode"),
        ];
        let message = [
            top.get("msg"),
            top.get("message"),
            error.and_then(|error| error.get("message")),
            response.and_then(|error| error.get("returnMessage")),
            top.get("error"),
        ];
        Self {
            code: code.into_iter().flatten().find_map(text),
            message: message.into_iter().flatten().find_map(text),
            of_gateway: top.get("code").is_none_or(Value::is_null)
                && error.is_some_and(|error| error.get("errorCode").and_then(text).is_some()),
        }
    }

    /// Whether this may be the refusal of a timestamp that is minutes off.
    ///
    /// The service documents that such a timestamp is refused, but not how. So it is what the
    /// gateway, which checks signatures, says about a request or a caller that it does not accept,
    /// or the service's one code for such callers. Nothing else on the way may correct the clock: a
    /// page of a proxy has a date too.
    pub(crate) fn may_be_the_timestamp(&self, status: u16) -> bool {
        match self.code.as_deref().unwrap_or_default() {
            "100" => status == 400 && self.of_gateway,
            "200" => status == 401 && self.of_gateway,
            "UNAUTHORIZED" => status == 401,
            _ => false,
        }
    }

    /// The one table of what refusals mean.
    ///
    /// The service's own codes are documented without their HTTP statuses, so they count whatever
    /// the status is; the gateway's numbers mean something together with their status only (400 is
    /// "quota exceeded" under status 429).
    pub(crate) fn meaning(&self, status: u16) -> Meaning {
        use ErrorKind::{
            AccessDenied, Credentials, InvalidInput, KeyUnusable, LimitExceeded, Throttled,
            Unavailable,
        };
        let lasting = |kind| Meaning { kind, transient: false };
        let transient = |kind| Meaning { kind, transient: true };
        match (status, self.code.as_deref().unwrap_or_default()) {
            (_, "INVALID_REQUEST") => lasting(InvalidInput),
            (_, "UNAUTHORIZED") => lasting(Credentials),
            (_, "FORBIDDEN") => lasting(AccessDenied),
            (_, "NOT_FOUND" | "INVALID_STATUS" | "UNPROCESSABLE_ENTITY") => lasting(KeyUnusable),
            (_, "INTERNAL_SERVER_ERROR") => transient(Unavailable),
            // The gateway authenticated the caller and knows of no permission; its other 401, code
            // 200, is a failed authentication.
            (401, "210") => lasting(AccessDenied),
            (401, _) => lasting(Credentials),
            (403, _) => lasting(AccessDenied),
            (404 | 409 | 410 | 422, _) => lasting(KeyUnusable),
            (413, _) => lasting(LimitExceeded),
            (429, _) => transient(Throttled),
            (408 | 500 | 502 | 503 | 504, _) => transient(Unavailable),
            (400..=499, _) => lasting(InvalidInput),
            // A 2xx without a success in it, a redirect, other server errors.
            _ => lasting(Unavailable),
        }
    }

    /// The code, for programs; none if a part of it would not be shown.
    pub(crate) fn shown_code(&self, sent: &[u8], redact: impl Fn(&str) -> String) -> Option<&str> {
        let code = self.code.as_deref()?;
        (fit_to_show(code, sent, &redact) == code).then_some(code)
    }

    /// Code and message as the end of an error's one line, or nothing.
    ///
    /// `redact` hides the client's credentials. What looks like a token, signature or ciphertext is
    /// hidden as well, and so is everything that was in the body `sent`: a service that echoes its
    /// input must not bring a secret into a log.
    pub(crate) fn shown(&self, sent: &[u8], redact: impl Fn(&str) -> String) -> String {
        let clean = |text: &str| fit_to_show(text, sent, &redact);
        let code = self.code.as_deref().map(clean).filter(|code| !code.is_empty());
        let message = self.message.as_deref().map(clean).filter(|message| !message.is_empty());
        let code = code.map(|code| format!(", code {code}")).unwrap_or_default();
        let message = message.map(|message| format!(": {message}")).unwrap_or_default();
        code + &message
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.trim().is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn fit_to_show(text: &str, sent: &[u8], redact: &impl Fn(&str) -> String) -> String {
    let text: String =
        text.chars().take(READ).map(|c| if is_unprintable(c) { ' ' } else { c }).collect();
    let text = redact(&text);
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c| !is_base64(c)).unwrap_or(rest.len());
        let (run, tail) = rest.split_at(if end == 0 { first.len_utf8() } else { end });
        out.push_str(if is_opaque(run, sent) { "[...]" } else { run });
        rest = tail;
    }
    let words: Vec<&str> = out.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

fn is_opaque(run: &str, sent: &[u8]) -> bool {
    // Names of fields are no secret, and the service's messages are about them.
    let name = matches!(run, "plaintext" | "ciphertext" | "context");
    run.len() >= OPAQUE
        || (run.len() >= ECHO
            && !name
            && sent.windows(run.len()).any(|window| window == run.as_bytes()))
}

fn is_base64(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '-' | '_')
}

/// Control characters, and those that change the direction or width of what a terminal shows.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                    | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use ErrorKind::{
        AccessDenied, Credentials, InvalidInput, KeyUnusable, LimitExceeded, Throttled, Unavailable,
    };

    #[test]
    fn every_shape_gives_code_and_message() {
        for (body, code, message) in [
            (r#"{"code":"NOT_FOUND","msg":"Not found","data":null}"#, "NOT_FOUND", "Not found"),
            (r#"{"code":"NOT_FOUND","message":"Not found"}"#, "NOT_FOUND", "Not found"),
            (r#"{"code":"NOT_FOUND","msg":"","message":"Not found"}"#, "NOT_FOUND", "Not found"),
            (
                r#"{"error":{"errorCode":"210","message":"Permission Denied","details":"x"}}"#,
                "210",
                "Permission Denied",
            ),
            (
                r#"{"error":{"errorCode":210,"message":"Permission Denied","details":null}}"#,
                "210",
                "Permission Denied",
            ),
            (r#"{"error":{"code":"X","message":"y"}}"#, "X", "y"),
            (r#"{"responseError":{"returnCode":"800","returnMessage":"no"}}"#, "800", "no"),
            (r#"{"errorCode":9014,"message":"no"}"#, "9014", "no"),
            (r#"{"timestamp":"t","status":401,"error":"Unauthorized","message":"no"}"#, "", "no"),
            (r#"{"timestamp":"t","status":401,"error":"Unauthorized"}"#, "", "Unauthorized"),
            (r#"{"code":null,"msg":null}"#, "", ""),
            (r#"{"code":{},"msg":[]}"#, "", ""),
            ("[]", "", ""),
            ("", "", ""),
            ("<html>canary</html>", "", ""),
            ("\u{0}\u{ff}", "", ""),
        ] {
            let refusal = Refusal::read(body.as_bytes());
            let got = (
                refusal.code.as_deref().unwrap_or_default(),
                refusal.message.as_deref().unwrap_or_default(),
            );
            assert_eq!(got, (code, message), "{body}");
        }
    }

    #[test]
    fn the_table_of_meanings() {
        for (status, code, kind, transient) in [
            (400, "INVALID_REQUEST", InvalidInput, false),
            (401, "UNAUTHORIZED", Credentials, false),
            (400, "UNAUTHORIZED", Credentials, false),
            (403, "FORBIDDEN", AccessDenied, false),
            (401, "FORBIDDEN", AccessDenied, false),
            (404, "NOT_FOUND", KeyUnusable, false),
            (400, "INVALID_STATUS", KeyUnusable, false),
            (422, "UNPROCESSABLE_ENTITY", KeyUnusable, false),
            (500, "INTERNAL_SERVER_ERROR", Unavailable, true),
            (200, "NOT_FOUND", KeyUnusable, false),
            (200, "INTERNAL_SERVER_ERROR", Unavailable, true),
            (200, "SOMETHING_NEW", Unavailable, false),
            (400, "100", InvalidInput, false),
            (401, "200", Credentials, false),
            (401, "210", AccessDenied, false),
            (403, "230", AccessDenied, false),
            (404, "300", KeyUnusable, false),
            (413, "430", LimitExceeded, false),
            (429, "400", Throttled, true),
            (429, "410", Throttled, true),
            (429, "420", Throttled, true),
            (500, "900", Unavailable, true),
            (503, "500", Unavailable, true),
            (504, "510", Unavailable, true),
            (301, "", Unavailable, false),
            (307, "", Unavailable, false),
            (400, "", InvalidInput, false),
            (401, "", Credentials, false),
            (403, "", AccessDenied, false),
            (408, "", Unavailable, true),
            (418, "", InvalidInput, false),
            (422, "", KeyUnusable, false),
            (429, "TOO_MANY", Throttled, true),
            (500, "", Unavailable, true),
            (501, "", Unavailable, false),
            (502, "", Unavailable, true),
            (505, "", Unavailable, false),
            (599, "", Unavailable, false),
            (200, "", Unavailable, false),
        ] {
            let refusal =
                Refusal { code: (!code.is_empty()).then(|| code.to_owned()), ..Refusal::default() };
            assert_eq!(refusal.meaning(status), Meaning { kind, transient }, "{status} {code}");
        }
    }

    #[test]
    fn only_the_gateway_and_the_service_speak_about_the_time() {
        for (status, body, want) in [
            (401, r#"{"error":{"errorCode":"200","message":"Authentication Failed"}}"#, true),
            (401, r#"{"error":{"errorCode":200}}"#, true),
            (400, r#"{"error":{"errorCode":"100","message":"Bad Request Exception"}}"#, true),
            (401, r#"{"code":"UNAUTHORIZED","msg":"Unauthorized"}"#, true),
            (401, r#"{"error":{"errorCode":"210","message":"Permission Denied"}}"#, false),
            (403, r#"{"error":{"errorCode":"200"}}"#, false),
            (403, r#"{"error":{"errorCode":"230"}}"#, false),
            (403, r#"{"code":"FORBIDDEN"}"#, false),
            (400, r#"{"code":"INVALID_REQUEST"}"#, false),
            (401, r#"{"code":200}"#, false),
            (401, r#"{"errorCode":"200"}"#, false),
            (401, r#"{"error":{"code":"200"}}"#, false),
            (401, r#"{"code":"x","error":{"errorCode":"200"}}"#, false),
            (401, r#"{"timestamp":"t","status":401,"error":"Unauthorized"}"#, false),
            (401, "<html>UNAUTHORIZED</html>", false),
            (401, "", false),
        ] {
            let refusal = Refusal::read(body.as_bytes());
            assert_eq!(refusal.may_be_the_timestamp(status), want, "{status} {body}");
        }
    }

    #[test]
    fn what_is_shown_is_one_short_line_without_secrets() {
        let sent = br#"{"plaintext":["YWJjZGVmZ2g=","MTIzNA=="]}"#;
        let show = |message: &str| {
            let refusal = Refusal {
                code: Some("CODE".to_owned()),
                message: Some(message.to_owned()),
                ..Refusal::default()
            };
            refusal.shown(sent, |text| text.replace("hush", "[redacted]"))
        };
        assert_eq!(show("Not found"), ", code CODE: Not found");
        assert_eq!(show(" a\r\nb\u{1b}[31m\u{202e}c\u{0}"), ", code CODE: a b [31m c");
        assert_eq!(show("bad hush!"), ", code CODE: bad [redacted]!");
        assert_eq!(show("bad plaintext 'YWJjZGVmZ2g='"), ", code CODE: bad plaintext '[...]'");
        assert_eq!(show("bad plaintext 'JjZGVmZ2'"), ", code CODE: bad plaintext '[...]'");
        assert_eq!(show("bad ciphertext"), ", code CODE: bad ciphertext");
        assert_eq!(
            show(&format!("token {}.{}", "ab".repeat(16), "cd".repeat(30))),
            ", code CODE: token [...].[...]"
        );
        assert_eq!(show("키를 찾을 수 없습니다"), ", code CODE: 키를 찾을 수 없습니다");
        let long = show(&"가나 ".repeat(9_000));
        assert!(long.chars().count() < 230 && long.ends_with("..."), "{long}");
        assert_eq!(show("\u{7}"), ", code CODE");
        assert_eq!(Refusal::default().shown(sent, str::to_owned), "");
    }
}
