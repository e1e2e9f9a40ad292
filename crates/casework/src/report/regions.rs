//! Where AWS's regions are, and what happened in each.
//!
//! Names of regions and the places they are called after: AWS, "AWS Regions"
//! (<https://docs.aws.amazon.com/global-infrastructure/latest/regions/aws-regions.html>). AWS does not say
//! where its buildings are; latitude and longitude are those of the place that gives the name, to whole
//! degrees. That is enough for a plot of the world, and claims no more.

use std::collections::BTreeMap;

use crate::case::{Case, Existence, Hand, Span};

/// A region: its name, the place, latitude north, longitude east.
pub(super) type Region = (&'static str, &'static str, i16, i16);

/// All that are known here; others stand beside the map.
pub(super) const REGIONS: [Region; 39] = [
    ("af-south-1", "Cape Town", -34, 18),
    ("ap-east-1", "Hong Kong", 22, 114),
    ("ap-east-2", "Taipei", 25, 121),
    ("ap-northeast-1", "Tokyo", 36, 140),
    ("ap-northeast-2", "Seoul", 38, 127),
    ("ap-northeast-3", "Osaka", 35, 135),
    ("ap-south-1", "Mumbai", 19, 73),
    ("ap-south-2", "Hyderabad", 17, 78),
    ("ap-southeast-1", "Singapore", 1, 104),
    ("ap-southeast-2", "Sydney", -34, 151),
    ("ap-southeast-3", "Jakarta", -6, 107),
    ("ap-southeast-4", "Melbourne", -38, 145),
    ("ap-southeast-5", "Malaysia", 3, 102),
    ("ap-southeast-6", "Auckland", -37, 175),
    ("ap-southeast-7", "Thailand", 14, 101),
    ("ca-central-1", "Montreal", 46, -74),
    ("ca-west-1", "Calgary", 51, -114),
    ("cn-north-1", "Beijing", 40, 116),
    ("cn-northwest-1", "Ningxia", 38, 106),
    ("eu-central-1", "Frankfurt", 50, 9),
    ("eu-central-2", "Zurich", 47, 9),
    ("eu-north-1", "Stockholm", 59, 18),
    ("eu-south-1", "Milan", 45, 9),
    ("eu-south-2", "Spain", 42, -1),
    ("eu-west-1", "Ireland", 53, -6),
    ("eu-west-2", "London", 52, 0),
    ("eu-west-3", "Paris", 49, 2),
    ("eusc-de-east-1", "Brandenburg", 52, 13),
    ("il-central-1", "Tel Aviv", 32, 35),
    ("me-central-1", "UAE", 24, 54),
    ("me-south-1", "Bahrain", 26, 51),
    ("mx-central-1", "Queretaro", 21, -100),
    ("sa-east-1", "São Paulo", -24, -47),
    ("us-east-1", "N. Virginia", 39, -77),
    ("us-east-2", "Ohio", 40, -83),
    ("us-gov-east-1", "Ohio, for governments", 40, -82),
    ("us-gov-west-1", "Oregon, for governments", 44, -121),
    ("us-west-1", "N. California", 37, -122),
    ("us-west-2", "Oregon", 46, -120),
];

/// The region of a name.
pub(super) fn known(name: &str) -> Option<&'static Region> {
    REGIONS.iter().find(|(known, ..)| *known == name)
}

/// What happened in a region.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct InRegion {
    /// Machines that the intruder had or tried to have.
    pub(super) machines: u64,
    /// How many of them still existed when they were last seen.
    pub(super) there: u64,
    /// Other things that were touched.
    pub(super) others: u64,
    /// Acts of the intruder.
    pub(super) acts: u64,
    /// From the first to the last of all that.
    pub(super) span: Option<Span>,
    /// What it likely cost, where something there has a price.
    pub(super) likely_micro_usd: Option<i64>,
}

/// Everything that happened, by region; what is global or has no region under its name for that.
pub(super) fn by_region(case: &Case) -> BTreeMap<String, InRegion> {
    let mut all: BTreeMap<String, InRegion> = BTreeMap::new();
    let mut at = |region: Option<&str>, span: Option<Span>, add: &dyn Fn(&mut InRegion)| {
        let region = region.filter(|region| !region.is_empty());
        let one = all
            .entry(region.unwrap_or("global").to_owned())
            .or_default();
        if let Some(span) = span {
            one.span = Some(one.span.map_or(span, |old| Span {
                first: old.first.min(span.first),
                last: old.last.max(span.last),
            }));
        }
        add(one);
    };
    for thing in &case.reach {
        let is_machine = thing.kind == "instance";
        let is_there = matches!(thing.exists, Existence::At(_));
        at(thing.region.as_deref(), Some(thing.span), &|one| {
            match is_machine {
                true => one.machines += 1,
                false => one.others += 1,
            }
            one.there += u64::from(is_machine && is_there);
        });
    }
    for act in case
        .timeline
        .iter()
        .filter(|act| act.hand == Hand::Intruder)
    {
        at(act.region.as_deref(), Some(act.span), &|one| {
            one.acts = one.acts.saturating_add(act.count);
        });
    }
    for line in case.cost.iter().flat_map(|cost| &cost.lines) {
        at(Some(&line.region), None, &|one| {
            if let Some(likely) = line.likely_micro_usd {
                let so_far = one.likely_micro_usd.unwrap_or_default();
                one.likely_micro_usd = Some(so_far.saturating_add(likely));
            }
        });
    }
    all
}
