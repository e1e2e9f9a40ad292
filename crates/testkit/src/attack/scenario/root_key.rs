//! The root user has a key, which has leaked: a user is made that looks like somebody's, and it mines.

use super::intruder::{self, Campaign, Intruder};
use super::response;
use super::stage::Stage;
use crate::attack::calendar::DAY_SECS;
use crate::attack::calls::{iam, launch};
use crate::attack::event::Caller;
use crate::attack::identity::Identity;
use crate::attack::truth::Verdict;
use crate::attack::{ids, regions};

const FINDER: usize = 2;

/// Has it happen.
pub fn play(stage: &mut Stage<'_>) {
    let account = stage.account.clone();
    let arn = format!("arn:aws:iam::{account}:root");
    let key = ids::access_key(&mut stage.dice, "AKIA", &account);
    let intruder = Intruder::draw(stage);
    let mut at = stage.attack;
    let caller = intruder.signing(Identity::Root {
        account: account.clone(),
        key: Some(key.clone()),
        session: None,
    });
    let first = intruder::reconnoitre(stage, &caller, &mut at);
    stage.began(&first, stage.attack, &caller, &arn, "root-key");
    stage
        .truth
        .credentials
        .push(intruder::stolen(&key, &arn, true));
    stage
        .truth
        .judge(&arn, "root", Verdict::CompromisedOwnerInnocent);
    intruder::probe_quotas(stage, &caller, &mut at);

    let name = *stage
        .dice
        .pick(&["backup-operator", "aws-support", "terraform-ci", "adminn"]);
    let user = make_user(stage, &caller, name, &mut at);
    let made_arn = format!("arn:aws:iam::{account}:user/{name}");
    stage.truth.judge(&made_arn, name, Verdict::Guilty);
    intruder::cover(stage, &caller, &mut at);
    let made = intruder.signing(user);
    at += stage.dice.between(60, 900);
    intruder::reconnoitre(stage, &made, &mut at);
    if stage.dice.chance(60) {
        intruder::leave_door(stage, &made, &mut at);
    }
    let campaign = Campaign {
        machines: stage.dice.between(30, 70) as usize,
        regions: 12,
        kind: stage.dice.one(launch::LARGE),
        is_windows: stage.dice.chance(30),
        is_spot: false,
        is_protected: stage.dice.chance(50),
    };
    intruder::launch(stage, &made, &mut at, &campaign);
    let until = stage.attack + stage.options.attack_days * DAY_SECS;
    intruder::check_in(stage, &intruder, &made, at, until);

    let mut at = until;
    let Some(finder) = stage.owner(FINDER, at) else {
        return;
    };
    response::clean_up(stage, &finder, &mut at);
    let made_key = made.identity.key().unwrap_or_default().to_owned();
    response::delete_key(stage, &finder, &mut at, name, &made_key);
    response::restart_trail(stage, &finder, &mut at);
}

/// A user with a key who may do everything.
pub fn make_user(stage: &mut Stage<'_>, caller: &Caller, name: &str, at: &mut i64) -> Identity {
    let account = stage.account.clone();
    let arn = format!("arn:aws:iam::{account}:user/{name}");
    let moment = stage.later(at, 5, 60);
    let (call, id) = iam::create_user(&mut stage.dice, &account, name, moment);
    let event = stage.act(caller, moment, regions::HOME, call);
    stage.left("user", name, &event, moment);
    let moment = stage.later(at, 1, 9);
    let event = stage.act(
        caller,
        moment,
        regions::HOME,
        iam::attach_user_policy(&account, name, iam::ADMIN),
    );
    stage.left("policy", name, &event, moment);
    let moment = stage.later(at, 1, 9);
    let (call, key) = iam::create_access_key(&mut stage.dice, &account, name, moment);
    let event = stage.act(caller, moment, regions::HOME, call);
    stage.left("access-key", &key, &event, moment);
    let parent = caller.identity.key().map(str::to_owned);
    stage.truth.credentials.push(intruder::made(
        &key,
        &arn,
        parent.as_deref(),
        &event,
        moment,
    ));
    Identity::User {
        account,
        name: name.to_owned(),
        id,
        key: Some(key),
        session: None,
        invoked_by: None,
    }
}
