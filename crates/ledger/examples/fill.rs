//! Fills a ledger, and prints how fast it takes findings and answers lists:
//! `fill <url> <findings> <incidents> [batch]`.
//!
//! What it prints are rates of this machine; nothing depends on them.
#![allow(clippy::print_stdout, reason = "a program that prints")]

use std::time::Instant;

use davylamp_ledger::query::{At, FindingFilter, IncidentFilter, IncidentSort};
use davylamp_ledger::{IncidentNo, Input, Ledger, Options, Reported, Reporter, Taken};
use davylamp_model::finding::{Behaviour, Finding, FindingSource, Observed, Severity};
use davylamp_model::ids::{FindingId, HubUser, Namespace, NodeName, PodName};
use davylamp_model::resource::Resource;
use jiff::Timestamp;

const START_SECS: i64 = 1_780_000_000;
/// Findings lie this far apart: a million of them in four months.
const STEP_MS: i64 = 10_000;

fn reported(n: i64, incidents: i64) -> Reported {
    let at = Timestamp::from_millisecond(START_SECS * 1000 + n * STEP_MS).expect("a time");
    // Users take turns, each for a while, so that there are as many incidents as asked for.
    let user = format!("user-{}", n % incidents);
    let pod = PodName(format!("jupyter-{user}"));
    let namespace = Namespace::from("hub");
    let node = format!("node-{}", n % 500);
    let seen = |what: &str, value: String| Observed {
        what: what.to_owned(),
        value,
    };
    Reported {
        finding: Finding {
            id: FindingId(format!("{n:032x}")),
            source: FindingSource::Davylamp,
            kind: "Davylamp:Guard/banned-command".to_owned(),
            behaviour: Behaviour::Mining,
            title: "Killed a process that matched a banned string".to_owned(),
            severity: [
                Severity::Low,
                Severity::Medium,
                Severity::High,
                Severity::Critical,
            ][(n % 97 % 4) as usize],
            place: None,
            resources: vec![
                Resource::HubUser {
                    user: HubUser(user.clone()),
                    pod: Some((namespace.clone(), pod.clone())),
                },
                Resource::Workload {
                    cluster: None,
                    namespace,
                    kind: "pods".to_owned(),
                    name: pod.0,
                },
                Resource::Node {
                    cluster: None,
                    name: NodeName(node.clone()),
                },
            ],
            first_seen: Some(at),
            last_seen: Some(at),
            count: 1,
            sample: false,
            archived: false,
            detector: None,
            observed: vec![
                seen("container", format!("{:064x}", (n % incidents) * 7919 + 13)),
                seen("process", format!("/tmp/.x{}/run", n % 1000)),
                seen(
                    "command-line",
                    format!(
                        "/tmp/.x{}/run --url pool{}.example:3333 --user w{n}",
                        n % 1000,
                        n % 50
                    ),
                ),
                seen("matched", "stratum".to_owned()),
            ],
            gaps: vec![
                "The guard's line does not say in which account and region its node is.".to_owned(),
            ],
        },
        reporter: Reporter {
            cluster: format!("hub-{}", n % 5),
            node,
            agent: "guard".to_owned(),
        },
        taken: [
            Taken::Killed,
            Taken::Killed,
            Taken::WouldKill,
            Taken::Spared,
            Taken::Alerted,
        ][(n % 23 % 5) as usize],
        line: Some(format!(
            "{{\"id\":\"{n:032x}\",\"line\":\"{}\"}}",
            "x".repeat(600)
        )),
    }
}

/// Asks for a first page of each kind, again and again, twenty times a second.
async fn read(ledger: Ledger) {
    let mut times = Vec::new();
    loop {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        let started = Instant::now();
        let first = At::first(50);
        let findings = ledger.findings(&FindingFilter::default(), &first).await;
        let incidents = ledger.incidents(&IncidentFilter::default(), &first).await;
        if findings.is_err() || incidents.is_err() {
            println!("a reader was refused");
        }
        times.push(started.elapsed().as_secs_f64() * 1000.0);
        if times.len() == 400 {
            print(
                "two pages while findings come in",
                std::mem::take(&mut times),
            );
        }
    }
}

