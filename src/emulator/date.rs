//! Points in time as text.

use axum::http::HeaderValue;
use std::time::{Duration, UNIX_EPOCH};

/// The value of a `Date` header, from milliseconds since the Unix epoch. Clocks may be moved to
/// where headers have no dates; those are dated by the nearest that there is.
pub(crate) fn http(millis: i64) -> HeaderValue {
    // The last second of the year 9999.
    const LAST: u64 = 253_402_300_799;
    let seconds = u64::try_from(millis.div_euclid(1000)).unwrap_or(0).min(LAST);
    let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds));
    HeaderValue::from_str(&date).unwrap_or(HeaderValue::from_static(""))
}

/// `2023-11-14T22:13:20.000Z`, from milliseconds since the Unix epoch.
pub(crate) fn iso(millis: i64) -> String {
    const DAY: i64 = 86_400_000;
    let (days, rest) = (millis.div_euclid(DAY), millis.rem_euclid(DAY));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (rest / 3_600_000, rest / 60_000 % 60, rest / 1000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", rest % 1000)
}

/// Year, month and day of the Gregorian calendar. Years are counted from March, so that the leap
/// day comes last.
fn civil(days_since_epoch: i64) -> (i64, i64, i64) {
    const ERA: i64 = 146_097;
    // Days from 1 March of year 0 to 1 January 1970.
    let days = days_since_epoch + 719_468;
    let (era, day) = (days.div_euclid(ERA), days.rem_euclid(ERA));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day_of_month = day - (153 * month + 2) / 5 + 1;
    let january_or_february = month >= 10;
    let month = if january_or_february { month - 9 } else { month + 3 };
    (era * 400 + year + i64::from(january_or_february), month, day_of_month)
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
            (-1, "1969-12-31T23:59:59.999Z"),
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
        assert!(iso(i64::MIN).ends_with('Z') && iso(i64::MAX).ends_with('Z'));
    }
}
