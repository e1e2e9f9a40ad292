//! What Amazon Athena has to be told to ask a lake, and logs as AWS delivers them: tables with
//! partition projection, a policy that allows no more than asking, and a workgroup with a limit.
//!
//! What must stay true: a table of the lake has the columns of ours under their names, so that a
//! hunt's text is the same there; no partition is left out without a word. Deliberately not here:
//! running anything at AWS.
//!
//! Sources: <https://docs.aws.amazon.com/athena/latest/ug/create-table.html>,
//! <https://docs.aws.amazon.com/athena/latest/ug/partition-projection-supported-types.html>,
//! <https://docs.aws.amazon.com/athena/latest/ug/create-cloudtrail-table-partition-projection.html>,
//! <https://docs.aws.amazon.com/athena/latest/ug/vpc-flow-logs-create-table-statement.html>,
//! <https://docs.aws.amazon.com/athena/latest/ug/querying-r53-resolver-logs-creating-table.html>.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use davylamp_model::ids::{AccountId, Region, is_region};
use jiff::civil::Date;
use serde_json::{Value, json};

use crate::lake::{ACCOUNT, DATE, REGION, UNKNOWN};
use crate::read::LOGS;
use crate::table::{Kind, Table};

/// Where logs or a lake lie, and what of them.
#[derive(Debug, Clone)]
pub struct Place {
    bucket: String,
    /// Without a slash at either end.
    prefix: String,
}

/// What is to be asked.
#[derive(Debug, Clone)]
pub struct Catalog {
    /// The database.
    pub database: String,
    /// Its accounts; at least one.
    pub accounts: Vec<AccountId>,
    /// Its regions; at least one.
    pub regions: Vec<Region>,
    /// The first day; a year ago, whenever it is asked, where there is none. Each day costs every
    /// query that names none a look into every account and region.
    pub since: Option<Date>,
}

/// Why something cannot be written into a statement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// A place that is none of S3.
    #[error("{0} is no s3://BUCKET/PREFIX")]
    Place(String),
    /// A name that Athena does not take without quotes.
    #[error("{0} is no name of a database: small letters, digits and underscores")]
    Database(String),
    /// No account, or one that is none.
    #[error("{0:?} is no account: twelve digits")]
    Account(String),
    /// No region, or one that is none.
    #[error("{0:?} is no region, such as eu-west-1")]
    Region(String),
}

impl Place {
    /// Reads `s3://BUCKET/PREFIX`.
    ///
    /// # Errors
    /// Where it is none, or has what could end a statement's text.
    pub fn parse(text: &str) -> Result<Self, CatalogError> {
        let wrong = || CatalogError::Place(text.to_owned());
        let rest = text.strip_prefix("s3://").ok_or_else(wrong)?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let is_bucket = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-_".contains(c);
        let is_key = |c: char| c.is_ascii_alphanumeric() || "!-_.*()/=@:+,".contains(c);
        if bucket.len() < 3 || !bucket.chars().all(is_bucket) || !prefix.chars().all(is_key) {
            return Err(wrong());
        }
        Ok(Self {
            bucket: bucket.to_owned(),
            prefix: prefix.trim_matches('/').to_owned(),
        })
    }

    /// `s3://BUCKET/PREFIX/`, with this below it.
    fn below(&self, rest: &str) -> String {
        let prefix = match self.prefix.as_str() {
            "" => String::new(),
            prefix => format!("{prefix}/"),
        };
        format!("s3://{}/{prefix}{rest}", self.bucket)
    }

    /// What its objects are called in a policy.
    fn objects(&self) -> String {
        format!("{}*", self.below("").replacen("s3://", "arn:aws:s3:::", 1))
    }

    fn bucket_arn(&self) -> String {
        format!("arn:aws:s3:::{}", self.bucket)
    }
}

