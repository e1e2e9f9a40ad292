//! An incident as a file: to be sent, filed, and read where no console is.
//!
//! Made once and written in four forms, so that all say the same. What must stay true: it holds what its
//! reader may see on the page and nothing more, and says what is left out; what others named is text in
//! every form, for a browser, a reader of Markdown, and a spreadsheet; each download is an entry.

mod csv;
mod html;
mod markdown;

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Redirect, Response};
use davylamp_ledger::Entry;
use davylamp_ledger::Input;
use davylamp_ledger::query::{At, FindingFilter, FindingView, PAGE_ROWS};
use davylamp_ledger::record::{Access, IncidentNo, Record};
use davylamp_ledger::rows::{IncidentRow, NOT_DUE};
use davylamp_model::resource::Resource;
use maud::{Markup, html};
use serde_json::{Map, Value, json};

use super::timeline::{self, Kind, Place};
use super::{STORY_PAGES, cost};
use crate::access::{Refused, Viewer};
use crate::page::sight::{self, Sight};
use crate::page::{entry, list, number, text, time, word};
use crate::site::Site;

/// So much of a value is in a report: a command line may have megabytes.
const VALUE_CHARS: usize = 4096;

/// The forms of a report: its name in the address, and what browsers call it.
const FORMS: [(&str, &str, &str); 4] = [
    ("report.html", "text/html; charset=utf-8", "Report"),
    ("report.md", "text/markdown; charset=utf-8", "Markdown"),
    ("report.json", "application/json", "JSON"),
    ("timeline.csv", "text/csv; charset=utf-8", "Timeline as CSV"),
];

/// What a report says.
struct Report {
    title: String,
    facts: Vec<(&'static str, String)>,
    /// What is not in it.
    left_out: Vec<String>,
    sections: Vec<Section>,
    /// Where the evidence lies that stands in it.
    evidence: Vec<String>,
}

/// A table of it.
struct Section {
    name: &'static str,
    heads: &'static [&'static str],
    rows: Vec<Vec<String>>,
}

/// The ways to the forms.
pub(super) fn links(no: i64) -> Markup {
    html! {
        nav.reports aria-label="This incident as a file" {
            span.muted { "To file " }
            @for (name, _, text) in FORMS { a href=(format!("/incidents/{no}/{name}")) { (text) } }
        }
    }
}

pub(in crate::page) async fn show(
    State(site): State<Site>,
    viewer: Viewer,
    Path((no, name)): Path<(String, String)>,
) -> Result<Response, Refused> {
    let form = FORMS.into_iter().find(|(known, ..)| *known == name);
    let (name, kind, _) = form.ok_or(Refused::Absent)?;
    let no = number(&no)?;
    let (view, sight) = sight::incident(&site, &viewer, no).await?;
    if view.row.id != no {
        let to = format!("/incidents/{}/{name}", view.row.id);
        return Ok(Redirect::to(&to).into_response());
    }
    let report = report(&site, &viewer, &view.row, sight).await?;
    // The file itself was read, and so was each piece of evidence whose place stands in it.
    let mut read = vec![format!("the console's {name} of {}", IncidentNo(no))];
    if name != "timeline.csv" {
        read.extend(report.evidence.iter().cloned());
    }
    let read = read.into_iter().map(|location| {
        Input::Record(Box::new(Record::Access(Access {
            incident: Some(IncidentNo(no)),
            location,
            purpose: "a report to file".to_owned(),
            by: viewer.name.clone(),
        })))
    });
    let read: Vec<Input> = read.collect();
    site.ledger().deliver(None, &read, site.now()).await?;
    site.live().wake();
    let body = match name {
        "report.html" => html::write(&report),
        "report.md" => markdown::write(&report),
        "report.json" => format!("{:#}\n", json(&report)),
        _ => csv::write(&report),
    };
    let file = format!("attachment; filename=\"incident-{no}-{name}\"");
    let policy = html::policy(true);
    let headers = [
        (CONTENT_TYPE, kind.to_owned()),
        (CONTENT_DISPOSITION, file),
        (CONTENT_SECURITY_POLICY, policy),
    ];
    Ok((headers, body).into_response())
}