fn rss_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok())
        .map_or(0, |kib| kib / 1024)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, url, findings, incidents, rest @ ..] = arguments.as_slice() else {
        return Err("fill <url> <findings> <incidents> [batch]".into());
    };
    let (findings, incidents): (i64, i64) = (findings.parse()?, incidents.parse()?);
    let batch: usize = rest.first().map_or(Ok(300), |text| text.parse())?;
    // Each user comes back once in incidents * STEP_MS, and some times are spared: the window has to reach
    // over several of them.
    let options = Options {
        within_secs: 6 * incidents * STEP_MS / 1000,
        ..Options::default()
    };
    let ledger = Ledger::open(url, &options).await?;
    // Somebody looks at pages meanwhile.
    let reader = tokio::spawn(read(ledger.clone()));
    let begin = Instant::now();
    let mut slowest = 0.0_f64;
    let numbers: Vec<i64> = (0..findings).collect();
    for (index, chunk) in numbers.chunks(batch).enumerate() {
        let inputs: Vec<Input> = chunk
            .iter()
            .map(|n| Input::Finding(Box::new(reported(*n, incidents))))
            .collect();
        let now = Timestamp::from_millisecond(START_SECS * 1000 + chunk[0] * STEP_MS)?;
        let started = Instant::now();
        ledger
            .deliver(Some(&format!("batch {index}")), &inputs, now)
            .await?;
        slowest = slowest.max(started.elapsed().as_secs_f64());
        if index % 200 == 199 {
            let done = (index + 1) * batch;
            println!(
                "{done} findings, {:.0}/s so far, slowest batch {:.0} ms",
                done as f64 / begin.elapsed().as_secs_f64(),
                slowest * 1000.0
            );
        }
    }
    if findings > 0 {
        println!(
            "took {findings} findings: {:.0}/s, slowest batch {:.0} ms, peak {} MiB",
            findings as f64 / begin.elapsed().as_secs_f64(),
            slowest * 1000.0,
            rss_mib()
        );
    }

    reader.abort();
    let filter = FindingFilter::default;
    let end = Timestamp::from_millisecond(START_SECS * 1000 + findings.max(1) * STEP_MS)?;
    let lists: Vec<(&str, FindingFilter)> = vec![
        ("all", filter()),
        (
            "severity",
            FindingFilter {
                severity: Some(Severity::High),
                ..filter()
            },
        ),
        (
            "action",
            FindingFilter {
                taken: Some(Taken::Spared),
                ..filter()
            },
        ),
        (
            "cluster",
            FindingFilter {
                cluster: Some("hub-3".to_owned()),
                ..filter()
            },
        ),
        (
            "node",
            FindingFilter {
                node: Some("node-77".to_owned()),
                ..filter()
            },
        ),
        (
            "user",
            FindingFilter {
                user: Some("user-5".to_owned()),
                ..filter()
            },
        ),
        (
            "incident",
            FindingFilter {
                incident: Some(IncidentNo(1)),
                ..filter()
            },
        ),
        (
            "rare word",
            FindingFilter {
                text: Some("w77".to_owned()),
                ..filter()
            },
        ),
        (
            "common word",
            FindingFilter {
                text: Some("killed".to_owned()),
                ..filter()
            },
        ),
        (
            "two words",
            FindingFilter {
                text: Some("pool7 x77".to_owned()),
                ..filter()
            },
        ),
        (
            "node+action",
            FindingFilter {
                node: Some("node-78".to_owned()),
                taken: Some(Taken::Alerted),
                ..filter()
            },
        ),
    ];
    for (name, filter) in &lists {
        let mut at = At::first(50);
        let mut times = Vec::new();
        for _ in 0..40 {
            let started = Instant::now();
            let page = ledger.findings(filter, &at).await?;
            times.push(started.elapsed().as_secs_f64() * 1000.0);
            at.cursor = page.next;
        }
        print(&format!("findings by {name}"), times);
    }
    for sort in [
        IncidentSort::LastSeen,
        IncidentSort::Severity,
        IncidentSort::Due,
    ] {
        let filter = IncidentFilter {
            sort,
            open: true,
            ..IncidentFilter::default()
        };
        let mut at = At::first(50);
        let mut times = Vec::new();
        for _ in 0..40 {
            let started = Instant::now();
            let page = ledger.incidents(&filter, &at).await?;
            times.push(started.elapsed().as_secs_f64() * 1000.0);
            at.cursor = page.next;
        }
        print(&format!("incidents by {sort:?}"), times);
    }
    let mut times = Vec::new();
    let mut timeline = Vec::new();
    for _ in 0..40 {
        let started = Instant::now();
        ledger
            .overview(end - jiff::SignedDuration::from_hours(24))
            .await?;
        times.push(started.elapsed().as_secs_f64() * 1000.0);
        let started = Instant::now();
        ledger.timeline(IncidentNo(1), &At::first(50)).await?;
        timeline.push(started.elapsed().as_secs_f64() * 1000.0);
    }
    print("overview of a day", times);
    print("timeline", timeline);
    let overview = ledger.overview(end).await?;
    println!(
        "{} open incidents, {} entries, peak {} MiB",
        overview.open(),
        overview.head.seq,
        rss_mib()
    );
    if let Some(folder) = std::env::var_os("VERIFY_IN") {
        let started = Instant::now();
        let found = ledger.verify(Some(&overview.head), folder.as_ref()).await?;
        println!(
            "verified in {:.1} s: {:?}, peak {} MiB",
            started.elapsed().as_secs_f64(),
            found.fault,
            rss_mib()
        );
    }
    Ok(())
}

fn print(what: &str, mut times: Vec<f64>) {
    times.sort_by(f64::total_cmp);
    println!(
        "{what}: p50 {:.2} ms, p99 {:.2} ms",
        times[times.len() / 2],
        times[times.len() - 1]
    );
}
