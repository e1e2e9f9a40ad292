//! Kubernetes: clients of clusters, and what is read with them.

pub mod clusters;
mod object;
pub mod read;
mod reader;
pub mod record;
pub mod token;

pub use clusters::{ClusterAccess, ClusterEntry, ClusterError, Clusters};
