//! What a reader gets to see.

use serde_json::Value;

use super::*;

#[test]
fn as_text() {
    insta::assert_snapshot!("hostile_text", to_text(&hostile()));
}

#[test]
fn as_html() {
    insta::assert_snapshot!("hostile_html", to_html(&hostile()).replace("><", ">\n<"));
}

#[test]
fn as_chat_blocks() {
    insta::assert_json_snapshot!("hostile_slack", slack::message(&hostile()));
}

#[test]
fn as_an_event() {
    insta::assert_json_snapshot!("hostile_pagerduty", pagerduty::event(&hostile(), "ROUTING"));
}

#[test]
fn as_a_card() {
    insta::assert_json_snapshot!("hostile_teams", teams::message(&hostile()));
}

#[test]
fn a_card_is_text_and_stays_small() {
    let mut storm = huge();
    storm.links = vec![storm.links[0].clone(); 50];
    // Every encoding makes this longer.
    let long = "\u{e0001}<&>@\"\\`\u{202e}é日\n".repeat(60);
    let mut wide = huge();
    for list in [
        &mut wide.found,
        &mut wide.done,
        &mut wide.waiting,
        &mut wide.who,
        &mut wide.cost,
    ] {
        *list = vec![long.clone(); 500];
    }
    wide.title.clone_from(&long);
    wide.next = vec![
        NextStep {
            what: long.clone(),
            command: Some(long.clone()),
        };
        500
    ];
    wide.not_done = vec![
        NotDone {
            what: long.clone(),
            why: long.clone(),
        };
        500
    ];
    wide.links.extend(vec![
        Link {
            label: long.clone(),
            url: format!("https://example.org/{long}"),
        };
        500
    ]);
    for notice in [hostile(), huge(), storm, wide] {
        let message = teams::message(&notice);
        assert!(
            message.to_string().len() <= 20_000,
            "{}",
            message.to_string().len()
        );
        let card = &message["attachments"][0]["content"];
        let body = card["body"].as_array().expect("a body");
        // A text block or a fact would read Markdown.
        assert!(body.iter().all(|block| block["type"] == "RichTextBlock"));
        let actions = card["actions"].as_array().expect("a link");
        let is_link = |action: &Value| {
            action["url"]
                .as_str()
                .is_some_and(|url| url.starts_with("https://"))
        };
        assert!(
            actions.len() <= 6 && actions.iter().all(is_link),
            "{actions:?}"
        );
    }
    assert!(teams::message(&huge()).to_string().contains("… and 49"));
}

#[test]
fn subjects_are_one_visible_line() {
    let mut notice = hostile();
    notice.title = format!("a\r\nb\u{2028}c\u{85}d {}", "é".repeat(400));
    let subject = subject(&notice);
    assert!(subject.chars().all(|c| !c.is_control() && c != '\u{2028}'));
    assert!(subject.chars().count() < 300);
}

/// A notice that is too long everywhere.
fn huge() -> Notice {
    let mut notice = hostile();
    let long = "<&>@x ".repeat(2000);
    notice.title.clone_from(&long);
    notice.found = vec![long.clone(); 5000];
    notice.done.clone_from(&notice.found);
    notice.who.clone_from(&notice.found);
    notice
}

#[test]
fn what_is_too_long_is_cut_and_counted() {
    let text = to_text(&huge());
    assert!(text.len() < 256 * 1024, "{}", text.len());
    assert!(text.contains("… and 4940 more"));
    assert!(text.contains("(and 11400 more characters)"));
    assert!(to_html(&huge()).contains("… and 4940 more"));
}

#[test]
fn chat_keeps_to_its_limits() {
    let message = slack::message(&huge());
    let blocks = message["blocks"].as_array().expect("blocks");
    assert!(blocks.len() <= 50);
    let length = |text: &Value| {
        text["text"]["text"]
            .as_str()
            .map_or(0, |it| it.chars().count())
    };
    assert!(length(&blocks[0]) <= 150);
    assert!(blocks[1..].iter().all(|block| length(block) <= 3000));
    assert!(
        message["text"]
            .as_str()
            .is_some_and(|text| text.len() < 40_000)
    );
    assert!(message.to_string().contains("more characters)"));
    let event = pagerduty::event(&huge(), "ROUTING").to_string();
    assert!(event.len() < 512 * 1024, "{}", event.len());
}

#[test]
fn ids_differ_by_content_and_repeat_for_the_same() {
    let mut other = hostile();
    assert_eq!(hostile().id(), other.id());
    other.done.push("more".to_owned());
    assert_ne!(hostile().id(), other.id());
    assert_eq!(hostile().thread(), other.thread());
}

#[test]
fn what_is_over_ends_the_alert_that_it_began() {
    let mut notice = hostile();
    let begun = pagerduty::event(&notice, "ROUTING");
    notice.is_over = true;
    let ended = pagerduty::event(&notice, "ROUTING");
    assert_eq!(
        (&begun["event_action"], &ended["event_action"]),
        (&"trigger".into(), &"resolve".into())
    );
    assert_eq!(begun["dedup_key"], ended["dedup_key"]);
}
