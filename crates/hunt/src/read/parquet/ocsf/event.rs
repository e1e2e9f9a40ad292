//! Each log's records, out of its events.

use serde_json::{Map, Value, json};

use super::{Event, Record};

/// The fields of flow logs that OCSF keeps. The reader tells which columns are not among them.
pub(super) const FLOW_FORMAT: &str = "${version} ${account-id} ${interface-id} ${srcaddr} \
    ${dstaddr} ${srcport} ${dstport} ${protocol} ${packets} ${bytes} ${start} ${end} ${action} \
    ${log-status} ${vpc-id} ${subnet-id} ${instance-id} ${tcp-flags} ${type} ${pkt-srcaddr} \
    ${pkt-dstaddr} ${region} ${az-id} ${pkt-src-aws-service} ${pkt-dst-aws-service} \
    ${flow-direction}";

/// What OCSF does not keep of CloudTrail.
pub(super) const TRAIL_ABSENT: &[&str] = &[
    "vpc_endpoint_account_id",
    "service_event_details",
    "insight_details",
    "addendum",
    "edge_device_details",
];

/// What OCSF does not keep of the audit log: of the objects, only some parts, so that nothing that
/// a workload may do can be ruled out.
pub(super) const AUDIT_ABSENT: &[&str] = &[
    "request_object",
    "response_object",
    "images",
    "privileged",
    "host_path",
    "host_network",
    "host_pid",
    "cluster",
];

/// A flow: which endpoint is ours, its direction says.
pub(super) fn flow(event: &Event<'_>) -> Record {
    let direction = match event
        .get(&["connection_info.direction_id"])
        .and_then(Value::as_i64)
    {
        Some(1) => Some("ingress"),
        Some(2) => Some("egress"),
        _ => None,
    };
    let ours = |part: &str| {
        let (src, dst) = (
            format!("src_endpoint.{part}"),
            format!("dst_endpoint.{part}"),
        );
        match direction {
            Some("ingress") => event.text(&[&dst, &src]),
            _ => event.text(&[&src, &dst]),
        }
    };
    // Behind NAT the packet's own address is the endpoint's, and the interface's comes before it.
    let outer = |end: &str| {
        let (via, ip) = (format!("{end}.intermediate_ips.0"), format!("{end}.ip"));
        event.text(&[&via, &ip])
    };
    let action = match event.get(&["action_id"]).and_then(Value::as_i64) {
        Some(1) => Some("ACCEPT"),
        Some(2) => Some("REJECT"),
        _ => None,
    };
    let text = |paths: &[&str]| event.text(paths);
    Record::Fields(vec![
        text(&["metadata.product.version"]),
        text(&["cloud.account.uid", "cloud.account_uid"]),
        ours("interface_uid"),
        outer("src_endpoint"),
        outer("dst_endpoint"),
        text(&["src_endpoint.port"]),
        text(&["dst_endpoint.port"]),
        text(&["connection_info.protocol_num"]),
        text(&["traffic.packets"]),
        text(&["traffic.bytes"]),
        event.seconds(&["start_time_dt", "start_time", "time_dt", "time"]),
        event.seconds(&["end_time_dt", "end_time"]),
        action.map(str::to_owned),
        text(&["status_code"]),
        ours("vpc_uid"),
        ours("subnet_uid"),
        ours("instance_uid"),
        text(&["connection_info.tcp_flags"]),
        text(&["connection_info.protocol_ver"]),
        text(&["src_endpoint.ip"]),
        text(&["dst_endpoint.ip"]),
        text(&["cloud.region", "region"]),
        text(&["cloud.zone", "az_id"]),
        text(&["src_endpoint.svc_name"]),
        text(&["dst_endpoint.svc_name"]),
        direction.map(str::to_owned),
    ])
}

