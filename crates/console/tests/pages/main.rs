//! The console's pages over plain HTTP: the real server on a ledger of its own.

mod access;
mod account;
mod changes;
mod clocks;
mod content;
mod evidence;
mod hostile;
mod jobs;
mod killed;
mod lists;
mod live;
mod notices;
mod oidc;
mod postgres;
mod routes;
mod sessions;
mod slow;
mod world;
