//! What the tests of several crates share.

pub mod attack;

pub mod browser;

pub mod cgroup;

pub mod cloudtrail_digest;

pub mod containerd;

pub mod faults;

pub mod guard;

pub mod guardduty;

pub mod http;

pub mod jupyterhub;

pub mod kernel_test;

pub mod kubernetes;

pub mod lambda_runtime;

pub mod mail;

pub mod moto;

pub mod oidc;

pub mod postgres;

pub mod programs;

pub mod trail_keys;

pub mod usage;

pub mod webhook;

pub mod wire;
