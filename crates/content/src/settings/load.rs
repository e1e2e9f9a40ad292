//! Reading: a file, then the overrides, each value tried on its own so that no fault hides another.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use miette::NamedSource;
use serde::Deserialize;
use toml::de::{DeTable, DeValue, ValueDeserializer};
use toml::{Spanned, Table, Value};

use super::error::{ConfigError, ConfigErrors, Trouble};
use super::overrides::Override;
use super::suggest::{listed, lookup, single_underscores, unknown};
use super::{List, Section};

/// The default configuration as a tree from the top of the file: the grammar that [`load`] reads.
pub fn defaults(sections: &[Section]) -> Table {
    sections
        .iter()
        .map(|section| {
            let table = Value::Table(section.defaults.clone());
            (section.name.to_owned(), table)
        })
        .collect()
}

/// Reads a file (its name, for errors, and its text) and then the overrides, later ones winning.
///
/// # Errors
/// Every fault of every text.
pub fn load(
    sections: &[Section],
    file: Option<(&str, &str)>,
    overrides: &[Override],
) -> Result<Table, ConfigErrors> {
    let mut loader = Loader {
        sections,
        tree: defaults(sections),
        origins: BTreeMap::new(),
        errors: Vec::new(),
    };
    if let Some((name, text)) = file {
        loader.file(name, text);
    }
    for given in overrides {
        loader.overridden(given);
    }
    loader.finish()
}

/// A text that errors point into.
type Text = Arc<NamedSource<String>>;

struct Loader<'a> {
    sections: &'a [Section],
    /// The defaults, with each good value put in.
    tree: Table,
    /// Where each key that was given got its value.
    origins: BTreeMap<String, (Text, Range<usize>)>,
    errors: Vec<ConfigError>,
}

