//! The table of values: each, and what it does to the DaemonSet.

use serde_json::{Value, json};

use crate::render::{Request, render, rendered};

/// Where the pod's specification is in the DaemonSet.
const POD: &str = "/spec/template/spec";

#[test]
fn each_value_does_what_it_says() {
    let guard = |rest: &str| format!("{POD}/containers/0{rest}");
    let pod = |rest: &str| format!("{POD}{rest}");
    let annotation = |name: &str| {
        format!(
            "/spec/template/metadata/annotations/{}",
            name.replace('/', "~1")
        )
    };
    let cases: Vec<(&str, String, Value)> = vec![
        // (values, where in the DaemonSet, what is there; null is nothing)
        ("{}", pod("/hostPID"), json!(true)),
        ("{}", pod("/hostNetwork"), Value::Null),
        ("{}", pod("/automountServiceAccountToken"), json!(false)),
        ("{}", pod("/serviceAccountName"), Value::Null),
        ("{}", pod("/tolerations"), json!([{"operator": "Exists"}])),
        (
            "{}",
            pod("/priorityClassName"),
            json!("system-node-critical"),
        ),
        (
            "priorityClassName: ''",
            pod("/priorityClassName"),
            Value::Null,
        ),
        (
            "{}",
            pod("/nodeSelector"),
            json!({"kubernetes.io/os": "linux"}),
        ),
        ("{}", pod("/initContainers"), Value::Null),
        ("{}", pod("/containers/1"), Value::Null),
        (
            "forward: {enabled: true}",
            pod("/containers/1/securityContext/runAsUser"),
            json!(65532),
        ),
        (
            "forward: {enabled: true}",
            pod("/containers/1/securityContext/capabilities"),
            json!({"drop": ["ALL"]}),
        ),
        (
            "{}",
            "/spec/updateStrategy".into(),
            json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}}),
        ),
        (
            "updateStrategy: {rollingUpdate: {maxUnavailable: 10%}}",
            "/spec/updateStrategy/rollingUpdate/maxUnavailable".into(),
            json!("10%"),
        ),
        ("{}", guard("/image"), json!("registry.test/davylamp:0.1.0")),
        (
            "image: {tag: edge}",
            guard("/image"),
            json!("registry.test/davylamp:edge"),
        ),
        (
            "{}",
            guard("/args"),
            json!(["guard", "--config=/etc/davylamp/config/davy.toml"]),
        ),
        (
            "pins: {enabled: false}",
            guard("/args/2"),
            json!("--no-pin"),
        ),
        (
            "{}",
            guard("/env"),
            json!([{"name": "DAVY_NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}]),
        ),
        (
            "extraEnv: [{name: RUST_LOG, value: debug}]",
            guard("/env/1"),
            json!({"name": "RUST_LOG", "value": "debug"}),
        ),
        (
            "{}",
            guard("/ports"),
            json!([{"name": "metrics", "containerPort": 9474, "protocol": "TCP"}]),
        ),
        (
            "{}",
            guard("/livenessProbe/httpGet"),
            json!({"path": "/healthz", "port": "metrics"}),
        ),
        (
            "{}",
            guard("/readinessProbe/httpGet"),
            json!({"path": "/readyz", "port": "metrics"}),
        ),
        (
            "{}",
            guard("/startupProbe/httpGet"),
            json!({"path": "/readyz", "port": "metrics"}),
        ),
        (
            "livenessProbe: {periodSeconds: 30}",
            guard("/livenessProbe/periodSeconds"),
            json!(30),
        ),
        (
            "{}",
            guard("/resources"),
            json!({"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "256Mi"}}),
        ),
        ("{}", guard("/securityContext/privileged"), json!(false)),
        (
            "{}",
            guard("/securityContext/readOnlyRootFilesystem"),
            json!(true),
        ),
        ("{}", guard("/securityContext/runAsUser"), json!(0)),
        (
            "{}",
            guard("/securityContext/allowPrivilegeEscalation"),
            json!(false),
        ),
        (
            "{}",
            guard("/securityContext/seccompProfile"),
            json!({"type": "Unconfined"}),
        ),
        (
            "seccompProfile: {type: RuntimeDefault}",
            guard("/securityContext/seccompProfile"),
            json!({"type": "RuntimeDefault"}),
        ),
        (
            "seccompProfile: null",
            guard("/securityContext/seccompProfile"),
            Value::Null,
        ),
        (
            "{}",
            guard("/securityContext/appArmorProfile"),
            json!({"type": "Unconfined"}),
        ),
        (
            "{}",
            guard("/securityContext/seLinuxOptions"),
            json!({"type": "spc_t"}),
        ),
        (
            "capabilities: [SYS_ADMIN, KILL]",
            guard("/securityContext/allowPrivilegeEscalation"),
            json!(true),
        ),
        (
            "capabilities: [SYS_ADMIN, KILL]",
            guard("/securityContext/capabilities/add"),
            json!(["SYS_ADMIN", "KILL"]),
        ),
        (
            "privileged: true",
            guard("/securityContext/privileged"),
            json!(true),
        ),
        (
            "privileged: true",
            guard("/securityContext/capabilities"),
            Value::Null,
        ),
        (
            "privileged: true",
            guard("/securityContext/allowPrivilegeEscalation"),
            Value::Null,
        ),
        (
            "privileged: true",
            guard("/securityContext/readOnlyRootFilesystem"),
            json!(true),
        ),
        ("{}", annotation("prometheus.io/port"), json!("9474")),
        (
            "metrics: {scrapeAnnotations: false}",
            annotation("prometheus.io/scrape"),
            Value::Null,
        ),
        ("podAnnotations: {a: b}", annotation("a"), json!("b")),
        (
            "podLabels: {team: ops}",
            "/spec/template/metadata/labels/team".into(),
            json!("ops"),
        ),
        (
            "{}",
            mount("bpffs"),
            json!({"name": "bpffs", "mountPath": "/sys/fs/bpf", "mountPropagation": "HostToContainer"}),
        ),
        ("pins: {enabled: false}", mount("bpffs"), Value::Null),
        (
            "{}",
            mount("cgroup"),
            json!({"name": "cgroup", "mountPath": "/sys/fs/cgroup", "readOnly": false, "mountPropagation": "HostToContainer"}),
        ),
        (
            "{}",
            mount("runtime-0"),
            json!({"name": "runtime-0", "mountPath": "/run/containerd", "readOnly": true, "mountPropagation": "HostToContainer"}),
        ),
        (
            "{}",
            volume("runtime-0"),
            json!({"name": "runtime-0", "hostPath": {"path": "/run/containerd", "type": "DirectoryOrCreate"}}),
        ),
        // Two sockets in one directory are one mount; a socket in /run itself is mounted alone.
        (
            "containers: {criSockets: [/run/crio/a.sock, /run/crio/b.sock], dockerSockets: [/run/docker.sock]}",
            volume("runtime-1"),
            json!({"name": "runtime-1", "hostPath": {"path": "/run/docker.sock", "type": "Socket"}}),
        ),
        (
            "containers: {criSockets: [/run/crio/a.sock, /run/crio/b.sock], dockerSockets: [/run/docker.sock]}",
            volume("runtime-2"),
            Value::Null,
        ),
        (
            "blocklists: {existingSecrets: [hidden]}",
            volume("secret-0"),
            json!({"name": "secret-0", "secret": {"secretName": "hidden", "defaultMode": 0o400}}),
        ),
        (
            "pins: {mountBpffs: {enabled: true, image: registry.test/tools}}",
            pod("/initContainers/0/volumeMounts/0/mountPropagation"),
            json!("Bidirectional"),
        ),
        (
            "{pins: {enabled: false, mountBpffs: {enabled: true, image: registry.test/tools}}}",
            pod("/initContainers"),
            Value::Null,
        ),
        // Taking the guard off: the pins go before an agent starts that only observes.
        (
            "detach: true",
            pod("/initContainers/0/args"),
            json!(["guard", "--detach"]),
        ),
        (
            "{detach: true, pins: {enabled: false}}",
            pod("/initContainers/0/args"),
            json!(["guard", "--detach"]),
        ),
        (
            "detach: true",
            guard("/args"),
            json!([
                "guard",
                "--config=/etc/davylamp/config/davy.toml",
                "--mode=observe",
                "--no-pin"
            ]),
        ),
    ];
    for (values, place, expected) in cases {
        let rendered = rendered(values);
        assert_eq!(
            at(rendered.daemon_set(), &place),
            expected,
            "{place} with {values}"
        );
    }
}

/// A mount of the guard's by name, written so that [`at`] finds it.
pub fn mount(name: &str) -> String {
    format!("{POD}/containers/0/volumeMounts/={name}")
}

/// A volume of the pod by name.
fn volume(name: &str) -> String {
    format!("{POD}/volumes/={name}")
}

/// A JSON pointer whose last part may be `=name`, the element of a list that has that name.
pub fn at(body: &Value, place: &str) -> Value {
    let found = match place.rsplit_once("/=") {
        None => body.pointer(place),
        Some((list, name)) => body
            .pointer(list)
            .and_then(Value::as_array)
            .and_then(|list| list.iter().find(|element| element["name"] == name)),
    };
    found.cloned().unwrap_or(Value::Null)
}

#[test]
fn apparmor_is_an_annotation_before_the_field_existed() {
    let key = "container.apparmor.security.beta.kubernetes.io/guard";
    for (kube_version, annotation, field) in [
        ("v1.29.4", json!("unconfined"), Value::Null),
        ("v1.30.0-gke.1", Value::Null, json!({"type": "Unconfined"})),
    ] {
        let rendered = render(&Request {
            kube_version,
            ..Request::new("{}")
        })
        .expect("rendered");
        assert_eq!(
            rendered.daemon_set()["spec"]["template"]["metadata"]["annotations"][key],
            annotation,
            "{kube_version}"
        );
        assert_eq!(
            rendered.guard()["securityContext"]["appArmorProfile"],
            field,
            "{kube_version}"
        );
    }
}
