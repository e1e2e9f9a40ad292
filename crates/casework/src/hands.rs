//! Whose hand did what.

pub mod habit;
pub mod making;
pub mod pairs;
pub mod relation;
pub mod score;
pub mod spread;
