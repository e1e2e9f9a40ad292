//! Reading: a file, then the overrides, each value tried on its own so that no fault hides another.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::ops::Range;
use std::sync::Arc;

use miette::NamedSource;
use serde::Deserialize;
use toml::de::{DeTable, DeValue, ValueDeserializer};
use toml::{Spanned, Table, Value};

use super::error::{ConfigError, ConfigErrors, Trouble};
use super::{BOUNDS, Config, check};

/// The only table there is so far.
const GUARD: &str = "guard";

/// Variables that start so override the file, where two underscores separate the levels.
const VARIABLE_PREFIX: &str = "DAVY_";

/// A name this far from a known one, as `strsim::jaro_winkler` measures, is no slip of the hand.
const LEAST_LIKENESS: f64 = 0.8;

/// One value given outside the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// Where it was given: `--set`, another option's name, or `environment`.
    origin: &'static str,
    /// The assignment as it was written, for errors.
    written: String,
    /// Where the value starts in `written`, if it is an assignment.
    value_at: Option<usize>,
    /// The key from the top of the file, with dots.
    key: String,
    is_utf8: bool,
}

impl Override {
    /// `--set key=value`, with the key from the top of the file: `guard.hold.deadline_ms=500`.
    pub fn set(assignment: &str) -> Self {
        let key = assignment.split('=').next().unwrap_or_default();
        Self {
            origin: "--set",
            written: assignment.to_owned(),
            value_at: assignment.find('=').map(|at| at + 1),
            key: key.trim().to_owned(),
            is_utf8: true,
        }
    }

