//! The responder as an AWS Lambda function.
fn main() {}
