//! Taking snapshots: one, several, what could not be read, two at once, a cluster.

use davylamp_testkit::faults::{Fault, Rule, Schedule};
use davylamp_testkit::kubernetes::ApiServer;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::ground::{Ground, REGION, ran, segments, until};

/// The context of the double's kubeconfig.
const CONTEXT: &str = "double";

#[test]
fn two_snapshots_hold_what_changed_between_them() {
    let ground = Ground::new();
    let id = ground.run_instance();
    ground.snapshot().ended(0).says(&["snapshot 1 of"]);
    ground.ec2("TerminateInstances", &[("InstanceId.1", &id)]);
    ground.iam("CreateUser", &[("UserName", "mallory")]);
    ground.iam("CreateAccessKey", &[("UserName", "mallory")]);
    ground.snapshot().ended(0).says(&["snapshot 2 of"]);
    let lines = ground.record(&["export", "--from", "2"]).ended(0).lines();
    let of = |kind: &str| lines.iter().filter(|line| line["kind"] == kind).count();
    assert_eq!(
        (
            of("user"),
            of("access-key"),
            of("instance"),
            of("security-group")
        ),
        (1, 1, 1, 0)
    );
    assert!(of("coverage") > 25);
    assert!(
        lines
            .iter()
            .filter(|line| line["kind"] == "coverage" && line["id"] != "region")
            .all(|line| line["state"]["Mode"] == "changes")
    );
    let whole = ground
        .record(&["export", "--from", "2", "--form", "full"])
        .ended(0)
        .lines();
    assert!(whole.iter().any(|line| line["kind"] == "security-group"));
    let list = ground.record(&["list", "--output", "json"]).ended(0).json();
    assert_eq!(list.as_array().unwrap().len(), 2);
    assert_eq!(list[1]["unknown"], 0);
    ground
        .record(&["verify"])
        .ended(0)
        .says(&["as they were recorded", "head "]);
}

#[test]
fn what_could_not_be_read_is_said_and_the_rest_is_kept() {
    let ground = Ground::new();
    ground.run_instance();
    let fault = Fault::Error {
        status: 403,
        code: "UnauthorizedOperation".to_owned(),
        message: "You are not authorized.".to_owned(),
    };
    ground.snapshot().ended(0);
    ground.proxy.set_schedule(Schedule::rules([Rule::new(
        "ec2",
        "DescribeInstances",
        fault,
    )]));
    ground.snapshot().ended(2).says(&[
        "not known: instance in",
        "allow ec2:DescribeInstances to the role",
        "1 could not be read",
    ]);
    ground
        .record(&["diff", "latest-1", "latest"])
        .ended(2)
        .says(&["nothing", "not known: instance in", "after: "]);
    // What was known before is still told, with since when.
    let shown = ground
        .record(&["show", "--kind", "instance", "--output", "json"])
        .ended(2);
    let shown = shown.says(&["not known then"]).json();
    assert_eq!(shown[0]["state"]["InstanceType"], "c5.24xlarge");
}

#[test]
fn of_two_at_once_the_second_says_so() {
    let ground = Ground::new();
    let mut first = ground
        .command(&["record", "run", "--every", "1h", "--region", REGION])
        .spawn()
        .unwrap();
    let store = ground.store();
    until("a snapshot", || segments(&store).len() == 1);
    ground
        .snapshot()
        .ended(2)
        .says(&["another recorder writes to"]);
    // Who only asks is not in its way, and it ends when it is told to.
    ground.record(&["show"]).ended(0);
    let pid = Pid::from_child(&first);
    kill_process(pid, Signal::TERM).unwrap();
    assert!(first.wait().unwrap().success());
    ground.record(&["verify"]).ended(0);
    ground.snapshot().ended(0).says(&["snapshot 2 of"]);
}

#[test]
fn without_credentials_nothing_is_recorded() {
    let ground = Ground::new();
    let mut command = ground.command(&["record", "run", "--once"]);
    command.env_remove("AWS_ACCESS_KEY_ID");
    ran(command).ended(2).says(&["credentials"]);
    ground
        .record(&["show"])
        .ended(2)
        .says(&["there is no snapshot yet"]);
    ground
        .record(&["run", "--once", "--kind", "instances"])
        .ended(2)
        .says(&["there is no kind \"instances\"", "instance,"]);
}

#[test]
fn a_cluster_is_recorded_without_an_account() {
    let ground = Ground::new();
    let api = ApiServer::start();
    api.put(json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "jobs"},
        "spec": {"replicas": 1, "template": {"spec": {"containers": [
            {"name": "c", "image": "nginx:1", "env": [{"name": "PASSWORD", "value": "hunter2"}]}]}}}}));
    let path = ground.dir.path().join("kubeconfig");
    std::fs::write(&path, api.kubeconfig()).unwrap();
    let arguments = [
        "run",
        "--once",
        "--no-aws",
        "--kubernetes",
        CONTEXT,
        "--kubeconfig",
    ];
    let mut arguments = arguments.to_vec();
    arguments.push(path.to_str().unwrap());
    ground.record(&arguments).ended(0);
    let shown = ground
        .record(&["show", "--kind", "workload", "--output", "json"])
        .ended(0);
    let shown = shown.json();
    assert_eq!(shown[0]["id"], "Deployment/jobs/web");
    assert_eq!(shown[0]["region"], CONTEXT);
    assert!(!shown.to_string().contains("hunter2"));
    assert_eq!(ground.proxy.calls().len(), 0);
}