async fn report(
    site: &Site,
    viewer: &Viewer,
    row: &IncidentRow,
    sight: Sight,
) -> Result<Report, Refused> {
    let (ledger, incident) = (site.ledger(), IncidentNo(row.id));
    let head = ledger.head().await?;
    let filter = FindingFilter {
        incident: Some(incident),
        ..FindingFilter::default()
    };
    let found = ledger
        .findings_in_full(&filter, &At::first(PAGE_ROWS))
        .await?;
    let mut left_out = Vec::new();
    if found.next.is_some() {
        let more = row.findings - i64::try_from(found.items.len()).unwrap_or(0);
        left_out.push(match sight {
            Sight::Whole => format!("{more} findings before those that stand here"),
            _ => "findings before those that stand here".to_owned(),
        });
    }
    let mut found = found.items;
    found.retain(|view| viewer.scope.holds(&view.row.cluster));
    let ask = |at: At| async move { ledger.timeline(incident, &at).await };
    let (entries, is_cut) = list::all(STORY_PAGES, ask).await?;
    if is_cut {
        left_out.push(format!(
            "entries of the timeline behind the first {}",
            entries.len()
        ));
    }
    let now = site.now();
    let mut facts = vec![
        ("Incident", incident.to_string()),
        ("State", row.state.clone()),
        (
            "Severity",
            davylamp_ledger::rows::severity_of(row.severity)
                .as_str()
                .to_owned(),
        ),
        (
            "Owner",
            row.owner.clone().unwrap_or_else(|| "nobody".to_owned()),
        ),
        ("First seen", time::exact(row.first_at)),
        ("Last seen", time::exact(row.last_at)),
        ("Opened", time::exact(row.opened)),
    ];
    facts.extend(row.closed.map(|closed| ("Closed", time::exact(closed))));
    if row.due != NOT_DUE {
        facts.push(("Due", format!("{} {}", time::exact(row.due), row.due_why)));
    }
    let mut sections = vec![findings(&found), reach(&found)];
    let mut evidence = Vec::new();
    match sight {
        Sight::Whole => {
            facts.extend(cost_facts(row, &entries));
            sections.extend(deeds(site, incident, &mut left_out, &mut evidence).await?);
        }
        _ => left_out.push(format!(
            "what lies in clusters that {} may not see, and plans, actions, evidence and cost, which name it",
            viewer.name
        )),
    }
    let (timeline, hidden) = story_of(viewer, sight, &entries, now);
    if hidden > 0 {
        left_out.push(format!(
            "{hidden} entries of the timeline about other clusters"
        ));
    }
    sections.push(Section {
        name: "Decisions",
        heads: &["Entry", "Time", "What", "Hash"],
        rows: timeline
            .iter()
            .filter(|row| row[2] == Kind::Decisions.as_str())
            .map(|row| [0, 1, 4, 5].map(|n| row[n].clone()).to_vec())
            .collect(),
    });
    sections.push(Section {
        name: "Timeline",
        heads: &["Entry", "Time", "Kind", "Place", "What", "Hash"],
        rows: timeline,
    });
    facts.push((
        "Report made",
        format!("{} for {}", time::exact(now.as_microsecond()), viewer.name),
    ));
    facts.push(("Ledger's end", format!("{}:{}", head.seq, head.hash)));
    let title = match sight {
        Sight::Whole => row.title.clone(),
        _ => "across clusters".to_owned(),
    };
    Ok(Report {
        title: format!("Incident {incident}: {title}"),
        facts,
        left_out,
        sections,
        evidence,
    })
}

fn cost_facts(row: &IncidentRow, entries: &[Entry]) -> Vec<(&'static str, String)> {
    let hour = row.cost_micro_usd_per_hour.map(word::usd);
    let hour = hour.unwrap_or_else(|| "unknown".to_owned());
    let Some((at, said)) = cost::last(entries.iter().rev()) else {
        return vec![
            ("Cost so far", "unknown".to_owned()),
            ("Cost an hour", hour),
        ];
    };
    let unknown = match said.unknown.is_empty() {
        true => "nothing is said to be missing".to_owned(),
        false => said.unknown.join("; "),
    };
    vec![
        (
            "Cost so far",
            format!(
                "{} to {}",
                word::usd(said.low_micro_usd),
                word::usd(said.high_micro_usd)
            ),
        ),
        ("Cost an hour", word::usd(said.per_hour_micro_usd)),
        ("Cost said", format!("{} by {}", time::exact(at), said.by)),
        ("Prices", said.prices),
        ("Not in the cost", unknown),
        (
            "Credit pack",
            said.credit_pack
                .unwrap_or_else(|| "none was made".to_owned()),
        ),
    ]
}

fn findings(found: &[FindingView]) -> Section {
    let rows = found.iter().map(|view| {
        let row = &view.row;
        let command = view.record.as_ref().and_then(entry::command);
        vec![
            row.id.to_string(),
            time::exact(row.at),
            row.action.clone(),
            davylamp_ledger::rows::severity_of(row.severity)
                .as_str()
                .to_owned(),
            row.title.clone(),
            row.hub_user.clone(),
            row.pod.clone(),
            row.node.clone(),
            row.cluster.clone(),
            cut(command.unwrap_or_default()),
        ]
    });
    Section {
        name: "Findings",
        heads: &[
            "Finding",
            "Last seen",
            "Action",
            "Severity",
            "Title",
            "User",
            "Pod",
            "Node",
            "Cluster",
            "Command line",
        ],
        rows: rows.collect(),
    }
}

fn cut(value: &str) -> String {
    match value.char_indices().nth(VALUE_CHARS) {
        None => value.to_owned(),
        Some((end, _)) => format!("{}… ({} bytes in all)", &value[..end], value.len()),
    }
}

