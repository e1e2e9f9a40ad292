//! Names come back: a colleague has left and the user was deleted; the intruder makes a user of the same
//! name, or gives one that name. Meanwhile the owner of the stolen key, who suspects nothing, is at work
//! and changes the key as every quarter.

use super::intruder::{self, Campaign};
use super::response;
use super::root_key::make_user;
use super::stage::Stage;
use crate::attack::calendar::DAY_SECS;
use crate::attack::calls::{ec2, iam, launch};
use crate::attack::cast::{Duty, Key, hire};
use crate::attack::event::Caller;
use crate::attack::identity::Identity;
use crate::attack::truth::Verdict;
use crate::attack::{ids, regions};

const ADMIN: usize = 0;
const FINDER: usize = 2;

/// Who has left.
const LEAVER: &str = "wanda";

/// Has it happen.
pub fn play(stage: &mut Stage<'_>) {
    let account = stage.account.clone();
    let admin = stage.cast.people[ADMIN].clone();
    let mut at = stage.attack;
    let Some(leaked) = admin.key(at).map(str::to_owned) else {
        return;
    };
    let name = leave(stage);
    let (intruder, caller) = intruder::break_in(stage, ADMIN, &leaked, &mut at);
    intruder::probe_quotas(stage, &caller, &mut at);
    meanwhile(stage, &leaked);

    let user = match stage.dice.chance(50) {
        true => make_user(stage, &caller, &name, &mut at),
        false => rename(stage, &caller, &name, &mut at),
    };
    if let Identity::User { id, .. } = &user {
        let arn = format!("arn:aws:iam::{account}:user/{name}");
        stage.truth.judge_one(&arn, &name, id, Verdict::Guilty);
    }
    let made = intruder.signing(user);
    at += stage.dice.between(60, 1_200);
    intruder::reconnoitre(stage, &made, &mut at);
    intruder::cover(stage, &made, &mut at);
    let campaign = Campaign {
        machines: stage.dice.between(20, 60) as usize,
        regions: 10,
        kind: stage.dice.one(launch::LARGE),
        is_windows: false,
        is_spot: stage.dice.chance(30),
        is_protected: stage.dice.chance(30),
    };
    intruder::launch(stage, &made, &mut at, &campaign);
    let until = stage.attack + stage.options.attack_days * DAY_SECS;
    intruder::check_in(stage, &intruder, &made, at, until);

    let mut at = until;
    let Some(finder) = stage.owner(FINDER, at) else {
        return;
    };
    response::clean_up(stage, &finder, &mut at);
    let key = made.identity.key().unwrap_or_default().to_owned();
    response::delete_key(stage, &finder, &mut at, &name, &key);
    let moment = stage.later(&mut at, 5, 60);
    stage.act(
        &finder,
        moment,
        regions::HOME,
        iam::delete_user(&account, &name),
    );
    stage.removed("user", &name, moment);
    response::restart_trail(stage, &finder, &mut at);
}

/// Somebody leaves before the attack, if there is a before; returns the name.
fn leave(stage: &mut Stage<'_>) -> String {
    let account = stage.account.clone();
    let gone = stage.cast.start + (stage.attack - stage.cast.start) / 2;
    let created = stage.cast.start - 400 * DAY_SECS;
    let mut leaver = hire(&mut stage.dice, LEAVER.to_owned(), Duty::Developer, created);
    leaver.office.clone_from(&stage.cast.people[0].office);
    leaver.vpn.clone_from(&stage.cast.people[0].vpn);
    let key = ids::access_key(&mut stage.dice, "AKIA", &account);
    leaver.keys.push(Key {
        id: key.clone(),
        from: created + 600,
        until: Some(gone),
    });
    leaver.works = (created, gone);
    let arn = format!("arn:aws:iam::{account}:user/{LEAVER}");
    stage
        .truth
        .judge_one(&arn, LEAVER, &leaver.id, Verdict::Framed);
    stage.cast.people.push(leaver);
    let mut at = gone;
    if let Some(finder) = stage.owner(FINDER, at) {
        response::delete_key(stage, &finder, &mut at, LEAVER, &key);
        let moment = stage.later(&mut at, 5, 60);
        stage.act(
            &finder,
            moment,
            regions::HOME,
            iam::delete_user(&account, LEAVER),
        );
    }
    LEAVER.to_owned()
}

/// The owner works from where she is while the intruder is at it, and changes the key some days later.
fn meanwhile(stage: &mut Stage<'_>, leaked: &str) {
    let account = stage.account.clone();
    let name = stage.cast.people[ADMIN].name.clone();
    let mut at = stage.attack + stage.dice.between(60, 400);
    let Some(owner) = stage.owner(ADMIN, at) else {
        return;
    };
    for _ in 0..stage.dice.between(2, 6) {
        let moment = stage.later(&mut at, 5, 90);
        stage.act(&owner, moment, regions::HOME, ec2::describe_instances(&[]));
    }
    let mut at = stage.attack + stage.dice.between(DAY_SECS, 4 * DAY_SECS);
    let Some(owner) = stage.owner(ADMIN, at) else {
        return;
    };
    let (call, id) = iam::create_access_key(&mut stage.dice, &account, &name, at);
    stage.act(&owner, at, regions::HOME, call);
    let moment = stage.later(&mut at, 900, 4_000);
    let owner = owner.signing(intruder::user_key(stage, ADMIN, &id));
    stage.act(
        &owner,
        moment,
        regions::HOME,
        iam::update_access_key(&account, &name, leaked, false),
    );
    let person = &mut stage.cast.people[ADMIN];
    for key in &mut person.keys {
        key.until.get_or_insert(moment);
    }
    person.keys.push(Key {
        id,
        from: moment,
        until: None,
    });
}

/// A user is made under a name that nobody looks at, and gets the other's name.
fn rename(stage: &mut Stage<'_>, caller: &Caller, name: &str, at: &mut i64) -> Identity {
    let account = stage.account.clone();
    let first_name = format!("tmp-{}", stage.dice.hex(4));
    let made = make_user(stage, caller, &first_name, at);
    let Identity::User { id, key, .. } = &made else {
        return made;
    };
    let moment = stage.later(at, 20, 300);
    let call = iam::rename_user(&account, &first_name, name, id, moment);
    let event = stage.act(caller, moment, regions::HOME, call);
    stage.left("user", name, &event, moment);
    stage.removed("user", &first_name, moment);
    Identity::User {
        account,
        name: name.to_owned(),
        id: id.clone(),
        key: key.clone(),
        session: None,
        invoked_by: None,
    }
}
