//! `davy prices`: tables of what instances cost, made of what AWS publishes, beside the one that ships.
//!
//! Nothing is fetched: files are read that the user has.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand, ValueEnum};
use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{ContentArrangement, Table};
use davylamp_content::prices::book::{Book, SHIPPED_SOURCE};
use davylamp_content::prices::kind::{Market, System};
use davylamp_content::prices::offer::{Offer, OfferError, read};
use davylamp_content::prices::sheet::{Sheet, dollars};
use davylamp_content::prices::shipped;
use davylamp_content::{Faults, Source};
use davylamp_hunt::unpack::decode;
use serde_json::json;

use crate::failure::Failure;
use crate::output::{columns, counted, emit, emit_lines, note, quiet_json};
use crate::progress::{BYTES, bar};

/// Where tables lie that somebody brought.
const DEFAULT_PRICES: &str = "/etc/davylamp/prices";

/// The arguments of `davy prices`.
#[derive(Debug, Args)]
#[command(
    about = "Show the prices that costs are reckoned with, and make tables of AWS's price list"
)]
pub struct PricesArgs {
    #[command(subcommand)]
    job: Job,
}

#[derive(Debug, Subcommand)]
enum Job {
    Update(UpdateArgs),
    List(ListArgs),
    Show(ShowArgs),
}

/// Where tables of prices lie.
#[derive(Debug, Clone, Default, Args)]
pub struct TablesArgs {
    /// Folder of tables of prices (*.tsv) that count before the one that ships [default:
    /// /etc/davylamp/prices, if there]
    #[arg(long, value_name = "DIR")]
    pub prices: Option<PathBuf>,
}

/// Makes tables of AWS's price list and of spot price histories, one for each region and market.
///
/// A price list is the offer file of EC2, of all regions or of one, as JSON or CSV: AmazonEC2/current/index.json,
/// say. It may have gigabytes, and may be packed by gzip. A spot price history is what
/// `aws ec2 describe-spot-price-history --output json` prints. Nothing is fetched. The same files give the
/// same tables, byte for byte. Kept are the prices an hour of plain instances on shared hardware; what is left
/// out is counted.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Exit codes: 0 written, 2 could not complete; nothing is written then.

Examples:
  davy prices update index.json
  davy prices update eu-west-1.json.gz spot.json -o prices
  davy investigate cost --case case/case.json --prices prices"
)]
struct UpdateArgs {
    /// Price lists and spot price histories
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Where to write the tables
    #[arg(short, long, value_name = "DIR", default_value = DEFAULT_PRICES)]
    out: PathBuf,
}

/// Lists the tables that count, the youngest first.
#[derive(Debug, Args)]
struct ListArgs {
    #[command(flatten)]
    tables: TablesArgs,
    /// How to print them
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// Shows what an instance type costs, and by which table.
#[derive(Debug, Args)]
#[command(after_long_help = "Exit codes: 0 there is a price, 2 there is none.

Examples:
  davy prices show c4.8xlarge
  davy prices show c4.8xlarge --region eu-west-1 --system windows --output json")]
struct ShowArgs {
    /// The instance type
    #[arg(value_name = "TYPE")]
    instance_type: String,
    /// Of this region alone
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// Of this system alone: linux, rhel, rhel-ha, suse, ubuntu-pro or windows
    #[arg(long, value_name = "SYSTEM", value_parser = system)]
    system: Option<System>,
    #[command(flatten)]
    tables: TablesArgs,
    /// How to print them
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// How prices are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For reading.
    Table,
    /// One JSON list.
    Json,
}

fn system(text: &str) -> Result<System, String> {
    System::named(text).ok_or_else(|| {
        let names: Vec<&str> = System::PRICED
            .iter()
            .map(|system| system.as_str())
            .collect();
        format!("a system is one of {}", names.join(", "))
    })
}

/// Updates, lists or shows.
pub fn run(args: &PricesArgs) -> Result<ExitCode, Failure> {
    match &args.job {
        Job::Update(args) => update(args),
        Job::List(args) => list(args),
        Job::Show(args) => show(args),
    }
}

/// All tables there are. The default folder may be absent, one that is named may not.
pub fn book(tables: &TablesArgs) -> Result<Book, Failure> {
    let folder = match &tables.prices {
        Some(folder) => folder.as_path(),
        None if !Path::new(DEFAULT_PRICES).is_dir() => return Ok(Book::of_shipped()),
        None => Path::new(DEFAULT_PRICES),
    };
    let listed = std::fs::read_dir(folder)
        .and_then(|entries| {
            entries
                .map(|entry| entry.map(|entry| entry.path()))
                .collect()
        })
        .with_context(|| format!("cannot list {}", folder.display()))
        .map_err(|error| Failure::new(error, "name a folder of tables that this user may read"));
    let mut files: Vec<PathBuf> = listed?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "tsv"));
    files.sort();
    let sheets: Result<Vec<Sheet>, Failure> = files.iter().map(|file| read_sheet(file)).collect();
    Ok(Book::new(sheets?))
}

