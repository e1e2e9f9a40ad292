//! From what happened in incidents to what people read: the text of notices.
//!
//! What must stay true: what was not done is said with its reason beside what was done, and nothing
//! that was planned is left out of both.

use std::sync::Arc;

use davylamp_model::finding::{Behaviour, Finding, Severity};
use davylamp_notice::{Kind, NextStep, NotDone, Notice, Notifier};
use davylamp_plan::plan::{Attribution, Plan, alike};

use crate::actuator::{ActError, Acting};
use crate::executor::ReadingState;
use crate::journal::history::StepState;
use crate::planning::COST_REMARK;
use crate::responder::{News, NewsKind, Tell};

mod digest;

pub mod patience;

pub use digest::digest;

/// How every title begins where nothing may be done.
const DRY_RUN: &str = "dry run, nothing was done: ";

/// Tells people through channels.
pub struct Teller {
    channels: Vec<Arc<dyn Notifier>>,
    /// Channels that could not be set up, with why: each is a notice that does not go out.
    broken: Vec<(String, String)>,
}

impl Teller {
    /// The channels that could not be set up, with why.
    pub fn broken(&self) -> &[(String, String)] {
        &self.broken
    }

    /// Tells through these channels; `broken` could not be set up.
    pub fn new(channels: Vec<Arc<dyn Notifier>>, broken: Vec<(String, String)>) -> Self {
        Self { channels, broken }
    }
}

fn text(news: &[News]) -> Option<Notice> {
    match news {
        [] => None,
        [one] => Some(notice(one)),
        many => Some(digest(many)),
    }
}

impl Tell for Teller {
    fn channels(&self) -> Vec<String> {
        let working = self
            .channels
            .iter()
            .map(|channel| channel.name().to_owned());
        working
            .chain(self.broken.iter().map(|(name, _)| name.clone()))
            .collect()
    }

    fn tell<'a>(&'a self, channel: &'a str, news: &'a [News]) -> Acting<'a, ()> {
        Box::pin(async move {
            if let Some((name, why)) = self.broken.iter().find(|(name, _)| name == channel) {
                return Err(ActError::NotConfigured {
                    what: format!("send through {name}: {why}"),
                });
            }
            let Some(notice) = text(news) else {
                return Ok(());
            };
            match self.channels.iter().find(|one| one.name() == channel) {
                Some(notifier) => Ok(notifier.send(&notice).await?),
                None => Err(ActError::NotConfigured {
                    what: format!("send through {channel}"),
                }),
            }
        })
    }
}

/// The notice about one incident.
pub fn notice(news: &News) -> Notice {
    let kind = match news.kind {
        NewsKind::Report => Kind::Report,
        NewsKind::ApprovalNeeded => Kind::ApprovalNeeded,
        NewsKind::Failure | NewsKind::Unread => Kind::Failure,
    };
    let mut notice = Notice::new(kind, severity(&news.findings), title(news), news.at);
    notice.incident = (!news.is_of_ourselves()).then(|| news.incident.clone());
    notice.place = news
        .plan
        .as_ref()
        .map(|plan| plan.place.clone())
        .or_else(|| {
            news.findings
                .first()
                .and_then(|finding| finding.place.clone())
        });
    notice.found = news.findings.iter().flat_map(found).collect();
    if let Some(why) = &news.broken {
        notice.not_done.push(NotDone {
            what: match news.kind {
                NewsKind::Unread => "whatever it asks for",
                _ => "anything",
            }
            .to_owned(),
            why: why.clone(),
        });
    }
    if news.seen_again {
        notice.not_done.push(NotDone {
            what: "anything more".to_owned(),
            why: "it goes on, and a person has taken back what was done: a person decides"
                .to_owned(),
        });
    }
    if let Some(plan) = &news.plan {
        tell_plan(news, plan, &mut notice);
    }
    for (step, state) in &news.outcome.earlier {
        if let StepState::Succeeded { note, .. } = state {
            notice
                .done
                .push(format!("{step}, by an earlier plan: {note}"));
        }
    }
    let unreleased = news.outcome.unreleased.iter();
    notice
        .not_done
        .extend(unreleased.map(|(step, why)| NotDone {
            what: format!("take back {step}, whose release has come"),
            why: why.clone(),
        }));
    match news.outcome.reading {
        ReadingState::Complete => {}
        ReadingState::Again => notice
            .waiting
            .push("what could not be read is asked for again, and then planned again".to_owned()),
        ReadingState::GivenUp => notice.not_done.push(NotDone {
            what: "whatever needs what could not be read".to_owned(),
            why: "it could not be read for too long, and is not asked for any more".to_owned(),
        }),
    }
    notice.next = next_steps(news);
    notice
}

