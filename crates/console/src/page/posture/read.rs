//! Audits as pages need them. A run of an audit never changes: what was read of one is kept.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use davylamp_ledger::record::Audit;
use davylamp_ledger::rows::{RiskRow, RunRow};
use davylamp_model::verdict::{Outcome, Verdict};
use jiff::Timestamp;

use super::score::Score;
use crate::access::{Refused, Scope};
use crate::site::Site;

/// Audits that are kept in full. One may have thousands of outcomes.
const KEPT: usize = 32;
/// Scores that are kept, of a few bytes each.
const SCORES_KEPT: usize = 4096;
/// Of so many targets the last audit is read; that there are more is told.
pub(super) const TARGETS: usize = 40;

/// Audits that were read already, by entry.
#[derive(Debug, Default)]
pub(crate) struct Audits {
    full: Mutex<BTreeMap<i64, Arc<Audit>>>,
    scores: Mutex<HashMap<i64, Score>>,
}

impl Audits {
    fn known(&self, id: i64) -> Option<Arc<Audit>> {
        let full = self.full.lock().unwrap_or_else(PoisonError::into_inner);
        full.get(&id).cloned()
    }

    fn keep(&self, id: i64, audit: &Arc<Audit>) {
        let mut full = self.full.lock().unwrap_or_else(PoisonError::into_inner);
        full.insert(id, Arc::clone(audit));
        // The oldest go: the last of each target is what pages begin with.
        while full.len() > KEPT {
            full.pop_first();
        }
    }

    fn score(&self, id: i64) -> Option<Score> {
        let scores = self.scores.lock().unwrap_or_else(PoisonError::into_inner);
        scores.get(&id).copied()
    }

    fn keep_score(&self, id: i64, score: Score) {
        let mut scores = self.scores.lock().unwrap_or_else(PoisonError::into_inner);
        if scores.len() >= SCORES_KEPT {
            scores.clear();
        }
        scores.insert(id, score);
    }
}

/// A run with what it looked at; `None` where retention removed it.
pub(super) async fn audit(site: &Site, id: i64) -> Result<Option<Arc<Audit>>, Refused> {
    if let Some(audit) = site.audits().known(id) {
        return Ok(Some(audit));
    }
    let view = site.ledger().audit(id).await?;
    let audit = view.and_then(|view| view.audit).map(Arc::new);
    if let Some(audit) = &audit {
        site.audits().keep(id, audit);
    }
    Ok(audit)
}

/// The score of a run as it was, with nothing lived with.
pub(super) async fn score(site: &Site, id: i64) -> Result<Option<Score>, Refused> {
    if let Some(score) = site.audits().score(id) {
        return Ok(Some(score));
    }
    // Not through `audit`: a walk over old runs would push out the last ones.
    let view = site.ledger().audit(id).await?;
    let Some(audit) = view.and_then(|view| view.audit) else {
        return Ok(None);
    };
    let mut score = Score::default();
    for outcome in &audit.outcomes {
        score.count(outcome, false);
    }
    site.audits().keep_score(id, score);
    Ok(Some(score))
}

/// The last audit of a target.
pub(super) struct Last {
    pub row: RunRow,
    pub audit: Option<Arc<Audit>>,
}

/// Where things stand: the last audit of each target that somebody may see, and what is lived with.
pub(super) struct Standing {
    pub last: Vec<Last>,
    pub has_more: bool,
    risks: HashMap<String, RiskRow>,
    now_us: i64,
}

/// An outcome of a last audit.
#[derive(Clone, Copy)]
pub(super) struct One<'a> {
    pub row: &'a RunRow,
    pub outcome: &'a Outcome,
    /// Its place in its run.
    pub place: usize,
    /// What is lived with of it, ended or not.
    pub risk: Option<&'a RiskRow>,
    pub is_accepted: bool,
}