fn read_sheet(path: &Path) -> Result<Sheet, Failure> {
    let bytes = std::fs::read(path)
        .with_context(|| format!("cannot read {}", path.display()))
        .map_err(|error| Failure::new(error, "see whether this user may read it"))?;
    let name = path.display().to_string();
    let sheet: Result<Sheet, Faults> = Source::from_bytes(&name, &bytes).and_then(Sheet::parse);
    Ok(sheet?)
}

fn update(args: &UpdateArgs) -> Result<ExitCode, Failure> {
    let mut sheets: BTreeMap<String, Vec<Sheet>> = BTreeMap::new();
    for path in &args.files {
        let offer = read_offer(path)?;
        let kept = counted(offer.kept, "price is kept", "prices are kept");
        note(&format!("{}: {kept}", path.display()));
        for (why, count) in &offer.left_out {
            note(&format!("  left out: {count} {why}"));
        }
        for sheet in offer.sheets {
            sheets.entry(sheet.file_name()).or_default().push(sheet);
        }
    }
    std::fs::create_dir_all(&args.out)
        .with_context(|| format!("cannot make {}", args.out.display()))
        .map_err(unwritable)?;
    for (name, sheets) in sheets {
        let Some(sheet) = Sheet::joined(sheets) else {
            continue;
        };
        write(&args.out, &name, &sheet.written())?;
        let count = sheet.rates.len() as u64;
        emit_lines(&format!(
            "{}: {}, {}\n",
            args.out.join(name).display(),
            counted(count, "price", "prices"),
            sheet.about()
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn read_offer(path: &Path) -> Result<Offer, Failure> {
    let opened = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
    let (bytes, file) = opened
        .with_context(|| format!("cannot open {}", path.display()))
        .map_err(|error| Failure::new(error, "name a price list or a spot price history"))?;
    let bar = bar(bytes, BYTES);
    let text = decode(BufReader::new(bar.wrap_read(file)));
    let offer = text
        .map_err(OfferError::from)
        .and_then(|text| read(BufReader::new(text)));
    bar.finish_and_clear();
    offer.map_err(|error| {
        let hint = match &error {
            OfferError::Unread(_) | OfferError::Broken(_) => {
                "fetch it again, and see whether it is whole"
            }
            OfferError::OtherCurrency(_) => "bring the price list of a region with prices in USD",
            _ => "bring the offer file of AmazonEC2, or a spot price history: davy prices update --help",
        };
        let error = anyhow::Error::new(error).context(format!("cannot use {}", path.display()));
        Failure::new(error, hint)
    })
}

/// A table is there whole or not at all.
fn write(folder: &Path, name: &str, text: &str) -> Result<(), Failure> {
    let path = folder.join(name);
    let new = folder.join(format!("{name}.{}.new", std::process::id()));
    let written = File::create(&new).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&new, &path)
    });
    if written.is_err() {
        // What is half written is of no use.
        let _ = std::fs::remove_file(&new);
    }
    written
        .with_context(|| format!("cannot write {}", path.display()))
        .map_err(unwritable)
}

fn unwritable(error: anyhow::Error) -> Failure {
    Failure::new(error, "name a folder that this user may write to: -o DIR")
}

fn list(args: &ListArgs) -> Result<ExitCode, Failure> {
    let book = book(&args.tables)?;
    let shipped = shipped().map_or(0, |table| table.priced());
    if args.output == Output::Json {
        let mut all: Vec<serde_json::Value> = book
            .sheets()
            .iter()
            .map(|sheet| {
                json!({
                    "region": sheet.region, "market": sheet.market.as_str(), "date": sheet.date,
                    "prices": sheet.rates.len(), "source": sheet.source, "licence": sheet.licence,
                    "shipped": false,
                })
            })
            .collect();
        all.push(json!({
            "region": "us-east-1", "market": "on-demand", "date": "2026-07-20T00:00:00Z",
            "prices": shipped, "source": SHIPPED_SOURCE, "licence": "Apache-2.0", "shipped": true,
        }));
        return print(&all);
    }
    let mut text = String::new();
    for sheet in book.sheets() {
        let count = counted(sheet.rates.len() as u64, "price", "prices");
        text.push_str(&format!(
            "{}\n    {count}, licence: {}\n",
            sheet.about(),
            sheet.licence
        ));
    }
    let count = counted(shipped as u64, "price", "prices");
    text.push_str(&format!(
        "{SHIPPED_SOURCE}\n    {count}, shipped with this program\n"
    ));
    emit_lines(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn show(args: &ShowArgs) -> Result<ExitCode, Failure> {
    let book = book(&args.tables)?;
    let mut prices = book.of_type(&args.instance_type);
    prices.retain(|(region, _, system, ..)| {
        args.region.as_ref().is_none_or(|wanted| wanted == region)
            && args.system.is_none_or(|wanted| wanted == *system)
    });
    if prices.is_empty() {
        return Err(Failure::new(
            anyhow!("no table has that price of {}", args.instance_type),
            "see which tables there are with davy prices list, and make more of AWS's price list with \
             davy prices update",
        ));
    }
    if args.output == Output::Json {
        let all: Vec<serde_json::Value> = prices
            .iter()
            .map(|(region, market, system, rate, source)| {
                json!({
                    "instance_type": args.instance_type, "region": region,
                    "market": market.as_str(), "system": system.as_str(),
                    "micro_usd_hour": rate.usual, "micro_usd_hour_least": rate.low,
                    "micro_usd_hour_most": rate.high, "source": source,
                })
            })
            .collect();
        return print(&all);
    }
    let mut table = Table::new();
    table
        .load_preset(UTF8_BORDERS_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(columns())
        .set_header(["region", "market", "system", "USD an hour", "by"]);
    for (region, market, system, rate, source) in &prices {
        let usual = dollars(rate.usual);
        let price = match market {
            Market::Spot => format!("{usual} ({} to {})", dollars(rate.low), dollars(rate.high)),
            Market::OnDemand | Market::Unknown => usual,
        };
        let row = [region, market.as_str(), system.as_str(), &price, source];
        table.add_row(row);
    }
    emit_lines(&format!("{table}\n"))?;
    Ok(ExitCode::SUCCESS)
}

fn print(all: &[serde_json::Value]) -> Result<ExitCode, Failure> {
    let json = serde_json::to_string_pretty(all).context("cannot write the prices");
    let json = json.map_err(|error| Failure::new(error, "this is a bug in davy"))?;
    emit(quiet_json(&json) + "\n")?;
    Ok(ExitCode::SUCCESS)
}
