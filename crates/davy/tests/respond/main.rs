//! `davy respond` run for real, as its users run it: a configuration of its own, an AWS account of
//! the test server behind a proxy that fails, a Hub, a cluster, a portal and a mail server.
//!
//! Every known failure of the responders that came before is a test here that passes.

mod brakes;
mod commands;
mod console;
mod finding;
mod ground;
mod hostile;
mod hub;
mod lockdown;
mod machine;
mod queue;
mod silence;
mod stop;
mod storm;
mod tags;
mod twice;
mod unread;
