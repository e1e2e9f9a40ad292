//! Microsoft Teams, through the webhook of a workflow: a message with one Adaptive Card.
//!
//! Only text runs are used: a text block or a fact reads Markdown, in which an attacker's words could be a
//! link (adaptivecards.io, "TextBlock" and "TextRun").

use serde_json::{Value, json};

use super::error::ChannelError;
use super::page::{Line, Page};
use super::post::Target;
use super::show::LINE_CHARS;
use super::{Notice, Notifier, Sending};

/// What a message may have is "about 28 KB" (learn.microsoft.com, "Limits and specifications for Teams");
/// others have measured refusals from 21 KB on.
const MESSAGE_BYTES: usize = 20_000;
/// The version of the cards that Teams shows everywhere.
const VERSION: &str = "1.4";
/// More buttons than these do not fit beneath a card (Adaptive Cards in Teams, "actions").
const LINKS: usize = 6;
/// Lines are not cut further than this: with one entry of each list the whole then fits.
const SHORTEST_CHARS: usize = 75;
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
/// out; then lines do.
pub fn message(notice: &Notice) -> Value {
    let (mut entries, mut chars) = (ENTRIES, LINE_CHARS);
    loop {
        let mut page = Page::sized(notice, entries, chars);
        // Half an address would lead elsewhere.
        page.links
            .retain(|(_, url)| notice.links.iter().any(|link| link.url == *url));
        let message = written(&page, notice);
        let is_shortest = entries <= 1 && chars <= SHORTEST_CHARS;
        if is_shortest || message.to_string().len() <= MESSAGE_BYTES {
            return message;
        }
        match entries {
            0 | 1 => chars /= 2,
            _ => entries = entries * 3 / 4,
        }
    }
}

fn written(page: &Page, notice: &Notice) -> Value {
    let mut body = vec![block(
        "Default",
        json!({"text": page.title, "weight": "Bolder", "size": "Large"}),
    )];
    let facts = page.facts.iter();
    body.extend(facts.map(|(name, value)| plain(&format!("{name}: {value}"))));
    for section in &page.sections {
        body.push(heading(section.heading));
        body.extend(section.all_lines().iter().flat_map(shown));
    }
    let (links, others): (Vec<_>, Vec<_>) = page
        .links
        .iter()
        .partition(|(_, url)| url.starts_with("https://"));
    if !others.is_empty() {
        body.push(heading("Read on"));
        body.extend(
            others
                .iter()
                .map(|(label, url)| plain(&format!("{label} {url}"))),
        );
    }
    let all = notice
        .links
        .iter()
        .filter(|link| link.url.starts_with("https://"));
    let cut = all.count().saturating_sub(links.len().min(LINKS));
    if cut > 0 {
        body.push(plain(&format!("links: {}", super::show::more(cut))));
    }
    let actions: Vec<Value> = links
        .iter()
        .take(LINKS)
        .map(|(label, url)| json!({"type": "Action.OpenUrl", "title": label, "url": url}))
        .collect();
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
    let mut blocks = vec![plain(&format!("• {}", line.text))];
    if let Some(command) = &line.command {
        let run = json!({"text": format!("    {command}"), "fontType": "Monospace"});
        blocks.push(block("None", run));
    }
    blocks
}

fn heading(text: &str) -> Value {
    block("Medium", json!({"text": text, "weight": "Bolder"}))
}

fn plain(text: &str) -> Value {
    block("None", json!({"text": text}))
}

/// A line: cards break lines between blocks alone.
fn block(spacing: &str, mut run: Value) -> Value {
    run["type"] = "TextRun".into();
    json!({"type": "RichTextBlock", "spacing": spacing, "inlines": [run]})
}
