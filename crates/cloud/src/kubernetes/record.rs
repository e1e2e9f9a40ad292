//! What the flight recorder looks at in a cluster: workloads, who they run as, who may do what, the walls
//! between them, and the machines below.
//!
//! What must stay true: no value of a secret or of an environment variable is in a state, nor a command
//! line, in which secrets stand often; nor what differs at each look without meaning, such as heartbeats,
//! versions of objects and counts of what is ready. Members have the names of Kubernetes's API.

use davylamp_model::ids::ClusterName;
use davylamp_model::recording::{Look, Scope, Thing};
use davylamp_model::resource::Place;
use kube::Client;
use serde_json::{Map, Value, json};

use super::reader::{KubeError, Reader};
use super::{Clusters, object};
use crate::aws::session::describe;

/// A list of objects that is read, and what a role needs for it.
struct List {
    path: &'static str,
    /// As a role names it.
    resource: &'static str,
    /// The kind of object; a list does not say it of each.
    object: &'static str,
}

const fn list(path: &'static str, resource: &'static str, object: &'static str) -> List {
    List {
        path,
        resource,
        object,
    }
}

/// A kind of thing in a recording, the lists it comes from, and what is told of each object.
struct Kind {
    name: &'static str,
    lists: &'static [List],
    tell: fn(&List, &Value) -> Option<Thing>,
}

const KINDS: &[Kind] = &[
    Kind {
        name: "workload",
        lists: &[
            list(
                "/apis/apps/v1/deployments",
                "deployments.apps",
                "Deployment",
            ),
            list("/apis/apps/v1/daemonsets", "daemonsets.apps", "DaemonSet"),
            list(
                "/apis/apps/v1/statefulsets",
                "statefulsets.apps",
                "StatefulSet",
            ),
            list("/apis/batch/v1/jobs", "jobs.batch", "Job"),
            list("/apis/batch/v1/cronjobs", "cronjobs.batch", "CronJob"),
            list("/api/v1/pods", "pods", "Pod"),
        ],
        tell: workload,
    },
    Kind {
        name: "service-account",
        lists: &[list(
            "/api/v1/serviceaccounts",
            "serviceaccounts",
            "ServiceAccount",
        )],
        tell: service_account,
    },
    Kind {
        name: "role-binding",
        lists: &[
            list(
                "/apis/rbac.authorization.k8s.io/v1/rolebindings",
                "rolebindings.rbac.authorization.k8s.io",
                "RoleBinding",
            ),
            list(
                "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
                "clusterrolebindings.rbac.authorization.k8s.io",
                "ClusterRoleBinding",
            ),
        ],
        tell: role_binding,
    },
    Kind {
        name: "network-policy",
        lists: &[list(
            "/apis/networking.k8s.io/v1/networkpolicies",
            "networkpolicies.networking.k8s.io",
            "NetworkPolicy",
        )],
        tell: network_policy,
    },
    Kind {
        name: "namespace",
        lists: &[list("/api/v1/namespaces", "namespaces", "Namespace")],
        tell: namespace,
    },
    Kind {
        name: "node",
        lists: &[list("/api/v1/nodes", "nodes", "Node")],
        tell: node,
    },
];

/// The kind that is made of the images of workloads.
const IMAGE: &str = "image";

/// What a cluster's role needs to `list`, sorted.
pub fn resources() -> Vec<&'static str> {
    let lists = KINDS.iter().flat_map(|kind| kind.lists);
    let mut all: Vec<&str> = lists.map(|list| list.resource).collect();
    all.sort_unstable();
    all
}

/// The names of the kinds.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|kind| kind.name).chain([IMAGE])
}

/// Looks at a cluster. `account` is the account it is in, empty where that is not known; `place` is whom
/// AWS is asked for it, where it is one of EKS.
pub async fn look(
    clusters: &Clusters,
    place: &Place,
    account: &str,
    cluster: &ClusterName,
) -> Vec<Look> {
    match clusters.reading(place, cluster).await {
        Ok(client) => look_with(&client, account, cluster.as_str()).await,
        Err(error) => {
            let why = describe(&error);
            let unread = |kind| Look {
                scope: scope(account, cluster.as_str(), kind),
                came: Err(why.clone()),
            };
            kinds().map(unread).collect()
        }
    }
}

