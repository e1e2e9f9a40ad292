//! A report as Markdown, for tickets.
//!
//! What must stay true: nothing that others wrote becomes markup, a link, HTML, a mention or a task, in
//! CommonMark, in GitHub's dialect and where a ticket system makes links of what looks like one. So a word
//! of plain letters stands as it is, and every other word stands as code, whose text no dialect looks into
//! (<https://spec.commonmark.org/0.31.2/#code-spans>,
//! <https://github.github.com/gfm/#tables-extension->).

use davylamp_model::visible;

use super::doc::{Block, Document, Line, Piece, Table};
use super::evidence::Chained;
use super::{REPORT_HTML, story, word};
use crate::case::{Case, EvidenceId};

/// A ticket shows so many rows of a table; the page has the rest.
const MOST_ROWS: usize = 40;
/// So many numbers stand behind a sentence.
const MOST_CITES: usize = 8;
/// So much of one value is shown.
const MOST_CHARS: usize = 600;
/// A command is shown whole: it is no use otherwise.
const MOST_COMMAND_CHARS: usize = 64 * 1024;

/// The report of a case.
pub(super) fn report(case: &Case, chain: &Chained) -> String {
    let mut document = story::tell(case, &chain.hash);
    document.sections.push(story::records(case, chain));
    write(&document)
}

/// A document as Markdown.
pub(super) fn write(document: &Document) -> String {
    let mut text = format!("# {}\n", prose(&document.title, Place::Block));
    for section in &document.sections {
        text.push_str(&format!("\n## {}\n", section.name));
        for block in &section.blocks {
            text.push_str(&written(block));
        }
    }
    text
}

fn written(block: &Block) -> String {
    match block {
        Block::Text(line) => format!("\n{}\n", set(line, Place::Block)),
        Block::Head(line) => format!("\n### {}\n", set(line, Place::Block)),
        Block::Points(lines) => {
            let points = lines
                .iter()
                .map(|line| format!("- {}\n", set(line, Place::Block)));
            format!("\n{}", points.collect::<String>())
        }
        Block::Steps(steps) => {
            let mut text = "\n".to_owned();
            for (at, (line, command)) in steps.iter().enumerate() {
                text.push_str(&format!("{}. {}\n", at + 1, set(line, Place::Block)));
                if let Some(command) = command {
                    text.push_str(&fenced(command));
                }
            }
            text
        }
        Block::Facts(facts) => {
            let facts = facts
                .iter()
                .map(|(name, line)| format!("- **{name}:** {}\n", set(line, Place::Block)));
            format!("\n{}", facts.collect::<String>())
        }
        Block::Table(table) => rows(table),
        Block::Picture(_) | Block::Graph(_) => String::new(),
    }
}

fn rows(table: &Table) -> String {
    let mut text = format!(
        "\n| {} |\n|{}\n",
        table.heads.join(" | "),
        " --- |".repeat(table.heads.len())
    );
    for row in table.rows.iter().take(MOST_ROWS) {
        let cells: Vec<String> = row.iter().map(|line| set(line, Place::Cell)).collect();
        text.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    let here = u64::try_from(table.rows.len().saturating_sub(MOST_ROWS)).unwrap_or(u64::MAX);
    let more = match (here, table.more) {
        (0, None) => return text,
        (here, Some((more, file))) => (here.saturating_add(more), file),
        (here, None) => (here, REPORT_HTML),
    };
    let rows = word::count(more.0, "more row stands", "more rows stand");
    text.push_str(&format!("\n{rows} in `{}`.\n", more.1));
    text
}

/// Where a text stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Where a line begins, or may.
    Block,
    /// In a cell of a table.
    Cell,
}

fn set(line: &Line, place: Place) -> String {
    let mut text = String::new();
    for piece in &line.0 {
        match piece {
            // Nothing in words of ours is more than a word.
            Piece::Ours(words) => text.push_str(words),
            Piece::Prose(words) => text.push_str(&prose(words, place)),
            Piece::Name(name) => text.push_str(&code(name, place)),
            Piece::Mark(_, words) => text.push_str(&format!("**{words}**")),
            Piece::Time(at) => text.push_str(&word::moment(*at)),
            Piece::Cites(records) => text.push_str(&cites(records)),
            Piece::Source(url) => text.push_str(&format!("<{url}>")),
        }
    }
    text
}

fn cites(records: &[EvidenceId]) -> String {
    let shown: Vec<String> = records
        .iter()
        .take(MOST_CITES)
        .map(|id| format!("e{}", id.0))
        .collect();
    match records.len().saturating_sub(MOST_CITES) {
        0 => format!(" ({})", shown.join(", ")),
        more => format!(" ({} and {more} more)", shown.join(", ")),
    }
}

