//! Whether the logs are whole: CloudTrail's digests and the log files that they list.
//!
//! ```text
//! objects ─► shelf ─► digests by trail, account, region ─► read, with the log files they list: hashed
//!                                                            │
//!            hours, counts, faults ◄── judged by one another ◄┘
//! ```
//!
//! What must stay true: unknown never becomes pass, and each verdict but a pass has its reason and what
//! would tell; a log file is hashed as a stream, so that memory grows with the number of files and not with
//! what they hold. Deliberately not here: asking AWS for keys ([`Laid::signed`] says for which); what a log
//! says.
//!
//! Sources: the AWS CloudTrail user guide, "CloudTrail digest file structure" and "Custom implementations of
//! CloudTrail log file integrity validation".

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use davylamp_hunt::objects::{self, ListError, Listing, Location, Remote, Scope};
use davylamp_model::verdict::Verdict;
use jiff::SignedDuration;
use tokio::runtime::Handle;

use crate::case::Span;

mod chain;
mod digest;
mod files;
mod found;
mod hours;
pub mod lookup;
mod place;
mod public_key;
mod report;
mod rows;
mod series;
pub mod silence;
mod told;

use files::Shelf;
use found::{Found, sort};
use place::Series;
use public_key::Keys;
pub use public_key::{KeyError, PublicKey};
use report::Badness;
pub use report::{Chain, Count, Fault, Kind, MAX_FAULTS, Outcome, Report, Stretch, worse};
use silence::Deliveries;
pub use told::{Unchecked, tell, tell_unchecked};

/// A log file's name says the five minutes that it is about, and it is delivered after them.
const LATEST_DELIVERY: SignedDuration = SignedDuration::from_mins(15);

/// A digest is signed after the end of its hour: one that comes late, for files that the hourly ones had not,
/// more than a day after.
const LATEST_SIGNATURE: SignedDuration = SignedDuration::from_hours(48);

/// What is to be checked.
#[derive(Debug, Default)]
pub struct Asked {
    /// Where digests and log files lie.
    pub locations: Vec<Location>,
    /// How buckets are reached.
    pub remote: Remote,
    /// Which hours, accounts and regions.
    pub scope: Scope,
    /// The keys to check signatures with.
    pub keys: Vec<PublicKey>,
    /// Whether the buckets that are given are copies, so that only keys are compared, and metadata that a
    /// copy has lost is no fault.
    pub is_copy: bool,
    /// How many digests are read at once, each with its log files; what suits where they lie if nothing is said.
    pub threads: Option<usize>,
}

/// How far a check is, for whoever watches it.
#[derive(Debug, Default)]
pub struct Watch {
    /// The stored bytes of everything that may have to be read.
    pub total_bytes: AtomicU64,
    /// Of these, what has been read.
    pub bytes: AtomicU64,
    /// Files that were read.
    pub files: AtomicU64,
}

/// What came of a check, and what each log file came to.
#[derive(Debug)]
pub struct Checked {
    /// What it came to.
    pub report: Report,
    /// What each log file that is there came to, by its name as it is shown beside its records.
    pub log_files: HashMap<Arc<str>, Verdict>,
}

/// Why nothing could be checked.
#[derive(Debug, thiserror::Error)]
pub enum IntegrityError {
    /// The locations cannot be listed.
    #[error("the logs cannot be listed")]
    List(#[from] ListError),
    /// The threads that read have ended before their work.
    #[error("a reader has failed, which is a bug")]
    Failed(#[source] tokio::task::JoinError),
}

/// What is told of each digest and log file as soon as it is judged.
pub type Tell = Box<dyn FnMut(&Outcome) + Send>;

/// Checks what lies at some locations, with the keys that are given. Inside a runtime with several threads.
///
/// # Errors
/// When the locations cannot be set up. What cannot be listed or read is unknown instead.
pub async fn verify(
    asked: Asked,
    watch: Arc<Watch>,
    tell: Tell,
) -> Result<Checked, IntegrityError> {
    find(asked).await?.check(watch, tell).await
}

/// Finds what there is to check.
///
/// # Errors
/// When the locations cannot be set up. What cannot be listed is unknown instead.
pub async fn find(asked: Asked) -> Result<Laid, IntegrityError> {
    let listing = objects::list(&asked.locations, &asked.remote).await?;
    let mut unread: Vec<String> = listing
        .tally
        .samples
        .iter()
        .map(ToString::to_string)
        .collect();
    let samples = listing.tally.samples.len() as u64;
    if let Some(more @ 1..) = listing.tally.objects_unreadable.checked_sub(samples) {
        unread.push(format!("{more} places more could not be listed"));
    }
    let found = sort(&listing.objects, &asked.scope, &mut unread).await;
    Ok(Laid {
        asked,
        listing,
        found,
        unread,
    })
}

/// Digests and log files, found and not checked yet.
#[derive(Debug)]
pub struct Laid {
    asked: Asked,
    listing: Listing,
    found: Found,
    unread: Vec<String>,
}

/// When digests of a region were signed: AWS has other keys for each region, and others with time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The region, as the names of digests say it: nobody has said that there is one called so.
    pub region: String,
    /// From the first to the last moment at which one may have been signed.
    pub span: Span,
}

impl Laid {
    /// The regions that digests are of, and when they were signed: for which keys are needed.
    pub fn signed(&self) -> Vec<Signed> {
        let mut regions: BTreeMap<&str, Span> = BTreeMap::new();
        for (series, digests) in &self.found.digests {
            let objects = digests.iter().map(|it| &self.listing.objects[*it as usize]);
            for end in objects.filter_map(found::ends) {
                // A name may say any year.
                let last = end.saturating_add(LATEST_SIGNATURE).unwrap_or(end);
                let span = regions.entry(&series.region);
                let span = span.or_insert(Span { first: end, last });
                span.first = span.first.min(end);
                span.last = span.last.max(last);
            }
        }
        let signed = regions.into_iter().map(|(region, span)| Signed {
            region: region.to_owned(),
            span,
        });
        signed.collect()
    }

