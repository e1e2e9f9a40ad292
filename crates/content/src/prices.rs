//! What an instance costs, as far as tables of prices can say: a quick estimate by the table that ships
//! (here), and by all tables there are ([`book`]), which are made of what AWS publishes ([`offer`]).
//!
//! What must stay true: a price that is not known is never zero, and what an estimate takes for
//! granted stands beside it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use jiff::Timestamp;

use crate::problem::{Faults, PlaybookTrouble, Problems, Trouble};
use crate::source::{Source, Text};

pub mod book;
pub mod kind;
pub mod offer;
pub mod sheet;

/// The table that ships: on-demand Linux prices of one region.
pub const SHIPPED_PRICES: &str =
    include_str!("../../../content/prices/ec2-on-demand-us-east-1.tsv");

/// The name shown for [`SHIPPED_PRICES`] in errors.
pub const SHIPPED_PRICES_NAME: &str = "content/prices/ec2-on-demand-us-east-1.tsv";

/// The region [`SHIPPED_PRICES`] is about.
pub const SHIPPED_PRICES_REGION: &str = "us-east-1";

/// The columns of a table, in order.
const COLUMNS: &[&str] = &[
    "instance_type",
    "vcpu",
    "memory_mib",
    "arch",
    "gpu_count",
    "gpu_name",
    "accel_count",
    "accel_name",
    "usd_per_hour",
];

/// Where in [`COLUMNS`] the numbers of processors and accelerators stand.
const VCPUS: usize = 1;
const GPU_COUNT: usize = 4;
const ACCELERATOR_COUNT: usize = 6;

/// Prices have up to six digits after the point, so a millionth of a dollar holds them exactly.
const FRACTION_DIGITS: usize = 6;

/// Digits before the point of a price: no machine costs a million dollars an hour.
const MAX_WHOLE_DIGITS: usize = 6;

/// Prices by instance type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceTable {
    region: String,
    machines: BTreeMap<String, Machine>,
}

/// What is known of an instance type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    /// Virtual processors, where the table says how many.
    pub vcpus: Option<u32>,
    /// Whether it has graphics processors or other accelerators.
    pub is_accelerated: bool,
    /// Millionths of a dollar an hour; `None` for a type that is known without a price.
    pub micros_per_hour: Option<u64>,
}

/// What something has cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cost {
    /// About this much.
    Known {
        /// Cents of a US dollar, rounded up.
        usd_cents: u64,
    },
    /// Nobody can say.
    Unknown {
        /// Why, as a clause.
        why: String,
    },
}

/// A cost with what it takes for granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Estimate {
    /// The cost.
    pub cost: Cost,
    /// What may make the real cost another one, each as a clause.
    pub caveats: Vec<String>,
}

impl Estimate {
    /// Adds what follows from the instance being a spot instance.
    pub fn of_spot(mut self, spot: bool) -> Self {
        if spot {
            self.caveats.push(
                "it is a spot instance, which costs less than the on-demand price".to_owned(),
            );
        }
        self
    }
}

impl PriceTable {
    /// Reads a table of tab-separated values. Lines that start with `#` are comments.
    ///
    /// # Errors
    /// Every fault of the table.
    pub fn parse(region: &str, source: Source<'_>) -> Result<Self, Faults> {
        let text = Arc::new(Text::new(source.name, source.text));
        let mut problems = Problems::new(&text);
        let mut machines = BTreeMap::new();
        let mut is_headed = false;
        let mut start = 0;
        for line in text.text.split_inclusive('\n') {
            let span = start..start + line.len();
            start = span.end;
            let line = line.trim_end_matches(['\n', '\r']);
            if line.starts_with('#') || line.trim().is_empty() {
                continue;
            }
            let cells: Vec<&str> = line.split('\t').collect();
            if !is_headed {
                is_headed = true;
                if cells != COLUMNS {
                    malformed(&mut problems, span, line, "the line of column names");
                }
                continue;
            }
            let [name, .., price] = cells.as_slice() else {
                malformed(&mut problems, span, line, "a line of tab-separated values");
                continue;
            };
            if cells.len() != COLUMNS.len() || name.is_empty() {
                malformed(
                    &mut problems,
                    span,
                    line,
                    "a line with a value for each column",
                );
                continue;
            }
            let price = match *price {
                "" => None,
                price => match micros(price) {
                    Some(micros) => Some(micros),
                    None => {
                        malformed(&mut problems, span, price, "a price above zero");
                        continue;
                    }
                },
            };
            let machine = Machine {
                vcpus: cells[VCPUS].parse().ok(),
                is_accelerated: [GPU_COUNT, ACCELERATOR_COUNT]
                    .iter()
                    .any(|column| cells[*column].parse::<u32>().is_ok_and(|count| count > 0)),
                micros_per_hour: price,
            };
            if machines.insert((*name).to_owned(), machine).is_some() {
                let key = (*name).to_owned();
                problems.push(span, Trouble::DuplicateKey { key });
            }
        }
        if machines.is_empty() {
            problems.push_unless_faulty(0..0, Trouble::Playbook(PlaybookTrouble::NoData));
        }
        match problems.finish() {
            (faults, _) if faults.is_empty() => Ok(Self {
                region: region.to_owned(),
                machines,
            }),
            (faults, warnings) => Err(Faults::new(faults, warnings)),
        }
    }

