//! Makes text safe and short enough to be shown, before it is encoded for where it is shown.

/// One value or line is shown with at most so many characters.
pub const LINE_CHARS: usize = 600;
/// A list is shown with at most so many entries.
pub const LIST_ENTRIES: usize = 60;
/// A title is shown with at most so many characters.
pub const TITLE_CHARS: usize = 150;

/// One line in which every character can be seen: line breaks, control characters, and those that
/// reorder or hide others are written as escapes. What is beyond `max` characters is cut, with the
/// count of what was cut.
pub fn line(text: &str, max: usize) -> String {
    let mut out = String::new();
    for character in text.chars().take(max) {
        push_visible(&mut out, character);
    }
    let cut = text.chars().skip(max).count();
    if cut > 0 {
        out.push_str(&format!("… (and {cut} more characters)"));
    }
    out
}

/// All of a text on one line, in which every character can be seen.
pub fn visible(text: &str) -> String {
    line(text, usize::MAX)
}

/// The part of a list that is shown, and how many entries are not.
pub fn some<T>(list: &[T], max: usize) -> (&[T], usize) {
    let shown = list.len().min(max);
    (&list[..shown], list.len() - shown)
}

/// What stands for the entries of a list that are not shown.
pub fn more(cut: usize) -> String {
    format!("… and {cut} more")
}

fn push_visible(out: &mut String, character: char) {
    match character {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        _ if is_hidden(character) => out.push_str(&format!("\\u{{{:x}}}", u32::from(character))),
        _ => out.push(character),
    }
}

/// Whether a character cannot be seen, or changes how others are seen: controls, and what Unicode
/// calls format characters and default ignorables (Unicode 16, chapters 5.21 and 23; the
/// reordering ones are those of "Trojan Source", CVE-2021-42574).
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            u32::from(character),
            0x00ad
                | 0x034f
                | 0x061c
                | 0x115f..=0x1160
                | 0x17b4..=0x17b5
                | 0x180b..=0x180f
                | 0x200b..=0x200f
                | 0x2028..=0x202e
                | 0x2060..=0x206f
                | 0x3164
                | 0xfe00..=0xfe0f
                | 0xfeff
                | 0xffa0
                | 0xfff0..=0xfffb
                | 0x1d173..=0x1d17a
                | 0xe0000..=0xe0fff
        )
}

/// JSON as it can go to a terminal: what would move the cursor or turn the writing round is escaped,
/// which JSON allows in every text and no reader of JSON sees.
pub fn quiet_json(text: &str) -> String {
    let mut quiet = String::with_capacity(text.len());
    for c in text.chars() {
        let steers = matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' | '\u{feff}');
        if steers || (c.is_control() && !matches!(c, '\n' | '\t')) {
            quiet += &format!("\\u{:04x}", u32::from(c));
        } else {
            quiet.push(c);
        }
    }
    quiet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_hides() {
        for (text, shown) in [
            ("plain Grüße 日本", "plain Grüße 日本"),
            ("a\r\nBcc: x@y", "a\\r\\nBcc: x@y"),
            ("user\u{202e}nimda", "user\\u{202e}nimda"),
            ("a\u{200b}b\u{feff}", "a\\u{200b}b\\u{feff}"),
            (
                "\u{1b}[31m\u{0}\u{7f}\u{9b}",
                "\\u{1b}[31m\\u{0}\\u{7f}\\u{9b}",
            ),
        ] {
            assert_eq!(line(text, 100), shown);
        }
    }

    #[test]
    fn what_is_cut_is_counted() {
        assert_eq!(line("abcdef", 6), "abcdef");
        assert_eq!(line("abcdef", 4), "abcd… (and 2 more characters)");
        assert_eq!(some(&[1, 2, 3], 2), (&[1, 2][..], 1));
    }

    #[test]
    fn quiet_json_is_the_same_json_and_steers_nothing() {
        let value = serde_json::json!({"tag": "a\u{9b}31m\u{202e}b\u{1b}[0m\n\u{feff}é"});
        let quiet = quiet_json(&format!("{value:#}"));
        let odd = |c: char| c.is_control() && c != '\n' || matches!(c, '\u{202e}' | '\u{feff}');
        assert!(!quiet.contains(odd), "{quiet:?}");
        let read: serde_json::Value = serde_json::from_str(&quiet).expect("JSON");
        assert_eq!(read, value);
    }
}
