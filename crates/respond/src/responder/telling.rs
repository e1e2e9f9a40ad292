//! Who is told what: once each, in one message for an incident, in one digest under a storm.
//!
//! A message that cannot be sent re-runs nothing: its marks are taken back and the incident is due
//! again, when only the message is left to do.

use std::collections::BTreeSet;

use davylamp_model::finding::Finding;
use davylamp_model::ids::IncidentId;
use davylamp_model::intake::Rejected;
use davylamp_plan::gate::may_be_approved;
use davylamp_plan::plan::Plan;
use futures::future::join_all;
use jiff::Timestamp;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;

use super::observing::is_observed;
use super::{CameOfIt, Held, IncidentReport, Report, Responder};
use crate::actuator::Acting;
use crate::coalesce::OnlyReported;
use crate::executor::{Outcome, ReadingState};
use crate::journal::history::StepState;
use crate::journal::{Entry, Event, JournalError, NoticeMark, Once};
use crate::tell::patience::Patient;

/// Tells people.
pub trait Tell: Send + Sync {
    /// The names of the channels: each is told by itself, and once.
    fn channels(&self) -> Vec<String>;

    /// Tells the news of one incident, or of several as a digest, through one channel, once: an error
    /// that is transient is tried again.
    fn tell<'a>(&'a self, channel: &'a str, news: &'a [News]) -> Acting<'a, ()>;
}

/// Why somebody is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NewsKind {
    /// What was found and done.
    Report,
    /// A person has to say yes.
    ApprovalNeeded,
    /// Something failed.
    Failure,
    /// Something that was to be answered cannot be read.
    Unread,
}

/// What was to be answered and cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// The id under which the journal keeps that it was told: it is no incident.
    thread: IncidentId,
    /// What it is, as a clause.
    what: String,
}

impl Unread {
    /// An input of which something was rejected. The same input is told once, however often it comes.
    pub fn of(input: &[u8], rejected: &[Rejected]) -> Option<Self> {
        let named = rejected.iter().take(NAMED).map(|one| {
            let begins = match one.excerpt.is_empty() {
                true => String::new(),
                false => format!(" (it begins with {:?})", one.excerpt),
            };
            format!("{}: {}{begins}", one.at, one.why)
        });
        let mut named: Vec<String> = named.collect();
        if rejected.len() > NAMED {
            named.push(format!("and {} more", rejected.len() - NAMED));
        }
        let digest = hex::encode(Sha256::digest(input));
        (!rejected.is_empty()).then(|| Self {
            thread: IncidentId(format!("told-{}", &digest[..16])),
            what: named.join("; "),
        })
    }
}

/// How many parts of an input that cannot be read are named one by one.
const NAMED: usize = 5;

/// How an outcome stands, for the name under which it is told: what was done since is news. What was
/// taken back is not, as whoever did so knows.
fn standing(outcome: &Outcome) -> String {
    if !outcome.finished {
        return "under-way".to_owned();
    }
    let mut digest = Sha256::new();
    for (id, state) in &outcome.steps {
        let stands = match state {
            StepState::Withheld { .. } => "withheld",
            StepState::Failed { .. } => "failed",
            _ => "done",
        };
        digest.update(format!("{id} {stands}\n"));
    }
    format!("finished-{}", &hex::encode(digest.finalize())[..8])
}

/// What there is to tell of one incident.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct News {
    /// Why.
    pub kind: NewsKind,
    /// When.
    pub at: Timestamp,
    /// The incident.
    pub incident: IncidentId,
    /// What it is about, as the journal names it.
    pub resource: String,
    /// Its plan, with what was omitted and why.
    pub plan: Option<Plan>,
    /// Its findings.
    pub findings: Vec<Finding>,
    /// Where each step stands.
    pub outcome: Outcome,
    /// The channels of which the journal says that they did not take the last notice.
    pub untold: BTreeSet<String>,
    /// Whether it goes on although a person has taken back what was done, and nothing is done.
    pub seen_again: bool,
    /// Why it could not be worked on at all.
    pub broken: Option<String>,
    /// What is new in it, by the names under which the journal knows that it was told.
    pub marks: Vec<String>,
    /// Whether nothing was done because nothing may be.
    pub dry_run: bool,
}

impl News {
    /// That findings are not answered at all, and why.
    pub fn of_ourselves(why: &str, at: Timestamp) -> Self {
        Self {
            kind: NewsKind::Failure,
            at,
            incident: IncidentId("none".to_owned()),
            resource: "Davylamp itself, which answers no finding".to_owned(),
            plan: None,
            findings: Vec::new(),
            outcome: Outcome::default(),
            untold: BTreeSet::new(),
            seen_again: false,
            broken: Some(why.to_owned()),
            marks: Vec::new(),
            dry_run: false,
        }
    }

