//! wip
pub mod machine;

pub mod config;

pub mod lists;
