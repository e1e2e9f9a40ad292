//! Whoever takes a role names the session: the intruder, with one person's key, names it after another.

use super::intruder::{self, Campaign};
use super::response;
use super::stage::Stage;
use crate::attack::calendar::DAY_SECS;
use crate::attack::calls::{launch, sts};
use crate::attack::cast::Purpose;
use crate::attack::identity::{Identity, Session};
use crate::attack::regions;
use crate::attack::truth::Verdict;

const VICTIM: usize = 3;
const FRAMED: usize = 1;
const FINDER: usize = 2;

/// Has it happen.
pub fn play(stage: &mut Stage<'_>) {
    let account = stage.account.clone();
    let (victim, framed) = (
        stage.cast.people[VICTIM].clone(),
        stage.cast.people[FRAMED].clone(),
    );
    let framed_arn = stage.arn(FRAMED);
    let mut at = stage.attack;
    let Some(key) = victim.key(at).map(str::to_owned) else {
        return;
    };
    let Some(role) = stage
        .cast
        .roles_for(&account, |it| it == Purpose::Deploy)
        .next()
        .map(|role| role.name.clone())
    else {
        return;
    };
    let (_, caller) = intruder::break_in(stage, VICTIM, &key, &mut at);
    stage
        .truth
        .judge(&framed_arn, &framed.name, Verdict::Framed);
    stage
        .truth
        .judge(&role.arn(), &role.name, Verdict::CompromisedOwnerInnocent);
    for _ in 0..stage.dice.between(1, 3) {
        let moment = stage.later(&mut at, 20, 300);
        let (call, session) = sts::assume_role(&mut stage.dice, &role, &framed.name, None, moment);
        let event = stage.act(&caller, moment, regions::HOME, call);
        let of = intruder::made(&session, &role.arn(), Some(&key), &event, moment);
        stage.truth.credentials.push(of);
        let hop = caller.signing(Identity::Role {
            role: role.clone(),
            name: framed.name.clone(),
            key: Some(session),
            session: Session {
                created: moment,
                ..Session::default()
            },
            invoked_by: None,
        });
        intruder::probe_quotas(stage, &hop, &mut at);
        let campaign = Campaign {
            machines: stage.dice.between(8, 24) as usize,
            regions: 6,
            kind: stage.dice.one(launch::LARGE),
            is_windows: false,
            is_spot: stage.dice.chance(50),
            is_protected: false,
        };
        intruder::launch(stage, &hop, &mut at, &campaign);
        at += stage.dice.between(3_600, DAY_SECS);
    }
    at = at.max(stage.attack + stage.options.attack_days * DAY_SECS);
    let Some(finder) = stage.owner(FINDER, at) else {
        return;
    };
    response::clean_up(stage, &finder, &mut at);
    response::disable_key(stage, &finder, &mut at, VICTIM, &key);
    response::restart_trail(stage, &finder, &mut at);
}
