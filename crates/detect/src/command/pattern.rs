//! The words of all detections as one automaton.
//!
//! A process is walked as one text: `\x01`, the path given to exec, `\x01`, the file's name, `\x01`,
//! then the arguments with a NUL after each. Its environment is another: `\x02`, then the variables
//! with a NUL after each. So everything up to the first NUL says which program runs, and nothing
//! that a process is given can pretend to be another part: a NUL cannot stand in an argument, and
//! the first byte is ours.

use std::fmt::Write as _;

use davylamp_content::detection::{
    Checksum, Detection, Place, Words, ends_itself, expression_bytes, start_of, text_of,
};
use davylamp_content::indicators::{Confidence, Indicator};
use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind, nfa::thompson, util::primitives::PatternID};
use regex_syntax::hir::{Class, ClassBytes, ClassBytesRange, Hir, HirKind};

use crate::indicator::Indicators;
use crate::wallet;

/// The automaton of all detections may have this many bytes.
const MAX_TABLE_BYTES: usize = 32 << 20;

/// What stands in a program's name behind the name itself: version, platform, extension.
const SUFFIX: &str = r"(?i:[-_.]?(?:v?[0-9]{1,6}|linux|lin|static|musl|gnu|gcc|cuda|opencl|amd|nvidia|intel|arm|aarch|x86|x64|x|win|windows|macos|darwin|bin|exe|elf|run|sh|pyc|py|js|mjs|cjs|ts|pl|rb|r|jl|lua|php|go|rs|exs|rkt|java|kts?|scala|ps1|bat|dll|msi|pyz|jar|wasm|appimage|new|old|bak|tmp|cpu|gpu|release|latest|noavx|avx|sse|notls|lite|daemon|d|b|rc|main|docker))*";

/// Why detections cannot be put to use.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// All together need too much.
    #[error("the detections together need an automaton of more than {limit} bytes")]
    TooLarge {
        /// How many bytes there may be.
        limit: usize,
    },
    /// A word cannot be searched for by itself.
    #[error("the words `{words}` of `{detection}` cannot be searched for")]
    Word {
        /// The detection.
        detection: String,
        /// Its words.
        words: String,
        /// Why not.
        source: Box<regex::Error>,
    },
}

/// Which words were found, by their numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Where they count.
    pub counts: Vec<usize>,
    /// Names of programs that stand in the arguments.
    pub named: Vec<usize>,
}

impl Found {
    /// Nothing.
    pub const NOTHING: &Self = &Self {
        counts: Vec::new(),
        named: Vec::new(),
    };
}

/// Words of one detection.
#[derive(Debug)]
struct Entry {
    /// Finds the text: to show it, and where its start was found.
    shown: regex::bytes::Regex,
    /// Finds a program's name among arguments.
    named: regex::bytes::Regex,
    place: Place,
    checksum: Option<Checksum>,
    domains: Option<Confidence>,
}

impl Entry {
    /// Whether a text holds the whole of one of the words, with its checksum.
    fn is_in(&self, text: &[u8]) -> bool {
        let mut at = 0;
        while let Some(groups) = self.shown.captures_at(text, at) {
            let Some(word) = groups.name("word").or_else(|| groups.name("rest")) else {
                return false;
            };
            let is_right = match self.checksum {
                None => true,
                Some(Checksum::Base58Check) => wallet::has_base58_checksum(word.as_bytes()),
            };
            if is_right {
                return true;
            }
            // What ends this word may be what the next begins behind.
            at = word.end();
        }
        false
    }
}

/// Whose words a pattern finds, and how.
#[derive(Debug, Clone, Copy)]
struct Meaning {
    words: usize,
    how: How,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// They are found where they count.
    Counts,
    /// A program's name is found among the arguments.
    Named,
    /// The start of an expression is found; the whole is to be looked for.
    Begins,
}

/// The automaton and what its patterns mean.
#[derive(Debug)]
pub(super) struct Patterns {
    automaton: dense::DFA<Vec<u32>>,
    entries: Vec<Entry>,
    /// The number of each detection's first words.
    first: Vec<usize>,
    /// What each pattern means.
    meanings: Vec<Meaning>,
    indicators: Indicators,
}

