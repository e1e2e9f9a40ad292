//! Collecting from a cluster and a Hub: a double of the Kubernetes API, and a real JupyterHub.

use crate::support::{Ground, REGION, instance};
use davylamp_cloud::collect::{Collector, Purpose};
use davylamp_cloud::hub::{Hub, HubError};
use davylamp_cloud::kubernetes::{ClusterAccess, ClusterEntry, Clusters};
use davylamp_cloud::secrets::Secret;
use davylamp_model::inventory::{ClusterState, Inventory, Reading};
use davylamp_model::resource::Resource;
use davylamp_testkit::jupyterhub;
use davylamp_testkit::kubernetes::ApiServer;
use serde_json::{Value, json};
use tempfile::TempDir;

const CLUSTER: &str = "hub-prod";
const VOLUME: &str = "vol-0123456789abcdef0";

/// A cluster with one node, which is an instance of the account.
struct Prod {
    ground: Ground,
    api: ApiServer,
    node: String,
    _dir: TempDir,
    collector: Collector,
}

impl Prod {
    async fn new() -> Self {
        let ground = Ground::new().await;
        // It blocks while it starts, which no task of a runtime may.
        let api = tokio::task::spawn_blocking(ApiServer::start).await.unwrap();
        let node = ground.run_instance(REGION).await;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kubeconfig");
        std::fs::write(&path, api.kubeconfig()).unwrap();
        let entry = ClusterEntry {
            name: CLUSTER.into(),
            access: ClusterAccess::Kubeconfig {
                path: Some(path),
                context: None,
            },
        };
        let clusters = Clusters::new(ground.sessions.clone(), vec![entry]);
        let collector = Collector::new(ground.sessions.clone(), clusters, None);
        api.put(json!({"apiVersion": "v1", "kind": "Node",
            "metadata": {"name": "node-a", "labels": {"role": "user"}},
            "spec": {"providerID": format!("aws:///{REGION}a/{node}")}}));
        api.put(
            json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-b"},
            "spec": {"providerID": format!("aws:///{REGION}a/i-0123456789abcdef0")}}),
        );
        api.put(pod("jupyter-alice", "node-a", json!({})));
        api.put(pod("jupyter-bob", "node-b", json!({})));
        api.put(json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {"name": "claim-jupyter-alice", "namespace": "jhub",
                "annotations": {"hub.jupyter.org/username": "alice"}},
            "spec": {"volumeName": "pvc-1"}}));
        api.put(json!({"apiVersion": "v1", "kind": "PersistentVolume",
            "metadata": {"name": "pvc-1"},
            "spec": {"csi": {"driver": "ebs.csi.aws.com", "volumeHandle": VOLUME}}}));
        Self {
            ground,
            api,
            node,
            _dir: dir,
            collector,
        }
    }

    async fn collect(&self, resource: Resource) -> Inventory {
        self.collector
            .collect(&self.ground.place(), &[], &resource, Purpose::Incident)
            .await
    }
}

fn pod(name: &str, node: &str, more: Value) -> Value {
    let mut pod = json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "jhub",
            "labels": {"component": "singleuser-server"},
            "annotations": {"hub.jupyter.org/username": name.trim_start_matches("jupyter-")}},
        "spec": {"nodeName": node, "volumes": [
            {"persistentVolumeClaim": {"claimName": format!("claim-{name}")}}]},
        "status": {"phase": "Running"}});
    if let (Some(metadata), Some(more)) = (pod["metadata"].as_object_mut(), more.as_object()) {
        metadata.extend(more.clone());
    }
    pod
}

fn state(inventory: &Inventory) -> &ClusterState {
    inventory.clusters[0].state.known().unwrap()
}

fn workload(kind: &str, name: &str) -> Resource {
    Resource::Workload {
        cluster: Some(CLUSTER.into()),
        namespace: "jhub".into(),
        kind: kind.to_owned(),
        name: name.to_owned(),
    }
}

