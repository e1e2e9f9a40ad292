//! The chain: each entry carries a digest of what it says and of the entry before it.
//!
//! What must stay true: the form that is hashed never changes for a version; a new form gets a new
//! label. Every part is preceded by its length, so that no two different entries have one form.

use sha2::{Digest as _, Sha256};

/// What the hashed form begins with.
const LABEL: &[u8] = b"davylamp-ledger/1";

/// The hash before the first entry.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The end of a ledger, to be noted elsewhere: whoever holds it notices a tail that was cut off.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Head {
    /// The last entry's number; 0 of an empty ledger.
    pub seq: i64,
    /// Its hash, in hexadecimal digits.
    pub hash: String,
}

impl Head {
    /// That of an empty ledger.
    pub fn genesis() -> Self {
        Self {
            seq: 0,
            hash: GENESIS.to_owned(),
        }
    }
}

/// One entry as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Entry {
    /// Its number, from 1 without gaps.
    pub seq: i64,
    /// When it was written, in microseconds since 1970.
    pub at_us: i64,
    /// What kind it is of.
    pub kind: String,
    /// What it says, as JSON; `None` where retention has removed it.
    pub body: Option<String>,
    /// The SHA-256 of what it says or said, in hexadecimal digits.
    pub body_hash: String,
    /// The hash of it and of everything before it.
    pub hash: String,
}

/// The digest of a body.
pub fn body_hash(body: &str) -> String {
    hex::encode(Sha256::digest(body.as_bytes()))
}

/// The hash of the entry that follows `previous`.
pub fn link(previous: &str, seq: i64, at_us: i64, kind: &str, body_hash: &str) -> String {
    let mut digest = Sha256::new();
    let mut part = |bytes: &[u8]| {
        digest.update((bytes.len() as u64).to_be_bytes());
        digest.update(bytes);
    };
    part(LABEL);
    part(previous.as_bytes());
    part(&seq.to_be_bytes());
    part(&at_us.to_be_bytes());
    part(kind.as_bytes());
    part(body_hash.as_bytes());
    hex::encode(digest.finalize())
}

impl Entry {
    /// The entry that follows `head`.
    pub(crate) fn after(head: &Head, at_us: i64, kind: &str, body: String) -> Self {
        let body_hash = body_hash(&body);
        let seq = head.seq + 1;
        Self {
            seq,
            at_us,
            kind: kind.to_owned(),
            hash: link(&head.hash, seq, at_us, kind, &body_hash),
            body: Some(body),
            body_hash,
        }
    }

    /// What is wrong with it as the one that follows `previous`, if anything is.
    pub fn fault(&self, previous: &Head) -> Option<String> {
        if self.seq != previous.seq + 1 {
            return Some(format!("entry {} is missing", previous.seq + 1));
        }
        if let Some(body) = &self.body
            && body_hash(body) != self.body_hash
        {
            return Some("its body is not what was written".to_owned());
        }
        let hash = link(
            &previous.hash,
            self.seq,
            self.at_us,
            &self.kind,
            &self.body_hash,
        );
        (hash != self.hash).then(|| "it does not follow from the entry before it".to_owned())
    }

    /// Where a ledger stands that ends with it.
    pub fn head(&self) -> Head {
        Head {
            seq: self.seq,
            hash: self.hash.clone(),
        }
    }
}
