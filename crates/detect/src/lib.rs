//! Laid in the next commits.