impl Catalog {
    /// Checks what will stand in statements.
    ///
    /// # Errors
    /// The first name that is none.
    pub fn checked(self) -> Result<Self, CatalogError> {
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if self.database.is_empty() || !self.database.chars().all(is_name) {
            return Err(CatalogError::Database(self.database));
        }
        if self.accounts.is_empty() {
            return Err(CatalogError::Account(String::new()));
        }
        if let Some(wrong) = self.accounts.iter().find(|it| !it.is_well_formed()) {
            return Err(CatalogError::Account(wrong.to_string()));
        }
        if self.regions.is_empty() {
            return Err(CatalogError::Region(String::new()));
        }
        if let Some(wrong) = self.regions.iter().find(|it| !is_region(it.as_str())) {
            return Err(CatalogError::Region(wrong.to_string()));
        }
        Ok(self)
    }

    /// The database, and a table of the lake for each of ours.
    pub fn of_lake(&self, lake: &Place) -> String {
        let mut text = self.database();
        for log in LOGS {
            text.push('\n');
            text.push_str(&self.lake_table(log.table(), lake));
        }
        text
    }

    /// The database, and a table for each log that AWS delivers under `AWSLogs`, in the columns of
    /// AWS's own readers: for people. Hunts need the lake, where what they ask is worked out.
    pub fn of_logs(&self, logs: &Place) -> String {
        let mut text = self.database();
        for one in [
            self.cloudtrail(logs),
            self.vpc_flow(logs),
            self.dns_query(logs),
        ] {
            text.push('\n');
            text.push_str(&one);
        }
        text
    }

    /// The range of days, written so.
    fn days(&self, form: &str) -> String {
        match self.since {
            Some(day) => format!("{},NOW", day.strftime(form)),
            None => "NOW-1YEARS,NOW".to_owned(),
        }
    }

    fn database(&self) -> String {
        format!("CREATE DATABASE IF NOT EXISTS {};\n", self.database)
    }

    fn accounts(&self) -> Vec<&str> {
        self.accounts.iter().map(AccountId::as_str).collect()
    }

    fn regions(&self) -> Vec<&str> {
        self.regions.iter().map(Region::as_str).collect()
    }

    fn lake_table(&self, table: &Table, lake: &Place) -> String {
        let columns: Vec<String> = table
            .columns
            .iter()
            .map(|column| format!("  `{}` {}", column.name, hive(column.kind)))
            .collect();
        let under = lake.below(table.name);
        let mut text = format!(
            "-- {}. Rows without a day, in {DATE}={UNKNOWN}, are in no day that can be projected:\n\
             -- davy hunt sql reads them.\n\
             CREATE EXTERNAL TABLE IF NOT EXISTS {}.{} (\n{}\n)\n\
             PARTITIONED BY ({ACCOUNT} string, {REGION} string, {DATE} string)\n\
             STORED AS PARQUET\nLOCATION '{under}/'\n",
            table.about,
            self.database,
            table.name,
            columns.join(",\n"),
        );
        // What has no account or region lies in a folder of its own.
        let mut accounts = self.accounts();
        accounts.push(UNKNOWN);
        let mut regions = self.regions();
        regions.push(UNKNOWN);
        properties(
            &mut text,
            &[
                ("projection.enabled", "true".to_owned()),
                (&format!("projection.{ACCOUNT}.type"), "enum".to_owned()),
                (&format!("projection.{ACCOUNT}.values"), accounts.join(",")),
                (&format!("projection.{REGION}.type"), "enum".to_owned()),
                (&format!("projection.{REGION}.values"), regions.join(",")),
                (&format!("projection.{DATE}.type"), "date".to_owned()),
                (
                    &format!("projection.{DATE}.format"),
                    "yyyy-MM-dd".to_owned(),
                ),
                (&format!("projection.{DATE}.range"), self.days("%Y-%m-%d")),
                (
                    "storage.location.template",
                    format!(
                        "{under}/{ACCOUNT}=${{{ACCOUNT}}}/{REGION}=${{{REGION}}}/{DATE}=${{{DATE}}}/"
                    ),
                ),
            ],
        );
        text
    }

