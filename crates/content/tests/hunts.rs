//! Hunts: those that ship keep their own rules, and each kind of mistake is told.

#[path = "support/render.rs"]
mod render;

use std::collections::{BTreeMap, BTreeSet};

use davylamp_content::hunt::cases::CaseKind;
use davylamp_content::hunt::{
    self, ENTITIES, FUNCTIONS, Parsed, SHIPPED, Sources, Table, WINDOW_FUNCTIONS,
};
use davylamp_content::{Faults, Source};
use render::render_all;
use serde_json::Value;

fn parse(hunt: &str, query: &str, cases: &str) -> Result<Parsed, Faults> {
    let source = |name, text| Source { name, text };
    hunt::parse(Sources {
        hunt: source("some-hunt/hunt.toml", hunt),
        query: source("some-hunt/query.sql", query),
        cases: source("some-hunt/cases.toml", cases),
    })
}

fn shipped() -> Vec<Parsed> {
    hunt::shipped().unwrap_or_else(|faults| panic!("{}", render_all(faults.faults())))
}

#[test]
fn the_shipped_ones_are_read_without_a_warning() {
    for (parsed, text) in shipped().iter().zip(SHIPPED) {
        assert_eq!(parsed.hunt.name, text.name);
        let warnings = &parsed.warnings;
        assert!(warnings.is_empty(), "{}", render_all(warnings));
    }
}

#[test]
fn each_shipped_one_fires_and_keeps_quiet_where_it_should() {
    for parsed in shipped() {
        let name = &parsed.hunt.name;
        for case in &parsed.cases {
            let has_records = case.logs().values().any(|log| !log.is_empty());
            assert!(has_records, "{name}: {}", case.name);
        }
        // A near miss gives nothing, or scores less than what fires.
        let scores = |kind: CaseKind| {
            let cases = parsed.cases.iter().filter(move |case| case.kind == kind);
            let rows = cases.flat_map(|case| case.rows.iter().map(move |row| (case, row)));
            rows.map(|(case, row)| (&case.name, row.get("score").and_then(Value::as_f64)))
        };
        let most = scores(CaseKind::Fires).filter_map(|(_, score)| score);
        let most = most.fold(0.0, f64::max);
        for (case, score) in scores(CaseKind::NearMiss) {
            assert!(score.is_some_and(|score| score < most), "{name}: {case}");
        }
    }
}

#[test]
fn the_queries_that_ship_are_whole_once_parameters_are_filled_in() {
    for parsed in shipped() {
        let sql = parsed.hunt.sql(&BTreeMap::new()).unwrap();
        assert!(!sql.contains('$'), "{sql}");
        for case in &parsed.cases {
            parsed.hunt.sql(&case.parameters).unwrap();
        }
    }
}

/// A hunt without a fault, to be spoilt.
const HUNT: &str = r#"
name = "some-hunt"
title = "Some"
reason = "why"
techniques = ["T1496.001"]
severity = "high"
tables = ["vpc_flow"]
needs = ["dstport"]
evidence = ["windows"]
benign = ["a download"]
next = ["look"]
explain = "{srcaddr} to {dstport} in {windows} windows"

[entities]
address = "srcaddr"

[[parameters]]
name = "min_windows"
type = "integer"
default = 6
min = 2
max = 100
why = "fewer are a download"

[[parameters]]
name = "ignore"
type = "text-list"
default = []
why = "known ones"
"#;

const QUERY: &str = r#"-- The score: 100 for each row.
WITH flows AS (
  SELECT srcaddr, dstport, window_epoch, "start" AS started FROM vpc_flow
  WHERE dstaddr NOT IN ($ignore)
)
SELECT
  CAST(100 AS DOUBLE) AS score,
  MIN(started) AS first_seen,
  MAX(started) AS last_seen,
  srcaddr,
  COUNT(DISTINCT window_epoch) AS windows,
  MIN(dstport) AS dstport
FROM flows
GROUP BY srcaddr
HAVING COUNT(DISTINCT window_epoch) >= $min_windows
ORDER BY score DESC, srcaddr
"#;

const CASES: &str = r#"
[[cases]]
kind = "fires"
name = "six windows"
parameters = { min_windows = 5 }
[cases.base.vpc_flow]
version = 2
[[cases.logs.vpc_flow]]
repeat = { times = 6, every-secs = 300 }
set = { srcaddr = "10.0.0.{n}", dstport = 3333, start = 0, end = 60 }
[[cases.rows]]
srcaddr = "10.0.0.5"
windows = 6

[[cases]]
kind = "near-miss"
name = "one window"
[[cases.logs.vpc_flow]]
set = { srcaddr = "10.0.0.5", dstport = 3333, start = 0, end = 60 }

