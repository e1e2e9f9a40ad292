//! What signs add up to: for a process tree, a container, a Hub user.
//!
//! A detection counts once within a subject, by its strongest sign, and fades with time. Of signs of
//! one [`Kind`] only the strongest counts, so that two detections that see the same thing are no two
//! witnesses. What the sum leads to is policy; how far it may lead is decided by the signs themselves
//! (see `Policy::furthest`).
//!
//! What must stay true: the order in which signs come in changes nothing; one more sign never makes a
//! subject less suspicious; without new signs a score only falls; what is kept is bounded, and what
//! had to make room is counted; whoever reads a result sees every sign that made it.
//!
//! Deliberately not here: what a sign is worth (its detection says so), whose process it was, and
//! doing anything about it.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use davylamp_content::detection::FULL_SCORE;
use davylamp_model::guard_event::{Level, Sign};
use jiff::Timestamp;

mod kind;
mod policy;
#[cfg(test)]
mod tests;

pub use kind::Kind;
pub use policy::{Override, Policy, Thresholds};

/// So many detections are remembered of one subject: more than there are.
const MAX_SIGNS: usize = 64;

/// A sign worth less than this is forgotten.
const FORGOTTEN: f64 = 0.5;

/// A sign worth less than this is no witness of its own: it adds, but does not corroborate.
const WITNESS: f64 = 20.0;

/// One sign, as it comes in.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    /// The detection whose sign it is.
    pub detection: String,
    /// What kind of evidence it is.
    pub kind: Kind,
    /// How sure it is, from 1 to 100.
    pub score: f64,
    /// The furthest it may lead: [`Level::Alert`] for a detection that only tells,
    /// [`Level::KillProcess`] for one that may kill.
    pub response: Level,
    /// What was seen, in words.
    pub what: String,
    /// When.
    pub at: Timestamp,
}

/// What the signs of a subject add up to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Standing {
    /// What policy says is to be done.
    pub level: Level,
    /// All that counts, together.
    pub score: f64,
    /// Every sign that is remembered, the one that weighs most first. One that a stronger sign of
    /// its kind stands for adds 0.
    pub signs: Vec<Sign>,
}

/// A detection's sign within a subject.
#[derive(Debug, Clone)]
struct Held {
    strongest: Mark,
    last: Timestamp,
}

/// The signs of many subjects.
#[derive(Debug)]
pub struct Scores<Subject> {
    policy: Policy,
    most: usize,
    held: BTreeMap<Subject, BTreeMap<String, Held>>,
    evicted: u64,
}

impl<Subject: Ord + Clone> Scores<Subject> {
    /// Nobody is suspected yet. At most `most` subjects are remembered.
    pub fn new(policy: Policy, most: usize) -> Self {
        Self {
            policy,
            most: most.max(1),
            held: BTreeMap::new(),
            evicted: 0,
        }
    }

    /// How many subjects are remembered.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether nobody is suspected.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// How many subjects had to make room before their signs had faded.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Adds a sign to a subject, and says where the subject stands.
    pub fn add(&mut self, subject: &Subject, mark: Mark, now: Timestamp) -> Standing {
        let mark = self.policy.apply(mark);
        let signs = self.held.entry(subject.clone()).or_default();
        if mark.score > 0.0 {
            hold(signs, mark, &self.policy);
        }
        let standing = judge(signs, &self.policy, now);
        if signs.is_empty() {
            self.held.remove(subject);
        }
        if self.held.len() > self.most {
            self.make_room(now);
        }
        standing
    }

    /// Where a subject stands.
    pub fn of(&self, subject: &Subject, now: Timestamp) -> Standing {
        match self.held.get(subject) {
            Some(signs) => judge(signs, &self.policy, now),
            None => Standing::default(),
        }
    }

    /// Forgets what has faded.
    pub fn forget_faded(&mut self, now: Timestamp) {
        let policy = &self.policy;
        self.held.retain(|_, signs| {
            signs.retain(|_, held| worth(&held.strongest, policy, now) >= FORGOTTEN);
            !signs.is_empty()
        });
    }

