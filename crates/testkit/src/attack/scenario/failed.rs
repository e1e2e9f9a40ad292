//! A key was found in public, by AWS too: it is quarantined within minutes, and nothing that the script
//! tries comes to anything.

use super::intruder;
use super::response;
use super::stage::Stage;
use crate::attack::agents::Agent;
use crate::attack::calls::launch::{LARGE, Wanted};
use crate::attack::calls::{self, iam};
use crate::attack::event::{Caller, Hand};
use crate::attack::identity::Identity;
use crate::attack::{ids, regions};

const VICTIM: usize = 1;
const FINDER: usize = 2;

/// Has it happen.
pub fn play(stage: &mut Stage<'_>) {
    let account = stage.account.clone();
    let victim = stage.cast.people[VICTIM].clone();
    let mut at = stage.attack;
    let Some(key) = victim.key(at).map(str::to_owned) else {
        return;
    };
    let (_, caller) = intruder::break_in(stage, VICTIM, &key, &mut at);
    intruder::probe_quotas(stage, &caller, &mut at);

    quarantine(stage, &victim.name, at);
    for action in ["CreateUser", "CreateAccessKey", "AttachUserPolicy"] {
        let moment = stage.later(&mut at, 1, 20);
        let call = crate::attack::event::Call::new(
            "iam",
            action,
            serde_json::json!({"userName": "svc-backup"}),
        );
        let call = calls::denied(call, &caller.identity, &account);
        stage.act(&caller, moment, regions::HOME, call);
    }
    for region in regions::ALL {
        let wanted = Wanted {
            kind: stage.dice.one(LARGE),
            image: ids::resource(&mut stage.dice, "ami"),
            is_windows: false,
            is_spot: stage.dice.chance(50),
            count: stage.dice.between(1, 20) as usize,
            key_name: None,
            group: None,
            is_protected: false,
            is_public: true,
        };
        for _ in 0..stage.dice.between(1, 3) {
            let moment = stage.later(&mut at, 0, 4);
            let call = match stage.dice.roll(3) {
                0 => wanted.dry_run(&mut stage.dice),
                1 => wanted.over_limit(&mut stage.dice, 5),
                _ => {
                    let call = wanted.asked(&mut stage.dice);
                    calls::unauthorized(&mut stage.dice, call, &caller.identity)
                }
            };
            stage.act(&caller, moment, region, call);
            stage.truth.failed_launches += 1;
        }
    }
    let mut at = at + stage.dice.between(3_600, 20 * 3_600);
    let Some(finder) = stage.owner(FINDER, at) else {
        return;
    };
    response::disable_key(stage, &finder, &mut at, VICTIM, &key);
    response::restart_trail(stage, &finder, &mut at);
}

/// AWS itself forbids the user what miners want. How it records that is not documented: this is a guess.
fn quarantine(stage: &mut Stage<'_>, user: &str, at: i64) {
    let account = stage.account.clone();
    let aws = Caller::new(
        Identity::Root {
            account: account.clone(),
            key: None,
            session: None,
        },
        "AWS Internal",
        &Agent::fixed("AWS Internal"),
        Hand::Service,
    );
    let call = iam::attach_user_policy(&account, user, iam::QUARANTINE);
    stage.act(&aws, at, regions::HOME, call);
}
