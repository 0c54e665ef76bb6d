//! What a fault is, and which faults are accepted.

use crate::emulator::action;
use crate::error::{Error, ErrorKind, Result};
use std::time::Duration;

/// What goes wrong.
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
/// let key = client.key(emulator.key_tag())?;
/// wait(emulator.rotate_key(emulator.key_tag()))??;
/// wait(emulator.inject(Fault::new(FaultKind::StaleVersion).once()))??;
/// assert!(wait(key.encrypt(b"hello"))??.starts_with("ncpkms:v1:"));
/// assert!(wait(key.encrypt(b"hello"))??.starts_with("ncpkms:v2:"));
/// # }
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultKind {
    /// The port is closed: connections are refused, and open ones are reset at their next request.
    /// For every caller until it is cleared; it takes no restriction.
    Refused,
    /// The connection is reset before the request's body is read. The request is not carried out.
    ResetBefore,
    /// The request is carried out, then the connection is reset.
    ResetAfter,
    /// The request is read, not carried out and never answered.
    Silent,
    /// The answer's header comes in eight pieces with this pause between them.
    SlowHeader(Duration),
    /// The answer's body comes in eight pieces with this pause between them.
    SlowBody(Duration),
    /// The connection is closed cleanly after half of the announced body.
    CutBody,
    /// The header announces fewer bytes than the body has.
    WrongLength,
    /// The answer's body is a web page, with status 200.
    NotJson,
    /// The answer's `data` is empty; the metadata service's keys lack the secret key.
    MissingField,
    /// Strings in the answer's `data` are not valid base64.
    BrokenBase64,
    /// Plaintexts in the answer are replaced by others of the same length.
    OtherPlaintext,
    /// Ciphertexts and signatures are made with the previous version, as by a replica that has not
    /// seen the rotation yet.
    StaleVersion,
    /// This status, in one of the service's shapes. The request is not carried out.
    Status {
        /// From 400 to 599.
        status: u16,
        /// Who answers.
        shape: FaultShape,
        /// Seconds for a `Retry-After` header.
        retry_after: Option<u64>,
    },
    /// Status 307 with this `Location`. The request is not carried out.
    Redirect(String),
    /// The request is judged, and the answer dated, by a clock that is this many milliseconds off.
    ClockShift(i64),
    /// The request is delayed by this much before it is judged.
    Latency(Duration),
    /// The metadata service answers with this `Code` and a `Message` instead of keys. Only on
    /// `metadata-keys`.
    Code(String),
}

/// Who answers with a fault's [status](FaultKind::Status).
///
/// ```
/// # #[cfg(feature = "kms")] {
/// use ncp_envelope::blocking::wait;
/// use ncp_envelope::emulator::{Emulator, Fault, FaultKind, FaultShape};
/// # use ncp_envelope::kms::{Client, Credentials, Endpoint};
///
/// let emulator = Emulator::builder().start_blocking()?;
/// # let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
/// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
/// # let client = Client::builder().endpoint(endpoint).credentials(account);
/// # let key = client.max_attempts(1).build()?.key(emulator.key_tag())?;
/// let mut codes = Vec::new();
/// for shape in [FaultShape::Service, FaultShape::Gateway, FaultShape::Html] {
///     let kind = FaultKind::Status { status: 404, shape, retry_after: None };
///     wait(emulator.inject(Fault::new(kind).once()))??;
///     let error = wait(key.encrypt(b"hello"))?.unwrap_err();
///     codes.push(error.service_code().unwrap_or("none").to_owned());
/// }
/// assert_eq!(codes, ["NOT_FOUND", "300", "none"]);
/// # }
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultShape {
    /// The key service's: `code`, `msg`, `data`.
    Service,
    /// The API gateway's: `error`.
    Gateway,
    /// A web page from a proxy in between.
    Html,
}

/// A fault to inject: what goes wrong, for which requests, and how often. By default it hits every
/// request of the key service until it is cleared. Calls of the
/// [metadata service](crate::emulator::Metadata) must be [named](Fault::on_action).
///
/// ```
/// use ncp_envelope::blocking::wait;
/// use ncp_envelope::emulator::{Emulator, Fault, FaultKind};
///
/// let emulator = Emulator::builder().start_blocking()?;
/// let fault = Fault::new(FaultKind::ResetAfter).on_action("encrypt").times(2);
/// wait(emulator.inject(fault))??;
///
/// let misspelt = Fault::new(FaultKind::ResetAfter).on_action("encyrpt");
/// assert!(wait(emulator.inject(misspelt))?.is_err());
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Fault {
    pub(crate) kind: FaultKind,
    pub(crate) action: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) times: Option<u64>,
    pub(crate) probability: f64,
}

