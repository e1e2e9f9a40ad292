//! CloudTrail's digests: which log files were delivered in an hour, with their hashes, and which
//! digest came before.
//!
//! Source: the AWS CloudTrail user guide, "CloudTrail digest file structure". Deliberately not here:
//! judging hashes and signatures.

use std::borrow::Cow;
use std::sync::LazyLock;

use super::documents::Forms;
use super::members::{Names, items};
use super::recipe::{self, Recipe, Row, Value};
use super::{Log, Object, Order, Reader, Spelling, names};
use crate::table::{Column, SOURCE, Table, boolean, integer, text, time};

/// The folder that a digest's key has before its region.
const FOLDER: &str = "CloudTrail-Digest";

const COLUMNS: &[Column] = &[
    time(
        "digest_start",
        "the start of the hour that the digest is about",
    ),
    time("digest_end", "the end of that hour"),
    text(
        "account_id",
        "the account that the digest was delivered for",
    ),
    text("region", "the region, as the digest's own key says it"),
    text(
        "digest_s3_bucket",
        "the bucket that the digest was delivered to",
    )
    .verbatim(),
    text(
        "digest_s3_object",
        "the key that the digest was delivered at",
    )
    .verbatim(),
    text(
        "digest_public_key_fingerprint",
        "the fingerprint of the key that signed it",
    )
    .verbatim(),
    text("digest_signature_algorithm", "how it was signed").verbatim(),
    time("newest_event_time", "the last event of the log files"),
    time("oldest_event_time", "the first event of the log files"),
    text(
        "previous_digest_s3_bucket",
        "the bucket of the digest before",
    )
    .verbatim(),
    text("previous_digest_s3_object", "the key of the digest before").verbatim(),
    text(
        "previous_digest_hash_value",
        "the hash of the digest before",
    )
    .verbatim(),
    text("previous_digest_hash_algorithm", "how it was hashed").verbatim(),
    text(
        "previous_digest_signature",
        "the signature of the digest before",
    )
    .verbatim(),
    text("log_files", "the log files with their hashes, as JSON"),
    integer(
        "log_file_count",
        "how many these are; none proves a quiet hour",
    )
    .computed(),
    boolean(
        "is_start",
        "whether no digest came before: the trail was started, again perhaps",
    )
    .computed(),
    integer("start_epoch", "digest_start in seconds since 1970").computed(),
    integer("end_epoch", "digest_end in seconds since 1970").computed(),
    SOURCE,
];

/// The table of CloudTrail's digests.
pub static TABLE: Table = Table {
    name: "cloudtrail_digest",
    about: "an hour of a trail in a region: the log files that were delivered",
    time: "digest_end",
    account: Some("account_id"),
    region: Some("region"),
    columns: COLUMNS,
};

static RECIPE: LazyLock<Recipe> = LazyLock::new(|| Recipe {
    table: &TABLE,
    names: Names::new(&[
        "awsAccountId",
        "digestStartTime",
        "digestEndTime",
        "digestS3Bucket",
        "digestS3Object",
        "digestPublicKeyFingerprint",
        "digestSignatureAlgorithm",
        "newestEventTime",
        "oldestEventTime",
        "previousDigestS3Bucket",
        "previousDigestS3Object",
        "previousDigestHashValue",
        "previousDigestHashAlgorithm",
        "previousDigestSignature",
        "logFiles",
    ]),
    forms: Forms {
        streamed: &[],
        lists: &[],
        envelopes: &[],
        texts: &[],
        is_prefixed: false,
    },
    is_record: |members| members.has("digestEndTime") && members.has("digestS3Object"),
    is_beside: |_| false,
    written: &[
        ("digest_start", "digestStartTime"),
        ("digest_end", "digestEndTime"),
        ("digest_s3_bucket", "digestS3Bucket"),
        ("digest_s3_object", "digestS3Object"),
        (
            "digest_public_key_fingerprint",
            "digestPublicKeyFingerprint",
        ),
        ("digest_signature_algorithm", "digestSignatureAlgorithm"),
        ("newest_event_time", "newestEventTime"),
        ("oldest_event_time", "oldestEventTime"),
        ("previous_digest_s3_bucket", "previousDigestS3Bucket"),
        ("previous_digest_s3_object", "previousDigestS3Object"),
        ("previous_digest_hash_value", "previousDigestHashValue"),
        (
            "previous_digest_hash_algorithm",
            "previousDigestHashAlgorithm",
        ),
        ("previous_digest_signature", "previousDigestSignature"),
        ("log_files", "logFiles"),
    ],
    computed: &[
        ("account_id", |row| {
            Value::Text(
                row.members
                    .text("awsAccountId")
                    .or_else(|| row.key_account()),
            )
        }),
        ("region", |row| {
            Value::Text(region(row).or_else(|| row.key_region()))
        }),
        ("log_file_count", |row| {
            let files = row
                .members
                .get("logFiles")
                .filter(|files| files.first() == Some(&b'['));
            let count = files.map(|files| items(Some(files)).len());
            Value::Integer(count.and_then(|count| i64::try_from(count).ok()))
        }),
        ("is_start", |row| {
            let previous = [
                "previousDigestS3Object",
                "previousDigestHashValue",
                "previousDigestSignature",
            ];
            let is_start = previous.iter().all(|name| row.members.text(name).is_none());
            Value::Boolean(Some(is_start))
        }),
        ("start_epoch", |row| {
            Value::Integer(row.epoch("digestStartTime"))
        }),
        ("end_epoch", |row| {
            Value::Integer(row.epoch("digestEndTime"))
        }),
    ],
});

/// CloudTrail's digests.
#[derive(Debug)]
pub struct CloudTrailDigest;

impl Log for CloudTrailDigest {
    fn table(&self) -> &'static Table {
        &TABLE
    }

    fn recognises(&self, head: &[u8]) -> bool {
        names(head, "digestEndTime") && names(head, "digestS3Object")
    }

    fn spelling(&self) -> Spelling {
        Spelling::Json
    }

    fn open(&self, order: &Order, object: &Object) -> Box<dyn Reader> {
        recipe::open(&RECIPE, order, object)
    }
}

fn region<'a>(row: &Row<'a>) -> Option<Cow<'a, str>> {
    let key = row.members.text("digestS3Object")?;
    let mut folders = key.split('/').skip_while(|folder| *folder != FOLDER);
    folders.next()?;
    folders.next().map(|region| Cow::Owned(region.to_owned()))
}
