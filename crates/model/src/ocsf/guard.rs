//! A line of the guard's log as OCSF 1.5: what it did to a process as a Detection Finding (class
//! 2004), what it says of itself as Application Lifecycle (class 6002). No line is without a form.
//!
//! <https://schema.ocsf.io/1.5.0/classes/detection_finding>,
//! <https://schema.ocsf.io/1.5.0/classes/application_lifecycle>.
//!
//! A finding is the one that [`crate::intake`] makes of the line, under the same id and with the same
//! resources, so that whoever gets both knows them for one. What was spared is suppressed, and so is
//! what is only held: its decision is another line. The whole line stands in `unmapped`, for what OCSF
//! has no place for.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{VERSION, WRITTEN_BY, observable, to_ocsf};
use crate::container::{LABEL_CONTAINER, LABEL_POD, LABEL_POD_UID};
use crate::finding::Severity;
use crate::intake::guard_finding;

/// What is known of the detection that a line names, from its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Detector<'a> {
    /// One line about it.
    pub title: Option<&'a str>,
    /// How bad it is.
    pub severity: Option<Severity>,
    /// ATT&CK techniques, such as `T1496.001`. Empty: that of mining.
    pub techniques: &'a [String],
    /// How sure it is, out of a hundred.
    pub score: Option<u8>,
}

/// Writes a line of the guard's log as OCSF. `detector` knows a detection by its name.
pub fn from_guard<'a>(line: &Value, detector: impl FnOnce(&str) -> Detector<'a>) -> Value {
    match text(line, "action") {
        Some(action) => finding(
            line,
            action,
            detector(text(line, "detection").unwrap_or("")),
        ),
        None => lifecycle(line),
    }
}

