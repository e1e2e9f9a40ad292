//! The `davy` command: arguments, wiring and printing.

fn main() {}
