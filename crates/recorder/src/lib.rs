//! The flight recorder's store: what an account or a cluster looked like, and when.
//!
//! What must stay true: what was recorded is never altered, and an alteration shows; what could not be
//! read is recorded as unknown and never as gone. Deliberately not here: asking AWS or a cluster
//! (crate `cloud`), clocks, judging what was recorded.
