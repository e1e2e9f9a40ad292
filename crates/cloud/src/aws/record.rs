//! What the flight recorder looks at in an account: one entry for each kind of thing, with the
//! permissions it needs.
//!
//! What must stay true: a kind is read whole or not at all, and then with why; states have AWS's own names
//! (botocore's, which a test compares); a state holds no secret, so values of environment variables and
//! user data are never in one, nor members that differ at each look without meaning (see
//! [`LEFT_OUT`]). Deliberately not here: what changed, and where it is kept (crate `recorder`).

use std::sync::Arc;

use davylamp_model::ids::{AccountId, Region};
use davylamp_model::recording::{GLOBAL, Look, Scope, Thing};
use davylamp_model::resource::Place;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use serde_json::Value;

use super::read::{ReadConfig, ReadError};
use super::session::{SessionError, Sessions, describe};

mod bucket;
mod compute;
mod containers;
mod functions;
mod iam;
mod network;
mod scaling;
mod sensors;
mod state;

/// How many kinds are read side by side; the rate limiter does the rest.
const SIDE_BY_SIDE: usize = 32;
/// How many questions about single things of one kind are asked side by side.
const THINGS_SIDE_BY_SIDE: usize = 8;

/// Whether a kind is looked at in each region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Once for the account.
    Global,
    /// In each region.
    Regional,
}

/// A kind of thing, and how it is read.
#[derive(Clone, Copy)]
pub struct Kind {
    /// Its name in a recording.
    pub name: &'static str,
    /// Where it is looked for.
    pub reach: Reach,
    /// The permissions that reading it needs, as in an IAM policy.
    pub permissions: &'static [&'static str],
    read: Read,
}

type Read = for<'a> fn(&'a ReadConfig) -> BoxFuture<'a, Result<Vec<Thing>, ReadError>>;

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kind")
            .field("name", &self.name)
            .field("reach", &self.reach)
            .finish_non_exhaustive()
    }
}

macro_rules! kinds {
    ($($reach:ident $name:literal: $read:path, needs $($permission:literal)+;)*) => {
        &[$(Kind {
            name: $name,
            reach: Reach::$reach,
            permissions: &[$($permission),+],
            read: |config| $read(config).boxed(),
        }),*]
    };
}

/// Every kind but `region`, which says where the others are looked for.
pub const KINDS: &[Kind] = kinds! {
    Global "user": iam::users, needs "iam:GetAccountAuthorizationDetails" "iam:ListUsers";
    Global "group": iam::groups, needs "iam:GetAccountAuthorizationDetails";
    Global "role": iam::roles, needs "iam:GetAccountAuthorizationDetails";
    Global "policy": iam::policies, needs "iam:GetAccountAuthorizationDetails";
    Global "access-key": iam::access_keys,
        needs "iam:ListUsers" "iam:ListAccessKeys" "iam:GetAccessKeyLastUsed";
    Global "login-profile": iam::login_profiles, needs "iam:ListUsers" "iam:GetLoginProfile";
    Global "mfa-device": iam::mfa_devices, needs "iam:ListUsers" "iam:ListMFADevices";
    Global "account-summary": iam::account_summary, needs "iam:GetAccountSummary";
    Global "password-policy": iam::password_policy, needs "iam:GetAccountPasswordPolicy";
    Global "bucket": bucket::buckets,
        needs "s3:ListAllMyBuckets" "s3:GetBucketLocation" "s3:GetBucketPublicAccessBlock"
            "s3:GetBucketPolicyStatus" "s3:GetBucketAcl";
    Regional "instance": compute::instances, needs "ec2:DescribeInstances";
    Regional "spot-request": compute::spot_requests, needs "ec2:DescribeSpotInstanceRequests";
    Regional "volume": compute::volumes, needs "ec2:DescribeVolumes";
    Regional "snapshot": compute::snapshots, needs "ec2:DescribeSnapshots";
    Regional "image": compute::images, needs "ec2:DescribeImages";
    Regional "launch-template": compute::launch_templates,
        needs "ec2:DescribeLaunchTemplates" "ec2:DescribeLaunchTemplateVersions";
    Regional "scaling-group": scaling::groups, needs "autoscaling:DescribeAutoScalingGroups";
    Regional "address": network::addresses, needs "ec2:DescribeAddresses";
    Regional "security-group": network::security_groups, needs "ec2:DescribeSecurityGroups";
    Regional "key-pair": network::key_pairs, needs "ec2:DescribeKeyPairs";
    Regional "flow-log": network::flow_logs, needs "ec2:DescribeFlowLogs";
    Regional "trail": sensors::trails,
        needs "cloudtrail:DescribeTrails" "cloudtrail:GetTrailStatus" "cloudtrail:GetEventSelectors";
    Regional "guardduty-detector": sensors::detectors,
        needs "guardduty:ListDetectors" "guardduty:GetDetector" "guardduty:ListFilters";
    Regional "config-recorder": sensors::config_recorders,
        needs "config:DescribeConfigurationRecorders" "config:DescribeConfigurationRecorderStatus";
    Regional "quota": sensors::quotas, needs "servicequotas:ListServiceQuotas";
    Regional "eks-cluster": containers::eks_clusters,
        needs "eks:ListClusters" "eks:DescribeCluster";
    Regional "eks-nodegroup": containers::eks_nodegroups,
        needs "eks:ListClusters" "eks:ListNodegroups" "eks:DescribeNodegroup";
    Regional "ecs-cluster": containers::ecs_clusters,
        needs "ecs:ListClusters" "ecs:DescribeClusters";
    Regional "ecs-service": containers::ecs_services,
        needs "ecs:ListClusters" "ecs:ListServices" "ecs:DescribeServices";
    Regional "ecs-task": containers::ecs_tasks,
        needs "ecs:ListClusters" "ecs:ListTasks" "ecs:DescribeTasks";
    Regional "lambda-function": functions::functions, needs "lambda:ListFunctions";
    Regional "sagemaker-notebook": functions::notebooks, needs "sagemaker:ListNotebookInstances";
};

