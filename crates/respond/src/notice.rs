//! The channels that are AWS's own: mail by SES, and topics of SNS. All others are in
//! [`davylamp_notice`].
//!
//! Whether a notice was sent before is the journal's to know, what is said and how often it is tried
//! [`tell`](crate::tell)'s; a channel sends once.

mod aws;

pub use aws::{Ses, Sns};

#[cfg(test)]
mod tests;