    /// Whether it is about no incident.
    pub fn is_of_ourselves(&self) -> bool {
        self.plan.is_none() && self.findings.is_empty()
    }
}

/// A notice that did not go out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Untold {
    /// The incident.
    pub incident: IncidentId,
    /// The channel.
    pub channel: String,
    /// Why.
    pub why: String,
}

impl Responder {
    /// What there is to tell of an incident that was worked on.
    pub(super) fn news(&self, held: &Held<'_>, plan: Option<&Plan>, outcome: &Outcome) -> News {
        let hash = plan.map(Plan::hash).unwrap_or_default();
        let hash = hash.get(..12).unwrap_or_default();
        let mut marks = vec![format!("report/{hash}/{}", standing(outcome))];
        let mut kind = NewsKind::Report;
        let needs_person = outcome.withheld().any(|(_, why)| may_be_approved(why));
        if needs_person {
            kind = NewsKind::ApprovalNeeded;
            marks.push(format!("approval/{hash}"));
        }
        for (id, _) in outcome.failures() {
            kind = NewsKind::Failure;
            marks.push(format!("failure/{hash}/{id}"));
        }
        if outcome.reading == ReadingState::GivenUp {
            kind = NewsKind::Failure;
            marks.push(format!("unread/{hash}"));
        }
        for (id, _) in &outcome.unreleased {
            kind = NewsKind::Failure;
            // Without the plan's hash: whatever else is planned, it stays the same news.
            marks.push(format!("release/{id}"));
        }
        if let Some(again) = &held.seen_again {
            kind = NewsKind::ApprovalNeeded;
            marks.push(format!("seen-again/{again}"));
        }
        let dry_run = is_observed(held.ledger.incident());
        if dry_run {
            kind = NewsKind::Report;
            marks = vec![format!("dry-run/{hash}")];
        }
        News {
            kind,
            at: self.now(),
            incident: held.ledger.incident().clone(),
            resource: held.resource.clone(),
            plan: plan.cloned(),
            findings: held
                .ledger
                .read(|history| history.findings.values().cloned().collect()),
            outcome: outcome.clone(),
            untold: held
                .ledger
                .read(|history| history.untold.keys().cloned().collect()),
            seen_again: held.seen_again.is_some(),
            broken: None,
            marks,
            dry_run,
        }
    }

    /// What there is to tell of an input that cannot be read.
    pub(super) fn unread(&self, one: &Unread) -> News {
        News {
            kind: NewsKind::Unread,
            resource: "an input that cannot be read".to_owned(),
            incident: one.thread.clone(),
            marks: vec!["unread".to_owned()],
            ..News::of_ourselves(&one.what, self.now())
        }
    }

    /// What there is to tell of a finding that nothing is done about.
    pub(super) fn only_told(&self, one: &OnlyReported) -> News {
        News {
            kind: NewsKind::Report,
            at: self.now(),
            incident: one.thread(),
            resource: one.whole.resources.first().map_or_else(
                || "a finding without a resource".to_owned(),
                ToString::to_string,
            ),
            plan: None,
            findings: vec![one.whole.clone()],
            outcome: Outcome::default(),
            untold: BTreeSet::new(),
            seen_again: false,
            broken: Some(one.because.clone()),
            marks: vec!["reported".to_owned()],
            dry_run: self.parts.options.observe,
        }
    }

    /// Tells what there is to tell, then lets go of the incidents.
    pub(super) async fn conclude(
        &self,
        results: Vec<(IncidentReport, Option<News>)>,
        only_told: Vec<News>,
        report: &mut Report,
    ) {
        let (incidents, news): (Vec<IncidentReport>, Vec<Option<News>>) =
            results.into_iter().unzip();
        let news: Vec<News> = news.into_iter().flatten().chain(only_told).collect();
        // All at once, so that one which does not answer takes no other's time.
        let channels = self.parts.tell.channels();
        let appending = Mutex::new(());
        let told = channels
            .iter()
            .map(|channel| self.tell_through(channel, &news, &appending));
        report
            .untold
            .extend(join_all(told).await.into_iter().flatten());
        for incident in &incidents {
            let CameOfIt::Worked { outcome } = &incident.came_of_it else {
                continue;
            };
            if self.parts.options.dry_run {
                continue;
            }
            let untold = report
                .untold
                .iter()
                .any(|it| it.incident == incident.incident);
            let due = match (untold, outcome.due) {
                (true, Some(due)) => Some(due.min(self.look_again())),
                (true, None) => Some(self.look_again()),
                (false, due) => due,
            };
            let journal = &self.parts.executor.journal;
            // One that is not let go of is due when its lease ends.
            if let Err(error) = journal
                .release(&incident.incident, &self.parts.run, due)
                .await
            {
                tracing::warn!(incident = %incident.incident, %error, "release");
            }
        }
        report.incidents.extend(incidents);
        report
            .incidents
            .sort_by(|one, other| one.resource.cmp(&other.resource));
    }

