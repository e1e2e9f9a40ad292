//! What the key of an object says: AWS writes account, service, region and day into it.
//!
//! Sources: the AWS user guides on the names of CloudTrail log files, on flow logs in S3 and their
//! Hive-compatible prefixes, on Resolver query logs and on exported GuardDuty findings. A key that
//! is laid out otherwise says nothing, and its object is always opened.

use std::sync::Arc;

use jiff::civil::Date;

use crate::lake;
use crate::read::recorder::{self, InStore};

/// The table of AWS Config's files.
const CONFIG: &str = "config_item";

/// What a key says. What it does not say is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout {
    /// The account.
    pub account: Option<Arc<str>>,
    /// The region.
    pub region: Option<Arc<str>>,
    /// The day, in UTC, on which the object was delivered.
    pub day: Option<Date>,
    /// The table the service writes.
    pub table: Option<&'static str>,
    /// What it is of a lake that a conversion has made.
    pub lake: Option<InLake>,
}

/// What an object is of a lake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InLake {
    /// Rows of a table.
    Rows,
    /// Rows that a conversion is about to add.
    Unfinished,
    /// What was converted.
    Journal,
    /// Any other of the conversion's own notes, or of a recorder's.
    Notes,
}

impl Layout {
    /// What a key or a path says.
    pub fn of(key: &str) -> Self {
        let mut layout = Self::default();
        let parts: Vec<&str> = key.split(['/', '\\']).collect();
        let (name, folders) = parts.split_last().unwrap_or((&"", &[]));
        let lake = lake::part_of(folders, name);
        let store = recorder::part_of(folders, name);
        let laid_out = folders.iter().rposition(|part| *part == "AWSLogs");
        let folders = laid_out.map_or(folders, |at| &folders[at + 1..]);
        let mut dated = Dated::default();
        for part in folders {
            match part.split_once('=') {
                Some((key, value)) => layout.hive(key, value, &mut dated),
                None if laid_out.is_some() => layout.folder(part, &mut dated),
                None => {}
            }
        }
        layout.day = layout.day.or(dated.day());
        layout.file(name);
        // A snapshot of a day holds what was seen long before, so that its day says nothing.
        if layout.table == Some(CONFIG) {
            layout.day = None;
        }
        if let Some((part, table)) = lake {
            layout.lake = Some(part);
            layout.table = table;
        }
        match store {
            Some(InStore::Segment) => layout.table = Some(recorder::TABLE.name),
            Some(InStore::Notes) => layout.lake = Some(InLake::Notes),
            None => {}
        }
        layout
    }

    fn folder<'a>(&mut self, part: &'a str, dated: &mut Dated<'a>) {
        if let Some(table) = service(part) {
            self.table = Some(table);
        } else if is_account(part) {
            self.account = Some(part.into());
        } else if is_region(part) {
            self.region = Some(part.into());
        } else {
            dated.next(part);
        }
    }

    fn hive<'a>(&mut self, key: &str, value: &'a str, dated: &mut Dated<'a>) {
        match key {
            "aws-account-id"
            | "account"
            | "accountid"
            | "accountId"
            | "account_id"
            | lake::ACCOUNT
                if is_account(value) =>
            {
                self.account = Some(value.into());
            }
            "aws-region" | "region" | lake::REGION if is_region(value) => {
                self.region = Some(value.into());
            }
            lake::DATE => self.day = value.parse().ok(),
            // Security Lake writes all of a day's date into one folder.
            "eventDay" => {
                for part in [value.get(..4), value.get(4..6), value.get(6..)] {
                    dated.next(part.unwrap_or_default());
                }
            }
            "aws-service" => self.table = service(value),
            "year" | "month" | "day" => dated.next(value),
            _ => {}
        }
    }

    /// `ACCOUNT_CloudTrail_REGION_20240801T1130Z_….json.gz`, `ACCOUNT_vpcflowlogs_REGION_…`.
    fn file(&mut self, name: &str) {
        let mut parts = name.split('_');
        let (Some(account), Some(service_name)) = (parts.next(), parts.next()) else {
            return;
        };
        let (true, Some(table)) = (is_account(account), service(service_name)) else {
            return;
        };
        self.account = Some(account.into());
        self.table = Some(table);
        for part in parts {
            if is_region(part) {
                self.region = Some(part.into());
            } else if let (None, Some(day)) = (self.day, stamp(part)) {
                self.day = Some(day);
            }
        }
    }
}

/// The table that a service's folder holds. A folder of CloudTrail's digests or insights has a
/// name of its own.
fn service(name: &str) -> Option<&'static str> {
    match name {
        "CloudTrail" | "CloudTrail-Insight" => Some("cloudtrail"),
        "CloudTrail-Digest" => Some("cloudtrail_digest"),
        "vpcflowlogs" => Some("vpc_flow"),
        "vpcdnsquerylogs" => Some("dns_query"),
        "GuardDuty" => Some("guardduty"),
        "Config" => Some(CONFIG),
        _ => None,
    }
}