    /// The partitions of what AWS delivers below `AWSLogs/ACCOUNT/SERVICE/REGION/YYYY/MM/DD`.
    fn projected(&self, text: &mut String, logs: &Place, service: &str, more: &[(&str, String)]) {
        let root = logs.below(&format!("${{account}}/{service}/${{region}}/${{day}}/"));
        let mut all = vec![
            ("projection.enabled", "true".to_owned()),
            ("projection.account.type", "enum".to_owned()),
            ("projection.account.values", self.accounts().join(",")),
            ("projection.region.type", "enum".to_owned()),
            ("projection.region.values", self.regions().join(",")),
            ("projection.day.type", "date".to_owned()),
            ("projection.day.format", "yyyy/MM/dd".to_owned()),
            ("projection.day.range", self.days("%Y/%m/%d")),
            ("projection.day.interval", "1".to_owned()),
            ("projection.day.interval.unit", "DAYS".to_owned()),
            ("storage.location.template", root),
        ];
        all.extend_from_slice(more);
        properties(text, &all);
    }

    fn cloudtrail(&self, logs: &Place) -> String {
        let issuer =
            "struct<type:string,principalid:string,arn:string,accountid:string,username:string>";
        let session = format!(
            "struct<attributes:struct<mfaauthenticated:string,creationdate:string>,\
             sessionissuer:{issuer},ec2roledelivery:string,\
             webidfederationdata:struct<federatedprovider:string,attributes:map<string,string>>>"
        );
        let identity = format!(
            "struct<type:string,principalid:string,arn:string,accountid:string,invokedby:string,\
             accesskeyid:string,username:string,\
             onbehalfof:struct<userid:string,identitystorearn:string>,sessioncontext:{session}>"
        );
        let mut columns = vec![
            "eventversion string".to_owned(),
            format!("useridentity {identity}"),
        ];
        for name in [
            "eventtime",
            "eventsource",
            "eventname",
            "awsregion",
            "sourceipaddress",
            "useragent",
            "errorcode",
            "errormessage",
            "requestparameters",
            "responseelements",
            "additionaleventdata",
            "requestid",
            "eventid",
            "readonly",
        ] {
            columns.push(format!("{name} string"));
        }
        columns.push("resources array<struct<arn:string,accountid:string,type:string>>".to_owned());
        for name in [
            "eventtype",
            "apiversion",
            "recipientaccountid",
            "serviceeventdetails",
            "sharedeventid",
            "vpcendpointid",
            "vpcendpointaccountid",
            "eventcategory",
            "sessioncredentialfromconsole",
        ] {
            columns.push(format!("{name} string"));
        }
        columns.push(
            "tlsdetails struct<tlsversion:string,ciphersuite:string,clientprovidedhostheader:string>"
                .to_owned(),
        );
        let mut text = self.head("cloudtrail_raw", &columns);
        text.push_str(
            "ROW FORMAT SERDE 'org.apache.hive.hcatalog.data.JsonSerDe'\n\
             STORED AS INPUTFORMAT 'com.amazon.emr.cloudtrail.CloudTrailInputFormat'\n\
             OUTPUTFORMAT 'org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat'\n",
        );
        let _ = writeln!(text, "LOCATION '{}'", logs.below(""));
        self.projected(&mut text, logs, "CloudTrail", &[]);
        text
    }

    fn vpc_flow(&self, logs: &Place) -> String {
        let columns: Vec<String> = [
            ("version", "int"),
            ("account_id", "string"),
            ("interface_id", "string"),
            ("srcaddr", "string"),
            ("dstaddr", "string"),
            ("srcport", "int"),
            ("dstport", "int"),
            ("protocol", "bigint"),
            ("packets", "bigint"),
            ("bytes", "bigint"),
            ("start", "bigint"),
            ("end", "bigint"),
            ("action", "string"),
            ("log_status", "string"),
        ]
        .map(|(name, kind)| format!("`{name}` {kind}"))
        .into();
        let mut text = self.head("vpc_flow_raw", &columns);
        text.push_str("ROW FORMAT DELIMITED FIELDS TERMINATED BY ' '\n");
        let _ = writeln!(text, "LOCATION '{}'", logs.below(""));
        let head = [("skip.header.line.count", "1".to_owned())];
        self.projected(&mut text, logs, "vpcflowlogs", &head);
        text
    }