#[tokio::test]
async fn a_pod_leads_to_its_node_its_claim_and_the_machine() {
    let prod = Prod::new().await;
    let inventory = prod.collect(workload("pods", "jupyter-alice")).await;
    assert_eq!(inventory.unread, []);
    assert_eq!(inventory.instances[0].id.as_str(), prod.node);
    let state = state(&inventory);
    assert_eq!(state.nodes.len(), 1);
    assert_eq!(
        state.nodes[0].instance.as_ref().unwrap().as_str(),
        prod.node
    );
    assert_eq!(state.pods.len(), 1);
    assert!(!state.pods[0].uid.is_empty());
    assert_eq!(state.claims[0].volume.as_ref().unwrap().as_str(), VOLUME);
    assert_eq!(
        state.claims[0].annotations["hub.jupyter.org/username"],
        "alice"
    );
    let methods: Vec<String> = prod
        .api
        .requests()
        .iter()
        .map(|it| it.method.clone())
        .collect();
    assert!(methods.iter().all(|method| method == "GET"), "{methods:?}");
}

#[tokio::test]
async fn the_tags_of_an_instance_lead_to_its_node_whatever_that_is_called() {
    let prod = Prod::new().await;
    let tag = aws_sdk_ec2::types::Tag::builder()
        .key(format!("kubernetes.io/cluster/{CLUSTER}"))
        .value("owned")
        .build();
    let client = prod.ground.ec2(REGION).await;
    client
        .create_tags()
        .resources(&prod.node)
        .tags(tag)
        .send()
        .await
        .unwrap();
    let inventory = prod.collect(instance(&prod.node)).await;
    assert_eq!(inventory.unread, []);
    assert_eq!(state(&inventory).nodes[0].name.as_str(), "node-a");
    assert_eq!(state(&inventory).pods[0].name.as_str(), "jupyter-alice");
}

#[tokio::test]
async fn a_hub_user_leads_to_the_pods_with_that_name() {
    let prod = Prod::new().await;
    let inventory = prod
        .collect(Resource::HubUser {
            user: "bob".into(),
            pod: None,
        })
        .await;
    let state = state(&inventory);
    assert_eq!(state.pods[0].name.as_str(), "jupyter-bob");
    assert_eq!(state.nodes[0].name.as_str(), "node-b");
    // Its machine is in the cluster's books and not in the account's.
    assert_eq!((inventory.instances.len(), inventory.unread.len()), (0, 0));
}

#[tokio::test]
async fn a_deployment_leads_to_its_pods_and_metrics_and_pools_are_read() {
    let prod = Prod::new().await;
    let api = &prod.api;
    let owned = |kind: &str, name: &str| {
        json!([{"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": "u",
            "controller": true}])
    };
    api.put(json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "jhub"},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}}}));
    api.put(json!({"apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {"name": "web-1", "namespace": "jhub",
            "ownerReferences": owned("Deployment", "web")}, "spec": {"replicas": 2}}));
    api.put(pod(
        "web-1-x",
        "node-a",
        json!({"labels": {"app": "web"}, "annotations": {},
            "ownerReferences": owned("ReplicaSet", "web-1")}),
    ));
    api.put(
        json!({"apiVersion": "metrics.k8s.io/v1beta1", "kind": "Pod",
        "metadata": {"name": "web-1-x", "namespace": "jhub"},
        "containers": [{"name": "c", "usage": {"cpu": "3900m"}}]}),
    );
    api.put(json!({"apiVersion": "karpenter.sh/v1", "kind": "NodePool",
        "metadata": {"name": "users"}, "spec": {}}));
    let inventory = prod.collect(workload("deployments", "web")).await;
    let state = state(&inventory);
    let names: Vec<&str> = state.pods.iter().map(|pod| pod.name.as_str()).collect();
    // The neighbour is on the same node: whose miner it is, is still open.
    assert_eq!(names, ["jupyter-alice", "web-1-x"]);
    let kinds: Vec<String> = state
        .controllers
        .iter()
        .map(|it| format!("{}/{}", it.kind, it.name))
        .collect();
    assert!(kinds.contains(&"deployment/web".to_owned()), "{kinds:?}");
    assert!(kinds.contains(&"replicaset/web-1".to_owned()), "{kinds:?}");
    assert_eq!(kinds.len(), 2);
    assert_eq!(state.node_pools, ["users"]);
    assert_eq!(state.pods[0].cpu_millicores, None);
    assert_eq!(state.pods[1].cpu_millicores, Some(3900));
}

