//! Reading a tree by a schema: each wrong field becomes a problem at its place, and reading goes on.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use crate::problem::{Problems, Trouble};
use crate::source::Text;
use crate::tree::{Node, NodeId, Style, Tree, Value};

/// A key this close to a known one (as `strsim` measures it) is taken for a slip of the hand.
const SIMILAR: f64 = 0.8;

/// A file's tree with the problems found in it so far.
pub(crate) struct Fields<'t> {
    pub text: &'t Arc<Text>,
    pub tree: Tree<'t>,
    pub problems: Problems,
}

impl<'t> Fields<'t> {
    /// Reads the text. One that cannot be read leaves a fault and a tree without documents.
    pub fn new(text: &'t Arc<Text>) -> Self {
        let mut problems = Problems::new(text);
        let tree = Tree::read(text).unwrap_or_else(|unreadable| {
            problems.push(unreadable.span, unreadable.trouble);
            Tree::default()
        });
        Self {
            text,
            tree,
            problems,
        }
    }

    /// Reads the text as TOML: each syntax fault is told, and then nothing else is.
    pub fn toml(text: &'t Arc<Text>) -> Self {
        let mut problems = Problems::new(text);
        let tree = Tree::read_toml(text).unwrap_or_else(|unreadable| {
            for part in unreadable {
                problems.push(part.span, part.trouble);
            }
            Tree::default()
        });
        Self {
            text,
            tree,
            problems,
        }
    }

    pub fn node(&self, id: NodeId) -> &Node<'t> {
        self.tree.node(id)
    }

    pub fn span(&self, id: NodeId) -> Range<usize> {
        self.node(id).span.clone()
    }

    pub fn fault(&mut self, id: NodeId, trouble: Trouble) {
        let span = self.span(id);
        self.problems.push(span, trouble);
    }

    pub fn is_null(&self, id: NodeId) -> bool {
        matches!(self.node(id).value, Value::Null)
    }

    /// The values under the `known` keys of a mapping. Every other key is a fault.
    pub fn record(
        &mut self,
        id: NodeId,
        place: &str,
        known: &[&'static str],
    ) -> Option<HashMap<&'static str, NodeId>> {
        let entries = self.map(id)?;
        let mut fields = HashMap::new();
        for (key_id, value) in entries {
            let Some(key) = self.key(key_id) else {
                continue;
            };
            let Some(known_key) = known.iter().find(|known| **known == key) else {
                let trouble = if key == "<<" {
                    Trouble::MergeKey
                } else {
                    Trouble::UnknownKey {
                        suggestion: closest(&key, known),
                        key,
                        place: place.to_owned(),
                        known: known.join(", "),
                    }
                };
                self.fault(key_id, trouble);
                continue;
            };
            if fields.insert(*known_key, value).is_some() {
                self.fault(key_id, Trouble::DuplicateKey { key });
            }
        }
        Some(fields)
    }

    /// The value under one key of a mapping whose other keys are somebody else's. Nothing when the
    /// value is no mapping or has no such key.
    pub fn lookup(&mut self, id: NodeId, key: &str) -> Option<NodeId> {
        let Value::Map(entries) = &self.node(id).value else {
            return None;
        };
        let mut found = None;
        let mut faults = Vec::new();
        for (key_id, value) in entries {
            let Value::Scalar(scalar) = &self.node(*key_id).value else {
                continue;
            };
            if scalar.text == "<<" {
                faults.push((*key_id, Trouble::MergeKey));
            } else if scalar.text == key && found.replace(*value).is_some() {
                faults.push((
                    *key_id,
                    Trouble::DuplicateKey {
                        key: key.to_owned(),
                    },
                ));
            }
        }
        for (key_id, trouble) in faults {
            self.fault(key_id, trouble);
        }
        found
    }

    /// The entries of a mapping.
    pub fn map(&mut self, id: NodeId) -> Option<Vec<(NodeId, NodeId)>> {
        if let Value::Map(entries) = &self.node(id).value {
            return Some(entries.clone());
        }
        self.expected(id, "a mapping");
        None
    }

    /// The items of a list; none of a null.
    pub fn list(&mut self, id: NodeId) -> Option<Vec<NodeId>> {
        match &self.node(id).value {
            Value::List(items) => Some(items.clone()),
            Value::Null => Some(Vec::new()),
            _ => {
                self.expected(id, "a list");
                None
            }
        }
    }

    /// The text of a mapping's key, whatever it looks like.
    pub fn key(&mut self, id: NodeId) -> Option<String> {
        match &self.node(id).value {
            Value::Scalar(scalar) => Some(scalar.text.clone().into_owned()),
            Value::Null => Some("null".to_owned()),
            Value::List(_) | Value::Map(_) => {
                self.expected(id, "a name as key");
                None
            }
        }
    }

    pub fn boolean(&mut self, id: NodeId) -> Option<bool> {
        if let Value::Scalar(scalar) = &self.node(id).value
            && scalar.not_a_string() == Some("a boolean")
        {
            match &*scalar.text {
                "true" | "True" | "TRUE" => return Some(true),
                "false" | "False" | "FALSE" => return Some(false),
                _ => {}
            }
        }
        self.expected(id, "true or false");
        None
    }

    /// A string that holds something, is no longer than `limit` bytes and could stand on a command
    /// line.
    pub fn string(&mut self, id: NodeId, what: &'static str, limit: usize) -> Option<String> {
        let text = match &self.node(id).value {
            Value::Scalar(scalar) if scalar.style == Style::Foreign => {
                self.fault(id, Trouble::ForeignTag);
                return None;
            }
            Value::Scalar(scalar) => match scalar.not_a_string() {
                None => scalar.text.clone().into_owned(),
                Some(found) => {
                    let written = scalar.text.clone().into_owned();
                    self.fault(id, Trouble::NotAString { written, found });
                    return None;
                }
            },
            _ => {
                self.expected(id, "a string");
                return None;
            }
        };
        let bytes = text.len();
        let control = text
            .char_indices()
            .find(|(_, c)| c.is_control() && *c != '\t');
        if text.trim().is_empty() && control.is_none_or(|(_, c)| c != '\0') {
            self.fault(id, Trouble::EmptyText { what });
        } else if bytes > limit {
            self.fault(id, Trouble::TooLong { what, bytes, limit });
        } else if let Some((at, character)) = control {
            let part = at..at + character.len_utf8();
            let span = self.node(id).span_of_part(&self.text.text, part);
            let trouble = Trouble::ControlCharacter {
                what,
                character: character.into(),
            };
            self.problems.push(span, trouble);
        } else {
            return Some(text);
        }
        None
    }

    pub fn expected(&mut self, id: NodeId, expected: &str) {
        let found = self.node(id).found();
        self.fault(
            id,
            Trouble::Expected {
                expected: expected.to_owned(),
                found,
            },
        );
    }
}

/// The known key that was probably meant.
pub(crate) fn closest<'k>(key: &str, known: &[&'k str]) -> Option<&'k str> {
    let key = key.to_lowercase();
    known
        .iter()
        .map(|candidate| {
            (
                strsim::jaro_winkler(&key, &candidate.to_lowercase()),
                *candidate,
            )
        })
        .filter(|(similarity, _)| *similarity >= SIMILAR)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}
