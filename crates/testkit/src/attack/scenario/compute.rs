//! Mining by other means than machines that somebody starts by name: containers, functions, notebooks,
//! clusters, jobs, fleets and groups that a service fills.

use super::intruder;
use super::response;
use super::stage::Stage;
use crate::attack::calendar::DAY_SECS;
use crate::attack::calls::iam;
use crate::attack::calls::launch::{LARGE, Wanted};
use crate::attack::calls::workloads::{self, At};
use crate::attack::cast::Purpose;
use crate::attack::event::{Call, Caller};
use crate::attack::identity::{Identity, Session};
use crate::attack::truth::{Verdict, Workload};
use crate::attack::{ids, regions};

const VICTIM: usize = 3;
const FINDER: usize = 2;

/// How many regions the intruder takes.
const REGIONS: usize = 4;

/// By what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Means {
    Fargate,
    Functions,
    Notebooks,
    Nodegroup,
    Batch,
    SpotFleet,
    ScalingGroup,
}

/// Services of ECS.
pub fn fargate(stage: &mut Stage<'_>) {
    play(stage, Means::Fargate);
}

/// Functions.
pub fn functions(stage: &mut Stage<'_>) {
    play(stage, Means::Functions);
}

/// Notebooks.
pub fn notebooks(stage: &mut Stage<'_>) {
    play(stage, Means::Notebooks);
}

/// Nodes of a cluster.
pub fn nodegroup(stage: &mut Stage<'_>) {
    play(stage, Means::Nodegroup);
}

/// Jobs.
pub fn batch(stage: &mut Stage<'_>) {
    play(stage, Means::Batch);
}

/// Fleets on the spot market.
pub fn spot_fleet(stage: &mut Stage<'_>) {
    play(stage, Means::SpotFleet);
}

/// Groups that keep their number.
pub fn scaling_group(stage: &mut Stage<'_>) {
    play(stage, Means::ScalingGroup);
}

fn play(stage: &mut Stage<'_>, means: Means) {
    let victim = stage.cast.people[VICTIM].clone();
    let mut at = stage.attack;
    let Some(key) = victim.key(at).map(str::to_owned) else {
        return;
    };
    let (_, caller) = intruder::break_in(stage, VICTIM, &key, &mut at);
    intruder::cover(stage, &caller, &mut at);

    let account = stage.account.clone();
    let role_name = format!("service-{}", stage.dice.hex(6));
    let moment = stage.later(&mut at, 2, 30);
    let (call, _) = iam::create_role(
        &mut stage.dice,
        &account,
        &role_name,
        "ecs-tasks.amazonaws.com",
        moment,
    );
    let event = stage.act(&caller, moment, regions::HOME, call);
    stage.left("role", &role_name, &event, moment);
    let role = format!("arn:aws:iam::{account}:role/{role_name}");
    stage.truth.judge(&role, &role_name, Verdict::Guilty);
    let mut all = regions::ALL.to_vec();
    stage.dice.shuffle(&mut all);
    for region in all.into_iter().take(REGIONS) {
        start(stage, &caller, &mut at, region, means, &role);
    }
    at = at.max(stage.attack + stage.options.attack_days * DAY_SECS);
    let Some(finder) = stage.owner(FINDER, at) else {
        return;
    };
    response::delete_workloads(stage, &finder, &mut at);
    response::clean_up(stage, &finder, &mut at);
    response::disable_key(stage, &finder, &mut at, VICTIM, &key);
    response::restart_trail(stage, &finder, &mut at);
}

