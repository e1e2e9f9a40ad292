//! Who it was: from a cgroup path to the container, pod, image and Hub user.
//!
//! A process that was killed at exec has no `/proc` entry left to ask. What remains is the cgroup
//! path that the kernel captured, and what the container runtime says about the id in it.
//! [`ContainerIndex`] holds the latter ready: it listens to the runtimes' events and reads their
//! lists, so that the usual lookup asks nobody, and keeps what it knew for a while after a container
//! is gone.
//!
//! What must stay true:
//! - A kill never waits for any of this. A lookup has a deadline and runs beside the guard.
//! - Nothing that a process inside a container can choose decides who it is taken for, as far as
//!   the runtime's own answers allow: see [`cgroup_path`], [`hub_user`] and [`docker`].
//! - *Unknown* is never *host*. A lookup that fails says why, and is counted.
//!
//! Deliberately not here: the Kubernetes API. It would need a service account with the right to
//! read every pod, and the runtime on the node knows the same.

pub mod cgroup_path;
pub mod cri;
pub mod docker;
pub mod hub_user;
mod index;
mod lookup;
mod source;

mod bounded;
mod cache;
mod cri_wire;
#[cfg(test)]
mod docker_double;
mod watch;

pub use index::ContainerIndex;
pub use lookup::{IndexConfig, Lookup, Why};
pub use source::{AskError, Change, Described, Socket, SocketKind};
