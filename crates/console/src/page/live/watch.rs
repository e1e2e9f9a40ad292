//! One watcher's stream.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::response::sse::Event;
use futures::Stream;
use maud::html;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::watch;
use tokio::time::Instant;

use super::{Filter, SHOWN, is_shown};
use crate::access::{Refused, Viewer};
use crate::live::{About, News, read};
use crate::observe::LEFT_OUT;
use crate::page::{live_row, word};
use crate::site::Site;

/// A stream ends after this long; the browser opens it again, if its session still holds.
const LASTS: Duration = Duration::from_secs(600);
/// The place in the stream is told this often.
const TELL_EVERY: Duration = Duration::from_secs(15);
/// Entries that are read at once, of what was written between the page and the stream, and how often
/// before the rest counts as left out.
const AT_ONCE: u32 = 500;
const READS: usize = 4;
/// Behind rows that were sent, the next ones are collected for so long. What comes first after a silence
/// is sent at once.
const PACE: Duration = Duration::from_secs(1);

/// What is told to a watcher.
enum Told {
    Row(Arc<News>),
    /// How many were left out, and the entry behind which the stream goes on.
    LeftOut(i64, i64),
    Place,
}

struct Watch {
    site: Site,
    viewer: Viewer,
    filter: Filter,
    /// The last entry that was looked at.
    last: i64,
    entries: Receiver<Arc<News>>,
    ended: watch::Receiver<bool>,
    /// The latest rows that are to be sent: no more than the page holds.
    rows: VecDeque<Arc<News>>,
    /// How many came before those, and are not sent.
    left_out: i64,
    ready: VecDeque<Told>,
    rest_until: Instant,
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
        rows: VecDeque::new(),
        left_out: 0,
        ready: VecDeque::new(),
        rest_until: now,
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
            if let Some(told) = self.ready.pop_front() {
                return Some(self.event(&told));
            }
            if Instant::now() >= self.ends_at {
                return None;
            }
            let resting = self.rest_until;
            let came = tokio::select! {
                came = async {
                    tokio::time::sleep_until(resting).await;
                    self.entries.recv().await
                } => Some(came),
                () = tokio::time::sleep_until(self.look_at) => None,
                _ = self.ended.wait_for(|ended| *ended) => return None,
            };
            let went = match came {
                Some(came) => self.collect(came).await,
                None => self.look().await,
            };
            if went.is_err() {
                // The browser comes again, and goes on where it was.
                return None;
            }
        }
    }

    /// Takes what came and everything that waits behind it.
    async fn collect(&mut self, first: Result<Arc<News>, RecvError>) -> Result<(), Refused> {
        let mut came = first;
        loop {
            match came {
                Ok(news) => self.take(news).await?,
                Err(RecvError::Lagged(n)) => {
                    self.left_out += i64::try_from(n).unwrap_or(i64::MAX);
                    self.last = self.last.saturating_add_unsigned(n);
                }
                Err(RecvError::Closed) => return Err(Refused::Absent),
            }
            came = match self.entries.try_recv() {
                Ok(news) => Ok(news),
                Err(TryRecvError::Lagged(n)) => Err(RecvError::Lagged(n)),
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            };
        }
        self.send();
        Ok(())
    }

    async fn take(&mut self, news: Arc<News>) -> Result<(), Refused> {
        if news.seq > self.last.saturating_add(1) {
            self.catch_up().await?;
        }
        if news.seq > self.last {
            self.last = news.seq;
            if is_shown(&self.site, &self.viewer, self.filter, &news.about).await? {
                self.add(news);
            }
        }
        Ok(())
    }

    fn add(&mut self, news: Arc<News>) {
        self.rows.push_back(news);
        if self.rows.len() > SHOWN {
            self.rows.pop_front();
            self.left_out += 1;
        }
    }

    /// Lets what was collected go.
    fn send(&mut self) {
        if self.left_out > 0 {
            let first = self.rows.front().map(|news| news.seq - 1);
            let place = first.unwrap_or(self.last);
            self.ready.push_back(Told::LeftOut(self.left_out, place));
            self.left_out = 0;
        }
        if !self.rows.is_empty() {
            self.rest_until = Instant::now() + PACE;
        }
        self.ready.extend(self.rows.drain(..).map(Told::Row));
    }

    /// At first what nobody hands on, and then now and again the place in the stream.
    async fn look(&mut self) -> Result<(), Refused> {
        if self.look_at + LASTS == self.ends_at {
            self.catch_up().await?;
            self.send();
        }
        // Whoever was signed out meanwhile watches no more.
        let (session, now) = (&self.viewer.session, self.site.now());
        if !self.site.store().holds(session, now).await? {
            self.ends_at = Instant::now();
            return Ok(());
        }
        self.ready.push_back(Told::Place);
        self.look_at = Instant::now() + TELL_EVERY;
        Ok(())
    }

    /// Reads on from where this is: the latest of it, where it is much.
    async fn catch_up(&mut self) -> Result<(), Refused> {
        let head = self.site.ledger().head().await?.seq;
        let most = i64::from(AT_ONCE) * i64::try_from(READS).unwrap_or(1);
        let begin = head.saturating_sub(most);
        if begin > self.last {
            self.left_out += i64::try_from(self.rows.len()).unwrap_or(0) + begin - self.last;
            self.rows.clear();
            self.last = begin;
        }
        // Only what is sent is made a row of.
        let mut shown = VecDeque::new();
        for _ in 0..READS {
            let entries = self.site.ledger().entries_since(self.last, AT_ONCE).await?;
            let is_last = entries.len() < AT_ONCE as usize;
            for entry in entries {
                self.last = entry.seq;
                let record = read(&entry);
                let about = About::of(&entry, record.as_ref());
                if is_shown(&self.site, &self.viewer, self.filter, &about).await? {
                    shown.push_back(entry);
                    if shown.len() > SHOWN {
                        shown.pop_front();
                        self.left_out += 1;
                    }
                }
            }
            if is_last {
                break;
            }
        }
        for entry in &shown {
            self.add(Arc::new(News::new(entry, live_row)));
        }
        Ok(())
    }

    fn event(&self, told: &Told) -> Event {
        let event = |name: &str, seq: i64| Event::default().id(seq.to_string()).event(name);
        match told {
            Told::Row(news) => event("entry", news.seq).data(one_line(&news.row)),
            Told::LeftOut(n, place) => {
                let meters = &self.site.observe().meters;
                meters.count(&LEFT_OUT, &[], n.unsigned_abs());
                let text = word::count(*n, "entry was left out", "entries were left out");
                let row = html! { li.event.left-out { strong { (text) } ": more came than could be shown. " a href="/findings" { "All findings" } } };
                event("left-out", *place).data(one_line(&row.into_string()))
            }
            Told::Place => event("place", self.last).data(self.last.to_string()),
        }
    }
}

/// A stream's line ends where a line ends; only text of several lines, which is in a `pre`, has any.
fn one_line(html: &str) -> String {
    html.replace('\r', "").replace('\n', "&#10;")
}
