//! What the hand did, and what others did about it: the acts of a case, one pass over those kept.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use davylamp_hunt::arrow::error::ArrowError;

use super::Known;
use super::acts::Acts;
use crate::case::{Act, EvidenceId, Hand, Span};
use crate::cite::Cites;
use crate::cost::EC2;
use crate::cost::sightings::Sighting;
use crate::cost::signs::{self, Call};
use crate::detail::{Detail, How, Made};
use crate::hands::making::moment;
use crate::hands::pairs::At;
use crate::hands::relation::cite_use;
use crate::trail::meaning::{Phase, QUARANTINE, phase};
use crate::trail::row::{Row, Text};

/// Things whose fate is followed.
const MAX_THINGS: usize = 100_000;

/// What was done to a thing, and when.
#[derive(Debug, Clone)]
pub struct Sight {
    /// The moment, in microseconds since 1970.
    pub at: i64,
    /// What.
    pub how: How,
    /// The action.
    pub action: String,
    /// By whom.
    pub by: At,
    /// Whether it was the hand.
    pub is_hand: bool,
    /// The record.
    pub evidence: EvidenceId,
}

/// A thing by kind, id and region.
pub type ThingKey = (String, String, String);

/// What was seen.
#[derive(Debug, Default)]
pub struct Seen {
    /// The acts of a case.
    pub acts: Acts,
    /// What happened to things.
    pub things: BTreeMap<ThingKey, Vec<Sight>>,
    /// What else is known of them.
    pub details: BTreeMap<ThingKey, BTreeMap<String, String>>,
    /// What was seen of things that cost by the hour and that the hand started.
    sightings: Vec<Sighting>,
    /// Acts against logs and sensors, and their undoing by anybody.
    pub blinding: Vec<Blinding>,
    /// How often something was done to things beyond those followed.
    pub things_left_out: u64,
    /// Whether something was seen of a thing.
    seen: HashSet<String>,
    first: Option<i64>,
    last: Option<i64>,
}

/// An act against a log or sensor, or for it.
#[derive(Debug, Clone)]
pub struct Blinding {
    /// The moment, in microseconds since 1970.
    pub at: i64,
    /// The action.
    pub action: String,
    /// What it is about.
    pub target: String,
    /// The region.
    pub region: String,
    /// Why it failed.
    pub error: String,
    /// Whose.
    pub by: At,
    /// Whether it was the hand.
    pub is_hand: bool,
    /// Whether it takes sight rather than giving it.
    pub is_against: bool,
    /// The record.
    pub evidence: EvidenceId,
}

/// One event, and whose it is.
struct Deed<'a> {
    row: Row<'a>,
    detail: Detail,
    at: At,
    micros: i64,
    is_hand: bool,
}

/// Everything about a hand that the kept events say.
pub fn of(known: &Known<'_>, cites: &mut Cites) -> Result<Seen, ArrowError> {
    let mut seen = Seen::default();
    seen.uses(known, cites);
    known
        .ground
        .trail
        .acts
        .each(|row| seen.hand(known, row, cites))?;
    known
        .ground
        .trail
        .acts
        .each(|row| seen.others(known, row, cites))?;
    Ok(seen)
}

impl Seen {
    /// From the first to the last act of the hand.
    pub fn span(&self) -> Option<Span> {
        Some(Span {
            first: moment(self.first?),
            last: moment(self.last?),
        })
    }

    /// The acts by time, and what was seen of what costs.
    pub fn into_parts(self) -> (Vec<Act>, Vec<Sighting>) {
        (self.acts.into_all(), self.sightings)
    }

    /// When and how each credential was first used at each place, which may be a read.
    fn uses(&mut self, known: &Known<'_>, cites: &mut Cites) {
        for (key, used) in known.ground.trail.uses.iter() {
            let at = At::of(key);
            let Some(since) = known.hand.pairs.get(&at).map(|belongs| belongs.since) else {
                continue;
            };
            if used.count == 0 || used.last < since {
                continue;
            }
            let first = used.first.max(since);
            self.extend(first);
            self.extend(used.last);
            if used.first < since {
                continue;
            }
            let act = Act {
                span: Span {
                    first: moment(first),
                    last: moment(used.last),
                },
                count: used.count,
                phase: Phase::Access.as_str().to_owned(),
                action: format!("{} calls, the first {}", used.count, used.action),
                principal: known.text(key.principal).to_owned(),
                credential: some(known.text(key.credential)),
                place: some(known.text(key.place)),
                agent: some(known.text(key.agent)),
                account: None,
                region: some(known.text(key.region)),
                target: String::new(),
                error: None,
                hand: known.hand_of(&at),
                evidence: None,
            };
            let id = (
                first,
                at,
                act.action.clone(),
                known.text(key.region).to_owned(),
                known.text(key.agent).to_owned(),
            );
            self.acts
                .keep(id, act, BTreeSet::new(), || cite_use(cites, used));
        }
    }

