//! Looking members up in JSON whose casing nobody promised, and noting what was missing.
//!
//! The same finding is `instanceDetails` from EventBridge and `InstanceDetails` from the command
//! line. A member is found by its exact name, else by its name without regard to ASCII case; a null
//! is absent. Two members that differ only in case and disagree are a gap, and neither is used: a
//! target must never depend on which of two answers came first.

use std::cell::RefCell;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// More gaps than this tell nobody more; the last one says that there were more.
const MAX_GAPS: usize = 64;

/// Numbers from here on are milliseconds: as seconds they would lie beyond the year 5000, and as
/// milliseconds below it before 1974.
const MILLISECONDS_FROM: f64 = 1e11;

/// What could not be understood, in the order in which it was met.
#[derive(Debug, Default)]
pub(super) struct Gaps(RefCell<Vec<String>>);

impl Gaps {
    /// Notes a gap, once.
    pub(super) fn note(&self, gap: impl Into<String>) {
        let gap = gap.into();
        let mut gaps = self.0.borrow_mut();
        if gaps.contains(&gap) || gaps.len() > MAX_GAPS {
            return;
        }
        if gaps.len() == MAX_GAPS {
            gaps.push("There are more gaps than are listed here.".to_owned());
        } else {
            gaps.push(gap);
        }
    }

    /// The gaps noted so far.
    pub(super) fn noted(&self) -> Vec<String> {
        self.0.borrow().clone()
    }
}

/// A JSON value whose members are looked up as the module describes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Members<'a> {
    value: &'a Value,
    gaps: &'a Gaps,
}

impl<'a> Members<'a> {
    /// Looks into `value`, noting gaps in `gaps`.
    pub(super) fn of(value: &'a Value, gaps: &'a Gaps) -> Self {
        Self { value, gaps }
    }

    /// The value itself.
    pub(super) fn value(self) -> &'a Value {
        self.value
    }

    /// Where gaps are noted.
    pub(super) fn gaps(self) -> &'a Gaps {
        self.gaps
    }

    /// Notes a gap.
    pub(super) fn note(self, gap: impl Into<String>) {
        self.gaps.note(gap);
    }

    /// The member of this name.
    pub(super) fn get(self, name: &str) -> Option<Self> {
        let members = self.value.as_object()?;
        let mut found: Option<&'a Value> = None;
        for (key, value) in members {
            if value.is_null() || !key.eq_ignore_ascii_case(name) {
                continue;
            }
            match found {
                Some(first) if first != value => {
                    self.note(format!(
                        "More than one member is called `{name}` and they differ; none is used."
                    ));
                    return None;
                }
                _ => found = Some(value),
            }
        }
        found.map(|value| Self::of(value, self.gaps))
    }

    /// The member at the end of this path.
    pub(super) fn at(self, path: &[&str]) -> Option<Self> {
        path.iter()
            .try_fold(self, |members, name| members.get(name))
    }

    /// Whether there is a member of this name.
    pub(super) fn has(self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// A member that is text; empty text is absent.
    pub(super) fn text(self, name: &str) -> Option<&'a str> {
        let member = self.get(name)?;
        match member.value.as_str() {
            Some(text) if text.trim().is_empty() => None,
            Some(text) => Some(text),
            None => {
                self.note(format!("`{name}` is not text."));
                None
            }
        }
    }

    /// The text at the end of this path.
    pub(super) fn text_at(self, path: &[&str]) -> Option<&'a str> {
        let (last, parents) = path.split_last()?;
        self.at(parents)?.text(last)
    }

    /// The elements of a member that is an array. One object alone counts as an array of one.
    pub(super) fn items(self, name: &str) -> Vec<Self> {
        let Some(member) = self.get(name) else {
            return Vec::new();
        };
        match member.value {
            Value::Array(items) => items
                .iter()
                .filter(|item| !item.is_null())
                .map(|item| Self::of(item, self.gaps))
                .collect(),
            Value::Object(_) => vec![member],
            _ => {
                self.note(format!("`{name}` is not a list."));
                Vec::new()
            }
        }
    }

    /// The elements of a list of texts.
    pub(super) fn texts(self, name: &str) -> Vec<&'a str> {
        self.items(name)
            .iter()
            .filter_map(|item| item.value.as_str())
            .filter(|text| !text.trim().is_empty())
            .collect()
    }

    /// A member that is a number, or text that is one.
    pub(super) fn number(self, name: &str) -> Option<f64> {
        let member = self.get(name)?;
        let number = match member.value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        let number = number.filter(|number| number.is_finite());
        if number.is_none() && member.value.as_str() != Some("") {
            self.note(format!("`{name}` is not a number."));
        }
        number
    }

    /// A member that counts occurrences.
    pub(super) fn count(self, name: &str) -> Option<u64> {
        let member = self.get(name)?;
        let count = match member.value {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        if count.is_none() && member.value.as_str() != Some("") {
            self.note(format!("`{name}` is not a count."));
        }
        count
    }

    /// A member that is true or false, or the words.
    pub(super) fn flag(self, name: &str) -> Option<bool> {
        let member = self.get(name)?;
        match member.value {
            Value::Bool(flag) => Some(*flag),
            Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
            Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
            Value::String(text) if text.is_empty() => None,
            _ => {
                self.note(format!("`{name}` is neither true nor false."));
                None
            }
        }
    }

    /// A member that is a point in time.
    pub(super) fn time(self, name: &str) -> Option<Timestamp> {
        let member = self.get(name)?;
        let time = timestamp(member.value);
        if time.is_none() && member.value.as_str() != Some("") {
            self.note(format!("`{name}` is not a time."));
        }
        time
    }
}

/// A time in any of the ways they are written: RFC 3339, with a space for the `T`, without an
/// offset (then it is UTC), or as seconds or milliseconds since 1970, whole or not.
pub(super) fn timestamp(value: &Value) -> Option<Timestamp> {
    match value {
        Value::Number(number) => epoch(number.as_f64()?),
        Value::String(text) => {
            let text = text.trim();
            text.parse::<Timestamp>()
                .ok()
                .or_else(|| {
                    let civil: DateTime = text.parse().ok()?;
                    civil
                        .to_zoned(TimeZone::UTC)
                        .ok()
                        .map(|zoned| zoned.timestamp())
                })
                .or_else(|| epoch(text.parse().ok()?))
        }
        _ => None,
    }
}

fn epoch(number: f64) -> Option<Timestamp> {
    if !number.is_finite() {
        return None;
    }
    let micros = if number.abs() >= MILLISECONDS_FROM {
        number * 1e3
    } else {
        number * 1e6
    };
    // A cast saturates, and the ends of i64 lie outside what a timestamp holds.
    Timestamp::from_microsecond(micros.round() as i64).ok()
}

/// A digest of what a value says, whatever the casing and order of its members.
pub(super) fn digest(value: &Value) -> String {
    let mut hasher = Sha256::new();
    feed(value, &mut hasher);
    format!("sha256:{}", hex::encode(hasher.finalize()))
}

fn feed(value: &Value, hasher: &mut Sha256) {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| (key.to_ascii_lowercase(), value))
                .collect();
            members.sort_by(|a, b| a.0.cmp(&b.0));
            hasher.update(format!("{{{}", members.len()));
            for (key, value) in members {
                hasher.update(format!("{}:{key}", key.len()));
                feed(value, hasher);
            }
        }
        Value::Array(items) => {
            hasher.update(format!("[{}", items.len()));
            for item in items {
                feed(item, hasher);
            }
        }
        Value::String(text) => hasher.update(format!("\"{}:{text}", text.len())),
        other => hasher.update(format!("({other})")),
    }
}
