//! Who and what there is before anything happens: accounts, people, roles, machines, trails.

use serde_json::{Value, json};

use super::Options;
use super::agents::Agent;
use super::calendar::{DAY_SECS, iso};
use super::dice::Dice;
use super::identity::RoleName;
use super::places::{self, Network};
use super::world::{Effect, GLOBAL, Thing};
use super::{TrailPlan, ids, regions};

mod machines;

pub use machines::{Machine, subnet, vpc};

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

/// What a role is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Hosted CI, by a token of the web.
    Ci,
    /// Machines.
    Instance,
    /// Functions.
    Function,
    /// Containers.
    Task,
    /// People who deploy, by a user's key.
    Deploy,
    /// People who come by the company's provider.
    Federated,
    /// A watcher from another account.
    Watcher,
    /// A service's own.
    Service(&'static str),
}

/// A role.
#[derive(Debug, Clone)]
pub struct Role {
    /// Its name.
    pub name: RoleName,
    /// What for.
    pub purpose: Purpose,
    /// When it was made.
    pub created: i64,
}

/// Everybody and everything.
#[derive(Debug, Clone)]
pub struct Cast {
    /// Account ids; the story is mostly about the first.
    pub accounts: Vec<String>,
    /// People.
    pub people: Vec<Person>,
    /// Roles, of each account.
    pub roles: Vec<Role>,
    /// Machines that run from beginning to end.
    pub machines: Vec<Machine>,
    /// The watcher's account and address.
    pub watcher: (String, String),
    /// The number in the name of the company's provider.
    pub provider: String,
    /// When the story begins.
    pub start: i64,
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

impl Cast {
    /// Draws everybody by lot.
    pub fn draw(seed: u64, options: &Options, start: i64) -> Self {
        let mut dice = Dice::of(seed, "cast", 0);
        let accounts: Vec<String> = (0..options.accounts.max(1))
            .map(|_| ids::account(&mut dice))
            .collect();
        let watcher = dice.pick(places::WATCHERS).address(&mut dice);
        let mut cast = Self {
            watcher: (ids::account(&mut dice), watcher),
            provider: dice.hex(16),
            accounts,
            people: Vec::new(),
            roles: Vec::new(),
            machines: Vec::new(),
            start,
        };
        cast.draw_roles(&mut dice, options);
        cast.draw_people(&mut dice, options);
        cast.machines = machines::draw(&mut dice, &cast, options);
        cast
    }

    fn draw_people(&mut self, dice: &mut Dice, options: &Options) {
        let office = dice.pick(places::OFFICES).address(dice);
        let vpn = dice.pick(places::VPNS).address(dice);
        for number in 0..options.users.max(4) {
            let is_federated = number >= 4 && dice.chance(30);
            let first = NAMES[number % NAMES.len()];
            let name = match is_federated {
                true => format!("{first}.{}@example.com", dice.pick(SURNAMES)),
                false if number < NAMES.len() => first.to_owned(),
                false => format!("{first}.{}", dice.pick(SURNAMES)),
            };
            let (home, ahead_hours) = *dice.pick(places::HOMES);
            let account = if number < 4 {
                0
            } else {
                number % self.accounts.len()
            };
            let created = self.start - dice.between(60, 900) * DAY_SECS - dice.between(0, 80_000);
            // The first is the admin whose key leaks, the second a colleague to be framed, the third
            // another admin, who finds out.
            let duty = match number {
                0 | 2 => Duty::Admin,
                _ => *dice.pick(&[
                    Duty::Developer,
                    Duty::Developer,
                    Duty::Operator,
                    Duty::Analyst,
                ]),
            };
            let key = Key {
                id: ids::access_key(dice, "AKIA", &self.accounts[account]),
                from: created + dice.between(600, 20 * DAY_SECS),
                until: None,
            };
            self.people.push(Person {
                id: ids::unique(dice, "AIDA"),
                account,
                duty,
                created,
                ahead_hours,
                home: home.address(dice),
                office: office.clone(),
                vpn: vpn.clone(),
                phone: *dice.pick(places::PHONES),
                cli: Agent::cli(dice),
                browser: Agent::browser(dice),
                keys: if is_federated { vec![] } else { vec![key] },
                has_console: !is_federated && dice.chance(70),
                has_mfa: dice.chance(60),
                is_federated,
                works: (i64::MIN, i64::MAX),
                name,
            });
        }
    }

    fn draw_roles(&mut self, dice: &mut Dice, options: &Options) {
        let mut wanted = vec![
            (Purpose::Deploy, "ops-deploy".to_owned()),
            (Purpose::Ci, "github-actions-deploy".to_owned()),
            (Purpose::Instance, "app-server".to_owned()),
            (Purpose::Function, "orders-function-role".to_owned()),
            (Purpose::Task, "ecsTaskRole-web".to_owned()),
            (
                Purpose::Federated,
                format!("AWSReservedSSO_AdministratorAccess_{}", dice.hex(16)),
            ),
            (Purpose::Watcher, "DatadogIntegrationRole".to_owned()),
            (
                Purpose::Service("autoscaling.amazonaws.com"),
                "AWSServiceRoleForAutoScaling".to_owned(),
            ),
            (
                Purpose::Service("config.amazonaws.com"),
                "AWSServiceRoleForConfig".to_owned(),
            ),
            (
                Purpose::Service("backup.amazonaws.com"),
                "AWSBackupDefaultServiceRole".to_owned(),
            ),
        ];
        for number in wanted.len()..options.roles {
            let purpose = *dice.pick(&[Purpose::Instance, Purpose::Function, Purpose::Task]);
            wanted.push((purpose, format!("worker-{number}")));
        }
        for account in &self.accounts {
            for (purpose, name) in &wanted {
                let path = match purpose {
                    Purpose::Federated => "/aws-reserved/sso.amazonaws.com/".to_owned(),
                    Purpose::Service(service) if name.starts_with("AWSServiceRole") => {
                        format!("/aws-service-role/{service}/")
                    }
                    Purpose::Service(_) => "/service-role/".to_owned(),
                    _ => "/".to_owned(),
                };
                self.roles.push(Role {
                    name: RoleName {
                        account: account.clone(),
                        path,
                        name: name.clone(),
                        id: ids::unique(dice, "AROA"),
                    },
                    purpose: *purpose,
                    created: self.start - dice.between(100, 900) * DAY_SECS,
                });
            }
        }
    }

