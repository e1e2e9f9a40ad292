//! Values that Helm must refuse, each with a message that names what is wrong.

use crate::{
    render::{Request, render},
    text,
};

#[test]
fn wrong_values_are_refused_by_name() {
    let cases = [
        // (values, what the refusal says)
        ("guard: {mode: kill}", "guard.mode"),
        ("guard: {moed: enforce}", "moed"),
        (
            "guard: {hold: {deadline_ms: two}}",
            "guard.hold.deadline_ms",
        ),
        ("guard: {hold: {verdict: release}}", "guard.hold.verdict"),
        ("guard: {pin_dir: /elsewhere}", "pin_dir"),
        ("guard: {metrics: {listen: '0.0.0.0:1'}}", "listen"),
        ("guard: {metrics: {allow_remote: false}}", "allow_remote"),
        ("guard: {hold: {deadline_ms: 9}}", "guard.hold.deadline_ms"),
        (
            "guard: {log: {cmdline_bytes: 8193}}",
            "guard.log.cmdline_bytes",
        ),
        ("guard: {response: {kill: node}}", "guard.response.kill"),
        ("detectors: {execwacker: {}}", "execwacker"),
        (
            "detectors: {execwhacker: {configs: {one: {bannedCommandString: [word]}}}}",
            "bannedCommandString",
        ),
        (
            "detectors: {execwhacker: {configs: {one: {bannedCommandStrings: word}}}}",
            "bannedCommandStrings",
        ),
        (
            "detectors: {execwhacker: {configs: {one: {bannedCommandStrings: ['']}}}}",
            "bannedCommandStrings.0",
        ),
        ("detectors: {execwhacker: {configs: {'a b': {}}}}", "a b"),
        (
            "cryptnono: {detectors: {execwhacker: {config: {}}}}",
            "config",
        ),
        (
            "{detectors: {execwhacker: {configs: {one: {bannedCommandStrings: [word]}}}}, cryptnono: {detectors: {execwhacker: {configs: {one: {bannedCommandStrings: [other]}}}}}}",
            "the list \"one\" is given both",
        ),
        (
            "blocklists: {default: false}",
            "there is no list to enforce",
        ),
        (
            "{blocklists: {default: false}, detectors: {execwhacker: {enabled: false, configs: {one: {bannedCommandStrings: [word]}}}}}",
            "there is no list to enforce",
        ),
        ("blocklists: {storeIn: Vault}", "blocklists.storeIn"),
        (
            "blocklists: {existingSecrets: [Not_A_Name]}",
            "existingSecrets.0",
        ),
        ("image: {repository: ''}", "image.repository is empty"),
        ("image: {digest: latest}", "image.digest"),
        (
            "pins: {mountBpffs: {enabled: true}}",
            "pins.mountBpffs.image is empty",
        ),
        (
            "containers: {criSockets: [containerd.sock]}",
            "criSockets.0",
        ),
        ("metrics: {port: 0}", "metrics.port"),
        ("metrics: {port: '9474'}", "metrics.port"),
        ("metrics: {address: localhost}", "metrics.address"),
        ("capabilities: [CAP_BPF]", "capabilities.0"),
        ("capabilities: []", "capabilities"),
        ("seccompProfile: {type: unconfined}", "seccompProfile.type"),
        ("seccompProfile: {type: Localhost}", "localhostProfile"),
        ("updateStrategy: {rollingUpdate: {maxSurge: 1}}", "maxSurge"),
        ("tolerations: {}", "tolerations"),
        ("unknown: 1", "unknown"),
    ];
    for (values, says) in cases {
        match render(&Request::new(values)) {
            Ok(_) => panic!("taken: {values}"),
            Err(refusal) => assert!(
                refusal.contains(says),
                "{values} gave\n{refusal}\nwithout {says:?}"
            ),
        }
    }
}

#[test]
fn the_schema_describes_each_value_and_lets_no_stranger_in() {
    let schema: serde_json::Value =
        serde_json::from_str(&text("deploy/helm/davylamp/values.schema.json")).expect("JSON");
    let mut faults = Vec::new();
    inspect("values", &schema, &mut faults);
    for (name, definition) in schema["definitions"].as_object().expect("definitions") {
        inspect(name, definition, &mut faults);
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

fn inspect(path: &str, schema: &serde_json::Value, faults: &mut Vec<String>) {
    if schema.get("$ref").is_none() && schema["description"].as_str().is_none_or(str::is_empty) {
        faults.push(format!("{path} has no description"));
    }
    let Some(properties) = schema["properties"].as_object() else {
        return;
    };
    // cryptnono's own values file has keys that only it knows.
    if path != "values.cryptnono" && schema["additionalProperties"] != false {
        faults.push(format!("{path} takes unknown keys"));
    }
    for (name, property) in properties {
        inspect(&format!("{path}.{name}"), property, faults);
    }
}
