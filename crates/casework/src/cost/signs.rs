//! What a record says of machines: calls in CloudTrail, and snapshots of the recorder.
//!
//! What must stay true: a call that failed started and ended nothing; an unknown member is no sign.

use davylamp_content::prices::kind::{Market, System};
use jiff::Timestamp;
use serde_json::Value as Json;

use super::sightings::{Sighting, What};
use super::{Bounds, EC2, FARGATE, Size};
use crate::case::EvidenceId;

/// A call that succeeded, or an event of a service.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// `eventName`.
    pub name: &'a str,
    /// `eventTime`.
    pub at: Timestamp,
    /// `recipientAccountId`.
    pub account: Option<&'a str>,
    /// `awsRegion`.
    pub region: Option<&'a str>,
    /// `responseElements`, or `serviceEventDetails` of an event of a service.
    pub answer: &'a Json,
    /// The record.
    pub evidence: Option<EvidenceId>,
}

/// A thing as a snapshot shows it.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// The recorder's kind: `instance`, `ecs-task`, `sagemaker-notebook`.
    pub kind: &'a str,
    /// Its id.
    pub id: &'a str,
    /// Its account.
    pub account: Option<&'a str>,
    /// Its region.
    pub region: Option<&'a str>,
    /// When the snapshot was taken.
    pub taken_at: Timestamp,
    /// When the one before was, of the same account, region and kind.
    pub before: Option<Timestamp>,
    /// What it is like; nothing where it is gone.
    pub state: Option<&'a Json>,
    /// The record.
    pub evidence: Option<EvidenceId>,
}

/// What a call says of machines.
pub fn of_call(call: &Call<'_>) -> Vec<Sighting> {
    let machines = list(&call.answer["instancesSet"]["items"]);
    match call.name {
        "RunInstances" => machines.filter_map(|it| launched(call, it)).collect(),
        "StartInstances" => changed(call, What::Started, machines, "running"),
        "StopInstances" => changed(call, What::Stopped, machines, "stopped"),
        "TerminateInstances" => changed(call, What::Ended, machines, "terminated"),
        "BidEvictedEvent" => list(&call.answer["instanceIdSet"])
            .filter_map(Json::as_str)
            .map(|id| Sighting {
                market: Market::Spot,
                ..sign(call, id, What::Ended)
            })
            .collect(),
        "RunTask" | "StartTask" => list(&call.answer["tasks"])
            .filter_map(|it| task(call, it, What::Started))
            .collect(),
        "StopTask" => task(call, &call.answer["task"], What::Ended)
            .into_iter()
            .collect(),
        _ => Vec::new(),
    }
}

/// What a snapshot says of a machine.
pub fn of_snapshot(shown: &Shown<'_>) -> Vec<Sighting> {
    let Some(state) = shown.state.filter(|state| !state.is_null()) else {
        let at = Bounds {
            earliest: shown.before,
            latest: shown.taken_at,
        };
        return vec![seen(shown, What::Gone, at)];
    };
    match shown.kind {
        "instance" => instance(shown, state),
        "ecs-task" => container(shown, state),
        "sagemaker-notebook" => notebook(shown, state),
        _ => Vec::new(),
    }
}

/// The moment in a state's reason, such as `User initiated (2026-03-01 10:00:00 GMT)`.
pub fn moment_of_reason(reason: &str) -> Option<Timestamp> {
    let (_, rest) = reason.rsplit_once('(')?;
    let text = rest.split(')').next()?.trim().strip_suffix("GMT")?.trim();
    let (day, time) = text.split_once(' ')?;
    format!("{day}T{time}Z").parse().ok()
}

fn launched(call: &Call<'_>, machine: &Json) -> Option<Sighting> {
    let id = machine["instanceId"].as_str()?;
    Some(Sighting {
        instance_type: text(&machine["instanceType"]),
        market: market(&machine["instanceLifecycle"]),
        system: system(&machine["platformDetails"], &machine["platform"]),
        ..sign(call, id, What::Started)
    })
}

