//! Hosted CI deploys: a token of the web is exchanged for a role, from an address that is never the same.

use serde_json::json;

use super::Hour;
use crate::attack::agents::Agent;
use crate::attack::calendar::HOUR_SECS;
use crate::attack::calls::{self, sts};
use crate::attack::cast::{Purpose, Role};
use crate::attack::dice::Dice;
use crate::attack::event::{Call, Caller, Event, Hand};
use crate::attack::identity::{Identity, Session};
use crate::attack::{places, regions};

/// How many calls a run makes.
const CALLS_IN_RUN: f64 = 9.0;

const LOOKS: &[(&str, &str)] = &[
    ("ecr", "GetAuthorizationToken"),
    ("ecr", "DescribeImages"),
    ("ecs", "DescribeServices"),
    ("ecs", "DescribeTaskDefinition"),
    ("cloudformation", "DescribeStacks"),
    ("cloudformation", "DescribeStackEvents"),
    ("s3", "GetBucketLocation"),
    ("iam", "GetRole"),
];

/// The subject of the tokens of a role.
pub fn subject(number: u64) -> String {
    format!("repo:example-org/service-{number}:ref:refs/heads/main")
}

/// Whoever holds a token and takes the role with it: the session, and the event of taking it.
pub fn take_role(
    role: &Role,
    caller: &Caller,
    run: u64,
    subject: &str,
    at: i64,
    dice: &mut Dice,
) -> (Identity, Call) {
    let provider = format!(
        "arn:aws:iam::{}:oidc-provider/token.actions.githubusercontent.com",
        role.name.account
    );
    let session = match caller.hand {
        Hand::Owner => format!("GitHubActions-{run}"),
        _ => "GitHubActions".to_owned(),
    };
    let (call, key) =
        sts::assume_role_with_web_identity(dice, &role.name, &session, subject, &provider, at);
    let identity = Identity::Role {
        role: role.name.clone(),
        name: session,
        key: Some(key),
        session: Session {
            created: at,
            web: Some((provider, json!({}))),
            ..Session::default()
        },
        invoked_by: None,
    };
    (identity, call)
}

/// Somebody who shows a token.
pub fn holder(role: &Role, subject: &str) -> Identity {
    Identity::Web {
        provider: format!(
            "arn:aws:iam::{}:oidc-provider/token.actions.githubusercontent.com",
            role.name.account
        ),
        audience: "sts.amazonaws.com".to_owned(),
        subject: subject.to_owned(),
    }
}

/// About so many events of CI.
pub fn hour(hour: &Hour<'_>, wanted: f64, events: &mut Vec<Event>) {
    let mut dice = Dice::of(hour.seed, "ci", hour.number);
    for _ in 0..dice.around(wanted / CALLS_IN_RUN) {
        let account = dice.pick(&hour.cast.accounts).clone();
        let Some(role) = hour
            .cast
            .roles_for(&account, |purpose| purpose == Purpose::Ci)
            .next()
        else {
            continue;
        };
        let mut at = hour.start() + dice.between(0, HOUR_SECS - 600);
        let address = dice.pick(places::RUNNERS).address(&mut dice);
        let agent = match dice.chance(40) {
            true => Agent::terraform(),
            false => Agent::fixed(
                "aws-sdk-nodejs/2.1583.0 linux/v20.12.2 configure-aws-credentials-for-github-actions promise",
            ),
        };
        let subject = subject(dice.roll(4));
        let caller = Caller::new(holder(role, &subject), &address, &agent, Hand::Owner);
        let run = dice.roll(9_000_000_000);
        let (identity, call) = take_role(role, &caller, run, &subject, at, &mut dice);
        events.push(caller.call(&mut dice, at, &account, regions::HOME, call));
        let caller = caller.signing(identity);
        let region = dice.one(&regions::USUAL[..2]);
        for _ in 0..dice.around(CALLS_IN_RUN - 2.0) {
            at += dice.between(1, 30);
            let (service, action) = dice.one(LOOKS);
            events.push(caller.call(
                &mut dice,
                at,
                &account,
                region,
                calls::look(service, action),
            ));
        }
        at += dice.between(1, 30);
        let request = json!({"cluster": "web", "service": "web", "taskDefinition": format!("web:{}", dice.roll(400)), "forceNewDeployment": true});
        let deploy = Call::new("ecs", "UpdateService", request);
        events.push(caller.call(&mut dice, at, &account, region, deploy));
    }
}
