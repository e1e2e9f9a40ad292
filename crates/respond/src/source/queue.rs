//! A worker on an SQS queue.
//!
//! What must stay true: a message is deleted only when all it said has been answered and journaled.
//! A message that cannot be read, or whose incident another run works on, stays; the queue's own
//! redrive policy moves what is never answered to its dead-letter queue. What is received at once is
//! answered at once: many messages about one node are one incident, and a storm is one digest.

use std::future::Future;
use std::iter;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{Message, QueueAttributeName};
use davylamp_cloud::aws::session::Sessions;
use davylamp_model::ids::Region;
use futures::future::join_all;
use tokio::time::{Instant, interval_at};
use tracing::{info, warn};

use crate::actuator::ActError;
use crate::aws::failure;

/// How long SQS lets a receive wait, at most, in seconds.
const LONGEST_POLL_SECS: i32 = 20;
/// A queue that gives nothing within so many seconds is empty.
const DRAIN_POLL_SECS: i32 = 2;
/// The most messages that SQS gives at once.
const MOST_MESSAGES: i32 = 10;
/// A received message is hidden from others for so long, and again while it is worked on.
const HIDDEN_SECS: i32 = 120;
/// How often the time is renewed: well before it ends.
const RENEW_EVERY: Duration = Duration::from_secs(40);
/// A message that another run works on comes back after so many seconds.
const BUSY_SECS: i32 = 60;
/// After an error of the queue the worker waits so long, doubled each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// And never longer than this.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handled {
    /// All it said is answered and journaled: it may go.
    Answered,
    /// It has to come again, and why.
    Again(String),
}

/// What a worker has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Messages answered and deleted.
    pub answered: u64,
    /// Messages left in the queue.
    pub left: u64,
    /// Receives, deletes and renewals that failed.
    pub failed_calls: u64,
}

/// Reads a queue.
#[derive(Debug)]
pub struct Worker {
    client: Client,
    queue: String,
}

impl Worker {
    /// A worker on the queue with this address. Where the address names its region, that is used.
    pub fn new(sessions: &Sessions, queue: &str) -> Self {
        let mut config = aws_sdk_sqs::config::Builder::from(sessions.home_writing());
        if let Some(region) = region_of(queue) {
            config = config.region(aws_sdk_sqs::config::Region::new(region.0));
        }
        Self {
            client: Client::from_conf(config.build()),
            queue: queue.to_owned(),
        }
    }

    /// Whether the queue can be read, and whether it has a redrive policy.
    pub async fn check(&self) -> Result<bool, ActError> {
        let attributes = self
            .client
            .get_queue_attributes()
            .queue_url(&self.queue)
            .attribute_names(QueueAttributeName::All)
            .send()
            .await
            .map_err(|error| failure::of("sqs:GetQueueAttributes", &error))?;
        Ok(attributes
            .attributes()
            .is_some_and(|all| all.contains_key(&QueueAttributeName::RedrivePolicy)))
    }

    /// How many messages have been received by somebody and are neither answered nor back.
    pub async fn hidden(&self) -> Result<u64, ActError> {
        let attributes = self
            .client
            .get_queue_attributes()
            .queue_url(&self.queue)
            .attribute_names(QueueAttributeName::ApproximateNumberOfMessagesNotVisible)
            .send()
            .await
            .map_err(|error| failure::of("sqs:GetQueueAttributes", &error))?;
        let name = QueueAttributeName::ApproximateNumberOfMessagesNotVisible;
        let count = attributes.attributes().and_then(|all| all.get(&name));
        Ok(count.and_then(|count| count.parse().ok()).unwrap_or(0))
    }

    /// Reads and answers until `stop`; what has been received by then is answered first.
    /// `handle` is given the bodies of a batch and says what came of each, in their order.
    pub async fn run<H, F>(&self, stop: impl Future<Output = ()>, handle: H) -> Tally
    where
        H: Fn(Vec<Vec<u8>>) -> F,
        F: Future<Output = Vec<Handled>>,
    {
        self.work(stop, handle, false).await
    }

    /// Reads and answers until the queue has nothing more to give, fails, or until `stop`.
    pub async fn drain<H, F>(&self, stop: impl Future<Output = ()>, handle: H) -> Tally
    where
        H: Fn(Vec<Vec<u8>>) -> F,
        F: Future<Output = Vec<Handled>>,
    {
        self.work(stop, handle, true).await
    }

