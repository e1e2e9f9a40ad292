//! What people ask for in the console, done by a worker: plans, their execution, undoing, hunts; and what
//! others found, sent.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::time::Duration;

use davylamp_ledger::query::{At, FindingFilter, JobFilter, RunFilter};
use davylamp_ledger::record::{Choice, Decision, Errand, Job};
use davylamp_ledger::{IncidentNo, Ledger, Options, Record};
use jiff::Timestamp;
use serde_json::json;

use crate::finding::mining;
use crate::ground::{Ground, Ran, Running, until};

/// A console that serves, beside the ledger that it writes.
struct Desk {
    ground: Ground,
    served: Child,
    url: String,
    ledger: Ledger,
    runtime: tokio::runtime::Runtime,
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = self.served.kill();
        let _ = self.served.wait();
    }
}

impl Desk {
    fn new() -> Self {
        let ground = Ground::new();
        let database = format!("sqlite://{}", ground.path("ledger.db"));
        let made = Running(
            ground
                .verb(
                    "console",
                    &[
                        "token",
                        "add",
                        "worker-1",
                        "--cluster",
                        "hub",
                        "--worker",
                        "--database",
                        &database,
                    ],
                )
                .spawn()
                .expect("davy starts"),
        );
        ground.write("token", &made.end().ended(0).out);
        let (served, url) = serve(&ground, &database, "127.0.0.1:0");
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let ledger = runtime.block_on(Ledger::open(&database, &Options::default()));
        Self {
            ledger: ledger.expect("a ledger"),
            ground,
            served,
            url,
            runtime,
        }
    }

    fn settings(&self) -> [String; 3] {
        let set = |key: &str, value: String| format!("--set=work.{key}={value}");
        [
            set("console.url", self.url.clone()),
            set("console.token_file", self.ground.path("token")),
            set("outbox", self.ground.path("outbox")),
        ]
    }

    fn start(&self, verb: &str, args: &[&str]) -> Running {
        let mut command = self.ground.verb(verb, args);
        command.args(self.settings()).stdin(Stdio::null());
        Running(command.spawn().expect("davy starts"))
    }

    #[track_caller]
    fn davy(&self, verb: &str, args: &[&str]) -> Ran {
        self.start(verb, args).end()
    }

    fn write(&self, record: Record) {
        let written = self
            .runtime
            .block_on(self.ledger.record(record, Timestamp::now()));
        written.expect("written");
    }

    fn ask(&self, job: &str, incident: Option<IncidentNo>, errand: Errand) {
        self.write(Record::Job(Job {
            job: job.to_owned(),
            incident,
            cluster: String::new(),
            errand,
            by: "ada".to_owned(),
        }));
    }

    /// How a job ended.
    fn job(&self, job: &str) -> (String, String) {
        let view = self.runtime.block_on(self.ledger.job(job));
        let row = view.expect("read").expect("a job").row;
        (row.stage, row.detail)
    }

    fn incidents(&self) -> Vec<IncidentNo> {
        let filter = FindingFilter::default();
        let page = self
            .runtime
            .block_on(self.ledger.findings(&filter, &At::first(50)));
        let mut all: Vec<IncidentNo> = page
            .expect("a page")
            .items
            .iter()
            .filter_map(|row| row.incident.map(IncidentNo))
            .collect();
        all.dedup();
        all
    }
}

fn serve(ground: &Ground, database: &str, listen: &str) -> (Child, String) {
    let mut served = ground
        .verb("console", &["--database", database, "--listen", listen])
        .stderr(Stdio::null())
        .spawn()
        .expect("davy starts");
    let mut lines = BufReader::new(served.stdout.take().expect("its output")).lines();
    let line = lines.next().expect("a line").expect("text");
    let url = line
        .strip_prefix("the console listens on ")
        .expect("its address");
    (served, url.to_owned())
}

