//! Posture: the score, checks, runs beside each other, and what is lived with.

use davylamp_console::Role;
use davylamp_ledger::Taken;
use davylamp_ledger::record::{Choice, Decision, IncidentNo, Record};
use davylamp_model::finding::Severity;
use davylamp_model::verdict::Verdict;
use reqwest::StatusCode;

use crate::work::{ago, audit, furnish, outcome, write};
use crate::world::{World, finding};

async fn world() -> World {
    let world = World::new().await;
    world
        .deliver(vec![finding(1, "eve", "hub-a", Taken::Killed, 5)])
        .await;
    furnish(&world, IncidentNo(1)).await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_score_is_made_of_the_last_audits_and_unknown_is_told() {
    let world = world().await;
    let rae = world.visitor("rae", Role::Responder, &[]).await;
    let page = rae.page("/posture").await.body;
    // 10 + 6 + 10 + 10 + 6 passed of 42 + 6 + 3 + 6 + 1 + 6.
    assert!(page.contains("<p class=\"big\">65<"), "{page}");
    assert!(
        page.contains("Mending what failed saves up to") && page.contains("$120.00"),
        "{page}"
    );
    // What saves most comes first, then what is worst.
    let place = |text: &str| {
        page.find(&format!("check={text}"))
            .unwrap_or_else(|| panic!("{text}: {page}"))
    };
    assert!(place("idle") < place("mfa") && place("mfa") < place("old-key"));
    assert!(!page.contains("check=open-ports"), "{page}");
    for (query, has, lacks) in [
        ("verdict=pass", "check=open-ports", "check=idle"),
        ("verdict=unknown", "check=flow-logs", "check=mfa"),
        ("severity=high", "check=mfa", "check=idle"),
        (
            "text=privileged+proxy",
            "check=privileged-pods",
            "check=mfa",
        ),
        ("target=hub-a", "check=privileged-pods", "check=mfa"),
        ("check=mfa&verdict=any", "check=mfa", "check=idle"),
    ] {
        let page = rae.page(&format!("/posture?{query}")).await.body;
        assert!(
            page.contains(has) && !page.contains(lacks),
            "{query}: {page}"
        );
    }
    let page = rae.page("/posture/check?check=mfa").await.body;
    for text in ["user/ci", "it is not so", "2. Change it.", "Live with it"] {
        assert!(page.contains(text), "{text} is not in {page}");
    }
    assert!(!page.contains("user/ada"), "{page}");
    let overview = rae.page("/").await.body;
    assert!(
        overview.contains("65<span class=\"muted\"> of 100"),
        "{overview}"
    );
    assert!(
        rae.page("/posture")
            .await
            .body
            .contains("<polyline class=\"trace\"")
    );
    // Of a cluster only who sees it.
    let scoped = world.visitor("abe", Role::Responder, &["hub-a"]).await;
    let page = scoped.page("/posture").await.body;
    assert!(
        page.contains("check=privileged-pods")
            && !page.contains("mfa")
            && !page.contains("111122223333"),
        "{page}"
    );
    assert_eq!(
        scoped.get("/posture/check?check=mfa").await.status,
        StatusCode::NOT_FOUND
    );
    let none = world.visitor("oth", Role::Viewer, &["hub-z"]).await;
    let page = none.page("/posture").await.body;
    assert!(page.contains("Nothing has been audited"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_compared() {
    let world = world().await;
    let vic = world.visitor("vic", Role::Viewer, &[]).await;
    let page = vic.page("/posture/runs?target=111122223333").await.body;
    let (_, rest) = page.split_once("/posture/compare?before=").expect("a way");
    let rest = rest
        .split('"')
        .next()
        .expect("a query")
        .replace("&amp;", "&");
    let way = format!("/posture/compare?before={rest}");
    for (show, has, lacks) in [
        ("new", "old-key", "user/root"),
        ("mended", "user/root", "user/ci"),
        ("still", "instance/i-0idle", "user/root"),
        ("gone", "Nothing.", "user/root"),
    ] {
        let page = vic.page(&format!("{way}&show={show}")).await.body;
        assert!(
            page.contains(has) && !page.contains(lacks),
            "{show}: {page}"
        );
    }
    let scoped = world.visitor("abe", Role::Viewer, &["hub-a"]).await;
    assert_eq!(scoped.get(&way).await.status, StatusCode::NOT_FOUND);
    let runs = scoped.page("/posture/runs").await.body;
    assert!(!runs.contains("111122223333"), "{runs}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_risk_is_lived_with_for_a_reason_and_a_time() {
    let world = world().await;
    let rae = world.visitor("rae", Role::Responder, &[]).await;
    let page = rae.page("/posture/check?check=mfa").await.body;
    let field = |name: &str| {
        let (_, rest) = page
            .split_once(&format!("name=\"{name}\" value=\""))
            .expect("a field");
        rest.split('"').next().expect("a value").to_owned()
    };
    let (run, nth) = (field("run"), field("outcome"));
    let head = world.head().await;
    for (nth, days, reason, status) in [
        (nth.as_str(), "30", " ", StatusCode::BAD_REQUEST),
        (nth.as_str(), "9999", "x", StatusCode::UNPROCESSABLE_ENTITY),
        ("99", "30", "x", StatusCode::NOT_FOUND),
        ("2", "30", "x", StatusCode::BAD_REQUEST),
    ] {
        let fields = [
            ("run", run.as_str()),
            ("outcome", nth),
            ("days", days),
            ("reason", reason),
        ];
        let answer = rae.submit("/posture/accept", &fields).await;
        assert_eq!(answer.status, status, "{fields:?}");
    }
    assert_eq!(world.head().await, head);
    let fields = [
        ("run", run.as_str()),
        ("outcome", &nth),
        ("days", "7"),
        ("reason", "It is replaced on Friday."),
    ];
    let answer = rae.submit("/posture/accept", &fields).await;
    assert_eq!(
        answer.location(),
        "/posture/check?check=mfa&done=accepted",
        "{}",
        answer.body
    );
    let entries = world.ledger.entries_since(head, 9).await.expect("entries");
    let body = entries[0].body.as_deref().expect("a body");
    assert!(
        body.contains("\"subject\":\"mfa on user/ci\"") && body.contains("rae"),
        "{body}"
    );
    let page = rae.page("/posture/check?check=mfa").await.body;
    assert!(!page.contains("user/ci"), "{page}");
    let page = rae
        .page("/posture/check?check=mfa&verdict=accepted")
        .await
        .body;
    assert!(
        page.contains("user/ci") && page.contains("ends soon"),
        "{page}"
    );
    let page = rae.page("/posture").await.body;
    // 42 of 58.
    assert!(
        page.contains("<p class=\"big\">72<") && page.contains("less than two more weeks"),
        "{page}"
    );
    let page = rae.page("/posture/risks").await.body;
    assert!(page.contains("It is replaced on Friday."), "{page}");
    // Not theirs, who see neither the account nor all.
    let entry = (head + 1).to_string();
    let scoped = world.visitor("abe", Role::Responder, &["hub-a"]).await;
    assert!(!scoped.page("/posture/risks").await.body.contains("Friday"));
    for (path, fields) in [
        ("/posture/withdraw", vec![("entry", entry.as_str())]),
        ("/posture/accept", fields.to_vec()),
    ] {
        assert_eq!(
            scoped.submit(path, &fields).await.status,
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
    let head = world.head().await;
    for _ in 0..2 {
        let answer = rae.submit("/posture/withdraw", &[("entry", &entry)]).await;
        assert_eq!(answer.location(), "/posture/risks?done=withdrawn");
    }
    assert_eq!(world.head().await, head + 1);
    let page = rae.page("/posture").await.body;
    assert!(
        page.contains("<p class=\"big\">65<") && page.contains("Decide again"),
        "{page}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_is_loud_and_lists_are_walked() {
    let world = World::new().await;
    let outcomes: Vec<_> = (0..230)
        .map(|n| outcome("many", &format!("r-{n:03}"), Verdict::Fail, Severity::Low))
        .chain((0..120).map(|n| outcome(&format!("c-{n:03}"), "one", Verdict::Fail, Severity::Low)))
        .collect();
    write(&world, audit("acc", 1, outcomes)).await;
    let decision = Decision {
        incident: None,
        choice: Choice::AcceptRisk { until: ago(5) },
        plan: None,
        subject: Some("many on r-007".to_owned()),
        reason: "for now".to_owned(),
        by: "ada".to_owned(),
    };
    write(&world, Record::Decision(decision)).await;
    let vic = world.visitor("vic", Role::Viewer, &[]).await;
    let page = vic.page("/posture").await.body;
    assert!(
        page.contains("1 thing was lived with for a time that is over"),
        "{page}"
    );
    assert!(
        vic.page("/posture/risks?show=ended")
            .await
            .body
            .contains("many on r-007")
    );
    for (path, expected) in [("/posture", 121 + 1), ("/posture/check?check=many", 230)] {
        let (mut at, mut rows) = (path.to_owned(), 0);
        let mut first = true;
        loop {
            let page = vic.page(&at).await;
            rows += page.body.matches("<th scope=\"row\">").count()
                - usize::from(path == "/posture" && !first);
            // The trend's table and the targets stand on each page.
            if path == "/posture" {
                rows -= 1;
            }
            first = false;
            match page.next() {
                Some(next) => at = next,
                None => break,
            }
        }
        assert_eq!(rows, expected, "{path}");
    }
}
