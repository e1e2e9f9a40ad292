//! scratch
#[allow(missing_docs, clippy::all, unused_qualifications)]
pub mod skel { include!(concat!(env!("OUT_DIR"), "/guard.skel.rs")); }
