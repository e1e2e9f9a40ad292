//! Signing in by a real OpenID provider on this machine.

use std::path::PathBuf;

use davylamp_console::Role;
use davylamp_ledger::record::Record;
use davylamp_testkit::oidc::{CLIENT_ID, CLIENT_SECRET, Does, Provider};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::world::{Answer, Visitor, World};

pub struct House {
    pub world: World,
    pub provider: Provider,
    _secret: tempfile::NamedTempFile,
}

/// A console that knows a provider, which knows ada of the group `ops`.
async fn house() -> House {
    house_on(None).await
}

/// The same, on a database of somebody else's.
pub async fn house_on(database: Option<String>) -> House {
    let provider = Provider::start();
    let secret = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(secret.path(), format!("{CLIENT_SECRET}\n")).expect("written");
    let world = World::with(|config| {
        if let Some(database) = database {
            config.database = database;
        }
        config.oidc.issuer = provider.issuer().to_owned();
        config.oidc.client_id = CLIENT_ID.to_owned();
        config.oidc.client_secret_file = PathBuf::from(secret.path());
        config.oidc.label = "Sign in with the mine".to_owned();
        config.oidc.groups = [
            "ops=responder:hub-a,hub-b",
            "lamps=admin",
            "visitors=viewer:hub-a",
        ]
        .map(str::to_owned)
        .to_vec();
    })
    .await;
    let redirect = format!("{}/sign-in/provider/back", world.base());
    provider.tell(json!({ "redirect": redirect })).await;
    provider.person("4711", ada(&["ops"])).await;
    House {
        world,
        provider,
        _secret: secret,
    }
}

fn ada(groups: &[&str]) -> Value {
    json!({"preferred_username": "ada", "groups": groups})
}

impl House {
    /// Begins: the browser that does, and where it is sent.
    async fn begin(&self, back: &str) -> (Visitor, String) {
        let mut browser = self.world.stranger();
        let answer = browser.get(&format!("/sign-in/provider?back={back}")).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
        browser.cookie = answer.kept("davylamp-crossing").expect("a cookie");
        (browser, answer.location().to_owned())
    }

    /// Where the provider sends the browser back to: a path of the console.
    async fn visit(&self, to: &str, does: Does<'_>) -> String {
        let at = self.provider.visit(to, does).await;
        let path = at
            .strip_prefix(&self.world.base())
            .expect("the console's address");
        path.to_owned()
    }

    pub async fn sign_in(&self, login: &str) -> (Visitor, Answer) {
        let (mut browser, to) = self.begin("%2Fincidents").await;
        let path = self.visit(&to, Does::SignsIn(login)).await;
        let answer = browser.get(&path).await;
        if let Some(cookie) = answer.kept("davylamp") {
            browser.cookie = cookie;
        }
        (browser, answer)
    }

    async fn refused(&self, login: &str, status: StatusCode, told: &str) {
        let (_, answer) = self.sign_in(login).await;
        assert_eq!(answer.status, status, "{}", answer.body);
        assert!(answer.body.contains(told), "{told}: {}", answer.body);
        assert!(answer.kept("davylamp").is_none(), "{told}: a session");
    }

