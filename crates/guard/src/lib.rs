//! wip
pub mod cmdline;
pub mod http;
pub mod metrics;
pub mod sandbox;
pub mod machine;
