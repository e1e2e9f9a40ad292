//! A finding that is written as OCSF and read again is the same finding.

use davylamp_model::finding::{Behaviour, Finding, FindingSource, Observed, Severity};
use davylamp_model::ids::{
    AccessKeyId, AccountId, Arn, ClusterName, FindingId, FunctionName, HubUser, IamUserName,
    InstanceId, Namespace, NodeName, PodName, Region, RoleName, SnapshotId, VolumeId,
};
use davylamp_model::ocsf::to_ocsf;
use davylamp_model::resource::{KeyHolder, Place, Resource};
use jiff::Timestamp;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::json;

use crate::{FIXTURES, fixture, only};

fn id(prefix: &'static str) -> impl Strategy<Value = String> {
    "[0-9a-f]{17}|[0-9a-f]{8}".prop_map(move |digits| format!("{prefix}{digits}"))
}

fn cluster() -> impl Strategy<Value = Option<ClusterName>> {
    option::of("[A-Za-z0-9][A-Za-z0-9_-]{0,20}".prop_map(ClusterName))
}

fn ecs(kind: &'static str) -> impl Strategy<Value = Arn> {
    "[a-z0-9]{1,12}".prop_map(move |name| {
        Arn(format!(
            "arn:aws:ecs:eu-central-1:210987654321:{kind}/{name}"
        ))
    })
}

fn holder() -> impl Strategy<Value = KeyHolder> {
    let name = || "[A-Za-z0-9+=,.@_-]{1,30}";
    prop_oneof![
        name().prop_map(|user| KeyHolder::User {
            user: IamUserName(user)
        }),
        (name(), option::of(name())).prop_map(|(role, session)| KeyHolder::RoleSession {
            role: RoleName(role),
            session
        }),
        Just(KeyHolder::Root),
        "[ -~]{0,20}".prop_map(|said| KeyHolder::Unknown { said }),
    ]
}

fn pod() -> impl Strategy<Value = (Namespace, PodName)> {
    ("[a-z0-9]{1,12}", "[a-z0-9]([a-z0-9.-]{0,20}[a-z0-9])?")
        .prop_map(|(namespace, name)| (Namespace(namespace), PodName(name)))
}

fn resource() -> impl Strategy<Value = Resource> {
    let kinds = prop::sample::select(vec!["pods", "deployments", "cronjobs"]);
    prop_oneof![
        id("i-").prop_map(|id| Resource::Instance { id: InstanceId(id) }),
        id("vol-").prop_map(|id| Resource::Volume { id: VolumeId(id) }),
        id("snap-").prop_map(|id| Resource::Snapshot { id: SnapshotId(id) }),
        id("ami-").prop_map(|id| Resource::Image { id }),
        (cluster(), pod(), kinds).prop_map(|(cluster, (namespace, name), kind)| {
            Resource::Workload {
                cluster,
                namespace,
                kind: kind.to_owned(),
                name: name.0,
            }
        }),
        (cluster(), pod()).prop_map(|(cluster, (_, name))| Resource::Node {
            cluster,
            name: NodeName(name.0)
        }),
        (ecs("cluster"), ecs("task"), any::<bool>()).prop_map(|(cluster, task, fargate)| {
            Resource::EcsTask {
                cluster,
                task,
                fargate,
            }
        }),
        ecs("cluster").prop_map(|arn| Resource::EcsCluster { arn }),
        "[A-Za-z0-9_-]{1,40}".prop_map(|name| Resource::Function {
            name: FunctionName(name)
        }),
        (option::of("A[KS]IA[A-Z0-9]{16}"), holder()).prop_map(|(key, holder)| {
            Resource::AccessKey {
                key: key.map(AccessKeyId),
                holder,
            }
        }),
        "[a-z0-9][a-z0-9.-]{2,40}".prop_map(|name| Resource::Bucket { name }),
        ("[^/\\p{Cc}]{1,20}", option::of(pod())).prop_map(|(user, pod)| Resource::HubUser {
            user: HubUser(user),
            pod
        }),
        Just(Resource::Account),
        Just(Resource::AccountRegion {
            whole_in: "eu-west-1".into()
        }),
        "[ -~]{0,30}".prop_map(|kind| Resource::Unknown { kind }),
    ]
}

