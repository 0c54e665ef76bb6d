//! One attempt: signed, sent, and its response judged.
//!
//! Promises: every attempt is signed anew; no error holds a secret; redirects are not followed.
//! This module knows nothing of gates and retries.

use crate::error::{Error, ErrorKind, Result};
use crate::kms::auth::{signature, token};
use crate::kms::call::advice::Refused;
use crate::kms::call::client::Shared;
use crate::kms::call::connect;
use crate::kms::call::outage::Outage;
use crate::kms::call::request::{Call, Pass};
use crate::kms::call::retry::{self, Class, Failure};
use crate::kms::call::transport::Connection;
use crate::kms::time::Timestamp;
use crate::kms::wire::MAX_RESPONSE_LEN;
use crate::kms::wire::buffer::Buffer;
use crate::kms::wire::refusal::Refusal;
use crate::kms::wire::response;
use crate::kms::wire::response::Verdict;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use reqwest::{Response, Url};
use secrecy::ExposeSecret;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use zeroize::Zeroizing;

/// The longest `Retry-After` that an error carries, so that callers can add it to a time.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3_600);

/// One attempt to make `call`.
pub(crate) struct Attempt<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) call: &'a Call<'a>,
    pub(crate) url: &'a Url,
    pub(crate) pass: &'a Pass,
    pub(crate) connection: Connection,
}

impl Attempt<'_> {
    /// The body of a response that is a success.
    pub(crate) async fn make(&self) -> std::result::Result<Zeroizing<Vec<u8>>, Failure> {
        let Self { shared, call, url, pass, connection } = *self;
        let method = &call.options.method;
        let target = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let headers = headers(shared, method.as_str(), &target, pass).map_err(Failure::lasting)?;
        let signed_at =
            headers.get(signature::TIMESTAMP).and_then(|time| time.to_str().ok()?.parse().ok());
        let clients = shared.transport.as_ref();
        let clients = clients.map_err(|error| Failure::lasting(error.clone()))?;
        let client = clients.over(connection);
        let mut request = client.request(method.clone(), url.clone()).headers(headers);
        if !call.body.is_empty() {
            request = request.body(call.body.clone());
        }
        let (response, reused) = connect::watched(request.send()).await;
        let response = response.map_err(|error| self.transport(error, reused))?;
        let status = response.status();
        if !status.is_success() {
            let date = date(response.headers());
            let wait = self.wait(response.headers(), date);
            // A refusal whose text is too long or breaks off is still a refusal.
            let body = self.read(response).await.unwrap_or_default();
            let refusal = Refusal::read(&body);
            let skew = date.zip(signed_at).map(|(date, signed_at)| apart(date, signed_at));
            let mut failure = self.refused(status.as_u16(), &refusal, wait, skew);
            if refusal.may_be_the_timestamp(status.as_u16())
                && let (Some(signed_at), Some(date)) = (signed_at, date)
                && shared.clock.learn(signed_at, date)
            {
                failure.class = Class::Timestamp;
            }
            return Err(failure);
        }
        let body = self.read(response).await?;
        match response::verdict(&body, call.options.due) {
            Verdict::Success => Ok(body),
            Verdict::Refused => {
                Err(self.refused(status.as_u16(), &Refusal::read(&body), None, None))
            }
            Verdict::Foreign => Err(Failure::lasting(Error::new(
                ErrorKind::Unavailable,
                format!(
                    "{call}: http {} with an answer that is not the key service's; check the \
                     endpoint, and any proxy on the way to it",
                    status.as_u16()
                ),
            ))),
        }
    }

    /// How long the response asks to wait. A time in `Retry-After` is by the clock of its own
    /// `Date`, if it has one.
    fn wait(&self, headers: &HeaderMap, date: Option<SystemTime>) -> Option<Duration> {
        let asked = headers.get(RETRY_AFTER)?.to_str().ok()?;
        let now =
            || self.shared.clock.now().ok().map(|now| UNIX_EPOCH + Duration::from_millis(now));
        retry::retry_after(asked, date.or_else(now)?)
    }

    fn refused(
        &self,
        status: u16,
        refusal: &Refusal,
        wait: Option<Duration>,
        skew: Option<Duration>,
    ) -> Failure {
        let (call, auth) = (self.call, &self.shared.auth);
        let meaning = refusal.meaning(status);
        let advice = Refused {
            call,
            pass: self.pass,
            endpoint: &self.shared.endpoint,
            url: &self.shared.base.url,
            signature: self.shared.signature,
            status,
            kind: meaning.kind,
            code: refusal.code.as_deref(),
            of_gateway: refusal.of_gateway,
            skew,
            now: self.shared.clock.now().ok().map(Timestamp::from_millis),
        }
        .advice();
        let sent = if call.options.open { &[][..] } else { &call.body };
        let redact = |text: &str| match &call.options.token {
            Some(token) => auth.redact(text).replace(token.expose_secret(), "[redacted]"),
            None => auth.redact(text),
        };
        let shown = refusal.shown(sent, redact);
        let message =
            format!("{call}: the key service refused it with http {status}{shown}{advice}");
        let class = if meaning.transient { Class::Transient } else { Class::Lasting };
        let outage = if meaning.transient && meaning.kind == ErrorKind::Unavailable {
            Outage::Service
        } else {
            Outage::No
        };
        let error =
            Error::new(meaning.kind, message).with_answer(status, refusal.shown_code(sent, redact));
        let error = match wait {
            Some(wait) if error.is_retryable() => error.with_retry_after(wait.min(LONGEST_WAIT)),
            _ => error,
        };
        Failure { error, class, outage, wait, status: Some(status) }
    }

    /// Reads an answer to its end or to the limit.
    async fn read(
        &self,
        mut response: Response,
    ) -> std::result::Result<Zeroizing<Vec<u8>>, Failure> {
        let call = self.call;
        let mut body = Buffer::new(response.content_length(), MAX_RESPONSE_LEN);
        while let Some(chunk) =
            response.chunk().await.map_err(|error| self.transport(error, false))?
        {
            if !body.push(&chunk) {
                return Err(Failure::lasting(Error::new(
                    ErrorKind::Unavailable,
                    format!("{call}: the answer is longer than {MAX_RESPONSE_LEN} bytes"),
                )));
            }
        }
        Ok(body.into_bytes())
    }

    /// A failure below HTTP. A connection that could not be made has shown the service nothing, and
    /// one that was `reused` most likely neither if it was closed instead of answered.
    fn transport(&self, error: reqwest::Error, reused: bool) -> Failure {
        let call = self.call;
        let error = error.without_url();
        let (class, outage, what) = match () {
            () if error.is_connect() => {
                (Class::Unseen, Outage::Host, "cannot connect to the key service")
            }
            () if error.is_builder() => {
                (Class::Lasting, Outage::Unknown, "the request cannot be made")
            }
            () if reused && connect::is_closed(&error) => {
                (Class::Dropped, Outage::Unknown, "the key service closed an idle connection")
            }
            () => (Class::Transient, Outage::Host, "the connection to the key service failed"),
        };
        let message = format!("{call}: {what}{}", connect::cause(&error, &self.shared.base.url));
        Failure {
            error: Error::with_source(ErrorKind::Unavailable, message, error),
            class,
            outage,
            wait: None,
            status: None,
        }
    }
}

