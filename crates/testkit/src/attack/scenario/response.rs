//! What the owners do once somebody finds out.

use super::stage::{Loot, Stage};
use crate::attack::calls::workloads::{self, At};
use crate::attack::calls::{self, ec2, iam, sts, trail};
use crate::attack::cast::{Key, Machine, Purpose};
use crate::attack::event::{Call, Caller};
use crate::attack::identity::{Identity, Session};
use crate::attack::{TrailPlan, regions};
use serde_json::json;

/// How many of a hundred times somebody overlooks a machine.
const OVERLOOKED_PERCENT: u64 = 25;

/// Somebody looks around in all regions of all accounts and ends what does not belong.
pub fn clean_up(stage: &mut Stage<'_>, caller: &Caller, at: &mut i64) {
    let home = stage.account.clone();
    for account in stage.cast.accounts.clone() {
        let is_home = account == home;
        if is_home || stage.loot.iter().any(|it| it.machine.account == account) {
            let caller = match is_home {
                true => caller.clone(),
                false => visit(stage, caller, &account, at),
            };
            stage.account = account;
            clean_account(stage, &caller, at);
            stage.account.clone_from(&home);
        }
    }
}

/// Somebody takes the role that is there for it in another account.
fn visit(stage: &mut Stage<'_>, caller: &Caller, account: &str, at: &mut i64) -> Caller {
    let role = stage
        .cast
        .roles_for(account, |it| it == Purpose::Automation)
        .next()
        .map(|role| role.name.clone());
    let (Some(role), Some(name)) = (role, caller.identity.user().map(str::to_owned)) else {
        return caller.clone();
    };
    let moment = stage.later(at, 5, 60);
    let (call, key) = sts::assume_role(&mut stage.dice, &role, &name, None, moment);
    stage.act_in_both(caller, moment, account, call);
    caller.signing(Identity::Role {
        role,
        name,
        key: Some(key),
        session: Session {
            created: moment,
            ..Session::default()
        },
        invoked_by: None,
    })
}

fn clean_account(stage: &mut Stage<'_>, caller: &Caller, at: &mut i64) {
    let overlooks = stage.dice.chance(OVERLOOKED_PERCENT);
    for region in regions::ALL {
        let moment = stage.later(at, 2, 20);
        stage.act(caller, moment, region, ec2::describe_instances(&[]));
        let (mut here, rest): (Vec<Loot>, Vec<Loot>) = std::mem::take(&mut stage.loot)
            .into_iter()
            .partition(|loot| {
                loot.machine.region == *region && loot.machine.account == stage.account
            });
        stage.loot = rest;
        if here.is_empty() {
            continue;
        }
        if overlooks && stage.loot.is_empty() {
            stage.loot.extend(here.pop());
        }
        let machines: Vec<&Machine> = here.iter().map(|loot| &loot.machine).collect();
        if here.iter().any(|loot| loot.is_protected) {
            unprotect(stage, caller, at, region, &machines);
        }
        for some in machines.chunks(20) {
            let moment = stage.later(at, 3, 30);
            stage.act(caller, moment, region, ec2::terminate(some, "running"));
            for machine in some {
                let is_it = |loot: &&Loot| loot.machine.id == machine.id;
                if let Some(loot) = here.iter().find(is_it) {
                    stage.truth.instances[loot.place].end = Some(moment);
                }
            }
        }
    }
}

/// Machines that may not be ended refuse, and are let go one by one.
fn unprotect(
    stage: &mut Stage<'_>,
    caller: &Caller,
    at: &mut i64,
    region: &'static str,
    machines: &[&Machine],
) {
    let moment = stage.later(at, 3, 30);
    let message = format!(
        "The instance '{}' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again.",
        machines[0].id
    );
    let refused =
        ec2::terminate(machines, "running").refused("Client.OperationNotPermitted", message);
    stage.act(caller, moment, region, refused);
    for machine in machines {
        let moment = stage.later(at, 1, 6);
        let request = json!({"instanceId": machine.id, "disableApiTermination": {"value": false}});
        let call = Call::new("ec2", "ModifyInstanceAttribute", request)
            .answered(json!({"requestId": stage.dice.uuid(), "_return": true}));
        stage.act(caller, moment, region, call);
    }
}

