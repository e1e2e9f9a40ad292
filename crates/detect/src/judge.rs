//! The judge: a command line and what surrounds it in, a ruling out.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    ops::Range,
};

use davylamp_content::{
    blocklist::{Banned, Blocklist, Place as ContainerPlace},
    indicators::{Indicator, Value},
    word,
};

use crate::{
    allow::{AllowRule, AllowRules, PatternError},
    automaton::{BuildError, Counts, Needle, Place, Table},
};

/// A process as it was started.
#[derive(Debug, Clone, Copy, Default)]
pub struct Subject<'a> {
    /// Its arguments, NUL after each, as the kernel and `/proc/PID/cmdline` have them.
    pub arguments: &'a [u8],
    /// The path that was given to exec.
    pub path: &'a [u8],
    /// The name, without its folder, of the file that runs.
    pub executable: &'a [u8],
    /// Its environment, NUL after each variable.
    pub environment: &'a [u8],
}

/// Where a match stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Region {
    /// In the arguments, joined by single spaces.
    Arguments,
    /// In the path given to exec.
    Path,
    /// In the name of the file that runs.
    Executable,
    /// In the environment.
    Environment,
}

impl Region {
    /// The name used in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Arguments => "arguments",
            Self::Path => "path",
            Self::Executable => "executable",
            Self::Environment => "environment",
        }
    }
}

/// A banned string found in a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// The string's number: see [`Judge::string`].
    pub string: u32,
    /// Where it stood.
    pub region: Region,
    /// The bytes of that text.
    pub at: Range<usize>,
}

/// What is to be done about a process.
#[derive(Debug, Clone)]
pub enum Ruling<'a> {
    /// No banned string stands in it.
    Clean,
    /// A banned string stands in it, and a rule allows it.
    Allowed {
        /// The match.
        found: Match,
        /// The rule that allows it.
        by: &'a AllowRule,
    },
    /// A banned string stands in it.
    Banned {
        /// The match.
        found: Match,
    },
}

/// A banned string and the group it stands in.
#[derive(Debug, Clone)]
pub struct StringFacts {
    /// As the blocklist spells it.
    pub banned: Banned,
    /// The blocklist group.
    pub group: String,
}

