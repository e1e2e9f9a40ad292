//! What the text of a program starts, as far as its string literals say it.
//!
//! `os.system("./x -a")`, `subprocess.run(["./x", "-a"])` and `exec "./x"` name what they start in
//! quotes. Deliberately not here: what a program works out.

use super::{literals, printed};

/// What shows that a text starts other programs.
const STARTS: &[&str] = &[
    "exec",
    "system",
    "popen",
    "spawn",
    "subprocess",
    "run(",
    "run'",
    "call(",
    "command",
    "shell",
    "passthru",
    "getline",
    "| \"",
    "qx",
    "`",
    "program",
    "-process",
    "cmd(",
    "!",
];

/// So many texts of one program are read as commands.
const MAX_TEXTS: usize = 64;

/// A longer text in quotes is no command.
const MAX_TEXT_BYTES: usize = 4096;

/// Whether a text starts other programs.
pub(super) fn starts(code: &[u8]) -> bool {
    let lower = String::from_utf8_lossy(code).to_ascii_lowercase();
    STARTS.iter().any(|word| lower.contains(word))
}

/// What is encoded in a text that decodes something.
pub(super) fn decoded(code: &[u8]) -> Vec<Vec<u8>> {
    let lower = String::from_utf8_lossy(code).to_ascii_lowercase();
    let decodes = ["64", "hex", "decode", "pack"];
    let numbers = literals::of_numbers(code);
    if !numbers.is_empty() {
        return numbers;
    }
    match decodes.iter().any(|word| lower.contains(word)) {
        true => {
            let texts = printed::encoded_in(code);
            // What was encoded twice.
            let again: Vec<Vec<u8>> = texts
                .iter()
                .flat_map(|text| printed::encoded_in(text))
                .collect();
            [texts, again].concat()
        }
        false => Vec::new(),
    }
}

/// The commands that stand in quotes where something starts them, as texts for a shell. A list of
/// texts is one command.
pub(super) fn started(code: &[u8]) -> Vec<Vec<u8>> {
    if !starts(code) {
        return Vec::new();
    }
    let mut commands: Vec<Vec<u8>> = Vec::new();
    let mut last_end = None;
    for literal in literals::of(code) {
        if !literal.is_started
            || literal.text.len() > MAX_TEXT_BYTES
            || literal.text.trim_ascii().is_empty()
        {
            continue;
        }
        // `"./x", "-a"`: between the two stands nothing but a comma.
        let between = last_end.map(|last: usize| code[last..literal.start].trim_ascii());
        let goes_on = between.is_some_and(|between| matches!(between, b"," | b", [" | b",["));
        match commands.last_mut().filter(|_| goes_on) {
            Some(command) => {
                command.push(b' ');
                command.extend(quoted(&literal.text));
            }
            // Alone it is a line for a shell; as the first of a list it is a program.
            None => commands.push(literal.text),
        }
        last_end = Some(literal.end);
        if commands.len() >= MAX_TEXTS {
            break;
        }
    }
    if let Some(line) = code.trim_ascii().strip_prefix(b"!") {
        commands.push(line.to_vec());
    }
    // psql's `\!`, mysql's `\!` and `system`, sqlite's `.shell`, gdb's `shell`.
    let text = code.trim_ascii();
    for start in [
        &b"\\! "[..],
        b"system ",
        b".shell ",
        b".system ",
        b"shell ",
        b"exec ",
        b"spawn ",
    ] {
        if let Some(line) = text.strip_prefix(start) {
            commands.push(line.to_vec());
        }
    }
    commands
}

/// A text without what stands in its quotes, where that is judged as what it starts.
pub fn outside_quotes(code: &[u8]) -> Option<Vec<u8>> {
    if !starts(code) {
        return None;
    }
    let (mut rest, mut at) = (Vec::new(), 0);
    for literal in literals::of(code) {
        // A longer text is not judged as a command.
        if literal.text.len() > MAX_TEXT_BYTES {
            return None;
        }
        rest.extend_from_slice(&code[at..literal.start]);
        rest.push(b' ');
        // A path that nothing is seen to start may still be started.
        if !literal.is_started && literal.is_path() {
            rest.extend_from_slice(&literal.text);
            rest.push(b' ');
        }
        at = literal.end;
    }
    rest.extend_from_slice(&code[at..]);
    Some(rest)
}

/// Every text in double quotes, as JSON has them.
pub(super) fn strings(text: &[u8]) -> Vec<Vec<u8>> {
    let (mut strings, mut at) = (Vec::new(), 0);
    while at < text.len() && strings.len() < MAX_TEXTS {
        if text[at] == b'"' {
            let (string, length) = literal(&text[at + 1..], b'"');
            strings.push(string);
            at += length;
        }
        at += 1;
    }
    strings
}

/// A text to its closing quote, its escapes read, and where it ends.
pub(super) fn literal(rest: &[u8], quote: u8) -> (Vec<u8>, usize) {
    let (mut text, mut at) = (Vec::new(), 0);
    while at < rest.len() && rest[at] != quote {
        if rest[at] == b'\\' && at + 1 < rest.len() {
            let (byte, length) = super::shell::escape(&rest[at + 1..]);
            text.extend(byte);
            at += 1 + length;
        } else {
            text.push(rest[at]);
            at += 1;
        }
    }
    (text, (at + 1).min(rest.len()))
}

/// A word in single quotes, for a shell.
fn quoted(text: &[u8]) -> Vec<u8> {
    let mut word = vec![b'\''];
    for byte in text {
        match byte {
            b'\'' => word.extend_from_slice(b"'\\''"),
            byte => word.push(*byte),
        }
    }
    word.push(b'\'');
    word
}
