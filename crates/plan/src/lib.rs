//! Finding, inventory and policy in; a plan out: what should be done, in which order, to which
//! targets, and why the rest should not.
//!
//! Pure and total: the same input gives the same plan, whatever the input. What must stay true:
//! a protected target is never in a plan, nothing that destroys evidence comes before it, two
//! candidates are never both punished, and every omission has its reason. Only [`gate`] makes an
//! [`ActToken`](gate::ActToken), without which `respond` cannot act.
//!
//! Deliberately not here: asking anybody anything (`cloud` collects), and doing (`respond` does).

pub mod action;

pub mod plan;

pub mod policy;

pub mod gate;

pub mod planner;
pub mod rehearse;

pub mod who;

mod brakes;

mod pattern;

mod scope;

mod steps;
