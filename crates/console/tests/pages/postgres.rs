//! The same on PostgreSQL: people, tokens, events and every page.

use davylamp_console::Role;
use davylamp_ledger::Taken;
use davylamp_testkit::postgres::Postgres;
use jiff::Timestamp;
use reqwest::StatusCode;
use tempfile::TempDir;

use crate::world::{World, finding};

#[tokio::test(flavor = "multi_thread")]
async fn every_page_and_change_works_on_postgresql() {
    let server = Postgres::start();
    let world = World::on(&server.database(), TempDir::new().expect("a folder")).await;
    let findings =
        (0..40).map(|n| finding(n, &format!("user-{}", n % 3), "hub-a", Taken::Killed, n));
    world.deliver(findings.collect()).await;
    world.heartbeat("hub-a", "node-1", Timestamp::now()).await;
    let now = Timestamp::now();
    let token = world
        .store
        .add_token("nodes", "hub-a", &["events:write"], now)
        .await;
    let client = reqwest::Client::new();
    let line =
        r#"{"id":"e1","action":"missed","event":"x","node":"n1","cmdline":"./x","matched":"x"}"#;
    for new in [1, 0] {
        let answer = client
            .post(format!("{}/api/v1/events", world.base()))
            .bearer_auth(token.as_ref().expect("a token"))
            .body(line)
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK);
        let text = answer.text().await.expect("text");
        assert!(text.contains(&format!("\"new\":{new}")), "{text}");
    }
    assert!(
        world.store.tokens().await.expect("tokens")[0]
            .used
            .is_some()
    );
    let ada = world.visitor("ada", Role::Admin, &[]).await;
    crate::work::furnish(&world, davylamp_ledger::IncidentNo(1)).await;
    for path in [
        "/",
        "/incidents",
        "/incidents?order=severity",
        "/incidents?order=due",
        "/incidents/1",
        "/findings",
        "/findings?text=pool",
        "/findings?action=missed",
        "/live",
        "/queue",
        "/posture",
        "/posture/runs",
        "/posture/risks",
        "/posture/risks?show=ended",
        "/posture/check?check=mfa&verdict=any",
        "/hunts",
        "/hunts/runs",
        "/blocklists",
        "/incidents/1/report.json",
        "/incidents/1/timeline.csv",
        "/nodes",
        "/ledger",
        "/settings",
    ] {
        let page = ada.get(path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}: {}", page.body);
    }
    for (path, fields) in [
        ("/incidents/1/plan", vec![("nth", "0")]),
        (
            "/incidents/1/cost",
            vec![("low", "1"), ("high", "2"), ("hour", "0"), ("prices", "p")],
        ),
    ] {
        let answer = ada.submit(path, &fields).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    }
    let judged = [("list", "bannedCommandStrings: [--pool]"), ("days", "7")];
    let judged = ada.submit("/blocklists/change", &judged).await;
    assert_eq!(judged.status, StatusCode::OK, "{}", judged.body);
    let noted = ada
        .submit("/incidents/1/note", &[("text", "looked at on PostgreSQL")])
        .await;
    assert_eq!(noted.status, StatusCode::SEE_OTHER, "{}", noted.body);
    assert!(
        ada.page("/incidents/1")
            .await
            .body
            .contains("looked at on PostgreSQL")
    );
    let revoked = world.store.revoke_token("nodes", Timestamp::now()).await;
    revoked.expect("revoked");
    let again = world.visitor("rae", Role::Viewer, &["hub-b"]).await;
    assert_eq!(
        again.get("/incidents/1").await.status,
        StatusCode::NOT_FOUND
    );
    let account = ada.page("/account").await.body;
    assert!(account.contains("this one"), "{account}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_see_to_their_own_on_postgresql() {
    let server = Postgres::start();
    let world = World::on(&server.database(), TempDir::new().expect("a folder")).await;
    crate::account::factor_comes_and_goes(&world).await;
    crate::sessions::keys_follow_one_another(&world).await;
    world.end().await;
    let house = crate::oidc::house_on(Some(server.database())).await;
    for _ in 0..2 {
        let (browser, answer) = house.sign_in("4711").await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
        browser.page("/").await;
    }
}
