//! `davy hunt run`: hunts over logs, and one ranked list of suspected incidents.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::ExitCode;

use anyhow::anyhow;
use davylamp_content::hunt::ParameterError;
use davylamp_hunt::output::{self, ParquetFile};
use davylamp_hunt::run::{Came, Job, Missing, Outcome, Report, questions, run as run_hunts};
use davylamp_hunt::sigma::{self, Brought, Refused};
use davylamp_hunt::tally::{printable, summary};
use jiff::Timestamp;
use serde_json::Value;

use super::args::{RunArgs, RunOutput};
use super::asked::Asked;
use super::print::{check_file, unwritable};
use super::{FOUND, book, failure, ocsf, page, text, told};
use crate::failure::{COULD_NOT_COMPLETE, Failure};
use crate::outbox::{self, Delivered};
use crate::output::{emit, emit_lines, note, quiet_json};
use crate::progress::Progress;

/// Runs `davy hunt run`.
pub(super) async fn run(args: &RunArgs) -> Result<ExitCode, Failure> {
    check_file(args.file.as_deref(), args.output == RunOutput::Parquet)?;
    let mut jobs = jobs(args)?;
    let brought = brought(args.sigma.as_deref())?;
    for hunt in &brought.hunts {
        let job = Job::new(hunt.clone(), &BTreeMap::new());
        jobs.push(job.map_err(|errors| does_not_fit(&hunt.name, &errors))?);
    }
    if jobs.is_empty() {
        return Err(Failure::new(
            anyhow!("none of the rules can be asked here"),
            "see what is said of each above; rules about AWS are under rules/cloud/aws of SigmaHQ's",
        ));
    }
    let console = match args.console {
        true => Some(told::console()?),
        false => None,
    };
    let asked = Asked::open(&args.engine, &args.logs).await?;
    asked.stop_with_us();
    let started = Timestamp::now();
    let questions = questions(asked.answers(), &jobs);
    asked.tell_cost(questions).await?;
    let tables: BTreeSet<&str> = jobs
        .iter()
        .flat_map(|job| job.hunt.tables.iter().map(|table| table.name()))
        .collect();
    let bytes = asked.stored_bytes_of(|table| tables.contains(table));
    let mut progress = None;
    let begun = |read: &_| progress = Some(Progress::reading(read, bytes));
    let report = run_hunts(asked.answers(), &jobs, begun).await;
    drop(progress);
    asked.tell_spent();
    let report = report.map_err(failure)?;
    let ended = Timestamp::now();
    if let Some(path) = &args.file {
        let rows = output::suspects(&report.suspects).map_err(unwritable)?;
        let mut file = ParquetFile::create(path, rows.schema()).map_err(unwritable)?;
        let written = file.write(&rows).and_then(|()| file.finish());
        written.map_err(unwritable)?;
    }
    match args.output {
        RunOutput::Table => emit(text::blocks(&report, &jobs)),
        RunOutput::Json => emit(quiet_json(&text::json(&report))),
        RunOutput::Jsonl => emit(quiet_json(&text::json_lines(&report))),
        RunOutput::Csv => emit_lines(&String::from_utf8_lossy(&text::csv(&report))),
        RunOutput::Html => emit(page::page(&report, &jobs)),
        RunOutput::Ocsf => emit(quiet_json(&ocsf::lines(&report, &jobs))),
        RunOutput::Parquet => Ok(()),
    }?;
    for came in &report.hunts {
        note(&printable(&in_words(came)));
    }
    for (failed, what) in [
        (
            &report.unlinked,
            "what is about an interface was not joined with what is about its machine",
        ),
        (
            &report.unnamed,
            "which machines stolen credentials launched is not known",
        ),
    ] {
        if let Some(error) = failed {
            note(&printable(&format!("{what}: {}", chain(error))));
        }
    }
    for line in summary(&report.read) {
        note(&line);
    }
    let mut untold = false;
    if let Some(console) = &console {
        let lines = told::lines(&report, &jobs, &args.logs, (started, ended));
        untold = outbox::send(console, &lines, outbox::PATIENCE).await? != Delivered::All;
    }
    let code = code(&report, args.all, args.logs.strict);
    // A rule that was not asked has found nothing, which is not the same as nothing there.
    let is_blind = !brought.refused.is_empty() && (code == 0 || args.logs.strict);
    Ok(ExitCode::from(match is_blind || untold {
        true => COULD_NOT_COMPLETE,
        false => code,
    }))
}

/// The Sigma rules of a folder; says what cannot be asked.
fn brought(folder: Option<&Path>) -> Result<Brought, Failure> {
    let Some(folder) = folder else {
        return Ok(Brought::default());
    };
    let brought = sigma::read(folder).map_err(|error| {
        Failure::new(
            anyhow!(error).context(format!("cannot read {}", folder.display())),
            "--sigma names a folder of Sigma rules, or one rule",
        )
    })?;
    for Refused { file, why } in &brought.refused {
        note(&printable(&format!("{}: not asked: {why}", file.display())));
    }
    note(&format!(
        "Sigma: {} rules are asked, {} are not, {} are about other logs",
        brought.hunts.len(),
        brought.refused.len(),
        brought.elsewhere
    ));
    Ok(brought)
}

