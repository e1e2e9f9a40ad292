//! Envelopes, lists, lines, and what is in none of them.

use davylamp_model::intake::{self, MAX_BYTES, MAX_REJECTED, Rejection};
use serde_json::{Value, json};

use crate::{fixture, only, told};

fn parsed(name: &str) -> Value {
    serde_json::from_str(fixture(name)).expect("a fixture is JSON")
}

fn bare(name: &str) -> Value {
    parsed(name)["detail"].clone()
}

/// The members' first letters as the command line writes them.
fn pascal(value: &Value) -> Value {
    match value {
        Value::Object(members) => members
            .iter()
            .map(|(key, value)| {
                let mut letters = key.chars();
                let first = letters.next().map(|letter| letter.to_ascii_uppercase());
                (
                    first.into_iter().chain(letters).collect::<String>(),
                    pascal(value),
                )
            })
            .collect(),
        Value::Array(items) => items.iter().map(pascal).collect(),
        other => other.clone(),
    }
}

#[test]
fn every_envelope_holds_the_same_finding() {
    let event = parsed("pod");
    let wanted = only(fixture("pod"));
    let text = event.to_string();
    let sns = json!({
        "Type": "Notification",
        "MessageId": "m",
        "TopicArn": "arn:aws:sns:eu-central-1:210987654321:findings",
        "Message": text,
        "Timestamp": "2026-05-06T07:52:00.000Z",
    });
    let forms = [
        json!([event]),
        json!({"Findings": [event["detail"]]}),
        json!({"Findings": [pascal(&event["detail"])]}),
        json!({"findings": [event["detail"]]}),
        bare("pod"),
        pascal(&bare("pod")),
        sns.clone(),
        json!({"Records": [{"EventSource": "aws:sns", "Sns": sns}]}),
        json!({"Records": [{"messageId": "m", "eventSource": "aws:sqs", "body": text}]}),
        json!({"Records": [{"messageId": "m", "eventSource": "aws:sqs", "body": sns.to_string()}]}),
        json!({"Messages": [{"MessageId": "m", "ReceiptHandle": "r", "Body": sns.to_string()}]}),
        json!(text),
        // What Lambda leaves in a queue of an event that it gave up on.
        json!({
            "version": "1.0", "timestamp": "2026-05-06T08:52:00.000Z",
            "requestContext": {"requestId": "r", "condition": "RetriesExhausted",
                "functionArn": "arn:aws:lambda:eu-central-1:210987654321:function:davylamp",
                "approximateInvokeCount": 3},
            "requestPayload": event,
            "responseContext": {"statusCode": 200, "executedVersion": "$LATEST",
                "functionError": "Unhandled"},
            "responsePayload": {"errorMessage": "no", "errorType": "Error"},
        }),
    ];
    for form in forms {
        let found = only(&form.to_string());
        assert_eq!(found.resources, wanted.resources, "{form}");
        assert_eq!(found.id, wanted.id, "{form}");
        assert_eq!(found.observed, wanted.observed, "{form}");
        assert_eq!(found.gaps, wanted.gaps, "{form}");
    }
}

#[test]
fn an_export_is_read_line_by_line() {
    let lines: String = ["instance", "pod", "key-of-user"]
        .map(|name| bare(name).to_string())
        .join("\n");
    assert_eq!(intake::read(lines.as_bytes()).findings.len(), 3);
    let together = lines.replace('\n', "");
    assert_eq!(intake::read(together.as_bytes()).findings.len(), 3);
    let with_mark = format!("\u{feff}{lines}\r\n\r\n");
    assert_eq!(intake::read(with_mark.as_bytes()).findings.len(), 3);
    let printed = format!("{}\n{}", fixture("instance"), fixture("pod"));
    assert_eq!(intake::read(printed.as_bytes()).findings.len(), 2);
}

