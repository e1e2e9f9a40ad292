//! The texts in quotes of a program in any language, and which of them stand where something is
//! started: `os.system("./x")`, `spawn './x'`, `c = "./x"; exec(c)`.
//!
//! A name in quotes that is compared, printed or searched for is no command, whatever else the
//! program starts.

use std::collections::HashSet;

use super::code::literal;
use super::printed;

/// So many brackets are kept open.
const MAX_OPEN: usize = 64;

/// So many texts of one program are looked at.
const MAX_LITERALS: usize = 512;

/// A text that is joined of others is not followed beyond this.
const MAX_JOINED_BYTES: usize = 4096;

/// Parts of names of functions that start programs.
const STARTERS: &[&str] = &[
    "exec",
    "system",
    "popen",
    "spawn",
    "shell",
    "passthru",
    "command",
    "getoutput",
    "check_output",
    "call-process",
    "start-process",
];

/// Names of functions that start programs.
const STARTER_NAMES: &[&str] = &[
    "run",
    "call",
    "cmd",
    "start",
    "startfile",
    "check_call",
    "sh",
    "script",
    "getline",
    "process",
    "processbuilder",
    "proc_open",
    "pipe",
    "program",
    "open3",
    "capture2",
    "capture3",
    "new",
    "qx",
];

/// A text in quotes.
#[derive(Debug)]
pub(super) struct Literal {
    pub text: Vec<u8>,
    /// Where its quote stands.
    pub start: usize,
    /// Where what follows stands.
    pub end: usize,
    /// Whether it stands where something is started.
    pub is_started: bool,
    /// The variable that it is the value of.
    name: Option<Vec<u8>>,
}

impl Literal {
    /// Whether it names a file by its path.
    pub fn is_path(&self) -> bool {
        let starts = [&b"./"[..], b"/", b"~/"];
        starts.iter().any(|start| self.text.starts_with(start))
    }
}

/// The texts in quotes, those that are joined (`'a' + 'b'`) as one.
pub(super) fn of(code: &[u8]) -> Vec<Literal> {
    let mut found: Vec<Literal> = Vec::new();
    // For each open bracket, whether what stands in it is started.
    let mut open: Vec<bool> = Vec::new();
    let mut names: HashSet<&[u8]> = HashSet::new();
    let mut at = 0;
    while at < code.len() && found.len() < MAX_LITERALS {
        match code[at] {
            quote @ (b'"' | b'\'' | b'`') => {
                let is_within = open.last() == Some(&true);
                let (text, length) = joined(&code[at..], quote, !open.is_empty(), &found);
                let end = at + length;
                let behind = code[end..].trim_ascii_start();
                let is_started = quote == b'`'
                    || is_within
                    || is_called_before(&code[..at])
                    || is_called_behind(behind)
                    || text.ends_with(b"|")
                    || text.starts_with(b"|");
                found.push(Literal {
                    text,
                    start: at,
                    end,
                    is_started,
                    name: assigned(&code[..at]),
                });
                at = end;
                continue;
            }
            // `q(x)`, `qx{x}`, `%x(x)`
            byte @ (b'q' | b'%')
                if !at
                    .checked_sub(1)
                    .is_some_and(|before| is_of_name(&code[before])) =>
            {
                if let Some((length, close)) = delimited(&code[at..]) {
                    let (text, behind) = literal(&code[at + length..], close);
                    let end = at + length + behind;
                    let is_started = code[at + 1] == b'x'
                        || byte == b'q'
                            && (open.last() == Some(&true) || is_called_before(&code[..at]));
                    found.push(Literal {
                        text,
                        start: at,
                        end,
                        is_started,
                        name: assigned(&code[..at]),
                    });
                    at = end;
                    continue;
                }
            }
            byte @ (b'(' | b'[' | b'{') => {
                let outer = open.last() == Some(&true);
                let starts = byte != b'[' && is_called_before(&code[..at])
                    || byte == b'(' && is_lisp_call(&code[at + 1..]);
                if starts {
                    names.extend(name_at(&code[at + 1..]));
                }
                if open.len() < MAX_OPEN {
                    open.push(starts || outer && byte != b'{');
                }
            }
            b')' | b']' | b'}' => {
                open.pop();
            }
            // What a function does that is handed over is its own.
            b'>' if at > 0 && code[at - 1] == b'=' => open.fill(false),
            b' ' if is_called_before(&code[..at]) => names.extend(name_at(&code[at..])),
            byte if byte.is_ascii_alphabetic()
                && (code[at..].starts_with(b"lambda") || code[at..].starts_with(b"function")) =>
            {
                open.fill(false);
            }
            _ => {}
        }
        at += 1;
    }
    for literal in &mut found {
        literal.is_started |= literal
            .name
            .as_ref()
            .is_some_and(|name| names.contains(name.as_slice()));
    }
    // `copy("./x", "/tmp/y"); system("/tmp/y")`
    for at in 1..found.len() {
        let (from, to) = (&found[at - 1], &found[at]);
        let is_copied = is_copied_before(&code[..from.start])
            && code[from.end..to.start].trim_ascii() == b","
            && found
                .iter()
                .any(|run| run.is_started && run.text.starts_with(&to.text));
        found[at - 1].is_started |= is_copied;
    }
    found
}

