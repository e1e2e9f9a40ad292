//! What the flight recorder sees, against real counterparts: the AWS test server behind a proxy that fails
//! on demand, and a double of the Kubernetes API.

mod account;
mod cluster;
mod faults;
mod names;
mod support;
