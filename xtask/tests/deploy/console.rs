//! The chart of the console.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use serde_json::{Value, json};

use crate::objects::known;
use crate::render::{Rendered, Request, render};
use crate::text;

const IMAGE: &str = "image: {repository: registry.test/davylamp}";
const POSTGRES: &str =
    "{database: {url: 'postgres://davy@db.example/davy', passwordSecret: {name: db}}, replicas: 2}";
const WHOLE: &str = "{url: 'https://lamp.example', tls: {secret: tls}, secrets: [traces, more], \
    config: {retention: {findings_days: 30}, daily: {hour: 4}, traces: {endpoint: 'http://c:4318'}}, \
    metrics: {enabled: true, port: 9999, tokenSecret: {name: scrape, key: word}, serviceMonitor: {enabled: true, interval: 30s, labels: {release: prometheus}}}, \
    ingress: {enabled: true, className: nginx, host: lamp.example, tlsSecret: lamp-tls, annotations: {a: b}}, \
    networkPolicy: {from: [{namespaceSelector: {}}], metricsFrom: [{podSelector: {matchLabels: {app: prometheus}}}]}, \
    imagePullSecrets: [{name: pull}], nodeSelector: {disk: ssd}, tolerations: [{operator: Exists}], affinity: {nodeAffinity: {}}, \
    podAnnotations: {team: ops}, priorityClassName: high, extraEnv: [{name: RUST_LOG, value: debug}], persistence: {storageClass: fast}}";

fn request(values: &str) -> Request<'_> {
    Request {
        chart: "davylamp-console",
        values: vec![IMAGE, values],
        release: "lamp",
        ..Request::new(values)
    }
}

fn rendered(values: &str) -> Rendered {
    render(&request(values)).unwrap_or_else(|error| panic!("{error}\nwith {values}"))
}

fn workload(rendered: &Rendered) -> &Value {
    let found = [
        rendered.find("StatefulSet", ""),
        rendered.find("Deployment", ""),
    ];
    let mut found = found.into_iter().flatten();
    let first = found.next().expect("a workload");
    assert!(found.next().is_none(), "one of both");
    first
}

fn pod(rendered: &Rendered) -> &Value {
    &workload(rendered)["spec"]["template"]["spec"]
}

#[test]
fn each_rendering_is_what_the_api_server_takes() {
    for values in [
        "{}",
        POSTGRES,
        WHOLE,
        "networkPolicy: {enabled: false}",
        "metrics: {enabled: true, tokenSecret: {name: scrape}}",
        "{ingress: {enabled: true, host: lamp.example}, service: {type: LoadBalancer, port: 443}}",
    ] {
        for kube_version in ["v1.25.0", "v1.33.1+k3s1"] {
            let request = Request {
                kube_version,
                ..request(values)
            };
            let rendered =
                render(&request).unwrap_or_else(|error| panic!("{error}\nwith {values}"));
            let mut names = BTreeSet::new();
            for object in rendered.objects() {
                let body = &object.body;
                let kind = body["kind"].as_str().expect("a kind");
                match kind {
                    "ConfigMap" => known::<ConfigMap>(body),
                    "Deployment" => known::<Deployment>(body),
                    "Ingress" => known::<Ingress>(body),
                    "NetworkPolicy" => known::<NetworkPolicy>(body),
                    "Service" => known::<Service>(body),
                    "StatefulSet" => known::<StatefulSet>(body),
                    "ServiceMonitor" => {}
                    other => panic!("an object of an unexpected kind: {other}"),
                }
                assert_eq!(body["metadata"]["namespace"], "support", "{kind}");
                let name = body["metadata"]["name"]
                    .as_str()
                    .expect("a name")
                    .to_owned();
                assert!(
                    names.insert((kind.to_owned(), name)),
                    "{kind} is there twice"
                );
            }
            fits(&rendered);
        }
    }
}

