//! Every route there is, as the program's own text names them: one that is added without being thought of
//! here is tried as well.

use std::collections::BTreeMap;
use std::path::Path;

use davylamp_console::Role;
use davylamp_ledger::Taken;
use davylamp_ledger::record::{Evidence, Record};
use jiff::Timestamp;
use reqwest::{Method, StatusCode};

use crate::world::{Visitor, World, finding};

/// Where a stranger may go: to sign in, to what every page needs, to whether it is well, and to the description
/// of the API, which is in the repository.
const OPEN: [&str; 8] = [
    "/sign-in",
    "/sign-in/link",
    "/sign-in/provider",
    "/sign-in/provider/back",
    "/assets/{name}",
    "/healthz",
    "/readyz",
    "/api/v1/openapi.json",
];
/// Forms that anybody who is signed in may send: they are about themselves alone.
const OWN: [&str; 2] = ["/sign-out", "/account/"];
/// What only an admin may.
const ADMINS: [&str; 1] = ["/settings"];

/// Every route, and whether it takes a form.
fn routes() -> BTreeMap<(String, bool), ()> {
    let mut found = BTreeMap::new();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![source];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("a text");
            for part in text.split(".route(").skip(1) {
                let Some((_, rest)) = part.split_once('"') else {
                    continue;
                };
                let (path, rest) = rest.split_once('"').expect("a path");
                let handlers = rest.split(".route(").next().expect("handlers");
                let handlers = handlers.split('\n').take(4).collect::<String>();
                let handlers = handlers.split(".method_not").next().expect("handlers");
                if !path.starts_with('/') {
                    continue;
                }
                for (word, is_form) in [("get(", false), ("post(", true)] {
                    if handlers.contains(word) {
                        found.insert((path.to_owned(), is_form), ());
                    }
                }
            }
        }
    }
    assert!(found.len() > 25, "{found:?}");
    found
}

/// A route's address, with something in its places.
fn filled(path: &str) -> String {
    path.replace("{no}", "1")
        .replace("{id}", "2")
        .replace("{name}", "x")
        .replace("{job}", "3")
        .replace("{file}", "report.html")
}

async fn furnished() -> World {
    let world = World::new().await;
    let findings = vec![finding(1, "secretuser", "hub-a", Taken::Killed, 5)];
    let no = world.deliver(findings).await.opened[0];
    let evidence = Evidence {
        incident: Some(no),
        what: "secretwhat".to_owned(),
        location: "secretplace".to_owned(),
        sha256: None,
        size_bytes: None,
        custody: "secretcustody".to_owned(),
        by: "secretby".to_owned(),
    };
    let record = Record::Evidence(evidence);
    world
        .ledger
        .record(record, Timestamp::now())
        .await
        .expect("an entry");
    world
        .heartbeat("hub-a", "secretnode", Timestamp::now())
        .await;
    world
}

