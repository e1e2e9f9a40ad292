//! The talk "Talking head" (DevOpsDays Boston 2018), which this project comes from: an admin's long-term
//! key leaks; a script looks around, makes a key and a password for a colleague, covers its tracks, and
//! starts a hundred large machines of Windows across the world in the colleague's name. Two weeks later
//! somebody sees the bill.

use super::intruder::{self, Campaign};
use super::response;
use super::stage::Stage;
use crate::attack::calendar::DAY_SECS;
use crate::attack::calls::launch::LARGE;
use crate::attack::calls::{iam, trail};
use crate::attack::truth::Verdict;
use crate::attack::{dice::Dice, regions};

/// Whose key leaks, who is framed, and who finds out.
const ADMIN: usize = 0;
const FRAMED: usize = 1;
const FINDER: usize = 2;

/// Has it happen.
pub fn play(stage: &mut Stage<'_>) {
    let account = stage.account.clone();
    let (admin, framed) = (
        stage.cast.people[ADMIN].clone(),
        stage.cast.people[FRAMED].clone(),
    );
    let framed_arn = framed.arn(stage.cast);
    let mut at = stage.attack;
    let Some(leaked) = admin.key(at).map(str::to_owned) else {
        return;
    };
    let (intruder, caller) = intruder::break_in(stage, ADMIN, &leaked, &mut at);
    intruder::probe_quotas(stage, &caller, &mut at);
    if stage.options.guardduty && stage.dice.chance(60) {
        let id = Dice::of(0, &account, 1).hex(32);
        let moment = stage.later(&mut at, 2, 20);
        let call = trail::delete_detector(&account, regions::HOME, &id);
        intruder::tamper(stage, &caller, moment, regions::HOME, call, true);
    }
    let covers_first = stage.dice.chance(40);
    if covers_first {
        intruder::cover(stage, &caller, &mut at);
    }

    let moment = stage.later(&mut at, 5, 60);
    let (call, key) = iam::create_access_key(&mut stage.dice, &account, &framed.name, moment);
    let event = stage.act(&caller, moment, regions::HOME, call);
    stage.left("access-key", &key, &event, moment);
    let of = intruder::made(&key, &framed_arn, Some(&leaked), &event, moment);
    stage.truth.credentials.push(of);
    let moment = stage.later(&mut at, 1, 9);
    let event = match framed.has_console {
        true => stage.act(
            &caller,
            moment,
            regions::HOME,
            iam::update_login_profile(&framed.name),
        ),
        false => {
            let call = iam::create_login_profile(&account, &framed.name, moment);
            stage.act(&caller, moment, regions::HOME, call)
        }
    };
    stage.left("login-profile", &framed.name, &event, moment);
    let moment = stage.later(&mut at, 1, 9);
    let call = iam::attach_user_policy(&account, &framed.name, iam::ADMIN);
    let event = stage.act(&caller, moment, regions::HOME, call);
    stage.left("policy", &framed.name, &event, moment);
    stage
        .truth
        .judge(&framed_arn, &framed.name, Verdict::Framed);

    let caller = intruder.signing(intruder::user_key(stage, FRAMED, &key));
    at += stage.dice.between(30, 900);
    intruder::reconnoitre(stage, &caller, &mut at);
    if !covers_first {
        intruder::cover(stage, &caller, &mut at);
    }
    if stage.dice.chance(40) {
        intruder::leave_door(stage, &caller, &mut at);
    }
    let campaign = Campaign {
        machines: 100,
        regions: 16,
        kind: stage.dice.one(LARGE),
        is_windows: true,
        is_spot: false,
        is_protected: stage.dice.chance(40),
    };
    intruder::launch(stage, &caller, &mut at, &campaign);
    let until = stage.attack + stage.options.attack_days * DAY_SECS;
    intruder::check_in(stage, &intruder, &caller, at, until);

    let mut at = until + stage.dice.between(0, DAY_SECS / 3);
    let Some(finder) = stage.owner(FINDER, at) else {
        return;
    };
    response::clean_up(stage, &finder, &mut at);
    response::disable_key(stage, &finder, &mut at, ADMIN, &leaked);
    response::delete_key(stage, &finder, &mut at, &framed.name, &key);
    if !framed.has_console {
        let moment = stage.later(&mut at, 5, 50);
        let call = iam::delete_login_profile(&account, &framed.name);
        stage.act(&finder, moment, regions::HOME, call);
        stage.removed("login-profile", &framed.name, moment);
    }
    response::restart_trail(stage, &finder, &mut at);
}
