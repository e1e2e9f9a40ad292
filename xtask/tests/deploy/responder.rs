//! What the chart lets the responder do in a cluster: what deploy/kubernetes/responder-rbac.yaml lists,
//! which a test of `davylamp-respond` compares with the calls that the code makes.

use std::collections::BTreeSet;

use k8s_openapi::api::{
    core::v1::ServiceAccount,
    rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding},
};
use serde_json::Value;

use crate::{
    objects::known,
    render::{Rendered, rendered},
    text,
};

type Right = (String, String, String);

/// Group, resource and verb of each rule.
fn rights(rules: &Value) -> BTreeSet<Right> {
    let texts = |rule: &Value, key: &str| -> Vec<String> {
        let list = rule[key].as_array().expect("a list");
        list.iter()
            .map(|text| text.as_str().expect("a text").to_owned())
            .collect()
    };
    let mut found = BTreeSet::new();
    for rule in rules.as_array().expect("rules") {
        for group in texts(rule, "apiGroups") {
            for resource in texts(rule, "resources") {
                for verb in texts(rule, "verbs") {
                    found.insert((group.clone(), resource.clone(), verb));
                }
            }
        }
    }
    found
}

/// The rights of the role that is applied without a chart.
fn written_out() -> BTreeSet<Right> {
    let list = |line: &str, name: &str| -> Option<Vec<String>> {
        let rest = line.trim().trim_start_matches("- ").strip_prefix(name)?;
        let inner = rest.trim().strip_prefix('[')?.strip_suffix(']')?;
        let texts = inner.split(',').map(|one| one.trim().trim_matches('"'));
        Some(texts.map(str::to_owned).collect())
    };
    let (mut groups, mut resources) = (Vec::new(), Vec::new());
    let mut found = BTreeSet::new();
    for line in text("deploy/kubernetes/responder-rbac.yaml").lines() {
        if let Some(said) = list(line, "apiGroups:") {
            groups = said;
        } else if let Some(said) = list(line, "resources:") {
            resources = said;
        } else if let Some(verbs) = list(line, "verbs:") {
            for group in &groups {
                for resource in &resources {
                    for verb in &verbs {
                        found.insert((group.clone(), resource.clone(), verb.clone()));
                    }
                }
            }
        }
    }
    found
}

fn of_kind<'r>(rendered: &'r Rendered, kind: &str) -> Vec<&'r Value> {
    rendered
        .objects()
        .iter()
        .map(|object| &object.body)
        .filter(|body| body["kind"] == kind)
        .collect()
}

/// Changes, not looks.
fn changes(rights: &BTreeSet<Right>) -> Vec<&Right> {
    rights
        .iter()
        .filter(|(_, _, verb)| !matches!(verb.as_str(), "get" | "list"))
        .collect()
}

#[test]
fn the_guard_has_no_right_in_the_cluster() {
    let rendered = rendered("{}");
    for kind in ["Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"] {
        assert!(of_kind(&rendered, kind).is_empty(), "{kind}");
    }
    let pod = &rendered.daemon_set()["spec"]["template"]["spec"];
    assert_eq!(pod["automountServiceAccountToken"], false);
}

#[test]
fn the_whole_role_is_the_one_that_is_written_out() {
    let rendered = rendered("responder: {rbac: {create: true, nodes: true}}");
    let roles = of_kind(&rendered, "ClusterRole");
    assert_eq!(roles.len(), 1);
    known::<ClusterRole>(roles[0]);
    assert_eq!(rights(&roles[0]["rules"]), written_out());
    let bindings = of_kind(&rendered, "ClusterRoleBinding");
    known::<ClusterRoleBinding>(bindings[0]);
    let account = of_kind(&rendered, "ServiceAccount");
    known::<ServiceAccount>(account[0]);
    assert_eq!(
        bindings[0]["subjects"][0]["name"],
        account[0]["metadata"]["name"]
    );
    assert!(of_kind(&rendered, "Role").is_empty());
}

#[test]
fn nodes_are_changed_only_where_that_is_asked_for() {
    let rendered = rendered("responder: {rbac: {create: true}}");
    let role = rights(&of_kind(&rendered, "ClusterRole")[0]["rules"]);
    for (_, resource, verb) in changes(&role) {
        assert!(
            !["nodes", "nodepools"].contains(&resource.as_str()),
            "{verb} {resource}"
        );
    }
    let without: BTreeSet<Right> = written_out()
        .into_iter()
        .filter(|(_, resource, verb)| {
            verb != "patch" || !["nodes", "nodepools"].contains(&resource.as_str())
        })
        .collect();
    assert_eq!(role, without);
}

#[test]
fn in_some_namespaces_nothing_is_changed_elsewhere() {
    let rendered = rendered("responder: {rbac: {create: true, namespaces: [jhub, lab]}}");
    let cluster = rights(&of_kind(&rendered, "ClusterRole")[0]["rules"]);
    assert!(changes(&cluster).is_empty(), "{cluster:?}");
    let mut all = cluster;
    let roles = of_kind(&rendered, "Role");
    let namespaces: Vec<_> = roles
        .iter()
        .map(|role| role["metadata"]["namespace"].as_str().expect("a namespace"))
        .collect();
    assert_eq!(namespaces, ["jhub", "lab"]);
    for role in &roles {
        known::<Role>(role);
        all.extend(rights(&role["rules"]));
    }
    for binding in of_kind(&rendered, "RoleBinding") {
        known::<RoleBinding>(binding);
        assert_eq!(binding["subjects"][0]["namespace"], "support");
    }
    let without_nodes: BTreeSet<Right> = written_out()
        .into_iter()
        .filter(|(_, resource, verb)| {
            verb != "patch" || !["nodes", "nodepools"].contains(&resource.as_str())
        })
        .collect();
    assert_eq!(all, without_nodes);
}
