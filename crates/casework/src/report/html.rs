//! A report as one page that needs nothing else: its style stands in it, and it may run nothing.
//!
//! What must stay true: maud escapes every text; characters that are not seen or turn others are shown by
//! their number; no address that others wrote is a link; colour is never alone in saying something; all is
//! reached by keyboard, printed whole, and read on a telephone.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use davylamp_model::visible;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

use super::doc::{Block, Line, Mark, Piece, Section, Table};
use super::evidence::Chained;
use super::refs::Refs;
use super::{EVIDENCE_JSONL, plot, story, word};
use crate::case::{Case, Evidence, EvidenceId};

const STYLE: &str = include_str!("html/style.css");

/// What is longer is folded.
const OPEN_ROWS: usize = 12;
/// A name up to so long is not broken at its hyphens.
const SHORT_CHARS: usize = 21;
/// A sentence points to so many records; the others are counted.
const MOST_CITES: usize = 12;
/// The page holds so many records: a browser opens that many.
const MOST_RECORDS: usize = 8_000;
/// So much of one value is shown.
const MOST_CHARS: usize = 2_000;
/// So much of one record is shown.
const MOST_RECORD_CHARS: usize = 6_000;
/// So much of a command: it is no use unless it is whole.
const MOST_COMMAND_CHARS: usize = 64 * 1024;

/// What the file may do: be styled by its own style.
fn policy() -> String {
    static HASH: LazyLock<String> = LazyLock::new(|| BASE64_STANDARD.encode(Sha256::digest(STYLE)));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        *HASH
    )
}

/// The page of a case.
pub(super) fn write(case: &Case, chain: &Chained) -> String {
    let document = story::tell(case, &chain.hash);
    let refs = Refs::new(case, MOST_RECORDS);
    // What points comes before what is pointed to.
    let sections: Vec<Markup> = document
        .sections
        .iter()
        .map(|section| set_section(section, &refs))
        .collect();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy());
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="referrer" content="no-referrer";
                title { (visible::cut(&document.title, 120)) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (plot::patterns())
                a.skip href="#main" { "To the report" }
                header {
                    h1 { bdi { (visible::line(&document.title)) } }
                    nav aria-label="Sections" { ul {
                        @for section in &document.sections {
                            li { a href=(format!("#{}", section.id)) { (section.name) } }
                        }
                        li { a href="#records" { "Records" } }
                    } }
                }
                main #main tabindex="-1" {
                    @for section in &sections { (section) }
                    (records(&refs, chain))
                }
                footer { p { "Made by " bdi { (visible::line(&case.asked.made_by)) } ". All times are UTC." } }
            }
        }
    };
    page.into_string()
}

fn set_section(section: &Section, refs: &Refs<'_>) -> Markup {
    let heading = format!("{}-h", section.id);
    html! {
        section id=(section.id) aria-labelledby=(heading) {
            h2 id=(heading) { (section.name) }
            @for block in &section.blocks { (set_block(block, refs)) }
        }
    }
}

fn set_block(block: &Block, refs: &Refs<'_>) -> Markup {
    match block {
        Block::Text(line) => html! { p { (set(line, refs)) } },
        Block::Head(line) => html! { h3 { (set(line, refs)) } },
        Block::Points(lines) => html! { ul { @for line in lines { li { (set(line, refs)) } } } },
        Block::Steps(steps) => html! {
            ol.steps { @for (line, command) in steps { li {
                (set(line, refs))
                @if let Some(command) = command {
                    pre tabindex="0" role="group" aria-label="Command" {
                        code { bdi { (visible::lines(command, MOST_COMMAND_CHARS)) } }
                    }
                }
            } } }
        },
        Block::Facts(facts) => html! {
            dl { @for (name, line) in facts { div { dt { (name) } dd { (set(line, refs)) } } } }
        },
        Block::Table(table) => set_table(table, refs),
        Block::Picture(picture) => picture.clone(),
        Block::Graph(graph) => graph.draw(&|id| refs.point(id)),
    }
}

fn set_table(table: &Table, refs: &Refs<'_>) -> Markup {
    let (open, folded) = table.rows.split_at(table.rows.len().min(OPEN_ROWS));
    html! {
        (rows(table, open, table.name, refs))
        @if !folded.is_empty() {
            details {
                summary { (word::count(folded.len() as u64, "more row", "more rows")) }
                (rows(table, folded, &format!("{}, continued", table.name), refs))
            }
        }
        @if let Some((more, file)) = table.more {
            p.more { (word::count(more, "more stands", "more stand")) " in " code { (file) } "." }
        }
    }
}

