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

use davylamp_model::ids::{AccountId, Region, is_region};
use jiff::civil::Date;

mod policy;
mod rows;
mod tables;
#[cfg(test)]
mod tests;
mod text;

pub use policy::workgroup;
pub use rows::{AnswerError, Column, Rows};
pub use text::{Scoped, TextError};

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
}
