//! Whether the logs are whole: our verdicts on trails that are as they were delivered and on trails that are
//! not, beside those of the AWS CLI.

mod agreement;
mod ground;
mod laws;
mod verdicts;
