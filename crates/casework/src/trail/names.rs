//! Texts by number, so that what is counted by texts stays small.

use std::collections::HashMap;

/// The number of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(u32);

/// Texts by number. They are never forgotten, so whoever adds texts of strangers bounds them.
#[derive(Debug, Default)]
pub struct Names {
    numbers: HashMap<Box<str>, Name>,
    texts: Vec<Box<str>>,
    bytes: usize,
}

impl Name {
    /// The empty text.
    pub const EMPTY: Self = Self(0);
}

impl Names {
    /// None but the empty one.
    pub fn new() -> Self {
        let mut names = Self::default();
        names.add("");
        names
    }

    /// The number of a text, which it is given if it has none.
    pub fn add(&mut self, text: &str) -> Name {
        if let Some(name) = self.numbers.get(text) {
            return *name;
        }
        // Four thousand million texts do not fit into memory.
        let name = Name(u32::try_from(self.texts.len()).unwrap_or(0));
        self.numbers.insert(text.into(), name);
        self.texts.push(text.into());
        self.bytes += 2 * text.len();
        name
    }

    /// The number of a text that has one.
    pub fn find(&self, text: &str) -> Option<Name> {
        self.numbers.get(text).copied()
    }

    /// The text.
    pub fn text(&self, name: Name) -> &str {
        self.texts.get(name.0 as usize).map_or("", |text| text)
    }

    /// How many bytes the texts have.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}
