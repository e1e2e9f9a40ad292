//! What each page holds.

use davylamp_console::Role;
use davylamp_ledger::Taken;
use davylamp_ledger::record::{Evidence, IncidentNo, LeftOut, Plan, Record};
use jiff::{SignedDuration, Timestamp};
use reqwest::{Method, StatusCode};

use crate::world::{World, finding, on_instance};

/// Every page that needs nothing.
const PAGES: [&str; 15] = [
    "/",
    "/incidents",
    "/findings",
    "/live",
    "/queue",
    "/posture",
    "/posture/runs",
    "/posture/risks",
    "/hunts",
    "/hunts/runs",
    "/blocklists",
    "/keys",
    "/nodes",
    "/ledger",
    "/settings",
];

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_ledger_has_pages_that_claim_nothing() {
    let world = World::new().await;
    let visitor = world.visitor("ada", Role::Admin, &[]).await;
    for path in PAGES {
        let page = visitor.page(path).await;
        assert!(page.body.contains("Skip to the content"), "{path}");
        assert!(
            page.header("content-security-policy")
                .contains("script-src 'self'")
        );
        assert_eq!(page.header("cache-control"), "no-store");
        assert!(!page.body.contains("style="), "{path}");
    }
    let page = visitor.page("/").await.body;
    assert!(page.contains("nothing is known to be guarded"), "{page}");
    assert!(
        page.contains("says nothing about nodes that were silent"),
        "{page}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_missed_is_as_loud_as_what_was_killed() {
    let world = World::new().await;
    let visitor = world.visitor("ada", Role::Viewer, &[]).await;
    world
        .deliver(vec![finding(1, "eve", "hub-a", Taken::Killed, 5)])
        .await;
    let calm = visitor.page("/").await.body;
    assert!(!calm.contains("number loud"), "{calm}");
    world
        .deliver(vec![finding(2, "eve", "hub-a", Taken::Missed, 3)])
        .await;
    let loud = visitor.page("/").await.body;
    assert!(loud.contains("number loud"), "{loud}");
    assert!(
        loud.contains("Something ran that should not have."),
        "{loud}"
    );
    assert!(
        loud.contains("figure unknown"),
        "what nobody said is unknown: {loud}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_node_is_told() {
    let world = World::new().await;
    let visitor = world.visitor("ada", Role::Viewer, &[]).await;
    let now = Timestamp::now();
    world.heartbeat("hub-a", "node-here", now).await;
    let long_ago = now
        .saturating_sub(SignedDuration::from_hours(3))
        .expect("a time");
    world.heartbeat("hub-a", "node-gone", long_ago).await;
    let page = visitor.page("/nodes?only=silent").await.body;
    assert!(
        page.contains("node-gone") && !page.contains("node-here"),
        "{page}"
    );
    let page = visitor.page("/nodes").await.body;
    assert!(
        page.contains("✕ silent") && page.contains("✓ heard"),
        "{page}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_shows_its_reach_plan_evidence_cost_and_timeline() {
    let world = World::new().await;
    let visitor = world.visitor("ada", Role::Responder, &[]).await;
    let seen = on_instance(
        finding(1, "eve", "hub-a", Taken::Killed, 5),
        "i-0abc",
        "us-west-2",
    );
    let opened = world.deliver(vec![seen]).await.opened;
    let (no, now) = (opened[0], Timestamp::now());
    let plan = Plan {
        incident: Some(no),
        plan: "plan-1".to_owned(),
        summary: "Isolate one instance".to_owned(),
        text: serde_json::json!({"steps": ["snapshot"]}),
        left_out: vec![LeftOut {
            what: "i-0def".to_owned(),
            reason: "it is protected by its tag".to_owned(),
        }],
        cost_micro_usd_per_hour: Some(3_060_000),
        by: "responder".to_owned(),
    };
    let evidence = Evidence {
        incident: Some(no),
        what: "snapshot".to_owned(),
        location: "snap-0123".to_owned(),
        sha256: Some("ab".repeat(32)),
        size_bytes: Some(8_000),
        custody: "taken by the responder, held in the account".to_owned(),
        by: "responder".to_owned(),
    };
    for record in [Record::Plan(plan), Record::Evidence(evidence)] {
        world.ledger.record(record, now).await.expect("an entry");
    }
    let page = visitor.page(&format!("/incidents/{}", no.0)).await.body;
    for text in [
        "Isolate one instance",
        "it is protected by its tag",
        "$3.06 an hour",
        "snapshot",
        &"ab".repeat(32),
        "i-0abc in us-west-2",
        "hub/jupyter-eve",
        "was opened",
        "<svg class=\"reach\" role=\"img\"",
    ] {
        assert!(page.contains(text), "{text} is not in {page}");
    }
    let oldest = visitor
        .page(&format!("/incidents/{}?order=oldest", no.0))
        .await
        .body;
    assert!(
        oldest.find("was opened") < oldest.rfind("kept evidence"),
        "{oldest}"
    );
    let overview = visitor.page("/").await.body;
    assert!(overview.contains("$3.06 an hour"), "{overview}");
}

#[tokio::test(flavor = "multi_thread")]
async fn incidents_that_became_one_lead_to_it() {
    let world = World::new().await;
    let visitor = world.visitor("ada", Role::Viewer, &[]).await;
    let one = world
        .deliver(vec![finding(1, "eve", "hub-a", Taken::Killed, 9)])
        .await
        .opened[0];
    let other = world
        .deliver(vec![finding(2, "mallory", "hub-a", Taken::Killed, 8)])
        .await
        .opened[0];
    let mut both = finding(3, "eve", "hub-a", Taken::Killed, 7);
    both.finding.resources.extend(
        finding(4, "mallory", "hub-a", Taken::Killed, 7)
            .finding
            .resources,
    );
    assert_eq!(world.deliver(vec![both]).await.merged, [other]);
    let answer = visitor.get(&format!("/incidents/{}", other.0)).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert_eq!(answer.location(), format!("/incidents/{}", one.0));
    let page = visitor.page(answer.location()).await.body;
    assert!(page.contains("It holds what were once"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finding_is_shown_in_full_and_by_each_of_its_entries() {
    let world = World::new().await;
    let visitor = world.visitor("ada", Role::Viewer, &[]).await;
    let receipt = world
        .deliver(vec![finding(1, "eve", "hub-a", Taken::Killed, 5)])
        .await;
    let id = receipt.last.expect("an entry");
    let page = visitor.page(&format!("/findings/{id}")).await.body;
    for text in [
        "/tmp/.cache/run1 --pool pool.example:3333",
        "The line does not say in which account its node is.",
        "&quot;action&quot;: &quot;killed&quot;",
        "hub/jupyter-eve",
    ] {
        assert!(page.contains(text), "{text} is not in {page}");
    }
    let mut again = finding(1, "eve", "hub-a", Taken::Killed, 1);
    again.finding.count = 7;
    let later = world.deliver(vec![again]).await.last.expect("an entry");
    let answer = visitor.get(&format!("/findings/{later}")).await;
    assert_eq!(
        answer.location(),
        format!("/findings/{id}"),
        "{}",
        answer.status
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_retention_removed_is_told() {
    let world = World::new().await;
    let visitor = world.visitor("ada", Role::Viewer, &[]).await;
    let scoped = world.visitor("abe", Role::Viewer, &["hub-a"]).await;
    let old = finding(1, "forgotten", "hub-a", Taken::Spared, 3 * 24 * 60);
    let id = world.deliver(vec![old]).await.first.expect("an entry");
    let path = format!("/findings/{id}");
    assert!(visitor.page(&path).await.body.contains("forgotten"));
    let policy = davylamp_ledger::Policy {
        findings_days: Some(1),
        evidence_days: None,
    };
    let removed = world.ledger.retain(policy, Timestamp::now()).await;
    assert_eq!(removed.expect("a count").findings, 1);
    let answer = visitor.get(&path).await;
    assert_eq!(answer.status, StatusCode::GONE);
    assert!(
        answer.body.contains("SHA-256 of what it said"),
        "{}",
        answer.body
    );
    assert!(!answer.body.contains("forgotten"), "{}", answer.body);
    let ledger = visitor.page("/ledger").await.body;
    assert!(ledger.contains("Retention has removed"), "{ledger}");
    assert_eq!(scoped.get(&path).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_answer_as_they_should() {
    let world = World::new().await;
    let visitor = world.visitor("ada", Role::Admin, &[]).await;
    let head = visitor.ask(Method::HEAD, "/incidents").await;
    assert_eq!((head.status, head.body.as_str()), (StatusCode::OK, ""));
    for (method, path, status) in [
        (Method::GET, "/nowhere", StatusCode::NOT_FOUND),
        (Method::GET, "/incidents/77", StatusCode::NOT_FOUND),
        (Method::GET, "/incidents/x", StatusCode::NOT_FOUND),
        (Method::GET, "/findings/77", StatusCode::NOT_FOUND),
        (
            Method::GET,
            "/findings/-9223372036854775808",
            StatusCode::NOT_FOUND,
        ),
        (Method::PUT, "/incidents", StatusCode::METHOD_NOT_ALLOWED),
        (
            Method::GET,
            "/settings/tokens",
            StatusCode::METHOD_NOT_ALLOWED,
        ),
        (Method::GET, "/incidents?state=odd", StatusCode::BAD_REQUEST),
        (
            Method::GET,
            "/incidents?state=open&state=closed",
            StatusCode::BAD_REQUEST,
        ),
        (
            Method::GET,
            "/findings?from=yesterday",
            StatusCode::BAD_REQUEST,
        ),
        (Method::GET, "/findings?incident=x", StatusCode::BAD_REQUEST),
        (Method::GET, "/ledger?before=0", StatusCode::BAD_REQUEST),
        (Method::GET, "/posture?verdict=odd", StatusCode::BAD_REQUEST),
        (Method::GET, "/posture/check?check=x", StatusCode::NOT_FOUND),
        (
            Method::GET,
            "/posture/compare?before=1&after=2",
            StatusCode::NOT_FOUND,
        ),
        (Method::GET, "/posture/compare", StatusCode::NOT_FOUND),
        (
            Method::GET,
            "/posture/risks?show=odd",
            StatusCode::BAD_REQUEST,
        ),
        (Method::GET, "/hunts?only=odd", StatusCode::BAD_REQUEST),
        (
            Method::GET,
            "/blocklists?stage=odd",
            StatusCode::BAD_REQUEST,
        ),
        (
            Method::GET,
            "/incidents/77/report.html",
            StatusCode::NOT_FOUND,
        ),
        (Method::GET, "/incidents/77/odd.html", StatusCode::NOT_FOUND),
        (Method::GET, "/assets/nothing.css", StatusCode::NOT_FOUND),
    ] {
        let answer = visitor.ask(method.clone(), path).await;
        assert_eq!(answer.status, status, "{method} {path}");
        if path != "/assets/nothing.css" {
            assert!(
                answer.body.contains("Sign out"),
                "in its frame: {path} {}",
                answer.body
            );
        }
    }
    for list in [
        "/incidents",
        "/findings",
        "/nodes",
        "/queue",
        "/posture",
        "/posture/runs",
        "/posture/risks",
        "/hunts",
        "/hunts/runs",
        "/blocklists",
    ] {
        for cursor in ["x", "i", "f.1", "i.1.2.3", "n.", "😀"] {
            let answer = visitor.get(&format!("{list}?at={cursor}")).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{list} {cursor}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn assets_are_kept_for_as_long_as_they_are_the_same() {
    let world = World::new().await;
    let page = world.stranger().page("/sign-in").await.body;
    for (name, kind) in [
        ("console.css", "text/css; charset=utf-8"),
        ("console.js", "text/javascript; charset=utf-8"),
        ("mark.svg", "image/svg+xml"),
    ] {
        let (_, rest) = page
            .split_once(&format!("/assets/{name}?v="))
            .expect("an address");
        let version = rest.split('"').next().expect("a version");
        let asset = world
            .stranger()
            .page(&format!("/assets/{name}?v={version}"))
            .await;
        assert_eq!(asset.header("content-type"), kind);
        assert!(asset.header("cache-control").contains("immutable"));
    }
    assert_eq!(IncidentNo(1).to_string(), "#1");
}
