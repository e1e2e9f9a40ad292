//! Against our double of the Kubernetes API: the real server cannot be had here.

use std::sync::Arc;

use davylamp_model::ids::{ClusterName, Namespace, NodeName, PodName};
use davylamp_model::resource::Place;
use davylamp_plan::action::Action;
use davylamp_respond::actuator::{ActError, Acting, Checked, Verified};
use davylamp_respond::kubernetes::{
    ClusterClients, KubernetesActuator, QUARANTINE_LABEL, quarantine_policy_name,
};
use davylamp_testkit::kubernetes::ApiServer;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};

use super::drive::{Drive, assert_already, assert_done};

const CLUSTER: &str = "hub-prod";

struct Double(String);

impl ClusterClients for Double {
    fn client<'a>(
        &'a self,
        _place: &'a Place,
        cluster: &'a ClusterName,
    ) -> Acting<'a, kube::Client> {
        Box::pin(async move {
            assert_eq!(cluster.as_str(), CLUSTER);
            let config: Kubeconfig = serde_json::from_str(&self.0).expect("a kubeconfig");
            let mut config =
                kube::Config::from_custom_kubeconfig(config, &KubeConfigOptions::default())
                    .await
                    .expect("a configuration");
            // The client would repeat a refused eviction for minutes, within one call.
            config.default_retry = false;
            Ok(kube::Client::try_from(config).expect("a client"))
        })
    }
}

fn actuator(server: &ApiServer) -> KubernetesActuator {
    KubernetesActuator::new(Arc::new(Double(server.kubeconfig())))
}

fn cluster() -> ClusterName {
    ClusterName::from(CLUSTER)
}

fn pod_in(server: &ApiServer, name: &str, labels: Value, spec: Value) -> String {
    let pod = server.put(json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "namespace": "default", "name": name, "labels": labels },
        "spec": spec, "status": { "phase": "Running" },
    }));
    pod["metadata"]["uid"].as_str().expect("a uid").to_owned()
}

fn on_pod(verb: &str, name: &str, uid: &str) -> Action {
    let (cluster, namespace) = (cluster(), Namespace::from("default"));
    let (pod, uid) = (PodName::from(name), uid.to_owned());
    match verb {
        "isolate" => Action::IsolatePod {
            cluster,
            namespace,
            pod,
            uid,
        },
        "delete" => Action::DeletePod {
            cluster,
            namespace,
            pod,
            uid,
        },
        _ => Action::EvictPod {
            or_delete: false,
            cluster,
            namespace,
            pod,
            uid,
        },
    }
}

fn writes(server: &ApiServer) -> usize {
    let asked = server.requests();
    asked.iter().filter(|asked| asked.method != "GET").count()
}

/// Does it, twice; looks; takes it back, twice; and finds the object as it was.
async fn there_and_back(server: &ApiServer, drive: &Drive<'_>, object: (&str, &str, &str)) {
    let (resource, namespace, name) = object;
    let essence = |server: &ApiServer| {
        let mut object = server.get(resource, namespace, name).expect("the object");
        object["metadata"]["resourceVersion"] = Value::Null;
        // To a server, no labels are as good as none at all.
        if object["metadata"]["labels"] == json!({})
            && let Some(metadata) = object["metadata"].as_object_mut()
        {
            metadata.remove("labels");
        }
        object
    };
    let was = essence(server);
    let before = drive.needed().await;
    assert!(matches!(
        drive.verify(&before).await,
        Ok(Verified::Failed { .. })
    ));
    drive.act(&before).await.expect("done");
    let done = server.get(resource, namespace, name);
    drive.act(&before).await.expect("done again");
    assert_eq!(server.get(resource, namespace, name), done);
    assert_done(&drive.settled(&before).await);
    assert_already(drive.check().await);
    drive.undo(&before).await.expect("taken back");
    assert_eq!(essence(server), was);
    let writes_before = writes(server);
    drive.undo(&before).await.expect("taken back again");
    assert_eq!(essence(server), was);
    assert_eq!(writes(server), writes_before);
}

