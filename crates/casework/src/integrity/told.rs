//! Whether the logs are whole, as a case says it.
//!
//! What must stay true: a case that rests on CloudTrail, or would if its log files were there, says whether its log files are whole, or that nobody
//! knows and what would tell; a record of a log file that failed is told as that wherever it is cited. Whose
//! acts they were is not judged anew: what an altered file had said before, nobody knows.

use std::collections::BTreeSet;

use davylamp_model::verdict::Verdict;

use super::{Checked, Count, Fault, Kind, Report};
use crate::case::{Case, EvidenceId, Integrity, Reason, Statement, Uncovered, Unknown};
use crate::hands::score::plural;

/// A case holds so many files that did not pass: who has to see all of them asks `davy investigate verify`.
const MAX_FAULTS: usize = 500;

/// As many stretches of hours that no digest covers.
const MAX_UNCOVERED: usize = 500;

/// As many sentences on what could not be looked at.
const MAX_UNREAD: usize = 50;

/// Records that a sentence cites.
const MAX_CITED: usize = 6;

/// What is not known where log files are not proven.
const WHETHER: &str = "whether the log files are as CloudTrail delivered them";

const SWITCH_ON: &str = "for what is delivered from now on: aws cloudtrail update-trail --name TRAIL \
                         --enable-log-file-validation";

const WITHOUT_DIGESTS: &str = "no digest of theirs is among the logs: the trail does not validate its log files, or they were not fetched";

/// Why log files were not checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unchecked {
    /// There is nothing to check them with.
    NoDigest,
    /// Nobody asked for it.
    NotAsked {
        /// How many digests there are.
        digests: u64,
        /// What checks them.
        command: String,
    },
    /// The logs are a lake: what was delivered was read when that was made.
    Lake,
    /// It could not be done.
    Failed {
        /// Why.
        why: String,
    },
}

impl Unchecked {
    fn why(&self) -> String {
        match self {
            Self::NoDigest => WITHOUT_DIGESTS.to_owned(),
            Self::NotAsked { digests, .. } => format!(
                "{} of CloudTrail's {} among the logs and were not checked, as nobody asked for it",
                plural(*digests, "digest"),
                if *digests == 1 { "is" } else { "are" },
            ),
            Self::Lake => "the logs are a lake, whose files CloudTrail has not written".to_owned(),
            Self::Failed { why } => format!("they could not be checked: {why}"),
        }
    }

    fn tells(&self) -> String {
        match self {
            Self::NoDigest => SWITCH_ON.to_owned(),
            Self::NotAsked { command, .. } => {
                format!("--verify, which checks them for the case; or alone: {command}")
            }
            Self::Lake => "davy investigate verify, with what the lake was made of".to_owned(),
            Self::Failed { .. } => "davy investigate verify, which says more".to_owned(),
        }
    }

    fn digests(&self) -> u64 {
        match self {
            Self::NotAsked { digests, .. } => *digests,
            Self::NoDigest | Self::Lake | Self::Failed { .. } => 0,
        }
    }
}

/// Says in a case that nobody knows whether its log files are whole.
pub fn tell_unchecked(case: &mut Case, unchecked: &Unchecked) {
    // Where there are digests there were log files.
    if !has_trail(case) && unchecked.digests() == 0 {
        return;
    }
    let (why, tells) = (unchecked.why(), unchecked.tells());
    case.unknowns.push(unknown(&why, Some(&tells)));
    case.integrity = Some(Integrity {
        verdict: Verdict::Unknown,
        why,
        tells: Some(tells),
        span: None,
        digests: Count {
            unknown: unchecked.digests(),
            ..Count::default()
        },
        log_files: Count::default(),
        faults: Vec::new(),
        faults_left_out: 0,
        uncovered: Vec::new(),
        uncovered_left_out: 0,
        unread: Vec::new(),
    });
}

/// Says in a case what the check of its log files came to.
pub fn tell(case: &mut Case, checked: &Checked) {
    let report = &checked.report;
    if report.chains.is_empty() && (report.unread.is_empty() || !has_trail(case)) {
        return tell_unchecked(case, &Unchecked::NoDigest);
    }
    let integrity = integrity(report);
    for cited in &mut case.evidence {
        if cited.table == "cloudtrail" {
            let file = file_of(&cited.source);
            cited.log_file = checked.log_files.get(file).copied();
        }
    }
    match report.verdict {
        Verdict::Pass => {}
        Verdict::Unknown => {
            let unknown = unknown(&integrity.why, integrity.tells.as_deref());
            case.unknowns.push(unknown);
        }
        Verdict::Fail => distrust(case, &integrity),
    }
    case.integrity = Some(integrity);
}

fn has_trail(case: &Case) -> bool {
    let mut sources = case.sources.iter();
    sources.any(|it| it.table == "cloudtrail" && it.records > 0)
}

fn unknown(why: &str, tells: Option<&str>) -> Unknown {
    Unknown {
        what: WHETHER.to_owned(),
        why: why.to_owned(),
        remedy: tells.map(str::to_owned),
    }
}

