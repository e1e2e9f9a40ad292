//! Nodes and Karpenter's node pools.

use davylamp_model::ids::{IncidentId, NodeName};
use serde_json::{Map, Value, json};

use super::objects::{Kind, Objects};
use crate::actuator::{ActError, Checked, Verified};

/// Which incident cordoned a node: undo frees no node that somebody else has cordoned since.
const CORDONED_BY: &str = "davylamp.dev/cordoned-by";

/// What keeps Karpenter and the cluster autoscaler from removing a node
/// (<https://karpenter.sh/docs/concepts/disruption/>, the autoscaler's FAQ).
const KEEPING: [&str; 2] = [
    "karpenter.sh/do-not-disrupt",
    "cluster-autoscaler.kubernetes.io/scale-down-disabled",
];

/// The label that says which incident a node is part of. A label, so that selectors find it.
const SUSPECT: &str = "davylamp.dev/incident";

fn gone() -> Checked {
    Checked::Impossible {
        why: "the node is gone".to_owned(),
    }
}

fn failed(why: &str) -> Verified {
    Verified::Failed {
        why: why.to_owned(),
    }
}

fn is_cordoned(node: &Value) -> bool {
    node["spec"]["unschedulable"] == true
}

pub(super) async fn check_cordon(objects: &Objects, node: &NodeName) -> Result<Checked, ActError> {
    Ok(match objects.get(Kind::NODE, "", node.as_str()).await? {
        None => gone(),
        Some(node) if is_cordoned(&node) => Checked::Already {
            note: "the node is cordoned".to_owned(),
        },
        Some(_) => Checked::Needed {
            before: json!({ "unschedulable": false }),
        },
    })
}

pub(super) async fn cordon(
    objects: &Objects,
    node: &NodeName,
    incident: &IncidentId,
) -> Result<(), ActError> {
    let change = json!({
        "metadata": { "annotations": { CORDONED_BY: incident } },
        "spec": { "unschedulable": true },
    });
    objects
        .merge(Kind::NODE, "", node.as_str(), &change)
        .await
        .map(drop)
}

pub(super) async fn verify_cordon(
    objects: &Objects,
    node: &NodeName,
) -> Result<Verified, ActError> {
    Ok(match objects.get(Kind::NODE, "", node.as_str()).await? {
        None => Verified::Done {
            note: "the node is gone".to_owned(),
        },
        Some(node) if is_cordoned(&node) => Verified::Done {
            note: "the node takes no new pods".to_owned(),
        },
        Some(_) => failed("the node takes new pods"),
    })
}

pub(super) async fn uncordon(
    objects: &Objects,
    node: &NodeName,
    incident: &IncidentId,
    before: &Value,
) -> Result<(), ActError> {
    let Some(now) = objects.get(Kind::NODE, "", node.as_str()).await? else {
        return Ok(());
    };
    let ours = now["metadata"]["annotations"][CORDONED_BY] == incident.as_str();
    if !ours || before["unschedulable"] != false {
        return Ok(());
    }
    let change = json!({
        "metadata": { "annotations": { CORDONED_BY: null } },
        "spec": { "unschedulable": false },
    });
    objects
        .merge(Kind::NODE, "", node.as_str(), &change)
        .await
        .map(drop)
}

fn is_kept(node: &Value) -> bool {
    KEEPING
        .iter()
        .all(|key| node["metadata"]["annotations"][key] == "true")
}

pub(super) async fn check_keep(objects: &Objects, node: &NodeName) -> Result<Checked, ActError> {
    Ok(match objects.get(Kind::NODE, "", node.as_str()).await? {
        None => gone(),
        Some(node) if is_kept(&node) => Checked::Already {
            note: "the node is kept by its annotations".to_owned(),
        },
        Some(node) => {
            let was: Map<String, Value> = KEEPING
                .iter()
                .map(|key| {
                    let value = node["metadata"]["annotations"][key].clone();
                    ((*key).to_owned(), value)
                })
                .collect();
            Checked::Needed {
                before: json!({ "annotations": was }),
            }
        }
    })
}

pub(super) async fn keep(objects: &Objects, node: &NodeName) -> Result<(), ActError> {
    let wanted: Map<String, Value> = KEEPING
        .iter()
        .map(|key| ((*key).to_owned(), json!("true")))
        .collect();
    let change = json!({ "metadata": { "annotations": wanted } });
    objects
        .merge(Kind::NODE, "", node.as_str(), &change)
        .await
        .map(drop)
}

pub(super) async fn verify_keep(objects: &Objects, node: &NodeName) -> Result<Verified, ActError> {
    Ok(match objects.get(Kind::NODE, "", node.as_str()).await? {
        None => failed("the node is gone"),
        Some(node) if is_kept(&node) => Verified::Done {
            note: "Karpenter and the cluster autoscaler keep the node".to_owned(),
        },
        Some(_) => failed("the annotations that keep the node are not there"),
    })
}

