//! Laws that hold of each rendering, whatever the values: the API server would take every object,
//! and the objects fit each other.

use std::collections::BTreeSet;

use k8s_openapi::{
    api::{
        apps::v1::DaemonSet,
        core::v1::{ConfigMap, ResourceQuota, Secret, Service},
        networking::v1::NetworkPolicy,
    },
    serde::de::DeserializeOwned,
};
use serde_json::Value;

use crate::{
    lists::CRYPTNONO,
    render::{Rendered, Request, render},
};

/// Values that between them take every branch of every template.
const VARIANTS: [&str; 16] = [
    "{}",
    "privileged: true",
    "capabilities: [SYS_ADMIN, KILL]",
    "detach: true",
    "pins: {enabled: false}",
    "{detach: true, pins: {enabled: false, mountBpffs: {enabled: true, image: registry.test/tools}}}",
    "pins: {mountBpffs: {enabled: true, image: registry.test/tools}}",
    CRYPTNONO,
    "{detectors: {execwhacker: {configs: {one: {bannedCommandStrings: [word]}}}}, blocklists: {storeIn: ConfigMap, default: false}}",
    "blocklists: {existingSecrets: [hidden, more], existingConfigMaps: [open]}",
    "containers: {criSockets: [/run/containerd/containerd.sock, /run/crio/crio.sock, /run/crio/other.sock], dockerSockets: [/run/docker.sock]}",
    "containers: {criSockets: null, dockerSockets: []}",
    "{metrics: {serviceMonitor: {enabled: true, interval: 30s, labels: {release: prometheus}}, scrapeAnnotations: false}, networkPolicy: {from: [{namespaceSelector: {}}]}}",
    "{metrics: {service: {enabled: false}, address: '[::]', port: 12121}, networkPolicy: {enabled: false}, resourceQuota: {enabled: true, pods: 1000000}}",
    "{seccompProfile: {type: Localhost, localhostProfile: davylamp.json}, appArmorProfile: {type: Localhost, localhostProfile: davylamp}, seLinuxOptions: null}",
    "{fullnameOverride: lamp, image: {digest: 'sha256:0000000000000000000000000000000000000000000000000000000000000000'}, serviceAccountName: lamp, imagePullSecrets: [{name: pull}], podLabels: {team: ops}, podAnnotations: {a: b}, extraEnv: [{name: RUST_LOG, value: debug}], affinity: {nodeAffinity: {}}, updateStrategy: {type: OnDelete, rollingUpdate: null}}",
];

#[test]
fn each_rendering_is_what_the_api_server_takes() {
    let long = "a-release-with-the-longest-name-that-helm-allows-12345";
    for values in VARIANTS {
        for kube_version in ["v1.25.0", "v1.29.9-gke.100", "v1.30.0", "v1.33.1+k3s1"] {
            for release in ["davylamp", "guard", long] {
                let mut request = Request {
                    kube_version,
                    release,
                    ..Request::new(values)
                };
                let rendered = render(&request)
                    .unwrap_or_else(|error| panic!("{error}\nwith {values} on {kube_version}"));
                check(&rendered);
                // Versions of Helm differ in how they read numbers; the result may not.
                request.json_numbers = true;
                assert_eq!(
                    render(&request).as_ref(),
                    Ok(&rendered),
                    "numbers, with {values}"
                );
            }
        }
    }
}