/// Selectors find the pod, and each mount has its volume.
fn fits(rendered: &Rendered) {
    let workload = workload(rendered);
    let labels = &workload["spec"]["template"]["metadata"]["labels"];
    for object in rendered.objects() {
        let spec = &object.body["spec"];
        let selector = match object.body["kind"].as_str() {
            Some("Service") => &spec["selector"],
            Some("NetworkPolicy") => &spec["podSelector"]["matchLabels"],
            Some("StatefulSet" | "Deployment") => &spec["selector"]["matchLabels"],
            _ => continue,
        };
        for (label, value) in selector.as_object().expect("labels") {
            assert_eq!(&labels[label], value, "{}", object.template);
        }
        // The guard's selectors must not find a console of the same release.
        assert_eq!(selector["app.kubernetes.io/name"], "davylamp-console");
    }
    let names = |of: &Value| -> BTreeSet<String> {
        let each = of.as_array().into_iter().flatten();
        each.map(|one| {
            let name = one["name"].as_str().or(one["metadata"]["name"].as_str());
            name.expect("a name").to_owned()
        })
        .collect()
    };
    let pod = pod(rendered);
    let mut volumes = names(&pod["volumes"]);
    volumes.extend(names(&workload["spec"]["volumeClaimTemplates"]));
    assert_eq!(names(&pod["containers"][0]["volumeMounts"]), volumes);
}

