//! The form in which responders, hunts and audits send records to a console: one JSON object a line.
//!
//! What must stay true: only what others may say has this form. What the ledger decides itself, and what
//! people decide in the console, has none. A record says by ids of findings, a plan or a job which
//! incident it is about: numbers of incidents are the ledger's own.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::record::{IncidentNo, Record};

/// What a record is about.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct About {
    /// The job that it came of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// The plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// Ids of findings, as their sources gave them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<String>,
}

/// A record on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// What tells it from everything else: under one id it is taken once.
    pub id: String,
    /// What it is about.
    #[serde(default)]
    pub about: About,
    /// It.
    pub record: Record,
}

impl Sent {
    /// A record with an id made of what it says and of what makes it this one and no other, such as when
    /// it happened.
    pub fn new(record: Record, about: About, distinction: &str) -> Self {
        let mut digest = Sha256::new();
        for part in [
            crate::table::json(&record),
            crate::table::json(&about),
            distinction.to_owned(),
        ] {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part.as_bytes());
        }
        Self {
            id: hex::encode(&digest.finalize()[..20]),
            about,
            record,
        }
    }

    /// Whether others may say this at all.
    pub fn is_for_senders(record: &Record) -> bool {
        matches!(
            record,
            Record::Plan(_)
                | Record::Action(_)
                | Record::Evidence(_)
                | Record::Run(_)
                | Record::Audit(_)
                | Record::Cost(_)
                | Record::Blocklist(_)
        )
    }
}

/// Says who sent it beside whom it names, and which incident it is about.
pub fn settle(record: &mut Record, incident: Option<IncidentNo>, sender: &str) {
    let (of, by) = match record {
        Record::Plan(it) => (Some(&mut it.incident), &mut it.by),
        Record::Action(it) => (Some(&mut it.incident), &mut it.by),
        Record::Evidence(it) => (Some(&mut it.incident), &mut it.by),
        Record::Run(it) => (None, &mut it.by),
        Record::Audit(it) => (None, &mut it.by),
        Record::Blocklist(it) => (None, &mut it.by),
        Record::Cost(it) => {
            if let Some(incident) = incident {
                it.incident = incident;
            }
            (None, &mut it.by)
        }
        _ => return,
    };
    if let Some(of) = of {
        *of = incident;
    }
    *by = match by.trim() {
        "" => sender.to_owned(),
        name if name == sender => sender.to_owned(),
        name => format!("{name}, through {sender}"),
    };
}
