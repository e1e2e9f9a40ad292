//! Who is in a case, with which credentials, from where: and what links them.

use std::collections::{BTreeMap, BTreeSet};

use davylamp_model::verdict::Verdict;

use super::Known;
use super::deeds::{Seen, Sight};
use crate::case::{Case, Credential, EvidenceId, Hand, Link, Place, Principal, Span, Statement};
use crate::cite::Cites;
use crate::detail::How;
use crate::hands::making::{Making, moment};
use crate::hands::pairs::At;
use crate::hands::relation::sessions::Users;
use crate::hands::relation::{cite_use, short, split};
use crate::trail::days::Days;
use crate::trail::names::Name;
use crate::trail::who::is_instance;

/// Agents and principals that a place names.
const MAX_NAMED: usize = 8;

/// Links between things; beyond it a graph is no picture.
const MAX_LINKS: usize = 2_000;

/// Fills in principals, credentials, places and links.
pub fn fill(case: &mut Case, known: &Known<'_>, seen: &Seen, cites: &mut Cites) {
    case.principals = principals(known);
    case.credentials = credentials(known, cites);
    case.places = places(known);
    case.links = links(known, seen, cites);
}

fn span(first: i64, last: i64) -> Span {
    Span {
        first: moment(first),
        last: moment(last),
    }
}

fn principals(known: &Known<'_>) -> Vec<Principal> {
    let mut spans: BTreeMap<Name, (i64, i64)> = BTreeMap::new();
    for (at, pair) in &known.ground.pairs.all {
        if known.judged.contains_key(&at.principal) {
            let (first, last) = spans.entry(at.principal).or_insert((pair.first, pair.last));
            (*first, *last) = ((*first).min(pair.first), (*last).max(pair.last));
        }
    }
    let of = |(name, judged): (&Name, &crate::hands::relation::Judgement)| {
        let arn = known.text(*name);
        Principal {
            id: arn.to_owned(),
            name: short(arn).to_owned(),
            kind: kind(arn).to_owned(),
            account: account(arn),
            span: spans.get(name).map(|(first, last)| span(*first, *last)),
            is_made_by_intruder: judged.is_made,
            is_used_by_intruder: judged.others > 0 || judged.verdict == Verdict::Fail,
        }
    };
    known.judged.iter().map(of).collect()
}

/// What a principal is, by its ARN.
pub fn kind(arn: &str) -> &'static str {
    let resource = arn.splitn(6, ':').nth(5).unwrap_or_default();
    match () {
        () if resource == "root" => "root",
        () if resource.starts_with("user/") => "user",
        () if resource.starts_with("role/") => "role",
        () if resource.starts_with("federated-user/") => "federated",
        () if arn.starts_with("account ") => "account",
        () if arn.ends_with(".amazonaws.com") => "service",
        () => "unknown",
    }
}

fn account(arn: &str) -> Option<String> {
    let account = arn
        .strip_prefix("account ")
        .or_else(|| arn.split(':').nth(4))?;
    (account.len() == 12).then(|| account.to_owned())
}

/// A credential's name in the case: sessions and consoles are named by whose they are.
fn credential_id(known: &Known<'_>, principal: Name, credential: Name) -> String {
    let label = known.text(credential);
    match label {
        key if key.starts_with("AKIA") || key.starts_with("ASIA") => key.to_owned(),
        "" => format!("no credential of {}", short(known.text(principal))),
        other => format!("{other} of {}", short(known.text(principal))),
    }
}

