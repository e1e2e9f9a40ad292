//! Every way to write the same list.

mod support;

use davylamp_content::Source;
use davylamp_content::blocklist::Scope;
use davylamp_content::cases::{self, Expect};

/// The groups of some files: names, strings (with `+env` where the environment is searched) and
/// patterns.
fn shape(files: &[(&str, &str)]) -> String {
    let (list, _) = support::parse(files)
        .unwrap_or_else(|faults| panic!("{}", support::render_all(faults.faults())));
    let group = |group: &davylamp_content::blocklist::Group| {
        let banned = group.banned.iter().map(|banned| {
            let env = if banned.scan_environment { "+env" } else { "" };
            format!(" {:?}{env}", banned.text)
        });
        let allowed = group
            .allowed
            .iter()
            .map(|allowed| format!(" /{}/", allowed.pattern));
        format!(
            "{}:{}{}",
            group.name,
            banned.collect::<String>(),
            allowed.collect::<String>()
        )
    };
    list.groups.iter().map(group).collect::<Vec<_>>().join("; ")
}

#[test]
fn one_list_can_be_written_in_many_ways() {
    let expected = r#"list: "foo bar" "1.10" /^ok\.$/"#;
    for text in [
        "bannedCommandStrings: [foo bar, '1.10']\nallowedCommandPatterns: ['^ok\\.$']\n",
        "bannedCommandStrings:\n- foo bar\n- \"1.10\"\nallowedCommandPatterns:\n- ^ok\\.$\n",
        "bannedCommandStrings:\r\n- ! foo bar\r\n- !!str 1.10\r\nallowedCommandPatterns: [^ok\\.$]\r\n",
        "\u{feff}bannedCommandStrings: [foo bar, '1.10']\nallowedCommandPatterns: [^ok\\.$]",
        "bannedCommandStrings:\n- >-\n  foo\n  bar\n- |-\n  1.10\nallowedCommandPatterns:\n- |-\n  ^ok\\.$\n",
        "{\"bannedCommandStrings\": [\"foo\\u0020bar\", \"1.10\"],\t\"allowedCommandPatterns\": [\"^ok\\\\.$\"]}",
        "{\n\t\"bannedCommandStrings\":\n\t[\"foo bar\",\n\t\"1.10\"], \"allowedCommandPatterns\": [\"^ok\\\\.$\"]\n}",
        "{bannedCommandStrings: [foo bar, '1.10',], # a note\n allowedCommandPatterns: [^ok\\.$]}",
        "%YAML 1.2\n---\nbannedCommandStrings: [foo bar]\n---\nbannedCommandStrings: ['1.10']\n\
         allowedCommandPatterns: [^ok\\.$]\n...\n",
        "bannedCommandStrings: [&a foo bar, '1.10', *a]\nallowedCommandPatterns: [^ok\\.$]\n",
        "bannedCommandStrings:\n- {string: foo bar, reason: why}\n- string: '1.10'\n  scanEnvironment: false\n\
         allowedCommandPatterns:\n- pattern: ^ok\\.$\n  namespace: ~\n",
    ] {
        assert_eq!(shape(&[("conf.d/list.yaml", text)]), expected, "{text}");
    }
}

#[test]
fn helm_values_are_read_with_all_that_is_not_ours_in_them() {
    let execwhacker = "execwhacker:\n  enabled: true\n  debug: false\n  resources: {limits: {cpu: 1}}\n  \
         configs:\n    default-test:\n      bannedCommandStrings:\n        - cryptnono.banned.string1\n    \
         second: {allowedCommandPatterns: ['ok$'], scanEnvironment: true, bannedCommandStrings: [foobar]}\n    \
         third:\n    fourth: {bannedCommandStrings: null}\n";
    let indent = |text: &str, by: &str| {
        text.lines()
            .map(|line| format!("{by}{line}\n"))
            .collect::<String>()
    };
    let expected =
        r#"default-test: "cryptnono.banned.string1"; second: "foobar"+env /ok$/; fourth:"#;
    let alone = format!(
        "image: {{tag: 1.0}}\ndetectors:\n{}  monero: {{enabled: on}}\n",
        indent(execwhacker, "  ")
    );
    assert_eq!(shape(&[("values.yaml", &alone)]), expected);
    let subchart = format!("hub: {{}}\ncryptnono:\n{}", indent(&alone, "  "));
    assert_eq!(shape(&[("values.yaml", &subchart)]), expected);
    for nothing in ["{}", "null", ""] {
        let text = format!("detectors: {{execwhacker: {{configs: {nothing}}}}}");
        assert_eq!(shape(&[("values.yaml", &text)]), "");
    }
}

