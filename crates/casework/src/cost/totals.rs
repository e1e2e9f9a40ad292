//! Lines of a cost added up by something of theirs, such as the region.

use std::collections::BTreeMap;

use crate::case::{CostLine, Span};

/// Lines that have something in common.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Total {
    /// What they have in common.
    pub of: String,
    /// How many things.
    pub count: u64,
    /// How many of them still run, as far as is known.
    pub running: u64,
    /// Hours of all of them, likely.
    pub likely_hours: f64,
    /// Money, in millionths of a dollar, of what has a price.
    pub low_micro_usd: i64,
    /// See [`Self::low_micro_usd`].
    pub likely_micro_usd: i64,
    /// See [`Self::low_micro_usd`].
    pub high_micro_usd: i64,
    /// Whether the real cost may lie outside.
    pub is_open: bool,
    /// From the first start to the last sign of any of them.
    pub span: Option<Span>,
}

/// Lines added up by what `of` gives, the dearest first.
pub fn totals<'a>(lines: &'a [CostLine], of: impl Fn(&'a CostLine) -> &'a str) -> Vec<Total> {
    let mut totals: BTreeMap<&str, Total> = BTreeMap::new();
    for line in lines {
        let name = of(line);
        let total = totals.entry(name).or_insert_with(|| Total {
            of: name.to_owned(),
            ..Total::default()
        });
        total.count += line.count;
        total.running += line.running;
        total.likely_hours += line.likely_hours;
        for (sum, more) in [
            (&mut total.low_micro_usd, line.low_micro_usd),
            (&mut total.likely_micro_usd, line.likely_micro_usd),
            (&mut total.high_micro_usd, line.high_micro_usd),
        ] {
            *sum = sum.saturating_add(more.unwrap_or(0));
        }
        total.is_open |= line.is_open;
        total.span = match (total.span, line.span) {
            (Some(one), Some(other)) => Some(Span {
                first: one.first.min(other.first),
                last: one.last.max(other.last),
            }),
            (one, other) => one.or(other),
        };
    }
    let mut totals: Vec<Total> = totals.into_values().collect();
    totals.sort_by_key(|total| std::cmp::Reverse(total.likely_micro_usd));
    totals
}
