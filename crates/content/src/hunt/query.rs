//! A hunt's query: its text cut at the parameters, and what the linter has to know of it.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use sqlparser::ast::Statement;
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Span, Token, TokenWithSpan, Tokenizer, Whitespace, Word};

use super::parameter::ParameterKind;
use super::table::Table;
use crate::fields::closest;
use crate::problem::{HuntTrouble, Problems, Trouble};
use crate::source::Text;

pub(super) mod subset;
mod walk;
mod walk_expr;
mod walk_from;
mod walk_names;

/// A query may have this many bytes; the longest that ships stays below 8,000.
const MAX_QUERY_BYTES: usize = 1 << 16;

/// A query may have this many words and signs. It bounds what reading it costs.
const MAX_TOKENS: usize = 6000;

/// A query may have this many operators. A chain of them is as deep a tree, and trees are walked
/// and dropped by recursion.
const MAX_OPERATORS: usize = 600;

/// Expressions and queries may be nested this deep. The parser goes down by recursion, with
/// frames of up to 50 KB in a build without optimisation: this fits into a thread's 2 MiB twice.
const MAX_RECURSION: usize = 20;

/// Parentheses and CASE may be nested this deep. Where the parser fails inside, it goes back and
/// tries another reading, at each level: what that costs doubles with each.
const MAX_NESTING: usize = 10;

/// A part of a query's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// What stands there as it is.
    Text(String),
    /// The value of this parameter.
    Parameter(String),
}

/// What is known of a query that could be read.
#[derive(Debug)]
pub(super) struct Query {
    pub pieces: Vec<Piece>,
    pub outputs: Vec<Output>,
    /// The columns the rows are ordered by, with their places.
    pub order: Vec<Ordered>,
    /// Where the query is written, for what is missing in it.
    pub order_span: Range<usize>,
}

/// One column of the result.
#[derive(Debug)]
pub(super) struct Output {
    pub name: String,
    pub span: Range<usize>,
}

/// One key of the last ORDER BY; without a name where it is no plain column.
#[derive(Debug)]
pub(super) struct Ordered {
    pub name: Option<String>,
    pub is_descending: bool,
}

/// What of a hunt a query is judged by; what could not be read is `None`.
pub(super) struct Context<'a> {
    pub parameters: Option<&'a [(String, ParameterKind)]>,
    pub tables: Option<&'a [Table]>,
}

/// Reads a query. Faults go to `problems`; `None` means that nothing can be said about it.
pub(super) fn read(
    text: &Arc<Text>,
    problems: &mut Problems,
    context: &Context<'_>,
    used: &mut BTreeSet<String>,
) -> Option<Query> {
    let told = |problems: &mut Problems, span: Range<usize>, trouble: HuntTrouble| {
        problems.push(span, Trouble::Hunt(trouble));
    };
    let complex = |what: String| HuntTrouble::TooComplex { what };
    if text.text.len() > MAX_QUERY_BYTES {
        let what = format!("more than {MAX_QUERY_BYTES} bytes");
        told(problems, 0..0, complex(what));
        return None;
    }
    let tokens = Tokenizer::new(&GenericDialect {}, &text.text).tokenize_with_location();
    let tokens = match tokens {
        Ok(tokens) => tokens,
        Err(error) => {
            let (line, column) = (error.location.line, error.location.column);
            let at = byte(text, line, column);
            let message = error.message;
            told(problems, at..at, HuntTrouble::Sql { message });
            return None;
        }
    };
    let pieces = cut(text, &tokens, problems, context, used);
    if let Some((at, what)) = complexity(text, &tokens) {
        told(problems, at, complex(what));
        return None;
    }
    for token in &tokens {
        if let Token::Word(word) = &token.token
            && word.quote_style.is_none()
            && word.value.eq_ignore_ascii_case(subset::ENDS_A_LIST)
        {
            let trouble = HuntTrouble::Refused {
                what: format!("`{}` without quotes", word.value),
                why: format!(
                    "DataFusion ends a list there; write \"{}\"",
                    subset::ENDS_A_LIST
                ),
            };
            told(problems, place(text, token.span), trouble);
        }
    }
    if !tokens.iter().any(explains_score) {
        told(problems, 0..0, HuntTrouble::UnexplainedScore);
    }
    let statements = Parser::new(&GenericDialect {})
        .with_recursion_limit(MAX_RECURSION)
        .with_tokens_with_locations(tokens)
        .parse_statements();
    let statements = match statements {
        Ok(statements) => statements,
        Err(ParserError::RecursionLimitExceeded) => {
            let what = format!("nested more than {MAX_RECURSION} deep");
            told(problems, 0..0, complex(what));
            return None;
        }
        Err(ParserError::ParserError(message) | ParserError::TokenizerError(message)) => {
            let (message, at) = place_in(text, &message);
            told(problems, at..at, HuntTrouble::Sql { message });
            return None;
        }
    };
    let [Statement::Query(query)] = statements.as_slice() else {
        told(problems, 0..0, HuntTrouble::NotOneSelect);
        return None;
    };
    let mut walk = walk::Walk::new(text, problems, context);
    let (outputs, order, order_span) = walk.top(query)?;
    Some(Query {
        pieces,
        outputs,
        order,
        order_span,
    })
}

