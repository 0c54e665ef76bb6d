//! Settings of an emulator, and its start.

use crate::emulator::auth::account::SubAccount;
use crate::emulator::auth::rights::Rights;
use crate::emulator::clock::EmulatorClock;
use crate::emulator::handle::Emulator;
use crate::emulator::http::server::{Config, Server};
use crate::emulator::keys::token::lifetime;
use crate::emulator::metadata::Metadata;
use crate::emulator::state::content::Preset;
use crate::emulator::state::storage::OnFault;
use crate::emulator::throttle::Rates;
use crate::error::{Error, ErrorKind, Result};
use crate::runtime;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

impl Emulator {
    /// Starts an emulator on a free loopback port, with its state in memory.
    ///
    /// ```
    /// use ncp_envelope::emulator::Emulator;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> ncp_envelope::Result<()> {
    /// let emulator = Emulator::start().await?;
    /// assert!(emulator.url().starts_with("http://127.0.0.1:"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) if no port is free or no thread can be started.
    pub async fn start() -> Result<Self> {
        Self::builder().start().await
    }

    /// Settings to start an emulator with.
    ///
    /// ```
    /// use ncp_envelope::emulator::Emulator;
    ///
    /// let emulator = Emulator::builder().key_tag("orders").start_blocking()?;
    /// assert_eq!(emulator.key_tag(), "orders");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn builder() -> EmulatorBuilder {
        EmulatorBuilder::new()
    }
}

/// Settings of an [`Emulator`], from [`Emulator::builder`]. `Debug` shows no secret.
///
/// ```
/// use ncp_envelope::emulator::{Emulator, EmulatorClock};
/// use std::time::{Duration, UNIX_EPOCH};
///
/// // The same tag, credentials and time in every run.
/// let emulator = Emulator::builder()
///     .key_tag("orders")
///     .account("test-access", "test-secret")
///     .clock(EmulatorClock::fixed(UNIX_EPOCH + Duration::from_secs(1_700_000_000)))
///     .start_blocking()?;
/// assert_eq!((emulator.key_tag(), emulator.access_key()), ("orders", "test-access"));
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[must_use = "a builder does nothing until it is started"]
pub struct EmulatorBuilder {
    state_dir: Option<PathBuf>,
    on_state_fault: Option<OnFault>,
    listen: SocketAddr,
    allow_remote: bool,
    clock: EmulatorClock,
    preset: Preset,
    access: Duration,
    refresh: Duration,
    sub_accounts: Vec<SubAccount>,
    sdk_signatures: bool,
    rates: Option<Rates>,
    latency: Duration,
    admin: Option<SocketAddr>,
    metadata: Option<Metadata>,
    tls: Option<Vec<String>>,
    mistake: Option<Error>,
}

impl EmulatorBuilder {
    pub(crate) fn new() -> Self {
        Self {
            state_dir: None,
            on_state_fault: None,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            allow_remote: false,
            clock: EmulatorClock::system(),
            preset: Preset::default(),
            access: Duration::from_secs(72 * 3600),
            refresh: Duration::from_secs(2160 * 3600),
            sub_accounts: Vec::new(),
            sdk_signatures: false,
            rates: None,
            latency: Duration::ZERO,
            admin: None,
            metadata: None,
            tls: None,
            mistake: None,
        }
    }

