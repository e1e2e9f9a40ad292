//! `davy hunt`, from files to what it prints and its exit code.

use serde_json::{Value, json};

use crate::bench::{Bench, Ran};

/// 2026-03-01 12:00.
const NOON: i64 = 1_772_366_400;

/// A host that answers a place outside every five minutes for an hour, and one that does so once.
pub fn flows() -> String {
    let mut log =
        "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes \
                   start end action log-status\n"
            .to_owned();
    let mut flow = |from: &str, to: &str, ports: &str, bytes: u32, start: i64| {
        let interface = if from == "10.0.0.6" {
            "eni-0b"
        } else {
            "eni-0a"
        };
        log += &format!(
            "2 111122223333 {interface} {from} {to} {ports} 6 40 {bytes} {start} {} ACCEPT OK\n",
            start + 60
        );
    };
    for window in 0..12 {
        let start = NOON + window * 300;
        flow("10.0.0.5", "203.0.114.9", "40000 3333", 4800, start);
        flow("203.0.114.9", "10.0.0.5", "3333 40000", 5200, start);
    }
    flow("10.0.0.6", "203.0.114.10", "40000 443", 4800, NOON);
    log
}

pub fn trail() -> String {
    let event = json!({
        "eventVersion": "1.09", "eventID": "e-1", "eventTime": "2026-03-01T12:30:00Z",
        "eventSource": "cloudtrail.amazonaws.com", "eventName": "StopLogging",
        "awsRegion": "eu-west-1", "sourceIPAddress": "203.0.114.77", "userAgent": "=cmd()",
        "recipientAccountId": "111122223333",
        "userIdentity": {"type": "IAMUser", "userName": "mallory", "accountId": "111122223333",
            "arn": "arn:aws:iam::111122223333:user/mallory", "accessKeyId": "AKIAIOSFODNN7EXAMPLE"},
        "requestParameters": {"name": "all"}, "responseElements": null,
    });
    json!({"Records": [event, event]}).to_string()
}

fn bench() -> Bench {
    let bench = Bench::new();
    bench.folder("logs");
    bench.write("logs/flow.log", flows());
    bench.write("logs/trail.json", trail());
    bench
}

fn document(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {}", ran.whole()))
}

/// The suspects, without what differs from run to run.
fn suspects(bench: &Bench, place: &str) -> Value {
    let ran = bench.run(&["hunt", "run", "--all", "--logs", place, "--output", "json"]);
    assert_eq!(ran.code, Some(1), "{}", ran.whole());
    document(&ran)["suspects"].take()
}

#[test]
fn every_hunt_ends_in_one_list_and_says_what_it_lacks() {
    let bench = bench();
    let ran = bench.run(&["hunt", "run", "--all", "--logs", "logs", "--output", "json"]);
    assert_eq!(ran.code, Some(1), "{}", ran.whole());
    let worst = document(&ran)["suspects"][0].to_string();
    for word in ["10.0.0.5", "203.0.114.9", "12 five-minute windows"] {
        assert!(worst.contains(word), "{word}: {worst}");
    }
    assert!(!worst.contains("10.0.0.6"), "{worst}");
    let second = document(&ran)["suspects"][1].to_string();
    assert!(second.contains("AKIAIOSFODNN7EXAMPLE"), "{second}");
    let document = document(&ran);
    let hunts = document["hunts"].as_array().expect("hunts");
    let of = |name: &str| {
        hunts
            .iter()
            .find(|it| it["hunt"] == name)
            .expect("it was asked")
    };
    assert_eq!(of("flow-thin-periodic")["outcome"], "ran");
    // The event was delivered twice and happened once.
    assert_eq!(of("trail-sensor-stopped")["rows"], 1);
    assert_eq!(of("guardduty-mining")["outcome"], "left-out");
    assert!(
        ran.stderr.contains("guardduty-mining: left out"),
        "{}",
        ran.stderr
    );

    // A hunt that was named must have its logs.
    let ran = bench.run(&["hunt", "run", "guardduty-mining", "--logs", "logs"]);
    assert_eq!(ran.code, Some(2), "{}", ran.whole());
}