/// What a call did to machines that were not yet as it wants them.
fn changed<'a>(
    call: &Call<'_>,
    what: What,
    machines: impl Iterator<Item = &'a Json>,
    wanted: &str,
) -> Vec<Sighting> {
    machines
        .filter(|it| it["previousState"]["name"] != wanted)
        .filter_map(|it| Some(sign(call, it["instanceId"].as_str()?, what)))
        .collect()
}

fn task(call: &Call<'_>, task: &Json, what: What) -> Option<Sighting> {
    let is_fargate = task["launchType"] == "FARGATE"
        || task["capacityProviderName"]
            .as_str()
            .is_some_and(|name| name.starts_with("FARGATE"));
    let id = task["taskArn"].as_str().filter(|_| is_fargate)?;
    Some(Sighting {
        service: FARGATE.to_owned(),
        size: size(task),
        market: task_market(task),
        system: task_system(task),
        ..sign(call, id, what)
    })
}

fn sign(call: &Call<'_>, id: &str, what: What) -> Sighting {
    Sighting {
        id: id.to_owned(),
        at: Bounds::exactly(call.at),
        what,
        service: EC2.to_owned(),
        account: call.account.map(str::to_owned),
        region: call.region.map(str::to_owned),
        instance_type: None,
        size: None,
        market: Market::Unknown,
        system: System::Unknown,
        evidence: call.evidence.into_iter().collect(),
    }
}

fn instance(shown: &Shown<'_>, state: &Json) -> Vec<Sighting> {
    let known = |what, at| Sighting {
        instance_type: text(&state["InstanceType"]),
        market: market(&state["InstanceLifecycle"]),
        system: system(&state["PlatformDetails"], &state["Platform"]),
        ..seen(shown, what, at)
    };
    let launched = moment(&state["LaunchTime"]).filter(|at| *at <= shown.taken_at);
    let start = launched.map(|at| known(What::Started, Bounds::exactly(at)));
    let reason = state["StateTransitionReason"].as_str();
    let ended = reason
        .and_then(moment_of_reason)
        .filter(|at| *at <= shown.taken_at);
    let ended = match ended {
        Some(at) => Bounds::exactly(at),
        None => Bounds {
            earliest: launched
                .max(shown.before)
                .filter(|at| *at <= shown.taken_at),
            latest: shown.taken_at,
        },
    };
    let now = Bounds::exactly(shown.taken_at);
    let is = match state["State"]["Name"].as_str() {
        Some("pending" | "running") => known(What::Running, now),
        Some("stopping" | "stopped") => known(What::Stopped, ended),
        Some("shutting-down" | "terminated") => known(What::Ended, ended),
        _ => return start.into_iter().collect(),
    };
    start.into_iter().chain([is]).collect()
}

fn container(shown: &Shown<'_>, state: &Json) -> Vec<Sighting> {
    if state["launchType"] != "FARGATE" {
        return Vec::new();
    }
    let known = |what, at| Sighting {
        service: FARGATE.to_owned(),
        size: size(state),
        market: task_market(state),
        system: task_system(state),
        ..seen(shown, what, at)
    };
    let of = |names: [&str; 2]| names.iter().find_map(|name| moment(&state[*name]));
    let start = of(["startedAt", "createdAt"]).map(|at| known(What::Started, Bounds::exactly(at)));
    let ended = of(["stoppedAt", "executionStoppedAt"]);
    let is = match (state["lastStatus"].as_str(), ended) {
        (_, Some(at)) => known(What::Ended, Bounds::exactly(at)),
        (Some("STOPPED"), None) => {
            let at = Bounds {
                earliest: shown.before,
                latest: shown.taken_at,
            };
            known(What::Ended, at)
        }
        (Some("RUNNING"), None) => known(What::Running, Bounds::exactly(shown.taken_at)),
        _ => return start.into_iter().collect(),
    };
    start.into_iter().chain([is]).collect()
}

