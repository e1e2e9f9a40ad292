//! From the seeds of a case to everything that the same hand did.
//!
//! What binds is what only that hand can have: a credential it made, a place nobody had used
//! before it, a principal it made, machines it started. A name alone binds nothing.

use std::collections::{BTreeMap, BTreeSet};

use davylamp_hunt::arrow::error::ArrowError;

use super::habit::Habits;
use super::making::{Group, Making};
use super::pairs::{At, Pair, Pairs};
use crate::trail::Trail;
use crate::trail::names::Name;
use crate::trail::place::{is_telling, net};
use crate::trail::who::is_instance;

/// Rounds until nothing is added; each follows one more hop from credential to credential.
const MAX_ROUNDS: usize = 12;

/// How long after it was made a session may be used: the most a role allows.
const SESSION_MICROS: i64 = 12 * 3_600_000_000;

/// A use of a compromised credential from elsewhere belongs to the hand only if it is not older than
/// this before the first that is known.
const BEFORE_MICROS: i64 = 24 * 3_600_000_000;

/// Why a pair belongs to the hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Because {
    /// Its own acts, or what was asked for.
    Seed,
    /// The hand made the credential: by the record that lies there.
    MadeCredential(Making),
    /// The hand made the principal.
    MadePrincipal(Making),
    /// It came from a place that is the hand's.
    Place,
    /// The credential was the hand's, and the place and tool were not the owner's.
    Credential,
}

/// What belongs to a hand.
#[derive(Debug, Clone)]
pub struct Belongs {
    /// Since when, in microseconds since 1970: a place may have been somebody else's before.
    pub since: i64,
    /// Why.
    pub because: Because,
}

/// Everything one hand did.
#[derive(Debug, Default)]
pub struct Hand {
    /// When the first harm was done, in microseconds since 1970: what was usual until then is the owner's.
    pub began: i64,
    /// The pairs, each since when and why.
    pub pairs: BTreeMap<At, Belongs>,
    /// Places that are the hand's alone.
    pub places: BTreeSet<Name>,
    /// Credentials that it made: principal and label.
    pub credentials: BTreeMap<(Name, Name), Making>,
    /// Long-term keys that it made: their ids are in no two principals.
    pub keys: BTreeMap<Name, Making>,
    /// Principals that it made, by ARN, whether they ever did something or not.
    pub principals: BTreeMap<String, Making>,
    /// Machines that it started, by id.
    pub machines: BTreeMap<String, Making>,
    /// Groups and fleets that start machines for it, by name.
    pub groups: BTreeMap<String, Group>,
    /// Whom sessions were opened for, as their source identity says, each with the first act that has it.
    pub opened_for: BTreeMap<(Name, Name), BTreeMap<String, Making>>,
    /// The instance types that it asked for.
    pub(super) types: BTreeSet<String>,
}

/// What is known for the spreading.
pub struct Ground<'a> {
    /// The trail.
    pub trail: &'a Trail,
    /// Its pairs.
    pub pairs: &'a Pairs,
    /// What was usual.
    pub habits: &'a Habits,
}

impl Hand {
    /// Everything the hand did that did the seeds.
    ///
    /// # Errors
    /// When the kept events cannot be read.
    pub fn of(seeds: &[At], ground: &Ground<'_>) -> Result<Self, ArrowError> {
        let begins = seeds
            .iter()
            .filter_map(|at| ground.pairs.all.get(at))
            .map(Pair::begins);
        let mut hand = Self {
            began: begins.min().unwrap_or(i64::MAX),
            ..Self::default()
        };
        for at in seeds {
            if let Some(pair) = ground.pairs.all.get(at) {
                hand.take(*at, pair, Because::Seed, ground);
            }
        }
        for _ in 0..MAX_ROUNDS {
            let before = hand.size();
            hand.follow_places(ground);
            hand.follow_makings(ground)?;
            hand.follow_credentials(ground);
            if hand.size() == before {
                break;
            }
        }
        Ok(hand)
    }

    fn size(&self) -> (usize, usize, usize) {
        let made = self.credentials.len() + self.principals.len();
        (
            self.pairs.len(),
            self.places.len(),
            made + self.machines.len() + self.groups.len(),
        )
    }

    /// The first moment of it, in microseconds since 1970.
    pub fn begins(&self, pairs: &Pairs) -> Option<i64> {
        let first = |(at, belongs): (&At, &Belongs)| {
            let pair = pairs.all.get(at)?;
            Some(pair.first.max(belongs.since))
        };
        self.pairs.iter().filter_map(first).min()
    }

    /// The making of a credential, if the hand made it.
    pub fn making_of(&self, at: &At) -> Option<&Making> {
        let by_owner = self.credentials.get(&(at.principal, at.credential));
        by_owner.or_else(|| self.keys.get(&at.credential))
    }

    /// Whether an event is the hand's.
    pub fn did(&self, at: &At, micros: i64) -> bool {
        self.pairs
            .get(at)
            .is_some_and(|belongs| micros >= belongs.since)
    }

    fn take(&mut self, at: At, pair: &Pair, because: Because, ground: &Ground<'_>) {
        if self.pairs.contains_key(&at) {
            return;
        }
        let place = ground.trail.names.text(at.place);
        let habits = ground.habits;
        let is_known = habits.knows_place(at.principal, place, self.began)
            || habits.is_near(at.principal, place, self.began);
        let is_alone =
            pair.is_address && !is_known && self.is_unshared(at.principal, place, ground);
        let since = match &because {
            Because::MadeCredential(making) | Because::MadePrincipal(making) => making.at,
            // Others were there before, whoever did the harm.
            _ if !is_alone => pair.begins(),
            _ => pair.first,
        };
        if is_alone {
            self.places.insert(at.place);
        }
        self.pairs.insert(at, Belongs { since, because });
    }

