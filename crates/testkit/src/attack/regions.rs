//! The regions of AWS.

/// Those every account has.
pub const ALL: &[&str] = &[
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
    "ca-central-1",
    "sa-east-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "eu-central-1",
    "eu-north-1",
    "ap-south-1",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-southeast-1",
    "ap-southeast-2",
];

/// Those that must be asked for first.
pub const OPT_IN: &[&str] = &["af-south-1", "ap-east-1", "eu-south-1", "me-south-1"];

/// Where events of global services are written, and where this project's accounts live.
pub const HOME: &str = "us-east-1";

/// Regions in which an ordinary account of these stories does its work.
pub const USUAL: &[&str] = &["us-east-1", "us-west-2", "eu-central-1", "eu-west-1"];
