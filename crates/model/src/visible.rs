//! Text of others, so that it shows what it is.
//!
//! What stands in a log may have been written by an attacker. Whoever shows it escapes what its own form
//! takes for markup; what is left are characters that are not seen or that turn the text around them, and
//! they are shown by their number.

use std::fmt::Write as _;

/// A text on one line with every character visible that could deceive.
pub fn line(text: &str) -> String {
    visible(text.chars(), false)
}

/// The beginning of a text, on one line, with a mark where it was cut.
pub fn cut(text: &str, most_chars: usize) -> String {
    let mut chars = text.chars();
    let mut shown = visible(chars.by_ref().take(most_chars), false);
    if chars.next().is_some() {
        shown.push('…');
    }
    shown
}

/// The beginning of a text of several lines.
pub fn lines(text: &str, most_chars: usize) -> String {
    visible(text.chars().take(most_chars), true)
}

fn visible(text: impl Iterator<Item = char>, keep_lines: bool) -> String {
    let mut shown = String::new();
    for c in text {
        match c {
            '\n' if keep_lines => shown.push('\n'),
            // The pictures of control characters stand in their order.
            '\0'..='\u{1f}' => {
                shown.push(char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}'))
            }
            '\u{7f}' => shown.push('\u{2421}'),
            c if deceives(c) => {
                let _ = write!(shown, "⟦U+{:04X}⟧", u32::from(c));
            }
            c => shown.push(c),
        }
    }
    shown
}

/// Whether a character is not seen, or moves others: controls, directions, widths of nothing, tags,
/// and what Unicode keeps for private use.
pub fn deceives(c: char) -> bool {
    matches!(c,
        '\u{80}'..='\u{a0}'
        | '\u{ad}'
        | '\u{34f}'
        | '\u{61c}'
        | '\u{115f}'..='\u{1160}'
        | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{2000}'..='\u{200f}'
        | '\u{2028}'..='\u{202f}'
        | '\u{205f}'..='\u{206f}'
        | '\u{2800}'
        | '\u{3000}'
        | '\u{3164}'
        | '\u{e000}'..='\u{f8ff}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffc}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{10ffff}')
}

#[cfg(test)]
mod tests {
    use super::{cut, line, lines};

    #[test]
    fn what_is_not_seen_is_shown() {
        for (text, expected) in [
            ("python3 -m http.server", "python3 -m http.server"),
            ("a\u{202e}b", "a⟦U+202E⟧b"),
            ("a\u{200b}b\u{feff}", "a⟦U+200B⟧b⟦U+FEFF⟧"),
            ("a\r\n\tb\u{7f}\u{9b}", "a␍␊␉b␡⟦U+009B⟧"),
            ("\u{e0041}", "⟦U+E0041⟧"),
            ("Grüße, 世界", "Grüße, 世界"),
        ] {
            assert_eq!(line(text), expected, "{text:?}");
        }
        assert_eq!(cut("abcdef", 3), "abc…");
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(lines("a\nb\tc", 4), "a\nb␉");
    }
}
