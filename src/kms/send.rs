//! One call: attempts, the pauses between them, a token's refresh, and the time that all of it may take.
//!
//! Promises: every attempt is signed anew; a refused token is refreshed once; no error holds a secret. This module knows nothing of
//! what a call means.

use super::auth::{Auth, secret_header, token};
use super::client::{Client, Inner};
use super::manner::Manner;
use super::retry::{self, Class, Failure, Repeat};
use super::wire::MAX_RESPONSE_LEN;
use super::wire::buffer::Buffer;
use super::wire::refusal::Refusal;
use super::wire::request::EMPTY;
use super::wire::response::{self, Verdict};
use crate::error::{Error, ErrorKind, Result};
use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Response, Url};
use secrecy::{ExposeSecret, SecretString};
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

/// A call as the service is to see it, whatever the attempt.
pub(super) struct Call<'a> {
    /// What errors call it.
    pub(super) operation: &'static str,
    pub(super) tag: &'a str,
    /// The last part of the path.
    pub(super) action: &'a str,
    /// Not sent when it is empty.
    pub(super) body: Bytes,
    pub(super) manner: Manner,
}

/// What an attempt authenticates with.
enum Pass {
    Account,
    /// The access token of this generation.
    Access(u64, HeaderValue),
    Refresh(HeaderValue),
    /// A token that is the caller's business, not the client's.
    Given(HeaderValue),
}

impl Call<'_> {
    /// `error`, with what failed said first.
    pub(super) fn failed(&self, error: &Error) -> Error {
        Error::new(error.kind(), format!("{self}: {error}"))
    }
}

impl fmt::Display for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.tag {
            "" => f.write_str(self.operation),
            tag => write!(f, "{} with key {tag}", self.operation),
        }
    }
}

impl Client {
    /// The body of the answer to `call`, which is a success.
    pub(super) async fn send(&self, call: &Call<'_>) -> Result<Zeroizing<Vec<u8>>> {
        // The HTTP library panics without a runtime.
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(Error::new(ErrorKind::InvalidInput, "calls to the key service need a tokio runtime"));
        }
        let deadline = Instant::now() + self.0.call_timeout;
        let (refused, error) = match self.attempts(call, deadline, call.manner.repeat, || self.pass(call)).await {
            Err((Pass::Access(generation, _), error)) if error.kind() == ErrorKind::Credentials => (generation, error),
            other => return other.map_err(|(_, error)| error),
        };
        // The service's code for an expired token is not documented, so every refusal of the credentials may be one.
        if !self.can_refresh() {
            return Err(error);
        }
        match timeout_at(deadline, self.refresh(call.tag, refused)).await {
            Ok(renewed) => renewed?,
            Err(_) => return Err(self.0.late(call)),
        }
        self.attempts(call, deadline, call.manner.repeat, || self.pass(call)).await.map_err(|(_, error)| error)
    }

    fn can_refresh(&self) -> bool {
        matches!(&self.0.auth, Auth::Token(tokens) if tokens.can_refresh())
    }

    fn pass(&self, call: &Call<'_>) -> Result<Pass> {
        if let Some(token) = &call.manner.token {
            return Ok(Pass::Given(secret_header(token)?));
        }
        match &self.0.auth {
            Auth::Account(_) => Ok(Pass::Account),
            Auth::Token(tokens) => {
                let access = tokens.current();
                Ok(Pass::Access(access.generation(), access.header()?))
            }
        }
    }

    async fn refresh(&self, tag: &str, refused: u64) -> Result<()> {
        let Auth::Token(tokens) = &self.0.auth else {
            return Ok(());
        };
        tokens.renew(refused, |refresh| self.request_access_token(tag, refresh)).await
    }

    /// Asks for a new access token. Not repeated once the service may have seen it: each request issues one.
    async fn request_access_token(&self, tag: &str, refresh: HeaderValue) -> Result<SecretString> {
        let call = Call { operation: "access token refresh", tag, action: "access-token", body: EMPTY, manner: Manner::default() };
        // The result is shared, so it has its own time, not what is left of the call that happened to come first.
        let deadline = Instant::now() + self.0.call_timeout;
        let answer = self.attempts(&call, deadline, Repeat::Unseen, || Ok(Pass::Refresh(refresh.clone()))).await;
        let answer = answer.map_err(|(_, error)| refresh_error(error))?;
        response::access_token(answer).map_err(|error| call.failed(&error))
    }

    /// Attempts `call` until it succeeds, must not be repeated or is out of time. With the error goes what was refused.
    async fn attempts(
        &self,
        call: &Call<'_>,
        deadline: Instant,
        repeat: Repeat,
        pass: impl Fn() -> Result<Pass>,
    ) -> std::result::Result<Zeroizing<Vec<u8>>, (Pass, Error)> {
        let inner = &*self.0;
        let no_pass = |error| (Pass::Account, error);
        let path = call.manner.path.clone().unwrap_or_else(|| self.path(call.tag, call.action));
        let url = inner.base.join(&path).map_err(no_pass)?;
        let mut attempts = 0;
        loop {
            attempts += 1;
            let pass = pass().map_err(no_pass)?;
            let end = deadline.min(Instant::now() + inner.attempt_timeout);
            let failure = match timeout_at(end, inner.attempt(call, &url, &pass)).await {
                Ok(Ok(body)) => return Ok(body),
                Ok(Err(failure)) => failure,
                Err(_) if end == deadline => return Err((pass, inner.late(call))),
                Err(_) => inner.slow(call),
            };
            let left = deadline.saturating_duration_since(Instant::now());
            let random = retry::random().map_err(no_pass)?;
            match retry::pause(&inner.policy, repeat, &failure, attempts, left, random) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err((pass, failure.error)),
            }
        }
    }
}