fn start(
    stage: &mut Stage<'_>,
    caller: &Caller,
    at: &mut i64,
    region: &'static str,
    means: Means,
    role: &str,
) {
    let account = stage.account.clone();
    let name = format!(
        "{}-{}",
        ["web", "task", "svc"][stage.dice.roll(3) as usize],
        stage.dice.hex(5)
    );
    let count = stage.dice.between(4, 50);
    let size = u64::try_from(count).unwrap_or(1);
    let here = At {
        account: &account,
        region,
        at: *at,
    };
    let kind = stage.dice.one(LARGE);
    let (calls, what): (Vec<Call>, (&str, String, String)) = match means {
        Means::Fargate => {
            let arn = format!("arn:aws:ecs:{region}:{account}:service/{name}/{name}");
            (
                workloads::fargate(&here, &name, size),
                ("ecs-service", arn, format!("{count} tasks of 16 vCPU")),
            )
        }
        Means::Functions => (
            workloads::function(&here, &name, role),
            (
                "lambda-function",
                name,
                "100 at once of 10240 MB".to_owned(),
            ),
        ),
        Means::Notebooks => (
            workloads::notebook(&here, &name, role),
            ("sagemaker-notebook", name, "ml.c5.18xlarge".to_owned()),
        ),
        Means::Nodegroup => (
            workloads::nodegroup(&here, &name, role, size),
            (
                "eks-nodegroup",
                format!("{name}/workers"),
                format!("{count} c5.24xlarge"),
            ),
        ),
        Means::Batch => (
            workloads::batch(&here, &name, size),
            ("batch-job", name, format!("{count} jobs of 96 vCPU")),
        ),
        Means::SpotFleet => {
            let (call, id) = workloads::spot_fleet(&mut stage.dice, &here, kind, size);
            (vec![call], ("spot-request", id, format!("{count} {kind}")))
        }
        Means::ScalingGroup => {
            let (call, id) = workloads::launch_template(&mut stage.dice, &here, &name, kind);
            let group = workloads::scaling_group(&here, &name, &id, size);
            (
                vec![call, group],
                ("scaling-group", name, format!("{count} {kind}")),
            )
        }
    };
    let mut event = String::new();
    for call in calls {
        let moment = stage.later(at, 1, 12);
        event = stage.act(caller, moment, region, call);
    }
    stage.truth.workloads.push(Workload {
        kind: what.0.to_owned(),
        id: what.1,
        account: account.clone(),
        region: region.to_owned(),
        start: *at,
        end: None,
        size: what.2,
        event,
    });
    let service = match means {
        Means::SpotFleet => "spotfleet.amazonaws.com",
        Means::ScalingGroup => "autoscaling.amazonaws.com",
        Means::Nodegroup => "eks-nodegroup.amazonaws.com",
        _ => return,
    };
    let moment = *at + stage.dice.between(20, 200);
    fill(stage, moment, region, service, kind, count as usize);
}

/// A service starts the machines that the intruder asked for, in its own name.
fn fill(
    stage: &mut Stage<'_>,
    at: i64,
    region: &'static str,
    service: &'static str,
    kind: &'static str,
    count: usize,
) {
    let account = stage.account.clone();
    let Some(mut role) = stage
        .cast
        .roles_for(&account, |it| matches!(it, Purpose::Service(_)))
        .next()
        .map(|role| role.name.clone())
    else {
        return;
    };
    let (name, session) = match service {
        "spotfleet.amazonaws.com" => ("AWSServiceRoleForEC2SpotFleet", "SpotFleet"),
        "eks-nodegroup.amazonaws.com" => ("AWSServiceRoleForAmazonEKSNodegroup", "EKS"),
        _ => ("AWSServiceRoleForAutoScaling", "AutoScaling"),
    };
    if role.name != name {
        name.clone_into(&mut role.name);
        role.id = ids::unique(&mut stage.dice, "AROA");
        role.path = format!("/aws-service-role/{service}/");
    }
    stage
        .truth
        .judge(&role.arn(), &role.name, Verdict::Bystander);
    let identity = Identity::Role {
        role,
        name: session.to_owned(),
        key: Some(ids::access_key(&mut stage.dice, "ASIA", &account)),
        session: Session {
            created: at,
            ..Session::default()
        },
        invoked_by: Some(service),
    };
    let caller = Caller::service(identity, service);
    let mut wanted = Wanted {
        kind: if service.starts_with("eks") {
            "c5.24xlarge"
        } else {
            kind
        },
        image: ids::resource(&mut stage.dice, "ami"),
        is_windows: false,
        is_spot: service.starts_with("spot"),
        count: 0,
        key_name: None,
        group: None,
        is_protected: false,
        is_public: true,
    };
    let mut at = at;
    intruder::run(stage, &caller, &mut at, region, &mut wanted, count);
}
