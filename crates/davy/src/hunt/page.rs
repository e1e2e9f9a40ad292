//! Suspected incidents as one page that needs nothing beside itself.
//!
//! What must stay true: strangers write what logs hold, so every text is escaped (maud does), and
//! the page's own policy lets no script run and nothing be fetched.

use davylamp_hunt::run::{Came, Job, Missing, Outcome, Report};
use davylamp_hunt::suspects::{Lead, Suspect};
use davylamp_hunt::tally::{printable, summary};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::run::chain;
use super::text::{moment, names, next};

/// Nothing is loaded and nothing runs; the one style stands in the page.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; \
                      form-action 'none'";

const STYLE: &str = "
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
article { border-top: 1px solid #bbb; padding: 1rem 0; }
h2 { margin: 0; font-size: 1.2rem; }
dt { font-weight: 600; margin-top: .5rem; }
dd { margin: 0; overflow-wrap: anywhere; }
svg { width: 100%; height: auto; background: #f4f4f4; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; padding: .2rem .6rem; border-bottom: 1px solid #ddd; vertical-align: top; }
@media (prefers-color-scheme: dark) { body { background: #111; color: #eee; } svg { background: #222; } }
";

/// The time line's size, in its own units.
const WIDTH: f64 = 1000.0;
const ROW: f64 = 18.0;

/// Leads drawn on one time line; the list beneath it has them all.
const DRAWN: usize = 20;

/// The page.
pub(super) fn page(report: &Report, jobs: &[Job]) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Suspected incidents" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "Suspected incidents" }
                @if report.suspects.is_empty() {
                    p { "Nothing is suspected." }
                }
                @for suspect in &report.suspects {
                    (article(suspect, jobs))
                }
                h2 { "Hunts" }
                (hunts(&report.hunts))
                h2 { "Read" }
                ul {
                    @for line in summary(&report.read) {
                        li { (line) }
                    }
                }
            }
        }
    };
    page.into_string()
}

fn article(suspect: &Suspect, jobs: &[Job]) -> Markup {
    html! {
        article id=(suspect.id) {
            h2 { (format!("{:.0}", suspect.score)) " " (suspect.id) " (" (suspect.severity.as_str()) ")" }
            p { (moment(suspect.first_seen)) " to " (moment(suspect.last_seen)) }
            (time_line(suspect))
            dl {
                (list("Why", &suspect.because))
                (list("Who", &names(&suspect.principals)))
                (list("What", &names(&suspect.resources)))
                (list("Next", next(suspect, jobs)))
            }
        }
    }
}

fn list(title: &str, items: &[String]) -> Markup {
    html! {
        @if !items.is_empty() {
            dt { (title) }
            @for item in items {
                dd { (printable(item)) }
            }
        }
    }
}

/// Each lead as a bar from its first to its last moment.
fn time_line(suspect: &Suspect) -> Markup {
    let (Some(first), Some(last)) = (suspect.first_seen, suspect.last_seen) else {
        return html! {};
    };
    let second = |at: jiff::Timestamp| at.as_second() as f64;
    let span = (second(last) - second(first)).max(1.0);
    let place = |at: jiff::Timestamp| (second(at) - second(first)) / span * WIDTH;
    let timed = suspect.leads.iter().filter_map(|lead| {
        let from = lead.first_seen.or(lead.last_seen)?;
        let to = lead.last_seen.unwrap_or(from).max(from);
        // A moment is still to be seen.
        Some((place(from), (place(to) - place(from)).max(4.0), lead))
    });
    let bars: Vec<(f64, f64, &Lead)> = timed.take(DRAWN).collect();
    let height = bars.len() as f64 * ROW;
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {height}")) role="img" aria-label="When each lead was seen" {
            @for (at, (x, width, lead)) in bars.iter().enumerate() {
                rect x=(format!("{x:.1}")) y=(format!("{:.1}", at as f64 * ROW + 3.0))
                    width=(format!("{width:.1}")) height=(format!("{:.1}", ROW - 6.0)) fill=(colour(lead.score)) {
                    title { (printable(&lead.hunt)) ": " (printable(&lead.because)) }
                }
            }
        }
    }
}

fn colour(score: f64) -> &'static str {
    match score {
        score if score >= 80.0 => "#b3261e",
        score if score >= 50.0 => "#d9822b",
        _ => "#8a8f98",
    }
}

fn hunts(hunts: &[Came]) -> Markup {
    html! {
        table {
            tr { th { "hunt" } th { "rows" } th { "seconds" } th { "missing" } }
            @for came in hunts {
                tr {
                    td { (came.hunt) }
                    td { (came.rows) }
                    td { (format!("{:.1}", came.took.as_secs_f64())) }
                    td { (printable(&lacks(came))) }
                }
            }
        }
    }
}

fn lacks(came: &Came) -> String {
    let mut lacks: Vec<String> = came.missing.iter().map(Missing::to_string).collect();
    if let Outcome::Failed(error) = &came.outcome {
        lacks.push(format!("failed: {}", chain(error)));
    }
    if came.unranked > 0 {
        lacks.push(format!(
            "{} rows of the least score are not ranked",
            came.unranked
        ));
    }
    lacks.join("; ")
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Arc;

    use davylamp_content::hunt::Entity as Kind;
    use davylamp_hunt::suspects::{Entity, rank};
    use davylamp_model::finding::Severity;

    use super::super::text;
    use super::*;

    /// What a stranger would like a page, a spreadsheet or a terminal to do.
    const HOSTILE: &str = "=1+1</title><script>alert(1)</script>\u{1b}[2J\"'";

    fn report() -> Report {
        let lead = Lead {
            hunt: "a-hunt".to_owned(),
            severity: Severity::High,
            score: 90.0,
            first_seen: jiff::Timestamp::from_second(0).ok(),
            last_seen: jiff::Timestamp::from_second(60).ok(),
            entities: BTreeSet::from([Entity {
                kind: Kind::Principal,
                value: HOSTILE.to_owned(),
            }]),
            because: HOSTILE.to_owned(),
            evidence: BTreeMap::new(),
        };
        Report {
            hunts: Vec::new(),
            suspects: rank(vec![lead], &[]),
            unlinked: None,
            unnamed: None,
            read: Arc::default(),
        }
    }

    #[test]
    fn what_a_log_holds_is_only_text_in_the_page() {
        let page = page(&report(), &[]);
        assert!(!page.contains("<script"), "{page}");
        assert!(!page.contains('\u{1b}'), "{page}");
        assert!(page.contains("&lt;script&gt;"), "{page}");
        assert!(page.contains("<svg"), "{page}");
    }

    #[test]
    fn what_a_log_holds_runs_neither_in_a_spreadsheet_nor_in_a_terminal() {
        let csv = String::from_utf8(text::csv(&report())).expect("it is text");
        assert!(csv.contains(",\"'=1+1"), "{csv}");
        let blocks = text::blocks(&report(), &[]);
        assert!(!blocks.contains('\u{1b}'), "{blocks}");
    }
}
