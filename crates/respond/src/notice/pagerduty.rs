//! PagerDuty, by its Events API v2.

use davylamp_model::finding::Severity;
use serde_json::{Value, json};

use super::page::Page;
use super::post::{ChannelError, Target};
use super::{Notice, Notifier};
use crate::actuator::Acting;

/// Where events go, outside the EU.
pub const ENDPOINT: &str = "https://events.pagerduty.com/v2/enqueue";
/// The summary's limit (Events API v2, "PD-CEF").
const SUMMARY_CHARS: usize = 1024;
/// The deduplication key's limit.
const KEY_CHARS: usize = 255;
/// Each section of the details; an event may have 512 KB in all.
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

    fn send<'a>(&'a self, notice: &'a Notice) -> Acting<'a, ()> {
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
    let details: serde_json::Map<String, Value> = page
        .sections
        .iter()
        .map(|section| {
            let lines: Vec<String> = section
                .lines
                .iter()
                .map(|line| match &line.command {
                    Some(command) => format!("{}: {command}", line.text),
                    None => line.text.clone(),
                })
                .collect();
            (section.heading.to_owned(), json!(fitting(lines)))
        })
        .collect();
    let links: Vec<Value> = page
        .links
        .iter()
        .filter(|(_, url)| url.starts_with("https://"))
        .map(|(label, url)| json!({"href": url, "text": label}))
        .collect();
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
        "event_action": "trigger",
        "dedup_key": super::show::line(&notice.thread(), KEY_CHARS - 40),
        "payload": {
            "summary": page.subject,
            "source": place,
            "severity": severity(notice.severity),
            "timestamp": notice.at.to_string(),
            "class": notice.kind.label(),
            "custom_details": details,
        },
        "links": links,
    })
}

/// As many lines as there is room for, and the count of the others.
fn fitting(lines: Vec<String>) -> Vec<String> {
    let total = lines.len();
    let mut room = DETAIL_BYTES;
    let mut shown: Vec<String> = lines
        .into_iter()
        .take_while(|line| {
            let fits = line.len() <= room;
            room = room.saturating_sub(line.len());
            fits
        })
        .collect();
    if shown.len() < total {
        shown.push(super::show::more(total - shown.len()));
    }
    shown
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Low => "info",
        Severity::Medium => "warning",
        Severity::High => "error",
        Severity::Critical => "critical",
    }
}
