//! Passwords, as argon2id digests.

mod common;

use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use ring::rand::SecureRandom as _;
use tokio::sync::Semaphore;

/// OWASP's second choice for argon2id, for a server with little memory: 19 MiB, two passes.
/// <https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html>
const MEMORY_KIB: u32 = 19 << 10;
const PASSES: u32 = 2;

/// Shorter ones are refused (NIST SP 800-63B-4: 15 where it is the only factor).
const LEAST_CHARS: usize = 15;
/// Longer ones are no password, and cost time.
const MOST_BYTES: usize = 1024;

/// A digest that no password has: for names that nobody has.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5LWhhcy10aGlz$rPjsR4d7P6H9L0ysfGkQcjMpnKcFU0sOQWZdzLSIiC4";

/// Why a password cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// It is too short.
    #[error("the password has fewer than {LEAST_CHARS} characters")]
    Short,
    /// It is too long.
    #[error("the password has more than {MOST_BYTES} bytes")]
    Long,
    /// It is the name.
    #[error("the password holds the name")]
    Name,
    /// It is one of those that are tried first.
    #[error("the password is made of words and rows of keys that are tried first")]
    Common,
    /// The digest cannot be made.
    #[error("the password cannot be digested: {0}")]
    Digest(String),
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, None).unwrap_or_default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// Whether a password is good enough for somebody.
///
/// # Errors
/// Why not.
pub fn check_new(name: &str, password: &str) -> Result<(), PasswordError> {
    if password.len() > MOST_BYTES {
        return Err(PasswordError::Long);
    }
    if password.chars().count() < LEAST_CHARS {
        return Err(PasswordError::Short);
    }
    let holds_name = password.to_lowercase().contains(&name.to_lowercase());
    if name.chars().count() > 3 && holds_name && password.len() < name.len() + LEAST_CHARS {
        return Err(PasswordError::Name);
    }
    if common::is_common(password) {
        return Err(PasswordError::Common);
    }
    Ok(())
}

/// The digest of a password, with its parameters and salt. Takes some 20 ms of a processor.
///
/// # Errors
/// The system gives no random bytes.
pub fn hash(password: &str) -> Result<String, PasswordError> {
    let mut bytes = [0; 16];
    ring::rand::SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| PasswordError::Digest("the system gives no random bytes".to_owned()))?;
    let failed = |error: argon2::password_hash::Error| PasswordError::Digest(error.to_string());
    let salt = SaltString::encode_b64(&bytes).map_err(failed)?;
    argon2()
        .hash_password(password.as_bytes(), &salt)
        .map(|hash| hash.to_string())
        .map_err(failed)
}

/// So many digests are made at once: each takes 19 MiB, and whoever asks for them may be a stranger.
static AT_ONCE: Semaphore = Semaphore::const_new(2);

/// Whether a password has this digest. Where there is none it takes as long.
pub(crate) async fn is_right(password: String, digest: Option<String>) -> bool {
    // The semaphore is never closed.
    let _turn = AT_ONCE.acquire().await;
    tokio::task::spawn_blocking(move || is_its(&password, digest.as_deref()))
        .await
        .unwrap_or(false)
}

/// The same as [`hash`], in its turn.
pub(crate) async fn hash_in_turn(password: String) -> Result<String, PasswordError> {
    let _turn = AT_ONCE.acquire().await;
    tokio::task::spawn_blocking(move || hash(&password))
        .await
        .unwrap_or_else(|error| Err(PasswordError::Digest(error.to_string())))
}

fn is_its(password: &str, digest: Option<&str>) -> bool {
    let known = digest.and_then(|digest| PasswordHash::new(digest).ok());
    let nobody = PasswordHash::new(NOBODY);
    let Some(hash) = known.clone().or(nobody.ok()) else {
        return false;
    };
    let password = password.get(..MOST_BYTES).unwrap_or(password);
    argon2().verify_password(password.as_bytes(), &hash).is_ok() && known.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_right_or_not() {
        let digest = hash("correct horse battery").expect("digested");
        assert!(
            digest.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{digest}"
        );
        assert!(is_its("correct horse battery", Some(&digest)));
        assert!(!is_its("correct horse batter", Some(&digest)));
        assert!(!is_its("", Some(&digest)));
        assert!(!is_its("correct horse battery", None));
        assert!(!is_its("x", Some("no digest")));
        assert!(
            PasswordHash::new(NOBODY).is_ok(),
            "names that nobody has cost as long"
        );
    }

    #[test]
    fn a_new_password_is_long_enough_and_not_the_name() {
        assert_eq!(check_new("ada", "short"), Err(PasswordError::Short));
        assert_eq!(
            check_new("ada", &"x".repeat(2000)),
            Err(PasswordError::Long)
        );
        assert_eq!(
            check_new("ada.lovelace", "ada.lovelace1815"),
            Err(PasswordError::Name)
        );
        assert_eq!(
            check_new("ada", "passwordpassword"),
            Err(PasswordError::Common)
        );
        assert_eq!(check_new("ada", "correct horse battery"), Ok(()));
    }
}
