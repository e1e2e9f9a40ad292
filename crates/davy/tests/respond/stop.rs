//! SIGINT and SIGTERM: the first ends the work in order, the second at once. And a person who waits
//! for several machines.

use std::time::Duration;

use davylamp_testkit::faults::{Fault, Rule, Schedule};
use rustix::process::Signal;

use crate::finding::{event, mining};
use crate::ground::{Ground, until};

const PATIENCE: Duration = Duration::from_secs(60);

/// A ground where a lease that is not let go of would hold up every test for ten minutes, and
/// evidence is waited for.
fn ground() -> Ground {
    let mut ground = Ground::new();
    ground.set("respond.lease_seconds=600");
    ground.set("respond.evidence_wait_minutes=60");
    ground
}

fn slow(action: &str, secs: u64) -> Schedule {
    let late = Fault::Latency(Duration::from_secs(secs));
    Schedule::rules([Rule::new("ec2", action, late)])
}

#[test]
fn a_run_that_waits_ends_at_a_signal_and_resume_goes_on_at_once() {
    for signal in [Signal::INT, Signal::TERM] {
        let ground = ground();
        let machine = ground.node(&["alice"]);
        let finding = ground.save("f.json", &mining(&ground.account.id, "one", &machine.id));
        ground
            .proxy
            .set_schedule(Schedule::rules([Rule::snapshots_pending()]));
        let run = ground.start(&["--finding", &finding]);
        let action = "ModifyNetworkInterfaceAttribute";
        assert!(ground.proxy.wait_for("ec2", action, 1, PATIENCE));
        run.signal(signal);
        let ran = run.end().ended(2);
        ran.says(&["stopping", "stopped before", "davy respond resume"]);
        assert_eq!(ground.state(&machine.id), "running");
        ground.davy(&["status"]).ended(1).says(&["under way"]);

        ground.proxy.set_schedule(Schedule::clean());
        let ran = ground.davy(&["resume"]).ended(1);
        ran.says(&["terminate-instance"]);
        assert_eq!(ground.state(&machine.id), "terminated");
        assert_eq!(ground.did("ec2", "CreateSnapshots"), 1);
        assert_eq!(ground.mail.mails().len(), 1);
    }
}

#[test]
fn what_was_begun_is_journaled_and_nothing_more_is_begun() {
    let ground = ground();
    let machine = ground.node(&["alice"]);
    let finding = ground.save("f.json", &mining(&ground.account.id, "one", &machine.id));
    ground.proxy.set_schedule(slow("CreateSnapshots", 3));
    let run = ground.start(&["--finding", &finding]);
    let action = "ModifyInstanceAttribute";
    assert!(ground.proxy.wait_for("ec2", action, 1, PATIENCE));
    run.signal(Signal::INT);
    run.end().ended(2);
    let action = "ModifyNetworkInterfaceAttribute";
    assert_eq!(ground.did("ec2", action), 0);
    let listed = ground.davy(&["status", "--output", "json"]).json();
    let incident = listed[0]["incident"].as_str().expect("an incident");
    let status = ground.davy(&["status", incident, "--output", "json"]);
    let steps = status.json()["steps"].to_string();
    assert!(!steps.contains("intended"), "{steps}");
    assert!(!steps.contains("failed"), "{steps}");

    ground.proxy.set_schedule(Schedule::clean());
    ground.davy(&["resume"]).ended(1);
    assert_eq!(ground.state(&machine.id), "terminated");
    assert_eq!(ground.did("ec2", "CreateSnapshots"), 1);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let ground = ground();
    let machine = ground.node(&["alice"]);
    let finding = ground.save("f.json", &mining(&ground.account.id, "one", &machine.id));
    ground.proxy.set_schedule(slow("CreateSnapshots", 45));
    let mut run = ground.start(&["--finding", &finding]);
    let action = "ModifyInstanceAttribute";
    assert!(ground.proxy.wait_for("ec2", action, 1, PATIENCE));
    until("the evidence is begun", || {
        let listed = ground.davy(&["status", "--output", "json"]).json();
        let incident = listed[0]["incident"].as_str().expect("an incident");
        let status = ground.davy(&["status", incident, "--output", "json"]);
        let steps = status.json()["steps"].clone();
        let step = format!("snapshot-instance:instance/{}", machine.id);
        steps[step]["state"] == "intended"
    });
    let begun = std::time::Instant::now();
    until("it has ended", || {
        if !run.has_ended() {
            run.signal(Signal::INT);
        }
        run.has_ended()
    });
    assert!(begun.elapsed() < Duration::from_secs(20));
    run.end().ended(2).says(&["stopping", "stopped at once"]);
}

