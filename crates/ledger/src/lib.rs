//! What happened and who decided what: append-only entries, each carrying the hash of the one before,
//! and tables derived from them, in SQLite or PostgreSQL.
//!
//! What must stay true: entries are the truth, and the tables can be made of them again at any time
//! ([`Ledger::rebuild`]) and are compared with them ([`Ledger::verify`]). A finding that is delivered
//! again changes nothing. Which incident a finding belongs to does not depend on the order in which
//! findings come. One batch is one transaction, and writers go one after another, also from two
//! consoles on one database.
//!
//! Not here: the web, a clock (times are passed in), sending anything to anybody, and reading the forms
//! in which findings come (see `model::intake`).

pub mod record;

pub mod keys;

pub mod chain;

pub mod rows;

pub mod query;

pub mod wire;

mod apply;
mod carry;
mod decide;
mod error;
mod ledger;
mod open;
mod replay;
mod retain;
mod spans;
mod table;
mod text;
mod verify;
mod work;

pub use chain::{Entry, Head};
pub use decide::{CONTAIN, Clocks, Input, OWN, Receipt};
pub use error::LedgerError;
pub use ledger::Ledger;
pub use open::Options;
pub use record::{IncidentNo, Record, Reported, Reporter, Taken};
pub use retain::{Policy, Removed};
pub use verify::{Fault, Verification};
