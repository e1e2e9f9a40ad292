//! From what is known of a hand to what a case says.

mod acts;
mod deeds;
mod graph;
mod innocence;
mod origin;
mod reach;
mod summary;
mod tampering;

use std::collections::BTreeMap;

use davylamp_hunt::arrow::error::ArrowError;

use crate::case::{self, Case};
use crate::cite::Cites;
use crate::cost::sightings::Sighting;
use crate::hands::pairs::At;
use crate::hands::relation::{Judgement, judge};
use crate::hands::spread::{Ground, Hand};
use crate::trail::names::Name;
use davylamp_model::verdict::Verdict;

pub use deeds::Seen;
pub use summary::{nothing_found, summarise};

/// What is known of a hand.
pub struct Known<'a> {
    /// The trail, its pairs, and what was usual.
    pub ground: &'a Ground<'a>,
    /// What the hand did.
    pub hand: &'a Hand,
    /// Whether each principal is the hand's.
    pub judged: BTreeMap<Name, Judgement>,
}

impl<'a> Known<'a> {
    /// Judges every principal of a hand.
    pub fn of(ground: &'a Ground<'a>, hand: &'a Hand, cites: &mut Cites) -> Self {
        let judged = judge(ground, hand, cites);
        Self {
            ground,
            hand,
            judged,
        }
    }

    /// Whose hand a pair's acts since it began are.
    fn hand_of(&self, at: &At) -> case::Hand {
        let of_principal = self.judged.get(&at.principal);
        match of_principal.map(|it| (it.verdict, it.is_made)) {
            Some((Verdict::Fail, false)) => case::Hand::Owner,
            Some((Verdict::Unknown, _)) => case::Hand::Unknown,
            _ => case::Hand::Intruder,
        }
    }

    fn text(&self, name: Name) -> &str {
        self.ground.trail.names.text(name)
    }
}

/// Fills a case with what a trail says of a hand; what was seen of what costs.
///
/// # Errors
/// When the kept events cannot be read.
pub fn tell(
    case: &mut Case,
    known: &Known<'_>,
    cites: &mut Cites,
) -> Result<Vec<Sighting>, ArrowError> {
    let seen = deeds::of(known, cites)?;
    case.origin = origin::of(known, cites);
    case.innocence = innocence::of(known, cites);
    graph::fill(case, known, &seen, cites);
    case.tampering = tampering::of(known, &seen);
    case.reach = reach::of(known, &seen);
    case.span = seen.span();
    case.acts_left_out = seen.acts.left_out;
    case.things_left_out = seen.things_left_out;
    let (timeline, sightings) = seen.into_parts();
    case.timeline = timeline;
    Ok(sightings)
}