impl Patterns {
    pub fn new(detections: &[Detection], indicators: &[Indicator]) -> Result<Self, RulesError> {
        let (mut texts, mut meanings) = (Vec::new(), Vec::new());
        let (mut entries, mut first) = (Vec::new(), Vec::new());
        for detection in detections {
            first.push(entries.len());
            for words in &detection.words {
                let number = entries.len();
                let texts_of = Texts::of(words);
                for (text, how) in texts_of.placed(words.place) {
                    texts.push(text);
                    meanings.push(Meaning { words: number, how });
                }
                let failed = |source| RulesError::Word {
                    detection: detection.name.clone(),
                    words: words.name.clone(),
                    source: Box::new(source),
                };
                entries.push(Entry {
                    shown: texts_of.shown(words.place).map_err(failed)?,
                    named: texts_of.named().map_err(failed)?,
                    place: words.place,
                    checksum: words.checksum,
                    domains: words.domains,
                });
            }
        }
        Ok(Self {
            automaton: build(&texts)?,
            entries,
            first,
            meanings,
            indicators: Indicators::new(indicators),
        })
    }

    /// The number of a detection's words.
    pub fn number(&self, detection: usize, words: usize) -> usize {
        self.first[detection] + words
    }

    pub fn in_process(&self, path: &[u8], executable: &[u8], words: &[Vec<u8>]) -> Found {
        let mut walk = Walk::new(self);
        for text in [path, executable] {
            walk.step(b"\x01");
            walk.step(text);
        }
        walk.step(b"\x01");
        for word in words {
            walk.step(word);
            walk.step(b"\0");
        }
        walk.step(b"\0");
        walk.confirm(|place| match place {
            // What begins in an argument is an expression over arguments.
            Place::Argument => words.get(1..).unwrap_or_default().join(&0),
            Place::Program => {
                let program = words.first().map_or(&b""[..], Vec::as_slice);
                [path, executable, program].join(&1)
            }
            Place::Anywhere => [path, executable, &words.join(&0)].join(&0),
        })
    }

    pub fn in_environment(&self, variables: &[u8]) -> Found {
        let mut walk = Walk::new(self);
        if variables.is_empty() {
            return walk.found;
        }
        walk.step(b"\x02");
        walk.step(variables);
        walk.step(b"\0\0");
        walk.confirm(|_| variables.to_vec())
    }

    /// Whether a word is the name of a program among these words.
    pub fn is_program(&self, number: usize, word: &[u8]) -> bool {
        let found = self.in_process(b"", b"", &[word.to_vec()]);
        found.counts.contains(&number)
    }

    /// The first known domain of a text, as it is known.
    fn domain(&self, text: &[u8], confidence: Confidence) -> Option<String> {
        let is_of_name = |byte: &u8| byte.is_ascii_alphanumeric() || b".-_".contains(byte);
        let names = text.split(|byte| !is_of_name(byte));
        names.filter(|name| name.contains(&b'.')).find_map(|name| {
            let name = std::str::from_utf8(name).ok()?;
            let found = self.indicators.domain(name)?;
            (found.confidence >= confidence).then(|| found.value().to_owned())
        })
    }

    /// The text of these words, in the first of the texts that holds one.
    pub fn shown(&self, number: usize, texts: &[&[u8]]) -> String {
        let entry = &self.entries[number];
        if let Some(confidence) = entry.domains
            && let Some(name) = texts.iter().find_map(|text| self.domain(text, confidence))
        {
            return name;
        }
        let shown = &entry.shown;
        let found = texts.iter().find_map(|text| {
            let groups = shown.captures(text)?;
            groups.name("word").or_else(|| groups.name("rest"))
        });
        let named = || {
            texts
                .iter()
                .find_map(|text| entry.named.captures(text)?.get(1))
        };
        let found = found.or_else(named);
        let bytes = found.map_or(&b""[..], |found| found.as_bytes());
        String::from_utf8_lossy(bytes).replace('\0', " ")
    }
}

struct Walk<'a> {
    patterns: &'a Patterns,
    state: regex_automata::util::primitives::StateID,
    is_dead: bool,
    found: Found,
    begun: Vec<usize>,
}

impl<'a> Walk<'a> {
    fn new(patterns: &'a Patterns) -> Self {
        let input = Input::new(b"").anchored(Anchored::Yes);
        // The automaton looks at nothing before its start, so starting cannot fail.
        let state = patterns.automaton.start_state_forward(&input).ok();
        Self {
            patterns,
            is_dead: state.is_none(),
            state: state.unwrap_or_default(),
            found: Found::default(),
            begun: Vec::new(),
        }
    }

