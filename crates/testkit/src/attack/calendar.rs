//! Moments, in seconds since 1970, as AWS spells them; and when people work.

use jiff::Timestamp;
use jiff::civil::{DateTime, Weekday};
use jiff::tz::TimeZone;

/// An hour.
pub const HOUR_SECS: i64 = 3_600;
/// A day.
pub const DAY_SECS: i64 = 24 * HOUR_SECS;

/// The date and the clock of a moment in UTC.
pub fn civil(at: i64) -> DateTime {
    let at = Timestamp::from_second(at).unwrap_or(Timestamp::UNIX_EPOCH);
    TimeZone::UTC.to_datetime(at)
}

/// `2026-03-01T10:00:00Z`.
pub fn iso(at: i64) -> String {
    let it = civil(at);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        it.year(),
        it.month(),
        it.day(),
        it.hour(),
        it.minute(),
        it.second()
    )
}

/// `Mar 1, 2026, 10:00:00 AM`, as IAM and STS write dates of their answers.
pub fn spoken(at: i64) -> String {
    civil(at).strftime("%b %-d, %Y, %-I:%M:%S %p").to_string()
}

/// The hour of a moment, in hours since 1970.
pub fn hour_of(at: i64) -> i64 {
    at.div_euclid(HOUR_SECS)
}

/// The day of a moment where clocks are so many hours ahead of UTC, in days since 1970.
pub fn local_day(at: i64, ahead_hours: i64) -> i64 {
    (at + ahead_hours * HOUR_SECS).div_euclid(DAY_SECS)
}

/// The moment of an hour of the day there.
pub fn local_moment(day: i64, second_of_day: i64, ahead_hours: i64) -> i64 {
    day * DAY_SECS + second_of_day - ahead_hours * HOUR_SECS
}

/// Whether a day since 1970 is a Saturday or a Sunday.
pub fn is_weekend(day: i64) -> bool {
    let weekday = civil(day * DAY_SECS).weekday();
    matches!(weekday, Weekday::Saturday | Weekday::Sunday)
}
