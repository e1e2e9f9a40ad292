//! `davy investigate cost`: what a case cost by the tables there are, and by the bill.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use clap::{Args, ValueEnum};
use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{ContentArrangement, Table};
use davylamp_casework::case::{Billed, Case, Cost};
use davylamp_casework::cost::bill::{Bill, BillError, Reader, billed, fill};
use davylamp_casework::cost::{Run, reckon, usd};
use davylamp_content::prices::book::Book;
use jiff::Timestamp;

use crate::failure::{COULD_NOT_COMPLETE, Failure};
use crate::hunt::args::moment;
use crate::output::{columns, emit, emit_lines, quiet_json};
use crate::prices::{TablesArgs, book};
use crate::progress::bar;

/// Says what a case cost: by prices as an estimate with its range, and by the bill.
///
/// Bills are AWS Cost and Usage Reports with resource ids, in the older form or that of Data Exports, as
/// CSV, .csv.gz or Parquet. They lag by up to a day.
#[derive(Debug, Args)]
#[command(
    group(clap::ArgGroup::new("what").required(true).args(["case", "resources"])),
    after_long_help = "Exit codes: 0 said, 2 could not complete: a bill that was not read whole or has none of the things.

Examples:
  davy investigate cost --case case/case.json --prices prices
  davy investigate cost --case case/case.json --bill report-00001.csv.gz report-00002.csv.gz
  davy investigate cost --resources i-0abc,i-0def --bill report.parquet --output json"
)]
pub struct CostArgs {
    /// A case, as `davy investigate` writes it
    #[arg(long, value_name = "FILE")]
    case: Option<PathBuf>,
    /// Things by their ids or ARNs; may be repeated
    #[arg(long, value_name = "ID", value_delimiter = ',', requires = "bill")]
    resources: Vec<String>,
    /// Cost and Usage Reports
    #[arg(long, value_name = "FILE", num_args = 1..)]
    bill: Vec<PathBuf>,
    /// What still runs is counted up to here [default: when the case was made]
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Timestamp>,
    #[command(flatten)]
    tables: TablesArgs,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// How a cost is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For reading.
    Table,
    /// One JSON object.
    Json,
}

/// Says what it cost.
pub fn run(args: &CostArgs) -> Result<ExitCode, Failure> {
    let case = args.case.as_deref().map(read_case).transpose()?;
    let case = case.unwrap_or_default();
    let made = case.reach.iter().filter(|thing| thing.how == "created");
    let made: BTreeSet<String> = made.map(|thing| thing.id.clone()).collect();
    let mut runs: Vec<Run> = case.cost.unwrap_or_default().runs;
    let until = args.until.or(case.asked.made_at);
    let now = until.unwrap_or_else(Timestamp::now);
    let book = book(&args.tables)?;
    // What ran has to be in the bill; what else was made, such as a volume, may be.
    let mut wanted: BTreeSet<String> = args.resources.iter().cloned().collect();
    wanted.extend(runs.iter().map(|run| run.id.clone()));
    if wanted.is_empty() && made.is_empty() {
        return Err(Failure::new(
            anyhow!("the case has nothing that costs"),
            "see what it is about: davy investigate --help",
        ));
    }
    let bill = match args.bill.is_empty() {
        true => None,
        false => Some(read_bill(&args.bill, &(&wanted | &made))?),
    };
    let told = bill.as_ref().map(|bill| fill(&mut runs, bill));
    let mut cost = reckon(&runs, &book, now);
    cost.caveats.extend(told.into_iter().flatten());
    cost.billed = bill
        .as_ref()
        .map(|bill| billed(bill, &wanted, &runs, &book));
    match args.output {
        Output::Json => {
            let json = serde_json::to_string_pretty(&cost).context("cannot write the cost");
            let json = json.map_err(|error| Failure::new(error, "this is a bug in davy"))?;
            emit(quiet_json(&json) + "\n")?;
        }
        Output::Table => emit_lines(&shown(&cost))?,
    }
    let is_incomplete = |bill: &Bill| bill.malformed > 0 || bill.things.is_empty();
    Ok(ExitCode::from(
        match bill.is_some_and(|bill| is_incomplete(&bill)) {
            true => COULD_NOT_COMPLETE,
            false => 0,
        },
    ))
}

