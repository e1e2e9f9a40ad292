//! Notices, to receivers that are really there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use davylamp_console::Role;
use davylamp_console::config::{Channel, Config, Kind, Person, Route};
use davylamp_ledger::record::{IncidentNo, Owner, OwnerStep, Record};
use davylamp_ledger::{Ledger, Taken};
use davylamp_notice::{SIGNATURE_HEADER, signature};
use davylamp_testkit::mail::{MailFault, MailSink};
use davylamp_testkit::postgres::Postgres;
use davylamp_testkit::webhook::{Hook, Scripted, WebhookSink};
use jiff::Timestamp;
use reqwest::StatusCode;
use tempfile::TempDir;

use crate::world::{Visitor, World, finding, on_instance, until};

/// A file with a secret, as a source.
pub fn secret(folder: &Path, name: &str, text: &str) -> String {
    let file = folder.join(name);
    std::fs::write(&file, format!("{text}\n")).expect("a file");
    format!("file:{}", file.display())
}

pub fn webhook(name: &str, address: String) -> Channel {
    Channel {
        name: name.to_owned(),
        kind: Kind::Webhook,
        address,
        ..Channel::default()
    }
}

pub fn route(channels: &[&str]) -> Route {
    Route {
        channels: channels.iter().map(|name| (*name).to_owned()).collect(),
        ..Route::default()
    }
}

/// Waits for nothing that a test need not wait for.
pub fn quick(config: &mut Config) {
    config.notices.group_wait_secs = 1;
    config.notices.retry_secs = 1;
    config.url = "https://console.example".to_owned();
}

