//! Sending what is ripe: each channel one after another, all channels at once.
//!
//! What must stay true: a channel that hangs holds up no other; whoever dies while sending is followed by
//! somebody who sends the same again.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use davylamp_notice::Notice;
use jiff::Timestamp;
use tokio::task::JoinSet;

use super::outbox::{Outbox, Row, State};
use super::{Trouble, channel, secs};
use crate::config::Notices;

/// One try may take this long.
const TRY: Duration = Duration::from_secs(20);
/// A notice that somebody sends is theirs for so long. It is longer than a try.
const LEASE_SECS: i64 = 30;
/// Waits between tries grow up to this.
const LONGEST_WAIT_SECS: i64 = 1800;
/// So many channels are sent through at once.
const AT_ONCE: usize = 16;

/// How trying went, since this console started.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Notices that arrived.
    pub delivered: AtomicU64,
    /// Tries that failed.
    pub failed: AtomicU64,
    /// Notices that were given up.
    pub given_up: AtomicU64,
}

/// What sending needs.
#[derive(Debug, Clone)]
pub(super) struct Sender {
    pub outbox: Outbox,
    pub config: Notices,
    pub clouds: channel::Clouds,
    /// This console's name among those that share the database.
    pub holder: String,
    pub counts: Arc<Counts>,
}

/// What is on its way.
#[derive(Debug, Default)]
pub(super) struct Underway {
    tasks: JoinSet<String>,
    channels: HashSet<String>,
}

impl Underway {
    /// Waits for one to end; for ever where there is none.
    pub async fn one(&mut self) {
        match self.tasks.join_next().await {
            Some(Ok(channel)) => {
                self.channels.remove(&channel);
            }
            // Which channel it was is not known: what is underway is told from the others again.
            Some(Err(_)) => self.channels.clear(),
            None => std::future::pending().await,
        }
    }

    /// Lets what was begun end, for so long.
    pub async fn end(mut self, patience: Duration) {
        let all = async { while self.tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(patience, all).await;
    }
}

impl Sender {
    /// Starts to send what is ripe, one notice for each channel that is free.
    pub async fn start(&self, underway: &mut Underway, now: Timestamp) -> Result<(), Trouble> {
        for (id, channel) in self.outbox.ripe(now).await? {
            if underway.tasks.len() >= AT_ONCE || !underway.channels.insert(channel.clone()) {
                continue;
            }
            let sender = self.clone();
            underway.tasks.spawn(async move {
                if let Err(error) = sender.send(&id).await {
                    tracing::error!(%error, channel, "a notice could not be taken or put back");
                }
                channel
            });
        }
        Ok(())
    }

    /// Sends one, if it is ripe and free.
    pub async fn send(&self, id: &str) -> Result<(), Trouble> {
        let now = Timestamp::now();
        let lease = now.as_microsecond() + secs(LEASE_SECS);
        let Some(row) = self.outbox.take(id, &self.holder, lease, now).await? else {
            return Ok(());
        };
        let result = match tokio::time::timeout(TRY, self.attempt(&row)).await {
            Ok(result) => result,
            Err(_) => Err((true, format!("no answer within {} s", TRY.as_secs()))),
        };
        let now = Timestamp::now();
        let (channel, attempts) = (&row.channel, row.attempts);
        let count = |counter: &AtomicU64| counter.fetch_add(1, Ordering::Relaxed);
        let (state, next_at, error) = match result {
            Ok(()) => {
                count(&self.counts.delivered);
                (State::Sent, row.next_at, String::new())
            }
            Err((again, error)) => {
                count(&self.counts.failed);
                let next = now.as_microsecond() + secs(self.pause(attempts));
                let state = match again && next <= row.until {
                    true => State::Waiting,
                    false => {
                        count(&self.counts.given_up);
                        State::Failed
                    }
                };
                tracing::warn!(
                    channel,
                    attempts,
                    error,
                    state = state.as_str(),
                    "a notice did not go out"
                );
                (state, next, error)
            }
        };
        let came = self
            .outbox
            .came(id, &self.holder, state, next_at, &error, now);
        Ok(came.await?)
    }

    /// One try; whether it may be repeated, and why it failed.
    async fn attempt(&self, row: &Row) -> Result<(), (bool, String)> {
        let notice: Notice = serde_json::from_str(&row.body)
            .map_err(|error| (false, format!("this is a bug: {error}")))?;
        // A secret that is not there now may be there later.
        let channel = channel::open(&self.config, &row.channel, &row.person, &self.clouds)
            .await
            .map_err(|error| (true, error))?;
        let sent = channel.send(&notice).await;
        sent.map_err(|error| (error.is_transient(), error.to_string()))
    }

    fn pause(&self, attempts: i64) -> i64 {
        let doubled = u32::try_from(attempts - 1).unwrap_or(0).min(16);
        let longest = LONGEST_WAIT_SECS.max(self.config.retry_secs);
        self.config
            .retry_secs
            .saturating_mul(1 << doubled)
            .min(longest)
    }
}
