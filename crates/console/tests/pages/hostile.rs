//! Names that attackers chose.

use davylamp_console::Role;
use davylamp_ledger::Taken;
use davylamp_ledger::record::{Evidence, Note, Plan, Record};
use davylamp_model::finding::Observed;
use davylamp_model::resource::Resource;
use jiff::Timestamp;

use crate::world::{World, finding};

const EVIL: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>javascript:alert(3)\u{202e}\u{200b}\u{2066}\u{feff}\r\n\0&#60;b&#62;</title></textarea>";

#[tokio::test(flavor = "multi_thread")]
async fn what_others_named_is_text_everywhere() {
    let world = World::new().await;
    let mut evil = finding(1, EVIL, EVIL, Taken::Missed, 3);
    evil.finding.title = EVIL.to_owned();
    evil.finding.kind = EVIL.to_owned();
    evil.finding.gaps = vec![EVIL.to_owned()];
    evil.finding.observed.push(Observed {
        what: EVIL.to_owned(),
        value: EVIL.repeat(20),
    });
    evil.finding.observed[0].value = EVIL.to_owned();
    evil.finding.resources.push(Resource::Bucket {
        name: EVIL.to_owned(),
    });
    evil.reporter.node = EVIL.to_owned();
    evil.line = Some(EVIL.to_owned());
    let no = world.deliver(vec![evil]).await.opened[0];
    let (text, now) = (EVIL.to_owned(), Timestamp::now());
    let plan = Plan {
        incident: Some(no),
        plan: text.clone(),
        summary: text.clone(),
        text: serde_json::json!({ EVIL: EVIL }),
        left_out: Vec::new(),
        cost_micro_usd_per_hour: None,
        by: text.clone(),
    };
    let evidence = Evidence {
        incident: Some(no),
        what: text.clone(),
        location: text.clone(),
        sha256: Some(text.clone()),
        size_bytes: None,
        custody: text.clone(),
        by: text.clone(),
    };
    let note = Note {
        incident: Some(no),
        text: text.clone(),
        by: text,
    };
    for record in [
        Record::Plan(plan),
        Record::Evidence(evidence),
        Record::Note(note),
    ] {
        world.ledger.record(record, now).await.expect("an entry");
    }
    world.heartbeat(EVIL, EVIL, now).await;
    let visitor = world.visitor("ada", Role::Admin, &[]).await;
    let query = serde_urlencoded::to_string([("text", EVIL), ("cluster", EVIL), ("node", EVIL)])
        .expect("a query");
    let owner = serde_urlencoded::to_string([("owner", EVIL)]).expect("a query");
    let mut pages = vec![
        format!("/incidents/{}", no.0),
        format!("/incidents/{}?order=oldest", no.0),
        format!("/findings/{}", no.0 + 1),
        format!("/findings?{query}"),
        format!("/incidents?{owner}"),
        format!(
            "/incidents/{}?{}",
            no.0,
            serde_urlencoded::to_string([("done", EVIL)]).expect("a query")
        ),
    ];
    pages.extend(
        [
            "/",
            "/incidents",
            "/findings",
            "/live",
            "/queue",
            "/nodes",
            "/ledger",
            "/settings",
        ]
        .map(str::to_owned),
    );
    let mut bodies = Vec::new();
    for path in pages {
        bodies.push((visitor.page(&path).await.body, path));
    }
    let live = visitor
        .stream_until("/live/stream?after=0", &[], "event: place")
        .await;
    bodies.push((live, "the stream".to_owned()));
    bodies.push((
        visitor.get(&format!("/sign-in?back=/{query}")).await.body,
        "sign-in".to_owned(),
    ));
    bodies.push((
        visitor
            .get(&format!("/sign-in/link?key={query}"))
            .await
            .body,
        "the link".to_owned(),
    ));
    for (body, path) in &bodies {
        let lower = body.to_lowercase();
        for bad in [
            "<script>",
            "<img src=x",
            "onerror=alert(2)>",
            "href=\"javascript",
            "\"'>",
            "</title></textarea>",
        ] {
            assert!(!lower.contains(bad), "{path} holds {bad}: {body}");
        }
        // In a field stands what was typed, as it was typed.
        let unseen =
            |c: char| matches!(c, '\u{202e}' | '\u{200b}' | '\u{2066}' | '\u{feff}' | '\0');
        let is_form =
            path.contains('?') || path.starts_with("sign") || path.starts_with("the link");
        assert!(
            is_form || !body.contains(unseen),
            "{path} holds what is not seen"
        );
    }
    let (page, _) = &bodies[2];
    assert!(
        page.contains("⟦U+202E⟧") && page.contains("&lt;script&gt;"),
        "{page}"
    );
}
