//! The statements that make tables: of the lake, and of logs as AWS delivers them.

use std::fmt::Write as _;

use davylamp_model::ids::{AccountId, Region};

use super::{Catalog, Place};
use crate::lake::{ACCOUNT, DATE, REGION, UNKNOWN};
use crate::read::LOGS;
use crate::table::{Kind, Table};

impl Catalog {
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