    fn hand(&mut self, known: &Known<'_>, row: Row<'_>, cites: &mut Cites) {
        let Some((at, micros)) = when(known, row) else {
            return;
        };
        let is_by_service = row.is_by_service();
        // AWS starts machines for groups that the hand made.
        let may_be = match is_by_service {
            true => !known.hand.groups.is_empty() && row.text(Text::EventName) == "RunInstances",
            false => known.hand.did(&at, micros),
        };
        if !may_be {
            return;
        }
        let detail = Detail::of(row);
        if is_by_service && !names_machine(known, &detail) {
            return;
        }
        let hand = match is_by_service {
            true => Hand::Service,
            false => known.hand_of(&at),
        };
        self.extend(micros);
        let deed = Deed {
            row,
            detail,
            at,
            micros,
            is_hand: true,
        };
        let of_name = phase(row.text(Text::EventName)).unwrap_or(Phase::Other);
        self.act(known, &deed, hand, of_name, cites);
        self.touch(known, &deed, cites);
        self.blind(&deed, cites);
    }

    /// What others did to the hand's things, and to the logs since.
    fn others(&mut self, known: &Known<'_>, row: Row<'_>, cites: &mut Cites) {
        let Some((at, micros)) = when(known, row) else {
            return;
        };
        if self.first.is_none_or(|first| micros < first) || known.hand.did(&at, micros) {
            return;
        }
        let of_name = phase(row.text(Text::EventName));
        if matches!(of_name, Some(Phase::Access | Phase::Recon)) || row.is_read_only() {
            return;
        }
        let detail = Detail::of(row);
        let is_quarantine = row.text(Text::Request).contains(QUARANTINE);
        let region = row.text(Text::Region);
        let is_known = |kind: &str, id: &str| self.things.contains_key(&key_of(kind, id, region));
        let touches = detail.things.iter().any(|it| is_known(&it.kind, &it.id))
            || names_machine(known, &detail);
        let is_sight =
            matches!(of_name, Some(Phase::Evasion | Phase::Response)) && !detail.protects;
        if !(touches || is_quarantine || is_sight) {
            return;
        }
        let deed = Deed {
            row,
            detail,
            at,
            micros,
            is_hand: false,
        };
        if touches || is_quarantine {
            let hand = match row.is_by_service() {
                true => Hand::Service,
                false => Hand::Owner,
            };
            self.act(known, &deed, hand, Phase::Response, cites);
            self.touch(known, &deed, cites);
        }
        self.blind(&deed, cites);
    }

    fn extend(&mut self, micros: i64) {
        self.first = Some(self.first.map_or(micros, |first| first.min(micros)));
        self.last = Some(self.last.map_or(micros, |last| last.max(micros)));
    }

    fn act(
        &mut self,
        known: &Known<'_>,
        deed: &Deed<'_>,
        hand: Hand,
        phase: Phase,
        cites: &mut Cites,
    ) {
        let (row, at) = (deed.row, deed.at);
        let (name, region, error) = (
            row.text(Text::EventName),
            row.text(Text::Region),
            row.text(Text::ErrorCode),
        );
        let service = row.text(Text::EventSource).split('.').next();
        let act = Act {
            span: Span {
                first: moment(deed.micros),
                last: moment(deed.micros),
            },
            count: 1,
            phase: phase.as_str().to_owned(),
            action: format!("{}:{name}", service.unwrap_or_default()),
            principal: known.text(at.principal).to_owned(),
            credential: some(row.text(Text::Key)).or_else(|| some(known.text(at.credential))),
            place: some(row.text(Text::Place)),
            agent: some(row.text(Text::Agent)),
            account: some(row.text(Text::Account)),
            region: some(region),
            target: String::new(),
            error: some(error),
            hand,
            evidence: None,
        };
        let id = (
            deed.micros,
            at,
            act.action.clone(),
            region.to_owned(),
            error.to_owned(),
        );
        let targets = deed.detail.things.iter().map(|thing| thing.id.clone());
        self.acts
            .keep(id, act, targets.collect(), || cites.row(row));
    }

    fn touch(&mut self, known: &Known<'_>, deed: &Deed<'_>, cites: &mut Cites) {
        let region = deed.row.text(Text::Region);
        for thing in &deed.detail.things {
            let key = key_of(&thing.kind, &thing.id, region);
            let is_known = self.things.contains_key(&key);
            if !is_known && (!deed.is_hand || self.things.len() >= MAX_THINGS) {
                self.things_left_out += u64::from(deed.is_hand);
                continue;
            }
            let sight = Sight {
                at: deed.micros,
                how: thing.how,
                action: deed.row.text(Text::EventName).to_owned(),
                by: deed.at,
                is_hand: deed.is_hand,
                evidence: EvidenceId(0),
            };
            see(self.things.entry(key.clone()).or_default(), sight, || {
                cites.row(deed.row)
            });
            if deed.is_hand {
                self.describe(key, deed.row, &deed.detail);
            }
        }
        self.sight(known, deed, cites);
    }

