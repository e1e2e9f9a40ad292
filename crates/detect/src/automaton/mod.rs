//! Thousands of strings searched in one pass, in a form a kernel program can walk.
//!
//! # What matches
//! A string matches where it stands as a word: neither the byte before it nor the byte after it is
//! an ASCII letter, digit or underscore. ASCII letters match in either case; every other byte
//! matches itself. NUL, which separates arguments, counts as a space.
//!
//! # How
//! This is an Aho-Corasick automaton in which a string can only begin at a word boundary, so most
//! of any text is passed over in one state (*outside*) without looking anything up. What a state
//! does on a byte is nearly always what *outside* does; only the differences are stored, each in a
//! slot that names the state it belongs to. All states share one array of slots, laid over each
//! other so that it is nearly full (row displacement, as in Tarjan and Yao, "Storing a sparse
//! table", CACM 22(11), 1979).
//!
//! # Layout
//! One array of 64-bit words, in the machine's byte order, mirrored by `crates/guard/bpf/abi.h`.
//! The first `HEADER_SLOTS` words are a header: one entry for each byte, then the generation and
//! the roots. The rest are slots, `owner << 32 | next`, where a state at `base` has its transition
//! on class `c` at `base + c` and what is known of it at `base`. States near the root come first:
//! the kernel reaches the first page without a call, and a search rarely gets far from the root.

mod place;
mod trie;

use std::{iter, ops::Range};

use davylamp_content::indicators::Confidence;

pub(crate) use place::Layout;

/// Words in one page of a table, as the kernel's map holds them.
pub const PAGE_SLOTS: usize = 8192;
/// Words before the first slot.
const HEADER_SLOTS: usize = 512;
/// Words 0 to 255 of the header: `class and boundary << 32 | default next state` for each byte.
const HEADER_GENERATION: usize = 256;
/// `scan_root | allow_root << 32`.
const HEADER_ROOTS: usize = 257;
/// `flags | pages << 32`.
const HEADER_FLAGS: usize = 258;

const STATE_ACCEPTS: u32 = 0x8000_0000;
const STATE_BASE: u32 = 0x7fff_ffff;
const STATE_OUTSIDE: u32 = 0;

const BYTE_BOUNDARY: u64 = 0x8000_0000;
const BYTE_CLASS: u64 = 0x0fff;

const INFO_ARGUMENTS: u32 = 0x8000_0000;
const INFO_ENVIRONMENT: u32 = 0x4000_0000;
const INFO_ALLOWS: u32 = 0x2000_0000;
const INFO_HOLDS: u32 = 0x1000_0000;
/// The name of a pool that is known with low confidence; the next two bits are for medium and high.
const INFO_POOL: u32 = 0x0200_0000;
const INFO_SET: u32 = 0x01ff_ffff;

fn info_of_pool(confidence: Confidence) -> u32 {
    INFO_POOL << confidence as u32
}

const TABLE_SCANS_ENVIRONMENT: u32 = 1;
const TABLE_HOLDS_ALL_MATCHES: u32 = 2;

/// Stands between two texts that are walked as one, so that no string spans both. No string may
/// hold it.
pub const TEXT_SEPARATOR: u8 = 1;

/// Where a string counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// In the arguments, the program's path and the executable's name.
    Arguments,
    /// In the environment.
    Environment,
}

/// One string to search for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needle<'a> {
    /// Its bytes; ASCII letters in any case.
    pub text: &'a [u8],
    /// Where it counts, and as what.
    pub counts: Counts,
}

/// What it means that a string is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counts {
    /// It is banned in the arguments, the path and the executable's name.
    InArguments,
    /// It is banned in the environment as well.
    Everywhere,
    /// It is the name of a pool: one of the words that rules are about, and not banned by itself.
    AsPool(Confidence),
}

/// The start of a command line that bears on whether a match is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowPrefix {
    /// The bytes; ASCII letters in any case.
    pub text: Vec<u8>,
    /// What it means that a command line starts so.
    pub meaning: AllowMeaning,
}

/// What it means that a command line starts with an [`AllowPrefix`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AllowMeaning {
    /// The match is allowed, by the pattern of this number.
    Allows(u32),
    /// An expression may allow the match; somebody else must look.
    MayAllow,
}

/// Why a table cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// A string is empty, or holds a byte that no command line can hold.
    #[error(
        "string {index} is empty or holds a NUL or \\x01 byte, which no command line can match"
    )]
    Unmatchable {
        /// Its number in the list given.
        index: usize,
    },
    /// The states do not fit the table's numbers.
    #[error("the strings need {slots} slots; a table has at most {most}")]
    TooLarge {
        /// How many were needed.
        slots: usize,
        /// The most there can be.
        most: usize,
    },
}

