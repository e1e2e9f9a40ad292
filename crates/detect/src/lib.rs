//! The judges. The same code fills the kernel's tables, settles a held process, judges the running
//! ones in a sweep, and explains a verdict before anything is enforced.
//!
//! Pure: no files, clock, environment, network or randomness. What must stay true: for any text,
//! [`automaton::Table`] finds exactly what a search for each string by itself would find, wherever
//! it runs. Not here: reading lists (see `content`), and doing anything about a verdict.

pub mod automaton;

pub mod breaker;

pub mod allow;

pub mod judge;

pub mod launch;

pub mod command;

pub mod wire;

pub mod score;

pub mod behaviour;

pub mod address;

pub mod entropy;

pub mod file;

pub mod indicator;

pub mod wallet;
