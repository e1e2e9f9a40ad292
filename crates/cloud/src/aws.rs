//! AWS: sessions and collectors.

pub mod fetch;
pub mod pace;
pub mod read;
pub mod session;
