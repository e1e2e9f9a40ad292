//! Who sees and may do what.

use davylamp_console::Role;
use davylamp_ledger::Taken;
use davylamp_ledger::record::{IncidentNo, Note, Record};
use jiff::Timestamp;
use reqwest::{Method, StatusCode};

use crate::world::{World, finding};

/// Forms, with fields that would change something.
const FORMS: [(&str, &[(&str, &str)]); 20] = [
    (
        "/incidents/1/cost",
        &[
            ("low", "1"),
            ("high", "2"),
            ("hour", "1"),
            ("prices", "of today"),
        ],
    ),
    ("/incidents/1/plan", &[("nth", "0")]),
    ("/incidents/1/plan/approve", &[("plan", "3")]),
    ("/incidents/1/plan/run", &[("plan", "3"), ("nth", "0")]),
    ("/incidents/1/plan/undo", &[("plan", "3"), ("nth", "0")]),
    ("/incidents/1/job/withdraw", &[("job", "3")]),
    (
        "/hunts",
        &[
            ("hunt", "dns-pool-name"),
            ("nonce", "aaaaaaaaaaaaaaaaaaaaaa"),
        ],
    ),
    ("/hunts/withdraw", &[("job", "3")]),
    (
        "/posture/accept",
        &[
            ("run", "3"),
            ("outcome", "0"),
            ("days", "7"),
            ("reason", "x"),
        ],
    ),
    ("/posture/withdraw", &[("entry", "3")]),
    (
        "/blocklists/change",
        &[("list", "bannedCommandStrings: [x1y2z3]"), ("days", "7")],
    ),
    (
        "/incidents/1/state",
        &[("state", "contained"), ("reason", "because")],
    ),
    ("/incidents/1/owner", &[("step", "take")]),
    ("/incidents/1/clock", &[("tick", "due"), ("within", "4")]),
    ("/incidents/1/note", &[("text", "something")]),
    ("/settings/people", &[("name", "new"), ("role", "viewer")]),
    (
        "/settings/people/change",
        &[("name", "zoe"), ("role", "admin")],
    ),
    ("/settings/people/link", &[("name", "zoe")]),
    ("/settings/tokens", &[("name", "new"), ("cluster", "hub-a")]),
    ("/settings/tokens/revoke", &[("name", "old")]),
];

async fn world() -> World {
    let world = World::new().await;
    let opened = world
        .deliver(vec![finding(1, "eve", "hub-a", Taken::Killed, 5)])
        .await
        .opened;
    assert_eq!(opened, [IncidentNo(1)]);
    world.link("zoe", Role::Viewer, &[]).await;
    let token = world
        .store
        .add_token("old", "hub-a", &["events:write"], Timestamp::now())
        .await;
    token.expect("a token");
    world
}

