//! What a responder gets to read of suspects.

use std::collections::BTreeMap;

use davylamp_hunt::run::Report;
use davylamp_hunt::suspects::rank;
use davylamp_model::intake;
use jiff::Timestamp;

use super::super::ocsf;
use super::*;

fn lead(hunt: &str, score: f64, entities: &[(Kind, &str)]) -> Lead {
    let at: Option<Timestamp> = "2026-11-01T10:00:00Z".parse().ok();
    Lead {
        hunt: hunt.to_owned(),
        severity: jobs(&[hunt])[0].hunt.severity,
        score,
        first_seen: at,
        last_seen: at,
        entities: entities
            .iter()
            .map(|(kind, value)| Entity {
                kind: *kind,
                value: (*value).to_owned(),
            })
            .collect(),
        because: format!("{hunt} found it"),
        evidence: BTreeMap::new(),
    }
}

fn jobs(names: &[&str]) -> Vec<Job> {
    let shipped = davylamp_content::hunt::shipped().expect("they are good");
    let job = |name: &&str| {
        let parsed = shipped.iter().find(|it| it.hunt.name == *name);
        let hunt = parsed.expect("it is shipped").hunt.clone();
        Job::new(hunt, &BTreeMap::new()).expect("it has defaults")
    };
    names.iter().map(job).collect()
}

/// The findings as `davy respond` reads them.
fn read(leads: Vec<Lead>) -> Vec<Finding> {
    let names: BTreeSet<String> = leads.iter().map(|lead| lead.hunt.clone()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let jobs = jobs(&names);
    let suspects = rank(leads, &[]);
    let told: Vec<Finding> = suspects
        .iter()
        .flat_map(|suspect| of(suspect, &jobs))
        .map(|told| told.finding)
        .collect();
    let report = Report {
        hunts: Vec::new(),
        suspects,
        unlinked: None,
        unnamed: None,
        read: Default::default(),
    };
    let read = intake::read(ocsf::lines(&report, &jobs).as_bytes());
    assert_eq!(read.rejected, []);
    assert_eq!(read.findings, told);
    told
}

fn keys(finding: &Finding) -> Vec<String> {
    finding.resources.iter().map(Resource::key).collect()
}

const HOME: [(Kind, &str); 2] = [(Kind::Account, "111122223333"), (Kind::Region, "eu-west-1")];

#[test]
fn a_machine_that_talks_to_a_pool_can_be_acted_on_and_who_started_it_cannot() {
    let machine = (Kind::Instance, "i-0123456789abcdef0");
    let admin = (Kind::Principal, "arn:aws:iam::111122223333:user/admin");
    let found = read(vec![
        lead(
            "flow-pool-indicator",
            95.0,
            &[HOME[0], HOME[1], machine, (Kind::Remote, "203.0.114.9")],
        ),
        lead(
            "trail-public-instance",
            80.0,
            &[HOME[0], HOME[1], machine, admin],
        ),
    ]);
    let of = |behaviour| {
        found
            .iter()
            .find(|it| it.behaviour == behaviour)
            .expect("it is told")
    };
    let mining = of(Behaviour::Mining);
    assert_eq!(keys(mining), ["instance/i-0123456789abcdef0"]);
    assert_eq!(mining.severity, Severity::High);
    assert_eq!(mining.kind, "Davylamp:Hunt/flow-pool-indicator");
    let place = mining.place.as_ref().expect("the lead says where");
    assert_eq!(place.region.as_str(), "eu-west-1");
    assert!(mining.gaps.is_empty(), "{:?}", mining.gaps);
    let door = of(Behaviour::PublicExposure);
    assert_eq!(keys(door), ["instance/i-0123456789abcdef0"]);
    assert!(door.observed.iter().any(|it| it.what == "principal"));
    assert_ne!(mining.id, door.id);
}

#[test]
fn a_weak_suspicion_is_of_low_severity_and_a_hunt_without_a_behaviour_names_no_target() {
    let machine = (Kind::Instance, "i-0123456789abcdef0");
    let found = read(vec![lead(
        "flow-thin-periodic",
        55.0,
        &[HOME[0], HOME[1], machine],
    )]);
    assert_eq!(found[0].severity, Severity::Low);
    let found = read(vec![lead(
        "flow-top-talkers",
        100.0,
        &[HOME[0], HOME[1], machine],
    )]);
    assert_eq!(found[0].behaviour, Behaviour::Other);
    assert_eq!(found[0].resources, []);
}

#[test]
fn a_stolen_key_is_told_with_its_holder_in_the_region_of_identities() {
    let found = read(vec![lead(
        "trail-instance-burst",
        100.0,
        &[
            HOME[0],
            (Kind::Key, "AKIAIOSFODNN7EXAMPLE"),
            (Kind::Principal, "arn:aws:iam::111122223333:user/ci/deploy"),
        ],
    )]);
    assert_eq!(keys(&found[0]), ["user/deploy"]);
    assert_eq!(found[0].behaviour, Behaviour::StolenCredential);
    let place = found[0].place.as_ref().expect("identities have a region");
    assert_eq!(place.region.as_str(), "us-east-1");
}

#[test]
fn a_machine_is_looked_for_nowhere_if_the_log_does_not_say_where_it_is() {
    let found = read(vec![lead(
        "trail-instance-credentials-elsewhere",
        100.0,
        &[
            HOME[0],
            (Kind::Instance, "i-0123456789abcdef0"),
            (Kind::Principal, "arn:aws:iam::111122223333:role/web"),
        ],
    )]);
    assert_eq!(keys(&found[0]), ["role/web"]);
    assert!(found[0].gaps[0].contains("in which region"), "{found:?}");
}

#[test]
fn regions_are_told_apart_and_what_no_service_could_have_named_is_a_gap() {
    let key = (Kind::Key, "AKIAIOSFODNN7EXAMPLE");
    let stranger = (Kind::Principal, "arn:aws:iam::999999999999:user/x");
    let found = read(vec![
        lead("trail-probe-before-burst", 90.0, &[HOME[0], HOME[1], key]),
        lead(
            "trail-probe-before-burst",
            90.0,
            &[HOME[0], (Kind::Region, "us-west-2"), key, stranger],
        ),
        lead("dns-pool-name", 90.0, &[(Kind::Instance, "i-<script>")]),
    ]);
    assert_eq!(found.len(), 3);
    let ids: BTreeSet<String> = found.iter().map(|it| it.id.to_string()).collect();
    assert_eq!(ids.len(), 3);
    for finding in &found {
        assert_eq!(finding.resources, [], "{finding:?}");
        assert!(!finding.gaps.is_empty(), "{finding:?}");
    }
}

#[test]
fn what_names_the_region_of_identities_and_what_names_none_is_one_finding() {
    let key = (Kind::Key, "AKIAIOSFODNN7EXAMPLE");
    let who = (Kind::Principal, "arn:aws:iam::111122223333:user/deploy");
    let home = (Kind::Region, "us-east-1");
    let found = read(vec![
        lead("trail-probe-before-burst", 90.0, &[HOME[0], home, key, who]),
        lead("trail-instance-burst", 90.0, &[HOME[0], key, who]),
    ]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].count, 2);
}

#[test]
fn a_user_of_the_hub_is_told_with_the_pod() {
    let found = read(vec![lead(
        "guard-would-kill",
        100.0,
        &[
            HOME[0],
            HOME[1],
            (Kind::HubUser, "alice"),
            (Kind::Workload, "hub/pod/claim-alice"),
        ],
    )]);
    assert_eq!(
        keys(&found[0]),
        ["hub-user/alice", "workload//hub/pods/claim-alice"]
    );
}