    /// How many instance types have a price.
    pub fn priced(&self) -> usize {
        let machines = self.machines.values();
        machines
            .filter(|machine| machine.micros_per_hour.is_some())
            .count()
    }

    /// What is known of an instance type.
    pub fn machine(&self, instance_type: &str) -> Option<&Machine> {
        self.machines.get(instance_type)
    }

    /// What running an instance from one moment to another costs.
    pub fn estimate(
        &self,
        instance_type: &str,
        region: &str,
        from: Timestamp,
        to: Timestamp,
    ) -> Estimate {
        let mut caveats = vec![
            "it is the on-demand price of Linux; Windows, licences, volumes and traffic cost more, \
             and discounts make it less"
                .to_owned(),
        ];
        if region != self.region {
            caveats.push(format!(
                "it is the price of {}; that of {region} is another",
                self.region
            ));
        }
        let unknown = |why: String| Cost::Unknown { why };
        let seconds = u64::try_from(to.as_second() - from.as_second());
        let cost = match (
            self.machine(instance_type)
                .map(|known| known.micros_per_hour),
            seconds,
        ) {
            (None, _) => unknown(format!("no price is known for {}", shown(instance_type))),
            (Some(None), _) => unknown(format!("the table has no price for {instance_type}")),
            (_, Err(_)) => unknown("it would end before it began".to_owned()),
            (Some(Some(micros)), Ok(seconds)) => {
                let micros_hours = u128::from(micros) * u128::from(seconds);
                let cents = micros_hours.div_ceil(3600 * 10_000);
                match u64::try_from(cents) {
                    Ok(usd_cents) => Cost::Known { usd_cents },
                    Err(_) => unknown("it is beyond all bounds".to_owned()),
                }
            }
        };
        Estimate { cost, caveats }
    }
}

/// The table that ships.
///
/// # Errors
/// When it is faulty, which is a bug.
pub fn shipped() -> Result<&'static PriceTable, &'static Faults> {
    static SHIPPED: LazyLock<Result<PriceTable, Faults>> = LazyLock::new(|| {
        let source = Source {
            name: SHIPPED_PRICES_NAME,
            text: SHIPPED_PRICES,
        };
        PriceTable::parse(SHIPPED_PRICES_REGION, source)
    });
    SHIPPED.as_ref()
}

/// What running an instance costs by the table that ships: see [`PriceTable::estimate`].
pub fn estimate(instance_type: &str, region: &str, from: Timestamp, to: Timestamp) -> Estimate {
    match shipped() {
        Ok(table) => table.estimate(instance_type, region, from, to),
        Err(faults) => Estimate {
            cost: Cost::Unknown {
                why: format!(
                    "the price table that ships cannot be read ({faults}), which is a bug"
                ),
            },
            caveats: Vec::new(),
        },
    }
}

/// A type comes from a description that may say anything.
fn shown(instance_type: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    if instance_type.is_empty() {
        "an instance without a type".to_owned()
    } else if instance_type.len() <= 32 && instance_type.chars().all(is_plain) {
        instance_type.to_owned()
    } else {
        "an instance type of no known shape".to_owned()
    }
}

fn malformed(problems: &mut Problems, span: Range<usize>, text: &str, expected: &'static str) {
    let text = text.chars().take(80).collect();
    let trouble = PlaybookTrouble::Malformed { text, expected };
    problems.push(span, Trouble::Playbook(trouble));
}

/// A decimal number of dollars in millionths; nothing for zero or what is no such number.
fn micros(price: &str) -> Option<u64> {
    let (whole, fraction) = price.split_once('.').unwrap_or((price, "0"));
    let is_number = |digits: &str, most| {
        (1..=most).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    if !is_number(whole, MAX_WHOLE_DIGITS) || !is_number(fraction, FRACTION_DIGITS) {
        return None;
    }
    let digits = format!("{whole}{fraction:0<FRACTION_DIGITS$}");
    digits.parse().ok().filter(|micros| *micros > 0)
}
