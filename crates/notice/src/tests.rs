use std::sync::Arc;

use davylamp_model::ids::{AccountId, Region};
use davylamp_testkit::mail::{MailFault, MailSink};
use davylamp_testkit::webhook::{Scripted, WebhookSink};

use super::*;
mod shown;

/// A notice of which every value was written by an attacker.
fn hostile() -> Notice {
    let mut notice = Notice::new(
        Kind::Report,
        Severity::High,
        "miner by bob\r\nBcc: victim@example.org\r\n\r\n<script>alert(1)</script>",
        "2026-11-20T12:00:00Z".parse().expect("a time"),
    )
    .about(
        IncidentId::from("inc-0123456789abcdef"),
        Place {
            account: AccountId::from("123456789012"),
            region: Region::from("eu-central-1"),
        },
    );
    notice.found = vec![
        "process <img src=x onerror=alert(1)> of \u{202e}nimda".to_owned(),
        "domain <!channel> @everyone *bold* `code` &amp; bob@example.org".to_owned(),
        "\u{1b}[2Jname with \u{0} and\nline".to_owned(),
        "x".repeat(700),
    ];
    notice.done = vec!["user bob of the Hub stopped".to_owned()];
    notice.not_done = vec![NotDone {
        what: "terminate i-0123456789abcdef0".to_owned(),
        why: "termination protection is on, and <b>nobody</b> allowed to lift it".to_owned(),
    }];
    notice.waiting = vec!["snapshot snap-0123456789abcdef0: 40 %".to_owned()];
    notice.who = vec![
        "i-0123456789abcdef0 -> claim-bob (tag kubernetes.io/created-for/pvc/name)".to_owned(),
    ];
    notice.cost = vec!["3.06 USD an hour since 10:00".to_owned()];
    notice.next = vec![NextStep {
        what: "allow what cannot be undone".to_owned(),
        command: Some("davy respond approve inc-0123456789abcdef".to_owned()),
    }];
    notice.links = vec![
        Link {
            label: "the \"finding\"".to_owned(),
            url: "https://console.aws.amazon.com/guardduty/?x=\"><script>".to_owned(),
        },
        Link {
            label: "no link".to_owned(),
            url: "javascript:alert(1)".to_owned(),
        },
    ];
    notice
}

/// What became of a notice.
#[derive(Debug)]
struct Delivery {
    tries: u32,
    result: Result<(), SendError>,
}

/// Sends it as its callers do: what may be repeated is, twice at most.
async fn deliver(channel: &dyn Notifier, notice: &Notice) -> Delivery {
    let mut tries = 0;
    loop {
        tries += 1;
        let result = channel.send(notice).await;
        let again = result.as_ref().is_err_and(SendError::is_transient) && tries < 3;
        if !again {
            return Delivery { tries, result };
        }
    }
}

/// What a digest says of a notice.
fn summary(notice: &Notice) -> Summary {
    Summary {
        incident: notice.incident.clone(),
        kind: notice.kind,
        severity: notice.severity,
        place: notice.place.clone(),
        title: notice.title.clone(),
        done: notice.done.len(),
        not_done: notice.not_done.len(),
        waiting: notice.waiting.len(),
    }
}

fn smtp(sink: &MailSink) -> Smtp {
    let server = Server::parse(&format!("smtp://127.0.0.1:{}", sink.port()), None).expect("good");
    let to = ["admins@example.org".to_owned()];
    let failures = ["oncall@example.org".to_owned()];
    Smtp::new(&server, "davylamp@example.org", &to, &failures).expect("good addresses")
}

#[tokio::test]
async fn mail_arrives_whole_and_nothing_is_injected() {
    let sink = MailSink::start([]);
    smtp(&sink).send(&hostile()).await.expect("it is sent");
    let mails = sink.mails();
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].from, "davylamp@example.org");
    assert_eq!(mails[0].to, ["admins@example.org"]);
    let headers = mails[0].headers();
    let names: Vec<&str> = headers
        .iter()
        .filter_map(|header| header.split(':').next())
        .collect();
    assert!(!names.contains(&"Bcc"), "{headers:#?}");
    for wanted in ["Message-ID", "References", "Auto-Submitted", "Subject"] {
        assert!(names.contains(&wanted), "{wanted} in {headers:#?}");
    }
    assert!(mails[0].text.contains("multipart/alternative"));
    assert!(mails[0].text.contains("text/html"));
}

