//! The hours of a chain: which are proven whole, which are not, and of which nobody can say.

use davylamp_model::verdict::Verdict;
use jiff::{SignedDuration, Timestamp};

use super::chain::{Absent, Judged, Node, tells_absent};
use super::report::{Count, Stretch, worse};

/// How long the time of a digest is that does not say it itself.
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// What an hour's log files came to.
pub(super) type Files = Count;

/// The hours of the digests that are asked for, from the earliest on, and what lies between them.
pub(super) fn stretches(
    nodes: &[Node],
    judged: &[Judged],
    files: &[Files],
    absent: &[Absent],
    (since, until): (Option<Timestamp>, Option<Timestamp>),
) -> Vec<Stretch> {
    let mut hours = Hours::default();
    let mut reached = since;
    for (number, node) in nodes.iter().enumerate().filter(|(_, node)| node.is_asked) {
        let said = node.digest.as_ref().ok().and_then(|it| it.said.hour());
        let (start, end) = said.unwrap_or((node.end - HOUR, node.end));
        if let Some(reached) = reached.filter(|reached| *reached < start) {
            hours.add(gap(number, node, absent, (reached, start), number > 0));
        }
        let from = reached.map_or(start, |reached| reached.max(start));
        reached = reached.max(Some(end));
        let until = until.map_or(end, |until| until.min(end));
        if from < until {
            hours.add(covered(&judged[number], files[number], (from, until)));
        }
    }
    if let Some((reached, until)) = reached.zip(until)
        && reached < until
        && !hours.0.is_empty()
    {
        hours.add(Stretch {
            from: reached,
            until,
            verdict: Verdict::Unknown,
            why: "no digest of this time is here: it was deleted, or made after the files were fetched"
                .to_owned(),
            tells: "the bucket as it is now".to_owned(),
            digests: 0,
            log_files: 0,
        });
    }
    hours.0
}

fn covered(judged: &Judged, files: Files, (from, until): (Timestamp, Timestamp)) -> Stretch {
    let of_files = match files {
        Count { fail: 1.., .. } => Verdict::Fail,
        Count { unknown: 1.., .. } => Verdict::Unknown,
        Count { .. } => Verdict::Pass,
    };
    let of_digest = match judged.is_proven {
        // Where it lies is its own matter; what it says of the hour is proven.
        true => Verdict::Pass,
        false => judged.verdict,
    };
    let (why, tells) = match (of_digest, of_files) {
        (Verdict::Pass, Verdict::Pass) => ("", ""),
        (Verdict::Pass, Verdict::Fail) => (
            "log files were altered, moved or deleted",
            "what is said of each of them",
        ),
        (Verdict::Pass, Verdict::Unknown) => (
            "log files could not be compared",
            "what is said of each of them",
        ),
        (Verdict::Fail | Verdict::Unknown, _) => (judged.why.as_str(), judged.tells),
    };
    Stretch {
        from,
        until,
        verdict: worse(of_digest, of_files),
        why: why.to_owned(),
        tells: tells.to_owned(),
        digests: 1,
        log_files: files.total(),
    }
}

/// What lies before a digest and after the one before it.
fn gap(
    number: usize,
    node: &Node,
    absent: &[Absent],
    (from, until): (Timestamp, Timestamp),
    has_before: bool,
) -> Stretch {
    let missing = absent.iter().find(|it| it.named_by == number);
    let (verdict, why, tells) = match (&node.digest, missing) {
        (_, Some(missing)) if missing.unread.fault == super::report::Fault::Missing => (
            Verdict::Fail,
            "at least one digest of this time was deleted",
            tells_absent(&missing.unread),
        ),
        (_, Some(missing)) => (
            Verdict::Unknown,
            "the digest of this time is not here",
            tells_absent(&missing.unread),
        ),
        (Err(_), None) => (
            Verdict::Unknown,
            "the digest after this time cannot be read, so that nobody knows which came before it",
            "the digest after it",
        ),
        (Ok(digest), None) if digest.said.previous().is_none() => (
            Verdict::Unknown,
            match has_before {
                true => {
                    "no digest was made: the chain begins anew after this time, since the trail or its \
                     validation was off"
                }
                false => "no digest was made: the chain begins after this time",
            },
            "the calls StopLogging, StartLogging, UpdateTrail, DeleteTrail and CreateTrail around it",
        ),
        (Ok(_), None) => (
            Verdict::Unknown,
            "the digests around this time follow one another, and neither is about it",
            "what AWS says of the trail: its support",
        ),
    };
    Stretch {
        from,
        until,
        verdict,
        why: why.to_owned(),
        tells: tells.to_owned(),
        digests: 0,
        log_files: 0,
    }
}

/// Stretches, of which neighbours that say the same become one.
#[derive(Default)]
struct Hours(Vec<Stretch>);

impl Hours {
    fn add(&mut self, next: Stretch) {
        if let Some(last) = self.0.last_mut()
            && last.until >= next.from
            && (last.verdict, &last.why, &last.tells) == (next.verdict, &next.why, &next.tells)
        {
            last.until = last.until.max(next.until);
            last.digests += next.digests;
            last.log_files += next.log_files;
            return;
        }
        self.0.push(next);
    }
}
