//! A scaling group of the owner starts and ends machines as the day goes, by the service's own hand.

use super::Hour;
use crate::attack::calendar::HOUR_SECS;
use crate::attack::calls::{ec2, launch};
use crate::attack::cast::Purpose;
use crate::attack::dice::Dice;
use crate::attack::event::{Caller, Event};
use crate::attack::identity::{Identity, Session};
use crate::attack::ids;

const SERVICE: &str = "autoscaling.amazonaws.com";

/// About so many events of scaling: machines that start, and end some hours later.
pub fn hour(hour: &Hour<'_>, wanted: f64, events: &mut Vec<Event>) {
    let mut dice = Dice::of(hour.seed, "fleet", hour.number);
    for _ in 0..dice.around(wanted / 2.0) {
        let account = dice.pick(&hour.cast.accounts).clone();
        let Some(role) = hour
            .cast
            .roles_for(&account, |it| it == Purpose::Service(SERVICE))
            .next()
        else {
            continue;
        };
        let at = hour.start() + dice.between(0, HOUR_SECS - 1);
        let region = "us-east-1";
        let identity = |at: i64, dice: &mut Dice| Identity::Role {
            role: role.name.clone(),
            name: "AutoScaling".to_owned(),
            key: Some(ids::access_key(dice, "ASIA", &account)),
            session: Session {
                created: at,
                ..Session::default()
            },
            invoked_by: Some(SERVICE),
        };
        let asked = launch::Wanted {
            kind: "m5.large",
            image: "ami-0c101f26f147fa7fd".to_owned(),
            is_windows: false,
            is_spot: dice.chance(40),
            count: 1,
            key_name: None,
            group: None,
            is_protected: false,
            is_public: false,
        };
        let machines = asked.machines(&mut dice, &account, region, at);
        let call = asked.run(&mut dice, &machines);
        let caller = Caller::service(identity(at, &mut dice), SERVICE);
        events.push(caller.call(&mut dice, at, &account, region, call));
        let end = at + dice.between(2 * HOUR_SECS, 9 * HOUR_SECS);
        let ended: Vec<_> = machines.iter().collect();
        let caller = Caller::service(identity(end, &mut dice), SERVICE);
        let call = ec2::terminate(&ended, "running");
        events.push(caller.call(&mut dice, end, &account, region, call));
    }
}
