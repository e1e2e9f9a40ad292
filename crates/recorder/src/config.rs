//! The `[record]` table of `davy.toml`: what is recorded, how often, and for how long it is kept.

use davylamp_content::settings::{Bounds, Section};
use serde::{Deserialize, Serialize};

/// The table's name.
pub const SECTION: &str = "record";

/// The bounds of every key that takes a number.
pub const BOUNDS: [Bounds; 2] = [
    Bounds::new("record.every_minutes", 5, 10080, "minutes"),
    Bounds::new("record.keep_days", 7, 36500, "days").or_zero(),
];

/// The `[record]` table for `settings::load`.
pub fn section() -> Section {
    Section {
        bounds: &BOUNDS,
        text,
        ..Section::of::<Config>(SECTION)
    }
}

/// What is recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where snapshots are kept: a folder, or `s3://BUCKET/PREFIX`.
    pub store: String,
    /// The folder with the copy of a store that is in a bucket.
    pub copy: String,
    /// Minutes between two snapshots.
    pub every_minutes: u64,
    /// Days for which segments are kept; 0: for good.
    pub keep_days: u64,
    /// Whether an AWS account is looked at.
    pub aws: bool,
    /// The accounts. Empty: the one that the credentials belong to.
    pub accounts: Vec<String>,
    /// The regions. Empty: those that are enabled in the account.
    pub regions: Vec<String>,
    /// The role to assume in accounts that are not our own, by name.
    pub role: String,
    /// The external id that role asks for.
    pub external_id: String,
    /// The region that is asked what regions there are. Empty: the environment's.
    pub region: String,
    /// Another endpoint for every AWS service. Empty: AWS's own.
    pub endpoint_url: String,
    /// Contexts of a kubeconfig, one for each cluster; `in-cluster` for the one we run in.
    pub kubernetes: Vec<String>,
    /// The kubeconfig. Empty: the usual places.
    pub kubeconfig: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            store: "/var/lib/davylamp/record".to_owned(),
            copy: "/var/lib/davylamp/record-copy".to_owned(),
            every_minutes: 60,
            keep_days: 0,
            aws: true,
            accounts: Vec::new(),
            regions: Vec::new(),
            role: String::new(),
            external_id: String::new(),
            region: String::new(),
            endpoint_url: String::new(),
            kubernetes: Vec::new(),
            kubeconfig: String::new(),
        }
    }
}

fn text(key: &str, text: &str) -> Result<(), &'static str> {
    let is_empty_or = |fits: bool| text.is_empty() || fits;
    let is_account = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    match key {
        _ if text.contains('\0') => Err("a NUL cannot stand in it"),
        "record.store" if !text.starts_with('/') && !text.starts_with("s3://") => {
            Err("write the whole path, from `/`, or `s3://BUCKET/PREFIX`")
        }
        "record.copy" if !text.starts_with('/') => Err("write the whole path, from `/`"),
        "record.kubeconfig" if !is_empty_or(text.starts_with('/')) => {
            Err("write the whole path, from `/`")
        }
        "record.accounts" if !is_account => Err("write the account's twelve digits"),
        _ => Ok(()),
    }
}