#[test]
fn a_plan_is_made_approved_carried_out_and_taken_back_from_the_console() {
    let desk = Desk::new();
    let machine = desk.ground.node(&["alice"]);
    let finding = mining(&desk.ground.account.id, "one", &machine.id);
    let file = desk.ground.save("f.json", &finding);
    desk.davy("send", &[&file]).ended(0).says(&["1 finding"]);
    // Sent again it is the same.
    desk.davy("send", &[&file]).ended(0);
    let incidents = desk.incidents();
    let [incident] = incidents.as_slice() else {
        panic!("one incident: {incidents:?}");
    };

    desk.ask("j1", Some(*incident), Errand::Plan);
    desk.davy("work", &["--once"])
        .ended(0)
        .says(&["1 plan was made"]);
    let plans = desk
        .runtime
        .block_on(desk.ledger.plans(*incident, &At::first(9)));
    let plans = plans.expect("a page").items;
    assert_eq!(plans.len(), 1, "{plans:#?}");
    assert_eq!(plans[0].by_whom, "worker-1");
    assert!(plans[0].summary.starts_with("hub-miner: "), "{plans:#?}");
    let plan = plans[0].plan.clone();

    desk.write(Record::Decision(Decision {
        incident: Some(*incident),
        choice: Choice::Approve,
        plan: Some(plan.clone()),
        subject: None,
        reason: "it mines".to_owned(),
        by: "ada".to_owned(),
    }));
    let run = Errand::Run {
        plan: plan.clone(),
        approved_by: Some("ada".to_owned()),
    };
    desk.ask("j2", Some(*incident), run);
    let ran = desk.davy("work", &["--once"]);
    let (stage, detail) = desk.job("j2");
    assert_eq!(stage, "done", "{detail}\n{ran:#?}");
    let view = desk
        .runtime
        .block_on(desk.ledger.plan(&plan))
        .expect("read");
    assert_eq!(view.expect("a plan").row.state, "done");
    let actions = desk
        .runtime
        .block_on(desk.ledger.actions(Some(*incident), None, &At::first(99)));
    let actions = actions.expect("a page").items;
    let done = actions.iter().filter(|row| row.stage == "done").count();
    assert!(done >= 3, "{actions:#?}");
    let evidence = desk
        .runtime
        .block_on(desk.ledger.evidence(Some(*incident), &At::first(99)));
    let evidence = evidence.expect("a page").items;
    assert!(
        evidence.iter().any(|row| row.location.starts_with("snap-")),
        "{evidence:#?}\n{actions:#?}"
    );

    desk.ask("j3", Some(*incident), Errand::Undo { plan: plan.clone() });
    let ran = desk.davy("work", &["--once"]);
    let (stage, detail) = desk.job("j3");
    assert!(detail.contains("taken back"), "{stage} {detail}\n{ran:#?}");
    let verified = desk
        .runtime
        .block_on(desk.ledger.verify(None, desk.ground.dir.path()));
    assert_eq!(verified.expect("a verification").fault, None);
}

#[test]
fn a_plan_that_has_changed_is_not_carried_out() {
    let desk = Desk::new();
    let machine = desk.ground.node(&["alice"]);
    let finding = mining(&desk.ground.account.id, "one", &machine.id);
    let file = desk.ground.save("f.json", &finding);
    desk.davy("send", &[&file]).ended(0);
    let incident = desk.incidents()[0];
    desk.ask("j1", Some(incident), Errand::Plan);
    desk.davy("work", &["--once"]).ended(0);
    let plans = desk
        .runtime
        .block_on(desk.ledger.plans(incident, &At::first(9)));
    let plan = plans.expect("a page").items[0].plan.clone();
    let run = Errand::Run {
        plan,
        approved_by: None,
    };
    desk.ask("j2", Some(incident), run);
    // Meanwhile somebody protects the account.
    let account = format!(
        "--set=respond.protect.accounts=[\"{}\"]",
        desk.ground.account.id
    );
    let ran = desk.davy("work", &["--once", &account]).ended(2);
    let (stage, detail) = desk.job("j2");
    assert_eq!(stage, "failed", "{ran:#?}");
    assert!(detail.contains("nothing was done"), "{detail}");
}

