//! A hunt's parameters, and how a value becomes a literal of SQL.
//!
//! What must stay true: a value can only ever be one literal. Text is escaped by doubling quotes,
//! which is all that standard SQL knows; a number is printed by us and never copied.

use serde_json::{Number, Value};
use thiserror::Error;

/// A text may have this many bytes: longer than any name or address.
const MAX_TEXT_BYTES: usize = 4096;

/// A list may have this many entries.
const MAX_LIST_ENTRIES: usize = 1000;

/// The integers that every engine and every JSON reader keeps exactly.
const MAX_INTEGER: i64 = 1 << 53;

/// One parameter of a hunt.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Its name, `$name` in the query.
    pub name: String,
    /// What its value is.
    pub kind: ParameterKind,
    /// Its value where none is given.
    pub default: Value,
    /// The least value; of a text the least characters, of a list the fewest entries.
    pub min: Option<f64>,
    /// The greatest value, likewise.
    pub max: Option<f64>,
    /// Why it is there, and why its default is what it is.
    pub why: String,
}

/// What a parameter's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ParameterKind {
    /// A whole number.
    Integer,
    /// A number; always a DOUBLE in SQL.
    Number,
    /// One text.
    Text,
    /// Several texts, to stand in `IN ( … )`.
    TextList,
    /// A length of time in whole minutes.
    Interval,
}

impl ParameterKind {
    /// Every kind with its name in a file.
    pub const ALL: &[(Self, &str)] = &[
        (Self::Integer, "integer"),
        (Self::Number, "number"),
        (Self::Text, "text"),
        (Self::TextList, "text-list"),
        (Self::Interval, "interval"),
    ];

    fn expected(self) -> &'static str {
        match self {
            Self::Integer => "a whole number",
            Self::Number => "a number",
            Self::Text => "a text",
            Self::TextList => "a list of texts",
            Self::Interval => "whole minutes",
        }
    }
}

/// Why a value cannot be a parameter's.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum ParameterError {
    /// The hunt has no such parameter.
    #[error("hunt `{hunt}` has no parameter `{name}`")]
    Unknown {
        /// The hunt.
        hunt: String,
        /// What was given.
        name: String,
        /// The parameters it has.
        known: Vec<String>,
    },
    /// The value is of another type.
    #[error("parameter `{name}` must be {expected}")]
    WrongType {
        /// The parameter.
        name: String,
        /// What it must be.
        expected: &'static str,
    },
    /// The value is below the least or above the greatest.
    #[error("parameter `{name}` is {value}, outside {bounds}")]
    OutOfBounds {
        /// The parameter.
        name: String,
        /// What was measured: the value itself, or how long it is.
        value: f64,
        /// The bounds as words.
        bounds: String,
    },
    /// The text holds a zero byte, or too much.
    #[error("parameter `{name}` {why}")]
    Text {
        /// The parameter.
        name: String,
        /// What is wrong with its text.
        why: &'static str,
    },
}

impl Parameter {
    /// The literal that stands for a value in the query.
    ///
    /// # Errors
    /// The value is of the wrong type or out of bounds.
    pub fn literal(&self, value: &Value) -> Result<String, ParameterError> {
        let wrong = || ParameterError::WrongType {
            name: self.name.clone(),
            expected: self.kind.expected(),
        };
        match self.kind {
            ParameterKind::Integer | ParameterKind::Interval => {
                let number = value.as_i64().ok_or_else(wrong)?;
                if !(-MAX_INTEGER..=MAX_INTEGER).contains(&number)
                    || (self.kind == ParameterKind::Interval && number < 0)
                {
                    return Err(wrong());
                }
                #[expect(clippy::cast_precision_loss, reason = "bounded by MAX_INTEGER")]
                self.measure(number as f64)?;
                // In parentheses, so that no minus meets another one and becomes a comment.
                Ok(if number < 0 {
                    format!("({number})")
                } else {
                    number.to_string()
                })
            }
            ParameterKind::Number => {
                let number = value.as_f64().filter(|number| number.is_finite());
                let number = number.ok_or_else(wrong)?;
                self.measure(number)?;
                // A bare 0.5 is a DECIMAL in some engines and rounds in another way there.
                Ok(format!("CAST({number:?} AS DOUBLE)"))
            }
            ParameterKind::Text => {
                let text = value.as_str().ok_or_else(wrong)?;
                self.measure_count(text.chars().count())?;
                self.quoted(text)
            }
            ParameterKind::TextList => {
                let list = value.as_array().ok_or_else(wrong)?;
                if list.len() > MAX_LIST_ENTRIES {
                    return Err(self.text_error("has too many entries"));
                }
                self.measure_count(list.len())?;
                let quoted: Result<Vec<String>, ParameterError> = list
                    .iter()
                    .map(|entry| self.quoted(entry.as_str().ok_or_else(wrong)?))
                    .collect();
                // Neither `IN ()` nor a NULL, with which NOT IN would lose every row.
                Ok(match quoted? {
                    quoted if quoted.is_empty() => "''".to_owned(),
                    quoted => quoted.join(", "),
                })
            }
        }
    }

    /// The bounds as words.
    pub fn bounds(&self) -> String {
        match (self.min, self.max) {
            (Some(min), Some(max)) => format!("{min} to {max}"),
            (Some(min), None) => format!("{min} and more"),
            (None, Some(max)) => format!("up to {max}"),
            (None, None) => "no bounds".to_owned(),
        }
    }

    fn quoted(&self, text: &str) -> Result<String, ParameterError> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(self.text_error("is too long"));
        }
        if text.contains('\0') {
            return Err(self.text_error("holds a zero byte"));
        }
        Ok(format!("'{}'", text.replace('\'', "''")))
    }

    fn text_error(&self, why: &'static str) -> ParameterError {
        ParameterError::Text {
            name: self.name.clone(),
            why,
        }
    }

    fn measure_count(&self, count: usize) -> Result<(), ParameterError> {
        self.measure(Number::from(count).as_f64().unwrap_or(f64::MAX))
    }

    fn measure(&self, value: f64) -> Result<(), ParameterError> {
        let is_below = self.min.is_some_and(|min| value < min);
        let is_above = self.max.is_some_and(|max| value > max);
        if is_below || is_above {
            return Err(ParameterError::OutOfBounds {
                name: self.name.clone(),
                value,
                bounds: self.bounds(),
            });
        }
        Ok(())
    }
}
