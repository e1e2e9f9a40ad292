//! A program on a machine can be made to ask the metadata service: the machine's credentials are used
//! from outside, each set until it runs out.

use serde_json::json;

use super::intruder::{self, Campaign, Intruder};
use super::response;
use super::stage::Stage;
use crate::attack::background::machine_identity;
use crate::attack::calendar::DAY_SECS;
use crate::attack::calls::{self, iam, launch};
use crate::attack::cast::{Machine, Purpose};
use crate::attack::event::{Call, Caller};
use crate::attack::truth::Verdict;
use crate::attack::{places, regions};

const FINDER: usize = 2;

/// Has it happen.
pub fn play(stage: &mut Stage<'_>) {
    let Some((machine, role)) = victim(stage) else {
        return;
    };
    let intruder = Intruder::draw(stage);
    let mut at = stage.attack;
    let Some(caller) = signing(stage, &intruder, &machine, at) else {
        return;
    };
    let first = intruder::reconnoitre(stage, &caller, &mut at);
    stage.began(&first, stage.attack, &caller, &role, "instance-credentials");
    stage.truth.judge(
        &role,
        role.rsplit('/').next().unwrap_or(""),
        Verdict::CompromisedOwnerInnocent,
    );
    // A role of machines may not do everything.
    for action in ["CreateUser", "ListUsers"] {
        let moment = stage.later(&mut at, 1, 20);
        let call = Call::new("iam", action, json!({"userName": "support"}));
        let call = calls::denied(call, &caller.identity, &stage.account.clone());
        stage.act(&caller, moment, regions::HOME, call);
    }
    intruder::probe_quotas(stage, &caller, &mut at);
    let campaign = Campaign {
        machines: stage.dice.between(12, 30) as usize,
        regions: 5,
        kind: stage.dice.one(launch::ACCELERATED),
        is_windows: false,
        is_spot: stage.dice.chance(50),
        is_protected: false,
    };
    intruder::launch(stage, &caller, &mut at, &campaign);

    // The credentials run out after some hours; the hole is still there.
    let until = stage.attack + stage.options.attack_days * DAY_SECS;
    while at < until {
        at += stage.dice.between(DAY_SECS / 2, 2 * DAY_SECS);
        if let Some(caller) = signing(stage, &intruder, &machine, at) {
            let here = stage
                .loot
                .first()
                .map_or(regions::HOME, |it| it.machine.region);
            let mut moment = at;
            stage.act(&caller, moment, here, calls::ec2::describe_instances(&[]));
            let moment = stage.later(&mut moment, 1, 9);
            stage.act(
                &caller,
                moment,
                here,
                calls::look("ec2", "DescribeSpotPriceHistory"),
            );
        }
    }
    let Some(finder) = stage.owner(FINDER, at) else {
        return;
    };
    response::clean_up(stage, &finder, &mut at);
    let moment = stage.later(&mut at, 20, 90);
    let name = role.rsplit('/').next().unwrap_or("");
    stage.act(
        &finder,
        moment,
        regions::HOME,
        iam::revoke_sessions(name, moment),
    );
    response::restart_trail(stage, &finder, &mut at);
}

/// A machine of the first account with a role and a public address.
fn victim(stage: &mut Stage<'_>) -> Option<(Machine, String)> {
    let account = stage.account.clone();
    let role = stage
        .cast
        .roles_for(&account, |it| it == Purpose::Instance)
        .next()?
        .name
        .clone();
    let machine = stage
        .cast
        .machines
        .iter_mut()
        .find(|it| it.account == account)?;
    let role = machine.role.get_or_insert(role).arn();
    if machine.public.is_none() {
        machine.public = Some(places::ec2(machine.region).address(&mut stage.dice));
    }
    Some((machine.clone(), role))
}

/// The intruder with the credentials that the machine has at a moment, which the truth notes.
fn signing(
    stage: &mut Stage<'_>,
    intruder: &Intruder,
    machine: &Machine,
    at: i64,
) -> Option<Caller> {
    let identity = machine_identity(stage.seed, machine, at)?;
    let key = identity.key().unwrap_or_default().to_owned();
    let principal = identity.principal().unwrap_or_default();
    if !stage.truth.credentials.iter().any(|it| it.id == key) {
        stage
            .truth
            .credentials
            .push(intruder::stolen(&key, &principal, true));
    }
    Some(intruder.signing(identity))
}
