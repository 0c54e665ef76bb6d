//! Faults as their owner asks for them.

use crate::emulator::action;
use crate::error::{Error, ErrorKind, Result};
use std::time::Duration;

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultKind {
    /// The port is closed: connections are refused, and those that are open are reset at their next
    /// request. For everyone and until it is cleared; it takes no scope.
    Refused,
    /// The connection is reset before the request's body is read. Nothing happens.
    ResetBefore,
    /// The request is carried out, and then the connection is reset.
    ResetAfter,
    /// The request is read and never answered. Nothing happens.
    Silent,
    /// The answer's header comes in eight pieces with this pause between them.
    SlowHeader(Duration),
    /// The answer's body comes in eight pieces with this pause between them.
    SlowBody(Duration),
    /// The connection ends in an orderly way after half of the announced body.
    CutBody,
    /// The header announces fewer bytes than the body has.
    WrongLength,
    /// The answer's body is a web page, with status 200.
    NotJson,
    /// The answer's `data` is empty; of the metadata service's keys, the secret key is missing.
    MissingField,
    /// Texts in the answer's `data` are no base64 any more.
    BrokenBase64,
    /// Plaintexts in the answer are others, of the same length.
    OtherPlaintext,
    /// Ciphertexts and signatures are made with the version before the current one, as by a machine
    /// that has not heard of the rotation yet.
    StaleVersion,
    /// This status, in one of the service's shapes. Nothing happens.
    Status {
        /// From 400 to 599.
        status: u16,
        /// Whose answer it is.
        shape: FaultShape,
        /// Seconds for a `Retry-After` header.
        retry_after: Option<u64>,
    },
    /// Status 307 with this `Location`. Nothing happens.
    Redirect(String),
    /// The request is judged, and the answer dated, by a clock this many milliseconds off.
    ClockShift(i64),
    /// The request waits so long before it is looked at.
    Latency(Duration),
    /// The metadata service tells this `Code` and a `Message` instead of keys. Only on
    /// `metadata-keys`.
    Code(String),
}

/// Whose answer a fault's status comes with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultShape {
    /// The key service's: `code`, `msg`, `data`.
    Service,
    /// The API gateway's: `error`.
    Gateway,
    /// A web page of some machine in between.
    Html,
}

/// A fault to inject: what goes wrong, for which requests, and how often. Without more it hits
/// every request of the key service until it is cleared; the
/// [metadata service](crate::emulator::Metadata) has to be [named](Fault::on_action).
///
/// ```
/// use ncp_envelope::emulator::{Fault, FaultKind};
///
/// let fault = Fault::new(FaultKind::ResetAfter).on_action("encrypt").times(2);
/// # let _ = fault;
/// ```
#[derive(Debug, Clone)]
pub struct Fault {
    pub(crate) kind: FaultKind,
    pub(crate) action: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) times: Option<u64>,
    pub(crate) probability: f64,
}

/// A fault that is injected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FaultId(pub(crate) u64);

impl Fault {
    /// A fault of this kind.
    pub fn new(kind: FaultKind) -> Self {
        Self { kind, action: None, key: None, times: None, probability: 1.0 }
    }

    /// Only for this call, such as `encrypt` or `access-token`; the guide lists the names.
    pub fn on_action(mut self, action: impl Into<String>) -> Self {
        self.action = Some(action.into());
        self
    }

    /// Only for calls on the key of this tag.
    pub fn on_key(mut self, tag: impl Into<String>) -> Self {
        self.key = Some(tag.into());
        self
    }

    /// Only the first of these requests.
    pub fn once(self) -> Self {
        self.times(1)
    }

    /// Only so many of these requests.
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }

    /// Each of these requests with this probability, from 0 to 1. The same sequence of requests
    /// meets the same faults each time.
    pub fn probability(mut self, probability: f64) -> Self {
        self.probability = probability;
        self
    }

    pub(crate) fn check(&self) -> Result<()> {
        let wrong = |message| Err(Error::new(ErrorKind::InvalidInput, message));
        if self.action.as_deref().is_some_and(|name| !action::is_name(name)) {
            return wrong("a fault names a call that there is not");
        }
        if !(0.0..=1.0).contains(&self.probability) {
            return wrong("a probability is from 0 to 1");
        }
        if self.action.as_deref().is_some_and(action::is_metadata) && !self.fits_metadata() {
            return wrong("this fault is not one that this call of the metadata service can have");
        }
        match &self.kind {
            FaultKind::Refused
                if self.action.is_some()
                    || self.key.is_some()
                    || self.times.is_some()
                    || self.probability < 1.0 =>
            {
                wrong("connections are refused for everyone, until that is cleared")
            }
            FaultKind::Status { status, .. } if !(400..=599).contains(status) => {
                wrong("the status of a fault is from 400 to 599")
            }
            FaultKind::Redirect(location)
                if !location.bytes().all(|byte| byte.is_ascii_graphic()) =>
            {
                wrong("a location is printable ASCII without spaces")
            }
            FaultKind::Code(_) if self.action.as_deref() != Some(action::METADATA_KEYS) => {
                wrong("only the metadata service's keys come with such a code: name metadata-keys")
            }
            _ => Ok(()),
        }
    }

    /// Whether this can happen to the call of the metadata service that it names.
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
    /// The name of it in the record of requests and on the admin port.
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
