//! The log files that are there, and those of a digest looked for among them.

use std::collections::{HashMap, HashSet};

use davylamp_hunt::objects::{Layout, Location, Object, Where};

use super::digest::{self, Listed, Unread};
use super::place::{agrees, last, stem};
use super::report::Fault;

/// The only way in which CloudTrail hashes log files.
const ALGORITHM: &str = "SHA-256";

/// What lies at the locations that were given.
#[derive(Debug)]
pub(super) struct Shelf<'a> {
    /// Everything, by the number that stands for it here.
    pub objects: &'a [Object],
    /// Whether buckets are copies: then only keys are compared.
    pub is_copy: bool,
    by_name: HashMap<&'a str, Vec<u32>>,
    buckets: Vec<(&'a str, &'a str)>,
    has_folders: bool,
    /// What the listing left out makes absence prove nothing.
    is_whole: bool,
    regions: HashSet<(&'a str, &'a str)>,
}

/// What was found of a log file.
#[derive(Debug)]
pub(super) enum Looked {
    /// This object holds it, as it was delivered.
    Same(u32),
    /// Something is wrong with it, or it is not there.
    Fault {
        object: Option<u32>,
        name: String,
        unread: Unread,
    },
}

impl<'a> Shelf<'a> {
    pub fn new(
        objects: &'a [Object],
        locations: &'a [Location],
        is_copy: bool,
        is_whole: bool,
    ) -> Self {
        let mut by_name: HashMap<&str, Vec<u32>> = HashMap::new();
        let mut regions = HashSet::new();
        for (number, object) in (0..).zip(objects) {
            by_name
                .entry(stem(last(&object.name)))
                .or_default()
                .push(number);
            let layout = &object.layout;
            if let ("cloudtrail", Some(account), Some(region)) = (
                layout.table.unwrap_or_default(),
                layout.account.as_deref(),
                layout.region.as_deref(),
            ) {
                regions.insert((account, region));
            }
        }
        let buckets = locations.iter().filter_map(|location| match &location.at {
            Where::Bucket { bucket, prefix } => Some((bucket.as_str(), prefix.as_str())),
            Where::Path(_) | Where::Stdin => None,
        });
        let is_folder = |location: &Location| matches!(location.at, Where::Path(_));
        Self {
            objects,
            is_copy,
            by_name,
            buckets: buckets.collect(),
            has_folders: locations.iter().any(is_folder),
            is_whole,
            regions,
        }
    }

    /// An object.
    pub fn at(&self, number: u32) -> &'a Object {
        &self.objects[number as usize]
    }

    /// Whether an object lies where this key of this bucket was delivered to, as far as its name says.
    pub fn is_in_place(&self, object: &Object, bucket: &str, key: &str) -> bool {
        let Some((of_bucket, of_key)) = in_bucket(object) else {
            return agrees(&object.name, key);
        };
        of_key == key && (self.is_copy || of_bucket == bucket)
    }

    /// Whether an object has that key's name, wherever it lies.
    fn named(&self, key: &str) -> &[u32] {
        let found = self.by_name.get(stem(last(key)));
        found.map(Vec::as_slice).unwrap_or_default()
    }

    /// Why something that was delivered to a place is not there: deleted, or never looked for.
    /// `is_expected` says whether a folder of files would have it.
    pub fn absent(&self, bucket: &str, key: &str, is_expected: bool) -> Unread {
        let is_listed = |(of, prefix): &(&str, &str)| {
            (self.is_copy || *of == bucket) && key.starts_with(prefix)
        };
        let unread = |fault, why: &str| Unread {
            fault,
            why: why.to_owned(),
        };
        if !self.is_whole {
            return unread(
                Fault::Outside,
                "it is not here, and not everything could be listed",
            );
        }
        if self.buckets.iter().any(is_listed) {
            return unread(
                Fault::Missing,
                "it was delivered and is not there, or is empty",
            );
        }
        match self.has_folders && is_expected {
            true => unread(
                Fault::Missing,
                "it was delivered and is not among the files",
            ),
            false => unread(Fault::Outside, "it lies outside what was looked at"),
        }
    }

    /// Looks for a log file of a digest, and hashes what there is of it. Blocks.
    pub fn look(&self, listed: &Listed, each_read: &dyn Fn(u64)) -> Vec<Looked> {
        let place = || format!("s3://{}/{}", listed.s3_bucket, listed.s3_object);
        let mut looked = Vec::new();
        let mut moved = None;
        for number in self.named(&listed.s3_object) {
            let object = self.at(*number);
            if !self.is_in_place(object, &listed.s3_bucket, &listed.s3_object) {
                moved = moved.or(Some(*number));
                continue;
            }
            let compared = self.compare(object, listed);
            each_read(object.size);
            looked.push(match compared {
                Ok(()) => Looked::Same(*number),
                Err(unread) => Looked::Fault {
                    object: Some(*number),
                    name: object.name.to_string(),
                    unread,
                },
            });
        }
        if looked.is_empty() {
            let unread = match moved {
                Some(_) => Unread {
                    fault: Fault::Moved,
                    why: format!("it was delivered to {}", place()),
                },
                None => {
                    let layout = Layout::of(&listed.s3_object);
                    let region = layout.account.as_deref().zip(layout.region.as_deref());
                    let is_expected = region.is_some_and(|it| self.regions.contains(&it));
                    self.absent(&listed.s3_bucket, &listed.s3_object, is_expected)
                }
            };
            looked.push(Looked::Fault {
                object: moved,
                name: moved.map_or_else(place, |number| self.at(number).name.to_string()),
                unread,
            });
        }
        looked
    }

    fn compare(&self, object: &Object, listed: &Listed) -> Result<(), Unread> {
        if listed.hash_algorithm.as_deref().unwrap_or(ALGORITHM) != ALGORITHM {
            return Err(Unread {
                fault: Fault::NoKey,
                why: "its digest names another way of hashing than SHA-256".to_owned(),
            });
        }
        let hash = digest::hash(object)?;
        match hash.eq_ignore_ascii_case(&listed.hash_value) {
            true => Ok(()),
            false => Err(Unread {
                fault: Fault::Altered,
                why: "its content has another hash than its digest records".to_owned(),
            }),
        }
    }
}

/// The bucket and key of an object, if it is in a bucket.
pub(super) fn in_bucket(object: &Object) -> Option<(&str, &str)> {
    object.name.strip_prefix("s3://")?.split_once('/')
}

/// Its key, or its path.
pub(super) fn key_of(object: &Object) -> &str {
    in_bucket(object).map_or(&object.name, |(_, key)| key)
}
