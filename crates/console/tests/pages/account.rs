//! What people see to themselves: password, second factor, sessions.

use davylamp_console::Role;
use davylamp_ledger::record::Record;
use jiff::Timestamp;
use reqwest::StatusCode;
use totp_rs::{Algorithm, Secret, TOTP};

use crate::world::{Answer, Visitor, World};

const PASSWORD: &str = "the lamp burns at three";
const OTHER: &str = "another sentence of hers";

/// The code of a secret, so many steps of 30 seconds from now.
fn code(secret: &str, steps: i64) -> String {
    let bytes = Secret::Encoded(secret.to_owned())
        .to_bytes()
        .expect("bytes");
    let totp = TOTP::new_unchecked(Algorithm::SHA1, 6, 0, 30, bytes, None, String::new());
    let at = Timestamp::now().as_second() + steps * 30;
    totp.generate(at.unsigned_abs())
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let (_, rest) = text
        .split_once(from)
        .unwrap_or_else(|| panic!("no {from} in {text}"));
    rest.split(to).next().expect("a part")
}

async fn signed_in(world: &World, name: &str, password: &str, code: &str) -> Visitor {
    let mut visitor = world.stranger();
    let answer = visitor.sign_in(name, password, code).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    visitor.take(&answer);
    visitor
}

/// Sets a second factor up as somebody would, and gives its secret and the recovery codes.
async fn with_factor(visitor: &mut Visitor, password: &str) -> (String, Vec<String>) {
    let begun = visitor
        .submit("/account/factor", &[("password", password)])
        .await;
    assert_eq!(begun.location(), "/account/factor", "{}", begun.body);
    let page = visitor.page("/account/factor").await.body;
    assert!(
        page.contains("<svg") && page.contains("otpauth://totp/Davylamp:"),
        "{page}"
    );
    let secret = between(&page, "secret=", "&").to_owned();
    let grouped = between(&page, "<code class=\"secret\">", "<").replace(' ', "");
    assert_eq!(grouped, secret);
    let confirmed = visitor
        .submit("/account/factor/confirm", &[("code", &code(&secret, 0))])
        .await;
    assert_eq!(confirmed.status, StatusCode::OK, "{}", confirmed.body);
    visitor.take(&confirmed);
    (secret, codes(&confirmed))
}

fn codes(answer: &Answer) -> Vec<String> {
    let list = between(&answer.body, "<ul class=\"plain\">", "</ul>");
    let codes: Vec<String> = list
        .split("<code>")
        .skip(1)
        .map(|rest| rest.split('<').next().expect("a code").to_owned())
        .collect();
    assert_eq!(codes.len(), 10, "{list}");
    codes
}

