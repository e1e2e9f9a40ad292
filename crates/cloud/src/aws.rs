//! AWS: sessions and collectors.

pub mod session;