impl Inner {
    async fn attempt(&self, call: &Call<'_>, url: &Url, pass: &Pass) -> std::result::Result<Zeroizing<Vec<u8>>, Failure> {
        let method = &call.manner.method;
        let target = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let headers = self.headers(method.as_str(), &target, pass).map_err(Failure::lasting)?;
        let mut request = self.http.request(method.clone(), url.clone()).headers(headers);
        if !call.body.is_empty() {
            request = request.body(call.body.clone());
        }
        let response = request.send().await.map_err(|error| transport(call, error))?;
        let status = response.status();
        if !status.is_success() {
            let wait = wait(response.headers(), SystemTime::now());
            // A refusal whose text is too long or breaks off is still a refusal.
            let body = read(call, response).await.unwrap_or_default();
            return Err(self.refused(call, status.as_u16(), &body, wait));
        }
        let body = read(call, response).await?;
        match response::verdict(&body) {
            Verdict::Success => Ok(body),
            Verdict::Refused => Err(self.refused(call, status.as_u16(), &body, None)),
            Verdict::Foreign => Err(Failure::lasting(Error::new(
                ErrorKind::Unavailable,
                format!("{call}: http {} with an answer that is not the key service's; check the endpoint", status.as_u16()),
            ))),
        }
    }

    fn headers(&self, method: &str, target: &str, pass: &Pass) -> Result<HeaderMap> {
        let mut headers = HeaderMap::new();
        match (pass, &self.auth) {
            (Pass::Access(_, token) | Pass::Refresh(token) | Pass::Given(token), _) => {
                headers.insert(token::TOKEN, token.clone());
            }
            (Pass::Account, Auth::Account(signer)) => {
                let now = (self.clock)().duration_since(UNIX_EPOCH).ok().and_then(|now| u64::try_from(now.as_millis()).ok());
                let now = now.ok_or_else(|| Error::new(ErrorKind::Internal, "the system's clock is before 1970"))?;
                signer.sign(method, target, now, &mut headers)?;
            }
            (Pass::Account, Auth::Token(_)) => return Err(Error::new(ErrorKind::Internal, "a token client has no account")),
        }
        Ok(headers)
    }

    fn refused(&self, call: &Call<'_>, status: u16, body: &[u8], wait: Option<Duration>) -> Failure {
        let refusal = Refusal::read(body);
        let meaning = refusal.meaning(status);
        let advice = match (status, meaning.kind) {
            (300..=399, _) => "; redirects are not followed, check the endpoint",
            // The service refuses a signature whose timestamp is 5 minutes off, and may call it either.
            (_, ErrorKind::Credentials) if call.manner.token.is_none() && matches!(self.auth, Auth::Account(_)) => {
                "; check the keys and this machine's clock"
            }
            (_, ErrorKind::InvalidInput) if matches!(call.action, "decrypt" | "reencrypt" | "re-encrypt") => {
                "; the ciphertext may be changed, or not be one of this key"
            }
            _ => "",
        };
        let sent = if call.manner.open { &[][..] } else { &call.body };
        let shown = refusal.shown(sent, |text| match &call.manner.token {
            Some(token) => self.auth.redact(text).replace(token.expose_secret(), "[redacted]"),
            None => self.auth.redact(text),
        });
        let message = format!("{call}: the key service refused it with http {status}{shown}{advice}");
        let class = if meaning.transient { Class::Transient } else { Class::Lasting };
        Failure { error: Error::new(meaning.kind, message), class, wait }
    }

