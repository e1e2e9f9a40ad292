//! What a bill says of the things in a case: AWS Cost and Usage Reports that somebody brings
//! (<https://docs.aws.amazon.com/cur/latest/userguide/Lineitem-columns.html>), in the older form and in
//! that of Data Exports, as CSV, packed or not, and as Parquet.
//!
//! What must stay true: memory grows with the things in the case, never with the report; a line that
//! cannot be read is counted and its place told; what is no usage (credits, refunds, discounts, taxes)
//! is never mixed into it; a report that is there twice is counted once.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;

use davylamp_content::prices::kind::{Market, System};
use davylamp_hunt::arrow::error::ArrowError;
use jiff::Timestamp;
use parquet::errors::ParquetError;

use crate::case::Span;

mod compare;
mod files;
mod money;
mod row;

pub use compare::{billed, fill, usd};
pub use money::{Pico, micros};
pub use row::Class;
use row::Row;

/// So many lines that cannot be read are told with their place.
const MAX_FAULTS: usize = 20;

/// The currency of costs.
const CURRENCY: &str = "USD";

/// Why a report cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BillError {
    /// It cannot be read.
    #[error("it could not be read to its end")]
    Unread(#[from] io::Error),
    /// It is not whole Parquet.
    #[error("it is not whole Parquet")]
    Parquet(#[from] ParquetError),
    /// A part of it is not what Parquet says it is.
    #[error("a part of it cannot be read")]
    Arrow(#[from] ArrowError),
    /// It is something else.
    #[error("it is no Cost and Usage Report: it has no column {0}")]
    NoColumn(&'static str),
    /// It is a ZIP archive.
    #[error("it is a ZIP archive")]
    Zip,
    /// It is empty.
    #[error("it has no line")]
    Empty,
    /// Its costs are in another currency.
    #[error("its costs are in {0}, and costs are reckoned in US dollars")]
    OtherCurrency(String),
}

impl BillError {
    /// What to do next.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoColumn(_) => {
                "make the report with resource ids, and bring its files, not its manifest"
            }
            Self::Zip => "unpack it first: unzip FILE",
            Self::OtherCurrency(_) => "bring the report of an account that is billed in US dollars",
            Self::Unread(_) | Self::Parquet(_) | Self::Arrow(_) | Self::Empty => {
                "fetch the report again, and see whether it is whole"
            }
        }
    }
}

/// What a bill says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Bill {
    /// The things in the case that it has lines about, by their ids.
    pub things: BTreeMap<String, Thing>,
    /// Credits, refunds, discounts, taxes and fees of the whole bill that are about no single thing.
    pub apart: BTreeMap<Class, Pico>,
    /// All lines that were read.
    pub lines: u64,
    /// Lines of another file that were there already, and are counted once.
    pub repeated: u64,
    /// Lines of another file about an hour that was there already with another amount. They are counted
    /// as well: two versions of a report make a cost too high.
    pub differing: u64,
    /// Lines that could not be read.
    pub malformed: u64,
    /// The first of them, with their places.
    pub faults: Vec<String>,
}

/// What a bill says of one thing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Thing {
    /// Its usage by kind.
    pub usage: BTreeMap<Kind, Usage>,
    /// What is no usage.
    pub apart: BTreeMap<Class, Pico>,
    /// From its first to its last line.
    pub span: Option<Span>,
    /// The instance type, where a line says it.
    pub instance_type: Option<String>,
    /// How it is bought, where a line says it.
    pub market: Market,
    /// Its operating system, where a line says it.
    pub system: System,
    /// Its region, where a line says it.
    pub region: Option<String>,
    /// Hours that a reservation or a savings plan paid for.
    pub covered_hours: f64,
}

/// A kind of usage.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind {
    /// As the bill names it.
    pub usage_type: String,
    /// The region, where the bill says it.
    pub region: String,
    /// Whether it is the hours of an instance, and no traffic or the like.
    pub is_hours: bool,
    /// The market.
    pub market: &'static str,
    /// The operating system.
    pub system: &'static str,
}

/// How much of it, and for how much money.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// In the unit of its kind.
    pub amount: f64,
    /// The cost.
    pub cost: Pico,
}

/// Reads reports, one after the other.
#[derive(Debug, Default)]
pub struct Reader {
    wanted: BTreeSet<String>,
    bill: Bill,
    files: u32,
    /// Lines about things in the case by what they are about: the file, and a hash of their amounts.
    known: HashMap<u64, (u32, u64)>,
}

