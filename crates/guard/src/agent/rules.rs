//! What the detections say of a process, as the agent finds it out and tells it.
//!
//! The kernel decides by the same words; where a command line has to be taken apart first, it holds the
//! process and this decides.

use std::rc::Rc;

use davylamp_content::{blocklist::Place, detection};
use davylamp_detect::{
    command::Finding,
    judge::{Subject, command_line},
};
use davylamp_model::guard_event::{Action, Sign};
use rustix::process::Signal;

use super::{
    Agent, place_of,
    report::{Noticed, Outcome, Source},
};
use crate::{
    abi::{CeilingKey, Reason},
    container::Lookup,
    event::KernelEvent,
    process::Process,
};

/// A finding for the log, by the sign that weighs most.
fn noticed(finding: &Finding<'_>) -> Option<Noticed> {
    let strongest = finding.signs.first()?;
    let now = jiff::Timestamp::now();
    let signs = finding.signs.iter().map(|sign| Sign {
        detection: sign.detection.name.clone(),
        score: f64::from(sign.score),
        what: sign.why.clone(),
        at: now,
    });
    Some(Noticed {
        detection: strongest.detection.name.clone(),
        matched: strongest.matched.clone(),
        score: Some(f64::from(finding.score)),
        signs: signs.collect(),
        ..Noticed::default()
    })
}

impl Outcome {
    /// What comes of a process by what the rules found. `None` where they found nothing.
    fn of_finding(finding: &Finding<'_>, source: Source) -> Option<Self> {
        let action = match finding.action {
            detection::Action::Clean => return None,
            detection::Action::Spare => Action::Spared,
            detection::Action::Alert => Action::Alerted,
            detection::Action::Kill => Action::Killed,
        };
        let why = finding.signs.first().map(|sign| sign.why.clone());
        Some(Self {
            reason: why,
            noticed: noticed(finding).map(Box::new),
            ..Self::new(action, source)
        })
    }
}

impl Agent {
    /// What the rules say of all of a process, where an allow pattern does not excuse it. `None` where
    /// they find nothing.
    pub(super) fn ruling_by_rules(
        &self,
        subject: &Subject<'_>,
        place: &Place<'_>,
        source: Source,
    ) -> Option<Outcome> {
        let in_force = self.in_force();
        let rules = in_force.rules.as_ref()?;
        let finding = rules.judge(subject)?;
        let outcome = Outcome::of_finding(&finding, source)?;
        if outcome.action != Action::Killed {
            return Some(outcome);
        }
        let line = command_line(subject.arguments);
        Some(match in_force.judge.allow().allowing(&line, place) {
            Some((_, rule)) => Outcome {
                noticed: outcome.noticed,
                ..Outcome::allowed(source, &rule.pattern)
            },
            None => outcome,
        })
    }

    /// The kernel found words that do not suffice to stop a process. What they add up to is told.
    pub(super) fn judge_noted(self: &Rc<Self>, event: KernelEvent) {
        let agent = Rc::clone(self);
        tokio::task::spawn_local(async move {
            let found = agent.index.lookup(&event.cgroup_path).await;
            let ruling = agent.ruling_by_rules(&event.subject(), &place_of(&found), Source::Exec);
            let outcome = match ruling {
                Some(ruling) if ruling.action == Action::Killed => {
                    agent.kill_noted(&event, ruling, &found)
                }
                Some(ruling) if ruling.action == Action::Alerted => ruling,
                // What a tool merely names is no news.
                _ => return,
            };
            agent.say(event, outcome);
        });
    }

    /// Kills what was let run at its exec, a tool at a terminal, now that it is known what it starts.
    fn kill_noted(&self, event: &KernelEvent, ruling: Outcome, found: &Lookup) -> Outcome {
        let name = ruling
            .noticed
            .as_ref()
            .map_or("", |noticed| &noticed.detection);
        let victim = self.victim_at(event.cgroup, &event.cgroup_path);
        let action = match () {
            () if self.is_protected(found) => Action::Spared,
            () if self.observes() => Action::WouldKill,
            () if !self.may_kill(CeilingKey::detection(name), victim) => Action::WouldKill,
            () => match Process::open(event.pid, Some(event.start_boottime_ns)) {
                Ok(Some(process)) if self.is_exempt(&process, &event.cgroup_path) => Action::Spared,
                Ok(Some(process)) if process.signal(Signal::KILL).unwrap_or(false) => {
                    Action::Killed
                }
                _ => Action::Missed,
            },
        };
        Outcome { action, ..ruling }
    }

    /// What the rules found in a process that the kernel killed or spared by them.
    pub(super) fn noticed_by_kernel(&self, event: &KernelEvent) -> Option<Noticed> {
        let in_force = self.in_force();
        let is_by_rule = match event.reason {
            Reason::Rule | Reason::MaybeRule => true,
            Reason::Ceiling => super::report::found_in(&in_force, event).is_none(),
            _ => false,
        };
        if !is_by_rule {
            return None;
        }
        let rules = in_force.rules.as_ref()?;
        if let Some(finding) = rules.judge(&event.subject()) {
            return noticed(&finding);
        }
        // It stood behind what was captured.
        let detection = (event.reason == Reason::Rule
            && event.generation == rules.table().generation())
        .then(|| rules.detection_of_rule(event.info))
        .flatten();
        Some(Noticed {
            detection: detection.map_or_else(String::new, |detection| detection.name.clone()),
            ..Noticed::default()
        })
    }
}