fn rows(table: &Table, rows: &[Vec<Line>], name: &str, refs: &Refs<'_>) -> Markup {
    html! {
        div.scroll role="group" aria-label=(name) tabindex="0" { table {
            thead { tr { @for head in &table.heads { th scope="col" { (head) } } } }
            tbody { @for row in rows { tr { @for line in row { td { (set(line, refs)) } } } } }
        } }
    }
}

fn set(line: &Line, refs: &Refs<'_>) -> Markup {
    html! { @for piece in &line.0 { (set_piece(piece, refs)) } }
}

fn set_piece(piece: &Piece, refs: &Refs<'_>) -> Markup {
    match piece {
        Piece::Ours(text) => html! { (text) },
        Piece::Prose(text) => html! { bdi { (visible::cut(text, MOST_CHARS)) } },
        Piece::Name(name) => {
            let is_short = name.chars().nth(SHORT_CHARS).is_none();
            html! { code.short[is_short] { bdi { (visible::cut(name, MOST_CHARS)) } } }
        }
        Piece::Mark(mark, text) => html! { strong class=(look(*mark)) { (visible::line(text)) } },
        Piece::Time(at) => {
            html! { time datetime=(word::exact(*at)) { (word::moment(*at)) } }
        }
        Piece::Cites(records) => cites(records, refs),
        Piece::Source(url) => {
            html! { a.source href=(url) rel="noreferrer" { (url) } }
        }
    }
}

fn look(mark: Mark) -> &'static str {
    match mark {
        Mark::Bad => "mark bad",
        Mark::Good => "mark good",
        Mark::Unsure => "mark unsure",
        Mark::Calm => "mark",
    }
}

/// The numbers of records, as links to them.
pub(super) fn cites(records: &[EvidenceId], refs: &Refs<'_>) -> Markup {
    let more = records.len().saturating_sub(MOST_CITES);
    html! {
        " " span.cites {
            @for id in records.iter().take(MOST_CITES) {
                @if refs.point(*id) { a href=(format!("#e{}", id.0)) { "e" (id.0) } }
                @else { span { "e" (id.0) } }
                " "
            }
            @if more > 0 { span { "and " (word::number(more as u64)) " more" } }
        }
    }
}

/// The records that the page points to.
fn records(refs: &Refs<'_>, chain: &Chained) -> Markup {
    let shown = refs.pointed();
    let (open, folded) = shown.split_at(shown.len().min(OPEN_ROWS));
    let beyond = chain.digests.len().saturating_sub(shown.len());
    html! {
        section #records aria-labelledby="records-h" {
            h2 #records-h { "Records" }
            p {
                "What the sentences above point to, as it was read. All records stand in "
                code { (EVIDENCE_JSONL) } ", whose chain of hashes ends with " code.hash { (chain.hash) }
                ". Keep that hash where nobody can alter it."
            }
            @if shown.is_empty() { p { "No record is cited." } }
            @for record in open { (set_record(record, chain)) }
            @if !folded.is_empty() {
                // A link into what is folded unfolds it.
                details {
                    summary { (word::count(folded.len() as u64, "more record", "more records")) }
                    @for record in folded { (set_record(record, chain)) }
                }
            }
            @if beyond > 0 {
                p.more { (word::count(beyond as u64, "more stands", "more stand")) " in " code { (EVIDENCE_JSONL) } "." }
            }
        }
    }
}

fn set_record(record: &Evidence, chain: &Chained) -> Markup {
    let json = serde_json::Value::Object(record.record.clone()).to_string();
    let place = format!("e{}", record.id.0);
    html! {
        article.record id=(place) aria-label=(format!("Record {place}")) {
            p {
                strong { (place) } " "
                @if let Some(at) = record.time { time datetime=(word::exact(at)) { (word::moment(at)) } " " }
                bdi { (visible::cut(&record.about, MOST_CHARS)) }
                @if story::is_distrusted(record) { " " strong class=(look(Mark::Bad)) { (story::DISTRUSTED) } }
            }
            p.where { code { bdi { (visible::line(&record.table)) } } " " bdi { (visible::cut(&record.source, MOST_CHARS)) } }
            p.where { "SHA-256 " code.hash { (chain.digest(record.id)) } }
            details {
                summary { "The record" span.hidden { " " (place) } }
                pre tabindex="0" role="group" aria-label=(format!("Record {place} as JSON")) { code { bdi { (visible::cut(&json, MOST_RECORD_CHARS)) } } }
            }
        }
    }
}
