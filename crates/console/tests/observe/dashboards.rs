//! The dashboards in `deploy/grafana`.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::alerts::{exported, named};
use crate::{path, promtool, text};

const DASHBOARDS: [&str; 2] = ["deploy/grafana/console.json", "deploy/grafana/guard.json"];
/// The columns of a dashboard.
const COLUMNS: i64 = 24;

fn dashboard(name: &str) -> Value {
    serde_json::from_str(&text(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn panels(dashboard: &Value) -> &[Value] {
    dashboard["panels"].as_array().expect("panels")
}

/// Every expression, with what Grafana puts in put in.
fn expressions(dashboard: &Value) -> Vec<String> {
    let targets = panels(dashboard)
        .iter()
        .flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let expressions = targets.map(|target| target["expr"].as_str().expect("an expression"));
    expressions
        .map(|expression| expression.replace("$instance", ".*"))
        .collect()
}

#[test]
fn every_file_there_is_looked_at() {
    let files = std::fs::read_dir(path("deploy/grafana")).expect("a folder");
    let found: BTreeSet<String> = files
        .map(|file| {
            file.expect("a file")
                .file_name()
                .into_string()
                .expect("text")
        })
        .collect();
    let wanted = DASHBOARDS.map(|name| name.trim_start_matches("deploy/grafana/").to_owned());
    assert_eq!(found, wanted.into());
}

#[test]
fn a_dashboard_is_one_that_grafana_takes() {
    let mut uids = BTreeSet::new();
    for name in DASHBOARDS {
        let dashboard = dashboard(name);
        assert!(uids.insert(dashboard["uid"].as_str().expect("a uid").to_owned()));
        assert!(dashboard["title"].is_string() && dashboard["schemaVersion"].is_i64());
        assert_eq!(
            dashboard.get("id"),
            None,
            "{name}: an id is an installation's"
        );
        let variables = dashboard["templating"]["list"]
            .as_array()
            .expect("variables");
        let source = variables
            .iter()
            .find(|variable| variable["name"] == "datasource");
        let source = source.unwrap_or_else(|| panic!("{name}: whose numbers?"));
        assert_eq!(
            (&source["type"], &source["query"]),
            (&json!("datasource"), &json!("prometheus"))
        );
        let (mut ids, mut taken) = (BTreeSet::new(), BTreeSet::new());
        for panel in panels(&dashboard) {
            let title = panel["title"].as_str().expect("a title");
            assert!(
                ids.insert(panel["id"].as_i64()),
                "{name}: {title}: an id twice"
            );
            let place = |key: &str| panel["gridPos"][key].as_i64().expect("a place");
            let (x, y, w, h) = (place("x"), place("y"), place("w"), place("h"));
            assert!(
                x >= 0 && w > 0 && h > 0 && x + w <= COLUMNS,
                "{name}: {title}"
            );
            for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
                assert!(taken.insert(cell), "{name}: {title} lies over another");
            }
            if panel["type"] == "row" {
                continue;
            }
            assert!(["stat", "timeseries"].contains(&panel["type"].as_str().expect("a type")));
            assert!(
                panel["description"]
                    .as_str()
                    .is_some_and(|text| !text.is_empty()),
                "{title}"
            );
            let targets = panel["targets"].as_array().expect("targets");
            let references: BTreeSet<_> = targets
                .iter()
                .map(|target| target["refId"].as_str())
                .collect();
            assert_eq!(references.len(), targets.len(), "{name}: {title}");
            for asker in targets.iter().chain([panel]) {
                let wanted = json!({"type": "prometheus", "uid": "${datasource}"});
                assert_eq!(asker["datasource"], wanted, "{name}: {title}");
            }
        }
    }
}

#[test]
fn prometheus_reads_every_expression() {
    for name in DASHBOARDS {
        let expressions = expressions(&dashboard(name));
        assert!(expressions.len() > 15, "{name}");
        let rules = expressions.iter().enumerate().map(|(n, expression)| {
            // JSON is YAML.
            json!({"record": format!("davylamp:panel:{n}"), "expr": expression})
        });
        let rules: Vec<Value> = rules.collect();
        let file = json!({"groups": [{"name": "panels", "rules": rules}]});
        let folder = tempfile::TempDir::new().expect("a folder");
        let path = folder.path().join("panels.yaml");
        std::fs::write(&path, file.to_string()).expect("written");
        let said = promtool(&["check", "rules", path.to_str().expect("text")], "");
        assert!(
            said.contains(&format!("{} rules found", expressions.len())),
            "{said}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dashboards_show_what_is_exported() {
    let exported = exported().await;
    let mut shown = BTreeSet::new();
    for name in DASHBOARDS {
        for expression in expressions(&dashboard(name)) {
            let named = named(&expression);
            let unknown: Vec<_> = named.difference(&exported).collect();
            assert!(unknown.is_empty(), "{name}: nobody exports {unknown:?}");
            shown.extend(named);
        }
    }
    let console = |name: &&String| name.starts_with("davylamp_console_");
    let left_out: Vec<_> = exported.difference(&shown).filter(console).collect();
    assert!(left_out.is_empty(), "on no dashboard: {left_out:?}");
}
