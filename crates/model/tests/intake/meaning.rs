//! What the fixtures mean, and what each type means.

use davylamp_model::intake;
use serde_json::{Value, json};

use crate::{FIXTURES, fixture, keys, only, told};

#[test]
fn every_fixture_is_read() {
    for (name, text) in FIXTURES {
        insta::assert_snapshot!(*name, told(&intake::read(text.as_bytes())));
    }
}

#[test]
fn what_acted_stands_first() {
    for (name, first) in [
        ("instance", "instance/i-0c0ffee0c0ffee001"),
        ("pod", "workload/hub-eu/jhub/pods/jupyter-mallory"),
        (
            "fargate",
            "task/arn:aws:ecs:eu-central-1:210987654321:task/batch/0123456789abcdef0123456789abcdef",
        ),
        ("function", "function/resize"),
        ("key-of-user", "user/carol"),
        ("key-of-instance", "key/ASIA0123456789ABCDEF"),
        ("scan-of-snapshot", "snapshot/snap-0c0ffee0c0ffee009"),
        ("scan-of-image", "image/ami-0c0ffee0c0ffee009"),
        ("sequence", "workload/hub-eu/jhub/pods/jupyter-mallory"),
        ("guard-killed", "hub-user/mallory"),
    ] {
        let found = only(fixture(name));
        assert_eq!(
            keys(&found).first().map(String::as_str),
            Some(first),
            "{name}"
        );
    }
}

/// A copy of a fixture with one member changed.
fn with(name: &str, pointer: &str, value: Value) -> String {
    let mut event: Value = serde_json::from_str(fixture(name)).expect("a fixture is JSON");
    *event.pointer_mut(pointer).expect("the member is there") = value;
    event.to_string()
}

#[test]
fn what_an_attacker_shaped_is_never_a_resource() {
    const WORKLOAD: &str = "/detail/resource/kubernetesDetails/kubernetesWorkloadDetails";
    let cases = [
        (
            "instance",
            "/detail/resource/instanceDetails/instanceId".to_owned(),
            "i-1; reboot",
        ),
        (
            "instance",
            "/detail/resource/instanceDetails/instanceId".to_owned(),
            "i-0C0FFEE0",
        ),
        ("pod", format!("{WORKLOAD}/name"), "../../hub"),
        (
            "pod",
            format!("{WORKLOAD}/namespace"),
            "jhub/../kube-system",
        ),
        ("pod", format!("{WORKLOAD}/type"), "pods/exec"),
        (
            "pod",
            "/detail/resource/eksClusterDetails/name".to_owned(),
            "hub\u{1b}[2J",
        ),
        (
            "function",
            "/detail/resource/lambdaDetails/functionName".to_owned(),
            "a b",
        ),
        (
            "key-of-user",
            "/detail/resource/accessKeyDetails/userName".to_owned(),
            "*/admin",
        ),
        (
            "key-of-user",
            "/detail/resource/accessKeyDetails/accessKeyId".to_owned(),
            "AKIA<b>",
        ),
        (
            "fargate",
            "/detail/resource/ecsClusterDetails/taskDetails/arn".to_owned(),
            "arn:aws:ecs:x:y:task/ \n",
        ),
        (
            "scan-of-snapshot",
            "/detail/resource/ebsSnapshotDetails/snapshotArn".to_owned(),
            "arn:aws:ec2:eu-central-1:999999999999:snapshot/snap-0c0ffee0c0ffee009",
        ),
    ];
    for (name, pointer, hostile) in cases {
        let found = only(&with(name, &pointer, json!(hostile)));
        assert!(!found.gaps.is_empty(), "{name} {hostile}");
        let keys = keys(&found).join(" ");
        assert!(!keys.contains(hostile), "{name} {keys}");
        assert!(!keys.contains("snap-"), "{name} {keys}");
        let shown = found.gaps.join(" ");
        assert!(!shown.contains(char::is_control), "{name} {shown:?}");
    }
}

#[test]
fn a_name_that_anybody_can_choose_makes_no_sample() {
    let details = "/detail/resource/kubernetesDetails/kubernetesWorkloadDetails";
    for (pointer, value) in [
        (
            format!("{details}/containers/0/image"),
            "GeneratedFindingContainerImage",
        ),
        (
            "/detail/service/runtimeDetails/process/name".to_owned(),
            "GeneratedFindingProcess",
        ),
        ("/detail/title".to_owned(), "Process [SAMPLE] was seen"),
    ] {
        assert!(
            !only(&with("pod", &pointer, json!(value))).sample,
            "{value}"
        );
    }
    for (name, pointer, value) in [
        ("instance", "/detail/title", json!("[SAMPLE] t")),
        (
            "instance",
            "/detail/service/additionalInfo",
            json!({"sample": true}),
        ),
        (
            "instance",
            "/detail/service/additionalInfo/value",
            json!("{\"sample\":true}"),
        ),
        (
            "instance",
            "/detail/resource/instanceDetails/instanceId",
            json!("i-99999999"),
        ),
        (
            "key-of-user",
            "/detail/resource/accessKeyDetails/accessKeyId",
            json!("GeneratedFindingAccessKeyId"),
        ),
    ] {
        assert!(only(&with(name, pointer, value.clone())).sample, "{value}");
    }
}

