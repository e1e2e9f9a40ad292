//! Input made to hurt gives an error, in bounded time.

mod support;

use davylamp_content::Source;
use davylamp_content::blocklist::{MAX_STRING_BYTES, MAX_STRINGS};

/// The codes of all faults, or nothing when the text is fine.
fn faults(name: &str, text: &str) -> Vec<&'static str> {
    match support::parse(&[(name, text)]) {
        Ok(_) => Vec::new(),
        Err(faults) => {
            assert!(!support::render_all(faults.faults()).is_empty());
            faults.records().iter().map(|record| record.code).collect()
        }
    }
}

#[test]
fn deep_nesting_is_refused() {
    let depth = 200_000;
    assert_eq!(
        faults(
            "a.json",
            &format!("{}{}", "[".repeat(depth), "]".repeat(depth))
        ),
        ["too-deep"]
    );
    assert_eq!(
        faults(
            "a.json",
            &format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth))
        ),
        ["too-deep"]
    );
    assert_eq!(faults("a.yaml", &"[".repeat(depth)), ["too-deep"]);
    assert_eq!(faults("a.yaml", &"{a: ".repeat(depth)), ["too-deep"]);
    assert_eq!(faults("a.yaml", &"- ".repeat(depth)), ["too-deep"]);
    let steps: String = (0..1000)
        .map(|step| format!("{}a:\n", " ".repeat(step)))
        .collect();
    assert_eq!(faults("a.yaml", &steps), ["too-deep"]);
}

#[test]
fn aliases_of_aliases_cost_nothing() {
    let mut text = "a0: &a0 [lol, lol]\n".to_owned();
    for level in 1..30 {
        let alias = format!("*a{}", level - 1);
        text += &format!("a{level}: &a{level} [{}]\n", [alias.as_str(); 9].join(", "));
    }
    assert_eq!(faults("a.yaml", &text), ["no-list"]);
    let banned = format!("{text}bannedCommandStrings: *a29\n");
    let codes = faults("a.yaml", &banned);
    assert_eq!(
        codes.iter().filter(|code| **code == "wrong-type").count(),
        9,
        "{codes:?}"
    );
}

#[test]
fn a_list_repeated_by_aliases_counts_each_time() {
    let strings: String = (0..1000).map(|n| format!("- word{n}\n")).collect();
    let mut text = format!("list: &l\n{strings}detectors:\n  execwhacker:\n    configs:\n");
    for config in 0..=MAX_STRINGS / 1000 {
        text += &format!("      c{config}: {{bannedCommandStrings: *l}}\n");
    }
    assert_eq!(faults("a.yaml", &text), ["too-many"]);
}

#[test]
fn an_anchor_within_itself_is_refused() {
    assert_eq!(
        faults("a.yaml", "bannedCommandStrings: &a [*a]"),
        ["cyclic-alias"]
    );
    assert_eq!(
        faults("a.yaml", "&a bannedCommandStrings: [*b]"),
        ["syntax"]
    );
    assert_eq!(
        faults("a.yaml", "a: &a x\n---\nbannedCommandStrings: [*a]"),
        ["syntax"]
    );
}

#[test]
fn large_files_are_refused_and_long_lines_are_not_printed_whole() {
    let huge = format!("bannedCommandStrings: [{}]", "'aaaa',".repeat(3 << 20));
    assert_eq!(faults("a.yaml", &huge), ["file-too-large"]);
    assert_eq!(faults("a.json", &huge), ["file-too-large"]);

    let wrong = format!(
        "{{\"bannedCommandStrings\":[{}1]}}",
        "\"wörd\",".repeat(100_000)
    );
    let faults = support::parse(&[("a.json", &wrong)]).unwrap_err();
    let rendered = support::render_all(faults.faults());
    assert!(rendered.contains("`1` is read as a number"), "{rendered}");
    assert!(rendered.len() < 4000, "{} bytes shown", rendered.len());
    assert_eq!(faults.faults()[0].column(), 26 + 100_000 * 7);
}

#[test]
fn long_strings_are_refused() {
    let list = |length: usize| format!("bannedCommandStrings: [{}]", "a".repeat(length));
    assert!(faults("a.yaml", &list(MAX_STRING_BYTES)).is_empty());
    assert_eq!(faults("a.yaml", &list(MAX_STRING_BYTES + 1)), ["too-long"]);
}

#[test]
fn very_many_faults_are_counted() {
    let text = format!("bannedCommandStrings:\n{}", "- 1\n".repeat(5000));
    let faults = support::parse(&[("a.yaml", &text)]).unwrap_err();
    assert_eq!(faults.faults().len(), 1001);
    assert_eq!(
        faults.faults()[1000].to_string(),
        "4000 more faults in this file are not listed"
    );
}

#[test]
fn strings_within_strings_do_not_hold_up_a_reload() {
    let strings: String = (1..=500)
        .map(|n| format!("- {}b{n}\n", "a-".repeat(200)))
        .collect();
    let nested: String = (1..=250)
        .map(|n| format!("- {}a\n", "a-".repeat(n)))
        .collect();
    let text = format!("bannedCommandStrings:\n{strings}{nested}").repeat(1);
    let (list, notes) = support::parse(&[("a.yaml", &text)]).unwrap();
    assert_eq!(list.banned_count(), 750);
    assert!(
        support::codes(&notes)
            .iter()
            .any(|code| code.starts_with("redundant"))
    );
}

#[test]
fn patterns_that_compile_to_much_are_refused() {
    for pattern in [
        r"x(\w{100}){100}",
        r"x\pL{1000}",
        "x((((((a{30}){30}){30}){30}){30}){30})",
    ] {
        let text = format!("allowedCommandPatterns: ['{pattern}']");
        assert_eq!(faults("a.yaml", &text), ["pattern-too-big"], "{pattern}");
    }
    let nested = format!(
        "allowedCommandPatterns: ['{}x{}']",
        "(".repeat(1500),
        ")".repeat(1500)
    );
    assert_eq!(faults("a.yaml", &nested), ["pattern"]);
}

#[test]
fn bytes_that_are_no_text_are_shown_at_their_place() {
    let faults =
        Source::from_bytes("a.yaml", b"\xef\xbb\xbfok: \xc3\xa9\nno: x\xff\xfe").unwrap_err();
    assert_eq!(support::codes(faults.faults()), ["not-utf8 2:6"]);
}