[[cases]]
kind = "hostile"
name = "another port"
[[cases.logs.vpc_flow]]
set = { srcaddr = "10.0.0.5", dstport = 443, start = 0, end = 60 }

[[cases]]
kind = "benign"
name = "a clock"
[[cases.logs.vpc_flow]]
set = { srcaddr = "10.0.0.5", dstport = 123, start = 0, end = 60 }
"#;

#[test]
fn a_sound_one_has_no_fault() {
    let parsed = parse(HUNT, QUERY, CASES)
        .unwrap_or_else(|faults| panic!("{}", render_all(faults.faults())));
    let hunt = &parsed.hunt;
    assert_eq!(
        hunt.columns,
        [
            "score",
            "first_seen",
            "last_seen",
            "srcaddr",
            "windows",
            "dstport"
        ]
    );
    let values = BTreeMap::from([(
        "ignore".to_owned(),
        serde_json::json!(["203.0.113.9", "o'neil"]),
    )]);
    let sql = hunt.sql(&values).unwrap();
    assert!(sql.contains("NOT IN ('203.0.113.9', 'o''neil')"), "{sql}");
    assert!(sql.contains(">= 6\n"), "{sql}");
    let explained = hunt.explain(|column| (column != "windows").then(|| column.to_uppercase()));
    assert_eq!(explained, "SRCADDR to DSTPORT in unknown windows");
    let logs = parsed.cases[0].logs();
    let text = hunt::render(Table::VpcFlow, &logs[&Table::VpcFlow]);
    insta::assert_snapshot!("rendered_flow_log", text);
}

#[test]
fn values_that_do_not_fit_are_all_told() {
    let hunt = parse(HUNT, QUERY, CASES).unwrap().hunt;
    let values = BTreeMap::from([
        ("min_windows".to_owned(), serde_json::json!(1)),
        ("ignore".to_owned(), serde_json::json!([7])),
        ("max_windows".to_owned(), serde_json::json!(7)),
    ]);
    let errors = hunt.sql(&values).unwrap_err();
    let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "hunt `some-hunt` has no parameter `max_windows`",
            "parameter `min_windows` is 1, outside 2 to 100",
            "parameter `ignore` must be a list of texts",
        ]
    );
}

/// In which text (hunt, query, cases by their first letters) what is replaced by what.
type Change = (char, &'static str, &'static str);

