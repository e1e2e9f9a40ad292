//! The circuit breaker's part of the agent: ceilings from configuration, asking before the agent
//! kills, and shouting when a rule reached its own.
//!
//! What must stay true: the agent kills nothing for a rule whose ceiling is reached, and nobody reads
//! a quiet log while a rule only observes.

use std::{cell::RefCell, collections::HashMap};

use davylamp_content::detection;
use davylamp_detect::{
    automaton::{Place, Table},
    breaker::{Tenant, Tenants, victim_of},
    judge::Judge,
};
use davylamp_model::guard_event::{Mode, micros};
use serde_json::json;

use super::{Agent, chain, report::Outcome};
use crate::{
    abi::{
        CEILING_NONE, CEILING_RULES, CGROUP_KEY_V1, CeilingAnswer, CeilingHow, CeilingKey,
        CeilingKind, CeilingLimits, Reason,
    },
    config::Config,
    container::Lookup,
    event::KernelEvent,
    kernel::Ceilings,
};

/// All places that are nested too deeply, as the kernel programs number them.
const VICTIM_TOO_DEEP: u64 = 0xffff_ffff;

/// What the agent remembers of ceilings.
#[derive(Default)]
pub(super) struct Breaker {
    /// Refused kills that were said, by rule.
    told: RefCell<HashMap<CeilingKey, u64>>,
    tenants: RefCell<Tenants<CeilingKey>>,
    /// Where victims are, to see whether they are gone.
    places: RefCell<HashMap<u64, String>>,
}

/// Places that are remembered; beyond, all are forgotten, and then no earlier place counts as gone.
const MOST_PLACES: usize = 4096;

/// The ceilings that configuration calls for.
pub(super) fn ceilings(config: &Config, judge: &Judge) -> Ceilings {
    let breaker = &config.breaker;
    let generation = judge.table().generation();
    let numbers = 0..judge.string_count() as u32;
    let own = breaker.own().flat_map(|(name, most)| {
        let most = if most == 0 { CEILING_NONE } else { most };
        let is_named = |number: &u32| {
            let facts = judge.string(*number);
            facts.is_some_and(|facts| facts.banned.text.eq_ignore_ascii_case(name))
        };
        numbers
            .clone()
            .filter(is_named)
            .filter_map(|number| judge.table().set_of_string(number))
            .map(|set| CeilingKey::string(generation, set))
            .chain([CeilingKey::detection(name)])
            .map(move |key| (key, most))
            .collect::<Vec<_>>()
    });
    Ceilings {
        limits: CeilingLimits {
            rule_most: breaker.per_rule,
            node_most: breaker.per_node,
            window_secs: breaker.window_secs as u32,
            reserved: 0,
        },
        generation,
        // Others share what is left.
        own: own.take(CEILING_RULES / 2).collect(),
    }
}

impl Agent {
    /// The rule behind what the kernel reported.
    pub(super) fn rule_of(event: &KernelEvent) -> CeilingKey {
        match event.info {
            0 => CeilingKey::unreadable(event.generation),
            info => CeilingKey::string(event.generation, Table::set_of_info(info)),
        }
    }

    /// The rule behind a banned string of the lists in force.
    pub(super) fn rule_of_string(&self, string: u32) -> CeilingKey {
        let in_force = self.in_force();
        let table = in_force.judge.table();
        match table.set_of_string(string) {
            Some(set) => CeilingKey::string(table.generation(), set),
            None => CeilingKey::OTHERS,
        }
    }

    /// The number of the victim that a process of this cgroup belongs to, as the kernel numbers it.
    pub(super) fn victim_at(&self, cgroup: u64, path: &str) -> u64 {
        let Some(place) = victim_of(path) else {
            return VICTIM_TOO_DEEP | cgroup & CGROUP_KEY_V1;
        };
        // Where it cannot be looked up it counts by itself.
        self.cgroup_mounts
            .key_beside(cgroup, place)
            .unwrap_or(cgroup)
    }

    /// Whether the agent may kill for this rule here; if so, it is counted. Where the ceiling cannot
    /// be asked, nothing is killed: a breaker that fails does not fail closed on everybody's work.
    pub(super) fn may_kill(&self, rule: CeilingKey, victim: u64) -> bool {
        match self
            .kernel
            .borrow()
            .ask_ceiling(rule, victim, CeilingHow::Claim)
        {
            Ok(CeilingAnswer::Counted | CeilingAnswer::Claimed) => true,
            Ok(CeilingAnswer::Over | CeilingAnswer::Trips) => false,
            Err(error) => {
                tracing::error!(error = chain(&error), "a ceiling cannot be asked");
                false
            }
        }
    }