/// A question to Resolver.
pub(super) fn dns(event: &Event<'_>) -> Record {
    let answers = match event.get(&["answers"]) {
        Some(Value::Array(answers)) => answers
            .iter()
            .map(|one| json!({"Rdata": one["rdata"], "Type": one["type"], "Class": one["class"]}))
            .collect(),
        _ => Vec::new(),
    };
    let rcode = event.text(&["rcode"]).map(|code| match code.as_str() {
        "ServError" => "SERVFAIL".to_owned(),
        "FormError" => "FORMERR".to_owned(),
        other => other.to_ascii_uppercase(),
    });
    let firewall = match event.text(&["disposition"]).as_deref() {
        Some("Alert") => Some("ALERT"),
        Some("Blocked") => Some("BLOCK"),
        _ => None,
    };
    Record::Json(json!({
        "account_id": event.text(&["cloud.account.uid", "cloud.account_uid"]),
        "region": event.text(&["cloud.region", "region"]),
        "vpc_id": event.text(&["src_endpoint.vpc_uid"]),
        "query_timestamp": event.value(&["time_dt", "time"]),
        "query_name": event.text(&["query.hostname"]),
        "query_type": event.text(&["query.type"]),
        "query_class": event.text(&["query.class"]),
        "rcode": rcode,
        "answers": answers,
        "srcaddr": event.text(&["src_endpoint.ip"]),
        "srcport": event.text(&["src_endpoint.port"]),
        "transport": event.text(&["connection_info.protocol_name"]),
        "srcids": {
            "instance": event.text(&["src_endpoint.instance_uid"]),
            "resolver_endpoint": event.text(&["dst_endpoint.instance_uid"]),
            "resolver_network_interface": event.text(&["dst_endpoint.interface_uid"]),
        },
        "firewall_rule_action": firewall,
        "firewall_rule_group_id": event.text(&["firewall_rule.uid"]),
        "firewall_domain_list_id": event.unmapped("firewall_domain_list_id"),
    }))
}

/// A call to AWS.
pub(super) fn trail(event: &Event<'_>) -> Record {
    // 1.0 has the id in `uid` and the ARN in `uuid`.
    let (arn, id) = match event.get(&["actor.user.uuid"]) {
        Some(_) => (["actor.user.uuid"], ["actor.user.uid"]),
        None => (["actor.user.uid"], ["actor.user.uid_alt"]),
    };
    let mut record = json!({
        "eventVersion": event.text(&["metadata.product.version"]),
        "eventTime": event.value(&["time_dt", "time"]),
        "eventSource": event.text(&["api.service.name"]),
        "eventName": event.text(&["api.operation"]),
        "awsRegion": event.text(&["cloud.region", "region"]),
        "sourceIPAddress": event.text(&["src_endpoint.ip", "src_endpoint.domain"]),
        "userAgent": event.text(&["http_request.user_agent"]),
        "errorCode": event.text(&["api.response.error"]),
        "errorMessage": event.text(&["api.response.message", "api.response.error_message"]),
        "requestID": event.text(&["api.request.uid"]),
        "eventID": event.text(&["metadata.uid"]),
        "eventType": event.text(&["metadata.event_code"]),
        "eventCategory": event.text(&["metadata.product.feature.name"]),
        "apiVersion": event.text(&["api.version"]),
        "vpcEndpointId": event.text(&["src_endpoint.uid"]),
        "requestParameters": event.parsed(&["api.request.data"]),
        "responseElements": event.parsed(&["api.response.data"]),
        "userIdentity": {
            "type": event.text(&["actor.user.type"]),
            "principalId": event.text(&id),
            "arn": event.text(&arn),
            "accountId": event.text(&["actor.user.account.uid", "actor.user.account_uid"]),
            "accessKeyId": event.text(&["actor.user.credential_uid"]),
            "userName": event.text(&["actor.user.name"]),
            "invokedBy": event.text(&["actor.invoked_by"]),
            "identityProvider": event.text(&["actor.idp.name"]),
        },
    });
    let session = json!({
        "attributes": {
            "creationDate": event.value(&["actor.session.created_time_dt",
                "actor.session.created_time"]),
            "mfaAuthenticated": event.text(&["actor.session.is_mfa", "actor.session.mfa"]),
        },
        "sessionIssuer": { "arn": event.text(&["actor.session.issuer"]) },
    });
    if event.get(&["actor.session"]).is_some() {
        record["userIdentity"]["sessionContext"] = session;
    }
    if let Some(Value::Array(resources)) = event.get(&["resources"]) {
        let resources = resources.iter().map(|one| {
            let owner = one.pointer("/owner/account/uid").or(one.get("account_uid"));
            json!({"ARN": one["uid"], "type": one["type"], "accountId": owner})
        });
        record["resources"] = resources.collect();
    }
    // What was used at a console login has a place of its own.
    if let Some(is_mfa) = event.get(&["is_mfa", "mfa"]).and_then(Value::as_bool) {
        let said = if is_mfa { "Yes" } else { "No" };
        record["additionalEventData"] = json!({ "MFAUsed": said });
    }
    if let Some(Value::Object(unmapped)) = event.0.get("unmapped") {
        for (path, value) in unmapped {
            put(&mut record, path, value);
        }
    }
    Record::Json(record)
}

