//! What was done to things, and against logs and sensors, each with its record.

use crate::case::EvidenceId;
use crate::detail::How;
use crate::hands::pairs::At;

/// What was done to a thing, and when.
#[derive(Debug, Clone)]
pub struct Sight {
    /// The moment, in microseconds since 1970.
    pub at: i64,
    /// What.
    pub how: How,
    /// The action.
    pub action: String,
    /// By whom.
    pub by: At,
    /// Whether it was the hand.
    pub is_hand: bool,
    /// The record.
    pub evidence: EvidenceId,
}

/// A thing by kind, id and region.
pub type ThingKey = (String, String, String);

/// An act against a log or sensor, or for it.
#[derive(Debug, Clone)]
pub struct Blinding {
    /// The moment, in microseconds since 1970.
    pub at: i64,
    /// The action.
    pub action: String,
    /// What it is about.
    pub target: String,
    /// The region.
    pub region: String,
    /// Why it failed.
    pub error: String,
    /// Whose.
    pub by: At,
    /// Whether it was the hand.
    pub is_hand: bool,
    /// Whether it takes sight rather than giving it.
    pub is_against: bool,
    /// The record.
    pub evidence: EvidenceId,
}

/// Adds what was done to a thing. Of the same done again and again, the first and the last are kept.
pub fn see(sights: &mut Vec<Sight>, mut new: Sight, cite: impl FnOnce() -> EvidenceId) {
    let is_same = |it: &Sight| {
        (it.how, &it.action, it.by, it.is_hand) == (new.how, &new.action, new.by, new.is_hand)
    };
    let mut same = (0..sights.len()).filter(|place| is_same(&sights[*place]));
    let known = (same.next(), same.next());
    if let (Some(one), Some(other)) = known {
        let (first, last) = match sights[one].at <= sights[other].at {
            true => (one, other),
            false => (other, one),
        };
        let replaced = match new.at {
            at if at < sights[first].at => first,
            at if at > sights[last].at => last,
            _ => return,
        };
        new.evidence = cite();
        sights[replaced] = new;
        return;
    }
    new.evidence = cite();
    sights.push(new);
}

/// Things of IAM are in every region, and others in one.
pub fn key_of(kind: &str, id: &str, region: &str) -> ThingKey {
    const GLOBAL: &[&str] = &[
        "user",
        "role",
        "policy",
        "access-key",
        "login-profile",
        "mfa-device",
        "group",
    ];
    let region = if GLOBAL.contains(&kind) { "" } else { region };
    (kind.to_owned(), id.to_owned(), region.to_owned())
}
