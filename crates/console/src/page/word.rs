//! Words with a shape and a colour: how bad, what was done, where an incident stands. The word alone
//! says it; shape and colour help the eye.

use davylamp_ledger::Taken;
use davylamp_ledger::record::State;
use davylamp_ledger::rows::severity_of;
use davylamp_model::finding::Severity;
use maud::{Markup, html};

/// Every severity, the worst first.
pub(crate) const SEVERITIES: [Severity; 4] = [
    Severity::Critical,
    Severity::High,
    Severity::Medium,
    Severity::Low,
];

/// Everything that can be done, what matters most first.
pub(super) const LOUDEST: [Taken; 8] = [
    Taken::Missed,
    Taken::WouldKill,
    Taken::Killed,
    Taken::Frozen,
    Taken::Alerted,
    Taken::Reported,
    Taken::Held,
    Taken::Spared,
];

pub(super) fn severity(severity: Severity) -> Markup {
    let (class, shape) = match severity {
        Severity::Critical => ("badge sev-critical", "▲"),
        Severity::High => ("badge sev-high", "◆"),
        Severity::Medium => ("badge sev-medium", "■"),
        Severity::Low => ("badge sev-low", "●"),
    };
    html! { span class=(class) { span aria-hidden="true" { (shape) } " " (severity.as_str()) } }
}

pub(super) fn rank(rank: i64) -> Markup {
    severity(severity_of(rank))
}

/// What was done, in words.
pub(super) fn done(taken: Taken) -> &'static str {
    match taken {
        Taken::Killed => "killed",
        Taken::Spared => "spared",
        Taken::Held => "held",
        Taken::WouldKill => "would kill",
        Taken::Missed => "missed",
        Taken::Alerted => "alerted",
        Taken::Frozen => "frozen",
        Taken::Reported => "reported",
    }
}

pub(super) fn taken(taken: Taken) -> Markup {
    let class = format!("badge act-{}", taken.as_str());
    html! { span class=(class) { (done(taken)) } }
}

/// The same, with how often.
pub(super) fn taken_times(taken: Taken, n: i64) -> Markup {
    let class = format!("badge act-{}", taken.as_str());
    html! { span class=(class) { (done(taken)) " " (n) } }
}

/// The same by its stored name.
pub(super) fn action(name: &str) -> Markup {
    match Taken::named(name) {
        Some(known) => taken(known),
        None => html! { span.badge { (super::text::plain(name)) } },
    }
}

pub(super) fn state(name: &str) -> Markup {
    let class = match State::named(name) {
        Some(State::Open) => "badge state-open",
        Some(State::Closed | State::Merged) => "badge state-closed",
        _ => "badge state-between",
    };
    html! { span class=(class) { (super::text::plain(name)) } }
}

/// An option of a choice in a form.
pub(super) fn option(value: &str, text: &str, chosen: &str) -> Markup {
    html! { option value=(value) selected[value == chosen] { (text) } }
}

/// So many of something.
pub(super) fn count(n: i64, one: &str, more: &str) -> String {
    match n {
        1 => format!("1 {one}"),
        n => format!("{n} {more}"),
    }
}

/// Money, of millionths of a US dollar.
pub(super) fn usd(micro_usd: i64) -> String {
    let cents = (i128::from(micro_usd) + 5_000) / 10_000;
    let sign = if cents < 0 { "-" } else { "" };
    let cents = cents.abs();
    format!("{sign}${}.{:02}", cents / 100, cents % 100)
}
