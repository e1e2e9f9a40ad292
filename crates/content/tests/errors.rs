//! How each kind of mistake is told. The snapshots are the error messages as users see them.

mod support;

/// Each mistake with the name of its file. A name that is not its own snapshot's would hide one.
const MISTAKES: &[(&str, &str, &str)] = &[
    (
        "yaml_syntax",
        "list.yaml",
        "bannedCommandStrings:\n  - \"never closed\n  - foobar\n",
    ),
    (
        "json_syntax",
        "list.json",
        "{\n  \"bannedCommandStrings\": [\n    \"foobar\",\n  ]\n}\n",
    ),
    (
        "json_expected",
        "list.json",
        "bannedCommandStrings: [foobar]\n",
    ),
    ("empty", "list.yaml", "# nothing yet\n"),
    (
        "neither_shape",
        "values.yaml",
        "image:\n  repository: quay.io/example\n",
    ),
    (
        "nested_slip",
        "values.yaml",
        "detectors:\n  execwacker:\n    configs: {}\n",
    ),
    (
        "no_configs",
        "values.yaml",
        "detectors:\n  execwhacker:\n    config:\n      a: {}\n",
    ),
    (
        "bare_slip",
        "list.yaml",
        "bannedCommandString:\n  - foobar\n",
    ),
    (
        "unknown_keys",
        "list.yaml",
        "bannedCommandStrings:\n  - text: foobar\n  - string: barfoo\n    scanEnv: true\n\
         allowedCommandPattern: []\nverbose: yes\n",
    ),
    (
        "not_strings",
        "list.yaml",
        "bannedCommandStrings:\n  - 1.10\n  - on\n  - 0xdeadbeef\n  - 2024-01-31\n  - ~\n  - [a, b]\n  \
         - foo: bar\nallowedCommandPatterns: .*\n",
    ),
    (
        "not_strings_in_json",
        "list.json",
        "{\"bannedCommandStrings\": [1.10, true, null, {}, \"\"]}",
    ),
    (
        "unusable_strings",
        "list.yaml",
        "bannedCommandStrings:\n  - \"\"\n  - '   '\n  - |\n    foobar\n  - \"foo\\0bar\"\n  \
         - 'foo\n\n    bar'\n",
    ),
    (
        "duplicate_keys",
        "list.yaml",
        "bannedCommandStrings: [foobar]\nbannedCommandStrings: [other]\n",
    ),
    (
        "merge_keys",
        "values.yaml",
        "base: &base\n  bannedCommandStrings: [foobar]\ndetectors:\n  execwhacker:\n    configs:\n      \
         one:\n        <<: *base\n",
    ),
    (
        "foreign_tag",
        "list.yaml",
        "bannedCommandStrings:\n  - !secret foobar\n  - !!str 1.10\n",
    ),
    (
        "cyclic",
        "list.yaml",
        "bannedCommandStrings: &a\n  - foobar\n  - *a\n",
    ),
    (
        "group_names",
        "values.yaml",
        "detectors: {execwhacker: {configs: {'': {}, \"a\\nb\": {}, one: {}, one: {}}}}\n",
    ),
    (
        "wrong_switches",
        "values.yaml",
        "detectors:\n  execwhacker:\n    enabled: 'no'\n    configs:\n      one:\n        \
         scanEnvironment: yes\n",
    ),
    (
        "wrong_scopes",
        "list.yaml",
        "allowedCommandPatterns:\n  - {pattern: foobar, host: true, namespace: jhub}\n  \
         - {pattern: foobar, image: 1.0}\n  - {pattern: foobar, host: maybe}\n  - {namespace: jhub}\n",
    ),
    (
        "spares_everything",
        "list.yaml",
        "allowedCommandPatterns: ['.*', 'a*', 'foo|', {pattern: '.*', host: true}]\n",
    ),
    (
        "pattern_places",
        "list.yaml",
        "allowedCommandPatterns:\n  - foo(?=bar)\n  - 'it''s (a|b)\\1'\n  \
         - \"\\u00e9\\t\\x41 (?<!x)y\"\n  - |-\n    foo\n  - foo(bar\n",
    ),
    (
        "pattern_places_in_json",
        "list.json",
        "{\"allowedCommandPatterns\": [\"\\ud83d\\ude00\\u00e9\\\\s\\/(?!x)\"]}",
    ),
    (
        "pattern_differences",
        "list.yaml",
        "allowedCommandPatterns:\n  - 'foo(?P<n>a)(?P=n)'\n  - 'foo(?(1)a|b)'\n  - 'foo(?>a)'\n  \
         - 'foo(?#note)'\n  - '(?x)foo'\n  - '(?a:foo)'\n  - 'fo++'\n  - 'fo{2}+'\n  - '\\<foo'\n  \
         - '[a[b]foo'\n  - '[a&&b]foo'\n  - 'foo{'\n  - 'fo[o'\n  - '*foo'\n  - '\\yfoo'\n  - 'foo)'\n",
    ),
    (
        "pattern_too_big",
        "list.yaml",
        "allowedCommandPatterns: ['foo(\\w{100}){100}']\n",
    ),
    (
        "crlf_and_mark",
        "list.yaml",
        "\u{feff}bannedCommandStrings:\r\n  - foobar\r\n  - 42\r\n",
    ),
];