fn behaviour() -> impl Strategy<Value = Behaviour> {
    prop::sample::select(vec![
        Behaviour::Mining,
        Behaviour::MaliciousFile,
        Behaviour::AttackSequence,
        Behaviour::Exfiltration,
        Behaviour::StolenCredential,
        Behaviour::PublicExposure,
        Behaviour::SensorStopped,
        Behaviour::RootUsed,
        Behaviour::CostAlarm,
        Behaviour::Other,
        Behaviour::Unknown,
    ])
}

fn source() -> impl Strategy<Value = FindingSource> {
    prop::sample::select(vec![
        FindingSource::GuardDuty,
        FindingSource::SecurityHub,
        FindingSource::Ocsf,
        FindingSource::CloudTrail,
        FindingSource::Cost,
        FindingSource::Davylamp,
    ])
}

fn severity() -> impl Strategy<Value = Severity> {
    prop::sample::select(vec![
        Severity::Low,
        Severity::Medium,
        Severity::High,
        Severity::Critical,
    ])
}

fn time() -> impl Strategy<Value = Option<Timestamp>> {
    option::of(
        (0_i64..4_000_000_000, 0_i32..1_000_000_000).prop_map(|(second, nanosecond)| {
            Timestamp::new(second, nanosecond).expect("a time in range")
        }),
    )
}

fn place() -> impl Strategy<Value = Option<Place>> {
    option::of(
        ("[0-9]{12}", "[a-z]{2}-[a-z]{4,9}-[1-9]").prop_map(|(account, region)| Place {
            account: AccountId(account),
            region: Region(region),
        }),
    )
}

fn finding() -> impl Strategy<Value = Finding> {
    let observed =
        ("[a-z-]{1,20}", any::<String>()).prop_map(|(what, value)| Observed { what, value });
    let names = (
        "[!-~]{1,60}",
        source(),
        any::<String>(),
        behaviour(),
        any::<String>(),
        severity(),
    );
    let rest = (
        place(),
        vec(resource(), 0..5),
        (time(), time()),
        any::<u64>(),
        any::<(bool, bool)>(),
        option::of("[0-9a-f]{32}"),
        vec(observed, 0..4),
        vec("[A-Z][ -~]{0,40}\\.", 0..3),
    );
    (names, rest).prop_map(|(names, rest)| {
        let (id, source, kind, behaviour, title, severity) = names;
        let (place, resources, times, count, flags, detector, observed, mut gaps) = rest;
        gaps.dedup();
        Finding {
            id: FindingId(id),
            source,
            kind,
            behaviour,
            title,
            severity,
            place,
            resources,
            first_seen: times.0,
            last_seen: times.1,
            count,
            sample: flags.0,
            archived: flags.1,
            detector,
            observed,
            gaps,
        }
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(finding in finding()) {
        prop_assert_eq!(only(&to_ocsf(&finding).to_string()), finding);
    }
}

#[test]
fn what_was_read_is_written_and_read_again() {
    for (name, text) in FIXTURES {
        let finding = only(text);
        assert_eq!(only(&to_ocsf(&finding).to_string()), finding, "{name}");
    }
}

#[test]
fn a_finding_is_written_as_ocsf() {
    let written = to_ocsf(&only(fixture("pod")));
    let text = serde_json::to_string_pretty(&written).expect("it can be printed");
    insta::assert_snapshot!("written", text);
}

/// A stranger can write our name over resources that we would never name.
#[test]
fn our_name_buys_no_trust() {
    let mut written = to_ocsf(&only(fixture("instance")));
    written["resources"][0]["data"]["id"] = json!("i-1; reboot");
    let found = only(&written.to_string());
    assert_eq!(found.resources, []);
    assert_eq!(
        found.gaps,
        ["\"instance/i-1; reboot\" is not the name of a resource."]
    );
}

#[test]
fn the_envelope_and_the_older_class_are_read() {
    let bare = only(fixture("ocsf"));
    let mut event: serde_json::Value = serde_json::from_str(fixture("ocsf")).expect("JSON");
    let enveloped = json!({"detail-type": "Findings Imported V2", "source": "aws.securityhub",
        "account": "210987654321", "region": "eu-central-1", "time": "2026-05-06T07:52:00Z",
        "detail": {"findings": [event]}});
    assert_eq!(only(&enveloped.to_string()), bare);
    let info = event["finding_info"].take();
    event["finding"] = info;
    event["class_uid"] = json!(2001);
    assert_eq!(only(&event.to_string()), bare);
    for (status, archived) in [(1, false), (2, false), (3, true), (4, true), (5, true)] {
        event["status_id"] = json!(status);
        assert_eq!(only(&event.to_string()).archived, archived, "{status}");
    }
}
