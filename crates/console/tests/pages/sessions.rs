//! Sessions, and the keys that browsers hold to them.

use davylamp_console::Role;
use jiff::Timestamp;
use reqwest::StatusCode;

use crate::account::{PASSWORD, between, signed_in};
use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_listed_and_ended() {
    let world = World::new().await;
    world.person("ada", Role::Viewer, PASSWORD).await;
    let here = signed_in(&world, "ada", PASSWORD, "").await;
    let mut there = world.stranger();
    let evil = "Evil/1.0 <script>alert(1)</script>";
    let fields = [("name", "ada"), ("password", PASSWORD)];
    let answer = there
        .send("/sign-in", &fields, &[("user-agent", evil)])
        .await;
    there.take(&answer);
    let third = signed_in(&world, "ada", PASSWORD, "").await;
    let others = world.visitor("rae", Role::Admin, &[]).await;
    let page = here.page("/account").await.body;
    assert!(
        page.contains("Evil/1.0 &lt;script&gt;") && !page.contains("<script>alert"),
        "{page}"
    );
    assert!(
        page.contains("127.0.0.1") && page.contains("this one"),
        "{page}"
    );
    let ids: Vec<&str> = page
        .split("name=\"id\" value=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().expect("an id"))
        .collect();
    assert_eq!(ids.len(), 2, "{page}");
    // Nobody ends somebody else's, whoever they are; and a session's number is no key to it.
    let answer = others
        .submit("/account/sessions/end", &[("id", ids[0])])
        .await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let mut forged = world.stranger();
    forged.cookie = format!("davylamp={}", ids[0]);
    assert_eq!(forged.get("/").await.status, StatusCode::SEE_OTHER);
    there.page("/").await;
    let row = page
        .split("<tr>")
        .find(|row| row.contains("Evil"))
        .expect("a row");
    let id = between(row, "name=\"id\" value=\"", "\"");
    let answer = here.submit("/account/sessions/end", &[("id", id)]).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    assert_eq!(there.get("/").await.status, StatusCode::SEE_OTHER, "ended");
    third.page("/").await;
    let answer = here.submit("/account/sessions/end-others", &[]).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert_eq!(third.get("/").await.status, StatusCode::SEE_OTHER, "ended");
    here.page("/").await;
    others.page("/").await;
}

/// Makes keys older than they are.
async fn age(world: &World, minutes: i64) {
    for sql in [
        "UPDATE console_session_key SET made = made - $1",
        "UPDATE console_session_key SET until = until - $1",
        "UPDATE console_session SET renewed = renewed - $1",
    ] {
        sqlx::query(sql)
            .bind(minutes * 60_000_000)
            .execute(world.ledger.database())
            .await
            .expect("aged");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_followed_by_another_and_requests_under_way_do_not_break() {
    keys_follow_one_another(&World::new().await).await;
}

pub async fn keys_follow_one_another(world: &World) {
    let mut ada = world.visitor("kay", Role::Viewer, &[]).await;
    let first = ada.page("/").await;
    assert!(
        first.kept("davylamp").is_none(),
        "no other key within the hour"
    );
    age(world, 61).await;
    let answers = futures::future::join_all((0..6).map(|_| ada.get("/"))).await;
    let mut keys: Vec<String> = answers
        .iter()
        .filter_map(|answer| answer.kept("davylamp"))
        .collect();
    assert!(answers.iter().all(|answer| answer.status == StatusCode::OK));
    assert_eq!(keys.len(), 1, "one of several requests brings the key");
    // An answer that never arrived: the old key holds, and brings another one.
    age(world, 2).await;
    let again = ada.page("/").await.kept("davylamp").expect("another key");
    keys.push(again.clone());
    let old = ada.cookie.clone();
    ada.cookie = again;
    let csrf = ada.page("/account").await.csrf();
    assert_eq!(csrf, first.csrf(), "a form that was open holds");
    // The old ones hold a little longer, and no more after it.
    let with = |cookie: &str| {
        let mut visitor = world.stranger();
        visitor.cookie = cookie.to_owned();
        visitor
    };
    assert_eq!(with(&old).get("/").await.status, StatusCode::OK);
    assert!(
        with(&old).get("/").await.kept("davylamp").is_none(),
        "it has been followed"
    );
    age(world, 2).await;
    assert_eq!(with(&old).get("/").await.status, StatusCode::SEE_OTHER);
    assert_eq!(with(&keys[0]).get("/").await.status, StatusCode::SEE_OTHER);
    ada.page("/").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_was_brought_along_is_not_the_one_that_begins() {
    let world = World::new().await;
    world.person("ada", Role::Viewer, PASSWORD).await;
    let mallory = world.visitor("mal", Role::Viewer, &[]).await;
    let mut victim = world.stranger();
    for planted in [mallory.cookie.as_str(), "davylamp=chosen-by-somebody-else"] {
        victim.cookie = planted.to_owned();
        let answer = victim.sign_in("ada", PASSWORD, "").await;
        let kept = answer.kept("davylamp").expect("a cookie");
        assert_ne!(kept, planted);
        let mut other = world.stranger();
        other.cookie = planted.to_owned();
        assert_eq!(
            other.get("/").await.status,
            StatusCode::SEE_OTHER,
            "{planted}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_signed_out_watches_no_more() {
    let world = World::new().await;
    world.person("ada", Role::Viewer, PASSWORD).await;
    let here = signed_in(&world, "ada", PASSWORD, "").await;
    let there = signed_in(&world, "ada", PASSWORD, "").await;
    let mut stream = there.open("/live/stream", &[]).await;
    here.submit("/account/sessions/end-others", &[]).await;
    let to_its_end = async { while stream.chunk().await.expect("a chunk").is_some() {} };
    let ended = tokio::time::timeout(std::time::Duration::from_secs(30), to_its_end).await;
    assert!(ended.is_ok(), "the stream goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_tls_a_key_is_for_this_host_and_for_tls_alone() {
    let world = World::with(|config| config.behind_proxy = true).await;
    let key = world.link("ada", Role::Viewer, &[]).await;
    let mut ada = world.stranger();
    let answer = ada.send("/sign-in/link", &[("key", &key)], &[]).await;
    let set = answer.header("set-cookie");
    assert!(
        set.starts_with("__Host-davylamp=")
            && set.ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure"),
        "{set}"
    );
    assert!(
        answer
            .header("strict-transport-security")
            .starts_with("max-age=")
    );
    ada.cookie = answer.kept("__Host-davylamp").expect("a cookie");
    let csrf = ada.page("/account").await.csrf();
    // One that any host beside this one could have set is none.
    let mut beside = world.stranger();
    beside.cookie = ada.cookie.replace("__Host-", "");
    assert_eq!(beside.get("/").await.status, StatusCode::SEE_OTHER);
    // Of the addresses that a proxy was told, only the one that it saw itself counts.
    let fields = [("csrf", csrf.as_str())];
    let told = [("x-forwarded-for", "198.51.100.7, 203.0.113.9")];
    ada.send("/account/sessions/end-others", &fields, &told)
        .await;
    let again = world
        .store
        .make_link("ada", Timestamp::now())
        .await
        .expect("a link");
    let entered = world
        .stranger()
        .send("/sign-in/link", &[("key", &again)], &told)
        .await;
    ada.cookie = entered.kept("__Host-davylamp").expect("a cookie");
    let page = ada.page("/account").await.body;
    assert!(
        page.contains("203.0.113.9") && !page.contains("198.51.100.7"),
        "{page}"
    );
}