impl One<'_> {
    pub(super) fn is_bad(&self) -> bool {
        self.outcome.verdict != Verdict::Pass
    }
}

/// Whether somebody may see what is about a target: a cluster or account is of those who see that; anything
/// else, such as a machine or a bucket, is of those who see everything.
pub(in crate::page) fn sees(scope: &Scope, target: &str) -> bool {
    scope.holds(target) || scope.holds(&format!("account:{target}"))
}

pub(super) async fn standing(site: &Site, scope: &Scope) -> Result<Standing, Refused> {
    let mut rows = site.ledger().last_runs("audit").await?;
    rows.retain(|row| sees(scope, &row.target));
    rows.sort_by_key(|row| std::cmp::Reverse(row.id));
    let has_more = rows.len() > TARGETS;
    let mut last = Vec::new();
    for row in rows.into_iter().take(TARGETS) {
        let audit = audit(site, row.id).await?;
        last.push(Last { row, audit });
    }
    let outcomes = last.iter().filter_map(|last| last.audit.as_ref());
    let bad = outcomes
        .flat_map(|audit| &audit.outcomes)
        .filter(|outcome| outcome.verdict != Verdict::Pass);
    let subjects: Vec<String> = bad.map(Outcome::subject).collect();
    let risks = site.ledger().risks_by_subject(subjects).await?;
    Ok(Standing {
        last,
        has_more,
        risks,
        now_us: site.now().as_microsecond(),
    })
}

impl Standing {
    /// Every outcome.
    pub(super) fn all(&self) -> impl Iterator<Item = One<'_>> {
        self.last.iter().flat_map(move |last| {
            let outcomes = last.audit.iter().flat_map(|audit| &audit.outcomes);
            let placed = outcomes.enumerate();
            placed.map(move |(place, outcome)| self.one(&last.row, place, outcome))
        })
    }

    fn one<'a>(&'a self, row: &'a RunRow, place: usize, outcome: &'a Outcome) -> One<'a> {
        let risk = match outcome.verdict {
            Verdict::Pass => None,
            _ => self.risks.get(&outcome.subject()),
        };
        One {
            row,
            outcome,
            place,
            risk,
            is_accepted: risk.is_some_and(|risk| risk.until > self.now_us),
        }
    }

    pub(super) fn score(&self) -> Score {
        let mut score = Score::default();
        for one in self.all() {
            score.count(one.outcome, one.is_accepted);
        }
        score
    }

    /// What is lived with, of what they may see.
    pub(super) fn risks(&self) -> impl Iterator<Item = (&String, &RiskRow)> {
        self.risks.iter()
    }

    /// The score of one of the targets.
    pub(super) fn score_of(&self, last: &Last) -> Score {
        let mut score = Score::default();
        for outcome in last.audit.iter().flat_map(|audit| &audit.outcomes) {
            score.count(outcome, self.one(&last.row, 0, outcome).is_accepted);
        }
        score
    }
}

/// The posture in a line, for the overview.
pub(in crate::page) struct Brief {
    pub percent: Option<u64>,
    pub failed: u64,
    pub unknown: u64,
    pub targets: usize,
    pub oldest_us: Option<i64>,
}

pub(in crate::page) async fn brief(site: &Site, scope: &Scope) -> Result<Brief, Refused> {
    let standing = standing(site, scope).await?;
    let score = standing.score();
    Ok(Brief {
        percent: score.percent(),
        failed: score.failed,
        unknown: score.unknown,
        targets: standing.last.len(),
        oldest_us: standing.last.iter().map(|last| last.row.ended).min(),
    })
}

/// A time that is near its end: so that who lives with something looks at it again in time.
pub(super) fn is_near(until: i64, now: Timestamp) -> bool {
    let soon = now.as_microsecond().saturating_add(NEAR_US);
    until <= soon
}

/// Two weeks.
const NEAR_US: i64 = 14 * 24 * 3600 * 1_000_000;
