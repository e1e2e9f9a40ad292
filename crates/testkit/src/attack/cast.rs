//! Who and what there is before anything happens: accounts, people, roles, machines, trails.

use serde_json::{Value, json};

use super::Options;
use super::calendar::{DAY_SECS, iso};
use super::dice::Dice;
use super::identity::RoleName;
use super::places;
use super::world::{Effect, GLOBAL, Thing};
use super::{TrailPlan, ids, regions};

mod machines;
mod people;

pub use machines::{Machine, subnet, vpc};
pub use people::{Duty, Key, Person, hire, key_state, user_state};

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
    /// What other roles take to do more.
    Automation,
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
        cast.people = people::draw(&mut dice, &cast, options);
        cast.machines = machines::draw(&mut dice, &cast, options);
        cast
    }

    fn draw_roles(&mut self, dice: &mut Dice, options: &Options) {
        let mut wanted = vec![
            (Purpose::Deploy, "ops-deploy".to_owned()),
            (Purpose::Automation, "automation-admin".to_owned()),
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
            let purpose = dice.one(&[Purpose::Instance, Purpose::Function, Purpose::Task]);
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
        for person in self
            .people
            .iter()
            .filter(|it| it.created <= self.start && !it.is_federated)
        {
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
            Purpose::Deploy | Purpose::Automation => (
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
