//! Plans of an incident: asked for, shown, approved, carried out, taken back; and what it costs.

use davylamp_console::Role;
use davylamp_ledger::query::{At, JobFilter, JobView};
use davylamp_ledger::record::{Errand, IncidentNo, JobStage, JobStep, Record, Stage};
use davylamp_ledger::{Entry, Taken};
use jiff::{SignedDuration, Timestamp};
use reqwest::StatusCode;

use crate::work::{action, cost, plan, write};
use crate::world::{Visitor, World, finding};

const NO: IncidentNo = IncidentNo(1);

async fn world() -> (World, Visitor) {
    let world = World::new().await;
    world
        .deliver(vec![finding(1, "eve", "hub-a", Taken::Killed, 5)])
        .await;
    let visitor = world.visitor("rae", Role::Responder, &[]).await;
    (world, visitor)
}

async fn since(world: &World, head: i64) -> Vec<Entry> {
    world
        .ledger
        .entries_since(head, 100)
        .await
        .expect("entries")
}

async fn kinds(world: &World, head: i64) -> Vec<String> {
    let entries = since(world, head).await;
    entries.into_iter().map(|entry| entry.kind).collect()
}

/// The worker takes what waits.
async fn take(world: &World) -> JobView {
    let can = ["plan", "run", "undo"].map(str::to_owned);
    let lease = SignedDuration::from_mins(5);
    let taken = world
        .ledger
        .take_job("worker-west", "hub-a", &can, lease, Timestamp::now())
        .await;
    taken.expect("an answer").expect("a job")
}

async fn step(world: &World, job: &str, stage: JobStage, detail: &str) {
    let step = JobStep {
        job: job.to_owned(),
        stage,
        detail: detail.to_owned(),
        by: "worker-west".to_owned(),
    };
    write(world, Record::JobStep(step)).await;
}