impl Loader<'_> {
    fn section(&self, key: &str) -> Option<&Section> {
        let name = key.split('.').next();
        self.sections
            .iter()
            .find(|section| Some(section.name) == name)
    }

    fn fault(&mut self, source: &Text, span: Range<usize>, trouble: Trouble) {
        self.errors.push(ConfigError {
            trouble,
            source: Arc::clone(source),
            span,
        });
    }

    fn file(&mut self, name: &str, text: &str) {
        let source = Arc::new(NamedSource::new(name, text.to_owned()));
        let before = self.errors.len();
        let (document, faults) = DeTable::parse_recoverable(text);
        for fault in &faults {
            let span = fault.span().unwrap_or(0..0);
            self.fault(
                &source,
                span,
                Trouble::Syntax {
                    message: fault.message().to_owned(),
                },
            );
        }
        self.table(&source, document.get_ref(), "", !faults.is_empty());
        self.errors[before..].sort_by_key(|error| error.span.start);
    }

    /// `is_recovered`: the text has faults, and values near them may not be what was meant.
    fn table(&mut self, source: &Text, table: &DeTable<'_>, path: &str, is_recovered: bool) {
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            let full = if path.is_empty() {
                name.to_owned()
            } else {
                format!("{path}.{name}")
            };
            let Some(default) = lookup(&self.tree, &full).cloned() else {
                let trouble = unknown(&self.tree, &full);
                self.fault(source, key.span(), trouble);
                continue;
            };
            match (&default, value.get_ref()) {
                (Value::Table(_), DeValue::Table(inner)) => {
                    self.table(source, inner, &full, is_recovered);
                }
                (Value::Table(keys), _) => {
                    let trouble = Trouble::IsATable {
                        key: full,
                        known: listed(keys),
                    };
                    self.fault(source, value.span(), trouble);
                }
                _ if is_recovered => {}
                _ => self.leaf(source, &full, value, 0),
            }
        }
    }

    fn overridden(&mut self, given: &Override) {
        let source = Arc::new(NamedSource::new(given.origin, given.written.clone()));
        let Some(value_at) = given.value_at else {
            self.fault(&source, 0..given.written.len(), Trouble::NotAnAssignment);
            return;
        };
        let (key_span, value_span) = (0..value_at - 1, value_at..given.written.len());
        if !given.is_utf8 {
            self.fault(&source, value_span, Trouble::NotUtf8);
            return;
        }
        let Some(default) = lookup(&self.tree, &given.key).cloned() else {
            let trouble = single_underscores(&self.tree, given)
                .unwrap_or_else(|| unknown(&self.tree, &given.key));
            self.fault(&source, key_span, trouble);
            return;
        };
        let text = &given.written[value_at..];
        let bare = Spanned::new(0..text.len(), DeValue::String(text.into()));
        let value = match &default {
            Value::Table(keys) => {
                let trouble = Trouble::IsATable {
                    key: given.key.clone(),
                    known: listed(keys),
                };
                self.fault(&source, key_span, trouble);
                return;
            }
            Value::Array(_) if text.is_empty() => {
                Spanned::new(0..0, DeValue::Array(Default::default()))
            }
            // A list may be one bare text, as in DAVY_GUARD__BLOCKLISTS=/etc/lists.
            Value::Array(_) if !text.trim_start().starts_with('[') => match DeValue::parse(text) {
                Ok(value) if value.get_ref().is_str() => one_element_list(value),
                _ => one_element_list(bare),
            },
            Value::Array(_) => match DeValue::parse(text) {
                Ok(value) => value,
                Err(error) => {
                    let span = error.span().unwrap_or(0..text.len());
                    let span = span.start + value_at..span.end + value_at;
                    let message = error.message().to_owned();
                    self.fault(&source, span, Trouble::Syntax { message });
                    return;
                }
            },
            Value::String(_) => match DeValue::parse(text) {
                Ok(value) if value.get_ref().is_str() => value,
                _ => bare,
            },
            _ => DeValue::parse(text.trim()).unwrap_or(bare),
        };
        self.leaf(&source, &given.key, &value, value_at);
    }

    /// Tries one value on the defaults. `offset`: where the text it was parsed from starts.
    fn leaf(&mut self, source: &Text, key: &str, written: &Spanned<DeValue<'_>>, offset: usize) {
        let place = |part: &Spanned<DeValue<'_>>| {
            let span = part.span();
            span.start + offset..span.end + offset
        };
        let before = self.errors.len();
        let (Some(default), Some(section)) =
            (lookup(&self.tree, key).cloned(), self.section(key).cloned())
        else {
            return;
        };
        match section.lists.iter().find(|list| list.key == key) {
            Some(list) => self.tables(source, &section, list, written, offset),
            None => self.value(source, &section, key, &default, written, offset),
        }
        if self.errors.len() > before {
            return;
        }
        let Ok(value) = Value::deserialize(ValueDeserializer::from(written.clone())) else {
            return;
        };
        let mut tried = self.tree.clone();
        put(&mut tried, key, value);
        match (section.typed)(&tried[section.name]) {
            Ok(_) => {
                self.tree = tried;
                self.origins
                    .insert(key.to_owned(), (Arc::clone(source), place(written)));
            }
            Err(error) => {
                // Serde's message ends in what it wanted; that is the help.
                let message = error.message();
                let wanted = message
                    .split_once(", expected ")
                    .map_or(message, |(_, wanted)| wanted);
                let text = written.get_ref().as_str().unwrap_or_default();
                let trouble = unfit(key, text, &format!("expected {wanted}"));
                self.fault(source, place(written), trouble);
            }
        }
    }

    /// Checks a list of tables, each key of each by itself.
    fn tables(
        &mut self,
        source: &Text,
        section: &Section,
        list: &List,
        written: &Spanned<DeValue<'_>>,
        offset: usize,
    ) {
        let wrong = |found: &DeValue<'_>| Trouble::WrongKind {
            key: list.key.to_owned(),
            expected: "a list of tables",
            found: found_kind(found),
        };
        let place = |span: Range<usize>| span.start + offset..span.end + offset;
        let DeValue::Array(parts) = written.get_ref() else {
            self.fault(source, place(written.span()), wrong(written.get_ref()));
            return;
        };
        let mut known = self.tree.clone();
        put(&mut known, list.key, Value::Table(list.defaults.clone()));
        for part in parts.iter() {
            let DeValue::Table(table) = part.get_ref() else {
                self.fault(source, place(part.span()), wrong(part.get_ref()));
                continue;
            };
            for (name, value) in table {
                let full = format!("{}.{}", list.key, name.get_ref());
                match list.defaults.get(name.get_ref().as_ref()) {
                    None => self.fault(source, place(name.span()), unknown(&known, &full)),
                    Some(default) => self.value(source, section, &full, default, value, offset),
                }
            }
        }
    }

    /// Checks one value: its kind, its text, its bounds.
    fn value(
        &mut self,
        source: &Text,
        section: &Section,
        key: &str,
        default: &Value,
        written: &Spanned<DeValue<'_>>,
        offset: usize,
    ) {
        let place = |part: &Spanned<DeValue<'_>>| {
            let span = part.span();
            span.start + offset..span.end + offset
        };
        if !same_kind(default, written.get_ref()) {
            let trouble = Trouble::WrongKind {
                key: key.to_owned(),
                expected: kind(default),
                found: found_kind(written.get_ref()),
            };
            self.fault(source, place(written), trouble);
            return;
        }
        let parts: Vec<_> = match written.get_ref() {
            DeValue::Array(parts) => parts.iter().cloned().collect(),
            _ => vec![written.clone()],
        };
        for part in &parts {
            match part.get_ref() {
                DeValue::String(text) => {
                    if let Err(help) = (section.text)(key, text) {
                        let trouble = unfit(key, text, help);
                        self.fault(source, place(part), trouble);
                    }
                }
                other if default.is_array() => {
                    let trouble = Trouble::WrongKind {
                        key: key.to_owned(),
                        expected: kind(default),
                        found: found_kind(other),
                    };
                    self.fault(source, place(part), trouble);
                }
                DeValue::Integer(number) => {
                    let parsed = i64::from_str_radix(number.as_str(), number.radix()).ok();
                    let bounds = section.bounds.iter().find(|bounds| bounds.key == key);
                    if let Some(bounds) = bounds
                        && !parsed.is_some_and(|number| bounds.contains(number))
                    {
                        let trouble = Trouble::OutOfBounds {
                            key: key.to_owned(),
                            written: number.to_string(),
                            bounds: *bounds,
                        };
                        self.fault(source, place(part), trouble);
                    }
                }
                _ => {}
            }
        }
    }

    fn finish(mut self) -> Result<Table, ConfigErrors> {
        let faults: Vec<_> = self
            .sections
            .iter()
            .flat_map(|section| (section.whole)(&self.tree[section.name]))
            .collect();
        for (key, trouble) in faults {
            // A default is never at fault by itself: what was given is.
            if let Some((source, span)) = self.origins.get(key).cloned() {
                self.fault(&source, span, trouble);
            }
        }
        if self.errors.is_empty() {
            Ok(self.tree)
        } else {
            Err(ConfigErrors(self.errors))
        }
    }
}