/// What OCSF calls what was done, and whether what was found is over with.
struct Done {
    action: (u32, &'static str),
    disposition: (u32, &'static str),
    /// What is wrong goes on.
    runs_on: bool,
    /// Nobody needs to look: why.
    suppressed: Option<&'static str>,
}

fn done(action: &str) -> Done {
    let done = |action, disposition| Done {
        action,
        disposition,
        runs_on: false,
        suppressed: None,
    };
    match action {
        "killed" => done((2, "Denied"), (2, "Blocked")),
        "frozen" => done((2, "Denied"), (4, "Isolated")),
        "alerted" => done((3, "Observed"), (19, "Alert")),
        "would-kill" => Done {
            runs_on: true,
            ..done((3, "Observed"), (15, "Detected"))
        },
        "missed" => Done {
            runs_on: true,
            ..done((1, "Allowed"), (13, "Uncorrected"))
        },
        "spared" => Done {
            suppressed: Some("it is allowed"),
            ..done((1, "Allowed"), (1, "Allowed"))
        },
        "held" => Done {
            suppressed: Some("its decision is told by itself"),
            ..done((4, "Modified"), (14, "Delayed"))
        },
        _ => done((0, "Unknown"), (0, "Unknown")),
    }
}

fn finding(line: &Value, action: &str, detector: Detector<'_>) -> Value {
    let done = done(action);
    let base = match (detector.severity, action) {
        (Some(severity), _) => severity,
        (None, "alerted") => Severity::Medium,
        (None, _) => Severity::High,
    };
    let severity = if done.runs_on {
        Severity::Critical
    } else {
        base
    };
    let finding = guard_finding(line, severity);
    let mut event = to_ocsf(&finding);
    event["metadata"]["profiles"] = json!(["container", "datetime", "host", "security_control"]);
    event["metadata"]["log_name"] = json!("guard");
    if let Some(id) = text(line, "id") {
        event["metadata"]["uid"] = json!(id);
    }
    // Where the node is, its cloud too, nobody told the guard.
    event.as_object_mut().map(|event| event.remove("cloud"));
    event["device"] = device(line);
    event["action_id"] = json!(done.action.0);
    event["action"] = json!(done.action.1);
    event["disposition_id"] = json!(done.disposition.0);
    event["disposition"] = json!(done.disposition.1);
    event["is_alert"] = json!(done.suppressed.is_none());
    if let Some(why) = done.suppressed {
        event["severity_id"] = json!(1);
        event["severity"] = json!("Informational");
        event["status_id"] = json!(3);
        event["status"] = json!("Suppressed");
        event["status_detail"] = json!(text(line, "reason").unwrap_or(why));
    } else if let Some(reason) = text(line, "reason") {
        event["status_detail"] = json!(reason);
    }
    if let Some(score) = line.get("score").and_then(Value::as_f64) {
        event["risk_score"] = json!(score.clamp(0.0, 1e9).round() as u64);
    }
    if let Some(score) = detector.score {
        event["confidence_score"] = json!(score);
    }
    describe(&mut event["finding_info"], line, detector);
    event["evidences"] = json!([evidence(line)]);
    event["observables"]
        .as_array_mut()
        .into_iter()
        .for_each(|all| all.extend(observables(line)));
    event["unmapped"]["guard"] = line.clone();
    event
}

fn describe(info: &mut Value, line: &Value, detector: Detector<'_>) {
    let name = text(line, "detection").unwrap_or("banned-command");
    info["analytic"] = json!({"uid": name, "name": name, "type_id": 1, "type": "Rule"});
    if let Some(title) = detector.title {
        info["analytic"]["desc"] = json!(title);
    }
    info["desc"] = json!(match text(line, "matched") {
        Some(matched) => format!("{}: {matched}", detector.title.unwrap_or(name)),
        None => detector.title.unwrap_or(name).to_owned(),
    });
    info["product"] = product();
    if !detector.techniques.is_empty() {
        info["attacks"] = detector.techniques.iter().map(|id| attack(id)).collect();
    }
}

/// An ATT&CK technique by its id, in the tactic that this project's detections are about.
fn attack(id: &str) -> Value {
    let (technique, sub) = match id.split_once('.') {
        Some((technique, _)) => (technique, Some(id)),
        None => (id, None),
    };
    let mut attack = json!({"technique": {"uid": technique}});
    if technique == "T1496" {
        attack["tactic"] = json!({"uid": "TA0040", "name": "Impact"});
        attack["technique"]["name"] = json!("Resource Hijacking");
    }
    if let Some(sub) = sub {
        attack["sub_technique"] = json!({"uid": sub});
        if sub == "T1496.001" {
            attack["sub_technique"]["name"] = json!("Compute Hijacking");
        }
    }
    attack
}

/// What was seen: the process, where it ran and as whom, what it spoke to, which file it was.
fn evidence(line: &Value) -> Value {
    let mut evidence = Map::new();
    evidence.insert("process".to_owned(), process(line));
    let mut actor = json!({});
    if let Some(parent) = parent(line) {
        actor["process"] = parent;
    }
    if let Some(user) = text(line, "hub_user") {
        actor["user"] = json!({"name": user, "type_id": 1, "type": "User"});
    }
    if actor.as_object().is_some_and(|actor| !actor.is_empty()) {
        evidence.insert("actor".to_owned(), actor);
    }
    if let Some(container) = container(line) {
        evidence.insert("container".to_owned(), container);
    }
    let known = line.get("evidence");
    let said = |names: &[&str]| names.iter().find_map(|name| known?.get(name));
    let said_text = |names: &[&str]| said(names).and_then(Value::as_str);
    if let Some(endpoint) = endpoint(known) {
        evidence.insert("dst_endpoint".to_owned(), endpoint);
    }
    if let Some(domain) = said_text(&["query"]) {
        evidence.insert("query".to_owned(), json!({"hostname": domain}));
    }
    if let Some(url) = said_text(&["url"]) {
        evidence.insert("url".to_owned(), json!({"url_string": url}));
    }
    if let Some(path) = said_text(&["path", "file"]) {
        let mut file = file(path);
        if let Some(digest) = said_text(&["sha256"]) {
            file["hashes"] = json!([sha256(digest)]);
        }
        if let Some(size) = said(&["size"]).and_then(Value::as_u64) {
            file["size"] = json!(size);
        }
        evidence.insert("file".to_owned(), file);
    }
    let mut data = Map::new();
    for key in [
        "matched",
        "matched_in",
        "group",
        "evidence",
        "signs",
        "cgroup",
    ] {
        if let Some(value) = line.get(key) {
            data.insert(key.to_owned(), value.clone());
        }
    }
    evidence.insert("data".to_owned(), Value::Object(data));
    Value::Object(evidence)
}

fn process(line: &Value) -> Value {
    let mut process = json!({});
    put(&mut process, "pid", number(line, "pid"));
    put(
        &mut process,
        "cmd_line",
        text(line, "cmdline").map(Value::from),
    );
    if let Some(exe) = text(line, "exe") {
        process["name"] = json!(base_name(exe));
        process["path"] = json!(exe);
        process["file"] = file(exe);
    }
    if let Some(uid) = number(line, "uid") {
        process["user"] = json!({"uid": uid.to_string()});
    }
    if let Some(container) = container(line) {
        process["container"] = container;
    }
    if let Some(parent) = parent(line) {
        process["parent_process"] = parent;
    }
    let ancestry: Vec<Value> = ancestors(line).map(entity).collect();
    if !ancestry.is_empty() {
        process["ancestry"] = json!(ancestry);
    }
    let variables: Vec<Value> = line
        .get("env")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(name, value)| json!({"name": name, "value": words(value)}))
        .collect();
    if !variables.is_empty() {
        process["environment_variables"] = json!(variables);
    }
    // A process has at least one of pid, uid and cpid.
    if process.get("pid").is_none() {
        process["uid"] = json!("unknown");
    }
    process
}

fn parent(line: &Value) -> Option<Value> {
    match ancestors(line).next() {
        Some(first) => Some(entity(first)),
        None => number(line, "ppid").map(|pid| json!({"pid": pid})),
    }
}

fn ancestors(line: &Value) -> impl Iterator<Item = &Value> {
    line.get("ancestry")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter(|ancestor| number(ancestor, "pid").is_some())
}

fn entity(ancestor: &Value) -> Value {
    let mut entity = json!({});
    put(&mut entity, "pid", number(ancestor, "pid"));
    put(&mut entity, "name", text(ancestor, "comm").map(Value::from));
    entity
}

fn container(line: &Value) -> Option<Value> {
    let label = |name| line.get("labels").and_then(|labels| text(labels, name));
    let id = text(line, "container_id");
    let name = label(LABEL_CONTAINER);
    id.or(name)?;
    let mut container = json!({});
    put(&mut container, "uid", id.map(Value::from));
    put(&mut container, "name", name.map(Value::from));
    if let Some(image) = text(line, "image") {
        container["image"] = json!({"uid": image, "name": image});
    }
    put(
        &mut container,
        "runtime",
        text(line, "container_type").map(Value::from),
    );
    if label(LABEL_POD).is_some() {
        container["orchestrator"] = json!("kubernetes");
    }
    put(
        &mut container,
        "pod_uuid",
        label(LABEL_POD_UID).map(Value::from),
    );
    let tags: Vec<Value> = line
        .get("labels")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(name, value)| json!({"name": name, "value": words(value)}))
        .collect();
    if !tags.is_empty() {
        container["tags"] = json!(tags);
    }
    Some(container)
}

