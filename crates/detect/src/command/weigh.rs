//! What a word weighs where it stands.

use std::borrow::Cow;

use davylamp_content::detection::{Action, Detection, Response};

use super::pattern::Found;
use super::{Place, Rules, Sign};
use crate::launch::{Command, Tool, file_name};

/// Programs that are called by the names of the tools within them.
const MANY_IN_ONE: &[&str] = &["busybox", "toybox", "coreutils"];

/// What shows that a text in a language starts or reaches something, rather than speaking of it.
const ACTS: &[&str] = &[
    "exec",
    "system",
    "popen",
    "spawn",
    "subprocess",
    "socket",
    "connect",
    "urlopen",
    "requests.",
    "fetch(",
    "run(",
    "call(",
    "ctypes",
    "shell=",
    "qx",
    "`",
];

/// A path of more bytes names no program (`PATH_MAX`).
const MAX_NAME_BYTES: usize = 4096;

/// How the words of a rule were found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    /// Each where it counts.
    Counts,
    /// A program's name stands in the arguments.
    Named,
}

impl Rules {
    pub(super) fn weigh<'a>(
        &'a self,
        command_number: usize,
        command: &Command,
        place: &Place<'_>,
        signs: &mut Vec<Sign<'a>>,
    ) {
        let mut words = Cow::Borrowed(&command.words);
        if !command.input.is_empty() {
            words.to_mut().push(command.input.clone());
        }
        if command.is_code {
            words.to_mut().insert(0, b"-".to_vec());
        }
        let found = self
            .patterns
            .in_process(place.path, place.executable, &words);
        let set = command.variables.join(&0);
        let set_found = self.patterns.in_environment(&set);
        let counts = |number: &usize| {
            [&found, &set_found, place.environment]
                .iter()
                .any(|found| found.counts.contains(number))
        };
        if found == *Found::NOTHING
            && set_found == *Found::NOTHING
            && place.environment == Found::NOTHING
        {
            return;
        }
        let tool = honest_tool(command, place);
        for (at, detection) in self.detections.iter().enumerate() {
            let number = |words: &usize| self.patterns.number(at, *words);
            let mut best: Option<(How, &[usize])> = None;
            for rule in &detection.rules {
                if rule.iter().map(number).all(|number| counts(&number)) {
                    best = Some((How::Counts, rule));
                    break;
                }
                let is_there = |number: usize| counts(&number) || found.named.contains(&number);
                if best.is_none() && rule.iter().map(number).all(is_there) {
                    best = Some((How::Named, rule));
                }
            }
            let Some((how, rule)) = best else {
                continue;
            };
            let numbers: Vec<usize> = rule.iter().map(number).collect();
            let in_arguments = numbers
                .iter()
                .any(|number| found.named.contains(number) || found.counts.contains(number));
            let judged = self.judged(detection, how, in_arguments, tool, command, place, &numbers);
            let Some((action, score, why)) = judged else {
                continue;
            };
            let mut texts: Vec<&[u8]> = vec![place.path, place.executable];
            let joined = words.join(&0);
            texts.extend([joined.as_slice(), &set, place.variables]);
            let shown = numbers
                .iter()
                .map(|number| self.patterns.shown(*number, &texts));
            let shown: Vec<String> = shown.filter(|text| !text.is_empty()).collect();
            signs.push(Sign {
                detection,
                command: command_number,
                is_of_wrapper: in_arguments
                    && detection.spares_mentions
                    && matches!(
                        tool,
                        Some(
                            Tool::Shells
                                | Tool::Wraps(_)
                                | Tool::Interprets(_)
                                | Tool::Containers
                                | Tool::Clusters
                        )
                    ),
                action,
                score,
                matched: shown.join(", "),
                why: format!("{}: {why}", detection.title),
            });
        }
    }

    /// What comes of a detection's words, with why.
    #[allow(
        clippy::too_many_arguments,
        reason = "each is one thing the answer depends on"
    )]
    fn judged(
        &self,
        detection: &Detection,
        how: How,
        in_arguments: bool,
        tool: Option<Tool>,
        command: &Command,
        place: &Place<'_>,
        numbers: &[usize],
    ) -> Option<(Action, u8, String)> {
        let full = match detection.response {
            Response::Kill => Action::Kill,
            Response::Alert => Action::Alert,
        };
        let score = detection.score;
        let program = command
            .words
            .first()
            .map(|word| file_name(word))
            .unwrap_or_default();
        let counted = |action, what: String| Some((action, score, what));
        let spared = |what: String| match detection.spares_mentions && place.is_whole {
            true => Some((Action::Spare, 0, what)),
            false => Some((full, score, what)),
        };
        if command.is_code {
            let code = String::from_utf8_lossy(command.words.first()?).into_owned();
            let acts = ACTS.iter().any(|word| code.contains(word));
            return match (how, acts) {
                (_, true) => counted(
                    full,
                    "in a program text that starts or reaches something".to_owned(),
                ),
                (How::Counts, false) => Some((
                    Action::Alert.min(full),
                    score / 2,
                    "in a program text".to_owned(),
                )),
                (How::Named, false) => spared("a program text only names it".to_owned()),
            };
        }
        if !in_arguments {
            return counted(full, "in the environment".to_owned());
        }
        let through = match command.through.as_slice() {
            [] => String::new(),
            through => format!(" through {}", through.join(", ")),
        };
        match (tool, how) {
            (None, How::Counts) => counted(full, format!("started as `{program}`{through}")),
            (None, How::Named) => {
                let behind = command.words.iter().skip(1);
                let mut words = behind.filter(|word| word.len() < MAX_NAME_BYTES);
                let is_name = words.any(|word| {
                    numbers
                        .iter()
                        .any(|number| self.patterns.is_program(*number, word))
                });
                let what = format!("`{program}`{through} is given it, and may start it");
                is_name.then_some((Action::Alert, score / 2, what))
            }
            (Some(Tool::Fetches), _) => Some((
                Action::Alert,
                score / 2,
                format!("`{program}`{through} brings it from elsewhere"),
            )),
            (Some(Tool::Writes), _) if command.writes => Some((
                Action::Alert,
                score / 2,
                format!("`{program}`{through} writes it to a file"),
            )),
            (Some(Tool::Containers | Tool::Clusters), _) if !only_looks(command) => Some((
                Action::Alert,
                score / 2,
                format!("`{program}`{through} brings it, or starts something by it"),
            )),
            (Some(Tool::Moves), How::Named) if self.makes_ready(command, numbers) => Some((
                Action::Alert,
                score / 2,
                format!("`{program}`{through} makes it ready to run, perhaps by another name"),
            )),
            // What these start is judged by itself; whether that says all is seen at the end.
            (Some(Tool::Shells | Tool::Wraps(_) | Tool::Interprets(_)), How::Counts) => {
                counted(full, format!("in the arguments of `{program}`{through}"))
            }
            (Some(Tool::Shells | Tool::Wraps(_) | Tool::Interprets(_)), How::Named) => None,
            (Some(_), _) => spared(format!("`{program}`{through} only names it")),
        }
    }
}

