//! The public keys of CloudTrail, which the signatures of its digests are checked with.
//!
//! Source: the CloudTrail API reference, `ListPublicKeys`: a region has keys of its own and others with time,
//! and says those that signed between two moments; any account may ask. Deliberately not here: what a key is
//! (`casework::integrity`), which takes the answer as it is.

use davylamp_model::ids::Region;
use jiff::Timestamp;
use serde_json::{Map, json};

use super::json::{CLOUDTRAIL, Question};
use super::read::{ReadConfig, ReadError};

const LIST_PUBLIC_KEYS: Question = Question {
    service: CLOUDTRAIL,
    operation: "ListPublicKeys",
    permission: "cloudtrail:ListPublicKeys",
};

/// The member of an answer that has the keys.
const KEYS: &str = "PublicKeyList";

/// The keys that signed between two moments in the region of a configuration: every page of the answer as
/// one, in the form that `aws cloudtrail list-public-keys` prints.
///
/// # Errors
/// When a page cannot be had.
pub async fn list(
    config: &ReadConfig,
    from: Timestamp,
    until: Timestamp,
) -> Result<Vec<u8>, ReadError> {
    let mut body = Map::new();
    body.insert("StartTime".to_owned(), json!(from.as_second()));
    body.insert("EndTime".to_owned(), json!(until.as_second()));
    let keys = LIST_PUBLIC_KEYS.list(config, body, KEYS).await?;
    Ok(json!({ KEYS: keys }).to_string().into_bytes())
}

/// The command that asks the same, for whoever has credentials elsewhere.
pub fn command(region: &Region, from: Timestamp, until: Timestamp) -> String {
    format!(
        "aws cloudtrail list-public-keys --region {region} --start-time {} --end-time {}",
        whole(from),
        whole(until),
    )
}

/// A moment without a fraction of a second.
fn whole(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}