#[tokio::test]
async fn a_failure_goes_to_those_who_get_failures() {
    let sink = MailSink::start([]);
    let mut notice = hostile();
    notice.kind = Kind::Failure;
    smtp(&sink).send(&notice).await.expect("it is sent");
    assert_eq!(sink.mails()[0].to, ["oncall@example.org"]);
    // In a storm it is part of a digest, which both get.
    let mut digest = Notice::new(Kind::Digest, notice.severity, "2 incidents", notice.at);
    digest.incidents = [notice, hostile()].iter().map(summary).collect();
    smtp(&sink).send(&digest).await.expect("it is sent");
    assert_eq!(
        sink.mails()[1].to,
        ["admins@example.org", "oncall@example.org"]
    );
}

#[tokio::test]
async fn mail_is_repeated_where_that_may_help_and_only_there() {
    let busy = || MailFault::Reject(451, "4.3.0 later".to_owned());
    let sink = MailSink::start([MailFault::Drop, busy()]);
    let delivery = deliver(&smtp(&sink), &hostile()).await;
    assert_eq!((delivery.tries, &delivery.result), (3, &Ok(())));
    assert_eq!(sink.mails().len(), 1);

    let sink = MailSink::start([MailFault::Reject(550, "5.1.1 nobody".to_owned())]);
    let delivery = deliver(&smtp(&sink), &hostile()).await;
    assert_eq!(delivery.tries, 1);
    let error = delivery.result.as_ref().expect_err("refused").to_string();
    assert!(error.contains("nobody"), "{error}");
}

#[tokio::test]
async fn a_repeated_mail_has_the_same_id() {
    let sink = MailSink::start([MailFault::DropAfterData]);
    let delivery = deliver(&smtp(&sink), &hostile()).await;
    assert_eq!(delivery.result, Ok(()));
    let ids: Vec<String> = sink.mails().iter().flat_map(message_id).collect();
    assert_eq!(ids.len(), 2);
    assert_eq!(ids[0], ids[1]);
}

fn message_id(mail: &davylamp_testkit::mail::Mail) -> Option<String> {
    mail.headers()
        .into_iter()
        .find(|header| header.starts_with("Message-ID:"))
}

#[tokio::test]
async fn a_login_is_used_and_never_told() {
    let sink = MailSink::with_login([], Some(("davy@example.org", "correct horse")));
    let address = format!("smtp://davy%40example.org@127.0.0.1:{}", sink.port());
    for (password, works) in [("correct horse", true), ("wrong staple", false)] {
        let server = Server::parse(&address, Some(password)).expect("good");
        let to = ["admins@example.org".to_owned()];
        let channel = Smtp::new(&server, "davylamp@example.org", &to, &[]).expect("good");
        let result = channel.send(&hostile()).await;
        assert_eq!(result.is_ok(), works, "{result:?}");
        let printed = format!("{channel:?} {server:?} {result:?}");
        assert!(!printed.contains(password), "{printed}");
    }
    assert_eq!(sink.mails().len(), 1);
}

#[tokio::test]
async fn without_starttls_no_mail_leaves_the_machine() {
    let sink = MailSink::start([]);
    let mut server =
        Server::parse(&format!("smtp://mail.example.org:{}", sink.port()), None).expect("good");
    assert_eq!(server.encryption, Encryption::StartTls);
    server.host = "127.0.0.1".to_owned();
    let to = ["admins@example.org".to_owned()];
    let channel = Smtp::new(&server, "davylamp@example.org", &to, &[]).expect("good");
    assert!(channel.send(&hostile()).await.is_err());
    assert_eq!(sink.mails(), []);
}

