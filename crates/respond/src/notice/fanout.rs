//! All channels together: each gets the notice, whatever becomes of the others.

use std::sync::Arc;
use std::time::Duration;

use super::{Notice, Notifier};
use crate::actuator::ActError;

/// How often and how patiently a channel is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Tries at most.
    pub tries: u32,
    /// Before the second try; twice as long before each further one.
    pub first_pause: Duration,
    /// One try may take this long.
    pub each: Duration,
}

impl Default for Patience {
    /// Less than a minute and a half in all, within the shortest life of a function that runs this.
    fn default() -> Self {
        Self {
            tries: 4,
            first_pause: Duration::from_millis(500),
            each: Duration::from_secs(20),
        }
    }
}

/// What became of a notice in one channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The channel.
    pub channel: String,
    /// How often it was tried.
    pub tries: u32,
    /// Whether it went out, or the last error.
    pub result: Result<(), ActError>,
}

/// All channels.
#[derive(Clone, Default)]
pub struct Notifiers {
    channels: Vec<Arc<dyn Notifier>>,
    patience: Patience,
}

impl std::fmt::Debug for Notifiers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Notifiers")
            .field("channels", &self.names())
            .field("patience", &self.patience)
            .finish()
    }
}

impl Notifiers {
    /// These channels.
    pub fn new(channels: Vec<Arc<dyn Notifier>>) -> Self {
        Self {
            channels,
            patience: Patience::default(),
        }
    }

    /// Tries more or less often.
    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// The channels, in order.
    pub fn channels(&self) -> &[Arc<dyn Notifier>] {
        &self.channels
    }

    /// Their names, in order.
    pub fn names(&self) -> Vec<&str> {
        self.channels.iter().map(|channel| channel.name()).collect()
    }

    /// Whether nobody would be told.
    pub fn is_empty(&self) -> bool {
        self.channels.is_empty()
    }

    /// Sends it through every channel at once; one result each, in the channels' order.
    pub async fn send(&self, notice: &Notice) -> Vec<Delivery> {
        futures::future::join_all(
            self.channels
                .iter()
                .map(|channel| self.deliver(channel.as_ref(), notice)),
        )
        .await
    }

    /// Sends it through one channel, repeating what may be repeated.
    pub async fn deliver(&self, channel: &dyn Notifier, notice: &Notice) -> Delivery {
        let mut tries = 0;
        let mut pause = self.patience.first_pause;
        loop {
            tries += 1;
            let sent = tokio::time::timeout(self.patience.each, channel.send(notice)).await;
            let result = sent.unwrap_or_else(|_| {
                Err(ActError::Transient {
                    service: channel.name().to_owned(),
                    why: format!("no answer within {} s", self.patience.each.as_secs()),
                })
            });
            match &result {
                Err(error) if error.is_transient() && tries < self.patience.tries => {
                    tracing::warn!(channel = channel.name(), %error, tries, "a notice is tried again");
                }
                Err(error) => {
                    tracing::error!(channel = channel.name(), %error, tries, "a notice did not go out");
                }
                Ok(()) => {}
            }
            if tries >= self.patience.tries
                || !matches!(&result, Err(error) if error.is_transient())
            {
                return Delivery {
                    channel: channel.name().to_owned(),
                    tries,
                    result,
                };
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }
}
