//! Laws that hold for any input.

mod support;

use davylamp_content::blocklist::{Allowed, Banned, Blocklist, Group, Origin, Scope};
use davylamp_content::cases;
use davylamp_content::{Problem, Source};
use proptest::prelude::*;

/// Pieces of which blocklists, right and wrong, are made.
fn fragments() -> impl Strategy<Value = String> {
    let pieces = [
        "bannedCommandStrings",
        "allowedCommandPatterns",
        "detectors",
        "execwhacker",
        "configs",
        "cryptnono",
        "string",
        "pattern",
        "reason",
        "scanEnvironment",
        "host",
        ": ",
        ":\n",
        "\n",
        "  ",
        "    ",
        "- ",
        "[",
        "]",
        "{",
        "}",
        ",",
        "\"",
        "'",
        "\\",
        "\\u",
        "d83d",
        "|",
        ">-",
        "#",
        "&a ",
        "*a",
        "<<",
        "---\n",
        "...\n",
        "%YAML 1.2\n",
        "!!str ",
        "!t ",
        "?",
        "@",
        "\t",
        "\r\n",
        "\u{feff}",
        "é",
        "😀",
        "\0",
        "1.10",
        "on",
        "null",
        "true",
        "(?=",
        "(a",
        "[a",
        ".*",
        "\\Z",
        "x",
        "foo bar",
        "🦀\u{85}",
        "\u{2028}",
    ];
    prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..60)
        .prop_map(|pieces| pieces.concat())
}

/// Reads a text as everything it could be, and looks at every problem in every way.
fn read_as_everything(text: &str) {
    for name in ["list.yaml", "list.json", "", "\n/"] {
        let problems: Vec<Problem> = match support::parse(&[(name, text)]) {
            Ok((_, warnings)) => warnings,
            Err(faults) => {
                assert!(!faults.faults().is_empty());
                faults
                    .faults()
                    .iter()
                    .chain(faults.warnings())
                    .cloned()
                    .collect()
            }
        };
        for problem in &problems {
            assert!(problem.line() >= 1 && problem.column() >= 1);
            assert!(!problem.record().help.is_empty());
        }
        assert!(!support::render_all(&problems).contains("OutOfBounds"));
        let _ = cases::parse(Source { name, text });
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_a_value_or_faults(text in ".{0,200}") {
        read_as_everything(&text);
    }

    #[test]
    fn any_pieces_are_a_value_or_faults(text in fragments()) {
        read_as_everything(&text);
    }

    #[test]
    fn any_bytes_are_a_source_or_a_fault(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        match Source::from_bytes("list.yaml", &bytes) {
            Ok(source) => read_as_everything(source.text),
            Err(faults) => {
                prop_assert_eq!(faults.faults().len(), 1);
                prop_assert!(support::render_all(faults.faults()).contains("not UTF-8"));
            }
        }
    }

    #[test]
    fn any_pattern_is_usable_or_a_fault(pattern in r"[a-c\\Z<>\[\](){}?*+^$.|:=!&~-]{1,12}") {
        let json = serde_json::json!({ "allowedCommandPatterns": [pattern] }).to_string();
        match support::parse(&[("list.json", &json)]) {
            Err(faults) => prop_assert_eq!(faults.faults().len(), 1),
            Ok((list, _)) => {
                for allowed in list.groups.iter().flat_map(|group| &group.allowed) {
                    let anchored = davylamp_content::blocklist::anchored(&allowed.pattern);
                    prop_assert!(regex::bytes::Regex::new(&anchored).is_ok(), "{}", anchored);
                }
            }
        }
    }

    #[test]
    fn what_is_printed_reads_the_same(list in blocklists()) {
        let (read, _) = support::parse(&[("printed.json", &list.to_json())])
            .map_err(|faults| TestCaseError::fail(support::render_all(faults.faults())))?;
        prop_assert_eq!(without_origins(read), list);
    }
}

fn origin() -> Origin {
    Origin {
        file: String::new(),
        line: 0,
        column: 0,
    }
}

fn without_origins(mut list: Blocklist) -> Blocklist {
    for group in &mut list.groups {
        group
            .banned
            .iter_mut()
            .for_each(|banned| banned.origin = origin());
        group
            .allowed
            .iter_mut()
            .for_each(|allowed| allowed.origin = origin());
    }
    list
}

/// Blocklists in which no string, pattern or name occurs twice: each carries its own number.
fn blocklists() -> impl Strategy<Value = Blocklist> {
    let text = r#"[a-zA-Z"'\\:#😀é./ -]{0,20}x"#;
    let reason = || prop::option::of("[ -~é😀]{0,20}x");
    let banned = (text, reason(), any::<bool>());
    let glob = || prop::option::of("[a-z*/]{1,8}");
    let scope = (glob(), glob(), glob(), any::<bool>());
    let allowed = ("[a-z é]{1,10}", reason(), scope);
    let group = (
        "[a-zA-Z .\"é-]{0,10}",
        prop::collection::vec(banned, 0..5),
        prop::collection::vec(allowed, 0..5),
    );
    prop::collection::vec(group, 0..4).prop_map(|groups| {
        let mut number = 0;
        let mut next = || {
            number += 1;
            number
        };
        let groups = groups.into_iter().map(|(name, banned, allowed)| Group {
            name: format!("{name}{}", next()),
            banned: banned
                .into_iter()
                .map(|(text, reason, scan_environment)| Banned {
                    text: format!("{text}{}", next()),
                    reason,
                    scan_environment,
                    origin: origin(),
                })
                .collect(),
            allowed: allowed
                .into_iter()
                .map(|(pattern, reason, (namespace, image, container, host))| {
                    let scope = if host {
                        Scope {
                            host,
                            ..Scope::default()
                        }
                    } else {
                        Scope {
                            namespace,
                            image,
                            container,
                            host,
                        }
                    };
                    let pattern = format!("{pattern}{}", next());
                    Allowed {
                        pattern,
                        reason,
                        scope,
                        origin: origin(),
                    }
                })
                .collect(),
        });
        Blocklist {
            groups: groups.collect(),
        }
    })
}
