//! Laid in the next commits.
pub mod container;
