//! Allow patterns: what of Python's `re` is also the `regex` crate's, and what looks loose.
//!
//! cryptnono's patterns are Python's. Where the two agree a pattern is taken as it is, `\Z` is
//! translated, and everything that would silently mean something else is a fault.

use std::ops::Range;

use regex_syntax::ast::ErrorKind;
use regex_syntax::hir::{Class, Hir, HirKind, Look};

use crate::problem::Trouble;

/// A compiled pattern may have this many bytes. Give it to the `regex` crate as `size_limit`.
pub const MAX_COMPILED_BYTES: usize = 1 << 20;

/// A pattern that [`check`] found usable.
pub(super) struct Usable {
    /// In the `regex` crate's syntax.
    pub pattern: String,
    /// Whether it matches the empty start of any command line.
    pub spares_everything: bool,
}

/// What [`check`] finds unusable, and which bytes of the pattern are to blame.
pub(super) struct Unusable {
    pub part: Range<usize>,
    pub trouble: Trouble,
}

/// The pattern as it is to be compiled: matching starts at the start of the command line, as
/// Python's `re.match` does. Compile it with `regex::bytes`, ignoring case.
pub fn anchored(pattern: &str) -> String {
    format!(r"\A(?:{pattern})")
}

/// Translates a pattern and compiles it once, to know that it can be.
pub(super) fn check(pattern: &str) -> Result<Usable, Unusable> {
    let translated = from_python(pattern)?;
    let parsed = regex_syntax::ParserBuilder::new()
        .case_insensitive(true)
        .utf8(false)
        .build()
        .parse(&translated);
    if let Err(error) = parsed {
        let (message, span, help) = match &error {
            regex_syntax::Error::Parse(error) => (
                error.kind().to_string(),
                Some(error.span()),
                syntax_help(error.kind()),
            ),
            regex_syntax::Error::Translate(error) => {
                (error.kind().to_string(), Some(error.span()), GENERAL_HELP)
            }
            other => (other.to_string(), None, GENERAL_HELP),
        };
        let part = span.map_or(0..pattern.len(), |span| span.start.offset..span.end.offset);
        return Err(unusable(part, message, help));
    }
    match compile(&translated) {
        Ok(regex) => Ok(Usable {
            pattern: translated,
            // Two bytes that a pattern would hardly name both.
            spares_everything: regex.is_match(b"\x01") && regex.is_match(b"~"),
        }),
        Err(regex::Error::CompiledTooBig(limit)) => Err(Unusable {
            part: 0..pattern.len(),
            trouble: Trouble::PatternTooBig { limit },
        }),
        Err(other) => Err(unusable(0..pattern.len(), other.to_string(), GENERAL_HELP)),
    }
}

fn compile(pattern: &str) -> Result<regex::bytes::Regex, regex::Error> {
    regex::bytes::RegexBuilder::new(&anchored(pattern))
        .case_insensitive(true)
        .size_limit(MAX_COMPILED_BYTES)
        .build()
}

const GENERAL_HELP: &str = "patterns have the syntax of the Rust `regex` crate, which is nearly \
     Python's; a character that means itself may be escaped with a backslash";

/// Why the features that need backtracking are not there.
const LINEAR_HELP: &str = "not supported on purpose: whoever starts a process chooses the text, \
     and with this a text can be made that takes ages to match; write the pattern without it, or \
     use `namespace`, `image` or `container`";

fn syntax_help(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::UnsupportedBackreference => {
            "not supported on purpose: whoever starts a process chooses the text, and with \
             backreferences a text can be made that takes ages to match; an octal escape is \
             written `\\x…` here"
        }
        ErrorKind::UnsupportedLookAround => LINEAR_HELP,
        ErrorKind::RepetitionCountUnclosed
        | ErrorKind::RepetitionCountDecimalEmpty
        | ErrorKind::RepetitionCountInvalid => "a brace that means itself is written `\\{`",
        ErrorKind::ClassUnclosed => "a bracket that means itself is written `\\[`",
        ErrorKind::GroupUnclosed | ErrorKind::GroupUnopened => {
            "a parenthesis that means itself is written `\\(` or `\\)`"
        }
        ErrorKind::RepetitionMissing => {
            "there is nothing to repeat; a `*`, `+` or `?` that means itself is written `\\*`, \
             `\\+`, `\\?`, and anything at all is `.*`"
        }
        ErrorKind::EscapeUnrecognized => {
            "only letters with a meaning may follow a backslash; in a double-quoted YAML or JSON \
             string each backslash is written twice"
        }
        _ => GENERAL_HELP,
    }
}

fn unusable(part: Range<usize>, message: impl Into<String>, help: &str) -> Unusable {
    let trouble = Trouble::Pattern {
        message: message.into(),
        help: help.to_owned(),
    };
    Unusable { part, trouble }
}