fn tell_plan(news: &News, plan: &Plan, notice: &mut Notice) {
    for step in &plan.steps {
        let what = format!("{} {}", step.action.verb(), step.action.target());
        match news.outcome.steps.get(&step.id) {
            Some(StepState::Succeeded { note, already }) => {
                let already = if *already { " (it was so already)" } else { "" };
                notice.done.push(format!("{what}{already}: {note}"));
            }
            Some(StepState::Waiting { what: wait }) => {
                notice.waiting.push(format!("{what}: {wait}"));
            }
            Some(StepState::Failed { why, again }) => notice.not_done.push(NotDone {
                what,
                why: if *again {
                    format!("{why}; it is tried again")
                } else {
                    why.clone()
                },
            }),
            Some(StepState::Withheld { why }) => notice.not_done.push(NotDone {
                what,
                why: why.clone(),
            }),
            Some(StepState::Undone { by, gone: None }) => notice.not_done.push(NotDone {
                what,
                why: format!("it was taken back by {by}"),
            }),
            Some(StepState::Undone {
                gone: Some(why), ..
            }) => notice.not_done.push(NotDone {
                what,
                why: format!("nothing is left of it: {why}"),
            }),
            Some(StepState::Kept { by, why, .. }) => notice.not_done.push(NotDone {
                what,
                why: format!("it stays, while {by} took back the rest: {why}"),
            }),
            Some(StepState::Intended) => notice
                .waiting
                .push(format!("{what}: it was begun when the run ended")),
            None => notice
                .waiting
                .push(format!("{what}: its turn has not come")),
        }
    }
    notice.not_done.extend(
        alike(&plan.omissions)
            .into_iter()
            .map(|(what, target, because)| NotDone {
                what: format!("{} {target}", what.join(", ")),
                why: because.to_owned(),
            }),
    );
    if plan.is_about_users() {
        notice.who = who(&plan.attribution);
    }
    for remark in &plan.remarks {
        match remark.strip_prefix(COST_REMARK) {
            Some(cost) => notice.cost.push(cost.to_owned()),
            None => notice.found.push(remark.clone()),
        }
    }
}

fn severity(findings: &[Finding]) -> Severity {
    findings
        .iter()
        .map(|finding| finding.severity)
        .max()
        .unwrap_or(Severity::High)
}

fn title(news: &News) -> String {
    if news.is_of_ourselves() {
        return news.resource.clone();
    }
    let behaviour =
        news.findings
            .first()
            .map_or("an incident", |finding| match finding.behaviour {
                Behaviour::Mining => "mining",
                Behaviour::MaliciousFile => "a malicious file",
                Behaviour::AttackSequence => "an attack in several steps",
                Behaviour::Exfiltration => "data leaving",
                Behaviour::StolenCredential => "a stolen credential",
                Behaviour::PublicExposure => "a public door",
                Behaviour::SensorStopped => "a stopped sensor",
                Behaviour::RootUsed => "use of root",
                Behaviour::CostAlarm => "a cost alarm",
                Behaviour::Other | Behaviour::Unknown => "a finding",
            });
    let dry_run = if news.dry_run { DRY_RUN } else { "" };
    format!("{dry_run}{behaviour}: {}", news.resource)
}

fn found(finding: &Finding) -> Vec<String> {
    let mut lines = vec![format!("{} ({})", finding.kind, finding.id)];
    if !finding.title.is_empty() {
        lines.push(finding.title.clone());
    }
    lines.extend(
        finding
            .observed
            .iter()
            .map(|seen| format!("{}: {}", seen.what, seen.value)),
    );
    lines.extend(finding.gaps.iter().map(|gap| format!("not known: {gap}")));
    lines
}

fn who(attribution: &Attribution) -> Vec<String> {
    let mut lines = vec![match &attribution.decided {
        Some(user) => format!("{user}: {}", attribution.because),
        None => format!("nobody for sure: {}", attribution.because),
    }];
    for candidate in &attribution.candidates {
        let confirmed = if candidate.confirmed {
            "the Hub knows the name"
        } else {
            "the Hub did not confirm the name"
        };
        lines.push(format!("candidate {} ({confirmed})", candidate.user));
        lines.extend(
            candidate
                .chain
                .iter()
                .map(|link| format!("{} -> {}: {}", link.from, link.to, link.proof)),
        );
        lines.extend(candidate.evidence.iter().cloned());
    }
    lines
}

fn next_steps(news: &News) -> Vec<NextStep> {
    if news.kind == NewsKind::Unread {
        return vec![NextStep {
            what: "see what sends it, and answer what it was about by hand".to_owned(),
            command: Some("davy respond --finding FILE".to_owned()),
        }];
    }
    if news.is_of_ourselves() {
        return vec![NextStep {
            what: "mend that, then respond to what came meanwhile".to_owned(),
            command: Some("davy respond --poll guardduty --once".to_owned()),
        }];
    }
    if news.plan.is_none() && news.kind == NewsKind::Report {
        // Nothing was journaled about it that could be looked at or taken back.
        return Vec::new();
    }
    let incident = &news.incident;
    let mut next = Vec::new();
    let mut step = |what: &str, command: String| {
        next.push(NextStep {
            what: what.to_owned(),
            command: Some(command),
        });
    };
    if news.kind == NewsKind::ApprovalNeeded {
        step(
            "say yes to what waits for a person",
            format!("davy respond approve {incident}"),
        );
    }
    if news.outcome.has_failed() {
        step(
            "mend what made steps fail, then have them tried again",
            format!("davy respond resume {incident}"),
        );
    }
    step(
        "see every step with its reason",
        format!("davy respond status {incident}"),
    );
    let undo = format!("davy respond undo {incident}");
    if !news.outcome.unreleased.is_empty() {
        step(
            "take back what the release timer could not, once what stood in its way is gone",
            undo,
        );
    } else if news.outcome.done().next().is_some() {
        step("take back what can be taken back", undo);
    }
    next
}
