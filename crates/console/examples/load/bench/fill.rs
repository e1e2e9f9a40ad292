//! A ledger that is not empty.

use std::time::Instant;

use davylamp_ledger::{Input, Ledger, Reported};
use jiff::Timestamp;

/// Clusters that most findings are of.
const CLUSTERS: u64 = 5;
/// One finding in so many is of the small cluster.
const RARE: u64 = 1000;
/// The small cluster.
pub const SMALL: &str = "hub-small";
/// Findings of one batch.
const BATCH: u64 = 500;
/// How far the findings reach back.
const REACH_MS: u64 = 30 * 86_400_000;

pub fn cluster(n: u64) -> String {
    match n % RARE {
        0 => SMALL.to_owned(),
        _ => format!("hub-{}", n % CLUSTERS),
    }
}

/// One line of a guard.
pub fn line(n: u64, incidents: u64, at: Timestamp) -> String {
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

/// Fills a ledger up to so many findings, the latest last.
pub async fn fill(ledger: &Ledger, findings: u64, incidents: u64) {
    let known: i64 = sqlx::query_scalar("SELECT count(*) FROM finding")
        .fetch_one(ledger.database())
        .await
        .expect("a count");
    let mut n = known.unsigned_abs();
    let (first, began, now) = (n, Instant::now(), Timestamp::now());
    while n < findings {
        let until = (n + BATCH).min(findings);
        let batch: Vec<Input> = (n..until)
            .map(|n| {
                let before = i64::try_from((findings - n) * (REACH_MS / findings)).expect("a time");
                let at =
                    Timestamp::from_millisecond(now.as_millisecond() - before).expect("a time");
                let line = line(n, incidents, at);
                let reported =
                    Reported::from_guard_line(&line, &cluster(n), "guard").expect("a line");
                Input::Finding(Box::new(reported))
            })
            .collect();
        let taken = ledger.deliver(None, &batch, Timestamp::now()).await;
        taken.expect("taken");
        n = until;
        if n.is_multiple_of(100_000) {
            let rate = (n - first) as f64 / began.elapsed().as_secs_f64();
            println!(
                "filled {n}, {rate:.0} a second; load average {}",
                super::load_average()
            );
        }
    }
}
