//! What the console takes: events and people at the same time, over a ledger that is not empty.
//!
//! `cargo run --release -p davylamp-console --example load -- PROGRAM DATABASE FINDINGS INCIDENTS SECONDS`
//!
//! Fills the ledger at `DATABASE` with so many findings in so many incidents, starts `PROGRAM console` on it, and asks
//! for pages one after another: first alone, then while four agents send 2,000 findings a second between them and 50
//! people watch. Prints the times of pages alone and under load with their ratio, what was sent and what the ledger
//! has of it, and the most memory that the program had. The database may be SQLite's or PostgreSQL's.

#![allow(clippy::print_stdout, reason = "a program that prints")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use davylamp_console::Console;
use davylamp_console::config::Config;
use davylamp_ledger::{Input, Reported};
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use reqwest::{Client, StatusCode};

/// Findings a second that are sent.
const PER_SECOND: u64 = 2000;
/// Who sends them.
const SENDERS: u64 = 4;
/// Who watches.
const VIEWERS: usize = 50;
/// Findings of one batch when the ledger is filled.
const FILL: u64 = 500;
/// Clusters that findings are of.
const CLUSTERS: u64 = 5;
/// So many pages are asked for alone.
const ALONE: usize = 200;

/// The pages that are asked for in turn.
const PAGES: &[&str] = &[
    "/",
    "/incidents",
    "/incidents?order=severity",
    "/findings",
    "/findings?action=missed",
    "/live",
    "/queue",
    "/nodes",
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [program, database, findings, incidents, seconds] = arguments.as_slice() else {
        println!("load PROGRAM DATABASE FINDINGS INCIDENTS SECONDS");
        std::process::exit(2);
    };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let number = |text: &str| text.parse().expect("a whole number");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(measure(
        program,
        database,
        number(findings),
        number(incidents),
        number(seconds),
    ));
}

/// One line of a guard.
fn line(n: u64, incidents: u64, at: Timestamp) -> String {
    let user = n % incidents;
    let action =
        ["killed", "killed", "killed", "alerted", "missed", "spared"][(n % 23 % 6) as usize];
    serde_json::json!({
        "pid": n % 4_000_000, "cmdline": format!("/tmp/.x{}/run --url pool{}.example:3333 --user w{n}", n % 1000, n % 50),
        "matched": "pool", "source": "execwhacker.bpf", "action": action,
        "event": "Killed a process that matched a banned string", "level": "info", "timestamp": at.to_string(),
        "container_id": format!("{:064x}", user * 7919 + 13), "hub_user": format!("user-{user}"),
        "labels": {"io.kubernetes.pod.namespace": "hub", "io.kubernetes.pod.name": format!("jupyter-user-{user}")},
        "exe": format!("/tmp/.x{}/run", n % 1000), "node": format!("node-{}", n % 500), "uid": 1000,
        "id": format!("{n:032x}"),
    })
    .to_string()
}

