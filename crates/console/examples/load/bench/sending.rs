//! Agents that send.

use std::io::Write as _;
use std::ops::Range;
use std::time::{Duration, Instant};

use davylamp_console::Console;
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use reqwest::{Client, StatusCode};
use tokio::task::JoinSet;

use super::fill::line;
use super::program::Program;

/// Findings a second that are sent.
const PER_SECOND: u64 = 2000;
/// Who sends them.
const SENDERS: u64 = 4;
/// Findings of one batch, as `davy forward` sends them.
const BATCH: u64 = 500;
/// Numbers of findings of one sender.
const NUMBERS: u64 = 1_000_000_000;

struct Sender {
    token: String,
    cluster: String,
    /// The numbers of the findings that were answered for.
    sent: Range<u64>,
}

pub struct Senders {
    senders: Vec<Sender>,
    incidents: u64,
    began: Timestamp,
    before: u64,
    ended: std::sync::Arc<std::sync::Mutex<Vec<(usize, u64, u64)>>>,
    again: u64,
}

impl Senders {
    pub async fn new(console: &Console, incidents: u64, now: Timestamp) -> Self {
        let mut senders = Vec::new();
        // A run over a ledger that an earlier one filled sends findings of other numbers.
        let run = now.as_second().unsigned_abs() % 1_000_000;
        for number in 0..SENDERS {
            let name = format!("load-{number}-{}", now.as_microsecond());
            let cluster = format!("hub-{}", number + 1);
            let scopes = ["events:write"];
            let token = console
                .store()
                .add_token(&name, &cluster, &scopes, now)
                .await;
            let first = (run * SENDERS + number + 1) * NUMBERS;
            senders.push(Sender {
                token: token.expect("a token"),
                cluster,
                sent: first..first,
            });
        }
        Self {
            senders,
            incidents,
            began: now,
            before: 0,
            ended: std::sync::Arc::default(),
            again: 0,
        }
    }

    /// Sends for so long. A batch is sent again until it is answered for.
    pub fn begin(
        &mut self,
        program: &Program,
        phase: Duration,
    ) -> impl Future<Output = ()> + use<> {
        let until = Instant::now() + phase;
        let mut tasks = JoinSet::new();
        for (number, sender) in self.senders.iter().enumerate() {
            let (token, incidents, began) = (sender.token.clone(), self.incidents, self.began);
            let (address, mut at) = (format!("{}/api/v1/events", program.base), sender.sent.end);
            let ended = std::sync::Arc::clone(&self.ended);
            let client = Client::new();
            tasks.spawn(async move {
                let mut ticks = tokio::time::interval(Duration::from_millis(
                    1000 * BATCH * SENDERS / PER_SECOND,
                ));
                let mut again = 0;
                loop {
                    ticks.tick().await;
                    if Instant::now() >= until {
                        break;
                    }
                    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
                    for n in at..at + BATCH {
                        writeln!(packed, "{}", line(n, incidents, at_of(n, began)))
                            .expect("packed");
                    }
                    let body = packed.finish().expect("packed");
                    loop {
                        let answer = client
                            .post(&address)
                            .bearer_auth(&token)
                            .header("content-encoding", "gzip")
                            .header("idempotency-key", at.to_string())
                            .body(body.clone())
                            .send()
                            .await
                            .expect("an answer");
                        if answer.status() == StatusCode::OK {
                            break;
                        }
                        again += 1;
                        tokio::time::sleep(Duration::from_millis(200)).await;
                    }
                    at += BATCH;
                }
                ended.lock().expect("no panic").push((number, at, again));
            });
        }
        async move {
            while let Some(ended) = tasks.join_next().await {
                ended.expect("a sender ends");
            }
        }
    }

    /// What was sent since this was last asked.
    pub fn told(&mut self, phase: Duration) -> String {
        for (number, at, again) in self.ended.lock().expect("no panic").drain(..) {
            self.senders[number].sent.end = at;
            self.again += again;
        }
        let all: u64 = self
            .senders
            .iter()
            .map(|sender| sender.sent.end - sender.sent.start)
            .sum();
        let sent = all - std::mem::replace(&mut self.before, all);
        let again = std::mem::take(&mut self.again);
        format!(
            "{sent} in {} s ({:.0} a second), {again} batches asked to come again",
            phase.as_secs(),
            sent as f64 / phase.as_secs_f64()
        )
    }

    /// The clusters and numbers of everything that was answered for.
    pub fn sent(&self) -> impl Iterator<Item = (&str, u64)> {
        self.senders
            .iter()
            .flat_map(|sender| sender.sent.clone().map(|n| (sender.cluster.as_str(), n)))
    }

    /// The line of a number, as it was sent.
    pub fn line(&self, n: u64) -> String {
        line(n, self.incidents, at_of(n, self.began))
    }
}

/// When a finding was seen: about when it is sent, and the same whenever it is asked.
fn at_of(n: u64, began: Timestamp) -> Timestamp {
    let millis = (n % NUMBERS) * 1000 * SENDERS / PER_SECOND;
    let since = jiff::SignedDuration::from_millis(i64::try_from(millis).unwrap_or(i64::MAX));
    began.saturating_add(since).expect("a time")
}
