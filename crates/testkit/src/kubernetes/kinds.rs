//! The kinds that exist, and what they are called in paths.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Kinds with a plural that is not the lower-case kind and an `s`.
const PLURALS: [(&str, &str); 4] = [
    ("NetworkPolicy", "networkpolicies"),
    ("PodMetrics", "pods"),
    ("NodeMetrics", "nodes"),
    ("Ingress", "ingresses"),
];

/// Kinds that exist in every cluster: version, kind, whether in a namespace.
const BUILT_IN: [(&str, &str, bool); 16] = [
    ("v1", "Namespace", false),
    ("v1", "Node", false),
    ("v1", "Pod", true),
    ("v1", "PersistentVolume", false),
    ("v1", "PersistentVolumeClaim", true),
    ("v1", "Service", true),
    ("v1", "Secret", true),
    ("v1", "ConfigMap", true),
    ("v1", "Event", true),
    ("apps/v1", "Deployment", true),
    ("apps/v1", "ReplicaSet", true),
    ("apps/v1", "StatefulSet", true),
    ("apps/v1", "DaemonSet", true),
    ("batch/v1", "Job", true),
    ("batch/v1", "CronJob", true),
    ("networking.k8s.io/v1", "NetworkPolicy", true),
];

/// A kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kind {
    /// `v1`, `apps/v1`.
    pub api_version: String,
    /// `Deployment`.
    pub kind: String,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
}

/// The kinds that exist, by group and plural.
#[derive(Debug)]
pub struct Kinds(BTreeMap<(String, String), Kind>);

impl Kinds {
    /// Those of an empty cluster.
    pub fn built_in() -> Self {
        let mut kinds = Self(BTreeMap::new());
        for (api_version, kind, namespaced) in BUILT_IN {
            kinds.learn(api_version, kind, namespaced);
        }
        kinds
    }

    /// Adds a kind unless it is there, and gives its group and plural.
    pub fn learn(&mut self, api_version: &str, kind: &str, namespaced: bool) -> (String, String) {
        let key = (group_of(api_version).to_owned(), plural_of(kind));
        self.0.entry(key.clone()).or_insert_with(|| Kind {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            namespaced,
        });
        key
    }

    /// The kind that a path names.
    pub fn find(&self, group: &str, plural: &str) -> Option<&Kind> {
        self.0.get(&(group.to_owned(), plural.to_owned()))
    }

    /// The documents by which clients find out what exists.
    pub fn discovery(&self, path: &str) -> Option<Value> {
        match path.trim_end_matches('/') {
            "/version" => Some(json!({
                "major": "1", "minor": "33", "gitVersion": "v1.33.0-double",
                "gitCommit": "", "gitTreeState": "clean", "buildDate": "2026-01-01T00:00:00Z",
                "goVersion": "", "compiler": "", "platform": "linux/amd64",
            })),
            "/api" => Some(json!({
                "kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [],
            })),
            "/apis" => Some(self.groups()),
            "/api/v1" => Some(self.resources("v1")),
            other => {
                let version = other.strip_prefix("/apis/")?;
                (version.split('/').count() == 2
                    && self.0.values().any(|kind| kind.api_version == version))
                .then(|| self.resources(version))
            }
        }
    }

    fn groups(&self) -> Value {
        let mut groups: BTreeMap<&str, &str> = BTreeMap::new();
        for kind in self.0.values() {
            if let Some((group, version)) = kind.api_version.split_once('/') {
                groups.insert(group, version);
            }
        }
        let groups: Vec<Value> = groups
            .into_iter()
            .map(|(group, version)| {
                let version =
                    json!({ "groupVersion": format!("{group}/{version}"), "version": version });
                json!({ "name": group, "versions": [version], "preferredVersion": version })
            })
            .collect();
        json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups })
    }

    fn resources(&self, api_version: &str) -> Value {
        let resources: Vec<Value> = self
            .0
            .iter()
            .filter(|(_, kind)| kind.api_version == api_version)
            .map(|((_, plural), kind)| {
                json!({
                    "name": plural,
                    "singularName": kind.kind.to_lowercase(),
                    "namespaced": kind.namespaced,
                    "kind": kind.kind,
                    "verbs": ["create", "delete", "get", "list", "patch", "update"],
                })
            })
            .collect();
        json!({
            "kind": "APIResourceList", "apiVersion": "v1",
            "groupVersion": api_version, "resources": resources,
        })
    }
}

/// The group of an `apiVersion`; empty for the core group.
pub fn group_of(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

fn plural_of(kind: &str) -> String {
    PLURALS.iter().find(|(name, _)| *name == kind).map_or_else(
        || format!("{}s", kind.to_lowercase()),
        |(_, plural)| (*plural).to_owned(),
    )
}
