//! The members of a record that its log's reader knows by name.

use std::borrow::Cow;

use super::json::{Walk, text_of};

/// No log has more members that are looked at.
const MAX_MEMBERS: usize = 40;

/// The names of members, found quickly: every key of every record is looked up.
#[derive(Debug)]
pub(super) struct Names {
    names: &'static [&'static str],
    by_length: Vec<Vec<usize>>,
}

impl Names {
    /// These names, of which there are at most [`MAX_MEMBERS`].
    pub fn new(names: &'static [&'static str]) -> Self {
        debug_assert!(names.len() <= MAX_MEMBERS);
        let longest = names.iter().map(|name| name.len()).max().unwrap_or(0);
        let mut by_length = vec![Vec::new(); longest + 1];
        for (at, name) in names.iter().enumerate().take(MAX_MEMBERS) {
            by_length[name.len()].push(at);
        }
        Self { names, by_length }
    }

    /// The number of a name as it is spelt here.
    pub fn number(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| *known == name)
    }

    /// The number of a key, also of one that is spelt in another casing.
    fn find(&self, key: &[u8]) -> Option<usize> {
        let alike = self
            .by_length
            .get(key.len())
            .map(Vec::as_slice)
            .unwrap_or_default();
        alike
            .iter()
            .copied()
            .find(|at| self.names[*at].as_bytes() == key)
            .or_else(|| {
                let is_it = |name: &&str| is_spelt_otherwise(name.as_bytes(), key);
                self.names.iter().take(MAX_MEMBERS).position(is_it)
            })
    }
}

/// The members of a record, as they are written.
#[derive(Debug, Clone)]
pub(super) struct Members<'a> {
    names: &'static Names,
    values: [Option<&'a [u8]>; MAX_MEMBERS],
}

impl<'a> Members<'a> {
    /// No member yet.
    pub fn new(names: &'static Names) -> Self {
        Self {
            names,
            values: [None; MAX_MEMBERS],
        }
    }

    /// Takes a member. Of one that comes twice, the last counts, as in JavaScript and most readers.
    pub fn take(&mut self, key: &[u8], value: &'a [u8]) {
        if let Some(at) = self.names.find(key) {
            self.values[at] = Some(value);
        }
    }

    /// The value of a member by its number, as it is written.
    pub fn at(&self, number: usize) -> Option<&'a [u8]> {
        self.values[number]
    }

    /// The value of a member by its name, as it is written.
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        self.values[self.names.number(name)?]
    }

    /// Whether there is such a member, be it null.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The text of a member; nothing for null and for the empty text.
    pub fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        self.get(name)
            .and_then(text_of)
            .filter(|text| !text.is_empty())
    }

    /// The value at a path that starts with a member's name.
    pub fn dig(&self, path: &str) -> Option<&'a [u8]> {
        match path.split_once('.') {
            Some((member, rest)) => dig(self.get(member)?, rest),
            None => self.get(path),
        }
    }

    /// The text at a path; nothing for null and for the empty text.
    pub fn text_at(&self, path: &str) -> Option<Cow<'a, str>> {
        self.dig(path)
            .and_then(text_of)
            .filter(|text| !text.is_empty())
    }
}

/// Whether two keys differ only in casing: `EventName`, `event_name` and `eventName`.
pub(super) fn is_spelt_otherwise(name: &[u8], key: &[u8]) -> bool {
    fn plain(key: &[u8]) -> impl Iterator<Item = u8> {
        key.iter()
            .filter(|byte| **byte != b'_' && **byte != b'-')
            .map(u8::to_ascii_lowercase)
    }
    key.len() <= 2 * name.len() + 2 && plain(name).eq(plain(key))
}

/// The value at a path of keys divided by dots, in whatever casing the keys are.
pub(super) fn dig<'a>(value: &'a [u8], path: &str) -> Option<&'a [u8]> {
    path.split('.').try_fold(value, |value, step| {
        let mut found = None;
        // What comes before a fault counts.
        let _ = Walk::at(value, 0).object(|key, value| {
            if key == step.as_bytes() || is_spelt_otherwise(step.as_bytes(), key) {
                found = Some(value);
            }
        });
        found
    })
}

/// The items of a list, as they are written; of anything else none.
pub(super) fn items(value: Option<&[u8]>) -> Vec<&[u8]> {
    let mut found = Vec::new();
    if let Some(value) = value {
        // What comes before a fault counts.
        let _ = Walk::at(value, 0).list(|item| found.push(item));
    }
    found
}

/// True and false, also as text.
pub(super) fn truth(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// Texts, each once, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Texts<'a> {
    texts: Vec<Cow<'a, str>>,
    seen: std::collections::HashSet<Cow<'a, str>>,
}

impl<'a> Texts<'a> {
    /// Adds a text, unless it is there or is empty.
    pub fn add(&mut self, text: Option<Cow<'a, str>>) {
        if let Some(text) = text.filter(|text| !text.is_empty())
            && self.seen.insert(text.clone())
        {
            self.texts.push(text);
        }
    }

    /// Adds the text of a value.
    pub fn add_value(&mut self, value: Option<&'a [u8]>) {
        self.add(value.and_then(text_of));
    }

    /// The texts.
    pub fn as_slice(&self) -> &[Cow<'a, str>] {
        &self.texts
    }

    /// Puts them into the order of their bytes.
    pub fn sort(&mut self) {
        self.texts.sort();
    }

    /// All of them, joined by commas; nothing where there is none.
    pub fn joined(&self) -> Option<String> {
        (!self.texts.is_empty()).then(|| self.texts.join(","))
    }
}
