//! What a report says, in order, before it has a form.
//!
//! The story is told once; the page, the Markdown and the letter are written from it, so that none says
//! what another does not. Nothing here is escaped: each form escapes all of it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use maud::Markup;

use super::plot::Graph;
use crate::case::{EvidenceId, Span, Statement};

/// A whole report.
pub(super) struct Document {
    pub(super) title: String,
    pub(super) sections: Vec<Section>,
}

/// A part of it, with a name for links.
pub(super) struct Section {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) blocks: Vec<Block>,
}

/// What a section is made of.
pub(super) enum Block {
    /// A paragraph.
    Text(Line),
    /// A heading within a section.
    Head(Line),
    /// A list.
    Points(Vec<Line>),
    /// A list in order, with the command of a point where there is one.
    Steps(Vec<(Line, Option<String>)>),
    /// Names and what they are.
    Facts(Vec<(&'static str, Line)>),
    /// Rows.
    Table(Table),
    /// A picture. Forms without pictures leave it out: what it shows stands in a table beside it.
    Picture(Markup),
    /// The picture whose arrows point to records.
    Graph(Graph),
}

/// Rows under heads.
pub(super) struct Table {
    /// What it lists.
    pub(super) name: &'static str,
    pub(super) heads: Vec<&'static str>,
    pub(super) rows: Vec<Vec<Line>>,
    /// How many rows there are beyond these, and the file that has them.
    pub(super) more: Option<(u64, &'static str)>,
}

impl Table {
    /// A table of the first `most` of some things.
    pub(super) fn of<T>(
        name: &'static str,
        heads: &[&'static str],
        things: impl IntoIterator<Item = T>,
        most: (usize, &'static str),
        row: impl Fn(T) -> Vec<Line>,
    ) -> Self {
        let mut things = things.into_iter();
        let rows: Vec<_> = things.by_ref().take(most.0).map(row).collect();
        let more = u64::try_from(things.count()).unwrap_or(u64::MAX);
        Self {
            name,
            heads: heads.to_vec(),
            rows,
            more: (more > 0).then_some((more, most.1)),
        }
    }
}

impl Section {
    pub(super) fn new(id: &'static str, name: &'static str) -> Self {
        Self {
            id,
            name,
            blocks: Vec::new(),
        }
    }

    pub(super) fn text(&mut self, line: impl Into<Line>) {
        self.blocks.push(Block::Text(line.into()));
    }

    pub(super) fn head(&mut self, line: impl Into<Line>) {
        self.blocks.push(Block::Head(line.into()));
    }

    pub(super) fn points(&mut self, lines: Vec<Line>) {
        if !lines.is_empty() {
            self.blocks.push(Block::Points(lines));
        }
    }

    /// A table, or a sentence where it has no rows.
    pub(super) fn table(&mut self, table: Table, or: &'static str) {
        match table.rows.is_empty() {
            true => self.text(or),
            false => self.blocks.push(Block::Table(table)),
        }
    }
}

/// What stands on one line.
#[derive(Clone, Default)]
pub(super) struct Line(pub(super) Vec<Piece>);

/// A part of a line.
#[derive(Clone)]
pub(super) enum Piece {
    /// Words of ours: nothing that others wrote, for some forms set them as they are.
    Ours(String),
    /// Prose in which names stand that others chose.
    Prose(String),
    /// A name that others chose, or an id.
    Name(String),
    /// Words of ours with a look: they say what the look says.
    Mark(Mark, String),
    /// A moment.
    Time(Timestamp),
    /// The records behind what was said.
    Cites(Vec<EvidenceId>),
    /// Where a fact of ours comes from.
    Source(&'static str),
}

/// How a word looks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Bad,
    Good,
    Unsure,
    Calm,
}

impl Line {
    pub(super) fn ours(text: impl Into<String>) -> Self {
        Self(vec![Piece::Ours(text.into())])
    }

    pub(super) fn prose(text: impl Into<String>) -> Self {
        Self(vec![Piece::Prose(text.into())])
    }

    pub(super) fn name(text: impl Into<String>) -> Self {
        Self::default().and_name(text)
    }

    /// A name, or a word for that there is none.
    pub(super) fn name_or(text: Option<&str>, or: &'static str) -> Self {
        match text.filter(|text| !text.is_empty()) {
            Some(text) => Self::name(text),
            None => Self::ours(or),
        }
    }

    /// The first few of some names, and how many there are beyond.
    pub(super) fn names(names: &[String], most: usize) -> Self {
        let mut line = Self::default();
        for (at, name) in names.iter().take(most).enumerate() {
            if at > 0 {
                line = line.and(", ");
            }
            line = line.and_name(name);
        }
        match names.len().saturating_sub(most) {
            0 => line,
            more => line.and(format!(" and {more} more")),
        }
    }

    pub(super) fn mark(mark: Mark, text: impl Into<String>) -> Self {
        Self(vec![Piece::Mark(mark, text.into())])
    }

    pub(super) fn and(mut self, text: impl Into<String>) -> Self {
        self.0.push(Piece::Ours(text.into()));
        self
    }

    pub(super) fn and_prose(mut self, text: impl Into<String>) -> Self {
        self.0.push(Piece::Prose(text.into()));
        self
    }

    pub(super) fn and_name(mut self, text: impl Into<String>) -> Self {
        self.0.push(Piece::Name(text.into()));
        self
    }

    pub(super) fn and_mark(mut self, mark: Mark, text: impl Into<String>) -> Self {
        self.0.push(Piece::Mark(mark, text.into()));
        self
    }

    /// The records behind it, each once.
    pub(super) fn citing(mut self, records: &[EvidenceId]) -> Self {
        let mut seen = BTreeSet::new();
        let each = records.iter().filter(|id| seen.insert(**id));
        let each: Vec<EvidenceId> = each.copied().collect();
        if !each.is_empty() {
            self.0.push(Piece::Cites(each));
        }
        self
    }

    pub(super) fn and_time(mut self, at: Timestamp) -> Self {
        self.0.push(Piece::Time(at));
        self
    }

    /// From when to when.
    pub(super) fn span(span: Span) -> Self {
        let line = Self::default().and_time(span.first);
        match span.last == span.first {
            true => line,
            false => line.and(" to ").and_time(span.last),
        }
    }

    /// From when to when, where that is known.
    pub(super) fn span_or_unknown(span: Option<Span>) -> Self {
        span.map_or_else(|| Self::ours("unknown"), Self::span)
    }

    pub(super) fn source(mut self, url: &'static str) -> Self {
        self.0.push(Piece::Source(url));
        self
    }
}

impl From<&str> for Line {
    fn from(text: &str) -> Self {
        Self::ours(text)
    }
}

impl From<String> for Line {
    fn from(text: String) -> Self {
        Self::ours(text)
    }
}

impl From<&Statement> for Line {
    fn from(statement: &Statement) -> Self {
        Self::prose(&statement.text).citing(&statement.evidence)
    }
}
