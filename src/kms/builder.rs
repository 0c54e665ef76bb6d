//! The settings of a client, and their checks.
//!
//! Promises: a [`Client`] that was built has an endpoint, credentials and a signature version that
//! fit each other. This module makes no call.

use crate::error::{Error, ErrorKind, Result};
use crate::kms::auth::Auth;
use crate::kms::auth::account::Form;
use crate::kms::auth::source::CredentialSource;
use crate::kms::auth::store::TokenStore;
use crate::kms::call::client::{Client, Shared};
use crate::kms::call::clock::Clock;
use crate::kms::call::gate::Gate;
use crate::kms::call::proxy::Proxy;
use crate::kms::call::quota::Quota;
use crate::kms::call::rate::{Rate, RateLimit};
use crate::kms::call::retry::Policy;
use crate::kms::call::stats::Counters;
use crate::kms::call::transport::Transport;
use crate::kms::call::trust::Trust;
use crate::kms::endpoint::{Api, Base, Endpoint, SignatureVersion};
use crate::kms::source::chain::{Beginning, CredentialChain};
use crate::kms::{Credentials, wire};
use crate::process::PerProcess;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

const MAX_TIMEOUT: Duration = Duration::from_secs(3_600);
const MAX_ATTEMPTS: u32 = 10;
const QUEUE_LIMIT: usize = 2_048;

impl Client {
    /// A builder with [`Endpoint::Global`], [`Api::V2`], [`SignatureVersion::V2`] and no
    /// credentials.
    ///
    /// ```
    /// use ncp_envelope::kms::{Client, Credentials, Endpoint};
    /// let account = Credentials::account("access-key", "secret-key")?;
    /// let client = Client::builder().endpoint(Endpoint::Kr).credentials(account).build()?;
    /// assert_eq!(client.endpoint(), &Endpoint::Kr);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }
}

/// Sets up a [`Client`].
///
/// ```
/// use ncp_envelope::kms::{Api, Client, ClientBuilder, Credentials};
/// // From a configuration file; credentials come from elsewhere.
/// let settings = r#"{ "endpoint": "gov", "api": "1.0", "call_timeout": "5s" }"#;
/// let builder: ClientBuilder = serde_json::from_str(settings)?;
/// let client = builder.credentials(Credentials::account("access-key", "secret-key")?).build()?;
/// assert_eq!(client.api(), Api::V1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct ClientBuilder {
    endpoint: Endpoint,
    api: Api,
    signature: SignatureVersion,
    credentials: Option<Credentials>,
    source: Option<Arc<dyn CredentialSource>>,
    chain: Option<CredentialChain>,
    connect_timeout: Duration,
    attempt_timeout: Duration,
    call_timeout: Duration,
    max_attempts: u32,
    rate_limit: RateLimit,
    queue_limit: usize,
    circuit_breaker: bool,
    token_store: Option<Arc<dyn TokenStore>>,
    issue_tokens: bool,
    re_encrypt: Option<String>,
    proxy: Proxy,
    trust: Trust,
}

/// Settings that are in their ranges and fit each other.
pub(crate) struct Settings {
    base: Base,
    rate: Rate,
    re_encrypt: String,
}

impl Default for ClientBuilder {
    fn default() -> Self {
        Self {
            endpoint: Endpoint::default(),
            api: Api::default(),
            signature: SignatureVersion::default(),
            credentials: None,
            source: None,
            chain: None,
            connect_timeout: Duration::from_secs(3),
            attempt_timeout: Duration::from_secs(10),
            call_timeout: Duration::from_secs(30),
            max_attempts: Policy::default().max_attempts,
            rate_limit: RateLimit::default(),
            queue_limit: QUEUE_LIMIT,
            circuit_breaker: true,
            token_store: None,
            issue_tokens: true,
            re_encrypt: None,
            proxy: Proxy::None,
            trust: Trust::default(),
        }
    }
}

