//! From what the kernel saw to a line of the log.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    rc::Rc,
};

use davylamp_detect::{
    automaton::{Place, Table},
    judge::{Match, Region},
};
use davylamp_model::{
    guard_event::{Action, Ancestor, GuardEvent, Sign, micros},
    ids::{Pid, Uid},
};
use serde_json::json;

use super::{Agent, InForce};
use crate::{
    abi::{EventKind, Reason},
    cmdline,
    config::{Config, HoldVerdict},
    container::Lookup,
    event::KernelEvent,
};

/// The detection whose evidence is a banned string.
const DETECTION_STRING: &str = "mining-command-line";
/// The detection whose evidence is a start in a suppressed cgroup.
const DETECTION_RESPAWN: &str = "respawn-after-kill";

/// What saw a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The kernel program, at exec.
    Exec,
    /// The decision over a held process.
    Hold,
    /// The sweep of running processes.
    Sweep,
    /// What goes over the wire.
    Wire,
    /// What stands in a program's file.
    File,
    /// What a process does as it runs.
    Behaviour,
}

impl Source {
    /// The name in logs: Davylamp's own, or what cryptnono calls its nearest.
    fn name(self, cryptnono: bool) -> &'static str {
        match (self, cryptnono) {
            (Self::Sweep, true) => "psutil.process_iter",
            (_, true) => "execwhacker.bpf",
            (Self::Exec, false) => "davylamp.exec",
            (Self::Hold, false) => "davylamp.hold",
            (Self::Sweep, false) => "davylamp.sweep",
            (Self::Wire, false) => "davylamp.wire",
            (Self::File, false) => "davylamp.file",
            (Self::Behaviour, false) => "davylamp.behaviour",
        }
    }
}

/// What was done about a process, and why.
#[derive(Debug, Clone)]
pub(super) struct Outcome {
    pub(super) action: Action,
    pub(super) source: Source,
    pub(super) reason: Option<String>,
    pub(super) allowed_by: Option<String>,
    pub(super) hold_ns: Option<u64>,
    /// What a sense noticed, where it was no banned string.
    pub(super) noticed: Option<Box<Noticed>>,
}

/// What a sense noticed, for the log.
#[derive(Debug, Clone, Default)]
pub(super) struct Noticed {
    pub(super) detection: String,
    pub(super) matched: String,
    pub(super) evidence: serde_json::Map<String, serde_json::Value>,
    pub(super) score: Option<f64>,
    pub(super) signs: Vec<Sign>,
    /// What policy asks for beyond what was done.
    pub(super) asked: Option<&'static str>,
}

impl Outcome {
    pub(super) fn new(action: Action, source: Source) -> Self {
        Self {
            action,
            source,
            reason: None,
            allowed_by: None,
            hold_ns: None,
            noticed: None,
        }
    }

    pub(super) fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// Spared by this allow pattern.
    pub(super) fn allowed(source: Source, pattern: &str) -> Self {
        Self {
            allowed_by: Some(format!("allowed-pattern:{pattern}")),
            ..Self::new(Action::Spared, source)
        }
    }
}

/// What was last known of the cgroups in which log lines were left out.
pub(super) struct Reporter {
    cryptnono_sources: bool,
    cmdline_bytes: usize,
    env: Vec<String>,
    rate_limited: RefCell<HashMap<u64, RateLimited>>,
}

#[derive(Default)]
struct RateLimited {
    path: String,
    told: u64,
}

/// Cgroups whose paths are remembered for the sum of left-out lines.
const REMEMBERED_CGROUPS: usize = 8192;

impl Reporter {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            cryptnono_sources: config.log.cryptnono_sources,
            cmdline_bytes: config.log.cmdline_bytes,
            env: config.log.env.clone(),
            rate_limited: RefCell::default(),
        }
    }

    /// Says how many lines each cgroup had too many since it was last said.
    pub(super) fn say_rate_limited(&self, agent: &Agent) {
        let mut known = self.rate_limited.borrow_mut();
        let totals = agent.kernel.borrow().rate_limited();
        // What the kernel forgot would start anew there.
        known.retain(|cgroup, entry| {
            entry.told == 0 || totals.iter().any(|(counted, _)| counted == cgroup)
        });
        for (cgroup, total) in totals {
            let entry = known.entry(cgroup).or_default();
            let fresh = total.saturating_sub(entry.told);
            entry.told = total;
            if fresh > 0 {
                agent.log.say(&json!({
                    "event": "log lines left out",
                    "level": "warning",
                    "timestamp": micros::format(jiff::Timestamp::now()),
                    "cgroup": entry.path,
                    "cgroup_id": cgroup & !crate::abi::CGROUP_KEY_V1,
                    "left_out": fresh,
                    "node": agent.node,
                }));
            }
        }
    }

    fn remember(&self, event: &KernelEvent) {
        let mut known = self.rate_limited.borrow_mut();
        if known.len() < REMEMBERED_CGROUPS || known.contains_key(&event.cgroup) {
            let entry = known.entry(event.cgroup).or_default();
            if !event.cgroup_path.is_empty() {
                entry.path.clone_from(&event.cgroup_path);
            }
        }
    }
}

