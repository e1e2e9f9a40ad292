//! What an action touches: every key under which its targets may be protected.

use std::collections::BTreeSet;

use davylamp_model::ids::Namespace;
use davylamp_model::resource::KeyHolder;

use super::subject_key;
use crate::action::Action;
use crate::scope::Scope;

/// The resource keys of everything an action changes.
pub(super) fn touched(action: &Action) -> Vec<String> {
    use Action as A;
    match action {
        A::StopHubServers { user }
        | A::RevokeHubTokens { user }
        | A::BlockHubUser { user, .. }
        | A::RemoveHubUser { user } => vec![format!("hub-user/{user}")],
        A::DisableCognitoUser { user, .. } | A::SignOutCognitoUser { user, .. } => {
            vec![format!("hub-user/{user}")]
        }
        A::DeauthorisePortalUser { subject } => vec![subject_key(subject)],
        A::ProtectInstance { instance }
        | A::ProtectFromScaleIn { instance, .. }
        | A::CaptureMemory { instance, .. }
        | A::StopInstance { instance }
        | A::TerminateInstance { instance }
        | A::UnprotectInstance { instance } => vec![format!("instance/{instance}")],
        A::DetachFromGroup { group, instance } => {
            vec![format!("instance/{instance}"), format!("group/{group}")]
        }
        A::KeepVolumes { instance, devices } => {
            let mut keys = vec![format!("instance/{instance}")];
            keys.extend(devices.values().map(|id| format!("volume/{id}")));
            keys
        }
        // What is excluded is named so that it is left alone.
        A::SnapshotInstance {
            instance, volumes, ..
        } => {
            let mut keys = vec![format!("instance/{instance}")];
            keys.extend(volumes.iter().map(|id| format!("volume/{id}")));
            keys
        }
        A::SnapshotVolume { volume } => vec![format!("volume/{volume}")],
        A::AwaitEvidence { volumes, .. } | A::CopyEvidence { volumes, .. } => {
            volumes.iter().map(|id| format!("volume/{id}")).collect()
        }
        A::CordonNode { cluster, node }
        | A::KeepNode { cluster, node }
        | A::LabelNode { cluster, node } => vec![format!("node/{cluster}/{node}")],
        A::IsolateInterface { interface, .. } | A::DisassociateAddress { interface, .. } => {
            vec![format!("interface/{interface}")]
        }
        A::IsolatePod { .. } | A::DeletePod { .. } | A::EvictPod { .. } => vec![action.target()],
        A::StopTask { task, .. } => vec![format!("task/{task}")],
        A::ThrottleFunction { function } => vec![format!("function/{function}")],
        A::SuspendGroup { group } => vec![format!("group/{group}")],
        A::ScaleToZero { .. } | A::SuspendJob { .. } => vec![action.target()],
        A::LimitNodePool { cluster, pool } => vec![format!("node-pool/{cluster}/{pool}")],
        A::ScaleServiceToZero { cluster, service } => vec![format!("service/{cluster}/{service}")],
        A::DeactivateKey { user, .. } | A::DenyUser { user } | A::DeleteLoginProfile { user } => {
            vec![format!("user/{user}")]
        }
        A::DenyRoleSessions { role, .. } => vec![format!("role/{role}")],
        A::RevokeRule { group, .. } => vec![format!("security-group/{group}")],
        A::CloseEksEndpoint { cluster } => vec![format!("eks/{cluster}")],
        // The account is asked for before anything else; a finding's archiving touches nothing.
        A::BlockVpcPublicAccess { .. }
        | A::BlockBucketPublicAccess { .. }
        | A::ArchiveFinding { .. } => Vec::new(),
    }
}

/// The namespace an action changes something in.
pub(super) fn namespace(action: &Action) -> Option<&Namespace> {
    match action {
        Action::IsolatePod { namespace, .. }
        | Action::DeletePod { namespace, .. }
        | Action::EvictPod { namespace, .. }
        | Action::ScaleToZero { namespace, .. }
        | Action::SuspendJob { namespace, .. } => Some(namespace),
        _ => None,
    }
}

/// Whether what this key names carries tags that have to be known before it is ended for good.
pub(super) fn has_tags(key: &str) -> bool {
    let kind = key.split_once('/').map_or("", |(kind, _)| kind);
    matches!(kind, "instance" | "task" | "user" | "role" | "function")
}

/// The IAM users and roles that a plan for this scope could name.
pub(super) fn named_identities(scope: &Scope<'_>) -> (BTreeSet<String>, BTreeSet<String>) {
    let mut users: BTreeSet<String> = BTreeSet::new();
    let mut roles: BTreeSet<String> = BTreeSet::new();
    for (holder, _) in &scope.keys {
        match holder {
            KeyHolder::User { user } => {
                users.insert(user.to_string());
            }
            KeyHolder::RoleSession { role, .. } => {
                roles.insert(role.to_string());
            }
            KeyHolder::Root | KeyHolder::Unknown { .. } => {}
        }
    }
    let inventory = scope.inventory;
    users.extend(inventory.users.iter().map(|user| user.name.to_string()));
    roles.extend(inventory.roles.iter().map(|role| role.name.to_string()));
    let of_profiles = scope
        .instances
        .values()
        .filter_map(|held| held.role.as_ref());
    roles.extend(of_profiles.map(ToString::to_string));
    (users, roles)
}
