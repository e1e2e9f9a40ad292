//! Keys, users and roles.

use std::collections::{BTreeMap, BTreeSet};

use davylamp_content::playbook::StepKind;
use davylamp_model::ids::{AccessKeyId, Arn, IamUserName, RoleName};
use davylamp_model::inventory::{IamUser, Inventory, Reading};
use davylamp_model::resource::KeyHolder;

use super::{Expansion, Ground};
use crate::action::Action;

pub(super) fn expand(ground: &Ground<'_>, kind: StepKind, out: &mut Expansion) {
    match kind {
        StepKind::DenyRoleSessions => roles(ground, out),
        _ => users(ground, kind, out),
    }
}

fn users(ground: &Ground<'_>, kind: StepKind, out: &mut Expansion) {
    let mut users: BTreeMap<&IamUserName, BTreeSet<Option<&AccessKeyId>>> = BTreeMap::new();
    for (holder, key) in &ground.scope.keys {
        match holder {
            KeyHolder::User { user } => {
                users.entry(user).or_default().insert(*key);
            }
            KeyHolder::RoleSession { role, .. } => out.omit(
                format!("role/{role}"),
                "a session's key belongs to no user: the role's sessions have to be denied instead",
            ),
            KeyHolder::Root => out.omit(
                "root",
                "nothing in the account can take anything from its root: sign in as root and \
                 delete the key",
            ),
            KeyHolder::Unknown { said } => out.omit(
                format!("principal/{said}"),
                "what kind of principal it is is not known",
            ),
        }
    }
    for (name, keys) in users {
        let inventory = ground.scope.inventory;
        let held = inventory.users.iter().find(|held| held.name == *name);
        if held.is_none() && ground.scope.unread(name.as_str()).is_none() {
            out.omit(format!("user/{name}"), "it is not there (any more)");
            continue;
        }
        if kind != StepKind::DeactivateKeys && held.is_some_and(|held| has_none_of(held, &keys)) {
            let named: Vec<&str> = keys.iter().flatten().map(|key| key.as_str()).collect();
            let why = format!(
                "it has no key {}, so it may be somebody else who is meant; take a person's access \
                 only where more speaks against them",
                named.join(", ")
            );
            out.omit(format!("user/{name}"), why);
            continue;
        }
        match kind {
            StepKind::DeactivateKeys => deactivate(name, held, &keys, out),
            StepKind::DenyUser => {
                out.act(
                    Action::DenyUser { user: name.clone() },
                    "whoever holds a credential of this user can do nothing with it",
                );
            }
            _ => login(name, held, out),
        }
    }
}

/// Whether a user holds none of the keys that were named. The keys of a user's own sessions, which
/// begin with `ASIA` (IAM User Guide, "Unique identifiers"), are in no list; without a key it is the
/// user that was named.
fn has_none_of(held: &IamUser, named: &BTreeSet<Option<&AccessKeyId>>) -> bool {
    named.iter().all(|key| {
        key.is_some_and(|key| {
            !key.as_str().starts_with("ASIA") && !held.keys.iter().any(|(id, _)| id == key)
        })
    })
}

fn deactivate(
    name: &IamUserName,
    held: Option<&IamUser>,
    named: &BTreeSet<Option<&AccessKeyId>>,
    out: &mut Expansion,
) {
    let mut keys: BTreeSet<&AccessKeyId> = named.iter().filter_map(|key| *key).collect();
    let all = named.contains(&None);
    match held {
        Some(held) => {
            let of_user = |key: &AccessKeyId| held.keys.iter().find(|(id, _)| id == key);
            if all {
                let active = held.keys.iter().filter(|(_, active)| *active);
                keys.extend(active.map(|(id, _)| id));
            }
            keys.retain(|key| match of_user(key) {
                Some((_, true)) => true,
                Some((_, false)) => {
                    out.omit(format!("key/{key}"), "it is inactive already");
                    false
                }
                None => {
                    out.omit(format!("key/{key}"), format!("user {name} has no such key"));
                    false
                }
            });
            if all && keys.is_empty() {
                out.omit(format!("user/{name}"), "it has no active key");
            }
        }
        None if all => out.omit(
            format!("user/{name}"),
            "the finding names no key, and the user's keys could not be read",
        ),
        None => {}
    }
    for key in keys {
        let action = Action::DeactivateKey {
            user: name.clone(),
            key: key.clone(),
        };
        out.act(action, "somebody uses it who should not have it");
    }
}

fn login(name: &IamUserName, held: Option<&IamUser>, out: &mut Expansion) {
    let profile = held.map(|held| &held.login_profile);
    if profile == Some(&Reading::Known(false)) {
        out.omit(format!("user/{name}"), "it has no console password");
        return;
    }
    let action = Action::DeleteLoginProfile { user: name.clone() };
    out.act(action, "nobody may come back through the console");
}

fn roles(ground: &Ground<'_>, out: &mut Expansion) {
    let scope = ground.scope;
    // A role's sessions of no named instance mean them all, which includes each instance's.
    let mut roles: BTreeMap<&RoleName, BTreeSet<Option<String>>> = BTreeMap::new();
    for (holder, _) in &scope.keys {
        match holder {
            KeyHolder::RoleSession { role, session } => {
                let instance = session
                    .as_deref()
                    .filter(|name| davylamp_model::ids::is_ec2_id("i-", name))
                    .map(str::to_owned);
                roles.entry(role).or_default().insert(instance);
            }
            KeyHolder::User { user } => out.omit(
                format!("user/{user}"),
                "it is a user and no role: its keys have to be deactivated instead",
            ),
            KeyHolder::Root => out.omit("root", "root is no role"),
            KeyHolder::Unknown { said } => out.omit(
                format!("principal/{said}"),
                "what kind of principal it is is not known",
            ),
        }
    }
    for instance in scope.instances.values() {
        match &instance.role {
            Some(role) => {
                let sessions = roles.entry(role).or_default();
                sessions.insert(Some(instance.id.to_string()));
            }
            None => out.omit(format!("instance/{}", instance.id), "it has no role"),
        }
    }
    for (role, sessions) in roles {
        let sessions = if sessions.contains(&None) {
            BTreeSet::from([None])
        } else {
            sessions
        };
        for session in sessions {
            let why = match &session {
                Some(id) => format!("only the sessions of {id} end: other machines go on"),
                None => "which machine's sessions they are is not known, so all end that were \
                         issued before"
                    .to_owned(),
            };
            let action = Action::DenyRoleSessions {
                role: role.clone(),
                before: scope.inventory.taken_at,
                instance: session.map(|id| instance_arn(scope.inventory, &id)),
            };
            out.act(action, why);
        }
    }
}

/// The ARN of an instance. The partition is that of the region (AWS general reference, "ARNs").
fn instance_arn(inventory: &Inventory, id: &str) -> Arn {
    let place = &inventory.place;
    let region = place.region.as_str();
    let partition = if region.starts_with("cn-") {
        "aws-cn"
    } else if region.starts_with("us-gov-") {
        "aws-us-gov"
    } else {
        "aws"
    };
    Arn(format!(
        "arn:{partition}:ec2:{region}:{}:instance/{id}",
        place.account
    ))
}
