//! What the rows of a hunt name, as resources.
//!
//! Logs hold what attackers chose, so these names are held to the rules of any other.

use crate::ids::{HubUser, IamUserName, Namespace, PodName, RoleName};
use crate::resource::{KeyHolder, Place, Resource};

use super::arn::ArnParts;
use super::members::Gaps;
use super::names::{self, quoted};
use super::own::is_hub_user;

/// Something a row names, as its log spells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named<'a> {
    /// An EC2 instance's id.
    Instance(&'a str),
    /// A workload: `namespace/kind/name`.
    Workload {
        /// Its cluster, where the row names it.
        cluster: Option<&'a str>,
        /// Its path.
        path: &'a str,
    },
    /// An EKS cluster's name or ARN.
    Cluster(&'a str),
    /// A function's name or ARN.
    Function(&'a str),
    /// A credential in use.
    Credential {
        /// The access key's id, where the row names it.
        key: Option<&'a str>,
        /// Whose it is: the ARN of a user, a role, a session or the root.
        principal: &'a str,
    },
    /// A user of the Hub.
    HubUser {
        /// The name.
        user: &'a str,
        /// The pod as a workload's path, where the row names it.
        pod: Option<&'a str>,
    },
}

/// The resource of that name in the place of its row.
///
/// # Errors
/// What keeps it from being one, as sentences.
pub fn resource(named: Named<'_>, place: Option<&Place>) -> Result<Resource, Vec<String>> {
    let gaps = Gaps::default();
    read(named, place, &gaps).ok_or_else(|| gaps.noted())
}

fn read(named: Named<'_>, place: Option<&Place>, gaps: &Gaps) -> Option<Resource> {
    match named {
        Named::Instance(id) => names::instance(id, gaps),
        Named::Function(name) => names::function(name, place, gaps),
        Named::Cluster(name) => {
            names::eks_cluster(name, gaps).map(|name| Resource::EksCluster { name })
        }
        Named::Workload { cluster, path } => {
            let cluster = cluster.and_then(|name| names::eks_cluster(name, gaps));
            let (namespace, kind, name) = workload_parts(path, gaps)?;
            names::workload(cluster, namespace, kind, name, gaps)
        }
        Named::Credential { key, principal } => {
            let key = match key {
                Some(key) => Some(names::access_key(key, gaps)?),
                None => None,
            };
            let holder = holder_by_arn(principal, place, gaps)?;
            Some(Resource::AccessKey { key, holder })
        }
        Named::HubUser { user, pod } => {
            if !is_hub_user(user, gaps) {
                return None;
            }
            let pod = pod.and_then(|path| match workload_parts(path, gaps)? {
                (namespace, "pod", name)
                    if names::is_namespace(namespace) && names::is_object_name(name) =>
                {
                    Some((Namespace::from(namespace), PodName::from(name)))
                }
                _ => None,
            });
            Some(Resource::HubUser {
                user: HubUser::from(user),
                pod,
            })
        }
    }
}

fn workload_parts<'a>(path: &'a str, gaps: &Gaps) -> Option<(&'a str, &'a str, &'a str)> {
    let mut parts = path.splitn(3, '/');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(namespace), Some(kind), Some(name)) => Some((namespace, kind, name)),
        _ => {
            gaps.note(format!("\"{}\" is not a workload's path.", quoted(path)));
            None
        }
    }
}

/// Users and roles may have a path before their name, sessions have theirs behind the role's (IAM
/// User Guide, "IAM ARNs").
fn holder_by_arn(text: &str, place: Option<&Place>, gaps: &Gaps) -> Option<KeyHolder> {
    let refuse = |what: &str| {
        gaps.note(format!("\"{}\" is not {what}.", quoted(text)));
        None
    };
    let Some(parts) = ArnParts::of(text) else {
        return refuse("the ARN of whom a credential belongs to");
    };
    if !parts.belongs_to(place) {
        return refuse("of the account that the row is of");
    }
    let last = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let session = parts
        .named("assumed-role")
        .and_then(|it| it.split_once('/'));
    let (role, session) = match session {
        Some((role, session)) => (Some(role.to_owned()), Some(session.to_owned())),
        None => (parts.named("role").map(last), None),
    };
    let user = parts.named("user").map(last);
    let is_name = |name: &Option<String>| name.as_deref().is_none_or(names::is_iam_name);
    if ![&user, &role, &session].into_iter().all(is_name) {
        return refuse("a name that IAM gives");
    }
    match (parts.service, user, role) {
        ("iam", Some(user), _) => Some(KeyHolder::User {
            user: IamUserName::from(user.as_str()),
        }),
        ("iam" | "sts", None, Some(role)) => Some(KeyHolder::RoleSession {
            role: RoleName::from(role.as_str()),
            session,
        }),
        ("iam", ..) if parts.resource == "root" => Some(KeyHolder::Root),
        _ => refuse("a user, a role, a session or the root"),
    }
}
