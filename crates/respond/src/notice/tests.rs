use std::time::Duration;

use davylamp_model::finding::Severity;
use davylamp_model::ids::{AccountId, IncidentId, Region};
use davylamp_model::resource::Place;
use davylamp_notice::{
    Kind, Link, Notice, Notifier, Server, Smtp, pagerduty, slack, subject, teams, to_html, to_text,
    webhook,
};
use davylamp_testkit::mail::{MailFault, MailSink};

use super::aws::{ascii_subject, sns_message};
use super::*;
use crate::actuator::{ActError, Acting};
use crate::clock::SystemClock;
use crate::tell::patience::{Delivery, Patience, Patient};

mod cloud;
mod storm;

/// A notice that an attacker had a hand in.
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
    notice.found = vec!["process <img src=x onerror=alert(1)> of \u{202e}nimda".to_owned()];
    notice
}

fn quick() -> Patience {
    Patience {
        tries: 3,
        first_pause: Duration::from_millis(5),
        each: Duration::from_secs(10),
        ..Patience::default()
    }
}

/// Sends it as a run does.
async fn deliver(channel: &dyn Notifier, notice: &Notice, patience: Patience) -> Delivery {
    let send = || -> Acting<'_, ()> { Box::pin(async { Ok(channel.send(notice).await?) }) };
    Patient::new(&SystemClock, patience, None)
        .deliver(channel.name(), send)
        .await
}

#[tokio::test]
async fn a_channel_that_does_not_answer_does_not_hold_up() {
    let sink = MailSink::start([MailFault::Slow(Duration::from_secs(60))]);
    let server = Server::parse(&format!("smtp://127.0.0.1:{}", sink.port()), None).expect("good");
    let to = ["admins@example.org".to_owned()];
    let channel = Smtp::new(&server, "davylamp@example.org", &to, &[]).expect("good addresses");
    let patience = Patience {
        tries: 2,
        first_pause: Duration::from_millis(5),
        each: Duration::from_millis(300),
        ..Patience::default()
    };
    let delivery = deliver(&channel, &hostile(), patience).await;
    // The second try finds a server that is awake.
    assert_eq!((delivery.tries, &delivery.result), (2, &Ok(())));
}

#[test]
fn subjects_of_topics_are_one_short_line_of_ascii() {
    let mut notice = hostile();
    notice.title = format!("a\r\nb\u{2028}c\u{85}d {}", "é".repeat(400));
    let ascii = ascii_subject(&notice);
    assert!(ascii.is_ascii() && ascii.len() < 100);
}
