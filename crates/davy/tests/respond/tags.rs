//! The journal in nothing but the account's tags: every command is a process of its own, and no
//! file of one is there for the next.

use serde_json::json;

use crate::finding::mining;
use crate::ground::Ground;

fn ground() -> Ground {
    let mut ground = Ground::new();
    ground.set("respond.journal.store=\"tags\"");
    // Nothing could be written here.
    ground.set("respond.journal.path=\"/proc/no-journal\"");
    ground
}

#[test]
fn tags_tell_the_next_process_what_was_done() {
    let ground = ground();
    let machine = ground.node(&["alice"]);
    let finding = ground.save("f.json", &mining(&ground.account.id, "one", &machine.id));
    ground.davy(&["--finding", &finding]).ended(1);
    assert_eq!(ground.state(&machine.id), "terminated");
    // Delivered again, and when nothing is due, nothing is done.
    ground.davy(&["--finding", &finding]).ended(1);
    ground.davy(&["resume"]);
    for (action, times) in [("CreateSnapshots", 1), ("TerminateInstances", 1)] {
        assert_eq!(ground.did("ec2", action), times, "{action}");
    }
    assert_eq!(ground.portal.hooks().len(), 1);
    assert_eq!(ground.mail.mails().len(), 1);
    let listed = ground.davy(&["status", "--output", "json"]).json();
    let incident = listed[0]["incident"].as_str().expect("an incident");
    assert_eq!(listed.as_array().map(Vec::len), Some(1));
    ground
        .davy(&["status", incident])
        .says(&["terminate-instance", &machine.id]);
    assert!(!std::path::Path::new(&ground.path("respond.db")).exists());
    // What it takes: an incident's carrier, perhaps another page, and its notices'.
    let carriers = ground.ec2("DescribeLaunchTemplates", &[]);
    let count = carriers.matches("<launchTemplateName>davylamp-").count();
    assert!((2..=3).contains(&count), "{carriers}");
}

#[test]
fn tags_let_another_process_take_back_what_was_done() {
    let ground = ground();
    let machine = ground.node(&["alice", "bob"]);
    let groups = ground.groups(&machine.interface);
    let finding = ground.save("f.json", &mining(&ground.account.id, "one", &machine.id));
    ground.davy(&["--finding", &finding]).ended(1);
    let node = format!("node-{}", machine.id);
    let cordoned = || {
        let node = ground.cluster.get("nodes", "", &node).expect("the node");
        node["spec"]["unschedulable"] == json!(true)
    };
    assert!(cordoned());
    let listed = ground.davy(&["status", "--output", "json"]).json();
    let incident = listed[0]["incident"].as_str().expect("an incident");
    ground
        .davy(&["undo", incident, "--by", "carol"])
        .says(&["taken back cordon-node"]);
    assert!(!cordoned());
    assert_eq!(ground.groups(&machine.interface), groups);
    ground.davy(&["--finding", &finding]);
    assert!(!cordoned());
}

#[test]
fn tags_let_the_next_run_go_on_where_a_dead_one_was() {
    let ground = ground();
    let machine = ground.node(&["alice"]);
    let finding = ground.save("f.json", &mining(&ground.account.id, "one", &machine.id));
    ground.kill_at(&["--finding", &finding], "CreateSnapshots");
    ground.respond_when_free(&finding).ended(1);
    assert_eq!(ground.state(&machine.id), "terminated");
    assert_eq!(ground.did("ec2", "CreateSnapshots"), 1);
    assert_eq!(ground.mail.mails().len(), 1);
}