fn credentials(known: &Known<'_>, cites: &mut Cites) -> Vec<Credential> {
    let mut all: BTreeMap<(Name, Name), Credential> = BTreeMap::new();
    let of_case: BTreeSet<(Name, Name)> = known
        .hand
        .pairs
        .keys()
        .map(|at| (at.principal, at.credential))
        .chain(known.hand.credentials.keys().copied())
        .collect();
    for id in &of_case {
        let making = known.hand.credentials.get(id);
        let made = making.map(|making| told(known, making, cites));
        all.insert(
            *id,
            Credential {
                id: credential_id(known, id.0, id.1),
                kind: credential_kind(known.text(id.1)).to_owned(),
                principal: known.text(id.0).to_owned(),
                parent: making
                    .map(|making| credential_id(known, making.by.principal, making.by.credential)),
                made,
                span: None,
                owner_acts: 0,
                intruder_acts: 0,
                unknown_acts: 0,
            },
        );
    }
    for (at, pair) in &known.ground.pairs.all {
        let Some(credential) = all.get_mut(&(at.principal, at.credential)) else {
            continue;
        };
        let own = span(pair.first, pair.last);
        let joint = credential.span.get_or_insert(own);
        *joint = Span {
            first: joint.first.min(own.first),
            last: joint.last.max(own.last),
        };
        let Some(belongs) = known.hand.pairs.get(at) else {
            credential.owner_acts += pair.count;
            continue;
        };
        let (before, since) = split(pair, belongs);
        credential.owner_acts += before;
        match known.hand_of(at) {
            Hand::Owner => credential.owner_acts += since,
            Hand::Unknown => credential.unknown_acts += since,
            _ => credential.intruder_acts += since,
        }
    }
    all.into_values().collect()
}

fn credential_kind(label: &str) -> &'static str {
    match label {
        "console" => "console",
        label if label.starts_with("AKIA") => "long-term",
        label if is_instance(label) => "instance",
        label if label.starts_with("session ") || label == "temporary" => "temporary",
        _ => "unknown",
    }
}

fn told(known: &Known<'_>, making: &Making, cites: &mut Cites) -> Statement {
    let by = short(known.text(making.by.principal));
    let evidence = cites.place("cloudtrail", &making.source, Some(moment(making.at)));
    Statement {
        text: format!(
            "{} by {by} from {} at {}",
            making.action,
            known.text(making.by.place),
            moment(making.at)
        ),
        evidence: vec![evidence],
    }
}

fn places(known: &Known<'_>) -> Vec<Place> {
    #[derive(Default)]
    struct Gathered {
        first: Option<i64>,
        last: Option<i64>,
        calls: u64,
        agents: BTreeSet<Name>,
        principals: BTreeSet<Name>,
        days: Days,
        hands: BTreeSet<Hand>,
    }
    let of_case: BTreeSet<Name> = known.hand.pairs.keys().map(|at| at.principal).collect();
    let mut all: BTreeMap<Name, Gathered> = BTreeMap::new();
    for (at, pair) in &known.ground.pairs.all {
        let is_of_case = known.hand.pairs.contains_key(at) || of_case.contains(&at.principal);
        if !is_of_case || !pair.is_address {
            continue;
        }
        let place = all.entry(at.place).or_default();
        place.first = Some(
            place
                .first
                .map_or(pair.first, |first| first.min(pair.first)),
        );
        place.last = Some(place.last.map_or(pair.last, |last| last.max(pair.last)));
        place.calls += pair.count;
        place.agents.extend(&pair.agents);
        place.principals.insert(at.principal);
        place.days.join(&pair.days);
        place.hands.insert(match known.hand.pairs.contains_key(at) {
            true => known.hand_of(at),
            false => Hand::Owner,
        });
    }
    let mut places: Vec<Place> = all
        .into_iter()
        .map(|(name, place)| Place {
            address: known.text(name).to_owned(),
            span: place
                .first
                .zip(place.last)
                .map(|(first, last)| span(first, last)),
            calls: place.calls,
            hand: match place.hands.len() {
                1 => place.hands.into_iter().next().unwrap_or(Hand::Unknown),
                _ => Hand::Unknown,
            },
            agents: place
                .agents
                .iter()
                .take(MAX_NAMED)
                .map(|it| known.text(*it).to_owned())
                .collect(),
            principals: place
                .principals
                .iter()
                .take(MAX_NAMED)
                .map(|it| known.text(*it).to_owned())
                .collect(),
        })
        .collect();
    places.sort_by(|a, b| {
        (a.hand != Hand::Intruder, &a.address).cmp(&(b.hand != Hand::Intruder, &b.address))
    });
    places
}

#[derive(Default)]
struct Linked {
    first: i64,
    last: i64,
    count: u64,
    evidence: BTreeSet<EvidenceId>,
}

