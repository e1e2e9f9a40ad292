//! Objects of the cluster, as their JSON says them.

use davylamp_model::ids::{
    ClaimName, InstanceId, Namespace, NodeName, PodName, VolumeId, is_ec2_id,
};
use davylamp_model::inventory::{Claim, Controller, Node, Pod, Tags};
use serde_json::Value;

/// Labels or annotations. What is not text is none: the cluster refuses it as well.
fn texts(value: &Value) -> Tags {
    let Some(members) = value.as_object() else {
        return Tags::new();
    };
    members
        .iter()
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}

/// Namespace and name.
pub(super) fn key(object: &Value) -> (String, String) {
    let text = |member: &str| {
        object["metadata"][member]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    (text("namespace"), text("name"))
}

/// The controlling owner, as `kind/name` in lower case.
pub(super) fn owner(object: &Value) -> Option<String> {
    object["metadata"]["ownerReferences"]
        .as_array()?
        .iter()
        .find(|owner| owner["controller"].as_bool() == Some(true))
        .and_then(|owner| {
            let kind = owner["kind"].as_str()?.to_ascii_lowercase();
            Some(format!("{kind}/{}", owner["name"].as_str()?))
        })
}

/// Where the controllers of a kind are.
pub(super) fn path(kind: &str, namespace: &str) -> Option<String> {
    let group = match kind {
        "deployment" | "replicaset" | "statefulset" | "daemonset" => "apps",
        "job" | "cronjob" => "batch",
        _ => return None,
    };
    // A namespace is checked by the cluster's own rule: it stands in a path here.
    let fits = !namespace.is_empty()
        && namespace
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    fits.then(|| format!("/apis/{group}/v1/namespaces/{namespace}/{kind}s"))
}

/// A label selector in a query's form; none where it selects nothing or cannot be read.
pub(super) fn selector(controller: &Value) -> Option<String> {
    let selector = &controller["spec"]["selector"];
    let mut terms: Vec<String> = texts(&selector["matchLabels"])
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    for expression in selector["matchExpressions"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let key = expression["key"].as_str()?;
        let values: Vec<&str> = expression["values"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let values = values.join(",");
        terms.push(match expression["operator"].as_str()? {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "Exists" => key.to_owned(),
            "DoesNotExist" => format!("!{key}"),
            _ => return None,
        });
    }
    (!terms.is_empty()).then(|| terms.join(","))
}

/// A node.
pub(super) fn node(object: &Value) -> Option<Node> {
    let name = key(object).1;
    if name.is_empty() {
        return None;
    }
    let instance = object["spec"]["providerID"]
        .as_str()
        // `aws:///eu-central-1a/i-0123456789abcdef0`; Fargate's and other clouds' end otherwise.
        .filter(|id| id.starts_with("aws:"))
        .and_then(|id| id.rsplit('/').next())
        .filter(|id| is_ec2_id("i-", id))
        .map(InstanceId::from);
    Some(Node {
        name: NodeName(name),
        instance,
        unschedulable: object["spec"]["unschedulable"].as_bool().unwrap_or(false),
        labels: texts(&object["metadata"]["labels"]),
        annotations: texts(&object["metadata"]["annotations"]),
    })
}

/// A pod.
pub(super) fn pod(object: &Value) -> Option<Pod> {
    let (namespace, name) = key(object);
    if name.is_empty() {
        return None;
    }
    let metadata = &object["metadata"];
    let spec = &object["spec"];
    let volumes = spec["volumes"].as_array().into_iter().flatten();
    let claims = volumes.filter_map(|volume| {
        let direct = volume["persistentVolumeClaim"]["claimName"]
            .as_str()
            .map(str::to_owned);
        // An ephemeral volume's claim is called as pod and volume.
        let ephemeral = || {
            volume["ephemeral"].as_object()?;
            Some(format!("{name}-{}", volume["name"].as_str()?))
        };
        direct.or_else(ephemeral).map(ClaimName)
    });
    Some(Pod {
        claims: claims.collect(),
        namespace: Namespace(namespace),
        name: PodName(name.clone()),
        uid: metadata["uid"].as_str().unwrap_or_default().to_owned(),
        node: spec["nodeName"].as_str().map(NodeName::from),
        phase: object["status"]["phase"]
            .as_str()
            .unwrap_or("Unknown")
            .to_owned(),
        labels: texts(&metadata["labels"]),
        annotations: texts(&metadata["annotations"]),
        service_account: spec["serviceAccountName"].as_str().map(str::to_owned),
        owner: owner(object),
        host_network: spec["hostNetwork"].as_bool().unwrap_or(false),
        cpu_millicores: None,
    })
}

/// A claim.
pub(super) fn claim(
    object: &Value,
    namespace: &Namespace,
    name: &ClaimName,
    volume: Option<VolumeId>,
) -> Claim {
    Claim {
        namespace: namespace.clone(),
        name: name.clone(),
        volume,
        labels: texts(&object["metadata"]["labels"]),
        annotations: texts(&object["metadata"]["annotations"]),
    }
}

/// The EBS volume behind a persistent volume, by CSI or by the in-tree driver of old.
pub(super) fn ebs_volume(volume: &Value) -> Option<VolumeId> {
    let spec = &volume["spec"];
    let by_csi = spec["csi"]["volumeHandle"]
        .as_str()
        .filter(|_| spec["csi"]["driver"] == "ebs.csi.aws.com");
    let in_tree = spec["awsElasticBlockStore"]["volumeID"]
        .as_str()
        // `aws://eu-central-1a/vol-…` or the id alone.
        .and_then(|id| id.rsplit('/').next());
    by_csi
        .or(in_tree)
        .filter(|id| is_ec2_id("vol-", id))
        .map(VolumeId::from)
}

/// A controller.
pub(super) fn controller(
    object: &Value,
    namespace: &Namespace,
    kind: &str,
    name: &str,
) -> Controller {
    let spec = &object["spec"];
    Controller {
        namespace: namespace.clone(),
        kind: kind.to_owned(),
        name: name.to_owned(),
        replicas: spec["replicas"]
            .as_i64()
            .and_then(|count| i32::try_from(count).ok()),
        suspended: spec["suspend"].as_bool().unwrap_or(false),
        owner: owner(object),
        labels: texts(&object["metadata"]["labels"]),
    }
}

/// What the containers of a pod use together, in thousandths of a core.
pub(super) fn cpu_millicores(metrics: &Value) -> Option<u64> {
    let containers = metrics["containers"].as_array()?;
    let nanos = containers
        .iter()
        .map(|container| nanocores(container["usage"]["cpu"].as_str()?))
        .sum::<Option<u64>>()?;
    Some(nanos.div_ceil(1_000_000))
}

/// A quantity of processor: `2`, `250m`, `1300u`, `412345678n`. Metrics are never written otherwise.
fn nanocores(text: &str) -> Option<u64> {
    let (digits, unit): (&str, u64) = match text.as_bytes().last()? {
        b'n' => (text.strip_suffix('n')?, 1),
        b'u' => (text.strip_suffix('u')?, 1_000),
        b'm' => (text.strip_suffix('m')?, 1_000_000),
        _ => (text, 1_000_000_000),
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn provider_ids_of_other_clouds_are_no_instances() {
        let node_of = |id: &str| {
            node(&json!({"metadata": {"name": "n"}, "spec": {"providerID": id}}))
                .and_then(|node| node.instance)
        };
        assert_eq!(
            node_of("aws:///eu-central-1a/i-0123456789abcdef0"),
            Some(InstanceId::from("i-0123456789abcdef0"))
        );
        assert_eq!(
            node_of("aws:///eu-central-1a/abc/fargate-ip-10-0-0-1"),
            None
        );
        assert_eq!(node_of("gce://project/zone/i-0123456789abcdef0"), None);
        assert_eq!(node(&json!({"metadata": {}})), None);
        assert_eq!(node(&json!(null)), None);
    }

    #[test]
    fn volumes_of_both_drivers_are_found() {
        let csi = json!({"spec": {"csi": {"driver": "ebs.csi.aws.com",
            "volumeHandle": "vol-0123456789abcdef0"}}});
        let other = json!({"spec": {"csi": {"driver": "efs.csi.aws.com",
            "volumeHandle": "vol-0123456789abcdef0"}}});
        let old = json!({"spec": {"awsElasticBlockStore": {
            "volumeID": "aws://eu-central-1a/vol-0123456789abcdef0"}}});
        assert!(ebs_volume(&csi).is_some());
        assert!(ebs_volume(&old).is_some());
        assert_eq!(ebs_volume(&other), None);
        assert_eq!(ebs_volume(&json!({"spec": []})), None);
    }

    #[test]
    fn processor_use_is_summed_over_containers() {
        let used = |list: Value| cpu_millicores(&json!({"containers": list}));
        assert_eq!(
            used(json!([{"usage": {"cpu": "250m"}}, {"usage": {"cpu": "1500000000n"}}])),
            Some(1750)
        );
        assert_eq!(used(json!([{"usage": {"cpu": "2"}}])), Some(2000));
        assert_eq!(
            used(json!([{"usage": {"cpu": "1"}}, {"usage": null}])),
            None
        );
        assert_eq!(
            used(json!([{"usage": {"cpu": "99999999999999999999"}}])),
            None
        );
        assert_eq!(used(json!([{"usage": {"cpu": "-1n"}}])), None);
    }

    #[test]
    fn selectors_are_written_as_queries_take_them() {
        let of = |spec: Value| selector(&json!({"spec": {"selector": spec}}));
        assert_eq!(
            of(json!({"matchLabels": {"app": "x"}, "matchExpressions": [
                {"key": "a", "operator": "In", "values": ["1", "2"]},
                {"key": "b", "operator": "DoesNotExist"}]})),
            Some("app=x,a in (1,2),!b".to_owned())
        );
        assert_eq!(
            of(json!({"matchExpressions": [{"key": "a", "operator": "Like"}]})),
            None
        );
        assert_eq!(of(json!({})), None);
    }

    #[test]
    fn a_pod_with_odd_members_is_still_a_pod() {
        let odd = json!({"metadata": {"name": "p", "namespace": "d", "labels": [], "annotations":
            {"a": 1, "b": "c"}, "ownerReferences": [{"controller": false, "kind": "Job",
            "name": "x"}, {"controller": true, "kind": "ReplicaSet", "name": "r"}]},
            "spec": {"volumes": [{"persistentVolumeClaim": {"claimName": "claim-a"}},
            {"name": "scratch", "ephemeral": {}}, {"emptyDir": {}}, null]}, "status": null});
        let pod = pod(&odd).unwrap();
        assert_eq!(pod.claims, ["claim-a".into(), "p-scratch".into()]);
        assert_eq!(pod.owner.as_deref(), Some("replicaset/r"));
        assert_eq!(pod.phase, "Unknown");
        assert_eq!(pod.annotations.len(), 1);
    }
}
