//! What is asked of AWS, in sets: each function takes many ids, asks in as few calls as the service
//! allows, reads every page, and says of each id whether it is there, is not there, or is unknown.

use std::collections::{BTreeMap, BTreeSet};

use aws_smithy_types::DateTime;
use davylamp_model::inventory::Tags;
use jiff::Timestamp;

use crate::missed::Missed;

pub mod compute;
pub mod doors;
pub mod ebs;
pub mod ec2;
pub mod iam;
pub mod scaling;

/// EC2 takes at most this many values in one filter (EC2 API reference, `Filter`).
const MAX_FILTER_VALUES: usize = 200;
/// How many calls about single things run side by side; the rate limiter does the rest.
pub(crate) const SIDE_BY_SIDE: usize = 16;

/// What came of asking for one thing.
#[derive(Debug, Clone, PartialEq)]
pub enum Read<T> {
    /// It is there.
    Found(T),
    /// AWS says that it is not.
    Absent,
    /// Nobody knows, and why.
    Unread(Missed),
}

impl<T> Read<T> {
    /// The thing, if it was found.
    pub fn found(&self) -> Option<&T> {
        match self {
            Self::Found(thing) => Some(thing),
            _ => None,
        }
    }
}

/// Things by their ids.
pub type Shelf<K, T> = BTreeMap<K, Read<T>>;

/// How large the pieces are that are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Ids in one call, where the service does not allow fewer.
    pub ids: usize,
    /// Results in one page; the service's own default where not given.
    pub page: Option<i32>,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            ids: MAX_FILTER_VALUES,
            page: Some(500),
        }
    }
}

impl Sizes {
    fn chunks<K: Clone>(self, ids: &BTreeSet<K>, most: usize) -> Vec<Vec<K>> {
        let size = self.ids.clamp(1, most);
        let ids: Vec<K> = ids.iter().cloned().collect();
        ids.chunks(size).map(<[K]>::to_vec).collect()
    }
}

/// Puts the answer for one chunk on the shelf: what is in it is found, what was asked for and is
/// not in it is absent, and when there is none, all of it is unknown.
fn shelve<K: Ord + Clone, T>(
    shelf: &mut Shelf<K, T>,
    asked: &[K],
    answer: Result<Vec<(K, T)>, super::read::ReadError>,
) {
    match answer {
        Ok(things) => {
            for id in asked {
                shelf.insert(id.clone(), Read::Absent);
            }
            for (id, thing) in things {
                // An id that nobody asked for is not ours to act on.
                if let Some(place) = shelf.get_mut(&id) {
                    *place = Read::Found(thing);
                }
            }
        }
        Err(error) if error.is_absent() => {
            for id in asked {
                shelf.insert(id.clone(), Read::Absent);
            }
        }
        Err(error) => {
            let missed = Missed::from(error);
            for id in asked {
                shelf.insert(id.clone(), Read::Unread(missed.clone()));
            }
        }
    }
}

/// A time as AWS gives it. One that no calendar holds is none.
fn timestamp(time: &DateTime) -> Option<Timestamp> {
    Timestamp::new(time.secs(), i32::try_from(time.subsec_nanos()).ok()?).ok()
}

/// Tags of any service: each has its own type for them.
fn tags<'a>(pairs: impl Iterator<Item = (Option<&'a str>, Option<&'a str>)>) -> Tags {
    pairs
        .filter_map(|(key, value)| Some((key?.to_owned(), value.unwrap_or_default().to_owned())))
        .collect()
}