/// Compares the cost of a case with the bill.
pub fn compare(
    case: &mut Case,
    files: &[PathBuf],
    book: &Book,
    now: Timestamp,
) -> Result<(), Failure> {
    let mut runs = case.cost.take().unwrap_or_default().runs;
    let wanted: BTreeSet<String> = runs.iter().map(|run| run.id.clone()).collect();
    let made = case.reach.iter().filter(|thing| thing.how == "created");
    let made: BTreeSet<String> = made.map(|thing| thing.id.clone()).collect();
    let bill = read_bill(files, &(&wanted | &made))?;
    let told = fill(&mut runs, &bill);
    let mut cost = reckon(&runs, book, now);
    cost.caveats.extend(told);
    cost.billed = Some(billed(&bill, &wanted, &runs, book));
    case.cost = Some(cost);
    Ok(())
}

/// What reports say of things.
pub fn read_bill(files: &[PathBuf], wanted: &BTreeSet<String>) -> Result<Bill, Failure> {
    let form = "{bar:30} {pos} of {len} files of the bill, {msg}";
    let bar = bar(files.len() as u64, form);
    let mut reader = Reader::new(wanted.iter().cloned());
    for path in files {
        let name = path.display().to_string();
        bar.set_message(name.clone());
        let read = File::open(path)
            .map_err(BillError::from)
            .and_then(|file| reader.read(&name, file));
        if let Err(error) = read {
            bar.finish_and_clear();
            let hint = error.hint();
            let error = anyhow::Error::new(error).context(format!("cannot use the bill {name}"));
            return Err(Failure::new(error, hint));
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(reader.finish())
}

fn read_case(path: &Path) -> Result<Case, Failure> {
    let hint = "name the case.json of a case folder that davy investigate wrote";
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read {}", path.display()))
        .map_err(|error| Failure::new(error, hint))?;
    serde_json::from_str(&text)
        .with_context(|| format!("{} is no case", path.display()))
        .map_err(|error| Failure::new(error, hint))
}

/// A cost for reading.
fn shown(cost: &Cost) -> String {
    let mut text = String::new();
    if !cost.runs.is_empty() {
        text.push_str(&format!(
            "estimate: {} likely, between {} and {}{}\n",
            usd(cost.likely_micro_usd),
            usd(cost.low_micro_usd),
            usd(cost.high_micro_usd),
            match cost.is_open {
                true => ", and the real cost may lie outside",
                false => "",
            }
        ));
        if cost.burn_micro_usd_hour > 0 {
            let burn = usd(cost.burn_micro_usd_hour);
            text.push_str(&format!("it goes on costing {burn} an hour\n"));
        }
        text.push_str(&format!("{}\n", lines(cost)));
        for basis in &cost.basis {
            text.push_str(&format!("  prices: {basis}\n"));
        }
        for caveat in &cost.caveats {
            text.push_str(&format!("  note: {}\n", caveat.text));
        }
    }
    if let Some(billed) = &cost.billed {
        text.push_str(&shown_billed(billed));
    }
    text
}

fn lines(cost: &Cost) -> Table {
    let mut table = table(&[
        "what", "type", "region", "market", "system", "count", "running", "hours", "an hour",
        "cost", "least", "most",
    ]);
    let money = |micros: Option<i64>| micros.map_or_else(|| "no price".to_owned(), usd);
    for line in &cost.lines {
        table.add_row([
            line.service.clone(),
            line.item.clone(),
            line.region.clone(),
            line.market.clone(),
            line.system.clone(),
            line.count.to_string(),
            line.running.to_string(),
            format!("{:.1}", line.likely_hours),
            line.micro_usd_hour
                .map_or_else(String::new, |micros| format!("${}", micros as f64 / 1e6)),
            money(line.likely_micro_usd),
            money(line.low_micro_usd),
            money(line.high_micro_usd),
        ]);
    }
    table
}

fn shown_billed(billed: &Billed) -> String {
    let mut text = format!("bill: {}\n", billed.statement.text);
    if !billed.lines.is_empty() {
        let mut table = table(&[
            "usage", "region", "market", "system", "things", "amount", "cost",
        ]);
        for line in &billed.lines {
            table.add_row([
                line.usage_type.clone(),
                line.region.clone(),
                line.market.clone(),
                line.system.clone(),
                line.count.to_string(),
                format!("{:.1}", line.amount),
                usd(line.micro_usd),
            ]);
        }
        text.push_str(&format!("{table}\n"));
    }
    for (name, micros) in &billed.apart {
        text.push_str(&format!("  beside it: {} of {name}\n", usd(*micros)));
    }
    for id in &billed.missing {
        text.push_str(&format!("  not in the bill: {id}\n"));
    }
    for unread in &billed.unread {
        text.push_str(&format!("  not read: {unread}\n"));
    }
    text
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_preset(UTF8_BORDERS_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(columns())
        .set_header(header);
    table
}
