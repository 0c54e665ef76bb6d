//! Formatting of times.

use axum::http::HeaderValue;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The last millisecond of the year 9999.
const LAST: u64 = 253_402_300_799_999;

/// A test can move its clock out of the range of dates; the nearest date is used then.
fn nearest(millis: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(millis).unwrap_or(0).min(LAST))
}

/// The value of a `Date` header, from milliseconds since the Unix epoch.
pub(crate) fn http(millis: i64) -> HeaderValue {
    let date = httpdate::fmt_http_date(nearest(millis));
    HeaderValue::from_str(&date).unwrap_or(HeaderValue::from_static(""))
}

/// `2023-11-14T22:13:20.000Z`, from milliseconds since the Unix epoch.
pub(crate) fn iso(millis: i64) -> String {
    humantime::format_rfc3339_millis(nearest(millis)).to_string()
}

/// `2023-11-14T22:13:20Z`, from milliseconds since the Unix epoch.
pub(crate) fn rfc3339(millis: i64) -> String {
    humantime::format_rfc3339_seconds(nearest(millis)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_700_000_000_123, "2023-11-14T22:13:20.123Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (-1, "1970-01-01T00:00:00.000Z"),
            (i64::MAX, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(iso(millis), text);
        }
        for (millis, text) in [
            (i64::MIN, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (1_700_000_000_999, "Tue, 14 Nov 2023 22:13:20 GMT"),
            (i64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(http(millis), text);
        }
    }
}
