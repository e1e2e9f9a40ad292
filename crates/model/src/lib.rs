//! Davylamp's vocabulary: typed ids, containers, guard events, modes and verdicts, with their
//! stored forms.
//!
//! Pure: no files, clock, environment, network or randomness. Everything here can be compared,
//! printed and read back. Deciding is not done here (see `detect`), nor is looking anything up.

pub mod ids;

pub mod container;

pub mod guard_event;