fn check(rendered: &Rendered) {
    let mut names = BTreeSet::new();
    for object in rendered.objects() {
        let body = &object.body;
        let kind = body["kind"].as_str().expect("a kind");
        match kind {
            "ConfigMap" => known::<ConfigMap>(body),
            "DaemonSet" => known::<DaemonSet>(body),
            "NetworkPolicy" => known::<NetworkPolicy>(body),
            "ResourceQuota" => known::<ResourceQuota>(body),
            "Secret" => known::<Secret>(body),
            "Service" => known::<Service>(body),
            // A custom resource; its few fields are compared whole in `chart`.
            "ServiceMonitor" => {}
            other => panic!("an object of an unexpected kind: {other}"),
        }
        let name = body["metadata"]["name"].as_str().expect("a name");
        assert!(
            name.len() <= 63 && !name.ends_with('-'),
            "not a DNS label: {name:?}"
        );
        assert_eq!(body["metadata"]["namespace"], "support", "{kind} {name}");
        assert!(names.insert((kind, name)), "{kind} {name} is there twice");
    }
    let daemon_set = rendered.daemon_set();
    let pod = &daemon_set["spec"]["template"];
    for (whose, selector) in [
        (
            "DaemonSet",
            Some(&daemon_set["spec"]["selector"]["matchLabels"]),
        ),
        (
            "NetworkPolicy",
            rendered
                .find("NetworkPolicy", "")
                .map(|policy| &policy["spec"]["podSelector"]["matchLabels"]),
        ),
        (
            "Service",
            rendered
                .find("Service", "")
                .map(|service| &service["spec"]["selector"]),
        ),
    ] {
        for (label, value) in selector.and_then(Value::as_object).into_iter().flatten() {
            assert_eq!(
                &pod["metadata"]["labels"][label], value,
                "label {label} of the {whose}"
            );
        }
    }
    if let Some(monitor) = rendered.find("ServiceMonitor", "") {
        let service = rendered
            .find("Service", "")
            .expect("a ServiceMonitor watches a Service");
        for (label, value) in monitor["spec"]["selector"]["matchLabels"]
            .as_object()
            .expect("labels")
        {
            assert_eq!(
                &service["metadata"]["labels"][label], value,
                "label {label}"
            );
        }
        assert_eq!(
            monitor["spec"]["endpoints"][0]["port"],
            service["spec"]["ports"][0]["name"]
        );
    }
    check_volumes(&pod["spec"], rendered);
}

/// Each mount has its volume, each volume is mounted, no two mounts of a container share a path,
/// and each object of this release that a volume names is in the release.
fn check_volumes(pod: &Value, rendered: &Rendered) {
    let volumes = pod["volumes"].as_array().expect("volumes");
    let declared: Vec<&str> = volumes
        .iter()
        .map(|volume| volume["name"].as_str().expect("a name"))
        .collect();
    let unique: BTreeSet<&str> = declared.iter().copied().collect();
    assert_eq!(
        unique.len(),
        declared.len(),
        "a volume is declared twice: {declared:?}"
    );
    let mut mounted = BTreeSet::new();
    for container in ["initContainers", "containers"]
        .iter()
        .flat_map(|key| pod[*key].as_array().into_iter().flatten())
    {
        let mut paths = BTreeSet::new();
        for mount in container["volumeMounts"].as_array().expect("mounts") {
            mounted.insert(mount["name"].as_str().expect("a name"));
            assert!(
                paths.insert(mount["mountPath"].as_str()),
                "mounted twice: {mount}"
            );
            assert_eq!(
                mount["subPath"],
                Value::Null,
                "a subPath is never updated live: {mount}"
            );
        }
    }
    assert_eq!(mounted, unique);
    for volume in volumes {
        for (kind, name) in [
            ("ConfigMap", &volume["configMap"]["name"]),
            ("Secret", &volume["secret"]["secretName"]),
        ] {
            let Some(name) = name.as_str() else { continue };
            let given_by_user = ["hidden", "more", "open"].contains(&name);
            assert!(
                given_by_user || rendered.find(kind, name).is_some(),
                "no {kind} {name}"
            );
        }
    }
}

/// Fails unless the object is one of the API's type, with no field that the type does not have.
pub fn known<T: DeserializeOwned>(body: &Value) {
    let mut unknown = Vec::new();
    let parsed: Result<T, _> =
        serde_ignored::deserialize(body, |path| unknown.push(path.to_string()));
    if let Err(error) = parsed {
        panic!("{error}\n{body:#}");
    }
    assert!(
        unknown.is_empty(),
        "unknown fields {unknown:?} in\n{body:#}"
    );
}

#[test]
fn an_unknown_field_would_be_noticed() {
    let body = serde_json::json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"},
        "spec": {"ports": [{"port": 1, "protokol": "TCP"}]},
    });
    let noticed = std::panic::catch_unwind(|| known::<Service>(&body));
    assert!(noticed.is_err(), "spec.ports.protokol went unnoticed");
}
