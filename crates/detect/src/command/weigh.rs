//! What a word weighs where it stands.

use std::borrow::Cow;
use std::collections::HashSet;

use davylamp_content::detection::{Action, Detection, FULL_SCORE, Response};

use super::pattern::Found;
use super::{Place, Rules, Sign};
use crate::launch::{
    Command, Tool, entered, file_name, lies_with_tools, named_in_parts, only_looks, outside_quotes,
};

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
    "urlretrieve",
    "requests.",
    "fetch(",
    "run(",
    "call(",
    "ctypes",
    "shell=",
    "require(",
    "websocket",
    "qx",
    "`",
];

/// Tools that send what they are given to another machine.
const SPEAKS: &[&str] = &["nc", "ncat", "netcat", "socat", "telnet", "openssl"];

/// What the name of an archive or a checkout ends in.
const ARCHIVES: &[&str] = &[
    ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2", ".tar.zst", ".tar", ".zip", ".7z", ".gz", ".xz",
    ".bz2", ".deb", ".rpm", ".apk", ".git",
];

/// What the name of what says what is to run ends in.
const MANIFESTS: &[&str] = &[".yaml", ".yml", ".json", ".nomad", ".hcl", ".sif", ".simg"];

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

/// What the answer for a detection depends on.
struct Weighed<'a> {
    detection: &'a Detection,
    how: How,
    /// Whether its words stand in the arguments, rather than in the environment alone.
    in_arguments: bool,
    tool: Option<Tool>,
    command: &'a Command,
    is_whole: bool,
    /// The words that were found.
    numbers: &'a [usize],
}

