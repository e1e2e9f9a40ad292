//! The intruder comes by the VPN that the owner uses too, at the owner's hours, with the owner's tool.
//! Whoever reads these logs cannot tell who it was, and must say so.

use super::intruder::{self, Campaign};
use super::response;
use super::stage::Stage;
use crate::attack::calendar::{DAY_SECS, HOUR_SECS, local_day, local_moment};
use crate::attack::calls::{launch, sts};
use crate::attack::event::{Caller, Hand};
use crate::attack::regions;
use crate::attack::truth::Verdict;

const VICTIM: usize = 0;
const FINDER: usize = 2;

/// Has it happen.
pub fn play(stage: &mut Stage<'_>) {
    let victim = stage.cast.people[VICTIM].clone();
    let arn = stage.arn(VICTIM);
    // In the middle of the owner's day, or the next.
    let noon = 12 * HOUR_SECS + stage.dice.between(0, 3 * HOUR_SECS);
    let day = local_day(stage.attack, victim.ahead_hours);
    let today = local_moment(day, noon, victim.ahead_hours);
    let mut at = match today < stage.attack {
        true => today + DAY_SECS,
        false => today,
    };
    stage.attack = at;
    let Some(key) = victim.key(at).map(str::to_owned) else {
        return;
    };
    let identity = intruder::user_key(stage, VICTIM, &key);
    let caller = Caller::new(identity, &victim.vpn, &victim.cli, Hand::Intruder);
    let first = stage.act(&caller, at, regions::HOME, sts::get_caller_identity());
    stage.began(&first, at, &caller, &arn, "shared-exit");
    stage
        .truth
        .credentials
        .push(intruder::stolen(&key, &arn, true));
    stage.truth.judge(&arn, &victim.name, Verdict::Undecidable);
    let campaign = Campaign {
        machines: stage.dice.between(8, 20) as usize,
        regions: 4,
        kind: stage.dice.one(launch::LARGE),
        is_windows: false,
        is_spot: false,
        is_protected: false,
    };
    intruder::launch(stage, &caller, &mut at, &campaign);
    at = at.max(stage.attack + stage.options.attack_days * DAY_SECS);
    let Some(finder) = stage.owner(FINDER, at) else {
        return;
    };
    response::clean_up(stage, &finder, &mut at);
    response::disable_key(stage, &finder, &mut at, VICTIM, &key);
    response::restart_trail(stage, &finder, &mut at);
}
