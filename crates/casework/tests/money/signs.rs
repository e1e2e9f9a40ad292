//! What records say of machines.

use davylamp_casework::cost::sightings::{Sighting, lives};
use davylamp_casework::cost::signs::{Call, Shown, moment_of_reason, of_call, of_snapshot};
use davylamp_casework::cost::{Bounds, End, FARGATE, Size};
use davylamp_content::prices::kind::{Market, System};
use serde_json::{Value as Json, json};

use super::made::{HOUR, at};

fn call(name: &str, hours: i64, answer: &Json) -> Vec<Sighting> {
    of_call(&Call {
        name,
        at: at(hours * HOUR),
        account: Some("111122223333"),
        region: Some("eu-west-1"),
        answer,
        evidence: None,
    })
}

fn shown(kind: &str, hours: i64, state: Option<&Json>) -> Vec<Sighting> {
    of_snapshot(&Shown {
        kind,
        id: "i-1",
        account: None,
        region: Some("eu-west-1"),
        taken_at: at(hours * HOUR),
        before: Some(at((hours - 1) * HOUR)),
        state,
        evidence: None,
    })
}

#[test]
fn calls_of_ec2() {
    let started = call(
        "RunInstances",
        1,
        &json!({"instancesSet": {"items": [
            {"instanceId": "i-1", "instanceType": "c4.8xlarge", "platform": "windows",
             "instanceState": {"code": 0, "name": "pending"}},
            {"instanceId": "i-2", "instanceType": "c5.large", "instanceLifecycle": "spot"},
            {"instanceType": "c5.large"},
        ]}}),
    );
    let [one, other] = started.as_slice() else {
        panic!("{started:?}");
    };
    assert_eq!(
        (one.system, one.market),
        (System::Windows, Market::OnDemand)
    );
    assert_eq!(
        (other.system, other.market),
        (System::NotWindows, Market::Spot)
    );
    assert_eq!(one.instance_type.as_deref(), Some("c4.8xlarge"));
    assert_eq!(one.at, Bounds::exactly(at(HOUR)));
    let changed = |name: &str, hours, before: &str| {
        let answer = json!({"instancesSet": {"items": [{
            "instanceId": "i-1", "previousState": {"name": before}, "currentState": {"name": "x"},
        }]}});
        call(name, hours, &answer)
    };
    let mut all = started;
    all.extend(changed("StopInstances", 2, "running"));
    all.extend(changed("StopInstances", 3, "stopped"));
    all.extend(changed("StartInstances", 4, "stopped"));
    all.extend(changed("StartInstances", 5, "running"));
    all.extend(changed("TerminateInstances", 6, "running"));
    all.extend(changed("TerminateInstances", 7, "terminated"));
    all.extend(call(
        "BidEvictedEvent",
        3,
        &json!({"instanceIdSet": ["i-2"]}),
    ));
    let lives = lives(all, None);
    assert!(lives.caveats.is_empty(), "{:?}", lives.caveats);
    let exactly = |hours| Bounds::exactly(at(hours * HOUR));
    assert_eq!(lives.runs[0].paused, [(exactly(2), exactly(4))]);
    assert_eq!(lives.runs[0].ended, End::At(exactly(6)));
    assert_eq!(lives.runs[1].ended, End::At(exactly(3)));
    for answer in [
        Json::Null,
        json!({}),
        json!({"instancesSet": 1}),
        json!([1]),
    ] {
        assert!(call("RunInstances", 1, &answer).is_empty());
        assert!(call("BidEvictedEvent", 1, &answer).is_empty());
        assert!(call("RunTask", 1, &answer).is_empty());
        assert!(call("DescribeInstances", 1, &answer).is_empty());
    }
}

