//! People at work: on workdays, at their hours, from home, the office, the VPN or a phone, and now and
//! then from a country they have never been to.

use std::sync::Arc;

use super::Hour;
use super::errands::{self, Errand};
use crate::attack::agents::Agent;
use crate::attack::calendar::{HOUR_SECS, is_weekend, local_day, local_moment};
use crate::attack::calls::{signin, sts};
use crate::attack::cast::{Cast, Person, Purpose};
use crate::attack::dice::Dice;
use crate::attack::event::{Caller, Event, Hand};
use crate::attack::identity::{Identity, Session};
use crate::attack::{ids, places, regions};

/// How many errands somebody runs in an hour of work.
const ERRANDS_AN_HOUR: f64 = 1.1;

/// A day of somebody's work.
struct Day {
    number: i64,
    start: i64,
    end: i64,
    /// Where, until noon and after.
    addresses: [String; 2],
    noon: i64,
    is_abroad: bool,
    comes_by_console: bool,
}

/// The events of everybody in an hour.
pub fn hour(hour: &Hour<'_>, events: &mut Vec<Event>) {
    for (index, person) in hour.cast.people.iter().enumerate() {
        let day = local_day(hour.start(), person.ahead_hours);
        let Some(day) = plan(hour.seed, index, person, day) else {
            continue;
        };
        let mut dice = Dice::of(hour.seed, &person.id, hour.number);
        let (from, until) = (hour.start(), hour.start() + HOUR_SECS);
        let is_in = |at: i64| at >= person.works.0 && at < person.works.1;
        if (from..until).contains(&day.start) && is_in(day.start) {
            sign_in(hour, index, person, &day, events);
        }
        if day.end <= from || day.start >= until {
            continue;
        }
        for _ in 0..dice.around(ERRANDS_AN_HOUR) {
            let at = dice.between(
                from.max(day.start + 120),
                until.min(day.end).max(day.start + 121),
            );
            if !is_in(at) {
                continue;
            }
            let Some(caller) = caller(hour.seed, hour.cast, index, person, &day, at) else {
                continue;
            };
            errand(hour, person, caller, at, &mut dice, events);
        }
    }
}

/// When and where somebody works on a day; nothing on a day off.
fn plan(seed: u64, index: usize, person: &Person, number: i64) -> Option<Day> {
    let of = |name: &str, number: i64| Dice::of(seed ^ index as u64, name, number);
    let mut dice = of("day", number);
    let works = dice.chance(if is_weekend(number) { 6 } else { 88 });
    if !works {
        return None;
    }
    let moment = |second| local_moment(number, second, person.ahead_hours);
    let start = moment(dice.between(7 * HOUR_SECS, 10 * HOUR_SECS));
    let end = moment(dice.between(16 * HOUR_SECS, 19 * HOUR_SECS));
    let is_abroad = of("travel", number.div_euclid(7)).chance(4);
    let home = match of("lease", number.div_euclid(15)).chance(30) {
        // Now and then the provider gives out another address.
        true => lease(&person.home, &mut of("leased", number.div_euclid(15))),
        false => person.home.clone(),
    };
    let addresses = if is_abroad {
        let mut dice = of("abroad", number.div_euclid(7));
        let hotel = dice.pick(places::TRAVELS).address(&mut dice);
        [hotel.clone(), hotel]
    } else {
        match dice.roll(100) {
            0..45 => [person.office.clone(), person.office.clone()],
            45..80 => [home.clone(), home],
            80..92 => [person.vpn.clone(), person.vpn.clone()],
            _ => [person.phone.address(&mut dice), person.office.clone()],
        }
    };
    let comes_by_console = person.has_console && dice.chance(45);
    Some(Day {
        number,
        start,
        end,
        addresses,
        noon: moment(12 * HOUR_SECS),
        // A country that nobody has seen before is entered with the second factor at least.
        comes_by_console: comes_by_console || (is_abroad && person.has_console && person.has_mfa),
        is_abroad,
    })
}

/// Another address of the same network.
fn lease(address: &str, dice: &mut Dice) -> String {
    let mut parts: Vec<String> = address.split('.').map(str::to_owned).collect();
    for part in parts.iter_mut().skip(2) {
        *part = dice.between(2, 250).to_string();
    }
    parts.join(".")
}

impl Day {
    fn address(&self, at: i64) -> &str {
        &self.addresses[usize::from(at >= self.noon)]
    }
}

fn account(cast: &Cast, person: &Person) -> String {
    cast.accounts[person.account].clone()
}

/// The day's session at the console or by the company's provider.
fn session(seed: u64, index: usize, day: &Day) -> Dice {
    Dice::of(seed ^ index as u64, "session", day.number)
}