    /// Keeps keys and credentials in `dir`, which is created if it does not exist. Default: in
    /// memory only.
    ///
    /// Several processes may share the directory. Each reads it at start, and again before each of
    /// its own changes; that is when it sees the changes of others.
    ///
    /// ```
    /// use ncp_envelope::emulator::Emulator;
    ///
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let dir = dir.path();
    /// let first = Emulator::builder().state_dir(dir).start_blocking()?;
    /// let second = Emulator::builder().state_dir(dir).start_blocking()?;
    /// assert_eq!(first.key_tag(), second.key_tag());
    /// assert_eq!(first.secret_key(), second.secret_key());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn state_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.state_dir = Some(dir.into());
        self
    }

    /// Calls `tell` with the reason when a change cannot be saved to the state directory, which may
    /// be full, read-only or gone. Callers get what the service would answer, a 500 without a
    /// reason. Default: the reason is dropped.
    ///
    /// `tell` runs on a thread of the emulator and blocks it.
    ///
    /// ```
    /// use ncp_envelope::blocking::wait;
    /// use ncp_envelope::emulator::Emulator;
    ///
    /// # let dir = tempfile::tempdir().unwrap();
    /// let (tell, told) = std::sync::mpsc::channel();
    /// let emulator = Emulator::builder()
    ///     .state_dir(dir.path())
    ///     .on_state_fault(move |error| drop(tell.send(error.to_string())))
    ///     .start_blocking()?;
    /// std::fs::remove_dir_all(dir.path()).unwrap();
    /// assert!(wait(emulator.create_key("orders"))?.is_err());
    /// assert!(told.recv().unwrap().contains("state"));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn on_state_fault(mut self, tell: impl Fn(&Error) + Send + Sync + 'static) -> Self {
        self.on_state_fault = Some(Arc::new(tell));
        self
    }

    /// Listens on `addr`; port 0 takes a free port. Default: `127.0.0.1:0`.
    ///
    /// ```
    /// use ncp_envelope::ErrorKind;
    /// use ncp_envelope::emulator::Emulator;
    ///
    /// let emulator = Emulator::builder().listen(([127, 0, 0, 1], 0).into()).start_blocking()?;
    /// let taken = emulator.url().strip_prefix("http://").unwrap().parse().unwrap();
    ///
    /// let refused = Emulator::builder().listen(taken).start_blocking();
    /// assert_eq!(refused.unwrap_err().kind(), ErrorKind::Io);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn listen(mut self, addr: SocketAddr) -> Self {
        self.listen = addr;
        self
    }

    /// Permits an address that other machines can reach. The emulator speaks plain HTTP unless
    /// [TLS](Self::tls) is on, and is not built to face a network.
    ///
    /// ```
    /// use ncp_envelope::ErrorKind;
    /// use ncp_envelope::emulator::Emulator;
    /// use std::net::{Ipv4Addr, SocketAddr};
    ///
    /// let every_interface = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    /// let refused = Emulator::builder().listen(every_interface).start_blocking();
    /// assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidInput);
    ///
    /// Emulator::builder().listen(every_interface).allow_remote().start_blocking()?;
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn allow_remote(mut self) -> Self {
        self.allow_remote = true;
        self
    }

    /// The clock by which timestamps and tokens are judged. Default: the system's.
    ///
    /// ```
    /// # #[cfg(feature = "kms")] {
    /// use ncp_envelope::blocking::wait;
    /// use ncp_envelope::emulator::{Emulator, EmulatorClock};
    /// # use ncp_envelope::kms::{Client, Credentials, Endpoint};
    /// use std::time::Duration;
    ///
    /// let clock = EmulatorClock::system();
    /// let emulator = Emulator::builder().clock(clock.clone()).start_blocking()?;
    /// # let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
    /// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
    /// # let client = Client::builder().endpoint(endpoint).credentials(account).build()?;
    /// clock.advance(Duration::from_secs(3600));
    /// wait(client.key(emulator.key_tag())?.encrypt(b"hello"))??;
    ///
    /// // Signed an hour late; the client corrects its clock and signs again.
    /// let statuses: Vec<_> = emulator.requests().iter().map(|request| request.status).collect();
    /// assert_eq!(statuses, [401, 200]);
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn clock(mut self, clock: EmulatorClock) -> Self {
        self.clock = clock;
        self
    }

    /// Lifetimes of the tokens in the ready-made set, in whole seconds, at least one. Default: 72
    /// hours and 90 days, as the service has it.
    ///
    /// ```
    /// # #[cfg(feature = "kms")] {
    /// use ncp_envelope::blocking::wait;
    /// use ncp_envelope::emulator::{Emulator, EmulatorClock};
    /// # use ncp_envelope::kms::{Client, Credentials, Endpoint};
    /// use std::time::{Duration, SystemTime};
    ///
    /// let clock = EmulatorClock::fixed(SystemTime::now());
    /// let emulator = Emulator::builder()
    ///     .clock(clock.clone())
    ///     .token_lifetimes(Duration::from_secs(60), Duration::from_secs(3600))
    ///     .start_blocking()?;
    /// # let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
    /// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
    /// # let client = Client::builder().endpoint(endpoint).credentials(account).build()?;
    /// let tokens = client.key(emulator.key_tag())?.tokens();
    /// let access = wait(emulator.access_token())??.to_owned().into();
    /// assert!(wait(tokens.validate(&access))??);
    /// clock.advance(Duration::from_secs(60));
    /// assert!(!wait(tokens.validate(&access))??);
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn token_lifetimes(mut self, access: Duration, refresh: Duration) -> Self {
        (self.access, self.refresh) = (access, refresh);
        self
    }

    /// The account's access key and secret key. Default: random, chosen when the state is created.
    ///
    /// ```
    /// use ncp_envelope::emulator::Emulator;
    ///
    /// let emulator = Emulator::builder().account("test-access", "test-secret").start_blocking()?;
    /// assert_eq!(emulator.access_key(), "test-access");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn account(mut self, access_key: impl Into<String>, secret_key: impl Into<String>) -> Self {
        self.preset.account = Some((access_key.into(), Zeroizing::new(secret_key.into())));
        self
    }

    /// The API Gateway's API key. Default: random, chosen when the state is created.
    ///
    /// ```
    /// use ncp_envelope::emulator::Emulator;
    ///
    /// let emulator = Emulator::builder().apigw_api_key("test-gateway-key").start_blocking()?;
    /// assert_eq!(emulator.apigw_api_key(), "test-gateway-key");
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn apigw_api_key(mut self, key: impl Into<String>) -> Self {
        self.preset.apigw_api_key = Some(Zeroizing::new(key.into()));
        self
    }

    /// The tag of the ready-made key, letters and digits. Default: 64 hexadecimal digits.
    ///
    /// ```
    /// use ncp_envelope::ErrorKind;
    /// use ncp_envelope::emulator::Emulator;
    ///
    /// assert_eq!(Emulator::builder().key_tag("orders").start_blocking()?.key_tag(), "orders");
    ///
    /// let refused = Emulator::builder().key_tag("a name").start_blocking();
    /// assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidInput);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn key_tag(mut self, tag: impl Into<String>) -> Self {
        self.preset.key_tag = Some(tag.into());
        self
    }

    /// Adds a sub account that may do only what its policies (`NCP_KMS_MANAGER`, `NCP_KMS_VIEWER`)
    /// and permissions (such as `Change/encrypt` or `View/getKeyInfo`) allow; the guide lists them.
    /// Its tokens may do no more. It is not kept in the state directory; the same access key is the
    /// same principal at every start.
    ///
    /// ```
    /// # #[cfg(feature = "kms")] {
    /// use ncp_envelope::ErrorKind;
    /// use ncp_envelope::blocking::wait;
    /// use ncp_envelope::emulator::Emulator;
    /// # use ncp_envelope::kms::{Client, Credentials, Endpoint};
    ///
    /// let emulator = Emulator::builder()
    ///     .sub_account("writer", "writer-secret", &["Change/encrypt"])
    ///     .start_blocking()?;
    /// # let account = Credentials::account("writer", "writer-secret")?;
    /// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
    /// # let client = Client::builder().endpoint(endpoint).credentials(account).build()?;
    /// let key = client.key(emulator.key_tag())?;
    /// let ciphertext = wait(key.encrypt(b"hello"))??;
    /// let refused = wait(key.decrypt(&ciphertext))?;
    /// assert_eq!(refused.unwrap_err().kind(), ErrorKind::AccessDenied);
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn sub_account(
        mut self,
        access_key: impl Into<String>,
        secret_key: impl Into<String>,
        permissions: &[&str],
    ) -> Self {
        match Rights::parse(permissions) {
            Ok(rights) => {
                let secret_key = Zeroizing::new(secret_key.into());
                self.sub_accounts.push(SubAccount {
                    access_key: access_key.into(),
                    secret_key,
                    rights,
                    addresses: None,
                });
            }
            Err(refusal) => self.mistake = Some(refusal.into()),
        }
        self
    }

    /// Restricts the signed calls of a sub account, which must have been added before, to these
    /// addresses, as the IP access list of the Sub Account service does. It holds for both
    /// generations of the API. Tokens are subject to the access list of their key instead. An empty
    /// list denies every address. Default: no restriction.
    ///
    /// ```
    /// # #[cfg(feature = "kms")] {
    /// use ncp_envelope::ErrorKind;
    /// use ncp_envelope::blocking::wait;
    /// use ncp_envelope::emulator::Emulator;
    /// # use ncp_envelope::kms::{Client, Credentials, Endpoint};
    ///
    /// let emulator = Emulator::builder()
    ///     .sub_account("writer", "writer-secret", &["Change/encrypt"])
    ///     .sub_account_addresses("writer", &["203.0.113.7".parse().unwrap()])
    ///     .start_blocking()?;
    /// # let account = Credentials::account("writer", "writer-secret")?;
    /// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
    /// # let client = Client::builder().endpoint(endpoint).credentials(account).build()?;
    /// let refused = wait(client.key(emulator.key_tag())?.encrypt(b"hello"))?;
    /// assert_eq!(refused.unwrap_err().kind(), ErrorKind::AccessDenied);
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn sub_account_addresses(mut self, access_key: &str, addresses: &[IpAddr]) -> Self {
        match self.sub_accounts.iter_mut().find(|sub| sub.access_key == access_key) {
            Some(sub) => sub.addresses = Some(addresses.iter().map(IpAddr::to_canonical).collect()),
            None => {
                let reason = "no sub account with this access key was added to have addresses";
                self.mistake = Some(Error::new(ErrorKind::InvalidInput, reason));
            }
        }
        self
    }

    /// Accepts signature v1 as the vendor's own SDKs make it, on every path that takes an account.
    /// It comes in the header `x-ncp-apigw-signature-v1`, and the API Gateway key is signed exactly
    /// if its header is sent. The documentation does not describe it. Default: not accepted.
    ///
    /// ```
    /// use ncp_envelope::emulator::{AuthRow, Emulator};
    /// # use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
    /// # use base64::Engine as _;
    /// # use base64::engine::general_purpose::STANDARD;
    /// # use std::io::{Read, Write};
    /// # use std::net::TcpStream;
    /// # use std::time::{SystemTime, UNIX_EPOCH};
    ///
    /// let emulator = Emulator::builder().accept_sdk_signatures().start_blocking()?;
    /// # let (path, access_key) = ("/kms/v1/keys", emulator.access_key());
    /// # let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    /// # let hmac = |text: &str| {
    /// #     let key = Key::new(HMAC_SHA256, emulator.secret_key().as_bytes());
    /// #     STANDARD.encode(sign(&key, text.as_bytes()))
    /// # };
    /// let signature = hmac(&format!("GET {path}\n{time}\n{access_key}"));
    /// let request = format!(
    ///     "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
    ///      x-ncp-apigw-timestamp: {time}\r\nx-ncp-iam-access-key: {access_key}\r\n\
    ///      x-ncp-apigw-signature-v1: {signature}\r\n\r\n"
    /// );
    /// # let address = emulator.url().strip_prefix("http://").unwrap();
    /// # let mut stream = TcpStream::connect(address).unwrap();
    /// # stream.write_all(request.as_bytes()).unwrap();
    /// # stream.read_to_end(&mut Vec::new()).unwrap();
    /// let answered = &emulator.requests()[0];
    /// assert_eq!((answered.auth, answered.status), (AuthRow::AccountV1, 200));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn accept_sdk_signatures(mut self) -> Self {
        self.sdk_signatures = true;
        self
    }

    /// Rate limits in calls a second: `shared` for API 1.0, all keys together, and `per_key` for
    /// API 2.0. Measured by the emulator's clock. Default: 200 and 300, which the service
    /// documents; none on a clock that stands still, where a bucket would never refill.
    ///
    /// ```
    /// # #[cfg(feature = "kms")] {
    /// use ncp_envelope::ErrorKind;
    /// use ncp_envelope::blocking::wait;
    /// use ncp_envelope::emulator::{Emulator, EmulatorClock};
    /// # use ncp_envelope::kms::{Client, Credentials, Endpoint};
    /// use std::time::SystemTime;
    ///
    /// let stopped = EmulatorClock::fixed(SystemTime::now());
    /// let emulator = Emulator::builder().clock(stopped).throttle(200, 1).start_blocking()?;
    /// # let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
    /// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
    /// # let client = Client::builder().endpoint(endpoint).credentials(account);
    /// # let client = client.max_attempts(1).build()?;
    /// let key = client.key(emulator.key_tag())?;
    /// wait(key.encrypt(b"the first call of this second"))??;
    /// let refused = wait(key.encrypt(b"the second"))?;
    /// assert_eq!(refused.unwrap_err().kind(), ErrorKind::Throttled);
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn throttle(mut self, shared: u32, per_key: u32) -> Self {
        self.rates = Some(Rates { shared: Some(shared), per_key: Some(per_key) });
        self
    }

    /// Removes the rate limits.
    ///
    /// ```
    /// # #[cfg(feature = "kms")] {
    /// use ncp_envelope::blocking::wait;
    /// use ncp_envelope::emulator::Emulator;
    /// # use ncp_envelope::kms::{Client, Credentials, Endpoint};
    ///
    /// let emulator = Emulator::builder().throttle(0, 0).unthrottled().start_blocking()?;
    /// # let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
    /// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
    /// # let client = Client::builder().endpoint(endpoint).credentials(account).build()?;
    /// wait(client.key(emulator.key_tag())?.encrypt(b"hello"))??;
    /// assert_eq!(emulator.requests()[0].status, 200);
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn unthrottled(mut self) -> Self {
        self.rates = Some(Rates::UNLIMITED);
        self
    }

    /// Delays every request by this much, as a network would. Default: no delay.
    ///
    /// ```
    /// # #[cfg(feature = "kms")] {
    /// use ncp_envelope::ErrorKind;
    /// use ncp_envelope::blocking::wait;
    /// use ncp_envelope::emulator::Emulator;
    /// # use ncp_envelope::kms::{Client, Credentials, Endpoint};
    /// use std::time::Duration;
    ///
    /// let emulator = Emulator::builder().latency(Duration::from_secs(60)).start_blocking()?;
    /// # let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
    /// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
    /// # let client = Client::builder().endpoint(endpoint).credentials(account);
    /// let client = client.call_timeout(Duration::from_millis(50)).build()?;
    /// let too_late = wait(client.key(emulator.key_tag())?.encrypt(b"hello"))?;
    /// assert_eq!(too_late.unwrap_err().kind(), ErrorKind::Unavailable);
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// Opens the admin port on `addr`, for programs outside this process. It takes
    /// [faults](crate::emulator::Fault), latency, the clock and a reset as JSON over HTTP; the
    /// guide has the calls. It must be a loopback address, even with
    /// [`allow_remote`](Self::allow_remote). Default: no admin port.
    ///
    /// ```
    /// use ncp_envelope::emulator::Emulator;
    ///
    /// let emulator = Emulator::builder().admin(([127, 0, 0, 1], 0).into()).start_blocking()?;
    /// let url = emulator.admin_url().unwrap();
    /// assert!(url.starts_with("http://127.0.0.1:") && url != emulator.url());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn admin(mut self, addr: SocketAddr) -> Self {
        self.admin = Some(addr);
        self
    }

    /// Emulates the cloud's metadata service too, on a port of its own and in plain HTTP, as on a
    /// server. Default: no metadata service.
    ///
    /// Its address must be a loopback address unless [`allow_remote`](Self::allow_remote) is
    /// called.
    ///
    /// ```
    /// use ncp_envelope::emulator::{Emulator, Metadata};
    ///
    /// let emulator = Emulator::builder().metadata(Metadata::new()).start_blocking()?;
    /// assert!(emulator.metadata_url().unwrap().starts_with("http://127.0.0.1:"));
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = Some(metadata);
        self
    }

    /// Speaks TLS 1.2 and 1.3. Each start creates a key and a certificate for `localhost`,
    /// `127.0.0.1`, `::1` and the listening address. Default: plain HTTP.
    ///
    /// Clients must trust [`Emulator::certificate_pem`], the certificate of an authority that
    /// signed this one certificate and whose key is gone. Keys are kept in memory only, so the next
    /// start has other certificates. The admin port stays plain HTTP.
    ///
    /// ```
    /// # #[cfg(feature = "kms")] {
    /// use ncp_envelope::blocking::wait;
    /// use ncp_envelope::emulator::Emulator;
    /// use ncp_envelope::kms::{Client, Credentials, Endpoint};
    ///
    /// let emulator = Emulator::builder().tls().start_blocking()?;
    /// let client = Client::builder()
    ///     .endpoint(Endpoint::Custom(emulator.url().to_owned()))
    ///     .root_certificate(emulator.certificate_pem().unwrap())
    /// #   .credentials(Credentials::account(emulator.access_key(), emulator.secret_key())?)
    ///     .build()?;
    /// wait(client.key(emulator.key_tag())?.encrypt(b"hello"))??;
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn tls(mut self) -> Self {
        self.tls.get_or_insert_default();
        self
    }

    /// Speaks TLS as [`tls`](Self::tls) does, with this host name or address in the certificate as
    /// well, such as the name of a container. Adds to the names given before.
    ///
    /// ```
    /// use ncp_envelope::ErrorKind;
    /// use ncp_envelope::emulator::Emulator;
    ///
    /// let emulator = Emulator::builder().tls_name("kms.test").start_blocking()?;
    /// assert!(emulator.url().starts_with("https://127.0.0.1:"));
    ///
    /// let refused = Emulator::builder().tls_name("https://kms.test").start_blocking();
    /// assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidInput);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn tls_name(mut self, name: impl Into<String>) -> Self {
        self.tls.get_or_insert_default().push(name.into());
        self
    }

    /// Starts the emulator. It answers requests once this returns. Works on any executor.
    ///
    /// ```
    /// use ncp_envelope::emulator::Emulator;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> ncp_envelope::Result<()> {
    /// let emulator = Emulator::builder().key_tag("orders").start().await?;
    /// assert_eq!(emulator.rotate_key("orders").await?, 2);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// * [`ErrorKind::InvalidInput`] if an address is not a loopback address and
    ///   [`allow_remote`](Self::allow_remote) was not called, if a credential, permission, role,
    ///   name, tag or lifetime is invalid, or if the state directory holds another account or key
    ///   tag than the builder names;
    /// * [`ErrorKind::Malformed`] if the state file is damaged or was edited,
    ///   [`ErrorKind::UnsupportedVersion`] if it is of another version; the file stays as it is;
    /// * [`ErrorKind::Io`] if the emulator cannot listen on an address, if the state cannot be read
    ///   or written, or if another process holds its lock for 10 seconds;
    /// * [`ErrorKind::Internal`] if the certificate cannot be created.
    pub async fn start(self) -> Result<Emulator> {
        let listens = self.metadata.iter().map(|metadata| metadata.listen).chain([self.listen]);
        let public = listens.into_iter().find(|addr| !addr.ip().is_loopback());
        if let Some(addr) = public.filter(|_| !self.allow_remote) {
            let message = format!(
                "{addr} is not a loopback address: listen on one, or allow other machines to \
                 reach the emulator"
            );
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        if let Some(mistake) = self.mistake {
            return Err(mistake);
        }
        if let Some(admin) = self.admin.filter(|admin| !admin.ip().is_loopback()) {
            let message = format!("{admin} is not a loopback address, which the admin port needs");
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        let metadata = self.metadata.map(Metadata::checked).transpose()?;
        let lifetimes = (lifetime(self.access)?, lifetime(self.refresh)?);
        let default_rates = if self.clock.runs() { Rates::DOCUMENTED } else { Rates::UNLIMITED };
        let config = Config {
            listen: self.listen,
            state_dir: self.state_dir,
            on_state_fault: self.on_state_fault,
            preset: self.preset,
            clock: self.clock,
            sub_accounts: self.sub_accounts,
            sdk_signatures: self.sdk_signatures,
            rates: self.rates.unwrap_or(default_rates),
            latency: self.latency,
            admin: self.admin,
            metadata,
            tls: self.tls,
        };
        Ok(Emulator::new(Server::start(config).await?, lifetimes))
    }

    /// Same as [`start`](Self::start), for a program without an async runtime. The emulator runs on
    /// a thread of its own either way. [`blocking::wait`](crate::blocking::wait) waits for its
    /// async methods.
    ///
    /// ```
    /// use ncp_envelope::blocking::wait;
    /// use ncp_envelope::emulator::Emulator;
    ///
    /// let emulator = Emulator::builder().key_tag("orders").start_blocking()?;
    /// assert_eq!(wait(emulator.rotate_key("orders"))??, 2);
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As there, and [`ErrorKind::InvalidInput`] within an async runtime.
    pub fn start_blocking(self) -> Result<Emulator> {
        runtime::wait(self.start())?
    }
}

impl fmt::Debug for EmulatorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmulatorBuilder")
            .field("state_dir", &self.state_dir)
            .field("listen", &self.listen)
            .finish_non_exhaustive()
    }
}
