//! Whatever fails: the effect or a notice, never silence.

use davylamp_testkit::faults::{Fault, Rule, Schedule};
use davylamp_testkit::mail::MailFault;

use crate::finding::mining;
use crate::ground::Ground;

fn rule(action: &str, fault: Fault) -> Schedule {
    Schedule::rules([Rule::new("ec2", action, fault)])
}

fn snapshot_rate() -> Fault {
    Fault::Error {
        status: 400,
        code: "SnapshotCreationPerVolumeRateExceeded".to_owned(),
        message: "The maximum per volume CreateSnapshot request rate has been exceeded".to_owned(),
    }
}

#[test]
fn a_throttled_describe_instances_is_repeated_or_told() {
    let ground = Ground::new();
    let machine = ground.node(&["alice"]);
    let finding = ground.save("f.json", &mining(&ground.account.id, "one", &machine.id));

    ground
        .proxy
        .set_schedule(rule("DescribeInstances", Fault::Throttle));
    let ran = ground.davy(&["--finding", &finding]);
    ran.ended(2).says(&[&machine.id]);
    assert_eq!(ground.state(&machine.id), "running");
    let told = ground.mail.mails();
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(told[0].text.contains(&machine.id), "{}", told[0].text);

    // When AWS answers again the same delivery does the whole work.
    ground.proxy.set_schedule(Schedule::clean());
    ground.davy(&["--finding", &finding]).ended(1);
    assert_eq!(ground.state(&machine.id), "terminated");
}

#[test]
fn a_snapshot_rate_error_keeps_the_machine_cuts_its_network_and_is_told() {
    let ground = Ground::new();
    let machine = ground.node(&["alice"]);
    let finding = ground.save("f.json", &mining(&ground.account.id, "one", &machine.id));
    ground
        .proxy
        .set_schedule(rule("CreateSnapshot*", snapshot_rate()));
    let before = ground.groups(&machine.interface);
    let ran = ground.davy(&["--finding", &finding]).ended(2);
    ran.says(&["SnapshotCreationPerVolumeRateExceeded", "failed"]);
    assert_eq!(ground.state(&machine.id), "running");
    assert_ne!(ground.groups(&machine.interface), before);
    assert_eq!(ground.shut_out().len(), 1);
    let told = ground.mail.mails();
    assert_eq!(told.len(), 1);
    assert!(
        told[0]
            .text
            .contains("SnapshotCreationPerVolumeRateExceeded")
    );

    ground.proxy.set_schedule(Schedule::clean());
    ground.davy(&["--finding", &finding]).ended(1);
    assert_eq!(ground.state(&machine.id), "terminated");
    assert_eq!(ground.evidence().len(), 2);
}

#[test]
fn a_rate_error_that_passes_is_repeated_within_the_run() {
    let ground = Ground::new();
    let machine = ground.node(&["alice"]);
    let finding = ground.save("f.json", &mining(&ground.account.id, "one", &machine.id));
    ground.proxy.set_schedule(Schedule::rules([
        Rule::new("ec2", "CreateSnapshots", snapshot_rate()).times(1),
        Rule::new("ec2", "DescribeInstances", Fault::Throttle).times(2),
    ]));
    ground.davy(&["--finding", &finding]).ended(1);
    assert_eq!(ground.state(&machine.id), "terminated");
    assert_eq!(ground.evidence().len(), 2);
}