async fn came(sink: &WebhookSink, n: usize) -> Vec<Hook> {
    until(&format!("{n} requests"), || async {
        sink.hooks().len() >= n
    })
    .await;
    sink.hooks()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_is_told_once_through_every_channel_and_no_secret_is_shown() {
    let folder = TempDir::new().expect("a folder");
    let (hook, slack, teams, pager) = (
        WebhookSink::start([]),
        WebhookSink::start([]),
        WebhookSink::start([]),
        WebhookSink::start([]),
    );
    let mail = MailSink::start([]);
    let source = |name: &str, text: &str| secret(folder.path(), name, text);
    let channels = vec![
        Channel {
            secret: source("hook-key", "sesame-signs"),
            ..webhook("machine", source("hook", &hook.url("/sesame-hook")))
        },
        Channel {
            kind: Kind::Slack,
            ..webhook("chat", source("slack", &slack.url("/sesame-slack")))
        },
        Channel {
            kind: Kind::Teams,
            ..webhook("teams", source("teams", &teams.url("/sesame-teams")))
        },
        Channel {
            name: "pager".to_owned(),
            kind: Kind::Pagerduty,
            secret: source("pager", "sesame-routing"),
            endpoint: pager.url("/v2/enqueue"),
            ..Channel::default()
        },
        Channel {
            name: "mail".to_owned(),
            kind: Kind::Smtp,
            server: format!("smtp://127.0.0.1:{}", mail.port()),
            from: "davylamp@example.org".to_owned(),
            to: vec!["admins@example.org".to_owned()],
            ..Channel::default()
        },
    ];
    let world = World::with(|config| {
        quick(config);
        config.notices.channels = channels;
        config.notices.routes = vec![
            route(&["machine", "chat", "teams", "pager", "mail"]),
            // The same receiver by a second way is told once.
            route(&["machine"]),
            Route {
                severity: "critical".to_owned(),
                clusters: vec!["hub-z".to_owned()],
                ..route(&["chat"])
            },
        ];
    })
    .await;
    world
        .deliver(vec![finding(1, "eve", "hub-a", Taken::Missed, 0)])
        .await;
    let hooks = came(&hook, 1).await;
    assert_eq!(
        hooks[0].header(SIGNATURE_HEADER),
        Some(signature("sesame-signs", &hooks[0].body).as_str())
    );
    let told = hooks[0].json();
    let title = told["notice"]["title"].as_str().expect("a title");
    assert_eq!(
        title,
        "#1 missed a kill, opened: Missed a process that matched a banned string: pool.example"
    );
    assert_eq!(
        told["notice"]["links"][0]["url"],
        "https://console.example/incidents/1"
    );
    for sink in [&slack, &teams, &pager] {
        let body = String::from_utf8(came(sink, 1).await[0].body.clone()).expect("text");
        assert!(
            body.contains("https://console.example/incidents/1"),
            "{body}"
        );
    }
    assert_eq!(
        pager.hooks()[0].json()["dedup_key"],
        "incident-1@console.example"
    );
    until("a mail", || async { !mail.mails().is_empty() }).await;
    let admin = world.visitor("ada", Role::Admin, &[]).await;
    let sent = || async {
        let page = admin.page("/settings/notices?state=sent").await.body;
        page.matches("badge state-closed").count() == 5
    };
    until("all five are noted", sent).await;
    let again = vec![finding(2, "eve", "hub-a", Taken::Killed, 0)];
    world.deliver(again).await;
    for path in ["/settings/notices", "/incidents/1", "/settings", "/ledger"] {
        let page = admin.page(path).await.body;
        assert!(!page.contains("sesame"), "{path}: {page}");
    }
    let page = admin.page("/incidents/1").await.body;
    let (_, line) = page.split_once("id=\"told\"").expect("a line");
    let line = line.split("</p>").next().expect("an end");
    for name in ["machine", "chat", "teams", "pager", "mail"] {
        assert!(line.contains(name), "{name}: {line}");
    }
    assert!(line.contains("ago") || line.contains("now"), "{line}");
    assert_eq!(
        [&hook, &slack, &teams, &pager].map(|sink| sink.hooks().len()),
        [1; 4],
        "one more finding of it is nothing new"
    );
    assert_eq!(mail.mails().len(), 1);
    world.end().await;
}

/// A console with one webhook.
async fn with_one(folder: &TempDir, sink: &WebhookSink, change: impl FnOnce(&mut Config)) -> World {
    let address = secret(folder.path(), "address", &sink.url("/hook/sesame"));
    World::with(|config| {
        quick(config);
        config.notices.channels = vec![webhook("machine", address)];
        config.notices.routes = vec![route(&["machine"])];
        change(config);
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_go_out_is_tried_again_with_the_same_id() {
    let folder = TempDir::new().expect("a folder");
    let sink = WebhookSink::start([
        Scripted::Status(500, "broken".to_owned()),
        Scripted::Status(429, "slowly".to_owned()),
        Scripted::Drop,
    ]);
    let world = with_one(&folder, &sink, |_| {}).await;
    world
        .deliver(vec![finding(1, "eve", "hub-a", Taken::Killed, 0)])
        .await;
    let admin = world.visitor("ada", Role::Admin, &[]).await;
    came(&sink, 1).await;
    let fails = || async {
        let page = admin.page("/incidents/1").await.body;
        page.contains("failed 1 time") && page.contains("tries again")
    };
    let seen = || async { fails().await || sink.hooks().len() > 1 };
    until("it is seen to fail", seen).await;
    let hooks = came(&sink, 4).await;
    let bodies: BTreeSet<&Vec<u8>> = hooks.iter().map(|hook| &hook.body).collect();
    assert_eq!((hooks.len(), bodies.len()), (4, 1));
    let sent = || async {
        let page = admin
            .page("/settings/notices?state=sent&incident=1")
            .await
            .body;
        page.contains("data-label=\"Tries\">4<")
    };
    until("it is noted", sent).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_given_up_and_a_person_may_have_it_tried_again() {
    let folder = TempDir::new().expect("a folder");
    let sink = WebhookSink::start([Scripted::Status(403, "no /hook/sesame here".to_owned())]);
    let world = with_one(&folder, &sink, |_| {}).await;
    world
        .deliver(vec![finding(1, "eve", "hub-a", Taken::Killed, 0)])
        .await;
    let admin = world.visitor("ada", Role::Admin, &[]).await;
    let failed = || async {
        let page = admin
            .page("/settings/notices?state=failed&channel=machine")
            .await
            .body;
        page.contains("webhook refuses: 403") && !page.contains("sesame")
    };
    until("it is given up", failed).await;
    let page = admin.page("/incidents/1").await.body;
    assert!(page.contains("and was given up"), "{page}");
    let list = admin.page("/settings/notices?state=failed").await.body;
    let (_, rest) = list.split_once("name=\"id\" value=\"").expect("a button");
    let id = rest.split('"').next().expect("an id").to_owned();
    let again = "/settings/notices/again";
    let answer = admin.submit(again, &[("id", &id)]).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    let hooks = came(&sink, 2).await;
    assert_eq!(hooks[0].body, hooks[1].body);
    let sent = || async {
        let page = admin.page("/settings/notices?state=sent").await.body;
        page.contains(&id) || page.contains("data-label=\"Tries\">2<")
    };
    until("it went out", sent).await;
    let gone = admin.submit(again, &[("id", &id)]).await;
    assert_eq!(gone.status, StatusCode::BAD_REQUEST);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_hangs_holds_up_no_other() {
    let folder = TempDir::new().expect("a folder");
    let (sink, mail) = (
        WebhookSink::start([]),
        MailSink::start([MailFault::Slow(Duration::from_secs(600))]),
    );
    let world = with_one(&folder, &sink, |config| {
        config.notices.channels.insert(
            0,
            Channel {
                name: "mail".to_owned(),
                kind: Kind::Smtp,
                server: format!("smtp://127.0.0.1:{}", mail.port()),
                from: "davylamp@example.org".to_owned(),
                to: vec!["admins@example.org".to_owned()],
                ..Channel::default()
            },
        );
        config.notices.routes = vec![route(&["mail", "machine"])];
    })
    .await;
    for n in 1..4 {
        let user = format!("user-{n}");
        world
            .deliver(vec![finding(n, &user, "hub-a", Taken::Killed, 0)])
            .await;
        came(&sink, usize::try_from(n).expect("small")).await;
    }
    assert_eq!(mail.mails().len(), 0, "it hangs still");
    drop(mail);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_are_a_digest_and_a_channel_takes_so_many_an_hour() {
    let folder = TempDir::new().expect("a folder");
    let sink = WebhookSink::start([]);
    let world = with_one(&folder, &sink, |config| {
        config.notices.digest_above = 3;
        config.notices.channels[0].per_hour = 2;
    })
    .await;
    let storm = |from: i64| {
        (from..from + 10).map(|n| finding(n, &format!("user-{n}"), "hub-a", Taken::Killed, 0))
    };
    world.deliver(storm(0).collect()).await;
    let told = came(&sink, 1).await[0].json();
    assert_eq!(told["notice"]["kind"], "digest");
    assert_eq!(told["notice"]["title"], "10 incidents: 10 × opened");
    assert_eq!(
        told["notice"]["incidents"].as_array().map(Vec::len),
        Some(10)
    );
    world
        .deliver(vec![finding(100, "one", "hub-a", Taken::Killed, 0)])
        .await;
    came(&sink, 2).await;
    // Its two turns are gone: what comes now waits, and is seen to.
    world.deliver(storm(200).collect()).await;
    let admin = world.visitor("ada", Role::Admin, &[]).await;
    let held = || async {
        let page = admin.page("/settings/notices").await.body;
        page.contains("10 held back")
    };
    until("they are held back", held).await;
    assert_eq!(sink.hooks().len(), 2);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_concerned_is_told_at_their_own_address_and_no_more_than_is_theirs() {
    let folder = TempDir::new().expect("a folder");
    let (team, sams, raes) = (
        WebhookSink::start([]),
        WebhookSink::start([]),
        WebhookSink::start([]),
    );
    let person = |name: &str, sink: &WebhookSink| Person {
        name: name.to_owned(),
        webhook: secret(folder.path(), name, &sink.url("/own")),
        ..Person::default()
    };
    let people = vec![person("sam", &sams), person("rae", &raes)];
    let world = with_one(&folder, &team, |config| {
        config.notices.people = people;
        config.notices.routes = vec![Route {
            to: "owner".to_owned(),
            ..route(&["machine"])
        }];
    })
    .await;
    // An incident of two clusters, of which sam may see one.
    let on_one = |n, cluster| {
        let found = finding(n, "eve", cluster, Taken::Killed, 1);
        on_instance(found, "i-0123456789abcdef0", "eu-central-1")
    };
    world
        .deliver(vec![on_one(1, "hub-a"), on_one(2, "hub-b")])
        .await;
    let rae = world.visitor("rae", Role::Responder, &[]).await;
    world.visitor("sam", Role::Responder, &["hub-a"]).await;
    rae.submit("/incidents/1/owner", &[("step", "take")]).await;
    let told = came(&raes, 1).await[0].json();
    assert!(
        told["text"].as_str().expect("text").contains("rae owns it"),
        "{told}"
    );
    rae.submit("/incidents/1/owner", &[("step", "delegate"), ("to", "sam")])
        .await;
    let told = came(&sams, 1).await[0].json().to_string();
    assert!(told.contains("#1 handed on: across clusters"), "{told}");
    assert!(
        !told.contains("Killed a process") && !told.contains("hub-b"),
        "{told}"
    );
    assert_eq!((team.hooks().len(), raes.hooks().len()), (0, 1));
    // Who has no address is not passed over in silence.
    let owner = Record::Owner(Owner {
        incident: IncidentNo(1),
        step: OwnerStep::Delegated,
        owner: "nomad".to_owned(),
        by: "sam".to_owned(),
    });
    world
        .ledger
        .record(owner, Timestamp::now())
        .await
        .expect("taken");
    let admin = world.visitor("ada", Role::Admin, &[]).await;
    let seen = || async {
        let page = admin.page("/settings/notices").await.body;
        page.contains("nomad has no address for webhook")
    };
    until("it is seen that nomad has none", seen).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_goes_out_for_an_admin_alone_and_is_written_down() {
    let folder = TempDir::new().expect("a folder");
    let sink = WebhookSink::start([]);
    let world = with_one(&folder, &sink, |_| {}).await;
    let path = "/settings/notices/test";
    let fields = [("channel", "machine")];
    for role in [Role::Viewer, Role::Responder] {
        let visitor = world.visitor(role.as_str(), role, &[]).await;
        let page = visitor.get("/settings/notices").await;
        assert_eq!(page.status, StatusCode::FORBIDDEN);
        let csrf = visitor.page("/incidents").await.csrf();
        for path in [path, "/settings/notices/again"] {
            let fields = [("channel", "machine"), ("id", "x"), ("csrf", &csrf)];
            let answer = visitor.send(path, &fields, &[]).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
        }
    }
    let admin: Visitor = world.visitor("ada", Role::Admin, &[]).await;
    let forged = admin
        .send(path, &[fields[0], ("csrf", "guessed")], &[])
        .await;
    assert_eq!(forged.status, StatusCode::FORBIDDEN);
    let unknown = admin.submit(path, &[("channel", "none")]).await;
    assert_eq!(unknown.status, StatusCode::BAD_REQUEST);
    assert_eq!(sink.hooks().len(), 0);
    let answer = admin.submit(path, &fields).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    let told = came(&sink, 1).await[0].json();
    assert!(
        told["text"]
            .as_str()
            .expect("text")
            .contains("ada asked for it")
    );
    let entries = world.ledger.entries_since(0, 500).await.expect("entries");
    let noted = |name: &str| {
        let body = |entry: &davylamp_ledger::Entry| entry.body.clone().unwrap_or_default();
        entries
            .iter()
            .filter(|entry| body(entry).contains(name))
            .count()
    };
    assert_eq!(noted("channel/machine/test"), 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_attackers_named_is_text_in_every_notice_and_on_the_page() {
    const EVIL: &str = "<script>alert(1)</script>\r\nBcc: victim@example.org\r\n\r\n<!channel> [x](https://evil.example) \u{202e}\"'>";
    let folder = TempDir::new().expect("a folder");
    let (chat, mail) = (WebhookSink::start([]), MailSink::start([]));
    let world = with_one(&folder, &chat, |config| {
        config.notices.channels[0].kind = Kind::Slack;
        config.notices.channels.push(Channel {
            name: "mail".to_owned(),
            kind: Kind::Smtp,
            server: format!("smtp://127.0.0.1:{}", mail.port()),
            from: "davylamp@example.org".to_owned(),
            to: vec!["admins@example.org".to_owned()],
            ..Channel::default()
        });
        config.notices.routes = vec![route(&["machine", "mail"])];
    })
    .await;
    let mut evil = finding(1, EVIL, EVIL, Taken::Missed, 0);
    evil.finding.title = EVIL.to_owned();
    world.deliver(vec![evil]).await;
    let body = String::from_utf8(came(&chat, 1).await[0].body.clone()).expect("text");
    assert!(
        !body.contains("<!channel>") && !body.contains("<script>"),
        "{body}"
    );
    until("a mail", || async { !mail.mails().is_empty() }).await;
    let headers = mail.mails()[0].headers();
    assert!(
        headers.iter().all(|header| !header.starts_with("Bcc")),
        "{headers:?}"
    );
    let mails = mail.mails();
    let (_, page) = mails[0]
        .text
        .split_once("Content-Type: text/html")
        .expect("a page");
    assert!(!page.contains("<script>"), "{page}");
    let admin = world.visitor("ada", Role::Admin, &[]).await;
    let told = || async {
        admin
            .page("/settings/notices")
            .await
            .body
            .contains("badge state-closed")
    };
    until("it is on the page", told).await;
    for path in ["/settings/notices", "/incidents/1"] {
        let page = admin.page(path).await.body;
        assert!(
            !page.contains("<script>alert") && !page.contains('\u{202e}'),
            "{path}: {page}"
        );
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_there_before_anybody_is_told_is_no_news() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("ledger.db");
    let database = format!("sqlite://{}", file.display());
    let options = davylamp_ledger::Options::default();
    let ledger = Ledger::open(&database, &options).await.expect("a ledger");
    let old =
        davylamp_ledger::Input::Finding(Box::new(finding(1, "old", "hub-a", Taken::Killed, 9)));
    ledger
        .deliver(None, &[old], Timestamp::now())
        .await
        .expect("taken");
    let sink = WebhookSink::start([]);
    let secrets = TempDir::new().expect("a folder");
    let address = secret(secrets.path(), "address", &sink.url("/hook"));
    let world = World::set(&database, folder, |config| {
        quick(config);
        config.notices.channels = vec![webhook("machine", address)];
        config.notices.routes = vec![route(&["machine"])];
    })
    .await;
    world
        .deliver(vec![finding(2, "new", "hub-a", Taken::Killed, 0)])
        .await;
    came(&sink, 1).await;
    let titles: Vec<String> = sink
        .hooks()
        .iter()
        .map(|hook| hook.json().to_string())
        .collect();
    assert!(
        titles.iter().all(|title| !title.contains("/incidents/1\"")),
        "{titles:?}"
    );
    world.end().await;
}

/// The incidents that notices tell of as opened, by the notices' ids.
pub fn opened(hooks: &[Hook]) -> BTreeMap<String, BTreeSet<String>> {
    let mut told: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for hook in hooks {
        let document = hook.json();
        let id = document["id"].as_str().expect("an id").to_owned();
        let notice = &document["notice"];
        let summaries = notice["incidents"].as_array().expect("a list");
        let incidents = match summaries.is_empty() {
            true => vec![notice["incident"].as_str().expect("an incident").to_owned()],
            false => summaries
                .iter()
                .map(|one| one["incident"].as_str().expect("an incident").to_owned())
                .collect(),
        };
        told.insert(id, incidents.into_iter().collect());
    }
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn two_consoles_on_one_postgresql_tell_once() {
    let server = Postgres::start();
    let database = server.database();
    let folder = TempDir::new().expect("a folder");
    let sink = WebhookSink::start([Scripted::Status(503, "later".to_owned())]);
    let address = secret(folder.path(), "address", &sink.url("/hook"));
    let change = |config: &mut Config| {
        quick(config);
        config.notices.channels = vec![webhook("machine", address.clone())];
        config.notices.routes = vec![route(&["machine"])];
        config.notices.channels[0].per_hour = 3600;
        config.notices.digest_above = 1000;
    };
    let one = World::set(&database, TempDir::new().expect("a folder"), change).await;
    let two = World::set(&database, TempDir::new().expect("a folder"), change).await;
    for wave in 0..4_i64 {
        let findings = (0..5).map(|n| {
            let n = wave * 100 + n;
            finding(n, &format!("user-{n}"), "hub-a", Taken::Killed, 0)
        });
        one.deliver(findings.collect()).await;
    }
    let told = || async {
        let told = opened(&sink.hooks());
        told.values().flatten().collect::<BTreeSet<_>>().len() == 20
    };
    until("twenty incidents are told", told).await;
    let admin = two.visitor("ada", Role::Admin, &[]).await;
    let sent = || async {
        let page = admin.page("/settings/notices?state=sent").await.body;
        page.matches("badge state-closed").count() == 20
    };
    until("all are noted", sent).await;
    let told = opened(&sink.hooks());
    assert_eq!(told.len(), 20, "each in one notice: {told:?}");
    // One was asked to come again.
    assert_eq!(sink.hooks().len(), 21);
    one.end().await;
    two.end().await;
}
