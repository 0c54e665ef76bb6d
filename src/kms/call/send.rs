//! One call: attempts, the pauses between them, a token's refresh, and the time that all of it may
//! take.
//!
//! Promises: every attempt is signed anew; a refused token is refreshed once, and a refused
//! timestamp is put right once; no attempt is made past the circuit breaker or the rate limit; no
//! error holds a secret; a call that is dropped gives back whatever it held. This module knows
//! nothing of what a call means.

use crate::error::{Error, ErrorKind, Result};
use crate::kms::auth::{Auth, secret_header, signature, token};
use crate::kms::call::client::{Client, Inner};
use crate::kms::call::connect;
use crate::kms::call::observe;
use crate::kms::call::outage::Outage;
use crate::kms::call::quota::Spent;
use crate::kms::call::request::{Call, Pass, Plan};
use crate::kms::call::retry::{self, Class, Failure, Next};
use crate::kms::wire::MAX_RESPONSE_LEN;
use crate::kms::wire::buffer::Buffer;
use crate::kms::wire::refusal::Refusal;
use crate::kms::wire::response;
use crate::kms::wire::response::Verdict;
use crate::random;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use reqwest::{Response, Url};
use secrecy::ExposeSecret;
use std::time::{Duration, SystemTime};
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

/// An attempt that had this long without an answer when its call ran out of time says something
/// about the service.
const TELLING: Duration = Duration::from_secs(1);

impl Client {
    /// The body of the answer to `call`, which is a success.
    pub(crate) async fn send(&self, call: &Call<'_>) -> Result<Zeroizing<Vec<u8>>> {
        // The HTTP library panics without a runtime.
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(Error::new(
                ErrorKind::Internal,
                "calls to the key service need a tokio runtime",
            ));
        }
        self.0.counters.calls.add();
        let plan = Plan { deadline: Instant::now() + self.0.call_timeout, urgent: false };
        let result = match call.manner.token {
            None => {
                observe::call(
                    call,
                    self.with_fresh_tokens(
                        call.tag,
                        plan.deadline,
                        self.send_with_refresh(call, plan),
                    ),
                )
                .await
            }
            // A token that is the caller's business.
            Some(_) => observe::call(call, self.send_with_refresh(call, plan)).await,
        };
        if result.is_err() {
            self.0.counters.failed_calls.add();
        }
        result
    }

    async fn send_with_refresh(&self, call: &Call<'_>, plan: Plan) -> Result<Zeroizing<Vec<u8>>> {
        let (refused, error) = match self.attempts(call, plan, || self.pass(call)).await {
            Err((Pass::Access(generation, _), error)) if error.kind() == ErrorKind::Credentials => {
                (generation, error)
            }
            other => return other.map_err(|(_, error)| error),
        };
        // The service's code for an expired token is not documented, so every refusal of the
        // credentials may be one.
        if !self.can_refresh() {
            return Err(error);
        }
        match timeout_at(plan.deadline, self.refresh(call.tag, refused)).await {
            Ok(renewed) => renewed?,
            Err(_) => return Err(self.0.late(call)),
        }
        self.attempts(call, plan, || self.pass(call)).await.map_err(|(_, error)| error)
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

    /// Attempts `call` until it succeeds, must not be repeated or is out of time. With the error
    /// goes what was refused.
    pub(crate) async fn attempts(
        &self,
        call: &Call<'_>,
        plan: Plan,
        pass: impl Fn() -> Result<Pass>,
    ) -> std::result::Result<Zeroizing<Vec<u8>>, (Pass, Error)> {
        let inner = &*self.0;
        let no_pass = |error| (Pass::Account, error);
        let path = call.manner.path.clone().unwrap_or_else(|| self.path(call.tag, call.action));
        let url = inner.base.join(&path).map_err(no_pass)?;
        let limiter = inner.gate.limiter(call.tag);
        let mut attempts = 0;
        let mut signed_anew = false;
        let mut spent: Option<Spent<'_>> = None;
        let mut before = None;
        loop {
            let (admission, place) = match inner.enter(call, plan, limiter.as_deref()).await {
                Ok(entered) => entered,
                // How the last attempt failed says more than why there is no other.
                Err(error) => return Err(before.unwrap_or((Pass::Account, error))),
            };
            let pass = pass().map_err(no_pass)?;
            if let Some(spent) = spent.take() {
                spent.used();
                inner.counters.retries.add();
            }
            attempts += 1;
            inner.counters.attempts.add();
            let begun = Instant::now();
            let end = plan.deadline.min(begun + inner.attempt_timeout);
            let outcome = timeout_at(end, inner.attempt(call, &url, &pass)).await;
            drop(place);
            let failure = match outcome {
                Ok(Ok(body)) => {
                    observe::attempt_ended(attempts, Some(200), None);
                    inner.quota.earn();
                    inner.report(admission, Outage::No);
                    return Ok(body);
                }
                Ok(Err(failure)) => failure,
                Err(_) if end == plan.deadline => {
                    let telling = begun.elapsed() >= TELLING.min(inner.attempt_timeout);
                    inner.report(admission, if telling { Outage::Host } else { Outage::Unknown });
                    return Err((pass, inner.late(call)));
                }
                Err(_) => inner.slow(call),
            };
            observe::attempt_ended(attempts, failure.status, Some(failure.error.kind()));
            inner.report(admission, failure.outage);
            if failure.error.kind() == ErrorKind::Throttled {
                inner.counters.throttled.add();
                if let Some(limiter) = &limiter {
                    limiter.refused(failure.wait);
                }
            }
            if failure.class == Class::Timestamp && !signed_anew {
                signed_anew = true;
                attempts -= 1;
                inner.counters.clock_corrections.add();
                observe::clock_corrected();
                before = Some((pass, failure.error));
                continue;
            }
            let left = plan.deadline.saturating_duration_since(Instant::now());
            let random = random::number().map_err(no_pass)?;
            match retry::next(&inner.policy, call.manner.repeat, &failure, attempts, left, random) {
                Next::Stop => return Err((pass, failure.error)),
                Next::AtOnce => {
                    inner.counters.dropped_connections.add();
                    observe::dropped_connection(attempts);
                }
                Next::After(pause) => {
                    spent = inner.quota.spend();
                    if spent.is_none() {
                        inner.counters.retries_denied.add();
                        observe::retry_denied(attempts);
                        return Err((pass, failure.error));
                    }
                    observe::retry(attempts, pause);
                    tokio::time::sleep(pause).await;
                }
            }
            before = Some((pass, failure.error));
        }
    }
}

