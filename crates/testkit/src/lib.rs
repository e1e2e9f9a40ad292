//! Laid in the next commits.
pub mod containerd;
