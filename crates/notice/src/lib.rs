//! What people are told: plain data, shown as text, HTML, chat blocks, cards or JSON, and the channels it
//! goes through.
//!
//! What must stay true: every value is encoded for where it is shown, because parts of it were
//! written on an attacker's host; what is too long is cut with a count of what was cut, and keeps to
//! the limits of its channel; no address, token or password of a channel is in an
//! error, a log line or a `Debug` print.
//!
//! Not here: what is worth telling, to whom and how often, which its callers decide; whether it was told
//! before, which they keep; and what is sent through a cloud's own interface. A channel sends once.

use std::future::Future;
use std::pin::Pin;

use davylamp_model::finding::Severity;
use davylamp_model::ids::IncidentId;
use davylamp_model::resource::Place;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

mod error;
mod html;
mod page;
mod post;
mod show;
mod text;

pub mod pagerduty;
pub mod slack;
pub mod smtp;
pub mod teams;
pub mod webhook;

pub use error::{ChannelError, SendError};
pub use html::body as to_html;
pub use pagerduty::PagerDuty;
pub use post::is_postable;
pub use show::{line, quiet_json, visible};
pub use slack::Slack;
pub use smtp::{Encryption, Server, Smtp};
pub use teams::Teams;
pub use text::{body as to_text, fitting as to_fitting_text, subject};
pub use webhook::{SIGNATURE_HEADER, Webhook, signature};

/// A sending on its way.
pub type Sending<'a> = Pin<Box<dyn Future<Output = Result<(), SendError>> + Send + 'a>>;

/// Why somebody is told something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// What was found and done in an incident.
    Report,
    /// Many incidents at once.
    Digest,
    /// Something did not work.
    Failure,
    /// A person has to say yes.
    ApprovalNeeded,
    /// Something still waits: for a person, a snapshot, the release of what is held.
    Reminder,
    /// Something changed that was told of before.
    Update,
}

impl Kind {
    /// The kind in a subject.
    pub fn label(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::Digest => "digest",
            Self::Failure => "failure",
            Self::ApprovalNeeded => "approval needed",
            Self::Reminder => "reminder",
            Self::Update => "update",
        }
    }
}

/// Something that was not done, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotDone {
    /// What would have been done, with its target.
    pub what: String,
    /// Why not.
    pub why: String,
}

/// What a person should do next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextStep {
    /// What it is for.
    pub what: String,
    /// The exact command, where one does it: `davy respond approve inc-…`.
    pub command: Option<String>,
}

/// Where to read on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// What is there.
    pub label: String,
    /// Its address; shown as text unless it is `https://`.
    pub url: String,
}

/// One incident in a digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The incident.
    pub incident: Option<IncidentId>,
    /// What its own notice would have been.
    pub kind: Kind,
    /// How bad it is.
    pub severity: Severity,
    /// Where.
    pub place: Option<Place>,
    /// What it is about.
    pub title: String,
    /// How many things were done.
    pub done: usize,
    /// How many were not.
    pub not_done: usize,
    /// How many are waited for.
    pub waiting: usize,
}

/// Something to tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Why.
    pub kind: Kind,
    /// When it was written.
    pub at: Timestamp,
    /// The incident; none for a digest, or for a failure before there was one.
    pub incident: Option<IncidentId>,
    /// How bad it is.
    pub severity: Severity,
    /// Account and region, where it is about one.
    pub place: Option<Place>,
    /// What it is about, on one line.
    pub title: String,
    /// What was found, a line each.
    pub found: Vec<String>,
    /// What was done, a line each.
    pub done: Vec<String>,
    /// What was not done.
    pub not_done: Vec<NotDone>,
    /// What is waited for, a line each.
    pub waiting: Vec<String>,
    /// Who it was, and how that is known: each link of the chain with its proof, or why nobody.
    pub who: Vec<String>,
    /// What it has cost so far, a line each.
    pub cost: Vec<String>,
    /// What a person should do next.
    pub next: Vec<NextStep>,
    /// Where to read on.
    pub links: Vec<Link>,
    /// In a digest, the incidents.
    pub incidents: Vec<Summary>,
    /// Whether it is over: what woke people lets them sleep.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_over: bool,
}

impl Notice {
    /// A notice that says nothing yet but its title.
    pub fn new(kind: Kind, severity: Severity, title: impl Into<String>, at: Timestamp) -> Self {
        Self {
            kind,
            at,
            incident: None,
            severity,
            place: None,
            title: title.into(),
            found: Vec::new(),
            done: Vec::new(),
            not_done: Vec::new(),
            waiting: Vec::new(),
            who: Vec::new(),
            cost: Vec::new(),
            next: Vec::new(),
            links: Vec::new(),
            incidents: Vec::new(),
            is_over: false,
        }
    }

    /// Names the incident and where it is.
    #[must_use]
    pub fn about(mut self, incident: IncidentId, place: Place) -> Self {
        self.incident = Some(incident);
        self.place = Some(place);
        self
    }

    /// A digest of all that it says: 64 hexadecimal digits. A notice that is sent twice has the same
    /// one, so that receivers can tell.
    pub fn id(&self) -> String {
        // Every part of it has a JSON form, so this cannot fail; were it to, ids would still differ
        // by title.
        let text = serde_json::to_string(self).unwrap_or_else(|_| self.title.clone());
        hex::encode(Sha256::digest(text))
    }

    /// Who of `to` and `failures_to` gets it: failures have readers of their own where there are some, who
    /// also get the digests that failures are in.
    pub fn recipients<T: Clone + PartialEq>(&self, to: &[T], failures_to: &[T]) -> Vec<T> {
        let is_failure = self.kind == Kind::Failure;
        let tells_of_failures =
            is_failure || self.incidents.iter().any(|it| it.kind == Kind::Failure);
        let mut all = match is_failure && !failures_to.is_empty() {
            true => Vec::new(),
            false => to.to_vec(),
        };
        if tells_of_failures || to.is_empty() {
            for reader in failures_to {
                if !all.contains(reader) {
                    all.push(reader.clone());
                }
            }
        }
        all
    }

    /// What joins notices about the same thing: the incident's id, or for a digest that of its
    /// incidents together.
    pub fn thread(&self) -> String {
        if let Some(incident) = &self.incident {
            return incident.0.clone();
        }
        let mut digest = Sha256::new();
        for incident in self.incidents.iter().filter_map(|it| it.incident.as_ref()) {
            digest.update(incident.as_str());
            digest.update([0]);
        }
        if self.incidents.is_empty() {
            digest.update(&self.title);
        }
        format!(
            "{}-{}",
            self.kind.label().replace(' ', "-"),
            &hex::encode(digest.finalize())[..16]
        )
    }
}

/// A channel to people.
pub trait Notifier: Send + Sync {
    /// Its name, for the journal and the log: `smtp`, `slack`.
    fn name(&self) -> &str;

    /// Sends it, once. What may be repeated says so by being transient.
    fn send<'a>(&'a self, notice: &'a Notice) -> Sending<'a>;
}

#[cfg(test)]
mod tests;
