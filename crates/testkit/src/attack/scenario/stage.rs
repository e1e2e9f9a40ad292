//! Where a scenario plays: it has things happen here, and the truth is kept along.

use crate::attack::background;
use crate::attack::calendar::{DAY_SECS, HOUR_SECS, hour_of};
use crate::attack::cast::{Cast, Machine};
use crate::attack::dice::Dice;
use crate::attack::event::{Call, Caller, Event, Hand};
use crate::attack::identity::Identity;
use crate::attack::truth::{self, Truth};
use crate::attack::{Options, regions};

/// How long a story goes on after its last act.
const AFTERMATH_SECS: i64 = 14 * HOUR_SECS;

/// A machine of the intruder, and where it stands in the truth.
#[derive(Debug, Clone)]
pub struct Loot {
    /// The machine.
    pub machine: Machine,
    /// Its place among the truth's instances.
    pub place: usize,
    /// Whether its end was made hard.
    pub is_protected: bool,
}

/// What a scenario has at hand.
#[derive(Debug)]
pub struct Stage<'a> {
    /// The story's seed.
    pub seed: u64,
    /// What the story has.
    pub options: &'a Options,
    /// Who there is.
    pub cast: &'a mut Cast,
    /// The scenario's lots.
    pub dice: Dice,
    /// When the attack begins.
    pub attack: i64,
    /// The account it is about.
    pub account: String,
    /// The truth so far.
    pub truth: Truth,
    /// The machines of the intruder that still run.
    pub loot: Vec<Loot>,
    /// All machines of the intruder, in the order of the truth's instances.
    fleet: Vec<Machine>,
    events: Vec<Event>,
}

/// What came of a scenario.
#[derive(Debug)]
pub struct Played {
    /// What happens, by time.
    pub events: Vec<Event>,
    /// The truth.
    pub truth: Truth,
    /// The machines of the intruder, in the order of the truth's instances.
    pub fleet: Vec<Machine>,
}

impl<'a> Stage<'a> {
    /// An empty one.
    pub fn new(seed: u64, options: &'a Options, cast: &'a mut Cast, attack: i64) -> Self {
        Self {
            seed,
            options,
            dice: Dice::of(seed, "scenario", 0),
            attack,
            account: cast.accounts[0].clone(),
            cast,
            truth: Truth::default(),
            loot: Vec::new(),
            fleet: Vec::new(),
            events: Vec::new(),
        }
    }

    /// Has a call happen, and returns its event's id. Services that are everywhere are at home.
    pub fn act(&mut self, caller: &Caller, at: i64, region: &'static str, call: Call) -> String {
        let region = match call.service {
            "iam" | "organizations" | "ce" => regions::HOME,
            _ => region,
        };
        let account = self.account.clone();
        let event = caller.call(&mut self.dice, at, &account, region, call);
        let id = event.id.clone();
        self.events.push(event);
        id
    }

    /// Has a call happen that stands in the logs of two accounts: the caller's, and that of the role.
    pub fn act_in_both(&mut self, caller: &Caller, at: i64, other: &str, call: Call) -> String {
        let account = self.account.clone();
        let mut event = caller.call(&mut self.dice, at, &account, regions::HOME, call);
        if other != account {
            let shared = self.dice.uuid();
            event.shared = Some(shared);
            let mut twin = event.clone();
            twin.id = self.dice.uuid();
            twin.account = other.to_owned();
            let principal = match &*caller.identity {
                Identity::Role { role, name, .. } => format!("{}:{name}", role.id),
                Identity::User { id, .. } => id.clone(),
                _ => account.clone(),
            };
            twin.caller = caller.signing(Identity::Account { account, principal });
            self.events.push(twin);
        }
        let id = event.id.clone();
        self.events.push(event);
        id
    }

    /// The ARN of a person's user.
    pub fn arn(&self, index: usize) -> String {
        self.cast.people[index].arn(self.cast)
    }

