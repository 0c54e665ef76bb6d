//! The service's times.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A point in time as the service reports it: whole milliseconds since the Unix epoch. `Display` is
/// RFC 3339 in UTC.
///
/// ```
/// use ncp_envelope::kms::Timestamp;
/// let rotated = Timestamp::from_millis(1_733_462_407_906);
/// assert_eq!(rotated.to_string(), "2024-12-06T05:20:07.906Z");
/// assert!(std::time::SystemTime::from(rotated) < std::time::SystemTime::now());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The last millisecond of the year 9999, the latest time that can be represented.
    const MAX: u64 = 253_402_300_799_999;

    /// The time that many milliseconds after the Unix epoch, but no later than the year 9999.
    ///
    /// ```
    /// use ncp_envelope::kms::Timestamp;
    /// assert_eq!(Timestamp::from_millis(0).to_string(), "1970-01-01T00:00:00.000Z");
    /// assert_eq!(Timestamp::from_millis(u64::MAX).to_string(), "9999-12-31T23:59:59.999Z");
    /// ```
    pub const fn from_millis(millis: u64) -> Self {
        Self(if millis > Self::MAX { Self::MAX } else { millis })
    }

    /// Reads RFC 3339, in UTC or with an offset, to the millisecond; `None` for anything else.
    pub(crate) fn from_rfc3339(text: &str) -> Option<Self> {
        let at = |utc: &str| humantime::parse_rfc3339(utc).ok().map(Self::from);
        let Some((time, [sign, offset @ ..])) =
            text.split_at_checked(text.len().checked_sub(6)?).map(|(a, b)| (a, b.as_bytes()))
        else {
            return None;
        };
        let number = |digits: &[u8]| match digits {
            [a @ b'0'..=b'9', b @ b'0'..=b'9'] => Some(u64::from((a - b'0') * 10 + (b - b'0'))),
            _ => None,
        };
        let (later, [h1, h2, b':', m1, m2]) = (*sign == b'-', offset) else { return at(text) };
        if !matches!(sign, b'+' | b'-') {
            return at(text);
        }
        let offset = (number(&[*h1, *h2])? * 60 + number(&[*m1, *m2])?) * 60_000;
        let millis = at(&format!("{time}Z"))?.0;
        Some(Self::from_millis(if later {
            millis.saturating_add(offset)
        } else {
            millis.saturating_sub(offset)
        }))
    }

    /// The milliseconds since the Unix epoch.
    ///
    /// ```
    /// use ncp_envelope::kms::Timestamp;
    /// assert_eq!(Timestamp::from_millis(1_733_462_407_906).millis(), 1_733_462_407_906);
    /// ```
    pub const fn millis(self) -> u64 {
        self.0
    }
}

impl From<Timestamp> for SystemTime {
    fn from(time: Timestamp) -> Self {
        UNIX_EPOCH + Duration::from_millis(time.0)
    }
}

impl From<SystemTime> for Timestamp {
    /// The same time in whole milliseconds; the Unix epoch for what is before it.
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_rfc3339_millis((*self).into()).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_3339_with_and_without_an_offset() {
        for (text, want) in [
            ("2024-12-06T05:20:07Z", Some("2024-12-06T05:20:07.000Z")),
            ("2024-12-06T05:20:07.906Z", Some("2024-12-06T05:20:07.906Z")),
            ("2024-12-06T05:20:07+09:00", Some("2024-12-05T20:20:07.000Z")),
            ("2024-12-06T05:20:07.5-01:30", Some("2024-12-06T06:50:07.500Z")),
            ("2024-12-06T05:20:07", None),
            ("2024-12-06T05:20:07+0900", None),
            ("2024-12-06T05:20:07+9a:00", None),
            ("\u{ac00}\u{ac00}\u{ac00}", None),
            ("", None),
        ] {
            let time = Timestamp::from_rfc3339(text).map(|time| time.to_string());
            assert_eq!(time.as_deref(), want, "{text}");
        }
    }

    #[test]
    fn dates() {
        for (millis, want) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_735_689_599_000, "2024-12-31T23:59:59.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (u64::MAX, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(Timestamp::from_millis(millis).to_string(), want);
        }
        let time = Timestamp::from_millis(5);
        assert_eq!(Timestamp::from(SystemTime::from(time)), time);
        assert_eq!(Timestamp::from(UNIX_EPOCH - Duration::from_secs(1)).millis(), 0);
    }
}
