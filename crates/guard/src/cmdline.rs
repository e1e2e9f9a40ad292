//! The log's `cmdline`: raw arguments as one line of shell-quoted text that is safe to read.
//!
//! The bytes are an attacker's and the readers are a terminal, a log shipper and people. What must
//! stay true: the text has no control, invisible or direction-changing characters; it is never
//! longer than asked for; what looks like a credential is replaced by [`MASK`]; what matched the
//! blocklist stays visible, and so do wallets and pool addresses, which are the evidence.
//!
//! Masking is by shape and by name, so it is a courtesy to the victim and not a promise: a
//! password given to a program as its third bare word cannot be told from a file name.

mod names;
mod secrets;
mod shell;

use std::ops::Range;

/// What stands in the place of a credential.
///
/// Where an argument has these very characters itself, the whole argument is quoted like any other
/// with brackets; `davylamp` never prints a length or a first letter of what it hides.
pub const MASK: &str = "[masked]";

/// What ends a text that was cut.
pub const CUT: &str = "…";

/// The longest text [`mask_value`] gives: a variable is shown beside others on one log line.
const VALUE_LIMIT_BYTES: usize = 1024;

/// Arguments as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// Shell-quoted, masked, one line, at most as many bytes as asked for.
    pub text: String,
    /// Where the text was cut, the length of the arguments it was made from, in bytes.
    pub cut_from_bytes: Option<u64>,
}

/// Prints `arguments`, each ended by a NUL, in at most `limit_bytes` bytes of UTF-8.
///
/// `keep` are ranges of bytes of `arguments` that stay visible whatever they look like: what
/// matched. Arguments in which a character is not printable are written as `$'…'` with `\xNN` for
/// bytes and `\uNNNN` for characters, which bash reads back to the same bytes.
///
/// A last argument without its NUL counts as cut short by whoever captured it, and the beginning
/// of a credential at its end is masked too.
pub fn render(arguments: &[u8], limit_bytes: usize, keep: &[Range<usize>]) -> Rendered {
    let words = split(arguments);
    let mut hidden = secrets::find(arguments, &words);
    if let Some(last) = words.last().filter(|last| last.end == arguments.len()) {
        hidden.extend(secrets::find_cut_short(arguments, last));
    }
    let hidden = without(hidden, keep);
    let mut text = String::new();
    for (index, word) in words.iter().enumerate() {
        if index > 0 {
            text.push(' ');
        }
        quote(arguments, word, &hidden, &mut text);
        if text.len() > limit_bytes {
            break;
        }
    }
    let cut = cut(&mut text, limit_bytes);
    Rendered {
        text,
        cut_from_bytes: cut.then_some(arguments.len() as u64),
    }
}

/// Prints the value of an environment variable: not quoted where it is plain text, masked as a
/// whole where the name says that it is a credential, and in part where it looks like one.
pub fn mask_value(name: &str, value: &[u8]) -> String {
    if names::is_secret(name) && !value.is_empty() {
        return MASK.to_owned();
    }
    let whole = 0..value.len();
    let hidden = without(secrets::find(value, std::slice::from_ref(&whole)), &[]);
    let mut text = match plain(value, &whole, &hidden) {
        Some(text) if !text.starts_with("$'") => text,
        _ => escaped(value, &whole, &hidden),
    };
    cut(&mut text, VALUE_LIMIT_BYTES);
    text
}

/// The ranges of the arguments. The NUL after the last is its end, not the start of an empty one.
fn split(arguments: &[u8]) -> Vec<Range<usize>> {
    let mut words = Vec::new();
    let mut start = 0;
    for word in arguments.split_inclusive(|byte| *byte == 0) {
        let end = start + word.len();
        words.push(start..end - usize::from(word.ends_with(&[0])));
        start = end;
    }
    words
}

