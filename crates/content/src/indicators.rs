//! Indicators: names and addresses that are known to belong to mining pools and the like.
//!
//! What must stay true: each has its sources, their licences and a confidence; what is wrong with
//! a list is told in its place. Deliberately not here: looking one up (see `detect`), and files.

use std::net::IpAddr;
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;

use jiff::civil::Date;

use crate::problem::{Faults, PlaybookTrouble, Problems, Trouble};
use crate::source::{Source, Text};

pub mod change;
mod danger;
pub mod import;
mod normal;

pub use danger::of as danger_of;
pub use normal::value as value_of;

/// The list of pools that ships.
pub const SHIPPED_POOLS: &str = include_str!("../../../content/indicators/pools.csv");

/// The name shown for [`SHIPPED_POOLS`] in errors.
pub const SHIPPED_POOLS_NAME: &str = "content/indicators/pools.csv";

/// The columns of a list, in order.
const COLUMNS: &[&str] = &[
    "kind",
    "value",
    "confidence",
    "sources",
    "licences",
    "first_seen",
    "last_seen",
];

/// The first of them are enough.
const MIN_COLUMNS: usize = 5;

/// The longest name the domain name system has, in bytes (RFC 1035, section 2.3.4).
const MAX_DOMAIN_BYTES: usize = 253;

/// One indicator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Indicator {
    /// What is known.
    pub value: Value,
    /// How far a match can be trusted.
    pub confidence: Confidence,
    /// The lists that name it.
    pub sources: Vec<String>,
    /// The licences of these lists.
    pub licences: Vec<String>,
    /// The day on which a list first named it, where that is known.
    pub first_seen: Option<Date>,
    /// The day on which a list last named it.
    pub last_seen: Option<Date>,
}

/// What an indicator names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Value {
    /// A domain with everything below it, in lower case, without a dot at its end.
    Domain(String),
    /// An address, whatever the port.
    Address(IpAddr),
    /// A port of an address.
    AddressPort(IpAddr, u16),
    /// Every address that begins with so many bits of this one; the others are zero.
    Network(IpAddr, u8),
    /// A port of any address: a weak sign.
    Port(u16),
}

/// How far a match can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Confidence {
    /// Worth a look together with something else.
    Low,
    /// Likely.
    Medium,
    /// Hardly ever anything else.
    High,
}

impl Confidence {
    /// Every confidence with its name in a file.
    pub const ALL: &[(Self, &str)] = &[
        (Self::Low, "low"),
        (Self::Medium, "medium"),
        (Self::High, "high"),
    ];
}

impl Value {
    /// What stands in the column `indicator_id`.
    pub fn id(&self) -> String {
        match self {
            Self::Domain(name) => format!("domain:{name}"),
            Self::Address(address) => format!("address:{address}"),
            Self::AddressPort(address, port) => format!("address_port:{address}:{port}"),
            Self::Network(address, bits) => format!("network:{address}/{bits}"),
            Self::Port(port) => format!("port:{port}"),
        }
    }
}

/// Reads a list of comma-separated values. Lines that start with `#` are comments.
///
/// # Errors
/// Every fault of the list.
pub fn parse(source: Source<'_>) -> Result<Vec<Indicator>, Faults> {
    let text = Arc::new(Text::new(source.name, source.text));
    let mut problems = Problems::new(&text);
    let mut indicators: Vec<Indicator> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    let mut is_headed = false;
    let mut start = 0;
    for line in text.text.split_inclusive('\n') {
        let span = start..start + line.len();
        start = span.end;
        let line = line.trim_end_matches(['\n', '\r']);
        if line.starts_with('#') || line.trim().is_empty() {
            continue;
        }
        let cells: Vec<&str> = line.split(',').collect();
        if !is_headed {
            is_headed = true;
            if cells != COLUMNS && cells != COLUMNS[..MIN_COLUMNS] {
                malformed(&mut problems, span, line, "the line of column names");
            }
            continue;
        }
        match indicator(&cells) {
            Ok(indicator) if seen.insert(indicator.value.clone()) => indicators.push(indicator),
            Ok(indicator) => {
                let key = indicator.value.id();
                problems.push(span, Trouble::DuplicateKey { key });
            }
            Err((cell, expected)) => malformed(&mut problems, span, cell, expected),
        }
    }
    if indicators.is_empty() {
        problems.push_unless_faulty(0..0, Trouble::Playbook(PlaybookTrouble::NoData));
    }
    match problems.finish() {
        (faults, _) if faults.is_empty() => Ok(indicators),
        (faults, warnings) => Err(Faults::new(faults, warnings)),
    }
}

