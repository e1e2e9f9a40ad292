//! `davy.toml`, the one file for every verb: its tables, and how a text becomes values.
//!
//! Each job brings its own table as a [`Section`], made from the type that holds its settings, so
//! that type is the one place where keys, defaults and kinds are written down. What must stay
//! true: every fault of the file and of each override is reported, with its place in the text;
//! nothing is ever half applied.
//!
//! Deliberately not here: reading the file and the environment (the binary brings the text), and
//! secrets, which no key holds.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

mod error;
mod load;
mod overrides;
mod suggest;

pub use error::{ConfigError, ConfigErrors, Trouble};
pub use load::{defaults, load};
pub use overrides::Override;

/// Where the binary looks for a file when it is given none.
pub const DEFAULT_CONFIG_PATH: &str = "/etc/davylamp/davy.toml";

/// One table of the file: the settings of one job.
///
/// Every key has a default of its kind: text, a whole number, true or false, a list of texts, or, where
/// [`Section::lists`] names it, a list of tables.
#[derive(Debug, Clone)]
pub struct Section {
    /// The table's name.
    pub name: &'static str,
    /// Every key with its default.
    pub defaults: Table,
    /// The keys that take a list of tables: `[[console.notices.channels]]`.
    pub lists: Vec<List>,
    /// The bounds of the keys that take a number.
    pub bounds: &'static [Bounds],
    /// What a text, or one text of a list, must be: key and text in, what to write instead out.
    pub text: fn(&str, &str) -> Result<(), &'static str>,
    /// What must hold between keys: each fault with the key it is about.
    pub whole: fn(&Value) -> Vec<(&'static str, Trouble)>,
    /// Whether a table with these values is one.
    pub typed: fn(&Value) -> Result<(), toml::de::Error>,
}

/// A key that takes a list of tables.
#[derive(Debug, Clone)]
pub struct List {
    /// The key, from the top of the file.
    pub key: &'static str,
    /// Every key of one of its tables with its default.
    pub defaults: Table,
}

impl List {
    /// A list of tables whose keys are the fields of `T`.
    pub fn of<T: Serialize + Default>(key: &'static str) -> Self {
        Self {
            key,
            defaults: plain::<T>(),
        }
    }
}

fn plain<T: Serialize + Default>() -> Table {
    Table::try_from(T::default())
        .unwrap_or_else(|error| unreachable!("the defaults are plain data: {error}"))
}

impl Section {
    /// A table whose keys are the fields of `T`.
    pub fn of<T: Serialize + DeserializeOwned + Default>(name: &'static str) -> Self {
        Self {
            name,
            defaults: plain::<T>(),
            lists: Vec::new(),
            bounds: &[],
            text: |_, _| Ok(()),
            whole: |_| Vec::new(),
            typed: |value| T::deserialize(value.clone()).map(drop),
        }
    }
}

/// The settings of one job out of what [`load`] gave.
pub fn section<T: DeserializeOwned>(tree: &Table, name: &str) -> T {
    T::deserialize(tree[name].clone())
        .unwrap_or_else(|error| unreachable!("each value was tried by itself: {error}"))
}

/// The numbers a key takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The key, from the top of the file.
    pub key: &'static str,
    /// The least.
    pub least: i64,
    /// The most.
    pub most: i64,
    /// Whether 0, which switches it off, is taken as well.
    pub or_zero: bool,
    /// What is counted.
    pub unit: &'static str,
}

impl Bounds {
    /// From the least to the most.
    pub const fn new(key: &'static str, least: i64, most: i64, unit: &'static str) -> Self {
        Self {
            key,
            least,
            most,
            or_zero: false,
            unit,
        }
    }

    /// Takes 0 as well, for never.
    pub const fn or_zero(self) -> Self {
        Self {
            or_zero: true,
            ..self
        }
    }

    /// Whether the key takes this number.
    pub fn contains(&self, number: i64) -> bool {
        (self.least..=self.most).contains(&number) || (self.or_zero && number == 0)
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {} {}", self.least, self.most, self.unit)?;
        if self.or_zero {
            f.write_str(", or 0 for never")
        } else {
            Ok(())
        }
    }
}