/// Prose, word for word.
fn prose(text: &str, place: Place) -> String {
    let text = visible::cut(text, MOST_CHARS);
    let words: Vec<String> = text
        .split_whitespace()
        .enumerate()
        .map(|(at, word)| match is_plain(word, at == 0) {
            true => word.to_owned(),
            false => apart(word, place),
        })
        .collect();
    words.join(" ")
}

/// Whether no dialect takes a word for anything else: letters and digits, with marks of sentences around and
/// hyphens, apostrophes and commas between.
fn is_plain(word: &str, is_first: bool) -> bool {
    let inner = trimmed(word).1;
    let mut chars = inner.chars().peekable();
    let mut before: Option<char> = None;
    while let Some(c) = chars.next() {
        let next = chars.peek().copied();
        let between = |ok: fn(char) -> bool| before.is_some_and(ok) && next.is_some_and(ok);
        let is_fine = match c {
            '-' | '\'' => between(char::is_alphanumeric),
            ',' | '.' => between(|c| c.is_ascii_digit()) && !is_first,
            '$' => before.is_none() && next.is_some_and(|c| c.is_ascii_digit()),
            c if c.is_ascii() => c.is_ascii_alphanumeric(),
            c => c.is_alphanumeric() || matches!(c, '…' | '→' | '·' | '–' | '×'),
        };
        if !is_fine {
            return false;
        }
        before = Some(c);
    }
    // A number with a stop at the beginning of a line would count a list.
    let counts =
        is_first && inner.chars().all(|c| c.is_ascii_digit()) && word.ends_with(['.', ')']);
    // An address of four numbers is a link to some.
    let is_address = inner.matches('.').count() > 1;
    !inner.is_empty() && !counts && !is_address && !inner.to_ascii_lowercase().starts_with("www")
}

/// A word without the marks of a sentence around it.
fn trimmed(word: &str) -> (&str, &str, &str) {
    let inner = word.trim_start_matches(['(', '"', '\'']);
    let front = &word[..word.len() - inner.len()];
    let core = inner.trim_end_matches([')', '"', '\'', ',', '.', ';', ':', '?', '%']);
    // What closes a bracket of the word is the word's.
    let is_open = core.matches('(').count() > core.matches(')').count();
    let is_closed = is_open && inner[core.len()..].starts_with(')');
    let (core, back) = inner.split_at(core.len() + usize::from(is_closed));
    (front, core, back)
}

/// A word as code, with the marks of its sentence outside.
fn apart(word: &str, place: Place) -> String {
    let (front, core, back) = trimmed(word);
    match core.is_empty() {
        // Nothing but marks.
        true => code(word, place),
        false => format!("{front}{}{back}", code(core, place)),
    }
}

/// A command in a block of its own, within a step.
fn fenced(command: &str) -> String {
    let command = visible::lines(command, MOST_COMMAND_CHARS);
    let fence = "`".repeat(longest_run(&command).max(2) + 1);
    let lines = command.lines().map(|line| format!("   {line}\n"));
    format!(
        "\n   {fence}sh\n{}   {fence}\n\n",
        lines.collect::<String>()
    )
}

fn longest_run(text: &str) -> usize {
    let runs = text.split(|c| c != '`').map(str::len);
    runs.max().unwrap_or_default()
}

/// A text as code: within a fence that is longer than any in it.
fn code(text: &str, place: Place) -> String {
    let text = visible::cut(text, MOST_CHARS);
    if text.is_empty() {
        return "(empty)".to_owned();
    }
    let fence = "`".repeat(longest_run(&text) + 1);
    let text = match place {
        // In a table a bar ends the cell, in code as well, unless a backslash stands before it.
        Place::Cell => text.replace('|', "\\|"),
        Place::Block => text,
    };
    // One blank on both sides is taken away again.
    match text.starts_with(['`', ' ']) || text.ends_with(['`', ' ']) {
        true => format!("{fence} {text} {fence}"),
        false => format!("{fence}{text}{fence}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Place, code, prose};

    #[test]
    fn words_that_could_be_more_than_words_are_code() {
        for (text, expected) in [
            (
                "The key was used from Paris.",
                "The key was used from Paris.",
            ),
            (
                "[a](http://x) <b> @bob #1 a_b 203.0.113.9, www.x.y",
                "`[a](http://x)` `<b>` `@bob` `#1` `a_b` `203.0.113.9`, `www.x.y`",
            ),
            ("1. one", "`1`. one"),
            ("- one", "`-` one"),
            ("so $12.50 (or 1,000)", "so $12.50 (or 1,000)"),
            ("a `b` c", "a `` `b` `` c"),
            ("a\nb", "`a␊b`"),
            ("", ""),
        ] {
            assert_eq!(prose(text, Place::Block), expected, "{text:?}");
        }
        assert_eq!(code("a|b", Place::Cell), "`a\\|b`");
        assert_eq!(code("`", Place::Block), "`` ` ``");
    }
}
