//! Times, in UTC and in words.

use jiff::Timestamp;
use maud::{Markup, html};

/// A time of the ledger; the bounds of all time where it is none.
pub(super) fn of(us: i64) -> Timestamp {
    let bound = if us < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    };
    Timestamp::from_microsecond(us).unwrap_or(bound)
}

/// A time in words, with the exact one behind them.
pub(super) fn ago(us: i64, now: Timestamp) -> Markup {
    let exact = exact(us);
    html! { time datetime=(machine(us)) title=(exact) { (words(us, now)) } }
}

/// A time exactly, and in words.
pub(super) fn both(us: i64, now: Timestamp) -> Markup {
    html! { time datetime=(machine(us)) { (exact(us)) " " span.muted { "(" (words(us, now)) ")" } } }
}

/// The time of the day, with the exact one behind it: for what is live.
pub(super) fn clock(us: i64) -> Markup {
    let text = of(us).strftime("%H:%M:%S").to_string();
    html! { time datetime=(machine(us)) title=(exact(us)) { (text) } }
}

pub(super) fn exact(us: i64) -> String {
    of(us).strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

fn machine(us: i64) -> String {
    of(us).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// How far a time is from now.
pub(super) fn words(us: i64, now: Timestamp) -> String {
    let secs = us
        .saturating_sub(now.as_microsecond())
        .div_euclid(1_000_000);
    let (is_ahead, secs) = (secs > 0, secs.unsigned_abs());
    if secs < 5 {
        return "now".to_owned();
    }
    let (n, unit) = match secs {
        0..60 => (secs, "second"),
        60..3600 => (secs / 60, "minute"),
        3600..172_800 => (secs / 3600, "hour"),
        _ => (secs / 86_400, "day"),
    };
    let s = if n == 1 { "" } else { "s" };
    match is_ahead {
        true => format!("in {n} {unit}{s}"),
        false => format!("{n} {unit}{s} ago"),
    }
}

#[cfg(test)]
mod tests {
    use super::words;
    use jiff::Timestamp;

    #[test]
    fn distances_are_said_in_the_largest_unit_that_fits() {
        let now = Timestamp::from_second(1_790_000_000).expect("a time");
        for (secs, expected) in [
            (0, "now"),
            (-30, "30 seconds ago"),
            (-60, "1 minute ago"),
            (-7200, "2 hours ago"),
            (-200_000, "2 days ago"),
            (5400, "in 1 hour"),
        ] {
            assert_eq!(words((1_790_000_000 + secs) * 1_000_000, now), expected);
        }
    }
}
