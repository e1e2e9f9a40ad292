//! What starts pods: scaled to zero or suspended.

use davylamp_model::ids::Namespace;
use serde_json::{Value, json};

use super::objects::{Kind, Objects};
use crate::actuator::{ActError, Checked, Verified};

/// The kind that a plan names, in the singular or the plural and in any case.
fn scalable(kind: &str) -> Result<Kind, ActError> {
    match singular(kind).as_str() {
        "deployment" => Ok(Kind::DEPLOYMENT),
        "statefulset" => Ok(Kind::STATEFUL_SET),
        "replicaset" => Ok(Kind::REPLICA_SET),
        _ => Err(no_such("scaled to zero", kind)),
    }
}

fn suspendable(kind: &str) -> Result<Kind, ActError> {
    match singular(kind).as_str() {
        "job" => Ok(Kind::JOB),
        "cronjob" => Ok(Kind::CRON_JOB),
        _ => Err(no_such("suspended", kind)),
    }
}

fn singular(kind: &str) -> String {
    kind.to_lowercase().trim_end_matches('s').to_owned()
}

fn no_such(what: &str, kind: &str) -> ActError {
    ActError::Refused {
        call: format!("naming a kind to be {what}"),
        why: format!("a {kind:?} has no such field"),
    }
}

fn gone(kind: Kind) -> Checked {
    Checked::Already {
        note: format!("the {} is gone", kind.3),
    }
}

/// Without `spec.replicas` there is one.
fn wanted(object: &Value) -> i64 {
    object["spec"]["replicas"].as_i64().unwrap_or(1)
}

pub(super) async fn check_scale(
    objects: &Objects,
    namespace: &Namespace,
    kind: &str,
    name: &str,
) -> Result<Checked, ActError> {
    let kind = scalable(kind)?;
    Ok(match objects.get(kind, namespace.as_str(), name).await? {
        None => gone(kind),
        Some(object) if wanted(&object) == 0 => Checked::Already {
            note: "it is scaled to zero".to_owned(),
        },
        Some(object) => Checked::Needed {
            before: json!({ "replicas": wanted(&object) }),
        },
    })
}

pub(super) async fn scale(
    objects: &Objects,
    namespace: &Namespace,
    kind: &str,
    name: &str,
) -> Result<(), ActError> {
    let change = json!({ "spec": { "replicas": 0 } });
    objects
        .merge(scalable(kind)?, namespace.as_str(), name, &change)
        .await
        .map(drop)
}

pub(super) async fn verify_scale(
    objects: &Objects,
    namespace: &Namespace,
    kind: &str,
    name: &str,
) -> Result<Verified, ActError> {
    let kind = scalable(kind)?;
    let Some(object) = objects.get(kind, namespace.as_str(), name).await? else {
        return Ok(Verified::Done {
            note: format!("the {} is gone", kind.3),
        });
    };
    Ok(
        match (wanted(&object), object["status"]["replicas"].as_i64()) {
            (0, None | Some(0)) => Verified::Done {
                note: "it is scaled to zero".to_owned(),
            },
            (0, Some(left)) => Verified::Pending {
                what: format!("{left} pods to end"),
            },
            (wanted, _) => Verified::Failed {
                why: format!("it still wants {wanted} pods"),
            },
        },
    )
}

pub(super) async fn scale_back(
    objects: &Objects,
    namespace: &Namespace,
    kind: &str,
    name: &str,
    before: &Value,
) -> Result<(), ActError> {
    let kind = scalable(kind)?;
    let Some(object) = objects.get(kind, namespace.as_str(), name).await? else {
        return Ok(());
    };
    let Some(replicas) = before["replicas"].as_i64().filter(|_| wanted(&object) == 0) else {
        return Ok(());
    };
    let change = json!({ "spec": { "replicas": replicas } });
    objects
        .merge(kind, namespace.as_str(), name, &change)
        .await
        .map(drop)
}

fn is_suspended(object: &Value) -> bool {
    object["spec"]["suspend"] == true
}

pub(super) async fn check_suspend(
    objects: &Objects,
    namespace: &Namespace,
    kind: &str,
    name: &str,
) -> Result<Checked, ActError> {
    let kind = suspendable(kind)?;
    Ok(match objects.get(kind, namespace.as_str(), name).await? {
        None => gone(kind),
        Some(object) if is_suspended(&object) => Checked::Already {
            note: "it is suspended".to_owned(),
        },
        Some(_) => Checked::Needed {
            before: json!({ "suspend": false }),
        },
    })
}

pub(super) async fn suspend(
    objects: &Objects,
    namespace: &Namespace,
    kind: &str,
    name: &str,
) -> Result<(), ActError> {
    let change = json!({ "spec": { "suspend": true } });
    objects
        .merge(suspendable(kind)?, namespace.as_str(), name, &change)
        .await
        .map(drop)
}

pub(super) async fn verify_suspend(
    objects: &Objects,
    namespace: &Namespace,
    kind: &str,
    name: &str,
) -> Result<Verified, ActError> {
    let kind = suspendable(kind)?;
    let Some(object) = objects.get(kind, namespace.as_str(), name).await? else {
        return Ok(Verified::Done {
            note: format!("the {} is gone", kind.3),
        });
    };
    // A suspended job's pods end; a cron job's `active` are jobs of their own, which go on.
    let active = object["status"]["active"].as_i64().unwrap_or(0);
    Ok(if !is_suspended(&object) {
        Verified::Failed {
            why: "it is not suspended".to_owned(),
        }
    } else if active > 0 {
        Verified::Pending {
            what: format!("{active} pods to end"),
        }
    } else {
        Verified::Done {
            note: "it is suspended".to_owned(),
        }
    })
}

pub(super) async fn resume(
    objects: &Objects,
    namespace: &Namespace,
    kind: &str,
    name: &str,
    before: &Value,
) -> Result<(), ActError> {
    let kind = suspendable(kind)?;
    let Some(object) = objects.get(kind, namespace.as_str(), name).await? else {
        return Ok(());
    };
    if before["suspend"] != false || !is_suspended(&object) {
        return Ok(());
    }
    let change = json!({ "spec": { "suspend": false } });
    objects
        .merge(kind, namespace.as_str(), name, &change)
        .await
        .map(drop)
}