/// The hunts asked for, with their values.
fn jobs(args: &RunArgs) -> Result<Vec<Job>, Failure> {
    if args.hunts.is_empty() && !args.all && args.sigma.is_none() {
        return Err(Failure::new(
            anyhow!("no hunt is named"),
            "name hunts before --logs, which takes whatever follows it, or all: davy hunt run --all --logs WHERE",
        ));
    }
    let known = book::hunts(&args.own)?;
    let hunts = match args.all {
        true => known.iter().map(|parsed| parsed.hunt.clone()).collect(),
        false => {
            let named = args.hunts.iter().map(|name| book::named(&known, name));
            named.collect::<Result<Vec<_>, Failure>>()?
        }
    };
    let mut values = values(&args.set)?;
    let mut jobs = Vec::new();
    for hunt in hunts {
        let name = hunt.name.clone();
        let own = values.remove(&name).unwrap_or_default();
        jobs.push(Job::new(hunt, &own).map_err(|errors| does_not_fit(&name, &errors))?);
    }
    match values.into_keys().next() {
        Some(name) => Err(Failure::new(
            anyhow!("--set is for {name}, which is not among the hunts to run"),
            "list the hunts: davy hunt list",
        )),
        None => Ok(jobs),
    }
}

/// Values by hunt and parameter.
fn values(set: &[String]) -> Result<BTreeMap<String, BTreeMap<String, Value>>, Failure> {
    let mut values: BTreeMap<String, BTreeMap<String, Value>> = BTreeMap::new();
    for assignment in set {
        let parts = assignment
            .split_once('=')
            .and_then(|(key, value)| Some((key.split_once('.')?, value)));
        let Some(((hunt, parameter), text)) = parts else {
            return Err(Failure::new(
                anyhow!("--set {assignment} names no parameter"),
                "write HUNT.PARAMETER=VALUE, such as flow-thin-periodic.min_windows=12",
            ));
        };
        let own = values.entry(hunt.to_owned()).or_default();
        own.insert(parameter.to_owned(), value(text));
    }
    Ok(values)
}

/// A value as TOML, or text without quotes.
fn value(text: &str) -> Value {
    let plain = || Value::String(text.to_owned());
    let Ok(table) = format!("value = {text}").parse::<toml::Table>() else {
        return plain();
    };
    match (table.len(), table.get("value")) {
        // A day is text to every hunt.
        (1, Some(value)) if !value.is_datetime() => {
            serde_json::to_value(value).unwrap_or_else(|_| plain())
        }
        _ => plain(),
    }
}

fn does_not_fit(hunt: &str, errors: &[ParameterError]) -> Failure {
    let all: Vec<String> = errors.iter().map(ToString::to_string).collect();
    Failure::new(
        anyhow!("{}", all.join("; ")),
        format!("see its parameters: davy hunt show {hunt}"),
    )
}

/// What came of a hunt, in a line or some.
fn in_words(came: &Came) -> String {
    let missing: Vec<String> = came.missing.iter().map(Missing::to_string).collect();
    let missing = missing.join("; ");
    let took = came.took.as_secs_f64();
    let mut line = match &came.outcome {
        Outcome::LeftOut => return format!("{}: left out: {missing}", came.hunt),
        Outcome::Failed(error) => {
            let why = chain(error);
            format!("{}: failed after {took:.1} s: {why}", came.hunt)
        }
        Outcome::Ran => format!("{}: {} rows in {took:.1} s", came.hunt, came.rows),
    };
    if came.unranked > 0 {
        line += &format!("; {} of the least score are not ranked", came.unranked);
    }
    if !missing.is_empty() {
        line += &format!("; {missing}");
    }
    line
}

/// An error with all that was behind it.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}

/// 0: nothing is suspected. 1: something is. 2: a hunt failed, or nothing is suspected and it could
/// not be known. Of all hunts, those whose logs were not given are left out; a hunt that was named
/// must have its logs.
fn code(report: &Report, all: bool, is_strict: bool) -> u8 {
    let is_left_out = |came: &Came| matches!(came.outcome, Outcome::LeftOut);
    let is_blind = |came: &Came| came.missing.iter().any(Missing::is_blind);
    let blind = report
        .hunts
        .iter()
        .any(|came| is_blind(came) && !(all && is_left_out(came)));
    let is_short = report.unlinked.is_some() || report.unnamed.is_some();
    let anything = report.is_broken() || is_short || report.hunts.iter().any(is_blind);
    if report.has_failed() || (is_strict && anything) {
        COULD_NOT_COMPLETE
    } else if !report.suspects.is_empty() {
        FOUND
    } else if blind || report.is_broken() || report.is_idle() || report.read.is_outside() {
        COULD_NOT_COMPLETE
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_toml_or_text() {
        for (text, expected) in [
            ("12", json!(12)),
            ("0.5", json!(0.5)),
            ("[\"a\", \"b\"]", json!(["a", "b"])),
            ("plain text", json!("plain text")),
            ("2024-08-01", json!("2024-08-01")),
            ("1\nother = 2", json!("1\nother = 2")),
        ] {
            assert_eq!(value(text), expected, "{text}");
        }
    }

    #[test]
    fn an_assignment_names_a_hunt_and_a_parameter() {
        let set = ["a-hunt.least=2".to_owned(), "a-hunt.names=x=y".to_owned()];
        let values = values(&set).expect("they are good");
        assert_eq!(values["a-hunt"]["least"], json!(2));
        assert_eq!(values["a-hunt"]["names"], json!("x=y"));
        assert!(super::values(&["least=2".to_owned()]).is_err());
    }
}
