//! Nodes: guards that write into spools, and forwarders that carry them to the console.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use davylamp_console::Console;
use davylamp_forward::config::Config;
use davylamp_forward::{Forward, Pass};
use davylamp_ledger::{Ledger, Reported, keys};
use davylamp_spool::{Limits, Writer};
use jiff::Timestamp;
use serde_json::json;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// A line is written this often, until there are enough and everything has happened.
const EVERY: Duration = Duration::from_millis(3);

/// A node.
pub struct Node {
    name: String,
    cluster: String,
    spool: PathBuf,
    _folder: TempDir,
    config: Config,
    writing: Option<std::thread::JoinHandle<Vec<String>>>,
    enough: Arc<AtomicBool>,
    forwarding: Option<std::thread::JoinHandle<()>>,
    stop: watch::Sender<bool>,
}

fn line(node: &str, n: u64) -> String {
    let actions = ["killed", "alerted", "spared", "missed"];
    let action = actions[usize::try_from(n % 4).expect("small")];
    json!({
        "action": action,
        "event": "Killed a process", "matched": "pool", "source": "davylamp.exec", "level": "info",
        "node": node, "pid": n % 30_000, "cmdline": format!("./run --number {n}"),
        "hub_user": format!("user-{}", n % 17), "timestamp": Timestamp::now().to_string(),
        "id": format!("{node}-{n}"),
    })
    .to_string()
}

/// What `davy forward` does.
fn carry(config: Config, name: &str, pass: Pass, stop: watch::Receiver<bool>) {
    let forward = Forward::new(config, name).expect("a forwarder");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(forward.run(pass, stop, |_| {}));
}

impl Node {
    pub async fn new(console: &Console, name: &str, url: &str) -> Self {
        let folder = TempDir::new().expect("a folder");
        let cluster = format!("cluster-of-{name}");
        let (scopes, now) = (["events:write"], Timestamp::now());
        let token = console
            .store()
            .add_token(name, &cluster, &scopes, now)
            .await;
        let file = folder.path().join("token");
        std::fs::write(&file, token.expect("a token")).expect("written");
        let mut config = Config {
            spool: folder.path().join("spool"),
            batch_events: 40,
            poll_ms: 20,
            ..Config::default()
        };
        config.console.url = url.to_owned();
        config.console.token_file = file;
        config.console.timeout_secs = 5;
        Self {
            name: name.to_owned(),
            cluster,
            spool: config.spool.clone(),
            _folder: folder,
            config,
            writing: None,
            enough: Arc::default(),
            forwarding: None,
            stop: watch::Sender::new(false),
        }
    }

    /// Begins to write and to send.
    pub fn begin(&mut self) {
        let (name, dir, enough) = (self.name.clone(), self.spool.clone(), self.enough.clone());
        let limits = Limits {
            dir,
            max_bytes: 1 << 30,
            segment_bytes: 64 << 10,
            line_bytes: davylamp_spool::MAX_LINE_BYTES,
        };
        let mut writer = Writer::open(limits).expect("a spool");
        self.writing = Some(std::thread::spawn(move || {
            let mut lines = Vec::new();
            while !enough.load(Ordering::Relaxed) {
                let line = line(&name, lines.len() as u64);
                let _ = writer.append(&line).expect("room");
                lines.push(line);
                #[expect(clippy::disallowed_methods, reason = "a guard's pace")]
                std::thread::sleep(EVERY);
            }
            lines
        }));
        let (config, name) = (self.config.clone(), self.name.clone());
        let stop = self.stop.subscribe();
        self.forwarding = Some(std::thread::spawn(move || {
            carry(config, &name, Pass::Always, stop);
        }));
    }

    /// Ends the writing, and sends what is left.
    pub fn end(&mut self) -> Vec<String> {
        self.enough.store(true, Ordering::Relaxed);
        let lines = self.writing.take().expect("begun").join();
        self.stop.send_replace(true);
        let forwarding = self.forwarding.take().expect("begun");
        forwarding.join().expect("no panic");
        let within = Duration::from_secs(60);
        let (_keep, stop) = watch::channel(false);
        carry(self.config.clone(), &self.name, Pass::Once { within }, stop);
        lines.expect("no panic")
    }

    fn references(&self, lines: &[String]) -> BTreeSet<String> {
        let reference = |line: &String| {
            let reported = Reported::from_guard_line(line, &self.cluster, "guard");
            let reported = reported.expect("a finding");
            keys::reference(&reported.finding, &reported.reporter)
        };
        lines.iter().map(reference).collect()
    }
}

/// Ends all nodes, and sees that the ledger has each of their events once, and is as it was written.
pub fn compare(nodes: &mut [Node], runtime: &Runtime, ledger: &Ledger) -> usize {
    let mut sent = BTreeSet::new();
    for node in nodes {
        let lines = node.end();
        let references = node.references(&lines);
        assert_eq!(references.len(), lines.len(), "each line is another event");
        sent.extend(references);
    }
    runtime.block_on(async {
        let found: Vec<String> = sqlx::query_scalar("SELECT reference FROM finding")
            .fetch_all(ledger.database())
            .await
            .expect("references");
        let known: BTreeSet<String> = found.iter().cloned().collect();
        let lost = sent.difference(&known).count();
        let made_up = known.difference(&sent).count();
        assert_eq!((lost, made_up), (0, 0), "of {} events", sent.len());
        let count = "SELECT count(*) FROM entry WHERE kind = 'finding'";
        let entries: i64 = sqlx::query_scalar(count)
            .fetch_one(ledger.database())
            .await
            .expect("a count");
        assert_eq!(
            usize::try_from(entries),
            Ok(sent.len()),
            "entries of findings"
        );
        let scratch = TempDir::new().expect("a folder");
        let verified = ledger.verify(None, scratch.path()).await.expect("verified");
        assert_eq!(verified.fault, None);
    });
    sent.len()
}