#[tokio::test]
async fn nodes_and_workloads_are_held_and_let_go() {
    let server = ApiServer::start();
    let to = actuator(&server);
    let node = |name: &str| {
        json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": { "name": name, "annotations": { "karpenter.sh/do-not-disrupt": "false" } },
            "spec": { "unschedulable": false, "providerID": "aws:///a/i-0123" },
        })
    };
    server.put(node("ip-10-0-0-1.ec2.internal"));
    let name = NodeName::from("ip-10-0-0-1.ec2.internal");
    let at = ("nodes", "", name.as_str());
    let cordon = Action::CordonNode {
        cluster: cluster(),
        node: name.clone(),
    };
    there_and_back(&server, &Drive::new(&to, cordon.clone()), at).await;
    let keep = Action::KeepNode {
        cluster: cluster(),
        node: name.clone(),
    };
    there_and_back(&server, &Drive::new(&to, keep), at).await;
    let label = Action::LabelNode {
        cluster: cluster(),
        node: name.clone(),
    };
    let label = Drive::new(&to, label);
    there_and_back(&server, &label, at).await;
    let before = label.needed().await;
    label.act(&before).await.expect("labelled");
    let labelled = server.get(at.0, at.1, at.2).expect("the node");
    let incident = &labelled["metadata"]["labels"]["davylamp.dev/incident"];
    assert!(incident.is_string(), "{labelled}");
    label.undo(&before).await.expect("taken back");

    for (api_version, kind, resource, named) in [
        ("apps/v1", "Deployment", "deployments", "deployments"),
        ("apps/v1", "StatefulSet", "statefulsets", "statefulset"),
        ("apps/v1", "ReplicaSet", "replicasets", "ReplicaSet"),
    ] {
        server.put(json!({
            "apiVersion": api_version, "kind": kind,
            "metadata": { "namespace": "default", "name": "web" }, "spec": { "replicas": 3 },
        }));
        let action = Action::ScaleToZero {
            cluster: cluster(),
            namespace: Namespace::from("default"),
            kind: named.to_owned(),
            name: "web".to_owned(),
        };
        there_and_back(
            &server,
            &Drive::new(&to, action),
            (resource, "default", "web"),
        )
        .await;
    }
    for (kind, resource) in [("Job", "jobs"), ("CronJob", "cronjobs")] {
        server.put(json!({
            "apiVersion": "batch/v1", "kind": kind,
            "metadata": { "namespace": "default", "name": "nightly" },
            "spec": { "suspend": false },
        }));
        let action = Action::SuspendJob {
            cluster: cluster(),
            namespace: Namespace::from("default"),
            kind: resource.to_owned(),
            name: "nightly".to_owned(),
        };
        let at = (resource, "default", "nightly");
        there_and_back(&server, &Drive::new(&to, action), at).await;
    }

    let limit = Action::LimitNodePool {
        cluster: cluster(),
        pool: "general".to_owned(),
    };
    let limit = Drive::new(&to, limit);
    // Without Karpenter there is no such kind.
    assert!(matches!(
        limit.check().await,
        Ok(Checked::Impossible { .. })
    ));
    for spec in [
        json!({ "limits": { "cpu": "100", "memory": "1Ti" } }),
        json!({}),
    ] {
        server.put(json!({
            "apiVersion": "karpenter.sh/v1", "kind": "NodePool",
            "metadata": { "name": "general" }, "spec": spec,
        }));
        there_and_back(&server, &limit, ("nodepools.karpenter.sh", "", "general")).await;
    }

    // What was cordoned by another is not ours to free.
    let mut cordoned = node("other");
    cordoned["spec"]["unschedulable"] = json!(true);
    server.put(cordoned);
    let other = Action::CordonNode {
        cluster: cluster(),
        node: NodeName::from("other"),
    };
    let other = Drive::new(&to, other);
    assert_already(other.check().await);
    other
        .undo(&json!({ "unschedulable": false }))
        .await
        .expect("left");
    let node = server.get("nodes", "", "other").expect("the node");
    assert_eq!(node["spec"]["unschedulable"], json!(true));

    let missing = Action::CordonNode {
        cluster: cluster(),
        node: NodeName::from("gone"),
    };
    assert!(matches!(
        Drive::new(&to, missing).check().await,
        Ok(Checked::Impossible { .. })
    ));
    for hostile in ["", "..", "a/../b", "a%2fb", "A", "x\n"] {
        let action = Action::CordonNode {
            cluster: cluster(),
            node: NodeName::from(hostile),
        };
        let drive = Drive::new(&to, action);
        assert!(
            matches!(drive.check().await, Err(ActError::Refused { .. })),
            "{hostile:?}"
        );
    }
    let daemon_set = Action::ScaleToZero {
        cluster: cluster(),
        namespace: Namespace::from("default"),
        kind: "daemonset".to_owned(),
        name: "web".to_owned(),
    };
    let drive = Drive::new(&to, daemon_set);
    assert!(matches!(drive.check().await, Err(ActError::Refused { .. })));
}

