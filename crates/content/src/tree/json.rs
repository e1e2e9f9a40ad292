//! JSON into the tree.
//!
//! `serde_json` checks the whole text first, without recursion; values are then taken apart level
//! by level as borrowed slices, whose addresses give their places. A level costs one more pass
//! over its text, which the bound on depth keeps small.

use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{MAX_DEPTH, NodeId, Scalar, Style, Tree, Unreadable, Value};
use crate::problem::Trouble;
use crate::source::Text;

pub(super) fn read(text: &Text) -> Result<Tree<'_>, Unreadable> {
    let mut tree = Tree::default();
    if text.text.trim().is_empty() {
        return Ok(tree);
    }
    let reader = Reader { text };
    let whole: &RawValue = reader.part(&text.text)?;
    let root = reader.value(&mut tree, whole.get(), 0)?;
    tree.push_document(root);
    Ok(tree)
}

struct Reader<'t> {
    text: &'t Text,
}

impl<'t> Reader<'t> {
    fn value(&self, tree: &mut Tree<'t>, raw: &'t str, depth: usize) -> Result<NodeId, Unreadable> {
        let span = self.span(raw);
        let is_nested = raw.starts_with(['{', '[']);
        if is_nested && depth >= MAX_DEPTH {
            let trouble = Trouble::TooDeep { limit: MAX_DEPTH };
            return Err(Unreadable {
                span: span.start..span.start + 1,
                trouble,
            });
        }
        let value = match raw.as_bytes().first() {
            Some(b'{') => {
                let mut entries = Vec::new();
                for (key, value) in self.part::<Entries<'t>>(raw)?.0 {
                    let key = self.value(tree, key.get(), depth + 1)?;
                    entries.push((key, self.value(tree, value.get(), depth + 1)?));
                }
                Value::Map(entries)
            }
            Some(b'[') => {
                let mut items = Vec::new();
                for item in self.part::<Vec<&'t RawValue>>(raw)? {
                    items.push(self.value(tree, item.get(), depth + 1)?);
                }
                Value::List(items)
            }
            Some(b'"') => {
                let text = self.part::<QuotedText<'t>>(raw)?.0;
                Value::Scalar(Scalar {
                    text,
                    style: Style::Double,
                })
            }
            Some(b'n') => Value::Null,
            _ => Value::Scalar(Scalar {
                text: raw.into(),
                style: Style::Plain,
            }),
        };
        tree.push(span, value)
    }

    /// Reads a slice of the text, and moves the place of an error from the slice to the text.
    fn part<T: Deserialize<'t>>(&self, raw: &'t str) -> Result<T, Unreadable> {
        serde_json::from_str(raw).map_err(|error| {
            let start = self.span(raw).start;
            let offset = match error.line() {
                0 | 1 => start + error.column().saturating_sub(1),
                line => {
                    let (first_line, _) = self.text.line_and_column(start);
                    let line = first_line + line - 1;
                    self.text.byte_of_line_and_byte_column(line, error.column())
                }
            };
            let message = error.to_string();
            // serde_json repeats the place, counted in the slice.
            let message = message
                .rsplit_once(" at line ")
                .map_or(&*message, |(what, _)| what);
            let trouble = Trouble::Syntax {
                format: "JSON",
                message: message.to_owned(),
            };
            let offset = self.text.text.floor_char_boundary(offset);
            Unreadable {
                span: offset..offset + 1,
                trouble,
            }
        })
    }

    /// Where a slice of the text lies in it.
    fn span(&self, raw: &str) -> Range<usize> {
        let start = raw.as_ptr().addr() - self.text.text.as_ptr().addr();
        start..start + raw.len()
    }
}

/// A string, borrowed where it has no escapes.
#[derive(Deserialize)]
struct QuotedText<'t>(#[serde(borrow)] std::borrow::Cow<'t, str>);

/// The entries of an object in their order, doubled keys included.
struct Entries<'t>(Vec<(&'t RawValue, &'t RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor;

        impl<'de> Visitor<'de> for EntriesVisitor {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(EntriesVisitor)
    }
}