#[test]
fn a_worker_that_dies_and_a_console_that_is_away_lose_nothing() {
    let mut desk = Desk::new();
    let machine = desk.ground.node(&["alice"]);
    let finding = mining(&desk.ground.account.id, "one", &machine.id);
    let file = desk.ground.save("f.json", &finding);
    // The console is away: what is sent waits in the outbox.
    desk.served.kill().expect("ended");
    desk.served.wait().expect("waited for");
    let away = desk.start("send", &[&file]);
    until("it waits in the outbox", || {
        std::fs::read_dir(desk.ground.path("outbox")).is_ok_and(|dir| dir.count() > 1)
    });
    away.kill();
    assert!(desk.incidents().is_empty());
    let database = format!("sqlite://{}", desk.ground.path("ledger.db"));
    let listen = desk.url.trim_start_matches("http://").to_owned();
    (desk.served, _) = serve(&desk.ground, &database, &listen);
    desk.davy("send", &[]).ended(0);
    let incident = desk.incidents()[0];

    // A worker dies in the middle of a job; the next has it when the console gives it away.
    desk.ask("j1", Some(incident), Errand::Plan);
    let worker = desk.start("work", &[]);
    until("it has taken the job", || desk.job("j1").0 == "taken");
    worker.kill();
    let early = desk.davy("work", &["--once"]).ended(0);
    let stage = desk.job("j1").0;
    // Unless it was faster than we were, the job is still the dead worker's for a while.
    assert!(stage == "taken" || stage == "done", "{stage} {early:#?}");
}

#[test]
fn hunts_are_run_for_the_console_and_audits_are_sent() {
    let desk = Desk::new();
    let logs = desk.ground.path("logs");
    std::fs::create_dir(&logs).expect("a folder");
    let hunt = Errand::Hunt {
        hunt: "trail-unused-region".to_owned(),
        since: None,
        until: None,
    };
    desk.ask("h1", None, hunt);
    let logs = format!("--set=work.logs=[\"{logs}\"]");
    let ran = desk.davy("work", &["--once", &logs]);
    let (stage, detail) = desk.job("h1");
    // There is nothing to read, and that is no all-clear.
    assert_eq!(stage, "failed", "{detail} {ran:#?}");

    let audit = json!([
        {"class_uid": 2003, "severity_id": 4, "metadata": {"event_code": "s3_public", "product": {"name": "Prowler"}},
         "compliance": {"status": "Fail"}, "resources": [{"uid": "arn:aws:s3:::data"}],
         "cloud": {"account": {"uid": "111122223333"}}, "time": 1_790_000_000},
        {"class_uid": 2003, "severity_id": 2, "metadata": {"event_code": "trail_on"},
         "compliance": {"status": "Pass"}, "resources": [{"uid": "arn:aws:cloudtrail:::t"}]},
    ]);
    let file = desk.ground.save("audit.json", &audit);
    desk.davy("send", &[&file])
        .ended(0)
        .says(&["an audit of 111122223333 by Prowler, 2 checks"]);
    desk.davy("send", &[&file]).ended(0);
    let filter = RunFilter {
        verb: Some("audit".to_owned()),
        ..RunFilter::default()
    };
    let runs = desk
        .runtime
        .block_on(desk.ledger.runs(&filter, &At::first(9)));
    let runs = runs.expect("a page").items;
    assert_eq!(runs.len(), 1, "{runs:#?}");
    assert_eq!(runs[0].counts, r#"{"fail":1,"pass":1,"unknown":0}"#);

    let half = desk.ground.write("half.json", &audit.to_string()[..90]);
    desk.davy("send", &[&half])
        .ended(2)
        .says(&["it is no JSON"]);
    let jobs = desk
        .runtime
        .block_on(desk.ledger.jobs(&JobFilter::default(), &At::first(9)));
    assert_eq!(jobs.expect("a page").items.len(), 1);
}

#[test]
fn a_worker_without_a_token_that_holds_says_so() {
    let desk = Desk::new();
    desk.ground.write("token", "davy_wrong");
    desk.davy("work", &["--once"])
        .ended(2)
        .says(&["refuses this worker", "davy console token add"]);
    desk.davy("work", &["--once", "--set=work.plans=false"])
        .ended(2)
        .says(&["nothing that this worker may do"]);
    let nowhere = desk
        .ground
        .verb("work", &["--once"])
        .spawn()
        .expect("davy starts");
    Running(nowhere).end().ended(2).says(&["work.console.url"]);
    // Within a bound, also where nobody listens.
    let gone = "--set=work.console.url=http://127.0.0.1:1";
    let begun = std::time::Instant::now();
    let mut command = desk.ground.verb("work", &["--once"]);
    command.args(desk.settings()).arg(gone);
    Running(command.spawn().expect("davy starts"))
        .end()
        .ended(2);
    assert!(begun.elapsed() < Duration::from_secs(60));
}
