//! Which of the guard's lines are more than the guard could settle by itself.
//!
//! The guard kills on its node, and most of the time that is the end of it. It is not where something
//! starts the killed program again: a pod whose restart policy says so is back within seconds. So the
//! second kill in one pod, within a window, asks for the pod itself, and so does a line in which the
//! guard says that its signs add up to that.
//!
//! What must stay true: a line that is read twice counts once; two pods of one name are told apart
//! where the line says which; and what only observed asks for nothing.
//!
//! Deliberately not here: whether the pod is ended. Playbook, policy and brakes decide that.

use std::collections::{BTreeMap, BTreeSet};

use davylamp_model::finding::Finding;
use davylamp_model::ids::FindingId;
use davylamp_model::intake::escalate;
use davylamp_model::resource::Resource;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// Pods that are remembered. Beyond, those that were longest without a kill are forgotten.
const MOST_PODS: usize = 10_000;

/// What is to be done about a line.
#[derive(Debug, Clone, PartialEq)]
pub enum Judged {
    /// More than the guard did: the finding, of a type that says so.
    Escalate(Box<Finding>),
    /// The guard did what there was to do, or only observes. Why nothing more is done.
    Noted(&'static str),
}

/// Counts kills by pod.
#[derive(Debug)]
pub struct Repeats {
    kills: usize,
    window: SignedDuration,
    pods: BTreeMap<String, BTreeSet<(Timestamp, String)>>,
}

impl Repeats {
    /// Escalates at this many kills in a pod within the window.
    pub fn new(kills: u32, window: SignedDuration) -> Self {
        Self {
            kills: kills.max(1) as usize,
            window,
            pods: BTreeMap::new(),
        }
    }

    /// Judges a line and the finding that it is.
    pub fn judge(&mut self, line: &Value, finding: Finding) -> Judged {
        let action = line["action"].as_str().unwrap_or_default();
        let asks = line["asked"].as_str() == Some("evict-pod");
        match action {
            "would-kill" | "observed" => return Judged::Noted("the guard only observes there"),
            "alerted" if !asks => return Judged::Noted("its signs are not enough to act on"),
            // It runs on, whatever it is.
            "missed" | "missed-kill" => return escalated(finding),
            _ if asks => return escalated(finding),
            _ => {}
        }
        let Some(pod) = pod_of(line, &finding) else {
            return Judged::Noted("it ran in no pod, and the guard has ended it");
        };
        let at = finding.last_seen.unwrap_or(Timestamp::UNIX_EPOCH);
        let FindingId(id) = &finding.id;
        let kills = self.pods.entry(pod).or_default();
        kills.insert((at, id.clone()));
        let from = at.checked_sub(self.window).unwrap_or(Timestamp::MIN);
        kills.retain(|(when, _)| *when >= from);
        let is_repeated = kills.len() >= self.kills;
        self.forget();
        if is_repeated {
            escalated(finding)
        } else {
            Judged::Noted("the guard has ended it, for the first time in this pod")
        }
    }

    fn forget(&mut self) {
        while self.pods.len() > MOST_PODS {
            let last = |kills: &BTreeSet<(Timestamp, String)>| kills.last().map(|(at, _)| *at);
            let oldest = self.pods.iter().min_by_key(|(_, kills)| last(kills));
            let Some(oldest) = oldest.map(|(pod, _)| pod.clone()) else {
                return;
            };
            self.pods.remove(&oldest);
        }
    }
}

fn escalated(mut finding: Finding) -> Judged {
    escalate(&mut finding);
    Judged::Escalate(Box::new(finding))
}

/// The pod's uid where the line has it; else its name, which another pod may bear later.
fn pod_of(line: &Value, finding: &Finding) -> Option<String> {
    if let Some(uid) = line["labels"]["io.kubernetes.pod.uid"].as_str() {
        return Some(uid.to_owned());
    }
    finding
        .resources
        .iter()
        .find_map(|resource| match resource {
            Resource::Workload {
                namespace,
                kind,
                name,
                ..
            } if kind == "pods" => Some(format!("{namespace}/{name}")),
            _ => None,
        })
}

#[cfg(test)]
mod tests {
    use davylamp_model::intake;
    use serde_json::json;

    use super::*;

    fn line(action: &str, pod: &str, second: u32) -> Value {
        json!({
            "pid": 7, "cmdline": "x", "matched": "x", "source": "davylamp.exec", "event": "Killed process",
            "action": action, "detection": "mining-command-line", "node": "n1", "exe": "/x",
            "timestamp": format!("2026-01-02T03:04:{second:02}.000000Z"), "cgroup": "/x",
            "labels": {
                "io.kubernetes.pod.namespace": "web", "io.kubernetes.pod.name": pod,
                "io.kubernetes.pod.uid": format!("uid-{pod}"),
            },
        })
    }

    fn judge(repeats: &mut Repeats, line: &Value) -> Judged {
        let intake = intake::read(line.to_string().as_bytes());
        let finding = intake.findings.into_iter().next().expect("a finding");
        repeats.judge(line, finding)
    }

    #[track_caller]
    fn is_escalated(judged: &Judged, expected: bool) {
        match judged {
            Judged::Escalate(finding) => {
                assert!(expected);
                assert_eq!(finding.kind, "Davylamp:Evict/mining-command-line");
            }
            Judged::Noted(why) => assert!(!expected, "{why}"),
        }
    }

    #[test]
    fn the_second_kill_in_a_pod_asks_for_the_pod() {
        let mut repeats = Repeats::new(2, SignedDuration::from_secs(30));
        is_escalated(&judge(&mut repeats, &line("killed", "a", 1)), false);
        // Read again after a restart of the reader: the same kill.
        is_escalated(&judge(&mut repeats, &line("killed", "a", 1)), false);
        is_escalated(&judge(&mut repeats, &line("killed", "b", 2)), false);
        is_escalated(&judge(&mut repeats, &line("killed", "a", 5)), true);
        is_escalated(&judge(&mut repeats, &line("killed", "b", 40)), false);
    }

    #[test]
    fn what_the_guard_asks_for_is_asked_for_at_once() {
        let mut repeats = Repeats::new(2, SignedDuration::from_secs(30));
        let mut asks = line("killed", "a", 1);
        asks["asked"] = json!("evict-pod");
        is_escalated(&judge(&mut repeats, &asks), true);
        asks["asked"] = json!("kill-process");
        is_escalated(&judge(&mut repeats, &asks), false);
        is_escalated(&judge(&mut repeats, &line("missed", "c", 1)), true);
        is_escalated(&judge(&mut repeats, &line("alerted", "c", 1)), false);
        for second in 0..5 {
            let observed = line("would-kill", "d", second);
            is_escalated(&judge(&mut repeats, &observed), false);
        }
        let mut host = line("killed", "e", 1);
        host["labels"] = Value::Null;
        is_escalated(&judge(&mut repeats, &host), false);
        is_escalated(&judge(&mut repeats, &host), false);
    }
}
