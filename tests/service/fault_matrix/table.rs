//! The table: what each fault does to each call.

use ncp_envelope::ErrorKind::{
    self, AccessDenied, Authentication, Credentials, Internal, InvalidInput, KeyUnusable,
    Throttled, Unavailable,
};
use ncp_envelope::emulator::{FaultKind, FaultShape};
use std::ops::RangeInclusive;
use std::time::Duration;

/// What one caller gets, and what a hundred callers get with a call each.
#[derive(Clone)]
pub(crate) struct Want {
    /// `None` is success.
    pub(crate) kind: Option<ErrorKind>,
    pub(crate) attempts: u64,
    /// How many of the hundred fail, with the fault's kind.
    pub(crate) crowd_failed: RangeInclusive<usize>,
    pub(crate) crowd_attempts: RangeInclusive<u64>,
}

#[derive(Clone)]
pub(crate) struct Ends {
    /// While the fault lasts.
    pub(crate) standing: Want,
    /// When it hits one request.
    pub(crate) once: Want,
    /// What the failing ones fail with.
    pub(crate) kind: Option<ErrorKind>,
}

/// Whether the emulator writes an attempt down that the fault hit.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Seen {
    Always,
    /// The caller is gone before the request is looked at.
    Never,
    /// Only over a connection that was open before the port was closed.
    Reused,
}

pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) fault: FaultKind,
    pub(crate) encrypt: Ends,
    pub(crate) decrypt: Ends,
    pub(crate) re_encrypt: Ends,
    pub(crate) seen: Seen,
    /// A connection that was idle is dropped, which costs no repetition.
    pub(crate) drops: bool,
    /// A request hangs, or its caller waits, long enough to be given up in the middle.
    pub(crate) lingers: bool,
    /// Attempts end by their time, so the time is short.
    pub(crate) slow: bool,
    /// The client has put its clock right by the fault, and wrong for afterwards.
    pub(crate) misleads: bool,
    /// What encrypt and re-encrypt return can be opened later.
    pub(crate) opens: bool,
    /// The version of the key that encrypt and re-encrypt use; 2 is the newest.
    pub(crate) version: u32,
}

fn want(
    kind: Option<ErrorKind>,
    attempts: u64,
    crowd_failed: RangeInclusive<usize>,
    crowd_attempts: RangeInclusive<u64>,
) -> Want {
    Want { kind, attempts, crowd_failed, crowd_attempts }
}

/// One request, as if there were no fault.
fn harmless() -> Ends {
    let fine = want(None, 1, 0..=0, 100..=100);
    Ends { standing: fine.clone(), once: fine, kind: None }
}

/// Three attempts; a hundred callers have 20 repetitions together.
fn repeated(kind: ErrorKind) -> Ends {
    Ends {
        standing: want(Some(kind), 3, 100..=100, 120..=120),
        once: want(None, 2, 0..=0, 101..=101),
        kind: Some(kind),
    }
}

/// One attempt, because another would end the same way or come too late.
fn final_(kind: ErrorKind) -> Ends {
    Ends {
        standing: want(Some(kind), 1, 100..=100, 100..=100),
        once: want(Some(kind), 1, 1..=1, 100..=100),
        kind: Some(kind),
    }
}

/// The timestamp is put right once for each call, so a clock that jumps there and back is one time
/// too many for the call that met it. Of a hundred callers those who have not signed yet profit
/// from, or suffer from, what another one learned.
fn clock() -> Ends {
    Ends {
        standing: want(None, 2, 0..=0, 101..=200),
        once: want(Some(Credentials), 2, 0..=1, 101..=200),
        kind: Some(Credentials),
    }
}

impl Row {
    fn new(name: impl Into<String>, fault: FaultKind, ends: Ends) -> Self {
        Self {
            name: name.into(),
            fault,
            encrypt: ends.clone(),
            decrypt: ends.clone(),
            re_encrypt: ends,
            seen: Seen::Always,
            drops: false,
            lingers: false,
            slow: false,
            misleads: false,
            opens: true,
            version: 2,
        }
    }

    /// A fault of the whole time that an attempt has.
    fn slow(name: &str, fault: FaultKind) -> Self {
        Self { slow: true, lingers: true, ..Self::new(name, fault, repeated(Unavailable)) }
    }

    pub(crate) fn standing_only(&self) -> bool {
        self.fault == FaultKind::Refused
    }
}

fn status(status: u16, shape: FaultShape, retry_after: Option<u64>) -> FaultKind {
    FaultKind::Status { status, shape, retry_after }
}

