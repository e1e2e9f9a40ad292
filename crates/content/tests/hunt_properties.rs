//! Hunts: any text is a hunt or faults, and no value of a parameter ends its literal.

use std::collections::BTreeMap;

use davylamp_content::Source;
use davylamp_content::hunt::{self, Parameter, ParameterKind, SHIPPED, Sources, Table};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use sqlparser::dialect::{AnsiDialect, Dialect, DuckDbDialect, GenericDialect};
use sqlparser::tokenizer::{Token, Tokenizer};

/// Whatever the texts are, each problem can be shown.
fn look_at(hunt: &str, query: &str, cases: &str) {
    let source = |name, text| Source { name, text };
    let read = hunt::parse(Sources {
        hunt: source("a-hunt/hunt.toml", hunt),
        query: source("a-hunt/query.sql", query),
        cases: source("a-hunt/cases.toml", cases),
    });
    match read {
        Ok(parsed) => {
            let sql = parsed.hunt.sql(&BTreeMap::new());
            assert!(sql.is_ok());
            for case in &parsed.cases {
                for (table, log) in case.logs() {
                    hunt::render(table, &log);
                }
            }
        }
        Err(faults) => {
            assert!(!faults.faults().is_empty());
            for record in faults.records() {
                assert!(record.line > 0 && record.column > 0);
                assert!(!record.help.is_empty());
            }
        }
    }
}

fn fragments() -> impl Strategy<Value = String> {
    let pieces = [
        "SELECT ",
        "FROM vpc_flow ",
        "WITH a AS (",
        ")",
        "(",
        "WHERE ",
        "GROUP BY ",
        "ORDER BY ",
        "UNION ALL ",
        "CASE WHEN ",
        "THEN ",
        "ELSE ",
        "END ",
        "NOT ",
        "- ",
        "+ ",
        "/ ",
        "AND ",
        "IN (",
        "EXISTS (",
        "OVER (",
        "PARTITION BY ",
        "COUNT(",
        "DISTINCT ",
        "CAST(",
        "AS DOUBLE)",
        "AS score ",
        "$x ",
        "$",
        "$$",
        "?",
        ":a ",
        "'a' ",
        "'",
        "\"start\" ",
        "\"",
        "1 ",
        "1.5 ",
        ", ",
        ". ",
        "* ",
        "srcaddr ",
        "vpc_flow.",
        "--",
        "/*",
        "*/",
        "\n",
        "é",
        "😀",
        "\0",
        ";",
        "[",
        "]",
        "{",
        "}",
        "::int ",
        "INTERVAL '1' DAY ",
        "LATERAL ",
        "cluster ",
        "E'\\'",
        "LIKE ",
        "BETWEEN ",
        "IS NULL ",
        "JOIN b ON ",
        "FILTER (",
        "X'0' ",
        "name = \"a\"\n",
        "[[cases]]\n",
        "[[cases.logs.vpc_flow]]\n",
        "set = { start = 1 }\n",
        "repeat = { times = 1 }\n",
    ];
    prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..60)
        .prop_map(|pieces| pieces.concat())
}

/// Shipped texts of which one has lost some bytes and got others.
fn damaged() -> impl Strategy<Value = [String; 3]> {
    let edit = (any::<prop::sample::Index>(), 0..20_usize, fragments());
    (
        0..SHIPPED.len(),
        0..3_usize,
        prop::collection::vec(edit, 1..4),
    )
        .prop_map(|(which, text, edits)| {
            let shipped = SHIPPED[which];
            let mut texts = [shipped.hunt, shipped.query, shipped.cases].map(str::to_owned);
            let mut chars: Vec<char> = texts[text].chars().collect();
            for (at, lost, put_in) in edits {
                let at = at.index(chars.len() + 1);
                let end = (at + lost).min(chars.len());
                chars.splice(at..end, put_in.chars());
            }
            texts[text] = chars.into_iter().collect();
            texts
        })
}

fn parameter(kind: ParameterKind) -> Parameter {
    Parameter {
        name: "x".to_owned(),
        kind,
        default: json!(null),
        min: None,
        max: None,
        why: String::new(),
    }
}

