//! Five hundred incidents at once: what a digest says, and that each channel takes it.

use std::collections::BTreeMap;

use davylamp_model::finding::{Behaviour, Finding, FindingSource};
use davylamp_model::resource::Resource;
use davylamp_plan::action::Action;
use davylamp_plan::plan::{Attribution, Candidate, Omission, Plan, Stage, Step, StepId};
use serde_json::Value;

use super::*;
use crate::executor::Outcome;
use crate::journal::history::StepState;
use crate::responder::{News, NewsKind};
use crate::tell;

const INCIDENTS: usize = 500;
/// Of these, so many need a person, and one failed.
const ASKING: usize = 20;

/// The news of one incident; `said` stands wherever an attacker may write.
fn news(number: usize, said: &str) -> News {
    let instance = format!("i-{number:017x}");
    let at = "2026-11-20T12:00:00Z".parse().expect("a time");
    let place = Place {
        account: AccountId::from("123456789012"),
        region: Region::from(format!("region-{}", number % 5).as_str()),
    };
    let actions = [
        Action::ProtectInstance {
            instance: instance.as_str().into(),
        },
        Action::TerminateInstance {
            instance: instance.as_str().into(),
        },
        Action::SuspendGroup {
            group: format!("group-{number}").as_str().into(),
        },
    ];
    let done = |note: &str| StepState::Succeeded {
        note: format!("{note} {said}"),
        already: false,
    };
    let states = [
        done("it is protected"),
        StepState::Withheld {
            why: format!("terminate-instance cannot be undone {said}"),
        },
        StepState::Waiting {
            what: format!("number {number} {said}"),
        },
    ];
    let steps: Vec<Step> = actions
        .into_iter()
        .map(|action| Step {
            id: StepId::of(&action),
            stage: Stage::End,
            action,
            why: "it mines".to_owned(),
            only_after: Vec::new(),
            approval: None,
        })
        .collect();
    let outcome = Outcome {
        steps: steps
            .iter()
            .map(|step| step.id.clone())
            .zip(states)
            .collect::<BTreeMap<_, _>>(),
        ..Outcome::default()
    };
    let finding = Finding {
        id: format!("f{number}").as_str().into(),
        source: FindingSource::GuardDuty,
        kind: "CryptoCurrency:EC2/BitcoinTool.B!DNS".to_owned(),
        behaviour: Behaviour::Mining,
        title: said.to_owned(),
        severity: match number {
            7 => Severity::Critical,
            _ => Severity::High,
        },
        place: Some(place.clone()),
        resources: vec![Resource::Instance {
            id: instance.as_str().into(),
        }],
        first_seen: None,
        last_seen: None,
        count: 1,
        sample: false,
        archived: false,
        detector: None,
        observed: Vec::new(),
        gaps: Vec::new(),
    };
    News {
        kind: match number {
            11 => NewsKind::Failure,
            number if number >= INCIDENTS - ASKING => NewsKind::ApprovalNeeded,
            _ => NewsKind::Report,
        },
        at,
        incident: IncidentId(format!("inc-{number:016x}")),
        resource: format!("123456789012/{instance} {said}"),
        plan: Some(Plan {
            incident: IncidentId(format!("inc-{number:016x}")),
            place,
            playbook: "script".to_owned(),
            findings: vec![finding.id.clone()],
            resource: finding.resources[0].clone(),
            made_at: at,
            attribution: Attribution {
                candidates: vec![Candidate {
                    user: "bob".into(),
                    claim: None,
                    confirmed: true,
                    chain: Vec::new(),
                    evidence: vec![said.to_owned()],
                }],
                decided: Some("bob".into()),
                because: format!("bob is the only one everything leads to {said}"),
            },
            steps,
            omissions: vec![Omission {
                what: "copy-evidence".to_owned(),
                target: instance,
                because: "no forensic account is configured".to_owned(),
            }],
            release: None,
            remarks: vec![format!("{}{said}", crate::planning::COST_REMARK)],
            again: false,
            blind: None,
        }),
        findings: vec![finding],
        outcome,
        untold: std::collections::BTreeSet::new(),
        seen_again: false,
        broken: None,
        marks: Vec::new(),
        dry_run: false,
    }
}

fn storm(said: &str) -> Notice {
    let news: Vec<News> = (0..INCIDENTS).map(|number| news(number, said)).collect();
    tell::digest(&news)
}

