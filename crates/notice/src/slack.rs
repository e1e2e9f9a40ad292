//! Slack, and what takes Slack's webhooks (Mattermost, Rocket.Chat, Discord's `/slack`).

use serde_json::{Value, json};

use super::error::ChannelError;
use super::page::{Line, Page, Section, severity};
use super::post::Target;
use super::{Notice, Notifier, Sending, text};

/// Slack's own limits (Block Kit reference: header, section, message).
const HEADER_CHARS: usize = 150;
const SECTION_CHARS: usize = 3000;
const BLOCKS: usize = 50;
/// For the line that counts what is left out of a section.
const MORE_CHARS: usize = 40;
/// The fallback text; Slack cuts at 40,000, Mattermost at 16,383.
const TEXT_CHARS: usize = 12_000;

/// A Slack-compatible webhook.
#[derive(Clone)]
pub struct Slack {
    target: Target,
}

impl std::fmt::Debug for Slack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Slack")
    }
}

impl Slack {
    /// The channel behind a webhook's address, which is a secret.
    pub fn new(address: &str) -> Result<Self, ChannelError> {
        Ok(Self {
            target: Target::new("slack", address)?,
        })
    }
}

impl Notifier for Slack {
    fn name(&self) -> &str {
        "slack"
    }

    fn send<'a>(&'a self, notice: &'a Notice) -> Sending<'a> {
        Box::pin(async move {
            let body = message(notice).to_string().into_bytes();
            self.target.post("slack", body, &[], &[]).await
        })
    }
}

/// The message: blocks for Slack, and a text for servers that know no blocks.
pub fn message(notice: &Notice) -> Value {
    let page = Page::of(notice);
    let mut blocks = vec![json!({
        "type": "header",
        "text": {"type": "plain_text", "text": bounded(&page.title, HEADER_CHARS), "emoji": false},
    })];
    let facts: Vec<String> = page
        .facts
        .iter()
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    blocks.push(plain(&facts.join("\n")));
    blocks.extend(page.sections.iter().map(section));
    let links: Vec<String> = page
        .links
        .iter()
        .map(|(label, url)| format!("{label} {url}"))
        .collect();
    if !links.is_empty() {
        blocks.push(plain(&format!("Read on\n{}", links.join("\n"))));
    }
    debug_assert!(blocks.len() <= BLOCKS);
    // Servers that know no blocks take Markdown; in a code block nothing is a link, an image that is
    // loaded, or a mention. Above it stands only what is ours.
    let whole = text::fitting(notice, |text| length(text.trim_end()) <= TEXT_CHARS);
    let body = whole.replace('`', "'");
    let fallback = format!(
        "[davylamp] {} {}\n```\n{}\n```",
        severity(notice.severity),
        notice.kind.label(),
        bounded(body.trim_end(), TEXT_CHARS)
    );
    json!({"text": fallback, "blocks": blocks, "link_names": 0, "parse": "none", "unfurl_links": false})
}

/// A section as one block: its limit is for all of its lines.
fn section(section: &Section) -> Value {
    let room = SECTION_CHARS - section.heading.len() - MORE_CHARS;
    let lines: Vec<String> = section
        .fitting(room, |line| length(&listed(line)) + 1)
        .iter()
        .map(listed)
        .collect();
    plain(&format!("{}\n{}", section.heading, lines.join("\n")))
}

fn listed(line: &Line) -> String {
    match &line.command {
        Some(command) => format!("• {}\n    {command}", line.text),
        None => format!("• {}", line.text),
    }
}

/// So many characters has a text with its encoding.
fn length(text: &str) -> usize {
    encode(text).chars().count()
}

/// Plain text: nothing in it is markup, a mention or an emoji.
fn plain(text: &str) -> Value {
    json!({
        "type": "section",
        "text": {"type": "plain_text", "text": bounded(text, SECTION_CHARS), "emoji": false},
    })
}

/// Encoded, and cut with a count if it is longer than `max` with its encoding.
fn bounded(text: &str, max: usize) -> String {
    /// For the count itself.
    const RESERVE: usize = 40;
    let whole = encode(text);
    if whole.chars().count() <= max {
        return whole;
    }
    let mut out = String::new();
    let mut length = 0;
    let mut taken = 0;
    let mut before = ' ';
    for character in text.chars() {
        let piece = encode_one(before, character);
        if length + piece.chars().count() > max - RESERVE {
            break;
        }
        length += piece.chars().count();
        out.push_str(&piece);
        taken += 1;
        before = character;
    }
    let cut = text.chars().count() - taken;
    format!("{out}… (and {cut} more characters)")
}

fn encode(text: &str) -> String {
    let mut before = ' ';
    text.chars()
        .map(|character| {
            let piece = encode_one(before, character);
            before = character;
            piece
        })
        .collect()
}

/// Slack's three control characters are encoded; an `@` that could begin a mention is spelled out,
/// one inside a mail address is kept.
fn encode_one(before: char, character: char) -> String {
    match character {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        '@' if !before.is_alphanumeric() => "(at)".to_owned(),
        other => other.to_string(),
    }
}
