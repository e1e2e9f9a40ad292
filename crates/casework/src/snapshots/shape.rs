//! What is said in a case of a thing that snapshots and items show.

use jiff::{SignedDuration, Timestamp};

use super::burst::{Burst, Machine};
use super::states::{cite, cite_gone, moment, text};
use super::things::{Change, Id, Snapshots, Table, Thing};
use crate::case::{Act, EvidenceId, Existence, Gap, Hand, Span, Tampering, Touched};
use crate::cite::Cites;
use crate::cost::sightings::Sighting;
use crate::cost::signs::{Shown, moment_of_reason, of_snapshot};

/// What of the account counts as made in the attack, if it appeared from its beginning until this long
/// after the last machine of the burst.
const AFTER: SignedDuration = SignedDuration::from_hours(1);

/// Sensors: the kind, and how its end is told.
const SENSORS: &[(&str, &str)] = &[
    ("trail", "the trail"),
    ("guardduty-detector", "GuardDuty's detector"),
    ("config-recorder", "the configuration recorder"),
    ("flow-log", "the flow log"),
];

/// Things that let somebody back in, or start machines anew.
const WAYS_BACK: &[(&str, &str)] = &[
    (
        "user",
        "a user that was made in the attack can be used again",
    ),
    ("access-key", "the key works until it is deleted"),
    (
        "login-profile",
        "the password works until it is deleted or changed",
    ),
    ("role", "the role can be assumed by whom its trust names"),
    (
        "scaling-group",
        "it starts machines anew when they are ended",
    ),
];

/// Whether a thing still exists, and the records that say so.
pub fn existence(
    snapshots: &Snapshots,
    id: &Id,
    thing: &Thing,
    cites: &mut Cites,
) -> (Existence, Vec<EvidenceId>) {
    let Some(last) = thing.last() else {
        let why = "no record has its state".to_owned();
        return (Existence::Unknown(why), Vec::new());
    };
    let state = last.state();
    if matches!(
        text(&state["State"]["Name"]),
        "terminated" | "shutting-down"
    ) {
        let ended = moment_of_reason(text(&state["StateTransitionReason"]));
        let at = ended.unwrap_or(last.at).min(last.at);
        return (Existence::GoneBy(at), cite(cites, id, thing, last.at));
    }
    if let Some(gone) = &thing.gone {
        return (Existence::GoneBy(gone.by), cite_gone(cites, id, thing));
    }
    let seen = snapshots.last_look(id).unwrap_or(last.at).max(last.at);
    (Existence::At(seen), cite(cites, id, thing, last.at))
}

/// A machine of a burst, as a thing that was touched.
pub fn machine(
    snapshots: &Snapshots,
    machine: &Machine<'_>,
    principal: &str,
    cites: &mut Cites,
) -> Touched {
    let mut touched = appeared(snapshots, machine.id, machine.thing, principal, cites);
    touched.span = Span {
        first: machine.at,
        last: machine.at,
    };
    for (name, value) in [
        ("type", &machine.instance_type),
        ("key pair", &machine.key_name),
        ("image", &machine.image),
    ] {
        if !value.is_empty() {
            touched.details.push((name.to_owned(), value.clone()));
        }
    }
    touched
}

/// A thing that appeared.
pub fn appeared(
    snapshots: &Snapshots,
    id: &Id,
    thing: &Thing,
    principal: &str,
    cites: &mut Cites,
) -> Touched {
    let (exists, ends) = existence(snapshots, id, thing, cites);
    let at = made_at(thing);
    let mut evidence = at.map(|at| cite(cites, id, thing, at)).unwrap_or_default();
    evidence.extend(ends);
    evidence.dedup();
    let is_left = !matches!(exists, Existence::GoneBy(_));
    let way = WAYS_BACK.iter().find(|(kind, _)| *kind == id.kind);
    let at = at.unwrap_or_default();
    Touched {
        kind: id.kind.clone(),
        id: id.id.clone(),
        account: Some(id.account.clone()),
        region: (id.region != "global").then(|| id.region.clone()),
        how: "created".to_owned(),
        span: Span {
            first: at,
            last: at,
        },
        principal: principal.to_owned(),
        exists,
        persistence: way.filter(|_| is_left).map(|(_, way)| (*way).to_owned()),
        details: vec![("shown by".to_owned(), between(thing))],
        evidence,
    }
}

/// What shows that a thing appeared, in words.
pub fn between(thing: &Thing) -> String {
    match thing.first() {
        Some(Change {
            at,
            before: Some(_),
            table: Table::Config,
            ..
        }) => format!("AWS Config, which recorded it first at {at}"),
        Some(Change {
            at,
            table: Table::Config,
            ..
        }) => {
            format!("AWS Config: it was there when AWS Config began to record it, at {at}")
        }
        Some(Change {
            at,
            before: Some(before),
            ..
        }) => {
            format!("snapshots: it appeared between {before} and {at}")
        }
        Some(first) => format!("snapshots: it was there in the first, at {}", first.at),
        None => "snapshots".to_owned(),
    }
}

/// When a thing was made, as it says itself, or by the snapshot that has it first.
pub fn made_at(thing: &Thing) -> Option<Timestamp> {
    let first = thing.first()?;
    let state = first.state();
    let said = ["CreateDate", "LaunchTime", "CreateTime", "CreatedTime"]
        .iter()
        .find_map(|name| moment(&state[*name]));
    Some(said.filter(|at| *at <= first.at).unwrap_or(first.at))
}