#[test]
fn files_merge_and_the_first_of_two_equal_strings_stays() {
    let files = [
        ("one.yaml", "bannedCommandStrings: [FooBar, other]\n"),
        ("b/one.json", "{\"bannedCommandStrings\": [\"third\"]}"),
        (
            "two.yaml",
            "scanEnvironment: true\nbannedCommandStrings:\n- {string: foobar, reason: seen twice}\n- fourth\n",
        ),
    ];
    assert_eq!(
        shape(&files),
        r#"one: "FooBar"+env "other" "third"; two: "fourth"+env"#
    );
    let (list, notes) = support::parse(&files).unwrap();
    let first = &list.groups[0].banned[0];
    assert_eq!(first.reason.as_deref(), Some("seen twice"));
    let origin = &first.origin;
    assert_eq!(
        (origin.file.as_str(), origin.line, origin.column),
        ("one.yaml", 1, 24)
    );
    assert_eq!(support::codes(&notes), ["duplicate-string 3:12"]);
}

#[test]
fn json_has_all_its_escapes() {
    let text = r#"{"bannedCommandStrings": ["\ud83d\ude00 \u00e9\/\\\" b"]}"#;
    for name in ["list.json", "list.yaml"] {
        assert_eq!(shape(&[(name, text)]), "list: \"😀 é/\\\\\\\" b\"");
    }
}

#[test]
fn bare_files_name_their_group() {
    for (file, group) in [
        (
            "/etc/davylamp/execwhacker-default.json",
            "execwhacker-default",
        ),
        ("list.prod.yaml", "list.prod"),
        ("c:\\lists\\mine.yml", "mine"),
        ("-", "-"),
        (".yaml", ".yaml"),
        ("", "unnamed"),
        ("a\u{7}b.yaml", "a_b"),
    ] {
        let text = r#"{"bannedCommandStrings": ["foobar"]}"#;
        assert_eq!(shape(&[(file, text)]), format!("{group}: \"foobar\""));
    }
}

#[test]
fn allowed_entries_have_scopes_and_python_endings() {
    let text = "allowedCommandPatterns:\n- {pattern: 'foo\\\\Z\\Z', namespace: 'a*', image: b, container: c, reason: d}\n\
                - {pattern: bar$, host: true}\n- (?P<name>x)yz[\\Z]$\n";
    let faults = support::parse(&[("list.yaml", text)]).unwrap_err();
    // `\Z` within a set is an error in Python too.
    assert_eq!(support::codes(faults.faults()), ["pattern 4:17"]);
    let text = text.replace("[\\Z]", "");
    let (list, warnings) = support::parse(&[("list.yaml", &text)]).unwrap();
    assert_eq!(support::codes(&warnings), ["bans-nothing 1:1"]);
    let [first, second, third] = list.groups[0].allowed.as_slice() else {
        panic!("{list:?}")
    };
    assert_eq!(first.pattern, r"foo\\Z\z");
    assert_eq!(first.reason.as_deref(), Some("d"));
    let named = |text: &str| Some(text.to_owned());
    let scope = Scope {
        namespace: named("a*"),
        image: named("b"),
        container: named("c"),
        host: false,
    };
    assert_eq!(first.scope, scope);
    assert!(second.scope.host);
    assert_eq!(third.pattern, "(?P<name>x)yz$");
    assert!(third.scope.is_everywhere());
}

#[test]
fn case_files_are_read_and_their_faults_told() {
    let read = |text: &str| {
        cases::parse(Source {
            name: "x.cases.yaml",
            text,
        })
    };
    let cases = read("cases:\n- {command: foo x, kill: foo, why: fires}\n- command: food\n  clean: true\n  why: near\n")
        .unwrap();
    assert_eq!(cases.len(), 2);
    assert_eq!(cases[0].expect, Expect::Kill { by: "foo".into() });
    assert_eq!((cases[1].expect.clone(), cases[1].line), (Expect::Clean, 3));
    for (text, expected) in [
        ("", "empty 1:1"),
        ("cases: []", "empty 1:1"),
        ("case: []", "unknown-key 1:1"),
        ("cases: [{command: a, why: b}]", "wrong-type 1:9"),
        (
            "cases: [{command: a, why: b, clean: true, kill: c}]",
            "wrong-type 1:37",
        ),
        ("cases: [{command: a, why: b, clean: 1}]", "wrong-type 1:37"),
        (
            "cases: [{command: a, why: b, clean: false}]",
            "wrong-type 1:37",
        ),
        ("cases: [{command: a, clean: true}]", "missing-key 1:9"),
        (
            "cases: [{command: 1, clean: true, why: b}]",
            "not-a-string 1:19",
        ),
        (
            "cases: [{command: a, clen: true, why: b, clean: true}]",
            "unknown-key 1:22",
        ),
    ] {
        let faults = read(text).unwrap_err();
        assert_eq!(support::codes(faults.faults()), [expected], "{text}");
    }
}
