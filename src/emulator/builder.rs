//! How an emulator is to be set up.

use crate::emulator::auth::account::SubAccount;
use crate::emulator::auth::rights::Rights;
use crate::emulator::clock::EmulatorClock;
use crate::emulator::handle::Emulator;
use crate::emulator::http::server::{Config, Server};
use crate::emulator::keys::token::lifetime;
use crate::emulator::metadata::Metadata;
use crate::emulator::state::content::Wishes;
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
    /// Starts an emulator on a free port of this machine, with its state in memory.
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) if no port or thread is to be had.
    pub async fn start() -> Result<Self> {
        Self::builder().start().await
    }

    /// Settings to start an emulator with.
    pub fn builder() -> EmulatorBuilder {
        EmulatorBuilder::new()
    }
}

/// Settings of an [`Emulator`], from [`Emulator::builder`]. `Debug` shows no secret.
#[must_use = "a builder does nothing until it is started"]
pub struct EmulatorBuilder {
    state_dir: Option<PathBuf>,
    on_state_fault: Option<OnFault>,
    listen: SocketAddr,
    allow_remote: bool,
    clock: EmulatorClock,
    wishes: Wishes,
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
            wishes: Wishes::default(),
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

    /// Keeps keys and credentials in `dir`, which is made if it is not there. Default: in memory
    /// only.
    ///
    /// Several processes may have the directory open; each sees at start what was there, and what
    /// another one changed later when it next changes something itself.
    pub fn state_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.state_dir = Some(dir.into());
        self
    }

    /// Calls `tell` with the reason when a change cannot be kept in the state directory, which may
    /// be full, read-only or gone. Callers get what the service would answer, a 500 without a
    /// reason. Default: nobody is told.
    ///
    /// `tell` is called on a thread of the emulator's, which it holds up.
    pub fn on_state_fault(mut self, tell: impl Fn(&Error) + Send + Sync + 'static) -> Self {
        self.on_state_fault = Some(Arc::new(tell));
        self
    }

    /// Listens on `addr`; port 0 lets the system choose. Default: `127.0.0.1:0`.
    pub fn listen(mut self, addr: SocketAddr) -> Self {
        self.listen = addr;
        self
    }

    /// Permits an address that other machines may reach. The emulator speaks plain HTTP, unless
    /// told [otherwise](Self::tls), and is not built to face a network.
    pub fn allow_remote(mut self) -> Self {
        self.allow_remote = true;
        self
    }

    /// The clock by which timestamps and tokens are judged. Default: the system's.
    pub fn clock(mut self, clock: EmulatorClock) -> Self {
        self.clock = clock;
        self
    }

    /// How long the tokens of the ready-made set are good for, in whole seconds, at least one.
    /// Default: 72 hours and 90 days, as the service has it.
    pub fn token_lifetimes(mut self, access: Duration, refresh: Duration) -> Self {
        (self.access, self.refresh) = (access, refresh);
        self
    }

    /// The account's access key and secret key. Default: drawn at random when the state is made.
    pub fn account(mut self, access_key: impl Into<String>, secret_key: impl Into<String>) -> Self {
        self.wishes.account = Some((access_key.into(), Zeroizing::new(secret_key.into())));
        self
    }

    /// The API Gateway's API key. Default: drawn at random when the state is made.
    pub fn apigw_api_key(mut self, key: impl Into<String>) -> Self {
        self.wishes.apigw_api_key = Some(Zeroizing::new(key.into()));
        self
    }

    /// The tag of the ready-made key, letters and digits. Default: 64 hexadecimal digits.
    pub fn key_tag(mut self, tag: impl Into<String>) -> Self {
        self.wishes.key_tag = Some(tag.into());
        self
    }

    /// Adds a sub account that may do only what is named: policies (`NCP_KMS_MANAGER`,
    /// `NCP_KMS_VIEWER`) and permissions such as `Change/encrypt` or `View/getKeyInfo`; the guide
    /// lists them. Its tokens may do no more. It is not kept in the state directory; the same
    /// access key is the same principal at every start.
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

    /// Lets a sub account that was added before call from these addresses only, as the IP access
    /// list of the Sub Account service does: what it signs, in both generations of the interface.
    /// Its tokens are subject to their key's list instead. An empty list denies every address.
    /// Default: from everywhere.
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

    /// Accepts signature v1 as the vendor's own SDKs make it, on every path that takes an account:
    /// in the header `x-ncp-apigw-signature-v1`, and the line of the API Gateway key is in what is
    /// signed exactly if its header is sent. The documentation does not have it. Default: not
    /// accepted.
    pub fn accept_sdk_signatures(mut self) -> Self {
        self.sdk_signatures = true;
        self
    }

    /// How many calls a second are let through: of API 1.0 for all keys together, and of API 2.0
    /// for each key. Measured by the emulator's clock. Default: 200 and 300, which the service
    /// documents; without limit on a clock that stands still, on which a limit a second would be
    /// one for good.
    pub fn throttle(mut self, shared: u32, per_key: u32) -> Self {
        self.rates = Some(Rates { shared: Some(shared), per_key: Some(per_key) });
        self
    }

    /// Lets any number of calls through.
    pub fn unthrottled(mut self) -> Self {
        self.rates = Some(Rates::UNLIMITED);
        self
    }

    /// Delays every request by this much, as a network would. Default: not at all.
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// Listens for [faults](crate::emulator::Fault), latency, the clock and a reset on `addr` too,
    /// as JSON over HTTP; the guide has the calls. Always a loopback address, whatever
    /// [`allow_remote`](Self::allow_remote) says. Default: not at all.
    pub fn admin(mut self, addr: SocketAddr) -> Self {
        self.admin = Some(addr);
        self
    }

    /// Answers as the cloud's metadata service too, on a port of its own and in plain HTTP, as on a
    /// server. Default: not at all.
    ///
    /// The address has to be a loopback address, or [`allow_remote`](Self::allow_remote) to be
    /// called.
    pub fn metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = Some(metadata);
        self
    }

    /// Speaks TLS 1.2 and 1.3 with a key and a certificate made at the start, for `localhost`,
    /// `127.0.0.1`, `::1` and the address that is listened on. Default: plain HTTP.
    ///
    /// Clients have to trust [`Emulator::certificate_pem`], the certificate of an authority that
    /// has signed this one certificate and lost its key. Keys are kept in memory only, so the next
    /// start has other certificates. The admin port stays plain HTTP.
    pub fn tls(mut self) -> Self {
        self.tls.get_or_insert_default();
        self
    }

    /// Speaks TLS as [`tls`](Self::tls) says, with a certificate that is for this host name or
    /// address as well: what clients call a container, say. Adds to the names given before.
    pub fn tls_name(mut self, name: impl Into<String>) -> Self {
        self.tls.get_or_insert_default().push(name.into());
        self
    }

    /// Starts the emulator; when this returns, it answers. Needs no runtime of a particular kind.
    ///
    /// # Errors
    /// * [`ErrorKind::InvalidInput`] if an address is not a loopback address and
    ///   [`allow_remote`](Self::allow_remote) was not called, if a credential, permission, role,
    ///   name, tag or lifetime is not acceptable, or if the state directory holds others than the
    ///   builder names;
    /// * [`ErrorKind::Malformed`] or [`ErrorKind::UnsupportedVersion`] if the state file is damaged
    ///   or changed, or of another version, in which case it stays as it is;
    /// * [`ErrorKind::Io`] if an address cannot be listened on, or the state cannot be read or
    ///   written, or another process keeps its lock for 10 seconds;
    /// * [`ErrorKind::Internal`] if the certificate cannot be made.
    pub async fn start(self) -> Result<Emulator> {
        let listens = self.metadata.iter().map(|metadata| metadata.listen).chain([self.listen]);
        let public = listens.into_iter().find(|addr| !addr.ip().is_loopback());
        if let Some(addr) = public.filter(|_| !self.allow_remote) {
            let message = format!(
                "{addr} is not a loopback address; other machines may reach it only if that is \
                 allowed"
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
            wishes: self.wishes,
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

    /// As [`start`](Self::start), for a program without a runtime. The emulator has a thread of its
    /// own either way; its async methods can be waited for with
    /// [`blocking::wait`](crate::blocking::wait).
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
