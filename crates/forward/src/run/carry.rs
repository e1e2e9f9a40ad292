//! One destination's way through the spool.

use std::ops::Range;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use davylamp_spool::{Batch, Reader, SpoolError};
use serde_json::Value;

use super::status::{SharedStatus, change};
use super::{Destination, Pass, Stop};
use crate::config::Config;
use crate::dead::DeadLetters;
use crate::event::Event;
use crate::http::Answer;
use crate::patience::Patience;

/// Carries events from the spool to a destination.
pub(super) struct Carrier {
    pub(super) destination: Destination,
    pub(super) letters: DeadLetters,
    pub(super) spool: PathBuf,
    pub(super) config: Config,
    pub(super) pass: Pass,
    pub(super) stop: Stop,
    pub(super) status: SharedStatus,
}

/// It is to end, or has tried for long enough.
struct Over;

impl Carrier {
    /// Carries until it is told to stop, or everything is there.
    pub(super) async fn run(mut self) {
        let began = Instant::now();
        // What is not delivered is still in the spool, whatever ended it.
        let _ = self.carry(began).await;
    }

    async fn carry(&mut self, began: Instant) -> Result<(), Over> {
        let mut patience = Patience::default();
        let mut reader = loop {
            match Reader::open(&self.spool, self.destination.name()) {
                Ok(reader) => break reader,
                Err(error) => {
                    let why = format!("{}; {}", said(&error), error.hint());
                    self.wait(&mut patience, why, None, false, began).await?;
                }
            }
        };
        self.settled(&mut patience);
        loop {
            if *self.stop.borrow() {
                return Err(Over);
            }
            let batch = match reader.next_batch(self.config.batch_events, self.config.batch_bytes) {
                Ok(batch) => batch,
                Err(error) => {
                    let why = format!("{}; {}", said(&error), error.hint());
                    self.wait(&mut patience, why, None, false, began).await?;
                    continue;
                }
            };
            self.note_lag(&reader, &batch);
            if batch.is_empty() {
                if self.pass != Pass::Always {
                    return Ok(());
                }
                self.sleep(self.config.poll()).await?;
                continue;
            }
            self.note_missed(&batch);
            let events = self.read(&batch, &mut patience, began).await?;
            self.deliver(&events, &mut patience, began).await?;
            while let Err(error) = reader.commit(&batch) {
                // Going on would only make more of what comes twice after a restart.
                let why = format!("{}; {}", said(&error), error.hint());
                self.wait(&mut patience, why, None, false, began).await?;
            }
            self.settled(&mut patience);
            self.note_lag(&reader, &Batch::default());
        }
    }

    /// The lines that are events; the others go to the dead letters.
    async fn read(
        &mut self,
        batch: &Batch,
        patience: &mut Patience,
        began: Instant,
    ) -> Result<Vec<Event>, Over> {
        let mut events = Vec::with_capacity(batch.lines.len());
        for line in &batch.lines {
            match Event::read(line) {
                Ok(event) => events.push(event),
                Err(why) => {
                    self.bury(line, &why, patience, began).await?;
                    change(&self.status, |status| status.unreadable += 1);
                }
            }
        }
        Ok(events)
    }

    /// Delivers in order, in halves where the whole is not taken, until all is taken or buried.
    async fn deliver(
        &mut self,
        events: &[Event],
        patience: &mut Patience,
        began: Instant,
    ) -> Result<(), Over> {
        let mut parts: Vec<Range<usize>> = std::iter::once(0..events.len()).collect();
        while let Some(part) = parts.pop() {
            if part.is_empty() {
                continue;
            }
            let answer = tokio::select! {
                answer = self.destination.deliver(&events[part.clone()]) => answer,
                _ = stopped(&mut self.stop) => return Err(Over),
            };
            match answer {
                Answer::Taken(_) => {
                    change(&self.status, |status| {
                        status.delivered += part.len() as u64;
                        status.requests += 1;
                    });
                    self.settled(patience);
                }
                Answer::Parts(why) if part.len() == 1 => {
                    self.bury(&events[part.start].line, &why, patience, began)
                        .await?;
                    change(&self.status, |status| status.refused += 1);
                }
                Answer::Parts(_) => {
                    let middle = part.start + part.len() / 2;
                    parts.push(middle..part.end);
                    parts.push(part.start..middle);
                }
                Answer::Later(why, after) => {
                    parts.push(part);
                    self.wait(patience, why, after, false, began).await?;
                }
                Answer::Shut(why) => {
                    parts.push(part);
                    self.wait(patience, why, None, true, began).await?;
                }
            }
        }
        Ok(())
    }

    async fn bury(
        &mut self,
        line: &str,
        why: &str,
        patience: &mut Patience,
        began: Instant,
    ) -> Result<(), Over> {
        tracing::warn!(
            destination = self.destination.name(),
            why,
            kept_in = %self.letters.path().display(),
            "an event is refused for good"
        );
        while let Err(error) = self.letters.bury(line, why) {
            let why = format!("cannot write {}: {error}", self.letters.path().display());
            self.wait(patience, why, None, false, began).await?;
        }
        Ok(())
    }

    /// Waits before trying again; not at all where this is a pass that has waited enough, or where
    /// waiting does not help.
    async fn wait(
        &mut self,
        patience: &mut Patience,
        why: String,
        after: Option<Duration>,
        is_shut: bool,
        began: Instant,
    ) -> Result<(), Over> {
        let wait = patience.next(after);
        let mut is_news = false;
        change(&self.status, |status| {
            status.retries += 1;
            is_news = status.trouble.as_ref() != Some(&why);
            status.trouble = Some(why.clone());
        });
        if is_news {
            tracing::warn!(
                destination = self.destination.name(),
                why,
                attempts = patience.failures(),
                "not delivered; it will be tried again"
            );
        }
        if let Pass::Once { within } = self.pass
            && (is_shut || began.elapsed() + wait > within)
        {
            return Err(Over);
        }
        self.sleep(wait).await
    }

    async fn sleep(&mut self, time: Duration) -> Result<(), Over> {
        tokio::select! {
            () = tokio::time::sleep(time) => Ok(()),
            _ = stopped(&mut self.stop) => Err(Over),
        }
    }

    fn settled(&self, patience: &mut Patience) {
        patience.reset();
        change(&self.status, |status| status.trouble = None);
    }

    fn note_missed(&self, batch: &Batch) {
        let missed = batch.missed;
        if missed.lines > 0 {
            tracing::warn!(
                destination = self.destination.name(),
                lines = missed.lines,
                "the spool dropped lines before they were delivered"
            );
        }
        change(&self.status, |status| {
            status.missed += missed.lines;
            status.torn_bytes += missed.torn_bytes;
        });
    }

    fn note_lag(&self, reader: &Reader, batch: &Batch) {
        let oldest = batch.lines.first().and_then(|line| {
            let line: Value = serde_json::from_str(line).ok()?;
            let at: jiff::Timestamp = line.get("timestamp")?.as_str()?.parse().ok()?;
            u64::try_from(jiff::Timestamp::now().duration_since(at).as_secs()).ok()
        });
        change(&self.status, |status| {
            status.lag_secs = oldest.unwrap_or(0);
            if let Ok(bytes) = reader.lag_bytes() {
                status.lag_bytes = bytes;
            }
        });
    }
}

/// Waits until it is to stop. Whoever would say so is gone: never.
async fn stopped(stop: &mut Stop) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn said(error: &SpoolError) -> String {
    let first: &dyn std::error::Error = error;
    let causes = std::iter::successors(Some(first), |error| error.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
