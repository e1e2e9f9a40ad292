//! The words of all detections as one automaton.
//!
//! A process is walked as one text: `\x01`, the file's name, `\x01`, the path given to exec, `\x01`,
//! then the arguments with a NUL after each, and one more. Its environment is another: `\x02`, then the variables
//! with a NUL after each. So everything up to the first NUL says which program runs, and nothing
//! that a process is given can pretend to be another part: a NUL cannot stand in an argument, and
//! the first byte is ours.

use std::fmt::Write as _;

use davylamp_content::detection::{
    Checksum, Detection, Place, Response, Words, ends_itself, expression_bytes, start_of, text_of,
};
use davylamp_content::indicators::{Confidence, Indicator};
use regex_automata::dfa::{StartKind, dense};
use regex_automata::util::syntax;
use regex_automata::{MatchKind, nfa::thompson};
use regex_syntax::hir::{Class, ClassBytes, ClassBytesRange, Hir, HirKind};
use sha2::{Digest as _, Sha256};

use super::table::{AtExec, MAX_RULES, MAX_WORDS, Masks, Rule, SET_IS_TOOL, Table};
use crate::breaker;
use crate::indicator::Indicators;
use crate::judge::Subject;
use crate::launch::tool_names;
use crate::wallet;

/// The automaton of all detections may have this many bytes.
const MAX_TABLE_BYTES: usize = 32 << 20;

/// What stands in a program's name behind the name itself: version, platform, extension.
const SUFFIX: &str = r"(?i:[-_.]?(?:v?[0-9]{1,6}|linux|lin|static|musl|gnu|gcc|cuda|opencl|amd|nvidia|intel|arm|aarch|x86|x64|x|win|windows|macos|darwin|bin|exe|elf|run|sh|pyc|py|js|mjs|cjs|ts|pl|rb|r|jl|lua|php|go|rs|exs|rkt|java|kts?|scala|ps1|bat|dll|msi|pyz|jar|wasm|appimage|new|old|bak|tmp|cpu|gpu|release|latest|noavx|avx|sse|notls|lite|daemon|d|b|rc|main|docker|sif|simg|slurm|sbatch|pbs|ipynb|nomad))*";

/// Why detections cannot be put to use.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// All together need too much.
    #[error("the detections together need an automaton of more than {limit} bytes")]
    TooLarge {
        /// How many bytes there may be.
        limit: usize,
    },
    /// There are more than the kernel can keep apart.
    #[error("the detections together have {count} {what}; there may be {limit}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many there may be.
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

/// The automaton, and what its words are.
#[derive(Debug)]
pub(super) struct Patterns {
    table: Table,
    entries: Vec<Entry>,
    /// The number of each detection's first words.
    first: Vec<usize>,
    indicators: Indicators,
}

/// What an automaton is built of.
struct Plan {
    /// What is found, as expressions.
    texts: Vec<String>,
    /// What each of them but the last means; the last is of the names of tools.
    meanings: Vec<Meaning>,
    domains: [u64; 3],
    rules: Vec<Rule>,
}

impl Plan {
    /// The words of each detection have numbers from `first` on.
    fn new(detections: &[Detection], first: &[usize]) -> Result<Self, RulesError> {
        let (mut texts, mut meanings) = (Vec::new(), Vec::new());
        let all = || detections.iter().flat_map(|detection| &detection.words);
        for (number, words) in all().enumerate() {
            for (text, how) in Texts::of(words).placed(words.place) {
                texts.push(text);
                meanings.push(Meaning { words: number, how });
            }
        }
        // What stands behind a tool's name may be a version.
        let tools: Vec<String> = tool_names().map(escaped).collect();
        texts.push(format!(r"(?s-u)\x01-?(?i:{})[0-9.-]*\x01", tools.join("|")));
        let rules = rules_of(detections, first);
        for (what, count, limit) in [
            ("sets of words", all().count(), MAX_WORDS),
            ("rules", rules.len(), MAX_RULES),
        ] {
            if count > limit {
                return Err(RulesError::TooMany { what, count, limit });
            }
        }
        Ok(Self {
            texts,
            meanings,
            domains: domains_of(all()),
            rules,
        })
    }

