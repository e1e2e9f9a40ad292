//! What an incident costs: what somebody has said, as far as they said it, and a form for who knows better.

use axum::extract::{Path, State};
use axum::response::Redirect;
use davylamp_ledger::Entry;
use davylamp_ledger::record::{Cost, IncidentNo, Record};
use davylamp_ledger::rows::{EvidenceRow, IncidentRow};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

use super::forms::{bounded, whole, write};
use crate::access::{Refused, Role, Signed, Viewer};
use crate::page::frame::csrf;
use crate::page::{entry, text, time, word};
use crate::site::Site;

/// No incident costs more than this, in dollars: what is more is a slip of the keyboard.
const MOST_USD: i64 = 1_000_000_000;
/// Millionths.
const MICRO: i64 = 1_000_000;

/// What something costs an hour. What nobody said is unknown, which is not nothing.
pub(in crate::page) fn an_hour(micro_usd: Option<i64>) -> Markup {
    match micro_usd {
        None => html! { span.unknown { "unknown" } },
        Some(micro) => html! { (word::usd(micro)) " an hour" },
    }
}

/// The last that was said, and when, of entries of which the newest comes first.
pub(super) fn last<'e>(entries: impl Iterator<Item = &'e Entry>) -> Option<(i64, Cost)> {
    let said = entries.filter(|each| each.kind == "cost");
    let mut said = said.filter_map(|each| match entry::record(each)? {
        Record::Cost(cost) => Some((each.at_us, cost)),
        _ => None,
    });
    let (at, mut cost) = said.next()?;
    // Who corrects an amount makes no new pack.
    if cost.credit_pack.is_none() {
        cost.credit_pack = said.find_map(|(_, earlier)| earlier.credit_pack);
    }
    Some((at, cost))
}

pub(super) fn show(
    viewer: &Viewer,
    row: &IncidentRow,
    said: &[Entry],
    kept: &[EvidenceRow],
    now: Timestamp,
) -> Markup {
    let said = last(said.iter());
    html! {
        section.card #cost {
            h2 { "Cost" }
            @match (&said, row.cost_low_micro_usd, row.cost_high_micro_usd) {
                (Some((at, cost)), ..) => (told(*at, cost, kept, now)),
                (None, Some(low), Some(high)) => p { (word::usd(low)) " to " (word::usd(high)) " so far, " (an_hour(row.cost_micro_usd_per_hour)) "." },
                _ => p { @match row.cost_micro_usd_per_hour {
                    Some(_) => { (an_hour(row.cost_micro_usd_per_hour)) ", as a plan has it. " span.unknown { "What it cost so far is unknown." } }
                    None => span.unknown { "Unknown: nobody has said what it costs." },
                } },
            }
            @if viewer.may(Role::Responder) { @match said {
                Some((_, cost)) => details { summary { "Somebody knows better" } (form(viewer, row, Some(&cost))) },
                None => (form(viewer, row, None)),
            } }
        }
    }
}

fn told(at: i64, cost: &Cost, kept: &[EvidenceRow], now: Timestamp) -> Markup {
    html! {
        p.figure { (word::usd(cost.low_micro_usd)) " – " (word::usd(cost.high_micro_usd)) }
        dl {
            dt { "Goes on" } dd { @if cost.per_hour_micro_usd == 0 { "no more" } @else { strong { (word::usd(cost.per_hour_micro_usd)) " an hour" } } }
            dt { "Said" } dd { (time::both(at, now)) " by " (text::brief(&cost.by)) }
            dt { "Prices" } dd { @if cost.prices.is_empty() { span.unknown { "of an unknown date and source" } } @else { (text::prose(&cost.prices)) } }
            dt { "Not in it" } dd { @if cost.unknown.is_empty() { span.muted { "nothing is said to be missing" } } @else { ul.gaps { @for one in &cost.unknown { li.unknown { (text::shown(one)) } } } } }
            dt { "Credit pack" } dd { @match &cost.credit_pack {
                // Where evidence lies stands on its own page alone, whose reading is written down.
                Some(place) => @match kept.iter().find(|kept| kept.location == *place) {
                    Some(kept) => a href=(format!("/incidents/{}/evidence/{}", cost.incident.0, kept.id)) { "among the evidence" },
                    None => (text::whole(place)),
                },
                None => span.muted { "none was made" },
            } }
        }
    }
}

