//! A running emulator: its address and credentials, and the calls of its owner.

use crate::emulator::app::App;
use crate::emulator::connection::{Connection, TokenSet};
use crate::emulator::faults::{Fault, FaultId};
use crate::emulator::http::server::Server;
use crate::emulator::keys::KeyKind;
use crate::emulator::keys::token::{Lifetime, TokenType, lifetime};
use crate::emulator::state::RecordedRequest;
use crate::error::Result;
use std::fmt;
use std::time::Duration;
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

/// A running emulator. Dropping it stops the server and all its tasks at once.
///
/// It starts with one account, one API Gateway key and one AES-256 key. Tokens are issued on first
/// use.
///
/// ```
/// # #[cfg(feature = "kms")] {
/// use ncp_envelope::blocking::wait;
/// use ncp_envelope::emulator::Emulator;
/// use ncp_envelope::kms::{Client, Credentials, Endpoint};
///
/// let emulator = Emulator::builder().start_blocking()?;
/// let client = Client::builder()
///     .endpoint(Endpoint::Custom(emulator.url().to_owned()))
///     .credentials(Credentials::account(emulator.access_key(), emulator.secret_key())?)
///     .build()?;
/// let ciphertext = wait(client.key(emulator.key_tag())?.encrypt(b"hello"))??;
/// assert!(ciphertext.starts_with("ncpkms:v1:"));
/// # }
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
pub struct Emulator {
    server: Server,
    url: String,
    key_tag: String,
    access_key: String,
    secret_key: Zeroizing<String>,
    apigw_api_key: Zeroizing<String>,
    lifetimes: (Lifetime, Lifetime),
    tokens: OnceCell<TokenSet>,
}

impl Emulator {
    pub(crate) fn new(server: Server, lifetimes: (Lifetime, Lifetime)) -> Self {
        let url = server.app.base_url.clone();
        let (key_tag, account) =
            server.app.store.read(|state| (state.ready_key.clone(), state.account.clone()));
        let (secret_key, apigw_api_key) = (account.secret_key, account.apigw_api_key);
        Self {
            url,
            key_tag,
            access_key: account.access_key,
            secret_key,
            apigw_api_key,
            lifetimes,
            tokens: OnceCell::new(),
            server,
        }
    }

