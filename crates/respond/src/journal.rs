//! What was done, is being done and has to be done again: the memory that outlives a run.
//!
//! The Lambda and the command keep none of their own. Two stores have the same meaning: a DynamoDB
//! table (conditional writes) and a local SQLite file. The account's [`tags`] promise a little
//! less. [`memory`] forgets with the process: for plans that touch nothing.

use std::future::Future;
use std::pin::Pin;

use davylamp_model::finding::Finding;
use davylamp_model::ids::IncidentId;
use davylamp_plan::gate::{Refusal, Room};
use davylamp_plan::plan::{Plan, StepId};
use davylamp_plan::policy::{Approvals, Usage};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

mod fields;

pub mod history;

pub mod memory;

pub mod sqlite;

pub mod dynamodb;

pub mod tags;

/// A future that a journal returns.
pub type Journaling<'a, T> = Pin<Box<dyn Future<Output = Result<T, JournalError>> + Send + 'a>>;

/// One thing that happened in an incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// Which run wrote it.
    pub run: String,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What can happen in an incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A finding was added.
    Found {
        /// The finding, whole: a run that is cut off before it has a plan can then be resumed
        /// without waiting for another delivery.
        finding: Box<Finding>,
    },
    /// The plan was made. A later one replaces it: a new finding about the same resource may need
    /// more than the first did. Redelivery of known findings plans nothing.
    Planned {
        /// The plan.
        plan: Box<Plan>,
    },
    /// A step is about to be taken; what was there before.
    Intended {
        /// The step.
        step: StepId,
        /// What undo needs.
        before: Value,
        /// The playbook whose caps it counts towards.
        playbook: String,
        /// Whether it counts as an irreversible step.
        irreversible: bool,
    },
    /// A step is done and verified.
    Succeeded {
        /// The step.
        step: StepId,
        /// How it is now.
        note: String,
        /// Whether it was so before we came.
        already: bool,
    },
    /// A step failed.
    Failed {
        /// The step.
        step: StepId,
        /// Why.
        why: String,
        /// Whether another run may succeed.
        again: bool,
    },
    /// A step was not taken.
    Withheld {
        /// The step.
        step: StepId,
        /// Why.
        why: String,
    },
    /// A step waits for something outside.
    Waiting {
        /// The step.
        step: StepId,
        /// For what.
        what: String,
    },
    /// A person said yes.
    Approved {
        /// To what.
        approvals: Approvals,
    },
    /// Somebody has mended what kept steps from being taken: those that failed for good are tried
    /// again.
    Retried {
        /// Who says so.
        by: String,
    },
    /// A step was taken back.
    Undone {
        /// The step.
        step: StepId,
        /// By whom: a person's name, or `release timer`.
        by: String,
        /// Why there was nothing left of it to take back, where that is so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gone: Option<String>,
    },
    /// Everything was taken back that could be, and what this step left stays, as it is meant to:
    /// evidence.
    Kept {
        /// The step.
        step: StepId,
        /// Who took the rest back.
        by: String,
    },
    /// A notice went out.
    Notified {
        /// Which notice, such as `report` or `failure/terminate-instance:…`.
        notice: String,
        /// Through which channel.
        channel: String,
    },
    /// A notice did not go out. It is tried again until it does.
    Untold {
        /// Through which channel.
        channel: String,
        /// Why.
        why: String,
    },
    /// The time of a step's release has come, and what it did stays all the same: no run will take
    /// it back by itself.
    Unreleased {
        /// The step.
        step: StepId,
        /// Why.
        why: String,
    },
    /// What the plan was made without is not waited for any more.
    Read {
        /// Whether because it could not be read for too long; otherwise it was read, and nothing
        /// more has to be done for it.
        given_up: bool,
    },
    /// Nothing is left to do.
    Finished,
}

/// Whether a run may work on an incident.
#[derive(Debug, Clone, PartialEq)]
pub enum Claim {
    /// It may; `entries` is all that happened so far.
    Ours {
        /// The incident: the proposed one, or one about the same resource that is still open.
        incident: IncidentId,
        /// What happened so far, in order.
        entries: Vec<Entry>,
    },
    /// Another run works on it until `until`.
    Busy {
        /// The incident.
        incident: IncidentId,
        /// The other run.
        run: String,
        /// When its lease ends.
        until: Timestamp,
    },
}

/// Asks for the right to work on a resource's incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimRequest {
    /// The resource, as `account/region/` and its key.
    pub resource: String,
    /// The id to use if no incident about the resource is open.
    pub proposed: IncidentId,
    /// The run that asks.
    pub run: String,
    /// Now.
    pub now: Timestamp,
    /// How long the lease lasts, in seconds, unless it is renewed.
    pub lease_secs: u32,
    /// An incident about the resource that was opened longer ago, in hours, is over.
    pub window_hours: u32,
}

/// Keeps what happened.
pub trait Journal: Send + Sync {
    /// Claims a resource's incident by one conditional write.
    fn claim<'a>(&'a self, request: &'a ClaimRequest) -> Journaling<'a, Claim>;

