//! Entries that work but probably not as meant.

use aho_corasick::AhoCorasick;

use super::merge::{Merged, Placed};
use super::read::FileGroup;
use super::{Banned, pattern};
use crate::problem::{Problems, Trouble};
use crate::word::{is_word_byte, stands_alone};

/// A banned string should have this many characters.
const MIN_STRING_CHARS: usize = 4;

/// The search for needless strings looks at no more matches than this. Strings that all contain
/// one another make it quadratic, and a reload must not wait for a note.
const MAX_LINT_MATCHES: usize = 2_000_000;

type File = (Vec<FileGroup>, Problems);

/// Adds the warnings and notes about merged entries to the problems of their files.
pub(super) fn lint(merged: &Merged, files: &mut [File]) {
    for group in &merged.groups {
        for placed in &group.banned {
            for trouble in about_string(&placed.entry.text) {
                push(files, placed, trouble);
            }
        }
        for placed in &group.allowed {
            if placed.entry.scope.is_everywhere()
                && let Some(why) = pattern::looseness(&placed.entry.pattern)
            {
                push(files, placed, Trouble::LoosePattern { why });
            }
        }
    }
    about_each_other(merged, files);
}

fn push<T>(files: &mut [File], placed: &Placed<T>, trouble: Trouble) {
    files[placed.file].1.push(placed.span.clone(), trouble);
}

fn about_string(text: &str) -> Vec<Trouble> {
    let mut troubles = Vec::new();
    if text.chars().count() < MIN_STRING_CHARS {
        let string = text.to_owned();
        troubles.push(Trouble::ShortString {
            string,
            limit: MIN_STRING_CHARS,
        });
    }
    if let Some(edge) = hopeless_edge(text) {
        let suggestion = text.trim_matches(|c: char| c.is_ascii() && !is_word_byte(c as u8));
        troubles.push(Trouble::NeverAlone {
            string: text.to_owned(),
            edge,
            suggestion: suggestion.to_owned(),
        });
    }
    if !text.is_ascii() {
        troubles.push(Trouble::NotAscii {
            string: text.to_owned(),
        });
    }
    troubles
}

/// Whether a string starts or ends with a sign beside which a letter or digit stands in practice,
/// so that it is nearly never alone.
fn hopeless_edge(text: &str) -> Option<&'static str> {
    let is_plain = |c: char| !c.is_ascii() || is_word_byte(c as u8);
    if !text.chars().any(is_plain) {
        return Some("has no letter or digit");
    }
    // What precedes a dash or an opening sign is mostly a blank; these follow a name.
    if text.starts_with(['/', ':', '.', '@', '=', ',', ';', '+']) {
        return Some("starts with a sign that mostly follows a letter or digit");
    }
    if !text.ends_with(is_plain) && !text.ends_with(['"', '\'', ')', ']', '}', ';', ',']) {
        return Some("ends with a sign that a letter or digit mostly follows");
    }
    None
}

/// What needs all strings at once: those that match ordinary commands, and those that are never
/// needed because another one of the group matches wherever they do.
fn about_each_other(merged: &Merged, files: &mut [File]) {
    let strings: Vec<(usize, &Placed<Banned>)> = merged
        .groups
        .iter()
        .enumerate()
        .flat_map(|(group, merged)| merged.banned.iter().map(move |placed| (group, placed)))
        .collect();
    let automaton = AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .kind(Some(aho_corasick::AhoCorasickKind::NoncontiguousNFA))
        .build(strings.iter().map(|(_, placed)| &placed.entry.text));
    // Fails only beyond 2^31 states; the limits on files and entries keep well below.
    let Ok(automaton) = automaton else { return };

    let mut warned = vec![false; strings.len()];
    for command in crate::ORDINARY_COMMANDS
        .lines()
        .filter(|line| is_command(line))
    {
        for found in automaton.find_overlapping_iter(command) {
            let index = found.pattern().as_usize();
            if stands_alone(command.as_bytes(), found.start(), found.end()) && !warned[index] {
                warned[index] = true;
                let string = strings[index].1.entry.text.clone();
                let command = command.to_owned();
                push(
                    files,
                    strings[index].1,
                    Trouble::OrdinaryCommand { string, command },
                );
            }
        }
    }

    let mut matches = 0;
    for (group, placed) in &strings {
        let text = &placed.entry.text;
        let mut by = None;
        for found in automaton.find_overlapping_iter(text) {
            matches += 1;
            if matches > MAX_LINT_MATCHES {
                push(
                    files,
                    placed,
                    Trouble::LintStopped {
                        limit: MAX_LINT_MATCHES,
                    },
                );
                return;
            }
            let (other_group, other) = strings[found.pattern().as_usize()];
            let is_other = !std::ptr::eq(other, *placed) && other_group == *group;
            // One that also searches the environment does more than one that does not.
            let does_as_much = other.entry.scan_environment || !placed.entry.scan_environment;
            if is_other && does_as_much && stands_alone(text.as_bytes(), found.start(), found.end())
            {
                by = Some(other.entry.text.clone());
                break;
            }
        }
        if let Some(by) = by {
            push(
                files,
                placed,
                Trouble::Redundant {
                    string: text.clone(),
                    by,
                },
            );
        }
    }
}

/// Whether a line of the shipped list is a command and not a heading.
pub(super) fn is_command(line: &str) -> bool {
    !line.trim().is_empty() && !line.starts_with('#')
}
