//! Whether it lives, and whether it can take events and show pages.
//!
//! Anybody may ask: nothing is said but in which way it is not well.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::StatusCode;
use tokio::sync::Mutex;

use crate::config::Config;
use crate::site::Site;

/// An answer holds for so long: who asks without end asks the database once.
const HOLDS: Duration = Duration::from_secs(1);
/// A database that takes longer does not answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);
/// Less room than this is none: a batch and its indices would not fit.
const ROOM_BYTES: u64 = 64 << 20;

/// What keeps it from taking events.
type Trouble = &'static str;

#[derive(Debug)]
pub(super) struct Health {
    /// Where SQLite's file is.
    folder: Option<PathBuf>,
    last: Mutex<Option<(Instant, Option<Trouble>)>>,
}

impl Health {
    pub(super) fn of(config: &Config) -> Self {
        Self {
            folder: config.folder(),
            last: Mutex::default(),
        }
    }

    /// Bytes that may still be written where the ledger is; `None` where that is a server.
    pub(super) fn free_bytes(&self) -> Option<u64> {
        let room = rustix::fs::statvfs(self.folder.as_ref()?).ok()?;
        Some(room.f_bavail.saturating_mul(room.f_frsize))
    }

    async fn trouble(&self, site: &Site) -> Option<Trouble> {
        let mut last = self.last.lock().await;
        if let Some((at, trouble)) = *last
            && at.elapsed() < HOLDS
        {
            return trouble;
        }
        let head = tokio::time::timeout(ANSWERS_WITHIN, site.ledger().head()).await;
        let trouble = match head {
            Ok(Ok(_)) if self.free_bytes().is_some_and(|free| free < ROOM_BYTES) => {
                Some("the disk is full")
            }
            Ok(Ok(_)) => None,
            Ok(Err(_)) | Err(_) => Some("the database does not answer"),
        };
        *last = Some((Instant::now(), trouble));
        trouble
    }
}

/// `/healthz`: whoever answers this lives.
pub(super) async fn alive() -> &'static str {
    "alive\n"
}

/// `/readyz`: the tables were made before anything was listened on, so it is about the database and the
/// disk.
pub(super) async fn ready(State(site): State<Site>) -> (StatusCode, String) {
    match site.observe().health.trouble(&site).await {
        None => (StatusCode::OK, "ready\n".to_owned()),
        Some(trouble) => (StatusCode::SERVICE_UNAVAILABLE, format!("{trouble}\n")),
    }
}
