//! What the hand did, and what others did about it: the acts of a case, one pass over those kept.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use davylamp_hunt::arrow::error::ArrowError;

use super::Known;
use crate::case::{Act, EvidenceId, Hand, Span};
use crate::cite::Cites;
use crate::cost::EC2;
use crate::cost::sightings::Sighting;
use crate::cost::signs::{self, Call};
use crate::detail::{Detail, How, Machine};
use crate::hands::pairs::At;
use crate::hands::relation::cite_use;
use crate::hands::spread::moment;
use crate::trail::meaning::{Phase, QUARANTINE, phase};
use crate::trail::row::{Row, Text};

/// Acts that a case tells one by one. Repetitions within an hour are one act.
const MAX_ACTS: usize = 50_000;

/// Things whose fate is followed.
const MAX_THINGS: usize = 100_000;

/// Bytes of an act's targets.
const MAX_TARGET_BYTES: usize = 400;

const HOUR_MICROS: i64 = 3_600_000_000;

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
    pub by: Option<At>,
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
    acts: BTreeMap<ActKey, Act>,
    /// How many acts had no room.
    pub left_out: u64,
    /// What happened to things.
    pub things: BTreeMap<ThingKey, Vec<Sight>>,
    /// What else is known of them.
    pub details: BTreeMap<ThingKey, BTreeMap<String, String>>,
    /// What was seen of things that cost by the hour and that the hand started.
    sightings: Vec<Sighting>,
    /// Acts against logs and sensors, and their undoing by anybody.
    pub blinding: Vec<Blinding>,
    /// Regions of the hand's acts.
    pub regions: BTreeSet<String>,
    /// Things were touched beyond those followed.
    pub things_left_out: u64,
    /// Whether something was seen of a thing.
    seen: HashSet<String>,
    delivered: HashSet<String>,
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