    /// Looks for the whole of each expression that was begun, in the text where it counts, and for
    /// domains, which would make the automaton many times as large.
    fn confirm(mut self, text: impl Fn(Place) -> Vec<u8>) -> Found {
        for (number, entry) in self.patterns.entries.iter().enumerate() {
            if let Some(confidence) = entry.domains
                && self
                    .patterns
                    .domain(&text(entry.place), confidence)
                    .is_some()
            {
                self.found.counts.push(number);
            }
        }
        for number in self.begun {
            let entry = &self.patterns.entries[number];
            if !self.found.counts.contains(&number) && entry.is_in(&text(entry.place)) {
                self.found.counts.push(number);
            }
        }
        self.found
    }

    fn step(&mut self, bytes: &[u8]) {
        let automaton = &self.patterns.automaton;
        for byte in bytes {
            if self.is_dead {
                return;
            }
            self.state = automaton.next_state(self.state, *byte);
            if !automaton.is_special_state(self.state) {
                continue;
            }
            if automaton.is_dead_state(self.state) {
                self.is_dead = true;
            } else if automaton.is_match_state(self.state) {
                for index in 0..automaton.match_len(self.state) {
                    let pattern: PatternID = automaton.match_pattern(self.state, index);
                    let Meaning { words, how } = self.patterns.meanings[pattern.as_usize()];
                    let list = match how {
                        How::Counts => &mut self.found.counts,
                        How::Named => &mut self.found.named,
                        How::Begins => &mut self.begun,
                    };
                    if !list.contains(&words) {
                        list.push(words);
                    }
                }
            }
        }
    }
}

fn build(texts: &[String]) -> Result<dense::DFA<Vec<u32>>, RulesError> {
    let limit = MAX_TABLE_BYTES;
    let config = dense::Config::new()
        .match_kind(MatchKind::All)
        .start_kind(StartKind::Anchored)
        .dfa_size_limit(Some(limit))
        .determinize_size_limit(Some(4 * limit));
    dense::Builder::new()
        .configure(config)
        .syntax(syntax::Config::new().unicode(false).utf8(false))
        .thompson(
            thompson::Config::new()
                .utf8(false)
                .nfa_size_limit(Some(limit)),
        )
        .build_many(texts)
        .map_err(|_| RulesError::TooLarge { limit })
}

/// The words of one set, as expressions.
struct Texts {
    /// Any literal or expression that ends where a border follows.
    words: Option<String>,
    /// Any expression that says itself where it ends.
    ending: Option<String>,
    /// The literals and expressions that the automaton finds whole, and the starts of the others.
    whole: Option<String>,
    starts: Option<String>,
}

/// What ends a word, and what stands before one.
const BORDER: &str = "[^0-9A-Za-z_]";

impl Texts {
    fn of(words: &Words) -> Self {
        let literals: Vec<String> = words.literals.iter().map(|text| escaped(text)).collect();
        // A program's name has ends of its own.
        let end = match words.place {
            Place::Program => "",
            Place::Argument | Place::Anywhere => BORDER,
        };
        let (mut all, mut ending) = (Vec::new(), Vec::new());
        let (mut whole, mut starts) = (Vec::new(), Vec::new());
        if !literals.is_empty() {
            let any = format!("(?i:{})", literals.join("|"));
            all.push(any.clone());
            whole.push(any + end);
        }
        for expression in &words.expressions {
            // What was read without a fault is an expression.
            let Ok(hir) = expression_bytes(expression) else {
                continue;
            };
            let hir = with_borders(&hir);
            let end = if ends_itself(&hir) { "" } else { end };
            let (start, is_whole) = start_of(&hir);
            let text = text_of(&hir);
            match is_whole && words.checksum.is_none() {
                true => whole.push(format!("(?:{text}){end}")),
                false => starts.push(format!("(?:{})", text_of(&start))),
            }
            match ends_itself(&hir) {
                true => ending.push(format!("(?:{text})")),
                false => all.push(format!("(?:{text})")),
            }
        }
        let any = |parts: Vec<String>| (!parts.is_empty()).then(|| parts.join("|"));
        Self {
            words: any(all),
            ending: any(ending),
            whole: any(whole),
            starts: any(starts),
        }
    }

