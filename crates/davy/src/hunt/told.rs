//! What the console is told of a run: how each hunt went, and the suspected incidents as findings.

use std::collections::BTreeMap;

use davylamp_forward::work::config::Config;
use davylamp_hunt::run::{Job, Outcome, Report};
use davylamp_ledger::Record;
use davylamp_ledger::record::Run;
use davylamp_ledger::wire::{About, Sent};
use jiff::Timestamp;

use super::args::LogArgs;
use super::ocsf;
use super::run::chain;
use crate::failure::Failure;
use crate::outbox;
use crate::settings::SettingsArgs;

/// The console of the configuration.
pub(super) fn console() -> Result<Config, Failure> {
    let settings = SettingsArgs {
        config: None,
        set: Vec::new(),
    };
    settings.load_work(Vec::new())
}

/// Everything that the console is told.
pub(super) fn lines(
    report: &Report,
    jobs: &[Job],
    logs: &LogArgs,
    (started, ended): (Timestamp, Timestamp),
) -> Vec<String> {
    let places = logs.logs.iter().map(ToString::to_string);
    let target = places.collect::<Vec<_>>().join(" ");
    let mut lines = Vec::new();
    for came in &report.hunts {
        let error = match &came.outcome {
            Outcome::Ran => None,
            Outcome::LeftOut => Some("the logs have nothing that it reads".to_owned()),
            Outcome::Failed(error) => Some(chain(error)),
        };
        // What it needed and the logs lacked: a run without rows is then no all-clear.
        let missing: Vec<String> = came.missing.iter().map(ToString::to_string).collect();
        let error = error.or_else(|| {
            let told = format!("not everything could be looked at: {}", missing.join("; "));
            (!missing.is_empty()).then_some(told)
        });
        let mut counts = BTreeMap::new();
        for (name, n) in [("rows", came.rows), ("unranked", came.unranked)] {
            counts.insert(name.to_owned(), i64::try_from(n).unwrap_or(i64::MAX));
        }
        let run = Run {
            run: format!("{}-{started}", came.hunt),
            verb: "hunt".to_owned(),
            name: came.hunt.clone(),
            target: target.clone(),
            started,
            ended,
            counts,
            error,
            by: String::new(),
        };
        let sent = Sent::new(Record::Run(run), About::default(), "");
        lines.extend(outbox::lines(&[sent]));
    }
    for line in ocsf::lines(report, jobs).lines() {
        if let Ok(finding) = serde_json::from_str(line) {
            lines.push(outbox::finding_line(&finding));
        }
    }
    lines
}
