//! Texts by number, so that what is counted by texts stays small.

use foldhash::fast::RandomState;

/// A map for the hot path: by a hash that is made for short keys.
pub type HashMap<K, V> = std::collections::HashMap<K, V, RandomState>;

/// The number of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(u32);

/// Texts by number. They are never forgotten, so whoever adds texts of strangers bounds them.
#[derive(Debug, Default)]
pub struct Names {
    numbers: HashMap<Box<str>, Name>,
    texts: Vec<Box<str>>,
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

    /// Gives two numbers each other's text.
    pub fn swap(&mut self, one: Name, other: Name) {
        let (a, b) = (one.0 as usize, other.0 as usize);
        if a < self.texts.len() && b < self.texts.len() {
            self.texts.swap(a, b);
            self.numbers.insert(self.texts[a].clone(), one);
            self.numbers.insert(self.texts[b].clone(), other);
        }
    }

    /// Numbers the texts by their order; the new number of each old one.
    pub fn sort(&mut self) -> HashMap<Name, Name> {
        let mut order: Vec<u32> = (0..).take(self.texts.len()).collect();
        order.sort_unstable_by(|a, b| self.texts[*a as usize].cmp(&self.texts[*b as usize]));
        let new: HashMap<Name, Name> = order
            .iter()
            .zip(0..)
            .map(|(old, new)| (Name(*old), Name(new)))
            .collect();
        let mut texts = std::mem::take(&mut self.texts);
        self.texts = order
            .iter()
            .map(|old| std::mem::take(&mut texts[*old as usize]))
            .collect();
        for name in self.numbers.values_mut() {
            *name = new.get(name).copied().unwrap_or(*name);
        }
        new
    }
}