impl Agent {
    /// Tells what the kernel did by itself.
    pub(super) fn tell(self: &Rc<Self>, event: KernelEvent) {
        let reason = event.reason.as_str();
        let outcome = match event.kind {
            EventKind::Killed | EventKind::Spared if event.reason == Reason::Rule => {
                let action = match event.kind {
                    EventKind::Killed => Action::Killed,
                    _ => Action::Spared,
                };
                self.by_rule(&event, Outcome::new(action, Source::Exec))
            }
            EventKind::Killed | EventKind::Spared => {
                let action = if event.kind == EventKind::Killed {
                    Action::Killed
                } else {
                    Action::Spared
                };
                let pattern = (event.reason == Reason::Allowed)
                    .then(|| Table::pattern_of_info(event.info))
                    .flatten();
                let in_force = self.in_force();
                let rule = pattern
                    .filter(|_| event.generation == in_force.judge.table().generation())
                    .and_then(|number| in_force.judge.allow().rules().get(number as usize));
                match rule {
                    Some(rule) => Outcome::allowed(Source::Exec, &rule.pattern),
                    None => Outcome {
                        reason: reason.map(str::to_owned),
                        ..Outcome::new(action, Source::Exec)
                    },
                }
            }
            EventKind::HoldExpired => {
                let is_over = event.reason == Reason::Ceiling;
                let action = match self.config.hold.verdict {
                    HoldVerdict::Kill if !is_over && event.reason != Reason::MaybeRule => {
                        Action::Killed
                    }
                    HoldVerdict::Kill | HoldVerdict::Spare => Action::Spared,
                };
                let why = match reason {
                    Some(reason) if is_over => reason,
                    _ => "nobody decided before the deadline",
                };
                Outcome {
                    hold_ns: Some(event.held_ns),
                    ..Outcome::new(action, Source::Hold).because(why)
                }
            }
            EventKind::HoldBroken => Outcome {
                hold_ns: Some(event.held_ns),
                ..Outcome::new(Action::Killed, Source::Hold)
                    .because("somebody else continued it while it was held")
            },
            EventKind::Held
            | EventKind::WouldKill
            | EventKind::Missed
            | EventKind::Noted
            | EventKind::Rounding
            | EventKind::Wire
            | EventKind::Rhythm
            | EventKind::Connect => return,
        };
        // These come without the program's texts; what was said when it was held has them.
        let event = match event.kind {
            EventKind::HoldExpired | EventKind::HoldBroken => {
                let held = self.deciding.borrow_mut().remove(&event.pid).flatten();
                held.filter(|held| held.start_boottime_ns == event.start_boottime_ns)
                    .unwrap_or(event)
            }
            _ => event,
        };
        self.say(event, outcome);
    }

    /// Does what policy asks for after a kill, and writes a line about a process, once it is known
    /// whose it was. Never waits.
    pub(super) fn say(self: &Rc<Self>, event: KernelEvent, outcome: Outcome) {
        if outcome.action == Action::Killed {
            self.respond_to(&event);
        }
        self.report.remember(&event);
        if event.is_quiet {
            return;
        }
        if let Some(found) = self.index.get_cached(&event.cgroup_path) {
            self.say_of(&event, &outcome, &found);
            return;
        }
        let agent = Rc::clone(self);
        tokio::task::spawn_local(async move {
            let found = agent.index.lookup(&event.cgroup_path).await;
            agent.say_of(&event, &outcome, &found);
        });
    }

    /// With what the rules found, and why that counts.
    pub(super) fn by_rule(&self, event: &KernelEvent, outcome: Outcome) -> Outcome {
        let noticed = self.noticed_by_kernel(event);
        let why = noticed.as_ref().and_then(|noticed| noticed.signs.first());
        Outcome {
            reason: outcome.reason.or(why.map(|sign| sign.what.clone())),
            noticed: noticed.map(Box::new),
            ..outcome
        }
    }

    fn say_of(&self, event: &KernelEvent, outcome: &Outcome, found: &Lookup) {
        self.note(event.cgroup, found);
        if outcome.action == Action::Killed {
            self.note_tenant(event, found);
            if outcome.noticed.is_none() || event.reason == Reason::Rule {
                self.remember_kill(event, found);
            }
        }
        let mut line = self.compose(event, outcome);
        match found {
            Lookup::Known(container) => line.set_container(container),
            Lookup::Unknown { id, .. } => line.container_id.clone_from(id),
            Lookup::Host => {}
        }
        self.log.say(&line);
    }