async fn settings(world: &World) -> Vec<(String, String)> {
    let records = world.entries("setting").await;
    records
        .into_iter()
        .map(|record| match record {
            Record::Setting(setting) => (setting.name, setting.to.unwrap_or_default().to_string()),
            other => panic!("{other:?}"),
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_changes_their_password_and_other_sessions_end() {
    let world = World::new().await;
    world.person("ada", Role::Viewer, PASSWORD).await;
    let mut here = signed_in(&world, "ada", PASSWORD, "").await;
    let there = signed_in(&world, "ada", PASSWORD, "").await;
    let change = |old: &'static str, new: &'static str, again: &'static str| {
        [("old", old), ("new", new), ("again", again)]
    };
    for (fields, told) in [
        (
            change("wrong", OTHER, OTHER),
            "present password is another one",
        ),
        (change("", OTHER, OTHER), "present password is another one"),
        (
            change(PASSWORD, OTHER, "something else here"),
            "two new passwords differ",
        ),
        (change(PASSWORD, "short", "short"), "fewer than 15"),
        (
            change(PASSWORD, "passwordpassword1", "passwordpassword1"),
            "tried first",
        ),
    ] {
        let answer = here.submit("/account/password", &fields).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{fields:?}");
        assert!(answer.body.contains(told), "{}", answer.body);
    }
    assert!(settings(&world).await.is_empty());
    let before = (here.cookie.clone(), here.page("/account").await.csrf());
    let answer = here
        .submit("/account/password", &change(PASSWORD, OTHER, OTHER))
        .await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    // The key that was, and the forms that it had, are worth nothing.
    assert_eq!(here.get("/").await.status, StatusCode::SEE_OTHER);
    here.take(&answer);
    let after = (here.cookie.clone(), here.page("/account").await.csrf());
    assert!(
        before.0 != after.0 && before.1 != after.1,
        "{before:?} {after:?}"
    );
    assert_eq!(there.get("/").await.status, StatusCode::SEE_OTHER, "ended");
    let refused = world.stranger().sign_in("ada", PASSWORD, "").await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    signed_in(&world, "ada", OTHER, "").await;
    assert_eq!(
        settings(&world).await,
        [("person/ada/password".to_owned(), "\"changed\"".to_owned())]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_guesses_a_present_password_is_slowed_down() {
    let world = World::new().await;
    world.person("ada", Role::Viewer, PASSWORD).await;
    let ada = signed_in(&world, "ada", PASSWORD, "").await;
    let mut last = StatusCode::OK;
    for _ in 0..6 {
        let fields = [("old", "wrong"), ("new", OTHER), ("again", OTHER)];
        last = ada.submit("/account/password", &fields).await.status;
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_factor_is_set_up_asked_for_and_taken_away() {
    factor_comes_and_goes(&World::new().await).await;
}

pub async fn factor_comes_and_goes(world: &World) {
    world.person("ada", Role::Viewer, PASSWORD).await;
    let mut ada = signed_in(world, "ada", PASSWORD, "").await;
    let there = signed_in(world, "ada", PASSWORD, "").await;
    let refused = ada
        .submit("/account/factor", &[("password", "wrong")])
        .await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    let early = ada
        .submit("/account/factor/confirm", &[("code", "123456")])
        .await;
    assert_eq!(early.status, StatusCode::BAD_REQUEST);
    let (secret, recovery) = with_factor(&mut ada, PASSWORD).await;
    assert_eq!(there.get("/").await.status, StatusCode::SEE_OTHER, "ended");
    assert_eq!(
        ada.page("/account")
            .await
            .body
            .matches("<strong>10</strong>")
            .count(),
        1
    );
    // Neither the secret nor a code is shown or written anywhere again.
    let entries = world.ledger.entries_since(0, 100).await.expect("entries");
    let all: String = entries
        .iter()
        .filter_map(|entry| entry.body.as_deref())
        .collect();
    for path in ["/account", "/account/factor", "/"] {
        let page = ada.get(path).await.body;
        for secret in recovery.iter().chain([&secret]) {
            assert!(!page.contains(secret) && !all.contains(secret), "{path}");
        }
    }
    let visitor = world.stranger();
    for wrong in ["", &code(&secret, 5), &code(&secret, 0)] {
        // The last one was used to set it up.
        let answer = visitor.sign_in("ada", PASSWORD, wrong).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{wrong}");
    }
    let next = code(&secret, 1);
    signed_in(world, "ada", PASSWORD, &next).await;
    let again = visitor.sign_in("ada", PASSWORD, &next).await;
    assert_eq!(again.status, StatusCode::UNAUTHORIZED, "each counts once");
    // A recovery code, as somebody types it; once.
    let typed = recovery[3].to_lowercase().replace(' ', "-");
    signed_in(world, "ada", PASSWORD, &typed).await;
    let again = visitor.sign_in("ada", PASSWORD, &typed).await;
    assert_eq!(again.status, StatusCode::UNAUTHORIZED, "each counts once");
    assert!(
        ada.page("/account")
            .await
            .body
            .contains("<strong>9</strong>")
    );
    // Other codes: the old ones are gone.
    let made = ada
        .submit("/account/factor/codes", &[("code", &recovery[0])])
        .await;
    let fresh = codes(&made);
    let old = ada
        .submit("/account/factor/remove", &[("code", &recovery[1])])
        .await;
    assert_eq!(old.status, StatusCode::BAD_REQUEST, "{}", old.body);
    let removed = ada
        .submit("/account/factor/remove", &[("code", &fresh[0])])
        .await;
    assert_eq!(removed.status, StatusCode::SEE_OTHER, "{}", removed.body);
    ada.take(&removed);
    assert!(
        ada.page("/account")
            .await
            .body
            .contains("You have none: whoever knows")
    );
    signed_in(world, "ada", PASSWORD, "").await;
    let names: Vec<String> = settings(world)
        .await
        .into_iter()
        .map(|(name, to)| format!("{name} {to}"))
        .collect();
    assert_eq!(
        names,
        [
            "person/ada/second-factor \"removed\"",
            "person/ada/recovery-code \"used\"",
            "person/ada/recovery-codes \"made\"",
            "person/ada/recovery-code \"used\"",
            "person/ada/recovery-code \"used\"",
            "person/ada/second-factor \"set\"",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_takes_a_lost_factor_away_and_nobody_elses() {
    let world = World::new().await;
    world.person("ada", Role::Viewer, PASSWORD).await;
    let mut ada = signed_in(&world, "ada", PASSWORD, "").await;
    with_factor(&mut ada, PASSWORD).await;
    let admin = world.visitor("abe", Role::Admin, &[]).await;
    let other = world.visitor("rae", Role::Responder, &[]).await;
    let path = "/settings/people/factor";
    assert_eq!(
        other.submit(path, &[("name", "ada")]).await.status,
        StatusCode::FORBIDDEN
    );
    for name in ["abe", "rae", "nobody"] {
        let answer = admin.submit(path, &[("name", name)]).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{name}");
    }
    let answer = admin.submit(path, &[("name", "ada")]).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    assert_eq!(
        ada.get("/").await.status,
        StatusCode::SEE_OTHER,
        "signed out"
    );
    signed_in(&world, "ada", PASSWORD, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_factor_is_asked_for_nothing_else_is_there_before_it() {
    let world = World::with(|config| config.require_second_factor = true).await;
    world.person("ada", Role::Admin, PASSWORD).await;
    let mut ada = signed_in(&world, "ada", PASSWORD, "").await;
    for path in [
        "/",
        "/incidents",
        "/settings",
        "/live/stream",
        "/findings/1",
    ] {
        let answer = ada.get(path).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{path}");
        assert_eq!(answer.location(), "/account?needed=1#factor", "{path}");
    }
    let fields = [("name", "new"), ("role", "admin")];
    let answer = ada.submit("/settings/people", &fields).await;
    assert_eq!(answer.location(), "/account?needed=1#factor");
    assert!(
        ada.page("/account?needed=1")
            .await
            .body
            .contains("asks for a second factor")
    );
    with_factor(&mut ada, PASSWORD).await;
    ada.page("/settings").await;
    // A link comes from the console's own machine.
    let by_link = world.visitor("abe", Role::Viewer, &[]).await;
    by_link.page("/").await;
}

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
