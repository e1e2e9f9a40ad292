//! PagerDuty, by its Events API v2.

use davylamp_model::finding::Severity;
use serde_json::{Value, json};

use super::error::ChannelError;
use super::page::{Line, Page};
use super::post::Target;
use super::{Notice, Notifier, Sending};

/// Where events go, outside the EU.
pub const ENDPOINT: &str = "https://events.pagerduty.com/v2/enqueue";
/// The summary's limit (Events API v2, "PD-CEF").
const SUMMARY_CHARS: usize = 1024;
/// For the count of the characters that were cut.
const COUNT_CHARS: usize = 40;
/// The deduplication key's limit.
const KEY_CHARS: usize = 255;
/// Each section of the details, and the links together, as JSON. There are eight sections, and an event
/// may have 512 KB in all.
const DETAIL_BYTES: usize = 40_000;

/// An integration of a PagerDuty service.
#[derive(Clone)]
pub struct PagerDuty {
    target: Target,
    routing_key: String,
}

impl std::fmt::Debug for PagerDuty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PagerDuty")
    }
}

impl PagerDuty {
    /// The integration with this routing key, which is a secret.
    pub fn new(routing_key: &str) -> Result<Self, ChannelError> {
        Self::at(ENDPOINT, routing_key)
    }

    /// The same at another address: the EU's, or a test's.
    pub fn at(endpoint: &str, routing_key: &str) -> Result<Self, ChannelError> {
        Ok(Self {
            target: Target::new("pagerduty", endpoint)?,
            routing_key: routing_key.trim().to_owned(),
        })
    }
}

impl Notifier for PagerDuty {
    fn name(&self) -> &str {
        "pagerduty"
    }

    fn send<'a>(&'a self, notice: &'a Notice) -> Sending<'a> {
        Box::pin(async move {
            let body = event(notice, &self.routing_key).to_string().into_bytes();
            self.target
                .post("pagerduty", body, &[], &[&self.routing_key])
                .await
        })
    }
}

/// The event. What is about one incident is one alert there.
pub fn event(notice: &Notice, routing_key: &str) -> Value {
    let page = Page::of(notice);
    let mut details: serde_json::Map<String, Value> = page
        .sections
        .iter()
        .map(|section| {
            let lines = section.fitting(DETAIL_BYTES, |line| size(&shown(line)));
            let lines: Vec<String> = lines.iter().map(shown).collect();
            (section.heading.to_owned(), json!(lines))
        })
        .collect();
    let mut room = DETAIL_BYTES;
    let links: Vec<Value> = page
        .links
        .iter()
        .filter(|(_, url)| url.starts_with("https://"))
        .map(|(label, url)| json!({"href": url, "text": label}))
        .take_while(|link| {
            let fits = link.to_string().len() <= room;
            room = room.saturating_sub(link.to_string().len());
            fits
        })
        .collect();
    let is_link = |url: &&str| url.starts_with("https://");
    let all = notice
        .links
        .iter()
        .map(|it| it.url.as_str())
        .filter(is_link);
    let cut = all.count().saturating_sub(links.len());
    if cut > 0 {
        details.insert("Read on".to_owned(), json!([super::show::more(cut)]));
    }
    let place = notice.place.as_ref().map_or_else(
        || "davylamp".to_owned(),
        |place| {
            super::show::line(
                &format!("{}/{}", place.account, place.region),
                SUMMARY_CHARS,
            )
        },
    );
    json!({
        "routing_key": routing_key,
        "event_action": if notice.is_over { "resolve" } else { "trigger" },
        "dedup_key": super::show::line(&notice.thread(), KEY_CHARS - COUNT_CHARS),
        "payload": {
            "summary": super::show::line(&page.subject, SUMMARY_CHARS - COUNT_CHARS),
            "source": place,
            "severity": severity(notice.severity),
            "timestamp": notice.at.to_string(),
            "class": notice.kind.label(),
            "custom_details": details,
        },
        "links": links,
    })
}

fn shown(line: &Line) -> String {
    match &line.command {
        Some(command) => format!("{}: {command}", line.text),
        None => line.text.clone(),
    }
}

/// What a text takes as JSON, with the comma after it.
fn size(text: &str) -> usize {
    Value::from(text).to_string().len() + 1
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Low => "info",
        Severity::Medium => "warning",
        Severity::High => "error",
        Severity::Critical => "critical",
    }
}
