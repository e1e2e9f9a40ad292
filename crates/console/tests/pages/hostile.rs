//! Names that attackers chose.

use davylamp_console::Role;
use davylamp_ledger::Taken;
use davylamp_ledger::query::{At, RunFilter};
use davylamp_ledger::record::{
    Audit, Choice, Cost, Decision, Errand, Evidence, IncidentNo, Job, LeftOut, Note, Plan, Record,
    Rollout, Stage,
};
use davylamp_model::finding::{Observed, Severity};
use davylamp_model::resource::Resource;
use davylamp_model::verdict::{Outcome, Verdict};
use jiff::Timestamp;

use crate::work::ago;
use crate::world::{World, finding};

const EVIL: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>javascript:alert(3)\u{202e}\u{200b}\u{2066}\u{feff}\r\n\0&#60;b&#62;</title></textarea>";

/// A page without what its fields and choices send.
fn without_values(body: &str) -> String {
    let mut parts = body.split(" value=\"");
    let mut rest = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        rest.push_str(part.split_once('"').map_or("", |(_, after)| after));
    }
    rest
}

/// What responders, hunts and audits say, with the same name everywhere.
fn others(no: IncidentNo) -> Vec<Record> {
    let evil = || EVIL.to_owned();
    let outcome = |verdict| Outcome {
        check: evil(),
        title: evil(),
        verdict,
        severity: Severity::High,
        resource: evil(),
        why: EVIL.repeat(20),
        remedy: evil(),
        saving_micro_usd_month: Some(1),
    };
    let audit = |run: &str, verdict| {
        Record::Audit(Box::new(Audit {
            run: run.to_owned(),
            name: evil(),
            target: evil(),
            started: ago(9),
            ended: ago(8),
            outcomes: vec![outcome(verdict)],
            by: evil(),
        }))
    };
    let told = serde_json::json!({
        "playbook": EVIL, "resource": EVIL,
        "attribution": {"candidates": [{"user": EVIL, "claim": EVIL, "chain": [{"from": EVIL, "to": EVIL, "proof": EVIL}], "evidence": [EVIL]}], "decided": EVIL, "because": EVIL},
        "steps": [{"id": format!("{EVIL}:{EVIL}"), "stage": EVIL, "action": {"do": EVIL}, "why": EVIL, "only-after": [EVIL], "approval": EVIL}],
        "omissions": [{"what": EVIL, "target": EVIL, "because": EVIL}], "remarks": [EVIL], "blind": EVIL,
    });
    let step = format!("{EVIL}:{EVIL}");
    let risk = |until| {
        Record::Decision(Decision {
            incident: None,
            choice: Choice::AcceptRisk { until },
            plan: None,
            subject: Some(outcome(Verdict::Fail).subject()),
            reason: evil(),
            by: evil(),
        })
    };
    let job = |errand| {
        Record::Job(Job {
            job: format!("{EVIL}{errand:?}"),
            incident: matches!(errand, Errand::Run { .. }).then_some(no),
            cluster: evil(),
            errand,
            by: evil(),
        })
    };
    vec![
        Record::Plan(Plan {
            incident: Some(no),
            plan: format!("{EVIL} with steps"),
            summary: evil(),
            text: told,
            left_out: vec![LeftOut {
                what: evil(),
                reason: evil(),
            }],
            cost_micro_usd_per_hour: Some(1),
            by: evil(),
        }),
        crate::work::action(no, &format!("{EVIL} with steps"), &step, Stage::Failed),
        audit("one", Verdict::Pass),
        audit("two", Verdict::Fail),
        risk(ago(5)),
        crate::work::run(EVIL, EVIL, 1, Some(EVIL)),
        crate::work::list(EVIL, EVIL, Rollout::Observe),
        Record::Cost(Cost {
            incident: no,
            low_micro_usd: 1,
            high_micro_usd: 2,
            per_hour_micro_usd: 3,
            prices: evil(),
            unknown: vec![evil()],
            credit_pack: Some(evil()),
            by: evil(),
        }),
        job(Errand::Run {
            plan: evil(),
            approved_by: Some(evil()),
        }),
        job(Errand::Hunt {
            hunt: evil(),
            since: None,
            until: None,
        }),
    ]
}

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
    ]
    .into_iter()
    .chain(others(no))
    {
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
            "/posture",
            "/posture?verdict=any",
            "/posture/runs",
            "/posture/risks",
            "/posture/risks?show=ended",
            "/hunts",
            "/hunts/runs",
            "/blocklists",
            "/nodes",
            "/ledger",
            "/settings",
        ]
        .map(str::to_owned),
    );
    let of_check = serde_urlencoded::to_string([("check", EVIL), ("verdict", "any")]);
    pages.push(format!("/posture/check?{}", of_check.expect("a query")));
    let runs = world
        .ledger
        .runs(&RunFilter::default(), &At::first(9))
        .await;
    let mut audits = runs.expect("runs").items;
    audits.retain(|run| run.verb == "audit");
    pages.push(format!(
        "/posture/compare?before={}&after={}&show=new",
        audits[1].id, audits[0].id
    ));
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
            is_form || !without_values(body).contains(unseen),
            "{path} holds what is not seen"
        );
    }
    let (page, _) = &bodies[2];
    assert!(
        page.contains("⟦U+202E⟧") && page.contains("&lt;script&gt;"),
        "{page}"
    );
}