impl Inner {
    async fn attempt(
        &self,
        call: &Call<'_>,
        url: &Url,
        pass: &Pass,
    ) -> std::result::Result<Zeroizing<Vec<u8>>, Failure> {
        let method = &call.manner.method;
        let target = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let headers = self.headers(method.as_str(), &target, pass).map_err(Failure::lasting)?;
        let signed_at =
            headers.get(signature::TIMESTAMP).and_then(|time| time.to_str().ok()?.parse().ok());
        let mut request = self.http.request(method.clone(), url.clone()).headers(headers);
        if !call.body.is_empty() {
            request = request.body(call.body.clone());
        }
        let (response, reused) = connect::watched(request.send()).await;
        let response = response.map_err(|error| transport(call, error, reused))?;
        let status = response.status();
        if !status.is_success() {
            let wait = wait(response.headers(), SystemTime::now());
            let late = signed_at.is_some_and(|signed_at| {
                self.learn_time(status.as_u16(), signed_at, response.headers())
            });
            // A refusal whose text is too long or breaks off is still a refusal.
            let body = read(call, response).await.unwrap_or_default();
            let mut failure = self.refused(call, status.as_u16(), &body, wait);
            if late && failure.class == Class::Lasting {
                failure.class = Class::Timestamp;
            }
            return Err(failure);
        }
        let body = read(call, response).await?;
        match response::verdict(&body) {
            Verdict::Success => Ok(body),
            Verdict::Refused => Err(self.refused(call, status.as_u16(), &body, None)),
            Verdict::Foreign => Err(Failure::lasting(Error::new(
                ErrorKind::Unavailable,
                format!(
                    "{call}: http {} with an answer that is not the key service's; check the \
                     endpoint",
                    status.as_u16()
                ),
            ))),
        }
    }

    /// Whether a call was refused for its timestamp, going by the answer's date, and the clock is
    /// right now.
    ///
    /// The service documents no status for this; whatever the three may mean otherwise, a signature
    /// is looked at first.
    fn learn_time(&self, status: u16, signed_at: u64, headers: &HeaderMap) -> bool {
        let date = || httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok();
        matches!(status, 400 | 401 | 403)
            && date().is_some_and(|date| self.clock.learn(signed_at, date))
    }

    fn headers(&self, method: &str, target: &str, pass: &Pass) -> Result<HeaderMap> {
        let mut headers = HeaderMap::new();
        match (pass, &self.auth) {
            (Pass::Access(_, token) | Pass::Refresh(token) | Pass::Given(token), _) => {
                headers.insert(token::TOKEN, token.clone());
            }
            (Pass::Account, Auth::Account(signer)) => {
                signer.sign(method, target, self.clock.now()?, &mut headers)?;
            }
            (Pass::Account, Auth::Token(_)) => {
                return Err(Error::new(ErrorKind::Internal, "a token client has no account"));
            }
        }
        Ok(headers)
    }