impl Rules {
    /// Whether a program of these names is moved, or made one that can run.
    fn makes_ready(&self, command: &Command, numbers: &[usize]) -> bool {
        let words = &command.words[1..];
        let is_mode = |word: &Vec<u8>| {
            let octal = word.len() <= 4 && word.iter().all(u8::is_ascii_digit);
            word.ends_with(b"+x") || octal && word.iter().any(|digit| digit % 2 == 1)
        };
        let changes_mode = file_name(&command.words[0]) == "chmod";
        let is_program = |word: &Vec<u8>| {
            let mut numbers = numbers.iter();
            word.len() < MAX_NAME_BYTES
                && numbers.any(|number| self.patterns.is_program(*number, word))
        };
        (!changes_mode || words.iter().any(is_mode)) && words.iter().any(is_program)
    }
}

/// Words by which tools of containers and clusters look at something or take it away.
const LOOKS: &[&[u8]] = &[
    b"ps",
    b"logs",
    b"inspect",
    b"images",
    b"rm",
    b"rmi",
    b"stop",
    b"kill",
    b"top",
    b"stats",
    b"events",
    b"search",
    b"history",
    b"diff",
    b"port",
    b"info",
    b"version",
    b"get",
    b"describe",
    b"delete",
    b"cordon",
    b"drain",
    b"taint",
    b"explain",
    b"auth",
    b"wait",
    b"down",
    b"pause",
    b"list",
    b"ls",
    b"status",
    b"uninstall",
    b"rollback",
    b"prune",
];

/// Whether the first word that is no option is one of these: options' values stand before it
/// seldom, and then the line is told rather than spared.
fn only_looks(command: &Command) -> bool {
    let mut words = command.words.iter().skip(1);
    let first = words.find(|word| !word.starts_with(b"-"));
    let grouped = [&b"compose"[..], b"container", b"image", b"pod", b"task"];
    let word = match first {
        Some(group) if grouped.contains(&group.as_slice()) => {
            words.find(|word| LOOKS.contains(&word.as_slice()))
        }
        first => first,
    };
    word.is_some_and(|word| LOOKS.contains(&word.as_slice()))
}

/// The tool a command begins with, where the file that runs does not say otherwise: whoever starts a
/// process chooses its first argument.
fn honest_tool(command: &Command, place: &Place<'_>) -> Option<Tool> {
    let tool = command.tool()?;
    if place.executable.is_empty() {
        return Some(tool);
    }
    let name = file_name(place.executable);
    if MANY_IN_ONE.contains(&name.as_str()) {
        return Some(tool);
    }
    let real = crate::launch::tool_of(place.executable)?;
    (std::mem::discriminant(&real) == std::mem::discriminant(&tool)).then_some(tool)
}
