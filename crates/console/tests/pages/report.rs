//! An incident as a file.

use davylamp_console::Role;
use davylamp_ledger::Taken;
use davylamp_ledger::record::{Action, IncidentNo, Note, Record, Stage};
use reqwest::StatusCode;

use crate::work::{furnish, write};
use crate::world::{World, finding, on_instance};

const EVIL: &str =
    "=HYPERLINK(\"http://x\")<script>alert(1)</script>|[a](javascript:b)\u{202e}\r\n# no";

async fn world() -> World {
    let world = World::new().await;
    world
        .deliver(vec![finding(1, EVIL, "hub-a", Taken::Killed, 5)])
        .await;
    furnish(&world, IncidentNo(1)).await;
    let note = Note {
        incident: Some(IncidentNo(1)),
        text: EVIL.to_owned(),
        by: EVIL.to_owned(),
    };
    write(&world, Record::Note(note)).await;
    let action = Action {
        incident: Some(IncidentNo(1)),
        plan: EVIL.to_owned(),
        step: EVIL.to_owned(),
        what: EVIL.to_owned(),
        target: EVIL.to_owned(),
        stage: Stage::Failed,
        detail: EVIL.to_owned(),
        by: EVIL.to_owned(),
    };
    write(&world, Record::Action(action)).await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn each_form_says_the_same_and_holds_text_alone() {
    let world = world().await;
    let vic = world.visitor("vic", Role::Viewer, &[]).await;
    for (name, kind) in [
        ("report.html", "text/html; charset=utf-8"),
        ("report.md", "text/markdown; charset=utf-8"),
        ("report.json", "application/json"),
        ("timeline.csv", "text/csv; charset=utf-8"),
    ] {
        let head = world.head().await;
        let file = vic.page(&format!("/incidents/1/{name}")).await;
        assert_eq!(file.header("content-type"), kind);
        assert_eq!(
            file.header("content-disposition"),
            format!("attachment; filename=\"incident-1-{name}\"")
        );
        let policy = file.header("content-security-policy");
        assert!(
            policy.contains("default-src 'none'")
                && policy.contains("sandbox")
                && policy.contains("style-src 'sha256-"),
            "{policy}"
        );
        let entries = world.ledger.entries_since(head, 9).await.expect("entries");
        // The file was read, and each piece of evidence whose place stands in it.
        let pieces = usize::from(name != "timeline.csv");
        assert_eq!(entries.len(), 1 + pieces, "{name}");
        let body = entries[0].body.as_deref().expect("a body");
        assert!(
            body.contains("\"kind\":\"access\"") && body.contains("vic") && body.contains(name),
            "{body}"
        );
        let (text, is_json) = (&file.body, name.ends_with("json"));
        assert!(
            text.contains("snap") && text.contains("Killed"),
            "{name}: {text}"
        );
        if !is_json {
            assert!(
                !text.contains('\u{202e}') && text.contains("⟦U"),
                "{name}: {text}"
            );
        }
        match name {
            "report.html" => {
                assert!(
                    !text.contains("<script") && !text.contains("style=\""),
                    "{text}"
                );
                assert!(
                    text.contains("$1234.00 to $1980.50") && text.contains("<h2>Evidence</h2>"),
                    "{text}"
                );
                assert!(text.contains(&"3b".repeat(32)), "{text}");
            }
            "report.md" => {
                assert!(
                    !text.contains("](javascript") && !text.replace("\\<", "").contains('<'),
                    "{text}"
                );
                assert!(
                    text.contains("## Evidence") && text.contains("held in the account"),
                    "{text}"
                );
            }
            "report.json" => {
                let value: serde_json::Value = serde_json::from_str(text).expect("JSON");
                assert_eq!(value["evidence"][0]["where"], "snap-0f00ba4");
                assert_eq!(value["findings"].as_array().map(Vec::len), Some(1));
                assert_eq!(value["left_out"], serde_json::json!([]));
                assert_eq!(
                    value["actions"][0]["what"]
                        .as_str()
                        .map(|what| what.contains("<script>")),
                    Some(true)
                );
            }
            _ => {
                for line in text.split("\r\n").filter(|line| !line.is_empty()) {
                    assert!(line.starts_with('"') && line.ends_with('"'), "{line}");
                    for cell in line.split("\",\"") {
                        let cell = cell.trim_start_matches('"');
                        assert!(!cell.starts_with(['=', '+', '-', '@']), "{line}");
                    }
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_holds_what_its_reader_may_see_and_says_what_it_leaves_out() {
    let world = World::new().await;
    let shared = |n, user, cluster| {
        on_instance(
            finding(n, user, cluster, Taken::Killed, 5),
            "i-0shared",
            "us-west-2",
        )
    };
    let no = world
        .deliver(vec![
            shared(1, "mine", "hub-a"),
            shared(2, "secretuser", "hub-b"),
        ])
        .await
        .opened[0];
    furnish(&world, no).await;
    let abe = world.visitor("abe", Role::Viewer, &["hub-a"]).await;
    for name in ["report.html", "report.md", "report.json", "timeline.csv"] {
        let text = abe.page(&format!("/incidents/{}/{name}", no.0)).await.body;
        for secret in [
            "secretuser",
            "hub-b",
            "snap-0f00ba4",
            "$1234",
            "Isolate i-0a1b2c3d4e5f",
        ] {
            assert!(!text.contains(secret), "{name} tells {secret}: {text}");
        }
        assert!(
            text.contains("may not see") || text.contains("about other clusters"),
            "{name}: {text}"
        );
    }
    let other = world.visitor("oth", Role::Viewer, &["hub-z"]).await;
    let answer = other.get(&format!("/incidents/{}/report.html", no.0)).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
}
