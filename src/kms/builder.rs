//! The settings of a client, and the checks before there is one.
//!
//! Promises: a [`Client`] that could be built has a host, credentials and a signature that fit each
//! other. This module makes no call.

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
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }
}

/// Sets up a [`Client`].
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
    /// Where the service is; [`Endpoint::Global`] unless set.
    #[must_use]
    pub fn endpoint(mut self, endpoint: Endpoint) -> Self {
        self.endpoint = endpoint;
        self
    }

    /// Which generation of the API is spoken; [`Api::V2`] unless set.
    #[must_use]
    pub fn api(mut self, api: Api) -> Self {
        self.api = api;
        self
    }

    /// How account calls are signed; [`SignatureVersion::V2`] unless set. Without meaning for
    /// tokens.
    #[must_use]
    pub fn signature(mut self, signature: SignatureVersion) -> Self {
        self.signature = signature;
        self
    }

    /// Who calls. This, a [source](Self::credential_source), a [chain](Self::credential_chain) or a
    /// [store](Self::token_store) that holds tokens has to be set.
    #[must_use]
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// Where account keys come from, now and when they end or are refused. Keys that are given
    /// beside it are used until then.
    #[must_use]
    pub fn credential_source(mut self, source: impl CredentialSource + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// Looks for credentials where this machine may have them, in the order that
    /// [`CredentialChain`] says, unless some are given or there is a source.
    ///
    /// The environment and files are read while the client is built, tokens included; the network
    /// is asked at the first call, if nothing else is set and no tokens are stored.
    #[must_use]
    pub fn credential_chain(mut self, chain: CredentialChain) -> Self {
        self.chain = Some(chain);
        self
    }

    /// Where tokens are kept for the next run and for other programs. A client with a store needs
    /// no other credentials once something is stored; of tokens that were given and tokens that are
    /// stored it begins with those that live longer, and [`TokenStore`] says how it goes on.
    #[must_use]
    pub fn token_store(mut self, store: impl TokenStore + 'static) -> Self {
        self.token_store = Some(Arc::new(store));
        self
    }

    /// Whether a client of API 2.0 that has an account beside its tokens issues a new set when both
    /// tokens are refused or have ended; it does unless set.
    ///
    /// The new set lives as long as the old one did, goes to the [`TokenStore`], and carries every
    /// permission on the key that the account has. All callers share one request.
    #[must_use]
    pub fn issue_tokens(mut self, on: bool) -> Self {
        self.issue_tokens = on;
        self
    }

    /// How long setting up a connection may take; 3 s unless set, at most 1 h.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long one attempt may take, from connecting to the last byte of the answer; 10 s unless
    /// set, at most 1 h.
    #[must_use]
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = timeout;
        self
    }

    /// How long one call may take with all its attempts, the pauses between them and a token's
    /// refresh; 30 s unless set, at most 1 h.
    #[must_use]
    pub fn call_timeout(mut self, timeout: Duration) -> Self {
        self.call_timeout = timeout;
        self
    }

    /// How many attempts a call has, the first included: 1 to 10, 3 unless set.
    ///
    /// A repetition after a refreshed token or a clock put right does not count, nor does one after
    /// an idle connection that the service had closed, of which a call may meet 16. All calls of a
    /// client together repeat no more than half as often as they succeed, plus 20.
    #[must_use]
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = attempts;
        self
    }

    /// How many calls are made in a second at most, repetitions included; [`RateLimit::Service`]
    /// unless set.
    ///
    /// Calls beyond that wait for their turn, first come first served, and fail with
    /// [`ErrorKind::Throttled`] if it does not come within [`call_timeout`](Self::call_timeout).
    /// The service counts all clients together, so several of them have to share the limit; when it
    /// refuses calls nevertheless, the client halves its pace and finds back to the limit within
    /// seconds. A pause that the service asks for (`Retry-After`) is kept for up to 10 s; while it
    /// asks for longer, one call every 10 s is sent to see whether it still refuses, and those that
    /// cannot go meanwhile fail at once.
    #[must_use]
    pub fn rate_limit(mut self, limit: RateLimit) -> Self {
        self.rate_limit = limit;
        self
    }

    /// How many calls may wait for their turn under the rate limit, for each limit; 2,048 unless
    /// set. Calls beyond that fail at once with [`ErrorKind::Throttled`].
    #[must_use]
    pub fn queue_limit(mut self, calls: usize) -> Self {
        self.queue_limit = calls;
        self
    }

    /// Whether calls fail at once with [`ErrorKind::Unavailable`] while the service does not
    /// answer; they do unless set.
    ///
    /// After 15 failures in a row of the kind that an outage causes - no connection, no answer,
    /// HTTP 5xx - no call is sent for a jittered pause of 0.25 to 0.5 s, then one as a probe; if
    /// that fails too the pause doubles, up to 10 s. Failures of one key alone stop the calls with
    /// that key. Denials never count.
    #[must_use]
    pub fn circuit_breaker(mut self, on: bool) -> Self {
        self.circuit_breaker = on;
        self
    }

    /// The last part of the path of re-encrypt calls: `reencrypt` for API 1.0 and `re-encrypt` for
    /// API 2.0 unless set.
    ///
    /// The service's documentation prints both for both.
    #[must_use]
    pub fn re_encrypt_action(mut self, action: impl Into<String>) -> Self {
        self.re_encrypt = Some(action.into());
        self
    }

    /// The proxy that calls go through; [`Proxy::None`] unless set.
    #[must_use]
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.proxy = proxy;
        self
    }

    /// A certificate of an authority to trust beside those that the system trusts, in PEM, or
    /// several in one text; more calls add more. For an emulator, or a host or a proxy with a
    /// private authority.
    ///
    /// The system's are looked for as OpenSSL does: in the file that `SSL_CERT_FILE` names and the
    /// folder that `SSL_CERT_DIR` names, or else where the system keeps them. That there are none
    /// is no fault as long as there is one of these.
    #[must_use]
    pub fn root_certificate(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.trust.add_pem(pem.as_ref());
        self
    }

    /// As [`root_certificate`](Self::root_certificate), from a file that is read when the client is
    /// built.
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

    /// Trusts the given root certificates only and none of the system's, so that no public
    /// authority can stand in for the host.
    #[must_use]
    pub fn root_certificates_only(mut self) -> Self {
        self.trust.only();
        self
    }

    /// The client.
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

    /// What can be said of the settings before credentials and files are looked at.
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