#[test]
fn addresses_of_mail_servers() {
    let parsed = |address: &str| {
        Server::parse(address, Some("secret")).map(|it| (it.host, it.port, it.encryption))
    };
    let host = || "mail.example.org".to_owned();
    assert_eq!(
        parsed("smtps://u@mail.example.org"),
        Ok((host(), 465, Encryption::Tls))
    );
    assert_eq!(
        parsed("smtp://mail.example.org"),
        Ok((host(), 587, Encryption::StartTls))
    );
    assert_eq!(
        parsed("smtp://[::1]:2525"),
        Ok(("::1".to_owned(), 2525, Encryption::None))
    );
    for wrong in [
        "mail.example.org",
        "http://mail.example.org",
        "smtp://",
        "smtps://u:secret@mail.example.org",
    ] {
        let error = parsed(wrong).expect_err(wrong);
        assert!(!error.to_string().contains("secret"));
    }
}

#[tokio::test]
async fn a_webhook_is_repeated_after_a_server_error_and_signed() {
    let sink = WebhookSink::start([Scripted::Status(500, "oops".to_owned())]);
    let channel = Webhook::new(&sink.url("/hook/token123"), Some("shared secret")).expect("good");
    let delivery = deliver(&channel, &hostile()).await;
    assert_eq!((delivery.tries, &delivery.result), (2, &Ok(())));
    let hooks = sink.hooks();
    assert_eq!(hooks.len(), 2);
    assert_eq!(hooks[0].body, hooks[1].body);
    assert_eq!(
        hooks[0].header(SIGNATURE_HEADER),
        Some(signature("shared secret", &hooks[0].body).as_str())
    );
    let document = hooks[0].json();
    assert_eq!(document["id"], hostile().id());
    assert_eq!(document["thread"], "inc-0123456789abcdef");
    let back: Notice = serde_json::from_value(document["notice"].clone()).expect("a notice");
    assert_eq!(back, hostile());
}

#[test]
fn the_signature_is_hmac_sha256() {
    // RFC 4231, test case 2.
    assert_eq!(
        signature("Jefe", b"what do ya want for nothing?"),
        "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    );
}

#[tokio::test]
async fn one_channel_that_fails_stops_no_other_and_tells_no_secret() {
    let forbidden = "no: /hook/token123 and shared secret are not known".to_owned();
    let broken = WebhookSink::start([Scripted::Status(403, forbidden)]);
    let elsewhere = WebhookSink::start([]);
    let moved = WebhookSink::start([Scripted::Redirect(elsewhere.url("/stolen"))]);
    let gone = WebhookSink::start([Scripted::Drop, Scripted::Drop, Scripted::Drop]);
    let good = WebhookSink::start([]);
    let webhook = Webhook::new(&broken.url("/hook/token123"), Some("shared secret"));
    let all: [Arc<dyn Notifier>; 4] = [
        Arc::new(webhook.expect("good")),
        Arc::new(Slack::new(&moved.url("/services/T0/B0/token123")).expect("good")),
        Arc::new(PagerDuty::at(&gone.url("/enqueue"), "routing-token123").expect("good")),
        Arc::new(Slack::new(&good.url("/services/T0/B0/token123")).expect("good")),
    ];
    let notice = hostile();
    let sent = all.iter().map(|channel| deliver(channel.as_ref(), &notice));
    let deliveries = futures::future::join_all(sent).await;
    let tries: Vec<u32> = deliveries.iter().map(|it| it.tries).collect();
    assert_eq!(tries, [1, 1, 3, 1]);
    assert!(matches!(
        deliveries[0].result,
        Err(SendError::Refused { .. })
    ));
    assert!(matches!(
        deliveries[1].result,
        Err(SendError::Refused { .. })
    ));
    assert!(matches!(
        deliveries[2].result,
        Err(SendError::Transient { .. })
    ));
    assert_eq!(deliveries[3].result, Ok(()));
    assert_eq!(good.hooks().len(), 1);
    assert_eq!(elsewhere.hooks().len(), 0);
    let printed = format!("{deliveries:?}");
    for secret in ["token123", "shared secret"] {
        assert!(!printed.contains(secret), "{printed}");
    }
    for channel in &all {
        assert!(!channel.name().contains("token123"));
    }
}

#[test]
fn addresses_in_the_clear_are_refused_without_being_repeated() {
    for address in [
        "http://hooks.example.org/token123",
        "http://127.0.0.1.example.org/token123",
        "ftp://127.0.0.1/token123",
        "token123",
        "",
    ] {
        let error = Slack::new(address).expect_err(address);
        assert!(!error.to_string().contains("token123"), "{error}");
    }
}