/// What copies or renames a file, by the last part of its name.
fn is_copied_before(text: &[u8]) -> bool {
    let text = text.trim_ascii_end();
    let text = text.strip_suffix(b"(").unwrap_or(text);
    let ends = [
        &b"copy"[..],
        b"copyfile",
        b"copy2",
        b"move",
        b"rename",
        b"link",
        b"replace",
        b"cp",
        b"mv",
    ];
    ends.iter().any(|end| text.ends_with(end))
}

/// `"./x" | getline`, `"./x".execute()`, `"./x".!`
fn is_called_behind(text: &[u8]) -> bool {
    if text.starts_with(b"|") {
        return !text.starts_with(b"||");
    }
    let Some(method) = text.strip_prefix(b".") else {
        return false;
    };
    let length = method.iter().take_while(|byte| is_of_name(byte)).count();
    method.starts_with(b"!") || is_starter(&method[..length])
}

fn is_of_name(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || *byte == b'_'
}

/// A text in quotes with those that it is joined with, and how many bytes they took.
fn joined(rest: &[u8], quote: u8, is_in_call: bool, before: &[Literal]) -> (Vec<u8>, usize) {
    let (mut text, length) = literal(&rest[1..], quote);
    let mut end = 1 + length;
    loop {
        let behind = &rest[end..];
        let blanks = behind
            .iter()
            .take_while(|byte| byte.is_ascii_whitespace())
            .count();
        let (sign, is_sign) = match behind.get(blanks) {
            Some(b'+' | b'.') => (
                1 + behind[blanks + 1..]
                    .iter()
                    .take_while(|byte| byte.is_ascii_whitespace() || **byte == b'.')
                    .count(),
                true,
            ),
            _ => (0, false),
        };
        let next = blanks + sign;
        match behind.get(next) {
            Some(quote @ (b'"' | b'\'')) if is_sign || is_in_call => {
                let (more, length) = literal(&behind[next + 1..], *quote);
                text.extend(more);
                end += next + 1 + length;
            }
            Some(_) if is_sign => {
                let length = behind[next..]
                    .iter()
                    .take_while(|byte| is_of_name(byte))
                    .count();
                let Some(more) = value_of(&behind[next..next + length], before) else {
                    break;
                };
                text.extend_from_slice(more);
                end += next + length;
            }
            _ => break,
        }
        if text.len() > MAX_JOINED_BYTES {
            break;
        }
    }
    let behind = rest[end..].trim_ascii_start();
    if behind.starts_with(b"%") && text.windows(2).any(|pair| pair == b"%s") {
        for value in texts_in(behind) {
            text = printed::replaced(&text, b"%s", &value, 1);
        }
    } else if behind.starts_with(b".join(") {
        text = texts_in(behind).join(text.as_slice());
    }
    // `f'{c} -a'`, `"#{c} -a"`, `${c}`
    if text.contains(&b'{') {
        for literal in before
            .iter()
            .filter(|literal| literal.text.len() <= MAX_JOINED_BYTES)
        {
            let Some(name) = &literal.name else { continue };
            for mark in [&b"${"[..], b"#{", b"{"] {
                let written = [mark, name.as_slice(), b"}"].concat();
                text = printed::replaced(&text, &written, &literal.text, 4);
            }
            if text.len() > MAX_JOINED_BYTES {
                break;
            }
        }
    }
    // Python's way to turn a text around.
    if let Some(behind) = rest[end..].strip_prefix(b"[::-1]") {
        text.reverse();
        end = rest.len() - behind.len();
    }
    (text, end)
}

/// The text that a variable was set to.
fn value_of<'a>(name: &[u8], before: &'a [Literal]) -> Option<&'a [u8]> {
    let set = before
        .iter()
        .rfind(|literal| literal.name.as_deref() == Some(name))?;
    Some(&set.text)
}

