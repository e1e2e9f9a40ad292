//! The lake: the tables as Parquet, as [`crate::convert`] writes them and any engine reads them.
//!
//! ```text
//! LAKE/TABLE/log_account=…/log_region=…/log_date=…/….parquet   rows
//! LAKE/_davylamp/journal/….jsonl                               what was converted
//! LAKE/_davylamp/staging/…                                     what is not yet
//! ```
//!
//! What must stay true: a file has every column of its table, so an engine that knows nothing of
//! folders gives the same rows; the folders are named unlike any column, so one that makes columns
//! of them hides none. Rows whose account, region or day is none that AWS has, which a stranger
//! may write, share the folder that Hive keeps for NULL.

use jiff::civil::Date;

use crate::objects::InLake;
use crate::read;

mod files;
mod journal;
mod partition;
mod remote;
mod scan;
mod writer;

pub use files::{Lake, LakeError, Lease};
pub(crate) use journal::parse as parse_journal;
pub use journal::{Commit, Done, File, Known, Strangers};
pub use partition::Partition;
pub(crate) use scan::{LakeTable, store_of};
pub(crate) use writer::{Limits, Writer, Written};

/// The folder of an account.
pub const ACCOUNT: &str = "log_account";

/// The folder of a region.
pub const REGION: &str = "log_region";

/// The folder of a day, in UTC.
pub const DATE: &str = "log_date";

/// What a folder is called that has no value, as Hive does.
pub const UNKNOWN: &str = "__HIVE_DEFAULT_PARTITION__";

/// The folder of all that is not rows. Engines pass over what starts so.
const OWN: &str = "_davylamp";
const JOURNAL: &str = "journal";
const STAGING: &str = "staging";

/// How the names of files of rows end.
pub(crate) const ROWS: &str = "parquet";

/// How the names of journals end.
const LINES: &str = "jsonl";

/// How the names of files of strangers end.
pub(crate) const STRANGERS: &str = "strangers";

/// What an object of a lake is, by its folders and its name, with the table it has rows of.
pub(crate) fn part_of(folders: &[&str], name: &str) -> Option<(InLake, Option<&'static str>)> {
    let kind = name.rsplit_once('.').map(|(_, kind)| kind);
    if let Some(own) = folders.iter().position(|folder| *folder == OWN) {
        let part = match (folders.get(own + 1).copied(), kind) {
            (Some(STAGING), Some(ROWS)) => InLake::Unfinished,
            (Some(JOURNAL), Some(LINES | STRANGERS)) => InLake::Journal,
            _ => InLake::Notes,
        };
        return Some((part, None));
    }
    let [.., table, account, region, date] = folders else {
        return None;
    };
    let is = |folder: &str, key: &str| folder.split_once('=').is_some_and(|(name, _)| name == key);
    let is_laid_out = is(account, ACCOUNT) && is(region, REGION) && is(date, DATE);
    let log = read::log(table).filter(|_| is_laid_out && kind == Some(ROWS))?;
    Some((InLake::Rows, Some(log.table().name)))
}

/// Where the lake of an object begins: what stands before its own folder.
pub(crate) fn root_of(name: &str) -> &str {
    name.rfind(OWN).map_or(name, |own| &name[..own])
}

/// A day that logs of AWS can be of: before it there were none, and a lake must not have a folder
/// for every day that somebody can think of.
fn is_plausible(day: Date) -> bool {
    (2006..2100).contains(&day.year())
}