    fn compose(&self, event: &KernelEvent, outcome: &Outcome) -> GuardEvent {
        let in_force = self.in_force();
        let noticed = outcome.noticed.as_deref();
        let found = match noticed {
            Some(_) => None,
            None => found_in(&in_force, event),
        };
        let facts = found
            .as_ref()
            .and_then(|found| in_force.judge.string(found.string));
        let keep: Vec<_> = found
            .iter()
            .filter(|found| found.region == Region::Arguments)
            .map(|found| found.at.clone())
            .collect();
        let rendered = cmdline::render(&event.arguments, self.report.cmdline_bytes, &keep);
        let is_cut = rendered.cut_from_bytes.is_some()
            || (event.arguments.len() as u64) < event.arguments_len;
        let is_respawn = event.reason == Reason::Suppressed;
        GuardEvent {
            pid: Pid(event.pid),
            cmdline: rendered.text,
            matched: match noticed {
                Some(noticed) => noticed.matched.clone(),
                None => facts.map_or_else(String::new, |facts| facts.banned.text.clone()),
            },
            source: outcome
                .source
                .name(self.report.cryptnono_sources)
                .to_owned(),
            container_type: None,
            labels: None,
            image: None,
            action: outcome.action,
            event: sentence(outcome.action).to_owned(),
            level: match outcome.action {
                Action::Missed | Action::Alerted => "warning".to_owned(),
                _ if event.reason == Reason::Ceiling => "warning".to_owned(),
                _ => "info".to_owned(),
            },
            timestamp: jiff::Timestamp::now(),
            detection: match noticed {
                Some(noticed) => noticed.detection.clone(),
                None if is_respawn => DETECTION_RESPAWN.to_owned(),
                None => DETECTION_STRING.to_owned(),
            },
            group: facts.map_or_else(String::new, |facts| facts.group.clone()),
            matched_in: found
                .map_or(event.region, |found| found.region)
                .as_str()
                .to_owned(),
            reason: outcome.reason.clone(),
            allowedby: outcome.allowed_by.clone(),
            score: noticed.and_then(|noticed| noticed.score),
            signs: noticed.map_or_else(Vec::new, |noticed| noticed.signs.clone()),
            asked: noticed.and_then(|noticed| noticed.asked).map(str::to_owned),
            evidence: noticed.map_or_else(Default::default, |noticed| noticed.evidence.clone()),
            exe: event.exe.clone(),
            ppid: Pid(event.parent),
            ancestry: event
                .ancestors
                .iter()
                .map(|(pid, comm)| Ancestor {
                    pid: Pid(*pid),
                    comm: comm.clone(),
                })
                .collect(),
            uid: Uid(event.uid),
            cgroup: event.cgroup_path.clone(),
            container_id: None,
            hub_user: None,
            node: self.node.clone(),
            kernel_latency_ns: (outcome.source == Source::Exec).then_some(event.latency_ns),
            hold_ns: outcome.hold_ns,
            cmdline_cut_from_bytes: is_cut.then_some(event.arguments_len),
            env: self.wanted_variables(&event.environment),
        }
    }

    fn wanted_variables(&self, environment: &[u8]) -> BTreeMap<String, String> {
        let variable = |pair: &[u8]| {
            let equals = pair.iter().position(|byte| *byte == b'=')?;
            let name = std::str::from_utf8(&pair[..equals]).ok()?;
            let is_wanted = self.report.env.iter().any(|wanted| wanted == name);
            is_wanted.then(|| {
                (
                    name.to_owned(),
                    cmdline::mask_value(name, &pair[equals + 1..]),
                )
            })
        };
        environment
            .split(|byte| *byte == 0)
            .filter_map(variable)
            .collect()
    }
}

/// The match behind an event: as the kernel found it, or found again in what was captured if the
/// kernel's number belongs to other lists or says something else.
pub(super) fn found_in(in_force: &InForce, event: &KernelEvent) -> Option<Match> {
    let judge = &in_force.judge;
    if let Some(found) = judge.first_match(&event.subject()) {
        return Some(found);
    }
    // It stood behind what was captured.
    let place = match event.region {
        Region::Environment => Place::Environment,
        _ => Place::Arguments,
    };
    let is_same = event.generation == judge.table().generation()
        && !matches!(
            event.reason,
            Reason::Allowed | Reason::Suppressed | Reason::Unreadable
        );
    let string = is_same
        .then(|| judge.table().string_of_info(event.info, place))
        .flatten()?;
    Some(Match {
        string,
        region: event.region,
        at: 0..0,
    })
}

/// The action as a sentence; the one for kills is cryptnono's.
fn sentence(action: Action) -> &'static str {
    match action {
        Action::Killed => "Killed process",
        Action::Spared => "Not killing process",
        Action::Held => "Held process before its first instruction",
        Action::WouldKill => "Would kill process",
        Action::Missed => "Process got away",
        Action::Alerted => "Process behaves like a miner",
        Action::Frozen => "Froze the container of a process",
    }
}