    /// Tells what is new through one channel; what did not go out comes back.
    async fn tell_through(
        &self,
        channel: &str,
        news: &[News],
        appending: &Mutex<()>,
    ) -> Vec<Untold> {
        let options = &self.parts.options;
        let mut untold = Vec::new();
        let mut fresh = Vec::new();
        let mut patient = Patient::new(
            self.parts.executor.clock.as_ref(),
            options.patience,
            options.tell_until,
        );
        for one in news {
            match self.mark(channel, one).await {
                Ok((marks, busy)) => {
                    if busy {
                        untold.push(Untold {
                            incident: one.incident.clone(),
                            channel: channel.to_owned(),
                            why: "another run was about to tell it".to_owned(),
                        });
                    }
                    if !marks.is_empty() {
                        fresh.push((one.clone(), marks));
                    }
                }
                // A journal that does not answer must not keep people from learning that.
                Err(_) => fresh.push((one.clone(), Vec::new())),
            }
        }
        let digest = fresh.len() >= options.digest_from.max(2);
        let size = if digest { fresh.len() } else { 1 };
        for some in fresh.chunks(size.max(1)) {
            let news: Vec<News> = some.iter().map(|(news, _)| news.clone()).collect();
            let tell = &self.parts.tell;
            let sent = patient.deliver(channel, || tell.tell(channel, &news)).await;
            if let Err(error) = &sent.result {
                untold.extend(news.iter().map(|news| Untold {
                    incident: news.incident.clone(),
                    channel: channel.to_owned(),
                    why: error.to_string(),
                }));
            }
            let refusal = sent.result.err().map(|error| error.to_string());
            for (news, marks) in some {
                self.settle(channel, news, marks, refusal.as_deref(), appending)
                    .await;
            }
        }
        untold
    }

    /// Marks what is new in the news as being told; what was told before is not new. Says as well
    /// whether another run holds a mark: it may have died before it told anybody.
    async fn mark(
        &self,
        channel: &str,
        news: &News,
    ) -> Result<(Vec<NoticeMark>, bool), JournalError> {
        let mut ours = Vec::new();
        let mut busy = false;
        for mark in &news.marks {
            let mark = NoticeMark {
                incident: news.incident.clone(),
                notice: format!("{mark}/{channel}"),
                run: self.parts.run.clone(),
                now: self.now(),
                lease_secs: self.parts.options.notice_lease_secs,
            };
            match self.parts.executor.journal.once(&mark).await? {
                Once::Ours => ours.push(mark),
                Once::Busy { .. } => busy = true,
                Once::Sent => {}
            }
        }
        Ok((ours, busy))
    }

    /// Journals that a notice went out, or did not and why.
    async fn settle(
        &self,
        channel: &str,
        news: &News,
        marks: &[NoticeMark],
        refusal: Option<&str>,
        appending: &Mutex<()>,
    ) {
        let journal = &self.parts.executor.journal;
        for mark in marks {
            if let Err(error) = journal.settle(mark, refusal.is_none()).await {
                // It is told once more when the mark's lease has ended: rather twice than never.
                tracing::warn!(incident = %mark.incident, %error, "notice mark");
            }
        }
        let is_known = refusal.is_some() && news.untold.contains(channel);
        if is_known || news.broken.is_some() {
            return;
        }
        let channel = channel.to_owned();
        let entry = Entry {
            at: self.now(),
            run: self.parts.run.clone(),
            event: match refusal {
                None => Event::Notified {
                    notice: news.marks.join(" "),
                    channel,
                },
                Some(why) => Event::Untold {
                    channel,
                    why: why.to_owned(),
                },
            },
        };
        let lease_secs = self.parts.executor.options.lease_secs;
        // A store that numbers an incident's entries could refuse two at once.
        let _one_at_a_time = appending.lock().await;
        if let Err(error) = journal.append(&news.incident, &entry, lease_secs).await {
            tracing::warn!(incident = %news.incident, %error, "notice entry");
        }
    }
}
