//! What the chart makes beside the DaemonSet: configuration, network, notes.

use serde_json::json;

use crate::{render::rendered, text};

#[test]
fn davy_toml_says_what_the_values_say() {
    let whole = "
guard:
  mode: observe
  hold: {deadline_ms: 15000, verdict: spare}
  response: {kill: tree, suppress_secs: 0}
  sweep: {on_start: true, on_reload: false, interval_secs: 600}
  protect: {executables: [\"/opt/a \\\"b\\\" <c> \\u00e9\"], cgroups: [], namespaces: [kube-system]}
  log: {cmdline_bytes: 1024, env: [JUPYTERHUB_USER], cryptnono_sources: true}
  metrics: {cryptnono_names: false}
metrics: {address: '[::]', port: 12121}
blocklists: {existingSecrets: [hidden]}
containers: {criSockets: null, dockerSockets: [/run/docker.sock]}
";
    let cases = [
        (
            "{}",
            r#"
            [guard]
            mode = "enforce"
            blocklists = ["/usr/share/davylamp/blocklists"]
            metrics = { listen = "0.0.0.0:9474", allow_remote = true }
            containers = { cri_sockets = ["/run/containerd/containerd.sock"], docker_sockets = [] }
            "#,
        ),
        (
            whole,
            r#"
            [guard]
            mode = "observe"
            blocklists = ["/usr/share/davylamp/blocklists", "/etc/davylamp/blocklists/secret-hidden"]
            hold = { deadline_ms = 15000, verdict = "spare" }
            response = { kill = "tree", suppress_secs = 0 }
            sweep = { on_start = true, on_reload = false, interval_secs = 600 }
            protect = { executables = ['/opt/a "b" <c> é'], cgroups = [], namespaces = ["kube-system"] }
            log = { cmdline_bytes = 1024, env = ["JUPYTERHUB_USER"], cryptnono_sources = true }
            metrics = { cryptnono_names = false, listen = "[::]:12121", allow_remote = true }
            containers = { cri_sockets = [], docker_sockets = ["/run/docker.sock"] }
            "#,
        ),
        (
            "forward: {enabled: true, spool: {max_bytes: 8388608}, config: {batch_events: 100, console: {url: 'https://c.example'}}}",
            r#"
            [guard]
            mode = "enforce"
            blocklists = ["/usr/share/davylamp/blocklists"]
            metrics = { listen = "0.0.0.0:9474", allow_remote = true }
            containers = { cri_sockets = ["/run/containerd/containerd.sock"], docker_sockets = [] }
            spool = { dir = "/var/lib/davylamp/spool", max_bytes = 8388608 }
            [forward]
            batch_events = 100
            console = { url = "https://c.example" }
            "#,
        ),
    ];
    for (values, expected) in cases {
        let expected: toml::Table = expected.parse().expect("TOML");
        assert_eq!(rendered(values).config(), expected, "with {values}");
    }
}

#[test]
fn only_a_change_of_settings_restarts_the_guard() {
    let template = |values: &str| rendered(values).daemon_set()["spec"]["template"].clone();
    let list = |word: &str| {
        format!(
            "detectors: {{execwhacker: {{configs: {{one: {{bannedCommandStrings: [{word}]}}}}}}}}"
        )
    };
    assert_eq!(
        template(&list("first")),
        template(&list("second")),
        "lists are reloaded live"
    );
    assert_ne!(
        template("{}"),
        template("guard: {mode: observe}"),
        "settings are read at start"
    );
}

#[test]
fn the_metrics_port_is_the_only_way_in() {
    let rendered = rendered(
        "{metrics: {port: 9999, serviceMonitor: {enabled: true, interval: 30s, labels: {release: prometheus}}}, networkPolicy: {from: [{podSelector: {matchLabels: {app: prometheus}}}]}}",
    );
    let policy = &rendered.find("NetworkPolicy", "").expect("a policy")["spec"];
    assert_eq!(policy["policyTypes"], json!(["Ingress", "Egress"]));
    assert_eq!(policy["egress"], json!([]));
    assert_eq!(
        policy["ingress"],
        json!([{"ports": [{"port": "metrics", "protocol": "TCP"}], "from": [{"podSelector": {"matchLabels": {"app": "prometheus"}}}]}])
    );
    let service = &rendered.find("Service", "").expect("a service")["spec"];
    assert_eq!(service["clusterIP"], "None");
    assert_eq!(
        service["ports"],
        json!([{"name": "metrics", "port": 9999, "targetPort": "metrics", "protocol": "TCP"}])
    );
    let monitor = rendered.find("ServiceMonitor", "").expect("a monitor");
    assert_eq!(monitor["apiVersion"], "monitoring.coreos.com/v1");
    assert_eq!(monitor["metadata"]["labels"]["release"], "prometheus");
    assert_eq!(
        monitor["spec"],
        json!({
            "namespaceSelector": {"matchNames": ["support"]},
            "selector": {"matchLabels": {"app.kubernetes.io/name": "davylamp", "app.kubernetes.io/instance": "davylamp"}},
            "endpoints": [{"port": "metrics", "path": "/metrics", "interval": "30s",
                "relabelings": [{"sourceLabels": ["__meta_kubernetes_pod_node_name"], "targetLabel": "node"}]}],
        })
    );
}

#[test]
fn the_notes_tell_how_to_test_read_and_remove() {
    let cases: [(&str, &[&str]); 4] = [
        (
            "{}",
            &[
                "sh -c 'echo ",
                "dies before it prints",
                "-c guard",
                "--set detach=true",
                "spec.nodeName=NODE",
            ],
        ),
        (
            "guard: {mode: observe}",
            &[
                "in observe mode",
                "kills nothing",
                "the log says would-kill",
            ],
        ),
        (
            "pins: {enabled: false}",
            &["WARNING: pins.enabled is false"],
        ),
        (
            "detach: true",
            &["NOTHING IS\nKILLED", "helm -n support uninstall davylamp"],
        ),
    ];
    for (values, phrases) in cases {
        let notes = rendered(values).notes;
        for phrase in phrases {
            assert!(
                notes.contains(phrase),
                "no {phrase:?} with {values} in\n{notes}"
            );
        }
    }
    // A test string that is not on the list would tell people that their guard is broken.
    let without = rendered("{blocklists: {default: false, existingSecrets: [hidden]}}").notes;
    assert!(!without.contains("sh -c 'echo "), "{without}");
}

#[test]
fn the_chart_has_the_version_of_the_workspace() {
    let workspace: toml::Table = text("Cargo.toml").parse().expect("TOML");
    let version = workspace["workspace"]["package"]["version"]
        .as_str()
        .expect("a version");
    let chart = text("deploy/helm/davylamp/Chart.yaml");
    for key in ["version", "appVersion"] {
        assert!(
            chart
                .lines()
                .any(|line| line == format!("{key}: {version}")),
            "{key} is not {version}"
        );
    }
}
