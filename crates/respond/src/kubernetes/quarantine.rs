//! Cuts a pod off the network.
//!
//! Network policies add up: a pod may do what any policy that selects it allows, so one that allows
//! nothing does not help while another selects the pod too. The policy of a Hub's chart, for one,
//! allows every user's pod to reach the internet. So the labels by which other policies select the
//! pod are taken from it as well. A policy that selects every pod of the namespace cannot be
//! escaped so; then the step fails and says which one it is.
//!
//! Taking labels away can also take the pod from its controller, which starts another in its
//! place: scaling the controller to zero is a step of its own. Whether policies are enforced at
//! all, and whether they end established connections, depends on the cluster's network plugin.

use davylamp_model::ids::IncidentId;
use serde_json::{Map, Value, json};

use super::objects::{Kind, Objects, only};
use super::pod::PodRef;
use crate::actuator::{ActError, Checked, Verified};

/// The label that our policy selects by; its value is the pod's uid.
pub const QUARANTINE_LABEL: &str = "davylamp.dev/quarantine";

/// Which incident a policy belongs to.
const INCIDENT: &str = "davylamp.dev/incident";

/// The name of the policy that cuts off the pod with this uid.
pub fn quarantine_policy_name(uid: &str) -> String {
    format!("davylamp-quarantine-{uid}")
}

/// What our policy says.
fn policy_spec(uid: &str) -> Value {
    json!({
        "podSelector": { "matchLabels": { QUARANTINE_LABEL: uid } },
        "policyTypes": ["Ingress", "Egress"],
    })
}

/// How far a pod is cut off.
struct Situation {
    labels: Map<String, Value>,
    has_policy: bool,
    /// Labels by which policies that allow something select the pod.
    escapes: Vec<String>,
    /// Policies that allow something and select the pod whatever its labels.
    inescapable: Vec<String>,
}

impl Situation {
    async fn of(objects: &Objects, pod: &PodRef<'_>, found: &Value) -> Result<Self, ActError> {
        let labels = labels_of(found);
        let mut situation = Self {
            has_policy: false,
            escapes: Vec::new(),
            inescapable: Vec::new(),
            labels,
        };
        for policy in objects.list(Kind::POLICY, pod.namespace).await? {
            let name = policy["metadata"]["name"].as_str().unwrap_or_default();
            if name == quarantine_policy_name(pod.uid) {
                let (spec, wanted) = (&policy["spec"], policy_spec(pod.uid));
                situation.has_policy = spec["podSelector"] == wanted["podSelector"]
                    && spec["policyTypes"] == wanted["policyTypes"]
                    && !allows(&policy);
                continue;
            }
            let selector = &policy["spec"]["podSelector"];
            if !allows(&policy) || !selects(selector, &situation.labels) {
                continue;
            }
            let keys = escaping_keys(selector);
            if keys.is_empty() {
                situation.inescapable.push(name.to_owned());
            }
            situation.escapes.extend(keys);
        }
        situation.escapes.sort();
        situation.escapes.dedup();
        Ok(situation)
    }

    fn is_labelled(&self, uid: &str) -> bool {
        self.labels
            .get(QUARANTINE_LABEL)
            .is_some_and(|value| value == uid)
    }

    fn is_cut_off(&self, uid: &str) -> bool {
        self.has_policy
            && self.is_labelled(uid)
            && self.escapes.is_empty()
            && self.inescapable.is_empty()
    }
}

pub(super) async fn check(objects: &Objects, pod: &PodRef<'_>) -> Result<Checked, ActError> {
    let Some(found) = pod.find(objects).await? else {
        return Ok(Checked::Impossible {
            why: "the pod is gone".to_owned(),
        });
    };
    if found["spec"]["hostNetwork"] == true {
        return Ok(Checked::Impossible {
            why: "the pod uses its node's network, where no policy reaches it".to_owned(),
        });
    }
    if Situation::of(objects, pod, &found)
        .await?
        .is_cut_off(pod.uid)
    {
        return Ok(Checked::Already {
            note: "the pod is cut off".to_owned(),
        });
    }
    Ok(Checked::Needed {
        before: json!({ "labels": labels_of(&found) }),
    })
}

pub(super) async fn isolate(
    objects: &Objects,
    pod: &PodRef<'_>,
    incident: &IncidentId,
) -> Result<(), ActError> {
    let Some(found) = pod.find(objects).await? else {
        return Ok(());
    };
    let situation = Situation::of(objects, pod, &found).await?;
    if !situation.has_policy {
        let name = quarantine_policy_name(pod.uid);
        let policy = json!({
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": { "name": name, "annotations": { INCIDENT: incident } },
            "spec": policy_spec(pod.uid),
        });
        if !objects.create(Kind::POLICY, pod.namespace, &policy).await? {
            // One of that name that says something else: what it allows is taken out.
            let mut change = json!({ "spec": policy_spec(pod.uid) });
            change["spec"]["ingress"] = Value::Null;
            change["spec"]["egress"] = Value::Null;
            change["spec"]["podSelector"]["matchExpressions"] = Value::Null;
            objects
                .merge(Kind::POLICY, pod.namespace, &name, &change)
                .await?;
        }
    }
    let mut labels: Map<String, Value> = situation
        .escapes
        .into_iter()
        .map(|key| (key, Value::Null))
        .collect();
    labels.insert(QUARANTINE_LABEL.to_owned(), json!(pod.uid));
    label(objects, pod, labels).await
}

