//! The flight recorder's store: what an account or a cluster looked like, and when.
//!
//! A snapshot is a segment of JSON lines and a line of a chain. What must stay true: what was recorded is
//! never altered, and an alteration shows; what could not be read is recorded as unknown and never as gone;
//! a writer that is stopped at any moment leaves everything that was there, and nothing half. Deliberately
//! not here: asking AWS or a cluster (crate `cloud`), clocks, judging what was recorded.

pub mod canonical;
pub mod chain;
pub mod config;
pub mod diff;
pub mod export;
mod files;
pub mod line;
pub mod picture;
pub mod segment;
pub mod store;
mod taking;
pub mod timeline;
pub mod verify;

pub use store::{Store, StoreError, Writer};
pub use taking::FULL_EVERY;
