//! One digest as it lies: its bytes, their hash, what it says.

use std::io;

use davylamp_hunt::objects::Object;
use davylamp_hunt::unpack::{self, Caps, Packing, UnpackError};
use jiff::Timestamp;
use ring::digest::{Context, SHA256};
use serde::Deserialize;

use super::public_key::Keys;
use super::report::Fault;

/// The largest digest that is read: one of 100,000 log files has less.
const MAX_BYTES: u64 = 64 << 20;

/// The only way in which digests are signed.
const ALGORITHM: &str = "SHA256withRSA";

/// What follows a digest's name where its signature was written down beside it.
pub(super) const SIGNATURE_FILE: &str = ".signature";

/// The name of the signature in the metadata of a digest's object.
const SIGNATURE: &str = "signature";

/// What `aws s3api head-object` prints is longer than a signature, and not by much.
const MAX_SIGNATURE_BYTES: u64 = 64 << 10;

/// A digest that could be read.
#[derive(Debug)]
pub(super) struct Digest {
    /// SHA-256 of its uncompressed bytes.
    pub hash: [u8; 32],
    /// What it says.
    pub said: Said,
    /// Its own signature, where its store or a file beside it has it.
    pub signature: Own,
}

/// A digest's own signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Own {
    /// It is here.
    Here(Vec<u8>),
    /// Its store, which keeps such, has something else or nothing.
    Lost,
    /// It lies in a file, without a signature beside it.
    Elsewhere,
}

/// What a digest says. Source: the AWS CloudTrail user guide, "CloudTrail digest file structure".
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Said {
    pub digest_start_time: String,
    pub digest_end_time: String,
    pub digest_s3_bucket: String,
    pub digest_s3_object: String,
    pub digest_public_key_fingerprint: String,
    #[serde(default)]
    pub digest_signature_algorithm: Option<String>,
    #[serde(default)]
    pub previous_digest_s3_bucket: Option<String>,
    #[serde(default)]
    pub previous_digest_s3_object: Option<String>,
    #[serde(default)]
    pub previous_digest_hash_value: Option<String>,
    #[serde(default)]
    pub previous_digest_signature: Option<String>,
    #[serde(default)]
    pub log_files: Option<Vec<Listed>>,
}

/// A log file, as a digest lists it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Listed {
    pub s3_bucket: String,
    pub s3_object: String,
    pub hash_value: String,
    #[serde(default)]
    pub hash_algorithm: Option<String>,
}

/// Why a digest or a log file is not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unread {
    pub fault: Fault,
    pub why: String,
}

/// What a signature says of a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signed {
    /// It is of the digest.
    Yes,
    /// It is not.
    No,
    /// The key it would be of is not here, or the digest names another way of signing.
    NoKey,
}

impl Digest {
    /// Reads a digest. Blocks.
    pub fn read(object: &Object, side: Option<&Object>) -> Result<Self, Unread> {
        let (stored, metadata) = object
            .open_described()
            .map_err(|error| unreadable(&error))?;
        let mut text = Vec::new();
        let caps = Caps {
            object_bytes: MAX_BYTES,
            ..Caps::default()
        };
        let (_, end) = unpack::unpack(stored, caps, &mut |chunk| {
            text.extend_from_slice(&chunk.buffer);
            Some(chunk.buffer.len())
        });
        end.map_err(|error| unfinished(&error))?;
        let said = said(&text)?;
        let mut hash = [0; 32];
        hash.copy_from_slice(ring::digest::digest(&SHA256, &text).as_ref());
        let signature = match (metadata.get(SIGNATURE), side) {
            (Some(hex), _) => written(hex).map_or(Own::Lost, Own::Here),
            (None, Some(side)) => brought(side)?,
            (None, None) if object.path().is_some() => Own::Elsewhere,
            (None, None) => Own::Lost,
        };
        Ok(Self {
            hash,
            said,
            signature,
        })
    }

    /// What a signature says of it. Source: the AWS CloudTrail user guide, "Custom implementations of
    /// CloudTrail log file integrity validation".
    pub fn signed(&self, keys: &Keys<'_>, signature: &[u8]) -> Signed {
        let said = &self.said;
        let is_known = said
            .digest_signature_algorithm
            .as_deref()
            .unwrap_or(ALGORITHM)
            == ALGORITHM;
        if !is_known || !keys.has(&said.digest_public_key_fingerprint) {
            return Signed::NoKey;
        }
        let message = format!(
            "{}\n{}/{}\n{}\n{}",
            said.digest_end_time,
            said.digest_s3_bucket,
            said.digest_s3_object,
            hex::encode(self.hash),
            said.previous_digest_signature.as_deref().unwrap_or("null"),
        );
        match keys.verify(
            &said.digest_public_key_fingerprint,
            message.as_bytes(),
            signature,
        ) {
            true => Signed::Yes,
            false => Signed::No,
        }
    }
}

