//! What came of a check as one page that needs nothing beside itself.
//!
//! What must stay true: names of files come from others, so that every text is escaped (maud does), and the
//! page's own policy lets no script run and nothing be fetched.

use davylamp_casework::integrity::silence::MEANING;
use davylamp_casework::integrity::{Chain, Report};
use davylamp_hunt::tally::printable;
use davylamp_model::verdict::Verdict;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::text::{count, history, hours, open, outcome, silence, title};

/// Nothing is loaded and nothing runs; the one style stands in the page.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; \
                      form-action 'none'";

const STYLE: &str = "
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
section { border-top: 1px solid #bbb; padding: 1rem 0; }
h2 { margin: 0; font-size: 1.2rem; }
li { overflow-wrap: anywhere; }
svg { width: 100%; height: 1.5rem; background: #f4f4f4; }
.pass { fill: #2e7d4f; } .fail { fill: #b3261e; } .unknown { fill: #d9822b; }
@media (prefers-color-scheme: dark) { body { background: #111; color: #eee; } svg { background: #222; } }
";

/// The width of the bar of hours, in its own units.
const WIDTH: f64 = 1000.0;

/// The page.
pub(super) fn page(report: &Report) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Are the logs whole" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "Are the logs whole" }
                p { strong { (report.verdict.as_str()) } ": " (printable(&report.why)) }
                @if let Some(span) = report.span {
                    p { "Digests are about " (span.first) " to " (span.last) "." }
                }
                @for chain in &report.chains {
                    (of_chain(chain))
                }
                (list("Files", report.faults.iter().map(outcome), report.faults_left_out))
                (list("Silences", report.silences.iter().map(silence), report.silences_left_out))
                @if !report.silences.is_empty() {
                    p { (MEANING) }
                }
                @if let Some(compared) = &report.lookup {
                    (list("Compared with CloudTrail's own history", history(compared).into_iter(), 0))
                }
                (list("Not looked at", report.unread.iter().cloned(), 0))
            }
        }
    };
    page.into_string()
}

fn of_chain(chain: &Chain) -> Markup {
    html! {
        section {
            h2 { (printable(&title(chain))) ": " (chain.verdict.as_str()) }
            p { "Digests: " (count(chain.digests)) ". Log files: " (count(chain.log_files)) "." }
            (bar(chain))
            ul {
                @for open in open(chain) {
                    li { (printable(&hours(open))) }
                }
            }
        }
    }
}

/// The hours, from the first to the last, by what they came to.
fn bar(chain: &Chain) -> Markup {
    let (Some(first), Some(last)) = (chain.hours.first(), chain.hours.last()) else {
        return html! {};
    };
    let second = |at: jiff::Timestamp| at.as_second() as f64;
    let start = second(first.from);
    let span = (second(last.until) - start).max(1.0);
    html! {
        svg viewBox=(format!("0 0 {WIDTH} 20")) preserveAspectRatio="none" role="img"
            aria-label="The hours by what they came to" {
            @for stretch in &chain.hours {
                rect x=(format!("{:.1}", (second(stretch.from) - start) / span * WIDTH)) y="0" height="20"
                    width=(format!("{:.1}", (second(stretch.until) - second(stretch.from)) / span * WIDTH))
                    class=(stretch.verdict.as_str()) {
                    title {
                        (stretch.from) " to " (stretch.until) ": " (stretch.verdict.as_str())
                        @if stretch.verdict != Verdict::Pass { ": " (printable(&stretch.why)) }
                    }
                }
            }
        }
    }
}

fn list(title: &str, items: impl Iterator<Item = String>, left_out: u64) -> Markup {
    let items: Vec<String> = items.collect();
    html! {
        @if !items.is_empty() {
            section {
                h2 { (title) }
                ul {
                    @for item in &items {
                        li { (printable(item)) }
                    }
                }
                @if left_out > 0 {
                    p { "And " (left_out) " more." }
                }
            }
        }
    }
}
