//! What a record must hold, as bytes: a search before any parsing.
//!
//! What must stay true: a record that could satisfy the filters is never passed over. So a search
//! is made only where the log spells a value in one way, and a record in which JSON may spell it
//! otherwise is of interest whatever it holds.

use aho_corasick::{AhoCorasick, MatchKind};
use memchr::memmem;

use crate::read::Spelling;

/// A shorter text stands almost everywhere: to search for it costs more than it spares.
const MIN_NEEDLE_BYTES: usize = 2;

/// What may stand for any character in JSON, so that a search for the character misses it.
const JSON_ESCAPE: &[u8] = b"\\u";

/// Texts of which a record must hold at least one, for each of several columns.
#[derive(Debug, Clone)]
pub struct Needles {
    groups: Vec<Group>,
    escape: Option<memmem::Finder<'static>>,
}

/// The texts for one column.
#[derive(Debug, Clone)]
enum Group {
    One(Box<memmem::Finder<'static>>),
    Any(AhoCorasick),
}

impl Needles {
    /// Nothing to search for: every record is of interest.
    pub fn none() -> Self {
        Self {
            groups: Vec::new(),
            escape: None,
        }
    }

    /// For each column, the values of which it must have one. A column with a value that cannot be
    /// searched for is left out.
    pub fn new<'a>(spelling: Spelling, columns: impl Iterator<Item = &'a [String]>) -> Self {
        let groups = columns.filter_map(|values| Group::new(spelling, values));
        Self {
            groups: groups.collect(),
            escape: (spelling == Spelling::Json).then(|| memmem::Finder::new(JSON_ESCAPE)),
        }
    }

    /// Whether there is nothing to search for.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Whether a record in these bytes may be of interest: false only where none can be.
    pub fn may_match(&self, bytes: &[u8]) -> bool {
        let all_found = || self.groups.iter().all(|group| group.find(bytes).is_some());
        let may_be_escaped = || match &self.escape {
            Some(escape) => escape.find(bytes).is_some(),
            None => false,
        };
        self.groups.is_empty() || all_found() || may_be_escaped()
    }

    /// Where in bytes that are spelt plainly the next record of interest may be: the place of a
    /// text of the first column. Check the record with [`Self::may_match`].
    pub fn next(&self, bytes: &[u8]) -> Option<usize> {
        match self.groups.first() {
            Some(group) => group.find(bytes),
            None => (!bytes.is_empty()).then_some(0),
        }
    }
}

impl Group {
    fn new(spelling: Spelling, values: &[String]) -> Option<Self> {
        let needles: Option<Vec<&str>> =
            values.iter().map(|value| needle(spelling, value)).collect();
        match needles?.as_slice() {
            [] => None,
            [one] => Some(Self::One(Box::new(memmem::Finder::new(one).into_owned()))),
            // Only a search for the leftmost is helped by vector instructions. Where the automaton
            // cannot be built, the records are parsed.
            several => {
                let mut builder = AhoCorasick::builder();
                let built = builder.match_kind(MatchKind::LeftmostFirst).build(several);
                built.ok().map(Self::Any)
            }
        }
    }

    fn find(&self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::One(finder) => finder.find(bytes),
            Self::Any(automaton) => automaton.find(bytes).map(|found| found.start()),
        }
    }
}

/// The longest part of a value that the log can spell in one way only, besides `\u`.
fn needle(spelling: Spelling, value: &str) -> Option<&str> {
    let is_spelt_otherwise = |c: char| match spelling {
        Spelling::Plain => false,
        // A solidus may be escaped; these others must be.
        Spelling::Json => matches!(c, '/' | '"' | '\\') || c.is_control(),
    };
    value
        .split(is_spelt_otherwise)
        .max_by_key(|part| part.len())
        .filter(|part| part.len() >= MIN_NEEDLE_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(spelling: Spelling, columns: &[&[&str]], record: &str, expected: bool) {
        let columns: Vec<Vec<String>> = columns
            .iter()
            .map(|values| values.iter().map(|value| (*value).to_owned()).collect())
            .collect();
        let needles = Needles::new(spelling, columns.iter().map(Vec::as_slice));
        let may_match = needles.may_match(record.as_bytes());
        assert_eq!(may_match, expected, "{columns:?} in {record}");
    }

    #[test]
    fn a_record_is_passed_over_only_where_it_cannot_match() {
        let plain = Spelling::Plain;
        check(plain, &[], "anything", true);
        check(plain, &[&["10.0.0.1"]], "eni-1 10.0.0.1 10.0.0.2", true);
        check(plain, &[&["10.0.0.1"]], "eni-1 10.0.0.3 10.0.0.2", false);
        check(plain, &[&["eni-1"], &["443"]], "eni-1 80", false);
        check(plain, &[&["eni-1", "eni-2"], &["443"]], "eni-2 443", true);
        check(plain, &[&["x"]], "too short a text to search for", true);
        let json = Spelling::Json;
        check(
            json,
            &[&["RunInstances"]],
            r#"{"eventName":"RunInstances"}"#,
            true,
        );
        check(
            json,
            &[&["RunInstances"]],
            r#"{"eventName":"StopLogging"}"#,
            false,
        );
        check(
            json,
            &[&["RunInstances"]],
            r#"{"eventName":"\u0052unInstances"}"#,
            true,
        );
        check(
            json,
            &[&["arn:aws:iam::1:role/dev"]],
            r#""arn:aws:iam::1:role\/dev""#,
            true,
        );
        check(json, &[&["a\"b"]], r#""a\"b""#, true);
    }
}
