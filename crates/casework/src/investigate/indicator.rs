//! What an investigation starts from, and what in a trail it means.

use std::collections::BTreeMap;
use std::net::IpAddr;

use davylamp_hunt::arrow::error::ArrowError;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::detail::Detail;
use crate::hands::pairs::At;
use crate::hands::relation::short;
use crate::hands::score::Score;
use crate::hands::spread::Ground;
use crate::trail::Wanted;
use crate::trail::row::Text;

/// How long around a moment is looked at.
const AROUND_MICROS: i64 = 3_600_000_000;

/// Something that is known of an attack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Indicator {
    /// An access key.
    Key(String),
    /// An address.
    Address(IpAddr),
    /// A network, as an address and the number of its bits.
    Network(IpAddr, u8),
    /// An instance.
    Instance(String),
    /// An image.
    Image(String),
    /// A moment.
    Moment(Timestamp),
    /// A user, role or session, by name or ARN.
    Principal(String),
    /// An event by its id.
    Record(String),
}

impl Indicator {
    /// What a text names.
    pub fn of(text: &str) -> Self {
        let text = text.trim();
        if let Ok(address) = text.parse() {
            return Self::Address(address);
        }
        if let Some((address, bits)) = text.split_once('/')
            && let (Ok(address), Ok(bits)) = (address.parse(), bits.parse())
        {
            return Self::Network(address, bits);
        }
        if let Ok(moment) = text.parse() {
            return Self::Moment(moment);
        }
        // Times are in UTC where nothing is said.
        if let Ok(Ok(moment)) = text
            .parse::<DateTime>()
            .map(|it| it.to_zoned(TimeZone::UTC))
        {
            return Self::Moment(moment.timestamp());
        }
        let is_key =
            text.len() >= 16 && ["AKIA", "ASIA"].iter().any(|start| text.starts_with(start));
        match () {
            () if is_key => Self::Key(text.to_owned()),
            () if text.starts_with("i-") => Self::Instance(text.to_owned()),
            () if text.starts_with("ami-") => Self::Image(text.to_owned()),
            () if is_uuid(text) => Self::Record(text.to_owned()),
            () => Self::Principal(text.to_owned()),
        }
    }
}