#[test]
fn each_form_of_the_list_holds_the_same_suspects() {
    let bench = bench();
    let all = suspects(&bench, "logs");
    let all = all.as_array().expect("a list");
    let run = |form: &str| {
        let ran = bench.run(&["hunt", "run", "--all", "--logs", "logs", "--output", form]);
        assert_eq!(ran.code, Some(1), "{form}: {}", ran.whole());
        ran.stdout
    };
    let lines = run("jsonl");
    let lines: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(lines.len(), all.len());
    let findings = run("ocsf");
    let findings: Vec<Value> = findings
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let told = |it: &Value| it["metadata"]["correlation_uid"].clone();
    let told: Vec<Value> = findings.iter().map(told).collect();
    for suspect in all {
        assert!(told.contains(&suspect["id"]), "{}", suspect["id"]);
    }
    assert!(findings.iter().all(|it| it["class_uid"] == 2004));
    assert_eq!(run("csv").lines().count(), all.len() + 1);
    let page = run("html");
    assert!(page.contains("AKIAIOSFODNN7EXAMPLE"));
    assert!(!page.contains("<script") && !page.contains("src=\"http"));
    let ran = bench.run(&[
        "hunt",
        "run",
        "--all",
        "--logs",
        "logs",
        "--output",
        "parquet",
        "-o",
        "s.parquet",
    ]);
    assert_eq!(ran.code, Some(1), "{}", ran.whole());
    let bytes = std::fs::read(bench.path().join("s.parquet")).expect("a file");
    assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"));
}

