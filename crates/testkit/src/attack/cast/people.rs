//! People: where they are, what they call with, and which keys they use.

use serde_json::{Value, json};

use super::Cast;
use crate::attack::agents::Agent;
use crate::attack::calendar::{DAY_SECS, iso};
use crate::attack::dice::Dice;
use crate::attack::places::{self, Network};
use crate::attack::{Options, ids};

/// What somebody is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duty {
    /// May do everything.
    Admin,
    /// Writes programs.
    Developer,
    /// Runs machines.
    Operator,
    /// Looks at data.
    Analyst,
}

/// A long-term key, and from when to when its owner uses it.
#[derive(Debug, Clone)]
pub struct Key {
    /// Its id.
    pub id: String,
    /// When it was made.
    pub from: i64,
    /// When the owner stopped using it.
    pub until: Option<i64>,
}

/// Somebody who works here.
#[derive(Debug, Clone)]
pub struct Person {
    /// The name of the user, or of the sessions of a role given by the company's provider.
    pub name: String,
    /// `AIDA…`.
    pub id: String,
    /// Which of the accounts.
    pub account: usize,
    /// What for.
    pub duty: Duty,
    /// When the user was made.
    pub created: i64,
    /// How far clocks at home are ahead of UTC.
    pub ahead_hours: i64,
    /// The address at home, and the network that gives out another one now and then.
    pub home: String,
    /// The office's address.
    pub office: String,
    /// The VPN's exit, which colleagues share.
    pub vpn: String,
    /// The phone's network.
    pub phone: Network,
    /// The command line.
    pub cli: Agent,
    /// The browser.
    pub browser: Agent,
    /// Keys, the oldest first.
    pub keys: Vec<Key>,
    /// Whether there is a password.
    pub has_console: bool,
    /// Whether there is a second factor.
    pub has_mfa: bool,
    /// Comes by the company's provider and has no user.
    pub is_federated: bool,
    /// From when to when somebody works at all.
    pub works: (i64, i64),
}

impl Person {
    /// The key that the owner uses at a moment.
    pub fn key(&self, at: i64) -> Option<&str> {
        let in_use = |key: &&Key| key.from <= at && key.until.is_none_or(|until| at < until);
        self.keys.iter().rev().find(in_use).map(|key| &*key.id)
    }

    /// The user's ARN.
    pub fn arn(&self, cast: &Cast) -> String {
        format!(
            "arn:aws:iam::{}:user/{}",
            cast.accounts[self.account], self.name
        )
    }
}

const NAMES: &[&str] = &[
    "alice", "bruno", "chen", "dana", "emeka", "farah", "goran", "hanna", "ivan", "jia", "kofi",
    "lena", "marco", "nadia", "oskar", "priya", "quinn", "rosa", "samir", "tara", "ulrich", "vera",
    "wanda", "xavier", "yuki", "zoe",
];

const SURNAMES: &[&str] = &[
    "almeida", "becker", "costa", "dubois", "eriksen", "fischer", "gupta", "haddad", "ito",
    "jansen", "kim", "lopez", "meyer", "novak", "okafor", "petrov", "rossi", "sato", "tanaka",
    "weber",
];

/// Draws people by lot. The first is an admin, whose key leaks in many stories; the second is a
/// colleague; the third another admin, who finds out.
pub fn draw(dice: &mut Dice, cast: &Cast, options: &Options) -> Vec<Person> {
    let office = dice.pick(places::OFFICES).address(dice);
    let vpn = dice.pick(places::VPNS).address(dice);
    let mut people: Vec<Person> = Vec::new();
    for number in 0..options.users.max(4) {
        let is_federated = number >= 4 && dice.chance(30);
        let first = NAMES[number % NAMES.len()];
        let name = match is_federated {
            true => format!("{first}.{}@example.com", dice.pick(SURNAMES)),
            false if number < NAMES.len() => first.to_owned(),
            false => format!("{first}.{}", dice.pick(SURNAMES)),
        };
        let account = if number < 4 {
            0
        } else {
            number % cast.accounts.len()
        };
        let created = cast.start - dice.between(60, 900) * DAY_SECS - dice.between(0, 80_000);
        let duty = match number {
            0 | 2 => Duty::Admin,
            _ => dice.one(&[
                Duty::Developer,
                Duty::Developer,
                Duty::Operator,
                Duty::Analyst,
            ]),
        };
        let mut person = hire(dice, name, duty, created);
        person.account = account;
        person.office.clone_from(&office);
        person.vpn.clone_from(&vpn);
        person.is_federated = is_federated;
        person.has_console = !is_federated && dice.chance(70);
        if !is_federated {
            person.keys.push(Key {
                id: ids::access_key(dice, "AKIA", &cast.accounts[account]),
                from: created + dice.between(600, 20 * DAY_SECS),
                until: None,
            });
        }
        people.push(person);
    }
    people
}

/// Somebody of the first account who has no key yet.
pub fn hire(dice: &mut Dice, name: String, duty: Duty, created: i64) -> Person {
    let (home, ahead_hours) = dice.one(places::HOMES);
    Person {
        name,
        id: ids::unique(dice, "AIDA"),
        account: 0,
        duty,
        created,
        ahead_hours,
        home: home.address(dice),
        office: String::new(),
        vpn: String::new(),
        phone: dice.one(places::PHONES),
        cli: Agent::cli(dice),
        browser: Agent::browser(dice),
        keys: Vec::new(),
        has_console: false,
        has_mfa: dice.chance(60),
        is_federated: false,
        works: (i64::MIN, i64::MAX),
    }
}

/// A user as IAM prints it.
pub fn user_state(account: &str, person: &Person) -> Value {
    let policies = match person.duty {
        Duty::Admin => {
            json!([{"PolicyName": "AdministratorAccess", "PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}])
        }
        Duty::Operator => {
            json!([{"PolicyName": "AmazonEC2FullAccess", "PolicyArn": "arn:aws:iam::aws:policy/AmazonEC2FullAccess"}])
        }
        _ => {
            json!([{"PolicyName": "PowerUserAccess", "PolicyArn": "arn:aws:iam::aws:policy/PowerUserAccess"}])
        }
    };
    json!({
        "Path": "/",
        "UserName": person.name,
        "UserId": person.id,
        "Arn": format!("arn:aws:iam::{account}:user/{}", person.name),
        "CreateDate": iso(person.created),
        "Groups": [],
        "AttachedManagedPolicies": policies,
        "UserPolicyList": [],
    })
}

/// A key as IAM prints it, never used yet.
pub fn key_state(id: &str, user: &str, created: i64) -> Value {
    json!({
        "UserName": user,
        "AccessKeyId": id,
        "Status": "Active",
        "CreateDate": iso(created),
        "AccessKeyLastUsed": {"ServiceName": "N/A", "Region": "N/A"},
    })
}
