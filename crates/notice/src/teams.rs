//! Microsoft Teams, through the webhook of a workflow: a message with one Adaptive Card.
//!
//! Only text runs are used: a text block or a fact reads Markdown, in which an attacker's words could be a
//! link (adaptivecards.io, "TextBlock" and "TextRun").

use serde_json::{Value, json};

use super::error::ChannelError;
use super::page::{Line, Page};
use super::post::Target;
use super::{Notice, Notifier, Sending};

/// What a message may have is "about 28 KB" (learn.microsoft.com, "Limits and specifications for Teams");
/// others have measured refusals from 21 KB on.
const MESSAGE_BYTES: usize = 20_000;
/// The version of the cards that Teams shows everywhere.
const VERSION: &str = "1.4";
/// More buttons than these do not fit beneath a card (Adaptive Cards in Teams, "actions").
const LINKS: usize = 6;
/// Every list begins with so many entries, and gives way from there.
const ENTRIES: usize = 60;

/// The webhook of a workflow.
#[derive(Clone)]
pub struct Teams {
    target: Target,
}

impl std::fmt::Debug for Teams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Teams")
    }
}

impl Teams {
    /// The channel behind a workflow's address, which is a secret.
    pub fn new(address: &str) -> Result<Self, ChannelError> {
        Ok(Self {
            target: Target::new("teams", address)?,
        })
    }
}

impl Notifier for Teams {
    fn name(&self) -> &str {
        "teams"
    }

    fn send<'a>(&'a self, notice: &'a Notice) -> Sending<'a> {
        Box::pin(async move {
            let body = message(notice).to_string().into_bytes();
            self.target.post("teams", body, &[], &[]).await
        })
    }
}

/// The message. Every list gives way before one is lost, and each says how many of its entries are left
/// out.
pub fn message(notice: &Notice) -> Value {
    let mut entries = ENTRIES;
    loop {
        let message = written(&Page::with(notice, entries), notice);
        if entries <= 1 || message.to_string().len() <= MESSAGE_BYTES {
            return message;
        }
        entries = entries * 3 / 4;
    }
}

fn written(page: &Page, notice: &Notice) -> Value {
    let mut body = vec![text(vec![
        json!({"type": "TextRun", "text": page.title, "weight": "Bolder", "size": "Large"}),
    ])];
    let facts = page
        .facts
        .iter()
        .map(|(name, value)| run(&format!("{name}: {value}\n")));
    body.push(text(facts.collect()));
    for section in &page.sections {
        let mut runs = vec![json!({
            "type": "TextRun", "text": format!("{}\n", section.heading), "weight": "Bolder",
        })];
        for line in section.all_lines() {
            runs.extend(shown(&line));
        }
        body.push(text(runs));
    }
    let is_link = |url: &str| url.starts_with("https://");
    let actions: Vec<Value> = page
        .links
        .iter()
        .filter(|(_, url)| is_link(url))
        .take(LINKS)
        .map(|(label, url)| json!({"type": "Action.OpenUrl", "title": label, "url": url}))
        .collect();
    let others: Vec<Value> = page
        .links
        .iter()
        .filter(|(_, url)| !is_link(url))
        .map(|(label, url)| run(&format!("{label} {url}\n")))
        .collect();
    if !others.is_empty() {
        body.push(text(others));
    }
    let cut = notice
        .links
        .iter()
        .filter(|link| is_link(&link.url))
        .count();
    let cut = cut.saturating_sub(actions.len());
    if cut > 0 {
        let more = format!("Links: {}", super::show::more(cut));
        body.push(text(vec![run(&more)]));
    }
    let mut card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": VERSION,
        "fallbackText": page.subject,
        "msteams": {"width": "Full"},
        "body": body,
    });
    if !actions.is_empty() {
        card["actions"] = Value::Array(actions);
    }
    json!({
        "type": "message",
        "summary": page.subject,
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": card,
        }],
    })
}

fn shown(line: &Line) -> Vec<Value> {
    let mut runs = vec![run(&format!("• {}\n", line.text))];
    if let Some(command) = &line.command {
        runs.push(json!({
            "type": "TextRun", "text": format!("    {command}\n"), "fontType": "Monospace",
        }));
    }
    runs
}

fn run(text: &str) -> Value {
    json!({"type": "TextRun", "text": text})
}

fn text(runs: Vec<Value>) -> Value {
    json!({"type": "RichTextBlock", "inlines": runs})
}
