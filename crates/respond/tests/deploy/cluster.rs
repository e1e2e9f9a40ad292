//! The role in a cluster against the kinds that the actuators name.

use std::collections::BTreeSet;
use std::path::Path;

type Rule = (String, String, String);

/// The rules of the role: group, resource, verb.
fn granted() -> BTreeSet<Rule> {
    let root = Path::new("../..");
    let text = std::fs::read_to_string(root.join("deploy/kubernetes/responder-rbac.yaml")).unwrap();
    let list = |line: &str, name: &str| -> Option<Vec<String>> {
        let rest = line.trim().trim_start_matches("- ").strip_prefix(name)?;
        let inner = rest.trim().strip_prefix('[')?.strip_suffix(']')?;
        let texts = inner.split(',').map(|one| one.trim().trim_matches('"'));
        Some(texts.map(str::to_owned).collect())
    };
    let (mut groups, mut resources) = (Vec::new(), Vec::new());
    let mut granted = BTreeSet::new();
    for line in text.lines() {
        if let Some(found) = list(line, "apiGroups:") {
            groups = found;
        } else if let Some(found) = list(line, "resources:") {
            resources = found;
        } else if let Some(verbs) = list(line, "verbs:") {
            for group in &groups {
                for resource in &resources {
                    for verb in &verbs {
                        granted.insert((group.clone(), resource.clone(), verb.clone()));
                    }
                }
            }
        }
    }
    granted
}

/// Group and plural of every kind that the actuators name.
fn kinds() -> Vec<(String, String)> {
    let source = include_str!("../../src/kubernetes/objects.rs");
    source
        .split("Self = Self(")
        .skip(1)
        .map(|part| {
            let texts: Vec<&str> = part
                .split(");")
                .next()
                .unwrap_or_default()
                .split('"')
                .skip(1)
                .step_by(2)
                .collect();
            (texts[0].to_owned(), texts[2].to_owned())
        })
        .collect()
}

#[test]
fn every_kind_may_be_looked_at_and_changed() {
    let granted = granted();
    let kinds = kinds();
    assert!(kinds.len() >= 9, "{kinds:?}");
    for (group, resource) in &kinds {
        for verb in ["get", "patch"] {
            let rule = (group.clone(), resource.clone(), verb.to_owned());
            assert!(granted.contains(&rule), "{rule:?}");
        }
    }
    // What is changed is named by an actuator.
    for (group, resource, verb) in &granted {
        let resource = resource.trim_end_matches("/eviction");
        let is_ours = kinds.contains(&(group.clone(), resource.to_owned()));
        assert!(
            is_ours || verb == "get" || verb == "list",
            "{verb} {group}/{resource}"
        );
    }
}

#[test]
fn nothing_is_granted_that_could_be_used_to_get_more() {
    for (group, resource, verb) in granted() {
        assert!(
            ![&group, &resource, &verb]
                .iter()
                .any(|part| part.contains('*')),
            "{verb} {group}/{resource}"
        );
        assert!(
            !["secrets", "pods/exec", "serviceaccounts/token"].contains(&resource.as_str())
                && group != "rbac.authorization.k8s.io"
                && !["escalate", "bind", "impersonate"].contains(&verb.as_str()),
            "{verb} {group}/{resource}"
        );
        assert!(
            verb != "create" || ["pods/eviction", "networkpolicies"].contains(&resource.as_str())
        );
    }
}
