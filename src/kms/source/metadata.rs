//! The cloud's metadata service, in both of its versions.
//!
//! Promises: plain HTTP goes only to the given address, through no proxy and no redirect; every
//! response is limited in size and time; buffers with secrets are zeroized. This module knows
//! nothing of when it is asked.

use crate::error::{Error, ErrorKind, Result};
use crate::kms::auth::secret::{bad, secret_header};
use crate::kms::endpoint::encode;
use crate::kms::wire::buffer::Buffer;
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Client, Method, RequestBuilder, StatusCode, Url, redirect, retry};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::timeout;
use zeroize::Zeroizing;

const TOKEN_PATH: &str = "/latest/api/token";
const ROLES_PATH: &str = "/latest/meta-data/iam/security-credentials/";
const TOKEN: HeaderName = HeaderName::from_static("x-ncp-metadata-token");
const TOKEN_SECONDS: HeaderName = HeaderName::from_static("x-ncp-metadata-token-ttl-seconds");
/// As long as a token is asked for; it is used at once.
const SECONDS: HeaderValue = HeaderValue::from_static("300");
/// Longest answer, in bytes. Those known have less than 1,000.
const MAX_LEN: usize = 65_536;
/// The timeout for a connection. The service is on the machine's own network.
const CONNECT: Duration = Duration::from_millis(500);
/// The timeout for the first response, until there was one: off the cloud nothing answers.
const FIRST: Duration = Duration::from_millis(900);
/// The timeout for every other response.
const ANSWER: Duration = Duration::from_secs(3);

/// The service at one address.
#[derive(Debug)]
pub(crate) struct Metadata {
    base: Url,
    /// Whether it ever answered.
    answered: AtomicBool,
}

impl Metadata {
    /// The service at this URL of plain HTTP, which may have a path.
    pub(crate) fn at(url: &str) -> Result<Self> {
        let refused = |why: &str| {
            Err(Error::new(ErrorKind::InvalidInput, format!("the metadata service's url {why}")))
        };
        let Ok(base) = Url::parse(url) else { return refused("is not a url") };
        if base.scheme() != "http" || !base.has_host() {
            return refused("must begin with http://, as the service speaks nothing else");
        }
        if !base.username().is_empty() || base.password().is_some() {
            return refused("has a user name or password");
        }
        if base.query().is_some() || base.fragment().is_some() {
            return refused("has a query or fragment");
        }
        Ok(Self { base, answered: AtomicBool::new(false) })
    }

    pub(crate) fn url(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// Whether this machine has the service: it has answered before.
    pub(crate) fn is_there(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }

    /// The response with the keys of the machine's role; `None` if it has no role.
    pub(crate) async fn role_keys(&self) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let http = self.http()?;
        let token = self.token(&http).await?;
        let get = |path: &str| -> Result<RequestBuilder> {
            let request = self.request(&http, Method::GET, path)?;
            Ok(match &token {
                Some(token) => request.header(TOKEN, token.clone()),
                None => request,
            })
        };
        let Some(roles) = self.body(get(ROLES_PATH)?, "roles").await? else { return Ok(None) };
        let roles = std::str::from_utf8(&roles).map_err(|_| self.odd("roles"))?;
        // The first of several, as the cloud's own programs do.
        let Some(role) = roles.lines().map(str::trim).find(|line| !line.is_empty()) else {
            return Ok(None);
        };
        let path = format!("{ROLES_PATH}{}", encode(role));
        self.body(get(&path)?, "keys").await
    }

    /// A token of version 2; `None` where the service has version 1 only.
    async fn token(&self, http: &Client) -> Result<Option<HeaderValue>> {
        let request = self.request(http, Method::PUT, TOKEN_PATH)?.header(TOKEN_SECONDS, SECONDS);
        let limit = if self.is_there() { ANSWER } else { FIRST };
        let (status, body) = self.answer(request, limit).await?;
        match status {
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => return Ok(None),
            status if !status.is_success() => return Err(self.refused("a token", status)),
            _ => {}
        }
        let text = std::str::from_utf8(&body).map_err(|_| self.odd("token"))?.trim();
        if text.is_empty() {
            return Err(self.odd("token"));
        }
        secret_header(&text.into()).map(Some)
    }

    async fn body(
        &self,
        request: RequestBuilder,
        what: &str,
    ) -> Result<Option<Zeroizing<Vec<u8>>>> {
        match self.answer(request, ANSWER).await? {
            (StatusCode::NOT_FOUND, _) => Ok(None),
            (status, body) if status.is_success() => Ok(Some(body)),
            (status, _) => Err(self.refused(what, status)),
        }
    }

    async fn answer(
        &self,
        request: RequestBuilder,
        limit: Duration,
    ) -> Result<(StatusCode, Zeroizing<Vec<u8>>)> {
        let exchange = async {
            let mut response = request.send().await.map_err(|error| self.silent(&error))?;
            let mut body = Buffer::new(response.content_length(), MAX_LEN);
            while let Some(chunk) = response.chunk().await.map_err(|error| self.silent(&error))? {
                if !body.push(&chunk) {
                    return Err(self.unavailable(&format!("its answer is over {MAX_LEN} bytes")));
                }
            }
            Ok((response.status(), body.into_bytes()))
        };
        let late = |_| self.unavailable(&format!("no answer within {limit:?}"));
        let answer = timeout(limit, exchange).await.map_err(late)??;
        self.answered.store(true, Ordering::Relaxed);
        Ok(answer)
    }

    fn request(&self, http: &Client, method: Method, path: &str) -> Result<RequestBuilder> {
        let url = format!("{}{path}", self.url());
        let url = Url::parse(&url).map_err(|_| bad("the metadata service's role is no name"))?;
        Ok(http.request(method, url))
    }

    /// A client for one use: no connection outlives the runtime that drives it.
    fn http(&self) -> Result<Client> {
        Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .referer(false)
            .retry(retry::never())
            .connect_timeout(CONNECT)
            // Plain HTTP needs no certificates, and machines without any have roles too.
            .tls_certs_only([])
            .build()
            .map_err(|error| {
                let message = "the http client for the metadata service cannot be set up";
                Error::with_source(ErrorKind::Unavailable, message, error.without_url())
            })
    }

    fn silent(&self, error: &reqwest::Error) -> Error {
        let mut cause: &dyn std::error::Error = error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        let text: String =
            cause.to_string().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        self.unavailable(&text)
    }

    fn refused(&self, what: &str, status: StatusCode) -> Error {
        let message = format!("{}: it refused {what} with http {}", self.named(), status.as_u16());
        let busy = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
        let kind = if busy { ErrorKind::Unavailable } else { ErrorKind::Credentials };
        Error::new(kind, message)
    }

    /// An answer that is none of this service.
    fn odd(&self, what: &str) -> Error {
        bad(format!("{}: its answer for {what} is not what it documents", self.named()))
    }

    fn unavailable(&self, why: &str) -> Error {
        Error::new(ErrorKind::Unavailable, format!("{}: {why}", self.named()))
    }

    fn named(&self) -> String {
        format!("the metadata service at {}", self.url())
    }
}
