//! Blocklists: versions, who holds them, and what a change would have killed.

use davylamp_console::Role;
use davylamp_ledger::record::{Heartbeat, ListHeld, Rollout};
use davylamp_ledger::{Input, Reported, Reporter, Taken};
use jiff::Timestamp;
use reqwest::StatusCode;

use crate::work::{list, write};
use crate::world::{World, finding};

async fn holds(world: &World, cluster: &str, node: &str, digest: &str) {
    let lists = match digest {
        "" => Vec::new(),
        digest => vec![ListHeld {
            name: "default.yaml".to_owned(),
            digest: digest.to_owned(),
            strings: 12,
        }],
    };
    let heartbeat = Heartbeat {
        reporter: Reporter {
            cluster: cluster.to_owned(),
            node: node.to_owned(),
            agent: "guard".to_owned(),
        },
        version: "0.1.0".to_owned(),
        coverage: "enforce".to_owned(),
        canary_at: None,
        canary_caught: None,
        lost_events: 0,
        lists,
    };
    let taken = world
        .ledger
        .deliver(None, &[Input::Heartbeat(heartbeat)], Timestamp::now())
        .await;
    taken.expect("a receipt");
}

/// A finding of a guard's line about a list's string.
fn seen(n: i64, action: &str, command: &str, matched: &str, cluster: &str) -> Reported {
    let line = serde_json::json!({
        "id": n, "action": action, "event": format!("Saw {n}"), "cmdline": command, "matched": matched, "group": "wave",
        "detection": "mining-command-line", "node": format!("{cluster}-n1"), "hub_user": "eve", "pid": n,
        "timestamp": format!("{:.6}", Timestamp::now()),
    });
    Reported::from_guard_line(&line.to_string(), cluster, "guard").expect("a finding")
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_stand_with_their_stage_and_the_nodes_that_lag() {
    let world = World::new().await;
    let (old, new, trial) = ("ab".repeat(32), "cd".repeat(32), "ef".repeat(32));
    for (name, digest, rollout) in [
        ("default", &old, Rollout::Enforce),
        ("default", &new, Rollout::Enforce),
        ("wave", &trial, Rollout::Observe),
    ] {
        write(&world, list(name, digest, rollout)).await;
    }
    holds(&world, "hub-a", "node-old", &old).await;
    holds(&world, "hub-a", "node-new", &new[..16]).await;
    holds(&world, "hub-b", "node-trial", &trial).await;
    holds(&world, "hub-b", "node-silent", "").await;
    holds(&world, "hub-b", "node-own", &"09".repeat(32)).await;
    world
        .deliver(vec![seen(1, "would-kill", "./wave -o x", "wave", "hub-b")])
        .await;
    let vic = world.visitor("vic", Role::Viewer, &[]).await;
    for (nodes, has) in [
        ("old", "node-old"),
        ("current", "node-new"),
        ("current", "node-trial"),
        ("unknown", "node-silent"),
        ("stranger", "node-own"),
    ] {
        let page = vic.page(&format!("/blocklists?nodes={nodes}")).await.body;
        let (_, table) = page.split_once("id=\"nodes\"").expect("nodes");
        assert!(table.contains(has), "{nodes}: {table}");
    }
    let page = vic.page("/blocklists").await.body;
    assert!(
        page.contains("Lag behind 1") && page.contains(">wave<"),
        "{page}"
    );
    assert!(!page.contains("/blocklists/change"), "{page}");
    let page = vic.page("/blocklists?stage=observe").await.body;
    assert!(
        page.contains("efefefefefef")
            && !page.contains("cdcdcdcdcdcd…</code></td><td data-label=\"Stage\">"),
        "{page}"
    );
    let scoped = world.visitor("abe", Role::Viewer, &["hub-a"]).await;
    let page = scoped.page("/blocklists").await.body;
    assert!(
        !page.contains("efefefefefef") && !page.contains("hub-b"),
        "{page}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_judged_over_what_was_seen() {
    let world = World::new().await;
    let mut all = vec![
        seen(1, "killed", "./oldminer -o pool:3333", "oldminer", "hub-a"),
        seen(
            2,
            "killed",
            "./keptminer -o pool:3333",
            "keptminer",
            "hub-a",
        ),
        seen(3, "spared", "./newminer --threads 4", "newminer", "hub-a"),
        seen(
            4,
            "killed",
            "python teach.py keptminer",
            "keptminer",
            "hub-a",
        ),
        seen(5, "killed", "./secretminer", "secretminer", "hub-b"),
    ];
    all.push(finding(9, "eve", "hub-a", Taken::Alerted, 5));
    world.deliver(all).await;
    let rae = world.visitor("rae", Role::Responder, &[]).await;
    let list = "bannedCommandStrings:\n  - keptminer\n  - newminer\nallowedCommandPatterns:\n  - python teach.*\n";
    let judge = |list: &'static str| [("list", list), ("days", "7")];
    let head = world.head().await;
    let page = rae.submit("/blocklists/change", &judge(list)).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    let part = |name: &str| {
        let (_, rest) = page
            .body
            .split_once(&format!("<h2>{name}</h2>"))
            .unwrap_or_else(|| panic!("{name}: {}", page.body));
        rest.split("</section>").next().expect("a part").to_owned()
    };
    assert!(part("Newly killed").contains("./newminer --threads 4"));
    let gone = part("No longer killed");
    assert!(
        gone.contains("./oldminer")
            && gone.contains("./secretminer")
            && !gone.contains("keptminer"),
        "{gone}"
    );
    assert!(part("Spared by a pattern").contains("python teach.py"));
    assert!(
        page.body.contains("Looked at <strong>6</strong> findings"),
        "{}",
        page.body
    );
    assert_eq!(world.head().await, head, "a question is no entry");
    let scoped = world.visitor("abe", Role::Responder, &["hub-a"]).await;
    let page = scoped.submit("/blocklists/change", &judge(list)).await.body;
    assert!(
        !page.contains("secretminer") && page.contains("<strong>5</strong>"),
        "{page}"
    );
    let evil = "bannedCommandStrings: [\"<script>alert(1)</script>\", [}";
    let page = rae.submit("/blocklists/change", &judge(evil)).await.body;
    assert!(
        page.contains("It is no list that a guard would take"),
        "{page}"
    );
    assert!(!page.contains("<script>alert"), "{page}");
    let empty = rae.submit("/blocklists/change", &judge("")).await.body;
    assert!(
        empty.contains("It is no list that a guard would take"),
        "{empty}"
    );
    let large = "x".repeat(200 << 10);
    let answer = rae
        .submit("/blocklists/change", &[("list", &large), ("days", "7")])
        .await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let answer = rae
        .submit("/blocklists/change", &[("list", list), ("days", "3")])
        .await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
}
