//! The one error type of the crate.
//!
//! [`Error`] is opaque: what a program decides on is its [`ErrorKind`], what a person reads is its
//! `Display`, one lower-case line that says what is wrong, where, and what to do. No error holds a
//! key, a token, a signature or plaintext.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// The result of a fallible call in this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What a caller can do about an [`Error`], coarsely.
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

type Source = Arc<dyn std::error::Error + Send + Sync + 'static>;

/// An error of this crate. Cheap to clone, so that callers who wait for one result can all have it.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    source: Option<Source>,
    answer: Option<Answer>,
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
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self::made(kind, message.into(), None)
    }

    /// Same, with the error that caused this one.
    pub fn with_source(
        kind: ErrorKind,
        message: impl Into<Cow<'static, str>>,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        Self::made(kind, message.into(), Some(Arc::new(source)))
    }

    fn made(kind: ErrorKind, message: Cow<'static, str>, source: Option<Source>) -> Self {
        Self(Arc::new(Inner { kind, message, source, answer: None }))
    }

    /// The same, as the answer of a key service with this HTTP status and the service's own code,
    /// for [`status`](Self::status) and [`service_code`](Self::service_code).
    ///
    /// A code that is not 1 to 64 printable ASCII characters without spaces is left out.
    #[must_use]
    pub fn with_answer(self, status: u16, code: Option<&str>) -> Self {
        let fits = |code: &&str| {
            (1..=MAX_CODE_LEN).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_graphic())
        };
        let Inner { kind, message, source, .. } = &*self.0;
        Self(Arc::new(Inner {
            kind: *kind,
            message: message.clone(),
            source: source.clone(),
            answer: Some(Answer { status, code: code.filter(fits).map(Into::into) }),
        }))
    }

    /// The HTTP status that the key service answered with, if this error is an answer.
    ///
    /// For logs and metrics. What a program decides on is the [`kind`](Self::kind): the service
    /// uses one status for different things.
    pub fn status(&self) -> Option<u16> {
        self.answer().map(|answer| answer.status)
    }

    /// The key service's own code, such as `NOT_FOUND` or the gateway's `210`, if this error is an
    /// answer that has one.
    pub fn service_code(&self) -> Option<&str> {
        self.answer()?.code.as_deref()
    }

    fn answer(&self) -> Option<&Answer> {
        self.0.answer.as_ref().or_else(|| {
            let mut source = std::error::Error::source(self);
            loop {
                let error = source?;
                if let Some(inner) = error.downcast_ref::<Self>() {
                    return inner.answer();
                }
                source = error.source();
            }
        })
    }

    /// What kind of error this is.
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
    /// Whoever reads records to their end with `read_exact` takes `UnexpectedEof` for that end, and
    /// a source that broke off, such as a compressed stream that was cut, is none.
    pub(crate) fn from_below(source: std::io::Error) -> std::io::Error {
        if source.kind() != std::io::ErrorKind::UnexpectedEof {
            return source;
        }
        let error = Self::io("cannot read the message", source);
        std::io::Error::new(std::io::ErrorKind::InvalidData, error)
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