/// Walks over the pattern and settles where Python and the `regex` crate differ. Replacements have
/// the same length, so that places stay true.
fn from_python(pattern: &str) -> Result<String, Unusable> {
    let bytes = pattern.as_bytes();
    let mut translated = pattern.to_owned();
    let mut at = 0;
    let mut in_set = false;
    let mut after_repetition = false;
    while at < bytes.len() {
        let rest = &pattern[at..];
        let was_after_repetition = std::mem::take(&mut after_repetition);
        let mut step = rest.chars().next().map_or(1, char::len_utf8);
        match bytes[at] {
            b'\\' => {
                step += rest[1..].chars().next().map_or(0, char::len_utf8);
                if rest.starts_with(r"\Z") && !in_set {
                    translated.replace_range(at..at + 2, r"\z");
                } else if rest.starts_with(r"\<") || rest.starts_with(r"\>") {
                    let help = "Python reads it as the character itself and Rust as the edge of a \
                                word; leave the backslash out, or write `\\b`";
                    return Err(unusable(at..at + 2, "an escape with two meanings", help));
                }
            }
            b'[' if !in_set => {
                in_set = true;
                step += usize::from(rest[1..].starts_with('^'));
                step += usize::from(rest[step..].starts_with(']'));
            }
            b']' if in_set => in_set = false,
            b'[' => {
                let help = "write it `\\[`: Rust would read it as a set within the set";
                return Err(unusable(at..at + 1, "a bare `[` in a set", help));
            }
            b'&' | b'-' | b'~' if in_set && bytes.get(at + 1) == Some(&bytes[at]) => {
                let help = "escape it with a backslash: Rust would read it as set arithmetic";
                return Err(unusable(at..at + 2, "a doubled sign in a set", help));
            }
            b'(' if !in_set => {
                if let Some((length, message, help)) = python_group(rest) {
                    return Err(unusable(at..at + length, message, help));
                }
                // The mark of `(?:` is not a repetition.
                step += usize::from(rest[1..].starts_with('?'));
            }
            b'+' if was_after_repetition => {
                let help = "Rust reads the second sign as another repetition; leave it out";
                return Err(unusable(at - 1..at + 1, "a possessive repetition", help));
            }
            b'?' if was_after_repetition => {}
            b'*' | b'+' | b'?' if !in_set => after_repetition = true,
            b'}' if !in_set => after_repetition = closes_count(&pattern[..at]),
            _ => {}
        }
        at += step;
    }
    Ok(translated)
}

/// What is wrong with a group that starts here, if it is one that only Python has: the length of
/// its start, the message and the help.
fn python_group(rest: &str) -> Option<(usize, &'static str, &'static str)> {
    let starts = [
        ("(?P=", "backreferences are not supported", LINEAR_HELP),
        ("(?=", "lookahead is not supported", LINEAR_HELP),
        ("(?!", "lookahead is not supported", LINEAR_HELP),
        ("(?<=", "lookbehind is not supported", LINEAR_HELP),
        ("(?<!", "lookbehind is not supported", LINEAR_HELP),
        ("(?(", "conditional groups are not supported", LINEAR_HELP),
        (
            "(?>",
            "atomic groups are not supported",
            "use a plain group, `(?:`",
        ),
        (
            "(?#",
            "comments are not supported",
            "write it as the entry's `reason`",
        ),
    ];
    if let Some((start, message, help)) = starts.iter().find(|(start, ..)| rest.starts_with(start))
    {
        return Some((start.len(), message, help));
    }
    let flags = rest.strip_prefix("(?")?;
    let end = flags.find(|c: char| !(c.is_ascii_alphabetic() || c == '-'))?;
    if !flags[end..].starts_with([')', ':']) {
        return None;
    }
    let flag = flags[..end].find(['a', 'L', 'x'])?;
    let help = "only the flags i, m, s, U and u are read; verbose patterns are written on one line";
    Some((2 + flag + 1, "a flag that is not supported", help))
}

/// Whether a `}` behind this text closes a counted repetition such as `{2,3}`.
fn closes_count(before: &str) -> bool {
    before.rfind('{').is_some_and(|open| {
        let count = &before[open + 1..];
        !count.is_empty() && count.bytes().all(|b| b.is_ascii_digit() || b == b',')
    })
}

/// A pattern must start with this much literal text to count as naming a command.
const MIN_HEAD_CHARS: usize = 3;

/// No more beginnings than this are looked at in a pattern with alternatives.
const MAX_HEADS: usize = 64;

/// Programs that run whatever their arguments say.
const LAUNCHERS: [&str; 16] = [
    "env", "sudo", "doas", "docker", "podman", "nerdctl", "kubectl", "nohup", "setsid", "xargs",
    "timeout", "nice", "busybox", "stdbuf", "watch", "chroot",
];

/// Programs that run what stands behind the given option.
const INTERPRETERS: [(&str, &str); 10] = [
    ("sh", "-c"),
    ("bash", "-c"),
    ("dash", "-c"),
    ("zsh", "-c"),
    ("ksh", "-c"),
    ("ash", "-c"),
    ("python", "-c"),
    ("perl", "-e"),
    ("ruby", "-e"),
    ("node", "-e"),
];

