//! What other logs say of a case.

use davylamp_testkit::attack::{Options, Scenario, TrailPlan};

use crate::support::told;

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