    /// Tells what makes one automaton from what makes another, in every build of this program.
    fn digest(&self) -> u64 {
        let mut hasher = Sha256::new();
        // All of them are plain data, which is written without loss.
        hasher.update(format!(
            "{:?}{:?}{:?}{:?}",
            self.texts, self.meanings, self.domains, self.rules
        ));
        hasher
            .finalize()
            .iter()
            .take(8)
            .fold(0, |digest, byte| digest << 8 | u64::from(*byte))
    }

    fn table(&self) -> Result<Table, RulesError> {
        let found = |pattern: usize| match self.meanings.get(pattern) {
            None => Masks {
                flags: SET_IS_TOOL,
                ..Masks::default()
            },
            Some(meaning) => meaning.found(),
        };
        let automaton = build(&self.texts)?;
        let table = Table::pack(&automaton, found, self.domains, &self.rules, self.digest());
        table.map_err(|_| RulesError::TooLarge {
            limit: MAX_TABLE_BYTES,
        })
    }
}

/// The number of each detection's first words.
fn first_words(detections: &[Detection]) -> Vec<usize> {
    let mut next = 0;
    let begin = |detection: &Detection| {
        let first = next;
        next += detection.words.len();
        first
    };
    detections.iter().map(begin).collect()
}

/// Builds the automaton of detections.
pub(super) fn table_of(detections: &[Detection]) -> Result<Table, RulesError> {
    Plan::new(detections, &first_words(detections))?.table()
}

impl Patterns {
    /// Takes the table that is `ready` where it was built of the same.
    pub fn new(
        detections: &[Detection],
        indicators: &[Indicator],
        ready: Option<Table>,
    ) -> Result<Self, RulesError> {
        let first = first_words(detections);
        let mut entries = Vec::new();
        for detection in detections {
            for words in &detection.words {
                let texts = Texts::of(words);
                let failed = |source| RulesError::Word {
                    detection: detection.name.clone(),
                    words: words.name.clone(),
                    source: Box::new(source),
                };
                entries.push(Entry {
                    shown: texts.shown(words.place).map_err(failed)?,
                    named: texts.named().map_err(failed)?,
                    place: words.place,
                    checksum: words.checksum,
                    domains: words.domains,
                });
            }
        }
        let plan = Plan::new(detections, &first)?;
        let table = match ready.filter(|ready| ready.made_of() == plan.digest()) {
            Some(ready) => ready,
            None => plan.table()?,
        };
        Ok(Self {
            table,
            entries,
            first,
            indicators: Indicators::new(indicators),
        })
    }

    /// The automaton as the kernel walks it.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// The number of a detection's words.
    pub fn number(&self, detection: usize, words: usize) -> usize {
        self.first[detection] + words
    }

    pub fn in_process(&self, path: &[u8], executable: &[u8], words: &[Vec<u8>]) -> Found {
        let masks = self.in_program(path, executable, words);
        self.confirm(masks, |place| match place {
            // What begins in an argument is an expression over arguments.
            Place::Argument => words.get(1..).unwrap_or_default().join(&0),
            Place::Program => {
                let program = words.first().map_or(&b""[..], Vec::as_slice);
                [path, executable, program].join(&1)
            }
            Place::Anywhere => [path, executable, &words.join(&0)].join(&0),
        })
    }

    fn in_program(&self, path: &[u8], executable: &[u8], words: &[Vec<u8>]) -> Masks {
        let mut walk = self.table.of_program();
        let mut step = |text: &[u8]| self.table.step(&mut walk, text);
        // Whatever a file is called, it cannot pretend to be two.
        let name = executable
            .iter()
            .map(|byte| if *byte == 1 { 2 } else { *byte });
        step(&name.collect::<Vec<u8>>());
        step(b"\x01");
        step(path);
        step(b"\x01");
        for word in words {
            step(word);
            step(b"\0");
        }
        step(b"\0");
        walk.found
    }