    /// How a person would call at a moment, by her own key from where she is.
    pub fn owner(&self, index: usize, at: i64) -> Option<Caller> {
        background::caller_at(self.seed, self.cast, index, at)
    }

    /// Machines of the intruder have been started by an event.
    pub fn started(&mut self, machines: Vec<Machine>, event: Option<&str>, is_protected: bool) {
        for machine in machines {
            self.truth.instances.push(truth::Instance {
                id: machine.id.clone(),
                account: machine.account.clone(),
                region: machine.region.to_owned(),
                kind: machine.kind.to_owned(),
                market: if machine.is_spot { "spot" } else { "on-demand" }.to_owned(),
                system: if machine.is_windows {
                    "windows"
                } else {
                    "linux"
                }
                .to_owned(),
                start: machine.launched,
                end: None,
                event: event.map(str::to_owned),
            });
            self.fleet.push(machine.clone());
            self.loot.push(Loot {
                machine,
                place: self.truth.instances.len() - 1,
                is_protected,
            });
        }
    }

    /// The intruder left something.
    pub fn left(&mut self, kind: &str, id: &str, event: &str, at: i64) {
        self.truth.persistence.push(truth::Left {
            kind: kind.to_owned(),
            id: id.to_owned(),
            account: self.account.clone(),
            event: event.to_owned(),
            at,
            removed_at: None,
        });
    }

    /// Somebody took it away.
    pub fn removed(&mut self, kind: &str, id: &str, at: i64) {
        for left in &mut self.truth.persistence {
            if left.kind == kind && left.id == id {
                left.removed_at = Some(at);
            }
        }
    }

    /// The story's events by time, and its truth.
    pub fn finish(mut self) -> Played {
        self.events
            .sort_by(|one, other| (one.at, &one.id).cmp(&(other.at, &other.id)));
        let last = self.events.last().map_or(self.attack, |event| event.at);
        let end = last.max(self.attack) + AFTERMATH_SECS;
        self.truth.span = (self.cast.start, (hour_of(end) + 1) * HOUR_SECS);
        let is_intruders = |event: &&Event| event.caller.hand == Hand::Intruder;
        let first = self.events.iter().find(is_intruders);
        let last = self.events.iter().rev().find(is_intruders);
        if let (Some(first), Some(last)) = (first, last) {
            let ended = self.truth.instances.iter().filter_map(|it| it.end).max();
            self.truth.attack = Some((first.at, ended.unwrap_or(last.at).max(last.at)));
        } else {
            // An account that nobody attacks is looked at for as long.
            self.truth.span.1 += self.options.attack_days * DAY_SECS;
        }
        for event in self.events.iter().filter(is_intruders) {
            let agent = event
                .caller
                .agent
                .text(event.call.service, event.call.action);
            if !self.truth.addresses.contains(&event.caller.address) {
                self.truth.addresses.push(event.caller.address.clone());
            }
            if !self.truth.agents.contains(&agent) {
                self.truth.agents.push(agent);
            }
        }
        super::acquit(self.cast, &mut self.truth);
        self.truth.sum_up();
        Played {
            events: self.events,
            truth: self.truth,
            fleet: self.fleet,
        }
    }

    /// Notes where it began: the first event of the intruder by this caller.
    pub fn began(&mut self, event: &str, at: i64, caller: &Caller, principal: &str, how: &str) {
        let of = self.events.iter().find(|it| it.id == event);
        self.truth.origin = Some(truth::Origin {
            event: event.to_owned(),
            at,
            credential: caller.identity.key().map(str::to_owned),
            principal: principal.to_owned(),
            address: caller.address.clone(),
            agent: of.map_or_else(String::new, |it| {
                it.caller.agent.text(it.call.service, it.call.action)
            }),
            how: how.to_owned(),
        });
    }

    /// A moment some seconds later.
    pub fn later(&mut self, at: &mut i64, least: i64, most: i64) -> i64 {
        *at += self.dice.between(least, most);
        *at
    }
}
