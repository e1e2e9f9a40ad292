//! What is protected in a generated world, found by plain rules and none of the planner's code.

use std::collections::BTreeSet;

use davylamp_model::inventory::{Inventory, Tags};
use davylamp_plan::action::{Action, PortalSubject};

use crate::generated::{OUR_TAG, USERS, World};

/// Whether something carries the tag that protects, by the plain rule and nothing of the planner's.
fn marked(tags: &Tags) -> bool {
    tags.contains_key(OUR_TAG.0)
}

/// Everything that is protected in a world, found without the planner's own code.
pub struct Oracle {
    instances: BTreeSet<String>,
    volumes: BTreeSet<String>,
    interfaces: BTreeSet<String>,
    users: BTreeSet<String>,
    pods: BTreeSet<(String, String)>,
    iam_users: BTreeSet<String>,
    roles: BTreeSet<String>,
    /// Instances that carry something protected: neither cut off nor ended.
    carriers: BTreeSet<String>,
}

impl Oracle {
    pub fn of(world: &World) -> Self {
        let inventory = &world.inventory;
        let mut oracle = Self {
            instances: BTreeSet::new(),
            volumes: BTreeSet::new(),
            interfaces: BTreeSet::new(),
            users: BTreeSet::new(),
            pods: BTreeSet::new(),
            iam_users: BTreeSet::new(),
            roles: BTreeSet::from(["davylamp-responder".to_owned()]),
            carriers: BTreeSet::new(),
        };
        for instance in &inventory.instances {
            let whole = marked(&instance.tags);
            if whole {
                oracle.instances.insert(instance.id.to_string());
            }
            for volume in &instance.volumes {
                if whole || marked(&volume.tags) {
                    oracle.volumes.insert(volume.id.to_string());
                    oracle.carriers.insert(instance.id.to_string());
                }
            }
            for interface in &instance.interfaces {
                if whole || marked(&interface.tags) {
                    oracle.interfaces.insert(interface.id.to_string());
                    oracle.carriers.insert(instance.id.to_string());
                }
            }
        }
        for volume in inventory.volumes.iter().filter(|held| marked(&held.tags)) {
            oracle.volumes.insert(volume.id.to_string());
        }
        for pattern in &world.policy.protected.hub_users {
            let start = pattern.trim_end_matches('*').to_lowercase();
            let exact = !pattern.ends_with('*');
            for user in USERS.iter().filter(|user| {
                if exact {
                    **user == start
                } else {
                    user.starts_with(&start)
                }
            }) {
                oracle.users.insert((*user).to_owned());
            }
        }
        let admins = inventory.hub.known().into_iter().flatten();
        let admins = admins.filter(|record| record.admin);
        oracle
            .users
            .extend(admins.map(|record| record.name.to_string()));
        for cluster in &inventory.clusters {
            let Some(state) = cluster.state.known() else {
                continue;
            };
            for pod in &state.pods {
                let theirs = pod.annotations.get("hub.jupyter.org/username");
                let spaces = &world.policy.hub_namespaces;
                let of_hub = spaces.is_empty() || pod.namespace.as_str() == "jhub";
                let protected = marked(&pod.labels)
                    || pod.namespace.as_str() == "kube-system"
                    || of_hub && theirs.is_some_and(|name| oracle.users.contains(name));
                if !protected {
                    continue;
                }
                oracle
                    .pods
                    .insert((pod.namespace.to_string(), pod.name.to_string()));
                if pod.owner.as_deref() == Some("daemonset/agent") {
                    continue;
                }
                for node in &state.nodes {
                    if pod.node.as_ref() == Some(&node.name)
                        && let Some(id) = &node.instance
                        && (marked(&pod.labels) || pod.namespace.as_str() == "kube-system")
                    {
                        oracle.carriers.insert(id.to_string());
                    }
                }
            }
        }
        for user in &inventory.users {
            let named = !world.policy.protected.users.is_empty();
            if named || marked(&user.tags) {
                oracle.iam_users.insert(user.name.to_string());
            }
        }
        for role in &inventory.roles {
            if role.path != "/" || marked(&role.tags) {
                oracle.roles.insert(role.name.to_string());
            }
        }
        oracle
    }

    /// Whether an action is against a protected thing.
    pub fn forbids(&self, action: &Action, inventory: &Inventory) -> bool {
        let ids = |text: &str, keys: &[&str]| -> Vec<String> {
            // The stored form of an action names every target by its member.
            let value: serde_json::Value = serde_json::from_str(text).expect("an action prints");
            keys.iter()
                .filter_map(|key| value.get(*key))
                .flat_map(|held| match held {
                    serde_json::Value::String(one) => vec![one.clone()],
                    serde_json::Value::Array(many) => many
                        .iter()
                        .filter_map(|one| one.as_str().map(str::to_owned))
                        .collect(),
                    serde_json::Value::Object(many) => many
                        .values()
                        .filter_map(|one| one.as_str().map(str::to_owned))
                        .collect(),
                    _ => Vec::new(),
                })
                .collect()
        };
        let text = serde_json::to_string(action).expect("an action prints");
        let touches = |keys: &[&str], held: &BTreeSet<String>| {
            ids(&text, keys).iter().any(|id| held.contains(id))
        };
        let ends = matches!(
            action,
            Action::TerminateInstance { .. } | Action::StopInstance { .. }
        );
        let cut = match action {
            Action::IsolateInterface { interface, .. } => inventory
                .instances
                .iter()
                .filter(|held| held.interfaces.iter().any(|one| one.id == *interface))
                .any(|held| self.carriers.contains(held.id.as_str())),
            _ => false,
        };
        let hub = matches!(
            action,
            Action::StopHubServers { .. }
                | Action::RevokeHubTokens { .. }
                | Action::BlockHubUser { .. }
                | Action::RemoveHubUser { .. }
                | Action::DisableCognitoUser { .. }
                | Action::SignOutCognitoUser { .. }
        );
        let portal = match action {
            Action::DeauthorisePortalUser {
                subject: PortalSubject::User(user),
            } => self.users.contains(user.as_str()),
            _ => false,
        };
        let pod = match action {
            Action::IsolatePod { namespace, pod, .. }
            | Action::DeletePod { namespace, pod, .. }
            | Action::EvictPod { namespace, pod, .. } => self
                .pods
                .contains(&(namespace.to_string(), pod.to_string())),
            _ => false,
        };
        touches(&["instance"], &self.instances)
            || touches(&["volume", "volumes", "devices"], &self.volumes)
            || touches(&["interface"], &self.interfaces)
            || (ends && touches(&["instance"], &self.carriers))
            || (hub && touches(&["user"], &self.users))
            || (!hub && touches(&["user"], &self.iam_users))
            || touches(&["role"], &self.roles)
            || cut
            || portal
            || pod
    }
}
