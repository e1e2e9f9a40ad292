//! The node guard: the kernel programs, their loader, and the agent around them.
//!
//! The kernel programs in `bpf/` judge and kill by themselves; the agent brings them their tables,
//! decides what they hold, sweeps what already runs, finds out who it was, and says what happened.
//! What must stay true: no verdict on an exec waits for the agent, except a hold, which has a
//! deadline; and whatever the agent does, the programs and the last good table stay in force.
//!
//! Not here: how text is judged (`detect`), and what a blocklist may say (`content`).

pub mod agent;

pub mod abi;

pub mod cmdline;

pub mod config;

pub mod container;

pub mod event;

pub mod http;

pub mod kernel;

pub mod lists;

pub mod log;

pub mod machine;

pub mod metrics;

pub mod process;

pub mod protect;

pub mod sandbox;

pub mod scan;

pub mod wire;