#[test]
fn each_mistake_is_told_with_its_place_and_its_remedy() {
    for (name, file, text) in MISTAKES {
        let faults = support::parse(&[(file, text)])
            .map(|(list, _)| panic!("{name} was read: {list:?}"))
            .unwrap_err();
        insta::assert_snapshot!(*name, support::render_all(faults.faults()));
    }
}

const DOUBTS: &[(&str, &str)] = &[
    ("short", "bannedCommandStrings: [abc, abcd, é]\n"),
    (
        "ordinary",
        "bannedCommandStrings: [Jupyter, git log, 'pool', mypoolname]\n",
    ),
    (
        "edges",
        "bannedCommandStrings: ['foobar://', '.foobar', /foobar, '=foo=', '--foobar=', '-foobar', \
         '(foobar)', '://', 'foo bar ']\n",
    ),
    (
        "redundant",
        "bannedCommandStrings: [foobar, foobar-x, xfoobar, a/FOOBAR]\n",
    ),
    ("not_ascii", "bannedCommandStrings: [straße]\n"),
    (
        "duplicates",
        "bannedCommandStrings: [FooBar, foobar]\nallowedCommandPatterns: [foobar$, foobar$]\n",
    ),
    (
        "bans_nothing",
        "bannedCommandStrings:\nallowedCommandPatterns: []\n",
    ),
    (
        "loose_patterns",
        "allowedCommandPatterns:\n  - .*foobar\n  - f.*bar$\n  - foobar\n  - foo.*bar$\n  \
         - '/bin/(ba)?sh -c foobar$'\n  - 'bash\\s+-c foobar$'\n  - sudo foobar$\n  \
         - '(/usr/bin/)?foobar$'\n  - '(foobar|docker run) x$'\n  - 'python3.12 -c x$'\n  \
         - foobar --verbose$\n  - {pattern: .*foobar, namespace: jhub}\n",
    ),
    (
        "disabled",
        "detectors:\n  execwhacker:\n    enabled: false\n    configs: {one: {bannedCommandStrings: [foobar]}}\n",
    ),
];

#[test]
fn each_doubt_is_told() {
    for (name, text) in DOUBTS {
        let (_, warnings) = support::parse(&[("list.yaml", text)])
            .unwrap_or_else(|faults| panic!("{name}: {}", support::render_all(faults.faults())));
        insta::assert_snapshot!(format!("doubt_{name}"), support::render_all(&warnings));
    }
}

#[test]
fn all_faults_of_all_files_are_told_at_once() {
    let faults = support::parse(&[
        ("a/one.yaml", "bannedCommandStrings: [1, 2]\n"),
        ("fine.yaml", "bannedCommandStrings: [abc]\n"),
        ("b/two.json", "{"),
    ])
    .unwrap_err();
    assert_eq!(faults.to_string(), "3 faults in several files");
    assert_eq!(
        support::codes(faults.faults()),
        ["not-a-string 1:24", "not-a-string 1:27", "syntax 1:1"]
    );
    assert_eq!(support::codes(faults.warnings()), ["short-string 1:24"]);
    let files: Vec<_> = faults.faults().iter().map(|fault| fault.file()).collect();
    assert_eq!(files, ["a/one.yaml", "a/one.yaml", "b/two.json"]);
    insta::assert_snapshot!(
        "as_json",
        serde_json::to_string_pretty(&faults.records()).unwrap()
    );
}