/// The text cut at its parameters. Each is looked up; where it is told, the text stays as it is.
fn cut(
    text: &Text,
    tokens: &[TokenWithSpan],
    problems: &mut Problems,
    context: &Context<'_>,
    used: &mut BTreeSet<String>,
) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut done = 0;
    for token in tokens {
        let Token::Placeholder(written) = &token.token else {
            continue;
        };
        let span = place(text, token.span);
        let name = written.strip_prefix('$').unwrap_or_default();
        let known = context.parameters.unwrap_or_default();
        let is_known = known.iter().any(|(known, _)| known == name);
        if !is_known && (context.parameters.is_some() || name.is_empty()) {
            let names: Vec<&str> = known.iter().map(|(name, _)| name.as_str()).collect();
            let trouble = HuntTrouble::NoParameter {
                name: written.trim_start_matches('$').to_owned(),
                suggestion: closest(name, &names).map(str::to_owned),
                known: names.join(", "),
            };
            problems.push(span, Trouble::Hunt(trouble));
            continue;
        }
        used.insert(name.to_owned());
        pieces.push(Piece::Text(
            text.text
                .get(done..span.start)
                .unwrap_or_default()
                .to_owned(),
        ));
        pieces.push(Piece::Parameter(name.to_owned()));
        done = span.end;
    }
    let rest = text.text.get(done..).unwrap_or_default();
    pieces.push(Piece::Text(rest.to_owned()));
    pieces
}

fn complexity(text: &Text, tokens: &[TokenWithSpan]) -> Option<(Range<usize>, String)> {
    let (mut words, mut operators, mut nesting) = (0, 0, 0_usize);
    for token in tokens {
        match &token.token {
            Token::Whitespace(_) | Token::EOF => continue,
            Token::LParen => nesting += 1,
            Token::RParen => nesting = nesting.saturating_sub(1),
            Token::Word(word) if word.quote_style.is_none() && is(word, "case") => nesting += 1,
            Token::Word(word) if word.quote_style.is_none() && is(word, "end") => {
                nesting = nesting.saturating_sub(1);
            }
            // A word may be an operator, such as AND or ISNULL; a name between two commas is none.
            Token::Word(word) if is_operator(&word.value) => operators += 1,
            Token::Word(_)
            | Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::DoubleQuotedString(_)
            | Token::Placeholder(_)
            | Token::Comma
            | Token::SemiColon
            | Token::Period => {}
            _ => operators += 1,
        }
        words += 1;
        let told = if words > MAX_TOKENS {
            format!("more than {MAX_TOKENS} words and signs")
        } else if operators > MAX_OPERATORS {
            format!("more than {MAX_OPERATORS} operators")
        } else if nesting > MAX_NESTING {
            format!("nested more than {MAX_NESTING} deep")
        } else {
            continue;
        };
        return Some((place(text, token.span), told));
    }
    None
}

fn is(word: &Word, keyword: &str) -> bool {
    word.value.eq_ignore_ascii_case(keyword)
}

fn is_operator(word: &str) -> bool {
    [
        "and",
        "at",
        "between",
        "collate",
        "div",
        "except",
        "glob",
        "ilike",
        "in",
        "intersect",
        "is",
        "isnull",
        "like",
        "match",
        "member",
        "minus",
        "not",
        "notnull",
        "operator",
        "or",
        "overlaps",
        "regexp",
        "rlike",
        "similar",
        "union",
        "xor",
        "prior",
        "intersects",
    ]
    .iter()
    .any(|operator| operator.eq_ignore_ascii_case(word))
}

fn explains_score(token: &TokenWithSpan) -> bool {
    match &token.token {
        Token::Whitespace(
            Whitespace::SingleLineComment { comment, .. } | Whitespace::MultiLineComment(comment),
        ) => comment.to_lowercase().contains("score"),
        _ => false,
    }
}

/// A place as the parser counts it.
fn place(text: &Text, span: Span) -> Range<usize> {
    let start = byte(text, span.start.line, span.start.column);
    let end = byte(text, span.end.line, span.end.column);
    start..end.max(start)
}

fn byte(text: &Text, line: u64, column: u64) -> usize {
    let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    if line == 0 {
        return 0;
    }
    text.byte_of_line_and_column(count(line), count(column))
}

/// The parser writes the place at the end of its message.
fn place_in(text: &Text, message: &str) -> (String, usize) {
    let Some((before, at)) = message.rsplit_once(" at Line: ") else {
        return (message.to_owned(), text.text.len());
    };
    let (line, column) = at.split_once(", Column: ").unwrap_or((at, "1"));
    let offset = match (line.trim().parse(), column.trim().parse()) {
        (Ok(line), Ok(column)) => byte(text, line, column),
        _ => text.text.len(),
    };
    (before.to_owned(), offset)
}

impl Query {
    /// The names of the output columns, in order.
    pub fn names(&self) -> Vec<String> {
        let outputs = self.outputs.iter();
        outputs.map(|output| output.name.clone()).collect()
    }
}
