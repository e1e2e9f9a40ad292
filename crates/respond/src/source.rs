//! Where findings come from beside a file: an SQS queue, GuardDuty itself, or the guard's spool.

pub mod guardduty;
pub mod queue;
pub mod repeats;