async fn unchanged(world: &World, head: i64, people: usize, what: &str) {
    assert_eq!(world.head().await, head, "{what}");
    assert_eq!(
        world.store.people().await.expect("people").len(),
        people,
        "{what}"
    );
    let tokens = world.store.tokens().await.expect("tokens");
    assert!(tokens.len() == 1 && !tokens[0].revoked, "{what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_asked_to_sign_in_and_come_back() {
    let world = world().await;
    let stranger = world.stranger();
    for path in [
        "/",
        "/incidents/1?order=oldest",
        "/live/stream",
        "/settings",
        "/ledger",
    ] {
        let answer = stranger.get(path).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{path}");
        assert!(
            answer.location().starts_with("/sign-in?back=%2F"),
            "{}",
            answer.location()
        );
    }
    for back in [
        "//elsewhere.example",
        "https://elsewhere.example",
        "/\\elsewhere.example",
    ] {
        let back: String = back.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let page = stranger.page(&format!("/sign-in?back={back}")).await.body;
        assert!(!page.contains("elsewhere"), "{page}");
    }
    let head = world.head().await;
    for (path, fields) in FORMS {
        let answer = stranger.send(path, fields, &[]).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{path}");
    }
    unchanged(&world, head, 1, "a stranger").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_does_what_it_may_and_nothing_else() {
    let world = world().await;
    let viewer = world.visitor("vic", Role::Viewer, &[]).await;
    let responder = world.visitor("rae", Role::Responder, &[]).await;
    let head = world.head().await;
    for (visitor, path, fields) in FORMS
        .iter()
        .map(|(path, fields)| (&viewer, path, fields))
        .chain(
            FORMS[15..]
                .iter()
                .map(|(path, fields)| (&responder, path, fields)),
        )
    {
        let answer = visitor.submit(path, fields).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
        assert!(
            answer.body.contains("You may not do this"),
            "{}",
            answer.body
        );
        unchanged(&world, head, 3, path).await;
    }
    for visitor in [&viewer, &responder] {
        assert_eq!(visitor.get("/settings").await.status, StatusCode::FORBIDDEN);
        assert!(!visitor.page("/").await.body.contains("href=\"/settings\""));
    }
    let page = viewer.page("/incidents/1").await.body;
    assert!(!page.contains("action=\"/incidents/1/state\""), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_of_elsewhere_changes_nothing() {
    let world = world().await;
    let admin = world.visitor("ada", Role::Admin, &[]).await;
    let other = world.visitor("abe", Role::Admin, &[]).await;
    let (mine, others) = (admin.page("/").await.csrf(), other.page("/").await.csrf());
    let own = world.base();
    let head = world.head().await;
    for (path, fields) in FORMS {
        let with = |csrf: &'static str| -> Vec<(&str, &str)> {
            fields.iter().copied().chain([("csrf", csrf)]).collect()
        };
        let good: Vec<(&str, &str)> = fields
            .iter()
            .copied()
            .chain([("csrf", mine.as_str())])
            .collect();
        let foreign: Vec<(&str, &str)> = fields
            .iter()
            .copied()
            .chain([("csrf", others.as_str())])
            .collect();
        for (what, fields, headers, status) in [
            (
                "none",
                fields.to_vec(),
                vec![],
                StatusCode::UNPROCESSABLE_ENTITY,
            ),
            ("empty", with(""), vec![], StatusCode::FORBIDDEN),
            ("wrong", with("wrong"), vec![], StatusCode::FORBIDDEN),
            ("another's", foreign, vec![], StatusCode::FORBIDDEN),
            (
                "foreign origin",
                good.clone(),
                vec![("origin", "https://elsewhere.example")],
                StatusCode::FORBIDDEN,
            ),
            (
                "no origin",
                good.clone(),
                vec![("origin", "null")],
                StatusCode::FORBIDDEN,
            ),
            (
                "cross-site",
                good,
                vec![("origin", own.as_str()), ("sec-fetch-site", "cross-site")],
                StatusCode::FORBIDDEN,
            ),
        ] {
            let answer = admin.send(path, &fields, &headers).await;
            assert_eq!(answer.status, status, "{path} {what}: {}", answer.body);
            unchanged(&world, head, 3, what).await;
        }
    }
    let answer = admin.ask(Method::POST, "/incidents/1/state").await;
    assert!(answer.status.is_client_error(), "{}", answer.status);
    unchanged(&world, head, 3, "no form").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_out_of_scope_is_not_there() {
    let world = World::new().await;
    let mine = world
        .deliver(vec![finding(1, "mineuser", "hub-a", Taken::Killed, 5)])
        .await;
    let theirs = world
        .deliver(vec![finding(2, "secretuser", "hub-b", Taken::Missed, 4)])
        .await;
    // One more across both: the same user's pod in two clusters, tied by an instance.
    let across = world
        .deliver(vec![
            crate::world::on_instance(
                finding(3, "wide-one", "hub-a", Taken::Killed, 3),
                "i-0shared",
                "us-east-1",
            ),
            crate::world::on_instance(
                finding(4, "secretwide", "hub-b", Taken::Killed, 2),
                "i-0shared",
                "us-east-1",
            ),
        ])
        .await;
    let (mine, theirs, across) = (mine.opened[0].0, theirs.opened[0].0, across.opened[0].0);
    let note = Note {
        incident: Some(IncidentNo(across)),
        text: "secretnote".to_owned(),
        by: "ada".to_owned(),
    };
    world
        .ledger
        .record(Record::Note(note), Timestamp::now())
        .await
        .expect("an entry");
    world
        .heartbeat("hub-b", "secretnode", Timestamp::now())
        .await;
    let visitor = world.visitor("rae", Role::Responder, &["hub-a"]).await;
    let wide = format!("/incidents/{across}");
    let seen = visitor.page(&format!("/incidents/{mine}")).await.body;
    assert!(seen.contains("mineuser"), "{seen}");
    let mut pages = vec![wide.clone()];
    pages.extend(
        [
            "/",
            "/incidents",
            "/incidents?state=any",
            "/findings",
            "/findings?cluster=hub-b",
            "/live",
            "/queue",
            "/nodes",
            "/ledger",
            "/posture",
            "/hunts",
            "/hunts/runs",
            "/blocklists",
            "/findings?text=secretuser",
        ]
        .map(str::to_owned),
    );
    for path in pages {
        let page = visitor.page(&path).await.body;
        for secret in [
            "secretuser",
            "secretwide",
            "secretnode",
            "secretnote",
            "hub-b-node",
        ] {
            // What was searched for stands in the field.
            let page = page.replace("value=\"secretuser\"", "");
            assert!(!page.contains(secret), "{path} tells {secret}: {page}");
        }
    }
    let page = visitor.page(&wide).await.body;
    assert!(
        page.contains("not yours to see") && page.contains("wide-one"),
        "{page}"
    );
    assert_eq!(
        visitor.get(&format!("/incidents/{theirs}")).await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        visitor
            .get(&format!("/findings/{}", theirs + 1))
            .await
            .status,
        StatusCode::NOT_FOUND
    );
    let head = world.head().await;
    let answer = visitor
        .submit(&format!("/incidents/{theirs}/note"), &[("text", "x")])
        .await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(world.head().await, head);
    let live = visitor
        .stream_until("/live/stream?after=0", &[], "event: place")
        .await;
    assert!(
        live.contains("mineuser") && !live.contains("secret"),
        "{live}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_may_be_an_account() {
    let world = World::new().await;
    let of = |n: i64, user: &str, cluster: &str, account: &str| {
        let id = format!("i-0{user}");
        let mut reported = crate::world::on_instance(
            finding(n, user, cluster, Taken::Killed, 5),
            &id,
            "us-east-1",
        );
        let place = reported.finding.place.as_mut().expect("a place");
        place.account = account.into();
        reported
    };
    let mine = world
        .deliver(vec![of(1, "mineuser", "", "111122223333")])
        .await
        .opened[0];
    let other = world
        .deliver(vec![of(2, "secretuser", "", "444455556666")])
        .await
        .opened[0];
    // What a cluster reported is of the cluster, wherever that has its machines.
    let hub = world
        .deliver(vec![of(3, "secrethub", "hub-a", "111122223333")])
        .await
        .opened[0];
    let rae = world
        .visitor("rae", Role::Responder, &["account:111122223333"])
        .await;
    let page = rae.page(&format!("/incidents/{}", mine.0)).await.body;
    assert!(
        page.contains("mineuser") && !page.contains("not yours to see"),
        "{page}"
    );
    for path in [
        "/",
        "/incidents",
        "/findings",
        "/findings?cluster=account:111122223333",
        "/findings?cluster=account:444455556666",
        "/live",
        "/ledger",
        "/queue",
    ] {
        let page = rae.page(path).await.body;
        assert!(!page.contains("secret"), "{path}: {page}");
        let is_theirs = !path.contains("4444") && !matches!(path, "/ledger" | "/queue");
        assert!(!is_theirs || page.contains("mineuser"), "{path}: {page}");
    }
    for no in [other.0, hub.0] {
        for path in [format!("/incidents/{no}"), format!("/findings/{}", no + 1)] {
            assert_eq!(rae.get(&path).await.status, StatusCode::NOT_FOUND, "{path}");
        }
    }
    let live = rae
        .stream_until("/live/stream?after=0", &[], "event: place")
        .await;
    assert!(
        live.contains("mineuser") && !live.contains("secret"),
        "{live}"
    );
}