#[test]
fn the_pod_has_no_rights_and_tells_how_it_is() {
    for (values, scheme) in [("{}", "HTTP"), (POSTGRES, "HTTP"), (WHOLE, "HTTPS")] {
        let rendered = rendered(values);
        let pod = pod(&rendered);
        // What the Pod Security Standard `restricted` asks for.
        assert_eq!(pod["automountServiceAccountToken"], false);
        let security = &pod["securityContext"];
        assert_eq!(security["runAsNonRoot"], true);
        assert_eq!(security["seccompProfile"]["type"], "RuntimeDefault");
        let console = &pod["containers"][0];
        assert_eq!(
            console["securityContext"],
            json!({"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}})
        );
        for (probe, path) in [
            ("startupProbe", "/readyz"),
            ("livenessProbe", "/healthz"),
            ("readinessProbe", "/readyz"),
        ] {
            let wanted = json!({"path": path, "port": "pages", "scheme": scheme});
            assert_eq!(console[probe]["httpGet"], wanted, "{probe} with {values}");
        }
        assert_eq!(console["args"][0], "console");
    }
}

#[test]
fn davy_toml_says_what_the_values_say() {
    for (values, expected) in [
        (
            "{}",
            r#"
            listen = "0.0.0.0:7878"
            url = ""
            database = "sqlite:///var/lib/davylamp/console/ledger.db"
            behind_proxy = true
            daily = { scratch = "/scratch" }
            "#,
        ),
        (
            POSTGRES,
            r#"
            listen = "0.0.0.0:7878"
            url = ""
            database = "postgres://davy@db.example/davy"
            database_password_file = "/etc/davylamp/database/password"
            behind_proxy = true
            daily = { scratch = "/scratch" }
            "#,
        ),
        (
            WHOLE,
            r#"
            listen = "0.0.0.0:7878"
            url = "https://lamp.example"
            database = "sqlite:///var/lib/davylamp/console/ledger.db"
            tls_certificate_file = "/etc/davylamp/tls/tls.crt"
            tls_key_file = "/etc/davylamp/tls/tls.key"
            daily = { hour = 4, scratch = "/scratch" }
            retention = { findings_days = 30 }
            traces = { endpoint = "http://c:4318" }
            metrics = { listen = "0.0.0.0:9999", token_file = "/etc/davylamp/metrics/word" }
            "#,
        ),
    ] {
        let expected: toml::Table = format!("[console]\n{expected}").parse().expect("TOML");
        assert_eq!(rendered(values).config(), expected, "with {values}");
    }
}

#[test]
fn a_ledger_is_a_volume_of_one_console_or_a_database_of_several() {
    let sqlite = rendered("persistence: {size: 5Gi}");
    let workload = workload(&sqlite);
    assert_eq!(workload["kind"], "StatefulSet");
    assert_eq!(workload["spec"]["replicas"], 1);
    let claim = &workload["spec"]["volumeClaimTemplates"][0]["spec"];
    assert_eq!(claim["resources"]["requests"]["storage"], "5Gi");
    let postgres = rendered(POSTGRES);
    let workload = self::workload(&postgres);
    assert_eq!(workload["kind"], "Deployment");
    assert_eq!(workload["spec"]["replicas"], 2);
    assert_eq!(workload["spec"]["volumeClaimTemplates"], Value::Null);
}

#[test]
fn metrics_are_read_with_a_token_by_those_who_are_named() {
    let rendered = rendered(WHOLE);
    let monitor = rendered.find("ServiceMonitor", "").expect("a monitor");
    let endpoint = &monitor["spec"]["endpoints"][0];
    assert_eq!(
        endpoint["authorization"]["credentials"],
        json!({"name": "scrape", "key": "word"})
    );
    let service = rendered.find("Service", "-metrics").expect("a service");
    for (label, value) in monitor["spec"]["selector"]["matchLabels"]
        .as_object()
        .expect("labels")
    {
        assert_eq!(&service["metadata"]["labels"][label], value);
    }
    let policy = &rendered.find("NetworkPolicy", "").expect("a policy")["spec"];
    assert_eq!(policy["policyTypes"], json!(["Ingress", "Egress"]));
    assert_eq!(policy["ingress"][1]["ports"][0]["port"], "metrics");
    assert_eq!(
        policy["ingress"][1]["from"][0]["podSelector"]["matchLabels"]["app"],
        "prometheus"
    );
    let quiet = self::rendered("{}");
    assert!(quiet.find("Service", "-metrics").is_none());
    let policy = &quiet.find("NetworkPolicy", "").expect("a policy")["spec"];
    assert_eq!(policy["ingress"].as_array().map(Vec::len), Some(1));
}

#[test]
fn the_notes_tell_how_to_sign_in_and_what_is_open() {
    for (values, phrases) in [
        (
            "{}",
            [
                "exec statefulset/lamp-davylamp-console",
                "port-forward",
                "networkPolicy.from",
            ],
        ),
        (
            POSTGRES,
            [
                "exec deployment/lamp-davylamp-console",
                "console token add",
                "X-Forwarded-For",
            ],
        ),
        (
            WHOLE,
            [
                "People reach it at https://lamp.example.",
                "console link",
                "/davy console",
            ],
        ),
        (
            "{networkPolicy: {enabled: false}, ingress: {enabled: true, host: lamp.example}}",
            [
                "WARNING: no network policy",
                "WARNING: ingress.tlsSecret",
                "https://lamp.example",
            ],
        ),
    ] {
        let notes = rendered(values).notes;
        for phrase in phrases {
            assert!(
                notes.contains(phrase),
                "no {phrase:?} with {values} in\n{notes}"
            );
        }
    }
}

#[test]
fn what_cannot_work_is_refused() {
    for (values, said) in [
        ("image: {repository: ''}", "image.repository is empty"),
        ("replicas: 2", "SQLite has one console"),
        (
            "metrics: {enabled: true}",
            "metrics.tokenSecret.name is empty",
        ),
        (
            "metrics: {serviceMonitor: {enabled: true}}",
            "wants metrics.enabled",
        ),
        ("ingress: {enabled: true}", "ingress.host is empty"),
        ("config: {listen: '0.0.0.0:1'}", "config"),
        ("config: {metrics: {listen: '0.0.0.0:1'}}", "config"),
        (
            "database: {url: 'postgres://davy:secret@db/davy'}",
            "database.url",
        ),
        ("url: 'https://lamp.example/path'", "url"),
        ("ingres: {enabled: true}", "ingres"),
    ] {
        let error = render(&request(values)).expect_err(values);
        assert!(error.contains(said), "{values}: {error}");
    }
}

#[test]
fn the_chart_has_the_version_of_the_guards() {
    let of = |chart: &str| -> Vec<String> {
        let chart = text(&format!("deploy/helm/{chart}/Chart.yaml"));
        let is_version = |line: &&str| line.contains("ersion: ") && !line.starts_with("kube");
        chart
            .lines()
            .filter(is_version)
            .map(str::to_owned)
            .collect()
    };
    assert_eq!(of("davylamp-console"), of("davylamp"));
}
