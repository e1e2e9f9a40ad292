//! One watcher's stream.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::response::sse::Event;
use futures::Stream;
use maud::html;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio::time::Instant;

use super::{AT_ONCE, Filter, row};
use crate::access::{Refused, Viewer};
use crate::live::News;
use crate::observe::LEFT_OUT;
use crate::page::word;
use crate::site::Site;

/// A stream ends after this long; the browser opens it again, if its session still holds.
const LASTS: Duration = Duration::from_secs(600);
/// What was written between the page and the stream is looked for this soon: whoever hands entries on
/// does not know of the watcher before.
const LOOK_SOON: Duration = Duration::from_millis(1500);
/// Afterwards the place in the stream is told this often.
const LOOK_EVERY: Duration = Duration::from_secs(15);
/// So many times is read before the rest counts as left out.
const READS: usize = 4;

struct Watch {
    site: Site,
    viewer: Viewer,
    filter: Filter,
    /// The last entry that was looked at.
    last: i64,
    entries: Receiver<Arc<News>>,
    ended: watch::Receiver<bool>,
    ready: VecDeque<Event>,
    look_at: Instant,
    ends_at: Instant,
}

/// What comes behind an entry, for as long as somebody watches.
pub(super) fn events(
    site: Site,
    viewer: Viewer,
    filter: Filter,
    after: i64,
) -> impl Stream<Item = Result<Event, Infallible>> {
    let now = Instant::now();
    let watcher = Watch {
        entries: site.live().watch(),
        ended: site.live().ended(),
        site,
        viewer,
        filter,
        last: after,
        ready: VecDeque::new(),
        look_at: now,
        ends_at: now + LASTS,
    };
    futures::stream::unfold(watcher, |mut watcher| async move {
        let event = watcher.next().await?;
        Some((Ok(event), watcher))
    })
}

impl Watch {
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if Instant::now() >= self.ends_at {
                return None;
            }
            let came = tokio::select! {
                came = self.entries.recv() => Some(came),
                () = tokio::time::sleep_until(self.look_at) => None,
                _ = self.ended.wait_for(|ended| *ended) => return None,
            };
            let went = match came {
                Some(Ok(news)) => self.take(&news).await,
                Some(Err(RecvError::Lagged(n))) => {
                    self.left_out(i64::try_from(n).unwrap_or(i64::MAX));
                    self.last = self.last.saturating_add_unsigned(n);
                    Ok(())
                }
                Some(Err(RecvError::Closed)) => return None,
                None => self.look().await,
            };
            if went.is_err() {
                // The browser comes again, and goes on where it was.
                return None;
            }
        }
    }

    async fn take(&mut self, news: &News) -> Result<(), Refused> {
        if news.entry.seq > self.last.saturating_add(1) {
            self.catch_up().await?;
        }
        if news.entry.seq > self.last {
            self.show(news).await?;
        }
        Ok(())
    }

    async fn show(&mut self, news: &News) -> Result<(), Refused> {
        let now = self.site.now();
        let row = row(&self.site, &self.viewer, self.filter, news, now).await?;
        self.last = news.entry.seq;
        if let Some(row) = row {
            let event = self.event("entry").data(one_line(row.into_string()));
            self.ready.push_back(event);
        }
        Ok(())
    }

    /// Looks for what nobody handed on, and tells the place in the stream.
    async fn look(&mut self) -> Result<(), Refused> {
        let is_first = self.look_at + LASTS == self.ends_at;
        // Whoever was signed out meanwhile watches no more.
        let (session, now) = (&self.viewer.session, self.site.now());
        if !self.site.store().holds(session, now).await? {
            self.ends_at = Instant::now();
            return Ok(());
        }
        self.catch_up().await?;
        let event = self.event("place");
        self.ready.push_back(event.data(self.last.to_string()));
        self.look_at = Instant::now() + if is_first { LOOK_SOON } else { LOOK_EVERY };
        Ok(())
    }

    async fn catch_up(&mut self) -> Result<(), Refused> {
        for _ in 0..READS {
            let entries = self.site.ledger().entries_since(self.last, AT_ONCE).await?;
            let is_last = entries.len() < AT_ONCE as usize;
            for entry in entries {
                self.show(&News::new(entry)).await?;
            }
            if is_last {
                return Ok(());
            }
        }
        let head = self.site.ledger().head().await?.seq;
        if head > self.last {
            self.left_out(head - self.last);
            self.last = head;
        }
        Ok(())
    }

    fn left_out(&mut self, n: i64) {
        let meters = &self.site.observe().meters;
        meters.count(&LEFT_OUT, &[], n.unsigned_abs());
        let text = word::count(n, "entry was left out", "entries were left out");
        let row = html! { li.event.left-out { strong { (text) } ": more came than could be shown. " a href="/findings" { "All findings" } } };
        let event = self.event("left-out").data(one_line(row.into_string()));
        self.ready.push_back(event);
    }

    fn event(&self, name: &str) -> Event {
        Event::default().id(self.last.to_string()).event(name)
    }
}

/// A stream's line ends where a line ends; only text of several lines, which is in a `pre`, has any.
fn one_line(html: String) -> String {
    html.replace('\r', "").replace('\n', "&#10;")
}
