//! What stops it: protection, kill switch, canary, caps, approvals.

use crate::finding::mining;
use crate::ground::{Ground, NAMESPACE};
use crate::machine::Machine;

/// A machine of alice's, and a finding about it.
fn scene(ground: &Ground) -> (Machine, String) {
    let machine = ground.node(&["alice"]);
    let finding = ground.save("f.json", &mining(&ground.account.id, "one", &machine.id));
    (machine, finding)
}

#[test]
fn the_kill_switch_lets_nothing_be_done_until_it_is_off() {
    let ground = Ground::new();
    let (machine, finding) = scene(&ground);
    for (setting, says) in [
        ("respond.kill_switch=true", "the kill switch is on"),
        ("respond.dry_run=true", "respond.dry_run is on"),
        ("respond.canary_percent=5", "respond.canary_percent is 5"),
    ] {
        // Who looks first learns what a run would be kept from.
        let plan = ["plan", "--finding", &finding, "--set", setting];
        ground.davy(&plan).says(&[says]);
    }
    let ran = ground.davy(&["--finding", &finding, "--set", "respond.kill_switch=true"]);
    ran.says(&["the kill switch is on", "a new journal is begun"]);
    let writes = ground.writes();
    assert!(writes.is_empty(), "{writes:?}");
    assert!(ground.portal.hooks().is_empty());
    assert_eq!(ground.cluster_writes(), 0);
    let mails = ground.mail.mails();
    assert_eq!(mails.len(), 1);
    assert!(mails[0].text.contains("kill switch"), "{}", mails[0].text);

    ground.davy(&["--finding", &finding]).ended(1);
    assert_eq!(ground.state(&machine.id), "terminated");
}

#[test]
fn outside_the_canary_a_person_decides() {
    let mut ground = Ground::new();
    ground.set("respond.canary_percent=0");
    let (machine, finding) = scene(&ground);
    ground
        .davy(&["--finding", &finding])
        .ended(1)
        .says(&["canary", "davy respond approve inc-"]);
    assert_eq!(ground.state(&machine.id), "running");
    let asked = ground.mail.mails();
    assert_eq!(asked.len(), 1);
    assert!(
        asked[0].text.contains("davy respond approve"),
        "{}",
        asked[0].text
    );
    let writes = ground.writes();
    assert!(writes.is_empty(), "{writes:?}");
    let listed = ground.davy(&["status", "--output", "json"]).json();
    let incident = listed[0]["incident"].as_str().expect("an incident");
    ground
        .davy(&["approve", incident, "--by", "carol"])
        .ended(1);
    assert_eq!(ground.state(&machine.id), "terminated");
    // Whoever was asked learns what came of it.
    let told = ground.mail.mails();
    assert_eq!(told.len(), 2);
    assert!(
        told[1].text.contains("terminate-instance"),
        "{}",
        told[1].text
    );
    // What an undo would come to is what it comes to: of a machine that was ended nothing is left.
    let expected = ground.davy(&["undo", incident, "--dry-run", "--output", "json"]);
    let expected = expected.json();
    let undone = ground.davy(&["undo", incident, "--output", "json"]).json();
    assert!(!expected["gone"].as_array().expect("a list").is_empty());
    let steps = |of: &serde_json::Value| {
        let all = of["undone"].as_array().expect("a list").clone();
        all.into_iter()
            .filter(|it| it.as_str().is_some_and(|it| it.contains(&machine.id)))
            .collect::<Vec<_>>()
    };
    assert_eq!(steps(&expected), steps(&undone), "{expected}\n{undone}");
}

#[test]
fn a_protected_tag_is_stronger_than_a_finding() {
    let ground = Ground::new();
    let (machine, finding) = scene(&ground);
    ground.tag(&machine.id, "davylamp:protected", "true");
    ground
        .davy(&["--finding", &finding])
        .ended(1)
        .says(&["protected"]);
    assert_eq!(ground.state(&machine.id), "running");
    assert_eq!(ground.proxy.calls_of("ec2", "TerminateInstances").len(), 0);
    assert_eq!(
        ground
            .proxy
            .calls_of("ec2", "ModifyNetworkInterfaceAttribute")
            .len(),
        0
    );
}

#[test]
fn a_protected_namespace_on_the_node_keeps_the_node() {
    let mut ground = Ground::new();
    ground.set(&format!("respond.protect.namespaces=[\"{NAMESPACE}\"]"));
    let (machine, finding) = scene(&ground);
    ground
        .davy(&["--finding", &finding])
        .ended(1)
        .says(&["protected"]);
    assert_eq!(ground.state(&machine.id), "running");
    assert_eq!(
        ground
            .proxy
            .calls_of("ec2", "ModifyNetworkInterfaceAttribute")
            .len(),
        0
    );
}

#[test]
fn a_protected_user_is_neither_stopped_nor_shut_out() {
    let mut ground = Ground::new();
    ground.set("respond.protect.hub_users=[\"alice\"]");
    let (_, finding) = scene(&ground);
    ground
        .davy(&["--finding", &finding])
        .ended(1)
        .says(&["protected"]);
    assert!(ground.portal.hooks().is_empty());
}

#[test]
fn a_protected_account_is_left_alone() {
    let mut ground = Ground::new();
    let account = ground.account.id.clone();
    ground.set(&format!("respond.protect.accounts=[\"{account}\"]"));
    let (machine, finding) = scene(&ground);
    ground
        .davy(&["--finding", &finding])
        .ended(1)
        .says(&["protected"]);
    let writes = ground.writes();
    assert!(writes.is_empty(), "{writes:?}");
    assert_eq!(ground.state(&machine.id), "running");
}

#[test]
fn a_cap_stops_the_next_incident_and_says_so() {
    let mut ground = Ground::new();
    let shipped = std::fs::read_to_string("../../content/playbooks/hub-miner.toml")
        .expect("the shipped playbook");
    let capped = shipped.replace("plans-per-hour = 10", "plans-per-hour = 1");
    assert_ne!(capped, shipped);
    let path = ground.write("hub-miner.toml", &capped);
    ground.set(&format!("respond.playbooks=[\"{path}\"]"));
    let (machine, finding) = scene(&ground);
    ground.davy(&["--finding", &finding]).ended(1);
    assert_eq!(ground.state(&machine.id), "terminated");
    let next = ground.node(&["bob"]);
    let finding = ground.save("2.json", &mining(&ground.account.id, "two", &next.id));
    ground.davy(&["--finding", &finding]).says(&["an hour"]);
    assert_eq!(ground.state(&next.id), "running");
    assert_eq!(ground.mail.mails().len(), 2);
}