/// Where a connection went, as the senses of the wire spell it.
fn endpoint(evidence: Option<&Value>) -> Option<Value> {
    let evidence = evidence?;
    let said = |names: &[&str]| names.iter().find_map(|name| text(evidence, name));
    let remote = said(&[
        "remote",
        "pool",
        "peer",
        "destination",
        "remote_address",
        "address",
    ]);
    let domain = said(&["domain", "name", "sni", "host"]);
    let mut endpoint = json!({});
    if let Some(remote) = remote {
        match remote.parse::<std::net::SocketAddr>() {
            Ok(address) => {
                endpoint["ip"] = json!(address.ip().to_string());
                endpoint["port"] = json!(address.port());
            }
            Err(_) if remote.parse::<std::net::IpAddr>().is_ok() => {
                endpoint["ip"] = json!(remote);
            }
            Err(_) => endpoint["hostname"] = json!(remote),
        }
    }
    put(&mut endpoint, "hostname", domain.map(Value::from));
    let port = ["remote_port", "port"]
        .iter()
        .find_map(|name| number(evidence, name));
    put(&mut endpoint, "port", port);
    let is_named = ["ip", "hostname"]
        .iter()
        .any(|key| endpoint.get(key).is_some());
    is_named.then_some(endpoint)
}

/// What the finding itself does not name yet, for those who search for values.
fn observables(line: &Value) -> Vec<Value> {
    let Some(evidence) = line.get("evidence") else {
        return Vec::new();
    };
    let mut found = Vec::new();
    if let Some(endpoint) = endpoint(Some(evidence)) {
        for (what, key) in [
            ("remote-address", "ip"),
            ("domain", "hostname"),
            ("remote-port", "port"),
        ] {
            if let Some(value) = endpoint.get(key) {
                found.push((what, words(value)));
            }
        }
    }
    for (what, key) in [("sha256", "sha256"), ("file", "path")] {
        if let Some(value) = text(evidence, key) {
            found.push((what, value.to_owned()));
        }
    }
    let object = |(what, value)| {
        let (type_id, kind) = observable(what);
        json!({"name": what, "value": value, "type_id": type_id, "type": kind})
    };
    found.into_iter().map(object).collect()
}

