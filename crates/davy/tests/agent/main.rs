//! The guard as one whole, on this machine's kernel: the real `davy guard` over real execs.
//!
//! Every test but that of `davy up` bans a string of its own, in a file, and has pins of its own, so that tests run
//! beside each other and beside whatever else guards this machine. Needs root.

mod containers;
mod holds;
mod meddling;
mod never_off;
mod protection;
mod reload;
mod spool;
mod support;
mod sweep;
mod up;
