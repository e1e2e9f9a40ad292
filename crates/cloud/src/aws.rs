//! AWS: sessions and collectors.

mod call;
pub mod fetch;
pub mod options;
pub mod pace;
pub mod read;
pub mod session;
