//! A store in a bucket: a copy on this machine is written to and read, and kept the same as what the bucket
//! has.
//!
//! Each line of the chain is an object of its own, made only where there is none of its number. So of two
//! recorders one cannot take a snapshot, and says so.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::anyhow;
use davylamp_cloud::aws::session::Sessions;
use davylamp_recorder::config::Config;
use davylamp_recorder::segment::SUFFIX;
use davylamp_recorder::store::{OWN, SEGMENTS};
use davylamp_recorder::{Store, StoreError, Writer};
use davylamp_respond::recordings::{Made, Recordings, RecordingsError, parse};
use futures::{StreamExt, TryStreamExt, stream};

use super::failure;
use crate::failure::Failure;

/// Objects that are brought at the same time.
const SIDE_BY_SIDE: usize = 16;

/// Where the store is on this machine.
pub(super) fn local(config: &Config) -> PathBuf {
    match parse(&config.store) {
        Some((bucket, prefix)) => Path::new(&config.copy).join(bucket).join(prefix),
        None => PathBuf::from(&config.store),
    }
}

/// A bucket that has a store.
pub(super) struct Bucket {
    recordings: Recordings,
    url: String,
}

fn chain(number: u64) -> String {
    format!("{OWN}/chain/{number:09}.json")
}

fn segment(name: &str) -> String {
    format!("{SEGMENTS}/{name}{SUFFIX}")
}

fn unreachable(error: RecordingsError) -> Failure {
    let hint =
        "see whether the bucket is there, in this region, and may be listed, read and written";
    Failure::new(anyhow!(error), hint)
}

impl Bucket {
    /// The bucket that is configured, where one is.
    pub fn configured(config: &Config, sessions: &Arc<Sessions>) -> Option<Self> {
        let (bucket, prefix) = parse(&config.store)?;
        Some(Self {
            recordings: Recordings::new(sessions, bucket, prefix),
            url: config.store.clone(),
        })
    }

    fn forked(&self, number: u64) -> Failure {
        Failure::new(
            anyhow!(
                "{} has another snapshot {number} than this machine",
                self.url
            ),
            "another recorder writes there: record into another prefix, or remove the copy on this machine",
        )
    }

    /// Makes the copy and the bucket the same: what one of them lacks comes from the other.
    pub async fn even_out(&self, mut writer: Writer) -> Result<Writer, Failure> {
        let names = self.recordings.names(&format!("{OWN}/chain")).await;
        let there = names.map_err(unreachable)?.len() as u64;
        let links = &writer.store().chain().links;
        let here = links.len() as u64;
        let common = here.min(there);
        if common > 0 {
            let ours = links[common as usize - 1].text();
            if self.line(common).await? != ours {
                return Err(self.forked(common));
            }
        }
        let mut coming = stream::iter(here + 1..=there)
            .map(|number| self.snapshot(number))
            .buffered(SIDE_BY_SIDE);
        while let Some((line, segment)) = coming.try_next().await? {
            writer.adopt(&line, segment.as_deref()).map_err(failure)?;
        }
        drop(coming);
        let writer = writer.settled().map_err(failure)?;
        self.push(writer.store(), there).await?;
        Ok(writer)
    }

    async fn line(&self, number: u64) -> Result<String, Failure> {
        let bytes = self
            .recordings
            .get(&chain(number))
            .await
            .map_err(unreachable)?;
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        text.ok_or_else(|| {
            Failure::new(
                anyhow!(
                    "line {number} of the chain in {} is not there, or no text",
                    self.url
                ),
                "see what happened to it: aws s3 ls",
            )
        })
    }

    /// A line of the chain, and the segment it names, where that is still there.
    async fn snapshot(&self, number: u64) -> Result<(String, Option<Vec<u8>>), Failure> {
        let line = self.line(number).await?;
        let link: Option<davylamp_recorder::chain::Link> = serde_json::from_str(&line).ok();
        let name = link.and_then(|link| Some(link.snapshot()?.segment.clone()));
        let bytes = match name {
            Some(name) => self
                .recordings
                .get(&segment(&name))
                .await
                .map_err(unreachable)?,
            None => None,
        };
        Ok((line, bytes))
    }

    /// Brings what the bucket lacks after its last line: each segment before the line that names it.
    pub async fn push(&self, store: &Store, there: u64) -> Result<(), Failure> {
        for link in store.chain().links.iter().filter(|it| it.number > there) {
            if let Some(snapshot) = link.snapshot() {
                match store.bytes(link.number, snapshot) {
                    Ok(bytes) => {
                        let key = segment(&snapshot.segment);
                        self.recordings
                            .make(&key, bytes)
                            .await
                            .map_err(unreachable)?;
                    }
                    Err(StoreError::Pruned { .. }) => {}
                    Err(error) => return Err(failure(error)),
                }
            }
            let text = link.text();
            let (key, line) = (chain(link.number), text.clone().into_bytes());
            let made = self
                .recordings
                .make(&key, line)
                .await
                .map_err(unreachable)?;
            let is_other = made == Made::Exists && self.line(link.number).await? != text;
            if is_other {
                return Err(self.forked(link.number));
            }
        }
        Ok(())
    }
}