pub(crate) fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `eu-central-1`, `us-gov-west-1`, and the invented regions of anonymised logs.
pub(crate) fn is_region(text: &str) -> bool {
    let mut parts = text.split('-');
    let is_word =
        |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    let (Some(first), Some(last)) = (parts.next(), parts.next_back()) else {
        return false;
    };
    let middle: Vec<&str> = parts.collect();
    (2..=3).contains(&first.len())
        && is_word(first)
        && (1..=2).contains(&middle.len())
        && middle.iter().all(|part| is_word(part))
        && last.starts_with(|c: char| c.is_ascii_digit())
        && last.len() <= 2
}

/// The day of `20240801T1130Z`.
fn stamp(text: &str) -> Option<Date> {
    let digits = text.get(..8)?;
    if text.as_bytes().get(8) != Some(&b'T') || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    date(&digits[..4], &digits[4..6], &digits[6..8])
}

fn date(year: &str, month: &str, day: &str) -> Option<Date> {
    Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()
}

/// Year, month and day as they come, one folder after another.
#[derive(Debug, Default)]
struct Dated<'a> {
    parts: Vec<&'a str>,
}

impl<'a> Dated<'a> {
    fn next(&mut self, part: &'a str) {
        let wanted = if self.parts.is_empty() { 4 } else { 2 };
        let is_number = part.len() == wanted && part.bytes().all(|byte| byte.is_ascii_digit());
        if is_number && self.parts.len() < 3 {
            self.parts.push(part);
        }
    }

    fn day(&self) -> Option<Date> {
        match self.parts.as_slice() {
            [year, month, day] => date(year, month, day),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(key: &str, expected: &str) {
        let layout = Layout::of(key);
        let text = |part: Option<&str>| part.unwrap_or("?").to_owned();
        let day = layout.day.map(|day| day.to_string());
        let said = [
            text(layout.table),
            text(layout.account.as_deref()),
            text(layout.region.as_deref()),
            text(day.as_deref()),
        ];
        assert_eq!(said.join(" "), expected, "{key}");
    }

    #[test]
    fn keys_say_what_aws_wrote_into_them() {
        for (key, expected) in [
            (
                "AWSLogs/111122223333/CloudTrail/eu-west-1/2024/08/01/x.json.gz",
                "cloudtrail 111122223333 eu-west-1 2024-08-01",
            ),
            (
                "p/AWSLogs/o-ab12/111122223333/CloudTrail-Digest/us-gov-west-1/2024/08/01/x",
                "cloudtrail_digest 111122223333 us-gov-west-1 2024-08-01",
            ),
            (
                "AWSLogs/111122223333/vpcflowlogs/ca-south-3r/2024/08/01/x.log.gz",
                "vpc_flow 111122223333 ca-south-3r 2024-08-01",
            ),
            (
                "AWSLogs/111122223333/vpcdnsquerylogs/vpc-1/2024/08/01/x",
                "dns_query 111122223333 ? 2024-08-01",
            ),
            (
                "AWSLogs/aws-account-id=111122223333/aws-service=vpcflowlogs/aws-region=eu-west-1/\
                 year=2024/month=08/day=01/hour=00/x",
                "vpc_flow 111122223333 eu-west-1 2024-08-01",
            ),
            (
                "/tmp/111122223333_CloudTrail_us-east-1_20240801T1130Z_ab.json.gz",
                "cloudtrail 111122223333 us-east-1 2024-08-01",
            ),
            (
                "aws/VPC_FLOW/2.0/region=us-east-1/accountId=111122223333/eventDay=20240801/x",
                "? 111122223333 us-east-1 2024-08-01",
            ),
            (
                "lake/vpc_flow/log_account=111122223333/log_region=us-east-1/\
                 log_date=2024-08-01/x.parquet",
                "vpc_flow 111122223333 us-east-1 2024-08-01",
            ),
            (
                "AWSLogs/111122223333/Config/us-east-1/2024/11/12/ConfigHistory/\
                 111122223333_Config_us-east-1_ConfigHistory_AWS::EC2::Instance_20241112T010203Z_20241112T040506Z_1.json.gz",
                "config_item 111122223333 us-east-1 ?",
            ),
            ("/srv/2024/08/01/flow.log", "? ? ? ?"),
            (
                "AWSLogs/111122223333/CloudTrail/eu-west-1/2024/13/77/x",
                "cloudtrail 111122223333 eu-west-1 ?",
            ),
            ("", "? ? ? ?"),
        ] {
            check(key, expected);
        }
    }
}
