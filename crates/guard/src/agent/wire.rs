//! What comes of what the programs of the wire tell.

use std::{collections::HashMap, rc::Rc};

use davylamp_content::detection::{Detection, Observed, Wire as Seen};
use davylamp_detect::behaviour::Judge;
use davylamp_model::guard_event::{Action, micros};
use rustix::process::Signal;
use serde_json::{Map, json};

use super::{Agent, chain, notice::Notice, report::Source};
use crate::{
    abi::{CeilingKey, EventKind, Reason},
    config::Config,
    event::KernelEvent,
    process::Process,
    wire::{self, BANNED_ADDRESS, Connect, Destinations, Done, Sight},
};

/// What the agent knows about the wire.
pub(super) struct Wire {
    /// Which detection sees what, and how sure it is.
    detections: HashMap<Seen, (String, u8)>,
    destinations: std::cell::RefCell<Destinations>,
    /// Judges where a process connects to, and how often, by the numbers of the configuration.
    flows: Judge,
}

impl Wire {
    pub(super) fn new(config: &Config) -> Self {
        let window_secs = u64::from(config.flows.lookback_duration_seconds);
        let threshold = config.flows.unique_destinations_threshold;
        let known =
            |(seen, detection): (Seen, Detection)| (seen, (detection.name, detection.score));
        let of_flows = wire::detections()
            .filter(|(seen, _)| matches!(seen, Seen::ManyDestinations | Seen::BannedAddress));
        let configured = of_flows.map(|(_, mut detection)| {
            for (name, value) in &mut detection.parameters {
                match name.as_str() {
                    "more_than" => *value = threshold.into(),
                    "within_secs" => *value = window_secs,
                    _ => {}
                }
            }
            detection
        });
        Self {
            detections: wire::detections().map(known).collect(),
            destinations: Destinations::new(window_secs * 1_000_000_000, threshold as usize).into(),
            flows: Judge::new(configured),
        }
    }
}

impl Agent {
    /// Takes an event of the wire.
    pub(super) fn handle_wire(self: &Rc<Self>, event: KernelEvent, bytes: &[u8]) {
        let read = match event.kind {
            EventKind::Connect => {
                Connect::read(bytes).map(|connect| self.connects(event, &connect))
            }
            _ => Sight::read(&event, bytes).map(|sight| self.sees(event, &sight)),
        };
        if let Err(error) = read {
            self.count(|counts| counts.events_garbled += 1);
            tracing::warn!(
                error = chain(&error),
                "an event of the wire could not be read"
            );
        }
    }

    fn sees(self: &Rc<Self>, mut event: KernelEvent, sight: &Sight) {
        let Some(seen) = sight.seen else {
            return;
        };
        // A test holds that there is one for whatever can be seen.
        let Some((detection, score)) = self.wire.detections.get(&seen).cloned() else {
            return;
        };
        let mut what = sight.told();
        let done = match sight.done {
            Done::Told => None,
            Done::Dropped => Some(Action::Alerted),
            Done::Killed => Some(Action::Killed),
            Done::WouldKill if event.reason != Reason::Ceiling => Some(Action::WouldKill),
            Done::WouldKill => {
                what = over_ceiling(&what);
                Some(Action::WouldKill)
            }
            Done::Spared => {
                let why = event.reason.as_str().unwrap_or_default();
                what = format!("{what}; {why}");
                Some(Action::Spared)
            }
            Done::Missed => Some(self.finish_on_wire(&event, &detection, &mut what)),
        };
        if matches!(sight.done, Done::Dropped) {
            what.push_str("; it was dropped");
        }
        self.complete(&mut event);
        self.notice(Notice {
            event,
            source: Source::Wire,
            detection,
            score,
            matched: sight.matched(),
            what,
            evidence: sight.evidence(),
            done,
        });
    }

    /// The kernel could not reach the owner from where it was; here it is reached by descriptor.
    fn finish_on_wire(&self, event: &KernelEvent, detection: &str, what: &mut String) -> Action {
        if event.pid == 0 {
            let why = Reason::OwnerUnknown.as_str().unwrap_or_default();
            what.push_str(&format!("; {why}: it is killed at its next call"));
            return Action::Missed;
        }
        let victim = self.victim_at(event.cgroup, &event.cgroup_path);
        if !self.may_kill(CeilingKey::detection(detection), victim) {
            *what = over_ceiling(what);
            return Action::WouldKill;
        }
        let process = Process::open(event.pid, Some(event.start_boottime_ns));
        match process.map(|process| process.map(|process| process.signal(Signal::KILL))) {
            Ok(Some(Ok(true))) => {
                what.push_str("; it was killed from user space");
                Action::Killed
            }
            Ok(None | Some(Ok(false))) => {
                what.push_str("; it was gone at the second try");
                Action::Killed
            }
            Ok(Some(Err(error))) | Err(error) => {
                what.push_str(&format!("; it cannot be signalled: {error}"));
                Action::Missed
            }
        }
    }

