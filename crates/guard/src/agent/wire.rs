//! What comes of what the programs of the wire tell.

use std::{collections::HashMap, rc::Rc};

use davylamp_content::detection::{Wire as Seen, shipped};
use davylamp_model::guard_event::{Action, micros};
use rustix::process::Signal;
use serde_json::{Map, Value, json};

use super::{Agent, chain, notice::Notice, report::Source};
use crate::{
    abi::{EventKind, Reason},
    config::Config,
    event::KernelEvent,
    process::Process,
    wire::{Connect, Destinations, Done, Sight},
};

/// The detections of cryptnono's flow killer.
const MANY_DESTINATIONS: &str = "many-destinations";
const BANNED_ADDRESS: &str = "banned-address";

/// How sure something is that no detection is about: the address of a pool, which may be another's by
/// now.
const SCORE_ALONE: u8 = 20;

/// What the agent knows about the wire.
pub(super) struct Wire {
    /// Which detection sees what, and how sure it is.
    detections: HashMap<Seen, (String, u8)>,
    destinations: std::cell::RefCell<Destinations>,
}

impl Wire {
    pub(super) fn new(config: &Config) -> Self {
        let mut detections = HashMap::new();
        for parsed in shipped().unwrap_or_default() {
            for seen in &parsed.detection.sees {
                let known = (parsed.detection.name.clone(), parsed.detection.score);
                detections.insert(*seen, known);
            }
        }
        let window_ns = u64::from(config.flows.lookback_duration_seconds) * 1_000_000_000;
        let threshold = config.flows.unique_destinations_threshold as usize;
        Self {
            detections,
            destinations: Destinations::new(window_ns, threshold).into(),
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
        let (detection, score) = match self.wire.detections.get(&seen) {
            Some((detection, score)) => (detection.clone(), *score),
            None => (seen.as_str().to_owned(), SCORE_ALONE),
        };
        let mut what = sight.told();
        let done = match sight.done {
            Done::Told => None,
            Done::Dropped => Some(Action::Alerted),
            Done::Killed => Some(Action::Killed),
            Done::WouldKill => Some(Action::WouldKill),
            Done::Spared => {
                let why = event.reason.as_str().unwrap_or_default();
                what = format!("{what}; {why}");
                Some(Action::Spared)
            }
            Done::Missed => Some(self.finish_on_wire(&event, &mut what)),
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
    fn finish_on_wire(&self, event: &KernelEvent, what: &mut String) -> Action {
        if event.pid == 0 {
            let why = Reason::OwnerUnknown.as_str().unwrap_or_default();
            what.push_str(&format!("; {why}: it is killed at its next call"));
            return Action::Missed;
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
            let mut what = format!("it connects to {}, which is banned", to.ip());
            let action = match done {
                Done::Killed => Action::Killed,
                Done::Spared => Action::Spared,
                Done::WouldKill => Action::WouldKill,
                Done::Told | Done::Dropped | Done::Missed => self.finish_on_wire(&event, &mut what),
            };
            self.count(|counts| counts.flows_banned.add(action));
            self.flow_notice(
                event,
                BANNED_ADDRESS,
                to.to_string(),
                what,
                evidence,
                action,
            );
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
        let window = self.config.flows.lookback_duration_seconds;
        let mut what = format!("it reached {reached} destinations within {window} seconds");
        evidence.insert("destinations".to_owned(), json!(reached));
        let action = if self.observes() {
            Action::WouldKill
        } else if let Some(why) = self.reason_to_spare(&event) {
            what = format!("{what}; {why}");
            Action::Spared
        } else {
            self.finish_on_wire(&event, &mut what)
        };
        self.count(|counts| counts.flows_many.add(action));
        self.flow_notice(
            event,
            MANY_DESTINATIONS,
            reached.to_string(),
            what,
            evidence,
            action,
        );
    }

    fn flow_notice(
        self: &Rc<Self>,
        mut event: KernelEvent,
        detection: &str,
        matched: String,
        what: String,
        evidence: Map<String, Value>,
        action: Action,
    ) {
        self.complete(&mut event);
        self.notice(Notice {
            event,
            source: Source::Wire,
            detection: detection.to_owned(),
            score: 100,
            matched,
            what,
            evidence,
            done: Some(action),
        });
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