/// The size of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableSize {
    /// Strings searched for.
    pub strings: usize,
    /// States of the automaton.
    pub states: usize,
    /// Bytes of the packed table.
    pub bytes: usize,
}

/// A string found in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its number in the list the table was built from.
    pub string: u32,
    /// Where it stands.
    pub at: Range<usize>,
}

/// A packed automaton and what its numbers mean.
#[derive(Debug, Clone)]
pub struct Table {
    words: Vec<u64>,
    /// Chains of strings that end together: the string and the next link, or [`NO_SET`].
    sets: Vec<(u32, u32)>,
    strings: Vec<StringFacts>,
    states: usize,
}

#[derive(Debug, Clone, Copy)]
struct StringFacts {
    length: u32,
    counts: Counts,
}

impl StringFacts {
    fn is_banned(self) -> bool {
        !matches!(self.counts, Counts::AsPool(_))
    }
}

const NO_SET: u32 = u32::MAX;

impl Table {
    /// Builds the automaton of `needles` and of the `allow` prefixes.
    ///
    /// `holds_all` says that some allow expression has no literal start, so that every match needs
    /// a second look. `generation` is stored as it is, to tell which lists a table came from.
    ///
    /// # Errors
    /// [`BuildError`] for a string that can match nothing, or for more states than fit.
    pub fn build(
        needles: &[Needle<'_>],
        allow: &[AllowPrefix],
        holds_all: bool,
        generation: u64,
    ) -> Result<Self, BuildError> {
        if let Some(index) = needles.iter().position(|needle| {
            needle.text.is_empty() || needle.text.iter().any(|byte| *byte <= TEXT_SEPARATOR)
        }) {
            return Err(BuildError::Unmatchable { index });
        }
        let classes = Classes::of(
            needles
                .iter()
                .map(|needle| needle.text)
                .chain(allow.iter().map(|p| p.text.as_slice())),
        );
        let trie = trie::Trie::build(needles, allow, &classes);
        let placed = place::place(&trie)?;

        let mut words = placed.slots;
        let default_boundary = u64::from(placed.scan_root);
        for byte in 0..=255u8 {
            let class = u64::from(classes.of_byte(byte));
            words[usize::from(byte)] = if is_word(byte) {
                class << 32 | u64::from(STATE_OUTSIDE)
            } else {
                (class | BYTE_BOUNDARY) << 32 | default_boundary
            };
        }
        let pages = words.len() / PAGE_SLOTS;
        let mut flags = 0;
        if needles
            .iter()
            .any(|needle| needle.counts == Counts::Everywhere)
        {
            flags |= TABLE_SCANS_ENVIRONMENT;
        }
        if holds_all {
            flags |= TABLE_HOLDS_ALL_MATCHES;
        }
        words[HEADER_GENERATION] = generation;
        words[HEADER_ROOTS] = u64::from(placed.scan_root) | u64::from(placed.allow_root) << 32;
        words[HEADER_FLAGS] = u64::from(flags) | (pages as u64) << 32;
        Ok(Self {
            words,
            sets: trie.sets,
            strings: needles
                .iter()
                .map(|needle| StringFacts {
                    length: needle.text.len() as u32,
                    counts: needle.counts,
                })
                .collect(),
            states: trie.nodes.len(),
        })
    }

    /// How large it is.
    pub fn size(&self) -> TableSize {
        TableSize {
            strings: self
                .strings
                .iter()
                .filter(|string| string.is_banned())
                .count(),
            states: self.states,
            bytes: self.words.len() * size_of::<u64>(),
        }
    }

    /// The words to load into the kernel: a whole number of pages of [`PAGE_SLOTS`].
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// The number the table was built with.
    pub fn generation(&self) -> u64 {
        self.words[HEADER_GENERATION]
    }

    /// Whether any string counts in the environment.
    pub fn scans_environment(&self) -> bool {
        self.words[HEADER_FLAGS] as u32 & TABLE_SCANS_ENVIRONMENT != 0
    }

    /// The first string that matches in `text`, as the kernel would find it. Of several that end
    /// at the same place, the longest.
    pub fn find(&self, text: &[u8], place: Place) -> Option<Found> {
        let mut first = None;
        self.walk(text, place, |found| {
            first = Some(found);
            false
        });
        first
    }

    /// Every match in `text`, in order of their ends and, where ends are equal, longest first.
    pub fn find_all(&self, text: &[u8], place: Place) -> Vec<Found> {
        let mut all = Vec::new();
        self.walk(text, place, |found| {
            all.push(found);
            true
        });
        all
    }

    /// The longest string behind an info word that the kernel reported.
    pub fn string_of_info(&self, info: u32, place: Place) -> Option<u32> {
        self.strings_of_set(info & INFO_SET, place).next()
    }

    /// The set of strings that ends with this one, as the kernel numbers it.
    pub fn set_of_string(&self, string: u32) -> Option<u32> {
        let set = self.sets.iter().position(|(first, _)| *first == string)?;
        u32::try_from(set).ok()
    }

    /// The number of the set of strings in an info word that the kernel reported.
    pub fn set_of_info(info: u32) -> u32 {
        info & INFO_SET
    }

    /// The allow pattern behind an info word that the kernel reported.
    pub fn pattern_of_info(info: u32) -> Option<u32> {
        (info & INFO_ALLOWS != 0).then_some(info & INFO_SET)
    }

    /// What the start of a command line says about allowing, as the kernel reads it.
    pub fn allow_prefix(&self, command_line: &[u8]) -> Option<AllowMeaning> {
        let mut state = (self.words[HEADER_ROOTS] >> 32) as u32;
        if state == 0 {
            return None;
        }
        let mut found = None;
        for index in 0..=command_line.len() {
            if state & STATE_ACCEPTS != 0 {
                let info = self.words[(state & STATE_BASE) as usize] as u32;
                if info & INFO_ALLOWS != 0 {
                    return Some(AllowMeaning::Allows(info & INFO_SET));
                }
                found = Some(AllowMeaning::MayAllow);
            }
            let Some(next) = command_line
                .get(index)
                .and_then(|byte| self.stored(state, *byte))
            else {
                break;
            };
            state = next;
        }
        found
    }

    fn stored(&self, state: u32, byte: u8) -> Option<u32> {
        let base = state & STATE_BASE;
        let class = (self.words[usize::from(byte)] >> 32 & BYTE_CLASS) as u32;
        if base == STATE_OUTSIDE || class == 0 {
            return None;
        }
        let slot = *self.words.get((base + class) as usize)?;
        (slot >> 32 == u64::from(base)).then_some(slot as u32)
    }

    /// Calls `visit` for each match until it says to stop.
    fn walk(&self, text: &[u8], place: Place, mut visit: impl FnMut(Found) -> bool) {
        let mut state = self.words[HEADER_ROOTS] as u32;
        // Every text ends at a boundary, as if one more space followed.
        for (end, byte) in text.iter().copied().chain([b' ']).enumerate() {
            let entry = self.words[usize::from(byte)];
            if state & STATE_ACCEPTS != 0 && entry >> 32 & BYTE_BOUNDARY != 0 {
                let info = self.words[(state & STATE_BASE) as usize] as u32;
                for string in self.strings_of_set(info & INFO_SET, place) {
                    let start = end - self.strings[string as usize].length as usize;
                    if !visit(Found {
                        string,
                        at: start..end,
                    }) {
                        return;
                    }
                }
            }
            state = self.stored(state, byte).unwrap_or(entry as u32);
        }
    }

    /// The strings that end together in a set and count in `place`, longest first.
    fn strings_of_set(&self, set: u32, place: Place) -> impl Iterator<Item = u32> {
        let link = |set: u32| self.sets.get(set as usize);
        iter::successors(link(set), move |(_, next)| link(*next))
            .map(|(string, _)| *string)
            .filter(move |string| match self.strings[*string as usize].counts {
                Counts::InArguments => place == Place::Arguments,
                Counts::Everywhere => true,
                Counts::AsPool(_) => false,
            })
    }
}

pub(crate) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The bytes that occur in any string, numbered from one; the rest share class 0.
struct Classes {
    class: [u16; 256],
}

impl Classes {
    fn of<'a>(texts: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut used = [false; 256];
        for byte in texts.flatten() {
            used[usize::from(fold(*byte))] = true;
        }
        let mut class = [0; 256];
        let mut next = 1;
        for byte in 0..=255u8 {
            if used[usize::from(byte)] {
                class[usize::from(byte)] = next;
                next += 1;
            }
        }
        Self { class }
    }

    fn of_byte(&self, byte: u8) -> u16 {
        self.class[usize::from(fold(byte))]
    }
}

/// The byte that stands for `byte` in the automaton.
fn fold(byte: u8) -> u8 {
    match byte {
        0 => b' ',
        other => other.to_ascii_lowercase(),
    }
}