    /// What a call says of machines that the hand started, and of what else it started.
    fn sight(&mut self, known: &Known<'_>, deed: &Deed<'_>, cites: &mut Cites) {
        let row = deed.row;
        if row.has_failed() {
            return;
        }
        let call = Call {
            name: row.text(Text::EventName),
            at: moment(deed.micros),
            account: Some(row.text(Text::Account)).filter(|it| !it.is_empty()),
            region: Some(row.text(Text::Region)).filter(|it| !it.is_empty()),
            answer: &deed.detail.answer,
            evidence: None,
        };
        let is_ours = |sighting: &Sighting| {
            known.hand.machines.contains_key(&sighting.id)
                || (deed.is_hand && sighting.service != EC2)
                || self.seen.contains(&sighting.id)
        };
        let mut new: Vec<Sighting> = signs::of_call(&call).into_iter().filter(is_ours).collect();
        for sighting in &mut new {
            sighting.evidence = vec![cites.row(row)];
        }
        self.seen
            .extend(new.iter().map(|sighting| sighting.id.clone()));
        self.sightings.extend(new);
    }

    fn describe(&mut self, key: ThingKey, row: Row<'_>, detail: &Detail) {
        let details = self.details.entry(key.clone()).or_default();
        let mut say = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                details.entry(name.to_owned()).or_insert(value);
            }
        };
        say("account", some(row.text(Text::Account)));
        if key.0 == "instance"
            && let Some(machine) = detail.machines.iter().find(|machine| machine.id == key.1)
        {
            say("type", machine.kind.clone());
            say("system", machine.system.clone());
            say(
                "market",
                machine
                    .is_spot
                    .map(|is_spot| if is_spot { "spot" } else { "on-demand" }.to_owned()),
            );
        } else if !detail.types.is_empty() {
            say(
                "type",
                Some(detail.types.iter().cloned().collect::<Vec<_>>().join(", ")),
            );
        }
        say("image", detail.image.clone());
        say("policy", detail.policy.clone());
        if let Some(Made::Key { user, .. }) = &detail.made {
            say("user", some(user));
        }
        if detail.protects {
            say("termination", Some("protected".to_owned()));
        }
    }

    fn blind(&mut self, deed: &Deed<'_>, cites: &mut Cites) {
        let action = deed.row.text(Text::EventName);
        let of_action = phase(action);
        let is_against = of_action == Some(Phase::Evasion)
            && !deed.detail.protects
            && action != "ModifyInstanceAttribute";
        if !is_against && of_action != Some(Phase::Response) {
            return;
        }
        let target = deed.detail.things.first().map(|thing| thing.id.clone());
        self.blinding.push(Blinding {
            at: deed.micros,
            action: action.to_owned(),
            target: target.unwrap_or_default(),
            region: deed.row.text(Text::Region).to_owned(),
            error: deed.row.text(Text::ErrorCode).to_owned(),
            by: deed.at,
            is_hand: deed.is_hand,
            is_against,
            evidence: cites.row(deed.row),
        });
    }
}

/// Adds what was done to a thing. Of the same done again and again, the first and the last are kept.
fn see(sights: &mut Vec<Sight>, mut new: Sight, cite: impl FnOnce() -> EvidenceId) {
    let is_same = |it: &Sight| {
        (it.how, &it.action, it.by, it.is_hand) == (new.how, &new.action, new.by, new.is_hand)
    };
    let mut same = (0..sights.len()).filter(|place| is_same(&sights[*place]));
    let known = (same.next(), same.next());
    if let (Some(one), Some(other)) = known {
        let (first, last) = match sights[one].at <= sights[other].at {
            true => (one, other),
            false => (other, one),
        };
        let replaced = match new.at {
            at if at < sights[first].at => first,
            at if at > sights[last].at => last,
            _ => return,
        };
        new.evidence = cite();
        sights[replaced] = new;
        return;
    }
    new.evidence = cite();
    sights.push(new);
}

/// Whose event it is, and when, in microseconds since 1970.
fn when(known: &Known<'_>, row: Row<'_>) -> Option<(At, i64)> {
    let trail = known.ground.trail;
    let key = trail.uses.key_of(&trail.names, row)?;
    Some((At::of(&key), row.micros()?))
}

/// Whether an answer names a machine that the hand started.
fn names_machine(known: &Known<'_>, detail: &Detail) -> bool {
    let machines = &known.hand.machines;
    detail
        .machines
        .iter()
        .any(|machine| machines.contains_key(&machine.id))
}

/// Things of IAM are in every region, and others in one.
fn key_of(kind: &str, id: &str, region: &str) -> ThingKey {
    const GLOBAL: &[&str] = &[
        "user",
        "role",
        "policy",
        "access-key",
        "login-profile",
        "mfa-device",
        "group",
    ];
    let region = if GLOBAL.contains(&kind) { "" } else { region };
    (kind.to_owned(), id.to_owned(), region.to_owned())
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}
