//! Prices of one region and one market, as a file of our own.
//!
//! ```text
//! # format: 1
//! # region: eu-west-1
//! # market: on-demand
//! # date: 2026-07-20T00:00:00Z
//! # source: price list AmazonEC2 20260720000000
//! # licence: facts of AWS, under the terms of its price list
//! instance_type  system  usd_per_hour
//! c5.large  linux  0.096
//! ```
//!
//! Values are separated by tabs. A spot table has two columns more, the least and the greatest price of
//! its time. What must stay true: the same prices give the same bytes; a wrong line is a fault with its
//! place.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use jiff::Timestamp;

use super::kind::{Market, System};
use super::{malformed, micros};
use crate::problem::{Faults, PlaybookTrouble, Problems, Trouble};
use crate::source::{Source, Text};

/// What an hour of a virtual processor of Fargate is called in a table.
pub const FARGATE_VCPU: &str = "fargate-vcpu";

/// What an hour of a GB of memory of Fargate is called there.
pub const FARGATE_GB: &str = "fargate-gb";

/// The version of the format.
const FORMAT: &str = "1";

const ON_DEMAND_COLUMNS: &[&str] = &["instance_type", "system", "usd_per_hour"];
const SPOT_COLUMNS: &[&str] = &[
    "instance_type",
    "system",
    "usd_per_hour",
    "usd_least",
    "usd_most",
];

/// The longest name of an instance type.
pub(super) const MAX_TYPE_BYTES: usize = 64;

/// What an hour costs, in millionths of a dollar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate {
    /// The least.
    pub low: u64,
    /// The usual: at the list price the same as the others.
    pub usual: u64,
    /// The most.
    pub high: u64,
}

/// Prices of one region and one market.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sheet {
    /// The region.
    pub region: String,
    /// The market: on demand or spot.
    pub market: Market,
    /// When the prices were published; of spot prices the last moment.
    pub date: Timestamp,
    /// Where they come from.
    pub source: String,
    /// Under which terms.
    pub licence: String,
    /// The prices.
    pub rates: BTreeMap<(String, System), Rate>,
}

impl Rate {
    /// A price that is always the same.
    pub fn fixed(micros: u64) -> Self {
        Self {
            low: micros,
            usual: micros,
            high: micros,
        }
    }
}

impl Sheet {
    /// What a table of this region and market is called.
    pub fn file_name(&self) -> String {
        format!("ec2-{}-{}.tsv", self.market.as_str(), self.region)
    }

    /// What it is, for those who ask where a price comes from.
    pub fn about(&self) -> String {
        let day = self.date.strftime("%Y-%m-%d");
        format!(
            "{}, {}, {day}: {}",
            self.region,
            self.market.as_str(),
            self.source
        )
    }

    /// Tables of one region and one market as one: of two prices for the same thing the younger counts.
    /// Nothing of none.
    pub fn joined(mut sheets: Vec<Self>) -> Option<Self> {
        sheets.sort_by(|one, other| {
            let key = |sheet: &Self| (sheet.date, sheet.source.clone());
            (key(one), &one.rates).cmp(&(key(other), &other.rates))
        });
        let mut sources: Vec<String> = sheets.iter().map(|sheet| sheet.source.clone()).collect();
        sources.dedup();
        sources.reverse();
        let rates = sheets
            .iter()
            .flat_map(|sheet| sheet.rates.clone())
            .collect();
        Some(Self {
            source: sources.join(", and "),
            rates,
            ..sheets.pop()?
        })
    }