#[tokio::test]
async fn a_pod_is_cut_off_from_every_policy_that_lets_it_out() {
    let server = ApiServer::start();
    let to = actuator(&server);
    let labels = json!({ "app": "jupyterhub", "component": "singleuser-server", "user": "alice" });
    let uid = pod_in(&server, "jupyter-alice", labels.clone(), json!({}));
    let bystander = pod_in(&server, "jupyter-bob", labels, json!({}));
    let policy = |name: &str, selector: Value, rules: Value| {
        json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": { "namespace": "default", "name": name },
            "spec": { "podSelector": selector, "policyTypes": ["Egress"], "egress": rules },
        })
    };
    server.put(policy(
        "singleuser",
        json!({ "matchLabels": { "component": "singleuser-server" } }),
        json!([{ "to": [{ "ipBlock": { "cidr": "0.0.0.0/0" } }] }]),
    ));
    server.put(policy("deny-all", json!({}), json!([])));
    server.put(policy(
        "others",
        json!({ "matchExpressions": [{ "key": "app", "operator": "NotIn", "values": ["jupyterhub"] }] }),
        json!([{}]),
    ));
    let drive = Drive::new(&to, on_pod("isolate", "jupyter-alice", &uid));
    there_and_back(&server, &drive, ("pods", "default", "jupyter-alice")).await;
    let name = quarantine_policy_name(&uid);
    assert_eq!(server.get("networkpolicies", "default", &name), None);

    let before = drive.needed().await;
    drive.act(&before).await.expect("done");
    let pod = server
        .get("pods", "default", "jupyter-alice")
        .expect("the pod");
    assert_eq!(
        pod["metadata"]["labels"],
        json!({ "app": "jupyterhub", "user": "alice", QUARANTINE_LABEL: uid })
    );
    let ours = server
        .get("networkpolicies", "default", &name)
        .expect("our policy");
    assert_eq!(
        ours["spec"],
        json!({
            "podSelector": { "matchLabels": { QUARANTINE_LABEL: uid } },
            "policyTypes": ["Ingress", "Egress"],
        })
    );
    let bob = server
        .get("pods", "default", "jupyter-bob")
        .expect("the other");
    assert_eq!(bob["metadata"]["uid"], json!(bystander));
    assert_eq!(
        bob["metadata"]["labels"]["component"],
        json!("singleuser-server")
    );

    // The attacker opens our policy again: the next look sees it, the next act closes it.
    let mut opened = ours;
    opened["spec"]["egress"] = json!([{}]);
    server.put(opened);
    assert!(matches!(
        drive.verify(&before).await,
        Ok(Verified::Failed { .. })
    ));
    drive.act(&before).await.expect("closed again");
    assert_done(&drive.settled(&before).await);

    server.put(policy("open", json!({}), json!([{}])));
    let verified = drive.verify(&before).await;
    assert!(
        matches!(&verified, Ok(Verified::Failed { why }) if why.contains("open")),
        "{verified:?}"
    );

    let uid = pod_in(&server, "host", json!({}), json!({ "hostNetwork": true }));
    for drive in [
        Drive::new(&to, on_pod("isolate", "host", &uid)),
        Drive::new(&to, on_pod("isolate", "jupyter-alice", "another-uid")),
        Drive::new(&to, on_pod("isolate", "nobody", "uid")),
    ] {
        assert!(matches!(
            drive.check().await,
            Ok(Checked::Impossible { .. })
        ));
    }
}

