//! What happens in a story beside the ordinary.

use std::fmt;
use std::str::FromStr;

use super::Options;
use super::cast::Cast;
use super::event::Event;
use super::truth::{Truth, Verdict};

mod intruder;
mod response;
mod stage;
mod stolen_admin_key;

use stage::Stage;

/// A way an attack goes, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scenario {
    /// The story of the talk: an admin's key leaks, a colleague is framed, a hundred machines across the
    /// world mine for two weeks.
    StolenAdminKey,
}

/// Each scenario with its name and what plays it.
const TABLE: &[(Scenario, &str, fn(&mut Stage<'_>))] = &[(
    Scenario::StolenAdminKey,
    "stolen-admin-key",
    stolen_admin_key::play,
)];

impl Scenario {
    /// All of them.
    pub const ALL: &[Self] = &[Self::StolenAdminKey];

    /// Its name.
    pub fn name(self) -> &'static str {
        let is_it = |(it, _, _): &&(Self, _, _)| *it == self;
        TABLE.iter().find(is_it).map_or("", |(_, name, _)| name)
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(self.name())
    }
}

/// There is no scenario of this name.
#[derive(Debug, thiserror::Error)]
#[error("there is no scenario `{0}`; there are {names}", names = names())]
pub struct NoScenario(String);

fn names() -> String {
    let names: Vec<&str> = TABLE.iter().map(|(_, name, _)| *name).collect();
    names.join(", ")
}

impl FromStr for Scenario {
    type Err = NoScenario;

    fn from_str(text: &str) -> Result<Self, NoScenario> {
        let is_it = |(_, name, _): &&(Self, &str, _)| *name == text;
        TABLE
            .iter()
            .find(is_it)
            .map(|(it, _, _)| *it)
            .ok_or_else(|| NoScenario(text.to_owned()))
    }
}

/// Has a scenario happen from a moment on: its events by time, and the truth.
pub fn play(
    scenario: Scenario,
    seed: u64,
    options: &Options,
    cast: &mut Cast,
    attack: i64,
) -> (Vec<Event>, Truth) {
    let mut stage = Stage::new(seed, options, cast, attack);
    stage.truth.scenario = scenario.name().to_owned();
    let is_it = |(it, _, _): &&(Scenario, _, fn(&mut Stage<'_>))| *it == scenario;
    if let Some((_, _, play)) = TABLE.iter().find(is_it) {
        play(&mut stage);
    }
    stage.finish()
}

/// Everybody who was not judged had nothing to do with it.
fn acquit(cast: &Cast, truth: &mut Truth) {
    let people = cast
        .people
        .iter()
        .filter(|person| !person.is_federated)
        .map(|person| (person.arn(cast), person.name.clone()));
    let roles = cast
        .roles
        .iter()
        .map(|role| (role.name.arn(), role.name.name.clone()));
    for (arn, name) in people.chain(roles) {
        if truth.verdict(&arn).is_none() {
            truth.judge(&arn, &name, Verdict::Bystander);
        }
    }
}
