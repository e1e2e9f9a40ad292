//! Judging what a process does as it runs: how it rounds, what memory it takes, how steadily it
//! computes, and what it does so with.
//!
//! What was seen comes in as numbers, of which each detection is asked. The same judge serves the
//! agent and the cases in `content/detections`.
//!
//! What must stay true: a number that is not known is never a sign; each sign says in words what it
//! saw, with its numbers.
//!
//! Deliberately not here: gathering the numbers (see `guard`), and what a sign leads to (see
//! [`score`](crate::score)).

use davylamp_content::detection::{Detection, Observed, Wire as Seen};

#[cfg(test)]
mod tests;

/// What one detection sees in an observation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sign<'a> {
    /// The detection.
    pub detection: &'a Detection,
    /// What it saw.
    pub seen: Seen,
    /// In words.
    pub what: String,
    /// The name that matched, or what was seen where there is none.
    pub matched: String,
}

/// The detections of behaviour, ready to judge.
#[derive(Debug)]
pub struct Judge {
    detections: Vec<Detection>,
}

impl Judge {
    /// Takes those of the detections that are of behaviour.
    pub fn new(detections: impl IntoIterator<Item = Detection>) -> Self {
        let is_ours = |detection: &Detection| detection.sees.iter().any(|seen| seen.is_behaviour());
        Self {
            detections: detections.into_iter().filter(is_ours).collect(),
        }
    }

    /// Every sign in what was observed.
    pub fn judge(&self, observed: &Observed) -> Vec<Sign<'_>> {
        let mut signs = Vec::new();
        for detection in &self.detections {
            for seen in &detection.sees {
                if let Some((what, matched)) = see(*seen, detection, observed) {
                    let seen = *seen;
                    signs.push(Sign {
                        detection,
                        seen,
                        what,
                        matched: matched.unwrap_or_else(|| seen.as_str().to_owned()),
                    });
                }
            }
        }
        signs
    }

    /// How many seconds of samples are needed to judge how steadily something computes.
    pub fn window_secs(&self) -> u64 {
        let windows = self
            .detections
            .iter()
            .map(|detection| number(detection, "window_secs"));
        windows.max().unwrap_or(0)
    }
}

/// What was seen, in words, and the name that matched.
fn see(seen: Seen, detection: &Detection, observed: &Observed) -> Option<(String, Option<String>)> {
    let plain = |what: String| Some((what, None));
    let at_least = |name: &str| number(detection, name);
    match seen {
        Seen::RandomXRounding => {
            let least = at_least("least_each");
            let each = [observed.down, observed.up, observed.to_zero];
            if each.iter().any(|count| *count < least) {
                return None;
            }
            plain(rounding(detection, observed)?)
        }
        Seen::DirectedRounding => {
            let directed = observed.down + observed.up + observed.to_zero;
            if directed < at_least("least") {
                return None;
            }
            plain(rounding(detection, observed)?)
        }
        Seen::HugePages => {
            let mib = observed.huge_mib;
            (mib >= at_least("least_mib")).then(|| (format!("{mib} MiB in huge pages"), None))
        }
        Seen::SteadyUse => plain(steady(detection, observed)?),
        Seen::ManyDestinations => {
            let (count, secs) = (observed.destinations, observed.lasts_secs);
            let is_many = count > at_least("more_than") && secs <= at_least("within_secs");
            is_many.then(|| {
                let what = format!("it reached {count} destinations within {secs} seconds");
                (what, Some(count.to_string()))
            })
        }
        Seen::BannedAddress => {
            let address = observed.banned.as_ref()?;
            let what = format!("it connects to {address}, which is banned");
            Some((what, Some(address.clone())))
        }
        Seen::GpuWithoutFramework => {
            if !observed.uses_gpu
                || !observed.in_container
                || named(&detection.names, &observed.maps).is_some()
            {
                return None;
            }
            match observed.gpu_percent {
                Some(percent) if percent < at_least("least_percent") => None,
                Some(percent) => plain(format!(
                    "it keeps a graphics card busy by {percent} % and maps no framework for it"
                )),
                None => plain(
                    "it has a graphics card open and maps no framework for it; its load is unknown"
                        .to_owned(),
                ),
            }
        }
        Seen::AnonymousCode => {
            let mib = observed.executable_mib;
            if mib < at_least("least_mib") || named(&detection.names, &observed.maps).is_some() {
                return None;
            }
            plain(format!("{mib} MiB of executable memory are of no file"))
        }
        Seen::MiningModule => {
            let (file, name) = named(&detection.names, &observed.maps)?;
            Some((format!("it has mapped {file}"), Some(name.to_owned())))
        }
        _ => None,
    }
}

fn number(detection: &Detection, name: &str) -> u64 {
    // The linter sees to it that all are there.
    detection.parameters.get(name).copied().unwrap_or(u64::MAX)
}

/// What is said of a thread that rounds otherwise than to the nearest for long and often enough.
fn rounding(detection: &Detection, observed: &Observed) -> Option<String> {
    let Observed {
        nearest,
        down,
        up,
        to_zero,
        lasts_secs,
        ..
    } = *observed;
    let directed = down + up + to_zero;
    let share = 100 * directed / (directed + nearest).max(1);
    let is_enough = share >= number(detection, "least_share_percent")
        && lasts_secs >= number(detection, "least_secs");
    is_enough.then(|| {
        format!(
            "of {} context switches of a thread {share} % came while it rounded otherwise than to \
             the nearest: {down} down, {up} up, {to_zero} toward zero",
            directed + nearest
        )
    })
}

/// Whether nearly all samples of the window are near their middle one. Single outliers, of a pause or
/// of a restart, do not count.
fn steady(detection: &Detection, observed: &Observed) -> Option<String> {
    let window = number(detection, "window_secs");
    let wanted = usize::try_from(window / observed.every_secs.max(1))
        .ok()?
        .max(1);
    let from = observed.cpu_percent.len().checked_sub(wanted)?;
    let samples = &observed.cpu_percent[from..];
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    let middle = sorted[sorted.len() / 2];
    if middle < number(detection, "least_percent") {
        return None;
    }
    // At least one percent of a processor: samples are no finer.
    let slack = (middle * number(detection, "within_percent") / 100).max(1);
    let near = samples
        .iter()
        .filter(|sample| sample.abs_diff(middle) <= slack);
    let share = 100 * near.count() as u64 / samples.len() as u64;
    (share >= number(detection, "share_percent")).then(|| {
        format!(
            "for {} minutes it used {middle} % of a processor, give or take {slack}, in {share} % \
             of all samples",
            window / 60
        )
    })
}

/// The first file with one of these names, and the name. A name stands by itself in a file's name:
/// neither before nor behind it is a letter.
fn named<'a>(names: &'a [String], files: &'a [String]) -> Option<(&'a str, &'a str)> {
    files.iter().find_map(|file| {
        let name = names.iter().find(|name| stands_in(name, file))?;
        Some((file.as_str(), name.as_str()))
    })
}

fn stands_in(name: &str, file: &str) -> bool {
    let file = file.to_ascii_lowercase();
    file.match_indices(&name.to_ascii_lowercase())
        .any(|(at, found)| {
            let before = file[..at].chars().next_back();
            let behind = file[at + found.len()..].chars().next();
            // A library's name begins with `lib`.
            let is_start = file[..at].ends_with("lib") || !before.is_some_and(char::is_alphabetic);
            is_start && !behind.is_some_and(char::is_alphabetic)
        })
}