const MS: fn(u64) -> Duration = Duration::from_millis;
const HOUR: i64 = 3_600_000;

pub(crate) fn rows() -> Vec<Row> {
    use FaultKind as Kind;
    let mut rows = vec![
        // Connections.
        Row {
            seen: Seen::Reused,
            drops: true,
            ..Row::new("refused", Kind::Refused, repeated(Unavailable))
        },
        Row { drops: true, ..Row::new("reset before", Kind::ResetBefore, repeated(Unavailable)) },
        Row { drops: true, ..Row::new("reset after", Kind::ResetAfter, repeated(Unavailable)) },
        Row::new("cut body", Kind::CutBody, repeated(Unavailable)),
        // Time. An attempt has 600 ms in the slow ones.
        Row::slow("silent", Kind::Silent),
        Row::slow("slow header, 8 x 200 ms", Kind::SlowHeader(MS(200))),
        Row::slow("slow body, 8 x 200 ms", Kind::SlowBody(MS(200))),
        Row { seen: Seen::Never, ..Row::slow("latency 2 s", Kind::Latency(MS(2_000))) },
        Row::new("slow header, 8 x 5 ms", Kind::SlowHeader(MS(5)), harmless()),
        Row::new("slow body, 8 x 5 ms", Kind::SlowBody(MS(5)), harmless()),
        Row::new("latency 20 ms", Kind::Latency(MS(20)), harmless()),
        // Answers that are not, or that say something else than they should.
        Row::new("wrong length", Kind::WrongLength, final_(Unavailable)),
        Row::new("not json", Kind::NotJson, final_(Unavailable)),
        Row::new("redirect", Kind::Redirect("http://127.0.0.1:1/".to_owned()), final_(Unavailable)),
        Row::new("missing field", Kind::MissingField, final_(Internal)),
        // A ciphertext is opaque: what follows its version is not read, so nobody sees that this
        // one is spoilt until it is opened.
        Row {
            encrypt: harmless(),
            re_encrypt: harmless(),
            opens: false,
            ..Row::new("broken base64", Kind::BrokenBase64, final_(Internal))
        },
        Row {
            encrypt: harmless(),
            re_encrypt: harmless(),
            ..Row::new("other plaintext", Kind::OtherPlaintext, final_(Authentication))
        },
        // Older, but as good.
        Row { version: 1, ..Row::new("stale version", Kind::StaleVersion, harmless()) },
        // Clocks.
        Row { misleads: true, ..Row::new("clock an hour ahead", Kind::ClockShift(HOUR), clock()) },
        Row {
            misleads: true,
            ..Row::new("clock a day behind", Kind::ClockShift(-24 * HOUR), clock())
        },
        Row::new("clock a minute ahead", Kind::ClockShift(60_000), harmless()),
        Row::new("clock 49 hours ahead", Kind::ClockShift(49 * HOUR), final_(Credentials)),
        // How long to wait: within the call timeout, and beyond it.
        Row {
            lingers: true,
            ..Row::new(
                "503, retry after 1 s",
                status(503, FaultShape::Gateway, Some(1)),
                repeated(Unavailable),
            )
        },
        Row::new(
            "503, retry after 60 s",
            status(503, FaultShape::Service, Some(60)),
            final_(Unavailable),
        ),
        Row::new(
            "429, retry after 60 s",
            status(429, FaultShape::Gateway, Some(60)),
            final_(Throttled),
        ),
    ];
    for (code, ends) in [
        (400, final_(InvalidInput)),
        (401, final_(Credentials)),
        (403, final_(AccessDenied)),
        (404, final_(KeyUnusable)),
        (409, final_(KeyUnusable)),
        (429, repeated(Throttled)),
        (500, repeated(Unavailable)),
        (502, repeated(Unavailable)),
        (503, repeated(Unavailable)),
        (504, repeated(Unavailable)),
    ] {
        for (shape, shown) in [
            (FaultShape::Service, "service"),
            (FaultShape::Gateway, "gateway"),
            (FaultShape::Html, "html"),
        ] {
            // Pages come from machines in between, which answer with these.
            if shape == FaultShape::Html && ![403, 502, 503].contains(&code) {
                continue;
            }
            let mut row =
                Row::new(format!("{code} of {shown}"), status(code, shape, None), ends.clone());
            if code == 400 {
                // The service has no code of its own for a ciphertext that it cannot open.
                row.decrypt = final_(Authentication);
                row.re_encrypt = final_(Authentication);
            }
            rows.push(row);
        }
    }
    rows
}