/// Why a blocklist cannot be put to use.
#[derive(Debug, thiserror::Error)]
pub enum JudgeError {
    /// The automaton cannot be built.
    #[error("the strings do not fit an automaton")]
    Table(#[from] BuildError),
    /// A pattern does not compile.
    #[error(transparent)]
    Pattern(#[from] PatternError),
}

/// Judges processes by one blocklist.
#[derive(Debug, Clone)]
pub struct Judge {
    strings: Vec<StringFacts>,
    allow: AllowRules,
    table: Table,
}

impl Judge {
    /// Builds the automaton and compiles the patterns.
    ///
    /// # Errors
    /// [`JudgeError`] where the lists are too large or hold what cannot match.
    pub fn new(blocklist: &Blocklist) -> Result<Self, JudgeError> {
        Self::with_pools(blocklist, &[])
    }

    /// As [`Judge::new`], with a table that finds the names of these pools for the rules as well.
    ///
    /// # Errors
    /// [`JudgeError`] as there.
    pub fn with_pools(blocklist: &Blocklist, pools: &[Indicator]) -> Result<Self, JudgeError> {
        let strings: Vec<StringFacts> = blocklist
            .groups
            .iter()
            .flat_map(|group| {
                group.banned.iter().map(|banned| StringFacts {
                    banned: banned.clone(),
                    group: group.name.clone(),
                })
            })
            .collect();
        let patterns = blocklist.groups.iter().flat_map(|group| {
            group
                .allowed
                .iter()
                .map(|allowed| (group.name.as_str(), allowed))
        });
        let allow = AllowRules::new(patterns)?;
        let (prefixes, holds_all) = allow.for_kernel();
        let banned = strings.iter().map(|string| Needle {
            text: string.banned.text.as_bytes(),
            counts: match string.banned.scan_environment {
                true => Counts::Everywhere,
                false => Counts::InArguments,
            },
        });
        let names = pools.iter().filter_map(|pool| match &pool.value {
            Value::Domain(name) => Some(Needle {
                text: name.as_bytes(),
                counts: Counts::AsPool(pool.confidence),
            }),
            _ => None,
        });
        let needles: Vec<Needle<'_>> = banned.chain(names).collect();
        let generation = generation(&strings, &allow, &needles);
        let table = Table::build(&needles, &prefixes, holds_all, generation)?;
        Ok(Self {
            strings,
            allow,
            table,
        })
    }

    /// The packed automaton, for the kernel.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// The allow rules.
    pub fn allow(&self) -> &AllowRules {
        &self.allow
    }

    /// A banned string by its number.
    pub fn string(&self, number: u32) -> Option<&StringFacts> {
        self.strings.get(number as usize)
    }

    /// How many strings are banned.
    pub fn string_count(&self) -> usize {
        self.strings.len()
    }

    /// Rules over a process. A place that is not known satisfies no scoped rule.
    pub fn rule(&self, subject: &Subject<'_>, place: &ContainerPlace<'_>) -> Ruling<'_> {
        let Some(found) = self.first_match(subject) else {
            return Ruling::Clean;
        };
        match self.allow.allowing(&command_line(subject.arguments), place) {
            Some((_, by)) => Ruling::Allowed { found, by },
            None => Ruling::Banned { found },
        }
    }

    /// The match the kernel would act on: arguments first, then the path, the executable's name
    /// and the environment.
    pub fn first_match(&self, subject: &Subject<'_>) -> Option<Match> {
        regions(subject).find_map(|(region, text, place)| {
            let found = self.table.find(text, place)?;
            Some(Match {
                string: found.string,
                region,
                at: found.at,
            })
        })
    }

    /// Every match, in the same order.
    pub fn all_matches(&self, subject: &Subject<'_>) -> Vec<Match> {
        regions(subject)
            .flat_map(|(region, text, place)| {
                self.table
                    .find_all(text, place)
                    .into_iter()
                    .map(move |found| Match {
                        string: found.string,
                        region,
                        at: found.at,
                    })
            })
            .collect()
    }

    /// Banned strings that occur in the arguments or paths but never as a word, so that they do
    /// not count. Slow: searches for each string by itself.
    pub fn near_misses(&self, subject: &Subject<'_>) -> Vec<u32> {
        let texts =
            [subject.arguments, subject.path, subject.executable].map(<[u8]>::to_ascii_lowercase);
        (0..)
            .zip(&self.strings)
            .filter(|(_, string)| {
                let needle = string.banned.text.to_ascii_lowercase();
                texts.iter().any(|text| contains(text, needle.as_bytes()))
                    && !texts
                        .iter()
                        .any(|text| word::matches_as_word(needle.as_bytes(), text))
            })
            .map(|(number, _)| number)
            .collect()
    }
}

/// The arguments as one line, joined by single spaces: what allow patterns are matched against.
pub fn command_line(arguments: &[u8]) -> Vec<u8> {
    let arguments = arguments.strip_suffix(b"\0").unwrap_or(arguments);
    arguments
        .iter()
        .map(|byte| if *byte == 0 { b' ' } else { *byte })
        .collect()
}

fn regions<'a>(subject: &Subject<'a>) -> impl Iterator<Item = (Region, &'a [u8], Place)> {
    [
        (Region::Arguments, subject.arguments, Place::Arguments),
        (Region::Path, subject.path, Place::Arguments),
        (Region::Executable, subject.executable, Place::Arguments),
        (Region::Environment, subject.environment, Place::Environment),
    ]
    .into_iter()
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack
        .windows(needle.len().max(1))
        .any(|window| window == needle)
}

/// Tells one set of lists from another. Stable within one build of the program; another build
/// that finds a foreign number judges again instead of trusting it.
fn generation(strings: &[StringFacts], allow: &AllowRules, needles: &[Needle<'_>]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for needle in &needles[strings.len()..] {
        needle.text.hash(&mut hasher);
    }
    for string in strings {
        string.banned.text.hash(&mut hasher);
        string.banned.scan_environment.hash(&mut hasher);
        string.group.hash(&mut hasher);
    }
    for rule in allow.rules() {
        rule.pattern.hash(&mut hasher);
        rule.scope.hash(&mut hasher);
    }
    hasher.finish()
}
