//! Whose hand did what.

pub mod habit;
pub mod pairs;
pub mod relation;
pub mod score;
pub mod spread;
