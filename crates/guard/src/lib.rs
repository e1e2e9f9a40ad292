//! wip
pub mod cmdline;
pub mod sandbox;
pub mod machine;
