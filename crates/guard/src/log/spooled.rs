//! The log on disk, for those who carry it away: `davylamp_spool`.
//!
//! A line is in the file when its writing returned, so it outlives the agent. What the machine itself
//! loses when it loses power is what came after the last sync: `SYNC_EVERY` at most. What the spool
//! drops to make room, and what a full disk refused, is said in the spool.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use davylamp_model::{guard_event::micros, ids::NodeName};
use davylamp_spool::{Appended, SpoolError, Writer};
use serde_json::{Value, json};

use super::line_of;

/// How often what was written is brought to the disk. More often would cost a busy disk more than the
/// lines are worth: each also stands in the log of the machine or of its container runtime.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// What the spool's thread shows of its work.
#[derive(Debug, Default)]
pub struct SpoolCounts {
    /// Lines dropped from the spool to make room.
    pub(super) dropped: AtomicU64,
    /// Bytes that it holds.
    pub(super) bytes: AtomicU64,
}

/// A spool, ready to be written by a thread of the log.
#[derive(Debug)]
pub struct Spooled {
    writer: Writer,
    node: NodeName,
    counts: Arc<SpoolCounts>,
    /// Lines that could not be written since it was last said, and why the last of them.
    failed: Option<(u64, String)>,
    synced: Instant,
}

impl Spooled {
    /// The lines of this machine go into this spool.
    pub fn new(writer: Writer, node: NodeName) -> Self {
        let counts = Arc::new(SpoolCounts::default());
        counts.bytes.store(writer.bytes(), Ordering::Relaxed);
        Self {
            writer,
            node,
            counts,
            failed: None,
            synced: Instant::now(),
        }
    }

    pub(super) fn counts(&self) -> Arc<SpoolCounts> {
        Arc::clone(&self.counts)
    }

    /// Writes until nobody says anything more.
    pub(super) fn write(mut self, waiting: &Receiver<Arc<str>>, lost: &AtomicU64) {
        let torn = self.writer.torn_bytes();
        if torn > 0 {
            let line = self.about("spool line torn", json!({"torn_bytes": torn}));
            self.append(&line, lost);
        }
        loop {
            match waiting.recv_timeout(SYNC_EVERY) {
                Ok(line) => self.append(&line, lost),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.synced.elapsed() >= SYNC_EVERY {
                self.sync();
            }
        }
        self.sync();
    }

    fn append(&mut self, line: &str, lost: &AtomicU64) {
        match self.writer.append(line) {
            Ok(appended) => {
                self.say_dropped(appended);
                if let Some((lines, why)) = self.failed.take() {
                    let facts = json!({"lost": lines, "reason": why});
                    let said = self.about("spool lines lost", facts);
                    if let Ok(appended) = self.writer.append(&said) {
                        self.say_dropped(appended);
                    }
                }
            }
            Err(error) => {
                lost.fetch_add(1, Ordering::Relaxed);
                self.fail(&error);
            }
        }
        self.counts
            .bytes
            .store(self.writer.bytes(), Ordering::Relaxed);
    }

    /// A segment goes at once, so this is said once for many lines.
    fn say_dropped(&mut self, appended: Appended) {
        if appended.dropped_lines == 0 {
            return;
        }
        self.counts
            .dropped
            .fetch_add(appended.dropped_lines, Ordering::Relaxed);
        let said = self.about(
            "spool lines dropped",
            json!({
                "dropped": appended.dropped_lines,
                "dropped_bytes": appended.dropped_bytes,
                "reason": "the spool is full",
            }),
        );
        // What this one line drops is counted with the next.
        match self.writer.append(&said) {
            Ok(again) => {
                self.counts
                    .dropped
                    .fetch_add(again.dropped_lines, Ordering::Relaxed);
            }
            Err(error) => self.fail(&error),
        }
    }

    fn fail(&mut self, error: &SpoolError) {
        let why = crate::agent::chain(error);
        if self.failed.is_none() {
            tracing::error!(error = why, "the spool does not take a line");
        }
        let lines = self.failed.take().map_or(0, |(lines, _)| lines);
        self.failed = Some((lines + 1, why));
    }

    fn sync(&mut self) {
        if let Err(error) = self.writer.sync() {
            tracing::error!(error = crate::agent::chain(&error), "the spool is not safe");
        }
        self.synced = Instant::now();
    }

    /// A line about the spool itself.
    fn about(&self, event: &str, facts: Value) -> String {
        let mut line = json!({
            "event": event,
            "level": "warning",
            "timestamp": micros::format(jiff::Timestamp::now()),
            "node": self.node,
        });
        if let (Some(line), Value::Object(facts)) = (line.as_object_mut(), facts) {
            line.extend(facts);
        }
        line_of(&line).unwrap_or_default()
    }
}
