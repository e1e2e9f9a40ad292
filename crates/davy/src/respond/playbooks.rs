//! `davy respond playbooks`: reads the playbooks in force, and runs every case of each.

use std::process::ExitCode;

use davylamp_content::playbook::{Parsed, Playbook};
use davylamp_plan::rehearse::rehearse;
use davylamp_respond::library;
use serde_json::{Value, json};

use super::args::{Common, Output, PlaybooksArgs};
use super::{FOUND, config, library_failure};
use crate::failure::Failure;
use crate::output::{counted, emit, note};

/// What came of one case: nothing where it is as it should be.
struct Ran<'a> {
    name: &'a str,
    mismatches: Vec<String>,
}

/// Reads the playbooks in force, and runs every case of each.
pub(super) fn check(common: &Common, asked: &PlaybooksArgs) -> Result<ExitCode, Failure> {
    let mut paths = config(common)?.playbooks;
    paths.extend(asked.paths.iter().cloned());
    let library = library::read(&paths).map_err(library_failure)?;
    let playbooks: Vec<Playbook> = library.iter().map(|it| it.playbook.clone()).collect();
    let (mut text, mut listed, mut failed) = (String::new(), Vec::new(), 0);
    for parsed in &library {
        let ran: Vec<Ran<'_>> = parsed
            .cases
            .iter()
            .map(|case| Ran {
                name: &case.name,
                mismatches: rehearse(&playbooks, case)
                    .iter()
                    .map(ToString::to_string)
                    .collect(),
            })
            .collect();
        failed += usize::from(ran.iter().any(|case| !case.mismatches.is_empty()));
        match common.output {
            Output::Text => text.push_str(&in_text(parsed, &ran)),
            Output::Json => listed.push(in_json(parsed, &ran)),
        }
    }
    if common.output == Output::Json {
        text = format!("{}\n", json!({ "playbooks": listed }));
    }
    emit(text)?;
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        note(&counted(
            failed as u64,
            "playbook fails its cases",
            "playbooks fail their cases",
        ));
        ExitCode::from(FOUND)
    })
}

fn in_text(parsed: &Parsed, ran: &[Ran<'_>]) -> String {
    let Playbook { name, title, .. } = &parsed.playbook;
    let mut text = format!("{name:<22} {} cases  {title}\n", ran.len());
    for warning in &parsed.warnings {
        text.push_str(&format!("  warning: {warning}\n"));
    }
    for case in ran {
        for mismatch in &case.mismatches {
            text.push_str(&format!("  case \"{}\": {mismatch}\n", case.name));
        }
    }
    text
}

fn in_json(parsed: &Parsed, ran: &[Ran<'_>]) -> Value {
    let cases: Vec<Value> = ran
        .iter()
        .map(|case| {
            json!({
                "name": case.name,
                "result": if case.mismatches.is_empty() { "pass" } else { "fail" },
                "mismatches": case.mismatches,
            })
        })
        .collect();
    let warnings: Vec<Value> = parsed
        .warnings
        .iter()
        .map(|warning| {
            let record = warning.record();
            json!({
                "line": record.line,
                "column": record.column,
                "message": record.message,
                "help": record.help,
            })
        })
        .collect();
    json!({
        "name": parsed.playbook.name,
        "title": parsed.playbook.title,
        "file": parsed.file,
        "cases": cases,
        "warnings": warnings,
    })
}
