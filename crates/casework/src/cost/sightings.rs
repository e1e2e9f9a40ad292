//! From sightings of machines to their runs: a life for each, with what is not known of it.
//!
//! ```text
//!        started ┌────┐ stopped        ended, gone
//!   never ─────► │ up │ ──────► down ─────────────► over
//!                └────┘ ◄────── started
//! ```
//!
//! What must stay true: sightings may come in any order and repeatedly; what contradicts what is
//! known makes the range wider and is said, never chosen in silence.

use std::collections::BTreeMap;

use davylamp_content::prices::kind::{Market, System};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Bounds, End, Run, Size};
use crate::case::{EvidenceId, Statement};

/// Two starts this close are one: records of the same start differ by seconds.
const SAME_SECONDS: i64 = 300;

/// What was seen of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// It started.
    Started,
    /// It was running.
    Running,
    /// It was stopped, and may be started again.
    Stopped,
    /// It ended for good.
    Ended,
    /// It was no longer there.
    Gone,
}

/// One sign of a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// The machine's id.
    pub id: String,
    /// When it happened.
    pub at: Bounds,
    /// What.
    pub what: What,
    /// As in [`Run`].
    pub service: String,
    /// Its account, where known.
    pub account: Option<String>,
    /// Its region, where known.
    pub region: Option<String>,
    /// Its instance type, where known.
    pub instance_type: Option<String>,
    /// Its size, where it has no instance type.
    pub size: Option<Size>,
    /// How it is bought.
    pub market: Market,
    /// Its operating system.
    pub system: System,
    /// The records.
    pub evidence: Vec<EvidenceId>,
}

/// The runs, and what contradicts what.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Lives {
    /// A run for each machine, by id.
    pub runs: Vec<Run>,
    /// What does not fit together.
    pub caveats: Vec<Statement>,
}

/// Makes runs of sightings. `seen_until` is the moment up to which an end would have been seen, such as
/// the last record of a log that is known to be whole; a machine that was up then runs.
pub fn lives(sightings: Vec<Sighting>, seen_until: Option<Timestamp>) -> Lives {
    let mut by_id: BTreeMap<String, Vec<Sighting>> = BTreeMap::new();
    for sighting in sightings {
        by_id.entry(sighting.id.clone()).or_default().push(sighting);
    }
    let mut lives = Lives::default();
    for (id, mut seen) in by_id {
        seen.sort_by(|one, other| order(one).cmp(&order(other)));
        let mut life = Life::default();
        for sighting in &seen {
            life.see(sighting);
        }
        lives.runs.extend(life.run(id, &seen, seen_until));
        lives.caveats.append(&mut life.caveats);
    }
    lives
}

fn order(sighting: &Sighting) -> impl Ord {
    let Bounds { earliest, latest } = sighting.at;
    (
        latest,
        earliest,
        sighting.what,
        sighting.instance_type.clone(),
        (sighting.market, sighting.system, sighting.evidence.clone()),
    )
}

/// Where a machine is in its life.
#[derive(Default)]
enum State {
    #[default]
    Never,
    /// It was up at this moment, and was it seen so, or only to start.
    Up { last: Timestamp, is_seen: bool },
    /// It was stopped then.
    Down(Bounds),
    /// It ended then.
    Over(Bounds),
}

#[derive(Default)]
struct Life {
    started: Option<Bounds>,
    paused: Vec<(Bounds, Bounds)>,
    state: State,
    caveats: Vec<Statement>,
}

impl Life {
    fn see(&mut self, seen: &Sighting) {
        let at = seen.at;
        let first = at.earliest.unwrap_or(at.latest);
        let state = std::mem::take(&mut self.state);
        self.state = match (state, seen.what) {
            (State::Never, What::Started) => {
                self.started = Some(at);
                up(at.latest, false)
            }
            (State::Never, What::Running) => {
                // Seen at a moment, it ran before; seen between two, it was not there at the first.
                let is_moment = at.earliest == Some(at.latest);
                self.started = Some(if is_moment { Bounds::by(at.latest) } else { at });
                up(at.latest, true)
            }
            (State::Never, What::Stopped) => {
                self.started = Some(Bounds::by(first));
                State::Down(at)
            }
            (State::Never, What::Ended | What::Gone) => {
                self.started = Some(Bounds::by(first));
                State::Over(at)
            }
            (State::Up { last, is_seen }, What::Started) => {
                self.start_again(seen, last);
                up(last.max(at.latest), is_seen && last > at.latest)
            }
            (State::Up { last, .. }, What::Running) => up(last.max(at.latest), true),
            (State::Up { last, .. }, What::Stopped) => State::Down(after(at, last)),
            (State::Up { last, .. }, What::Ended | What::Gone) => State::Over(after(at, last)),
            (State::Down(stop), What::Started) => {
                self.paused.push((stop, at));
                up(at.latest, false)
            }
            (State::Down(stop), What::Running) if is_same(stop.latest, at.latest) => {
                State::Down(stop)
            }
            (State::Down(stop), What::Running) => {
                let told = format!(
                    "was running at {} and is not seen to start again",
                    at.latest
                );
                self.say(seen, &told);
                let unseen = Bounds::between(stop.earliest.unwrap_or(stop.latest), at.latest);
                self.paused.push((stop, unseen));
                up(at.latest, true)
            }
            (State::Down(stop), What::Stopped) => {
                if at.earliest == Some(at.latest) && !is_same(stop.latest, at.latest) {
                    let told = format!(
                        "was stopped at {} and again at {}; what it ran in between is not counted",
                        stop.latest, at.latest
                    );
                    self.say(seen, &told);
                }
                State::Down(stop)
            }
            (State::Down(stop), What::Ended | What::Gone) => State::Over(stop),
            (State::Over(end), What::Started | What::Running) if is_same(end.latest, at.latest) => {
                State::Over(end)
            }
            (State::Over(end), What::Started) => {
                let told = format!("ended by {} and yet started at {}", end.latest, at.latest);
                self.say(seen, &told);
                self.paused.push((end, at));
                up(at.latest, false)
            }
            (State::Over(end), What::Running) => {
                let told = format!("ended by {} and yet ran at {}", end.latest, at.latest);
                self.say(seen, &told);
                State::Over(Bounds {
                    earliest: end.earliest,
                    latest: at.latest,
                })
            }
            (State::Over(end), What::Stopped | What::Ended | What::Gone) => State::Over(end),
        };
    }