    fn slow(&self, call: &Call<'_>) -> Failure {
        let message = format!("{call}: the key service did not answer within {:?}", self.attempt_timeout);
        Failure { error: Error::new(ErrorKind::Unavailable, message), class: Class::Transient, wait: None }
    }

    fn late(&self, call: &Call<'_>) -> Error {
        Error::new(ErrorKind::Unavailable, format!("{call}: no success within {:?}, the time for a call", self.call_timeout))
    }
}

/// Reads an answer to its end or to the limit.
async fn read(call: &Call<'_>, mut response: Response) -> std::result::Result<Zeroizing<Vec<u8>>, Failure> {
    let mut body = Buffer::new(response.content_length(), MAX_RESPONSE_LEN);
    while let Some(chunk) = response.chunk().await.map_err(|error| transport(call, error))? {
        if !body.push(&chunk) {
            return Err(Failure::lasting(Error::new(
                ErrorKind::Unavailable,
                format!("{call}: the answer is longer than {MAX_RESPONSE_LEN} bytes"),
            )));
        }
    }
    Ok(body.into_bytes())
}

fn wait(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    retry::retry_after(headers.get(RETRY_AFTER)?.to_str().ok()?, now)
}

/// A failure below HTTP. A connection that could not be made has shown the service nothing.
fn transport(call: &Call<'_>, error: reqwest::Error) -> Failure {
    let error = error.without_url();
    let (class, what) = match () {
        () if error.is_connect() => (Class::Unseen, "cannot connect to the key service"),
        () if error.is_builder() => (Class::Lasting, "the request cannot be made"),
        () => (Class::Transient, "the connection to the key service failed"),
    };
    let message = format!("{call}: {what}: {}", innermost(&error));
    Failure { error: Error::with_source(ErrorKind::Unavailable, message, error), class, wait: None }
}

/// The cause that says the most, on one line: the outer ones are "error sending request" and the like.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string().chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A refresh that was refused means that the client's tokens are of no use, whatever the service called it.
fn refresh_error(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Unavailable | ErrorKind::Throttled | ErrorKind::Internal => error,
        _ => Error::new(ErrorKind::Credentials, format!("the access token was refused, and so was the refresh token: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kms::{Api, Credentials, Endpoint};
    use std::sync::Arc;

    #[test]
    fn what_is_signed_is_what_is_sent() {
        const TAG: &str = "a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5p6q7r8s9t0u1v2w3x4y5z6";
        let credentials = Credentials::account("EXAMPLEACCESSKEY0001", "EXAMPLEsecretKEY/0123456789abcdefghijklm").unwrap();
        let mut client = Client::builder().endpoint(Endpoint::Gov).api(Api::V2).credentials(credentials).build().unwrap();
        Arc::get_mut(&mut client.0).unwrap().clock = || UNIX_EPOCH + Duration::from_millis(1_700_000_000_000);
        let url = client.0.base.join(&client.path(TAG, "encrypt")).unwrap();
        let headers = client.0.headers("POST", url.path(), &Pass::Account).unwrap();
        assert_eq!(headers["x-ncp-apigw-timestamp"], "1700000000000");
        assert_eq!(headers["x-ncp-apigw-signature-v2"], "RU+p+SzMhHJDxk1fE8B+g+54jK75xM86/BwItPf3Zt4=");
    }

    #[test]
    fn a_call_outside_of_a_runtime_is_an_error() {
        let client = Client::builder().credentials(Credentials::token("t", None).unwrap()).build().unwrap();
        let key = client.key("tag").unwrap();
        let mut future = std::pin::pin!(key.encrypt(b"x"));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(result) => assert_eq!(result.unwrap_err().kind(), ErrorKind::InvalidInput),
            std::task::Poll::Pending => panic!("pending"),
        }
    }
}
