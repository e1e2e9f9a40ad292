//! What is asked of a store: differences, states, the timeline; and one that was tampered with.

use std::fs;

use crate::ground::{Ground, ran, segments};

/// A store of two snapshots between which an intruder came.
fn story() -> (Ground, String) {
    let ground = Ground::new();
    ground.iam("CreateUser", &[("UserName", "alice")]);
    ground.snapshot().ended(0);
    let id = ground.run_instance();
    ground.iam("CreateUser", &[("UserName", "mallory")]);
    ground.iam("PutUserPolicy", &[
        ("UserName", "alice"),
        ("PolicyName", "all"),
        ("PolicyDocument", r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#),
    ]);
    ground.snapshot().ended(0);
    (ground, id)
}

#[test]
fn a_difference_names_what_came_and_which_members_changed() {
    let (ground, id) = story();
    ground
        .record(&["diff", "1", "2", "--kind", "instance", "--kind", "user"])
        .ended(1)
        .says(&["added", &id, "mallory", "changed", "UserPolicyList"]);
    let found = ground.record(&[
        "diff", "latest-1", "latest", "--id", "alice", "--output", "json",
    ]);
    let found = found.ended(1).json();
    assert_eq!(found["things"][0]["how"], "changed");
    assert_eq!(
        found["things"][0]["members"][0]["path"][0],
        "UserPolicyList"
    );
    ground.record(&["diff", "2", "2"]).ended(0);
    // Of two stores the last snapshots are compared.
    let store = ground.store();
    let store = store.to_str().unwrap();
    ground
        .record(&["diff", store, store])
        .ended(0)
        .says(&["nothing"]);
    ground
        .record(&["diff", "1", "7"])
        .ended(2)
        .says(&["there is no snapshot 7", "davy record list"]);
    ground
        .record(&["diff", "1", "tomorrow"])
        .ended(2)
        .says(&["is no snapshot", "latest-1"]);
}

#[test]
fn a_state_is_shown_at_a_time_and_things_have_a_timeline() {
    let (ground, id) = story();
    let list = ground
        .record(&["list", "--output", "jsonl"])
        .ended(0)
        .lines();
    let first = list[0]["taken_at"].as_str().unwrap();
    let users = ["show", "--at", first, "--kind", "user", "--output", "csv"];
    let shown = ground.record(&users).ended(0);
    assert!(
        shown.out.contains("alice") && !shown.out.contains("mallory"),
        "{shown:#?}"
    );
    ground
        .record(&["show", "--at", "2020-01-01", "--kind", "user"])
        .ended(2)
        .says(&["there is no snapshot at 2020-01-01T00:00:00Z or before"]);
    ground
        .record(&["show", "--id", &id])
        .ended(0)
        .says(&["c5.24xlarge", "running"]);
    let events = [
        "timeline", "--kind", "user", "--kind", "instance", "--output", "jsonl",
    ];
    let events = ground.record(&events).ended(0).lines();
    let what: Vec<(&str, &str)> = events
        .iter()
        .map(|event| {
            (
                event["what"].as_str().unwrap(),
                event["id"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        what,
        [
            ("first-seen", "alice"),
            ("appeared", &id),
            ("changed", "alice"),
            ("appeared", "mallory"),
        ]
    );
    assert_eq!(events[2]["after"], list[0]["taken_at"]);
    assert_eq!(events[2]["by"], list[1]["taken_at"]);
}

#[test]
fn the_hunt_reads_a_store_as_it_lies() {
    let (ground, _) = story();
    let store = ground.store();
    let query =
        "SELECT id, count(*) AS n FROM recorder WHERE kind = 'user' GROUP BY id ORDER BY id";
    let arguments = [
        "hunt",
        "sql",
        query,
        "--output",
        "csv",
        "--logs",
        store.to_str().unwrap(),
    ];
    let found = ran(ground.command(&arguments)).ended(1);
    assert_eq!(found.out, "id,n\r\nalice,2\r\nmallory,1\r\n", "{found:#?}");
    assert!(
        !found.err.contains("not read") && !found.err.contains("no log"),
        "{found:#?}"
    );
    let query =
        "SELECT count(*) AS n FROM recorder WHERE kind = 'coverage' AND state LIKE '%unknown%'";
    let arguments = [
        "hunt",
        "sql",
        query,
        "--output",
        "csv",
        "--strict",
        "--logs",
        store.to_str().unwrap(),
    ];
    let found = ran(ground.command(&arguments)).ended(1);
    assert_eq!(found.out, "n\r\n0\r\n");
}

#[test]
fn a_store_that_was_tampered_with_says_so() {
    let (ground, _) = story();
    let head = ground
        .record(&["verify", "--output", "json"])
        .ended(0)
        .json();
    let head = head["head"].as_str().unwrap().to_owned();
    let segment = segments(&ground.store()).pop().unwrap();
    let bytes = fs::read(&segment).unwrap();
    let mut altered = bytes.clone();
    *altered.last_mut().unwrap() ^= 1;
    fs::write(&segment, altered).unwrap();
    ground
        .record(&["verify"])
        .ended(1)
        .says(&["its bytes are not those that were written"]);
    fs::write(&segment, bytes).unwrap();
    ground.record(&["verify"]).ended(0);

    let chain = ground.store().join("_recorder/chain.jsonl");
    let text = fs::read_to_string(&chain).unwrap();
    fs::write(&chain, text.replacen("\"unknown\":0", "\"unknown\":1", 1)).unwrap();
    ground
        .record(&["verify"])
        .ended(1)
        .says(&["line 1 of the chain", "it was altered"]);
    ground
        .snapshot()
        .ended(2)
        .says(&["line 1 of the chain is wrong", "davy record verify"]);
    fs::write(&chain, text.lines().next().unwrap().to_owned() + "\n").unwrap();
    ground
        .record(&["verify"])
        .ended(1)
        .says(&["no line of the chain names it"]);
    ground
        .record(&["verify", "--head", &head])
        .ended(1)
        .says(&["lines were cut off, or it was written anew"]);
}

#[test]
fn what_is_older_than_what_is_kept_is_removed_and_the_chain_says_so() {
    let (ground, _) = story();
    // Everything is young: nothing is removed.
    ground.record(&["prune", "--keep", "30d"]).ended(0);
    ground.record(&["verify"]).ended(0).says(&["2 segments"]);
    ground
        .record(&["prune", "--keep", "soon"])
        .ended(2)
        .says(&["write it in days"]);
}