    /// Something was killed, and it is known whose it was: the same tenant's earlier places need not
    /// count beside this one.
    pub(super) fn note_tenant(&self, event: &KernelEvent, found: &Lookup) {
        let Lookup::Known(container) = found else {
            return;
        };
        if event.victim == 0 || event.reason == Reason::Suppressed {
            return;
        }
        let label = |key: &str| container.labels.get(key).map(String::as_str);
        let tenant = match (
            &container.hub_user,
            label(davylamp_model::container::LABEL_NAMESPACE),
            label(davylamp_model::container::LABEL_POD),
        ) {
            (Some(user), _, _) => Tenant::HubUser(user.as_str().to_owned()),
            (None, Some(namespace), Some(pod)) => Tenant::of_pod(namespace, pod),
            _ => return,
        };
        let mut places = self.breaker.places.borrow_mut();
        if places.len() >= MOST_PLACES {
            places.clear();
        }
        if let Some(place) = victim_of(&event.cgroup_path) {
            places.insert(event.victim, place.to_owned());
        }
        let is_gone = |victim: u64| {
            let place = places.get(&victim);
            place.is_some_and(|path| self.cgroup_mounts.directory(victim, path).is_none())
        };
        let rule = Self::rule_of(event);
        let released =
            self.breaker
                .tenants
                .borrow_mut()
                .counted(rule, tenant, event.victim, is_gone);
        for earlier in released {
            let done = self
                .kernel
                .borrow()
                .ask_ceiling(rule, earlier, CeilingHow::Release);
            if let Err(error) = done {
                tracing::warn!(error = chain(&error), "a ceiling cannot be given back to");
            }
        }
    }

    /// Gives every rule its whole ceiling again: an operator asked for it.
    pub(super) fn reset_ceilings(&self) {
        let wanted = ceilings(&self.config, &self.in_force().judge);
        match self.kernel.borrow().reset_ceilings(&wanted) {
            Ok(()) => {
                self.breaker.tenants.borrow_mut().clear();
                self.breaker.told.borrow_mut().clear();
            }
            Err(error) => tracing::error!(
                error = chain(&error),
                "the ceilings cannot be reset; they stay as they are"
            ),
        }
    }

    /// Shouts about every rule that left something alone since it was last said, with how much.
    pub(super) fn say_ceilings(&self) {
        let reached = self.kernel.borrow().ceilings_reached();
        let refusing = reached.iter().filter(|rule| rule.is_refusing).count();
        self.count(|counts| counts.rules_at_ceiling = refusing as u64);
        let mut told = self.breaker.told.borrow_mut();
        told.retain(|key, _| reached.iter().any(|rule| rule.key == *key));
        for rule in reached {
            let told = told.entry(rule.key).or_default();
            let fresh = rule.refused.saturating_sub(*told);
            *told = rule.refused;
            if fresh == 0 {
                continue;
            }
            let (kind, name) = self.name_of_rule(&rule.key);
            self.log.say(&json!({
                "event": "RULE REACHED ITS CEILING: it only observes on this node",
                "level": "warning",
                "timestamp": micros::format(jiff::Timestamp::now()),
                "rule_kind": kind,
                "rule": name,
                "not_killed": fresh,
                "victims": rule.victims,
                "window_secs": self.config.breaker.window_secs,
                "hint": "look at its latest kills: if they were right, raise [guard.breaker]; if not, \
                         correct the rule. SIGHUP gives every rule its whole ceiling again",
                "node": self.node,
            }));
        }
    }

    fn name_of_rule(&self, key: &CeilingKey) -> (&'static str, String) {
        let in_force = self.in_force();
        let is_kind = |kind: CeilingKind| key.kind == kind as u32;
        if is_kind(CeilingKind::String) {
            let table = in_force.judge.table();
            let string = (key.generation == table.generation())
                .then(|| table.string_of_info(key.rule, Place::Arguments))
                .flatten()
                .and_then(|string| in_force.judge.string(string));
            let name = string.map_or_else(String::new, |facts| facts.banned.text.clone());
            return ("string", name);
        }
        if is_kind(CeilingKind::Detection) {
            let brought = in_force.rules.iter().flat_map(|rules| rules.detections());
            let shipped = detection::shipped().unwrap_or_default().into_iter();
            let own = self.config.breaker.own().map(|(name, _)| name.to_owned());
            let mut names = brought
                .map(|detection| detection.name.clone())
                .chain(shipped.map(|parsed| parsed.detection.name))
                .chain(own);
            let name = names.find(|name| CeilingKey::detection(name) == *key);
            let number = || format!("{:08x}", key.rule);
            return ("detection", name.unwrap_or_else(number));
        }
        let kind = match key.kind {
            kind if kind == CeilingKind::Node as u32 => "node",
            kind if kind == CeilingKind::Others as u32 => "others",
            kind if kind == CeilingKind::Unreadable as u32 => "unreadable",
            _ => "rule",
        };
        (kind, String::new())
    }

    /// What becomes of something that the agent was about to kill: `kill` it, or say why not.
    pub(super) fn unless_over_ceiling(
        &self,
        rule: CeilingKey,
        victim: u64,
        kill: impl FnOnce() -> Outcome,
        source: super::report::Source,
    ) -> Outcome {
        debug_assert_eq!(self.config.mode, Mode::Enforce);
        if self.may_kill(rule, victim) {
            return kill();
        }
        Outcome::new(davylamp_model::guard_event::Action::WouldKill, source)
            .because(Reason::Ceiling.as_str().unwrap_or_default())
    }
}
