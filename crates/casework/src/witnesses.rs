//! What other logs say: flows, names that were asked for, findings, clusters and guards, by the hunts that ship.
//!
//! What must stay true: a log that nobody asked is not a witness; what a hunt found is cited as that, with the
//! columns that are its evidence. Deliberately not here: CloudTrail and the recorder, which are read for
//! themselves, and judging whose hand it was: a flow has none.

use std::collections::{BTreeMap, BTreeSet};

use davylamp_content::Faults;
use davylamp_content::hunt::{self, Entity as Kind};
use davylamp_hunt::engine::{Engine, EngineError};
use davylamp_hunt::run::{self, Answers, Job, Outcome, Report};
use davylamp_hunt::suspects::Lead as Found;
use davylamp_model::finding::Severity;
use serde_json::{Map, Value};

use crate::case::{Case, EvidenceId, Lead, SUSPICIOUS, Source, Statement};
use crate::cite::Cites;

/// Tables that a case reads for itself.
const OWN: &[&str] = &["cloudtrail", "cloudtrail_digest", "recorder", "config_item"];

/// What a lead may be about that a case has too. Remotes, accounts and regions are no things of a case.
const LINKING: &[Kind] = &[Kind::Instance, Kind::Key, Kind::Principal, Kind::Address];

/// Leads of other logs that a case shows; they come with the worst first.
const MAX_LEADS: usize = 100;

/// What the hunts of other logs found.
#[derive(Debug, Default)]
pub struct Witnesses {
    report: Option<Report>,
    hunts: BTreeMap<String, Question>,
}

/// A hunt that was asked.
#[derive(Debug)]
struct Question {
    tables: BTreeSet<String>,
    /// Whether a row of it stands for an attack; those of other hunts are odd things to look at.
    is_of_attack: bool,
}

/// Why the other logs were not asked.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// A hunt that ships is wrong.
    #[error("a hunt that ships is wrong, which is a bug")]
    Hunts(#[from] Faults),
    /// The logs cannot be read.
    #[error("the logs cannot be read")]
    Engine(#[from] EngineError),
}

/// Asks the other logs that an engine has.
///
/// # Errors
/// When they cannot be read. What goes wrong in a hunt is told as not known.
pub async fn ask(engine: &Engine) -> Result<Witnesses, WitnessError> {
    let mut witnesses = Witnesses::default();
    let mut jobs = Vec::new();
    for parsed in hunt::shipped()? {
        let tables = parsed.hunt.tables.iter().map(|table| table.name());
        let is_able = tables.clone().all(|table| engine.lacking(table).is_none());
        if !is_able || tables.clone().any(|table| OWN.contains(&table)) {
            continue;
        }
        let asked = Question {
            tables: tables.map(str::to_owned).collect(),
            is_of_attack: parsed.hunt.behaviour.is_some()
                || parsed.hunt.severity == Severity::Critical,
        };
        witnesses.hunts.insert(parsed.hunt.name.clone(), asked);
        // The defaults of a hunt that ships fit: its linter has seen to it.
        jobs.extend(Job::new(parsed.hunt, &BTreeMap::new()));
    }
    if !jobs.is_empty() {
        witnesses.report = Some(run::run(engine, &jobs, |_| {}).await?);
    }
    Ok(witnesses)
}

/// Adds what other logs say to a case.
pub fn tell(case: &mut Case, witnesses: &Witnesses, cites: &mut Cites) {
    let Some(report) = &witnesses.report else {
        return;
    };
    let things = things(case);
    let mut seen: BTreeMap<String, BTreeSet<EvidenceId>> = BTreeMap::new();
    let leads = report.suspects.iter().flat_map(|suspect| &suspect.leads);
    for found in leads.take(MAX_LEADS) {
        let evidence = cite(found, witnesses, cites);
        let about: Vec<&str> = found
            .entities
            .iter()
            .map(|entity| entity.value.as_str())
            .collect();
        for entity in found
            .entities
            .iter()
            .filter(|it| LINKING.contains(&it.kind))
        {
            if things.contains(entity.value.as_str()) {
                seen.entry(entity.value.clone())
                    .or_default()
                    .insert(evidence);
            }
        }
        case.leads.push(Lead {
            score: found.score,
            is_alarm: found.score >= SUSPICIOUS
                && witnesses
                    .hunts
                    .get(&found.hunt)
                    .is_some_and(|it| it.is_of_attack),
            about: about.join(", "),
            statement: Statement {
                text: format!("{}: {}", found.hunt, found.because),
                evidence: vec![evidence],
            },
        });
    }
    if !seen.is_empty() {
        let of_case = seen.len();
        let evidence: BTreeSet<EvidenceId> = seen.into_values().flatten().collect();
        case.witnessed = Some(Statement {
            text: format!("other logs say the same of {of_case} of the things in this case"),
            evidence: evidence.into_iter().collect(),
        });
    }
    sources(case, witnesses, report);
}

/// What the case names.
fn things(case: &Case) -> BTreeSet<String> {
    let reach = case.reach.iter().map(|it| it.id.clone());
    let credentials = case.credentials.iter().map(|it| it.id.clone());
    let principals = case.principals.iter().map(|it| it.id.clone());
    let places = case.places.iter().map(|it| it.address.clone());
    reach
        .chain(credentials)
        .chain(principals)
        .chain(places)
        .collect()
}

fn cite(found: &Found, witnesses: &Witnesses, cites: &mut Cites) -> EvidenceId {
    let asked = witnesses.hunts.get(&found.hunt);
    let tables = asked.into_iter().flat_map(|it| &it.tables);
    let table = tables.map(String::as_str).collect::<Vec<_>>().join(", ");
    let mut record: Map<String, Value> = found.evidence.clone().into_iter().collect();
    for entity in &found.entities {
        record.insert(entity.kind_name().to_owned(), entity.value.clone().into());
    }
    let source = format!("hunt {}: {}", found.hunt, Value::Object(record.clone()));
    let id = cites.place(&table, &source, found.first_seen);
    cites.tell(id, &found.because, || record);
    id
}

fn sources(case: &mut Case, witnesses: &Witnesses, report: &Report) {
    let failed = report.hunts.iter().filter_map(|came| match &came.outcome {
        Outcome::Failed(error) => Some((came.hunt.as_str(), error.to_string())),
        Outcome::Ran | Outcome::LeftOut => None,
    });
    let failed: BTreeMap<&str, String> = failed.collect();
    for (table, tally) in report.read.tables() {
        let of_table = |(_, asked): &(&String, &Question)| asked.tables.contains(table);
        let asked = witnesses
            .hunts
            .iter()
            .filter(of_table)
            .map(|(hunt, _)| hunt.as_str());
        let asked: Vec<&str> = asked.collect();
        let broken = asked
            .iter()
            .filter_map(|hunt| Some(format!("{hunt}: {}", failed.get(hunt)?)));
        let mut unread: Vec<String> = broken.collect();
        unread.extend(tally.samples.iter().map(ToString::to_string));
        let is_witness = report
            .suspects
            .iter()
            .flat_map(|suspect| &suspect.leads)
            .any(|lead| asked.contains(&lead.hunt.as_str()));
        case.sources.push(Source {
            table: table.to_owned(),
            records: tally.records,
            repeated: 0,
            span: None,
            unread,
            proves: match is_witness {
                true => "what was seen of machines, names and workloads; not who was behind it",
                false => "nothing here: no hunt found anything in it",
            }
            .to_owned(),
        });
    }
}
