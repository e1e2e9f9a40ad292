//! Telling people: from the ledger's entries and the time that passes to notices, over channels.
//!
//! ```text
//!  entries ─► gather ─┐                                    ┌─► channel
//!  time    ─► watch  ─┴► route ─► items ─► pack ─► notices ─► send ─► what came of it
//! ```
//!
//! What must stay true: what is worth telling is in the outbox before the place in the ledger moves, so a
//! console that dies loses none of it; a notice that goes out twice says so by its id; consoles that
//! share a database tell once; who is told what a person may not see is told less; no secret is kept,
//! shown or logged.
//!
//! Not here: what notices look like and how channels take them (`davylamp_notice`), and deciding anything.

mod channel;
mod gather;
mod happening;
pub mod outbox;
mod pack;
mod route;
mod send;
mod watch;
mod what;
mod words;

use std::sync::Arc;
use std::time::{Duration, Instant};

use davylamp_ledger::{Ledger, LedgerError};
use jiff::Timestamp;
use tokio::sync::{Notify, watch as watched};

pub(crate) use channel::Clouds;
pub use channel::{Asking, Cloud};
use outbox::{Made, Outbox, Row, State, named};
pub(crate) use route::in_words;
use send::{Counts, Sender, Underway};
pub use what::What;
use words::Writer;

use crate::config::Config;
use crate::store::{self, Store, StoreError};

/// How often new entries and ripe notices are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often it is looked for what time alone brings.
const WATCH_EVERY: Duration = Duration::from_secs(20);
/// How often what was told long ago is looked for.
const FORGET_EVERY: Duration = Duration::from_secs(3600);
/// What was told longer ago is forgotten.
const KEPT_US: i64 = 90 * 24 * 3_600_000_000;
/// So long a console that ends waits for what it is sending.
const END_WITHIN: Duration = Duration::from_secs(5);

/// Why notices are not made or sent.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The ledger.
    #[error("the ledger cannot be read")]
    Ledger(#[from] LedgerError),
    /// The outbox.
    #[error("the outbox cannot be read or written")]
    Outbox(#[from] sqlx::Error),
    /// People.
    #[error("people cannot be read")]
    Store(#[from] StoreError),
    /// There is no such channel.
    #[error("there is no channel of the name `{name}`")]
    NoChannel {
        /// The name.
        name: String,
    },
}

/// Seconds in microseconds.
fn secs(secs: i64) -> i64 {
    secs.saturating_mul(1_000_000)
}

/// Whether so long has gone by, or it is the first time; the next time is counted from now.
fn is_over(since: &mut Option<Instant>, every: Duration) -> bool {
    let is_over = since.is_none_or(|since| since.elapsed() >= every);
    if is_over {
        *since = Some(Instant::now());
    }
    is_over
}

/// See the module.
#[derive(Debug, Clone)]
pub struct Notices(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    ledger: Ledger,
    store: Store,
    outbox: Outbox,
    sender: Sender,
    writer: Writer,
    config: Config,
    woken: Notify,
}

impl Notices {
    /// `url`: the address by which people reach the console.
    pub(crate) async fn new(
        ledger: &Ledger,
        store: &Store,
        config: &Config,
        clouds: Clouds,
        url: &str,
    ) -> Result<Self, Trouble> {
        let outbox = Outbox::beside(ledger).await?;
        let sender = Sender {
            outbox: outbox.clone(),
            config: config.notices.clone(),
            clouds,
            holder: store::secret()?,
            counts: Arc::default(),
        };
        Ok(Self(Arc::new(Inner {
            ledger: ledger.clone(),
            store: store.clone(),
            outbox,
            sender,
            writer: Writer {
                url: url.trim_end_matches('/').to_owned(),
            },
            config: config.clone(),
            woken: Notify::new(),
        })))
    }

    /// What is to be told and what was.
    pub fn outbox(&self) -> &Outbox {
        &self.0.outbox
    }

    /// How trying went.
    pub(crate) fn counts(&self) -> &Counts {
        &self.0.sender.counts
    }

    /// Something may be ripe.
    pub(crate) fn wake(&self) {
        self.0.woken.notify_one();
    }

    /// Tells until it is told to stop.
    pub(crate) async fn run(&self, mut stop: watched::Receiver<bool>) {
        let inner = &self.0;
        let mut underway = Underway::default();
        let (mut watched_at, mut forgot_at) = (None, None);
        loop {
            let is_time = is_over(&mut watched_at, WATCH_EVERY);
            if is_over(&mut forgot_at, FORGET_EVERY) {
                let before = Timestamp::now().as_microsecond() - KEPT_US;
                if let Err(error) = inner.outbox.forget(before).await {
                    tracing::warn!(%error, "what was told long ago is kept for another hour");
                }
            }
            if let Err(error) = self.round(&mut underway, is_time).await {
                let error = crate::access::chain(&error);
                tracing::error!(error, "notices wait: the next try is in a second");
            }
            tokio::select! {
                () = inner.woken.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = underway.one() => {}
                _ = stop.wait_for(|stop| *stop) => break,
            }
        }
        underway.end(END_WITHIN).await;
    }

    async fn round(&self, underway: &mut Underway, is_time: bool) -> Result<(), Trouble> {
        let inner = &self.0;
        let now = Timestamp::now();
        while gather::read_on(&inner.ledger, &inner.outbox, &inner.config.notices, now).await? {}
        if is_time {
            watch::look(&inner.ledger, &inner.outbox, &inner.config, now).await?;
        }
        let packer = pack::Packer {
            ledger: &inner.ledger,
            store: &inner.store,
            outbox: &inner.outbox,
            config: &inner.config.notices,
            writer: &inner.writer,
        };
        packer.pack(Timestamp::now()).await?;
        inner.sender.start(underway, Timestamp::now()).await
    }

    /// Puts a test of a channel into the outbox, and gives its id.
    ///
    /// # Errors
    /// [`Trouble`]
    pub async fn test(&self, channel: &str, by: &str) -> Result<String, Trouble> {
        let (inner, now) = (&self.0, Timestamp::now());
        if inner.config.notices.channel(channel).is_none() {
            let name = channel.to_owned();
            return Err(Trouble::NoChannel { name });
        }
        let notice = inner.writer.test(channel, by, now);
        let made = Made {
            id: named(&["test", channel, &store::secret()?]),
            seq: 0,
            incident: None,
            channel: channel.to_owned(),
            person: String::new(),
            title: notice.title.clone(),
            body: serde_json::to_string(&notice).unwrap_or_default(),
            // Somebody waits for the answer: one try is the answer.
            until: now.as_microsecond(),
            items: Vec::new(),
        };
        inner.outbox.make(&made, None, now).await?;
        self.wake();
        Ok(made.id)
    }

    /// Sends a notice of the outbox now, or waits for the console that does, and gives what came of it.
    ///
    /// # Errors
    /// [`Trouble`]
    pub async fn send(&self, id: &str) -> Result<Option<Row>, Trouble> {
        loop {
            self.0.sender.send(id).await?;
            let row = self.0.outbox.one(id).await?;
            let is_over = |row: &Row| matches!(row.state, State::Sent | State::Failed);
            if row.as_ref().is_none_or(is_over) {
                return Ok(row);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Has a notice tried again. False where there is none that could be.
    pub(crate) async fn again(&self, id: &str) -> Result<bool, Trouble> {
        let now = Timestamp::now();
        let until = now.as_microsecond() + secs(self.0.config.notices.give_up_hours * 3600);
        let found = self.0.outbox.again(id, until, now).await?;
        self.wake();
        Ok(found)
    }
}

#[cfg(test)]
mod tests;