#[test]
fn snapshots_of_an_instance() {
    let state = |name: &str, reason: &str| {
        json!({
            "InstanceId": "i-1", "InstanceType": "c4.8xlarge", "State": {"Name": name},
            "LaunchTime": at(HOUR).to_string(), "PlatformDetails": "SUSE Linux",
            "StateTransitionReason": reason,
        })
    };
    let running = state("running", "");
    let mut seen = shown("instance", 2, Some(&running));
    seen.extend(shown("instance", 3, Some(&running)));
    assert_eq!(seen[0].system, System::Suse);
    let run = &lives(seen.clone(), None).runs[0];
    assert_eq!(run.started, Bounds::exactly(at(HOUR)));
    assert_eq!(run.ended, End::RunsAt(at(3 * HOUR)));
    // Gone in the next one: between the two.
    let mut gone = seen.clone();
    gone.extend(shown("instance", 4, None));
    let run = &lives(gone, None).runs[0];
    assert_eq!(
        run.ended,
        End::At(Bounds::between(at(3 * HOUR), at(4 * HOUR)))
    );
    // Terminated with its time.
    let reason = "User initiated (2026-03-01 03:30:00 GMT)";
    let mut ended = seen.clone();
    ended.extend(shown("instance", 4, Some(&state("terminated", reason))));
    let run = &lives(ended, None).runs[0];
    assert_eq!(run.ended, End::At(Bounds::exactly(at(3 * HOUR + HOUR / 2))));
    // Stopped without one.
    seen.extend(shown("instance", 4, Some(&state("stopped", ""))));
    let run = &lives(seen, None).runs[0];
    assert_eq!(
        run.ended,
        End::At(Bounds::between(at(3 * HOUR), at(4 * HOUR)))
    );
}

#[test]
fn moments_of_reasons() {
    let expected = Some("2026-03-01T10:00:00Z".parse().unwrap());
    assert_eq!(
        moment_of_reason("User initiated (2026-03-01 10:00:00 GMT)"),
        expected
    );
    for reason in [
        "",
        "User initiated",
        "x (",
        "x (GMT)",
        "x (2026-03-01 GMT)",
        "Server.SpotInstanceTermination: x",
    ] {
        assert_eq!(moment_of_reason(reason), None, "{reason}");
    }
}

#[test]
fn containers_and_notebooks() {
    let arn = "arn:aws:ecs:eu-west-1:111122223333:task/c/1";
    let tasks = json!({"tasks": [
        {"taskArn": arn, "launchType": "FARGATE", "cpu": "16384", "memory": "32768"},
        {"taskArn": "arn:2", "launchType": "EC2", "cpu": "1024", "memory": "1024"},
    ]});
    let mut seen = call("RunTask", 1, &tasks);
    seen.extend(call(
        "StopTask",
        3,
        &json!({"task": {"taskArn": arn, "launchType": "FARGATE"}}),
    ));
    let lives_of = |seen| lives(seen, None).runs;
    let runs = lives_of(seen);
    assert_eq!(runs.len(), 1);
    let size = Size {
        milli_vcpus: 16_000,
        mib: 32_768,
    };
    assert_eq!(
        (runs[0].service.as_str(), runs[0].size),
        (FARGATE, Some(size))
    );
    assert_eq!(runs[0].ended, End::At(Bounds::exactly(at(3 * HOUR))));
    let task = json!({
        "launchType": "FARGATE", "lastStatus": "RUNNING", "cpu": "256", "memory": "512",
        "startedAt": at(HOUR).to_string(), "capacityProviderName": "FARGATE_SPOT",
    });
    let runs = lives_of(shown("ecs-task", 4, Some(&task)));
    assert_eq!(runs[0].market, Market::Spot);
    assert_eq!(runs[0].ended, End::RunsAt(at(4 * HOUR)));
    let notebook = json!({
        "NotebookInstanceStatus": "InService", "InstanceType": "ml.p3.2xlarge",
        "CreationTime": at(HOUR).to_string(),
    });
    let runs = lives_of(shown("sagemaker-notebook", 4, Some(&notebook)));
    assert_eq!(runs[0].service, "sagemaker");
    assert_eq!(runs[0].instance_type.as_deref(), Some("ml.p3.2xlarge"));
}