    /// Base URL for both generations of the API, such as `http://127.0.0.1:40123`. It starts with
    /// `https://` if the emulator speaks [TLS](crate::emulator::EmulatorBuilder::tls).
    ///
    /// ```
    /// # let emulator = ncp_envelope::emulator::Emulator::builder().start_blocking()?;
    /// assert!(emulator.url().starts_with("http://127.0.0.1:"));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The certificate that a client must trust, if the emulator speaks
    /// [TLS](crate::emulator::EmulatorBuilder::tls). Another one at every start.
    ///
    /// ```
    /// # use ncp_envelope::emulator::Emulator;
    /// let emulator = Emulator::builder().tls().start_blocking()?;
    /// assert!(emulator.certificate_pem().unwrap().starts_with("-----BEGIN CERTIFICATE-----\n"));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn certificate_pem(&self) -> Option<&str> {
        self.server.certificate_pem.as_deref()
    }

    /// Base URL of the [admin port](crate::emulator::EmulatorBuilder::admin), if there is one.
    ///
    /// ```
    /// # use ncp_envelope::emulator::Emulator;
    /// let emulator = Emulator::builder().admin(([127, 0, 0, 1], 0).into()).start_blocking()?;
    /// assert!(emulator.admin_url().unwrap().starts_with("http://127.0.0.1:"));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn admin_url(&self) -> Option<String> {
        self.server.admin.map(|addr| format!("http://{addr}"))
    }

    /// Base URL of the [metadata service](crate::emulator::Metadata), if there is one, such as
    /// `http://127.0.0.1:40124`. It replaces `http://169.254.169.254`.
    ///
    /// ```
    /// # use ncp_envelope::emulator::{Emulator, Metadata};
    /// let emulator = Emulator::builder().metadata(Metadata::new()).start_blocking()?;
    /// assert_ne!(emulator.metadata_url().unwrap(), emulator.url());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn metadata_url(&self) -> Option<String> {
        self.server.metadata.map(|addr| format!("http://{addr}"))
    }

    /// Tag of the ready-made key.
    ///
    /// ```
    /// # let emulator = ncp_envelope::emulator::Emulator::builder().start_blocking()?;
    /// assert_eq!(emulator.key_tag().len(), 64);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn key_tag(&self) -> &str {
        &self.key_tag
    }

    /// Access key of the account.
    ///
    /// ```
    /// # use ncp_envelope::emulator::Emulator;
    /// let emulator = Emulator::builder().account("test-access", "test-secret").start_blocking()?;
    /// assert_eq!(emulator.access_key(), "test-access");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn access_key(&self) -> &str {
        &self.access_key
    }

    /// Secret key of the account. It opens nothing but this emulator.
    ///
    /// ```
    /// # use ncp_envelope::emulator::Emulator;
    /// let emulator = Emulator::builder().account("test-access", "test-secret").start_blocking()?;
    /// assert_eq!(emulator.secret_key(), "test-secret");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn secret_key(&self) -> &str {
        &self.secret_key
    }

    /// API Gateway API key, which signature v1 needs.
    ///
    /// ```
    /// # let emulator = ncp_envelope::emulator::Emulator::builder().start_blocking()?;
    /// assert_eq!(emulator.apigw_api_key().len(), 40);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn apigw_api_key(&self) -> &str {
        &self.apigw_api_key
    }

    /// Access token of the ready-made key. It is issued on first use and stays the same from then
    /// on, even after it has expired. The first token of a key takes a tenth of a second or more.
    ///
    /// ```
    /// # #[cfg(feature = "kms")] {
    /// use ncp_envelope::blocking::wait;
    /// use ncp_envelope::emulator::{AuthRow, Emulator};
    /// use ncp_envelope::kms::{Client, Credentials, Endpoint};
    ///
    /// let emulator = Emulator::builder().start_blocking()?;
    /// let token = wait(emulator.access_token())??;
    /// let client = Client::builder()
    ///     .endpoint(Endpoint::Custom(emulator.url().to_owned()))
    ///     .credentials(Credentials::token(token, None)?)
    ///     .build()?;
    /// wait(client.key(emulator.key_tag())?.encrypt(b"hello"))??;
    /// assert_eq!(emulator.requests()[0].auth, AuthRow::AccessToken);
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) if the token generator fails,
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) if it cannot be written to the state directory.
    pub async fn access_token(&self) -> Result<&str> {
        Ok(self.tokens().await?.access_token())
    }

    /// Refresh token of the ready-made key, from the same set as
    /// [`access_token`](Self::access_token).
    ///
    /// ```
    /// use ncp_envelope::blocking::wait;
    /// # let emulator = ncp_envelope::emulator::Emulator::builder().start_blocking()?;
    ///
    /// let connection = wait(emulator.connection())??;
    /// assert_eq!(wait(emulator.refresh_token())??, *connection.refresh_token);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As there.
    pub async fn refresh_token(&self) -> Result<&str> {
        Ok(self.tokens().await?.refresh_token())
    }

    /// Issues a token set of the key `tag` for the account. Enables the key's token generator if it
    /// has none. Lifetimes are whole seconds, at least one; the service's own API takes only hours.
    ///
    /// ```
    /// use ncp_envelope::blocking::wait;
    /// use std::time::Duration;
    ///
    /// # let emulator = ncp_envelope::emulator::Emulator::builder().start_blocking()?;
    /// let tag = wait(emulator.create_key("orders"))??;
    /// let (access, refresh) = (Duration::from_secs(1), Duration::from_secs(60));
    /// let tokens = wait(emulator.issue_tokens(&tag, access, refresh))??;
    /// assert_ne!(tokens.access_token(), wait(emulator.access_token())??);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for a lifetime of less than a
    /// second, [`ErrorKind::KeyUnusable`](crate::ErrorKind::KeyUnusable) if there is no such key,
    /// and as [`access_token`](Self::access_token).
    pub async fn issue_tokens(
        &self,
        tag: &str,
        access: Duration,
        refresh: Duration,
    ) -> Result<TokenSet> {
        self.issue(tag, lifetime(access)?, lifetime(refresh)?).await
    }

    /// Everything a client needs, in one value. Issues tokens if there are none yet.
    ///
    /// ```
    /// # let emulator = ncp_envelope::emulator::Emulator::builder().start_blocking()?;
    /// let connection = ncp_envelope::blocking::wait(emulator.connection())??;
    /// assert_eq!((&*connection.url, &*connection.key_tag), (emulator.url(), emulator.key_tag()));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`access_token`](Self::access_token).
    pub async fn connection(&self) -> Result<Connection> {
        let tokens = self.tokens().await?;
        Ok(Connection {
            url: self.url.clone(),
            key_tag: self.key_tag.clone(),
            access_key: self.access_key.clone(),
            secret_key: self.secret_key.clone(),
            apigw_api_key: self.apigw_api_key.clone(),
            access_token: Zeroizing::new(tokens.access_token().to_owned()),
            refresh_token: Zeroizing::new(tokens.refresh_token().to_owned()),
            certificate_pem: self.server.certificate_pem.clone(),
        })
    }

    /// Creates an AES-256 key and returns its tag.
    ///
    /// ```
    /// use ncp_envelope::blocking::wait;
    ///
    /// # let emulator = ncp_envelope::emulator::Emulator::builder().start_blocking()?;
    /// let tag = wait(emulator.create_key("orders"))??;
    /// assert_eq!(tag.len(), 64);
    /// assert!(wait(emulator.create_key("orders"))?.is_err(), "the name is taken");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) if the name is not 3 to 15
    /// letters, digits, hyphens and underscores with a letter first, or is taken;
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) if the state cannot be written.
    pub async fn create_key(&self, name: &str) -> Result<String> {
        self.create_key_of(KeyKind::Aes256, name).await
    }

    /// Creates a key of any kind and returns its tag.
    ///
    /// ```
    /// # #[cfg(feature = "kms")] {
    /// use ncp_envelope::blocking::wait;
    /// use ncp_envelope::emulator::{Emulator, KeyKind};
    /// # use ncp_envelope::kms::{Client, Credentials, Endpoint};
    ///
    /// let emulator = Emulator::builder().start_blocking()?;
    /// # let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
    /// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
    /// # let client = Client::builder().endpoint(endpoint).credentials(account).build()?;
    /// let tag = wait(emulator.create_key_of(KeyKind::EcdsaP256, "signatures"))??;
    /// let key = client.key(tag)?;
    /// let signature = wait(key.sign(b"order 7"))??;
    /// assert!(wait(key.verify(b"order 7", &signature))??);
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`create_key`](Self::create_key).
    pub async fn create_key_of(&self, kind: KeyKind, name: &str) -> Result<String> {
        let (name, (key_type, convergent)) = (name.to_owned(), kind.terms());
        let create = move |app: &App| {
            app.change(|state, now| {
                Ok(state.create_key(&name, key_type, convergent, now)?.tag.clone())
            })
        };
        self.server.blocking(create).await
    }

    /// Adds a version to a key and returns its number. It becomes the current version.
    ///
    /// ```
    /// use ncp_envelope::blocking::wait;
    ///
    /// # let emulator = ncp_envelope::emulator::Emulator::builder().start_blocking()?;
    /// assert_eq!(wait(emulator.rotate_key(emulator.key_tag()))??, 2);
    /// assert_eq!(wait(emulator.rotate_key(emulator.key_tag()))??, 3);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::KeyUnusable`](crate::ErrorKind::KeyUnusable) if the key does not exist, is
    /// disabled or has 100 versions; [`ErrorKind::Io`](crate::ErrorKind::Io) if the state cannot be
    /// written.
    pub async fn rotate_key(&self, tag: &str) -> Result<u32> {
        let tag = tag.to_owned();
        self.server
            .blocking(move |app| app.change(|state, now| Ok(state.key(&tag)?.rotate(now)?.version)))
            .await
    }

    /// Disables a key with all its versions.
    ///
    /// ```
    /// # #[cfg(feature = "kms")] {
    /// use ncp_envelope::ErrorKind;
    /// use ncp_envelope::blocking::wait;
    /// # use ncp_envelope::emulator::Emulator;
    /// # use ncp_envelope::kms::{Client, Credentials, Endpoint};
    ///
    /// # let emulator = Emulator::builder().start_blocking()?;
    /// # let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
    /// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
    /// # let client = Client::builder().endpoint(endpoint).credentials(account).build()?;
    /// wait(emulator.disable_key(emulator.key_tag()))??;
    /// let refused = wait(client.key(emulator.key_tag())?.encrypt(b"hello"))?;
    /// assert_eq!(refused.unwrap_err().kind(), ErrorKind::KeyUnusable);
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::KeyUnusable`](crate::ErrorKind::KeyUnusable) if the key does not exist;
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) if the state cannot be written.
    pub async fn disable_key(&self, tag: &str) -> Result<()> {
        self.set_key_enabled(tag, false).await
    }

    /// Enables a key. Its versions keep the states they had.
    ///
    /// ```
    /// use ncp_envelope::blocking::wait;
    ///
    /// # let emulator = ncp_envelope::emulator::Emulator::builder().start_blocking()?;
    /// let tag = emulator.key_tag();
    /// wait(emulator.disable_key(tag))??;
    /// assert!(wait(emulator.rotate_key(tag))?.is_err());
    /// wait(emulator.enable_key(tag))??;
    /// assert_eq!(wait(emulator.rotate_key(tag))??, 2);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`disable_key`](Self::disable_key).
    pub async fn enable_key(&self, tag: &str) -> Result<()> {
        self.set_key_enabled(tag, true).await
    }

    /// Disables one version of a key.
    ///
    /// ```
    /// # #[cfg(feature = "kms")] {
    /// use ncp_envelope::ErrorKind;
    /// use ncp_envelope::blocking::wait;
    /// # use ncp_envelope::emulator::Emulator;
    /// # use ncp_envelope::kms::{Client, Credentials, Endpoint};
    ///
    /// # let emulator = Emulator::builder().start_blocking()?;
    /// # let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
    /// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
    /// # let client = Client::builder().endpoint(endpoint).credentials(account).build()?;
    /// let (tag, key) = (emulator.key_tag(), client.key(emulator.key_tag())?);
    /// let ciphertext = wait(key.encrypt(b"hello"))??;
    /// wait(emulator.rotate_key(tag))??;
    /// wait(emulator.disable_key_version(tag, 1))??;
    /// let refused = wait(key.decrypt(&ciphertext))?;
    /// assert_eq!(refused.unwrap_err().kind(), ErrorKind::KeyUnusable);
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for the current version, which
    /// stays enabled; [`ErrorKind::KeyUnusable`](crate::ErrorKind::KeyUnusable) if the key or the
    /// version does not exist, or the key is disabled; [`ErrorKind::Io`](crate::ErrorKind::Io) if
    /// the state cannot be written.
    pub async fn disable_key_version(&self, tag: &str, version: u32) -> Result<()> {
        self.set_version_enabled(tag, version, false).await
    }

    /// Enables one version of a key.
    ///
    /// ```
    /// # #[cfg(feature = "kms")] {
    /// use ncp_envelope::blocking::wait;
    /// # use ncp_envelope::emulator::Emulator;
    /// # use ncp_envelope::kms::{Client, Credentials, Endpoint};
    ///
    /// # let emulator = Emulator::builder().start_blocking()?;
    /// # let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
    /// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
    /// # let client = Client::builder().endpoint(endpoint).credentials(account).build()?;
    /// # let (tag, key) = (emulator.key_tag(), client.key(emulator.key_tag())?);
    /// # let ciphertext = wait(key.encrypt(b"hello"))??;
    /// # wait(emulator.rotate_key(tag))??;
    /// wait(emulator.disable_key_version(tag, 1))??;
    /// assert!(wait(key.decrypt(&ciphertext))?.is_err());
    /// wait(emulator.enable_key_version(tag, 1))??;
    /// assert_eq!(wait(key.decrypt(&ciphertext))??.expose_secret(), b"hello");
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`disable_key_version`](Self::disable_key_version), but the current version is accepted.
    pub async fn enable_key_version(&self, tag: &str, version: u32) -> Result<()> {
        self.set_version_enabled(tag, version, true).await
    }

    /// The requests answered so far, oldest first. It keeps the last 10,000, or fewer if those
    /// would take more than 8 MiB.
    ///
    /// ```
    /// # #[cfg(feature = "kms")] {
    /// use ncp_envelope::blocking::wait;
    /// # use ncp_envelope::emulator::Emulator;
    /// # use ncp_envelope::kms::{Client, Credentials, Endpoint};
    ///
    /// # let emulator = Emulator::builder().start_blocking()?;
    /// # let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
    /// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
    /// # let client = Client::builder().endpoint(endpoint).credentials(account).build()?;
    /// wait(client.key(emulator.key_tag())?.encrypt_many(&["one", "two"]))??;
    /// let requests = emulator.requests();
    /// assert_eq!((requests[0].action, requests[0].items), (Some("encrypt"), 2));
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.server.app.record.requests()
    }

    /// Number of requests answered so far.
    ///
    /// ```
    /// # #[cfg(feature = "kms")] {
    /// # use ncp_envelope::blocking::wait;
    /// # use ncp_envelope::emulator::Emulator;
    /// # use ncp_envelope::kms::{Client, Credentials, Endpoint};
    /// # let emulator = Emulator::builder().start_blocking()?;
    /// # let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
    /// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
    /// # let client = Client::builder().endpoint(endpoint).credentials(account).build()?;
    /// assert_eq!(emulator.request_count(), 0);
    /// wait(client.key(emulator.key_tag())?.encrypt(b"hello"))??;
    /// assert_eq!(emulator.request_count(), 1);
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn request_count(&self) -> u64 {
        self.server.app.record.count()
    }

    /// Same as [`requests`](Self::requests) for the [metadata service](crate::emulator::Metadata).
    /// Its actions are `metadata-token`, `metadata-roles` and `metadata-keys`.
    ///
    /// ```
    /// # #[cfg(feature = "kms")] {
    /// use ncp_envelope::blocking::wait;
    /// use ncp_envelope::emulator::{Emulator, Metadata};
    /// use ncp_envelope::kms::{Client, Endpoint, ServerRole};
    ///
    /// let emulator = Emulator::builder().metadata(Metadata::new()).start_blocking()?;
    /// let client = Client::builder()
    ///     .endpoint(Endpoint::Custom(emulator.url().to_owned()))
    ///     .credential_source(ServerRole::at(&emulator.metadata_url().unwrap())?)
    ///     .build()?;
    /// wait(client.key(emulator.key_tag())?.encrypt(b"hello"))??;
    /// let asked = emulator.metadata_requests();
    /// assert_eq!(asked.last().unwrap().action, Some("metadata-keys"));
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn metadata_requests(&self) -> Vec<RecordedRequest> {
        self.server.app.metadata_record.requests()
    }

    /// Injects a fault. It is active once this returns. Several can be active at the same time: a
    /// request meets the first that matches, and every latency and clock shift that matches.
    ///
    /// ```
    /// # #[cfg(feature = "kms")] {
    /// use ncp_envelope::blocking::wait;
    /// use ncp_envelope::emulator::{Emulator, Fault, FaultKind};
    /// # use ncp_envelope::kms::{Client, Credentials, Endpoint};
    ///
    /// let emulator = Emulator::builder().start_blocking()?;
    /// # let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
    /// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
    /// # let client = Client::builder().endpoint(endpoint).credentials(account).build()?;
    /// wait(emulator.inject(Fault::new(FaultKind::ResetAfter).on_action("encrypt").once()))??;
    ///
    /// // The first answer is lost; the client sends the request again.
    /// wait(client.key(emulator.key_tag())?.encrypt(b"hello"))??;
    /// let faults: Vec<_> = emulator.requests().iter().map(|request| request.fault).collect();
    /// assert_eq!(faults, [Some("reset-after"), None]);
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) if the fault names a call that
    /// does not exist, or contradicts itself.
    pub async fn inject(&self, fault: Fault) -> Result<FaultId> {
        self.server.app.faults.inject(fault).await
    }

    /// Removes a fault. No-op for one that has hit as often as it should: it is gone already.
    ///
    /// ```
    /// # #[cfg(feature = "kms")] {
    /// use ncp_envelope::blocking::wait;
    /// use ncp_envelope::emulator::{Emulator, Fault, FaultKind};
    /// # use ncp_envelope::kms::{Client, Credentials, Endpoint};
    ///
    /// let emulator = Emulator::builder().start_blocking()?;
    /// # let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
    /// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
    /// # let client = Client::builder().endpoint(endpoint).credentials(account);
    /// # let client = client.max_attempts(1).build()?;
    /// let key = client.key(emulator.key_tag())?;
    /// let fault = wait(emulator.inject(Fault::new(FaultKind::NotJson)))??;
    /// assert!(wait(key.encrypt(b"hello"))?.is_err());
    /// wait(emulator.clear_fault(fault))?;
    /// assert!(wait(key.encrypt(b"hello"))?.is_ok());
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub async fn clear_fault(&self, id: FaultId) {
        self.server.app.faults.clear(Some(id)).await;
    }

    /// Removes all faults.
    ///
    /// ```
    /// # #[cfg(feature = "kms")] {
    /// # use ncp_envelope::blocking::wait;
    /// # use ncp_envelope::emulator::{Emulator, Fault, FaultKind};
    /// # use ncp_envelope::kms::{Client, Credentials, Endpoint};
    /// # let emulator = Emulator::builder().start_blocking()?;
    /// # let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
    /// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
    /// # let client = Client::builder().endpoint(endpoint).credentials(account).build()?;
    /// wait(emulator.inject(Fault::new(FaultKind::Refused)))??;
    /// wait(emulator.inject(Fault::new(FaultKind::CutBody)))??;
    /// wait(emulator.clear_faults())?;
    /// assert!(wait(client.key(emulator.key_tag())?.encrypt(b"hello"))?.is_ok());
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub async fn clear_faults(&self) {
        self.server.app.faults.clear(None).await;
    }

    /// Delays every request by this much from now on.
    ///
    /// ```
    /// # #[cfg(feature = "kms")] {
    /// use ncp_envelope::blocking::wait;
    /// # use ncp_envelope::emulator::Emulator;
    /// # use ncp_envelope::kms::{Client, Credentials, Endpoint};
    /// use std::time::Duration;
    ///
    /// # let emulator = Emulator::builder().start_blocking()?;
    /// # let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
    /// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
    /// # let client = Client::builder().endpoint(endpoint).credentials(account);
    /// let client = client.call_timeout(Duration::from_millis(50)).build()?;
    /// emulator.set_latency(Duration::from_secs(60));
    /// let too_late = wait(client.key(emulator.key_tag())?.encrypt(b"hello"))?;
    /// assert!(too_late.is_err());
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn set_latency(&self, latency: Duration) {
        self.server.app.faults.set_latency(latency);
    }

    /// Restores what the emulator started with: keys, faults, latency, clock, throttle, records and
    /// logs. Temporary keys of roles are revoked. Account, certificate and the tokens of the
    /// ready-made key stay valid. Keys in a
    /// [state directory](crate::emulator::EmulatorBuilder::state_dir) stay as they are. It is not
    /// atomic for requests in flight.
    ///
    /// ```
    /// use ncp_envelope::blocking::wait;
    ///
    /// # let emulator = ncp_envelope::emulator::Emulator::builder().start_blocking()?;
    /// wait(emulator.rotate_key(emulator.key_tag()))??;
    /// let orders = wait(emulator.create_key("orders"))??;
    /// wait(emulator.reset())??;
    /// assert_eq!(wait(emulator.rotate_key(emulator.key_tag()))??, 2);
    /// assert!(wait(emulator.rotate_key(&orders))?.is_err(), "the key is gone");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) if the keys cannot be restored, which
    /// does not happen.
    pub async fn reset(&self) -> Result<()> {
        self.server.app.reset().await.map(|_| ())
    }

    /// Stops gracefully: accepts no new connections and waits up to 5 seconds for requests in
    /// flight.
    ///
    /// ```
    /// # let emulator = ncp_envelope::emulator::Emulator::builder().start_blocking()?;
    /// let address = emulator.url().strip_prefix("http://").unwrap().to_owned();
    /// ncp_envelope::blocking::wait(emulator.shutdown())?;
    /// assert!(std::net::TcpStream::connect(address).is_err());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub async fn shutdown(self) {
        self.server.shutdown().await;
    }

    async fn tokens(&self) -> Result<&TokenSet> {
        self.tokens
            .get_or_try_init(|| self.issue(&self.key_tag, self.lifetimes.0, self.lifetimes.1))
            .await
    }

    async fn issue(&self, tag: &str, access: Lifetime, refresh: Lifetime) -> Result<TokenSet> {
        let tag = tag.to_owned();
        let work = move |app: &App| {
            app.ensure_generator(&tag)?;
            let mint = |token_type, lifetime| {
                app.mint(
                    &tag,
                    app.accounts.main_id(),
                    token_type,
                    lifetime,
                    app.clock.unix_millis(),
                )
            };
            let refresh = mint(TokenType::Refresh, refresh)?;
            Ok(TokenSet::new(mint(TokenType::Access, access)?, refresh))
        };
        self.server.blocking(work).await
    }

    async fn set_key_enabled(&self, tag: &str, enabled: bool) -> Result<()> {
        let tag = tag.to_owned();
        self.server
            .blocking(move |app| {
                app.change(|state, now| Ok(state.key(&tag)?.set_enabled(enabled, now)?))
            })
            .await
    }

    async fn set_version_enabled(&self, tag: &str, version: u32, enabled: bool) -> Result<()> {
        let tag = tag.to_owned();
        let change = move |app: &App| {
            app.change(|state, now| {
                state.key(&tag)?.set_version_enabled(version, enabled, now)?;
                Ok(())
            })
        };
        self.server.blocking(change).await
    }
}

impl fmt::Debug for Emulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emulator")
            .field("url", &self.url)
            .field("key_tag", &self.key_tag)
            .finish_non_exhaustive()
    }
}
