//! Expressions over bytes, and the start of each that an automaton of many can look for.
//!
//! Many expressions in one automaton multiply its states where one of them loops over bytes at which
//! another may begin. So an expression is cut before such a loop: its start is looked for in the
//! automaton, and where that is found, the whole is looked for by itself.

use regex_automata::dfa::{StartKind, dense};
use regex_automata::util::syntax;
use regex_automata::{MatchKind, nfa::thompson};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Capture, Class, Hir, HirKind, Repetition};

use super::MAX_EXPRESSION_TABLE_BYTES;
use crate::problem::DetectionTrouble;
use crate::word::is_word_byte;

/// An expression may have this many bytes.
pub(super) const MAX_EXPRESSION_BYTES: usize = 1024;

/// An expression that matches fewer bytes would match by chance.
const MIN_MATCH_BYTES: usize = 2;

/// An expression as it is understood: over bytes, its case as written, without Unicode classes.
///
/// # Errors
/// What is wrong with its syntax.
pub fn bytes_of(expression: &str) -> Result<Hir, Box<regex_syntax::Error>> {
    ParserBuilder::new()
        .unicode(false)
        .utf8(false)
        .build()
        .parse(expression)
        .map_err(Box::new)
}

/// So often may be repeated what other words may begin in.
const MAX_SHORT_REPEATS: u32 = 4;

/// The start of an expression up to its first loop over bytes at which a word may begin, and whether
/// that is all of it.
pub fn start_of(hir: &Hir) -> (Hir, bool) {
    match hir.kind() {
        HirKind::Concat(parts) => {
            let mut starts = Vec::new();
            for part in parts {
                let (start, is_whole) = start_of(part);
                starts.push(start);
                if !is_whole {
                    return (Hir::concat(starts), false);
                }
            }
            (Hir::concat(starts), true)
        }
        HirKind::Alternation(parts) => {
            let starts: Vec<(Hir, bool)> = parts.iter().map(start_of).collect();
            let is_whole = starts.iter().all(|(_, is_whole)| *is_whole);
            let starts = starts.into_iter().map(|(start, _)| start);
            (Hir::alternation(starts.collect()), is_whole)
        }
        HirKind::Capture(capture) => start_of(&capture.sub),
        HirKind::Repetition(repetition) if is_long(repetition) && holds_border(&repetition.sub) => {
            match repetition.min {
                0 => (Hir::empty(), false),
                _ => (start_of(&repetition.sub).0, false),
            }
        }
        HirKind::Repetition(repetition) if repetition.max == Some(1) => {
            let (start, is_whole) = start_of(&repetition.sub);
            let optional = Repetition {
                sub: Box::new(start),
                ..repetition.clone()
            };
            (Hir::repetition(optional), is_whole)
        }
        _ => (hir.clone(), true),
    }
}

/// An expression as text. Printed as it is, an optional repetition (`(a{2})?`) would read as one that
/// is not greedy (`a{2}?`).
pub fn text_of(hir: &Hir) -> String {
    grouped(hir).to_string()
}

fn grouped(hir: &Hir) -> Hir {
    match hir.kind() {
        HirKind::Repetition(repetition) => {
            let mut sub = grouped(&repetition.sub);
            if matches!(sub.kind(), HirKind::Repetition(_)) {
                sub = Hir::capture(Capture {
                    index: 1,
                    name: None,
                    sub: Box::new(sub),
                });
            }
            Hir::repetition(Repetition {
                sub: Box::new(sub),
                ..repetition.clone()
            })
        }
        HirKind::Capture(capture) => grouped(&capture.sub),
        HirKind::Concat(parts) => Hir::concat(parts.iter().map(grouped).collect()),
        HirKind::Alternation(parts) => Hir::alternation(parts.iter().map(grouped).collect()),
        _ => hir.clone(),
    }
}

fn is_long(repetition: &Repetition) -> bool {
    repetition.max.is_none_or(|max| max > MAX_SHORT_REPEATS)
}

/// Whether a byte that is no part of a word may stand in it.
fn holds_border(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Literal(literal) => !literal.0.iter().all(|byte| is_word_byte(*byte)),
        HirKind::Class(Class::Bytes(class)) => class
            .ranges()
            .iter()
            .any(|range| !(range.start()..=range.end()).all(is_word_byte)),
        HirKind::Class(Class::Unicode(_)) => true,
        HirKind::Repetition(repetition) => holds_border(&repetition.sub),
        HirKind::Capture(capture) => holds_border(&capture.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().any(holds_border),
        HirKind::Empty | HirKind::Look(_) => false,
    }
}

/// Whether an expression says itself where its word ends: its last byte is never part of a word, or
/// `[^ ]`, which asks for more of the same argument, whatever it is.
pub fn ends_itself(hir: &Hir) -> bool {
    let is_border = |byte: u8| !is_word_byte(byte);
    match hir.kind() {
        HirKind::Literal(literal) => literal.0.last().is_some_and(|byte| is_border(*byte)),
        HirKind::Class(Class::Bytes(class)) => {
            let mut bytes = class
                .ranges()
                .iter()
                .flat_map(|range| range.start()..=range.end());
            // A border between arguments is a space here, and a NUL to who searches.
            let is_in_argument = |byte: &u8| !matches!(byte, b' ' | 0);
            let in_argument = (0..=u8::MAX).filter(is_in_argument);
            bytes.clone().filter(is_in_argument).eq(in_argument) || bytes.all(is_border)
        }
        HirKind::Repetition(repetition) => repetition.min > 0 && ends_itself(&repetition.sub),
        HirKind::Capture(capture) => ends_itself(&capture.sub),
        HirKind::Concat(parts) => parts.last().is_some_and(ends_itself),
        HirKind::Alternation(parts) => parts.iter().all(ends_itself),
        HirKind::Class(Class::Unicode(_)) | HirKind::Empty | HirKind::Look(_) => false,
    }
}

pub(super) fn check(expression: &str) -> Result<(), DetectionTrouble> {
    let hir = bytes_of(expression).map_err(|error| {
        let message = match &*error {
            regex_syntax::Error::Parse(error) => error.kind().to_string(),
            regex_syntax::Error::Translate(error) => error.kind().to_string(),
            other => other.to_string(),
        };
        DetectionTrouble::Expression { message }
    })?;
    if !hir.properties().look_set().is_empty() {
        return Err(DetectionTrouble::LookAround);
    }
    let (start, _) = start_of(&hir);
    if start.properties().minimum_len().unwrap_or(0) < MIN_MATCH_BYTES {
        return Err(DetectionTrouble::MatchesTooLittle {
            least: MIN_MATCH_BYTES,
        });
    }
    let limit = MAX_EXPRESSION_TABLE_BYTES;
    let size = Some(limit);
    let config = dense::Config::new()
        .match_kind(MatchKind::All)
        .start_kind(StartKind::Anchored)
        .dfa_size_limit(size)
        .determinize_size_limit(size.map(|size| 4 * size));
    let built = dense::Builder::new()
        .configure(config)
        .syntax(syntax::Config::new().unicode(false).utf8(false))
        .thompson(thompson::Config::new().utf8(false).nfa_size_limit(size))
        .build(&text_of(&start));
    match built {
        Ok(_) => Ok(()),
        // The syntax is known to be good, so what is left is its size.
        Err(_) => Err(DetectionTrouble::TooLarge { limit }),
    }
}