    /// Reads the arguments that the kernel could not, where the process is still there.
    fn complete(&self, event: &mut KernelEvent) {
        if !event.arguments.is_empty() || event.pid == 0 {
            return;
        }
        let process = Process::open(event.pid, Some(event.start_boottime_ns));
        if let Ok(Some(process)) = process
            && let Ok(arguments) = process.arguments()
        {
            event.arguments_len = arguments.len() as u64;
            event.arguments = arguments;
        }
    }

    fn connects(self: &Rc<Self>, event: KernelEvent, connect: &Connect) {
        let mut evidence = Map::new();
        let to = connect.remote;
        evidence.insert("remote".to_owned(), json!(to.to_string()));
        if let Some(done) = connect.banned {
            let observed = Observed {
                banned: Some(to.ip().to_string()),
                ..Observed::default()
            };
            let Some((detection, score, mut what)) = self.sign_of_flows(&observed) else {
                return;
            };
            let action = match done {
                Done::Killed => Action::Killed,
                Done::Spared => Action::Spared,
                Done::WouldKill => {
                    if event.reason == Reason::Ceiling {
                        what = over_ceiling(&what);
                    }
                    Action::WouldKill
                }
                Done::Told | Done::Dropped | Done::Missed => {
                    self.finish_on_wire(&event, BANNED_ADDRESS, &mut what)
                }
            };
            self.count(|counts| counts.flows_banned.add(action));
            self.notice(Notice {
                event: self.completed(event),
                source: Source::Wire,
                detection,
                score,
                matched: to.to_string(),
                what,
                evidence,
                done: Some(action),
            });
            return;
        }
        if self.config.flows.log_connects {
            self.log.say(&json!({
                "event": "Process connects",
                "level": "info",
                "timestamp": micros::format(jiff::Timestamp::now()),
                "action": "observed",
                "pid": event.pid,
                "comm": event.comm,
                "exe": event.exe,
                "cgroup": event.cgroup_path,
                "remote": to.to_string(),
                "node": self.node,
            }));
        }
        if !self.config.flows.private_destinations && is_private(to.ip()) {
            return;
        }
        let process = (event.pid, event.start_boottime_ns);
        let mut destinations = self.wire.destinations.borrow_mut();
        let Some(reached) = destinations.connect(process, to, event.time_ns) else {
            return;
        };
        drop(destinations);
        let observed = Observed {
            destinations: reached as u64,
            lasts_secs: self.config.flows.lookback_duration_seconds.into(),
            ..Observed::default()
        };
        let Some((detection, score, mut what)) = self.sign_of_flows(&observed) else {
            return;
        };
        evidence.insert("destinations".to_owned(), json!(reached));
        let action = if self.observes() {
            Action::WouldKill
        } else if let Some(why) = self.reason_to_spare(&event) {
            what = format!("{what}; {why}");
            Action::Spared
        } else {
            self.finish_on_wire(&event, &detection, &mut what)
        };
        self.count(|counts| counts.flows_many.add(action));
        self.notice(Notice {
            event: self.completed(event),
            source: Source::Wire,
            detection,
            score,
            matched: reached.to_string(),
            what,
            evidence,
            done: Some(action),
        });
    }

    /// The detection that sees something in where a process connects to, its score, and what it saw.
    fn sign_of_flows(&self, observed: &Observed) -> Option<(String, u8, String)> {
        let sign = self.wire.flows.judge(observed).into_iter().next()?;
        Some((sign.detection.name.clone(), sign.detection.score, sign.what))
    }

    fn completed(&self, mut event: KernelEvent) -> KernelEvent {
        self.complete(&mut event);
        event
    }

    /// Why a process that the kernel did not judge is not killed.
    fn reason_to_spare(&self, event: &KernelEvent) -> Option<&'static str> {
        if event.pid <= 1 || event.pid == std::process::id() {
            return Reason::PidOne.as_str();
        }
        let is_below = |protected: &String| {
            let rest = event
                .cgroup_path
                .strip_prefix(protected.trim_end_matches('/'));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if self.config.protect.cgroups.iter().any(is_below) {
            return Reason::ProtectedCgroup.as_str();
        }
        let process = Process::open(event.pid, Some(event.start_boottime_ns)).ok()??;
        let runs = crate::protect::exe_key(&process.executable_file());
        let is_protected = runs.is_ok_and(|key| self.protected.borrow().contains(&key));
        is_protected.then_some(Reason::ProtectedExecutable.as_str()?)
    }
}

fn over_ceiling(what: &str) -> String {
    format!("{what}; {}", Reason::Ceiling.as_str().unwrap_or_default())
}

/// Addresses within a network, which cryptnono does not count.
fn is_private(address: std::net::IpAddr) -> bool {
    match address {
        std::net::IpAddr::V4(address) => {
            address.is_private() || address.is_loopback() || address.is_link_local()
        }
        std::net::IpAddr::V6(address) => {
            address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
        }
    }
}
