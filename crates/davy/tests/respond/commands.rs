//! The command itself: what it prints, its exit codes, its mistakes.

use std::io::Write as _;

use davylamp_testkit::webhook::WebhookSink;
use serde_json::json;

use crate::finding::{event, mining};
use crate::ground::{Ground, REGION};
use crate::machine::first;

#[test]
fn a_report_is_one_json_object_with_every_step() {
    let ground = Ground::new();
    let machine = ground.node(&["alice"]);
    let finding = ground.save("f.json", &mining(&ground.account.id, "one", &machine.id));
    let ran = ground.davy(&["--finding", &finding, "--output", "json"]);
    let report = ran.ended(1).json();
    let incident = &report["incidents"][0];
    assert_eq!(incident["came-of-it"]["result"], "worked", "{report:#}");
    assert_eq!(report["rehearsal"], false);
    let id = incident["incident"].as_str().expect("an incident");
    let status = ground.davy(&["status", id, "--output", "json"]).json();
    assert_eq!(status["plan-hash"], incident["plan-hash"]);
    let planned = status["plan"]["steps"].as_array().expect("steps").len();
    assert_eq!(status["steps"].as_object().expect("states").len(), planned);
    assert_eq!(status["finished"], true);
    let listed = ground.davy(&["status", "--output", "json"]).ended(0).json();
    assert_eq!(listed[0]["standing"], "finished");
}

#[test]
fn findings_are_read_from_standard_input_also_compressed() {
    let ground = Ground::new();
    let machine = ground.node(&["alice"]);
    let text = event(&mining(&ground.account.id, "one", &machine.id)).to_string();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).expect("it compresses");
    let zipped = encoder.finish().expect("it compresses");
    for bytes in [text.as_bytes(), &zipped] {
        let ran = ground.davy_reading(&["plan", "--finding", "-"], bytes);
        ran.ended(1).says(&["playbook hub-miner", &machine.id]);
    }
}

#[test]
fn mistakes_end_with_two_and_a_next_step() {
    let ground = Ground::new();
    for args in [
        // Before anything was responded to: a mistyped path must not look like a clean account.
        vec!["status"],
        vec!["resume"],
        vec!["--finding", "/nowhere/finding.json"],
        vec!["status", "inc-0123456789abcdef"],
        vec!["undo", "inc-0123456789abcdef"],
        vec!["approve", "inc-0123456789abcdef"],
        vec!["approve", "obs-0123456789abcdef"],
        vec!["approve", "inc-0123456789abcdef", "--dry-run"],
        vec!["undo", "inc-0123456789abcdef", "--playbook", "hub-miner"],
        vec!["--once", "resume"],
        vec!["status", "nonsense"],
        vec!["status", "--limit", "0"],
        vec!["--queue", "https://example.org/queue"],
        vec!["--finding", "-", "--playbook", "no-such-playbook"],
        vec![
            "--finding",
            "-",
            "--set",
            "respond.hub.token=a-secret-in-the-clear",
        ],
    ] {
        let ran = ground.davy(&args).ended(2);
        assert!(!ran.err.is_empty(), "{args:?}: {ran:#?}");
    }
    // None of them has made one.
    ground.davy(&["resume"]).says(&["there is no journal"]);
}

#[test]
fn nothing_in_nothing_out() {
    let ground = Ground::new();
    ground.davy_reading(&["--finding", "-"], b"[]").ended(0);
    ground.davy(&["resume"]).ended(0);
    ground.davy(&["status"]).ended(0).says(&["no incidents"]);
}

#[test]
fn the_shipped_playbooks_pass_their_cases() {
    let ground = Ground::new();
    let ran = ground.davy(&["playbooks"]).ended(0);
    ran.says(&[
        "hub-miner",
        "node-miner",
        "pod-miner",
        "account-lockdown",
        "report-only",
    ]);
    let broken = ground.write("broken.toml", "name = \"broken\"\nstepz = 1\n");
    ground
        .davy(&["playbooks", &broken])
        .ended(2)
        .says(&["broken.toml", "stepz"]);
}