/// Why a checked pattern spares more than it seems to, if it does.
pub(super) fn looseness(pattern: &str) -> Option<String> {
    let hir = regex_syntax::ParserBuilder::new()
        .utf8(false)
        .build()
        .parse(pattern)
        .ok()?;
    let heads = heads(&hir);
    if let Some(launcher) = heads.iter().find_map(|head| launcher(&head.text)) {
        return Some(format!("`{launcher}` runs whatever its arguments say"));
    }
    if heads
        .iter()
        .any(|head| head.text.trim().chars().count() < MIN_HEAD_CHARS)
    {
        return Some("it does not start with the name of a command".to_owned());
    }
    if has_wide_repetition(&hir) {
        return Some("anything at all may stand where it has `.*` or the like".to_owned());
    }
    if !hir.properties().look_set_suffix().contains(Look::End) {
        return Some(
            "anything may follow what it matches, since it does not end in `$`".to_owned(),
        );
    }
    None
}

/// One way in which a pattern can begin: literal text, as far as it goes.
#[derive(Clone)]
struct Head {
    text: String,
    /// Whether the literal text goes on to the end of what was looked at.
    is_whole: bool,
}

fn heads(hir: &Hir) -> Vec<Head> {
    let whole = |text: String| {
        vec![Head {
            text,
            is_whole: true,
        }]
    };
    let cut = || {
        vec![Head {
            text: String::new(),
            is_whole: false,
        }]
    };
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => whole(String::new()),
        HirKind::Literal(literal) => whole(String::from_utf8_lossy(&literal.0).into_owned()),
        HirKind::Class(class) if is_space(class) => whole(" ".to_owned()),
        HirKind::Class(_) => cut(),
        HirKind::Capture(capture) => heads(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min == 0 => {
            let without = whole(String::new());
            let with = if repetition.max == Some(1) {
                heads(&repetition.sub)
            } else {
                cut()
            };
            without.into_iter().chain(with).take(MAX_HEADS).collect()
        }
        HirKind::Repetition(repetition) => {
            let is_spaces =
                matches!(repetition.sub.kind(), HirKind::Class(class) if is_space(class));
            let mut heads = heads(&repetition.sub);
            heads.iter_mut().for_each(|head| head.is_whole &= is_spaces);
            heads
        }
        HirKind::Alternation(parts) => parts.iter().flat_map(heads).take(MAX_HEADS).collect(),
        HirKind::Concat(parts) => {
            let mut so_far = whole(String::new());
            for part in parts {
                let next = heads(part);
                so_far = so_far
                    .into_iter()
                    .flat_map(|head| {
                        let tails = if head.is_whole {
                            next.clone()
                        } else {
                            Vec::new()
                        };
                        let stays = (!head.is_whole).then_some(head.clone());
                        stays
                            .into_iter()
                            .chain(tails.into_iter().map(move |tail| Head {
                                text: format!("{}{}", head.text, tail.text),
                                is_whole: tail.is_whole,
                            }))
                    })
                    .take(MAX_HEADS)
                    .collect();
                if so_far.iter().all(|head| !head.is_whole) {
                    break;
                }
            }
            so_far
        }
    }
}

fn launcher(head: &str) -> Option<String> {
    let mut words = head.split(' ').filter(|word| !word.is_empty());
    let program = words.next()?.rsplit('/').next()?.to_ascii_lowercase();
    let option = words.next();
    if LAUNCHERS.contains(&program.as_str()) {
        return Some(program);
    }
    let name = program.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    let (interpreter, wanted) = INTERPRETERS.iter().find(|(known, _)| *known == name)?;
    option
        .filter(|option| *option == *wanted)
        .map(|option| format!("{interpreter} {option}"))
}

fn contains(class: &Class, c: char) -> bool {
    match class {
        Class::Unicode(class) => class.iter().any(|r| (r.start()..=r.end()).contains(&c)),
        Class::Bytes(class) => class
            .iter()
            .any(|r| (r.start()..=r.end()).contains(&(c as u8))),
    }
}

/// Whether a class stands for blanks only, such as `\s`.
fn is_space(class: &Class) -> bool {
    contains(class, ' ') && !('!'..='~').any(|c| contains(class, c))
}

/// Whether a repetition without end takes both blanks and letters somewhere in the pattern.
fn has_wide_repetition(hir: &Hir) -> bool {
    let is_wide = |sub: &Hir| match sub.kind() {
        HirKind::Class(class) => contains(class, ' ') && contains(class, 'a'),
        _ => false,
    };
    match hir.kind() {
        HirKind::Repetition(repetition) => {
            (repetition.max.is_none() && is_wide(&repetition.sub))
                || has_wide_repetition(&repetition.sub)
        }
        HirKind::Capture(capture) => has_wide_repetition(&capture.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            parts.iter().any(has_wide_repetition)
        }
        _ => false,
    }
}