#[tokio::test]
async fn every_page_of_pods_is_read() {
    let prod = Prod::new().await;
    for at in 0..600 {
        prod.api
            .put(pod(&format!("jupyter-u{at}"), "node-a", json!({})));
    }
    let inventory = prod
        .collect(Resource::Node {
            cluster: Some(CLUSTER.into()),
            name: "node-a".into(),
        })
        .await;
    assert_eq!(state(&inventory).pods.len(), 601);
}

#[tokio::test]
async fn what_a_cluster_does_not_let_us_read_is_said() {
    let prod = Prod::new().await;
    prod.api.forbid("GET", "persistentvolumeclaims");
    let inventory = prod.collect(workload("pods", "jupyter-alice")).await;
    let said = inventory
        .unread
        .iter()
        .find(|it| it.what.starts_with("claim jhub/claim-jupyter-alice"))
        .unwrap();
    assert!(said.why.contains("allow `get` and `list`"), "{}", said.why);

    prod.api.forbid("GET", "pods");
    let inventory = prod.collect(workload("pods", "jupyter-alice")).await;
    assert!(matches!(
        inventory.clusters[0].state,
        Reading::Unknown { .. }
    ));
    let cluster = format!("cluster {CLUSTER}");
    assert!(inventory.unread.iter().any(|it| it.what == cluster));
}

#[tokio::test]
async fn a_reading_client_of_a_cluster_sends_nothing_but_get() {
    let prod = Prod::new().await;
    let client = prod
        .collector
        .clusters()
        .reading(&prod.ground.place(), &CLUSTER.into())
        .await
        .unwrap();
    let before = prod.api.requests().len();
    for method in ["DELETE", "PATCH", "POST", "PUT"] {
        let request = http::Request::builder()
            .method(method)
            .uri("/api/v1/namespaces/jhub/pods/jupyter-alice")
            .body(b"{}".to_vec())
            .unwrap();
        let error = client.request::<Value>(request).await.unwrap_err();
        let text = davylamp_cloud::aws::session::describe(&error);
        assert!(text.contains("this client only reads"), "{text}");
    }
    assert_eq!(prod.api.requests().len(), before);
}

#[tokio::test]
async fn a_cluster_that_aws_does_not_know_is_unknown_and_never_empty() {
    let ground = Ground::new().await;
    let inventory = ground.collect(workload("pods", "jupyter-alice")).await;
    let Reading::Unknown { why } = &inventory.clusters[0].state else {
        panic!("{:?}", inventory.clusters);
    };
    assert!(why.contains("eks:DescribeCluster"), "{why}");
    let nowhere = ground
        .collect(Resource::HubUser {
            user: "alice".into(),
            pod: None,
        })
        .await;
    assert!(nowhere.unread[0].why.contains("none is configured"));
}

#[tokio::test]
async fn the_users_of_a_real_hub_are_read_page_by_page() {
    let real = jupyterhub::Hub::start().await.unwrap();
    for user in ["alice", "bob", "al-ice@example.org", "carol"] {
        real.create_user(user).await.unwrap();
    }
    real.start_server("alice", "").await.unwrap();
    let base = format!("{}/hub/api", real.url());
    let hub = Hub::new(&base, &Secret::new(real.token()), None)
        .unwrap()
        .with_page_size(2);
    let users = hub.users().await.unwrap();
    let mut names: Vec<&str> = users.iter().map(|user| user.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "al-ice@example.org",
            "alice",
            "bob",
            "carol",
            jupyterhub::Hub::ADMIN
        ]
    );
    for user in &users {
        assert_eq!(user.admin, user.name.as_str() == jupyterhub::Hub::ADMIN);
        let servers: &[&str] = if user.name.as_str() == "alice" {
            &[""]
        } else {
            &[]
        };
        assert_eq!(user.servers, servers);
    }

    let stranger = Hub::new(&base, &Secret::new("wrong"), None).unwrap();
    let error = stranger.users().await.unwrap_err();
    assert!(matches!(error, HubError::Denied { .. }), "{error}");
    assert!(!error.to_string().contains("wrong"));
    let nobody = Hub::new("http://127.0.0.1:9/hub/api", &Secret::new("t"), None).unwrap();
    assert!(matches!(
        nobody.users().await,
        Err(HubError::Unreachable { .. })
    ));
}
