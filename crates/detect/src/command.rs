//! Judging how a process is started, by detections.
//!
//! Each set of words of each detection is one pattern of one automaton, which walks the program's
//! path and name, its arguments and its environment once. What the automaton finds is weighed by
//! what the command line launches and what it merely names (see [`launch`]).
//!
//! What must stay true: one step a byte, whatever the text; a text that could not be taken apart is
//! judged as a whole and never spared.

use std::collections::HashSet;

use davylamp_content::detection::{Action, Detection, FULL_SCORE, Response};
use davylamp_content::indicators::Indicator;

mod pattern;
mod table;
mod weigh;

use crate::judge::Subject;
use crate::launch::{self, Command, Launches};
use pattern::{Found, Patterns};

pub use pattern::RulesError;
pub use table::{AtExec, Size, Table};

/// What comes of a process by all detections together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding<'a> {
    /// What is to be done.
    pub action: Action,
    /// The scores of all detections that found something, together.
    pub score: u32,
    /// What each detection found, the one that weighs most first. Never empty.
    pub signs: Vec<Sign<'a>>,
}

/// What one detection found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sign<'a> {
    /// The detection.
    pub detection: &'a Detection,
    /// The number of the command it was found in.
    command: usize,
    /// Whether it is of a tool that hands the rest of its line on: what it starts says more.
    is_of_wrapper: bool,
    /// What would come of it alone.
    pub action: Action,
    /// What it adds to the score.
    pub score: u8,
    /// The text that matched.
    pub matched: String,
    /// Why it counts, or why it does not, in words.
    pub why: String,
}

/// Detections, ready to judge.
#[derive(Debug)]
pub struct Rules {
    detections: Vec<Detection>,
    patterns: Patterns,
}

impl Rules {
    /// Builds the automaton, which takes seconds where the detections are many.
    ///
    /// # Errors
    /// Where the detections together need a larger automaton than there may be.
    pub fn new(detections: Vec<Detection>, indicators: &[Indicator]) -> Result<Self, RulesError> {
        Self::with_table(detections, indicators, None)
    }

    /// Takes the automaton that is `ready` where it was built of the same detections, and builds one
    /// where it was not.
    ///
    /// # Errors
    /// As those of [`Rules::new`].
    pub fn with_table(
        detections: Vec<Detection>,
        indicators: &[Indicator],
        ready: Option<Table>,
    ) -> Result<Self, RulesError> {
        let patterns = Patterns::new(&detections, indicators, ready)?;
        Ok(Self {
            detections,
            patterns,
        })
    }

    /// The detections.
    pub fn detections(&self) -> &[Detection] {
        &self.detections
    }

    /// The automaton, for the kernel.
    pub fn table(&self) -> &Table {
        self.patterns.table()
    }

    /// What the kernel does about a process at its exec, before anybody has taken it apart.
    pub fn at_exec(&self, subject: &Subject<'_>) -> AtExec {
        self.patterns.at_exec(subject)
    }

    /// The detection of a rule that the kernel names.
    pub fn detection_of_rule(&self, rule: u32) -> Option<&Detection> {
        let rule = self.table().rule(rule as usize)?;
        self.detections.get(rule.detection as usize)
    }

    /// Judges a process as it was started.
    pub fn judge(&self, subject: &Subject<'_>) -> Option<Finding<'_>> {
        let environment = self.patterns.in_environment(subject.environment);
        let launches = launch::of_arguments(subject.arguments);
        let own = Place {
            path: subject.path,
            executable: subject.executable,
            environment: &environment,
            variables: subject.environment,
            is_whole: launches.is_whole,
        };
        self.judge_all(&launches, &own)
    }

    /// Judges a line that somebody types into a shell.
    pub fn judge_line(&self, line: &[u8]) -> Option<Finding<'_>> {
        let launches = launch::of_line(line);
        let own = Place::within(launches.is_whole);
        self.judge_all(&launches, &own)
    }

    fn judge_all(&self, launches: &Launches, own: &Place<'_>) -> Option<Finding<'_>> {
        let commands = &launches.commands;
        let inner = Place::within(launches.is_whole);
        let mut signs = Vec::new();
        for (number, command) in commands.iter().enumerate() {
            let place = match command.through.is_empty() && !command.is_unread {
                true => own,
                false => &inner,
            };
            self.weigh(number, command, place, &mut signs);
        }
        sum_up(signs, commands)
    }
}

/// What is known of the process beside its arguments.
struct Place<'a> {
    path: &'a [u8],
    executable: &'a [u8],
    environment: &'a Found,
    variables: &'a [u8],
    is_whole: bool,
}

impl Place<'_> {
    /// A command within another has neither a path nor an environment of its own yet.
    fn within(is_whole: bool) -> Place<'static> {
        Place {
            path: b"",
            executable: b"",
            environment: Found::NOTHING,
            variables: b"",
            is_whole,
        }
    }
}

fn sum_up<'a>(mut signs: Vec<Sign<'a>>, commands: &[Command]) -> Option<Finding<'a>> {
    let outside = |number: usize| commands.get(number).and_then(|command| command.within);
    // Each command outside one in which a detection says more than its wrapper does.
    let mut said: HashSet<(usize, &str)> = HashSet::new();
    for sign in signs.iter().filter(|sign| !sign.is_of_wrapper) {
        let mut at = outside(sign.command);
        while let Some(number) = at
            && said.insert((number, sign.detection.name.as_str()))
        {
            at = outside(number);
        }
    }
    signs.retain(|sign| {
        !sign.is_of_wrapper || !said.contains(&(sign.command, sign.detection.name.as_str()))
    });
    // A detection counts once, by its strongest sign.
    signs.sort_by_key(|sign| std::cmp::Reverse((sign.action, sign.score)));
    let mut seen: Vec<&str> = Vec::new();
    signs.retain(|sign| {
        let name = sign.detection.name.as_str();
        let is_new = !seen.contains(&name);
        seen.push(name);
        is_new
    });
    let strongest = signs.first()?.action;
    let score: u32 = signs
        .iter()
        .filter(|sign| sign.action > Action::Spare)
        .map(|sign| u32::from(sign.score))
        .sum();
    let may_kill = signs
        .iter()
        .any(|sign| sign.action > Action::Spare && sign.detection.response == Response::Kill);
    let action = match strongest {
        Action::Alert if score >= u32::from(FULL_SCORE) && may_kill => Action::Kill,
        strongest => strongest,
    };
    Some(Finding {
        action,
        score,
        signs,
    })
}

#[cfg(test)]
mod tests;
