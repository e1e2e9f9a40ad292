//! Kubernetes's audit log.

use crate::support::{Ask, gzip};

const EXEC: &str = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"a1","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/hub/pods/x/exec?command=sh&command=-c&command=curl+-s+http%3A%2F%2Fa&stdin=true","verb":"create","user":{"username":"system:anonymous","groups":["system:unauthenticated","b"]},"sourceIPs":["203.0.114.7","10.0.0.1"],"userAgent":"curl","objectRef":{"resource":"pods","subresource":"exec","namespace":"hub","name":"x"},"responseStatus":{"code":101},"requestReceivedTimestamp":"2024-08-01T11:31:00.000000Z","stageTimestamp":"2024-08-01T11:31:01.000000Z","annotations":{"authorization.k8s.io/decision":"allow"}}"#;
const CREATE: &str = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"a2","stage":"ResponseComplete","requestURI":"/apis/apps/v1/namespaces/kube-system/daemonsets","verb":"create","user":{"username":"system:serviceaccount:hub:hub"},"objectRef":{"resource":"daemonsets","namespace":"kube-system","apiGroup":"apps"},"requestObject":{"spec":{"template":{"spec":{"hostPID":true,"hostNetwork":false,"containers":[{"image":"a:1"},{"image":"b:1","securityContext":{"privileged":true}}],"volumes":[{"hostPath":{"path":"/"}}]}}}},"responseObject":{"metadata":{"name":"made"},"spec":{"image":"a:1"}},"requestReceivedTimestamp":"2024-08-01T11:32:00Z"}"#;

fn escaped(json: &str) -> String {
    serde_json::to_string(json).expect("a text is JSON")
}

#[test]
fn every_form_gives_the_same_rows() {
    let (exec, create) = (escaped(EXEC), escaped(CREATE));
    for (form, text) in [
        ("lines", format!("{EXEC}\n{CREATE}\n")),
        (
            "export",
            format!("2024-08-01T11:31:00.000Z {EXEC}\n2024-08-01T11:32:00.000Z {CREATE}\n"),
        ),
        (
            "list",
            format!(
                r#"{{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{{}},"items":[{EXEC},{CREATE}]}}"#
            ),
        ),
        (
            "subscription",
            format!(
                r#"{{"messageType":"CONTROL_MESSAGE","logEvents":[{{"id":"0","message":"hello"}}]}}{{"messageType":"DATA_MESSAGE","owner":"111122223333","logGroup":"/aws/eks/hub/cluster","logStream":"kube-apiserver-audit-0a","logEvents":[{{"id":"1","timestamp":1722511860000,"message":{exec}}},{{"id":"2","message":{create}}}]}}"#
            ),
        ),
        (
            "query",
            format!(r#"{{"events":[{{"message":{exec}}},{{"message":{create}}}]}}"#),
        ),
    ] {
        let sql = "SELECT audit_id, \"user\", groups, source_ips, resource, subresource, name, response_code, decision,
            received_epoch, is_anonymous, is_system, command, images, privileged, host_path, host_network, host_pid
            FROM eks_audit ORDER BY audit_id";
        let mut ask = Ask::new(sql).of("audit", gzip(text.as_bytes()));
        ask.place = "eks_audit=audit";
        let (rows, said) = ask.answer();
        assert_eq!(
            rows,
            "audit_id,user,groups,source_ips,resource,subresource,name,response_code,decision,received_epoch,is_anonymous,is_system,command,images,privileged,host_path,host_network,host_pid\n\
             a1,system:anonymous,\"system:unauthenticated,b\",\"203.0.114.7,10.0.0.1\",pods,exec,x,101,allow,1722511860,true,false,sh -c curl -s http://a,,,,,\n\
             a2,system:serviceaccount:hub:hub,,,daemonsets,,made,,,1722511920,false,false,,\"a:1,b:1\",true,true,false,true",
            "{form}: {said}"
        );
        assert!(!said.contains("not understood"), "{form}: {said}");
        if form == "subscription" {
            let sql = "SELECT DISTINCT cluster, account_id FROM eks_audit";
            let rows = Ask::new(sql).of("audit.json", text).rows();
            assert_eq!(rows, "cluster,account_id\nhub,111122223333");
        }
    }
}

#[test]
fn odd_events_cost_only_themselves() {
    let deep = "[".repeat(100_000);
    let log = [
        EXEC,
        "I0801 11:31:00 not JSON at all",
        r#"{"auditID":7,"verb":null,"user":"x","objectRef":[],"requestObject":{"a":{"#,
        r#"{"auditID":"b","verb":"get","user":{"username":5},"requestObject":[[[]]],"responseStatus":{"code":"no"}}"#,
        &deep,
    ]
    .join("\n");
    let mut ask = Ask::new("SELECT audit_id, response_code, privileged FROM eks_audit ORDER BY 1")
        .of("audit", log);
    ask.place = "eks_audit=audit";
    let (rows, said) = ask.answer();
    assert!(
        rows.starts_with("audit_id,response_code,privileged\na1,101,"),
        "{rows}: {said}"
    );
    assert!(said.contains("not understood"), "{said}");
}
