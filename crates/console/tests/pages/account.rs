//! What people see to themselves: password and second factor.

use davylamp_console::Role;
use davylamp_ledger::record::Record;
use jiff::Timestamp;
use reqwest::StatusCode;
use totp_rs::{Algorithm, Secret, TOTP};

use crate::world::{Answer, Visitor, World};

pub const PASSWORD: &str = "the lamp burns at three";
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

pub fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let (_, rest) = text
        .split_once(from)
        .unwrap_or_else(|| panic!("no {from} in {text}"));
    rest.split(to).next().expect("a part")
}

pub async fn signed_in(world: &World, name: &str, password: &str, code: &str) -> Visitor {
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
