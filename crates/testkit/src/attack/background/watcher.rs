//! A watcher from another account looks at everything, each hour, always from the same address.

use serde_json::Value;

use super::Hour;
use crate::attack::agents::Agent;
use crate::attack::calendar::HOUR_SECS;
use crate::attack::calls::sts;
use crate::attack::cast::Purpose;
use crate::attack::dice::Dice;
use crate::attack::event::{Call, Caller, Event, Hand};
use crate::attack::identity::{Identity, Session};
use crate::attack::regions;

const LOOKS: &[(&str, &str)] = &[
    ("ec2", "DescribeInstances"),
    ("ec2", "DescribeInstanceStatus"),
    ("ec2", "DescribeVolumes"),
    ("ec2", "DescribeRegions"),
    ("ec2", "DescribeReservedInstances"),
    ("monitoring", "ListMetrics"),
    ("monitoring", "GetMetricData"),
    ("rds", "DescribeDBInstances"),
    ("lambda", "ListFunctions20150331"),
    ("elasticloadbalancing", "DescribeLoadBalancers"),
    ("iam", "ListUsers"),
    ("iam", "ListAccountAliases"),
    ("servicequotas", "ListServiceQuotas"),
    ("s3", "ListBuckets"),
    ("autoscaling", "DescribeAutoScalingGroups"),
];

const AGENT: &str = "Boto3/1.34.69 md/Botocore#1.34.69 ua/2.0 os/linux#6.1.79 md/arch#x86_64 lang/python#3.11.8 md/pyimpl#CPython cfg/retry-mode#standard Botocore/1.34.69 Datadog";

/// About so many events of the watcher.
pub fn hour(hour: &Hour<'_>, wanted: f64, events: &mut Vec<Event>) {
    let mut dice = Dice::of(hour.seed, "watcher", hour.number);
    let (of, address) = &hour.cast.watcher;
    let agent = Agent::fixed(AGENT);
    let each = wanted / hour.cast.accounts.len() as f64;
    for account in &hour.cast.accounts {
        let Some(role) = hour
            .cast
            .roles_for(account, |purpose| purpose == Purpose::Watcher)
            .next()
        else {
            continue;
        };
        let count = dice.around(each);
        if count == 0 {
            continue;
        }
        let start = hour.start() + dice.between(60, 200);
        let stranger = Identity::Account {
            account: of.clone(),
            principal: format!("{}:integration", role.name.id.replace("AROA", "AIDA")),
        };
        let caller = Caller::new(stranger, address, &agent, Hand::Owner);
        let (call, key) =
            sts::assume_role(&mut dice, &role.name, "DatadogAWSIntegration", None, start);
        let mut event = caller.call(&mut dice, start, account, regions::HOME, call);
        event.shared = Some(dice.uuid());
        events.push(event);
        let caller = caller.signing(Identity::Role {
            role: role.name.clone(),
            name: "DatadogAWSIntegration".to_owned(),
            key: Some(key),
            session: Session {
                created: start,
                ..Session::default()
            },
            invoked_by: None,
        });
        for _ in 1..count {
            let at = start + dice.between(1, HOUR_SECS - 400);
            let (service, action) = dice.one(LOOKS);
            let region = match service {
                "iam" | "s3" => regions::HOME,
                _ => dice.one(regions::ALL),
            };
            let call = Call::read(service, action, Value::Null);
            events.push(caller.call(&mut dice, at, account, region, call));
        }
    }
}