/// Puts a value back where it stood, unless something stands there. Of what stood in lists, the
/// path does not say where.
fn put(record: &mut Value, path: &str, value: &Value) {
    if path.contains("[]") || value.is_null() {
        return;
    }
    let mut at = record;
    for part in path.split('.') {
        if at.is_null() {
            *at = Value::Object(Map::new());
        }
        let Value::Object(members) = at else {
            return;
        };
        at = members.entry(part).or_insert(Value::Null);
    }
    if at.is_null() {
        at.clone_from(value);
    }
}

/// A request to a cluster.
pub(super) fn audit(event: &Event<'_>) -> Record {
    let path = event.text(&["http_request.url.path"]).unwrap_or_default();
    let query = event.text(&["http_request.url.query_string"]);
    let uri = match query {
        Some(query) if !path.contains('?') => format!("{path}?{query}"),
        _ => path,
    };
    let told = event.text(&["resources.0.type"]);
    let (resource, subresource) = resource_of(&uri).unwrap_or((told.as_deref(), None));
    let groups: Vec<&Value> = match event.get(&["actor.user.groups"]) {
        Some(Value::Array(groups)) => groups.iter().map(|group| &group["name"]).collect(),
        _ => Vec::new(),
    };
    let mut addresses: Vec<Value> = Vec::new();
    addresses.extend(event.get(&["src_endpoint.ip"]).cloned());
    if let Some(Value::Array(others)) = event.get(&["src_endpoint.intermediate_ips"]) {
        addresses.extend(others.iter().cloned());
    }
    let mut record = json!({
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": event.text(&["metadata.log_level"]),
        "auditID": event.text(&["api.request.uid"]),
        "stage": event.text(&["message"]),
        "requestURI": uri,
        "verb": event.text(&["api.operation"]),
        "user": {
            "username": event.text(&["actor.user.name"]),
            "uid": event.text(&["actor.user.uid"]),
            "groups": groups,
        },
        "sourceIPs": addresses,
        "userAgent": event.text(&["http_request.user_agent"]),
        "objectRef": {
            "resource": resource,
            "subresource": subresource,
            "namespace": event.text(&["resources.0.namespace"]),
            "name": event.text(&["resources.0.name"]),
            "apiGroup": event.text(&["api.group.name"]),
        },
        "responseStatus": { "code": event.value(&["api.response.code"]) },
        "requestReceivedTimestamp": event.value(&["start_time_dt", "start_time"]),
        "stageTimestamp": event.value(&["time_dt", "time"]),
    });
    for name in ["decision", "reason"] {
        let name = format!("authorization.k8s.io/{name}");
        if let Some(value) = event.unmapped(&format!("annotations.{name}")) {
            record["annotations"][name] = json!(value);
        }
    }
    Record::Json(record)
}

/// The resource and the subresource that a path names, as the API server reads it: OCSF puts the
/// two together so that they cannot be told apart.
fn resource_of(uri: &str) -> Option<(Option<&str>, Option<&str>)> {
    let path = uri.split('?').next()?;
    let mut parts = path.split('/').filter(|part| !part.is_empty());
    match parts.next()? {
        "api" => parts.next()?,
        "apis" => parts.nth(1)?,
        _ => return None,
    };
    let mut parts: Vec<&str> = parts.collect();
    // A namespace is a resource itself, and what others lie in.
    if parts.first() == Some(&"namespaces") && parts.len() > 2 {
        parts.drain(..2);
    }
    Some((parts.first().copied(), parts.get(2).copied()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(uri: &str, expected: Option<(Option<&str>, Option<&str>)>) {
        assert_eq!(resource_of(uri), expected, "{uri}");
    }

    #[test]
    fn a_path_names_what_it_is_about() {
        check("/api/v1/nodes", Some((Some("nodes"), None)));
        check(
            "/api/v1/namespaces/a/pods/b/exec?command=sh",
            Some((Some("pods"), Some("exec"))),
        );
        check(
            "/apis/apps/v1/namespaces/a/daemonsets",
            Some((Some("daemonsets"), None)),
        );
        check("/api/v1/namespaces/a", Some((Some("namespaces"), None)));
        check("/api/v1/namespaces", Some((Some("namespaces"), None)));
        check("/healthz", None);
        check("", None);
    }

    #[test]
    fn what_was_taken_out_of_a_record_is_put_back() {
        let mut record = json!({"a": {"b": 1}, "n": null});
        for path in ["a.b", "a.c", "n.x", "d", "e[].f", "a.b.z"] {
            put(&mut record, path, &json!("new"));
        }
        let expected = json!({"a": {"b": 1, "c": "new"}, "n": {"x": "new"}, "d": "new"});
        assert_eq!(record, expected);
    }
}