    /// The roles of an account that serve a purpose.
    pub fn roles_for<'a>(
        &'a self,
        account: &'a str,
        is_one: impl Fn(Purpose) -> bool + 'a,
    ) -> impl Iterator<Item = &'a Role> {
        self.roles
            .iter()
            .filter(move |role| role.name.account == account && is_one(role.purpose))
    }

    /// What the world holds at the beginning.
    pub fn things(&self, options: &Options) -> Vec<Effect> {
        let mut things = Vec::new();
        let mut put = |thing, state| things.push(Effect::Put(thing, state));
        for person in self.people.iter().filter(|it| !it.is_federated) {
            let account = &self.accounts[person.account];
            let global = |kind, id: &str| Thing::global(account, kind, id);
            put(global("user", &person.name), user_state(account, person));
            for key in person.keys.iter().filter(|key| key.from <= self.start) {
                put(
                    global("access-key", &key.id),
                    key_state(&key.id, &person.name, key.from),
                );
            }
            if person.has_console {
                let state = json!({"UserName": person.name, "CreateDate": iso(person.created), "PasswordResetRequired": false});
                put(global("login-profile", &person.name), state);
            }
            if person.has_mfa {
                let serial = format!("arn:aws:iam::{account}:mfa/{}", person.name);
                let state = json!({"UserName": person.name, "SerialNumber": serial, "EnableDate": iso(person.created + 3_600)});
                put(global("mfa-device", &serial), state);
            }
        }
        for role in &self.roles {
            let thing = Thing::global(&role.name.account, "role", &role.name.name);
            put(thing, self.role_state(role));
        }
        for machine in &self.machines {
            put(machine.thing(), machine.state());
        }
        for account in &self.accounts {
            if matches!(options.trail, TrailPlan::Whole | TrailPlan::Stopped) {
                let thing = Thing::new(account, regions::HOME, "trail", "management");
                put(
                    thing,
                    trail_state(account, "management", self.start - 200 * DAY_SECS),
                );
            }
            if options.guardduty {
                let id = Dice::of(0, account, 1).hex(32);
                let state = json!({"DetectorId": id, "Status": "ENABLED", "CreatedAt": iso(self.start - 190 * DAY_SECS)});
                put(
                    Thing::new(account, regions::HOME, "guardduty-detector", &id),
                    state,
                );
            }
            let summary = json!({"AccountMFAEnabled": 1, "AccountAccessKeysPresent": 0, "Users": self.people.len()});
            put(
                Thing::new(account, GLOBAL, "account-summary", account),
                summary,
            );
        }
        things
    }

    fn role_state(&self, role: &Role) -> Value {
        let account = &role.name.account;
        let (action, principal) = match role.purpose {
            Purpose::Ci => (
                "sts:AssumeRoleWithWebIdentity",
                json!({"Federated": format!("arn:aws:iam::{account}:oidc-provider/token.actions.githubusercontent.com")}),
            ),
            Purpose::Federated => (
                "sts:AssumeRoleWithSAML",
                json!({"Federated": format!("arn:aws:iam::{account}:saml-provider/AWSSSO_{}_DO_NOT_DELETE", self.provider)}),
            ),
            Purpose::Watcher => (
                "sts:AssumeRole",
                json!({"AWS": format!("arn:aws:iam::{}:root", self.watcher.0)}),
            ),
            Purpose::Deploy => (
                "sts:AssumeRole",
                json!({"AWS": format!("arn:aws:iam::{account}:root")}),
            ),
            Purpose::Instance => ("sts:AssumeRole", json!({"Service": "ec2.amazonaws.com"})),
            Purpose::Function => ("sts:AssumeRole", json!({"Service": "lambda.amazonaws.com"})),
            Purpose::Task => (
                "sts:AssumeRole",
                json!({"Service": "ecs-tasks.amazonaws.com"}),
            ),
            Purpose::Service(service) => ("sts:AssumeRole", json!({"Service": service})),
        };
        json!({
            "Path": role.name.path,
            "RoleName": role.name.name,
            "RoleId": role.name.id,
            "Arn": role.name.arn(),
            "CreateDate": iso(role.created),
            "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Principal": principal, "Action": action}
            ]},
            "MaxSessionDuration": 3600,
            "AttachedManagedPolicies": [],
        })
    }
}

/// A trail that covers all regions.
pub fn trail_state(account: &str, name: &str, since: i64) -> Value {
    json!({
        "Name": name,
        "S3BucketName": format!("trail-{account}"),
        "TrailARN": format!("arn:aws:cloudtrail:{}:{account}:trail/{name}", regions::HOME),
        "HomeRegion": regions::HOME,
        "IsMultiRegionTrail": true,
        "IncludeGlobalServiceEvents": true,
        "LogFileValidationEnabled": true,
        "IsLogging": true,
        "StartLoggingTime": iso(since),
    })
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
