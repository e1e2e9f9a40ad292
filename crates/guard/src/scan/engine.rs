//! The rules, compiled, and a search with them.
//!
//! Every rule says in its metadata what a match shows (`sees = "miner-file"`), so that a detection decides
//! what it weighs. The conditions run in an interpreter: no memory of this process is ever executable that
//! was not so in its own file.

use davylamp_content::detection::Wire;
use davylamp_detect::file::Sign;
use yara_x::{Compiler, MetaValue, Rules, SourceCode};

/// Matches of one pattern that are kept: which is enough for every condition here, and bounds the time that
/// a file made of nothing but matches can take.
const MATCHES_OF_A_PATTERN: usize = 64;

/// A file of rules.
#[derive(Debug, Clone)]
pub struct Source {
    /// The name shown in errors.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Why rules cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    /// The text is not a rule, with its place.
    #[error("the rules cannot be compiled:\n{0}")]
    Compile(String),
    /// A rule does not say what it shows.
    #[error(
        "rule `{rule}` does not say what a match shows: add `sees = \"miner-file\"` or \
         `sees = \"packed-file\"` to its `meta`"
    )]
    SaysNothing {
        /// The rule.
        rule: String,
    },
}

/// The rules that ship.
pub fn shipped_rules() -> Vec<Source> {
    davylamp_content::yara::shipped()
        .into_iter()
        .map(|(name, text)| Source {
            name: name.to_owned(),
            text,
        })
        .collect()
}

/// Compiled rules.
pub struct Engine {
    rules: Rules,
}

impl Engine {
    /// Compiles rules.
    ///
    /// # Errors
    /// The first rule that cannot be used.
    pub fn new(sources: &[Source]) -> Result<Self, RuleError> {
        let mut compiler = Compiler::new();
        for source in sources {
            let code = SourceCode::from(source.text.as_str()).with_origin(&source.name);
            compiler
                .add_source(code)
                .map_err(|error| RuleError::Compile(error.to_string()))?;
        }
        let rules = compiler.build();
        for rule in rules.iter() {
            if seen_by(rule.metadata()).is_none() {
                let rule = rule.identifier().to_owned();
                return Err(RuleError::SaysNothing { rule });
            }
        }
        Ok(Self { rules })
    }

    /// How many rules there are.
    pub fn len(&self) -> usize {
        self.rules.iter().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Searches bytes. The error is the engine's, in words: the search did not come to an end.
    ///
    /// # Errors
    /// Whatever kept the engine from an answer.
    pub fn search(&self, bytes: &[u8]) -> Result<Vec<Sign>, String> {
        let mut scanner = yara_x::Scanner::new(&self.rules);
        scanner.max_matches_per_pattern(MATCHES_OF_A_PATTERN);
        let results = scanner.scan(bytes).map_err(|error| error.to_string())?;
        let signs = results.matching_rules().filter_map(|rule| {
            let says = rule
                .metadata()
                .find(|(key, _)| *key == "says")
                .and_then(|(_, value)| text_of(&value))
                .unwrap_or_default();
            Some(Sign {
                seen: seen_by(rule.metadata())?,
                rule: rule.identifier().to_owned(),
                says,
            })
        });
        Ok(signs.collect())
    }
}

fn seen_by<'r>(metadata: impl Iterator<Item = (&'r str, MetaValue<'r>)>) -> Option<Wire> {
    let named = metadata
        .filter(|(key, _)| *key == "sees")
        .find_map(|(_, value)| text_of(&value))?;
    seen_as(&named)
}

/// What is seen, by its name in a rule.
pub(super) fn seen_as(name: &str) -> Option<Wire> {
    Wire::ALL
        .iter()
        .find(|(seen, known)| *known == name && seen.is_of_file())
        .map(|(seen, _)| *seen)
}

fn text_of(value: &MetaValue<'_>) -> Option<String> {
    match value {
        MetaValue::String(text) => Some((*text).to_owned()),
        _ => None,
    }
}