    /// A sixteenth at once, so that looking for the weakest is paid for seldom.
    fn make_room(&mut self, now: Timestamp) {
        self.forget_faded(now);
        let surplus = match self.held.len().checked_sub(self.most) {
            None | Some(0) => return,
            Some(surplus) => surplus + self.most / 16,
        };
        let mut scores: Vec<(f64, Subject)> = self
            .held
            .iter()
            .map(|(subject, signs)| (judge(signs, &self.policy, now).score, subject.clone()))
            .collect();
        scores.sort_by(|(one, first), (other, second)| {
            one.total_cmp(other).then_with(|| first.cmp(second))
        });
        for (_, subject) in scores.into_iter().take(surplus) {
            self.held.remove(&subject);
            self.evicted += 1;
        }
    }
}

fn hold(signs: &mut BTreeMap<String, Held>, mark: Mark, policy: &Policy) {
    match signs.get_mut(&mark.detection) {
        Some(held) => {
            held.last = held.last.max(mark.at);
            if by_strength(&held.strongest, &mark, policy) == Ordering::Less {
                held.strongest = mark;
            }
        }
        None => {
            let last = mark.at;
            let name = mark.detection.clone();
            let strongest = mark;
            signs.insert(name, Held { strongest, last });
            if signs.len() > MAX_SIGNS {
                let weakest = signs
                    .iter()
                    .min_by(|(_, one), (_, other)| {
                        by_strength(&one.strongest, &other.strongest, policy)
                    })
                    .map(|(name, _)| name.clone());
                if let Some(name) = weakest {
                    signs.remove(&name);
                }
            }
        }
    }
}

/// Which of two signs is worth more, now and at any later time: a property of both alone, so that the
/// order in which they came does not count.
fn by_strength(one: &Mark, other: &Mark, policy: &Policy) -> Ordering {
    let strength = |mark: &Mark| {
        let half_life = policy.half_life(&mark.detection).as_nanos() as f64;
        mark.score.log2() + mark.at.as_nanosecond() as f64 / half_life
    };
    strength(one)
        .total_cmp(&strength(other))
        .then_with(|| one.at.cmp(&other.at))
        .then_with(|| one.what.cmp(&other.what))
}

/// What a sign is worth now. One from the future, of a clock that was set back, is worth all of it.
fn worth(mark: &Mark, policy: &Policy, now: Timestamp) -> f64 {
    let age_ns = (now.as_nanosecond() - mark.at.as_nanosecond()).max(0) as f64;
    let half_life = policy.half_life(&mark.detection).as_nanos() as f64;
    mark.score * (-age_ns / half_life).exp2()
}

fn judge(signs: &BTreeMap<String, Held>, policy: &Policy, now: Timestamp) -> Standing {
    let mut weighed: Vec<(f64, &Held)> = signs
        .values()
        .map(|held| (worth(&held.strongest, policy, now), held))
        .filter(|(worth, _)| *worth >= FORGOTTEN)
        .collect();
    weighed.sort_by(|(one, first), (other, second)| {
        other
            .total_cmp(one)
            .then_with(|| first.strongest.detection.cmp(&second.strongest.detection))
    });
    let mut kinds: Vec<(Kind, f64)> = Vec::new();
    let mut adds = Vec::new();
    for (worth, held) in &weighed {
        let kind = held.strongest.kind;
        let is_first = kinds.iter().all(|(known, _)| *known != kind);
        if is_first {
            kinds.push((kind, *worth));
        }
        adds.push(if is_first { *worth } else { 0.0 });
    }
    let score = kinds.iter().map(|(_, worth)| worth).sum();
    let witnesses = kinds.iter().filter(|(_, worth)| *worth >= WITNESS).count();
    let responses = weighed
        .iter()
        .filter(|(worth, _)| *worth >= WITNESS)
        .map(|(_, held)| held.strongest.response);
    let furthest = policy.furthest(responses, witnesses);
    let direct = weighed
        .iter()
        .filter(|(worth, _)| *worth >= policy.full())
        .map(|(_, held)| held.strongest.response)
        .max();
    let level = policy
        .level(score)
        .min(furthest)
        .max(direct.unwrap_or_default());
    let signs = weighed
        .iter()
        .zip(adds)
        .map(|((_, held), adds)| Sign {
            detection: held.strongest.detection.clone(),
            score: rounded(adds),
            what: held.strongest.what.clone(),
            at: held.last,
        })
        .collect();
    Standing {
        level,
        score: rounded(score),
        signs,
    }
}

/// To a tenth: more digits say nothing.
fn rounded(score: f64) -> f64 {
    (score * 10.0).round() / 10.0
}

/// The score that is enough by itself.
const FULL: f64 = FULL_SCORE as f64;
