//! Moments, money and numbers in words: the same in every form.

use jiff::Timestamp;

use crate::case::{Confidence, Existence, Gap, Hand, Span};
use davylamp_model::verdict::Verdict;

/// A moment, to the second, in UTC.
pub(super) fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// A day, in UTC.
pub(super) fn day(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d").to_string()
}

/// A moment for programs, with what it has of a second.
pub(super) fn exact(at: Timestamp) -> String {
    at.to_string()
}

/// From when to when.
pub(super) fn span(span: Span) -> String {
    match span.first == span.last {
        true => moment(span.first),
        false => format!("{} to {}", moment(span.first), moment(span.last)),
    }
}

/// From when to when, where that is known.
pub(super) fn span_or_unknown(of: Option<Span>) -> String {
    of.map_or_else(|| "unknown".to_owned(), span)
}

/// Since when a log says nothing, and until when.
pub(super) fn gap(gap: Gap) -> String {
    match gap.until {
        Some(until) => format!(
            "{} to {} ({})",
            moment(gap.from),
            moment(until),
            length(gap.from, until)
        ),
        None => format!("since {}, and it lasts", moment(gap.from)),
    }
}

/// How long it is from one moment to another, in two units at the most.
pub(super) fn length(from: Timestamp, to: Timestamp) -> String {
    let secs = to.as_second().saturating_sub(from.as_second()).max(0);
    let (days, hours, minutes) = (secs / 86_400, secs % 86_400 / 3_600, secs % 3_600 / 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{secs} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

/// Money, of millionths of a US dollar.
pub(super) fn usd(micro_usd: i64) -> String {
    let cents = (i128::from(micro_usd).abs() + 5_000) / 10_000;
    let sign = if micro_usd < 0 && cents > 0 { "-" } else { "" };
    format!("{sign}${}.{:02}", grouped(cents / 100), cents % 100)
}

/// Money where it is known.
pub(super) fn usd_or_unknown(micro_usd: Option<i64>) -> String {
    micro_usd.map_or_else(|| "no price".to_owned(), usd)
}

/// From how much to how much.
pub(super) fn usd_range(low: i64, high: i64) -> String {
    match low == high {
        true => usd(low),
        false => format!("{} to {}", usd(low), usd(high)),
    }
}

/// Money for a spreadsheet: dollars with six digits after the point, or nothing.
pub(super) fn dollars(micro_usd: Option<i64>) -> String {
    micro_usd.map_or_else(String::new, |micros| {
        let sign = if micros < 0 { "-" } else { "" };
        let micros = i128::from(micros).abs();
        format!("{sign}{}.{:06}", micros / 1_000_000, micros % 1_000_000)
    })
}

/// From how many hours to how many.
pub(super) fn hours(low: f64, high: f64) -> String {
    match (high - low).abs() < 0.05 {
        true => format!("{low:.1}"),
        false => format!("{low:.1} to {high:.1}"),
    }
}

/// So many of something.
pub(super) fn count(n: u64, one: &str, more: &str) -> String {
    match n {
        1 => format!("1 {one}"),
        n => format!("{} {more}", grouped(i128::from(n))),
    }
}

/// A whole number with its thousands set apart.
pub(super) fn number(n: u64) -> String {
    grouped(i128::from(n))
}

fn grouped(n: i128) -> String {
    let digits = n.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) && digit != '-' {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Whose hand.
pub(super) fn hand(hand: Hand) -> &'static str {
    match hand {
        Hand::Owner => "owner",
        Hand::Intruder => "intruder",
        Hand::Service => "AWS",
        Hand::Unknown => "unknown",
    }
}

/// How sure.
pub(super) fn confidence(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Low => "low: it fits, as others might",
        Confidence::Medium => "medium: it fits better than all else",
        Confidence::High => "high: records show it directly",
    }
}

/// What a verdict on somebody's innocence means.
pub(super) fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "cleared",
        Verdict::Fail => "not cleared: the acts are its own",
        Verdict::Unknown => "unknown: nobody can say",
    }
}

/// What a verdict on log files means.
pub(super) fn whole(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "whole",
        Verdict::Fail => "not whole",
        Verdict::Unknown => "unknown",
    }
}

/// Whether something still exists.
pub(super) fn exists(existence: &Existence) -> &'static str {
    match existence {
        Existence::At(_) => "yes",
        Existence::GoneBy(_) => "no",
        Existence::Unknown(_) => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::{dollars, usd};

    #[test]
    fn money_is_rounded_to_cents_for_people_and_kept_for_sheets() {
        for (micros, said, kept) in [
            (0, "$0.00", "0.000000"),
            (1_234_567_890_000, "$1,234,567.89", "1234567.890000"),
            (-5_000_000, "-$5.00", "-5.000000"),
            (4_999, "$0.00", "0.004999"),
            (-1, "$0.00", "-0.000001"),
            (i64::MIN, "-$9,223,372,036,854.78", "-9223372036854.775808"),
        ] {
            assert_eq!(usd(micros), said);
            assert_eq!(dollars(Some(micros)), kept);
        }
    }
}
