//! A token of hosted CI is taken out of a build and shown to AWS from elsewhere.

use super::intruder::{self, Campaign, Intruder};
use super::response;
use super::stage::Stage;
use crate::attack::background::ci;
use crate::attack::calendar::DAY_SECS;
use crate::attack::calls::launch;
use crate::attack::cast::Purpose;
use crate::attack::regions;
use crate::attack::truth::Verdict;

const FINDER: usize = 2;

/// Has it happen.
pub fn play(stage: &mut Stage<'_>) {
    let account = stage.account.clone();
    let Some(role) = stage
        .cast
        .roles_for(&account, |it| it == Purpose::Ci)
        .next()
        .cloned()
    else {
        return;
    };
    let intruder = Intruder::draw(stage);
    let arn = role.name.arn();
    stage
        .truth
        .judge(&arn, &role.name.name, Verdict::CompromisedOwnerInnocent);
    let subject = match stage.dice.chance(50) {
        true => ci::subject(stage.dice.roll(4)),
        false => "repo:example-org/service-1:pull_request".to_owned(),
    };
    let mut at = stage.attack;
    // Sessions last an hour; a build that leaks tokens leaks the next one too.
    for turn in 0..stage.dice.between(1, 3) {
        let holder = intruder.signing(ci::holder(&role, &subject));
        let (identity, call) = ci::take_role(&role, &holder, 0, &subject, at, &mut stage.dice);
        let event = stage.act(&holder, at, regions::HOME, call);
        let key = identity.key().unwrap_or_default().to_owned();
        stage
            .truth
            .credentials
            .push(intruder::made(&key, &arn, None, &event, at));
        let caller = holder.signing(identity);
        if turn == 0 {
            stage.began(&event, at, &holder, &arn, "web-identity-token");
            intruder::reconnoitre(stage, &caller, &mut at);
            intruder::probe_quotas(stage, &caller, &mut at);
        }
        let campaign = Campaign {
            machines: stage.dice.between(6, 20) as usize,
            regions: 4,
            kind: stage.dice.one(launch::LARGE),
            is_windows: false,
            is_spot: stage.dice.chance(70),
            is_protected: false,
        };
        intruder::launch(stage, &caller, &mut at, &campaign);
        at += stage.dice.between(6 * 3_600, DAY_SECS);
    }
    at = at.max(stage.attack + stage.options.attack_days * DAY_SECS);
    let Some(finder) = stage.owner(FINDER, at) else {
        return;
    };
    response::clean_up(stage, &finder, &mut at);
    response::restart_trail(stage, &finder, &mut at);
}
