//! The words of a shell's command text, as ranges: enough to see what is an option and what its
//! value, not to run it. Whatever the text, each range lies in it and holds no bare separator.

use std::ops::Range;

/// Whether `text` is worth taking apart: it has something that parts words.
pub(super) fn is_script(text: &[u8]) -> bool {
    text.iter().any(|byte| is_separator(*byte))
}

fn is_separator(byte: u8) -> bool {
    byte.is_ascii_whitespace()
        || matches!(byte, b';' | b'|' | b'&' | b'(' | b')' | b'<' | b'>' | b'`')
}

/// The words of `bytes[within]`, quotes included: `--name='a b'` is one word.
pub(super) fn words(bytes: &[u8], within: Range<usize>) -> Vec<Range<usize>> {
    let mut words = Vec::new();
    let mut start = None;
    let mut quote = None;
    let mut at = within.start;
    while at < within.end {
        let byte = bytes[at];
        match (quote, byte) {
            (None, _) if is_separator(byte) => {
                if let Some(start) = start.take() {
                    words.push(start..at);
                }
                at += 1;
                continue;
            }
            (None, b'\'' | b'"') => quote = Some(byte),
            (None | Some(b'"'), b'\\') => {
                start.get_or_insert(at);
                at += 1;
            }
            (Some(open), _) if open == byte => quote = None,
            _ => {}
        }
        start.get_or_insert(at);
        at += 1;
    }
    if let Some(start) = start {
        words.push(start..within.end);
    }
    words
}

/// `range` without the quotes around it.
pub(super) fn unquoted(bytes: &[u8], range: &Range<usize>) -> Range<usize> {
    let mut range = range.clone();
    let is_quote = |byte: u8| matches!(byte, b'\'' | b'"' | b'\\' | b'$');
    while range.start < range.end && is_quote(bytes[range.start]) {
        range.start += 1;
    }
    while range.start < range.end && is_quote(bytes[range.end - 1]) {
        range.end -= 1;
    }
    range
}