    fn dns_query(&self, logs: &Place) -> String {
        let columns: Vec<String> = [
            ("version", "string"),
            ("account_id", "string"),
            ("region", "string"),
            ("vpc_id", "string"),
            ("query_timestamp", "string"),
            ("query_name", "string"),
            ("query_type", "string"),
            ("query_class", "string"),
            ("rcode", "string"),
            (
                "answers",
                "array<struct<rdata:string,type:string,class:string>>",
            ),
            ("srcaddr", "string"),
            ("srcport", "int"),
            ("transport", "string"),
            ("srcids", "struct<instance:string,resolver_endpoint:string>"),
            ("firewall_rule_action", "string"),
            ("firewall_rule_group_id", "string"),
            ("firewall_domain_list_id", "string"),
        ]
        .map(|(name, kind)| format!("`{name}` {kind}"))
        .into();
        let mut text = format!(
            "-- The log's own account and region stand in its records.\n\
             CREATE EXTERNAL TABLE IF NOT EXISTS {}.dns_query_raw (\n  {}\n)\n\
             PARTITIONED BY (account string, vpc string, day string)\n\
             ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'\n\
             LOCATION '{}'\n",
            self.database,
            columns.join(",\n  "),
            logs.below("")
        );
        // Resolver logs lie below the VPC, which nobody can list beforehand: a query names it.
        properties(
            &mut text,
            &[
                ("projection.enabled", "true".to_owned()),
                ("projection.account.type", "enum".to_owned()),
                ("projection.account.values", self.accounts().join(",")),
                ("projection.vpc.type", "injected".to_owned()),
                ("projection.day.type", "date".to_owned()),
                ("projection.day.format", "yyyy/MM/dd".to_owned()),
                ("projection.day.range", self.days("%Y/%m/%d")),
                (
                    "storage.location.template",
                    logs.below("${account}/vpcdnsquerylogs/${vpc}/${day}/"),
                ),
            ],
        );
        text
    }

    fn head(&self, table: &str, columns: &[String]) -> String {
        format!(
            "CREATE EXTERNAL TABLE IF NOT EXISTS {}.{table} (\n  {}\n)\n\
             PARTITIONED BY (account string, region string, day string)\n",
            self.database,
            columns.join(",\n  ")
        )
    }

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

fn hive(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "string",
        Kind::Integer => "bigint",
        Kind::Float => "double",
        Kind::Boolean => "boolean",
        Kind::Time => "timestamp",
    }
}

