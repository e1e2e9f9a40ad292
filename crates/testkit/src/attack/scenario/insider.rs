//! Somebody mines on the employer's account: with the own key, from the own home, with the own tools.

use super::intruder::{self, Campaign};
use super::response;
use super::stage::Stage;
use crate::attack::calendar::DAY_SECS;
use crate::attack::calls::launch;
use crate::attack::cast::Duty;
use crate::attack::event::{Caller, Hand};
use crate::attack::regions;
use crate::attack::truth::Verdict;

const INSIDER: usize = 3;
const FINDER: usize = 2;

/// Has it happen.
pub fn play(stage: &mut Stage<'_>) {
    stage.cast.people[INSIDER].duty = Duty::Operator;
    let person = stage.cast.people[INSIDER].clone();
    let arn = stage.arn(INSIDER);
    let mut at = stage.attack;
    let Some(owner) = stage.owner(INSIDER, at) else {
        return;
    };
    let caller = Caller {
        hand: Hand::Intruder,
        ..owner
    };
    let first = stage.act(
        &caller,
        at,
        regions::HOME,
        crate::attack::calls::get_service_quota("ec2", "L-DB2E81BA"),
    );
    stage.began(&first, at, &caller, &arn, "insider");
    if let Some(key) = person.key(at) {
        stage
            .truth
            .credentials
            .push(intruder::stolen(key, &arn, true));
    }
    stage.truth.judge(&arn, &person.name, Verdict::Insider);
    let campaign = Campaign {
        machines: stage.dice.between(5, 14) as usize,
        regions: 3,
        kind: stage.dice.one(launch::ACCELERATED),
        is_windows: false,
        is_spot: stage.dice.chance(30),
        is_protected: false,
    };
    intruder::launch(stage, &caller, &mut at, &campaign);
    let until = stage.attack + stage.options.attack_days * DAY_SECS;
    while at < until {
        at += stage.dice.between(DAY_SECS / 2, 2 * DAY_SECS);
        // From wherever the insider is that day.
        if let (Some(owner), Some(loot)) = (stage.owner(INSIDER, at), stage.loot.first()) {
            let region = loot.machine.region;
            let caller = Caller {
                hand: Hand::Intruder,
                ..owner
            };
            stage.act(
                &caller,
                at,
                region,
                crate::attack::calls::ec2::describe_instances(&[]),
            );
        }
    }
    let Some(finder) = stage.owner(FINDER, at) else {
        return;
    };
    response::clean_up(stage, &finder, &mut at);
    response::restart_trail(stage, &finder, &mut at);
}
