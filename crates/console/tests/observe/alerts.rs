//! The alert rules in `deploy/prometheus`.

use std::collections::BTreeSet;

use crate::metrics::{busy, families};
use crate::{metrics, path, promtool, text};

const RULES: &str = "deploy/prometheus/davylamp.rules.yaml";
const TESTS: &str = "deploy/prometheus/davylamp.rules.test.yaml";

/// What follows each `key:` of a file.
fn values<'a>(text: &'a str, key: &str) -> BTreeSet<&'a str> {
    let lines = text
        .lines()
        .map(|line| line.trim().trim_start_matches("- "));
    let values = lines.filter_map(|line| line.strip_prefix(key));
    values.map(str::trim).collect()
}

/// The metrics of ours that an expression names.
pub fn named(expression: &str) -> BTreeSet<String> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    expression
        .split(|c: char| !is_word(c))
        .filter(|word| word.starts_with("davylamp_console_") || word.starts_with("davylamp_guard_"))
        .map(|word| {
            let end = ["_bucket", "_sum", "_count"]
                .into_iter()
                .find_map(|end| word.strip_suffix(end));
            end.unwrap_or(word).to_owned()
        })
        .collect()
}

/// What a console exports as it runs, and what the guard does, whose own tests hold its page of
/// documentation and its answers together.
pub async fn exported() -> BTreeSet<String> {
    let world = busy().await;
    let page = metrics(&world).await;
    world.end().await;
    let mut exported: BTreeSet<String> = families(&page).into_keys().collect();
    for page in ["docs/metrics.md", "docs/console-metrics.md"] {
        let text = text(page);
        let names = text
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split(['`', '{']).next());
        // What a console exports once it has done its daily work; `chores` sees it do so.
        let is_wanted = |name: &&str| {
            name.starts_with("davylamp_guard_")
                || [
                    "chore_done_seconds",
                    "ledger_faulty",
                    "ledger_verified_entries",
                ]
                .iter()
                .any(|end| *name == format!("davylamp_console_{end}"))
        };
        exported.extend(names.filter(is_wanted).map(str::to_owned));
    }
    exported
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_are_about_what_is_exported() {
    let (rules, exported) = (text(RULES), exported().await);
    let named = named(&rules);
    assert!(named.len() > 20, "{named:?}");
    let unknown: Vec<_> = named.difference(&exported).collect();
    assert!(unknown.is_empty(), "nobody exports {unknown:?}");
}

#[test]
fn promtool_has_no_fault_to_find_and_every_alert_sounds_when_it_has_to() {
    let rules = path(RULES);
    promtool(&["check", "rules", rules.to_str().expect("text")], "");
    let tests = path(TESTS);
    promtool(&["test", "rules", tests.to_str().expect("text")], "");
    let (rules, tests) = (text(RULES), text(TESTS));
    let alerts = values(&rules, "alert:");
    assert!(alerts.len() > 15, "{alerts:?}");
    assert_eq!(alerts, values(&tests, "alertname:"), "each is tested");
    for alert in alerts {
        let quiet = format!("alertname: {alert}, exp_alerts: []");
        assert!(
            tests.contains(&quiet),
            "{alert} has no test that it is quiet"
        );
    }
}

#[test]
fn what_is_named_is_found() {
    let found = named(
        "sum(rate(davylamp_console_x_seconds_bucket{a=\"davylamp\"}[5m])) / davylamp_guard_y",
    );
    let wanted = ["davylamp_console_x_seconds", "davylamp_guard_y"];
    assert_eq!(found, wanted.map(str::to_owned).into());
}