fn integrity(report: &Report) -> Integrity {
    let chains = report.chains.iter();
    let mut uncovered: Vec<Uncovered> = chains
        .flat_map(|chain| {
            let hours = chain.hours.iter().filter(|hours| hours.digests == 0);
            hours.map(|hours| Uncovered {
                trail: chain.trail.clone(),
                account: chain.account.clone(),
                region: chain.region.clone(),
                hours: hours.clone(),
            })
        })
        .collect();
    let is_unproven = |it: &Uncovered| it.hours.verdict != Verdict::Fail;
    uncovered.sort_by_key(|it| (is_unproven(it), it.hours.from));
    let shown = report.faults.len().min(MAX_FAULTS);
    Integrity {
        verdict: report.verdict,
        why: report.why.clone(),
        tells: tells(report),
        span: report.span,
        digests: report.digests,
        log_files: report.log_files,
        faults: report.faults[..shown].to_vec(),
        faults_left_out: report.faults_left_out + (report.faults.len() - shown) as u64,
        uncovered_left_out: uncovered.len().saturating_sub(MAX_UNCOVERED) as u64,
        uncovered: {
            uncovered.truncate(MAX_UNCOVERED);
            uncovered
        },
        unread: unread(&report.unread),
    }
}

/// The first of what could not be looked at, and how much more there is.
fn unread(all: &[String]) -> Vec<String> {
    let mut unread: Vec<String> = all.iter().take(MAX_UNREAD).cloned().collect();
    if let Some(more @ 1..) = all.len().checked_sub(MAX_UNREAD) {
        unread.push(format!("{more} more, which davy investigate verify tells"));
    }
    unread
}

/// What would tell more of it: what would of its worst file, or of its hours.
fn tells(report: &Report) -> Option<String> {
    if report.verdict == Verdict::Pass {
        return None;
    }
    // Without a key nothing else helps.
    let keyless = |fault: &&super::Outcome| fault.fault == Some(Fault::NoKey);
    let worst = report.faults.first();
    let fault = match report.verdict {
        Verdict::Unknown => report.faults.iter().find(keyless).or(worst),
        Verdict::Pass | Verdict::Fail => worst,
    };
    let hours = report.chains.iter().flat_map(|chain| &chain.hours);
    let of_hours = hours.filter(|hours| hours.verdict != Verdict::Pass);
    let of_hours = of_hours.map(|hours| &hours.tells).next();
    let told = fault.map(|fault| &fault.tells).or(of_hours);
    told.filter(|tells| !tells.is_empty()).cloned()
}

/// Log files are not what was delivered: what they say is told with that.
fn distrust(case: &mut Case, integrity: &Integrity) {
    let failed: BTreeSet<EvidenceId> = case
        .evidence
        .iter()
        .filter(|it| it.log_file == Some(Verdict::Fail))
        .map(|it| it.id)
        .collect();
    let of_case = match failed.len() as u64 {
        0 => "none of the records that the case cites is of one that is there".to_owned(),
        1 => "1 record that the case cites is of one".to_owned(),
        many => format!("{many} records that the case cites are of such"),
    };
    case.summary.insert(
        0,
        Statement {
            text: format!(
                "log files that were altered, moved or deleted after delivery cannot be trusted: {} of {}, and {} \
                 of {}; {of_case}",
                integrity.log_files.fail,
                plural(integrity.log_files.total(), "log file"),
                integrity.digests.fail,
                plural(integrity.digests.total(), "digest"),
            ),
            evidence: failed.iter().copied().take(MAX_CITED).collect(),
        },
    );
    doubt(case, &failed);
    let first = integrity.faults.iter().find(|it| it.kind == Kind::LogFile);
    let first = first.filter(|it| it.verdict == Verdict::Fail);
    let why = match first {
        Some(first) => format!("{}: {}", first.name, first.why),
        None => integrity.why.clone(),
    };
    case.unknowns.push(Unknown {
        what: "what the log files said that were altered, moved or deleted".to_owned(),
        why,
        remedy: Some(
            "their earlier versions, if the bucket keeps them; of ninety days, aws cloudtrail lookup-events"
                .to_owned(),
        ),
    });
}

/// What rests on a record of a log file that failed is told to do so.
fn doubt(case: &mut Case, failed: &BTreeSet<EvidenceId>) {
    let reason = |cited: &[EvidenceId], is_for: bool| {
        let evidence: Vec<EvidenceId> = cited
            .iter()
            .filter(|id| failed.contains(id))
            .copied()
            .collect();
        let text = match evidence.len() {
            0 => return None,
            1 => {
                "a record that this rests on is of a log file that was altered or moved after delivery"
            }
            _ => {
                "records that this rests on are of log files that were altered or moved after delivery"
            }
        };
        let text = text.to_owned();
        Some(Reason {
            is_for,
            statement: Statement { text, evidence },
        })
    };
    let of_reasons = |reasons: &[Reason]| -> Vec<EvidenceId> {
        let cited = reasons
            .iter()
            .flat_map(|it| it.statement.evidence.iter().copied());
        let each: BTreeSet<EvidenceId> = cited.collect();
        each.into_iter().collect()
    };
    if let Some(origin) = &mut case.origin {
        let cited = of_reasons(&origin.reasons);
        origin.reasons.extend(reason(&cited, false));
    }
    for innocence in &mut case.innocence {
        let mut cited = of_reasons(&innocence.reasons);
        cited.extend(&innocence.statement.evidence);
        cited.sort_unstable();
        cited.dedup();
        // It speaks against whatever the verdict is.
        let is_for = innocence.verdict == Verdict::Fail;
        innocence.reasons.extend(reason(&cited, is_for));
    }
}

/// The object of a place such as `NAME:12`.
fn file_of(source: &str) -> &str {
    source.rsplit_once(':').map_or(source, |(name, _)| name)
}