/// The texts in quotes up to the parenthesis that closes.
fn texts_in(rest: &[u8]) -> Vec<Vec<u8>> {
    let (mut texts, mut at) = (Vec::new(), 0);
    while at < rest.len() && rest[at] != b')' && texts.len() < MAX_OPEN {
        match rest[at] {
            quote @ (b'"' | b'\'') => {
                let (text, length) = literal(&rest[at + 1..], quote);
                texts.push(text);
                at += 1 + length;
            }
            _ => at += 1,
        }
    }
    texts
}

/// Whether a text ends with the name of what starts programs, perhaps with blanks or an option behind it.
fn is_called_before(text: &[u8]) -> bool {
    let text = text.trim_ascii_end();
    // `print | "sh"`
    if text.ends_with(b"|") && !text.ends_with(b"||") {
        return true;
    }
    let is_part = |byte: &u8| is_of_name(byte) || b"-!?".contains(byte);
    let from = text
        .iter()
        .rposition(|byte| !is_part(byte))
        .map_or(0, |at| at + 1);
    is_starter(&text[from..])
}

fn is_starter(name: &[u8]) -> bool {
    let name = String::from_utf8_lossy(name).to_ascii_lowercase();
    STARTERS.iter().any(|part| name.contains(part)) || STARTER_NAMES.contains(&name.as_str())
}

/// `(call-process "./x")`
fn is_lisp_call(inner: &[u8]) -> bool {
    let length = inner
        .iter()
        .take_while(|byte| is_of_name(byte) || **byte == b'-')
        .count();
    inner.get(length) == Some(&b' ') && is_starter(&inner[..length])
}

/// The variable that stands first in what is started.
fn name_at(rest: &[u8]) -> Option<&[u8]> {
    let skipped = rest
        .iter()
        .take_while(|byte| b" [*$@&(".contains(byte))
        .count();
    let rest = &rest[skipped..];
    let length = rest.iter().take_while(|byte| is_of_name(byte)).count();
    (length > 0).then(|| &rest[..length])
}

/// The variable that what follows is the value of: `c = `, `my $c = (`, `c = [`.
fn assigned(text: &[u8]) -> Option<Vec<u8>> {
    // The first of a list, or one behind it.
    let open = text.iter().rposition(|byte| b"[(;\n".contains(byte));
    let list = open
        .filter(|at| b"[(".contains(&text[*at]))
        .map(|at| &text[..at]);
    let before = |text: &[u8]| {
        let text = text.trim_ascii_end().strip_suffix(b"=")?.trim_ascii_end();
        let text = text.strip_suffix(b":").unwrap_or(text);
        let from = text
            .iter()
            .rposition(|byte| !is_of_name(byte))
            .map_or(0, |at| at + 1);
        (from < text.len()).then(|| text[from..].to_vec())
    };
    before(text).or_else(|| before(list?))
}

/// The start of perl's and ruby's `q(`, `qq{`, `qx[`, `%x(`: its length, and what closes it.
fn delimited(rest: &[u8]) -> Option<(usize, u8)> {
    let length = match rest {
        [b'q', b'q' | b'x' | b'w', ..] | [b'%', b'x' | b'q' | b'Q' | b'w', ..] => 2,
        [b'q', ..] => 1,
        _ => return None,
    };
    let close = match rest.get(length)? {
        b'(' => b')',
        b'{' => b'}',
        b'[' => b']',
        b'/' => b'/',
        b'|' => b'|',
        _ => return None,
    };
    Some((length + 1, close))
}

/// Texts that are written as the numbers of their letters: `[46, 47]`, `chr(46)+chr(47)`.
pub(super) fn of_numbers(code: &[u8]) -> Vec<Vec<u8>> {
    /// Fewer are numbers.
    const MIN_LETTERS: usize = 4;
    let (mut texts, mut text, mut at) = (Vec::new(), Vec::new(), 0);
    let mut keep = |text: &mut Vec<u8>| {
        let text = std::mem::take(text);
        if text.len() >= MIN_LETTERS && text.iter().any(u8::is_ascii_alphabetic) {
            texts.push(text);
        }
    };
    while at < code.len() {
        let digits = code[at..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        if digits > 0 {
            let number = std::str::from_utf8(&code[at..at + digits]).ok();
            match number
                .and_then(|number| number.parse::<u8>().ok())
                .filter(|byte| byte.is_ascii_graphic() || *byte == b' ')
            {
                Some(letter) => text.push(letter),
                None => keep(&mut text),
            }
            at += digits;
            continue;
        }
        // What may stand between two letters of one text.
        if !b" ,()+.chrCHR\n".contains(&code[at]) {
            keep(&mut text);
        }
        at += 1;
    }
    keep(&mut text);
    texts
}