    fn refused(
        &self,
        call: &Call<'_>,
        status: u16,
        body: &[u8],
        wait: Option<Duration>,
    ) -> Failure {
        let refusal = Refusal::read(body);
        let meaning = refusal.meaning(status);
        let advice = match (status, meaning.kind) {
            (300..=399, _) => "; redirects are not followed, check the endpoint",
            // The service refuses a signature whose timestamp is 5 minutes off, and may call it
            // either.
            (_, ErrorKind::Credentials)
                if call.manner.token.is_none() && matches!(self.auth, Auth::Account(_)) =>
            {
                "; check the keys and this machine's clock"
            }
            (_, ErrorKind::InvalidInput)
                if matches!(call.action, "decrypt" | "reencrypt" | "re-encrypt") =>
            {
                "; the ciphertext may be changed, or not be one of this key"
            }
            _ => "",
        };
        let sent = if call.manner.open { &[][..] } else { &call.body };
        let shown = refusal.shown(sent, |text| match &call.manner.token {
            Some(token) => self.auth.redact(text).replace(token.expose_secret(), "[redacted]"),
            None => self.auth.redact(text),
        });
        let message =
            format!("{call}: the key service refused it with http {status}{shown}{advice}");
        let class = if meaning.transient { Class::Transient } else { Class::Lasting };
        let outage = if meaning.transient && meaning.kind == ErrorKind::Unavailable {
            Outage::Service
        } else {
            Outage::No
        };
        Failure {
            error: Error::new(meaning.kind, message),
            class,
            outage,
            wait,
            status: Some(status),
        }
    }

    fn slow(&self, call: &Call<'_>) -> Failure {
        let message =
            format!("{call}: the key service did not answer within {:?}", self.attempt_timeout);
        Failure {
            error: Error::new(ErrorKind::Unavailable, message),
            class: Class::Transient,
            outage: Outage::Host,
            wait: None,
            status: None,
        }
    }
}

/// Reads an answer to its end or to the limit.
async fn read(
    call: &Call<'_>,
    mut response: Response,
) -> std::result::Result<Zeroizing<Vec<u8>>, Failure> {
    let mut body = Buffer::new(response.content_length(), MAX_RESPONSE_LEN);
    while let Some(chunk) = response.chunk().await.map_err(|error| transport(call, error, false))? {
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

/// A failure below HTTP. A connection that could not be made has shown the service nothing, and one
/// that was `reused` most likely neither if it was closed instead of answered.
fn transport(call: &Call<'_>, error: reqwest::Error, reused: bool) -> Failure {
    let error = error.without_url();
    let (class, outage, what) = match () {
        () if error.is_connect() => {
            (Class::Unseen, Outage::Host, "cannot connect to the key service")
        }
        () if error.is_builder() => (Class::Lasting, Outage::Unknown, "the request cannot be made"),
        () if reused && connect::is_closed(&error) => {
            (Class::Dropped, Outage::Unknown, "the key service closed an idle connection")
        }
        () => (Class::Transient, Outage::Host, "the connection to the key service failed"),
    };
    let message = format!("{call}: {what}: {}", innermost(&error));
    Failure {
        error: Error::with_source(ErrorKind::Unavailable, message, error),
        class,
        outage,
        wait: None,
        status: None,
    }
}

/// The cause that says the most, on one line: the outer ones are "error sending request" and the
/// like.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string().chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kms::call::clock::Clock;
    use crate::kms::{Api, Credentials, Endpoint};
    use std::sync::Arc;
    use std::time::UNIX_EPOCH;

    #[test]
    fn what_is_signed_is_what_is_sent() {
        const TAG: &str = "a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5p6q7r8s9t0u1v2w3x4y5z6";
        let credentials = Credentials::account(
            "EXAMPLEACCESSKEY0001",
            "EXAMPLEsecretKEY/0123456789abcdefghijklm",
        )
        .unwrap();
        let mut client = Client::builder()
            .endpoint(Endpoint::Gov)
            .api(Api::V2)
            .credentials(credentials)
            .build()
            .unwrap();
        Arc::get_mut(&mut client.0).unwrap().clock =
            Clock::new(|| UNIX_EPOCH + Duration::from_millis(1_700_000_000_000));
        let url = client.0.base.join(&client.path(TAG, "encrypt")).unwrap();
        let headers = client.0.headers("POST", url.path(), &Pass::Account).unwrap();
        assert_eq!(headers["x-ncp-apigw-timestamp"], "1700000000000");
        assert_eq!(
            headers["x-ncp-apigw-signature-v2"],
            "RU+p+SzMhHJDxk1fE8B+g+54jK75xM86/BwItPf3Zt4="
        );
    }

    #[test]
    fn a_call_outside_of_a_runtime_is_an_error() {
        let client =
            Client::builder().credentials(Credentials::token("t", None).unwrap()).build().unwrap();
        let key = client.key("tag").unwrap();
        let mut future = std::pin::pin!(key.encrypt(b"x"));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(result) => {
                assert_eq!(result.unwrap_err().kind(), ErrorKind::Internal)
            }
            std::task::Poll::Pending => panic!("pending"),
        }
    }
}