    /// A start of what is up: the same told twice, or a stop that nobody saw.
    fn start_again(&mut self, seen: &Sighting, last: Timestamp) {
        let Some(known) = self
            .paused
            .last_mut()
            .map(|(_, start)| start)
            .or(self.started.as_mut())
        else {
            return;
        };
        let at = seen.at;
        if is_same(known.latest, at.latest) || known.earliest.is_none() && at.latest <= known.latest
        {
            let is_tighter = at
                .earliest
                .is_some_and(|earliest| Some(earliest) > known.earliest);
            if known.earliest.is_none() || (is_tighter && at.latest <= known.latest) {
                *known = at;
            }
            return;
        }
        let told = format!(
            "started again at {} and is not seen to stop before",
            at.latest
        );
        self.say(seen, &told);
        let unseen = Bounds::between(last, at.earliest.unwrap_or(at.latest).max(last));
        self.paused.push((unseen, at));
    }

    fn say(&mut self, seen: &Sighting, told: &str) {
        self.caveats.push(Statement {
            text: format!("{} {told}", seen.id),
            evidence: seen.evidence.clone(),
        });
    }

    fn run(&mut self, id: String, seen: &[Sighting], until: Option<Timestamp>) -> Option<Run> {
        let ended = match std::mem::take(&mut self.state) {
            State::Never => return None,
            State::Up { last, is_seen } => match until.filter(|until| *until >= last) {
                Some(until) => End::RunsAt(until),
                None if is_seen => End::RunsAt(last),
                None => End::Unknown {
                    why: "it was seen to start and never again".to_owned(),
                    last_known: last,
                },
            },
            State::Down(at) | State::Over(at) => End::At(at),
        };
        let instance_type = self.only(&id, "type", seen, |it| it.instance_type.clone());
        let market = |it: &Sighting| Some(it.market).filter(|market| *market != Market::Unknown);
        let system = |it: &Sighting| {
            let is_vague = matches!(it.system, System::Unknown | System::NotWindows);
            Some(it.system).filter(|_| !is_vague)
        };
        let vague = seen.iter().any(|it| it.system == System::NotWindows);
        let vague = if vague {
            System::NotWindows
        } else {
            System::Unknown
        };
        let mut evidence: Vec<EvidenceId> = seen
            .iter()
            .flat_map(|it| it.evidence.iter().copied())
            .collect();
        evidence.sort();
        evidence.dedup();
        Some(Run {
            account: seen.iter().find_map(|it| it.account.clone()),
            region: self.only(&id, "region", seen, |it| it.region.clone()),
            service: seen.first()?.service.clone(),
            instance_type,
            size: seen.iter().find_map(|it| it.size),
            market: self.only(&id, "market", seen, market).unwrap_or_default(),
            system: self.only(&id, "system", seen, system).unwrap_or(vague),
            started: self.started?,
            ended,
            paused: std::mem::take(&mut self.paused),
            evidence,
            id,
        })
    }

    /// What the sightings say of a thing that there is one of. Where they say several, the first.
    fn only<T: PartialEq + std::fmt::Debug>(
        &mut self,
        id: &str,
        what: &str,
        seen: &[Sighting],
        of: impl Fn(&Sighting) -> Option<T>,
    ) -> Option<T> {
        let first = seen.iter().find_map(&of)?;
        let other = seen.iter().find_map(|it| {
            let other = of(it).filter(|other| *other != first)?;
            Some((other, &it.evidence))
        });
        if let Some((other, evidence)) = other {
            self.caveats.push(Statement {
                text: format!(
                    "{id} has more than one {what} in the records, {first:?} and {other:?}: the first \
                     is counted"
                ),
                evidence: evidence.clone(),
            });
        }
        Some(first)
    }
}

fn up(last: Timestamp, is_seen: bool) -> State {
    State::Up { last, is_seen }
}

/// An end, not before the last moment it was up.
fn after(at: Bounds, last: Timestamp) -> Bounds {
    let earliest = at.earliest.unwrap_or(last).max(last);
    Bounds {
        earliest: Some(earliest.min(at.latest)),
        latest: at.latest,
    }
}

fn is_same(one: Timestamp, other: Timestamp) -> bool {
    one.duration_since(other).abs() <= SignedDuration::from_secs(SAME_SECONDS)
}
