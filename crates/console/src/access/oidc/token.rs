//! A provider's token (RFC 7519), and whether it is believed: OpenID Connect Core 1.0, section 3.1.3.7.
//!
//! Read by hand and verified by `ring`, as docs/adr/0026-console.md says.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::keys::{Algorithm, Key};

/// Clocks may differ by this much.
const LEEWAY_SECS: i64 = 60;
/// A token is made for a sign-in that just happened.
const OLDEST_SECS: i64 = 3600;
/// Longer ones are no tokens.
const MOST_BYTES: usize = 64 << 10;

/// Why a token is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is none.
    #[error("it is no signed token")]
    Form,
    /// It is signed by what anybody could sign by, or by nothing.
    #[error("it is signed by an algorithm that is not taken")]
    Algorithm,
    /// It asks for something that is not understood.
    #[error("it asks for an extension that is not known")]
    Extension,
    /// No key of the provider has signed it.
    #[error("no key of the provider has signed it")]
    Signature,
    /// What it says is not for us, not of now, or not what was asked for.
    #[error("its claim `{0}` is not what it has to be")]
    Claim(&'static str),
}

/// What stands before a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub algorithm: Algorithm,
    pub kid: String,
}

/// What a token has to be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected<'a> {
    pub issuer: &'a str,
    pub client_id: &'a str,
    pub nonce: &'a str,
    /// Seconds since 1970.
    pub now: i64,
}

fn parts(token: &str) -> Result<[&str; 3], TokenError> {
    if token.len() > MOST_BYTES {
        return Err(TokenError::Form);
    }
    let parts: Vec<&str> = token.split('.').collect();
    parts.try_into().map_err(|_| TokenError::Form)
}

fn decoded(part: &str) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Form)
}

/// What stands before a token, not verified by anything.
pub(super) fn header(token: &str) -> Result<Header, TokenError> {
    #[derive(Deserialize)]
    struct Written {
        alg: String,
        #[serde(default)]
        kid: String,
        crit: Option<Value>,
    }
    let [header, ..] = parts(token)?;
    let written: Written =
        serde_json::from_slice(&decoded(header)?).map_err(|_| TokenError::Form)?;
    if written.crit.is_some() {
        return Err(TokenError::Extension);
    }
    Ok(Header {
        algorithm: Algorithm::named(&written.alg).ok_or(TokenError::Algorithm)?,
        kid: written.kid,
    })
}

/// What a token says, once it is believed.
pub(super) fn claims(
    token: &str,
    keys: &[&Key],
    expected: &Expected<'_>,
) -> Result<Map<String, Value>, TokenError> {
    let Header { algorithm, .. } = header(token)?;
    let [_, body, signed] = parts(token)?;
    let text = token.rsplit_once('.').map_or("", |(text, _)| text);
    let signed = decoded(signed)?;
    let is_theirs = |key: &&&Key| key.has_signed(algorithm, text.as_bytes(), &signed);
    if keys.iter().find(is_theirs).is_none() {
        return Err(TokenError::Signature);
    }
    let claims: Map<String, Value> =
        serde_json::from_slice(&decoded(body)?).map_err(|_| TokenError::Form)?;
    believed(&claims, expected)?;
    Ok(claims)
}

fn believed(claims: &Map<String, Value>, expected: &Expected<'_>) -> Result<(), TokenError> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    // A time that is no number is not passed over as if it were not there.
    let time = |name: &'static str| match claims.get(name) {
        None => Ok(None),
        Some(value) => match value.as_f64() {
            Some(secs) => Ok(Some(secs)),
            None => Err(TokenError::Claim(name)),
        },
    };
    let must = |holds: bool, name: &'static str| match holds {
        true => Ok(()),
        false => Err(TokenError::Claim(name)),
    };
    must(text("iss") == Some(expected.issuer), "iss")?;
    let is_us = |value: &Value| value.as_str() == Some(expected.client_id);
    let (is_ours, others) = match claims.get("aud") {
        Some(Value::Array(all)) => (all.iter().any(is_us), all.len() > 1),
        Some(one) => (is_us(one), false),
        None => (false, false),
    };
    must(is_ours, "aud")?;
    must(!others || claims.contains_key("azp"), "azp")?;
    must(claims.get("azp").is_none_or(is_us), "azp")?;
    must(text("nonce") == Some(expected.nonce), "nonce")?;
    let subject = text("sub").unwrap_or_default();
    must(!subject.is_empty() && subject.len() <= 255, "sub")?;
    #[expect(
        clippy::cast_precision_loss,
        reason = "seconds since 1970 are far below 2^52"
    )]
    let (now, leeway) = (expected.now as f64, LEEWAY_SECS as f64);
    must(time("exp")?.is_some_and(|exp| exp > now - leeway), "exp")?;
    must(time("nbf")?.is_none_or(|nbf| nbf <= now + leeway), "nbf")?;
    #[expect(clippy::cast_precision_loss, reason = "an hour")]
    let oldest = now - OLDEST_SECS as f64;
    let is_recent = |iat: f64| iat <= now + leeway && iat >= oldest;
    must(time("iat")?.is_some_and(is_recent), "iat")
}