#[test]
fn it_says_every_incident_once_the_worst_first_and_counts_what_is_the_same() {
    let digest = storm("");
    assert_eq!(digest.kind, Kind::Digest);
    assert_eq!(digest.severity, Severity::Critical);
    assert_eq!(
        digest.title,
        "500 incidents (1 with a failure, 20 waiting for a person) in 123456789012/region-0, \
         123456789012/region-1, 123456789012/region-2 and 2 more"
    );
    let named: std::collections::BTreeSet<_> =
        digest.incidents.iter().map(|it| &it.incident).collect();
    assert_eq!(
        (digest.incidents.len(), named.len()),
        (INCIDENTS, INCIDENTS)
    );
    let order: Vec<_> = digest.incidents.iter().map(|it| it.severity).collect();
    assert!(order.is_sorted_by(|one, other| one >= other));
    let kinds: Vec<Kind> = digest.incidents[1..].iter().map(|it| it.kind).collect();
    assert_eq!(kinds[0], Kind::Failure);
    assert!(
        kinds[1..=ASKING]
            .iter()
            .all(|kind| *kind == Kind::ApprovalNeeded)
    );
    let first = "inc-0000000000000007";
    assert_eq!(
        digest.found,
        [format!(
            "CryptoCurrency:EC2/BitcoinTool.B!DNS, 500 times, such as {first}: \
             CryptoCurrency:EC2/BitcoinTool.B!DNS"
        )]
    );
    assert_eq!(digest.done.len(), 1);
    let done = format!("protect-instance, 500 times, such as {first}: protect-instance instance/");
    assert!(digest.done[0].starts_with(&done), "{:?}", digest.done);
    assert_eq!(digest.waiting.len(), 1);
    assert!(digest.waiting[0].starts_with("suspend-group, 500 times, such as"));
    let reasons: Vec<&str> = digest.not_done.iter().map(|it| it.why.as_str()).collect();
    assert_eq!(
        reasons,
        [
            "no forensic account is configured",
            "terminate-instance cannot be undone "
        ]
    );
    let what = format!("500 things, such as {first}: copy-evidence");
    assert!(digest.not_done[0].what.starts_with(&what));
    assert_eq!(digest.who.len(), 1);
    assert!(digest.who[0].starts_with("bob: bob is the only one everything leads to"));
    assert_eq!(digest.cost.len(), INCIDENTS);
    // One that shows how to read any of them, and one for each that waits for a person.
    assert_eq!(digest.next.len(), 1 + ASKING);
    assert_eq!(
        digest.next[1].command.as_deref(),
        Some("davy respond approve inc-00000000000001e0")
    );
    let other = tell::digest(&[news(1, "")]);
    assert_ne!(digest.thread(), other.thread());
}

/// Long, of characters that each encoding makes longer: escapes, HTML, JSON, chat.
fn hostile_text() -> String {
    "\u{e0001}<&>@\"\\`\u{202e}é日\n".repeat(60)
}

/// What is left out of a list is counted where the list ends.
fn counts_what_is_cut(text: &str) {
    assert!(text.contains("… and "), "{text}");
}

#[test]
fn mail_stays_within_what_ses_takes() {
    /// SES takes messages of 10 MB after encoding, where no other limit was agreed on.
    const SES_BYTES: usize = 10 * 1024 * 1024;
    for said in [String::new(), hostile_text()] {
        let digest = storm(&said);
        let (text, html) = (to_text(&digest), to_html(&digest));
        // As base64, which is the longest a mail gets.
        assert!((text.len() + html.len()) * 4 / 3 < SES_BYTES);
        counts_what_is_cut(&text);
        counts_what_is_cut(&html);
        assert!(text.contains("… and 440 more"));
        assert!(text.contains("davy respond status INCIDENT"));
    }
    // What a person reads: some pages, not a book.
    assert!(to_text(&storm("")).lines().count() < 250);
}

#[test]
fn a_topic_stays_within_256_kb_and_keeps_every_section() {
    for said in [String::new(), hostile_text()] {
        let message = sns_message(&storm(&said));
        assert!(message.len() <= 256 * 1024, "{}", message.len());
        counts_what_is_cut(&message);
        for wanted in [
            "Incidents",
            "Done",
            "Not done",
            "davy respond status INCIDENT",
        ] {
            assert!(message.contains(wanted), "{wanted}");
        }
        assert!(!message.contains("more bytes"), "cut in the middle");
    }
}

#[test]
fn chat_takes_whole_lines_and_keeps_every_section() {
    for said in [String::new(), hostile_text()] {
        let message = slack::message(&storm(&said));
        let blocks = message["blocks"].as_array().expect("blocks");
        assert!(blocks.len() <= 50);
        let texts: Vec<&str> = blocks
            .iter()
            .filter_map(|block| block["text"]["text"].as_str())
            .collect();
        assert!(texts[1..].iter().all(|text| text.chars().count() <= 3000));
        let incidents = texts.iter().find(|text| text.starts_with("Incidents"));
        counts_what_is_cut(incidents.expect("a section"));
        let fallback = message["text"].as_str().expect("a text");
        // Slack cuts at 40,000, Mattermost at 16,383.
        assert!(fallback.chars().count() < 16_383);
        counts_what_is_cut(fallback);
        assert!(fallback.contains("davy respond status INCIDENT"));
    }
    let plain = slack::message(&storm(""));
    assert!(
        !plain.to_string().contains("more characters)"),
        "cut in the middle of a line"
    );
}

#[test]
fn an_event_stays_within_512_kb() {
    for said in [String::new(), hostile_text()] {
        let mut digest = storm(&said);
        digest.links = (0..INCIDENTS)
            .map(|number| Link {
                label: said.clone(),
                url: format!("https://example.org/{number}/{said}"),
            })
            .collect();
        let event = pagerduty::event(&digest, "ROUTING");
        assert!(
            event.to_string().len() < 512 * 1024,
            "{}",
            event.to_string().len()
        );
        let payload = &event["payload"];
        assert!(
            payload["summary"]
                .as_str()
                .is_some_and(|it| it.chars().count() <= 1024)
        );
        let last = |section: &Value| {
            let lines = section.as_array().and_then(|lines| lines.last());
            lines.and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        counts_what_is_cut(&last(&payload["custom_details"]["Incidents"]));
        counts_what_is_cut(&last(&payload["custom_details"]["Read on"]));
    }
}

#[test]
fn a_card_stays_within_what_teams_takes() {
    for said in [String::new(), hostile_text()] {
        let message = teams::message(&storm(&said)).to_string();
        assert!(message.len() <= 20_000, "{}", message.len());
        counts_what_is_cut(&message);
        assert!(message.contains("Not done"), "{message}");
    }
}

#[test]
fn a_webhook_gets_all_of_it() {
    let document = webhook::document(&storm(""));
    let incidents = document["notice"]["incidents"].as_array().expect("a list");
    assert_eq!(incidents.len(), INCIDENTS);
}