    /// The variables that override keys, sorted by name: `DAVY_GUARD__HOLD__DEADLINE_MS=500`.
    ///
    /// A variable without two underscores is somebody else's (Kubernetes makes
    /// `DAVY_SERVICE_HOST` of a service named davy), unless it is a key but for that.
    pub fn from_environment(
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Vec<Self> {
        let known = leaves();
        let mut found: Vec<Self> = variables
            .into_iter()
            .filter_map(|(name, value)| {
                let name = name.into_string().ok()?;
                let rest = name.strip_prefix(VARIABLE_PREFIX)?;
                let is_slip = || {
                    known
                        .iter()
                        .any(|key| key.replace('.', "_") == rest.to_ascii_lowercase())
                };
                if !rest.contains("__") && !is_slip() {
                    return None;
                }
                let is_utf8 = value.to_str().is_some();
                Some(Self {
                    origin: "environment",
                    written: format!("{name}={}", value.to_string_lossy()),
                    value_at: Some(name.len() + 1),
                    key: rest.to_ascii_lowercase().replace("__", "."),
                    is_utf8,
                })
            })
            .collect();
        found.sort_by(|a, b| a.written.cmp(&b.written));
        found
    }
}

/// The default configuration as a tree from the top of the file: the grammar that [`load`] reads.
pub fn defaults() -> Table {
    let guard = Value::try_from(Config::default());
    let guard = guard.unwrap_or_else(|error| unreachable!("the defaults are plain data: {error}"));
    Table::from_iter([(GUARD.to_owned(), guard)])
}

/// Reads a file (its name, for errors, and its text) and then the overrides, later ones winning.
///
/// # Errors
/// Every fault of every text.
pub fn load(file: Option<(&str, &str)>, overrides: &[Override]) -> Result<Config, ConfigErrors> {
    let mut loader = Loader {
        tree: defaults(),
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

struct Loader {
    /// The defaults, with each good value put in.
    tree: Table,
    /// Where each key that was given got its value.
    origins: BTreeMap<String, (Text, Range<usize>)>,
    errors: Vec<ConfigError>,
}

impl Loader {
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
            let trouble =
                single_underscores(given).unwrap_or_else(|| unknown(&self.tree, &given.key));
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
        let Some(default) = lookup(&self.tree, key).cloned() else {
            return;
        };
        if !same_kind(&default, written.get_ref()) {
            let trouble = Trouble::WrongKind {
                key: key.to_owned(),
                expected: kind(&default),
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
                    if let Err(help) = check::text(key, text) {
                        let trouble = unfit(key, text, help);
                        self.fault(source, place(part), trouble);
                    }
                }
                other if default.is_array() => {
                    let trouble = Trouble::WrongKind {
                        key: key.to_owned(),
                        expected: kind(&default),
                        found: found_kind(other),
                    };
                    self.fault(source, place(part), trouble);
                }
                DeValue::Integer(number) => {
                    let parsed = i64::from_str_radix(number.as_str(), number.radix()).ok();
                    let bounds = BOUNDS.into_iter().find(|bounds| bounds.key == key);
                    if let Some(bounds) = bounds
                        && !parsed.is_some_and(|number| bounds.contains(number))
                    {
                        let trouble = Trouble::OutOfBounds {
                            key: key.to_owned(),
                            written: number.to_string(),
                            bounds,
                        };
                        self.fault(source, place(part), trouble);
                    }
                }
                _ => {}
            }
        }
        if self.errors.len() > before {
            return;
        }
        let Ok(value) = Value::deserialize(ValueDeserializer::from(written.clone())) else {
            return;
        };
        let mut tried = self.tree.clone();
        put(&mut tried, key, value);
        match typed(&tried) {
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

    fn finish(mut self) -> Result<Config, ConfigErrors> {
        let config = match typed(&self.tree) {
            Ok(config) => config,
            Err(error) => unreachable!("each value was tried by itself: {error}"),
        };
        let is_remote = config
            .metrics
            .listen
            .is_some_and(|address| !address.ip().is_loopback());
        if is_remote
            && !config.metrics.allow_remote
            && let Some((source, span)) = self.origins.get("guard.metrics.listen").cloned()
        {
            self.fault(&source, span, Trouble::ListensRemotely);
        }
        if self.errors.is_empty() {
            Ok(config)
        } else {
            Err(ConfigErrors(self.errors))
        }
    }
}

fn typed(tree: &Table) -> Result<Config, toml::de::Error> {
    Config::deserialize(tree[GUARD].clone())
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

fn lookup<'a>(tree: &'a Table, key: &str) -> Option<&'a Value> {
    let mut parts = key.split('.');
    let top = tree.get(parts.next()?)?;
    parts.try_fold(top, |value, part| value.as_table()?.get(part))
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

/// Every key with a value, from the top of the file.
fn leaves() -> Vec<String> {
    fn collect(prefix: &str, table: &Table, found: &mut Vec<String>) {
        for (name, value) in table {
            let full = if prefix.is_empty() {
                name.clone()
            } else {
                format!("{prefix}.{name}")
            };
            match value {
                Value::Table(inner) => collect(&full, inner, found),
                _ => found.push(full),
            }
        }
    }
    let mut found = Vec::new();
    collect("", &defaults(), &mut found);
    found
}

fn listed(keys: &Table) -> String {
    keys.keys()
        .map(|key| format!("`{key}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Says what may have been meant by a key that does not exist.
fn unknown(tree: &Table, full: &str) -> Trouble {
    let (path, name) = full.rsplit_once('.').unwrap_or(("", full));
    let siblings = if path.is_empty() {
        Some(tree)
    } else {
        lookup(tree, path).and_then(Value::as_table)
    };
    let near = siblings.and_then(|keys| nearest(name, keys.keys().map(String::as_str)));
    // A key of the right name in the wrong table is the other usual slip.
    let elsewhere = || {
        let leaves = leaves();
        let place = leaves
            .iter()
            .find(|leaf| leaf.rsplit('.').next() == Some(name))?;
        Some(place.clone())
    };
    let suggestion = near.map(str::to_owned).or_else(elsewhere);
    if path.is_empty() {
        return Trouble::UnknownTop {
            key: name.to_owned(),
            suggestion,
        };
    }
    match siblings {
        Some(keys) => Trouble::UnknownKey {
            key: name.to_owned(),
            table: path.to_owned(),
            suggestion,
            known: listed(keys),
        },
        // The table itself is unknown: that is what to say.
        None => unknown(tree, path),
    }
}

fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= LEAST_LIKENESS)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// `DAVY_GUARD_MODE` for `DAVY_GUARD__MODE`.
fn single_underscores(given: &Override) -> Option<Trouble> {
    let flat = given.key.replace('.', "_");
    let meant = leaves()
        .into_iter()
        .find(|leaf| leaf.replace('.', "_") == flat)?;
    let meant = format!(
        "{VARIABLE_PREFIX}{}",
        meant.replace('.', "__").to_ascii_uppercase()
    );
    (given.origin == "environment").then_some(Trouble::SingleUnderscores { meant })
}
