//! How long something ran, at least, likely and at most, as it is billed.

use davylamp_content::prices::kind::System;
use jiff::Timestamp;

use super::{Bounds, End, Run, middle};

/// A start is billed for a minute at least (<https://aws.amazon.com/ec2/pricing/on-demand/>).
const LEAST_SECONDS: u64 = 60;

/// What is billed by the hour is billed for whole ones.
const HOUR_SECONDS: u64 = 3600;

/// Since 2017-10-02 Linux is billed by the second
/// (<https://aws.amazon.com/about-aws/whats-new/2017/10/announcing-amazon-ec2-per-second-billing/>),
/// since 2021-06-11 Windows, since 2024-07-01 Red Hat. SUSE is billed by the hour
/// (<https://repost.aws/knowledge-center/ec2-instance-hour-billing>).
const LINUX_BY_SECOND: i64 = 1_506_902_400;
const WINDOWS_BY_SECOND: i64 = 1_623_369_600;
const RHEL_BY_SECOND: i64 = 1_719_792_000;

/// Billed seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seconds {
    /// At least: from the last moment it can have started to the first it can have stopped.
    pub low: u64,
    /// The best guess.
    pub likely: u64,
    /// At most: to the next sign of it, or to now.
    pub high: u64,
}

/// How sure a stretch of time has to be.
#[derive(Clone, Copy)]
enum Case {
    Low,
    Likely,
    High,
}

/// How long something was billed for by `now`.
pub fn seconds(run: &Run, now: Timestamp) -> Seconds {
    let of = |case| billed(run, now, case);
    // Two short stretches may be billed for more than the longer one they are parts of.
    let high = of(Case::High);
    let likely = of(Case::Likely).min(high);
    Seconds {
        low: of(Case::Low).min(likely),
        likely,
        high,
    }
}

fn billed(run: &Run, now: Timestamp, case: Case) -> u64 {
    let (from, to) = stretch(run, now, case);
    let mut pauses: Vec<(Timestamp, Timestamp)> = run
        .paused
        .iter()
        .map(|(stop, start)| pause(*stop, *start, case))
        .filter(|(stop, start)| stop < start)
        .collect();
    pauses.sort();
    let mut seconds = 0_u64;
    let mut at = from;
    for (stop, start) in pauses {
        seconds = seconds.saturating_add(part(run.system, at, stop.min(to)));
        at = at.max(start);
    }
    seconds.saturating_add(part(run.system, at, to))
}

/// The whole of a run, with its pauses.
fn stretch(run: &Run, now: Timestamp, case: Case) -> (Timestamp, Timestamp) {
    let started = run.started;
    let from = match case {
        Case::Low => started.latest,
        Case::Likely => started.middle(),
        Case::High => started.earliest.unwrap_or(started.latest),
    };
    let to = match (&run.ended, case) {
        (End::At(ended), Case::Low) => ended.earliest.unwrap_or(started.latest),
        (End::At(ended), Case::Likely) => {
            middle(ended.earliest.unwrap_or(started.latest), ended.latest)
        }
        (End::At(ended), Case::High) => ended.latest,
        (End::RunsAt(at), Case::Low) => *at,
        (End::RunsAt(at), Case::Likely | Case::High) => now.max(*at),
        (End::Unknown { last_known, .. }, Case::Low) => *last_known,
        (End::Unknown { last_known, .. }, Case::Likely) => {
            middle(*last_known, now.max(*last_known))
        }
        (End::Unknown { last_known, .. }, Case::High) => now.max(*last_known),
    };
    (from, to)
}

/// A pause: the longest it can have been where the run is to be the shortest.
fn pause(stop: Bounds, start: Bounds, case: Case) -> (Timestamp, Timestamp) {
    match case {
        Case::Low => (stop.earliest.unwrap_or(Timestamp::MIN), start.latest),
        Case::Likely => (stop.middle(), start.middle()),
        Case::High => (stop.latest, start.earliest.unwrap_or(stop.latest)),
    }
}

/// What is billed for a stretch without a pause.
fn part(system: System, from: Timestamp, to: Timestamp) -> u64 {
    let seconds = u64::try_from(to.as_second().saturating_sub(from.as_second())).unwrap_or(0);
    match (seconds, is_hourly(system, from)) {
        (0, _) => 0,
        (seconds, true) => seconds.div_ceil(HOUR_SECONDS) * HOUR_SECONDS,
        (seconds, false) => seconds.max(LEAST_SECONDS),
    }
}

/// Whether a system was billed by whole hours when a stretch began.
fn is_hourly(system: System, from: Timestamp) -> bool {
    let since = match system {
        System::Suse => return true,
        System::Windows => WINDOWS_BY_SECOND,
        System::Rhel | System::RhelHa => RHEL_BY_SECOND,
        System::Linux
        | System::UbuntuPro
        | System::NotWindows
        | System::Other
        | System::Unknown => LINUX_BY_SECOND,
    };
    from.as_second() < since
}
