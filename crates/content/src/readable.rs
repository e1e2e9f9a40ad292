//! What a value in a file may become, field by field: every wrong field is told, not the first.

use std::collections::BTreeMap;

use crate::fields::Fields;
use crate::problem::{PlaybookTrouble, Trouble};
use crate::tree::{NodeId, Value};

/// A text in a playbook may have this many bytes: a reason of a page.
const MAX_TEXT_BYTES: usize = 8192;

/// Something that can be read from a value. What cannot leaves a fault and gives nothing.
pub(crate) trait Readable: Sized {
    fn read(fields: &mut Fields<'_>, id: NodeId) -> Option<Self>;
}

impl Readable for String {
    fn read(fields: &mut Fields<'_>, id: NodeId) -> Option<Self> {
        let text = match &fields.node(id).value {
            Value::Scalar(scalar) if scalar.not_a_string().is_none() => {
                scalar.text.clone().into_owned()
            }
            _ => {
                fields.expected(id, "a string");
                return None;
            }
        };
        if text.len() > MAX_TEXT_BYTES {
            let trouble = Trouble::TooLong {
                what: "a text",
                bytes: text.len(),
                limit: MAX_TEXT_BYTES,
            };
            fields.fault(id, trouble);
            return None;
        }
        Some(text)
    }
}

impl Readable for bool {
    fn read(fields: &mut Fields<'_>, id: NodeId) -> Option<Self> {
        fields.boolean(id)
    }
}

macro_rules! whole_number {
    ($($number:ty),*) => {$(
        impl Readable for $number {
            fn read(fields: &mut Fields<'_>, id: NodeId) -> Option<Self> {
                let read = match &fields.node(id).value {
                    Value::Scalar(scalar) if scalar.not_a_string() == Some("a number") => {
                        scalar.text.replace('_', "").parse().ok()
                    }
                    _ => None,
                };
                if read.is_none() {
                    let range = format!("a whole number from {} to {}", Self::MIN, Self::MAX);
                    fields.expected(id, &range);
                }
                read
            }
        }
    )*};
}
whole_number!(u8, u32, i32, u64);

impl<T: Readable> Readable for Option<T> {
    fn read(fields: &mut Fields<'_>, id: NodeId) -> Option<Self> {
        T::read(fields, id).map(Some)
    }
}

impl<T: Readable> Readable for Vec<T> {
    fn read(fields: &mut Fields<'_>, id: NodeId) -> Option<Self> {
        let items = fields.list(id)?;
        let read: Vec<Option<T>> = items
            .into_iter()
            .map(|item| T::read(fields, item))
            .collect();
        read.into_iter().collect()
    }
}

impl<T: Readable> Readable for BTreeMap<String, T> {
    fn read(fields: &mut Fields<'_>, id: NodeId) -> Option<Self> {
        let entries = fields.map(id)?;
        let mut read = Self::new();
        let mut is_whole = true;
        for (key, value) in entries {
            match (fields.key(key), T::read(fields, value)) {
                (Some(key), Some(value)) => {
                    read.insert(key, value);
                }
                _ => is_whole = false,
            }
        }
        is_whole.then_some(read)
    }
}

/// Any value, for somebody else to understand.
impl Readable for serde_json::Value {
    fn read(fields: &mut Fields<'_>, id: NodeId) -> Option<Self> {
        match &fields.node(id).value {
            Value::Null => None,
            Value::List(_) => Vec::read(fields, id).map(Self::Array),
            Value::Map(_) => {
                let entries: BTreeMap<String, Self> = BTreeMap::read(fields, id)?;
                Some(Self::Object(entries.into_iter().collect()))
            }
            Value::Scalar(scalar) => match scalar.not_a_string() {
                None => Some(Self::String(scalar.text.clone().into_owned())),
                Some("a boolean") => Some(Self::Bool(scalar.text == "true")),
                Some(_) => match scalar.text.replace('_', "").parse::<i64>() {
                    Ok(number) => Some(Self::from(number)),
                    Err(_) => {
                        fields.expected(id, "a string, a whole number or a boolean");
                        None
                    }
                },
            },
        }
    }
}

/// Reads one of the `known` words.
pub(crate) fn word<T: Clone>(
    fields: &mut Fields<'_>,
    id: NodeId,
    what: &'static str,
    known: &[(T, &'static str)],
) -> Option<T> {
    let text = String::read(fields, id)?;
    if let Some((value, _)) = known.iter().find(|(_, name)| *name == text) {
        return Some(value.clone());
    }
    let names: Vec<&'static str> = known.iter().map(|(_, name)| *name).collect();
    fields.fault(id, unknown_word(what, text, &names));
    None
}

/// The fault of a word that is not among those known.
pub(crate) fn unknown_word(what: &'static str, word: String, known: &[&'static str]) -> Trouble {
    Trouble::Playbook(PlaybookTrouble::UnknownWord {
        what,
        suggestion: crate::fields::closest(&word, known),
        word,
        known: known.join(", "),
    })
}

/// Tells that a key is missing in a table.
pub(crate) fn missing<T>(
    fields: &mut Fields<'_>,
    id: NodeId,
    key: &'static str,
    place: &'static str,
) -> Option<T> {
    let trouble = PlaybookTrouble::Missing { key, place };
    fields.fault(id, Trouble::Playbook(trouble));
    None
}

/// Reads a table as a struct: each field with its key and, where it may be left out, its default.
macro_rules! record {
    ($name:ident, $place:literal, { $($field:ident $key:literal $(= $default:expr)?),* $(,)? }) => {
        impl crate::readable::Readable for $name {
            fn read(fields: &mut crate::fields::Fields<'_>, id: crate::tree::NodeId) -> Option<Self> {
                let keys = fields.record(id, $place, &[$($key),*])?;
                $(
                    let $field = match keys.get($key) {
                        Some(value) => crate::readable::Readable::read(fields, *value),
                        None => record!(@absent fields, id, $place, $key $(, $default)?),
                    };
                )*
                Some(Self { $($field: $field?),* })
            }
        }
    };
    (@absent $fields:ident, $id:ident, $place:literal, $key:literal, $default:expr) => {
        Some($default)
    };
    (@absent $fields:ident, $id:ident, $place:literal, $key:literal) => {{
        crate::readable::missing($fields, $id, $key, $place)
    }};
}
pub(crate) use record;