fn unfit(key: &str, text: &str, help: &str) -> Trouble {
    Trouble::Unfit {
        key: key.to_owned(),
        written: format!("`{text}`"),
        help: help.to_owned(),
    }
}

fn one_element_list(value: Spanned<DeValue<'_>>) -> Spanned<DeValue<'_>> {
    let span = value.span();
    let mut list = toml::de::DeArray::new();
    list.push(value);
    Spanned::new(span, DeValue::Array(list))
}

fn put(tree: &mut Table, key: &str, value: Value) {
    match key.split_once('.') {
        None => {
            tree.insert(key.to_owned(), value);
        }
        Some((table, rest)) => {
            if let Some(Value::Table(inner)) = tree.get_mut(table) {
                put(inner, rest, value);
            }
        }
    }
}

fn same_kind(default: &Value, written: &DeValue<'_>) -> bool {
    matches!(
        (default, written),
        (Value::String(_), DeValue::String(_))
            | (Value::Integer(_), DeValue::Integer(_))
            | (Value::Boolean(_), DeValue::Boolean(_))
            | (Value::Array(_), DeValue::Array(_))
    )
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "text in quotes",
        Value::Integer(_) => "a whole number",
        Value::Boolean(_) => "true or false",
        Value::Array(_) => "a list of texts",
        Value::Float(_) | Value::Datetime(_) | Value::Table(_) => "another kind of value",
    }
}

fn found_kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