/// The value of a hidden field of the form that leads there.
fn field(page: &str, action: &str, name: &str) -> String {
    let (_, form) = page
        .split_once(&format!("action=\"{action}\""))
        .expect("a form");
    let (_, rest) = form
        .split_once(&format!("name=\"{name}\" value=\""))
        .expect("a field");
    rest.split('"').next().expect("a value").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_asked_for_once_and_withdrawn_or_failed() {
    let (world, rae) = world().await;
    let page = rae.page("/incidents/1").await.body;
    assert!(page.contains("Nobody has made a plan."), "{page}");
    let nth = field(&page, "/incidents/1/plan", "nth");
    let head = world.head().await;
    for _ in 0..2 {
        let answer = rae.submit("/incidents/1/plan", &[("nth", &nth)]).await;
        assert_eq!(
            answer.location(),
            "/incidents/1?done=asked#plan",
            "{}",
            answer.body
        );
    }
    assert_eq!(kinds(&world, head).await, ["job"]);
    assert_eq!(
        rae.submit("/incidents/1/plan", &[("nth", "7")])
            .await
            .status,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    let page = rae.page("/incidents/1?done=asked").await.body;
    assert!(
        page.contains("waits for a worker") && page.contains("data-moving"),
        "{page}"
    );
    let job = field(&page, "/incidents/1/job/withdraw", "job");
    for _ in 0..2 {
        let answer = rae
            .submit("/incidents/1/job/withdraw", &[("job", &job)])
            .await;
        assert_eq!(
            answer.location(),
            "/incidents/1?done=withdrawn#plan",
            "{}",
            answer.body
        );
    }
    assert_eq!(kinds(&world, head).await, ["job", "job-step"]);
    let page = rae.page("/incidents/1").await.body;
    assert!(
        page.contains("withdrawn") && !page.contains("data-moving"),
        "{page}"
    );
    let nth = field(&page, "/incidents/1/plan", "nth");
    rae.submit("/incidents/1/plan", &[("nth", &nth)]).await;
    let view = take(&world).await;
    assert_eq!(
        (view.row.errand.as_str(), view.row.cluster.as_str()),
        ("plan", "hub-a")
    );
    let page = rae.page("/incidents/1").await.body;
    assert!(
        page.contains("worker-west") && page.contains("at work"),
        "{page}"
    );
    let id = view.row.id.to_string();
    let answer = rae
        .submit("/incidents/1/job/withdraw", &[("job", &id)])
        .await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(answer.body.contains("a worker is at it"), "{}", answer.body);
    step(
        &world,
        &view.row.job,
        JobStage::Failed,
        "no credentials for the account",
    )
    .await;
    let page = rae.page("/incidents/1").await.body;
    assert!(page.contains("no credentials for the account"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_says_what_it_does_why_and_what_it_leaves() {
    let (world, rae) = world().await;
    write(&world, plan(NO, "plan-one", "i-0abc")).await;
    let page = rae.page("/incidents/1").await.body;
    for text in [
        "snapshot instance",
        "instance/i-0abc",
        "it talks to a pool",
        "Needs a yes",
        "it cannot be taken back",
        "Cannot be taken back.",
        "Only where step 1 worked",
        "its tag protects it",
        "exactly one user&#39;s volume is attached",
        "kubernetes.io/created-for/pvc/name",
        "What its volumes cost is not in it.",
        "2 of 3 steps at once, without a yes; 1 wait until somebody approves",
        "$24.48 an hour",
    ] {
        let text = text.replace("&#39;", "'");
        assert!(page.contains(&text), "{text} is not in {page}");
    }
    // Another about the same stands in its place; one about something else does not.
    write(&world, plan(NO, "plan-two", "i-0def")).await;
    let page = rae.page("/incidents/1").await.body;
    assert!(!page.contains("a later plan stands in its place"), "{page}");
    write(&world, plan(NO, "plan-three", "i-0abc")).await;
    let page = rae.page("/incidents/1").await.body;
    assert_eq!(
        page.matches("a later plan stands in its place").count(),
        1,
        "{page}"
    );
    let viewer = world.visitor("vic", Role::Viewer, &[]).await;
    let page = viewer.page("/incidents/1").await.body;
    assert!(
        page.contains("Needs a yes") && !page.contains("/plan/run"),
        "{page}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_run_without_a_yes_then_with_it_and_taken_back() {
    let (world, rae) = world().await;
    write(&world, plan(NO, "plan-one", "i-0abc")).await;
    let page = rae.page("/incidents/1").await.body;
    let form = |page: &str, what: &str, name: &str| {
        field(page, &format!("/incidents/1/plan/{what}"), name)
    };
    let (id, nth) = (form(&page, "run", "plan"), form(&page, "run", "nth"));
    let head = world.head().await;
    for _ in 0..2 {
        let fields = [("plan", id.as_str()), ("nth", &nth), ("approved", "")];
        let answer = rae.submit("/incidents/1/plan/run", &fields).await;
        assert_eq!(
            answer.location(),
            "/incidents/1?done=asked#plan",
            "{}",
            answer.body
        );
    }
    assert_eq!(kinds(&world, head).await, ["decision", "job"]);
    let view = take(&world).await;
    let errand = view.job.expect("its words").errand;
    let Errand::Run { plan, approved_by } = errand else {
        panic!("{errand:?}");
    };
    assert_eq!((plan.as_str(), approved_by), ("plan-one", None));
    let steps = [
        "snapshot-instance:instance/i-0abc",
        "isolate-interface:interface/eni-0aa",
    ];
    for one in steps {
        write(&world, action(NO, "plan-one", one, Stage::Done)).await;
    }
    let rest = "terminate-instance:instance/i-0abc";
    write(&world, action(NO, "plan-one", rest, Stage::Withheld)).await;
    step(
        &world,
        &view.row.job,
        JobStage::Done,
        "1 step waits for a yes",
    )
    .await;
    let page = rae.page("/incidents/1").await.body;
    assert!(page.contains("withheld"), "{page}");
    // Who looked before somebody said yes has to look again.
    let (run, nth) = (form(&page, "run", "plan"), form(&page, "run", "nth"));
    let approve = [("plan", run.as_str()), ("reason", "The teacher agrees.")];
    for _ in 0..2 {
        let answer = rae.submit("/incidents/1/plan/approve", &approve).await;
        assert_eq!(
            answer.location(),
            "/incidents/1?done=approved#plan",
            "{}",
            answer.body
        );
    }
    let stale = [("plan", run.as_str()), ("nth", &nth), ("approved", "")];
    let answer = rae.submit("/incidents/1/plan/run", &stale).await;
    assert!(
        answer.body.contains("more would run than the page said"),
        "{}",
        answer.body
    );
    let page = rae.page("/incidents/1").await.body;
    assert!(
        page.contains("All 3 steps: somebody has said yes."),
        "{page}"
    );
    let with = [("plan", run.as_str()), ("nth", &nth), ("approved", "rae")];
    assert_eq!(
        rae.submit("/incidents/1/plan/run", &with).await.status,
        StatusCode::SEE_OTHER
    );
    let view = take(&world).await;
    let errand = view.job.expect("its words").errand;
    assert!(matches!(errand, Errand::Run { approved_by: Some(name), .. } if name == "rae"));
    write(&world, action(NO, "plan-one", rest, Stage::Done)).await;
    step(&world, &view.row.job, JobStage::Done, "").await;
    let page = rae.page("/incidents/1").await.body;
    assert!(!page.contains("/plan/run\""), "all of it is done: {page}");
    let fields = [
        ("plan", run.as_str()),
        ("nth", "0"),
        ("reason", "It was an exercise."),
    ];
    let head = world.head().await;
    for _ in 0..2 {
        let answer = rae.submit("/incidents/1/plan/undo", &fields).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    }
    assert_eq!(kinds(&world, head).await, ["decision", "job"]);
    let filter = JobFilter {
        incident: Some(NO),
        ..JobFilter::default()
    };
    let jobs = world
        .ledger
        .jobs(&filter, &At::first(50))
        .await
        .expect("jobs");
    assert_eq!(jobs.items.len(), 3);
    let timeline = rae.page("/incidents/1?kind=decisions").await.body;
    let (_, timeline) = timeline.split_once("id=\"timeline\"").expect("a timeline");
    assert!(
        timeline.contains("The teacher agrees.") && !timeline.contains("/findings/"),
        "{timeline}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_of_another_incident_or_form_is_not_carried_out_blindly() {
    let (world, rae) = world().await;
    let other = world
        .deliver(vec![finding(2, "mallory", "hub-b", Taken::Killed, 5)])
        .await
        .opened[0];
    let id = write(&world, plan(other, "plan-other", "i-0abc"))
        .await
        .to_string();
    for what in ["approve", "run", "undo"] {
        let fields = [("plan", id.as_str()), ("nth", "0")];
        let answer = rae
            .submit(&format!("/incidents/1/plan/{what}"), &fields)
            .await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{what}");
    }
    let scoped = world.visitor("abe", Role::Responder, &["hub-a"]).await;
    let fields = [("plan", id.as_str()), ("nth", "0")];
    let answer = scoped
        .submit(&format!("/incidents/{}/plan/run", other.0), &fields)
        .await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    let Record::Plan(mut odd) = plan(NO, "plan-odd", "i-0abc") else {
        unreachable!();
    };
    odd.text = serde_json::json!({"steps": ["do something"]});
    write(&world, Record::Plan(odd)).await;
    let page = rae.page("/incidents/1").await.body;
    assert!(
        page.contains("It has a form that this console does not know"),
        "{page}"
    );
    assert!(page.contains("do something"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn cost_is_unknown_until_somebody_says_it_and_its_sources_stand_with_it() {
    let (world, rae) = world().await;
    let page = rae.page("/incidents/1").await.body;
    assert!(
        page.contains("Unknown: nobody has said what it costs."),
        "{page}"
    );
    let head = world.head().await;
    for (low, high, prices) in [
        ("2", "1", "p"),
        ("x", "1", "p"),
        ("1", "2", " "),
        ("-1", "2", "p"),
    ] {
        let fields = [
            ("low", low),
            ("high", high),
            ("hour", "1"),
            ("prices", prices),
        ];
        let answer = rae.submit("/incidents/1/cost", &fields).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{fields:?}");
    }
    assert_eq!(world.head().await, head);
    write(&world, cost(NO)).await;
    let page = rae.page("/incidents/1").await.body;
    for text in [
        "$1234.00",
        "$1980.50",
        "$24.48 an hour",
        "AWS price list of 2026-11-01",
        "data transfer to the pool",
        "s3://evidence/credit-pack-17.zip",
    ] {
        assert!(page.contains(text), "{text} is not in {page}");
    }
    let fields = [
        ("low", "2,000"),
        ("high", "2500.50"),
        ("hour", "0"),
        ("prices", "the bill"),
        ("unknown", "support\r\n\r\ntax"),
    ];
    assert_eq!(
        rae.submit("/incidents/1/cost", &fields).await.status,
        StatusCode::SEE_OTHER
    );
    let page = rae.page("/incidents/1").await.body;
    for text in [
        "$2000.00",
        "$2500.50",
        "no more",
        "the bill",
        "tax",
        "credit-pack-17.zip",
    ] {
        assert!(page.contains(text), "{text} is not in {page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeline_is_filtered_by_what_and_where() {
    let (world, rae) = world().await;
    write(&world, plan(NO, "plan-one", "i-0abc")).await;
    write(&world, crate::work::evidence(NO)).await;
    write(
        &world,
        action(NO, "plan-one", "cordon-node:node/n1", Stage::Done),
    )
    .await;
    rae.submit("/incidents/1/note", &[("text", "Called the user.")])
        .await;
    for (query, has, lacks) in [
        ("kind=findings", "/findings/", "Called the user."),
        ("kind=notes", "Called the user.", "/findings/"),
        ("kind=evidence", "kept evidence", "Called the user."),
        ("kind=actions", "cordon-node", "kept evidence"),
        ("place=node", "/findings/", "cordon-node"),
        ("place=cluster", "cordon-node", "Called the user."),
        ("place=cloud", "kept evidence", "cordon-node"),
        (
            "place=people&order=oldest",
            "Called the user.",
            "kept evidence",
        ),
    ] {
        let page = rae.page(&format!("/incidents/1?{query}")).await.body;
        let (_, timeline) = page.split_once("id=\"timeline\"").expect("a timeline");
        assert!(
            timeline.contains(has) && !timeline.contains(lacks),
            "{query}: {timeline}"
        );
    }
    for wrong in ["kind=odd", "place=odd"] {
        assert_eq!(
            rae.get(&format!("/incidents/1?{wrong}")).await.status,
            StatusCode::BAD_REQUEST
        );
    }
}
