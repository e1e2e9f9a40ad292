//! `cargo xtask`: chores of the project itself.

fn main() {}
