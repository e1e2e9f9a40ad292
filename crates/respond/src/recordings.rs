//! The bucket that a flight recorder's store is kept in: the one thing that is written to AWS and is no
//! response.
//!
//! It stands here because nothing else may write. What must stay true: an object is made and never
//! replaced or removed, so that two recorders cannot write one snapshot; nobody but the recorder calls this.

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use davylamp_cloud::aws::read::s3_config;
use davylamp_cloud::aws::session::{Sessions, describe};

/// The bucket, or a part of it.
#[derive(Debug, Clone)]
pub struct Recordings {
    client: Client,
    bucket: String,
    prefix: String,
}

/// Why a bucket could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{call} of s3://{bucket}/{key} failed: {why}")]
pub struct RecordingsError {
    call: &'static str,
    bucket: String,
    key: String,
    why: String,
}

/// What came of making an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// It is there now.
    New,
    /// There was one, which is as it was.
    Exists,
}

/// Bucket and prefix of `s3://BUCKET/PREFIX`; nothing where it is no such address.
pub fn parse(url: &str) -> Option<(&str, &str)> {
    let rest = url.strip_prefix("s3://")?;
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    (!bucket.is_empty()).then_some((bucket, prefix.trim_matches('/')))
}

impl Recordings {
    /// What lies below a prefix of a bucket of our own account.
    pub fn new(sessions: &Sessions, bucket: &str, prefix: &str) -> Self {
        let config = s3_config(sessions.home_writing()).build();
        Self {
            client: Client::from_conf(config),
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
        }
    }

    fn key(&self, key: &str) -> String {
        match self.prefix.as_str() {
            "" => key.to_owned(),
            prefix => format!("{prefix}/{key}"),
        }
    }

    fn failed<E, R>(&self, call: &'static str, key: &str, error: &SdkError<E, R>) -> RecordingsError
    where
        E: std::error::Error + Send + Sync + 'static,
        R: std::fmt::Debug + Send + Sync + 'static,
    {
        RecordingsError {
            call,
            bucket: self.bucket.clone(),
            key: self.key(key),
            why: describe(error),
        }
    }

    /// Makes an object, unless there is one of that name.
    pub async fn make(&self, key: &str, bytes: Vec<u8>) -> Result<Made, RecordingsError> {
        let made = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(self.key(key))
            .if_none_match("*")
            .body(ByteStream::from(bytes))
            .send()
            .await;
        match made {
            Ok(_) => Ok(Made::New),
            // The condition did not hold, or somebody is making it at this moment.
            Err(error)
                if matches!(
                    error.code(),
                    Some("PreconditionFailed" | "ConditionalRequestConflict")
                ) =>
            {
                Ok(Made::Exists)
            }
            Err(error) => Err(self.failed("s3:PutObject", key, &error)),
        }
    }

    /// An object; nothing where there is none.
    pub async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, RecordingsError> {
        let question = self.client.get_object().bucket(&self.bucket);
        match question.key(self.key(key)).send().await {
            Ok(answer) => {
                let bytes = answer
                    .body
                    .collect()
                    .await
                    .map_err(|error| RecordingsError {
                        call: "s3:GetObject",
                        bucket: self.bucket.clone(),
                        key: self.key(key),
                        why: describe(&error),
                    })?;
                Ok(Some(bytes.to_vec()))
            }
            Err(error) if error.code() == Some("NoSuchKey") => Ok(None),
            Err(error) => Err(self.failed("s3:GetObject", key, &error)),
        }
    }

    /// The names in a folder, in order.
    pub async fn names(&self, folder: &str) -> Result<Vec<String>, RecordingsError> {
        let prefix = self.key(folder) + "/";
        let question = self.client.list_objects_v2().bucket(&self.bucket);
        let mut pages = question.prefix(&prefix).into_paginator().send();
        let mut names = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| self.failed("s3:ListBucket", folder, &error))?;
            let keys = page.contents().iter().filter_map(|object| object.key());
            names.extend(keys.filter_map(|key| key.strip_prefix(&prefix).map(str::to_owned)));
        }
        names.sort();
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        assert_eq!(parse("s3://b/a/c/"), Some(("b", "a/c")));
        assert_eq!(parse("s3://b"), Some(("b", "")));
        for wrong in ["s3://", "s3:///a", "/var/lib", "https://b/a"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