fn headers(shared: &Shared, method: &str, target: &str, pass: &Pass) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    match pass {
        Pass::Access(_, token) | Pass::Refresh(token) | Pass::Given(token) => {
            headers.insert(token::TOKEN, token.clone());
        }
        Pass::Account(keys) => {
            keys.signer().sign(method, target, shared.clock.now()?, &mut headers)?;
        }
        Pass::None => return Err(Error::new(ErrorKind::Internal, "there is nothing to sign with")),
    }
    Ok(headers)
}

/// How far the time that a call was signed with, in milliseconds, is from `date`.
fn apart(date: SystemTime, signed_at: u64) -> Duration {
    let date = Timestamp::from(date).millis();
    Duration::from_millis(date.abs_diff(signed_at))
}

fn date(headers: &HeaderMap) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kms::call::clock::Clock;
    use crate::kms::{Api, Client, Credentials, Endpoint};
    use std::sync::Arc;

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
        let headers =
            headers(&client.0, "POST", url.path(), &Pass::Account(client.account_keys().unwrap()))
                .unwrap();
        assert_eq!(headers["x-ncp-apigw-timestamp"], "1700000000000");
        assert_eq!(
            headers["x-ncp-apigw-signature-v2"],
            "RU+p+SzMhHJDxk1fE8B+g+54jK75xM86/BwItPf3Zt4="
        );
    }
}
