//! What other logs say of a case.

use std::fs;

use davylamp_casework::case::Lead;
use davylamp_testkit::attack::{Options, Scenario, TrailPlan};
use serde_json::json;

use crate::support::{case_of, told};

#[tokio::test]
async fn flows_names_and_findings_speak_of_the_machines_of_a_case() {
    let options = Options {
        scenario: Some(Scenario::InstanceRole),
        guardduty: true,
        flow: true,
        dns: true,
        ..Options::default()
    };
    let told = told(1, &options, &[]).await;
    let said = told.case.witnessed.expect("other logs know the machines");
    assert!(!said.evidence.is_empty());
    for table in ["vpc_flow", "dns_query", "guardduty"] {
        let source = told
            .case
            .sources
            .iter()
            .find(|source| source.table == table);
        assert!(source.is_some_and(|source| source.records > 0), "{table}");
    }
    let cited: Vec<&str> = told
        .case
        .evidence
        .iter()
        .filter(|record| said.evidence.contains(&record.id))
        .map(|record| record.table.as_str())
        .collect();
    assert!(
        cited.iter().all(|table| *table != "cloudtrail"),
        "{cited:?}"
    );
}

#[tokio::test]
async fn without_a_trail_they_are_leads_and_accuse_nobody() {
    let options = Options {
        scenario: Some(Scenario::InstanceRole),
        trail: TrailPlan::Never,
        flow: true,
        dns: true,
        ..Options::default()
    };
    let case = told(1, &options, &[]).await.case;
    assert!(case.is_suspicious());
    assert_eq!(case.span, None);
    assert!(case.innocence.is_empty());
}

#[tokio::test]
async fn a_peaceful_account_is_suspected_of_nothing() {
    let options = Options {
        scenario: Some(Scenario::NoAttack),
        guardduty: true,
        flow: true,
        dns: true,
        ..Options::default()
    };
    let case = told(1, &options, &[]).await.case;
    assert!(!case.is_suspicious(), "{:#?}", case.leads);
}

/// What happened in a cluster is in no trail of AWS's.
#[tokio::test]
async fn clusters_and_guards_are_witnesses_of_what_is_in_no_trail() {
    let request = |id: &str, verb: &str, resource: &str, uri: &str, code: u16| {
        json!({
            "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "Metadata", "auditID": id,
            "stage": "ResponseComplete", "requestURI": uri, "verb": verb,
            "user": {"username": "system:anonymous", "groups": ["system:unauthenticated"]},
            "sourceIPs": ["203.0.114.7"], "userAgent": "curl/8.5", "objectRef": {"resource": resource},
            "responseStatus": {"code": code},
            "requestReceivedTimestamp": "2026-03-02T10:00:00.000000Z",
            "stageTimestamp": "2026-03-02T10:00:00.000000Z",
        })
    };
    let audit = [
        request("1", "list", "secrets", "/api/v1/secrets", 200),
        request(
            "2",
            "create",
            "pods",
            "/api/v1/namespaces/default/pods",
            201,
        ),
    ];
    let kill = |pid: u32, minute: u32| {
        json!({
            "event": "Would kill process", "level": "info", "action": "would-kill", "pid": pid,
            "timestamp": format!("2026-03-02T10:{minute:02}:00.000000Z"), "source": "davylamp.exec",
            "cmdline": "./banned -o pool.example:3333", "matched": "banned", "node": "node-1",
            "hub_user": "eve",
        })
    };
    let guard = [kill(100, 0), kill(200, 5), kill(300, 10)];
    let dir = tempfile::tempdir().expect("a folder can be made");
    let logs = dir.path().join("AWSLogs");
    fs::create_dir(&logs).expect("a folder can be made");
    for (name, lines) in [("audit.jsonl", &audit[..]), ("guard.jsonl", &guard[..])] {
        let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
        fs::write(logs.join(name), lines.join("\n")).expect("a file can be written");
    }
    let case = case_of(dir.path(), &[]).await;
    for (table, hunt) in [
        ("eks_audit", "eks-anonymous-access"),
        ("guard", "guard-would-kill"),
    ] {
        let source = case.sources.iter().find(|source| source.table == table);
        assert!(source.is_some_and(|source| source.records > 0), "{table}");
        let is_told = |lead: &Lead| lead.is_alarm && lead.statement.text.starts_with(hunt);
        assert!(case.leads.iter().any(is_told), "{hunt}: {:#?}", case.leads);
    }
    assert!(case.is_suspicious() && case.innocence.is_empty());
}
