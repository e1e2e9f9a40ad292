//! Where the public keys are from that digests are checked with: files, and AWS.
//!
//! What must stay true: AWS is asked only where somebody wrote `aws`, and what it was asked is said; a region
//! whose keys could not be had is told with the reason and the command that has them.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::anyhow;
use davylamp_casework::integrity::{PublicKey, Signed};
use davylamp_cloud::aws::session::{SessionOptions, Sessions, describe};
use davylamp_cloud::aws::trail_keys;
use davylamp_hunt::objects::Remote;
use davylamp_hunt::tally::printable;
use davylamp_model::ids::Region;
use futures::{StreamExt, stream};
use jiff::Timestamp;

use crate::failure::Failure;
use crate::output::{counted, note};

/// Regions that are asked side by side.
const SIDE_BY_SIDE: usize = 8;

/// More regions than AWS has: names of files may make up any number.
const MAX_REGIONS: usize = 100;

/// What stands for asking AWS; a file of that name is `./aws`.
const AWS: &str = "aws";

/// Where keys are from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum KeysFrom {
    /// AWS, asked with the credentials of the environment.
    Aws,
    /// What `aws cloudtrail list-public-keys` printed.
    File(PathBuf),
}

impl FromStr for KeysFrom {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            AWS => Self::Aws,
            path => Self::File(path.into()),
        })
    }
}

/// The keys of the files. Where there are none and AWS is not to be asked, it says what that means.
pub(super) fn of_files(from: &[KeysFrom]) -> Result<Vec<PublicKey>, Failure> {
    if from.is_empty() {
        note(
            "no public keys were given, so that no signature can be checked: add --public-keys aws, or files with \
             what aws cloudtrail list-public-keys prints",
        );
    }
    let mut keys = Vec::new();
    for path in from.iter().filter_map(KeysFrom::file) {
        let refused = |error: anyhow::Error| {
            Failure::new(
                error.context(format!("there are no keys in {}", path.display())),
                "write it with: aws cloudtrail list-public-keys --start-time DAY --end-time DAY --region REGION; or \
                 have AWS asked: --public-keys aws",
            )
        };
        let text = std::fs::read(path).map_err(|error| refused(anyhow!(error)))?;
        keys.extend(PublicKey::listed(&text).map_err(|error| refused(anyhow!(error)))?);
    }
    Ok(keys)
}

impl KeysFrom {
    fn file(&self) -> Option<&PathBuf> {
        match self {
            Self::Aws => None,
            Self::File(path) => Some(path),
        }
    }
}

/// What came of asking AWS.
#[derive(Debug, Default)]
pub(super) struct Came {
    /// The keys.
    pub keys: Vec<PublicKey>,
    /// Which could not be had, and why, in words.
    pub lacking: Vec<String>,
}

/// Asks AWS for the keys of these regions, if it is to be asked.
pub(super) async fn of_aws(from: &[KeysFrom], signed: &[Signed], remote: &Remote) -> Came {
    let mut came = Came::default();
    if !from.contains(&KeysFrom::Aws) || signed.is_empty() {
        return came;
    }
    let options = SessionOptions {
        endpoint_url: remote.endpoint.clone(),
        ..SessionOptions::default()
    };
    let sessions = match Sessions::new(options).await {
        Ok(sessions) => sessions,
        Err(error) => {
            came.lack(format!("AWS was not asked for keys: {}", describe(&error)));
            return came;
        }
    };
    let now = Timestamp::now();
    let asked = signed.iter().take(MAX_REGIONS);
    let asked = asked.map(|signed| in_region(&sessions, signed, now));
    let answers: Vec<_> = stream::iter(asked).buffered(SIDE_BY_SIDE).collect().await;
    // Most often all regions lack theirs for one reason.
    let mut lacking: BTreeMap<String, Vec<Lack>> = BTreeMap::new();
    for (signed, answer) in signed.iter().zip(answers) {
        match answer {
            Ok(keys) => {
                let said = counted(keys.len() as u64, "public key", "public keys");
                let region = printable(&signed.region);
                note(&format!(
                    "AWS was asked for the keys of {region}: it has {said}"
                ));
                came.keys.extend(keys);
            }
            Err(lack) => lacking.entry(lack.why.clone()).or_default().push(lack),
        }
    }
    for lacks in lacking.into_values() {
        came.lack(together(&lacks));
    }
    if let Some(more @ 1..) = signed.len().checked_sub(MAX_REGIONS) {
        came.lack(format!("{more} regions more were not asked for keys"));
    }
    came
}

impl Came {
    fn lack(&mut self, what: String) {
        note(&printable(&what));
        self.lacking.push(what);
    }
}

/// Why a region's keys could not be had, and what has them.
struct Lack {
    why: String,
    region: String,
    remedy: String,
}

/// Regions that lack theirs for one reason, in one sentence.
fn together(lacks: &[Lack]) -> String {
    let Some((first, others)) = lacks.split_first() else {
        return String::new();
    };
    let mut said = format!("{} for {}: {}", first.why, first.region, first.remedy);
    if !others.is_empty() {
        let others: Vec<&str> = others.iter().map(|lack| lack.region.as_str()).collect();
        said.push_str(&format!("; likewise for {}", others.join(", ")));
    }
    said
}

async fn in_region(
    sessions: &Sessions,
    signed: &Signed,
    now: Timestamp,
) -> Result<Vec<PublicKey>, Lack> {
    let name = printable(&signed.region);
    let lack = |why: String, remedy: String| Lack {
        why,
        region: name.to_string(),
        remedy,
    };
    let region = Region::from(signed.region.as_str());
    let config = sessions.home_reading_in(&region).map_err(|error| {
        let why = format!("AWS was not asked for public keys ({})", describe(&error));
        lack(why, "see the names of its digests".to_owned())
    })?;
    // AWS does not answer for times to come.
    let (from, until) = (signed.span.first.min(now), signed.span.last.min(now));
    let by_hand = || {
        let command = trail_keys::command(&region, from, until);
        format!("{command} > keys-{name}.json, then --public-keys keys-{name}.json")
    };
    let answer = trail_keys::list(&config, from, until).await;
    let answer = answer.map_err(|error| {
        let why = format!("AWS gave no public keys ({})", describe(&error));
        lack(why, by_hand())
    })?;
    PublicKey::listed(&answer).map_err(|error| {
        let why = format!("AWS gave no public keys (its answer: {})", describe(&error));
        lack(why, by_hand())
    })
}
