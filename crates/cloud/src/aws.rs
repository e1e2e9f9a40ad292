//! AWS: sessions and collectors.

#[cfg(feature = "athena")]
pub mod athena;
mod call;
pub mod fetch;
mod json;
pub mod options;
pub mod pace;
pub mod read;
pub mod record;
pub mod session;
pub mod trail_keys;