#[cfg(test)]
mod tests {
    use ring::rand::SystemRandom;
    use ring::signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
    };
    use serde_json::json;

    use super::super::keys::Keys;
    use super::*;

    const NOW: i64 = 1_800_000_000;
    const EXPECTED: Expected<'static> = Expected {
        issuer: "https://id.example",
        client_id: "console",
        nonce: "n-0S6",
        now: NOW,
    };

    fn encoded(bytes: impl AsRef<[u8]>) -> String {
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn good() -> Value {
        json!({"iss": "https://id.example", "aud": "console", "sub": "4711", "nonce": "n-0S6",
               "exp": NOW + 300, "iat": NOW - 5})
    }

    fn token(header: Value, claims: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
        let text = format!(
            "{}.{}",
            encoded(header.to_string()),
            encoded(claims.to_string())
        );
        let signed = encoded(sign(text.as_bytes()));
        format!("{text}.{signed}")
    }

    struct Signer {
        pair: Ed25519KeyPair,
        keys: Keys,
    }

    fn signer() -> Signer {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("a key");
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).expect("a pair");
        let x = encoded(pair.public_key());
        let keys = json!({"keys": [
            {"kty": "OKP", "crv": "Ed25519", "kid": "one", "x": x},
            {"kty": "oct", "kid": "one", "k": "c2VjcmV0"},
            {"kty": "OKP", "crv": "Ed25519", "kid": "enc", "use": "enc", "x": x},
        ]});
        let keys = serde_json::from_value(keys).expect("keys");
        Signer { pair, keys }
    }

    impl Signer {
        fn check(&self, header: Value, claims: &Value) -> Result<(), TokenError> {
            let sign = |text: &[u8]| self.pair.sign(text).as_ref().to_vec();
            self.read(&token(header, claims, sign))
        }

        fn read(&self, token: &str) -> Result<(), TokenError> {
            let keys = self.keys.of(&header(token)?);
            let keys: Vec<&Key> = keys.iter().collect();
            claims(token, &keys, &EXPECTED).map(drop)
        }

        /// The same with claims changed; null takes one away.
        fn with(&self, changes: Value) -> Result<(), TokenError> {
            let mut claims = good();
            for (name, value) in changes.as_object().expect("claims") {
                match value {
                    Value::Null => {
                        claims.as_object_mut().expect("claims").remove(name);
                    }
                    value => claims[name] = value.clone(),
                }
            }
            self.check(json!({"alg": "EdDSA", "kid": "one"}), &claims)
        }
    }

    #[test]
    fn a_token_is_believed_that_is_signed_for_us_now() {
        let signer = signer();
        assert_eq!(signer.with(json!({})), Ok(()));
        assert_eq!(signer.with(json!({"aud": ["console"]})), Ok(()));
        let both = json!({"aud": ["console", "other"], "azp": "console"});
        assert_eq!(signer.with(both), Ok(()));
        assert_eq!(signer.check(json!({"alg": "EdDSA"}), &good()), Ok(()));
        // Within the leeway.
        assert_eq!(signer.with(json!({"exp": NOW - 30})), Ok(()));
        assert_eq!(
            signer.with(json!({"iat": NOW + 30, "nbf": NOW + 30})),
            Ok(())
        );
    }

    #[test]
    fn a_claim_that_is_not_right_is_named() {
        let signer = signer();
        for (changes, claim) in [
            (json!({"iss": "https://id.example/"}), "iss"),
            (json!({"iss": null}), "iss"),
            (json!({"aud": "other"}), "aud"),
            (json!({"aud": []}), "aud"),
            (json!({"aud": null}), "aud"),
            (json!({"aud": ["console", "other"]}), "azp"),
            (json!({"azp": "other"}), "azp"),
            (json!({"nonce": "another"}), "nonce"),
            (json!({"nonce": null}), "nonce"),
            (json!({"sub": ""}), "sub"),
            (json!({"sub": 7}), "sub"),
            (json!({"sub": "x".repeat(256)}), "sub"),
            (json!({"exp": NOW - 61}), "exp"),
            (json!({"exp": null}), "exp"),
            (json!({"exp": "9999999999"}), "exp"),
            (json!({"nbf": NOW + 120}), "nbf"),
            (json!({"nbf": "0"}), "nbf"),
            (json!({"iat": NOW + 120}), "iat"),
            (json!({"iat": NOW - 7200}), "iat"),
            (json!({"iat": null}), "iat"),
        ] {
            assert_eq!(
                signer.with(changes.clone()),
                Err(TokenError::Claim(claim)),
                "{changes}"
            );
        }
    }

    #[test]
    fn what_no_key_of_the_provider_has_signed_is_not_believed() {
        let signer = signer();
        let hmac = |text: &[u8]| {
            // Signed by the public key as if it were a secret, as in old attacks.
            let key =
                ring::hmac::Key::new(ring::hmac::HMAC_SHA256, signer.pair.public_key().as_ref());
            ring::hmac::sign(&key, text).as_ref().to_vec()
        };
        for alg in [
            "none", "None", "NONE", "HS256", "HS384", "HS512", "", "RS1", "ES256K", "EdDSA ",
        ] {
            let header = json!({"alg": alg, "kid": "one"});
            let refused = Err(TokenError::Algorithm);
            assert_eq!(
                signer.read(&token(header.clone(), &good(), hmac)),
                refused,
                "{alg}"
            );
            assert_eq!(
                signer.read(&token(header, &good(), |_| Vec::new())),
                refused,
                "{alg}"
            );
        }
        let own = self::signer();
        let sign = |text: &[u8]| own.pair.sign(text).as_ref().to_vec();
        for header in [
            json!({"alg": "EdDSA", "kid": "one"}),
            json!({"alg": "EdDSA", "kid": "unknown"}),
            json!({"alg": "EdDSA", "kid": "enc"}),
            json!({"alg": "RS256", "kid": "one"}),
            json!({"alg": "ES256", "kid": "one"}),
            // A key that the token brings along is nobody's.
            json!({"alg": "EdDSA", "jwk": {"kty": "OKP", "crv": "Ed25519", "x": encoded(own.pair.public_key())}}),
        ] {
            let refused = Err(TokenError::Signature);
            assert_eq!(
                signer.read(&token(header.clone(), &good(), sign)),
                refused,
                "{header}"
            );
        }
        let header = json!({"alg": "EdDSA", "kid": "enc"});
        assert_eq!(
            signer.check(header, &good()),
            Err(TokenError::Signature),
            "a key to encrypt by"
        );
        let header = json!({"alg": "EdDSA", "kid": "one", "crit": ["b64"], "b64": false});
        assert_eq!(signer.check(header, &good()), Err(TokenError::Extension));
        // A letter of what is said, changed after it was signed.
        let sign = |text: &[u8]| signer.pair.sign(text).as_ref().to_vec();
        let right = token(json!({"alg": "EdDSA", "kid": "one"}), &good(), sign);
        let [head, _, signed] = parts(&right).expect("parts");
        let mut other = good();
        other["sub"] = json!("4712");
        let changed = format!("{head}.{}.{signed}", encoded(other.to_string()));
        assert_eq!(signer.read(&changed), Err(TokenError::Signature));
        for form in [
            "",
            ".",
            "..",
            "a.b",
            "a.b.c.d",
            "!.!.!",
            &"x".repeat(MOST_BYTES + 1),
        ] {
            assert_eq!(signer.read(form), Err(TokenError::Form));
        }
    }

    #[test]
    fn curves_count_and_their_keys_are_not_mistaken_for_others() {
        let (random, algorithm) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key");
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).expect("a pair");
        let point = pair.public_key().as_ref();
        let (x, y) = (encoded(&point[1..33]), encoded(&point[33..]));
        let read = |keys: Value, alg: &str| {
            let keys: Keys = serde_json::from_value(keys).expect("keys");
            let sign = |text: &[u8]| pair.sign(&random, text).expect("signed").as_ref().to_vec();
            let token = token(json!({"alg": alg, "kid": "e"}), &good(), sign);
            let keys = keys.of(&header(&token)?);
            let keys: Vec<&Key> = keys.iter().collect();
            claims(&token, &keys, &EXPECTED).map(drop)
        };
        let key = |crv: &str, alg: &str| json!({"keys": [{"kty": "EC", "crv": crv, "kid": "e", "alg": alg, "x": x, "y": y}]});
        assert_eq!(read(key("P-256", "ES256"), "ES256"), Ok(()));
        let refused = Err(TokenError::Signature);
        assert_eq!(read(key("P-384", "ES384"), "ES384"), refused);
        assert_eq!(read(key("P-256", "ES384"), "ES256"), refused);
        assert_eq!(read(key("P-256", "HS256"), "ES256"), refused);
    }

    proptest::proptest! {
        #[test]
        fn whatever_comes_is_refused_and_breaks_nothing(
            text in ".{0,200}",
            parts in proptest::collection::vec(proptest::collection::vec(proptest::num::u8::ANY, 0..60), 3),
        ) {
            let signer = signer();
            proptest::prop_assert!(signer.read(&text).is_err());
            let encoded: Vec<String> = parts.iter().map(encoded).collect();
            proptest::prop_assert!(signer.read(&encoded.join(".")).is_err());
        }
    }
}
