//! Delivered twice, at once, or to a run that dies: the effect of one.

use crate::finding::{event, mining};
use crate::ground::{Ground, until};
use crate::machine::Machine;

/// One delivery's effect, whole.
#[track_caller]
fn has_the_effect_of_one(ground: &Ground, machine: &Machine) {
    assert_eq!(ground.state(&machine.id), "terminated");
    let evidence = ground.evidence();
    let mut volumes: Vec<_> = evidence.iter().map(|it| it.volume.clone()).collect();
    volumes.sort();
    let mut expected = machine.volumes.clone();
    expected.sort();
    assert_eq!(volumes, expected);
    let mails = ground.mail.mails();
    assert_eq!(mails.len(), 1, "{mails:#?}");
}

#[test]
fn of_deliveries_at_the_same_moment_one_acts() {
    let ground = Ground::new();
    let machine = ground.node(&["alice"]);
    let finding = mining(&ground.account.id, "one", &machine.id);
    let one = ground.save("one.json", &finding);
    let other = ground.save("other.json", &event(&finding));
    let runs: Vec<_> = [&one, &other, &one]
        .iter()
        .map(|path| ground.start(&["--finding", path]))
        .collect();
    let ends: Vec<_> = runs.into_iter().map(crate::ground::Running::end).collect();
    for ran in &ends {
        // 1: done, or done before; 2: another run is at it.
        let busy = ran.out.contains("another run works on it");
        assert_eq!(ran.code, if busy { 2 } else { 1 }, "{ran:#?}");
    }
    assert!(ends.iter().any(|ran| ran.code == 1), "{ends:#?}");
    has_the_effect_of_one(&ground, &machine);
    assert_eq!(ground.did("ec2", "CreateSnapshots"), 1);
    assert_eq!(ground.did("ec2", "TerminateInstances"), 1);
    assert_eq!(ground.portal.hooks().len(), 1);
}

/// Ends a run after a call, then delivers again.
fn killed_after(action: &str) {
    let ground = Ground::new();
    let machine = ground.node(&["alice"]);
    let finding = ground.save("f.json", &mining(&ground.account.id, "one", &machine.id));
    ground.kill_at(&["--finding", &finding], action);
    ground.respond_when_free(&finding).ended(1);
    has_the_effect_of_one(&ground, &machine);
    assert!(ground.did("ec2", "CreateSnapshots") <= 1);
}

#[test]
fn a_dead_run_holds_its_incident_for_a_time_that_is_said() {
    let mut ground = Ground::new();
    ground.set("respond.lease_seconds=60");
    let machine = ground.node(&["alice"]);
    let finding = ground.save("f.json", &mining(&ground.account.id, "one", &machine.id));
    ground.kill_at(&["--finding", &finding], "CreateSnapshots");
    let ran = ground.davy(&["resume"]).ended(2);
    ran.says(&[
        "1 incident is held by other runs, until",
        "davy respond resume again",
    ]);
}

#[test]
fn killed_while_it_asks() {
    killed_after("DescribeInstances");
}

#[test]
fn killed_after_evidence_was_begun() {
    killed_after("CreateSnapshots");
}

#[test]
fn killed_after_volumes_were_kept() {
    killed_after("ModifyInstanceAttribute");
}

#[test]
fn killed_after_the_network_was_cut() {
    killed_after("ModifyNetworkInterfaceAttribute");
}

#[test]
fn killed_after_the_end_of_the_machine() {
    killed_after("TerminateInstances");
}

#[test]
fn killed_after_the_portal_was_called() {
    let ground = Ground::new();
    let machine = ground.node(&["alice"]);
    let finding = ground.save("f.json", &mining(&ground.account.id, "one", &machine.id));
    let run = ground.start(&["--finding", &finding]);
    until("the portal is called", || !ground.portal.hooks().is_empty());
    run.kill();
    ground.respond_when_free(&finding).ended(1);
    has_the_effect_of_one(&ground, &machine);
    // Whether the first call was heard cannot be asked for; each says the same.
    let mut said = ground.shut_out();
    said.dedup();
    assert_eq!(said, [r#"{"claimname":"claim-alice"}"#]);
}

#[test]
fn a_volume_is_not_snapshotted_again_within_a_quarter_of_an_hour() {
    let ground = Ground::new();
    // Two users: the machine stays, so that a second incident finds it.
    let machine = ground.node(&["alice", "bob"]);
    let one = ground.save("1.json", &mining(&ground.account.id, "one", &machine.id));
    ground.davy(&["--finding", &one]).ended(1);
    assert_eq!(ground.evidence().len(), 3);
    // A journal that knows nothing: only the account's own tags tell.
    std::fs::remove_file(ground.path("respond.db")).expect("the journal");
    for more in ["respond.db-wal", "respond.db-shm"] {
        let _ = std::fs::remove_file(ground.path(more));
    }
    let other = mining(&ground.account.id, "two", &machine.id);
    let other = ground.save("2.json", &other);
    let ran = ground.davy(&["--finding", &other]);
    ran.ended(1).says(&["its evidence snapshot"]);
    assert_eq!(ground.evidence().len(), 3);
    assert_eq!(ground.did("ec2", "CreateSnapshots"), 1);
}
