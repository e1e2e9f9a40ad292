//! What each object is that was found: of which log, or of a lake.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use futures::StreamExt;

use crate::lake::{self, Known, STRANGERS, Strangers};
use crate::objects::{InLake, Layout, Listing, Object, Scope};
use crate::read::{self, Given, LOGS};
use crate::tally::Tally;
use crate::unpack;

/// Objects whose kind is found out at the same time.
const LOOKS_AT_ONCE: usize = 16;

/// Objects by table.
pub(crate) type Objects = BTreeMap<&'static str, Vec<Object>>;

/// What was found.
pub(super) struct Found {
    /// Logs as they lie.
    pub objects: Objects,
    /// Files of a lake.
    pub lake: Objects,
}

/// Tells apart what was listed; what cannot be told is counted there.
pub(super) async fn sort(listing: &mut Listing, scope: &Scope, given: &Given) -> Found {
    let mut found = std::mem::take(&mut listing.objects);
    let (lake, journals) = of_lake(&mut found, &mut listing.tally);
    lacking(&journals, &lake, scope, &mut listing.tally).await;
    let mut looks = futures::stream::iter(found)
        .map(|object| async {
            let kind = kind(&object, given).await;
            (object, kind)
        })
        .buffered(LOOKS_AT_ONCE);
    let mut objects = Objects::new();
    while let Some((object, kind)) = looks.next().await {
        match kind {
            Ok(tables) => {
                for table in tables {
                    objects.entry(table).or_default().push(object.clone());
                }
            }
            Err(what) => {
                listing.tally.objects_unreadable += 1;
                listing.tally.sample(|| object.name.to_string(), what);
            }
        }
    }
    drop(looks);
    Found { objects, lake }
}

/// Takes the files of a lake out of what was found, by table, and its journals. Rows that a conversion
/// has not added yet are missing from the answer, so they are told.
fn of_lake(found: &mut Vec<Object>, tally: &mut Tally) -> (Objects, Vec<Object>) {
    let (mut lake, mut journals) = (Objects::new(), Vec::new());
    found.retain(|object| match (object.layout.lake, object.layout.table) {
        (None, _) => true,
        (Some(InLake::Rows), Some(table)) => {
            lake.entry(table).or_default().push(object.clone());
            false
        }
        (Some(InLake::Unfinished), _) => {
            tally.objects_unreadable += 1;
            let what = "a conversion has not ended; run it again where none is running";
            tally.sample(|| object.name.to_string(), what);
            false
        }
        (Some(InLake::Journal), _) => {
            journals.push(object.clone());
            false
        }
        (Some(InLake::Rows | InLake::Notes), _) => false,
    });
    (lake, journals)
}

/// Counts what was not read when lakes were made, and files of them that are gone, as far as they lie
/// within what is asked for: rows that a lake lacks are missing from the answer as well.
async fn lacking(journals: &[Object], files: &Objects, scope: &Scope, tally: &mut Tally) {
    let there: HashSet<&str> = files.values().flatten().map(|file| &*file.name).collect();
    let mut lakes: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    // Every share of a lake is given the same strangers.
    let mut strangers = Strangers::default();
    for journal in journals {
        let text = journal.range(0..journal.size).await;
        let path = Path::new(&*journal.name);
        let is_strangers = path.extension().is_some_and(|kind| kind == STRANGERS);
        let commits = match text {
            Ok(text) if is_strangers => serde_json::from_slice::<Strangers>(&text)
                .map(|found| {
                    if found.objects > strangers.objects {
                        strangers = found;
                    }
                    Vec::new()
                })
                .map_err(|fault| fault.to_string()),
            Ok(text) => lake::parse_journal(&text, path).map_err(|fault| unpack::chain(&fault)),
            Err(error) => Err(error.to_string()),
        };
        match commits {
            Ok(commits) => lakes
                .entry(lake::root_of(&journal.name))
                .or_default()
                .extend(commits),
            Err(what) => {
                tally.objects_unreadable += 1;
                tally.sample(|| journal.name.to_string(), what);
            }
        }
    }
    strangers.tell(tally);
    for (root, commits) in lakes {
        let known = Known::of_commits(commits);
        let asked = |name: &str| scope.may_hold(&Layout::of(name));
        for file in known.batches().flat_map(|commit| &commit.files) {
            let name = format!("{root}{}", file.to);
            if !there.contains(name.as_str()) && asked(&name) {
                tally.objects_unreadable += 1;
                tally.sample(
                    || name,
                    "it is gone from the lake; convert the logs into another",
                );
            }
        }
        // An archive is an object of every table.
        let mut objects: BTreeMap<&str, (bool, u64)> = BTreeMap::new();
        for done in known.lacking().filter(|done| asked(&done.name)) {
            let (is_whole, bad) = objects.entry(&done.name).or_insert((true, 0));
            *is_whole &= done.whole;
            *bad += done.bad;
        }
        for (name, (is_whole, bad)) in objects {
            tally.objects_unreadable += u64::from(!is_whole);
            tally.bad_records += bad;
            let what = match (is_whole, bad) {
                (false, 0) => "it was not read to its end when the lake was made".to_owned(),
                (false, bad) => format!(
                    "it was not read to its end when the lake was made, and {bad} of its records or \
                     values were not understood"
                ),
                (true, bad) => format!(
                    "{bad} of its records or values were not understood when the lake was made"
                ),
            };
            tally.sample(|| name.to_owned(), what);
        }
    }
}

/// The tables that an object may hold rows of: what the user says, what its key says, or what its
/// first bytes say. An archive may hold anything.
async fn kind(object: &Object, given: &Given) -> Result<Vec<&'static str>, String> {
    let no_reader = |table: &str| format!("logs of the kind {table} are not read yet");
    if let Some(table) = object.stated.or(object.layout.table) {
        return match read::log(table) {
            Some(log) => Ok(vec![log.table().name]),
            None => Err(no_reader(table)),
        };
    }
    // Of an object that is larger than this, the first bytes decompress to more than a head.
    let told = |error: std::io::Error| error.to_string();
    let mut stored = object.head(unpack::HEAD_BYTES).await.map_err(told)?;
    if let Some(bytes) = unpack::longer_head(&stored) {
        stored = object.head(bytes).await.map_err(told)?;
    }
    if stored.starts_with(read::parquet::MAGIC) {
        let tables = read::parquet::tables(object).await;
        return tables.map_err(|fault| unpack::chain(&fault));
    }
    let head = unpack::head(&stored);
    if unpack::is_archive(&head) {
        return Ok(LOGS.iter().map(|log| log.table().name).collect());
    }
    if stored.is_empty() {
        return Ok(Vec::new());
    }
    match read::recognised(&head, given) {
        Some(log) => Ok(vec![log.table().name]),
        None => Err("it is no log that is known; if it is one, say so: TABLE=PATH".to_owned()),
    }
}
