//! The public keys that digests are checked with, as `aws cloudtrail list-public-keys` prints them.
//!
//! Source: the CloudTrail API reference, `ListPublicKeys`: the value is PKCS#1 in DER, in base64; there is
//! a pair of keys for each region, and a digest names the one it was signed with by its fingerprint.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde::Deserialize;

/// A public key of CloudTrail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// What digests name it by.
    pub fingerprint: String,
    /// The key: `RSAPublicKey` of PKCS#1 (RFC 8017, A.1.1), in DER.
    pub der: Vec<u8>,
}

/// Why keys cannot be had from a text.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It is no JSON of the form.
    #[error("it is not what `aws cloudtrail list-public-keys` prints")]
    Form(#[source] serde_json::Error),
    /// A key's value is no base64.
    #[error("the key {fingerprint} is no base64")]
    Value {
        /// Which.
        fingerprint: String,
        /// Why.
        #[source]
        source: base64::DecodeError,
    },
    /// There is none.
    #[error("it holds no key")]
    Empty,
}

#[derive(Deserialize)]
struct Listed {
    #[serde(rename = "PublicKeyList")]
    keys: Vec<Written>,
}

#[derive(Deserialize)]
struct Written {
    #[serde(rename = "Fingerprint")]
    fingerprint: String,
    #[serde(rename = "Value")]
    value: String,
}

impl PublicKey {
    /// The keys of one or several answers of `ListPublicKeys`, one after another.
    ///
    /// # Errors
    /// When the text is something else, or holds no key.
    pub fn listed(text: &[u8]) -> Result<Vec<Self>, KeyError> {
        let mut keys = Vec::new();
        for listed in serde_json::Deserializer::from_slice(text).into_iter::<Listed>() {
            for key in listed.map_err(KeyError::Form)?.keys {
                let der = STANDARD.decode(key.value.trim());
                keys.push(Self {
                    der: der.map_err(|source| KeyError::Value {
                        fingerprint: key.fingerprint.clone(),
                        source,
                    })?,
                    fingerprint: key.fingerprint,
                });
            }
        }
        match keys.is_empty() {
            true => Err(KeyError::Empty),
            false => Ok(keys),
        }
    }
}

/// Keys by what digests name them by.
#[derive(Debug, Default)]
pub(super) struct Keys<'a>(HashMap<&'a str, Vec<&'a PublicKey>>);

impl<'a> Keys<'a> {
    pub fn new(keys: &'a [PublicKey]) -> Self {
        let mut by_fingerprint: HashMap<&str, Vec<&PublicKey>> = HashMap::new();
        for key in keys {
            by_fingerprint
                .entry(&key.fingerprint)
                .or_default()
                .push(key);
        }
        Self(by_fingerprint)
    }

    /// Whether there is a key with this fingerprint.
    pub fn has(&self, fingerprint: &str) -> bool {
        self.0.contains_key(fingerprint)
    }

    /// Whether a signature of a message is of the key with this fingerprint.
    pub fn verify(&self, fingerprint: &str, message: &[u8], signature: &[u8]) -> bool {
        let keys = self.0.get(fingerprint).into_iter().flatten();
        keys.map(|key| UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &key.der))
            .any(|key| key.verify(message, signature).is_ok())
    }
}
