//! The one error type of the crate.
//!
//! [`Error`] is opaque: what a program decides on is its [`ErrorKind`], what a person reads is its
//! `Display`, one lower-case line that says what is wrong, where, and what to do. No error holds a
//! key, a token, a signature or plaintext.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The result of a fallible call in this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What a caller can do about an [`Error`], coarsely. Shown as a few words.
///
/// ```
/// use ncp_envelope::{Error, ErrorKind};
/// fn page_somebody(error: &Error) -> bool {
///     match error.kind() {
///         ErrorKind::AccessDenied | ErrorKind::KeyUnusable => true,
///         _ => false,
///     }
/// }
/// let error = Error::new(ErrorKind::KeyUnusable, "key k1 is disabled");
/// assert!(page_somebody(&error));
/// assert_eq!(error.kind().to_string(), "key unusable");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The key service knows the caller and does not permit the call.
    AccessDenied,
    /// Bytes failed authentication: tampered with, wrong key, wrong scope or wrong associated data.
    /// Never says which part.
    Authentication,
    /// Credentials are missing, malformed, refused or expired.
    Credentials,
    /// An argument, option or configuration is not acceptable.
    InvalidInput,
    /// Reading or writing failed.
    Io,
    /// A key is not one that may be used here: none of a message's keys is one that the reader's
    /// policy accepts, or a key wrapper was given another's key.
    KeyNotAllowed,
    /// The key-encryption key does not exist, is disabled, or cannot do this.
    KeyUnusable,
    /// A size, count or time limit would be exceeded.
    LimitExceeded,
    /// Bytes are not a message, or not a valid one.
    Malformed,
    /// The reader's policy does not accept the message for something else than its keys: its
    /// context, associated data that is missing or unexpected, a detached body.
    NotAccepted,
    /// The key service refuses calls for now because there were too many.
    Throttled,
    /// The message ends too early. As an [`std::io::Error`] it is one of
    /// [`InvalidData`](std::io::ErrorKind::InvalidData): code that reads records until
    /// [`UnexpectedEof`](std::io::ErrorKind::UnexpectedEof) must not take half a message for a
    /// whole one.
    Truncated,
    /// The key service cannot be reached or does not answer properly.
    Unavailable,
    /// The message is of a format version or suite this release does not know.
    UnsupportedVersion,
    /// A primitive failed, or a peer broke its contract.
    Internal,
}

impl ErrorKind {
    /// Whether the same call may succeed later with nothing changed: [`Throttled`](Self::Throttled)
    /// and [`Unavailable`](Self::Unavailable).
    ///
    /// ```
    /// use ncp_envelope::ErrorKind;
    /// assert!(ErrorKind::Unavailable.is_retryable());
    /// assert!(!ErrorKind::Authentication.is_retryable());
    /// ```
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Throttled | Self::Unavailable)
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AccessDenied => "access denied",
            Self::Authentication => "not authentic",
            Self::Credentials => "credentials",
            Self::InvalidInput => "invalid input",
            Self::Io => "input or output",
            Self::KeyNotAllowed => "key not allowed",
            Self::KeyUnusable => "key unusable",
            Self::LimitExceeded => "limit exceeded",
            Self::Malformed => "malformed",
            Self::NotAccepted => "not accepted",
            Self::Throttled => "throttled",
            Self::Truncated => "truncated",
            Self::Unavailable => "unavailable",
            Self::UnsupportedVersion => "unsupported version",
            Self::Internal => "internal error",
        })
    }
}

type Source = Arc<dyn std::error::Error + Send + Sync + 'static>;

/// An error of this crate. Cheap to clone, so that all waiters for one result can have it.
///
/// A program decides on its [`kind`](Self::kind); a person reads its `Display`, one line without
/// secrets.
///
/// ```
/// use ncp_envelope::{DataKey, DecryptPolicy, Envelope, ErrorKind, LocalKeyWrapper};
/// let wrapper = LocalKeyWrapper::new("offline", &DataKey::generate()?)?;
/// let envelope = Envelope::builder(wrapper).build()?.blocking();
/// let error = envelope.decrypt("not a message", DecryptPolicy::new()).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Malformed);
/// assert!(!error.is_retryable());
/// println!("cannot read the note: {error}");
/// # Ok::<(), ncp_envelope::Error>(())
/// ```
#[derive(Clone)]
pub struct Error(Arc<Inner>);

struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    source: Option<Source>,
    answer: Option<Answer>,
    retry_after: Option<Duration>,
}

/// What the key service said.
#[derive(Clone)]
struct Answer {
    status: u16,
    code: Option<Box<str>>,
}

/// Longest code that is kept, in characters. The service's longest has 21.
const MAX_CODE_LEN: usize = 64;

impl Error {
    /// An error of `kind` with a one-line lower-case `message`.
    ///
    /// Implementations of [`KeyWrapper`](crate::KeyWrapper) use this. Put no secret into the
    /// message.
    ///
    /// ```
    /// use ncp_envelope::{Error, ErrorKind};
    /// let error = Error::new(ErrorKind::KeyUnusable, "key 7 is disabled: enable it");
    /// assert_eq!(error.to_string(), "key 7 is disabled: enable it");
    /// ```
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self::made(kind, message.into(), None)
    }

    /// Same, with the error that caused this one.
    ///
    /// ```
    /// use ncp_envelope::{Error, ErrorKind};
    /// use std::error::Error as _;
    /// let cause = "7x".parse::<u32>().unwrap_err();
    /// let error = Error::with_source(ErrorKind::InvalidInput, "the version is no number", cause);
    /// assert!(error.source().is_some());
    /// ```
    pub fn with_source(
        kind: ErrorKind,
        message: impl Into<Cow<'static, str>>,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        Self::made(kind, message.into(), Some(Arc::new(source)))
    }

    fn made(kind: ErrorKind, message: Cow<'static, str>, source: Option<Source>) -> Self {
        Self(Arc::new(Inner { kind, message, source, answer: None, retry_after: None }))
    }

    /// The same, as the answer of a key service with this HTTP status and the service's own code,
    /// for [`status`](Self::status) and [`service_code`](Self::service_code).
    ///
    /// A code that is not 1 to 64 printable ASCII characters without spaces is left out.
    ///
    /// ```
    /// use ncp_envelope::{Error, ErrorKind};
    /// let error = Error::new(ErrorKind::KeyUnusable, "there is no key 7");
    /// let error = error.with_answer(404, Some("NOT_FOUND"));
    /// assert_eq!((error.status(), error.service_code()), (Some(404), Some("NOT_FOUND")));
    /// ```
    #[must_use]
    pub fn with_answer(self, status: u16, code: Option<&str>) -> Self {
        let fits = |code: &&str| {
            (1..=MAX_CODE_LEN).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_graphic())
        };
        let code = code.filter(fits).map(Into::into);
        let mut inner = self.into_inner();
        inner.answer = Some(Answer { status, code });
        Self(Arc::new(inner))
    }

    /// The same, for which a key service has asked to be left alone for this long.
    ///
    /// ```
    /// use ncp_envelope::{Error, ErrorKind};
    /// use std::time::Duration;
    /// let error = Error::new(ErrorKind::Throttled, "too many calls");
    /// let error = error.with_retry_after(Duration::from_secs(2));
    /// assert_eq!(error.retry_after(), Some(Duration::from_secs(2)));
    /// ```
    #[must_use]
    pub fn with_retry_after(self, time: Duration) -> Self {
        let mut inner = self.into_inner();
        inner.retry_after = Some(time);
        Self(Arc::new(inner))
    }

    fn into_inner(self) -> Inner {
        Arc::try_unwrap(self.0).unwrap_or_else(|shared| Inner {
            kind: shared.kind,
            message: shared.message.clone(),
            source: shared.source.clone(),
            answer: shared.answer.clone(),
            retry_after: shared.retry_after,
        })
    }

    /// Whether the same call may succeed later with nothing changed; that of its
    /// [`kind`](ErrorKind::is_retryable). Calls to NCP's key service were retried already when
    /// they fail.
    ///
    /// ```
    /// use ncp_envelope::{Error, ErrorKind};
    /// assert!(Error::new(ErrorKind::Unavailable, "no answer").is_retryable());
    /// assert!(!Error::new(ErrorKind::AccessDenied, "not yours").is_retryable());
    /// ```
    pub fn is_retryable(&self) -> bool {
        self.kind().is_retryable()
    }

    /// How long the key service asked to be left alone, or the time after which this process will
    /// call it again, counted from when the error was made; where one of them is known.
    ///
    /// ```
    /// use ncp_envelope::{Error, ErrorKind};
    /// use std::time::Duration;
    /// fn wait_for(error: &Error) -> Option<Duration> {
    ///     let pause = error.retry_after().unwrap_or(Duration::from_secs(1));
    ///     error.is_retryable().then_some(pause)
    /// }
    /// let error = Error::new(ErrorKind::Throttled, "too many calls");
    /// assert_eq!(wait_for(&error), Some(Duration::from_secs(1)));
    /// ```
    pub fn retry_after(&self) -> Option<Duration> {
        self.find(|inner| inner.retry_after)
    }

    /// The HTTP status that the key service answered with, if this error is an answer.
    ///
    /// For logs and metrics. What a program decides on is the [`kind`](Self::kind): the service
    /// uses one status for different things.
    ///
    /// ```
    /// use ncp_envelope::{Error, ErrorKind};
    /// let error = Error::new(ErrorKind::Unavailable, "no answer");
    /// assert_eq!(error.status(), None);
    /// assert_eq!(error.with_answer(503, None).status(), Some(503));
    /// ```
    pub fn status(&self) -> Option<u16> {
        self.find(|inner| inner.answer.as_ref()).map(|answer| answer.status)
    }

    /// The key service's own code, such as `NOT_FOUND` or the gateway's `210`, if this error is an
    /// answer that has one.
    ///
    /// ```
    /// use ncp_envelope::{Error, ErrorKind};
    /// let error = Error::new(ErrorKind::Credentials, "the signature was refused");
    /// assert_eq!(error.with_answer(401, Some("200")).service_code(), Some("200"));
    /// ```
    pub fn service_code(&self) -> Option<&str> {
        self.find(|inner| inner.answer.as_ref())?.code.as_deref()
    }

    /// What `pick` finds in this error, or else in the first of its causes that has it.
    fn find<'e, T>(&'e self, pick: impl Fn(&'e Inner) -> Option<T>) -> Option<T> {
        let mut error: &(dyn std::error::Error + 'static) = self;
        loop {
            if let Some(found) = error.downcast_ref::<Self>().and_then(|error| pick(&error.0)) {
                return Some(found);
            }
            error = match error.downcast_ref::<std::io::Error>().and_then(|io| io.get_ref()) {
                Some(inside) => inside,
                None => error.source()?,
            };
        }
    }

    /// What kind of error this is.
    ///
    /// ```
    /// use ncp_envelope::{Error, ErrorKind};
    /// assert_eq!(Error::new(ErrorKind::Io, "disk full").kind(), ErrorKind::Io);
    /// ```
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// An I/O failure while doing `what`.
    pub(crate) fn io(what: impl fmt::Display, source: std::io::Error) -> Self {
        match Self::inside(&source) {
            Some(inner) => inner,
            None => Self::with_source(ErrorKind::Io, format!("{what}: {source}"), source),
        }
    }

    /// What a reader of this crate passes on when the one below it failed with `source`.
    ///
    /// Code that reads records with `read_exact` takes `UnexpectedEof` for the regular end, which a
    /// source that broke off, such as a truncated compressed stream, is not.
    pub(crate) fn from_below(source: std::io::Error) -> std::io::Error {
        if source.kind() != std::io::ErrorKind::UnexpectedEof {
            return source;
        }
        let error = Self::io("cannot read the message", source);
        std::io::Error::new(std::io::ErrorKind::InvalidData, error)
    }

    /// The same, said of one of several things: what it says follows `whose` and a colon.
    pub(crate) fn of(self, whose: impl fmt::Display) -> Self {
        let mut inner = self.into_inner();
        inner.message = format!("{whose}: {}", inner.message).into();
        Self(Arc::new(inner))
    }

    /// The single answer to bytes that fail after key derivation, whichever part failed.
    pub(crate) fn authentication() -> Self {
        Self::new(
            ErrorKind::Authentication,
            "message is not authentic: it was changed, or the key, scope or associated data is not \
             the one it was written with",
        )
    }

    /// The error of this crate that travels inside an [`std::io::Error`], if there is one.
    ///
    /// The readers and writers in [`io`](crate::io) implement the standard traits, whose errors are
    /// `std::io::Error`.
    ///
    /// ```
    /// use ncp_envelope::{Error, ErrorKind};
    /// let io = std::io::Error::from(Error::new(ErrorKind::Truncated, "message is truncated"));
    /// assert_eq!(Error::inside(&io).map(|error| error.kind()), Some(ErrorKind::Truncated));
    /// ```
    pub fn inside(error: &std::io::Error) -> Option<Self> {
        error.get_ref().and_then(|inner| inner.downcast_ref::<Self>()).cloned()
    }
}