#[test]
fn a_lake_has_the_suspects_of_its_logs_and_is_converted_once() {
    let bench = bench();
    for _ in 0..2 {
        let ran = bench.run(&["hunt", "convert", "--logs", "logs", "-o", "lake"]);
        assert_eq!(ran.code, Some(0), "{}", ran.whole());
    }
    let count = "SELECT count(*) AS n FROM vpc_flow";
    let ran = bench.run(&["hunt", "sql", count, "--logs", "lake", "--output", "jsonl"]);
    assert_eq!(ran.stdout.trim(), r#"{"n":25}"#, "{}", ran.whole());
    let about = |suspects: &Value| -> Vec<Value> {
        let all = suspects.as_array().expect("a list");
        all.iter()
            .map(|it| {
                json!([
                    it["score"],
                    it["principals"],
                    it["resources"],
                    it["because"]
                ])
            })
            .collect()
    };
    assert_eq!(
        about(&suspects(&bench, "lake")),
        about(&suspects(&bench, "logs"))
    );
}

#[test]
fn a_query_ends_by_what_it_found_and_what_it_could_not_read() {
    let bench = bench();
    let sql = |query: &str, place: &str, more: &[&str]| {
        let fixed = ["hunt", "sql", query, "--logs", place, "--output", "csv"];
        bench.run(&[&fixed, more].concat())
    };
    let all = "SELECT srcaddr FROM vpc_flow";
    assert_eq!(sql(all, "logs", &[]).code, Some(1));
    let nothing = "SELECT srcaddr FROM vpc_flow WHERE dstport = 1";
    assert_eq!(sql(nothing, "logs", &[]).code, Some(0));
    // What a spreadsheet would run is written as text.
    let agent = sql("SELECT user_agent FROM cloudtrail", "logs", &[]);
    assert!(agent.stdout.contains("'=cmd()"), "{}", agent.whole());
    let faulty = sql("SELECT no_such FROM vpc_flow", "logs", &[]);
    assert_eq!(faulty.code, Some(2));
    assert!(faulty.stderr.contains("SHOW COLUMNS"), "{}", faulty.stderr);
    assert_eq!(sql(all, "nowhere", &[]).code, Some(2));

    // A truncated object: its rows count, and what is missing is said.
    bench.write("logs/cut.log.gz", b"\x1f\x8b\x08\x00\x00\x00");
    let cut = sql(nothing, "logs", &[]);
    assert_eq!(cut.code, Some(2), "{}", cut.whole());
    assert!(cut.stderr.contains("cut.log.gz"), "{}", cut.stderr);
    assert_eq!(sql(all, "logs", &[]).code, Some(1));
    assert_eq!(sql(all, "logs", &["--strict"]).code, Some(2));

    let given = ["hunt", "sql", all, "--logs", "-", "--output", "jsonl"];
    let ran = bench.run_with(&given, flows().as_bytes());
    assert_eq!(ran.stdout.lines().count(), 25, "{}", ran.whole());
}

#[test]
fn a_parameter_that_does_not_fit_is_named_with_its_bounds() {
    let bench = bench();
    let run = |set: &str| {
        bench.run(&[
            "hunt",
            "run",
            "flow-thin-periodic",
            "--set",
            set,
            "--logs",
            "logs",
        ])
    };
    let high = run("flow-thin-periodic.min_windows=13");
    assert_eq!(high.code, Some(0), "{}", high.whole());
    for wrong in [
        "flow-thin-periodic.min_windows=-1",
        "flow-thin-periodic.min_windows='; DROP TABLE vpc_flow'",
        "flow-thin-periodic.no_such=1",
        "flow-top-talkers.min_windows=12",
        "min_windows=12",
    ] {
        let ran = run(wrong);
        assert_eq!(ran.code, Some(2), "{wrong}: {}", ran.whole());
        assert!(ran.stderr.contains("davy hunt") || ran.stderr.contains("HUNT.PARAMETER"));
    }
}

#[test]
fn questions_through_a_pipe_are_all_asked_and_the_worst_is_told() {
    let bench = bench();
    let ask = |questions: &str| {
        let arguments = ["hunt", "sql", "--logs", "logs", "--output", "jsonl"];
        bench.run_with(&arguments, questions.as_bytes())
    };
    let ran = ask("SELECT COUNT(*) AS flows FROM vpc_flow; -- and; so on\n\
                   SELECT event_name FROM cloudtrail WHERE event_name = ';' ;\n\
                   SELECT COUNT(DISTINCT event_id) AS events FROM cloudtrail");
    assert_eq!(ran.code, Some(1), "{}", ran.whole());
    assert_eq!(ran.stdout, "{\"flows\":25}\n{\"events\":1}\n");
    let ran = ask("SELECT nonsense FROM vpc_flow; SELECT 1 AS one;");
    assert_eq!(ran.code, Some(2), "{}", ran.whole());
    assert_eq!(ran.stdout, "{\"one\":1}\n");
    assert!(ran.stderr.contains("nonsense"), "{}", ran.stderr);
    for nothing in ["", " ;; -- nothing\n"] {
        let ran = ask(nothing);
        assert_eq!(ran.code, Some(2), "{}", ran.whole());
    }
    let ran = bench.run_with(&["hunt", "sql", "--logs", "-"], b"SELECT 1;");
    assert_eq!(ran.code, Some(2), "{}", ran.whole());
}

#[test]
fn what_athena_is_told_is_printed_or_refused_with_a_next_step() {
    let bench = Bench::new();
    let told = |more: &[&str]| {
        let mut arguments = vec!["hunt", "athena-ddl"];
        arguments.extend(more);
        bench.run(&arguments)
    };
    let place = ["--account", "111122223333", "--region", "eu-west-1"];
    let lake = ["--lake", "s3://bucket/lake"];
    let results = ["--results", "s3://results/hunts"];
    let ran = told(&[place.as_slice(), &lake].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.whole());
    assert!(ran.stdout.contains("davylamp.vpc_flow ("), "{}", ran.stdout);
    for what in ["policy", "workgroup"] {
        let asked = [place.as_slice(), &lake, &results, &["--what", what]].concat();
        let ran = told(&asked);
        assert_eq!(ran.code, Some(0), "{}", ran.whole());
        assert!(document(&ran).is_object());
        let without = [place.as_slice(), &lake, &["--what", what]].concat();
        let ran = told(&without);
        assert_eq!(ran.code, Some(2), "{}", ran.whole());
        assert!(ran.stderr.contains("--results"), "{}", ran.stderr);
    }
    for wrong in [
        place.to_vec(),
        [place.as_slice(), &["--lake", "s3://bucket/it's"]].concat(),
        [place.as_slice(), &lake, &["--database", "a b"]].concat(),
        [
            lake.as_slice(),
            &["--account", "1", "--region", "eu-west-1"],
        ]
        .concat(),
        lake.to_vec(),
    ] {
        let ran = told(&wrong);
        assert_eq!(ran.code, Some(2), "{wrong:?}: {}", ran.whole());
    }
}

/// A digit too many or too few must not look like a clean bill.
#[test]
fn what_no_log_can_be_within_is_not_clean() {
    let bench = Bench::new();
    let day = "AWSLogs/111122223333/vpcflowlogs/eu-west-1/2026/03/01";
    bench.folder(day);
    let name = format!("{day}/111122223333_vpcflowlogs_eu-west-1_fl-1_20260301T1200Z_a.log");
    bench.write(&name, flows());
    let count = ["hunt", "sql", "SELECT count(*) AS flows FROM vpc_flow"];
    let hunt = ["hunt", "run", "flow-thin-periodic"];
    for (scope, said) in [
        (
            ["--account", "999999999999"],
            "nothing of the logs lies within",
        ),
        (["--region", "eu-west-3"], "nothing of the logs lies within"),
        (["--since", "2026-04-01"], "nothing of the logs lies within"),
        (["--account", "11112222333"], "is no account"),
        (["--region", "Narnia"], "is no region"),
    ] {
        for what in [&count, &hunt] {
            let args = [&what[..], &["--logs", "AWSLogs"], &scope].concat();
            let ran = bench.run(&args);
            assert_eq!(ran.code, Some(2), "{args:?}: {}", ran.whole());
            assert!(ran.stderr.contains(said), "{args:?}: {}", ran.whole());
        }
    }
    let turned = [
        "--since",
        "2026-03-02",
        "--until",
        "2026-03-01",
        "--logs",
        "AWSLogs",
    ];
    let ran = bench.run(&[&hunt[..], &turned].concat());
    assert_eq!(ran.code, Some(2), "{}", ran.whole());
    assert!(
        ran.stderr.contains("nothing lies between"),
        "{}",
        ran.stderr
    );
}

#[test]
fn what_cannot_be_converted_is_said() {
    let bench = bench();
    assert_eq!(
        bench
            .run(&["hunt", "convert", "--logs", "logs", "-o", "lake"])
            .code,
        Some(0)
    );
    bench.folder("empty");
    for (logs, said) in [
        ("lake", "a lake, which is converted"),
        ("empty", "no log that is known"),
    ] {
        let ran = bench.run(&["hunt", "convert", "--logs", logs, "-o", "other"]);
        assert_eq!(ran.code, Some(2), "{}", ran.whole());
        assert!(ran.stderr.contains(said), "{}", ran.stderr);
    }
    // Nothing that was counted was understood.
    bench.write("garbage.log", "these are\nno flows\n");
    let count = ["hunt", "sql", "SELECT count(*) AS flows FROM vpc_flow"];
    let ran = bench.run(&[&count[..], &["--logs", "vpc_flow=garbage.log"]].concat());
    assert_eq!(ran.code, Some(2), "{}", ran.whole());
}