/// Each mistake: its name, and what makes it.
const MISTAKES: &[(&str, &[Change])] = &[
    (
        "syntax",
        &[
            ('h', "severity =", "severity = ="),
            ('q', "GROUP BY", "GROUP"),
            ('c', "name = \"a clock\"", "name = 'a clock"),
        ],
    ),
    (
        "nothing",
        &[
            ('h', HUNT, "# nothing\n"),
            ('q', QUERY, ""),
            ('c', CASES, ""),
        ],
    ),
    (
        "keys",
        &[
            ('h', "title =", "titel ="),
            ('h', "type = \"integer\"", "typ = \"integer\""),
            ('h', "address =", "adress ="),
            (
                'c',
                "[[cases.logs.vpc_flow]]\nset = { srcaddr = \"10.0.0.5\", dstport = 123",
                "[[cases.logs.vpc_flows]]\nset = { srcaddr = \"10.0.0.5\", dstport = 123",
            ),
            ('c', "every-secs", "every"),
            ('c', "dstport = 443", "dstprt = 443"),
        ],
    ),
    (
        "words",
        &[
            ('h', "name = \"some-hunt\"", "name = \"other-hunt\""),
            ('h', "\"T1496.001\"", "\"T1496.1\""),
            ('h', "\"high\"", "\"hihg\""),
            ('h', "[\"vpc_flow\"]", "[\"vpc-flow\"]"),
            ('c', "\"fires\"", "\"fire\""),
        ],
    ),
    (
        "texts",
        &[
            ('h', "\"Some\"", "\"a\\nb\""),
            ('h', "\"why\"", "\" \""),
            ('h', "[\"a download\"]", "[]"),
            ('h', "in {windows}", "in {windows"),
        ],
    ),
    (
        "parameters",
        &[
            ('h', "min = 2", "min = 7"),
            ('h', "name = \"ignore\"", "name = \"Ignore\""),
            ('q', "$ignore", "$ignored"),
            ('c', "min_windows = 5", "min_windows = 1"),
        ],
    ),
    (
        "parameters_of_other_types",
        &[
            ('h', "default = 6", "default = \"6\""),
            ('h', "default = []", "default = \"\""),
            ('c', "min_windows = 5", "min_window = 5"),
        ],
    ),
    (
        "unused_parameter",
        &[
            ('q', "$min_windows", "6"),
            ('q', "NOT IN ($ignore)", "<> $ignore"),
        ],
    ),
    (
        "columns",
        &[
            ('h', "evidence = [\"windows\"]", "evidence = [\"window\"]"),
            ('h', "address = \"srcaddr\"", "address = \"sraddr\""),
            ('h', "needs = [\"dstport\"]", "needs = [\"dst_port\"]"),
            ('h', "{dstport}", "{port}"),
            ('c', "windows = 6", "window = 6"),
        ],
    ),
    (
        "order_of_columns",
        &[(
            'q',
            "  srcaddr,\n  COUNT(DISTINCT window_epoch) AS windows,",
            "  COUNT(DISTINCT window_epoch) AS windows,\n  srcaddr,",
        )],
    ),
    (
        "order_of_rows",
        &[('q', "score DESC, srcaddr", "score DESC, windows")],
    ),
    ("no_order", &[('q', "ORDER BY score DESC, srcaddr", "")]),
    (
        "tables",
        &[
            ('q', "FROM vpc_flow", "FROM vpc_flows"),
            ('h', "[\"vpc_flow\"]", "[\"vpc_flow\", \"guard\"]"),
            ('q', "FROM flows", "FROM flow"),
        ],
    ),
    (
        "undeclared_table",
        &[('q', "FROM flows\n", "FROM flows CROSS JOIN guard\n")],
    ),
    (
        "names_in_the_query",
        &[
            ('q', "SELECT srcaddr, dstport,", "SELECT srcadr, dstport,"),
            ('q', "\"start\" AS", "start AS"),
            ('q', "HAVING COUNT(DISTINCT window_epoch)", "HAVING windows"),
            ('q', "MAX(started)", "MAX(vpc_flow.started)"),
        ],
    ),
    (
        "functions",
        &[
            (
                'q',
                "MIN(dstport)",
                "GREATEST(MIN(dstport), NOW(), date_bin(1))",
            ),
            (
                'q',
                "dstaddr NOT IN ($ignore)",
                "srcaddr ILIKE 'a' AND POSITION('a' IN srcaddr) > 0 AND dstaddr NOT IN ($ignore)",
            ),
            (
                'q',
                "MAX(started)",
                "MAX(started) FILTER (WHERE started > TIMESTAMP '2026-01-01')",
            ),
        ],
    ),
    (
        "arithmetic",
        &[(
            'q',
            "MIN(dstport) AS dstport",
            "SUM(dstport) / 2 + CAST(SUM(dstport) AS DOUBLE) / COUNT(*) + CAST(AVG(dstport) AS BIGINT) + CAST(MIN(dstport) AS INTEGER) + ROUND(SUM(dstport), 1) + MAX(dstport)::DOUBLE AS dstport",
        )],
    ),
    (
        "syntax_of_one_engine",
        &[
            (
                'q',
                "SELECT srcaddr",
                "SELECT DISTINCT ON (srcaddr) srcaddr",
            ),
            ('q', "GROUP BY srcaddr", "GROUP BY 4"),
            ('q', ">= $min_windows", ">= $min_windows QUALIFY 1 = 1"),
            (
                'q',
                "score DESC, srcaddr",
                "score DESC, srcaddr DESC LIMIT 3 OFFSET 1",
            ),
        ],
    ),
    (
        "windows",
        &[(
            'q',
            "MIN(dstport) AS dstport",
            "ROW_NUMBER() OVER (PARTITION BY srcaddr) + LAG(1) + LOWER(srcaddr) OVER (ORDER BY srcaddr) AS dstport",
        )],
    ),
    (
        "not_a_select",
        &[(
            'q',
            QUERY,
            "-- score\nDELETE FROM vpc_flow WHERE dstaddr IN ($ignore) OR $min_windows = 1;",
        )],
    ),
    (
        "two_selects",
        &[(
            'q',
            "ORDER BY score DESC, srcaddr",
            "ORDER BY score DESC, srcaddr; SELECT 1",
        )],
    ),
    (
        "unexplained_score",
        &[('q', "-- The score: 100 for each row.\n", "")],
    ),
    (
        "nameless_and_twice",
        &[
            (
                'q',
                "MIN(dstport) AS dstport",
                "MIN(dstport), MIN(dstport) AS windows",
            ),
            ('h', "{dstport}", "{windows}"),
        ],
    ),
    (
        "kinds_of_cases",
        &[
            ('c', "kind = \"benign\"", "kind = \"hostile\""),
            ('c', "name = \"a clock\"", "name = \"another port\""),
            (
                'c',
                "[[cases.rows]]\nsrcaddr = \"10.0.0.5\"\nwindows = 6\n",
                "",
            ),
        ],
    ),
    (
        "records",
        &[
            ('c', "times = 6", "times = 60000"),
            ('c', "dstport = 443", "dstport = [443]"),
            (
                'c',
                "\"10.0.0.5\", dstport = 123",
                "\"10.0.0.5 \", dstport = 123",
            ),
        ],
    ),
    (
        "a_case_of_another_log",
        &[(
            'c',
            "[[cases.logs.vpc_flow]]\nset = { srcaddr = \"10.0.0.5\", dstport = 123",
            "[[cases.logs.dns_query]]\nset = { srcaddr = \"10.0.0.5\", dstport = 123",
        )],
    ),
];