/// The tokens of a text with the literal in the middle, blanks left out.
fn tokens(dialect: &dyn Dialect, text: &str) -> Vec<Token> {
    let tokens = Tokenizer::new(dialect, text).tokenize().unwrap();
    let is_told = |token: &Token| !matches!(token, Token::Whitespace(_));
    tokens.into_iter().filter(is_told).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_texts_are_a_hunt_or_faults(hunt in ".{0,100}", query in ".{0,100}", cases in ".{0,100}") {
        look_at(&hunt, &query, &cases);
    }

    #[test]
    fn any_bytes_are_a_hunt_or_faults(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        match Source::from_bytes("query.sql", &bytes) {
            Ok(source) => look_at(source.text, source.text, source.text),
            Err(faults) => assert!(!faults.faults().is_empty()),
        }
    }

    #[test]
    fn any_pieces_are_a_hunt_or_faults(query in fragments(), cases in fragments()) {
        look_at(SHIPPED[0].hunt, &query, &cases);
    }

    #[test]
    fn a_damaged_hunt_is_a_hunt_or_faults(texts in damaged()) {
        look_at(&texts[0], &texts[1], &texts[2]);
    }

    #[test]
    fn a_text_is_one_literal_and_says_the_same(text in any::<String>()) {
        prop_assume!(!text.contains('\0'));
        let literal = parameter(ParameterKind::Text).literal(&json!(text)).unwrap();
        for dialect in [&AnsiDialect {} as &dyn Dialect, &DuckDbDialect {}, &GenericDialect {}] {
            let tokens = tokens(dialect, &format!("({literal})"));
            let [Token::LParen, Token::SingleQuotedString(read), Token::RParen] = tokens.as_slice()
            else {
                panic!("{literal}: {tokens:?}");
            };
            prop_assert_eq!(read, &text);
        }
    }

    #[test]
    fn a_list_is_its_literals(list in prop::collection::vec("[^\0]{0,9}", 0..5)) {
        let literal = parameter(ParameterKind::TextList).literal(&json!(list)).unwrap();
        let tokens = tokens(&AnsiDialect {}, &literal);
        let read: Vec<&str> = tokens
            .iter()
            .filter_map(|token| match token {
                Token::SingleQuotedString(text) => Some(text.as_str()),
                Token::Comma => None,
                other => panic!("{literal}: {other:?}"),
            })
            .collect();
        let expected = if list.is_empty() { vec![""] } else { list.iter().map(String::as_str).collect() };
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn a_number_is_one_literal(whole in -(1_i64 << 53)..(1 << 53), fraction in any::<f64>()) {
        let literal = parameter(ParameterKind::Integer).literal(&json!(whole)).unwrap();
        let digits = literal.trim_start_matches('(').trim_end_matches(')');
        prop_assert_eq!(digits.parse::<i64>().unwrap(), whole);
        // A minus in front of it must not begin a comment.
        let read = tokens(&AnsiDialect {}, &format!("-{literal}"));
        let count = if whole < 0 { 5 } else { 2 };
        prop_assert_eq!(read.len(), count);
        match parameter(ParameterKind::Number).literal(&json!(fraction)) {
            Ok(literal) => {
                let number = literal.strip_prefix("CAST(").and_then(|rest| rest.strip_suffix(" AS DOUBLE)"));
                prop_assert_eq!(number.unwrap().parse::<f64>().unwrap(), fraction);
            }
            Err(_) => prop_assert!(!fraction.is_finite()),
        }
    }

    #[test]
    fn values_of_other_types_are_refused(value in prop_oneof![
        Just(json!(null)), Just(json!(true)), Just(json!({})), Just(json!([[]])), Just(json!("a\0b")),
        Just(json!(1.5)), Just(json!(u64::MAX)),
    ]) {
        for kind in [ParameterKind::Integer, ParameterKind::Interval, ParameterKind::Text, ParameterKind::TextList] {
            prop_assert!(parameter(kind).literal(&value).is_err());
        }
    }

    #[test]
    fn a_flow_log_has_a_line_for_each_record(ports in prop::collection::vec(0..65_536, 0..20)) {
        let records: Vec<Map<String, Value>> = ports
            .iter()
            .map(|port| Map::from_iter([("dstport".to_owned(), json!(port))]))
            .collect();
        let text = hunt::render(Table::VpcFlow, &records);
        let read: Vec<i32> = text.lines().skip(1).map(|line| line.parse().unwrap()).collect();
        prop_assert_eq!(read, ports);
    }
}

#[test]
fn nesting_and_chains_without_end_are_faults() {
    let hunt = SHIPPED[0].hunt;
    let cases = SHIPPED[0].cases;
    for query in [
        format!(
            "-- score\nSELECT {}1{}",
            "(".repeat(20_000),
            ")".repeat(20_000)
        ),
        format!("-- score\nSELECT 1{}", " + 1".repeat(15_000)),
        format!("-- score\nSELECT {}1", "- ".repeat(20_000)),
        format!("-- score\nSELECT {}1", "NOT ".repeat(10_000)),
        format!("-- score\nSELECT a{}", " IS NULL".repeat(5_000)),
        format!("-- score\nSELECT a{}", " NOTNULL".repeat(5_000)),
        format!("-- score\nSELECT a{}", "::int".repeat(10_000)),
        format!("-- score\nSELECT a{}", "[1]".repeat(10_000)),
        format!("-- score\nSELECT a{}", ".a".repeat(20_000)),
        format!("-- score\nSELECT {}", "CASE WHEN 1 THEN ".repeat(3_000)),
        format!("-- score\nSELECT 1{}", " UNION ALL SELECT 1".repeat(3_000)),
        format!("-- score\n{}SELECT 1", "WITH a AS (".repeat(5_000)),
        format!("-- score\nSELECT * FROM {}a", "(a JOIN ".repeat(5_000)),
        format!("-- score\nSELECT {}", "a, ".repeat(20_000)),
        "-- score\nSELECT 1 ".to_owned() + &"x".repeat(100_000),
    ] {
        look_at(hunt, &query, cases);
        // Just below the bounds nothing overflows either.
        let shorter: String = query.chars().take(1100).collect();
        look_at(hunt, &shorter, cases);
        let shorter: String = query.chars().take(4000).collect();
        look_at(hunt, &shorter, cases);
    }
}
