//! Names that others chose, as text that shows what it is.
//!
//! maud escapes what HTML would take for markup. What is left are characters that are not seen or that
//! turn the text around them; they are shown by their number.

use std::fmt::Write as _;

use maud::{Markup, html};

/// So much of a value stands in a row of a list.
const BRIEF_CHARS: usize = 96;
/// What is longer is folded.
const FOLD_CHARS: usize = 240;
/// No more of one value is put on a page.
const MOST_CHARS: usize = 64 * 1024;

/// A text with every character visible that could deceive.
pub(crate) fn plain(text: &str) -> String {
    visible(text.chars(), false)
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
fn deceives(c: char) -> bool {
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

/// A value, set apart from the text around it.
pub(super) fn shown(text: &str) -> Markup {
    html! { bdi { (plain(text)) } }
}

/// The beginning of a value.
pub(super) fn brief(text: &str) -> Markup {
    html! { bdi { (cut(text, BRIEF_CHARS)) } }
}

/// The beginning of a value, as text.
pub(super) fn cut(text: &str, most: usize) -> String {
    let mut chars = text.chars();
    let mut shown = visible(chars.by_ref().take(most), false);
    if chars.next().is_some() {
        shown.push('…');
    }
    shown
}

/// A value in full, folded where it is long.
pub(super) fn whole(text: &str) -> Markup {
    folded(text, |text| html! { code { (text) } })
}

/// A sentence in full, folded where it is long.
pub(super) fn prose(text: &str) -> Markup {
    folded(text, |text| html! { span { (text) } })
}

fn folded(text: &str, set: impl Fn(Markup) -> Markup) -> Markup {
    if text.chars().nth(FOLD_CHARS).is_none() {
        return set(shown(text));
    }
    html! {
        details.long {
            summary { (set(html! { bdi { (cut(text, FOLD_CHARS)) } })) " " span.muted { "show all" } }
            (set(html! { bdi { (cut(text, MOST_CHARS)) } }))
        }
    }
}

/// Text of several lines.
pub(super) fn lines(text: &str) -> Markup {
    let shown = visible(text.chars().take(MOST_CHARS), true);
    html! { pre tabindex="0" { code { bdi { (shown) } } } }
}

/// What markup of ours says, without its marks: for files that hold no markup.
pub(super) fn said(markup: &Markup) -> String {
    let (mut said, mut rest) = (String::new(), markup.0.as_str());
    while let Some((text, mark)) = rest.split_once('<') {
        said.push_str(text);
        if mark.starts_with("blockquote") {
            said.push_str(": ");
        } else if ["code", "span", "/code"]
            .iter()
            .any(|name| mark.starts_with(name))
        {
            // Apart for the eye by their looks, and here by a space.
            said.push(' ');
        }
        rest = mark.split_once('>').map_or("", |(_, rest)| rest);
    }
    said.push_str(rest);
    // What maud writes for what it escapes, the mark of an escape last.
    for (escaped, c) in [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&amp;", "&"),
    ] {
        said = said.replace(escaped, c);
    }
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A name, or a word for that there is none.
pub(super) fn or_none(text: &str) -> Markup {
    match text {
        "" => html! { span.muted { "none" } },
        text => brief(text),
    }
}

#[cfg(test)]
mod tests {
    use super::{cut, plain, said, shown};

    #[test]
    fn what_is_not_seen_is_shown_and_markup_is_text() {
        for (text, expected) in [
            ("python3 -m http.server", "python3 -m http.server"),
            ("a\u{202e}b", "a⟦U+202E⟧b"),
            ("a\u{200b}b\u{feff}", "a⟦U+200B⟧b⟦U+FEFF⟧"),
            ("a\r\n\tb\u{7f}\u{9b}", "a␍␊␉b␡⟦U+009B⟧"),
            ("\u{e0041}", "⟦U+E0041⟧"),
            ("Grüße, 世界", "Grüße, 世界"),
        ] {
            assert_eq!(plain(text), expected, "{text:?}");
        }
        let markup = shown("<script>alert('\"')</script>").into_string();
        assert!(!markup.contains("<script"), "{markup}");
        assert_eq!(said(&shown("a <b> & \"c\" &lt;")), "a <b> & \"c\" &lt;");
        assert_eq!(cut("abcdef", 3), "abc…");
        assert_eq!(cut("abc", 3), "abc");
    }
}