    /// Claims a known incident, to resume, undo or approve.
    fn claim_incident<'a>(
        &'a self,
        incident: &'a IncidentId,
        run: &'a str,
        now: Timestamp,
        lease_secs: u32,
    ) -> Journaling<'a, Claim>;

    /// Appends an entry and renews the lease from the entry's own time. Fails with
    /// [`JournalError::Lost`] where another run has taken over: then this run must stop at once.
    fn append<'a>(
        &'a self,
        incident: &'a IncidentId,
        entry: &'a Entry,
        lease_secs: u32,
    ) -> Journaling<'a, ()>;

    /// Appends the entry of a step that is about to be taken, if there is [`Room`] for it beside
    /// what other incidents of its playbook began in the hour before the entry's own time; fails
    /// with [`JournalError::Capped`] otherwise.
    ///
    /// A store that can measures and writes in one go, so that incidents which begin at the same
    /// time cannot pass a cap together. This default is for one that cannot: there they can, by
    /// as many as there are runs at once.
    fn begin<'a>(
        &'a self,
        incident: &'a IncidentId,
        entry: &'a Entry,
        lease_secs: u32,
        room: &'a Room,
    ) -> Journaling<'a, ()> {
        Box::pin(async move {
            if let Some((playbook, _)) = fields::counts_for(&entry.event) {
                let since = fields::cap_window(entry.at);
                let others = self.usage(playbook, since, incident).await?;
                room.allows(&others)?;
            }
            self.append(incident, entry, lease_secs).await
        })
    }

    /// Renews the lease while nothing happens. Fails as [`Journal::append`] does.
    fn renew<'a>(
        &'a self,
        incident: &'a IncidentId,
        run: &'a str,
        now: Timestamp,
        lease_secs: u32,
    ) -> Journaling<'a, ()>;

    /// Ends the lease. `due` is when the incident wants to be looked at again, if ever.
    fn release<'a>(
        &'a self,
        incident: &'a IncidentId,
        run: &'a str,
        due: Option<Timestamp>,
    ) -> Journaling<'a, ()>;

    /// All that happened in an incident; `None` where there is no such incident.
    fn read<'a>(&'a self, incident: &'a IncidentId) -> Journaling<'a, Option<Vec<Entry>>>;

    /// Incidents that want to be looked at again by now.
    fn due<'a>(&'a self, now: Timestamp) -> Journaling<'a, Vec<IncidentId>>;

    /// Every incident, the newest first, at most `limit`.
    fn list<'a>(&'a self, limit: u32) -> Journaling<'a, Vec<IncidentId>>;

    /// What was done by a playbook since `since`, `incident` left out: for the caps.
    fn usage<'a>(
        &'a self,
        playbook: &'a str,
        since: Timestamp,
        incident: &'a IncidentId,
    ) -> Journaling<'a, Usage>;

    /// Asks for the right to send a notice, by one conditional write. The incident need not exist:
    /// a digest has an id of its own. The one that gets [`Once::Ours`] sends it and then
    /// [settles](Journal::settle) it. A run that dies between the two holds the notice until its
    /// lease ends, after which another sends it: rather twice than never.
    fn once<'a>(&'a self, notice: &'a NoticeMark) -> Journaling<'a, Once>;

    /// Says whether the notice went out. One that did not may be sent by another run at once.
    fn settle<'a>(&'a self, notice: &'a NoticeMark, sent: bool) -> Journaling<'a, ()>;
}

/// A notice that goes out once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticeMark {
    /// The incident, or the digest's own id.
    pub incident: IncidentId,
    /// Which notice through which channel, such as `report/mail`.
    pub notice: String,
    /// The run that wants to send it.
    pub run: String,
    /// Now.
    pub now: Timestamp,
    /// How long sending it may take, in seconds.
    pub lease_secs: u32,
}

/// Whether a notice may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Once {
    /// By this run, now.
    Ours,
    /// Another run is sending it, or died while doing so: ask again later.
    Busy {
        /// When its lease ends.
        until: Timestamp,
    },
    /// It went out.
    Sent,
}

/// Why the journal could not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// Another run has taken over.
    #[error("another run has taken over incident {incident}")]
    Lost {
        /// The incident.
        incident: IncidentId,
    },
    /// There is no such incident.
    #[error("there is no incident {incident}")]
    NoSuchIncident {
        /// The incident asked for.
        incident: IncidentId,
    },
    /// The playbook's cap leaves no room for the step.
    #[error(transparent)]
    Capped(#[from] Refusal),
    /// The store does not answer: repeat.
    #[error("the journal {store} does not answer: {why}")]
    Unreachable {
        /// Which store.
        store: String,
        /// What it said.
        why: String,
    },
    /// There is no such store.
    #[error("there is no journal {store}: {why}")]
    NoStore {
        /// Which store.
        store: String,
        /// What it said.
        why: String,
    },
    /// What the store holds cannot be understood.
    #[error("the journal {store} holds what cannot be read: {why}")]
    Unreadable {
        /// Which store.
        store: String,
        /// What is wrong.
        why: String,
    },
    /// Nothing more fits into what the store has for one incident.
    #[error("the journal {store} has no room for more of incident {incident}")]
    Overflow {
        /// Which store.
        store: String,
        /// The incident.
        incident: IncidentId,
    },
}
