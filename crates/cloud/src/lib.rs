//! Clients of AWS, Kubernetes and the Hub, and the collectors that make an
//! [`Inventory`](davylamp_model::inventory::Inventory) with them.
//!
//! What must stay true: this crate changes nothing anywhere, and what it could not read is said as
//! unread, never left out. Deciding is `plan`'s; every write is `respond`'s.

pub mod aws;
pub mod collect;
pub mod hub;
pub mod kubernetes;
pub mod missed;
pub mod secrets;