impl Reader {
    /// A reader of what reports say of these things: ids or ARNs.
    pub fn new(wanted: impl IntoIterator<Item = String>) -> Self {
        Self {
            wanted: wanted.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Reads a report.
    ///
    /// # Errors
    /// It is none, or breaks off.
    pub fn read(&mut self, name: &str, file: File) -> Result<(), BillError> {
        self.files += 1;
        files::read(self, name, file)
    }

    /// What the reports say.
    pub fn finish(self) -> Bill {
        self.bill
    }

    fn take(&mut self, row: &Row<'_>, place: &dyn Fn() -> String) -> Result<(), BillError> {
        self.bill.lines += 1;
        let thing = match row.resource {
            "" => None,
            resource => match self.wanted_of(resource) {
                Some(id) => Some(id),
                None => return Ok(()),
            },
        };
        if thing.is_none() && !row.class().is_apart() {
            return Ok(());
        }
        let (Some(cost), Some(from)) = (money::pico(row.cost), row.from()) else {
            self.fault(place, "its cost or its time is none");
            return Ok(());
        };
        if !matches!(row.currency, CURRENCY | "") {
            return Err(BillError::OtherCurrency(
                row.currency.chars().take(8).collect(),
            ));
        }
        let Some(id) = thing else {
            self.bill.apart.entry(row.class()).or_default().add(cost);
            return Ok(());
        };
        if self.is_repeated(row) {
            self.bill.repeated += 1;
            return Ok(());
        }
        let thing = self.bill.things.entry(id).or_default();
        thing.add(row, cost, from);
        Ok(())
    }

    fn fault(&mut self, place: &dyn Fn() -> String, why: &str) {
        self.bill.malformed += 1;
        if self.bill.faults.len() < MAX_FAULTS {
            self.bill.faults.push(format!("{}: {why}", place()));
        }
    }

    /// The thing that a line is about: by its id, or by the end of its ARN.
    fn wanted_of(&self, resource: &str) -> Option<String> {
        let short = resource.rsplit(['/', ':']).next().unwrap_or(resource);
        [resource, short]
            .into_iter()
            .find(|id| self.wanted.contains(*id))
            .map(str::to_owned)
    }

    /// Whether a line was there in another file.
    fn is_repeated(&mut self, row: &Row<'_>) -> bool {
        let hash = |of: &[&str]| {
            let mut hasher = DefaultHasher::new();
            of.hash(&mut hasher);
            hasher.finish()
        };
        let about = hash(&[
            row.resource,
            row.start,
            row.end,
            row.usage_type,
            row.operation,
            row.kind,
        ]);
        let said = hash(&[row.amount, row.cost]);
        let (file, known) = *self.known.entry(about).or_insert((self.files, said));
        let is_other_file = file != self.files;
        self.bill.differing += u64::from(is_other_file && known != said);
        is_other_file && known == said
    }
}

impl Thing {
    fn add(&mut self, row: &Row<'_>, cost: Pico, from: Timestamp) {
        let last = row.to().unwrap_or(from).max(from);
        let span = self.span.get_or_insert(Span { first: from, last });
        span.first = span.first.min(from);
        span.last = span.last.max(last);
        let class = row.class();
        if class.is_apart() {
            self.apart.entry(class).or_default().add(cost);
            return;
        }
        let amount = row.amount.parse::<f64>().ok().filter(|it| it.is_finite());
        let amount = amount.unwrap_or(0.0);
        if row.is_hours() {
            self.market = row.market();
            self.system = System::of_operation(row.operation);
            self.instance_type = row.instance_type().or(self.instance_type.take());
            self.region = row.region().or(self.region.take());
            if class == Class::Covered {
                self.covered_hours += amount;
            }
        }
        let kind = Kind {
            usage_type: row.usage_type.to_owned(),
            region: row.region().unwrap_or_default(),
            is_hours: row.is_hours(),
            market: match row.is_hours() {
                true => row.market().as_str(),
                false => Market::Unknown.as_str(),
            },
            system: System::of_operation(row.operation).as_str(),
        };
        let usage = self.usage.entry(kind).or_default();
        usage.cost.add(cost);
        // What takes a plan's share back is no usage.
        if class != Class::Negation {
            usage.amount += amount;
        }
    }

    /// What its usage cost.
    pub fn cost(&self) -> Pico {
        self.usage.values().map(|usage| usage.cost).sum()
    }
}