    /// Whether nobody but the hand had used a place on an earlier day.
    fn is_unshared(&self, principal: Name, place: &str, ground: &Ground<'_>) -> bool {
        let others = ground.habits.others_at(principal, place, self.began);
        let is_hand = |other: &Name| {
            let of_other = self.pairs.keys().filter(|at| at.principal == *other);
            of_other
                .into_iter()
                .any(|at| net(ground.trail.names.text(at.place)) == net(place))
        };
        others.iter().all(is_hand)
    }

    /// Whatever comes from a place that is the hand's.
    fn follow_places(&mut self, ground: &Ground<'_>) {
        let at_places = ground
            .pairs
            .all
            .iter()
            .filter(|(at, _)| self.places.contains(&at.place));
        let new: Vec<_> = at_places
            .filter(|(at, _)| !self.pairs.contains_key(at))
            .collect();
        for (at, pair) in new {
            let place = ground.trail.names.text(at.place);
            if !ground.habits.knows_place(at.principal, place, self.began) {
                self.take(*at, pair, Because::Place, ground);
            }
        }
    }

    /// Whatever the hand made, and what was done with it.
    fn follow_makings(&mut self, ground: &Ground<'_>) -> Result<(), ArrowError> {
        ground.trail.acts.each(|row| self.see(row, ground))?;
        let made = |at: &At| {
            let credential = self.making_of(at);
            let principal = self.principals.get(ground.trail.names.text(at.principal));
            credential
                .map(|it| Because::MadeCredential(it.clone()))
                .or_else(|| principal.map(|it| Because::MadePrincipal(it.clone())))
        };
        let mut new = Vec::new();
        for (at, pair) in &ground.pairs.all {
            if self.pairs.contains_key(at) || !pair.is_address {
                continue;
            }
            let Some(because) = made(at) else { continue };
            let (Because::MadeCredential(making) | Because::MadePrincipal(making)) = &because
            else {
                continue;
            };
            let label = ground.trail.names.text(at.credential);
            let is_session = label.starts_with("session ") || label == "temporary";
            let is_late = is_session && pair.first > making.at.saturating_add(SESSION_MICROS);
            let is_owners = !self.is_strange(at, pair, label, ground);
            if pair.last >= making.at && !is_late && !is_owners {
                new.push((*at, because));
            }
        }
        for (at, because) in new {
            if let Some(pair) = ground.pairs.all.get(&at) {
                self.take(at, pair, because, ground);
            }
        }
        Ok(())
    }

    /// Whether a credential that the hand made was used by it, and not by its owner. A new key has no owner
    /// but its maker. A password that is set anew, and a session by its name, are the owner's too, and
    /// theirs alone where neither the place nor the tool is the hand's.
    fn is_strange(&self, at: &At, pair: &Pair, label: &str, ground: &Ground<'_>) -> bool {
        let names = &ground.trail.names;
        let place = names.text(at.place);
        if ground.habits.knows_place(at.principal, place, self.began) {
            return false;
        }
        let is_key = label.starts_with("AKIA");
        if is_key || self.places.contains(&at.place) {
            return true;
        }
        let is_of_hand = |agent: &Name| {
            let name = names.text(*agent);
            is_telling(name)
                && !ground.habits.knows_agent(at.principal, name, self.began)
                && self
                    .pairs
                    .keys()
                    .filter_map(|known| ground.pairs.all.get(known))
                    .any(|known| known.agents.contains(agent))
        };
        !ground.habits.is_near(at.principal, place, self.began)
            && pair.agents.iter().all(is_of_hand)
    }

    /// A credential of the hand's that it did not make is used by its owner too: from elsewhere it is
    /// the hand only where place and tool are not the owner's.
    fn follow_credentials(&mut self, ground: &Ground<'_>) {
        let Some(begins) = self.begins(ground.pairs) else {
            return;
        };
        let names = &ground.trail.names;
        let compromised: BTreeSet<(Name, Name)> = self
            .pairs
            .keys()
            .map(|at| (at.principal, at.credential))
            .collect();
        let tools: BTreeSet<Name> = self
            .pairs
            .keys()
            .filter_map(|at| ground.pairs.all.get(at))
            .flat_map(|pair| pair.agents.iter().copied())
            .collect();
        let nets: BTreeSet<String> = self
            .places
            .iter()
            .map(|place| net(names.text(*place)))
            .collect();
        let mut new = Vec::new();
        for (at, pair) in &ground.pairs.all {
            let label = names.text(at.credential);
            let is_old = pair.first < begins.saturating_sub(BEFORE_MICROS);
            if self.pairs.contains_key(at)
                || !pair.is_address
                || is_old
                || is_instance(label)
                || !compromised.contains(&(at.principal, at.credential))
            {
                continue;
            }
            let place = names.text(at.place);
            if ground.habits.knows_place(at.principal, place, begins)
                || ground.habits.is_near(at.principal, place, begins)
                || !ground.habits.has_past(at.principal, begins)
            {
                continue;
            }
            let is_tool = pair.agents.iter().all(|agent| {
                tools.contains(agent)
                    && !ground
                        .habits
                        .knows_agent(at.principal, names.text(*agent), begins)
            });
            if is_tool || nets.contains(&net(place)) {
                new.push(*at);
            }
        }
        for at in new {
            if let Some(pair) = ground.pairs.all.get(&at) {
                self.take(at, pair, Because::Credential, ground);
            }
        }
    }
}