#[test]
fn playbooks_are_listed_as_json_with_the_results_of_their_cases() {
    let ground = Ground::new();
    let listed = ground.davy(&["playbooks", "--output", "json"]).ended(0);
    let listed = listed.json();
    let playbooks = listed["playbooks"].as_array().expect("playbooks");
    let miner = playbooks.iter().find(|it| it["name"] == "hub-miner");
    let miner = miner.expect("one that ships");
    assert!(miner["title"].is_string(), "{miner:#}");
    assert_eq!(miner["file"], "content/playbooks/hub-miner.toml");
    assert_eq!(miner["warnings"], json!([]));
    let cases = miner["cases"].as_array().expect("cases");
    assert!(!cases.is_empty());
    for case in cases {
        assert_eq!(case["result"], "pass", "{case:#}");
        assert!(case["name"].is_string(), "{case:#}");
    }
    // One that does not do what its cases say.
    let shipped = "../../content/playbooks/hub-miner.toml";
    let shipped = std::fs::read_to_string(shipped).expect("the shipped playbook");
    let volumes = "await-evidence:volumes/vol-00000001,vol-00000002";
    let broken = shipped.replacen(volumes, "await-evidence:volumes/vol-00000001", 1);
    assert_ne!(broken, shipped);
    let broken = ground.write("broken.toml", &broken);
    let ran = ground.davy(&["playbooks", &broken, "--output", "json"]);
    let listed = ran.ended(1).json();
    let failing: Vec<&str> = listed["playbooks"]
        .as_array()
        .expect("playbooks")
        .iter()
        .filter(|it| it["cases"].to_string().contains("\"fail\""))
        .filter_map(|it| it["file"].as_str())
        .collect();
    assert!(failing.contains(&broken.as_str()), "{failing:?}");
}

#[test]
fn undo_says_what_stays_and_status_that_it_was_taken_back() {
    let ground = Ground::new();
    // Two users: the machine stays, so that all that was done can be taken back.
    let machine = ground.node(&["alice", "bob"]);
    let finding = ground.save("f.json", &mining(&ground.account.id, "one", &machine.id));
    ground.davy(&["--finding", &finding]).ended(1);
    let listed = ground.davy(&["status", "--output", "json"]).json();
    let incident = listed[0]["incident"].as_str().expect("an incident");
    let mut kept = Vec::new();
    for time in ["first", "second"] {
        let ran = ground.davy(&["undo", incident, "--by", "carol", "--output", "json"]);
        let undone = ran.ended(0).json();
        let is_evidence = |step: &str| step.starts_with("snapshot-instance");
        let taken_back = undone["undone"].to_string();
        assert!(!taken_back.contains("snapshot-instance"), "{undone:#}");
        assert!(!taken_back.contains("await-evidence"), "{undone:#}");
        let stays = undone["kept"].as_array().expect("what stays");
        let evidence = stays
            .iter()
            .find(|it| it["step"].as_str().is_some_and(is_evidence));
        let evidence = evidence.unwrap_or_else(|| panic!("{time}: {undone:#}"));
        assert_eq!(evidence["why"], "evidence is never deleted");
        kept.push(undone["kept"].clone());
    }
    assert_eq!(kept[0], kept[1]);
    let ran = ground.davy(&["undo", incident]).ended(0);
    ran.says(&[
        "stays      snapshot-instance",
        "evidence is never deleted",
        "nothing to take back",
    ]);
    assert_eq!(ground.evidence().len(), 3);

    let listed = ground.davy(&["status", "--output", "json"]).ended(0).json();
    assert_eq!(listed[0]["standing"], "taken back");
    let one = ground.davy(&["status", incident, "--output", "json"]);
    assert_eq!(one.ended(0).json()["standing"], "taken back");
    for args in [vec!["status"], vec!["status", incident]] {
        ground.davy(&args).ended(0).says(&["taken back"]);
    }
    let said = format!("{incident} taken back by carol");
    ground.davy(&["status", incident]).says(&[&said]);
}

#[test]
fn a_dry_run_of_every_verb_says_what_it_would_do_and_changes_nothing() {
    let ground = Ground::new();
    let machine = ground.node(&["alice", "bob"]);
    let finding = ground.save("f.json", &mining(&ground.account.id, "one", &machine.id));
    ground.davy(&["--finding", &finding]).ended(1);
    let listed = ground.davy(&["status", "--output", "json"]).json();
    let incident = listed[0]["incident"].as_str().expect("an incident");
    let playbook = listed[0]["playbook"].as_str().expect("a playbook");
    let entries = || {
        ground
            .davy(&["status", incident, "--output", "json"])
            .json()["entries"]
            .clone()
    };
    let before = entries();
    let step = format!("unprotect-instance:instance/{}", machine.id);
    ground
        .davy(&["approve", incident, "--dry-run"])
        .ended(1)
        .says(&["this is a dry run", &step]);
    let named = [
        "approve",
        incident,
        "--step",
        &step,
        "--dry-run",
        "--output",
        "json",
    ];
    let approving = ground.davy(&named).ended(1).json();
    assert_eq!(approving["would-approve"], json!([step]));
    // A plan is of no incident that anybody could say yes to.
    let plan = ground.davy(&["plan", "--finding", &finding]);
    assert!(!plan.out.contains("respond approve"), "{}", plan.out);
    ground
        .davy(&["status", incident])
        .says(&[&format!("davy respond approve {incident}")]);
    let due = ground.davy(&["resume", "--dry-run", "--output", "json"]);
    assert_eq!(due.json()["dry-run"], true);
    for args in [
        ["undo", incident, "--dry-run"],
        ["status", incident, "--dry-run"],
    ] {
        ground.davy(&args);
    }
    assert_eq!(entries(), before);
    assert_eq!(ground.state(&machine.id), "running");
    ground
        .davy(&["status", "--playbook", playbook])
        .says(&[incident]);
    let other = ground.davy(&["status", "--playbook", "pod-miner"]);
    other.ended(0).says(&["no incidents"]);
    let mistyped = ground.davy(&["status", "--playbook", "no-such-one"]);
    mistyped
        .ended(2)
        .says(&["no playbook no-such-one", "pod-miner"]);
}