/// A key of somebody is switched off; if it was the owner's, the owner makes another soon.
pub fn disable_key(stage: &mut Stage<'_>, caller: &Caller, at: &mut i64, index: usize, key: &str) {
    let account = stage.account.clone();
    let name = stage.cast.people[index].name.clone();
    let moment = stage.later(at, 5, 60);
    stage.act(
        caller,
        moment,
        regions::HOME,
        iam::update_access_key(&account, &name, key, false),
    );
    stage.removed("access-key", key, moment);
    let was_owners = stage.cast.people[index]
        .keys
        .iter_mut()
        .find(|it| it.id == key)
        .map(|it| it.until = Some(moment));
    if was_owners.is_some() {
        let moment = moment + stage.dice.between(600, 7_200);
        let (call, id) = iam::create_access_key(&mut stage.dice, &account, &name, moment);
        stage.act(caller, moment, regions::HOME, call);
        stage.cast.people[index].keys.push(Key {
            id,
            from: moment + 300,
            until: None,
        });
    }
}

/// What an intruder made of keys and passwords for somebody is deleted.
pub fn delete_key(stage: &mut Stage<'_>, caller: &Caller, at: &mut i64, user: &str, key: &str) {
    let account = stage.account.clone();
    let moment = stage.later(at, 5, 60);
    stage.act(
        caller,
        moment,
        regions::HOME,
        iam::delete_access_key(&account, user, key),
    );
    stage.removed("access-key", key, moment);
}

/// CloudTrail writes from now on, if it did not.
pub fn restart_trail(stage: &mut Stage<'_>, caller: &Caller, at: &mut i64) {
    let account = stage.account.clone();
    let was_deleted = stage
        .truth
        .tampering
        .iter()
        .any(|it| it.action == "DeleteTrail");
    if !matches!(stage.options.trail, TrailPlan::Late | TrailPlan::Stopped) {
        return;
    }
    let moment = stage.later(at, 30, 300);
    stage.act(
        caller,
        moment,
        regions::HOME,
        calls::look("cloudtrail", "DescribeTrails"),
    );
    if was_deleted || stage.options.trail == TrailPlan::Late {
        let moment = stage.later(at, 30, 300);
        stage.act(
            caller,
            moment,
            regions::HOME,
            trail::create_trail(&account, "management", moment),
        );
    }
    let moment = stage.later(at, 1, 5);
    stage.act(
        caller,
        moment,
        regions::HOME,
        trail::start_logging(&account, "management", moment),
    );
    for it in &mut stage.truth.tampering {
        if let ("StopLogging" | "DeleteTrail", Some(gap)) = (&*it.action, &mut it.gap) {
            gap.1 = Some(moment);
        }
    }
}

/// What is no machine is deleted, or some of it.
pub fn delete_workloads(stage: &mut Stage<'_>, caller: &Caller, at: &mut i64) {
    for place in 0..stage.truth.workloads.len() {
        if stage.dice.chance(OVERLOOKED_PERCENT) {
            continue;
        }
        let moment = stage.later(at, 10, 120);
        let it = &mut stage.truth.workloads[place];
        it.end = Some(moment);
        let it = it.clone();
        let region = regions::ALL.iter().find(|region| **region == it.region);
        let region = region.copied().unwrap_or(regions::HOME);
        let here = At {
            account: &it.account,
            region,
            at: moment,
        };
        stage.act(
            caller,
            moment,
            region,
            workloads::delete(&here, &it.kind, &it.id),
        );
    }
}
