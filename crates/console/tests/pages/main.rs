//! The console's pages over plain HTTP: the real server on a ledger of its own.

mod access;
mod changes;
mod clocks;
mod content;
mod hostile;
mod killed;
mod lists;
mod live;
mod notices;
mod postgres;
mod world;
