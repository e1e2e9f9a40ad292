//! Cases of stories whose truth is known.

mod snapshots;
mod stories;
mod support;