fn form(viewer: &Viewer, row: &IncidentRow, cost: Option<&Cost>) -> Markup {
    let amount = |micro: Option<i64>| micro.map(plain).unwrap_or_default();
    let money = |name: &str, label: &str, value: String| {
        html! { div { label for=(format!("c-{name}")) { (label) } input id=(format!("c-{name}")) name=(name) value=(value) inputmode="decimal" required maxlength="16" placeholder="12.50"; } }
    };
    html! {
        form.cost method="post" action=(format!("/incidents/{}/cost", row.id)) {
            (csrf(viewer))
            div.amounts {
                (money("low", "So far at least, $", amount(cost.map(|cost| cost.low_micro_usd))))
                (money("high", "and at most, $", amount(cost.map(|cost| cost.high_micro_usd))))
                (money("hour", "An hour from now on, $", amount(cost.map(|cost| cost.per_hour_micro_usd))))
                div.wide { label for="c-prices" { "Date and source of the prices" } input #c-prices name="prices" maxlength="500" required; }
            }
            label for="c-unknown" { "Not in it " span.muted { "(one a line)" } }
            textarea #c-unknown name="unknown" rows="2" maxlength="4000" {}
            button { "Say what it costs" }
        }
    }
}

/// An amount as a field holds it.
fn plain(micro_usd: i64) -> String {
    let cents = micro_usd / 10_000;
    format!("{}.{:02}", cents / 100, cents % 100)
}

/// Dollars as people write them, in millionths.
fn micro(text: &str, what: &str) -> Result<i64, Refused> {
    let wrong = || {
        Refused::Wrong(format!(
            "{what} is no amount of dollars. Write it as 1234.50. Nothing was changed."
        ))
    };
    let text = text.trim().trim_start_matches('$').replace(',', "");
    let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || part.len() > 6 || !is_number(whole) || !is_number(part) {
        return Err(wrong());
    }
    let whole: i64 = whole.parse().map_err(|_| wrong())?;
    let part: i64 = format!("{part:0<6}").parse().map_err(|_| wrong())?;
    match whole {
        0..MOST_USD => Ok(whole * MICRO + part),
        _ => Err(wrong()),
    }
}

#[derive(Debug, Deserialize)]
pub(in crate::page) struct CostForm {
    low: String,
    high: String,
    hour: String,
    #[serde(default)]
    prices: String,
    #[serde(default)]
    unknown: String,
}

pub(in crate::page) async fn say(
    State(site): State<Site>,
    Path(no): Path<String>,
    Signed { viewer, form }: Signed<CostForm>,
) -> Result<Redirect, Refused> {
    let row = whole(&site, &viewer, &no).await?;
    let (low, high) = (
        micro(&form.low, "The least")?,
        micro(&form.high, "The most")?,
    );
    if low > high {
        let text = "The least is more than the most. Nothing was changed.";
        return Err(Refused::Wrong(text.to_owned()));
    }
    let prices = bounded(form.prices, "source of the prices")?;
    if prices.is_empty() {
        let text = "An amount without the date and source of its prices cannot be checked. Nothing was changed.";
        return Err(Refused::Wrong(text.to_owned()));
    }
    let unknown = bounded(form.unknown, "list of what is not in it")?;
    let unknown = unknown
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty());
    let record = Record::Cost(Cost {
        incident: IncidentNo(row.id),
        low_micro_usd: low,
        high_micro_usd: high,
        per_hour_micro_usd: micro(&form.hour, "What it costs an hour")?,
        prices,
        unknown: unknown.map(str::to_owned).collect(),
        credit_pack: None,
        by: viewer.name,
    });
    write(&site, row.id, record, "cost").await
}

#[cfg(test)]
mod tests {
    use super::{micro, plain};

    #[test]
    fn amounts_are_read_as_people_write_them() {
        for (text, expected) in [
            ("12", Some(12_000_000)),
            ("$1,234.50", Some(1_234_500_000)),
            (" 0.000001 ", Some(1)),
            ("0", Some(0)),
            ("-1", None),
            ("1e9", None),
            ("12.0000001", None),
            ("1000000000", None),
            ("99999999999999999999", None),
            ("", None),
            (".5", None),
            ("½", None),
        ] {
            assert_eq!(micro(text, "It").ok(), expected, "{text}");
        }
        assert_eq!(plain(1_234_500_000), "1234.50");
    }
}