#[test]
fn undo_takes_back_what_can_be_and_names_what_cannot() {
    let ground = Ground::new();
    let machine = ground.node(&["alice", "bob"]);
    let groups = ground.groups(&machine.interface);
    let finding = ground.save("f.json", &mining(&ground.account.id, "one", &machine.id));
    ground.davy(&["--finding", &finding]).ended(1);
    let node = format!("node-{}", machine.id);
    let cordoned = |ground: &Ground| {
        let node = ground.cluster.get("nodes", "", &node).expect("the node");
        node["spec"]["unschedulable"] == json!(true)
    };
    assert!(cordoned(&ground));
    let listed = ground.davy(&["status", "--output", "json"]).json();
    let incident = listed[0]["incident"].as_str().expect("an incident");
    ground
        .davy(&["undo", incident, "--by", "carol"])
        .says(&["taken back cordon-node"]);
    assert!(!cordoned(&ground));
    assert_eq!(ground.groups(&machine.interface), groups);
    // The evidence stays, and what was taken back is not done again.
    assert_eq!(ground.evidence().len(), 3);
    ground.davy(&["--finding", &finding]);
    assert!(!cordoned(&ground));
}

#[test]
fn notices_go_to_sns_and_a_webhook_as_well() {
    let mut ground = Ground::new();
    let hook = WebhookSink::start([]);
    let address = hook.url("/hook");
    let source = ground.write("hook", &address);
    ground.set(&format!("respond.notices.webhook=file:{source}"));
    let made = ground.account.query(
        REGION,
        "sns",
        &[
            ("Action", "CreateTopic"),
            ("Version", "2010-03-31"),
            ("Name", "alarms"),
        ],
    );
    let topic = first(&made.expect("a topic"), "TopicArn");
    ground.set(&format!("respond.notices.sns_topic={topic}"));
    let machine = ground.node(&["alice"]);
    let finding = ground.save("f.json", &mining(&ground.account.id, "one", &machine.id));
    for _ in 0..2 {
        ground.davy(&["--finding", &finding]).ended(1);
    }
    assert_eq!(ground.did("sns", "Publish"), 1);
    let hooks = hook.hooks();
    assert_eq!(hooks.len(), 1);
    assert!(String::from_utf8_lossy(&hooks[0].body).contains(&machine.id));
    assert_eq!(ground.mail.mails().len(), 1);
}

#[test]
fn what_installs_it_is_printed_and_its_policy_deletes_no_evidence() {
    let run = |args: &[&str]| {
        let ran = std::process::Command::new(env!("CARGO_BIN_EXE_davy"))
            .args(["deploy", "aws"])
            .args(args)
            .output()
            .expect("davy starts");
        assert!(ran.status.success(), "{ran:?}");
        String::from_utf8(ran.stdout).expect("text")
    };
    let template = run(&[]);
    for part in ["AWS::Lambda::Function", "AWS::Events::Rule", "DeadLetter"] {
        assert!(template.contains(part), "no {part} in {template}");
    }
    let policy: serde_json::Value =
        serde_json::from_str(&run(&["--what", "policy"])).expect("the policy is JSON");
    let text = policy.to_string();
    assert!(text.contains("ec2:CreateSnapshots"), "{text}");
    for never in ["ec2:DeleteSnapshot", "\"*:*\"", "\"Action\":\"*\""] {
        let allowed = policy["Statement"]
            .as_array()
            .expect("statements")
            .iter()
            .filter(|it| it["Effect"] == "Allow")
            .any(|it| it.to_string().contains(never));
        assert!(!allowed, "{never} in {text}");
    }
}
