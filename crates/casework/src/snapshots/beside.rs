//! Snapshots beside a trail: what they know that the trail does not.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::burst::Burst;
use super::shape;
use super::states::cite;
use super::things::{Id, Snapshots, Thing};
use crate::case::{Case, Existence, Reason, Span, Statement, Touched};
use crate::cite::Cites;
use crate::cost::sightings::Sighting;
use crate::hands::relation::short;

/// Adds what still exists, machines that no act started, and what keys say of their owners; what was
/// seen of the machines.
pub fn tell(
    case: &mut Case,
    snapshots: &Snapshots,
    bursts: &[Burst<'_>],
    cites: &mut Cites,
) -> Vec<Sighting> {
    let mut sightings = Vec::new();
    for touched in &mut case.reach {
        let Some((id, thing)) = thing_of(snapshots, touched) else {
            continue;
        };
        exists(touched, snapshots, id, thing, cites);
        let is_machine = touched.kind == "instance" && touched.how == "created";
        if is_machine {
            sightings.extend(shape::sightings(snapshots, id, thing, cites));
        }
    }
    if let Some(span) = case.span {
        let known: BTreeSet<String> = case.reach.iter().map(|it| it.id.clone()).collect();
        for machine in bursts.iter().flat_map(|burst| &burst.machines) {
            if machine.at < span.first || known.contains(&machine.id.id) {
                continue;
            }
            let mut touched = shape::machine(snapshots, machine, "", cites);
            let told = "no act that was logged started it".to_owned();
            touched.details.push(("beside the trail".to_owned(), told));
            let told = "instance appeared, and no act that was logged started it";
            case.timeline.push(shape::act(&touched, told, "launch"));
            case.reach.push(touched);
            sightings.extend(shape::sightings(
                snapshots,
                machine.id,
                machine.thing,
                cites,
            ));
        }
        case.timeline.sort_by_key(|act| act.span.first);
        keys(case, snapshots, span, cites);
    }
    sightings
}

fn thing_of<'a>(snapshots: &'a Snapshots, touched: &Touched) -> Option<(&'a Id, &'a Thing)> {
    let mut found = snapshots.of_kind(&touched.kind).filter(|(id, _)| {
        let is_account = touched
            .account
            .as_ref()
            .is_none_or(|account| *account == id.account);
        let is_region = id.region == "global"
            || touched
                .region
                .as_ref()
                .is_none_or(|region| *region == id.region);
        id.id == touched.id && is_account && is_region
    });
    // Two that could be meant are none.
    found.next().filter(|_| found.next().is_none())
}

/// The later of what the trail and what the snapshots say.
fn exists(touched: &mut Touched, snapshots: &Snapshots, id: &Id, thing: &Thing, cites: &mut Cites) {
    let (shown, evidence) = shape::existence(snapshots, id, thing, cites);
    let is_better = match (&shown, &touched.exists) {
        (Existence::Unknown(_), _) => false,
        (_, Existence::Unknown(_)) => touched.how != "attempted",
        (Existence::GoneBy(_), Existence::At(_)) => true,
        // The trail has the moment itself.
        (Existence::GoneBy(_), Existence::GoneBy(_)) => false,
        (Existence::At(shown), Existence::At(known) | Existence::GoneBy(known)) => shown > known,
    };
    if !is_better {
        return;
    }
    if matches!(shown, Existence::GoneBy(_)) {
        touched.persistence = None;
    }
    touched.exists = shown;
    touched.evidence.extend(evidence);
    touched.evidence.dedup();
}

/// What the keys of each user in the case say for the user.
fn keys(case: &mut Case, snapshots: &Snapshots, span: Span, cites: &mut Cites) {
    for innocence in &mut case.innocence {
        if !innocence.principal.contains(":user/") {
            continue;
        }
        let account = innocence.principal.split(':').nth(4).unwrap_or_default();
        let name = short(&innocence.principal).to_owned();
        let of_user = snapshots.of_kind("access-key").filter(|(id, thing)| {
            let user = thing.first().map(|first| first.state()["UserName"].clone());
            id.account == account && user.is_some_and(|user| user == *name)
        });
        for (id, thing) in of_user {
            let Some(made) = made_within(thing, span) else {
                continue;
            };
            let is_old = snapshots
                .get(account, &id.region, "user", &name)
                .and_then(|(_, user)| shape::made_at(user))
                .is_some_and(|at| at < span.first);
            let text = format!(
                "a snapshot shows that the key {} was made at {made}, during the attack",
                id.id
            );
            innocence.reasons.push(Reason {
                is_for: is_old,
                statement: Statement {
                    text,
                    evidence: cite(cites, id, thing, made),
                },
            });
        }
    }
}

fn made_within(thing: &Thing, span: Span) -> Option<Timestamp> {
    thing.first()?.before?;
    shape::made_at(thing).filter(|at| *at >= span.first && *at <= span.last)
}