impl ClientBuilder {
    /// The endpoint; [`Endpoint::Global`] by default.
    ///
    /// ```
    /// use ncp_envelope::kms::{Client, Credentials, Endpoint};
    /// # let account = Credentials::account("access-key", "secret-key")?;
    /// let client = Client::builder().endpoint(Endpoint::Jp).credentials(account).build()?;
    /// assert_eq!(client.endpoint(), &Endpoint::Jp);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    #[must_use]
    pub fn endpoint(mut self, endpoint: Endpoint) -> Self {
        self.endpoint = endpoint;
        self
    }

    /// The generation of the API; [`Api::V2`] by default.
    ///
    /// ```
    /// use ncp_envelope::kms::{Api, Client, Credentials};
    /// # let account = Credentials::account("access-key", "secret-key")?;
    /// let client = Client::builder().api(Api::V1).credentials(account).build()?;
    /// assert_eq!(client.api(), Api::V1);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    #[must_use]
    pub fn api(mut self, api: Api) -> Self {
        self.api = api;
        self
    }

    /// How account calls are signed; [`SignatureVersion::V2`] by default. Has no effect on tokens.
    ///
    /// ```
    /// use ncp_envelope::kms::{Client, Credentials, SignatureVersion};
    /// # let account = Credentials::account("access-key", "secret-key")?;
    /// // API 2.0 has one version, so this combination is refused.
    /// let builder = Client::builder().signature(SignatureVersion::V1).credentials(account);
    /// assert!(builder.build().is_err());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    #[must_use]
    pub fn signature(mut self, signature: SignatureVersion) -> Self {
        self.signature = signature;
        self
    }

    /// The credentials. These, a [source](Self::credential_source), a
    /// [chain](Self::credential_chain) or a [store](Self::token_store) that holds tokens must be
    /// set.
    ///
    /// ```
    /// use ncp_envelope::kms::{Client, Credentials};
    /// let account = Credentials::account("access-key", "secret-key")?;
    /// assert!(Client::builder().credentials(account).build().is_ok());
    /// assert!(Client::builder().build().is_err());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    #[must_use]
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// Where account keys come from: at the first call, before they expire, and when they are
    /// refused. Keys that are given as well are used until then.
    ///
    /// ```
    /// use ncp_envelope::kms::{Client, Credentials};
    /// # let account = Credentials::account("access-key", "secret-key")?;
    /// // Credentials are a source that always gives the same.
    /// let client = Client::builder().credential_source(account).build()?;
    /// # let _ = client;
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    #[must_use]
    pub fn credential_source(mut self, source: impl CredentialSource + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// Looks for credentials in the places and the order of [`CredentialChain`], unless credentials
    /// or a source are given.
    ///
    /// The environment and files are read while the client is built, tokens included. The network
    /// is asked at the first call, if nothing else is set and no tokens are stored.
    ///
    /// ```
    /// use ncp_envelope::kms::{CredentialChain, Client, Credentials};
    /// # let account = Credentials::account("access-key", "secret-key")?;
    /// // What is given comes before the chain.
    /// let chain = CredentialChain::from_env()?;
    /// let client = Client::builder().credentials(account).credential_chain(chain).build()?;
    /// assert!(client.current_access_token().is_none());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    #[must_use]
    pub fn credential_chain(mut self, chain: CredentialChain) -> Self {
        self.chain = Some(chain);
        self
    }

    /// Where tokens are stored for the next run and for other programs. A client with a store needs
    /// no other credentials once tokens are stored. Of given and stored tokens it starts with those
    /// that live longer; see [`TokenStore`].
    ///
    /// ```
    /// use ncp_envelope::kms::{Client, MemoryTokenStore, TokenSet, TokenStore};
    /// let store = MemoryTokenStore::default();
    /// store.store(&TokenSet::new("access-token", "refresh-token"))?;
    /// // No other credentials are needed.
    /// let client = Client::builder().token_store(store).build()?;
    /// assert!(client.current_access_token().is_some());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    #[must_use]
    pub fn token_store(mut self, store: impl TokenStore + 'static) -> Self {
        self.token_store = Some(Arc::new(store));
        self
    }

    /// Whether a client of API 2.0 with an account and tokens issues a new set when both tokens are
    /// refused or have expired. On by default.
    ///
    /// The new set has the lifetime of the old one, goes to the [`TokenStore`], and carries every
    /// permission on the key that the account has. Issuing it is single flight.
    ///
    /// ```
    /// use ncp_envelope::kms::{Client, Credentials};
    /// # let account = Credentials::account("access-key", "secret-key")?;
    /// let both = account.with_token("access-token", None)?;
    /// // Refused tokens fail a call, although there is an account.
    /// let client = Client::builder().credentials(both).issue_tokens(false).build()?;
    /// # let _ = client;
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    #[must_use]
    pub fn issue_tokens(mut self, on: bool) -> Self {
        self.issue_tokens = on;
        self
    }

    /// The timeout for a new connection; 3 s by default, at most 1 h.
    ///
    /// ```
    /// use ncp_envelope::kms::{Client, Credentials};
    /// # let account = Credentials::account("access-key", "secret-key")?;
    /// use std::time::Duration;
    /// let builder = Client::builder().credentials(account);
    /// assert!(builder.clone().connect_timeout(Duration::from_secs(1)).build().is_ok());
    /// assert!(builder.connect_timeout(Duration::ZERO).build().is_err());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// The timeout for one attempt, from connecting to the last byte of the response; 10 s by
    /// default, at most 1 h.
    ///
    /// ```
    /// use ncp_envelope::kms::{Client, Credentials};
    /// # let account = Credentials::account("access-key", "secret-key")?;
    /// use std::time::Duration;
    /// let builder = Client::builder().credentials(account);
    /// assert!(builder.clone().attempt_timeout(Duration::from_secs(2)).build().is_ok());
    /// assert!(builder.attempt_timeout(Duration::ZERO).build().is_err());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    #[must_use]
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = timeout;
        self
    }

