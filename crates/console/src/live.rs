//! What is new, for those who watch.
//!
//! One task reads the ledger's new entries and hands each to everybody: watchers do not ask the database, and
//! what an entry says is read and made a row of once, however many watch.
//! Entries of another console on the same database are seen as well, a second later.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use davylamp_ledger::rows::severity_rank;
use davylamp_ledger::{Entry, Ledger, Record, Taken};
use tokio::sync::{Notify, broadcast, watch};

/// So many entries may wait for a watcher; who is slower is told what was left out.
const WAITING: usize = 2048;
/// How often other consoles' entries are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Entries read at once.
const AT_ONCE: u32 = 200;

/// What of an entry decides who sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum About {
    /// A finding of a cluster.
    Finding {
        cluster: String,
        taken: Taken,
        severity: i64,
    },
    /// A node of a cluster.
    Node { cluster: String },
    /// An incident.
    Incident(i64),
    /// The console itself, or what nobody can read.
    House,
}

/// An entry, read and made a row of once for everybody who watches. What it said is not kept: thousands of
/// these wait for slow watchers.
#[derive(Debug)]
pub(crate) struct News {
    pub seq: i64,
    pub about: About,
    /// The same for all who may see it.
    pub row: String,
}

impl News {
    /// `row` makes a row of an entry and what it says: `None` where its body was removed or cannot be
    /// read.
    pub(crate) fn new(entry: &Entry, row: impl FnOnce(&Entry, Option<&Record>) -> String) -> Self {
        let record = read(entry);
        Self {
            seq: entry.seq,
            about: About::of(entry, record.as_ref()),
            row: row(entry, record.as_ref()),
        }
    }
}

/// What an entry says; `None` where its body was removed or cannot be read.
pub(crate) fn read(entry: &Entry) -> Option<Record> {
    serde_json::from_str(entry.body.as_deref()?).ok()
}

impl About {
    pub(crate) fn of(entry: &Entry, record: Option<&Record>) -> Self {
        match record {
            Some(Record::Finding(finding)) => Self::Finding {
                cluster: finding.place(),
                taken: finding.taken,
                severity: severity_rank(finding.finding.severity),
            },
            Some(Record::Heartbeat(heartbeat)) => Self::Node {
                cluster: heartbeat.reporter.cluster.clone(),
            },
            Some(Record::IncidentOpened(_)) => Self::Incident(entry.seq),
            Some(record) => record
                .incident()
                .map_or(Self::House, |incident| Self::Incident(incident.0)),
            None => Self::House,
        }
    }
}

/// What is new.
#[derive(Debug, Clone)]
pub(crate) struct Live {
    entries: broadcast::Sender<Arc<News>>,
    written: Arc<Notify>,
    ended: watch::Sender<bool>,
    seen: Arc<AtomicI64>,
}

impl Live {
    pub(crate) fn new() -> Self {
        Self {
            entries: broadcast::Sender::new(WAITING),
            written: Arc::default(),
            ended: watch::Sender::new(false),
            seen: Arc::default(),
        }
    }

    /// Something was written.
    pub(crate) fn wake(&self) {
        self.written.notify_one();
    }

    /// Everything that is written from now on.
    pub(crate) fn watch(&self) -> broadcast::Receiver<Arc<News>> {
        self.entries.subscribe()
    }

    /// How many watch.
    pub(crate) fn watchers(&self) -> usize {
        self.entries.receiver_count()
    }

    /// The last entry that was handed on.
    pub(crate) fn seen(&self) -> i64 {
        self.seen.load(Ordering::Relaxed)
    }

    /// Turns true when nothing comes any more: a watcher then lets go of its connection.
    pub(crate) fn ended(&self) -> watch::Receiver<bool> {
        self.ended.subscribe()
    }

    /// Hands new entries on until it is told to stop.
    pub(crate) async fn run(
        &self,
        ledger: &Ledger,
        row: impl Fn(&Entry, Option<&Record>) -> String,
        mut stop: watch::Receiver<bool>,
    ) {
        let mut seen = None;
        loop {
            match self.hand_on(ledger, seen, &row).await {
                Ok(last) => {
                    seen = Some(last);
                    self.seen.store(last, Ordering::Relaxed);
                }
                Err(error) => tracing::warn!(%error, "new entries cannot be read"),
            }
            tokio::select! {
                () = self.written.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
                _ = stop.wait_for(|stop| *stop) => {
                    self.ended.send_replace(true);
                    return;
                }
            }
        }
    }

    /// Hands on what came behind `seen`, and says where it ends.
    async fn hand_on(
        &self,
        ledger: &Ledger,
        seen: Option<i64>,
        row: impl Fn(&Entry, Option<&Record>) -> String,
    ) -> Result<i64, davylamp_ledger::LedgerError> {
        // Nobody has seen anything yet: what is there already is no news. Without watchers the way is only
        // kept; whoever begins to watch after this was asked reads the ledger up to here at least, so that
        // nothing falls between.
        let head = ledger.head().await?.seq;
        let Some(mut seen) = seen.filter(|_| self.entries.receiver_count() > 0) else {
            return Ok(head);
        };
        loop {
            let entries = ledger.entries_since(seen, AT_ONCE).await?;
            let Some(last) = entries.last() else {
                return Ok(seen);
            };
            seen = last.seq;
            for entry in &entries {
                let _ = self.entries.send(Arc::new(News::new(entry, &row)));
            }
            // Whoever asks for a page goes first.
            tokio::task::yield_now().await;
        }
    }
}
