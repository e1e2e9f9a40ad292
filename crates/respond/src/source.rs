//! Where findings come from beside a file: an SQS queue, or GuardDuty itself.

pub mod guardduty;
pub mod queue;
