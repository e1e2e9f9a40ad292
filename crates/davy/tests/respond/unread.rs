//! What could not be read is unknown: never clean, never dealt with.

use davylamp_testkit::faults::{Fault, Rule, Schedule};
use davylamp_testkit::guardduty::GuardDuty;

use crate::finding::mining;
use crate::ground::{Ground, REGION};

fn denied(action: &str) -> Schedule {
    let fault = Fault::Error {
        status: 403,
        code: "UnauthorizedOperation".to_owned(),
        message: "you may not".to_owned(),
    };
    Schedule::rules([Rule::new("ec2", action, fault)])
}

#[test]
fn a_machine_that_may_not_be_read_is_not_dealt_with() {
    let ground = Ground::new();
    let machine = ground.node(&["alice"]);
    let finding = ground.save("f.json", &mining(&ground.account.id, "one", &machine.id));
    ground.proxy.set_schedule(denied("DescribeInstances"));
    let planned = ground.davy(&["plan", "--finding", &finding]);
    planned
        .ended(2)
        .says(&["nothing of it could be read", "ec2:DescribeInstances"]);
    let ran = ground.davy(&["plan", "--finding", &finding, "--output", "json"]);
    let report = ran.ended(2).json();
    let blind = &report["incidents"][0]["plan"]["blind"];
    assert!(blind.is_string(), "{report:#}");
    ground
        .davy(&["--finding", &finding])
        .ended(2)
        .says(&["nothing of it could be read"]);
    let listed = ground.davy(&["status", "--output", "json"]).ended(2).json();
    assert_eq!(listed[0]["standing"], "failing");

    // A part that could not be read is said, and the plan is one.
    ground.proxy.set_schedule(denied("DescribeSnapshots"));
    let planned = ground.davy(&["plan", "--finding", &finding]).ended(1);
    planned.says(&["could not be read", "ec2:DescribeSnapshots"]);
}

#[test]
fn an_endpoint_that_is_down_says_nothing_of_credentials() {
    let mut ground = Ground::new();
    let machine = ground.node(&["alice"]);
    let finding = ground.save("f.json", &mining(&ground.account.id, "one", &machine.id));
    let guardduty = GuardDuty::start(&ground.account.endpoint);
    guardduty.detector(REGION);
    ground.set("respond.retry_seconds=1");
    // Nothing listens on this port.
    let down = ["--endpoint-url", "http://127.0.0.1:1"];
    for args in [
        vec!["plan", "--finding", &finding],
        vec!["--finding", &finding],
        vec!["--poll", "guardduty", "--once"],
        vec!["--queue", "sqs:http://127.0.0.1:1/1/findings", "--once"],
    ] {
        let args = [args, down.to_vec()].concat();
        let ran = ground.davy(&args).ended(2);
        let ran = ran.says(&["cannot be reached", "127.0.0.1:1"]);
        let said = format!("{}{}", ran.out, ran.err);
        assert!(!said.contains("does not accept our credentials"), "{said}");
    }
}

#[test]
fn what_is_not_set_up_is_told_from_what_is_refused() {
    let ground = Ground::new();
    let finding = |id: &str| {
        let machine = ground.node(&["alice"]);
        let finding = mining(&ground.account.id, id, &machine.id);
        ground.save(&format!("{id}.json"), &finding)
    };
    let keys = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
    let regions = ["AWS_REGION", "AWS_DEFAULT_REGION"];
    for (unset, said) in [
        (&keys, "there are no AWS credentials"),
        (&regions, "no AWS region is configured"),
    ] {
        for args in [
            vec!["--poll", "guardduty", "--once"],
            vec!["--finding", &finding(unset[0])],
        ] {
            let ran = ground.davy_without(unset, &args).ended(2).says(&[said]);
            let all = format!("{}{}", ran.out, ran.err);
            assert!(!all.contains("does not accept our credentials"), "{all}");
        }
    }
    // A journal in the account is somewhere, too.
    let mut ground = ground;
    ground.set("respond.journal.store=tags");
    let ran = ground.davy_without(&regions, &["status"]).ended(2);
    ran.says(&["no AWS region is configured"]);
}

#[test]
fn a_table_that_is_not_there_is_called_that() {
    let mut ground = Ground::new();
    ground.set("respond.journal.store=dynamodb");
    ground.set("respond.journal.table=no-such-table");
    let ran = ground.davy(&["status"]).ended(2);
    ran.says(&["there is no journal no-such-table", "davy deploy aws"]);
}
