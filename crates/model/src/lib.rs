//! Davylamp's vocabulary: typed ids, findings, resources, inventories, containers, guard events,
//! modes and verdicts, with their stored forms.
//!
//! Pure: no files, clock, environment, network or randomness. Everything here can be compared,
//! printed and read back. Deciding is not done here (see `detect` and `plan`), nor is looking
//! anything up (see `cloud`).

pub mod ids;

pub mod container;

pub mod guard_event;

pub mod resource;

pub mod finding;

pub mod intake;

pub mod inventory;

pub mod ocsf;

pub mod recording;

pub mod verdict;

pub mod visible;