pub(super) async fn let_go(
    objects: &Objects,
    node: &NodeName,
    before: &Value,
) -> Result<(), ActError> {
    let Some(now) = objects.get(Kind::NODE, "", node.as_str()).await? else {
        return Ok(());
    };
    let back: Map<String, Value> = KEEPING
        .iter()
        .filter(|key| now["metadata"]["annotations"][key] == "true")
        .map(|key| ((*key).to_owned(), before["annotations"][key].clone()))
        .collect();
    if back.is_empty() {
        return Ok(());
    }
    let change = json!({ "metadata": { "annotations": back } });
    objects
        .merge(Kind::NODE, "", node.as_str(), &change)
        .await
        .map(drop)
}

pub(super) async fn check_label(objects: &Objects, node: &NodeName) -> Result<Checked, ActError> {
    Ok(match objects.get(Kind::NODE, "", node.as_str()).await? {
        None => gone(),
        Some(node) => match &node["metadata"]["labels"][SUSPECT] {
            Value::Null => Checked::Needed {
                before: json!({ "label": null }),
            },
            other => Checked::Already {
                note: format!("the node is labelled already, with {other}"),
            },
        },
    })
}

pub(super) async fn label(
    objects: &Objects,
    node: &NodeName,
    incident: &IncidentId,
) -> Result<(), ActError> {
    let change = json!({ "metadata": { "labels": { SUSPECT: incident } } });
    objects
        .merge(Kind::NODE, "", node.as_str(), &change)
        .await
        .map(drop)
}

pub(super) async fn verify_label(objects: &Objects, node: &NodeName) -> Result<Verified, ActError> {
    Ok(match objects.get(Kind::NODE, "", node.as_str()).await? {
        None => Verified::Done {
            note: "the node is gone".to_owned(),
        },
        Some(node) if node["metadata"]["labels"][SUSPECT].is_string() => Verified::Done {
            note: "the node carries the incident".to_owned(),
        },
        Some(_) => failed("the node carries no incident"),
    })
}

pub(super) async fn unlabel(
    objects: &Objects,
    node: &NodeName,
    incident: &IncidentId,
    before: &Value,
) -> Result<(), ActError> {
    let Some(now) = objects.get(Kind::NODE, "", node.as_str()).await? else {
        return Ok(());
    };
    let ours = now["metadata"]["labels"][SUSPECT] == incident.as_str();
    if !ours || !before["label"].is_null() {
        return Ok(());
    }
    let change = json!({ "metadata": { "labels": { SUSPECT: null } } });
    objects
        .merge(Kind::NODE, "", node.as_str(), &change)
        .await
        .map(drop)
}

/// Whether a pool may start no more nodes. A quantity may stand there as a number or as text.
fn is_limited(pool: &Value) -> bool {
    let cpu = &pool["spec"]["limits"]["cpu"];
    *cpu == 0 || *cpu == "0"
}

pub(super) async fn check_limit(objects: &Objects, pool: &str) -> Result<Checked, ActError> {
    Ok(match objects.get(Kind::NODE_POOL, "", pool).await? {
        None => Checked::Impossible {
            why: "there is no such node pool".to_owned(),
        },
        Some(pool) if is_limited(&pool) => Checked::Already {
            note: "the node pool may start no node".to_owned(),
        },
        Some(pool) => Checked::Needed {
            before: json!({ "limits": pool["spec"]["limits"] }),
        },
    })
}

pub(super) async fn limit(objects: &Objects, pool: &str) -> Result<(), ActError> {
    let change = json!({ "spec": { "limits": { "cpu": "0" } } });
    objects
        .merge(Kind::NODE_POOL, "", pool, &change)
        .await
        .map(drop)
}

pub(super) async fn verify_limit(objects: &Objects, pool: &str) -> Result<Verified, ActError> {
    Ok(match objects.get(Kind::NODE_POOL, "", pool).await? {
        None => Verified::Done {
            note: "the node pool is gone".to_owned(),
        },
        Some(pool) if is_limited(&pool) => Verified::Done {
            note: "the node pool may start no node".to_owned(),
        },
        Some(_) => failed("the node pool may start nodes"),
    })
}

pub(super) async fn lift_limit(
    objects: &Objects,
    pool: &str,
    before: &Value,
) -> Result<(), ActError> {
    let Some(now) = objects.get(Kind::NODE_POOL, "", pool).await? else {
        return Ok(());
    };
    if !is_limited(&now) {
        return Ok(());
    }
    let limits = if before["limits"].is_null() {
        Value::Null
    } else {
        json!({ "cpu": before["limits"]["cpu"] })
    };
    let change = json!({ "spec": { "limits": limits } });
    objects
        .merge(Kind::NODE_POOL, "", pool, &change)
        .await
        .map(drop)
}