type ActKey = (i64, At, String, String, String);

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
        let in_order = |mut act: Act| {
            let mut targets: Vec<&str> = act.target.split(", ").collect();
            targets.sort_unstable();
            act.target = targets.join(", ");
            act
        };
        let mut acts: Vec<Act> = self.acts.into_values().map(in_order).collect();
        acts.sort_by(|a, b| {
            a.span
                .first
                .cmp(&b.span.first)
                .then_with(|| a.action.cmp(&b.action))
        });
        (acts, self.sightings)
    }

    /// When and how each credential was first used at each place, which may be a read.
    fn uses(&mut self, known: &Known<'_>, cites: &mut Cites) {
        let of_hand = known
            .ground
            .trail
            .uses
            .iter()
            .filter(|(_, used)| used.count > 0);
        let of_hand: Vec<_> = of_hand
            .filter(|(key, used)| {
                known
                    .hand
                    .pairs
                    .get(&At::of(key))
                    .is_some_and(|it| used.last >= it.since)
            })
            .collect();
        for (key, used) in of_hand {
            let at = At::of(key);
            let since = known
                .hand
                .pairs
                .get(&at)
                .map_or(used.first, |belongs| belongs.since);
            let first = used.first.max(since);
            self.extend(first);
            self.extend(used.last);
            self.regions.insert(known.text(key.region).to_owned());
            if used.first < since {
                continue;
            }
            let evidence = cite_use(cites, used);
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
                evidence: Some(evidence),
            };
            let id = (
                first,
                at,
                act.action.clone(),
                known.text(key.region).to_owned(),
                known.text(key.agent).to_owned(),
            );
            self.keep(id, act);
        }
    }

    fn hand(&mut self, known: &Known<'_>, row: Row<'_>, cites: &mut Cites) {
        let Some(micros) = row.micros() else { return };
        let Some(key) = known
            .ground
            .trail
            .uses
            .key_of(&known.ground.trail.names, row)
        else {
            return;
        };
        let at = At::of(&key);
        let started = |machine: &Machine| known.hand.machines.contains_key(&machine.id);
        let is_for_hand = row.is_by_service() && row.text(Text::EventName) == "RunInstances" && {
            Detail::of(row).machines.iter().any(started)
        };
        if !is_for_hand && (row.is_by_service() || !known.hand.did(&at, micros))
            || self.is_repeated(row)
        {
            return;
        }
        let detail = Detail::of(row);
        let evidence = cites.row(row);
        self.extend(micros);
        self.regions.insert(row.text(Text::Region).to_owned());
        let hand = if is_for_hand {
            Hand::Service
        } else {
            known.hand_of(&at)
        };
        self.act(
            known,
            row,
            &detail,
            at,
            micros,
            hand,
            phase(row.text(Text::EventName)),
            evidence,
        );
        self.touch(known, row, &detail, at, micros, true, evidence);
        self.blind(row, &detail, at, micros, true, evidence);
    }

    /// What others did to the hand's things, and to the logs since.
    fn others(&mut self, known: &Known<'_>, row: Row<'_>, cites: &mut Cites) {
        let Some(micros) = row.micros() else { return };
        let Some(key) = known
            .ground
            .trail
            .uses
            .key_of(&known.ground.trail.names, row)
        else {
            return;
        };
        let at = At::of(&key);
        if self.first.is_none_or(|first| micros < first) || known.hand.did(&at, micros) {
            return;
        }
        let name = row.text(Text::EventName);
        let of_name = phase(name);
        if matches!(of_name, Some(Phase::Access | Phase::Recon)) || row.is_read_only() {
            return;
        }
        let detail = Detail::of(row);
        let is_quarantine = row.text(Text::Request).contains(QUARANTINE);
        let region = row.text(Text::Region);
        let touches = detail.things.iter().any(|thing| {
            self.things
                .contains_key(&key_of(&thing.kind, &thing.id, region))
        }) || detail
            .machines
            .iter()
            .any(|machine| known.hand.machines.contains_key(&machine.id));
        let is_sight =
            matches!(of_name, Some(Phase::Evasion | Phase::Response)) && !detail.protects;
        if !(touches || is_quarantine || is_sight) || self.is_repeated(row) {
            return;
        }
        let evidence = cites.row(row);
        if touches || is_quarantine {
            let hand = if row.is_by_service() {
                Hand::Service
            } else {
                Hand::Owner
            };
            self.act(
                known,
                row,
                &detail,
                at,
                micros,
                hand,
                Some(Phase::Response),
                evidence,
            );
            self.touch(known, row, &detail, at, micros, false, evidence);
        }
        self.blind(row, &detail, at, micros, false, evidence);
    }

    fn is_repeated(&mut self, row: Row<'_>) -> bool {
        let id = row.text(Text::EventId);
        !id.is_empty() && !self.delivered.insert(id.to_owned())
    }

    fn extend(&mut self, micros: i64) {
        self.first = Some(self.first.map_or(micros, |first| first.min(micros)));
        self.last = Some(self.last.map_or(micros, |last| last.max(micros)));
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "what an act is made of, all of it different"
    )]
    fn act(
        &mut self,
        known: &Known<'_>,
        row: Row<'_>,
        detail: &Detail,
        at: At,
        micros: i64,
        hand: Hand,
        phase: Option<Phase>,
        evidence: EvidenceId,
    ) {
        let (name, region, error) = (
            row.text(Text::EventName),
            row.text(Text::Region),
            row.text(Text::ErrorCode),
        );
        let service = row
            .text(Text::EventSource)
            .split('.')
            .next()
            .unwrap_or_default();
        let act = Act {
            span: Span {
                first: moment(micros),
                last: moment(micros),
            },
            count: 1,
            phase: phase.unwrap_or(Phase::Other).as_str().to_owned(),
            action: format!("{service}:{name}"),
            principal: known.text(at.principal).to_owned(),
            credential: some(row.text(Text::Key)).or_else(|| some(known.text(at.credential))),
            place: some(row.text(Text::Place)),
            agent: some(row.text(Text::Agent)),
            account: some(row.text(Text::Account)),
            region: some(region),
            target: targets(detail),
            error: some(error),
            hand,
            evidence: Some(evidence),
        };
        let hour = micros.div_euclid(HOUR_MICROS) * HOUR_MICROS;
        let id = (
            hour,
            at,
            act.action.clone(),
            region.to_owned(),
            error.to_owned(),
        );
        self.keep(id, act);
    }

    fn keep(&mut self, id: ActKey, act: Act) {
        if let Some(known) = self.acts.get_mut(&id) {
            known.count += act.count;
            if act.span.first < known.span.first {
                known.evidence = act.evidence;
            }
            known.span = Span {
                first: known.span.first.min(act.span.first),
                last: known.span.last.max(act.span.last),
            };
            if !act.target.is_empty()
                && known.target.len() < MAX_TARGET_BYTES
                && !known.target.contains(&act.target)
            {
                let joint = if known.target.is_empty() { "" } else { ", " };
                known.target = format!("{}{joint}{}", known.target, act.target);
            }
        } else if self.acts.len() < MAX_ACTS {
            self.acts.insert(id, act);
        } else {
            self.left_out += act.count;
        }
    }

    #[expect(clippy::too_many_arguments, reason = "whose act it was, and the act")]
    fn touch(
        &mut self,
        known: &Known<'_>,
        row: Row<'_>,
        detail: &Detail,
        at: At,
        micros: i64,
        is_hand: bool,
        evidence: EvidenceId,
    ) {
        let region = row.text(Text::Region);
        for thing in &detail.things {
            let key = key_of(&thing.kind, &thing.id, region);
            let is_known = self.things.contains_key(&key);
            if !is_known && (!is_hand || self.things.len() >= MAX_THINGS) {
                self.things_left_out += u64::from(is_hand);
                continue;
            }
            self.things.entry(key.clone()).or_default().push(Sight {
                at: micros,
                how: thing.how,
                action: row.text(Text::EventName).to_owned(),
                by: Some(at),
                is_hand,
                evidence,
            });
            if is_hand {
                self.describe(key, row, detail);
            }
        }
        self.sight(known, row, micros, is_hand, evidence);
    }

    /// What a call says of machines that the hand started, and of what else it started.
    fn sight(
        &mut self,
        known: &Known<'_>,
        row: Row<'_>,
        micros: i64,
        is_hand: bool,
        evidence: EvidenceId,
    ) {
        if row.has_failed() {
            return;
        }
        let answer = serde_json::from_str(row.text(Text::Response)).unwrap_or_default();
        let call = Call {
            name: row.text(Text::EventName),
            at: moment(micros),
            account: Some(row.text(Text::Account)).filter(|it| !it.is_empty()),
            region: Some(row.text(Text::Region)).filter(|it| !it.is_empty()),
            answer: &answer,
            evidence: Some(evidence),
        };
        let is_ours = |sighting: &Sighting| {
            known.hand.machines.contains_key(&sighting.id)
                || (is_hand && sighting.service != EC2)
                || self.seen.contains(&sighting.id)
        };
        let new: Vec<Sighting> = signs::of_call(&call).into_iter().filter(is_ours).collect();
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
        if let Some(crate::detail::Made::Key { user, .. }) = &detail.made {
            say("user", some(user));
        }
        if detail.protects {
            say("termination", Some("protected".to_owned()));
        }
    }

    fn blind(
        &mut self,
        row: Row<'_>,
        detail: &Detail,
        at: At,
        micros: i64,
        is_hand: bool,
        evidence: EvidenceId,
    ) {
        let action = row.text(Text::EventName);
        let of_action = phase(action);
        let is_against = of_action == Some(Phase::Evasion)
            && !detail.protects
            && action != "ModifyInstanceAttribute";
        if !is_against && of_action != Some(Phase::Response) {
            return;
        }
        self.blinding.push(Blinding {
            at: micros,
            action: action.to_owned(),
            target: detail
                .things
                .first()
                .map(|thing| thing.id.clone())
                .unwrap_or_default(),
            region: row.text(Text::Region).to_owned(),
            error: row.text(Text::ErrorCode).to_owned(),
            by: at,
            is_hand,
            is_against,
            evidence,
        });
    }
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

fn targets(detail: &Detail) -> String {
    let mut text = String::new();
    for (number, thing) in detail.things.iter().enumerate() {
        if text.len() > MAX_TARGET_BYTES {
            return format!("{text}, and {} more", detail.things.len() - number);
        }
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push_str(&thing.id);
    }
    text
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}
