//! From logs and snapshots to a case: who acted, since when, how far, what it cost, who is innocent.
//!
//! What must stay true: each statement names the records behind it; what cannot be known is said
//! as unknown, with the reason; memory does not grow with the logs. Deliberately not here: reading logs
//! (crate `hunt`), taking snapshots (crate `recorder`), clocks, the network, printing.

pub mod case;
pub mod cite;
mod columns;
pub mod cost;
pub mod detail;
pub mod hands;
pub mod integrity;
pub mod investigate;
pub mod report;
pub mod snapshots;
pub mod story;
pub mod trail;
pub mod witnesses;