#[test]
fn a_worker_that_is_stopped_leaves_neither_lease_nor_message_behind() {
    let ground = ground();
    let machine = ground.node(&["alice"]);
    let queue = ground.queue("findings", &[]);
    let body = event(&mining(&ground.account.id, "one", &machine.id)).to_string();
    ground.send(&queue, &body);
    ground.proxy.set_schedule(slow("CreateSnapshots", 3));
    let worker = ground.start(&["--queue", &format!("sqs:{queue}")]);
    let action = "ModifyInstanceAttribute";
    assert!(ground.proxy.wait_for("ec2", action, 1, PATIENCE));
    worker.signal(Signal::TERM);
    worker.end().ended(2).says(&["1 left in the queue"]);
    // It comes again, and by then another worker or a person may have gone on.
    assert_eq!(ground.messages(&queue), 1);
    ground.proxy.set_schedule(Schedule::clean());
    ground.davy(&["resume"]).ended(1);
    assert_eq!(ground.state(&machine.id), "terminated");
    assert_eq!(ground.did("ec2", "CreateSnapshots"), 1);
}

#[test]
fn several_machines_are_all_cut_off_first_and_then_seen_through() {
    let ground = ground();
    let machines = [ground.node(&["alice"]), ground.node(&["bob"])];
    let lines: Vec<String> = machines
        .iter()
        .map(|machine| mining(&ground.account.id, &machine.id, &machine.id).to_string())
        .collect();
    let findings = ground.write("findings.jsonl", &lines.join("\n"));
    ground
        .proxy
        .set_schedule(Schedule::rules([Rule::snapshots_pending().times(8)]));
    let ran = ground.davy(&["--finding", &findings, "--output", "json"]);
    let report = ran.ended(1).json();
    let incidents = report["incidents"].as_array().expect("incidents");
    assert_eq!(incidents.len(), 2, "{report:#}");
    for (incident, machine) in incidents.iter().zip(&machines) {
        let outcome = &incident["came-of-it"]["outcome"];
        assert_eq!(outcome["finished"], true, "{incident:#}");
        assert_eq!(ground.state(&machine.id), "terminated");
    }
    let calls = ground.proxy.calls();
    let at = |action: &str| -> Vec<usize> {
        let calls = calls.iter().enumerate();
        let those = calls.filter(|(_, call)| call.action == action);
        those.map(|(index, _)| index).collect()
    };
    let cut = at("ModifyNetworkInterfaceAttribute");
    let ended = at("TerminateInstances");
    assert!(cut.len() >= 2 && ended.len() == 2, "{cut:?} {ended:?}");
    assert!(cut.iter().all(|cut| *cut < ended[0]), "{cut:?} {ended:?}");
}

#[test]
fn a_run_that_waits_for_several_machines_ends_at_a_signal() {
    let ground = ground();
    let machines = [ground.node(&["alice"]), ground.node(&["bob"])];
    let lines: Vec<String> = machines
        .iter()
        .map(|machine| mining(&ground.account.id, &machine.id, &machine.id).to_string())
        .collect();
    let findings = ground.write("findings.jsonl", &lines.join("\n"));
    ground
        .proxy
        .set_schedule(Schedule::rules([Rule::snapshots_pending()]));
    let run = ground.start(&["--finding", &findings]);
    let action = "ModifyNetworkInterfaceAttribute";
    assert!(ground.proxy.wait_for("ec2", action, 2, PATIENCE));
    run.signal(Signal::INT);
    run.end().ended(2).says(&["davy respond resume"]);
    ground.proxy.set_schedule(Schedule::clean());
    ground.davy(&["resume"]).ended(1);
    for machine in &machines {
        assert_eq!(ground.state(&machine.id), "terminated");
    }
}
