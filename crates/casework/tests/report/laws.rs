//! Whatever a case holds, what it says stays text.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use davylamp_casework::case::Case;
use davylamp_casework::report::{How, check, plain, write};
use proptest::prelude::*;
use serde_json::Value;
use tempfile::TempDir;

use crate::{Folder, cases, read};

/// Texts of what HTML, Markdown, patterns and spreadsheets are made of, and of any letters.
fn text() -> impl Strategy<Value = String> {
    let parts = prop::sample::select(vec![
        "<",
        ">",
        "&",
        "\"",
        "'",
        "`",
        "``",
        "\\",
        "|",
        "[",
        "]",
        "(",
        ")",
        "!",
        "#",
        "@",
        "*",
        "_",
        "~",
        "=",
        "+",
        "-",
        "\n",
        "\r",
        "\t",
        "\0",
        "\u{1b}",
        "\u{202e}",
        "\u{feff}",
        "<script>",
        "</style>",
        "]]>",
        "-->",
        "http://x.example",
        "www.x.example",
        "javascript:",
        "&lt;",
        "1.",
        "a",
        "b",
        " ",
        "  ",
    ]);
    prop_oneof![
        prop::collection::vec(parts, 0..12).prop_map(|parts| parts.concat()),
        any::<String>(),
    ]
}

/// The framed case with its texts taken from a list; fewer machines are as good, and sooner written.
fn tainted(texts: &[String]) -> Case {
    let mut case = cases::framed();
    case.reach.truncate(8);
    case.links.truncate(14);
    cases::tainted(&case, texts)
}

/// The elements of a page, each as it is written.
fn elements(page: &str) -> Vec<&str> {
    page.split('<')
        .skip(1)
        .map(|piece| piece.split_once('>').map_or(piece, |(element, _)| element))
        .collect()
}

/// An element's name and the names of its attributes, of which values are quoted.
fn shape(element: &str) -> String {
    let mut shape = String::new();
    for (at, part) in element.split('"').enumerate() {
        if at % 2 == 0 {
            shape.push_str(part);
        }
    }
    shape
}

/// The shapes of the elements of pages that nobody attacks: with many names, with one name for all, as of
/// the case that was made by hand.
fn harmless() -> &'static BTreeSet<String> {
    static SHAPES: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
        let words: Vec<String> = (0..500).map(|n| format!("word{n}")).collect();
        let few: Vec<String> = words.iter().take(5).cloned().collect();
        let cases = [
            tainted(&words),
            tainted(&few),
            tainted(&words[..1]),
            cases::framed(),
        ];
        let pages = cases.map(|case| Folder::of(&case).text("report.html"));
        let shapes = pages.iter().flat_map(|page| elements(page)).map(shape);
        shapes.collect()
    });
    &SHAPES
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_text_leaves_its_place(texts in prop::collection::vec(text(), 1..7)) {
        let case = tainted(&texts);
        let parent = TempDir::new().expect("a folder");
        let path = parent.path().join("case");
        write(&case, &path, How::default()).expect("a case folder");
        let checked = check(&path).expect("a check");
        prop_assert!(checked.is_sound(), "{:?}", checked.faults);

        // The page has no element that a page of harmless texts has not.
        let page = read(&path.join("report.html"));
        let known = harmless();
        // Only these come and go with what a text is: long, empty, or an address.
        let may = ["span", "/span", "text class= x= y= text-anchor=", "a href= aria-label="];
        for element in elements(&page) {
            let shape = shape(element);
            prop_assert!(known.contains(&shape) || may.contains(&shape.as_str()), "{}", element);
        }
        let control = |text: &str| text.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}');
        prop_assert!(!control(&page));
        for name in ["report.md", "credit-request/request.md", "credit-request/actions.md"] {
            let text = read(&path.join(name));
            prop_assert!(!control(&text), "{}", name);
            outside_of_code(&text)?;
        }
        prop_assert!(!control(&plain(&case)));
        let bundle: Value = serde_json::from_str(&read(&path.join("iocs.json"))).expect("JSON");
        prop_assert!(bundle["objects"].is_array());
    }
}

/// Outside of code stand letters, digits, marks of sentences and our own marks.
fn outside_of_code(text: &str) -> Result<(), TestCaseError> {
    let mut fenced: Option<String> = None;
    for line in text.lines() {
        let start = line.trim_start();
        let ticks: String = start.chars().take_while(|c| *c == '`').collect();
        if let Some(fence) = &fenced {
            if start == fence.as_str() {
                fenced = None;
            }
            continue;
        }
        if ticks.len() >= 3 && start[ticks.len()..] == *"sh" {
            fenced = Some(ticks);
            continue;
        }
        let mut rest = line;
        let mut outside = String::new();
        while let Some(at) = rest.find('`') {
            outside.push_str(&rest[..at]);
            let run = rest[at..].chars().take_while(|c| *c == '`').count();
            let fence = "`".repeat(run);
            let inner = &rest[at + run..];
            // The next run of just this length ends it.
            let mut end = None;
            let mut from = 0;
            while let Some(next) = inner[from..].find('`') {
                let next = from + next;
                let length = inner[next..].chars().take_while(|c| *c == '`').count();
                if length == fence.len() {
                    end = Some(next);
                    break;
                }
                from = next + length;
            }
            let end =
                end.ok_or_else(|| TestCaseError::fail(format!("code without an end: {line}")))?;
            rest = &inner[end + run..];
        }
        outside.push_str(rest);
        // Links of ours stand in brackets that nobody else can write.
        let ours = outside
            .replace("<https://docs.aws.amazon.com", "")
            .replace("<https://aws.amazon.com", "");
        for bad in ['<', '[', ']', '!', '\\', '@', '&', '~', '_'] {
            let is_link = ours.contains("/latest/") || ours.contains("/premiumsupport/");
            prop_assert!(is_link || !ours.contains(bad), "{:?} in {}", bad, line);
        }
        prop_assert!(!ours.contains("www."), "{}", line);
    }
    Ok(())
}
