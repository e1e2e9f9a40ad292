//! The console's pages over plain HTTP: the real server on a ledger of its own.

mod access;
mod changes;
mod content;
mod hostile;
mod lists;
mod live;
mod postgres;
mod world;
