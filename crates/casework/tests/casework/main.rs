//! Cases of stories whose truth is known.

mod stories;
mod support;
