//! What happens in a story beside the ordinary.

use std::fmt;
use std::str::FromStr;

use super::Options;
use super::cast::Cast;
use super::truth::{Truth, Verdict};

mod ci_token;
mod compute;
mod console_password;
mod failed;
mod impersonation;
mod insider;
mod instance_role;
mod intruder;
mod no_attack;
mod ordinary;
mod response;
mod root_key;
mod same_name;
mod shared_exit;
mod stage;
mod stolen_admin_key;

pub use stage::Played;
use stage::Stage;

/// A way an attack goes, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scenario {
    /// The story of the talk: an admin's key leaks, a colleague is framed, a hundred machines across the
    /// world mine for two weeks.
    StolenAdminKey,
    /// Credentials of a machine are used outside it.
    InstanceRole,
    /// A password opens the console; two roles and a session that outlives the key follow.
    ConsolePassword,
    /// A token of hosted CI is used from elsewhere.
    CiToken,
    /// Somebody mines for himself.
    Insider,
    /// The root user's key leaks, and a user is made.
    RootKey,
    /// Containers without machines mine.
    Fargate,
    /// Functions mine.
    Functions,
    /// Notebooks mine.
    Notebooks,
    /// A cluster's nodes mine.
    Nodegroup,
    /// Jobs mine.
    Batch,
    /// A fleet that a service fills mines.
    SpotFleet,
    /// A group that a service keeps full mines.
    ScalingGroup,
    /// Nothing comes of it: the key is quarantined, and every launch fails.
    Failed,
    /// The intruder looks like the owner: nobody can tell.
    SharedExit,
    /// Nobody attacks.
    NoAttack,
    /// A session is named after somebody who has nothing to do with it.
    Impersonation,
    /// A user who was deleted comes back under the same name, by the intruder's hand.
    SameName,
}

/// Plays a scenario.
type Play = fn(&mut Stage<'_>);

/// Each scenario with its name and what plays it.
const TABLE: &[(Scenario, &str, Play)] = &[
    (
        Scenario::StolenAdminKey,
        "stolen-admin-key",
        stolen_admin_key::play,
    ),
    (Scenario::InstanceRole, "instance-role", instance_role::play),
    (
        Scenario::ConsolePassword,
        "console-password",
        console_password::play,
    ),
    (Scenario::CiToken, "ci-token", ci_token::play),
    (Scenario::Insider, "insider", insider::play),
    (Scenario::RootKey, "root-key", root_key::play),
    (Scenario::Fargate, "fargate", compute::fargate),
    (Scenario::Functions, "functions", compute::functions),
    (Scenario::Notebooks, "notebooks", compute::notebooks),
    (Scenario::Nodegroup, "nodegroup", compute::nodegroup),
    (Scenario::Batch, "batch", compute::batch),
    (Scenario::SpotFleet, "spot-fleet", compute::spot_fleet),
    (
        Scenario::ScalingGroup,
        "scaling-group",
        compute::scaling_group,
    ),
    (Scenario::Failed, "failed", failed::play),
    (Scenario::SharedExit, "shared-exit", shared_exit::play),
    (Scenario::NoAttack, "no-attack", no_attack::play),
    (
        Scenario::Impersonation,
        "impersonation",
        impersonation::play,
    ),
    (Scenario::SameName, "same-name", same_name::play),
];

impl Scenario {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::StolenAdminKey,
        Self::InstanceRole,
        Self::ConsolePassword,
        Self::CiToken,
        Self::Insider,
        Self::RootKey,
        Self::Fargate,
        Self::Functions,
        Self::Notebooks,
        Self::Nodegroup,
        Self::Batch,
        Self::SpotFleet,
        Self::ScalingGroup,
        Self::Failed,
        Self::SharedExit,
        Self::NoAttack,
        Self::Impersonation,
        Self::SameName,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        let is_it = |(it, _, _): &&(Self, &str, Play)| *it == self;
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
        let is_it = |(_, name, _): &&(Self, &str, Play)| *name == text;
        TABLE
            .iter()
            .find(is_it)
            .map(|(it, _, _)| *it)
            .ok_or_else(|| NoScenario(text.to_owned()))
    }
}

/// Has a scenario happen from a moment on: what happens by time, and the truth.
pub fn play(
    scenario: Scenario,
    seed: u64,
    options: &Options,
    cast: &mut Cast,
    attack: i64,
) -> Played {
    let mut stage = Stage::new(seed, options, cast, attack);
    ordinary::play(&mut stage, scenario == Scenario::NoAttack);
    stage.truth.scenario = scenario.name().to_owned();
    let is_it = |(it, _, _): &&(Scenario, &str, Play)| *it == scenario;
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
    let roots = cast
        .accounts
        .iter()
        .map(|account| (format!("arn:aws:iam::{account}:root"), "root".to_owned()));
    for (arn, name) in people.chain(roles).chain(roots) {
        if truth.verdict(&arn).is_none() {
            truth.judge(&arn, &name, Verdict::Bystander);
        }
    }
}