/// The kind that says which regions there are, and which of them are enabled.
pub const REGION: &str = "region";
/// What that needs.
pub const REGION_PERMISSIONS: &[&str] = &["ec2:DescribeRegions"];

/// Members that services say and no state has: they differ at each look without meaning, or hold what may
/// be a secret. Of everything that is not named in a collector nothing is recorded either; these are those
/// that somebody might look for.
pub const LEFT_OUT: &[(&str, &str, &str)] = &[
    (
        "trail",
        "LatestDeliveryTime, LatestDigestDeliveryTime, LatestNotificationTime and their like",
        "differ every few minutes",
    ),
    (
        "config-recorder",
        "lastStatusChangeTime",
        "differs with each delivery",
    ),
    (
        "ecs-service",
        "events, deployments, runningCount, pendingCount",
        "a log and counters: the tasks say it",
    ),
    (
        "ecs-cluster",
        "statistics, runningTasksCount, pendingTasksCount",
        "counters: the tasks say it",
    ),
    (
        "spot-request",
        "Status.UpdateTime, LaunchSpecification.UserData",
        "differs by itself; may hold a secret",
    ),
    (
        "launch-template",
        "LaunchTemplateData.UserData",
        "may hold a secret; HasUserData says that there is some",
    ),
    (
        "lambda-function",
        "the values of Environment.Variables",
        "may hold secrets; VariableNames has the names",
    ),
    (
        "ecs-task",
        "overrides of commands and environment",
        "may hold secrets",
    ),
];

/// Every permission that recording an account needs, sorted.
pub fn permissions() -> Vec<&'static str> {
    let mut all: Vec<&str> = KINDS
        .iter()
        .flat_map(|kind| kind.permissions)
        .chain(REGION_PERMISSIONS)
        .copied()
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// What is looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The accounts. Empty: our own.
    pub accounts: Vec<AccountId>,
    /// The regions. Empty: those that are enabled in the account.
    pub regions: Vec<Region>,
    /// The kinds. Empty: all.
    pub kinds: Vec<String>,
}

