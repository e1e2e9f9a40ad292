//! A cluster's workloads and who may do what in it, without anything secret.

use std::sync::Arc;

use davylamp_cloud::aws::session::{SessionOptions, Sessions};
use davylamp_cloud::kubernetes::record::{kinds, look, resources};
use davylamp_cloud::kubernetes::{ClusterAccess, ClusterEntry, Clusters};
use davylamp_model::recording::Look;
use davylamp_testkit::kubernetes::ApiServer;
use serde_json::{Value, json};

use crate::support::{SECRET, Seen};

const CLUSTER: &str = "prod";

async fn clusters(kubeconfig: &std::path::Path) -> (Clusters, davylamp_model::resource::Place) {
    let options = SessionOptions {
        absent: true,
        ..SessionOptions::default()
    };
    let sessions = Arc::new(Sessions::new(options).await.unwrap());
    let place = sessions.home_place().await.unwrap();
    let entry = ClusterEntry {
        name: CLUSTER.into(),
        access: ClusterAccess::Kubeconfig {
            path: Some(kubeconfig.to_owned()),
            context: None,
        },
    };
    (Clusters::new(sessions, vec![entry]), place)
}

fn pod_spec() -> Value {
    json!({"serviceAccountName": "runner", "hostNetwork": true,
        "containers": [{"name": "m", "image": "docker.io/someone/miner:1",
            "args": ["--password", SECRET],
            "env": [{"name": "WALLET", "value": SECRET}, {"name": "B", "valueFrom": {}}],
            "securityContext": {"privileged": true}}],
        "volumes": [{"name": "host", "hostPath": {"path": "/"}},
            {"name": "s", "secret": {"secretName": "pool", "items": []}}]})
}

fn furnish(api: &ApiServer) {
    let named = |api_version: &str, kind: &str, name: &str, more: Value| {
        let mut object = json!({"apiVersion": api_version, "kind": kind,
            "metadata": {"name": name, "namespace": "jobs", "annotations": {"note": SECRET}}});
        object
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        api.put(object);
    };
    let template = json!({"spec": {"replicas": 3, "template": {"spec": pod_spec()}}});
    named("apps/v1", "Deployment", "miner", template.clone());
    named("apps/v1", "DaemonSet", "everywhere", template);
    named(
        "batch/v1",
        "CronJob",
        "again",
        json!({"spec": {"schedule": "* * * * *",
            "jobTemplate": {"spec": {"template": {"spec": pod_spec()}}}}}),
    );
    named(
        "v1",
        "Pod",
        "alone",
        json!({"spec": pod_spec(), "status": {"phase": "Running"}}),
    );
    api.put(
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "owned", "namespace": "jobs",
        "ownerReferences": [{"controller": true, "kind": "ReplicaSet", "name": "miner-1"}]},
        "spec": pod_spec()}),
    );
    named(
        "v1",
        "Secret",
        "pool",
        json!({"stringData": {"wallet": SECRET}}),
    );
    named(
        "networking.k8s.io/v1",
        "NetworkPolicy",
        "open",
        json!({"spec": {"podSelector": {}, "egress": [{}]}}),
    );
    api.put(
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "jobs"},
        "status": {"phase": "Active"}}),
    );
    api.put(
        json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-a"},
        "spec": {"providerID": "aws:///eu-central-1a/i-0123456789abcdef0"},
        "status": {"conditions": [{"type": "Ready", "status": "True",
            "lastHeartbeatTime": "2026-03-01T00:00:00Z"}]}}),
    );
}

#[tokio::test]
async fn a_cluster_is_seen_without_its_secrets() {
    // It blocks while it starts, which no task of a runtime may.
    let api = tokio::task::spawn_blocking(ApiServer::start).await.unwrap();
    furnish(&api);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kubeconfig");
    std::fs::write(&path, api.kubeconfig()).unwrap();
    let (clusters, place) = clusters(&path).await;
    let seen = Seen(look(&clusters, &place, "111122223333", &CLUSTER.into()).await);
    assert_eq!(seen.unread(), []);
    assert_eq!(seen.0.len(), kinds().count());
    let workloads = seen.things(CLUSTER, "workload");
    let ids: Vec<&str> = workloads.keys().copied().collect();
    assert_eq!(
        ids,
        [
            "CronJob/jobs/again",
            "DaemonSet/jobs/everywhere",
            "Deployment/jobs/miner",
            "Pod/jobs/alone",
        ],
        "what a controller makes is not told beside it"
    );
    let spec = &workloads["Deployment/jobs/miner"]["spec"];
    assert_eq!(spec["replicas"], 3);
    let container = &spec["template"]["spec"]["containers"][0];
    assert_eq!(container["env"], json!([{"name": "WALLET"}, {"name": "B"}]));
    assert_eq!(container["securityContext"]["privileged"], true);
    assert_eq!(
        spec["template"]["spec"]["volumes"][0]["hostPath"]["path"],
        "/"
    );
    let image = seen.one(CLUSTER, "image");
    assert_eq!(image["usedBy"].as_array().unwrap().len(), 4);
    assert_eq!(
        seen.things(CLUSTER, "namespace")["Namespace/jobs"]["status"]["phase"],
        "Active"
    );
    let node = seen.one(CLUSTER, "node");
    assert_eq!(
        node["status"]["conditions"],
        json!([{"type": "Ready", "status": "True"}])
    );
    assert_eq!(seen.things(CLUSTER, "network-policy").len(), 1);
    assert!(!format!("{:?}", seen.0).contains(SECRET));
    assert!(!resources().contains(&"secrets"));
    assert!(
        seen.0
            .iter()
            .all(|look: &Look| look.scope.account == "111122223333")
    );
}

#[tokio::test]
async fn a_cluster_that_does_not_answer_is_unknown() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kubeconfig");
    let (clusters, place) = clusters(&path).await;
    let looks = look(&clusters, &place, "", &CLUSTER.into()).await;
    assert_eq!(looks.len(), kinds().count());
    assert!(looks.iter().all(|look| look.came.is_err()));
}
