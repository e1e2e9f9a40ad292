//! Moments, as logs write them.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// The length of the windows of `window_start` and `window_epoch`.
pub(super) const WINDOW_SECS: i64 = 300;

pub(super) const MICROS: i64 = 1_000_000;

/// Numbers below this are seconds since 1970, others milliseconds: in seconds it is the year 5138,
/// in milliseconds 1973.
const MOST_SECONDS: f64 = 1e11;

/// Numbers from this on are no moment: in milliseconds it is the year 5138.
const MOST_MILLIS: f64 = 1e14;

/// A moment, in microseconds since 1970: as RFC 3339 has it, without a zone in UTC, or as a number
/// of seconds or milliseconds.
pub(super) fn micros(text: &str) -> Option<i64> {
    if let Some(seconds) = seconds(text.as_bytes()) {
        return Some(seconds * MICROS);
    }
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some(moment.as_microsecond());
    }
    if text.starts_with(|c: char| c.is_ascii_digit()) && text.contains('-') {
        let local: DateTime = text.parse().ok()?;
        let moment = local.to_zoned(TimeZone::UTC).ok()?;
        return Some(moment.timestamp().as_microsecond());
    }
    let number: f64 = text.parse().ok()?;
    let seconds = match number {
        _ if !(0.0..MOST_MILLIS).contains(&number) => return None,
        _ if number < MOST_SECONDS => number,
        _ => number / 1000.0,
    };
    Some((seconds * MICROS as f64).round() as i64)
}

/// Whole seconds since 1970.
pub(super) fn epoch(micros: i64) -> i64 {
    micros.div_euclid(MICROS)
}

/// The start of the window that a moment lies in, in seconds since 1970.
pub(super) fn window(seconds: i64) -> i64 {
    seconds - seconds.rem_euclid(WINDOW_SECS)
}

/// The form that most logs have: `2024-08-01T11:30:23Z`, by Howard Hinnant's "days_from_civil".
fn seconds(text: &[u8]) -> Option<i64> {
    let [
        y1,
        y2,
        y3,
        y4,
        b'-',
        m1,
        m2,
        b'-',
        d1,
        d2,
        b'T',
        h1,
        h2,
        b':',
        i1,
        i2,
        b':',
        s1,
        s2,
        b'Z',
    ] = *text
    else {
        return None;
    };
    let number = |digits: &[u8]| {
        digits.iter().try_fold(0_i64, |value, byte| {
            byte.is_ascii_digit()
                .then(|| value * 10 + i64::from(byte - b'0'))
        })
    };
    let (year, month, day) = (
        number(&[y1, y2, y3, y4])?,
        number(&[m1, m2])?,
        number(&[d1, d2])?,
    );
    let (hour, minute, second) = (number(&[h1, h2])?, number(&[i1, i2])?, number(&[s1, s2])?);
    // Days that not every month has, and leap seconds, are left to the library.
    if !(1..=12).contains(&month)
        || !(1..=28).contains(&day)
        || hour > 23
        || minute > 59
        || second > 59
    {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = era * 146_097 + day_of_era - 719_468;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: Option<i64>) {
        assert_eq!(micros(text), expected, "{text}");
    }

    #[test]
    fn a_moment_is_read_in_every_form_that_logs_have() {
        let at = Some(1_722_511_823_000_000);
        check("2024-08-01T11:30:23Z", at);
        check("2024-08-01T13:30:23+02:00", at);
        check("2024-08-01 11:30:23.000", at);
        check("2024-08-01 11:30:23.000000000", at);
        check("1722511823", at);
        check("1722511823.0", at);
        check("1722511823000", at);
        check("2024-08-01T11:30:23.5Z", Some(1_722_511_823_500_000));
        check("yesterday", None);
        check("", None);
        check("-5", None);
        check("nan", None);
        check("1e300", None);
    }

    proptest! {
        #[test]
        fn the_quick_way_to_read_a_time_is_the_library_s(second in 0_i64..253_402_300_799) {
            let text = Timestamp::from_second(second).expect("in range").to_string();
            prop_assert_eq!(micros(&text), Some(second * MICROS));
        }

        #[test]
        fn any_text_is_a_time_or_none(text in ".{0,40}") {
            let _ = micros(&text);
        }
    }
}