/// The list of pools that ships.
///
/// # Errors
/// Every fault of it, which is a bug.
pub fn shipped_pools() -> Result<Vec<Indicator>, Faults> {
    parse(Source {
        name: SHIPPED_POOLS_NAME,
        text: SHIPPED_POOLS,
    })
}

fn indicator<'a>(cells: &[&'a str]) -> Result<Indicator, (&'a str, &'static str)> {
    let (kind, value, confidence, sources, licences, seen) = match *cells {
        [kind, value, confidence, sources, licences] => {
            (kind, value, confidence, sources, licences, ["", ""])
        }
        [kind, value, confidence, sources, licences, first, last] => {
            (kind, value, confidence, sources, licences, [first, last])
        }
        _ => {
            let first = cells.first().copied().unwrap_or_default();
            return Err((first, "a line with a value for each column"));
        }
    };
    let day = |cell: &'a str| match cell {
        "" => Ok(None),
        cell => Date::from_str(cell)
            .map(Some)
            .map_err(|_| (cell, "a day: 2026-01-31")),
    };
    let words = |cell: &str| {
        cell.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let indicator = Indicator {
        value: parse_value(kind, value)?,
        confidence: parse_confidence(confidence)
            .ok_or((confidence, "a confidence: low, medium or high"))?,
        sources: words(sources),
        licences: words(licences),
        first_seen: day(seen[0])?,
        last_seen: day(seen[1])?,
    };
    if indicator.sources.is_empty() {
        return Err((sources, "the lists that name it"));
    }
    if indicator.licences.is_empty() {
        return Err((licences, "the licences of its sources"));
    }
    Ok(indicator)
}

fn parse_value<'a>(kind: &'a str, value: &'a str) -> Result<Value, (&'a str, &'static str)> {
    match kind {
        "domain" if is_domain(value) => Ok(Value::Domain(value.to_owned())),
        "domain" => Err((value, "a domain of two labels or more, in lower case")),
        "address" => IpAddr::from_str(value)
            .map(Value::Address)
            .map_err(|_| (value, "an address")),
        "address_port" => std::net::SocketAddr::from_str(value)
            .map(|both| Value::AddressPort(both.ip(), both.port()))
            .map_err(|_| (value, "an address with its port")),
        "network" => value
            .split_once('/')
            .and_then(|(address, bits)| normal::network(address.parse().ok()?, bits.parse().ok()?))
            .map(|(address, bits)| Value::Network(address, bits))
            .ok_or((value, "a network: an address, a slash and its length")),
        "port" => u16::from_str(value)
            .map(Value::Port)
            .map_err(|_| (value, "a port")),
        kind => Err((
            kind,
            "a kind: domain, address, address_port, network or port",
        )),
    }
}

fn parse_confidence(text: &str) -> Option<Confidence> {
    let known = Confidence::ALL.iter().find(|(_, name)| *name == text);
    known.map(|(confidence, _)| *confidence)
}

/// A single label would match half of the world.
fn is_domain(text: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
    };
    text.len() <= MAX_DOMAIN_BYTES && text.contains('.') && text.split('.').all(is_label)
}

fn malformed(problems: &mut Problems, span: Range<usize>, text: &str, expected: &'static str) {
    let text = text.chars().take(80).collect();
    let trouble = PlaybookTrouble::Malformed { text, expected };
    problems.push(span, Trouble::Playbook(trouble));
}