/// Things beside machines that appeared with a burst: what the machines use, and what IAM has new.
pub fn others(
    snapshots: &Snapshots,
    burst: &Burst<'_>,
    since: Timestamp,
    principal: &str,
    cites: &mut Cites,
) -> Vec<Touched> {
    let until = burst.last() + AFTER;
    let is_linked = |id: &Id| {
        let mut there = burst
            .machines
            .iter()
            .filter(|machine| machine.id.region == id.region);
        match &*id.kind {
            "key-pair" => there.any(|machine| machine.key_name == id.id),
            "security-group" => there.any(|machine| machine.groups.contains(&id.id)),
            "launch-template" | "scaling-group" | "spot-request" => {
                burst.new_regions.contains(&*id.region)
            }
            "access-key" | "login-profile" | "user" | "role" => true,
            _ => false,
        }
    };
    let made = |thing: &Thing| {
        let is_new = thing.first().is_some_and(|first| first.before.is_some());
        is_new && made_at(thing).is_some_and(|at| at >= since && at <= until)
    };
    let of_burst = snapshots
        .things
        .iter()
        .filter(|(id, thing)| id.account == burst.account && is_linked(id) && made(thing));
    of_burst
        .map(|(id, thing)| appeared(snapshots, id, thing, principal, cites))
        .collect()
}

/// What is shown of a machine that costs.
pub fn sightings(
    snapshots: &Snapshots,
    id: &Id,
    thing: &Thing,
    cites: &mut Cites,
) -> Vec<Sighting> {
    let mut all = Vec::new();
    let mut see = |taken_at, before, state: Option<&serde_json::Value>, evidence| {
        all.extend(of_snapshot(&Shown {
            kind: &id.kind,
            id: &id.id,
            account: Some(&id.account),
            region: Some(&id.region),
            taken_at,
            before,
            state,
            evidence,
        }));
    };
    for change in &thing.changes {
        let evidence = cite(cites, id, thing, change.at).into_iter().next();
        see(change.at, change.before, Some(&change.state()), evidence);
    }
    match (&thing.gone, thing.last(), snapshots.last_look(id)) {
        (Some(gone), ..) => {
            let evidence = cite_gone(cites, id, thing).into_iter().next();
            see(gone.by, gone.after, None, evidence);
        }
        // What has no line since is as it was.
        (None, Some(last), Some(look)) if look > last.at => {
            let evidence = cite(cites, id, thing, last.at).into_iter().next();
            see(look, Some(last.at), Some(&last.state()), evidence);
        }
        _ => {}
    }
    all
}

/// An act of the timeline that states show.
pub fn act(touched: &Touched, what: &str, phase: &str) -> Act {
    Act {
        span: touched.span,
        count: 1,
        phase: phase.to_owned(),
        action: format!("state: {what}"),
        principal: touched.principal.clone(),
        credential: None,
        place: None,
        agent: None,
        account: touched.account.clone(),
        region: touched.region.clone(),
        target: touched.id.clone(),
        error: None,
        hand: Hand::Unknown,
        evidence: touched.evidence.first().copied(),
    }
}

/// Sensors that went blind in a stretch of time.
pub fn tampering(
    snapshots: &Snapshots,
    span: Span,
    account: &str,
    cites: &mut Cites,
) -> Vec<Tampering> {
    let mut all = Vec::new();
    for (kind, name) in SENSORS {
        let of_account = snapshots
            .of_kind(kind)
            .filter(|(id, _)| id.account == account);
        for (id, thing) in of_account {
            let Some((at, told, evidence)) = blinded(id, thing, span, cites) else {
                continue;
            };
            let until = thing
                .changes
                .iter()
                .find(|change| change.at > at.last && is_on(change) == Some(true))
                .map(|change| change.at);
            all.push(Tampering {
                at,
                what: format!("{name} {} {told}", id.id),
                principal: String::new(),
                has_succeeded: true,
                region: Some(id.region.clone()),
                gap: Some(Gap {
                    from: at.first,
                    until,
                }),
                evidence,
            });
        }
    }
    all
}

/// Whether a sensor was on, as far as its state says: AWS Config's of a trail does not.
fn is_on(change: &Change) -> Option<bool> {
    let state = change.state();
    let words = [state["Status"].as_str(), state["FlowLogStatus"].as_str()];
    let told = [state["IsLogging"].as_bool(), state["recording"].as_bool()];
    let told = told.into_iter().flatten();
    let words = words.into_iter().flatten();
    told.chain(words.map(|word| !matches!(word, "DISABLED" | "SUSPENDED" | "INACTIVE")))
        .reduce(|one, other| one && other)
}

/// Between which snapshots a sensor went blind, and how that is told.
fn blinded(
    id: &Id,
    thing: &Thing,
    span: Span,
    cites: &mut Cites,
) -> Option<(Span, &'static str, Vec<EvidenceId>)> {
    let is_within = |at: &Span| at.last >= span.first && at.first <= span.last;
    let known: Vec<(&Change, bool)> = thing
        .changes
        .iter()
        .filter_map(|change| Some((change, is_on(change)?)))
        .collect();
    let off = known.windows(2).find_map(|pair| {
        let [(before, true), (after, false)] = *pair else {
            return None;
        };
        let said = moment(&after.state()["StopLoggingTime"]).filter(|at| *at <= after.at);
        let at = Span {
            first: said.or(after.before).unwrap_or(before.at),
            last: said.unwrap_or(after.at),
        };
        is_within(&at).then_some((at, after.at))
    });
    if let Some((at, seen)) = off {
        let told = "was switched off";
        return Some((at, told, cite(cites, id, thing, seen)));
    }
    let gone = thing.gone.as_ref()?;
    let at = Span {
        first: gone.after.unwrap_or(gone.by),
        last: gone.by,
    };
    let was_on = known.last().is_none_or(|(_, is_on)| *is_on);
    (was_on && is_within(&at)).then(|| (at, "was deleted", cite_gone(cites, id, thing)))
}