fn links(known: &Known<'_>, seen: &Seen, cites: &mut Cites) -> Vec<Link> {
    let mut all: BTreeMap<(String, String, String, Hand), Linked> = BTreeMap::new();
    let mut link = |from: String,
                    to: String,
                    verb: &str,
                    hand: Hand,
                    (first, last): (i64, i64),
                    count: u64,
                    evidence: EvidenceId| {
        let linked = all.entry((from, to, verb.to_owned(), hand)).or_default();
        linked.first = if linked.count == 0 {
            first
        } else {
            linked.first.min(first)
        };
        linked.last = linked.last.max(last);
        linked.count += count;
        linked.evidence.insert(evidence);
    };
    let uses = known
        .ground
        .trail
        .uses
        .iter()
        .filter(|(_, used)| used.count > 0);
    for (key, used) in uses {
        let at = At::of(key);
        let Some(belongs) = known
            .hand
            .pairs
            .get(&at)
            .filter(|belongs| used.last >= belongs.since)
        else {
            continue;
        };
        let evidence = cite_use(cites, used);
        let hand = known.hand_of(&at);
        let credential = credential_id(known, at.principal, at.credential);
        let when = (used.first.max(belongs.since), used.last);
        link(
            known.text(at.place).to_owned(),
            credential.clone(),
            "used",
            hand,
            when,
            used.count,
            evidence,
        );
        link(
            credential,
            known.text(at.principal).to_owned(),
            "acted as",
            hand,
            when,
            used.count,
            evidence,
        );
    }
    let mut made: Vec<(String, &Making, &str)> = Vec::new();
    for (id, making) in &known.hand.credentials {
        let verb = match making.action.as_str() {
            "CreateAccessKey" | "CreateLoginProfile" => "created",
            "UpdateLoginProfile" => "changed",
            "GetFederationToken" | "GetSessionToken" => "issued",
            _ => "assumed",
        };
        made.push((credential_id(known, id.0, id.1), making, verb));
    }
    for (principal, making) in &known.hand.principals {
        made.push((principal.clone(), making, "created"));
    }
    for (to, making, verb) in made {
        let evidence = cites.place("cloudtrail", &making.source, Some(moment(making.at)));
        let from = credential_id(known, making.by.principal, making.by.credential);
        link(
            from,
            to,
            verb,
            known.hand_of(&making.by),
            (making.at, making.at),
            1,
            evidence,
        );
    }
    let users = Users::of(known.ground);
    for ((role, label), identities) in &known.hand.opened_for {
        for (identity, act) in identities {
            let evidence = cites.place("cloudtrail", &act.source, Some(moment(act.at)));
            let from = match users.named(identity) {
                Some(user) => known.text(user).to_owned(),
                None => format!("source identity {identity}"),
            };
            link(
                from,
                credential_id(known, *role, *label),
                "is named in",
                known.hand_of(&act.by),
                (act.at, act.at),
                1,
                evidence,
            );
        }
    }
    for ((kind, id, _), sights) in &seen.things {
        for sight in sights.iter().filter(|sight| sight.is_hand) {
            let by = sight.by;
            let from = credential_id(known, by.principal, by.credential);
            // A hundred machines are one arrow: the graph shows kinds, and the reach each thing.
            let to = match is_many(kind) {
                true => format!("{kind}s"),
                false => format!("{kind} {id}"),
            };
            link(
                from,
                to,
                verb_of(sight),
                known.hand_of(&by),
                (sight.at, sight.at),
                1,
                sight.evidence,
            );
        }
    }
    let links = all
        .into_iter()
        .map(|((from, to, verb, hand), linked)| Link {
            from,
            to,
            verb,
            span: span(linked.first, linked.last),
            count: linked.count,
            hand,
            evidence: linked.evidence.into_iter().collect(),
        });
    let mut links: Vec<Link> = links.collect();
    links.sort_by(|a, b| {
        a.span
            .first
            .cmp(&b.span.first)
            .then_with(|| (&a.from, &a.to).cmp(&(&b.from, &b.to)))
    });
    links.truncate(MAX_LINKS);
    links
}

fn is_many(kind: &str) -> bool {
    matches!(
        kind,
        "instance"
            | "spot-request"
            | "ecs-task"
            | "volume"
            | "security-group"
            | "key-pair"
            | "launch-template"
    )
}

fn verb_of(sight: &Sight) -> &'static str {
    match (sight.action.as_str(), sight.how) {
        ("RunInstances" | "StartInstances", How::Changed | How::Created) => "launched",
        (_, How::Created) => "created",
        (_, How::Deleted) => "deleted",
        (_, How::Used) => "used",
        (_, How::Attempted) => "tried",
        (_, How::Changed) => "changed",
    }
}
