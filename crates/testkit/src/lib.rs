//! What the tests of several crates share.

pub mod containerd;

pub mod kernel_test;