impl Rules {
    pub(super) fn weigh<'a>(
        &'a self,
        command_number: usize,
        command: &Command,
        place: &Place<'_>,
        signs: &mut Vec<Sign<'a>>,
    ) {
        let tool = honest_tool(command, place);
        let mut words = Cow::Borrowed(&command.words);
        // What is piped into a program that nobody knows is data of which nothing is known.
        let is_handed_on = command.is_piped && tool.is_none();
        if !command.input.is_empty() && !is_handed_on {
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
            let weighed = Weighed {
                detection,
                how,
                in_arguments,
                tool,
                command,
                is_whole: place.is_whole,
                numbers: &numbers,
            };
            let Some((action, score, why)) = self.judged(&weighed) else {
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
    fn judged(&self, weighed: &Weighed<'_>) -> Option<(Action, u8, String)> {
        let &Weighed {
            detection,
            how,
            in_arguments,
            tool,
            command,
            is_whole,
            numbers,
        } = weighed;
        // One that is not sure enough by itself kills together with others.
        let full = match detection.response {
            Response::Kill if detection.score >= FULL_SCORE => Action::Kill,
            Response::Kill | Response::Alert => Action::Alert,
        };
        let score = detection.score;
        let program = command
            .words
            .first()
            .map(|word| file_name(word))
            .unwrap_or_default();
        let counted = |action, what: String| Some((action, score, what));
        let spared = |what: String| match detection.spares_mentions && is_whole {
            true => Some((Action::Spare, 0, what)),
            false => Some((full, score, what)),
        };
        if command.is_code {
            let code = String::from_utf8_lossy(command.words.first()?).to_ascii_lowercase();
            let acts = ACTS.iter().any(|word| code.contains(word));
            return match (how, acts) {
                (How::Counts, true) => counted(
                    full,
                    "in a program text that starts or reaches something".to_owned(),
                ),
                // What it starts by a text in quotes is judged by itself.
                (How::Named, true) if self.is_only_quoted(&code, numbers) => {
                    spared("a program text names it to what it starts".to_owned())
                }
                (How::Named, true) => Some((
                    Action::Alert.min(full),
                    score / 2,
                    "in a program text that starts or reaches something".to_owned(),
                )),
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
            (None, How::Named) if command.is_unread => self.may_run(command, numbers).then_some((
                full,
                score,
                "in what is nested too deep or goes on too long to be taken apart".to_owned(),
            )),
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
            (Some(Tool::Names), How::Counts)
                if command.is_piped && SPEAKS.contains(&program.as_str()) =>
            {
                counted(full, format!("`{program}`{through} sends it"))
            }
            // What runs in it is judged by itself.
            (Some(Tool::Containers | Tool::Clusters), _) if entered(command).is_some() => {
                spared(format!("`{program}`{through} only names what it enters"))
            }
            // A name that is part of another name, or of a text, brings nothing.
            (Some(Tool::Fetches | Tool::Containers | Tool::Clusters), How::Named)
                if !self.brings(command, numbers) =>
            {
                spared(format!("`{program}`{through} only names it"))
            }
            (Some(Tool::Fetches), _) => Some((
                Action::Alert,
                score / 2,
                format!("`{program}`{through} brings it from elsewhere"),
            )),
            (Some(Tool::Writes), _)
                if command.writes
                    && (is_script(command) || how == How::Counts && !is_note(command)) =>
            {
                Some((
                    Action::Alert,
                    score / 2,
                    format!("`{program}`{through} writes it to a file"),
                ))
            }
            (Some(Tool::Containers | Tool::Clusters), _)
                if !only_looks(command.words.get(1..).unwrap_or_default()) =>
            {
                Some((
                    Action::Alert,
                    score / 2,
                    format!("`{program}`{through} brings it, or starts something by it"),
                ))
            }
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
    /// Whether any word of a text that was not taken apart is a program of these names.
    fn may_run(&self, command: &Command, numbers: &[usize]) -> bool {
        let words = command.words.iter().skip(1);
        let words = words.flat_map(|word| word.split(|byte| *byte == 0));
        let names: HashSet<&[u8]> = words.filter(|word| word.len() < MAX_NAME_BYTES).collect();
        names.into_iter().any(|name| {
            let mut numbers = numbers.iter();
            numbers.any(|number| self.patterns.is_program(*number, name))
        })
    }

    /// Whether a program of these names is what a word names: a file, a URL, an image, an archive.
    fn brings(&self, command: &Command, numbers: &[usize]) -> bool {
        let mut words = command.words[1..]
            .iter()
            .filter(|word| word.len() < MAX_NAME_BYTES);
        words.any(|word| {
            let value = word.splitn(2, |byte| *byte == b'=').last().unwrap_or(word);
            let name = value.rsplit(|byte| *byte == b'/').next().unwrap_or(value);
            // A query, a tag, a digest or an archive's form stands behind it, a host in front.
            let name = name
                .split(|byte| b"?#@".contains(byte))
                .next()
                .unwrap_or(name);
            // A manifest, or an image of a repository: `deny-x.yaml`, `a/alpine-x`.
            let manifest = MANIFESTS
                .iter()
                .find_map(|end| name.strip_suffix(end.as_bytes()));
            let tag = name.split(|byte| *byte == b':').next().unwrap_or(name);
            let is_file = value.len() == word.len() || word.starts_with(b"-f");
            let manifest = manifest.filter(|_| is_file || word.starts_with(b"--filename="));
            let in_parts = match (manifest, value.contains(&b'/')) {
                _ if !matches!(command.tool(), Some(Tool::Containers | Tool::Clusters)) => {
                    Vec::new()
                }
                (Some(name), _) => named_in_parts(name),
                (None, true) => named_in_parts(tag),
                (None, false) => Vec::new(),
            };
            let mut names = name
                .split(|byte| *byte == b':')
                .chain(in_parts.iter().map(Vec::as_slice));
            names.any(|name| {
                let archive = ARCHIVES
                    .iter()
                    .find_map(|end| name.strip_suffix(end.as_bytes()));
                let name = archive.unwrap_or(name);
                numbers
                    .iter()
                    .any(|number| self.patterns.is_program(*number, name))
            })
        })
    }

    /// Whether a program's text names these in its quotes alone, and starts what stands there.
    fn is_only_quoted(&self, code: &str, numbers: &[usize]) -> bool {
        let Some(rest) = outside_quotes(code.as_bytes()) else {
            return false;
        };
        let found = self.patterns.in_process(b"", b"", &[b"-".to_vec(), rest]);
        !numbers.iter().any(|number| found.named.contains(number))
    }

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
        // `ln -sf /dev/null x` takes it away.
        if words.iter().any(|word| word == b"/dev/null") {
            return false;
        }
        (!changes_mode || words.iter().any(is_mode)) && words.iter().any(is_program)
    }
}

/// Whether a command writes a file for people to read, or rules to find miners by.
fn is_note(command: &Command) -> bool {
    let name = file_name(&command.into);
    let ends = [
        ".txt", ".md", ".rst", ".csv", ".tsv", ".log", ".html", ".tex", ".yar", ".yara", ".rules",
    ];
    ends.iter().any(|end| name.ends_with(end))
}

/// Whether what a command writes is a script, by its name or its first line.
fn is_script(command: &Command) -> bool {
    let is_marked = |text: &Vec<u8>| text.windows(2).any(|pair| pair == b"#!");
    let name = file_name(&command.into);
    [".sh", ".bash", ".py", ".pl"]
        .iter()
        .any(|end| name.ends_with(end))
        || is_marked(&command.input)
        || command.words.iter().any(is_marked)
}

/// The tool a command begins with, where the file that runs does not say otherwise: whoever starts a
/// process chooses its first argument, and whoever drops a file its name.
fn honest_tool(command: &Command, place: &Place<'_>) -> Option<Tool> {
    let tool = command.tool()?;
    let is_itself = place.path.starts_with(b"/proc/") && place.path.ends_with(b"/exe");
    let lies_right = is_itself
        || [command.words[0].as_slice(), place.path]
            .iter()
            .all(|path| lies_with_tools(path));
    let hands_on = matches!(
        tool,
        Tool::Shells | Tool::Wraps(_) | Tool::Interprets(_) | Tool::Containers | Tool::Clusters
    );
    if !lies_right && !hands_on {
        return None;
    }
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