impl Said {
    /// The start and end of its hour.
    pub fn hour(&self) -> Option<(Timestamp, Timestamp)> {
        let start = self.digest_start_time.parse().ok()?;
        let end = self.digest_end_time.parse().ok()?;
        Some((start, end))
    }

    /// The digest before it, by bucket and key.
    pub fn previous(&self) -> Option<(&str, &str)> {
        let bucket = self.previous_digest_s3_bucket.as_deref()?;
        Some((bucket, self.previous_digest_s3_object.as_deref()?))
    }

    /// The signature of the digest before it.
    pub fn previous_signature(&self) -> Option<Vec<u8>> {
        written(self.previous_digest_signature.as_deref()?)
    }
}

/// SHA-256 of what an object holds, whatever its size, in hexadecimal. Blocks.
pub(super) fn hash(object: &Object) -> Result<String, Unread> {
    let stored = object.open().map_err(|error| unreadable(&error))?;
    let mut hasher = Context::new(&SHA256);
    let (_, end) = unpack::unpack(stored, Caps::default(), &mut |chunk| {
        hasher.update(&chunk.buffer);
        Some(chunk.buffer.len())
    });
    end.map_err(|error| unfinished(&error))?;
    Ok(hex::encode(hasher.finish()))
}

fn said(text: &[u8]) -> Result<Said, Unread> {
    let malformed = |why: String| Unread {
        fault: Fault::Malformed,
        why,
    };
    if text.is_empty() {
        return Err(malformed("it is empty".to_owned()));
    }
    if Packing::of(text) != Packing::Plain {
        return Err(malformed("it is packed twice".to_owned()));
    }
    serde_json::from_slice(text).map_err(|error| malformed(format!("it is no digest: {error}")))
}

/// The signature in a file beside a digest: its hexadecimal digits, or what `aws s3api head-object`
/// prints.
fn brought(side: &Object) -> Result<Own, Unread> {
    #[derive(Deserialize)]
    struct Head {
        #[serde(rename = "Metadata")]
        metadata: std::collections::BTreeMap<String, String>,
    }
    let mut text = Vec::new();
    let stored = side.open().map_err(|error| unreadable(&error))?;
    let caps = Caps {
        object_bytes: MAX_SIGNATURE_BYTES,
        ..Caps::default()
    };
    let (_, end) = unpack::unpack(stored, caps, &mut |chunk| {
        text.extend_from_slice(&chunk.buffer);
        Some(chunk.buffer.len())
    });
    end.map_err(|error| unfinished(&error))?;
    let text = String::from_utf8_lossy(&text);
    let hex = match serde_json::from_str::<Head>(&text) {
        Ok(mut head) => head.metadata.remove(SIGNATURE).unwrap_or_default(),
        Err(_) => text.trim().to_owned(),
    };
    Ok(written(&hex).map_or(Own::Elsewhere, Own::Here))
}

/// A signature from its hexadecimal digits.
fn written(digits: &str) -> Option<Vec<u8>> {
    hex::decode(digits).ok().filter(|bytes| !bytes.is_empty())
}

fn unreadable(error: &io::Error) -> Unread {
    Unread {
        fault: Fault::Unreadable,
        why: format!("it cannot be read: {error}"),
    }
}

fn unfinished(error: &UnpackError) -> Unread {
    match error {
        // The bytes themselves are bad: whoever reads them again sees the same.
        UnpackError::Broken(error)
            if matches!(
                error.kind(),
                io::ErrorKind::UnexpectedEof
                    | io::ErrorKind::InvalidData
                    | io::ErrorKind::InvalidInput
            ) =>
        {
            Unread {
                fault: Fault::Malformed,
                why: format!("it is cut off or damaged: {error}"),
            }
        }
        UnpackError::Broken(error) => unreadable(error),
        UnpackError::TooLarge(most) => Unread {
            fault: Fault::TooLarge,
            why: format!("it holds more than {most} bytes, and was not read to its end"),
        },
    }
}