/// What the findings name, with how many name it.
fn reach(found: &[FindingView]) -> Section {
    let mut named: BTreeMap<(String, String), u64> = BTreeMap::new();
    for view in found {
        let row = &view.row;
        let of_row = [
            ("user", &row.hub_user),
            ("pod", &row.pod),
            ("node", &row.node),
            ("cluster", &row.cluster),
        ];
        let mut names: Vec<(String, String)> = of_row
            .into_iter()
            .filter(|(_, name)| !name.is_empty())
            .map(|(what, name)| (what.to_owned(), name.clone()))
            .collect();
        for resource in view
            .record
            .iter()
            .flat_map(|record| &record.finding.resources)
        {
            match resource {
                Resource::HubUser { .. } | Resource::Workload { .. } | Resource::Node { .. } => {}
                other => names.push((other.kind().to_owned(), other.key())),
            }
        }
        for name in names {
            *named.entry(name).or_default() += 1;
        }
    }
    Section {
        name: "Reach",
        heads: &["What", "Name", "Findings"],
        rows: named
            .into_iter()
            .map(|((what, name), n)| vec![what, name, n.to_string()])
            .collect(),
    }
}

/// Plans, actions and evidence.
async fn deeds(
    site: &Site,
    incident: IncidentNo,
    left_out: &mut Vec<String>,
    evidence: &mut Vec<String>,
) -> Result<Vec<Section>, Refused> {
    let ledger = site.ledger();
    let at = At::first(PAGE_ROWS);
    let plans = ledger.plans(incident, &at).await?;
    let actions = ledger.actions(Some(incident), None, &at).await?;
    let kept = ledger.evidence(Some(incident), &at).await?;
    for (what, next) in [
        ("plans", &plans.next),
        ("actions", &actions.next),
        ("evidence", &kept.next),
    ] {
        if next.is_some() {
            left_out.push(format!("{what} before those that stand here"));
        }
    }
    evidence.extend(kept.items.iter().map(|row| row.location.clone()));
    let plans = plans.items.into_iter().map(|row| {
        vec![
            time::exact(row.at),
            row.plan,
            row.summary,
            row.state,
            row.approved_by.unwrap_or_else(|| "nobody".to_owned()),
            row.by_whom,
        ]
    });
    let actions = actions.items.into_iter().map(|row| {
        vec![
            time::exact(row.at),
            row.plan,
            row.step,
            row.what,
            row.target,
            row.stage,
            row.by_whom,
        ]
    });
    let kept = kept.items.into_iter().map(|row| {
        vec![
            time::exact(row.at),
            row.what,
            row.location,
            row.sha256
                .unwrap_or_else(|| "none: it cannot be proved unchanged".to_owned()),
            row.size_bytes
                .map_or_else(|| "unknown".to_owned(), |size| size.to_string()),
            row.custody,
            row.reads.to_string(),
        ]
    });
    Ok(vec![
        Section {
            name: "Plans",
            heads: &["Time", "Plan", "What", "State", "Approved by", "By"],
            rows: plans.collect(),
        },
        Section {
            name: "Actions",
            heads: &["Time", "Plan", "Step", "What", "Target", "Stage", "By"],
            rows: actions.collect(),
        },
        Section {
            name: "Evidence",
            heads: &[
                "Time", "What", "Where", "SHA-256", "Bytes", "Custody", "Read",
            ],
            rows: kept.collect(),
        },
    ])
}

/// The entries that somebody may see, and how many they may not.
fn story_of(
    viewer: &Viewer,
    sight: Sight,
    entries: &[Entry],
    now: jiff::Timestamp,
) -> (Vec<Vec<String>>, usize) {
    let (mut rows, mut hidden) = (Vec::new(), 0);
    for each in entries {
        let record = entry::record(each);
        if !timeline::sees(&viewer.scope, sight, record.as_ref()) {
            hidden += 1;
            continue;
        }
        let place = record
            .as_ref()
            .map_or("", |record| Place::of(record).as_str());
        rows.push(vec![
            each.seq.to_string(),
            time::exact(each.at_us),
            Kind::of(&each.kind).as_str().to_owned(),
            place.to_owned(),
            text::said(&entry::words(each, record.as_ref(), now)),
            each.hash.clone(),
        ]);
    }
    (rows, hidden)
}

/// The same as JSON: values as they came.
fn json(report: &Report) -> Value {
    let object =
        |pairs: Vec<(String, Value)>| Value::Object(pairs.into_iter().collect::<Map<_, _>>());
    let name = |head: &str| head.to_lowercase().replace([' ', '\''], "_");
    let sections = report.sections.iter().map(|section| {
        let rows = section.rows.iter().map(|row| {
            let cells = section.heads.iter().zip(row);
            object(
                cells
                    .map(|(head, cell)| (name(head), json!(cell)))
                    .collect(),
            )
        });
        (name(section.name), Value::Array(rows.collect()))
    });
    let facts = report.facts.iter();
    let facts = facts.map(|(head, fact)| (name(head), json!(fact)));
    let mut all = vec![
        ("title".to_owned(), json!(report.title)),
        ("left_out".to_owned(), json!(report.left_out)),
        ("facts".to_owned(), object(facts.collect())),
    ];
    all.extend(sections);
    object(all)
}