    /// More keys to check signatures with.
    pub fn add_keys(&mut self, keys: Vec<PublicKey>) {
        self.asked.keys.extend(keys);
    }

    /// Checks it. Inside a runtime with several threads.
    ///
    /// # Errors
    /// When a reader has failed. What cannot be read is unknown instead.
    pub async fn check(self, watch: Arc<Watch>, tell: Tell) -> Result<Checked, IntegrityError> {
        let runtime = Handle::current();
        let work = move || {
            let _entered = runtime.enter();
            let Self {
                asked,
                listing,
                found,
                unread,
            } = self;
            let is_whole = listing.tally.objects_unreadable == 0;
            let locations = &asked.locations;
            let shelf = Shelf::new(&listing.objects, locations, asked.is_copy, is_whole);
            let check = Check {
                shelf: &shelf,
                keys: &Keys::new(&asked.keys),
                asked: &asked,
                watch: &watch,
                runtime: &runtime,
            };
            check.all(&found, unread, tell)
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(IntegrityError::Failed)
    }
}

/// What every part of a check needs.
struct Check<'a> {
    shelf: &'a Shelf<'a>,
    keys: &'a Keys<'a>,
    asked: &'a Asked,
    watch: &'a Watch,
    runtime: &'a Handle,
}

/// What is gathered while chains are judged.
struct Gathered {
    tell: Tell,
    /// What did not pass, by how bad it is: of much that is not proven for one reason, nothing that is false
    /// may be lost.
    faults: BTreeMap<Badness, Vec<Outcome>>,
    failed: u64,
    /// What each object of the shelf came to, where a digest lists it.
    of_objects: Vec<Option<Verdict>>,
}

impl Gathered {
    fn outcome(&mut self, outcome: Outcome) {
        (self.tell)(&outcome);
        if outcome.verdict == Verdict::Pass {
            return;
        }
        self.failed += 1;
        let as_bad = self.faults.entry(outcome.badness()).or_default();
        if as_bad.len() < MAX_FAULTS {
            as_bad.push(outcome);
        }
    }

    /// The worst of what did not pass, and how much more there is.
    fn into_faults(self) -> (Vec<Outcome>, u64) {
        let mut faults: Vec<Outcome> = self.faults.into_values().flatten().collect();
        faults.truncate(MAX_FAULTS);
        let left_out = self.failed - faults.len() as u64;
        (faults, left_out)
    }

    /// A log file that several digests list is as bad as the worst of it.
    fn object(&mut self, number: u32, verdict: Verdict) {
        let known = &mut self.of_objects[number as usize];
        *known = Some(known.map_or(verdict, |known| worse(known, verdict)));
    }
}

impl Check<'_> {
    fn all(&self, found: &Found, unread: Vec<String>, tell: Tell) -> Checked {
        let sizes = found.digests.values().flatten().chain(&found.logs);
        let total = sizes.map(|number| self.shelf.at(*number).size).sum();
        self.watch.total_bytes.store(total, Ordering::Relaxed);
        let mut gathered = Gathered {
            tell,
            faults: BTreeMap::new(),
            failed: 0,
            of_objects: vec![None; self.shelf.objects.len()],
        };
        let mut chains: Vec<Chain> = Vec::new();
        let mut span: Option<Span> = None;
        for (of, digests) in &found.digests {
            let chain = self.series(of, digests, &found.sides, &mut gathered);
            for hours in &chain.hours {
                let all = span.get_or_insert(Span {
                    first: hours.from,
                    last: hours.until,
                });
                all.first = all.first.min(hours.from);
                all.last = all.last.max(hours.until);
            }
            chains.push(chain);
        }
        let (mut digests, mut log_files) = (Count::default(), Count::default());
        for chain in &chains {
            digests += chain.digests;
            log_files += chain.log_files;
        }
        let strays = self.strays(found, &chains, &mut gathered);
        log_files += strays;
        let deliveries = Deliveries::of(self.shelf.objects, &found.logs, &self.asked.scope);
        let (silences, silences_left_out) = deliveries.silences(&chains);
        let (verdict, why) = whole(&chains, digests, log_files, strays, &unread);
        let by_name = found.logs.iter().map(|number| {
            let verdict = gathered.of_objects[*number as usize];
            let name = Arc::clone(&self.shelf.at(*number).name);
            (name, verdict.unwrap_or(Verdict::Unknown))
        });
        let log_files_by_name = by_name.collect();
        let (faults, faults_left_out) = gathered.into_faults();
        Checked {
            log_files: log_files_by_name,
            report: Report {
                verdict,
                why,
                span,
                digests,
                log_files,
                chains,
                faults,
                faults_left_out,
                silences,
                silences_left_out,
                lookup: None,
                unread,
            },
        }
    }