/// The events that have to be kept so that indicators are found: otherwise reads are only counted. Long-term
/// keys are counted by themselves.
pub fn wanted(indicators: &[Indicator]) -> Wanted {
    let mut wanted = Wanted::default();
    for indicator in indicators {
        match indicator {
            Indicator::Record(id) => {
                wanted.records.insert(id.clone());
            }
            Indicator::Key(key) if !key.starts_with("AKIA") => {
                wanted.keys.insert(key.clone());
            }
            _ => {}
        }
    }
    wanted
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

/// What indicators are about.
#[derive(Debug, Default)]
pub struct Seeds {
    /// The pairs.
    pub pairs: Vec<At>,
    /// The places of those indicators in their list that no record names.
    pub unmatched: Vec<usize>,
}

/// The pairs that indicators are about. Of a user or a key, what its owner did is not meant: of several
/// places the strangest count.
///
/// # Errors
/// When the kept events cannot be read.
pub fn seeds(
    indicators: &[Indicator],
    ground: &Ground<'_>,
    scores: &BTreeMap<At, Score>,
) -> Result<Seeds, ArrowError> {
    let mut seeds = Seeds::default();
    for (number, indicator) in indicators.iter().enumerate() {
        let of_it = of_one(indicator, ground, scores)?;
        if of_it.is_empty() {
            seeds.unmatched.push(number);
        }
        seeds.pairs.extend(of_it);
    }
    seeds.pairs.sort_unstable();
    seeds.pairs.dedup();
    Ok(seeds)
}

fn of_one(
    indicator: &Indicator,
    ground: &Ground<'_>,
    scores: &BTreeMap<At, Score>,
) -> Result<Vec<At>, ArrowError> {
    let names = &ground.trail.names;
    let mut seeds = Vec::new();
    let points = |at: &At| scores.get(at).map_or(0.0, |score| score.points);
    let at_place =
        |at: &&At, is_it: &dyn Fn(IpAddr) -> bool| names.text(at.place).parse().is_ok_and(is_it);
    let all = ground.pairs.all.keys();
    match indicator {
        Indicator::Address(address) => {
            seeds.extend(all.filter(|at| at_place(at, &|it| it == *address)))
        }
        Indicator::Network(address, bits) => {
            seeds.extend(all.filter(|at| at_place(at, &|it| contains(*address, *bits, it))));
        }
        Indicator::Key(key) => {
            let of_key: Vec<At> = all
                .filter(|at| names.text(at.credential) == key)
                .copied()
                .collect();
            match of_key.is_empty() {
                false => seeds.extend(strangest(of_key, points, ground)),
                true => seeds.extend(acts(ground, |row, _| row.text(Text::Key) == key)?),
            }
        }
        Indicator::Principal(name) => {
            let is_it = |at: &&At| {
                let arn = names.text(at.principal);
                arn == name
                    || short(arn).eq_ignore_ascii_case(name)
                    || names.text(at.credential).strip_prefix("session ") == Some(name.as_str())
            };
            seeds.extend(strangest(
                all.filter(is_it).copied().collect(),
                points,
                ground,
            ));
        }
        Indicator::Instance(id) => {
            seeds.extend(acts(ground, |_, detail| {
                detail
                    .machines
                    .iter()
                    .any(|machine| machine.id == *id && machine.kind.is_some())
            })?);
        }
        Indicator::Image(image) => {
            seeds.extend(acts(ground, |_, detail| {
                detail.image.as_deref() == Some(image)
            })?);
        }
        Indicator::Record(id) => {
            seeds.extend(acts(ground, |row, _| row.text(Text::EventId) == id)?);
        }
        Indicator::Moment(moment) => {
            let (from, until) = (
                moment.as_microsecond() - AROUND_MICROS,
                moment.as_microsecond() + AROUND_MICROS,
            );
            let then = ground
                .pairs
                .all
                .iter()
                .filter(|(_, pair)| pair.first <= until && pair.last >= from);
            seeds.extend(strangest(then.map(|(at, _)| *at).collect(), points, ground));
        }
    }
    Ok(seeds)
}

/// Those that score, if any does; otherwise those from places that are not the principal's own; otherwise
/// all.
fn strangest(all: Vec<At>, points: impl Fn(&At) -> f64, ground: &Ground<'_>) -> Vec<At> {
    let most = all.iter().map(&points).fold(0.0, f64::max);
    if most >= 15.0 {
        return all
            .into_iter()
            .filter(|at| points(at) >= most / 2.0)
            .collect();
    }
    let is_new = |at: &At| {
        let Some(pair) = ground.pairs.all.get(at) else {
            return false;
        };
        let place = ground.trail.names.text(at.place);
        pair.is_address
            && ground.habits.has_past(at.principal, pair.begins())
            && !ground
                .habits
                .knows_place(at.principal, place, pair.begins())
    };
    let new: Vec<At> = all.iter().filter(|at| is_new(at)).copied().collect();
    if new.is_empty() { all } else { new }
}

fn acts(
    ground: &Ground<'_>,
    is_it: impl Fn(crate::trail::row::Row<'_>, &Detail) -> bool,
) -> Result<Vec<At>, ArrowError> {
    let mut found = Vec::new();
    ground.trail.acts.each(|row| {
        if row.is_by_service() || !is_it(row, &Detail::of(row)) {
            return;
        }
        let key = ground.trail.uses.key_of(&ground.trail.names, row);
        found.extend(key.map(|key| At::of(&key)));
    })?;
    Ok(found)
}

fn contains(network: IpAddr, bits: u8, address: IpAddr) -> bool {
    let bits = u32::from(bits);
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            let mask = u32::MAX.checked_shl(32 - bits.min(32)).unwrap_or(0);
            u32::from(network) & mask == u32::from(address) & mask
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            let mask = u128::MAX.checked_shl(128 - bits.min(128)).unwrap_or(0);
            u128::from(network) & mask == u128::from(address) & mask
        }
        _ => false,
    }
}
