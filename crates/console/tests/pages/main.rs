//! The console's pages over plain HTTP: the real server on a ledger of its own.

mod access;
mod account;
mod blocklists;
mod changes;
mod clocks;
mod content;
mod evidence;
mod hostile;
mod hunts;
mod jobs;
mod killed;
mod lists;
mod live;
mod notices;
mod oidc;
mod plans;
mod postgres;
mod posture;
mod report;
mod routes;
mod sessions;
mod slow;
mod work;
#[allow(dead_code, reason = "the tests of what is counted use the rest")]
mod world;
