//! wip
pub mod machine;
