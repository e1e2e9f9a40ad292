//! What lies in a trail's bucket beside events: digests, and insights.
//!
//! The digests are those of a trail that has just started each day: their form is AWS's, but nobody has
//! signed them.

use std::io;
use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::calendar::{DAY_SECS, civil, iso};
use super::dice::Dice;
use super::layout::{folder, gzip};
use super::{ids, regions};

/// A file of events that a digest lists.
#[derive(Debug)]
pub struct Listed {
    /// Its key in the bucket.
    pub key: String,
    /// The hash of its text.
    pub hash: String,
    /// The first and the last event.
    pub span: (i64, i64),
}

impl Listed {
    /// Of a file's text.
    pub fn new(key: String, text: &[u8], span: (i64, i64)) -> Self {
        Self {
            key,
            hash: hex::encode(Sha256::digest(text)),
            span,
        }
    }
}

/// Writes the digest of a day, in the trail's home.
///
/// # Errors
/// When it cannot be written.
pub fn digest(dir: &Path, account: &str, end: i64, files: &[Listed]) -> io::Result<()> {
    let region = regions::HOME;
    let bucket = format!("trail-{account}");
    let listed: Vec<Value> = files
        .iter()
        .map(|file| {
            json!({
                "s3Bucket": bucket,
                "s3Object": file.key,
                "hashValue": file.hash,
                "hashAlgorithm": "SHA-256",
                "newestEventTime": iso(file.span.1),
                "oldestEventTime": iso(file.span.0),
            })
        })
        .collect();
    let folder = folder(dir, account, "CloudTrail-Digest", region, end);
    let day = civil(end).strftime("%Y/%m/%d").to_string();
    let stamp = civil(end).strftime("%Y%m%dT%H%M%SZ").to_string();
    let name = format!("{account}_CloudTrail-Digest_{region}_management_{region}_{stamp}.json.gz");
    let digest = json!({
        "awsAccountId": account,
        "digestStartTime": iso(end - DAY_SECS),
        "digestEndTime": iso(end),
        "digestS3Bucket": bucket,
        "digestS3Object": format!("AWSLogs/{account}/CloudTrail-Digest/{region}/{day}/{name}"),
        "digestPublicKeyFingerprint": "67b9fa73676d86966b449dd677850753",
        "digestSignatureAlgorithm": "SHA256withRSA",
        "newestEventTime": files.iter().map(|file| file.span.1).max().map(iso),
        "oldestEventTime": files.iter().map(|file| file.span.0).min().map(iso),
        "previousDigestS3Bucket": null,
        "previousDigestS3Object": null,
        "previousDigestHashValue": null,
        "previousDigestHashAlgorithm": null,
        "previousDigestSignature": null,
        "logFiles": listed,
    });
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join(name), gzip(digest.to_string().as_bytes())?)
}

/// Writes that a call was made more often than usual.
///
/// # Errors
/// When it cannot be written.
pub fn insight(dir: &Path, account: &str, region: &str, at: i64) -> io::Result<()> {
    let mut dice = Dice::of(3, account, at);
    let record = |state: &str, dice: &mut Dice| {
        json!({
            "eventVersion": "1.08",
            "eventTime": iso(at),
            "awsRegion": region,
            "eventID": dice.uuid(),
            "eventType": "AwsCloudTrailInsight",
            "recipientAccountId": account,
            "sharedEventID": dice.uuid(),
            "insightDetails": {
                "state": state,
                "eventSource": "ec2.amazonaws.com",
                "eventName": "RunInstances",
                "insightType": "ApiCallRateInsight",
                "insightContext": {"statistics": {
                    "baseline": {"average": 0.0020833333}, "insight": {"average": 6.4}, "insightDuration": 5,
                }},
            },
            "eventCategory": "Insight",
        })
    };
    let records = [record("Start", &mut dice), record("End", &mut dice)];
    let folder = folder(dir, account, "CloudTrail-Insight", region, at);
    std::fs::create_dir_all(&folder)?;
    let stamp = civil(at).strftime("%Y%m%dT%H%MZ").to_string();
    let name = format!(
        "{account}_CloudTrail-Insight_{region}_{stamp}_{}.json.gz",
        ids::file(&mut dice)
    );
    let text = json!({"Records": records}).to_string();
    std::fs::write(folder.join(name), gzip(text.as_bytes())?)
}
