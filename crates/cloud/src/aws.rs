//! AWS: sessions and collectors.

pub mod pace;
pub mod read;
pub mod session;
