//! What people do in a few calls at a time.

use serde_json::json;

use crate::attack::calls::{self, ec2, launch, sts};
use crate::attack::cast::Duty;
use crate::attack::dice::Dice;
use crate::attack::event::{Call, Caller, Event};
use crate::attack::regions;

/// Where and for whom.
pub struct Errand<'a> {
    /// The account.
    pub account: &'a str,
    /// The region of services that have one.
    pub region: &'static str,
    /// What the person is there for.
    pub duty: Duty,
}

type Look = (&'static str, &'static str);

const MACHINES: &[Look] = &[
    ("ec2", "DescribeInstances"),
    ("ec2", "DescribeInstanceStatus"),
    ("ec2", "DescribeVolumes"),
    ("ec2", "DescribeTags"),
    ("ec2", "DescribeSecurityGroups"),
    ("ec2", "DescribeVpcs"),
    ("ec2", "DescribeSubnets"),
    ("elasticloadbalancing", "DescribeLoadBalancers"),
    ("monitoring", "DescribeAlarms"),
    ("autoscaling", "DescribeAutoScalingGroups"),
];

const PROGRAMS: &[Look] = &[
    ("lambda", "ListFunctions20150331"),
    ("logs", "DescribeLogGroups"),
    ("logs", "FilterLogEvents"),
    ("ecr", "DescribeRepositories"),
    ("ecs", "DescribeServices"),
    ("ecs", "ListTasks"),
    ("cloudformation", "DescribeStacks"),
    ("secretsmanager", "ListSecrets"),
    ("sqs", "ListQueues"),
];

const PEOPLE: &[Look] = &[
    ("iam", "ListUsers"),
    ("iam", "ListRoles"),
    ("iam", "ListAccessKeys"),
    ("iam", "GetAccountSummary"),
    ("iam", "ListAttachedUserPolicies"),
    ("iam", "GenerateCredentialReport"),
    ("iam", "GetAccountAuthorizationDetails"),
    ("organizations", "ListAccounts"),
    ("ce", "GetCostAndUsage"),
];

const DATA: &[Look] = &[
    ("s3", "ListBuckets"),
    ("s3", "GetBucketLocation"),
    ("s3", "GetBucketAcl"),
    ("athena", "ListQueryExecutions"),
    ("athena", "StartQueryExecution"),
    ("glue", "GetTables"),
    ("rds", "DescribeDBInstances"),
    ("kms", "ListAliases"),
];

/// Makes the calls of one errand.
pub fn run(
    errand: &Errand<'_>,
    caller: &Caller,
    at: i64,
    dice: &mut Dice,
    events: &mut Vec<Event>,
) {
    let looks = match (errand.duty, dice.roll(10)) {
        (Duty::Admin, 0..5) => PEOPLE,
        (Duty::Operator | Duty::Admin, _) => MACHINES,
        (Duty::Developer, 0..7) => PROGRAMS,
        (Duty::Analyst, 0..=8) => DATA,
        (_, 9) => MACHINES,
        _ => PROGRAMS,
    };
    let mut at = at;
    let mut call = |dice: &mut Dice, wait: i64, call: Call| {
        at += dice.between(0, wait);
        let region = match call.service {
            "iam" | "sts" | "organizations" | "ce" => regions::HOME,
            _ => errand.region,
        };
        events.push(caller.call(dice, at, errand.account, region, call));
        at
    };
    if dice.chance(15) && !caller.agent.is_browser() {
        call(dice, 3, sts::get_caller_identity());
    }
    if matches!(errand.duty, Duty::Operator | Duty::Admin) && dice.chance(4) {
        call(dice, 5, calls::get_service_quota("ec2", "L-1216C47A"));
    }
    for _ in 0..dice.between(2, 9) {
        let (service, action) = dice.one(looks);
        let looked = match action {
            "DescribeInstances" => ec2::describe_instances(&[]),
            _ => calls::look(service, action),
        };
        // Nobody may do everything, and nobody may ask too often.
        let looked = match dice.roll(100) {
            0..3 if errand.duty != Duty::Admin => {
                calls::denied(looked, &caller.identity, errand.account)
            }
            3 if service == "ec2" => looked.refused(
                "Client.RequestLimitExceeded",
                "Request limit exceeded.".to_owned(),
            ),
            _ => looked,
        };
        call(dice, 40, looked);
    }
    match (errand.duty, dice.roll(100)) {
        (Duty::Developer, 0..12) => {
            let name = format!("orders-{}", dice.roll(6));
            let request = json!({"functionName": name, "publish": false, "dryRun": false});
            call(
                dice,
                90,
                Call::new("lambda", "UpdateFunctionCode20150331v2", request),
            );
        }
        (Duty::Operator | Duty::Developer, 12..16) => try_a_machine(errand, dice, &mut call),
        _ => {}
    }
}

/// Somebody starts one small machine to try something, and ends it afterwards.
fn try_a_machine(
    errand: &Errand<'_>,
    dice: &mut Dice,
    call: &mut impl FnMut(&mut Dice, i64, Call) -> i64,
) {
    let wanted = launch::Wanted {
        kind: dice.one(&["t3.micro", "t3.large", "m5.large"]),
        image: crate::attack::ids::resource(dice, "ami"),
        is_windows: false,
        is_spot: false,
        count: 1,
        key_name: Some("ops-2024".to_owned()),
        group: None,
        is_protected: false,
        is_public: true,
    };
    let at = call(dice, 20, calls::look("ec2", "DescribeImages"));
    let machines = wanted.machines(dice, errand.account, errand.region, at);
    let run = wanted.run(dice, &machines);
    call(dice, 10, run);
    call(dice, 60, ec2::describe_instances(&[&machines[0].id]));
    let ended: Vec<_> = machines.iter().collect();
    call(dice, 5_000, ec2::terminate(&ended, "running"));
}
