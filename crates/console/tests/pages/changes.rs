//! What forms write.

use davylamp_console::Role;
use davylamp_ledger::Taken;
use davylamp_ledger::query::At;
use davylamp_ledger::record::{IncidentNo, Record};
use davylamp_ledger::rows::NOT_DUE;
use reqwest::StatusCode;

use crate::world::{Visitor, World, finding};

async fn world() -> (World, Visitor) {
    let world = World::new().await;
    world
        .deliver(vec![finding(1, "eve", "hub-a", Taken::Killed, 5)])
        .await;
    let visitor = world.visitor("rae", Role::Responder, &[]).await;
    (world, visitor)
}

/// The last entry, as its JSON.
async fn last(world: &World) -> serde_json::Value {
    let head = world.head().await;
    let entries = world
        .ledger
        .entries_since(head - 1, 1)
        .await
        .expect("entries");
    serde_json::from_str(entries[0].body.as_deref().expect("a body")).expect("JSON")
}

async fn row(world: &World) -> davylamp_ledger::rows::IncidentRow {
    let view = world.ledger.incident(IncidentNo(1)).await.expect("a view");
    view.expect("an incident").row
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_is_closed_with_a_reason_alone() {
    let (world, visitor) = world().await;
    let head = world.head().await;
    for (state, reason, told) in [
        ("closed", "  ", "Closing needs a reason"),
        ("merged", "x", "There is no such state"),
        ("open", "x", "It is open already"),
    ] {
        let answer = visitor
            .submit(
                "/incidents/1/state",
                &[("state", state), ("reason", reason)],
            )
            .await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert!(answer.body.contains(told), "{}", answer.body);
        assert_eq!(world.head().await, head);
    }
    let reason = "An exercise.\nNothing else.";
    let answer = visitor
        .submit(
            "/incidents/1/state",
            &[("state", "closed"), ("reason", reason)],
        )
        .await;
    assert_eq!(
        (answer.status, answer.location()),
        (StatusCode::SEE_OTHER, "/incidents/1?done=state")
    );
    let entry = last(&world).await;
    assert_eq!(
        (
            entry["kind"].as_str(),
            entry["by"].as_str(),
            entry["reason"].as_str()
        ),
        (Some("incident-state"), Some("rae"), Some(reason))
    );
    let page = visitor.page(answer.location()).await.body;
    assert!(
        page.contains("The state is changed") && page.contains("An exercise."),
        "{page}"
    );
    let open = visitor.page("/incidents").await.body;
    assert!(!open.contains("href=\"/incidents/1\""), "{open}");
    let closed = visitor.page("/incidents?state=closed").await.body;
    assert!(closed.contains("href=\"/incidents/1\""), "{closed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_is_handed_round() {
    let (world, rae) = world().await;
    let sam = world.visitor("sam", Role::Responder, &[]).await;
    world.visitor("vic", Role::Viewer, &[]).await;
    world.visitor("oth", Role::Responder, &["hub-z"]).await;
    let path = "/incidents/1/owner";
    for (visitor, fields, status, owner, step) in [
        (&rae, vec![("step", "accept")], 400, None, ""),
        (&rae, vec![("step", "assign"), ("to", "vic")], 400, None, ""),
        (&rae, vec![("step", "assign"), ("to", "oth")], 400, None, ""),
        (
            &rae,
            vec![("step", "assign"), ("to", "nobody")],
            400,
            None,
            "",
        ),
        (&rae, vec![("step", "odd")], 422, None, ""),
        (
            &rae,
            vec![("step", "assign"), ("to", "sam")],
            303,
            Some("sam"),
            "assigned",
        ),
        (&rae, vec![("step", "accept")], 400, Some("sam"), "assigned"),
        (&sam, vec![("step", "accept")], 303, Some("sam"), "accepted"),
        (
            &sam,
            vec![("step", "delegate"), ("to", "rae")],
            303,
            Some("rae"),
            "delegated",
        ),
        (
            &sam,
            vec![("step", "decline")],
            400,
            Some("rae"),
            "delegated",
        ),
        (&rae, vec![("step", "decline")], 303, None, "declined"),
        (&sam, vec![("step", "take")], 303, Some("sam"), "accepted"),
    ] {
        let answer = visitor.submit(path, &fields).await;
        assert_eq!(
            answer.status.as_u16(),
            status,
            "{fields:?}: {}",
            answer.body
        );
        let row = row(&world).await;
        assert_eq!(
            (row.owner.as_deref(), row.owner_step.as_str()),
            (owner, step),
            "{fields:?}"
        );
    }
    let queue = sam.page("/queue").await.body;
    assert!(queue.contains("Decline incident 1"), "{queue}");
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_run_and_are_met_and_notes_are_kept() {
    let (world, visitor) = world().await;
    let head = world.head().await;
    for fields in [
        vec![("tick", "met")],
        vec![("tick", "due"), ("until", "2020-01-01T00:00")],
        vec![("tick", "due"), ("until", "soon")],
    ] {
        let answer = visitor.submit("/incidents/1/clock", &fields).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{fields:?}");
    }
    assert_eq!(
        visitor
            .submit("/incidents/1/note", &[("text", " ")])
            .await
            .status,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(world.head().await, head);
    let due = [("tick", "due"), ("within", "4"), ("why", "tell the users")];
    assert_eq!(
        visitor.submit("/incidents/1/clock", &due).await.status,
        StatusCode::SEE_OTHER
    );
    assert!(row(&world).await.due < NOT_DUE);
    let page = visitor.page("/incidents?due=1").await.body;
    assert!(page.contains("due <time"), "{page}");
    assert_eq!(
        visitor
            .submit("/incidents/1/clock", &[("tick", "met")])
            .await
            .status,
        StatusCode::SEE_OTHER
    );
    assert_eq!(row(&world).await.due, NOT_DUE);
    visitor
        .submit("/incidents/1/note", &[("text", "Called the user.")])
        .await;
    let page = visitor.page("/incidents/1").await.body;
    assert!(
        page.contains("Called the user.") && page.contains("tell the users"),
        "{page}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_shown_once_and_stands_nowhere() {
    let world = World::new().await;
    let admin = world.visitor("ada", Role::Admin, &[]).await;
    let fields = [("name", "agents"), ("cluster", "hub-a")];
    let answer = admin.submit("/settings/tokens", &fields).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let (_, rest) = answer
        .body
        .split_once("class=\"secret\">")
        .expect("a secret");
    let secret = rest.split('<').next().expect("a secret").to_owned();
    assert!(secret.starts_with("davy_"), "{secret}");
    for path in ["/settings", "/ledger", "/live"] {
        assert!(!admin.page(path).await.body.contains(&secret), "{path}");
    }
    assert_eq!(last(&world).await["name"], "token/agents");
    assert!(!last(&world).await.to_string().contains(&secret));
    let taken = world.store.tokens().await.expect("tokens");
    assert_eq!(taken[0].cluster, "hub-a");
    let line =
        r#"{"action":"missed","node":"n1","id":"1","event":"Missed a process","cmdline":"/tmp/x"}"#;
    let send = || {
        reqwest::Client::new()
            .post(format!("{}/api/v1/events", world.base()))
            .bearer_auth(&secret)
            .body(line)
            .send()
    };
    assert_eq!(send().await.expect("an answer").status(), StatusCode::OK);
    assert!(
        admin
            .page("/findings?action=missed&cluster=hub-a")
            .await
            .body
            .contains("Missed a process")
    );
    assert_eq!(
        admin.submit("/settings/tokens", &fields).await.status,
        StatusCode::BAD_REQUEST
    );
    let revoked = admin
        .submit("/settings/tokens/revoke", &[("name", "agents")])
        .await;
    assert_eq!(revoked.status, StatusCode::SEE_OTHER);
    assert_eq!(
        send().await.expect("an answer").status(),
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_added_changed_and_let_in() {
    let world = World::new().await;
    let admin = world.visitor("ada", Role::Admin, &[]).await;
    let add = [
        ("name", "zoe"),
        ("role", "responder"),
        ("clusters", "hub-a, hub-b"),
    ];
    assert_eq!(
        admin.submit("/settings/people", &add).await.status,
        StatusCode::SEE_OTHER
    );
    for wrong in [
        [("name", "zoe"), ("role", "viewer")],
        [("name", ""), ("role", "viewer")],
        [("name", "z\u{202e}oe"), ("role", "viewer")],
    ] {
        let answer = admin.submit("/settings/people", &wrong).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{wrong:?}");
    }
    let answer = admin
        .submit("/settings/people/link", &[("name", "zoe")])
        .await;
    let (_, rest) = answer
        .body
        .split_once("/sign-in/link?key=")
        .expect("a link");
    let key = rest.split('<').next().expect("a key").to_owned();
    let mut zoe = world.stranger();
    let entered = zoe.send("/sign-in/link", &[("key", &key)], &[]).await;
    let cookie = entered.header("set-cookie").split(';').next();
    zoe.cookie = cookie.expect("a cookie").to_owned();
    let page = zoe.page("/").await.body;
    assert!(
        page.contains("hub-b") && page.contains("responder"),
        "{page}"
    );
    let change = [
        ("name", "zoe"),
        ("role", "viewer"),
        ("clusters", ""),
        ("disabled", "1"),
    ];
    assert_eq!(
        admin
            .submit("/settings/people/change", &change)
            .await
            .status,
        StatusCode::SEE_OTHER
    );
    assert_eq!(
        zoe.get("/").await.status,
        StatusCode::SEE_OTHER,
        "signed out"
    );
    let own = [("name", "ada"), ("role", "viewer"), ("clusters", "")];
    assert_eq!(
        admin.submit("/settings/people/change", &own).await.status,
        StatusCode::BAD_REQUEST
    );
    let entries = world.ledger.entries_since(0, 100).await.expect("entries");
    let names: Vec<String> = entries
        .iter()
        .filter_map(
            |entry| match serde_json::from_str(entry.body.as_deref()?).ok()? {
                Record::Setting(setting) => Some(setting.name),
                _ => None,
            },
        )
        .collect();
    assert_eq!(names, ["person/zoe", "person/zoe/link", "person/zoe"]);
    let all = entries
        .iter()
        .filter_map(|entry| entry.body.as_deref())
        .collect::<String>();
    assert!(!all.contains(&key));
    let evidence = world
        .ledger
        .evidence(None, &At::first(1))
        .await
        .expect("a page");
    assert!(evidence.items.is_empty());
}