/// One bad line costs itself and no other.
#[test]
fn a_torn_line_is_said_and_the_rest_is_read() {
    let whole = bare("instance").to_string();
    let torn = &whole[..whole.len() / 2];
    let mut input = format!("{whole}\n{torn}\n{whole}\n{{\"a\": ").into_bytes();
    input.extend_from_slice(b"\"\xff\"}\n");
    input.extend_from_slice(whole.as_bytes());
    let intake = intake::read(&input);
    assert_eq!(intake.findings.len(), 3);
    let places: Vec<&str> = intake
        .rejected
        .iter()
        .map(|part| part.at.as_str())
        .collect();
    assert_eq!(places, ["line 2", "line 4"]);
    assert!(matches!(intake.rejected[0].why, Rejection::NotJson { .. }));
    assert_eq!(intake.rejected[1].why, Rejection::NotText);
}

/// The inside of a torn object that was printed over many lines is no finding of its own.
#[test]
fn a_torn_printed_object_is_one_rejection() {
    let text = fixture("instance");
    let cut = &text[..text.len() - 20];
    let intake = intake::read(cut.as_bytes());
    assert_eq!(intake.findings, []);
    assert_eq!(intake.rejected.len(), 1);
}

#[test]
fn what_cannot_be_read_is_said() {
    let deep = (0..40).fold(
        json!({}),
        |inner, _| json!({"detail-type": "GuardDuty Findings", "detail": {"findings": [inner]}}),
    );
    let cases = [
        ("empty", String::new()),
        ("blank", " \n\t\r\n".to_owned()),
        ("words", "hello there".to_owned()),
        ("words-in-quotes", r#""hello there""#.to_owned()),
        ("number", "42 null".to_owned()),
        ("object", r#"{"hello": "there"}"#.to_owned()),
        ("too-deep", deep.to_string()),
        ("brackets", "[".repeat(1000)),
        (
            "event-of-another-kind",
            json!({"detail-type": "EC2 Instance State-change Notification", "source": "aws.ec2",
                "detail": {"instance-id": "i-0c0ffee0c0ffee001", "state": "running"}})
            .to_string(),
        ),
        (
            "event-without-detail",
            json!({"detail-type": "GuardDuty Finding", "detail": null}).to_string(),
        ),
        (
            "pointer",
            json!({"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
                "s3": {"bucket": {"name": "b"}, "object": {"key": "k"}}}]})
            .to_string(),
        ),
        (
            "compliance",
            json!({"class_uid": 2003, "finding_info": {}}).to_string(),
        ),
        ("control-characters", "{\"\u{1b}[2Jx\": 1}".to_owned()),
        (
            "subscription",
            json!({"Type": "SubscriptionConfirmation", "Message": "m",
                "TopicArn": "arn:aws:sns:eu-central-1:210987654321:t"})
            .to_string(),
        ),
        (
            "half-empty-guard-line",
            json!({"cmdline": "x", "matched": "y", "action": "z"}).to_string(),
        ),
    ];
    for (name, input) in cases {
        let intake = intake::read(input.as_bytes());
        assert_eq!(intake.findings, [], "{name}");
        insta::assert_snapshot!(name, told(&intake));
    }
    insta::assert_snapshot!("gzip", told(&intake::read(&[0x1f, 0x8b, 8, 0])));
}

#[test]
fn sizes_are_bounded() {
    let large = vec![b' '; MAX_BYTES + 1];
    let intake = intake::read(&large);
    let bytes = MAX_BYTES + 1;
    assert_eq!(intake.rejected[0].why, Rejection::TooLarge { bytes });
    let torn = "{\n".repeat(MAX_REJECTED + 7);
    let intake = intake::read(torn.as_bytes());
    assert_eq!(intake.rejected.len(), MAX_REJECTED + 1);
    assert_eq!(
        intake.rejected[MAX_REJECTED].why,
        Rejection::More { count: 7 }
    );
}

#[test]
fn what_the_guard_left_alone_is_passed_over() {
    for (action, findings) in [
        ("killed", 1),
        ("would-kill", 1),
        ("missed", 1),
        ("spared", 0),
        ("held", 0),
    ] {
        let mut line = parsed("guard-killed");
        line["action"] = json!(action);
        let intake = intake::read(line.to_string().as_bytes());
        assert_eq!(intake.findings.len(), findings, "{action}");
        assert_eq!(intake.passed_over.len(), 1 - findings, "{action}");
        assert_eq!(intake.rejected, [], "{action}");
    }
}