    /// Reads a table.
    ///
    /// # Errors
    /// Every fault of it.
    pub fn parse(source: Source<'_>) -> Result<Self, Faults> {
        let text = Arc::new(Text::new(source.name, source.text));
        let mut problems = Problems::new(&text);
        let mut told = BTreeMap::new();
        let mut rates = BTreeMap::new();
        let mut market = None;
        let mut start = 0;
        for line in text.text.split_inclusive('\n') {
            let span = start..start + line.len();
            start = span.end;
            let line = line.trim_end_matches(['\n', '\r']);
            if let Some(comment) = line.strip_prefix('#') {
                if let Some((key, value)) = comment.split_once(':') {
                    told.entry(key.trim()).or_insert(value.trim());
                }
                continue;
            }
            if line.trim().is_empty() {
                continue;
            }
            let cells: Vec<&str> = line.split('\t').collect();
            match market {
                None => {
                    market = head(&cells);
                    if market.is_none() {
                        malformed(&mut problems, span, line, "the line of column names");
                        break;
                    }
                }
                Some(market) => row(&mut problems, span, line, &cells, market, &mut rates),
            }
        }
        let mut needed = |key: &str, expected| match told.get(key) {
            Some(value) if !value.is_empty() => *value,
            _ => {
                malformed(&mut problems, 0..0, key, expected);
                ""
            }
        };
        let format = needed(
            "format",
            "there: `# format: 1` is the first line of a table",
        );
        let region = needed("region", "there: `# region: eu-west-1`, say");
        let named = needed("market", "there: `# market: on-demand`, or spot");
        let date = needed(
            "date",
            "there: `# date:` and when the prices were published",
        );
        let origin = needed(
            "source",
            "there: `# source:` and where the prices come from",
        );
        let licence = told.get("licence").copied().unwrap_or("unknown");
        if !format.is_empty() && format != FORMAT {
            malformed(
                &mut problems,
                0..0,
                format,
                "a format that this version knows: 1",
            );
        }
        if !region.is_empty() && !davylamp_model::ids::is_region(region) {
            malformed(&mut problems, 0..0, region, "a region");
        }
        let date: Option<Timestamp> = date.parse().ok();
        if date.is_none() {
            malformed(
                &mut problems,
                0..0,
                "date",
                "a moment such as 2026-07-20T00:00:00Z",
            );
        }
        if market.is_some() && Market::named(named) != market {
            malformed(
                &mut problems,
                0..0,
                named,
                "the market that its columns are of",
            );
        }
        if rates.is_empty() {
            problems.push_unless_faulty(0..0, Trouble::Playbook(PlaybookTrouble::NoData));
        }
        match (problems.finish(), market, date) {
            ((faults, _), Some(market), Some(date)) if faults.is_empty() => Ok(Self {
                region: region.to_owned(),
                market,
                date,
                source: origin.to_owned(),
                licence: licence.to_owned(),
                rates,
            }),
            ((faults, warnings), ..) => Err(Faults::new(faults, warnings)),
        }
    }

    /// The table as a file.
    pub fn written(&self) -> String {
        let columns = match self.market {
            Market::Spot => SPOT_COLUMNS,
            Market::OnDemand | Market::Unknown => ON_DEMAND_COLUMNS,
        };
        let mut text = format!(
            "# Prices of EC2 an hour in US dollars, written by `davy prices update`.\n\
             # format: {FORMAT}\n# region: {}\n# market: {}\n# date: {}\n# source: {}\n# licence: {}\n{}\n",
            self.region,
            self.market.as_str(),
            self.date,
            self.source,
            self.licence,
            columns.join("\t"),
        );
        for ((instance_type, system), rate) in &self.rates {
            let usual = dollars(rate.usual);
            text.push_str(&format!("{instance_type}\t{}\t{usual}", system.as_str()));
            if self.market == Market::Spot {
                let (least, most) = (dollars(rate.low), dollars(rate.high));
                text.push_str(&format!("\t{least}\t{most}"));
            }
            text.push('\n');
        }
        text
    }
}

/// Millionths of a dollar as a decimal number of dollars, as short as it can be.
pub fn dollars(micros: u64) -> String {
    let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The market whose columns these are.
fn head(cells: &[&str]) -> Option<Market> {
    match cells {
        cells if cells == ON_DEMAND_COLUMNS => Some(Market::OnDemand),
        cells if cells == SPOT_COLUMNS => Some(Market::Spot),
        _ => None,
    }
}

fn row(
    problems: &mut Problems,
    span: Range<usize>,
    line: &str,
    cells: &[&str],
    market: Market,
    rates: &mut BTreeMap<(String, System), Rate>,
) {
    let columns = match market {
        Market::Spot => SPOT_COLUMNS.len(),
        Market::OnDemand | Market::Unknown => ON_DEMAND_COLUMNS.len(),
    };
    let ([name, system, prices @ ..], true) = (cells, cells.len() == columns) else {
        return malformed(problems, span, line, "a line with a value for each column");
    };
    if !is_type(name) {
        return malformed(problems, span, name, "an instance type");
    }
    let Some(system) = System::named(system) else {
        return malformed(problems, span, system, "an operating system of a table");
    };
    let prices: Option<Vec<u64>> = prices.iter().map(|price| micros(price)).collect();
    let rate = match prices.as_deref() {
        Some([usual]) => Rate::fixed(*usual),
        Some([usual, low, high]) if low <= usual && usual <= high => Rate {
            low: *low,
            usual: *usual,
            high: *high,
        },
        _ => {
            return malformed(
                problems,
                span,
                line,
                "a line of prices above zero, in order",
            );
        }
    };
    if rates.insert(((*name).to_owned(), system), rate).is_some() {
        let key = format!("{name} {}", system.as_str());
        problems.push(span, Trouble::DuplicateKey { key });
    }
}

/// Whether a text can name an instance type.
pub(super) fn is_type(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    (1..=MAX_TYPE_BYTES).contains(&name.len()) && name.bytes().all(is_plain)
}
