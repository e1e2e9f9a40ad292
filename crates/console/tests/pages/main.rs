//! The console's pages over plain HTTP: the real server on a ledger of its own.

mod access;
mod blocklists;
mod changes;
mod content;
mod hostile;
mod hunts;
mod lists;
mod live;
mod plans;
mod postgres;
mod posture;
mod report;
mod work;
mod world;