    /// The patterns, each with what it means. A match is told one byte late, behind what ends the
    /// word.
    fn placed(&self, place: Place) -> Vec<(String, How)> {
        let start = match place {
            Place::Program | Place::Argument => r"(?s-u)\x01[^\x00]*\x00",
            Place::Anywhere => r"(?s-u)[\x01\x02]",
        };
        let mut patterns = Vec::new();
        if let Some(any) = &self.whole {
            if place == Place::Program {
                let name = format!(r"(?s-u)\x01(?:[^\x00]*[\x01/\\])?\.*(?:{any})");
                patterns.push((format!(r"{name}[\x01\x00]"), How::Counts));
                // With a version, a platform or an extension behind it.
                patterns.push((format!(r"{name}[-_.0-9]"), How::Begins));
                // A name among arguments is looked at again: what stands behind it may be anything.
                let named = format!("{start}(?:.*{BORDER})?(?:{any})[^A-Za-z]");
                patterns.push((named, How::Named));
            } else {
                let stands = format!("{start}(?:.*{BORDER})?(?:{any})");
                patterns.push((stands, How::Counts));
            }
        }
        if let Some(any) = &self.starts {
            patterns.push((format!("{start}(?:.*{BORDER})?(?:{any})"), How::Begins));
        }
        patterns
    }

    /// An expression that shows a word's text, as its group `word` or `rest`, without a look at where
    /// it counts. What says itself where it ends is shown to the end of its argument.
    fn shown(&self, place: Place) -> Result<regex::bytes::Regex, regex::Error> {
        let any = self.words.as_deref().unwrap_or(NOTHING);
        let ending = self.ending.as_deref().unwrap_or(NOTHING);
        let text = match place {
            // Of the whole file name: what is confirmed is what runs.
            Place::Program => {
                format!(r"(?s-u)(?:\A|[\x00\x01/\\])\.*(?<word>(?:{any}){SUFFIX})(?:\z|[\x00\x01])")
            }
            Place::Argument | Place::Anywhere => format!(
                r"(?s-u)(?:\A|{BORDER})(?:(?<word>{any})(?:\z|{BORDER})|(?<rest>(?:{ending})[^\x00 ]*))"
            ),
        };
        compiled(&text)
    }

    /// An expression that shows a program's name among arguments, as its first group.
    fn named(&self) -> Result<regex::bytes::Regex, regex::Error> {
        let any = self.words.as_deref().unwrap_or(NOTHING);
        compiled(&format!(r"(?s-u)(?:\A|{BORDER})({any})(?:\z|[^A-Za-z])"))
    }
}

/// Nothing matches an empty class: for words that are domains alone.
const NOTHING: &str = r"[^\x00-\xff]";

fn compiled(text: &str) -> Result<regex::bytes::Regex, regex::Error> {
    regex::bytes::RegexBuilder::new(text)
        .unicode(false)
        .size_limit(MAX_TABLE_BYTES)
        .build()
}

fn escaped(literal: &str) -> String {
    let mut text = String::new();
    for byte in literal.bytes() {
        let _ = match byte {
            // Between two words on a command line stands a NUL.
            b' ' => text.write_str(r"[\x00 ]"),
            byte => write!(text, r"\x{byte:02x}"),
        };
    }
    text
}

/// An expression in which a space stands for the border between arguments as well.
fn with_borders(hir: &Hir) -> Hir {
    match hir.kind() {
        HirKind::Literal(literal) if literal.0.contains(&b' ') => {
            Hir::concat(literal.0.iter().map(|byte| border(*byte)).collect())
        }
        HirKind::Class(Class::Bytes(class)) => {
            let mut class = class.clone();
            let border = ClassBytes::new([ClassBytesRange::new(0, 0)]);
            let has_blank = |range: &ClassBytesRange| (range.start()..=range.end()).contains(&b' ');
            match class.ranges().iter().any(has_blank) {
                true => class.union(&border),
                false => class.difference(&border),
            }
            Hir::class(Class::Bytes(class))
        }
        HirKind::Repetition(repetition) => {
            let mut repetition = repetition.clone();
            repetition.sub = Box::new(with_borders(&repetition.sub));
            Hir::repetition(repetition)
        }
        HirKind::Capture(capture) => with_borders(&capture.sub),
        HirKind::Concat(parts) => Hir::concat(parts.iter().map(with_borders).collect()),
        HirKind::Alternation(parts) => Hir::alternation(parts.iter().map(with_borders).collect()),
        _ => hir.clone(),
    }
}

fn border(byte: u8) -> Hir {
    if byte != b' ' {
        return Hir::literal([byte]);
    }
    let ranges = [0, b' '].map(|byte| ClassBytesRange::new(byte, byte));
    Hir::class(Class::Bytes(ClassBytes::new(ranges)))
}
