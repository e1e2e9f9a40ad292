//! The console's pages over plain HTTP: the real server on a ledger of its own.

mod access;
mod changes;
mod content;
mod hostile;
mod lists;
mod live;
mod postgres;
#[allow(dead_code, reason = "the tests of what is counted use the rest")]
mod world;