/// One line. What a terminal would obey, or would make a log say something else, is escaped: a
/// message may hold the name of a file, and others choose those.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = &*self.0.message;
        while let Some((at, odd)) = rest.char_indices().find(|(_, c)| !is_plain(*c)) {
            write!(f, "{}{}", &rest[..at], odd.escape_debug())?;
            rest = &rest[at + odd.len_utf8()..];
        }
        f.write_str(rest)
    }
}

/// Not a control character, and none of those that are not seen or change the direction of others.
fn is_plain(c: char) -> bool {
    !c.is_control()
        && !matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Error");
        out.field("kind", &self.0.kind).field("message", &self.0.message);
        if let Some(answer) = &self.0.answer {
            out.field("status", &answer.status).field("code", &answer.code);
        }
        if let Some(time) = &self.0.retry_after {
            out.field("retry_after", time);
        }
        if let Some(source) = &self.0.source {
            out.field("source", &format_args!("{source}"));
        }
        out.finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static))
    }
}

impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        use std::io::ErrorKind as Io;
        let kind = match error.kind() {
            ErrorKind::InvalidInput => Io::InvalidInput,
            ErrorKind::AccessDenied => Io::PermissionDenied,
            ErrorKind::Authentication
            | ErrorKind::Malformed
            | ErrorKind::Truncated
            | ErrorKind::UnsupportedVersion => Io::InvalidData,
            _ => Io::Other,
        };
        Self::new(kind, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_is_one_lower_case_line_and_keeps_the_source() {
        let error = Error::io("cannot read a.bin", std::io::Error::from_raw_os_error(2));
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.to_string().starts_with("cannot read a.bin: No such file"));
        assert!(std::error::Error::source(&error).is_some());
        assert!(!Error::authentication().to_string().contains('\n'));
    }

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        let name = "a\u{1b}[31m\nb\u{202e}c\u{7f}\u{9b}2J\u{feff}\u{ac00} \u{1f511} \\ \"";
        let error = Error::io(format_args!("cannot read {name}"), std::io::ErrorKind::Other.into());
        let shown = "a\\u{1b}[31m\\nb\\u{202e}c\\u{7f}\\u{9b}2J\\u{feff}\u{ac00} \u{1f511} \\ \"";
        assert_eq!(error.to_string(), format!("cannot read {shown}: other error"));
        assert_eq!(std::io::Error::from(error.clone()).to_string(), error.to_string());
    }

    #[test]
    fn an_answer_is_found_through_what_is_wrapped_around_it() {
        let inner =
            Error::new(ErrorKind::KeyUnusable, "refused").with_answer(404, Some("NOT_FOUND"));
        let outer = Error::with_source(ErrorKind::Internal, "outer", inner.clone());
        let io = Error::with_source(ErrorKind::Io, "io", std::io::Error::from(outer.clone()));
        for error in [&inner, &outer, &io] {
            assert_eq!((error.status(), error.service_code()), (Some(404), Some("NOT_FOUND")));
        }
        let none = Error::new(ErrorKind::Io, "none");
        assert_eq!((none.status(), none.service_code()), (None, None));
        for odd in ["", "two words", "line\nend", "가", &"x".repeat(65)] {
            let error = none.clone().with_answer(500, Some(odd));
            assert_eq!((error.status(), error.service_code()), (Some(500), None), "{odd}");
        }
    }

    #[test]
    fn survives_the_way_through_an_io_error() {
        let io: std::io::Error = Error::new(ErrorKind::Truncated, "message is truncated").into();
        assert_eq!(io.kind(), std::io::ErrorKind::InvalidData);
        assert_eq!(Error::io("reading", io).kind(), ErrorKind::Truncated);
    }

    // Code that reads records takes it for the end of the file.
    #[test]
    fn no_error_becomes_an_end_of_file() {
        use std::io::ErrorKind as Io;
        for kind in ALL {
            let end = std::io::Error::from(Io::UnexpectedEof);
            for error in [Error::new(kind, "x"), Error::with_source(kind, "x", end)] {
                assert_ne!(std::io::Error::from(error).kind(), Io::UnexpectedEof, "{kind:?}");
            }
            let disguised = std::io::Error::new(Io::UnexpectedEof, Error::new(kind, "x"));
            let passed_on = Error::from_below(disguised);
            assert_eq!(passed_on.kind(), Io::InvalidData);
            assert_eq!(Error::inside(&passed_on).unwrap().kind(), kind);
        }
        let passed_on = Error::from_below(Io::UnexpectedEof.into());
        assert_eq!(passed_on.kind(), Io::InvalidData);
        let inside = Error::inside(&passed_on).unwrap();
        assert_eq!(inside.kind(), ErrorKind::Io);
        let source = std::error::Error::source(&inside).unwrap();
        let source = source.downcast_ref::<std::io::Error>().unwrap();
        assert_eq!(source.kind(), Io::UnexpectedEof, "what it was can be found");
        for kind in [Io::WouldBlock, Io::TimedOut, Io::Other] {
            assert_eq!(Error::from_below(kind.into()).kind(), kind, "to be tried again");
        }
    }

    #[test]
    fn a_time_to_retry_after_is_found_like_an_answer() {
        let time = Duration::from_secs(3);
        let inner = Error::new(ErrorKind::Throttled, "slow").with_retry_after(time);
        let inner = inner.clone().with_answer(429, None);
        let outer = Error::with_source(ErrorKind::Unavailable, "outer", inner.clone());
        let io = Error::with_source(ErrorKind::Io, "io", std::io::Error::from(outer.clone()));
        for error in [&inner, &outer, &io] {
            assert_eq!((error.retry_after(), error.status()), (Some(time), Some(429)));
        }
        assert!(inner.is_retryable() && outer.is_retryable() && !io.is_retryable());
        assert_eq!(Error::new(ErrorKind::Throttled, "x").retry_after(), None);
    }

    #[test]
    fn a_kind_is_shown_in_words_of_its_own() {
        let shown: std::collections::BTreeSet<_> =
            ALL.iter().map(|kind| kind.to_string()).collect();
        assert_eq!(shown.len(), ALL.len());
        assert!(
            shown.iter().all(|words| words.chars().all(|c| c.is_ascii_lowercase() || c == ' '))
        );
    }

    /// All there are.
    const ALL: [ErrorKind; 15] = {
        use ErrorKind::*;
        [
            AccessDenied,
            Authentication,
            Credentials,
            InvalidInput,
            Io,
            KeyNotAllowed,
            KeyUnusable,
            LimitExceeded,
            Malformed,
            NotAccepted,
            Throttled,
            Truncated,
            Unavailable,
            UnsupportedVersion,
            Internal,
        ]
    };
}
