//! What of the objects is a digest, a log file, or a signature that was written down.

use std::collections::{BTreeMap, HashMap};

use davylamp_hunt::objects::{Object, Scope};
use davylamp_hunt::read::Log;
use davylamp_hunt::read::cloudtrail::CloudTrail;
use davylamp_hunt::read::cloudtrail_digest::CloudTrailDigest;
use davylamp_hunt::unpack::{self, HEAD_BYTES};
use jiff::{SignedDuration, Timestamp};

use super::digest::SIGNATURE_FILE;
use super::files::{in_bucket, key_of};
use super::place::{self, Series};

/// A digest is about the hour before the time in its name.
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// What was found, by number.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Digests by what their names say they are of, and those that are asked for by nobody but are needed
    /// for what they say of others: they come last.
    pub digests: BTreeMap<Series, Vec<u32>>,
    /// Log files.
    pub logs: Vec<u32>,
    /// Signatures, by the number of the digest.
    pub sides: HashMap<u32, u32>,
}

/// Sorts objects; of what the names do not tell, files are looked into.
pub(super) async fn sort(objects: &[Object], scope: &Scope, unread: &mut Vec<String>) -> Found {
    let mut found = Found::default();
    let names: HashMap<&str, u32> = (0..).zip(objects).map(|(n, it)| (&*it.name, n)).collect();
    for (number, object) in (0..).zip(objects) {
        if let Some(digest) = object.name.strip_suffix(SIGNATURE_FILE) {
            if let Some(digest) = names.get(digest) {
                found.sides.insert(*digest, number);
            } else {
                unread.push(format!(
                    "{}: the digest whose signature it is is not beside it",
                    object.name
                ));
            }
            continue;
        }
        // What a conversion has written is no file of CloudTrail's.
        if object.layout.lake.is_some() {
            continue;
        }
        match object.layout.table {
            Some("cloudtrail_digest") => digest(number, object, &mut found, unread),
            Some("cloudtrail") => log(number, object, scope, &mut found),
            Some(_) => {}
            // What a bucket holds is where AWS has put it; files may be called anything.
            None if in_bucket(object).is_some() => {}
            None => match look(object).await {
                Ok(Some("cloudtrail_digest")) => digest(number, object, &mut found, unread),
                Ok(Some(_)) => log(number, object, scope, &mut found),
                Ok(None) => {}
                Err(why) => unread.push(format!("{}: {why}", object.name)),
            },
        }
    }
    for (series, digests) in &mut found.digests {
        within(series, digests, objects, scope);
    }
    found.digests.retain(|_, digests| !digests.is_empty());
    found
}

fn digest(number: u32, object: &Object, found: &mut Found, unread: &mut Vec<String>) {
    match place::of_digest(key_of(object)) {
        Some((series, _)) => found.digests.entry(series).or_default().push(number),
        None => unread.push(format!(
            "{}: it is a digest whose name does not say of which trail and hour; give it its name back",
            object.name
        )),
    }
}

fn log(number: u32, object: &Object, scope: &Scope, found: &mut Found) {
    let is_meant = scope.may_hold(&object.layout);
    // The name says it to the minute, and the key to the day.
    let at = place::delivered(&object.name);
    let is_early = at.zip(scope.since).is_some_and(|(at, since)| at < since);
    let is_late = at.zip(scope.until).is_some_and(|(at, until)| at >= until);
    if is_meant && !is_early && !is_late {
        found.logs.push(number);
    }
}

/// What a file is, by its first bytes.
async fn look(object: &Object) -> Result<Option<&'static str>, String> {
    let stored = object.head(HEAD_BYTES).await;
    let head = unpack::head(&stored.map_err(|error| error.to_string())?);
    if unpack::is_archive(&head) {
        return Err(
            "it is an archive; unpack it first, since a digest is about single files".to_owned(),
        );
    }
    let logs: [(&dyn Log, &'static str); 2] = [
        (&CloudTrailDigest, "cloudtrail_digest"),
        (&CloudTrail, "cloudtrail"),
    ];
    let known = logs.iter().find(|(log, _)| log.recognises(&head));
    Ok(known.map(|(_, table)| *table))
}

/// Keeps the digests that are asked for, and the one that comes after them: it says what the last of them
/// was signed with.
fn within(series: &Series, digests: &mut Vec<u32>, objects: &[Object], scope: &Scope) {
    let is_wanted =
        |wanted: &[String], said: &str| wanted.is_empty() || wanted.iter().any(|one| one == said);
    if !is_wanted(&scope.accounts, &series.account) || !is_wanted(&scope.regions, &series.region) {
        digests.clear();
        return;
    }
    let end = |number: &u32| ends(&objects[*number as usize]);
    digests.sort_by_key(|number| (end(number), *number));
    let first = scope.since.map_or(0, |since| {
        digests.partition_point(|it| end(it) <= Some(since))
    });
    digests.drain(..first);
    let Some(until) = scope.until else { return };
    let is_asked = |number: &u32| asks(end(number), until);
    let asked = digests.partition_point(is_asked);
    let next = digests.get(asked).map(end);
    let needed = next.map_or(asked, |next| digests.partition_point(|it| end(it) <= next));
    digests.truncate(match asked {
        0 => 0,
        _ => needed,
    });
}

/// Whether the hour that ends then has begun before a moment.
fn asks(end: Option<Timestamp>, until: Timestamp) -> bool {
    end.is_some_and(|end| end - HOUR < until)
}

/// Whether a digest is asked for, or only needed.
pub(super) fn is_asked(object: &Object, scope: &Scope) -> bool {
    scope.until.is_none_or(|until| asks(ends(object), until))
}

/// The end of the hour of a digest, as its name says it.
pub(super) fn ends(object: &Object) -> Option<Timestamp> {
    place::of_digest(key_of(object)).map(|(_, end)| end)
}
