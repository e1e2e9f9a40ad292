//! From the seeds of a case to everything that the same hand did.
//!
//! What binds is what only that hand can have: a credential it made, a place nobody had used
//! before it, a principal it made, machines it started. A name alone binds nothing.

use std::collections::{BTreeMap, BTreeSet};

use davylamp_hunt::arrow::error::ArrowError;
use jiff::Timestamp;

use super::habit::{Habits, is_telling, net};
use super::pairs::{At, Pair, Pairs};
use super::score::is_instance;
use crate::detail::{Detail, Made};
use crate::trail::Trail;
use crate::trail::names::Name;
use crate::trail::row::{Row, Text};

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

/// The making of a credential or a principal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Making {
    /// Who made it.
    pub by: At,
    /// When, in microseconds since 1970.
    pub at: i64,
    /// Where the record lies.
    pub source: String,
    /// The action.
    pub action: String,
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
    /// The pairs, each since when and why.
    pub pairs: BTreeMap<At, Belongs>,
    /// Places that are the hand's alone.
    pub places: BTreeSet<Name>,
    /// Credentials that it made: principal and label.
    pub credentials: BTreeMap<(Name, Name), Making>,
    /// Principals that it made, by ARN, whether they ever did something or not.
    pub principals: BTreeMap<String, Making>,
    /// Machines that it started, by id.
    pub machines: BTreeMap<String, Making>,
    /// Groups and fleets that start machines for it, by name.
    pub groups: BTreeMap<String, Making>,
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
        let mut hand = Self::default();
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
        let begins = pair.begins();
        let is_known = ground.habits.knows_place(at.principal, place, begins)
            || ground.habits.is_near(at.principal, place, begins);
        let since = match (&because, is_known) {
            (Because::MadeCredential(making) | Because::MadePrincipal(making), _) => making.at,
            // Its owner was there before, whoever did the harm.
            (_, true) => begins,
            (_, false) => pair.first,
        };
        let is_alone = !is_known
            && pair.is_address
            && !ground.habits.is_shared(place, begins)
            && ground
                .habits
                .others_at(at.principal, place, begins)
                .is_empty();
        if is_alone {
            self.places.insert(at.place);
        }
        self.pairs.insert(at, Belongs { since, because });
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
            if !ground
                .habits
                .knows_place(at.principal, place, pair.begins())
            {
                self.take(*at, pair, Because::Place, ground);
            }
        }
    }

    /// Whatever the hand made, and what was done with it.
    fn follow_makings(&mut self, ground: &Ground<'_>) -> Result<(), ArrowError> {
        ground.trail.acts.each(|row| self.see(row, ground))?;
        let made = |at: &At| {
            let credential = self.credentials.get(&(at.principal, at.credential));
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
            let is_owners = !self.is_strange(at, pair, label, making.at, ground);
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
    fn is_strange(
        &self,
        at: &At,
        pair: &Pair,
        label: &str,
        made: i64,
        ground: &Ground<'_>,
    ) -> bool {
        let names = &ground.trail.names;
        let place = names.text(at.place);
        if ground.habits.knows_place(at.principal, place, made) {
            return false;
        }
        let is_key = label.starts_with("AKIA");
        if is_key || !ground.habits.has_past(at.principal, made) {
            return true;
        }
        if self.places.contains(&at.place) {
            return true;
        }
        let is_of_hand = |agent: &Name| {
            let name = names.text(*agent);
            is_telling(name)
                && !ground.habits.knows_agent(at.principal, name, made)
                && self
                    .pairs
                    .keys()
                    .filter_map(|known| ground.pairs.all.get(known))
                    .any(|known| known.agents.contains(agent))
        };
        !ground.habits.is_near(at.principal, place, made) && pair.agents.iter().all(is_of_hand)
    }

    fn see(&mut self, row: Row<'_>, ground: &Ground<'_>) {
        if row.has_failed() {
            return;
        }
        let Some(micros) = row.micros() else { return };
        let Some(key) = ground.trail.uses.key_of(&ground.trail.names, row) else {
            return;
        };
        let by = At::of(&key);
        let making = || Making {
            by,
            at: micros,
            source: row.text(Text::Source).to_owned(),
            action: row.text(Text::EventName).to_owned(),
        };
        if row.is_by_service() {
            self.see_service(row, making);
            return;
        }
        if !self.did(&by, micros) {
            return;
        }
        let detail = Detail::of(row);
        let names = &ground.trail.names;
        let account = row.text(Text::Account);
        let mut credential = |principal: &str, label: &str| {
            if let (Some(principal), Some(label)) = (names.find(principal), names.find(label)) {
                self.credentials
                    .entry((principal, label))
                    .or_insert_with(making);
            }
        };
        match &detail.made {
            Some(Made::Key { key, user }) => {
                let arn = user_arn(ground, account, user, by);
                credential(&arn, key);
            }
            Some(Made::Login { user }) => {
                credential(&user_arn(ground, account, user, by), "console")
            }
            Some(Made::Session { role, name, .. }) => credential(role, &format!("session {name}")),
            Some(Made::Own { name, .. }) => {
                if name.is_empty() {
                    credential(names.text(by.principal), "temporary");
                } else {
                    let arn = format!("arn:aws:sts::{account}:federated-user/{name}");
                    self.principals.entry(arn).or_insert_with(making);
                }
            }
            Some(Made::User { arn }) => {
                let arn = user_arn(ground, account, arn, by);
                self.principals.entry(arn).or_insert_with(making);
            }
            Some(Made::Role { arn, is_old: false }) => {
                let arn = match arn.starts_with("arn:") {
                    true => arn.clone(),
                    false => format!("arn:aws:iam::{account}:role/{arn}"),
                };
                self.principals.entry(arn).or_insert_with(making);
            }
            Some(Made::Role { .. }) | None => {}
        }
        for machine in detail
            .machines
            .iter()
            .filter(|machine| machine.kind.is_some())
        {
            self.machines
                .entry(machine.id.clone())
                .or_insert_with(making);
        }
        for thing in detail.things.iter().filter(|thing| is_group(&thing.kind)) {
            self.groups.entry(thing.id.clone()).or_insert_with(making);
        }
    }

    /// Machines that AWS starts for a group are its maker's.
    fn see_service(&mut self, row: Row<'_>, making: impl Fn() -> Making) {
        if row.text(Text::EventName) != "RunInstances" {
            return;
        }
        let detail = Detail::of(row);
        if let Some(made) = detail
            .group
            .as_ref()
            .and_then(|group| self.groups.get(group))
        {
            let by = made.by;
            for machine in &detail.machines {
                let making = Making { by, ..making() };
                self.machines.entry(machine.id.clone()).or_insert(making);
            }
        }
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

fn is_group(kind: &str) -> bool {
    matches!(
        kind,
        "scaling-group" | "spot-fleet" | "fleet" | "eks-nodegroup" | "batch-compute-environment"
    )
}

/// The ARN of a user by its name, as the trail has it: users may have a path.
fn user_arn(ground: &Ground<'_>, account: &str, user: &str, by: At) -> String {
    let names = &ground.trail.names;
    if user.is_empty() {
        return names.text(by.principal).to_owned();
    }
    if user.starts_with("arn:") {
        return user.to_owned();
    }
    let plain = format!("arn:aws:iam::{account}:user/{user}");
    if names.find(&plain).is_some() {
        return plain;
    }
    let (start, end) = (format!("arn:aws:iam::{account}:user/"), format!("/{user}"));
    let named = ground.pairs.all.keys().map(|at| names.text(at.principal));
    let pathed = named
        .filter(|arn| arn.starts_with(&start) && arn.ends_with(&end))
        .min();
    pathed.map_or(plain, str::to_owned)
}

/// The moment of microseconds since 1970; the first there is for what is none.
pub fn moment(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::UNIX_EPOCH)
}
