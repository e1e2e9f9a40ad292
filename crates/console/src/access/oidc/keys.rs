//! A provider's keys (RFC 7517), and what they have signed.
//!
//! Asymmetric ones alone: a key that both sides have would let whoever reads ours say who anybody is.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{self, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey};
use serde::Deserialize;

use super::token::Header;

/// More keys than any provider has.
const MOST: usize = 100;

/// An algorithm that may sign a token: RFC 7518, section 3.1, and RFC 8037.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

impl Algorithm {
    const ALL: [(Self, &str); 9] = [
        (Self::Rs256, "RS256"),
        (Self::Rs384, "RS384"),
        (Self::Rs512, "RS512"),
        (Self::Ps256, "PS256"),
        (Self::Ps384, "PS384"),
        (Self::Ps512, "PS512"),
        (Self::Es256, "ES256"),
        (Self::Es384, "ES384"),
        (Self::EdDsa, "EdDSA"),
    ];

    /// The one of that name. `none`, and those that work with a shared secret, have none here.
    pub(super) fn named(name: &str) -> Option<Self> {
        let known = Self::ALL.into_iter().find(|(_, known)| *known == name);
        known.map(|(algorithm, _)| algorithm)
    }

    fn rsa(self) -> Option<&'static RsaParameters> {
        Some(match self {
            Self::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
            Self::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
            Self::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
            Self::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
            Self::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
            Self::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
            Self::Es256 | Self::Es384 | Self::EdDsa => return None,
        })
    }
}

/// A key, as a provider gives it. Members that are not here do not matter.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Key {
    kty: String,
    kid: String,
    alg: String,
    #[serde(rename = "use")]
    used_for: String,
    crv: String,
    n: String,
    e: String,
    x: String,
    y: String,
}

/// Keys, as a provider gives them.
#[derive(Debug, Deserialize)]
pub(super) struct Keys {
    keys: Vec<Key>,
}

impl Keys {
    /// Those that may have signed a token with this header.
    pub(super) fn of(&self, header: &Header) -> Vec<Key> {
        let may = |key: &&Key| {
            (header.kid.is_empty() || header.kid == key.kid) && key.signs(header.algorithm)
        };
        self.keys.iter().take(MOST).filter(may).cloned().collect()
    }
}

impl Key {
    /// Whether it is one for signatures by this algorithm.
    fn signs(&self, algorithm: Algorithm) -> bool {
        let kind = match algorithm {
            Algorithm::Es256 => ("EC", "P-256"),
            Algorithm::Es384 => ("EC", "P-384"),
            Algorithm::EdDsa => ("OKP", "Ed25519"),
            _ => ("RSA", self.crv.as_str()),
        };
        (self.kty.as_str(), self.crv.as_str()) == kind
            && matches!(self.used_for.as_str(), "" | "sig")
            && (self.alg.is_empty() || Algorithm::named(&self.alg) == Some(algorithm))
    }

    /// Whether it has signed this.
    pub(super) fn has_signed(&self, algorithm: Algorithm, text: &[u8], signed: &[u8]) -> bool {
        self.verified(algorithm, text, signed).is_some()
    }

    fn verified(&self, algorithm: Algorithm, text: &[u8], signed: &[u8]) -> Option<()> {
        if !self.signs(algorithm) {
            return None;
        }
        let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
        let known = match algorithm {
            Algorithm::Es256 => UnparsedPublicKey::new(
                &signature::ECDSA_P256_SHA256_FIXED,
                point(bytes(&self.x)?, bytes(&self.y)?),
            ),
            Algorithm::Es384 => UnparsedPublicKey::new(
                &signature::ECDSA_P384_SHA384_FIXED,
                point(bytes(&self.x)?, bytes(&self.y)?),
            ),
            Algorithm::EdDsa => UnparsedPublicKey::new(&signature::ED25519, bytes(&self.x)?),
            _ => {
                let (n, e) = (bytes(&self.n)?, bytes(&self.e)?);
                let key = RsaPublicKeyComponents { n: &n, e: &e };
                return key.verify(algorithm.rsa()?, text, signed).ok();
            }
        };
        known.verify(text, signed).ok()
    }
}

/// A point of a curve, not compressed: SEC 1, section 2.3.3.
fn point(x: Vec<u8>, y: Vec<u8>) -> Vec<u8> {
    [vec![4], x, y].concat()
}