#[tokio::test]
async fn only_the_pod_that_was_planned_is_ended() {
    let server = ApiServer::start();
    let to = actuator(&server);
    for verb in ["delete", "evict"] {
        let uid = pod_in(
            &server,
            "miner",
            json!({ "a": "b" }),
            json!({ "nodeName": "n" }),
        );
        let drive = Drive::new(&to, on_pod(verb, "miner", &uid));
        let before = drive.needed().await;
        assert_eq!(before["node"], json!("n"));
        assert!(matches!(
            drive.verify(&before).await,
            Ok(Verified::Failed { .. })
        ));
        drive.act(&before).await.expect("ended");
        assert_done(&drive.settled(&before).await);
        // Its controller starts another of the same name.
        pod_in(&server, "miner", json!({}), json!({}));
        drive.act(&before).await.expect("nothing to do");
        assert_done(&drive.settled(&before).await);
        assert_already(drive.check().await);
        assert!(server.get("pods", "default", "miner").is_some());
        assert!(!drive.is_reversible());
    }
    let graces: Vec<Value> = server
        .requests()
        .into_iter()
        .filter_map(|asked| asked.body)
        .filter_map(|body| {
            body.get("gracePeriodSeconds")
                .or_else(|| body.pointer("/deleteOptions/gracePeriodSeconds"))
                .cloned()
        })
        .collect();
    assert!(
        !graces.is_empty() && graces.iter().all(|grace| *grace == 1),
        "{graces:?}"
    );
}

#[tokio::test]
async fn what_a_cluster_refuses_is_told_apart() {
    let server = ApiServer::start();
    let to = actuator(&server);
    let uid = pod_in(&server, "miner", json!({}), json!({}));
    let evict = Drive::new(&to, on_pod("evict", "miner", &uid));
    let delete = Drive::new(&to, on_pod("delete", "miner", &uid));

    server.refuse_eviction("default", "miner", true);
    let refused = evict.act(&Value::Null).await;
    assert!(
        matches!(&refused, Err(ActError::Transient { why, .. }) if why.contains("budget needs 1")),
        "{refused:?}"
    );
    // A playbook can say that the budget is not the last word; then the pod is deleted.
    let mut insists = on_pod("evict", "miner", &uid);
    if let Action::EvictPod { or_delete, .. } = &mut insists {
        *or_delete = true;
    }
    let insists = Drive::new(&to, insists);
    server.fail_next(1, 429);
    let busy = insists.act(&Value::Null).await;
    assert!(
        matches!(&busy, Err(ActError::Transient { .. })),
        "a busy server is no budget: {busy:?}"
    );
    let victim = pod_in(&server, "kept", json!({}), json!({}));
    server.refuse_eviction("default", "kept", true);
    let mut kept = on_pod("evict", "kept", &victim);
    if let Action::EvictPod { or_delete, .. } = &mut kept {
        *or_delete = true;
    }
    let kept = Drive::new(&to, kept);
    kept.act(&Value::Null).await.expect("deleted");
    assert_done(&kept.settled(&Value::Null).await);
    server.refuse_eviction("default", "miner", false);

    server.forbid("DELETE", "pods");
    let denied = delete.act(&Value::Null).await;
    assert!(
        matches!(&denied, Err(ActError::Denied { call, .. }) if call == "delete pods"),
        "{denied:?}"
    );

    server.fail_next(1, 503);
    let failed = delete.check().await;
    assert!(
        matches!(failed, Err(ActError::Transient { .. })),
        "{failed:?}"
    );

    // A kubelet takes its time.
    server.hold_deletions();
    evict.act(&Value::Null).await.expect("asked for");
    let verified = evict.verify(&Value::Null).await;
    assert!(
        matches!(verified, Ok(Verified::Pending { .. })),
        "{verified:?}"
    );
    server.finish_deletions();
    assert_done(&evict.settled(&Value::Null).await);

    let stranger = server.kubeconfig().replace(server.token(), "another token");
    let to = KubernetesActuator::new(Arc::new(Double(stranger)));
    let denied = Drive::new(&to, on_pod("delete", "miner", &uid))
        .check()
        .await;
    assert!(matches!(denied, Err(ActError::Denied { .. })), "{denied:?}");

    let config = server.kubeconfig();
    drop(server);
    let to = KubernetesActuator::new(Arc::new(Double(config)));
    let failed = Drive::new(&to, on_pod("delete", "miner", &uid))
        .check()
        .await;
    assert!(
        matches!(failed, Err(ActError::Transient { .. })),
        "{failed:?}"
    );
}
