//! One account of the test server.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};

use super::{Moto, MotoError};
use crate::http::{self, Request};

/// An account of a moto server, with credentials that act in it as an administrator.
#[derive(Clone, PartialEq, Eq)]
pub struct MotoAccount {
    /// The account's id: twelve digits.
    pub id: String,
    /// The access key's id.
    pub access_key: String,
    /// Its secret.
    pub secret: String,
    /// The session's token.
    pub session_token: String,
    /// Where the server serves.
    pub endpoint: String,
}

impl std::fmt::Debug for MotoAccount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MotoAccount")
            .field("id", &self.id)
            .field("access_key", &self.access_key)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

impl MotoAccount {
    pub(super) fn assume(moto: &Moto, id: &str) -> Result<Self, MotoError> {
        let form = [
            ("Action", "AssumeRole"),
            ("Version", "2011-06-15"),
            ("RoleArn", &format!("arn:aws:iam::{id}:role/davylamp-test")),
            ("RoleSessionName", "davylamp-test"),
        ];
        // Any key: one that the server does not know belongs to its default account.
        let request = Request::query("AKIADAVYLAMPTEST0000", "us-east-1", "sts", &form);
        let body = answered("sts AssumeRole", &moto.address(), &request)?;
        let part = |name: &str| {
            between(&body, name).ok_or_else(|| MotoError::Answered {
                call: "sts AssumeRole".to_owned(),
                status: 200,
                body: body.clone(),
            })
        };
        Ok(Self {
            id: id.to_owned(),
            access_key: part("AccessKeyId")?,
            secret: part("SecretAccessKey")?,
            session_token: part("SessionToken")?,
            endpoint: moto.endpoint(),
        })
    }

    /// The same account, reached through another address, such as that of a
    /// [`FaultProxy`](crate::faults::FaultProxy).
    #[must_use]
    pub fn through(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = endpoint.into();
        self
    }

    /// Access key id, secret and session token.
    pub fn credentials(&self) -> (&str, &str, &str) {
        (&self.access_key, &self.secret, &self.session_token)
    }

    /// What a child process needs to act in this account through any AWS SDK.
    pub fn env(&self, region: &str) -> Vec<(String, String)> {
        [
            ("AWS_ACCESS_KEY_ID", self.access_key.as_str()),
            ("AWS_SECRET_ACCESS_KEY", &self.secret),
            ("AWS_SESSION_TOKEN", &self.session_token),
            ("AWS_REGION", region),
            ("AWS_DEFAULT_REGION", region),
            ("AWS_ENDPOINT_URL", &self.endpoint),
            // Without these an SDK may ask the machine it runs on, or read its files.
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("AWS_CONFIG_FILE", "/dev/null"),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    /// Sends a call of the query protocol (EC2, STS, IAM, SNS, SQS, Auto Scaling): `form` holds
    /// `Action`, `Version` and the parameters. Gives the answer's body, XML.
    pub fn query(
        &self,
        region: &str,
        service: &str,
        form: &[(&str, &str)],
    ) -> Result<String, MotoError> {
        let action = form
            .iter()
            .find(|(name, _)| *name == "Action")
            .map_or("?", |(_, action)| action);
        let request = Request::query(&self.access_key, region, service, form);
        answered(&format!("{service} {action}"), &self.address(), &request)
    }

    /// Sends a call of the JSON protocols (DynamoDB, ECS, SSM, Secrets Manager, Cognito): `target`
    /// is the `X-Amz-Target`. Gives the answer's body.
    pub fn json(
        &self,
        region: &str,
        service: &str,
        target: &str,
        body: &serde_json::Value,
    ) -> Result<serde_json::Value, MotoError> {
        let request = Request::post("/", body.to_string())
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", target)
            .scope(&self.access_key, region, service);
        parsed(target, &answered(target, &self.address(), &request)?)
    }

    /// Sends a call of the REST protocols (S3, Lambda, EKS, SES v2). Gives the answer's body.
    pub fn rest(
        &self,
        region: &str,
        service: &str,
        method: &str,
        path: &str,
        body: &str,
    ) -> Result<String, MotoError> {
        let request = Request::new(method, path, body.as_bytes().to_vec())
            .header("content-type", "application/json")
            .scope(&self.access_key, region, service);
        answered(
            &format!("{service} {method} {path}"),
            &self.address(),
            &request,
        )
    }

    fn address(&self) -> String {
        self.endpoint
            .trim_start_matches("http://")
            .trim_end_matches('/')
            .to_owned()
    }
}

/// Twelve random digits, the first not zero.
pub(super) fn random_id() -> String {
    // Each `RandomState` is keyed by the operating system's randomness.
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    (100_000_000_000 + hasher.finish() % 900_000_000_000).to_string()
}

/// The text of the first element of this name in an answer.
pub(super) fn between(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    Some(text.to_owned())
}

fn answered(call: &str, address: &str, request: &Request) -> Result<String, MotoError> {
    let answer = http::send(address, request).map_err(|source| MotoError::Io {
        what: format!("call {call}"),
        source,
    })?;
    let body = String::from_utf8_lossy(&answer.body).into_owned();
    if (200..300).contains(&answer.status) {
        return Ok(body);
    }
    Err(MotoError::Answered {
        call: call.to_owned(),
        status: answer.status,
        body,
    })
}

fn parsed(call: &str, body: &str) -> Result<serde_json::Value, MotoError> {
    serde_json::from_str(body).map_err(|_| MotoError::Answered {
        call: call.to_owned(),
        status: 200,
        body: body.to_owned(),
    })
}
