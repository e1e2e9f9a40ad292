//! Allow patterns: expressions over the whole command line that spare a match, and how much of
//! them the kernel can decide by itself.
//!
//! A pattern matches from the start of the command line and need not reach its end (Python's
//! `re.match`, as in cryptnono). So a pattern that comes down to literal text, such as
//! `git grep .*`, is decided by a walk down a trie in the kernel. Of any other, the kernel is given
//! the literal text it must start with: a match whose command line starts otherwise is killed at
//! once, the rest are held until user space has looked. Nothing is decided on less than that.

use davylamp_content::blocklist::{Allowed, MAX_COMPILED_BYTES, Place, Scope, anchored};
use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::hir::{
    Hir, HirKind,
    literal::{ExtractKind, Extractor},
};

use crate::automaton::{AllowMeaning, AllowPrefix};

/// One allow pattern, ready to be asked.
#[derive(Debug, Clone)]
pub struct AllowRule {
    /// As the blocklist spells it.
    pub pattern: String,
    /// Where it counts.
    pub scope: Scope,
    /// The blocklist group it stands in.
    pub group: String,
    regex: Regex,
}

/// All allow patterns of a blocklist.
#[derive(Debug, Clone, Default)]
pub struct AllowRules {
    rules: Vec<AllowRule>,
}

/// A pattern that the regular expression engine refuses. `content` checks patterns before, so this
/// is a bug in one of the two.
#[derive(Debug, Clone, thiserror::Error)]
#[error("allow pattern `{pattern}` does not compile; this is a bug, since it was checked before")]
pub struct PatternError {
    /// The pattern.
    pub pattern: String,
    /// What the engine says.
    pub source: regex::Error,
}

impl AllowRules {
    /// Compiles patterns, each with the group it stands in.
    ///
    /// # Errors
    /// [`PatternError`] if one does not compile.
    pub fn new<'a>(
        patterns: impl Iterator<Item = (&'a str, &'a Allowed)>,
    ) -> Result<Self, PatternError> {
        let compile = |(group, allowed): (&str, &Allowed)| {
            let regex = RegexBuilder::new(&anchored(&allowed.pattern))
                .case_insensitive(true)
                .size_limit(MAX_COMPILED_BYTES)
                .build()
                .map_err(|source| PatternError {
                    pattern: allowed.pattern.clone(),
                    source,
                })?;
            Ok(AllowRule {
                pattern: allowed.pattern.clone(),
                scope: allowed.scope.clone(),
                group: group.to_owned(),
                regex,
            })
        };
        Ok(Self {
            rules: patterns.map(compile).collect::<Result<_, _>>()?,
        })
    }

    /// The rules, by number.
    pub fn rules(&self) -> &[AllowRule] {
        &self.rules
    }

    /// The first rule that spares this command line at this place.
    pub fn allowing(&self, command_line: &[u8], place: &Place<'_>) -> Option<(u32, &AllowRule)> {
        (0..)
            .zip(&self.rules)
            .find(|(_, rule)| rule.scope.matches(place) && rule.regex.is_match(command_line))
    }

    /// Whether any rule counts in some places only.
    pub fn any_scoped(&self) -> bool {
        self.rules.iter().any(|rule| !rule.scope.is_everywhere())
    }

    /// What the kernel is told: the prefixes, and whether some rule has none, so that every match
    /// must be held.
    pub fn for_kernel(&self) -> (Vec<AllowPrefix>, bool) {
        let mut prefixes = Vec::new();
        let mut holds_all = false;
        for (number, rule) in (0..).zip(&self.rules) {
            let starts = Starts::of(&rule.pattern);
            let decided = starts.are_the_whole_pattern && rule.scope.is_everywhere();
            let meaning = if decided {
                AllowMeaning::Allows(number)
            } else {
                AllowMeaning::MayAllow
            };
            match starts.texts {
                Some(texts) => {
                    let prefix = |text| AllowPrefix { text, meaning };
                    prefixes.extend(texts.into_iter().map(prefix));
                }
                None => holds_all = true,
            }
        }
        (prefixes, holds_all)
    }
}

/// The literal texts with which whatever matches a pattern must start.
struct Starts {
    /// `None` where there is no such text: anything may match.
    texts: Option<Vec<Vec<u8>>>,
    /// Whether each command line that starts with one of them matches.
    are_the_whole_pattern: bool,
}

/// More starts than this are no help: the trie would be as large as the list of strings.
const MOST_STARTS: usize = 256;

impl Starts {
    fn of(pattern: &str) -> Self {
        // Case is folded by the trie; parsing with case keeps the literals few.
        let parsed = regex_syntax::ParserBuilder::new()
            .utf8(false)
            .build()
            .parse(pattern);
        let Ok(hir) = parsed else {
            return Self {
                texts: None,
                are_the_whole_pattern: false,
            };
        };
        let hir = without_open_end(&hir);
        let mut extractor = Extractor::new();
        extractor.kind(ExtractKind::Prefix).limit_total(MOST_STARTS);
        let starts = extractor.extract(&hir);
        // The extractor passes over `$`, `\b` and the like as if they were always true.
        let mut whole =
            starts.is_exact() && hir.properties().look_set().is_empty() && !may_mind_case(pattern);
        let foldable = |text: &[u8]| text.iter().all(|byte| *byte > 1 && *byte != b'\n');
        let mut texts = Vec::new();
        for literal in starts.literals().unwrap_or_default() {
            // The trie folds ASCII only, the expression every letter: beyond ASCII it must be asked.
            let bytes = literal.as_bytes();
            let ascii = bytes.iter().take_while(|byte| byte.is_ascii()).count();
            whole &= ascii == bytes.len();
            texts.push(bytes[..ascii].to_vec());
        }
        match starts.literals() {
            Some(_)
                if texts.iter().all(|text| foldable(text))
                    && (whole || texts.iter().all(|text| !text.is_empty())) =>
            {
                Self {
                    texts: Some(texts),
                    are_the_whole_pattern: whole,
                }
            }
            _ => Self {
                texts: None,
                are_the_whole_pattern: false,
            },
        }
    }
}

/// Whether a part of the pattern may tell upper from lower case (`(?-i)`), which the trie does not.
fn may_mind_case(pattern: &str) -> bool {
    pattern.split("(?").skip(1).any(|group| {
        let is_flag = |letter: &char| letter.is_ascii_alphabetic() || *letter == '-';
        group
            .chars()
            .take_while(is_flag)
            .any(|letter| letter == '-')
    })
}

/// Drops what stands at the end of a pattern and may be empty: matching need not reach the end of
/// the command line, so it changes nothing.
fn without_open_end(hir: &Hir) -> Hir {
    match hir.kind() {
        HirKind::Concat(parts) => {
            let mut parts = parts.clone();
            while let Some(last) = parts.last() {
                let HirKind::Repetition(repetition) = last.kind() else {
                    break;
                };
                if repetition.min > 0 {
                    break;
                }
                parts.pop();
            }
            Hir::concat(parts)
        }
        HirKind::Repetition(repetition) if repetition.min == 0 => Hir::empty(),
        _ => hir.clone(),
    }
}
