//! Working for a console: its jobs, taken one after another, and an outbox for what came of them.
//!
//! What must stay true: what was put into the outbox outlives the process, and the console has it once,
//! however often it is sent. Doing the jobs is not here.

pub mod config;

mod desk;
mod outbox;

pub use desk::{Desk, DeskError, Job};
pub use outbox::Outbox;