    /// Log files that are there and that no digest lists.
    fn strays(&self, found: &Found, chains: &[Chain], gathered: &mut Gathered) -> Count {
        let mut covered: BTreeMap<(&str, &str), Vec<&Chain>> = BTreeMap::new();
        for chain in chains.iter().filter(|chain| !chain.is_backfill) {
            let of = (chain.account.as_str(), chain.region.as_str());
            covered.entry(of).or_default().push(chain);
        }
        let mut count = Count::default();
        for number in &found.logs {
            if gathered.of_objects[*number as usize].is_some() {
                continue;
            }
            let object = self.shelf.at(*number);
            let layout = &object.layout;
            let of = layout.account.as_deref().zip(layout.region.as_deref());
            let chains = of.and_then(|of| covered.get(&of)).map(Vec::as_slice);
            let at = place::delivered(&object.name);
            let is_covered = at.is_some_and(|at| {
                let hours = chains.unwrap_or_default().iter().flat_map(|it| &it.hours);
                let until = |hours: &Stretch| hours.until - LATEST_DELIVERY;
                hours
                    .filter(|hours| hours.digests > 0)
                    .any(|hours| hours.from <= at && at < until(hours))
            });
            let (why, tells) = match (chains, is_covered) {
                (None, _) => (
                    "there is no digest of its account and region",
                    "digests: the folder CloudTrail-Digest beside CloudTrail, if the trail validates its log files",
                ),
                (Some(_), true) => (
                    "the digests of its time do not list it: it is of another trail, came late, or was added",
                    "digests whose names end in _backfill, the account's other trails, and the call PutObject of it",
                ),
                (Some(_), false) => (
                    "there is no digest of its time",
                    "the digests of the hours around it",
                ),
            };
            count.add(Verdict::Unknown);
            gathered.outcome(Outcome {
                kind: Kind::LogFile,
                name: object.name.to_string(),
                verdict: Verdict::Unknown,
                fault: Some(Fault::Unlisted),
                why: why.to_owned(),
                tells: tells.to_owned(),
                digest: None,
            });
        }
        count
    }
}

/// What all of it comes to.
fn whole(
    chains: &[Chain],
    digests: Count,
    log_files: Count,
    strays: Count,
    unread: &[String],
) -> (Verdict, String) {
    let of_chains = chains.iter().map(|chain| chain.verdict);
    let of_chains = of_chains.fold(Verdict::Pass, worse);
    if of_chains == Verdict::Fail {
        let text = format!(
            "of {} digests and {} log files, {} and {} were altered, moved or deleted",
            digests.total(),
            log_files.total(),
            digests.fail,
            log_files.fail,
        );
        return (Verdict::Fail, text);
    }
    let text = if chains.is_empty() {
        "there is no digest, so that nothing is proven".to_owned()
    } else if digests.unknown + log_files.unknown > 0 {
        format!(
            "nothing is known to be altered, and nobody can say it of {} digests and {} log files, of {} and {}",
            digests.unknown,
            log_files.unknown,
            digests.total(),
            log_files.total(),
        )
    } else if of_chains == Verdict::Unknown {
        "every file is as it was delivered, and there are hours without a digest".to_owned()
    } else if let Some(first) = unread.first() {
        format!("not everything could be looked at: {first}")
    } else {
        let text = format!(
            "all {} digests and {} log files are as CloudTrail delivered them",
            digests.total(),
            log_files.total(),
        );
        return (Verdict::Pass, text);
    };
    debug_assert!(strays.pass == 0);
    (Verdict::Unknown, text)
}

impl Chain {
    /// An empty one.
    fn of(series: &Series) -> Self {
        Self {
            trail: series.trail.clone(),
            home_region: series.home_region.clone(),
            organisation: series.organisation.clone(),
            account: series.account.clone(),
            region: series.region.clone(),
            bucket: None,
            is_backfill: series.is_backfill,
            verdict: Verdict::Pass,
            digests: Count::default(),
            log_files: Count::default(),
            hours: Vec::new(),
        }
    }
}