async fn look_with(client: &Client, account: &str, cluster: &str) -> Vec<Look> {
    let reader = Reader { client };
    let mut looks = Vec::new();
    for kind in KINDS {
        let came = read(&reader, kind).await.map_err(|error| error.to_string());
        if kind.name == "workload" {
            looks.push(Look {
                scope: scope(account, cluster, IMAGE),
                came: came.as_deref().map(images).map_err(Clone::clone),
            });
        }
        looks.push(Look {
            scope: scope(account, cluster, kind.name),
            came,
        });
    }
    looks
}

fn scope(account: &str, cluster: &str, kind: &str) -> Scope {
    Scope {
        account: account.to_owned(),
        region: cluster.to_owned(),
        kind: kind.to_owned(),
    }
}

async fn read(reader: &Reader<'_>, kind: &Kind) -> Result<Vec<Thing>, KubeError> {
    let mut all = Vec::new();
    for list in kind.lists {
        let objects = reader.list(list.path, list.resource, &[]).await?;
        all.extend(
            objects
                .iter()
                .filter_map(|object| (kind.tell)(list, object)),
        );
    }
    Ok(all)
}

/// `Deployment/namespace/name`; without a namespace `Node/name`.
fn id(list: &List, object: &Value) -> Option<String> {
    let (namespace, name) = object::key(object);
    match (namespace.as_str(), name.as_str()) {
        (_, "") => None,
        ("", name) => Some(format!("{}/{name}", list.object)),
        (namespace, name) => Some(format!("{}/{namespace}/{name}", list.object)),
    }
}

/// A state: what every object has, and what is told of this kind.
fn thing(list: &List, object: &Value, more: Map<String, Value>) -> Option<Thing> {
    let metadata = &object["metadata"];
    let mut kept = Map::new();
    for name in [
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "labels",
        "ownerReferences",
    ] {
        keep(&mut kept, name, metadata);
    }
    let mut state = Map::new();
    state.insert("kind".to_owned(), json!(list.object));
    state.insert("metadata".to_owned(), Value::Object(kept));
    state.extend(more);
    Some(Thing {
        id: id(list, object)?,
        state: Value::Object(state),
    })
}

/// Copies a member, if it is there.
fn keep(into: &mut Map<String, Value>, name: &str, from: &Value) {
    match &from[name] {
        Value::Null => {}
        value => drop(into.insert(name.to_owned(), value.clone())),
    }
}

fn members(from: &Value, names: &[&str]) -> Map<String, Value> {
    let mut kept = Map::new();
    for name in names {
        keep(&mut kept, name, from);
    }
    kept
}

/// Controllers that nobody owns, and pods without one: what a deployment or a cron job makes, it says.
fn workload(list: &List, object: &Value) -> Option<Thing> {
    if object::owner(object).is_some() {
        return None;
    }
    let spec = &object["spec"];
    let template = match list.object {
        "Pod" => spec,
        "CronJob" => &spec["jobTemplate"]["spec"]["template"]["spec"],
        _ => &spec["template"]["spec"],
    };
    let mut told = members(
        spec,
        &[
            "replicas",
            "schedule",
            "suspend",
            "parallelism",
            "completions",
        ],
    );
    let pod = Value::Object(pod(template));
    match list.object {
        "Pod" => told = pod.as_object().cloned().unwrap_or_default(),
        _ => drop(told.insert("template".to_owned(), json!({"spec": pod}))),
    }
    let mut more = Map::new();
    more.insert("spec".to_owned(), Value::Object(told));
    if list.object == "Pod" {
        let status = members(
            &object["status"],
            &["phase", "podIP", "hostIP", "startTime"],
        );
        more.insert("status".to_owned(), Value::Object(status));
    }
    thing(list, object, more)
}

