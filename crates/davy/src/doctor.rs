//! `davy doctor`: what this machine offers the guard, what is missing, what is lost by it, and
//! how to mend it.
//!
//! Only printing happens here; the questions are asked in `davylamp_guard::machine`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, ValueEnum};
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table};
use davylamp_guard::machine::{
    DEFAULT_PIN_DIR, Need, Readiness, Row, Survey, Verdict, Wants, survey_for,
};

use crate::failure::Failure;
use crate::output::{ColourChoice, columns, emit};

/// The arguments of `davy doctor`.
#[derive(Debug, Clone, Args)]
#[command(about = "Say what this machine offers the guard, what is missing, and how to mend it", long_about = None)]
#[command(
    after_long_help = "Exit codes: 0 the guard can run here, 1 something required is missing, 2 it cannot be told.

Examples:
  davy doctor
  davy doctor --output json | jq '.rows[] | select(.verdict != \"pass\")'"
)]
pub struct DoctorArgs {
    /// How to print the answers
    #[arg(long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
    /// Where the guard will pin its programs
    #[arg(long, value_name = "DIR", default_value = DEFAULT_PIN_DIR, conflicts_with = "no_pin")]
    pub pin_dir: PathBuf,
    /// Ask for a guard that pins nothing
    #[arg(long)]
    pub no_pin: bool,
}

/// The form in which the answers are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// A table, and below it what to do about each row that does not pass.
    Table,
    /// One JSON document, described in docs/doctor.md.
    Json,
}

/// The exit code when every required row passes.
pub const READY: u8 = 0;
/// The exit code when something required is missing.
pub const MISSING: u8 = 1;
/// The exit code when something required could not be asked for.
pub const UNKNOWN: u8 = 2;

/// Surveys this machine and prints the answers.
pub fn run(args: &DoctorArgs, colour: ColourChoice) -> Result<ExitCode, Failure> {
    let pin_dir = (!args.no_pin).then(|| args.pin_dir.clone());
    let survey = survey_for(&Wants { pin_dir });
    let text = match args.output {
        Output::Table => render(&survey, Style::of_stdout(colour)),
        Output::Json => json(&survey)
            .map_err(|error| Failure::new(error, "this is a bug in davy: please report it"))?,
    };
    emit(text)?;
    Ok(ExitCode::from(exit_code(&survey)))
}

fn exit_code(survey: &Survey) -> u8 {
    match survey.readiness() {
        Readiness::Ready => READY,
        Readiness::Missing => MISSING,
        Readiness::Unknown => UNKNOWN,
    }
}

/// The survey with its sums, as docs/doctor.md describes it.
#[derive(serde::Serialize)]
struct Document<'a> {
    readiness: Readiness,
    counts: Counts,
    #[serde(flatten)]
    survey: &'a Survey,
}

#[derive(serde::Serialize)]
struct Counts {
    pass: usize,
    fail: usize,
    unknown: usize,
}

fn json(survey: &Survey) -> anyhow::Result<String> {
    let counts = Counts {
        pass: survey.count(Verdict::Pass),
        fail: survey.count(Verdict::Fail),
        unknown: survey.count(Verdict::Unknown),
    };
    let document = Document {
        readiness: survey.readiness(),
        counts,
        survey,
    };
    let mut text = serde_json::to_string_pretty(&document).context("cannot write the survey")?;
    text.push('\n');
    Ok(text)
}

/// How wide to print, and whether in colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Style {
    columns: u16,
    colour: bool,
}

impl Style {
    fn of_stdout(colour: ColourChoice) -> Self {
        Self {
            columns: columns(),
            colour: colour.on_stdout(),
        }
    }
}

fn render(survey: &Survey, style: Style) -> String {
    let mut text = format!("{}\n", table(survey, style));
    let wanting: Vec<&Row> = survey
        .rows
        .iter()
        .filter(|row| row.verdict != Verdict::Pass && row.need != Need::Informational)
        .collect();
    if !wanting.is_empty() {
        text.push_str("\nWhat is missing, what is lost by it, and how to mend it:\n");
    }
    for row in wanting {
        text.push_str(&format!(
            "\n{} ({}, {})\n",
            row.item,
            row.verdict,
            row.need.as_str()
        ));
        text.push_str(&format!("  found  {}\n  lost   {}\n", row.found, row.lost));
        // Not wrapped, so that a command can be copied whole.
        if let Some(mend) = &row.mend {
            text.push_str(&format!("  mend   {mend}\n"));
        }
    }
    text.push_str(&format!("\n{}\n", conclusion(survey)));
    text
}

fn conclusion(survey: &Survey) -> String {
    let sums = format!(
        "{} pass, {} fail, {} unknown",
        survey.count(Verdict::Pass),
        survey.count(Verdict::Fail),
        survey.count(Verdict::Unknown)
    );
    match survey.readiness() {
        Readiness::Ready => format!("The guard can run here ({sums})."),
        Readiness::Missing => {
            format!("The guard cannot run here: something required is missing ({sums}).")
        }
        Readiness::Unknown => {
            format!("It cannot be told whether the guard can run here ({sums}).")
        }
    }
}

fn table(survey: &Survey, style: Style) -> Table {
    let mut table = Table::new();
    table
        .load_preset(UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(style.columns)
        .set_header(["Item", "Need", "Verdict", "Found"]);
    if style.colour {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    let mut group = None;
    for row in &survey.rows {
        if group != Some(row.group) {
            group = Some(row.group);
            let title = Cell::new(row.group.title()).add_attribute(Attribute::Bold);
            table.add_row([title, Cell::new(""), Cell::new(""), Cell::new("")]);
        }
        let colour = match (row.verdict, row.need) {
            (Verdict::Pass, _) => Color::Green,
            (_, Need::Informational) => Color::Grey,
            (Verdict::Fail, Need::Required) => Color::Red,
            (Verdict::Fail, Need::Improves) | (Verdict::Unknown, _) => Color::Yellow,
        };
        table.add_row([
            Cell::new(format!("  {}", row.item)),
            Cell::new(row.need.as_str()),
            Cell::new(row.verdict.as_str()).fg(colour),
            Cell::new(&row.found),
        ]);
    }
    table
}

#[cfg(test)]
#[path = "doctor_tests.rs"]
mod tests;
