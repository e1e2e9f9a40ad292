//! wip
pub mod cmdline;
pub mod machine;