/// Looks at everything that is wanted. `looked` is told of each look when it has ended, and how many there
/// are in all. An error means that nothing can be looked at, which is the fault of what we run with.
pub async fn look(
    sessions: &Arc<Sessions>,
    wanted: &Wanted,
    looked: impl Fn(usize, usize),
) -> Result<Vec<Look>, SessionError> {
    let home = sessions.home_account().await?.clone();
    let region = Region::from(sessions.home_region().ok_or(SessionError::NoRegion)?);
    let accounts = match wanted.accounts.is_empty() {
        true => vec![home],
        false => wanted.accounts.clone(),
    };
    let mut looks = Vec::new();
    let mut jobs = Vec::new();
    for account in accounts {
        let place = Place {
            account,
            region: region.clone(),
        };
        let (found, regions) = regions(sessions, &place, &wanted.regions).await;
        looks.extend(found);
        jobs.extend(jobs_of(&place, &regions, &wanted.kinds));
    }
    let all = jobs.len();
    let mut read = stream::iter(jobs)
        .map(|job| job.run(sessions))
        .buffer_unordered(SIDE_BY_SIDE);
    let mut done = 0;
    while let Some(look) = read.next().await {
        done += 1;
        looked(done, all);
        looks.push(look);
    }
    Ok(looks)
}

/// The regions of an account: what was seen of them, and those to look at.
async fn regions(
    sessions: &Arc<Sessions>,
    place: &Place,
    wanted: &[Region],
) -> (Vec<Look>, Vec<Region>) {
    let scope = Scope {
        account: place.account.0.clone(),
        region: GLOBAL.to_owned(),
        kind: REGION.to_owned(),
    };
    let came = match sessions.reading(place).await {
        Ok(config) => network::regions(&config)
            .await
            .map_err(|error| describe(&error)),
        Err(error) => Err(describe(&error)),
    };
    let enabled = came.iter().flatten().filter(|it| is_enabled(&it.state));
    let regions = match wanted {
        // Without a list there is one region that we know of: our own.
        [] if came.is_err() => vec![place.region.clone()],
        [] => enabled.map(|it| Region::from(it.id.as_str())).collect(),
        wanted => wanted.to_vec(),
    };
    (vec![Look { scope, came }], regions)
}

fn is_enabled(region: &Value) -> bool {
    region["OptInStatus"] != "not-opted-in"
}

fn jobs_of(place: &Place, regions: &[Region], kinds: &[String]) -> Vec<Job> {
    let wanted = KINDS
        .iter()
        .filter(|kind| kinds.is_empty() || kinds.iter().any(|it| it == kind.name));
    let jobs = wanted.flat_map(|kind| {
        let regions = match kind.reach {
            Reach::Global => std::slice::from_ref(&place.region),
            Reach::Regional => regions,
        };
        regions.iter().map(|region| Job {
            kind,
            place: Place {
                account: place.account.clone(),
                region: region.clone(),
            },
        })
    });
    jobs.collect()
}

/// A kind in a place.
struct Job {
    kind: &'static Kind,
    place: Place,
}

impl Job {
    async fn run(self, sessions: &Arc<Sessions>) -> Look {
        let region = match self.kind.reach {
            Reach::Global => GLOBAL.to_owned(),
            Reach::Regional => self.place.region.0.clone(),
        };
        let came = match sessions.reading(&self.place).await {
            Ok(config) => (self.kind.read)(&config)
                .await
                .map_err(|error| describe(&error)),
            Err(error) => Err(describe(&error)),
        };
        Look {
            scope: Scope {
                account: self.place.account.0.clone(),
                region,
                kind: self.kind.name.to_owned(),
            },
            came,
        }
    }
}

/// A thing, where AWS has said its id.
fn thing(id: &Option<String>, state: Value) -> Option<Thing> {
    Some(Thing {
        id: id.clone()?,
        state,
    })
}

/// Asks about each of many things, some side by side. One that is gone meanwhile is not there; any other
/// failure is that of the whole.
async fn each<I, T, F>(
    items: impl IntoIterator<Item = I>,
    ask: impl Fn(I) -> F,
) -> Result<Vec<T>, ReadError>
where
    F: Future<Output = Result<T, ReadError>>,
{
    let mut answers =
        stream::iter(items.into_iter().map(ask)).buffer_unordered(THINGS_SIDE_BY_SIDE);
    let mut all = Vec::new();
    while let Some(answer) = answers.next().await {
        match answer {
            Ok(answer) => all.push(answer),
            Err(error) if error.is_absent() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}
