//! What is new, for those who watch.
//!
//! One task reads the ledger's new entries and hands each to everybody: watchers do not ask the database, and
//! what an entry says is read and made a row of once, however many watch.
//! Entries of another console on the same database are seen as well, a second later.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use davylamp_ledger::{Entry, Ledger, Record};
use tokio::sync::{Notify, broadcast, watch};

/// So many entries may wait for a watcher; who is slower is told what was left out.
const WAITING: usize = 4096;
/// How often other consoles' entries are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Entries read at once.
const AT_ONCE: u32 = 500;

/// An entry, read once for everybody who watches, and made a row of once.
#[derive(Debug)]
pub(crate) struct News {
    pub entry: Entry,
    /// What it says; `None` where its body was removed or cannot be read.
    pub record: Option<Record>,
    row: OnceLock<String>,
}

impl News {
    pub(crate) fn new(entry: Entry) -> Self {
        let body = entry.body.as_deref();
        Self {
            record: body.and_then(|body| serde_json::from_str(body).ok()),
            entry,
            row: OnceLock::new(),
        }
    }

    /// Its row, which is the same for all who may see it.
    pub(crate) fn row(&self, render: impl FnOnce(&Self) -> String) -> &str {
        self.row.get_or_init(|| render(self))
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
    pub(crate) async fn run(&self, ledger: &Ledger, mut stop: watch::Receiver<bool>) {
        let mut seen = None;
        loop {
            match self.hand_on(ledger, seen).await {
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
    ) -> Result<i64, davylamp_ledger::LedgerError> {
        // Nobody has seen anything yet: what is there already is no news.
        let Some(mut seen) = seen else {
            return Ok(ledger.head().await?.seq);
        };
        // Without watchers the way is only kept.
        if self.entries.receiver_count() == 0 {
            return Ok(ledger.head().await?.seq);
        }
        loop {
            let entries = ledger.entries_since(seen, AT_ONCE).await?;
            let Some(last) = entries.last() else {
                return Ok(seen);
            };
            seen = last.seq;
            for entry in entries {
                let _ = self.entries.send(Arc::new(News::new(entry)));
            }
        }
    }
}
