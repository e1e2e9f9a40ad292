//! Which snapshot is meant: by its number, by a time, as the last, or as the last of a store.

use std::ffi::OsStr;
use std::path::Path;

use anyhow::anyhow;
use davylamp_recorder::Store;
use davylamp_recorder::picture::Picture;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::failure;
use crate::failure::Failure;

/// The number of the snapshot that a text means.
pub(super) fn number(store: &Store, text: &str) -> Result<u64, Failure> {
    let (_, latest) = ("latest", store.latest().map_err(failure)?.0.number);
    if text == "latest" {
        return Ok(latest);
    }
    if let Some(back) = text.strip_prefix("latest-") {
        let back: usize = back.parse().map_err(|_| unknown(text))?;
        let mut snapshots = store.chain().snapshots().rev();
        let found = snapshots.nth(back).map(|(link, _)| link.number);
        return found.ok_or_else(|| {
            Failure::new(
                anyhow!("there are no {back} snapshots before the latest"),
                "see which there are: davy record list",
            )
        });
    }
    if let Ok(number) = text.parse::<u64>() {
        return Ok(store.snapshot(number).map_err(failure)?.0.number);
    }
    let at = time(text).ok_or_else(|| unknown(text))?;
    Ok(store.at(at).map_err(failure)?.0.number)
}

/// A time, or a day, which begins at midnight UTC.
fn time(text: &str) -> Option<Timestamp> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time);
    }
    let day: Date = text.parse().ok()?;
    Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

fn unknown(text: &str) -> Failure {
    Failure::new(
        anyhow!("{text:?} is no snapshot"),
        "write its number, a time such as 2026-03-01T10:00:00Z, latest, or latest-1",
    )
}

/// What is known at the snapshot that a word of the command line means, which may be a store.
pub(super) fn picture(
    word: &OsStr,
    store: impl FnOnce() -> Result<Store, Failure>,
) -> Result<Picture, Failure> {
    let is_store = Path::new(word).is_dir();
    let (store, which) = match (is_store, word.to_str()) {
        (true, _) => (Store::open(Path::new(word)).map_err(failure)?, "latest"),
        (false, Some(text)) => (store()?, text),
        (false, None) => return Err(unknown(&word.to_string_lossy())),
    };
    let number = number(&store, which)?;
    store.picture(number).map_err(failure)
}