/// What the guard says of itself.
fn lifecycle(line: &Value) -> Value {
    let said = text(line, "event").unwrap_or_default();
    let (activity_id, activity) = match said {
        "ready" => (3, "Start"),
        "stopped" => (4, "Stop"),
        "reloaded" => (8, "Update"),
        _ => (99, said),
    };
    let (severity_id, severity) = match text(line, "level") {
        Some("warning" | "error") => (3, "Medium"),
        _ => (1, "Informational"),
    };
    let time: Option<Timestamp> = text(line, "timestamp").and_then(|time| time.parse().ok());
    let mut event = json!({
        "activity_id": activity_id,
        "activity_name": activity,
        "app": product(),
        "category_uid": 6,
        "category_name": "Application Activity",
        "class_uid": 6002,
        "class_name": "Application Lifecycle",
        "type_uid": 600_200 + activity_id,
        "time": time.map_or(0, |time| time.as_millisecond()),
        "severity_id": severity_id,
        "severity": severity,
        "message": said,
        "device": device(line),
        "metadata": {
            "version": VERSION,
            "profiles": ["datetime", "host"],
            "product": product(),
            "log_name": "guard",
        },
        "unmapped": {"guard": line},
    });
    if let Some(time) = time {
        event["time_dt"] = json!(time.to_string());
    }
    if let Some(id) = text(line, "id") {
        event["metadata"]["uid"] = json!(id);
    }
    event
}

fn product() -> Value {
    json!({"name": WRITTEN_BY, "vendor_name": "Davylamp"})
}

fn device(line: &Value) -> Value {
    let node = text(line, "node").unwrap_or("unknown");
    json!({"hostname": node, "name": node, "type_id": 0, "type": "Unknown"})
}

fn file(path: &str) -> Value {
    json!({"name": base_name(path), "path": path, "type_id": 1, "type": "Regular File"})
}

fn sha256(digest: &str) -> Value {
    json!({"algorithm_id": 3, "algorithm": "SHA-256", "value": digest})
}

fn base_name(path: &str) -> &str {
    match path.rsplit('/').next() {
        Some(name) if !name.is_empty() => name,
        _ => path,
    }
}

fn text<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.get(key)?.as_str().filter(|text| !text.is_empty())
}

/// A value as text, whatever it is.
fn words(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn number(object: &Value, key: &str) -> Option<Value> {
    object.get(key).filter(|value| value.is_u64()).cloned()
}

fn put(object: &mut Value, key: &str, value: Option<Value>) {
    if let Some(value) = value {
        object[key] = value;
    }
}