    /// The timeout for one call with all its attempts, the backoff between them and a token
    /// refresh; 30 s by default, at most 1 h.
    ///
    /// ```
    /// use ncp_envelope::kms::{Client, Credentials};
    /// # let account = Credentials::account("access-key", "secret-key")?;
    /// use std::time::Duration;
    /// let builder = Client::builder().credentials(account);
    /// assert!(builder.clone().call_timeout(Duration::from_secs(5)).build().is_ok());
    /// assert!(builder.call_timeout(Duration::ZERO).build().is_err());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    #[must_use]
    pub fn call_timeout(mut self, timeout: Duration) -> Self {
        self.call_timeout = timeout;
        self
    }

    /// The most attempts of a call, the first included: 1 to 10, 3 by default.
    ///
    /// A retry after a token refresh or a clock correction does not count, nor does one after an
    /// idle connection that the service had closed, of which a call may meet 16. All calls of a
    /// client share a retry budget: 20, and one more for every two successes.
    ///
    /// ```
    /// use ncp_envelope::kms::{Client, Credentials};
    /// # let account = Credentials::account("access-key", "secret-key")?;
    /// let builder = Client::builder().credentials(account);
    /// assert!(builder.clone().max_attempts(1).build().is_ok());
    /// assert!(builder.max_attempts(0).build().is_err());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    #[must_use]
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = attempts;
        self
    }

    /// The rate limit in calls per second, retries included; [`RateLimit::Service`] by default.
    ///
    /// Calls over the limit wait in a FIFO queue, and fail with [`ErrorKind::Throttled`] if their
    /// turn does not come within [`call_timeout`](Self::call_timeout). The service counts all
    /// clients together, so several clients must share the limit. If the service throttles calls
    /// all the same, the client halves its rate and returns to the limit within seconds. A
    /// `Retry-After` of the service is respected for up to 10 s. If it asks for longer, one call
    /// every 10 s probes whether it still throttles, and calls that cannot go meanwhile fail at
    /// once.
    ///
    /// ```
    /// use ncp_envelope::kms::{Client, Credentials, RateLimit};
    /// # let account = Credentials::account("access-key", "secret-key")?;
    /// // Two clients that share the service's 300 calls per second.
    /// let half = RateLimit::PerSecond(150);
    /// assert!(Client::builder().credentials(account).rate_limit(half).build().is_ok());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    #[must_use]
    pub fn rate_limit(mut self, limit: RateLimit) -> Self {
        self.rate_limit = limit;
        self
    }

    /// The most calls in the queue of each rate limit; 2,048 by default. Further calls fail at once
    /// with [`ErrorKind::Throttled`].
    ///
    /// ```
    /// use ncp_envelope::kms::{Client, Credentials};
    /// # let account = Credentials::account("access-key", "secret-key")?;
    /// // A server that would rather refuse work than queue it.
    /// let client = Client::builder().credentials(account).queue_limit(50).build()?;
    /// assert_eq!(client.stats().queue_refusals, 0);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    #[must_use]
    pub fn queue_limit(mut self, calls: usize) -> Self {
        self.queue_limit = calls;
        self
    }

    /// Whether a circuit breaker fails calls at once with [`ErrorKind::Unavailable`] while the
    /// service does not answer. On by default.
    ///
    /// It opens after 15 consecutive failures of the kind that an outage causes: no connection, no
    /// response, HTTP 5xx. Then no call is sent for a jittered pause of 0.25 to 0.5 s, and the next
    /// call is a probe. If the probe fails, the pause doubles, up to 10 s. Failures with one key
    /// only stop the calls with that key. Denials never count.
    ///
    /// ```
    /// use ncp_envelope::kms::{Client, Credentials};
    /// # let account = Credentials::account("access-key", "secret-key")?;
    /// // Every call is sent, also in an outage.
    /// let client = Client::builder().credentials(account).circuit_breaker(false).build()?;
    /// assert_eq!(client.stats().breaker_refusals, 0);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    #[must_use]
    pub fn circuit_breaker(mut self, on: bool) -> Self {
        self.circuit_breaker = on;
        self
    }

    /// The last path segment of re-encrypt calls; by default `reencrypt` for API 1.0 and
    /// `re-encrypt` for API 2.0.
    ///
    /// The service's documentation prints both spellings for both.
    ///
    /// ```
    /// use ncp_envelope::kms::{Client, Credentials};
    /// # let account = Credentials::account("access-key", "secret-key")?;
    /// let builder = Client::builder().credentials(account);
    /// assert!(builder.clone().re_encrypt_action("reencrypt").build().is_ok());
    /// assert!(builder.re_encrypt_action("keys/other").build().is_err());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    #[must_use]
    pub fn re_encrypt_action(mut self, action: impl Into<String>) -> Self {
        self.re_encrypt = Some(action.into());
        self
    }

    /// The proxy; [`Proxy::None`] by default.
    ///
    /// ```
    /// use ncp_envelope::kms::{Client, Credentials, Proxy};
    /// # let account = Credentials::account("access-key", "secret-key")?;
    /// let proxy = Proxy::Url("http://proxy.example:3128".into());
    /// assert!(Client::builder().credentials(account).proxy(proxy).build().is_ok());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    #[must_use]
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.proxy = proxy;
        self
    }

    /// A root certificate to trust in addition to those of the system, in PEM, or several in one
    /// text. Further calls add more. For an emulator, or for a host or a proxy with a private
    /// authority.
    ///
    /// The system's certificates are found as OpenSSL finds them: in the file of `SSL_CERT_FILE`
    /// and the directory of `SSL_CERT_DIR`, or else in the system's usual place. If there are none,
    /// that is no error as long as a root certificate is given.
    ///
    /// ```
    /// use ncp_envelope::kms::{Client, Credentials};
    /// # let account = Credentials::account("access-key", "secret-key")?;
    /// // Text that holds no certificate is refused.
    /// let builder = Client::builder().credentials(account).root_certificate("no certificate");
    /// assert!(builder.build().is_err());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    #[must_use]
    pub fn root_certificate(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.trust.add_pem(pem.as_ref());
        self
    }

    /// As [`root_certificate`](Self::root_certificate), from a file that is read when the client is
    /// built.
    ///
    /// ```
    /// use ncp_envelope::kms::{Client, Credentials};
    /// # let account = Credentials::account("access-key", "secret-key")?;
    /// let builder = Client::builder().credentials(account);
    /// let builder = builder.root_certificate_file("/no/such/ca.pem");
    /// assert!(builder.build().unwrap_err().to_string().contains("/no/such/ca.pem"));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    #[must_use]
    pub fn root_certificate_file(mut self, path: impl AsRef<Path>) -> Self {
        self.trust.add_file(path.as_ref(), None);
        self
    }

    /// As [`root_certificate_file`](Self::root_certificate_file), for a file that the environment
    /// variable `variable` names.
    #[must_use]
    pub(crate) fn root_certificate_file_named_by(
        mut self,
        path: &Path,
        variable: &'static str,
    ) -> Self {
        self.trust.add_file(path, Some(variable));
        self
    }

    /// Trusts only the given root certificates and none of the system, so that no public authority
    /// can impersonate the host.
    ///
    /// ```
    /// use ncp_envelope::kms::{Client, Credentials};
    /// # let account = Credentials::account("access-key", "secret-key")?;
    /// // At least one certificate must be given.
    /// let builder = Client::builder().credentials(account).root_certificates_only();
    /// assert!(builder.build().is_err());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    #[must_use]
    pub fn root_certificates_only(mut self) -> Self {
        self.trust.only();
        self
    }

    /// Builds the client.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if the endpoint does not have this API, the URL is not
    /// acceptable, the API does not have this signature version or does not take tokens, a number
    /// is out of its range, a root certificate or the file in `SSL_CERT_FILE` cannot be read, there
    /// is one for plain http, or a proxy's URL is none; [`ErrorKind::Io`] for a file of root
    /// certificates that cannot be read;
    /// [`ErrorKind::Credentials`] if credentials or the API Gateway key are missing; those of
    /// [`TokenStore::load`] and [`Credentials::from_env`]; [`ErrorKind::Unavailable`] if the
    /// system has no trusted certificates and none is given.
    ///
    /// ```
    /// use ncp_envelope::kms::{Client, Credentials, Endpoint};
    /// let account = Credentials::account("access-key", "secret-key")?;
    /// // The financial zone has API 1.0 only, so that nothing is called.
    /// let builder = Client::builder().endpoint(Endpoint::Fin).credentials(account);
    /// let error = builder.build().unwrap_err();
    /// assert_eq!(error.kind(), ncp_envelope::ErrorKind::InvalidInput);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn build(self) -> Result<Client> {
        let Settings { base, rate, re_encrypt } = self.settings()?;
        let stored = self.token_store.as_ref().map(|store| store.load()).transpose()?.flatten();
        let (given, source) = match (self.credentials, self.source, self.chain) {
            (None, None, Some(chain)) => {
                let Beginning { credentials, source } = chain.begin(self.api, stored.is_some())?;
                (credentials, source)
            }
            (given, source, _) => (given, source),
        };
        let form = Form { api: self.api, signature: self.signature };
        let auth = Auth::choose(form, given, stored, source)?;
        let transport = {
            let (base, timeout) = (base.clone(), self.connect_timeout);
            let (trust, proxy) = (self.trust, self.proxy);
            let first = Transport::new(&base, timeout, &trust, &proxy)?;
            PerProcess::new(Ok(first), move |_| Transport::new(&base, timeout, &trust, &proxy))
        };
        Ok(Client(Arc::new(Shared {
            transport,
            base,
            auth,
            attempt_timeout: self.attempt_timeout,
            call_timeout: self.call_timeout,
            policy: Policy { max_attempts: self.max_attempts, ..Policy::default() },
            clock: Clock::new(SystemTime::now),
            gate: Gate::new(self.circuit_breaker, rate, self.queue_limit),
            quota: Quota::default(),
            counters: Counters::default(),
            token_store: self.token_store,
            issue_tokens: self.issue_tokens,
            endpoint: self.endpoint,
            api: self.api,
            signature: self.signature,
            re_encrypt,
        })))
    }

    /// Checks what can be checked before credentials and files are read.
    pub(crate) fn settings(&self) -> Result<Settings> {
        let base = self.endpoint.base(self.api)?;
        for timeout in [self.connect_timeout, self.attempt_timeout, self.call_timeout] {
            if timeout.is_zero() || timeout > MAX_TIMEOUT {
                return Err(Error::new(
                    ErrorKind::InvalidInput,
                    "a timeout of the client is zero or longer than an hour",
                ));
            }
        }
        if !(1..=MAX_ATTEMPTS).contains(&self.max_attempts) {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("a call has 1 to {MAX_ATTEMPTS} attempts"),
            ));
        }
        let rate = Rate::of(self.api, self.rate_limit)?;
        let re_encrypt =
            self.re_encrypt.as_deref().unwrap_or_else(|| wire::re_encrypt_action(self.api));
        if re_encrypt.is_empty()
            || !re_encrypt.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-')
        {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "the action of re-encrypt calls has letters and hyphens only",
            ));
        }
        Ok(Settings { base, rate, re_encrypt: re_encrypt.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wrap::ZoneHint;

    fn builder() -> ClientBuilder {
        Client::builder().credentials(Credentials::account("canary1", "canary2").unwrap())
    }

    fn kind(builder: ClientBuilder) -> ErrorKind {
        builder.build().unwrap_err().kind()
    }

    #[test]
    fn what_does_not_fit_is_refused_before_any_call() {
        assert_eq!(kind(Client::builder()), ErrorKind::Credentials);
        assert_eq!(kind(builder().endpoint(Endpoint::Fin)), ErrorKind::InvalidInput);
        assert_eq!(kind(builder().endpoint(Endpoint::Kr).api(Api::V1)), ErrorKind::InvalidInput);
        assert_eq!(
            kind(builder().endpoint(Endpoint::Custom("http://kms.example".to_owned()))),
            ErrorKind::InvalidInput
        );
        assert_eq!(kind(builder().signature(SignatureVersion::V1)), ErrorKind::InvalidInput);
        assert_eq!(kind(builder().attempt_timeout(Duration::ZERO)), ErrorKind::InvalidInput);
        assert_eq!(kind(builder().call_timeout(Duration::MAX)), ErrorKind::InvalidInput);
        assert_eq!(kind(builder().max_attempts(0)), ErrorKind::InvalidInput);
        assert_eq!(kind(builder().rate_limit(RateLimit::PerSecond(0))), ErrorKind::InvalidInput);
        assert_eq!(
            kind(builder().rate_limit(RateLimit::PerSecond(u32::MAX))),
            ErrorKind::InvalidInput
        );
        assert_eq!(kind(builder().re_encrypt_action("a/b")), ErrorKind::InvalidInput);
        assert_eq!(kind(builder().re_encrypt_action("")), ErrorKind::InvalidInput);
        let armour = |text: &str| {
            format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
        };
        for pem in [
            "",
            "text",
            "-----BEGIN CERTIFICATE-----\nAAAA\n",
            &armour("!"),
            &armour("AAAA"),
            &armour(""),
        ] {
            let error = builder().root_certificate(pem).build().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{pem}");
        }
    }

    #[test]
    fn clients_and_keys_are_named_without_secrets() {
        let client = builder().build().unwrap();
        assert!(client.current_access_token().is_none());
        let key = client.key("tag").unwrap();
        let shown = format!("{:?} {client:?} {key:?}", builder());
        assert!(!shown.contains("canary"), "{shown}");
        assert_eq!(key.id().zone(), ZoneHint::Global);
        for tag in ["", ".", "..", "a b", "a\n"] {
            assert_eq!(client.key(tag).unwrap_err().kind(), ErrorKind::InvalidInput, "{tag}");
        }
        let custom =
            builder().endpoint(Endpoint::Custom("http://127.0.0.1:1".to_owned())).build().unwrap();
        assert_eq!(custom.key("tag").unwrap().id().zone(), ZoneHint::None);
    }
}
