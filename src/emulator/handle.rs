//! An emulator in the hands of its owner: what it is called with, and what can be done to it.

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

/// A running emulator. Dropping it stops the server, at once and with everything it started.
///
/// It starts with one account, one API Gateway key and one AES-256 key. Tokens are made when first
/// asked for.
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

    /// Base URL for both generations of the interface, such as `http://127.0.0.1:40123`, or
    /// `https://` and so on with [TLS](crate::emulator::EmulatorBuilder::tls).
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The certificate that a client has to trust, if this speaks
    /// [TLS](crate::emulator::EmulatorBuilder::tls). Another one at every start.
    pub fn certificate_pem(&self) -> Option<&str> {
        self.server.certificate_pem.as_deref()
    }

    /// Base URL of the admin port, if there is one.
    pub fn admin_url(&self) -> Option<String> {
        self.server.admin.map(|addr| format!("http://{addr}"))
    }

    /// Base URL of the [metadata service](crate::emulator::Metadata), if there is one, such as
    /// `http://127.0.0.1:40124`. It takes the place of `http://169.254.169.254`.
    pub fn metadata_url(&self) -> Option<String> {
        self.server.metadata.map(|addr| format!("http://{addr}"))
    }

    /// Tag of the ready-made key.
    pub fn key_tag(&self) -> &str {
        &self.key_tag
    }

    /// Access key of the account.
    pub fn access_key(&self) -> &str {
        &self.access_key
    }

    /// Secret key of the account. A secret, if only of the emulator.
    pub fn secret_key(&self) -> &str {
        &self.secret_key
    }

    /// API Gateway API key, which signature v1 takes.
    pub fn apigw_api_key(&self) -> &str {
        &self.apigw_api_key
    }

    /// Access token of the ready-made key, issued when a token is first asked for and the same ever
    /// after, even once it has expired. The first one of a key takes a tenth of a second or more.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) if the token generator fails,
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) if it cannot be written to the state directory.
    pub async fn access_token(&self) -> Result<&str> {
        Ok(self.tokens().await?.access_token())
    }

    /// Refresh token of the ready-made key, of the same set as
    /// [`access_token`](Self::access_token).
    ///
    /// # Errors
    /// As there.
    pub async fn refresh_token(&self) -> Result<&str> {
        Ok(self.tokens().await?.refresh_token())
    }

    /// Issues a token set of the key `tag` for the account, and enables the key's token generator
    /// if need be. Good for these lifetimes in whole seconds, at least one. The service's own
    /// interface knows only hours.
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

    /// Everything a client needs, in one piece. Makes tokens if there are none yet.
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

    /// Creates an AES-256 key and gives its tag.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) if the name is not 3 to 15
    /// letters, digits, hyphens and underscores with a letter first, or is taken;
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) if the state cannot be written.
    pub async fn create_key(&self, name: &str) -> Result<String> {
        self.create_key_of(KeyKind::Aes256, name).await
    }

    /// Creates a key of any kind and gives its tag.
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

    /// Adds a version to a key, which becomes the current one, and gives its number.
    ///
    /// # Errors
    /// [`ErrorKind::KeyUnusable`](crate::ErrorKind::KeyUnusable) if there is no such key, it is
    /// disabled or it has 100 versions; [`ErrorKind::Io`](crate::ErrorKind::Io) if the state cannot
    /// be written.
    pub async fn rotate_key(&self, tag: &str) -> Result<u32> {
        let tag = tag.to_owned();
        self.server
            .blocking(move |app| app.change(|state, now| Ok(state.key(&tag)?.rotate(now)?.version)))
            .await
    }

    /// Disables a key with all its versions.
    ///
    /// # Errors
    /// [`ErrorKind::KeyUnusable`](crate::ErrorKind::KeyUnusable) if there is no such key;
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) if the state cannot be written.
    pub async fn disable_key(&self, tag: &str) -> Result<()> {
        self.set_key_enabled(tag, false).await
    }

    /// Enables a key; each version is what it was before.
    ///
    /// # Errors
    /// As [`disable_key`](Self::disable_key).
    pub async fn enable_key(&self, tag: &str) -> Result<()> {
        self.set_key_enabled(tag, true).await
    }

    /// Disables one version of a key.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for the current version, which
    /// stays enabled; [`ErrorKind::KeyUnusable`](crate::ErrorKind::KeyUnusable) if there is no such
    /// key or version, or the key is disabled; [`ErrorKind::Io`](crate::ErrorKind::Io) if the state
    /// cannot be written.
    pub async fn disable_key_version(&self, tag: &str, version: u32) -> Result<()> {
        self.set_version_enabled(tag, version, false).await
    }

    /// Enables one version of a key.
    ///
    /// # Errors
    /// As [`disable_key_version`](Self::disable_key_version), but the current version may be named.
    pub async fn enable_key_version(&self, tag: &str, version: u32) -> Result<()> {
        self.set_version_enabled(tag, version, true).await
    }

    /// The requests answered so far, the oldest first; of very many, the last 10,000, or fewer if
    /// those would take more than 8 MiB.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.server.app.record.requests()
    }

    /// How many requests were answered so far.
    pub fn request_count(&self) -> u64 {
        self.server.app.record.count()
    }

    /// The requests that the [metadata service](crate::emulator::Metadata) answered so far, as
    /// [`requests`](Self::requests). Their actions are `metadata-token`, `metadata-roles` and
    /// `metadata-keys`.
    pub fn metadata_requests(&self) -> Vec<RecordedRequest> {
        self.server.app.metadata_record.requests()
    }

    /// Injects a fault; when this returns, it is in force. Several may be: a request meets the
    /// first that fits it, and all that only delay it or shift its clock.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) if the fault names a call that
    /// there is not, or contradicts itself.
    pub async fn inject(&self, fault: Fault) -> Result<FaultId> {
        self.server.app.faults.inject(fault).await
    }

    /// Takes a fault back. One that has hit as often as it should is gone already.
    pub async fn clear_fault(&self, id: FaultId) {
        self.server.app.faults.clear(Some(id)).await;
    }

    /// Takes all faults back.
    pub async fn clear_faults(&self) {
        self.server.app.faults.clear(None).await;
    }

    /// Delays every request by this much from now on.
    pub fn set_latency(&self, latency: Duration) {
        self.server.app.faults.set_latency(latency);
    }

    /// Puts everything back to what it was when the emulator started: keys, faults, latency, clock,
    /// throttle, records and logs; temporary keys of roles are void. Account and certificate are
    /// the same as before, and so are the tokens of the ready-made key. Keys in a
    /// [state directory](crate::emulator::EmulatorBuilder::state_dir) stay as they are. Requests
    /// that are being answered see it half done.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) if the keys cannot be put back, which
    /// does not happen.
    pub async fn reset(&self) -> Result<()> {
        self.server.app.reset().await.map(|_| ())
    }

    /// Stops gracefully: takes no new connections, and waits up to 5 seconds for requests that are
    /// being answered.
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
