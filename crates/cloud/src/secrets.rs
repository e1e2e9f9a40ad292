//! Secrets: where they come from, and the type that keeps them from being shown.
//!
//! They come from files, the environment or AWS Secrets Manager, never from arguments, which every
//! user of a machine can read.

use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;
use zeroize::Zeroizing;

use crate::aws::read::ReadError;
use crate::aws::session::{SessionError, Sessions};
use davylamp_model::ids::{AccountId, Region};
use davylamp_model::resource::Place;

/// A secret of ours is a token or a key: a file that is larger is a mistake.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

/// A secret. Nothing shows it, and its memory is overwritten when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Keeps a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The secret itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Where a secret comes from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum SecretSource {
    /// A file; white space around its text is not part of the secret.
    File(PathBuf),
    /// A variable of the environment, by name.
    Env(String),
    /// AWS Secrets Manager.
    SecretsManager {
        /// The secret's ARN, which also says in which account and region it is.
        arn: String,
        /// The member of the secret's JSON object; the whole text where not given.
        #[serde(default)]
        key: Option<String>,
    },
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "the file {}", path.display()),
            Self::Env(name) => write!(f, "the variable {name}"),
            Self::SecretsManager { arn, key: None } => write!(f, "the secret {arn}"),
            Self::SecretsManager {
                arn,
                key: Some(key),
            } => write!(f, "`{key}` of the secret {arn}"),
        }
    }
}

/// Why there is no secret. None of them says anything of the secret's text.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error("{from} cannot be read")]
    File {
        /// Where it should come from.
        from: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It is there, and is no secret.
    #[error("{from} {why}")]
    Unusable {
        /// Where it should come from.
        from: String,
        /// What is wrong with it, as a clause.
        why: &'static str,
    },
    /// AWS does not give it.
    #[error("{from} cannot be read")]
    Aws {
        /// Where it should come from.
        from: String,
        /// What AWS said.
        #[source]
        source: ReadError,
    },
    /// There is no session for the account it is in.
    #[error("{from} cannot be read")]
    Session {
        /// Where it should come from.
        from: String,
        /// Why.
        #[source]
        source: SessionError,
    },
}

impl SecretSource {
    /// Reads the secret. `sessions` is needed for Secrets Manager only.
    pub async fn read(&self, sessions: Option<&Sessions>) -> Result<Secret, SecretError> {
        let text = match self {
            Self::File(path) => self.file(path).await?,
            Self::Env(name) => {
                Zeroizing::new(std::env::var(name).map_err(|_| self.unusable("is not set"))?)
            }
            Self::SecretsManager { arn, key } => self.stored(arn, key.as_deref(), sessions).await?,
        };
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Err(self.unusable("is empty"));
        }
        Ok(Secret::new(trimmed))
    }

    async fn file(&self, path: &PathBuf) -> Result<Zeroizing<String>, SecretError> {
        let failed = |source| SecretError::File {
            from: self.to_string(),
            source,
        };
        let size = tokio::fs::metadata(path).await.map_err(failed)?.len();
        if size > MAX_SECRET_BYTES {
            return Err(self.unusable("is too large to be a secret"));
        }
        let bytes = Zeroizing::new(tokio::fs::read(path).await.map_err(failed)?);
        let text = std::str::from_utf8(&bytes).map_err(|_| self.unusable("is not text"))?;
        Ok(Zeroizing::new(text.to_owned()))
    }

    async fn stored(
        &self,
        arn: &str,
        key: Option<&str>,
        sessions: Option<&Sessions>,
    ) -> Result<Zeroizing<String>, SecretError> {
        let sessions =
            sessions.ok_or_else(|| self.unusable("needs AWS, which is not configured"))?;
        let place = secret_place(arn)
            .ok_or_else(|| self.unusable("is not named by the ARN of a secret"))?;
        let client = sessions
            .reading(&place)
            .await
            .map_err(|source| SecretError::Session {
                from: self.to_string(),
                source,
            })?
            .secretsmanager();
        let answer = client
            .get_secret_value()
            .secret_id(arn)
            .send()
            .await
            .map_err(|error| SecretError::Aws {
                from: self.to_string(),
                source: ReadError::of("secretsmanager:GetSecretValue", &error),
            })?;
        let text = Zeroizing::new(
            answer
                .secret_string
                .ok_or_else(|| self.unusable("holds bytes and no text"))?,
        );
        let Some(key) = key else {
            return Ok(text);
        };
        let object: std::collections::BTreeMap<String, serde_json::Value> =
            serde_json::from_str(&text).map_err(|_| self.unusable("is not a JSON object"))?;
        match object.get(key) {
            Some(serde_json::Value::String(value)) => Ok(Zeroizing::new(value.clone())),
            Some(_) => Err(self.unusable("is not a string")),
            None => Err(self.unusable("is not a member of the secret")),
        }
    }

    fn unusable(&self, why: &'static str) -> SecretError {
        SecretError::Unusable {
            from: self.to_string(),
            why,
        }
    }
}

/// `arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME`.
fn secret_place(arn: &str) -> Option<Place> {
    let mut parts = arn.splitn(7, ':');
    (parts.next()? == "arn").then_some(())?;
    parts.next()?;
    (parts.next()? == "secretsmanager").then_some(())?;
    let region = Region::from(parts.next()?);
    let account = AccountId::from(parts.next()?);
    (parts.next()? == "secret").then_some(Place { account, region })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_show_itself() {
        let secret = Secret::new("hunter2");
        assert_eq!(
            format!("{secret:?} {:?}", Some(&secret)),
            "Secret Some(Secret)"
        );
        assert_eq!(secret.expose(), "hunter2");
    }

    #[tokio::test]
    async fn files_are_trimmed_and_must_hold_something() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let source = SecretSource::File(path.clone());
        assert!(matches!(
            source.read(None).await,
            Err(SecretError::File { .. })
        ));
        for (bytes, said) in [
            (&b" \n"[..], "is empty"),
            (&b"\xff\xfe"[..], "is not text"),
            (&vec![b'a'; 70_000][..], "is too large to be a secret"),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let error = source.read(None).await.unwrap_err().to_string();
            assert!(error.ends_with(said), "{error}");
        }
        std::fs::write(&path, "  s3cret \n").unwrap();
        assert_eq!(source.read(None).await.unwrap().expose(), "s3cret");
    }

    #[test]
    fn an_arn_says_where_the_secret_is() {
        let place = secret_place("arn:aws:secretsmanager:eu-west-1:123456789012:secret:a:b-1x");
        assert_eq!(
            place,
            Some(Place {
                account: "123456789012".into(),
                region: "eu-west-1".into()
            })
        );
        assert_eq!(
            secret_place("arn:aws:s3:eu-west-1:123456789012:secret:a"),
            None
        );
        assert_eq!(secret_place("sso-token"), None);
    }
}