fn spoilt(changes: &[Change]) -> Result<Parsed, Faults> {
    let mut texts = [HUNT.to_owned(), QUERY.to_owned(), CASES.to_owned()];
    for (which, from, to) in changes {
        let text = match which {
            'h' => &mut texts[0],
            'q' => &mut texts[1],
            _ => &mut texts[2],
        };
        assert_eq!(text.matches(from).count(), 1, "{from}");
        *text = text.replace(from, to);
    }
    parse(&texts[0], &texts[1], &texts[2])
}

#[test]
fn each_mistake_is_told_with_its_place_and_its_remedy() {
    for (name, changes) in MISTAKES {
        let faults = spoilt(changes)
            .map(|_| panic!("{name} was read"))
            .unwrap_err();
        insta::assert_snapshot!(format!("mistake_{name}"), render_all(faults.faults()));
    }
}

#[test]
fn an_event_of_cloudtrail_has_to_be_counted_once() {
    let hunt = HUNT
        .replace("\"vpc_flow\"", "\"cloudtrail\"")
        .replace("\"dstport\"", "\"event_name\"")
        .replace("{dstport}", "{windows}");
    let cases = CASES
        .replace("vpc_flow", "cloudtrail")
        .replace("windows = 6", "windows = 6.5");
    let query = |events: &str| {
        format!(
            "-- score\n{events}SELECT CAST($min_windows AS DOUBLE) AS score, event_time AS first_seen, \
             event_time AS last_seen, principal AS srcaddr, 1 AS windows FROM events \
             WHERE principal NOT IN ($ignore) ORDER BY score DESC, srcaddr"
        )
    };
    let once = query(
        "WITH numbered AS (SELECT cloudtrail.*, ROW_NUMBER() OVER (PARTITION BY \
         COALESCE(event_id, _source) ORDER BY _source) AS nth FROM cloudtrail), \
         events AS (SELECT * FROM numbered WHERE nth = 1) ",
    );
    if let Err(faults) = parse(&hunt, &once, &cases) {
        panic!("{}", render_all(faults.faults()));
    }
    let twice = query("WITH events AS (SELECT * FROM cloudtrail) ");
    let faults = parse(&hunt, &twice, &cases).unwrap_err();
    insta::assert_snapshot!("mistake_events_twice", render_all(faults.faults()));
}

#[test]
fn every_shipped_hunt_writes_its_technique_severity_and_columns() {
    let mut listed = String::new();
    for parsed in shipped() {
        let hunt = &parsed.hunt;
        let kinds: BTreeSet<CaseKind> = parsed.cases.iter().map(|case| case.kind).collect();
        assert_eq!(kinds.len(), CaseKind::ALL.len(), "{}", hunt.name);
        listed += &format!(
            "{} ({}, {}): {}\n",
            hunt.name,
            hunt.severity.as_str(),
            hunt.techniques.join(" "),
            hunt.columns.join(" ")
        );
    }
    insta::assert_snapshot!("shipped_hunts", listed);
}

#[test]
fn the_page_for_users_names_every_word_and_every_shipped_hunt() {
    let page = include_str!("../../../docs/hunts-writing.md");
    let functions = FUNCTIONS.iter().chain(WINDOW_FUNCTIONS);
    let upper: Vec<String> = functions.map(|name| name.to_uppercase()).collect();
    let words = ENTITIES
        .iter()
        .map(|(_, name)| *name)
        .chain(Table::ALL.iter().map(|(_, name)| *name))
        .chain(CaseKind::ALL.iter().map(|(_, name)| *name))
        .chain(SHIPPED.iter().map(|hunt| hunt.name))
        .chain(upper.iter().map(String::as_str));
    for word in words {
        assert!(page.contains(&format!("`{word}`")), "{word}");
    }
}