    /// What the kernel does about a program with these texts, each argument and variable with a NUL
    /// behind it.
    pub fn at_exec(&self, subject: &Subject<'_>) -> AtExec {
        let arguments = subject.arguments;
        let arguments = arguments.strip_suffix(b"\0").unwrap_or(arguments);
        let words: Vec<Vec<u8>> = arguments
            .split(|byte| *byte == 0)
            .map(<[u8]>::to_vec)
            .collect();
        let mut found = self.in_program(subject.path, subject.executable, &words);
        if !subject.environment.is_empty() {
            let mut walk = self.table.of_environment();
            self.table.step(&mut walk, subject.environment);
            self.table.step(&mut walk, b"\0");
            found = found.and(walk.found);
        }
        // Pools are found by the table of the lists, which knows them by words as this does by names.
        for (number, entry) in self.entries.iter().enumerate() {
            let texts = [
                subject.path,
                subject.executable,
                arguments,
                subject.environment,
            ];
            let names = |confidence| texts.iter().find_map(|text| self.domain(text, confidence));
            if entry.domains.and_then(names).is_some() {
                found.begun |= 1 << number;
            }
        }
        self.table.at_exec(found)
    }

    pub fn in_environment(&self, variables: &[u8]) -> Found {
        if variables.is_empty() {
            return Found::default();
        }
        let mut walk = self.table.of_environment();
        self.table.step(&mut walk, variables);
        self.table.step(&mut walk, b"\0\0");
        self.confirm(walk.found, |_| variables.to_vec())
    }

    /// Looks for the whole of each expression that was begun, in the text where it counts, and for
    /// domains, which would make the automaton many times as large.
    fn confirm(&self, masks: Masks, text: impl Fn(Place) -> Vec<u8>) -> Found {
        let mut found = Found {
            counts: numbers_in(masks.counts),
            named: numbers_in(masks.named),
        };
        for (number, entry) in self.entries.iter().enumerate() {
            let is_domain = || {
                let confidence = entry.domains?;
                self.domain(&text(entry.place), confidence)
            };
            let is_begun = masks.begun >> number & 1 == 1;
            if !found.counts.contains(&number)
                && (is_domain().is_some() || is_begun && entry.is_in(&text(entry.place)))
            {
                found.counts.push(number);
            }
        }
        found
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

fn numbers_in(mask: u64) -> Vec<usize> {
    (0..MAX_WORDS)
        .filter(|number| mask >> number & 1 == 1)
        .collect()
}

impl Meaning {
    fn found(self) -> Masks {
        let mask = 1 << self.words;
        let mut found = Masks::default();
        match self.how {
            How::Counts => found.counts = mask,
            How::Named => found.named = mask,
            How::Begins => found.begun = mask,
        }
        found
    }
}

/// The rules of all detections, by detection.
fn rules_of(detections: &[Detection], first: &[usize]) -> Vec<Rule> {
    let mut rules = Vec::new();
    for (number, detection) in detections.iter().enumerate() {
        for needs in &detection.rules {
            let bits = needs.iter().map(|words| 1 << (first[number] + words));
            rules.push(Rule {
                needs: bits.fold(0, |mask, bit: u64| mask | bit),
                detection: number as u32,
                score: detection.score,
                kills: detection.response == Response::Kill,
                ceiling: breaker::digest(&detection.name),
            });
        }
    }
    rules
}

/// Which words a domain of low, medium or high confidence is one of.
fn domains_of<'a>(all: impl Iterator<Item = &'a Words> + Clone) -> [u64; 3] {
    [Confidence::Low, Confidence::Medium, Confidence::High].map(|known| {
        let mut mask = 0;
        for (number, words) in all.clone().enumerate() {
            if words.domains.is_some_and(|wanted| known >= wanted) {
                mask |= 1 << number;
            }
        }
        mask
    })
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