    async fn work<H, F>(&self, stop: impl Future<Output = ()>, handle: H, once: bool) -> Tally
    where
        H: Fn(Vec<Vec<u8>>) -> F,
        F: Future<Output = Vec<Handled>>,
    {
        let mut tally = Tally::default();
        let mut pause = FIRST_PAUSE;
        tokio::pin!(stop);
        loop {
            let receive = self
                .client
                .receive_message()
                .queue_url(&self.queue)
                .max_number_of_messages(MOST_MESSAGES)
                .visibility_timeout(HIDDEN_SECS)
                .wait_time_seconds(if once {
                    DRAIN_POLL_SECS
                } else {
                    LONGEST_POLL_SECS
                })
                .send();
            let received = tokio::select! {
                () = &mut stop => return tally,
                received = receive => received,
            };
            match received {
                Ok(batch) => {
                    pause = FIRST_PAUSE;
                    let messages = batch.messages.unwrap_or_default();
                    if once && messages.is_empty() {
                        return tally;
                    }
                    self.answer(&messages, &handle, &mut tally).await;
                }
                Err(error) => {
                    tally.failed_calls += 1;
                    let error = failure::of("sqs:ReceiveMessage", &error);
                    if once {
                        warn!(error = %error, "the queue does not answer");
                        return tally;
                    }
                    warn!(error = %error, pause_secs = pause.as_secs(), "the queue does not answer");
                    tokio::select! {
                        () = &mut stop => return tally,
                        () = tokio::time::sleep(pause) => {}
                    }
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// Has a batch answered, renewing the time of its messages meanwhile.
    async fn answer<H, F>(&self, messages: &[Message], handle: &H, tally: &mut Tally)
    where
        H: Fn(Vec<Vec<u8>>) -> F,
        F: Future<Output = Vec<Handled>>,
    {
        let bodies = messages
            .iter()
            .map(|message| message.body().unwrap_or_default());
        let work = handle(bodies.map(|body| body.as_bytes().to_vec()).collect());
        tokio::pin!(work);
        let mut renewal = interval_at(Instant::now() + RENEW_EVERY, RENEW_EVERY);
        let handled = loop {
            tokio::select! {
                handled = &mut work => break handled,
                _ = renewal.tick() => {
                    let renewed = messages.iter().map(|message| self.hide(message, HIDDEN_SECS));
                    tally.failed_calls += join_all(renewed).await.iter().sum::<u64>();
                }
            }
        };
        // One of which nothing is said has not been answered.
        let unsaid = iter::repeat_with(|| Handled::Again("nothing came of it".to_owned()));
        let handled = handled.into_iter().chain(unsaid);
        let mut settled = Vec::new();
        for (message, handled) in messages.iter().zip(handled) {
            match handled {
                Handled::Answered => tally.answered += 1,
                Handled::Again(_) => tally.left += 1,
            }
            settled.push(self.settle(message, handled));
        }
        tally.failed_calls += join_all(settled).await.iter().sum::<u64>();
    }

    /// Deletes a message that was answered, and has another come again. How many calls failed.
    async fn settle(&self, message: &Message, handled: Handled) -> u64 {
        let id = message.message_id().unwrap_or("without an id");
        match handled {
            Handled::Answered => {
                let deleted = self
                    .client
                    .delete_message()
                    .queue_url(&self.queue)
                    .receipt_handle(message.receipt_handle().unwrap_or_default())
                    .send()
                    .await;
                match deleted {
                    Ok(_) => 0,
                    Err(error) => {
                        // It comes again, and is found answered then.
                        let error = failure::of("sqs:DeleteMessage", &error);
                        warn!(message = id, error = %error, "an answered message was not deleted");
                        1
                    }
                }
            }
            Handled::Again(why) => {
                info!(message = id, why, "the message stays in the queue");
                self.hide(message, BUSY_SECS).await
            }
        }
    }

    /// How many calls failed: none or one.
    async fn hide(&self, message: &Message, secs: i32) -> u64 {
        let hidden = self
            .client
            .change_message_visibility()
            .queue_url(&self.queue)
            .receipt_handle(message.receipt_handle().unwrap_or_default())
            .visibility_timeout(secs)
            .send()
            .await;
        match hidden {
            Ok(_) => 0,
            Err(error) => {
                let error = failure::of("sqs:ChangeMessageVisibility", &error);
                warn!(error = %error, "the time of a message was not changed");
                1
            }
        }
    }
}

/// The region in `https://sqs.REGION.amazonaws.com/…`.
fn region_of(queue: &str) -> Option<Region> {
    let host = queue.strip_prefix("https://sqs.")?.split('/').next()?;
    let (region, rest) = host.split_once('.')?;
    rest.starts_with("amazonaws.com")
        .then(|| Region::from(region))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_region_is_read_from_aws_addresses_alone() {
        for (queue, region) in [
            ("https://sqs.eu-west-1.amazonaws.com/1/q", Some("eu-west-1")),
            (
                "https://sqs.cn-north-1.amazonaws.com.cn/1/q",
                Some("cn-north-1"),
            ),
            ("http://127.0.0.1:5000/1/q", None),
            ("https://sqs.example.com/1/q", None),
            ("", None),
        ] {
            assert_eq!(region_of(queue), region.map(Region::from), "{queue}");
        }
    }
}
