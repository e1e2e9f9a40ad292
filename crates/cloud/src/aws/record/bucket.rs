//! Buckets, and who may read them.

use aws_sdk_s3::types;
use davylamp_model::recording::Thing;
use serde_json::{Map, Value};

use super::each;
use super::state::{list, one, pages, put, state, word};
use crate::aws::read::{ReadConfig, ReadError};

/// Where a bucket is whose location S3 does not name (S3 API reference, `GetBucketLocation`).
const UNNAMED_REGION: &str = "us-east-1";
/// The old name of a region, which `GetBucketLocation` goes on using.
const OLD_NAMES: [(&str, &str); 1] = [("EU", "eu-west-1")];

/// What a bucket does not let us read is told in its member `Unread`: one bucket that refuses must not
/// make all others unknown.
pub(super) async fn buckets(config: &ReadConfig) -> Result<Vec<Thing>, ReadError> {
    let client = config.s3();
    let question = client.list_buckets().max_buckets(1000);
    let buckets = pages!(question, "s3:ListAllMyBuckets", |page| page
        .buckets
        .unwrap_or_default());
    let all = each(buckets, async |it| bucket(config, &it).await);
    Ok(all.await?.into_iter().flatten().collect())
}

async fn bucket(config: &ReadConfig, it: &types::Bucket) -> Result<Option<Thing>, ReadError> {
    let Some(name) = it.name() else {
        return Ok(None);
    };
    let mut asked = Asked::default();
    let region = match it.bucket_region() {
        Some(region) => Some(region.to_owned()),
        None => asked.take("BucketRegion", location(config, name).await)?,
    };
    let client = match &region {
        Some(region) => config.in_region(region).s3(),
        None => config.s3(),
    };
    let block = client.get_public_access_block().bucket(name).send().await;
    let block = block
        .map(|answer| one(&answer.public_access_block_configuration, access_block))
        .map_err(|error| ReadError::of("s3:GetBucketPublicAccessBlock", &error));
    let block = asked.take("PublicAccessBlock", block)?.flatten();
    let status = client.get_bucket_policy_status().bucket(name).send().await;
    let status = status
        .map(|answer| {
            one(
                &answer.policy_status,
                |it| state! {"IsPublic": &it.is_public},
            )
        })
        .map_err(|error| ReadError::of("s3:GetBucketPolicyStatus", &error));
    let status = asked.take("PolicyStatus", status)?.flatten();
    let grants = client.get_bucket_acl().bucket(name).send().await;
    let grants = grants
        .map(|answer| list(&answer.grants, grant))
        .map_err(|error| ReadError::of("s3:GetBucketAcl", &error));
    let grants = asked.take("Grants", grants)?;
    Ok(Some(Thing {
        id: name.to_owned(),
        state: state! {
            "BucketRegion": &region,
            "CreationDate": &it.creation_date,
            "Grants": grants,
            "Name": name,
            "PolicyStatus": status,
            "PublicAccessBlock": block,
            "Unread": Value::Object(asked.unread),
        },
    }))
}

/// What came of asking about one bucket.
#[derive(Default)]
struct Asked {
    unread: Map<String, Value>,
}

impl Asked {
    /// The answer; nothing where the bucket has no such member, or does not let us read it.
    fn take<T>(
        &mut self,
        member: &str,
        answer: Result<T, ReadError>,
    ) -> Result<Option<T>, ReadError> {
        match answer {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if is_gone(&error) => Err(error),
            Err(error) if error.is_absent() => Ok(None),
            Err(error @ ReadError::Denied { .. }) => {
                put(&mut self.unread, member, error.to_string().as_str());
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// Whether the bucket itself is not there, and not only what was asked of it.
fn is_gone(error: &ReadError) -> bool {
    matches!(error, ReadError::Absent { said, .. } if said.starts_with("NoSuchBucket:"))
}

async fn location(config: &ReadConfig, name: &str) -> Result<String, ReadError> {
    let answer = config.s3().get_bucket_location().bucket(name).send().await;
    let answer = answer.map_err(|error| ReadError::of("s3:GetBucketLocation", &error))?;
    let said = word(&answer.location_constraint).unwrap_or_default();
    let old = OLD_NAMES.iter().find(|(old, _)| *old == said);
    Ok(match (said, old) {
        ("", _) => UNNAMED_REGION.to_owned(),
        (_, Some((_, new))) => (*new).to_owned(),
        (said, None) => said.to_owned(),
    })
}

fn access_block(it: &types::PublicAccessBlockConfiguration) -> Value {
    state! {
        "BlockPublicAcls": &it.block_public_acls,
        "BlockPublicPolicy": &it.block_public_policy,
        "IgnorePublicAcls": &it.ignore_public_acls,
        "RestrictPublicBuckets": &it.restrict_public_buckets,
    }
}

fn grant(it: &types::Grant) -> Value {
    state! {
        "Grantee": one(&it.grantee, |grantee| state! {
            "ID": &grantee.id,
            "Type": grantee.r#type.as_str(),
            "URI": &grantee.uri,
        }),
        "Permission": word(&it.permission),
    }
}