/// An injected fault, for [`Emulator::clear_fault`](crate::emulator::Emulator::clear_fault).
///
/// ```
/// use ncp_envelope::blocking::wait;
/// use ncp_envelope::emulator::{Emulator, Fault, FaultKind};
///
/// let emulator = Emulator::builder().start_blocking()?;
/// let silent = wait(emulator.inject(Fault::new(FaultKind::Silent)))??;
/// let broken = wait(emulator.inject(Fault::new(FaultKind::NotJson)))??;
/// assert_ne!(silent, broken);
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FaultId(pub(crate) u64);

impl Fault {
    /// A fault of this kind.
    ///
    /// ```
    /// use ncp_envelope::blocking::wait;
    /// use ncp_envelope::emulator::{Emulator, Fault, FaultKind};
    ///
    /// let emulator = Emulator::builder().start_blocking()?;
    /// wait(emulator.inject(Fault::new(FaultKind::Refused)))??;
    /// let address = emulator.url().strip_prefix("http://").unwrap();
    /// assert!(std::net::TcpStream::connect(address).is_err());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn new(kind: FaultKind) -> Self {
        Self { kind, action: None, key: None, times: None, probability: 1.0 }
    }

    /// Only for this call, such as `encrypt` or `access-token`; the guide lists the names.
    ///
    /// ```
    /// # #[cfg(feature = "kms")] {
    /// # use ncp_envelope::{blocking::wait, emulator::{Emulator, Fault, FaultKind}};
    /// # use ncp_envelope::kms::{Client, Credentials, Endpoint};
    /// # let emulator = Emulator::builder().start_blocking()?;
    /// # let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
    /// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
    /// # let client = Client::builder().endpoint(endpoint).credentials(account);
    /// # let key = client.max_attempts(1).build()?.key(emulator.key_tag())?;
    /// wait(emulator.inject(Fault::new(FaultKind::NotJson).on_action("decrypt")))??;
    /// let ciphertext = wait(key.encrypt(b"hello"))??;
    /// assert!(wait(key.decrypt(&ciphertext))?.is_err());
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn on_action(mut self, action: impl Into<String>) -> Self {
        self.action = Some(action.into());
        self
    }

    /// Only for calls on the key of this tag.
    ///
    /// ```
    /// # #[cfg(feature = "kms")] {
    /// # use ncp_envelope::{blocking::wait, emulator::{Emulator, Fault, FaultKind}};
    /// # use ncp_envelope::kms::{Client, Credentials, Endpoint};
    /// # let emulator = Emulator::builder().start_blocking()?;
    /// # let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
    /// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
    /// # let client = Client::builder().endpoint(endpoint).credentials(account);
    /// # let client = client.max_attempts(1).build()?;
    /// let other = wait(emulator.create_key("orders"))??;
    /// wait(emulator.inject(Fault::new(FaultKind::NotJson).on_key(emulator.key_tag())))??;
    /// assert!(wait(client.key(emulator.key_tag())?.encrypt(b"hello"))?.is_err());
    /// assert!(wait(client.key(&other)?.encrypt(b"hello"))?.is_ok());
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn on_key(mut self, tag: impl Into<String>) -> Self {
        self.key = Some(tag.into());
        self
    }

    /// Only the first of these requests.
    ///
    /// ```
    /// # #[cfg(feature = "kms")] {
    /// # use ncp_envelope::{blocking::wait, emulator::{Emulator, Fault, FaultKind}};
    /// # use ncp_envelope::kms::{Client, Credentials, Endpoint};
    /// # let emulator = Emulator::builder().start_blocking()?;
    /// # let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
    /// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
    /// # let client = Client::builder().endpoint(endpoint).credentials(account);
    /// # let key = client.max_attempts(1).build()?.key(emulator.key_tag())?;
    /// wait(emulator.inject(Fault::new(FaultKind::NotJson).once()))??;
    /// assert!(wait(key.encrypt(b"hello"))?.is_err());
    /// assert!(wait(key.encrypt(b"hello"))?.is_ok());
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn once(self) -> Self {
        self.times(1)
    }

    /// Only the first `times` of these requests.
    ///
    /// ```
    /// # #[cfg(feature = "kms")] {
    /// # use ncp_envelope::{blocking::wait, emulator::{Emulator, Fault, FaultKind}};
    /// # use ncp_envelope::kms::{Client, Credentials, Endpoint};
    /// # let emulator = Emulator::builder().start_blocking()?;
    /// # let account = Credentials::account(emulator.access_key(), emulator.secret_key())?;
    /// # let endpoint = Endpoint::Custom(emulator.url().to_owned());
    /// # let client = Client::builder().endpoint(endpoint).credentials(account);
    /// # let key = client.max_attempts(1).build()?.key(emulator.key_tag())?;
    /// wait(emulator.inject(Fault::new(FaultKind::NotJson).times(2)))??;
    /// let calls = (0..3).map(|_| Ok(wait(key.encrypt(b"hello"))?.is_ok()));
    /// assert_eq!(calls.collect::<ncp_envelope::Result<Vec<_>>>()?, [false, false, true]);
    /// # }
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }

    /// Each of these requests with this probability, from 0 to 1. The same sequence of requests
    /// meets the same faults in every run.
    ///
    /// ```
    /// use ncp_envelope::blocking::wait;
    /// use ncp_envelope::emulator::{Emulator, Fault, FaultKind};
    ///
    /// let emulator = Emulator::builder().start_blocking()?;
    /// let sometimes = |part| Fault::new(FaultKind::ResetBefore).probability(part);
    /// assert!(wait(emulator.inject(sometimes(0.1)))?.is_ok());
    /// assert!(wait(emulator.inject(sometimes(10.0)))?.is_err());
    /// # Ok::<(), ncp_envelope::Error>(())
    /// ```
    pub fn probability(mut self, probability: f64) -> Self {
        self.probability = probability;
        self
    }

    pub(crate) fn check(&self) -> Result<()> {
        let wrong = |message| Err(Error::new(ErrorKind::InvalidInput, message));
        if self.action.as_deref().is_some_and(|name| !action::is_name(name)) {
            return wrong("a fault names a call that does not exist");
        }
        if !(0.0..=1.0).contains(&self.probability) {
            return wrong("a fault's probability is not from 0 to 1");
        }
        if self.action.as_deref().is_some_and(action::is_metadata) && !self.fits_metadata() {
            return wrong("this call of the metadata service cannot have this fault");
        }
        match &self.kind {
            FaultKind::Refused
                if self.action.is_some()
                    || self.key.is_some()
                    || self.times.is_some()
                    || self.probability < 1.0 =>
            {
                wrong("connections are refused for every caller: the fault takes no restriction")
            }
            FaultKind::Status { status, .. } if !(400..=599).contains(status) => {
                wrong("a fault's status is not from 400 to 599")
            }
            FaultKind::Redirect(location)
                if !location.bytes().all(|byte| byte.is_ascii_graphic()) =>
            {
                wrong("a fault's location is not printable ASCII without spaces")
            }
            FaultKind::Code(_) if self.action.as_deref() != Some(action::METADATA_KEYS) => {
                wrong("only the metadata service's keys have a code: name metadata-keys")
            }
            _ => Ok(()),
        }
    }

    /// Whether the call of the metadata service that it names can have this fault.
    fn fits_metadata(&self) -> bool {
        use FaultKind::{BrokenBase64, MissingField, OtherPlaintext, StaleVersion};
        let kind = match &self.kind {
            BrokenBase64 | OtherPlaintext | StaleVersion => false,
            MissingField => self.action.as_deref() == Some(action::METADATA_KEYS),
            _ => true,
        };
        kind && self.key.is_none()
    }
}

impl FaultKind {
    /// The kind's name in the record of requests and on the admin port.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::ResetBefore => "reset-before",
            Self::ResetAfter => "reset-after",
            Self::Silent => "silent",
            Self::SlowHeader(_) => "slow-header",
            Self::SlowBody(_) => "slow-body",
            Self::CutBody => "cut-body",
            Self::WrongLength => "wrong-length",
            Self::NotJson => "not-json",
            Self::MissingField => "missing-field",
            Self::BrokenBase64 => "broken-base64",
            Self::OtherPlaintext => "other-plaintext",
            Self::StaleVersion => "stale-version",
            Self::Status { .. } => "status",
            Self::Redirect(_) => "redirect",
            Self::ClockShift(_) => "clock-shift",
            Self::Latency(_) => "latency",
            Self::Code(_) => "code",
        }
    }
}
