//! The pages name every key and every field, and nothing that is not there.

use std::collections::BTreeSet;

use davylamp_content::settings::{Section, defaults, load};
use serde_json::Value as Json;
use toml::{Table, Value};

use crate::bench::Bench;

const CONFIGURATION: &str = include_str!("../../../../docs/configuration.md");
const EXPLAIN: &str = include_str!("../../../../docs/explain.md");
const SCHEMA: &str = include_str!("../../../../deploy/helm/davylamp/values.schema.json");

fn sections() -> [Section; 5] {
    [
        davylamp_guard::config::section(),
        davylamp_respond::config::section(),
        davylamp_forward::config::section(),
        davylamp_console::config::section(),
        davylamp_recorder::config::section(),
    ]
}

/// Every key with its default as TOML.
fn keys() -> Vec<(String, String)> {
    fn collect(prefix: &str, table: &Table, found: &mut Vec<(String, String)>) {
        for (name, value) in table {
            match value {
                Value::Table(inner) => collect(&format!("{prefix}{name}."), inner, found),
                value => found.push((format!("{prefix}{name}"), value.to_string())),
            }
        }
    }
    let mut found = Vec::new();
    collect("", &defaults(&sections()), &mut found);
    for list in sections().iter().flat_map(|section| &section.lists) {
        collect(&format!("{}.", list.key), &list.defaults, &mut found);
    }
    found
}

#[test]
fn every_key_is_documented_with_its_default_and_no_other() {
    // The rows of the tables: | `key` | default | takes | what it is |
    let rows: Vec<Vec<&str>> = CONFIGURATION
        .lines()
        .filter(|line| {
            ["guard", "respond", "forward", "console", "record"]
                .iter()
                .any(|table| line.starts_with(&format!("| `{table}.")))
        })
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    let documented: Vec<(String, String)> = rows
        .iter()
        .map(|row| {
            (
                row[0].trim_matches('`').to_owned(),
                row[1].trim_matches('`').to_owned(),
            )
        })
        .collect();
    let sorted: BTreeSet<_> = documented.iter().cloned().collect();
    assert_eq!(
        sorted,
        keys().into_iter().collect(),
        "docs/configuration.md and the types"
    );
    assert_eq!(sorted.len(), documented.len(), "no key twice");
    for bounds in sections().iter().flat_map(|section| section.bounds) {
        let row = rows
            .iter()
            .find(|row| row[0].trim_matches('`') == bounds.key)
            .expect("a row");
        assert_eq!(row[2], bounds.to_string(), "{}", bounds.key);
    }
}

#[test]
fn the_example_is_a_good_configuration() {
    let example = CONFIGURATION
        .split("```toml\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    load(
        &sections(),
        Some(("docs/configuration.md", example.expect("an example"))),
        &[],
    )
    .expect("it loads");
}

#[test]
fn the_configuration_for_systemd_is_good() {
    let text = include_str!("../../../../deploy/systemd/davy.toml");
    load(&sections(), Some(("deploy/systemd/davy.toml", text)), &[]).expect("it loads");
}

#[test]
fn what_the_chart_takes_is_what_the_guard_takes() {
    fn check(path: &str, schema: &Json, table: &Table) {
        for (name, property) in schema["properties"].as_object().expect("properties") {
            let key = format!("{path}.{name}");
            let value = table
                .get(name)
                .unwrap_or_else(|| panic!("the guard has no {key}"));
            if let Value::Table(inner) = value {
                check(&key, property, inner);
            }
            if let Some(bounds) = davylamp_guard::config::BOUNDS
                .iter()
                .find(|bounds| bounds.key == key)
            {
                let least = if bounds.or_zero { 0 } else { bounds.least };
                assert_eq!(property["minimum"], least, "{key}");
                assert_eq!(property["maximum"], bounds.most, "{key}");
            }
        }
    }
    let schema: Json = serde_json::from_str(SCHEMA).expect("JSON");
    let defaults = defaults(&sections());
    let guard = defaults["guard"].as_table().expect("a table");
    check("guard", &schema["properties"]["guard"], guard);
}

#[test]
fn every_field_of_an_explanation_is_documented() {
    fn collect(value: &Json, found: &mut BTreeSet<String>) {
        match value {
            Json::Object(fields) => {
                for (name, value) in fields {
                    found.insert(name.clone());
                    collect(value, found);
                }
            }
            Json::Array(items) => items.iter().for_each(|item| collect(item, found)),
            _ => {}
        }
    }
    let bench = Bench::new();
    bench.write(
        "list.yaml",
        "bannedCommandStrings: [{string: zebra-quux, reason: a word, scanEnvironment: true}]\n\
         allowedCommandPatterns:\n\
         - {pattern: \"x.*\", namespace: a, image: b, container: c}\n\
         - {pattern: \"x.*\", host: true}\n",
    );
    let input = b"x zebra-quux\nx zebra-quuxes\n";
    let ran = bench.explain(&["--stdin", "--output", "json"], input);
    let mut fields = BTreeSet::new();
    for line in ran.stdout.lines() {
        collect(&serde_json::from_str(line).expect("JSON"), &mut fields);
    }
    assert!(fields.len() > 15, "{}", ran.whole());
    for field in fields {
        assert!(
            EXPLAIN.contains(&format!("`{field}`")),
            "docs/explain.md does not name {field}"
        );
    }
}
