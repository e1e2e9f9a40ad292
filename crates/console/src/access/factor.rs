//! The second factor: codes of an authenticator (TOTP, RFC 6238), and recovery codes that stand in for it.

use base64::Engine as _;
use ring::rand::SecureRandom as _;
use totp_rs::{Algorithm, Secret, TOTP};

use super::viewer::Refused;
use crate::site::Site;
use crate::store::{Person, StoreError};

/// A code counts so many steps of 30 seconds before and behind the present one.
const SKEW_STEPS: i64 = 1;
const STEP_SECS: i64 = 30;
const DIGITS: usize = 6;
/// RFC 4226 recommends 160 bits.
const SECRET_BYTES: usize = 20;
/// So many recovery codes are made at once.
const CODES: usize = 10;
/// Ten bytes are sixteen letters of base32.
const CODE_BYTES: usize = 10;
const CODE_LETTERS: usize = 16;

/// A new secret, in base32.
pub(crate) fn new_secret() -> Result<String, StoreError> {
    Ok(base32(random::<SECRET_BYTES>()?))
}

/// Recovery codes: each lets somebody in once.
pub(crate) fn new_codes() -> Result<Vec<String>, StoreError> {
    (0..CODES)
        .map(|_| Ok(base32(random::<CODE_BYTES>()?)))
        .collect()
}

fn random<const N: usize>() -> Result<Vec<u8>, StoreError> {
    let mut bytes = vec![0; N];
    let filled = ring::rand::SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| StoreError::Random)?;
    Ok(bytes)
}

fn base32(bytes: Vec<u8>) -> String {
    match Secret::Raw(bytes).to_encoded() {
        Secret::Encoded(text) => text,
        Secret::Raw(bytes) => base64::engine::general_purpose::STANDARD.encode(bytes),
    }
}

/// A secret or a code in groups of four, to be read and typed.
pub(crate) fn grouped(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let groups: Vec<String> = letters
        .chunks(4)
        .map(|four| four.iter().collect())
        .collect();
    groups.join(" ")
}

/// The address by which an authenticator takes a secret on: `otpauth://totp/…`.
pub(crate) fn address(name: &str, secret: &str) -> Result<String, Refused> {
    // A colon parts the issuer from the name there.
    let name = name.replace(':', "_");
    Ok(totp(secret, Some("Davylamp".to_owned()), name)?.get_url())
}

fn totp(secret: &str, issuer: Option<String>, name: String) -> Result<TOTP, Refused> {
    let bytes = Secret::Encoded(secret.to_owned())
        .to_bytes()
        .map_err(|_| Refused::Trouble("a second factor cannot be read".to_owned()))?;
    let step = STEP_SECS.unsigned_abs();
    Ok(TOTP::new_unchecked(
        Algorithm::SHA1,
        DIGITS,
        0,
        step,
        bytes,
        issuer,
        name,
    ))
}

/// The step of which a code is, if it is one of now.
pub(crate) fn step_of(site: &Site, secret: &str, code: &str) -> Result<Option<i64>, Refused> {
    let totp = totp(secret, None, String::new())?;
    let code: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    let now = site.now().as_second() / STEP_SECS;
    let steps = now - SKEW_STEPS..=now + SKEW_STEPS;
    let is_its = |step: &i64| {
        let right = totp.generate((step * STEP_SECS).unsigned_abs());
        super::viewer::is_same(&right, &code)
    };
    Ok(steps.into_iter().find(is_its))
}

/// With what somebody showed that they have their second factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// There is none, and nothing was asked.
    Nothing,
    /// A code of the authenticator.
    Code,
    /// A recovery code.
    Recovery,
}

/// Whether a code is right, or none is asked for. Each counts once.
pub(crate) async fn shown(
    site: &Site,
    person: &Person,
    code: &str,
) -> Result<Option<Shown>, Refused> {
    let Some(secret) = &person.second_factor else {
        return Ok(Some(Shown::Nothing));
    };
    if let Some(step) = step_of(site, secret, code)? {
        let is_new = site.store().use_factor(&person.name, step).await?;
        return Ok(is_new.then_some(Shown::Code));
    }
    let letters: String = code
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect::<String>()
        .to_ascii_uppercase();
    if letters.len() != CODE_LETTERS {
        return Ok(None);
    }
    let is_theirs = site.store().use_code(&person.name, &letters).await?;
    Ok(is_theirs.then_some(Shown::Recovery))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_codes_are_as_long_as_they_are_said_to_be_and_never_the_same() {
        let secret = new_secret().expect("a secret");
        assert_eq!(secret.len(), 32, "{secret}");
        assert_ne!(secret, new_secret().expect("another"));
        let codes = new_codes().expect("codes");
        let different: std::collections::BTreeSet<_> = codes.iter().collect();
        assert_eq!(different.len(), CODES);
        assert!(
            codes.iter().all(|code| code.len() == CODE_LETTERS),
            "{codes:?}"
        );
        assert_eq!(grouped("ABCDEFGHIJ"), "ABCD EFGH IJ");
    }

    #[test]
    fn an_authenticator_is_told_whose_secret_it_is() {
        let address = address("ada:x", "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP").expect("an address");
        assert!(
            address.starts_with("otpauth://totp/Davylamp:ada_x?"),
            "{address}"
        );
        assert!(
            address.contains("secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"),
            "{address}"
        );
        assert!(address.contains("issuer=Davylamp"), "{address}");
    }
}
