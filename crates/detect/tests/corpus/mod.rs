//! The corpora of `tests/data/commands`: what is read by the test and by the benchmark.
//!
//! A file is a class. Its first comment says what it is; each other line is what must come of a
//! command, and the command:
//!
//! ```text
//! kill ./x -o stratum+tcp://pool.example:3333
//! kill/e bash <<EOF\n./x\nEOF            with \n, \r, \t, \xNN, \\ ; with a NUL, arguments
//! kill/p POOL=… ./x                      a process: its environment, then its arguments
//! kill?alert ./x                         a known gap: what must come of it, and what does
//! ```

pub mod captures;

use std::path::PathBuf;

use davylamp_content::detection::Action;
use davylamp_detect::command::{Finding, Rules};
use davylamp_detect::judge::Subject;

/// The lines of one file.
#[derive(Clone)]
pub struct Class {
    /// The file's name.
    pub name: String,
    /// Its first comment.
    #[allow(dead_code, reason = "the benchmark's")]
    pub title: String,
    /// Its lines.
    pub lines: Vec<Line>,
}

/// One command.
#[derive(Clone)]
pub struct Line {
    pub number: usize,
    /// As the file has it.
    pub text: String,
    pub command: Vec<u8>,
    /// The environment, where the line is a process.
    pub environment: Option<Vec<u8>>,
    /// What must come of it.
    pub wanted: Action,
    /// What is known to come of it instead.
    #[allow(dead_code, reason = "the measure counts what is wanted alone")]
    pub gap: Option<Action>,
}

impl Line {
    /// What the detections say.
    pub fn judged<'a>(&self, rules: &'a Rules) -> Option<Finding<'a>> {
        let arguments = &self.command;
        if self.environment.is_none() && !arguments.contains(&0) {
            return rules.judge_line(arguments);
        }
        rules.judge(&Subject {
            arguments,
            environment: self.environment.as_deref().unwrap_or_default(),
            ..Subject::default()
        })
    }
}

/// The folder of the corpora.
pub fn data() -> PathBuf {
    // Asked when it runs: clones share what is built.
    let package = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo runs this");
    PathBuf::from(package).join("../../tests/data")
}

/// Every class of one kind, by name.
pub fn classes(kind: &str) -> Vec<Class> {
    let folder = data().join("commands").join(kind);
    let listed = std::fs::read_dir(&folder).expect("the corpora are there");
    let mut files: Vec<PathBuf> = listed
        .map(|entry| entry.expect("it is listed").path())
        .collect();
    files.sort();
    files.iter().map(|file| class(file)).collect()
}

fn class(file: &std::path::Path) -> Class {
    let text = std::fs::read_to_string(file).expect("a corpus is text");
    let name = file.file_stem().expect("it has a name").to_string_lossy();
    let title = text.lines().find_map(|line| line.strip_prefix("# "));
    let lines = (1..).zip(text.lines()).filter_map(|(number, text)| {
        let is_command = !text.is_empty() && !text.starts_with('#');
        is_command.then(|| line(number, text).unwrap_or_else(|| panic!("{name}:{number}: {text}")))
    });
    Class {
        title: title.unwrap_or_default().to_owned(),
        lines: lines.collect(),
        name: name.into_owned(),
    }
}

fn line(number: usize, text: &str) -> Option<Line> {
    let (head, command) = text.split_once(' ')?;
    let (actions, form) = head.split_once('/').unwrap_or((head, ""));
    let (wanted, gap) = match actions.split_once('?') {
        Some((wanted, gap)) => (wanted, Some(action(gap)?)),
        None => (actions, None),
    };
    let (command, environment) = match form {
        "" => (command.as_bytes().to_vec(), None),
        "e" => (unescaped(command), None),
        "p" => {
            let words: Vec<&str> = command.split(' ').collect();
            let is_variable = |word: &&&str| {
                word.split_once('=').is_some_and(|(name, _)| {
                    name.bytes()
                        .all(|byte| byte.is_ascii_uppercase() || byte == b'_')
                })
            };
            let variables = words.iter().take_while(is_variable).count();
            let joined = |words: &[&str]| (words.join("\0") + "\0").into_bytes();
            (
                joined(&words[variables..]),
                Some(joined(&words[..variables])),
            )
        }
        _ => return None,
    };
    Some(Line {
        number,
        text: text.to_owned(),
        command,
        environment,
        wanted: action(wanted)?,
        gap,
    })
}

fn action(name: &str) -> Option<Action> {
    let known = Action::ALL.iter().find(|(_, known)| *known == name);
    known.map(|(action, _)| *action)
}

fn unescaped(text: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, behind @ ..] = rest {
        (rest, _) = match (first, behind) {
            (b'\\', [b'n', behind @ ..]) => (behind, bytes.push(b'\n')),
            (b'\\', [b't', behind @ ..]) => (behind, bytes.push(b'\t')),
            (b'\\', [b'r', behind @ ..]) => (behind, bytes.push(b'\r')),
            (b'\\', [b'\\', behind @ ..]) => (behind, bytes.push(b'\\')),
            (b'\\', [b'x', high, low, behind @ ..]) => {
                let digits = [*high, *low];
                let digits = std::str::from_utf8(&digits).expect("two digits");
                let byte = u8::from_str_radix(digits, 16).expect("two digits");
                (behind, bytes.push(byte))
            }
            _ => (behind, bytes.push(*first)),
        };
    }
    bytes
}