async fn tried(visitor: &Visitor, path: &str, is_form: bool) -> crate::world::Answer {
    match is_form {
        true => visitor.send(path, &[], &[]).await,
        false => visitor.get(path).await,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_there_for_who_is_not_signed_in() {
    let world = furnished().await;
    let head = world.head().await;
    let gone = world.visitor("gone", Role::Admin, &[]).await;
    gone.submit("/sign-out", &[]).await;
    let real = world.visitor("real", Role::Viewer, &[]).await.cookie;
    let mut strangers = vec![gone.cookie.clone(), String::new()];
    // A key with something changed, cut, doubled, or in another cookie is none.
    let other = if real.ends_with('A') { 'B' } else { 'A' };
    strangers.push(format!("{}{other}", &real[..real.len() - 1]));
    strangers.push(real[..real.len() - 1].to_owned());
    strangers.push(format!("{real}{real}"));
    strangers.push(real.replace("davylamp=", "__Host-davylamp="));
    strangers.push(real.replace("davylamp=", "davylamp-crossing="));
    strangers.push("davylamp=' OR '1'='1".to_owned());
    strangers.push("davylamp=../../etc/passwd; davylamp=".to_owned());
    for ((route, is_form), ()) in routes() {
        if OPEN.contains(&route.as_str()) {
            continue;
        }
        for cookie in &strangers {
            let mut stranger = world.stranger();
            stranger.cookie.clone_from(cookie);
            let path = filled(&route);
            let answer = tried(&stranger, &path, is_form).await;
            let is_shut = match answer.status.as_u16() {
                303 => answer.location().starts_with("/sign-in?back="),
                401 | 403 | 404 => true,
                _ => false,
            };
            assert!(
                is_shut,
                "{route} is open for `{cookie}`: {} {}",
                answer.status, answer.body
            );
            assert!(!answer.body.contains("secret"), "{route}: {}", answer.body);
        }
    }
    assert_eq!(world.head().await, head);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_changes_nothing_and_a_responder_nothing_of_an_admin() {
    let world = furnished().await;
    let viewer = world.visitor("vic", Role::Viewer, &[]).await;
    let responder = world.visitor("rae", Role::Responder, &[]).await;
    let head = world.head().await;
    for ((route, is_form), ()) in routes() {
        let is_own = OWN.iter().any(|own| route.starts_with(own));
        if OPEN.contains(&route.as_str()) || is_own || route.starts_with("/api/") {
            continue;
        }
        let is_admins = ADMINS.iter().any(|admins| route.starts_with(admins));
        for (visitor, is_refused) in [(&viewer, is_form || is_admins), (&responder, is_admins)] {
            if !is_refused {
                continue;
            }
            let path = filled(&route);
            let answer = match is_form {
                true => visitor.submit(&path, &[]).await,
                false => visitor.get(&path).await,
            };
            // A form that lacks its fields is not read, whoever sends it.
            let is_shut = matches!(answer.status.as_u16(), 403 | 422);
            assert!(is_shut, "{route}: {} {}", answer.status, answer.body);
        }
    }
    assert_eq!(world.head().await, head);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_form_has_to_be_of_its_session() {
    let world = furnished().await;
    let admin = world.visitor("ada", Role::Admin, &[]).await;
    let other = world
        .visitor("abe", Role::Admin, &[])
        .await
        .page("/")
        .await
        .csrf();
    let own = admin.page("/").await.csrf();
    let head = world.head().await;
    let base = world.base();
    for ((route, is_form), ()) in routes() {
        if !is_form || OPEN.contains(&route.as_str()) || route.starts_with("/api/") {
            continue;
        }
        let path = filled(&route);
        let with = |csrf| [("csrf", csrf)];
        for (what, fields, headers) in [
            ("none", &[][..], vec![]),
            ("empty", &with("")[..], vec![]),
            ("another's", &with(&other)[..], vec![]),
            ("cut", &with(&own[1..])[..], vec![]),
            (
                "elsewhere",
                &with(&own)[..],
                vec![("origin", "https://elsewhere.example")],
            ),
            ("nowhere", &with(&own)[..], vec![("origin", "null")]),
            (
                "like ours",
                &with(&own)[..],
                vec![("origin", "http://127.0.0.1.elsewhere.example")],
            ),
            (
                "cross-site",
                &with(&own)[..],
                vec![("sec-fetch-site", "cross-site")],
            ),
            (
                "same-site",
                &with(&own)[..],
                vec![("origin", base.as_str()), ("sec-fetch-site", "same-site")],
            ),
        ] {
            let answer = admin.send(&path, fields, &headers).await;
            let is_refused = matches!(answer.status.as_u16(), 403 | 422);
            assert!(
                is_refused,
                "{route}, {what}: {} {}",
                answer.status, answer.body
            );
            assert!(
                answer.body.contains("Nothing was changed"),
                "{}",
                answer.body
            );
        }
        // The field in the address is not the form's.
        let answer = admin.send(&format!("{path}?csrf={own}"), &[], &[]).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{route}");
    }
    assert_eq!(world.head().await, head);
    admin.page("/").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_method_that_a_route_does_not_know_does_nothing() {
    let world = furnished().await;
    let admin = world.visitor("ada", Role::Admin, &[]).await;
    let head = world.head().await;
    let known = routes();
    for ((route, is_form), ()) in &known {
        let path = filled(route);
        let mut methods = vec![Method::PUT, Method::DELETE, Method::PATCH, Method::TRACE];
        if !known.contains_key(&(route.clone(), !is_form)) {
            methods.push(if *is_form { Method::GET } else { Method::POST });
        }
        for method in methods {
            let answer = admin.ask(method.clone(), &path).await;
            let is_refused = matches!(answer.status.as_u16(), 404 | 405);
            assert!(is_refused, "{method} {route}: {}", answer.status);
        }
        // A header that some servers take for the method is none here.
        if !is_form {
            let asked = [
                ("x-http-method-override", "POST"),
                ("x-method-override", "DELETE"),
            ];
            for header in asked {
                let _ = admin.send(&path, &[("_method", "DELETE")], &[header]).await;
            }
        }
    }
    assert_eq!(world.head().await, head);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_host_in_a_request_moves_nothing() {
    let world = furnished().await;
    let admin = world.visitor("ada", Role::Admin, &[]).await;
    let csrf = admin.page("/").await.csrf();
    let evil = "elsewhere.example";
    for header in [
        "host",
        "x-forwarded-host",
        "x-original-url",
        "x-rewrite-url",
        "forwarded",
    ] {
        let fields = [("csrf", csrf.as_str()), ("name", "ada")];
        let answer = admin
            .send("/settings/people/link", &fields, &[(header, evil)])
            .await;
        assert!(!answer.body.contains(evil), "{header}: {}", answer.body);
        assert!(!answer.location().contains(evil), "{header}");
    }
    // The address that is asked for is not taken for another one.
    for path in ["/settings", "/incidents/1"] {
        let stranger = world.stranger();
        for header in ["x-original-url", "x-rewrite-url"] {
            let answer = stranger.send(path, &[], &[(header, "/sign-in")]).await;
            assert_ne!(answer.status, StatusCode::OK, "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_asset_is_one_of_ours_and_nothing_beside_it() {
    let world = World::new().await;
    let stranger = world.stranger();
    for name in [
        "../Cargo.toml",
        "..%2fCargo.toml",
        "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "....//....//etc/passwd",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "console.css%00.html",
        "console.css/",
        "CONSOLE.CSS",
        "console.css%2f..%2fconsole.js",
        "",
        ".",
    ] {
        let answer = raw(&world, &format!("/assets/{name}")).await;
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert!(matches!(status, "404" | "400"), "{name}: {answer}");
        assert!(
            !answer.contains("root:") && !answer.contains("[package]"),
            "{name}"
        );
    }
    let css = stranger.page("/assets/console.css").await;
    assert!(css.header("content-type").starts_with("text/css"));
    assert_eq!(css.header("x-content-type-options"), "nosniff");
}

/// Asks as no library would: with the address just as it is.
async fn raw(world: &World, address: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(world.address)
        .await
        .expect("connected");
    let request = format!("GET {address} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("written");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("read");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_to_go_back_to_is_never_a_header() {
    const PASSWORD: &str = "the lamp burns at three";
    let world = World::new().await;
    world.person("ada", Role::Viewer, PASSWORD).await;
    for back in [
        "/\r\nset-cookie: davylamp=chosen",
        "/x\r\n\r\n<script>alert(1)</script>",
        "//elsewhere.example",
        "/\\elsewhere.example",
        "\\\\elsewhere.example",
        "https://elsewhere.example",
        "/\u{2028}//elsewhere.example",
        " //elsewhere.example",
        "javascript:alert(1)",
        "/sign-out",
    ] {
        let fields = [("name", "ada"), ("password", PASSWORD), ("back", back)];
        let answer = world.stranger().send("/sign-in", &fields, &[]).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{back:?}");
        // What is no text for a header is none of ours to split.
        let to = answer.headers.get("location").expect("a way").as_bytes();
        let to = String::from_utf8_lossy(to).into_owned();
        assert!(
            to == "/" || (to.starts_with('/') && !to.starts_with("//")),
            "{back:?} {to:?}"
        );
        assert!(!to.contains(['\r', '\n', '\\']), "{to:?}");
        assert_eq!(
            answer.headers.get_all("set-cookie").iter().count(),
            1,
            "{back:?}"
        );
        assert!(!answer.header("set-cookie").contains("chosen"), "{back:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_does_not_tell_whether_there_is_somebody_of_a_name() {
    const PASSWORD: &str = "the lamp burns at three";
    let world = World::new().await;
    world.person("ada", Role::Viewer, PASSWORD).await;
    world.link("linked", Role::Viewer, &[]).await;
    world.person("gone", Role::Viewer, PASSWORD).await;
    let mut gone = world
        .store
        .person("gone")
        .await
        .expect("asked")
        .expect("somebody");
    gone.disabled = true;
    world
        .store
        .change_person(&gone, Timestamp::now())
        .await
        .expect("changed");
    let mut answers = Vec::new();
    for (name, password) in [
        ("ada", "wrong"),
        ("nobody", "wrong"),
        ("linked", ""),
        ("gone", PASSWORD),
        ("nobody", PASSWORD),
    ] {
        let answer = world.stranger().sign_in(name, password, "").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{name}");
        assert!(answer.headers.get("set-cookie").is_none(), "{name}");
        answers.push(answer.body);
    }
    assert!(
        answers.windows(2).all(|two| two[0] == two[1]),
        "{answers:?}"
    );
    // Nor does how soon one is slowed down.
    for name in ["ada", "nobody2"] {
        let mut statuses = Vec::new();
        for _ in 0..6 {
            statuses.push(
                world
                    .stranger()
                    .sign_in(name, "wrong", "")
                    .await
                    .status
                    .as_u16(),
            );
        }
        let slowed = statuses.iter().filter(|status| **status == 429).count();
        assert!(slowed >= 1, "{name}: {statuses:?}");
    }
}