fn notebook(shown: &Shown<'_>, state: &Json) -> Vec<Sighting> {
    let what = match state["NotebookInstanceStatus"].as_str() {
        Some("InService" | "Updating") => What::Running,
        Some("Stopped" | "Failed") => What::Stopped,
        Some("Deleting") => What::Ended,
        _ => return Vec::new(),
    };
    let at = match what {
        What::Running => Bounds::exactly(shown.taken_at),
        _ => Bounds {
            earliest: shown.before,
            latest: shown.taken_at,
        },
    };
    let known = |what, at| Sighting {
        service: "sagemaker".to_owned(),
        instance_type: text(&state["InstanceType"]),
        market: Market::OnDemand,
        system: System::Unknown,
        ..seen(shown, what, at)
    };
    let start = moment(&state["CreationTime"]).filter(|at| *at <= shown.taken_at);
    let start = start.map(|at| known(What::Started, Bounds::exactly(at)));
    start.into_iter().chain([known(what, at)]).collect()
}

fn seen(shown: &Shown<'_>, what: What, at: Bounds) -> Sighting {
    let service = match shown.kind {
        "ecs-task" => FARGATE,
        "sagemaker-notebook" => "sagemaker",
        _ => EC2,
    };
    Sighting {
        id: shown.id.to_owned(),
        at,
        what,
        service: service.to_owned(),
        account: shown.account.map(str::to_owned),
        region: shown.region.map(str::to_owned),
        instance_type: None,
        size: None,
        market: Market::Unknown,
        system: System::Unknown,
        evidence: shown.evidence.into_iter().collect(),
    }
}

/// `instanceLifecycle` is there where an instance is not bought on demand.
fn market(lifecycle: &Json) -> Market {
    match lifecycle {
        Json::Null => Market::OnDemand,
        Json::String(text) if text == "spot" => Market::Spot,
        Json::String(text) if text.is_empty() => Market::OnDemand,
        _ => Market::Unknown,
    }
}

/// `platform` is there for Windows alone; the details name the others as well.
fn system(details: &Json, platform: &Json) -> System {
    match (details.as_str(), platform.as_str()) {
        (Some(details), _) if !details.is_empty() => System::of_platform(details),
        (_, Some(platform)) if platform.eq_ignore_ascii_case("windows") => System::Windows,
        _ => System::NotWindows,
    }
}

fn task_market(task: &Json) -> Market {
    match task["capacityProviderName"].as_str() {
        Some("FARGATE_SPOT") => Market::Spot,
        _ => Market::OnDemand,
    }
}

fn task_system(task: &Json) -> System {
    match task["platformFamily"].as_str() {
        Some(family) if family.starts_with("WINDOWS") || family.starts_with("Windows") => {
            System::Windows
        }
        _ => System::Linux,
    }
}

/// A task's size: units of which 1024 are a processor, and MiB.
fn size(task: &Json) -> Option<Size> {
    let number = |json: &Json| match json {
        Json::String(text) => text.parse::<u64>().ok(),
        json => json.as_u64(),
    };
    let milli_vcpus = number(&task["cpu"])?.checked_mul(1000)? / 1024;
    Some(Size {
        milli_vcpus: u32::try_from(milli_vcpus).ok()?,
        mib: u32::try_from(number(&task["memory"])?).ok()?,
    })
}

fn list(json: &Json) -> impl Iterator<Item = &Json> {
    json.as_array().into_iter().flatten()
}

fn text(json: &Json) -> Option<String> {
    json.as_str()
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
}

fn moment(json: &Json) -> Option<Timestamp> {
    match json {
        Json::String(text) => text.parse().ok(),
        Json::Number(seconds) => Timestamp::from_second(seconds.as_f64()? as i64).ok(),
        _ => None,
    }
}