/// What of a pod says what runs in it and what it may do.
fn pod(spec: &Value) -> Map<String, Value> {
    let mut kept = members(
        spec,
        &[
            "serviceAccountName",
            "automountServiceAccountToken",
            "hostNetwork",
            "hostPID",
            "hostIPC",
            "nodeName",
            "nodeSelector",
            "tolerations",
            "priorityClassName",
            "runtimeClassName",
            "securityContext",
        ],
    );
    for list in ["containers", "initContainers", "ephemeralContainers"] {
        let containers = spec[list].as_array().into_iter().flatten();
        let containers: Vec<Value> = containers.map(container).collect();
        if !containers.is_empty() {
            kept.insert(list.to_owned(), Value::Array(containers));
        }
    }
    let volumes = spec["volumes"].as_array().into_iter().flatten();
    let volumes: Vec<Value> = volumes.map(volume).collect();
    if !volumes.is_empty() {
        kept.insert("volumes".to_owned(), Value::Array(volumes));
    }
    kept
}

fn container(container: &Value) -> Value {
    let mut kept = members(
        container,
        &[
            "name",
            "image",
            "resources",
            "securityContext",
            "ports",
            "volumeMounts",
        ],
    );
    let variables = container["env"].as_array().into_iter().flatten();
    // Names only: a value may be a secret.
    let names: Vec<Value> = variables
        .filter_map(|variable| Some(json!({"name": variable["name"].as_str()?})))
        .collect();
    if !names.is_empty() {
        kept.insert("env".to_owned(), Value::Array(names));
    }
    Value::Object(kept)
}

/// What a volume is made of, without what is in it.
fn volume(volume: &Value) -> Value {
    let mut kept = members(volume, &["name", "hostPath", "persistentVolumeClaim"]);
    for (source, member) in [("secret", "secretName"), ("configMap", "name")] {
        let named = members(&volume[source], &[member]);
        if !named.is_empty() {
            kept.insert(source.to_owned(), Value::Object(named));
        }
    }
    Value::Object(kept)
}

fn service_account(list: &List, object: &Value) -> Option<Thing> {
    let mut more = members(
        object,
        &["automountServiceAccountToken", "imagePullSecrets"],
    );
    // The role of AWS that its pods have.
    let role = &object["metadata"]["annotations"]["eks.amazonaws.com/role-arn"];
    if let Some(role) = role.as_str() {
        more.insert("roleArn".to_owned(), json!(role));
    }
    thing(list, object, more)
}

fn role_binding(list: &List, object: &Value) -> Option<Thing> {
    thing(list, object, members(object, &["roleRef", "subjects"]))
}

fn network_policy(list: &List, object: &Value) -> Option<Thing> {
    thing(list, object, members(object, &["spec"]))
}

fn namespace(list: &List, object: &Value) -> Option<Thing> {
    let mut more = Map::new();
    let status = members(&object["status"], &["phase"]);
    more.insert("status".to_owned(), Value::Object(status));
    thing(list, object, more)
}

fn node(list: &List, object: &Value) -> Option<Thing> {
    let spec = members(&object["spec"], &["providerID", "taints", "unschedulable"]);
    let status = &object["status"];
    let mut told = members(status, &["capacity", "addresses"]);
    let info = [
        "architecture",
        "bootID",
        "containerRuntimeVersion",
        "kernelVersion",
        "kubeletVersion",
        "osImage",
    ];
    let info = members(&status["nodeInfo"], &info);
    told.insert("nodeInfo".to_owned(), Value::Object(info));
    // Whether a node is ready matters; when it said so last does not.
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let conditions = conditions.map(|it| Value::Object(members(it, &["type", "status"])));
    told.insert("conditions".to_owned(), conditions.collect());
    let mut more = Map::new();
    more.insert("spec".to_owned(), Value::Object(spec));
    more.insert("status".to_owned(), Value::Object(told));
    thing(list, object, more)
}

/// The images of all workloads, each with what runs it.
fn images(workloads: &[Thing]) -> Vec<Thing> {
    let mut used: std::collections::BTreeMap<String, Vec<&str>> = Default::default();
    for workload in workloads {
        let spec = &workload.state["spec"];
        for spec in [spec, &spec["template"]["spec"]] {
            for list in ["containers", "initContainers", "ephemeralContainers"] {
                for container in spec[list].as_array().into_iter().flatten() {
                    if let Some(image) = container["image"].as_str() {
                        used.entry(image.to_owned()).or_default().push(&workload.id);
                    }
                }
            }
        }
    }
    used.into_iter()
        .map(|(image, mut by)| {
            by.sort_unstable();
            by.dedup();
            Thing {
                state: json!({"image": &image, "usedBy": by}),
                id: image,
            }
        })
        .collect()
}