#[test]
fn the_holder_of_a_key_is_told_in_any_casing() {
    const KIND: &str = "/detail/resource/accessKeyDetails/userType";
    for (kind, key) in [
        ("IAMUser", "user/carol"),
        ("iamuser", "user/carol"),
        ("ASSUMEDROLE", "key/AKIA0123456789ABCDEF"),
        ("Root", "key/AKIA0123456789ABCDEF"),
        ("FederatedUser", "key/AKIA0123456789ABCDEF"),
    ] {
        let found = only(&with("key-of-user", KIND, json!(kind)));
        assert_eq!(keys(&found), [key], "{kind}");
    }
}

#[test]
fn times_are_read_as_they_are_written() {
    for (written, read) in [
        (json!("2026-05-06T07:00:00Z"), "2026-05-06T07:00:00Z"),
        (
            json!("2026-05-06T07:00:00.123456789Z"),
            "2026-05-06T07:00:00.123456789Z",
        ),
        (json!("2026-05-06T09:00:00+02:00"), "2026-05-06T07:00:00Z"),
        (
            json!("2026-05-06T07:00:00.000+0000"),
            "2026-05-06T07:00:00Z",
        ),
        (
            json!("2026-05-06 07:00:00.000000000"),
            "2026-05-06T07:00:00Z",
        ),
        (json!("2026-05-06 07:00:00"), "2026-05-06T07:00:00Z"),
        (json!(1_778_050_800), "2026-05-06T07:00:00Z"),
        (json!(1_778_050_800.25), "2026-05-06T07:00:00.25Z"),
        (json!(1_778_050_800_250_i64), "2026-05-06T07:00:00.25Z"),
        (json!("1778050800"), "2026-05-06T07:00:00Z"),
    ] {
        let found = only(&with(
            "instance",
            "/detail/service/eventFirstSeen",
            written.clone(),
        ));
        let seen = found.first_seen.expect("a time");
        assert_eq!(seen.to_string(), read, "{written}");
        assert_eq!(found.gaps, [""; 0], "{written}");
    }
    for wrong in [json!("yesterday"), json!(1e300), json!(-1e17), json!([])] {
        let found = only(&with(
            "instance",
            "/detail/service/eventFirstSeen",
            wrong.clone(),
        ));
        assert_eq!(found.gaps, ["`eventFirstSeen` is not a time."], "{wrong}");
    }
}

#[test]
fn the_findings_own_account_stands_against_its_envelope() {
    let found = only(&with("instance", "/account", json!("111122223333")));
    assert_eq!(
        found.place.expect("a place").account.as_str(),
        "210987654321"
    );
    assert_eq!(found.gaps.len(), 1, "{:?}", found.gaps);
    let found = only(&with("instance", "/detail/accountId", json!("12345")));
    assert_eq!(found.place, None);
}

/// GuardDuty and Security Hub report the same finding; it must be one to us.
#[test]
fn the_same_finding_has_the_same_id_from_everywhere() {
    let id = only(fixture("instance")).id;
    assert_eq!(only(fixture("asff")).id, id);
    assert_eq!(only(fixture("ocsf")).id, id);
}

#[test]
fn a_finding_without_id_has_the_same_digest_each_time() {
    let mut event: Value = serde_json::from_str(fixture("instance")).expect("a fixture is JSON");
    let detail = event["detail"].as_object_mut().expect("an object");
    detail.remove("id");
    detail.remove("arn");
    let found = only(&event.to_string());
    assert!(found.id.as_str().starts_with("sha256:"), "{}", found.id);
    assert_eq!(only(&event.to_string()).id, found.id);
    event["detail"]["severity"] = json!(3);
    assert_ne!(only(&event.to_string()).id, found.id);
}

#[test]
fn of_two_answers_none_is_used() {
    let mut event: Value = serde_json::from_str(fixture("instance")).expect("a fixture is JSON");
    event["detail"]["resource"]["instanceDetails"]["InstanceId"] = json!("i-0badbadbadbadbad0");
    let found = only(&event.to_string());
    assert_eq!(keys(&found), [""; 0]);
    let text = fixture("instance").replacen(
        "\"instanceId\": \"i-0c0ffee0c0ffee001\"",
        "\"instanceId\": \"i-0c0ffee0c0ffee001\", \"instanceId\": \"i-0badbadbadbadbad0\"",
        1,
    );
    let intake = intake::read(text.as_bytes());
    assert_eq!(intake.findings, []);
    insta::assert_snapshot!("twice", told(&intake));
}

#[test]
fn a_workload_is_never_placed_in_one_of_two_clusters() {
    let mut event: Value = serde_json::from_str(fixture("sequence")).expect("a fixture is JSON");
    let resources = event
        .pointer_mut("/detail/service/detection/sequence/resources")
        .and_then(Value::as_array_mut)
        .expect("a list");
    let mut second = resources[0].clone();
    second["name"] = Value::Null;
    second["data"]["eksCluster"]["arn"] = Value::Null;
    resources.push(second);
    let found = only(&event.to_string());
    assert_eq!(keys(&found)[0], "workload//jhub/pods/jupyter-mallory");
}

#[test]
fn the_guards_findings_are_sightings() {
    let sighting = intake::sighting(&only(fixture("guard-killed"))).expect("a sighting");
    insta::assert_debug_snapshot!("sighting", sighting);
    assert_eq!(intake::sighting(&only(fixture("pod"))), None);
}
