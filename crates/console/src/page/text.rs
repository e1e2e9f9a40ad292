//! Names that others chose, as text that shows what it is.
//!
//! maud escapes what HTML would take for markup. What is left are characters that are not seen or that
//! turn the text around them; they are shown by their number.

use davylamp_model::visible;
use maud::{Markup, html};

/// So much of a value stands in a row of a list.
const BRIEF_CHARS: usize = 96;
/// What is longer is folded.
const FOLD_CHARS: usize = 240;
/// No more of one value is put on a page.
const MOST_CHARS: usize = 64 * 1024;

/// A text with every character visible that could deceive.
pub(crate) fn plain(text: &str) -> String {
    visible::line(text)
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
    visible::cut(text, most)
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
    let shown = visible::lines(text, MOST_CHARS);
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
    use super::{said, shown};

    #[test]
    fn markup_is_text() {
        let markup = shown("<script>alert('\"')</script>").into_string();
        assert!(!markup.contains("<script"), "{markup}");
        assert_eq!(said(&shown("a <b> & \"c\" &lt;")), "a <b> & \"c\" &lt;");
    }
}