#[test]
fn termination_protection_keeps_no_miner_running() {
    let ground = Ground::new();
    let machine = ground.node(&["alice"]);
    ground.set_termination_protection(&machine.id);
    let finding = ground.save("f.json", &mining(&ground.account.id, "one", &machine.id));
    let before = ground.groups(&machine.interface);
    ground.davy(&["--finding", &finding]).ended(1);
    assert_eq!(ground.state(&machine.id), "terminated");
    assert_eq!(ground.shut_out(), [r#"{"claimname":"claim-alice"}"#]);
    assert!(
        ground.did("ec2", "ModifyNetworkInterfaceAttribute") > 0,
        "{before:?}"
    );
}

#[test]
fn a_machine_that_may_not_be_ended_is_cut_off_and_its_user_shut_out() {
    let ground = Ground::new();
    let machine = ground.node(&["alice"]);
    ground.set_termination_protection(&machine.id);
    let denied = Fault::Error {
        status: 400,
        code: "OperationNotPermitted".to_owned(),
        message: "it may not be terminated".to_owned(),
    };
    ground
        .proxy
        .set_schedule(rule("TerminateInstances", denied));
    let before = ground.groups(&machine.interface);
    let finding = ground.save("f.json", &mining(&ground.account.id, "one", &machine.id));
    let ran = ground.davy(&["--finding", &finding]).ended(2);
    ran.says(&["failed", "OperationNotPermitted"]);
    assert_eq!(ground.state(&machine.id), "running");
    assert_ne!(ground.groups(&machine.interface), before);
    assert_eq!(ground.shut_out().len(), 1);
    let told = ground.mail.mails();
    assert!(
        told[0].text.contains("OperationNotPermitted"),
        "{}",
        told[0].text
    );
}

#[test]
fn evidence_that_ends_in_an_error_keeps_volume_and_machine() {
    let ground = Ground::new();
    let machine = ground.node(&["alice"]);
    ground
        .proxy
        .set_schedule(Schedule::rules([Rule::snapshots_error()]));
    let finding = ground.save("f.json", &mining(&ground.account.id, "one", &machine.id));
    let ran = ground.davy(&["--finding", &finding]).ended(2);
    ran.says(&["await-evidence", "terminate-instance"]);
    assert_eq!(ground.state(&machine.id), "running");
    assert_eq!(ground.proxy.calls_of("ec2", "TerminateInstances").len(), 0);
    assert!(ground.mail.mails()[0].text.contains("await-evidence"));
}

#[test]
fn evidence_that_takes_hours_is_waited_for_by_the_next_run() {
    let ground = Ground::new();
    let machine = ground.node(&["alice"]);
    ground
        .proxy
        .set_schedule(Schedule::rules([Rule::snapshots_pending()]));
    let finding = ground.save("f.json", &mining(&ground.account.id, "one", &machine.id));
    let before = ground.groups(&machine.interface);
    ground
        .davy(&["--finding", &finding])
        .ended(1)
        .says(&["waits", "due again at"]);
    assert_eq!(ground.state(&machine.id), "running");
    assert_ne!(
        ground.groups(&machine.interface),
        before,
        "the network is cut meanwhile"
    );
    assert_eq!(ground.did("ec2", "CreateSnapshots"), 1);

    // It is not due yet, but a delivery that comes again goes on with it.
    ground.proxy.set_schedule(Schedule::clean());
    ground.davy(&["--finding", &finding]).ended(1);
    assert_eq!(ground.state(&machine.id), "terminated");
    assert_eq!(ground.did("ec2", "CreateSnapshots"), 1);
    assert_eq!(ground.evidence().len(), 2);
    assert_eq!(ground.portal.hooks().len(), 1);
}

#[test]
fn a_mail_that_fails_re_runs_nothing_and_goes_out_once() {
    let refusals = vec![MailFault::Reject(451, "later".to_owned()); 12];
    let ground = Ground::with_mail_faults(refusals);
    let machine = ground.node(&["alice"]);
    let finding = ground.save("f.json", &mining(&ground.account.id, "one", &machine.id));
    ground
        .davy(&["--finding", &finding])
        .ended(2)
        .says(&["not told", "smtp"]);
    assert_eq!(ground.state(&machine.id), "terminated");
    assert!(ground.mail.mails().is_empty());

    ground.proxy.clear_calls();
    crate::ground::until("the mail server takes mail again", || {
        ground.davy(&["--finding", &finding]);
        !ground.mail.mails().is_empty()
    });
    ground.davy(&["--finding", &finding]).ended(1);
    assert_eq!(ground.mail.mails().len(), 1);
    let writes = ground.writes();
    assert!(writes.is_empty(), "{writes:?}");
    assert_eq!(ground.portal.hooks().len(), 1);
    assert_eq!(ground.evidence().len(), 2);
}

#[test]
fn a_dry_run_of_the_configuration_is_told_and_nothing_is_done() {
    let ground = Ground::new();
    let machine = ground.node(&["alice"]);
    let finding = ground.save("f.json", &mining(&ground.account.id, "one", &machine.id));
    let rehearsal = ["--finding", &finding, "--set", "respond.dry_run=true"];
    for _ in 0..2 {
        ground.davy(&rehearsal).ended(1).says(&["dry run"]);
        let writes = ground.writes();
        assert!(writes.is_empty(), "{writes:?}");
        assert_eq!(ground.cluster_writes(), 0);
        assert!(ground.portal.hooks().is_empty());
    }
    assert_eq!(ground.mail.mails().len(), 1);
    // What was only looked at is not taken for done when it is meant.
    assert_eq!(ground.state(&machine.id), "running");
    ground.davy(&["--finding", &finding]).ended(1);
    assert_eq!(ground.state(&machine.id), "terminated");
    // What was only observed keeps nobody's attention.
    ground.davy(&["status"]).ended(0).says(&["observed"]);
}

#[test]
fn a_portal_that_fails_holds_up_nothing_and_is_told() {
    let mut ground = Ground::new();
    ground.set("respond.portal.url=http://127.0.0.1:1/deauthorize");
    let machine = ground.node(&["alice"]);
    let finding = ground.save("f.json", &mining(&ground.account.id, "one", &machine.id));
    ground
        .davy(&["--finding", &finding])
        .ended(2)
        .says(&["deauthorise-portal-user"]);
    assert_eq!(ground.state(&machine.id), "terminated");
    assert!(
        ground.mail.mails()[0]
            .text
            .contains("deauthorise-portal-user")
    );
}

#[test]
fn a_journal_that_cannot_be_opened_is_told_and_nothing_is_done() {
    let mut ground = Ground::new();
    ground.set("respond.journal.path=\"/proc/no-journal\"");
    let machine = ground.node(&["alice"]);
    let finding = ground.save("f.json", &mining(&ground.account.id, "one", &machine.id));
    let ran = ground.davy(&["--finding", &finding]).ended(2);
    ran.says(&["the journal cannot be opened", "[respond.journal]"]);
    assert_eq!(ground.state(&machine.id), "running");
    let told = ground.mail.mails();
    assert_eq!(told.len(), 1, "{told:#?}");
    for part in ["the journal cannot be opened", "answers no finding"] {
        assert!(told[0].text.contains(part), "{}", told[0].text);
    }
    // Who only looks tells nobody.
    ground.davy(&["status"]).ended(2);
    ground.davy(&["plan", "--finding", &finding]);
    assert_eq!(ground.mail.mails().len(), 1);
}

/// A step that was refused is tried again when a person says that it may work by now.
#[test]
fn a_refused_snapshot_is_taken_once_it_is_allowed() {
    let ground = Ground::new();
    let machine = ground.node(&["alice"]);
    let finding = ground.save("f.json", &mining(&ground.account.id, "one", &machine.id));
    let denied = Fault::Error {
        status: 403,
        code: "UnauthorizedOperation".to_owned(),
        message: "You are not authorized to perform this operation.".to_owned(),
    };
    ground.proxy.set_schedule(rule("CreateSnapshot*", denied));
    let ran = ground.davy(&["--finding", &finding]).ended(2);
    let again = ran.says(&["davy respond resume inc-"]);
    let incident = again
        .out
        .split_whitespace()
        .next()
        .expect("a name")
        .to_owned();
    assert!(
        ground.mail.mails()[0]
            .text
            .contains(&format!("resume {incident}"))
    );

    ground.proxy.set_schedule(Schedule::clean());
    ground.davy(&["resume"]).ended(2).says(&[&incident]);
    assert_eq!(ground.evidence().len(), 0);
    ground.davy(&["resume", &incident, "--by", "ann"]).ended(1);
    assert_eq!(ground.evidence().len(), 2);
    assert_eq!(ground.state(&machine.id), "terminated");
    ground.davy(&["resume"]).ended(0);
}
