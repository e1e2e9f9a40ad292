//! The collector against real counterparts: the AWS test server behind a proxy that fails on
//! demand, a double of the Kubernetes API, and a real JupyterHub.

mod account;
mod aws;
mod cluster;
mod support;
