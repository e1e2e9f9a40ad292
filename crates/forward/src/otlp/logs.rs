//! Events as log records.
//!
//! What OpenTelemetry has a name for bears it (process, container, k8s, host, user, file, server);
//! everything else bears the guard's own, below `davylamp.`: nothing of a line is left out.
//! <https://opentelemetry.io/docs/specs/semconv/registry/attributes/>

use std::collections::BTreeMap;

use davylamp_model::container::{LABEL_CONTAINER, LABEL_NAMESPACE, LABEL_POD, LABEL_POD_UID};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use opentelemetry_proto::tonic::resource::v1::Resource;
use serde_json::Value;

use super::{SERVICE, any, nanoseconds, pair, scope, text};
use crate::event::Event;

/// Keys with a name of OpenTelemetry's.
const KNOWN: [(&str, &str); 11] = [
    ("id", "log.record.uid"),
    ("pid", "process.pid"),
    ("cmdline", "process.command_line"),
    ("exe", "process.executable.path"),
    ("ppid", "process.parent_pid"),
    ("uid", "process.real_user.id"),
    ("cgroup", "process.linux.cgroup"),
    ("container_id", "container.id"),
    ("image", "container.image.name"),
    ("container_type", "container.runtime.name"),
    ("hub_user", "user.name"),
];
/// Labels of a container with a name of OpenTelemetry's.
const KNOWN_LABELS: [(&str, &str); 4] = [
    (LABEL_POD, "k8s.pod.name"),
    (LABEL_NAMESPACE, "k8s.namespace.name"),
    (LABEL_CONTAINER, "k8s.container.name"),
    (LABEL_POD_UID, "k8s.pod.uid"),
];
/// What the detection itself knows, with a name of OpenTelemetry's.
const KNOWN_EVIDENCE: [(&str, &str); 6] = [
    ("path", "file.path"),
    ("size", "file.size"),
    ("domain", "server.address"),
    ("remote", "network.peer.address"),
    ("port", "network.peer.port"),
    ("url", "url.full"),
];
/// What stands elsewhere in the record or its resource.
const ELSEWHERE: [&str; 4] = ["timestamp", "level", "event", "node"];

/// The records, by the machine they are about.
pub(super) fn resource_logs(events: &[Event]) -> Vec<ResourceLogs> {
    let mut nodes: BTreeMap<&str, Vec<LogRecord>> = BTreeMap::new();
    for event in events {
        let node = event.value.get("node").and_then(Value::as_str);
        nodes
            .entry(node.unwrap_or_default())
            .or_default()
            .push(record(event));
    }
    nodes
        .into_iter()
        .map(|(node, log_records)| ResourceLogs {
            resource: Some(resource(node)),
            scope_logs: vec![ScopeLogs {
                scope: Some(scope()),
                log_records,
                schema_url: String::new(),
            }],
            schema_url: String::new(),
        })
        .collect()
}

/// The guard of a machine.
pub(super) fn resource(node: &str) -> Resource {
    let mut attributes = vec![
        pair("service.name", text(SERVICE)),
        pair("service.version", text(env!("CARGO_PKG_VERSION"))),
    ];
    if !node.is_empty() {
        attributes.push(pair("host.name", text(node)));
    }
    Resource {
        attributes,
        ..Resource::default()
    }
}

fn record(event: &Event) -> LogRecord {
    let line = &event.value;
    let said = |key: &str| line.get(key).and_then(Value::as_str);
    let action = said("action");
    let severity = match (action, said("level")) {
        // What should have died, or would have, runs on.
        (Some("missed" | "would-kill"), _) | (None, Some("error")) => SeverityNumber::Error,
        (Some("killed" | "frozen" | "alerted"), _) | (_, Some("warning")) => SeverityNumber::Warn,
        _ => SeverityNumber::Info,
    };
    let at = said("timestamp").and_then(|time| time.parse().ok());
    LogRecord {
        time_unix_nano: at.map_or(0, nanoseconds),
        observed_time_unix_nano: nanoseconds(jiff::Timestamp::now()),
        severity_number: severity.into(),
        severity_text: said("level").unwrap_or("info").to_owned(),
        body: said("event").map(text),
        event_name: match action {
            Some(action) => format!("davylamp.guard.{action}"),
            None => "davylamp.guard.agent".to_owned(),
        },
        attributes: attributes(line),
        ..LogRecord::default()
    }
}

fn attributes(line: &Value) -> Vec<KeyValue> {
    let mut found = Vec::new();
    let named = |names: &[(&str, &'static str)], key: &str| {
        names
            .iter()
            .find(|(known, _)| *known == key)
            .map(|(_, name)| *name)
    };
    for (key, value) in line.as_object().into_iter().flatten() {
        if ELSEWHERE.contains(&key.as_str()) {
            continue;
        }
        match (named(&KNOWN, key), key.as_str(), value) {
            (Some(name), ..) => found.push(pair(name, any(value))),
            (None, "labels", Value::Object(labels)) => {
                for (label, value) in labels {
                    let name = named(&KNOWN_LABELS, label).map(str::to_owned);
                    let name = name.unwrap_or_else(|| format!("container.label.{label}"));
                    found.push(pair(name, any(value)));
                }
            }
            (None, "evidence", Value::Object(evidence)) => {
                for (key, value) in evidence {
                    let name = named(&KNOWN_EVIDENCE, key).map(str::to_owned);
                    let name = name.unwrap_or_else(|| format!("davylamp.evidence.{key}"));
                    found.push(pair(name, any(value)));
                }
            }
            _ => found.push(pair(format!("davylamp.{key}"), any(value))),
        }
    }
    found
}