fn properties(text: &mut String, all: &[(&str, String)]) {
    let all: Vec<String> = all
        .iter()
        .map(|(key, value)| format!("  '{key}' = '{value}'"))
        .collect();
    // Writing to a string cannot fail.
    let _ = writeln!(text, "TBLPROPERTIES (\n{}\n);", all.join(",\n"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog() -> Catalog {
        Catalog {
            database: "davylamp".to_owned(),
            accounts: vec!["111122223333".into(), "444455556666".into()],
            regions: vec!["eu-west-1".into(), "us-east-1".into()],
            since: Some(jiff::civil::date(2025, 3, 1)),
        }
    }

    fn place(text: &str) -> Place {
        Place::parse(text).expect("a place")
    }

    #[test]
    fn nothing_is_written_that_could_end_a_text() {
        for wrong in [
            "",
            "/lake",
            "s3:/b/lake",
            "s3://",
            "s3://ab",
            "s3://Bucket/x",
            "s3://bucket/it's",
            "s3://bucket/a b",
            "s3://bucket/a\n",
            "s3://buc;ket/",
            "s3://bucket/`x`",
        ] {
            assert!(Place::parse(wrong).is_err(), "{wrong}");
        }
        let wrong = |change: fn(&mut Catalog)| {
            let mut catalog = catalog();
            change(&mut catalog);
            catalog.checked().expect_err("it is wrong")
        };
        wrong(|it| it.database = "a b".to_owned());
        wrong(|it| it.database.clear());
        wrong(|it| it.accounts.clear());
        wrong(|it| it.accounts.push("12' ".into()));
        wrong(|it| it.regions.clear());
        wrong(|it| it.regions.push("eu'west".into()));
        assert!(catalog().checked().is_ok());
    }

    #[test]
    fn a_lake_has_our_columns_and_every_partition() {
        let text = catalog().of_lake(&place("s3://bucket/a/lake/"));
        for log in LOGS {
            let table = log.table();
            let head = format!("EXISTS davylamp.{} (", table.name);
            let (_, rest) = text.split_once(&head).unwrap_or_else(|| panic!("{head}"));
            let (mut rest, properties) = rest.split_once("PARTITIONED BY").expect("partitions");
            for column in table.columns {
                let written = format!("`{}` ", column.name);
                let (_, after) = rest
                    .split_once(&written)
                    .unwrap_or_else(|| panic!("{written}"));
                rest = after;
            }
            let (properties, _) = properties.split_once(");").expect("an end");
            for part in [
                "'111122223333,444455556666,__HIVE_DEFAULT_PARTITION__'",
                "'eu-west-1,us-east-1,__HIVE_DEFAULT_PARTITION__'",
                "'2025-03-01,NOW'",
                "/log_region=${log_region}/log_date=${log_date}/'",
            ] {
                assert!(properties.contains(part), "{part}: {properties}");
            }
            let lies = format!("'s3://bucket/a/lake/{}/log_account=", table.name);
            assert!(properties.contains(&lies), "{properties}");
        }
        let mut always = catalog();
        always.since = None;
        assert!(
            always
                .of_lake(&place("s3://bucket"))
                .contains("'NOW-1YEARS,NOW'")
        );
        assert!(
            always
                .of_lake(&place("s3://bucket"))
                .contains("'s3://bucket/vpc_flow/'")
        );
    }

    #[test]
    fn logs_lie_as_aws_delivers_them() {
        let text = catalog().of_logs(&place("s3://bucket/AWSLogs"));
        for part in [
            "'s3://bucket/AWSLogs/${account}/CloudTrail/${region}/${day}/'",
            "'s3://bucket/AWSLogs/${account}/vpcflowlogs/${region}/${day}/'",
            "'s3://bucket/AWSLogs/${account}/vpcdnsquerylogs/${vpc}/${day}/'",
            "'2025/03/01,NOW'",
            "'skip.header.line.count' = '1'",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn the_policy_reads_what_is_asked_and_writes_results_alone() {
        let results = place("s3://results/hunts");
        let lake = place("s3://bucket/lake");
        let at = ("111122223333".into(), "eu-west-1".into());
        let policy = catalog().policy(&[lake], &results, "hunts", (&at.0, &at.1));
        let statements = policy["Statement"].as_array().expect("statements");
        for statement in statements {
            let writes = statement["Action"].to_string().contains("s3:PutObject");
            let on_results = statement["Resource"] == json!("arn:aws:s3:::results/hunts/*");
            assert_eq!(writes, on_results, "{statement}");
            assert!(
                !statement["Action"].to_string().contains(":*"),
                "{statement}"
            );
        }
        assert_eq!(
            statements[2]["Resource"],
            json!(["arn:aws:s3:::bucket/lake/*"])
        );
        let group = workgroup("hunts", &results, 1 << 30);
        assert_eq!(
            group["Configuration"]["BytesScannedCutoffPerQuery"],
            json!(1 << 30)
        );
    }
}