/// Sorted, disjoint ranges covering `hidden` and nothing of `keep`.
fn without(mut hidden: Vec<Range<usize>>, keep: &[Range<usize>]) -> Vec<Range<usize>> {
    hidden.sort_by_key(|range| range.start);
    let mut merged: Vec<Range<usize>> = Vec::with_capacity(hidden.len());
    for range in hidden {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    for kept in keep.iter().filter(|kept| kept.start < kept.end) {
        merged = merged
            .into_iter()
            .flat_map(|range| {
                [
                    range.start..range.end.min(kept.start),
                    range.start.max(kept.end)..range.end,
                ]
            })
            .filter(|range| range.start < range.end)
            .collect();
    }
    merged.sort_by_key(|range| range.start);
    merged.dedup();
    merged
}

/// Calls `each` with the visible pieces of `word`, and with `None` for each hidden one.
fn pieces<'a>(
    bytes: &'a [u8],
    word: &Range<usize>,
    hidden: &[Range<usize>],
    mut each: impl FnMut(Option<&'a [u8]>),
) {
    let mut at = word.start;
    let first = hidden.partition_point(|range| range.end <= word.start);
    for range in hidden[first..]
        .iter()
        .take_while(|range| range.start < word.end)
    {
        if at < range.start {
            each(Some(&bytes[at..range.start]));
        }
        each(None);
        at = range.end.min(word.end);
    }
    if at < word.end {
        each(Some(&bytes[at..word.end]));
    }
}

/// The word as it is, if every visible byte of it may be shown as it is.
fn plain(bytes: &[u8], word: &Range<usize>, hidden: &[Range<usize>]) -> Option<String> {
    let mut text = Some(String::with_capacity(word.len()));
    pieces(bytes, word, hidden, |piece| {
        let Some(out) = &mut text else { return };
        match piece.map(std::str::from_utf8) {
            None => out.push_str(MASK),
            Some(Ok(piece)) if piece.chars().all(is_printable) => out.push_str(piece),
            Some(_) => text = None,
        }
    });
    text
}

fn quote(bytes: &[u8], word: &Range<usize>, hidden: &[Range<usize>], out: &mut String) {
    let text = plain(bytes, word, hidden);
    // Quoting fails for NUL alone, and NUL is not printable.
    match text.as_deref().map(shlex::try_quote) {
        Some(Ok(quoted)) => out.push_str(&quoted),
        _ => out.push_str(&escaped(bytes, word, hidden)),
    }
}

/// The word in bash's `$'…'`.
fn escaped(bytes: &[u8], word: &Range<usize>, hidden: &[Range<usize>]) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(word.len() + 3);
    out.push_str("$'");
    pieces(bytes, word, hidden, |piece| {
        let Some(piece) = piece else {
            out.push_str(MASK);
            return;
        };
        for chunk in piece.utf8_chunks() {
            for character in chunk.valid().chars() {
                let code = u32::from(character);
                // Writing to a String cannot fail.
                let _ = match character {
                    '\n' => out.write_str("\\n"),
                    '\r' => out.write_str("\\r"),
                    '\t' => out.write_str("\\t"),
                    '\'' | '\\' => write!(out, "\\{character}"),
                    _ if is_printable(character) => out.write_char(character),
                    // Below 0x80 one byte is one character; above, \x would be a lone byte.
                    _ if code < 0x80 => write!(out, "\\x{code:02x}"),
                    _ if code <= 0xffff => write!(out, "\\u{code:04x}"),
                    _ => write!(out, "\\U{code:08x}"),
                };
            }
            for byte in chunk.invalid() {
                let _ = write!(out, "\\x{byte:02x}");
            }
        }
    });
    out.push('\'');
    out
}

/// Shortens `text` to `limit_bytes` with a mark, at the boundary of a character.
fn cut(text: &mut String, limit_bytes: usize) -> bool {
    if text.len() <= limit_bytes {
        return false;
    }
    match limit_bytes.checked_sub(CUT.len()) {
        Some(room) => {
            text.truncate(text.floor_char_boundary(room));
            text.push_str(CUT);
        }
        None => text.clear(),
    }
    true
}

/// Whether a character is neither a control character nor one that a terminal does not show, or
/// that changes how its neighbours are shown: Unicode's `Cc`, line and paragraph separators, the
/// bidirectional controls (UAX #9) and the default-ignorable code points (UAX #44).
fn is_printable(character: char) -> bool {
    !character.is_control()
        && !matches!(
            character,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

#[cfg(test)]
mod tests;
