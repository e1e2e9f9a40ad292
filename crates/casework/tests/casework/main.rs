//! Cases of stories whose truth is known.

mod coverage;
mod snapshots;
mod stories;
mod support;
