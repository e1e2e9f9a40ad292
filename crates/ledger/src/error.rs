//! What can go wrong with a ledger.

use crate::record::IncidentNo;

/// Why something was not done. No text of an error holds a password or the address with one.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The address is none that a ledger can have.
    #[error("this is no address of a ledger: {why}; write sqlite:///path or postgres://host/name")]
    Address {
        /// What is wrong with it.
        why: String,
    },
    /// A file or a secret could not be read or made.
    #[error("could not {what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The database is not there, or does not answer.
    #[error("the ledger's database did not do what it was asked for: {0}")]
    Database(String),
    /// Made by a newer program, or by another one.
    #[error(
        "the ledger has layout {found}, and this program knows {known}: use the program that made it"
    )]
    Layout {
        /// What it has.
        found: i64,
        /// What is known here.
        known: i64,
    },
    /// A record that only the ledger itself may write.
    #[error("a record of kind \"{kind}\" is written by the ledger alone")]
    NotForCallers {
        /// Its kind.
        kind: &'static str,
    },
    /// A record that could not be read again: a text of a plan that is nested too deep.
    #[error("a record of kind \"{kind}\" could not be read again: {why}")]
    NotStorable {
        /// Its kind.
        kind: &'static str,
        /// Why.
        why: String,
    },
    /// An incident that is not there.
    #[error("there is no incident {incident}")]
    NoSuchIncident {
        /// Its number.
        incident: IncidentNo,
    },
    /// A decision that needs a reason and has none.
    #[error("closing an incident and accepting a risk need a reason")]
    NoReason,
    /// A job that cannot be taken, ended or withdrawn so.
    #[error("job {job}: {why}")]
    Job {
        /// Its id.
        job: String,
        /// Why not.
        why: String,
    },
    /// A cursor that no list gave.
    #[error("this cursor is from no list of this ledger")]
    Cursor,
    /// An import into what is not empty.
    #[error("the ledger already has {entries} entries; import into an empty one")]
    NotEmpty {
        /// How many.
        entries: i64,
    },
    /// A file that is no export, was altered, or was cut off.
    #[error("line {line} of the export: {why}; nothing was imported")]
    Import {
        /// Counted from one.
        line: u64,
        /// What is wrong with it.
        why: String,
    },
    /// An entry that should be readable and is not.
    #[error("entry {seq} cannot be read: {why}; run a verification")]
    Entry {
        /// Its number.
        seq: i64,
        /// What is wrong with it.
        why: String,
    },
}

impl From<sqlx::Error> for LedgerError {
    fn from(error: sqlx::Error) -> Self {
        // The text of a configuration error could repeat the address.
        Self::Database(match error {
            sqlx::Error::Configuration(_) => "its address is not understood".to_owned(),
            error => error.to_string(),
        })
    }
}