async fn measure(program: &str, database: &str, findings: u64, incidents: u64, seconds: u64) {
    let console = opened(database).await;
    let now = Timestamp::now();
    let began = Instant::now();
    let mut n = 0;
    while n < findings {
        let until = (n + FILL).min(findings);
        let batch: Vec<Input> = (n..until)
            .map(|n| {
                // Over the last month, the latest last.
                let before = (findings - n) as i64 * 30 * 86_400_000 / findings as i64;
                let at =
                    Timestamp::from_millisecond(now.as_millisecond() - before).expect("a time");
                let cluster = format!("hub-{}", n % CLUSTERS);
                let line = line(n, incidents, at);
                let reported = Reported::from_guard_line(&line, &cluster, "guard").expect("a line");
                Input::Finding(Box::new(reported))
            })
            .collect();
        console
            .ledger()
            .deliver(None, &batch, Timestamp::now())
            .await
            .expect("taken");
        n = until;
        if n % 100_000 == 0 {
            println!(
                "filled {n}, {:.0} a second",
                n as f64 / began.elapsed().as_secs_f64()
            );
        }
    }
    let mut tokens = Vec::new();
    for sender in 0..SENDERS {
        let name = format!("load-{sender}-{}", now.as_microsecond());
        let cluster = format!("hub-{}", sender % CLUSTERS);
        let token = console
            .store()
            .add_token(&name, &cluster, &["events:write"], now)
            .await;
        tokens.push(token.expect("a token"));
    }
    let person = davylamp_console::store::Person {
        name: format!("load-{}", now.as_microsecond()),
        role: davylamp_console::Role::Admin,
        scope: davylamp_console::Scope::default(),
        password: None,
        second_factor: None,
        factor_step: 0,
        disabled: false,
    };
    console
        .store()
        .add_person(&person, now)
        .await
        .expect("a person");
    let key = console
        .store()
        .make_link(&person.name, now)
        .await
        .expect("a link");
    console.ledger().close().await;

    let child = Command::new(program)
        .args([
            "console",
            "--listen=127.0.0.1:0",
            &format!("--database={database}"),
        ])
        .args(["--set=console.ingest.events_per_second=10000"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut child = Running(child);
    let mut said = BufReader::new(child.0.stdout.take().expect("its output")).lines();
    let first = said.next().expect("a line").expect("text");
    let base = first.rsplit(' ').next().expect("an address").to_owned();
    let client = Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("a client");
    let entered = client
        .post(format!("{base}/sign-in/link"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("key={key}"))
        .send()
        .await
        .expect("signed in");
    let cookie = entered.headers()["set-cookie"].to_str().expect("text");
    let cookie = cookie.split(';').next().expect("a cookie").to_owned();

    let mut alone = Vec::new();
    for turn in 0..ALONE {
        alone.push(page(&client, &base, &cookie, PAGES[turn % PAGES.len()]).await);
    }

    let seen: Arc<Vec<AtomicU64>> = Arc::new((0..VIEWERS).map(|_| AtomicU64::new(0)).collect());
    let mut tasks = Vec::new();
    for viewer in 0..VIEWERS {
        let (client, base, cookie, seen) = (
            client.clone(),
            base.clone(),
            cookie.clone(),
            Arc::clone(&seen),
        );
        tasks.push(tokio::spawn(async move {
            let stream = client
                .get(format!("{base}/live/stream"))
                .header("cookie", cookie)
                .send()
                .await;
            let mut stream = stream.expect("a stream");
            while let Ok(Some(bytes)) = stream.chunk().await {
                seen[viewer].fetch_add(bytes.len() as u64, Ordering::Relaxed);
            }
        }));
    }
    let until = Instant::now() + Duration::from_secs(seconds);
    let sent = Arc::new(AtomicU64::new(0));
    let again = Arc::new(AtomicU64::new(0));
    let mut senders = Vec::new();
    for (sender, token) in tokens.into_iter().enumerate() {
        let (client, base) = (client.clone(), base.clone());
        let (sent, again) = (Arc::clone(&sent), Arc::clone(&again));
        senders.push(tokio::spawn(async move {
            let batch = PER_SECOND / SENDERS;
            let mut ticks = tokio::time::interval(Duration::from_secs(1));
            let mut at = findings + sender as u64 * 1_000_000_000;
            while Instant::now() < until {
                ticks.tick().await;
                let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
                for n in at..at + batch {
                    writeln!(packed, "{}", line(n, incidents, Timestamp::now())).expect("packed");
                }
                at += batch;
                let body = packed.finish().expect("packed");
                loop {
                    let answer = client
                        .post(format!("{base}/api/v1/events"))
                        .bearer_auth(&token)
                        .header("content-encoding", "gzip")
                        .body(body.clone())
                        .send()
                        .await
                        .expect("an answer");
                    if answer.status() == StatusCode::OK {
                        break;
                    }
                    again.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                sent.fetch_add(batch, Ordering::Relaxed);
            }
        }));
    }
    let mut loaded = Vec::new();
    while Instant::now() < until {
        loaded.push(page(&client, &base, &cookie, PAGES[loaded.len() % PAGES.len()]).await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for sender in senders {
        sender.await.expect("a sender ends");
    }
    let took = until.elapsed().as_secs_f64() + seconds as f64;
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", child.0.id())).expect("it runs");
    let most = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap_or_default();
    for task in tasks {
        task.abort();
    }
    drop(child);

    let console = opened(database).await;
    let has: u64 = kept(&console, now).await;
    let sent = sent.load(Ordering::Relaxed);
    println!(
        "findings sent {sent} in {took:.0} s ({:.0} a second), kept {has}; asked to come again {}",
        sent as f64 / took,
        again.load(Ordering::Relaxed)
    );
    let watched: Vec<u64> = seen
        .iter()
        .map(|seen| seen.load(Ordering::Relaxed))
        .collect();
    println!(
        "viewers {VIEWERS}, each was sent {} to {} KiB",
        watched.iter().min().unwrap_or(&0) >> 10,
        watched.iter().max().unwrap_or(&0) >> 10
    );
    println!("memory {}", most.trim());
    let (p50, p99) = (at(&mut alone, 50), at(&mut alone, 99));
    let (under50, under99) = (at(&mut loaded, 50), at(&mut loaded, 99));
    println!(
        "pages alone: p50 {p50:.1} ms, p99 {p99:.1} ms, of {}",
        alone.len()
    );
    println!(
        "pages under load: p50 {under50:.1} ms, p99 {under99:.1} ms, of {}",
        loaded.len()
    );
    println!("ratio p50 {:.2}, p99 {:.2}", under50 / p50, under99 / p99);
}

/// A program that ends with this.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn opened(database: &str) -> Console {
    let config = Config {
        database: database.to_owned(),
        ..Config::default()
    };
    Console::open(config).await.expect("a ledger")
}

/// How many findings the ledger has since then, by its own counts.
async fn kept(console: &Console, since: Timestamp) -> u64 {
    // Whole hours are counted, so what was there before is taken off by its times of sight.
    use davylamp_ledger::query::{At, FindingFilter};
    let filter = FindingFilter {
        from: Some(since),
        ..FindingFilter::default()
    };
    let (mut count, mut at) = (0, At::first(500));
    loop {
        let page = console
            .ledger()
            .findings(&filter, &at)
            .await
            .expect("findings");
        count += page.items.len() as u64;
        match page.next {
            Some(cursor) => at.cursor = Some(cursor),
            None => return count,
        }
    }
}

/// How long a page takes, in milliseconds.
async fn page(client: &Client, base: &str, cookie: &str, path: &str) -> f64 {
    let began = Instant::now();
    let answer = client
        .get(format!("{base}{path}"))
        .header("cookie", cookie)
        .send()
        .await;
    let answer = answer.expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK, "{path}");
    answer.bytes().await.expect("a page");
    began.elapsed().as_secs_f64() * 1000.0
}

fn at(times: &mut [f64], percent: usize) -> f64 {
    times.sort_by(f64::total_cmp);
    times[(times.len() * percent / 100).min(times.len() - 1)]
}
