//! Kubernetes: clients of clusters, and what is read with them.

pub mod clusters;
pub mod token;

pub use clusters::{ClusterAccess, ClusterEntry, ClusterError, Clusters};
