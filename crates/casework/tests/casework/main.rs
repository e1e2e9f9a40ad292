//! Cases of stories whose truth is known.

#![allow(
    clippy::print_stdout,
    reason = "how well a case fits is printed, and asserted only as far as it must be"
)]

mod config;
mod coverage;
mod crowds;
mod items;
mod sessions;
mod snapshots;
mod stories;
mod support;
mod witnesses;
