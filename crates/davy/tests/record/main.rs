//! `davy record` as somebody runs it, on an account of the AWS test server and a double of a cluster.

mod asked;
mod bucket;
mod ground;
mod taken;
