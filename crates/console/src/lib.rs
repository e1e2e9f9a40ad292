//! The console: what happened, who owns it and what is decided, as pages, an API and a live stream.
//!
//! What must stay true: the ledger is the only truth, and each decision of a person is an entry of it;
//! nothing is answered as taken before the ledger has it; every page but the live one works without a
//! script; nothing that an attacker named (a command line, a pod, a user) is ever more than text on a
//! page; no secret is rendered or logged.
//!
//! Not here: judging (but for what a pasted list would have done about what is known), planning and doing
//! anything to a cluster or account. Those who do report here.

mod access;
mod api;
mod chores;
mod clocks;
pub mod config;
mod ingest;
mod jobs;
mod live;
pub mod memory;
pub mod notices;
mod observe;
mod page;
mod sender;
mod serve;
mod site;
pub mod store;

pub use access::{
    OidcError, PasswordError, Role, Scope, check_new as check_password, hash_password,
};
pub use observe::ObserveError;
pub use sender::{EVENTS, JOBS, RECORDS, SCOPES};
pub use serve::{Console, ConsoleError, Ready};