    async fn settings(&self) -> Vec<Value> {
        let records = self.world.entries("setting").await;
        let values = records.into_iter().map(|record| match record {
            Record::Setting(setting) => json!([setting.name, setting.to, setting.by]),
            other => panic!("{other:?}"),
        });
        values.collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_is_made_at_their_first_sign_in_and_follows_their_groups() {
    let house = house().await;
    let page = house
        .world
        .stranger()
        .page("/sign-in?back=%2Fqueue")
        .await
        .body;
    assert!(
        page.contains("Sign in with the mine") && page.contains("/sign-in/provider?back=%2Fqueue"),
        "{page}"
    );
    let (browser, answer) = house.sign_in("4711").await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    assert_eq!(answer.location(), "/incidents");
    assert!(answer.headers.get_all("set-cookie").iter().any(|value| {
        value
            .to_str()
            .expect("text")
            .starts_with("davylamp-crossing=;")
    }));
    let page = browser.page("/").await.body;
    assert!(
        page.contains("responder") && page.contains("hub-b"),
        "{page}"
    );
    let made = json!(["person/ada", {"role": "responder", "clusters": ["hub-a", "hub-b"], "disabled": false}, "oidc"]);
    assert_eq!(house.settings().await, std::slice::from_ref(&made));
    // Again, nothing new; with another group and claims in the token, another role.
    house.sign_in("4711").await;
    assert_eq!(house.settings().await, std::slice::from_ref(&made));
    house
        .provider
        .tell(json!({"inline": true, "people": {"4711": ada(&["lamps", "ops"])}}))
        .await;
    let (admin, _) = house.sign_in("4711").await;
    admin.page("/settings").await;
    assert_eq!(
        browser.get("/").await.status,
        StatusCode::SEE_OTHER,
        "the narrower session ended"
    );
    let changed =
        json!(["person/ada", {"role": "admin", "clusters": [], "disabled": false}, "oidc"]);
    assert_eq!(house.settings().await, [changed, made]);
    // Another name at the provider is the same person; another subject is not.
    house
        .provider
        .person(
            "4711",
            json!({"preferred_username": "ada.new", "groups": ["lamps"]}),
        )
        .await;
    let (again, _) = house.sign_in("4711").await;
    assert!(again.page("/account").await.body.contains("<bdi>ada</bdi>"));
    house.provider.person("666", ada(&["lamps"])).await;
    house
        .refused(
            "666",
            StatusCode::FORBIDDEN,
            "somebody else here of your name",
        )
        .await;
    // Out of every group, and out of every session.
    house.provider.person("4711", ada(&["cooks"])).await;
    house
        .refused("4711", StatusCode::FORBIDDEN, "none of your groups")
        .await;
    for session in [&again, &admin] {
        assert_eq!(session.get("/").await.status, StatusCode::SEE_OTHER);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_of_the_consoles_own_is_never_taken_over() {
    let house = house().await;
    let local = house.world.visitor("Ada", Role::Admin, &[]).await;
    house
        .refused(
            "4711",
            StatusCode::FORBIDDEN,
            "somebody else here of your name",
        )
        .await;
    let person = house
        .world
        .store
        .person("Ada")
        .await
        .expect("asked")
        .expect("somebody");
    assert_eq!(person.role, Role::Admin);
    local.page("/settings").await;
    for (name, told) in [
        ("terminal", "no name"),
        ("a\u{202e}b", "no name"),
        ("", "no name"),
    ] {
        house
            .provider
            .person("9", json!({"preferred_username": name, "groups": ["ops"]}))
            .await;
        house.refused("9", StatusCode::FORBIDDEN, told).await;
    }
    house
        .provider
        .person(
            "9",
            json!({"email": "a@x.example", "email_verified": false, "groups": ["ops"]}),
        )
        .await;
    house.refused("9", StatusCode::FORBIDDEN, "no name").await;
    assert_eq!(house.world.store.people().await.expect("people").len(), 1);
    assert!(house.settings().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_a_provider_vouches_for_has_no_other_way_in() {
    let house = house().await;
    let (browser, _) = house.sign_in("4711").await;
    let page = browser.page("/account").await.body;
    assert!(
        page.contains("By your organisation") && !page.contains("/account/password"),
        "{page}"
    );
    let fields = [
        ("new", "a sentence of her own"),
        ("again", "a sentence of her own"),
    ];
    let answer = browser.submit("/account/password", &fields).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(
        browser.submit("/account/factor", &[]).await.status,
        StatusCode::BAD_REQUEST
    );
    // Not even where somebody at the terminal gave them a password.
    let mut person = house
        .world
        .store
        .person("ada")
        .await
        .expect("asked")
        .expect("somebody");
    person.password =
        Some(davylamp_console::hash_password("a sentence of her own").expect("a digest"));
    house
        .world
        .store
        .change_person(&person, jiff::Timestamp::now())
        .await
        .expect("changed");
    let answer = house
        .world
        .stranger()
        .sign_in("ada", "a sentence of her own", "")
        .await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    // Disabled here is disabled, whatever the provider says.
    person.disabled = true;
    house
        .world
        .store
        .change_person(&person, jiff::Timestamp::now())
        .await
        .expect("changed");
    house
        .refused("4711", StatusCode::FORBIDDEN, "has disabled you")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_is_ended_once_and_by_the_browser_that_began_it() {
    let house = house().await;
    let (browser, to) = house.begin("%2F").await;
    for part in [
        "code_challenge_method=S256",
        "state=",
        "nonce=",
        "response_type=code",
    ] {
        assert!(to.contains(part), "{to}");
    }
    let path = house.visit(&to, Does::SignsIn("4711")).await;
    let denied = |answer: Answer, what: &str| {
        assert_eq!(
            answer.status,
            StatusCode::UNAUTHORIZED,
            "{what}: {}",
            answer.body
        );
        assert!(answer.kept("davylamp").is_none(), "{what}");
    };
    // Another browser, without a cookie and with one of its own.
    denied(house.world.stranger().get(&path).await, "without a cookie");
    let (other, _) = house.begin("%2F").await;
    denied(other.get(&path).await, "of another browser");
    denied(other.get(&path).await, "of another browser, again");
    let answer = browser.get(&path).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    denied(browser.get(&path).await, "used");
    // A code that was used, in a sign-in of its own: the provider knows.
    let (fresh, to) = house.begin("%2F").await;
    let second = house.visit(&to, Does::SignsIn("4711")).await;
    let code = |path: &str| {
        path.split("code=")
            .nth(1)
            .expect("a code")
            .split('&')
            .next()
            .expect("a code")
            .to_owned()
    };
    denied(
        fresh
            .get(&second.replace(&code(&second), &code(&path)))
            .await,
        "a used code",
    );
    // A state that was changed ends the sign-in.
    let (fresh, to) = house.begin("%2F").await;
    let path = house.visit(&to, Does::SignsIn("4711")).await;
    denied(
        fresh.get(&path.replace("state=", "state=x")).await,
        "another state",
    );
    denied(fresh.get(&path).await, "after another state");
    // The answer of another provider (RFC 9207).
    let (fresh, to) = house.begin("%2F").await;
    let path = house.visit(&to, Does::SignsIn("4711")).await;
    denied(
        fresh.get(&path.replace("iss=http", "iss=https")).await,
        "another issuer",
    );
    // Whose time is over.
    let (fresh, to) = house.begin("%2F").await;
    let path = house.visit(&to, Does::SignsIn("4711")).await;
    sqlx::query("UPDATE console_crossing SET until = 1")
        .execute(house.world.ledger.database())
        .await
        .expect("aged");
    denied(fresh.get(&path).await, "too late");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_with_one_thing_wrong_lets_nobody_in() {
    let house = house().await;
    for twist in [
        "nonce", "audience", "issuer", "expired", "none", "hs256", "stranger", "userinfo",
    ] {
        house.provider.tell(json!({ "twist": twist })).await;
        house
            .refused("4711", StatusCode::UNAUTHORIZED, "cannot be believed")
            .await;
        assert!(
            house.world.store.people().await.expect("people").is_empty(),
            "{twist}"
        );
    }
    // The same provider, honest again.
    house.provider.tell(json!({"twist": ""})).await;
    let (browser, _) = house.sign_in("4711").await;
    browser.page("/").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_algorithm_counts_and_keys_may_change() {
    let house = house().await;
    for alg in ["RS256", "PS256", "ES256", "ES384", "EdDSA"] {
        house.provider.tell(json!({ "alg": alg })).await;
        let (_, answer) = house.sign_in("4711").await;
        assert_eq!(
            answer.status,
            StatusCode::SEE_OTHER,
            "{alg}: {}",
            answer.body
        );
    }
    // The provider's own client settings say that a shared secret signs: not here.
    house.provider.tell(json!({"alg": "HS256"})).await;
    house
        .refused("4711", StatusCode::UNAUTHORIZED, "cannot be believed")
        .await;
    house
        .provider
        .tell(json!({"alg": "RS256", "rotate": true}))
        .await;
    // Keys are not asked for again at once: until then nobody gets in by keys that are not known.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(40);
    loop {
        let (_, answer) = house.sign_in("4711").await;
        if answer.status == StatusCode::SEE_OTHER {
            break;
        }
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{}", answer.body);
        assert!(
            std::time::Instant::now() < deadline,
            "the new keys are never taken"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_down_or_says_no_is_told() {
    let house = house().await;
    let (browser, to) = house.begin("%2F").await;
    let path = house.visit(&to, Does::Declines).await;
    assert!(path.contains("error=access_denied"), "{path}");
    let answer = browser.get(&path).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(answer.body.contains("you said no there"), "{}", answer.body);
    let (browser, to) = house.begin("%2F").await;
    let path = house.visit(&to, Does::SignsIn("4711")).await;
    house.provider.tell(json!({"twist": "down"})).await;
    let answer = browser.get(&path).await;
    assert_eq!(
        answer.status,
        StatusCode::SERVICE_UNAVAILABLE,
        "{}",
        answer.body
    );
    // A console that has not heard of it yet.
    let other = World::with(|config| {
        config.oidc.issuer = house.provider.issuer().to_owned();
        config.oidc.client_id = CLIENT_ID.to_owned();
        config.oidc.groups = vec!["ops=viewer".to_owned()];
    })
    .await;
    let answer = other.stranger().get("/sign-in/provider").await;
    assert_eq!(
        answer.status,
        StatusCode::SERVICE_UNAVAILABLE,
        "{}",
        answer.body
    );
    assert!(answer.body.contains("cannot be reached"), "{}", answer.body);
    // And one that knows none.
    let none = World::new().await;
    for path in ["/sign-in/provider", "/sign-in/provider/back?code=x&state=y"] {
        assert_eq!(
            none.stranger().get(path).await.status,
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
}
