//! What whoever asks may do, and how much a question may scan.

use std::collections::BTreeSet;

use davylamp_model::ids::{AccountId, Region};
use serde_json::{Value, json};

use super::{Catalog, Place};

impl Catalog {
    /// What somebody who asks needs, and no more: to read these places, to use this workgroup and
    /// database, and to write results. `account` and `region` are where Athena is asked.
    pub fn policy(
        &self,
        reads: &[Place],
        results: &Place,
        workgroup: &str,
        (account, region): (&AccountId, &Region),
    ) -> Value {
        let buckets: BTreeSet<String> = reads
            .iter()
            .chain([results])
            .map(Place::bucket_arn)
            .collect();
        let glue = |kind: &str| format!("arn:aws:glue:{region}:{account}:{kind}");
        json!({
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "Ask",
                    "Effect": "Allow",
                    "Action": [
                        "athena:GetQueryExecution", "athena:GetQueryResults", "athena:GetWorkGroup",
                        "athena:StartQueryExecution", "athena:StopQueryExecution",
                    ],
                    "Resource": format!("arn:aws:athena:{region}:{account}:workgroup/{workgroup}"),
                },
                {
                    "Sid": "Tables",
                    "Effect": "Allow",
                    "Action": ["glue:GetDatabase", "glue:GetTable", "glue:GetTables", "glue:GetPartitions"],
                    "Resource": [
                        glue("catalog"),
                        glue(&format!("database/{}", self.database)),
                        glue(&format!("table/{}/*", self.database)),
                    ],
                },
                {
                    "Sid": "ReadLogs",
                    "Effect": "Allow",
                    "Action": "s3:GetObject",
                    "Resource": reads.iter().map(Place::objects).collect::<Vec<_>>(),
                },
                {
                    "Sid": "ListBuckets",
                    "Effect": "Allow",
                    "Action": ["s3:GetBucketLocation", "s3:ListBucket"],
                    "Resource": buckets,
                },
                {
                    "Sid": "Results",
                    "Effect": "Allow",
                    "Action": ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"],
                    "Resource": results.objects(),
                },
            ],
        })
    }
}

/// A workgroup that keeps results in one place and breaks off a query that scans too much, as
/// `aws athena create-work-group --cli-input-json` takes it.
pub fn workgroup(name: &str, results: &Place, most_scanned_bytes: u64) -> Value {
    json!({
        "Name": name,
        "Description": "Hunts of Davylamp",
        "Configuration": {
            "EnforceWorkGroupConfiguration": true,
            "PublishCloudWatchMetricsEnabled": true,
            "BytesScannedCutoffPerQuery": most_scanned_bytes,
            "EngineVersion": {"SelectedEngineVersion": "Athena engine version 3"},
            "ResultConfiguration": {
                "OutputLocation": results.below(""),
                "EncryptionConfiguration": {"EncryptionOption": "SSE_S3"},
            },
        },
    })
}