fn sign_in(hour: &Hour<'_>, index: usize, person: &Person, day: &Day, events: &mut Vec<Event>) {
    let account = account(hour.cast, person);
    let mut dice = session(hour.seed, index, day);
    let address = day.address(day.start);
    if person.is_federated {
        let Some(role) = hour
            .cast
            .roles_for(&account, |purpose| purpose == Purpose::Federated)
            .next()
        else {
            return;
        };
        let provider = format!(
            "arn:aws:iam::{account}:saml-provider/AWSSSO_{}_DO_NOT_DELETE",
            hour.cast.provider
        );
        let (call, _) =
            sts::assume_role_with_saml(&mut dice, &role.name, &person.name, &provider, day.start);
        let identity = Identity::Saml {
            hash: format!("{}=", ids::file(&mut Dice::of(0, &hour.cast.provider, 0))),
            name: person.name.clone(),
            provider,
        };
        let agent = Agent::fixed(
            "aws-internal/3 aws-sdk-java/1.12.690 Linux/5.10.213-179.855.amzn2int.x86_64 OpenJDK_64-Bit_Server_VM/25.402-b08 java/1.8.0_402",
        );
        let caller = Caller::new(identity, address, &agent, Hand::Owner);
        events.push(caller.call(&mut dice, day.start, &account, regions::HOME, call));
    } else if day.comes_by_console {
        let identity = user(hour.cast, person, None, None);
        let caller = Caller::new(identity, address, &person.browser, Hand::Owner);
        let call = signin::user_login(&account, &person.name, person.has_mfa, day.start);
        events.push(caller.call(&mut dice, day.start, &account, regions::HOME, call));
    }
}

fn user(cast: &Cast, person: &Person, key: Option<String>, session: Option<Session>) -> Identity {
    Identity::User {
        account: account(cast, person),
        name: person.name.clone(),
        id: person.id.clone(),
        key,
        session,
        invoked_by: None,
    }
}

/// How somebody would call at a moment of the day, whether at work or not; nothing without a key.
pub fn caller_at(seed: u64, cast: &Cast, index: usize, at: i64) -> Option<Caller> {
    let person = &cast.people[index];
    let day = local_day(at, person.ahead_hours);
    let day = (0..30).find_map(|back| plan(seed, index, person, day - back))?;
    let key = person.key(at)?.to_owned();
    let identity = user(cast, person, Some(key), None);
    Some(Caller::new(
        identity,
        day.address(at),
        &person.cli,
        Hand::Owner,
    ))
}

fn caller(
    seed: u64,
    cast: &Cast,
    index: usize,
    person: &Person,
    day: &Day,
    at: i64,
) -> Option<Caller> {
    let account = account(cast, person);
    let address = day.address(at);
    if person.is_federated {
        let role = cast
            .roles_for(&account, |purpose| purpose == Purpose::Federated)
            .next()?;
        // The same lots as at the sign-in give the same key.
        let mut dice = session(seed, index, day);
        let (_, key) =
            sts::assume_role_with_saml(&mut dice, &role.name, &person.name, "", day.start);
        let identity = Identity::Role {
            role: role.name.clone(),
            name: person.name.clone(),
            key: Some(key),
            session: Session {
                created: day.start,
                ..Session::default()
            },
            invoked_by: None,
        };
        return Some(Caller::new(identity, address, &person.cli, Hand::Owner));
    }
    let mut dice = Dice::of(seed, &person.id, at);
    if day.comes_by_console && (day.is_abroad || dice.chance(60)) {
        let key = ids::access_key(&mut session(seed, index, day), "ASIA", &account);
        let session = Session {
            created: day.start,
            has_mfa: person.has_mfa,
            ..Session::default()
        };
        let identity = user(cast, person, Some(key), Some(session));
        return Some(Caller::new(identity, address, &person.browser, Hand::Owner));
    }
    let key = person.key(at)?.to_owned();
    let identity = user(cast, person, Some(key), None);
    Some(Caller::new(identity, address, &person.cli, Hand::Owner))
}

/// Runs an errand: some calls, seconds apart; deployments by the role that is there for them.
fn errand(
    hour: &Hour<'_>,
    person: &Person,
    mut caller: Caller,
    at: i64,
    dice: &mut Dice,
    events: &mut Vec<Event>,
) {
    let account = account(hour.cast, person);
    let region = dice.one(&regions::USUAL[..2]);
    let mut at = at;
    let is_user = caller.identity.user().is_some() && !caller.agent.is_browser();
    if is_user && dice.chance(25) {
        let role = hour
            .cast
            .roles_for(&account, |purpose| purpose == Purpose::Deploy)
            .next();
        if let Some(role) = role {
            let (call, key) = sts::assume_role(dice, &role.name, &person.name, None, at);
            events.push(caller.call(dice, at, &account, regions::HOME, call));
            caller.identity = Arc::new(Identity::Role {
                role: role.name.clone(),
                name: person.name.clone(),
                key: Some(key),
                session: Session {
                    created: at,
                    ..Session::default()
                },
                invoked_by: None,
            });
            at += dice.between(1, 6);
        }
    }
    let errand = Errand {
        account: &account,
        region,
        duty: person.duty,
    };
    errands::run(&errand, &caller, at, dice, events);
}