pub(super) async fn verify(objects: &Objects, pod: &PodRef<'_>) -> Result<Verified, ActError> {
    let Some(found) = pod.find(objects).await? else {
        return Ok(Verified::Done {
            note: "the pod is gone".to_owned(),
        });
    };
    let situation = Situation::of(objects, pod, &found).await?;
    if situation.is_cut_off(pod.uid) {
        return Ok(Verified::Done {
            note: format!(
                "policy {} cuts the pod off, as far as the network plugin enforces policies",
                quarantine_policy_name(pod.uid)
            ),
        });
    }
    let why = if !situation.inescapable.is_empty() {
        format!(
            "network policy {} selects every pod and allows traffic",
            situation.inescapable.join(", ")
        )
    } else if !situation.escapes.is_empty() {
        format!(
            "by its labels {} other network policies allow the pod traffic",
            situation.escapes.join(", ")
        )
    } else {
        "the pod's label or its policy is not there".to_owned()
    };
    Ok(Verified::Failed { why })
}

pub(super) async fn release(
    objects: &Objects,
    pod: &PodRef<'_>,
    before: &Value,
) -> Result<(), ActError> {
    if let Some(found) = pod.find(objects).await? {
        let now = labels_of(&found);
        if now
            .get(QUARANTINE_LABEL)
            .is_some_and(|value| value == pod.uid)
        {
            let mut labels: Map<String, Value> = before["labels"]
                .as_object()
                .cloned()
                .unwrap_or_default()
                .into_iter()
                .filter(|(key, _)| !now.contains_key(key))
                .collect();
            labels.insert(QUARANTINE_LABEL.to_owned(), Value::Null);
            label(objects, pod, labels).await?;
        }
    }
    let name = quarantine_policy_name(pod.uid);
    let Some(policy) = objects.get(Kind::POLICY, pod.namespace, &name).await? else {
        return Ok(());
    };
    let uid = policy["metadata"]["uid"].as_str().unwrap_or_default();
    objects
        .delete(Kind::POLICY, pod.namespace, &name, &only(uid, 0))
        .await
}

/// Changes the pod's labels; the uid keeps a later pod of the same name from getting them.
async fn label(
    objects: &Objects,
    pod: &PodRef<'_>,
    labels: Map<String, Value>,
) -> Result<(), ActError> {
    let change = json!({ "metadata": { "uid": pod.uid, "labels": labels } });
    objects
        .merge(Kind::POD, pod.namespace, pod.name, &change)
        .await
        .map(drop)
}

fn labels_of(pod: &Value) -> Map<String, Value> {
    pod["metadata"]["labels"]
        .as_object()
        .cloned()
        .unwrap_or_default()
}

/// Whether a policy has any rule: a rule allows, and a policy without rules allows nothing. One
/// that speaks of one direction only leaves the other to the other policies.
fn allows(policy: &Value) -> bool {
    ["ingress", "egress"].iter().any(|way| {
        policy["spec"][way]
            .as_array()
            .is_some_and(|rules| !rules.is_empty())
    })
}

/// Whether a selector takes a pod with these labels. An operator that is not known is taken as if
/// it did: it is better to name one policy too many.
fn selects(selector: &Value, labels: &Map<String, Value>) -> bool {
    let equal = selector["matchLabels"].as_object().is_none_or(|wanted| {
        wanted
            .iter()
            .all(|(key, value)| labels.get(key) == Some(value))
    });
    equal
        && expressions(selector).all(|expression| {
            let label = expression["key"].as_str().and_then(|key| labels.get(key));
            let listed = expression["values"]
                .as_array()
                .is_some_and(|values| label.is_some_and(|label| values.contains(label)));
            match expression["operator"].as_str() {
                Some("In") => listed,
                Some("NotIn") => !listed,
                Some("Exists") => label.is_some(),
                Some("DoesNotExist") => label.is_none(),
                _ => true,
            }
        })
}

/// The labels without which a selector takes the pod no more.
fn escaping_keys(selector: &Value) -> Vec<String> {
    let equal = selector["matchLabels"]
        .as_object()
        .into_iter()
        .flat_map(Map::keys)
        .cloned();
    let wanted = expressions(selector)
        .filter(|expression| matches!(expression["operator"].as_str(), Some("In" | "Exists")))
        .filter_map(|expression| expression["key"].as_str().map(str::to_owned));
    equal.chain(wanted).collect()
}

fn expressions(selector: &Value) -> impl Iterator<Item = &Value> {
    selector["matchExpressions"]
        .as_array()
        .into_iter()
        .flatten()
}
