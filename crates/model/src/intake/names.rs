//! Strings become ids here, or gaps. A name that its service could not have given is never an id:
//! it may have been shaped by an attacker, and ids end up in calls.

use crate::ids::{
    AccessKeyId, AccountId, Arn, ClusterName, FunctionName, IamUserName, InstanceId, Namespace,
    Region, RoleName, SnapshotId, VolumeId, is_ec2_id, is_region,
};
use crate::resource::{KeyHolder, Place, Resource};

use super::arn::ArnParts;
use super::members::Gaps;

/// The kinds of workload that GuardDuty reports, as it spells them.
const WORKLOAD_KINDS: &[&str] = &[
    "pods",
    "jobs",
    "cronjobs",
    "deployments",
    "daemonsets",
    "statefulsets",
    "replicasets",
    "replicationcontrollers",
];

/// How much of an unknown name is quoted.
const QUOTED_CHARS: usize = 100;

/// A short form of a text for gaps and names of unknown things, without control characters.
pub(super) fn quoted(text: &str) -> String {
    let mut short = String::new();
    for character in text.chars().take(QUOTED_CHARS) {
        if character.is_control() {
            short.extend(character.escape_default());
        } else {
            short.push(character);
        }
    }
    if text.chars().nth(QUOTED_CHARS).is_some() {
        short.push('…');
    }
    short
}

fn refuse<T>(gaps: &Gaps, text: &str, what: &str) -> Option<T> {
    gaps.note(format!("\"{}\" is not {what}.", quoted(text)));
    None
}

fn all(text: &str, longest: usize, allowed: impl Fn(u8) -> bool) -> bool {
    (1..=longest).contains(&text.len()) && text.bytes().all(allowed)
}

/// The longest id of a finding that is kept; ARNs, which Security Hub uses, are shorter.
const FINDING_ID_BYTES: usize = 512;

/// Whether this can serve as a finding's id: it becomes a key in journals and tags.
pub(super) fn is_finding_id(text: &str) -> bool {
    !text.trim().is_empty() && text.len() <= FINDING_ID_BYTES && !text.chars().any(char::is_control)
}

/// An account id.
pub(super) fn account(text: &str, gaps: &Gaps) -> Option<AccountId> {
    let account = AccountId::from(text);
    if account.is_well_formed() {
        Some(account)
    } else {
        refuse(gaps, text, "an account id of twelve digits")
    }
}

/// A region.
pub(super) fn region(text: &str, gaps: &Gaps) -> Option<Region> {
    if is_region(text) {
        Some(Region::from(text))
    } else {
        refuse(gaps, text, "a region")
    }
}

/// An EC2 instance.
pub(super) fn instance(text: &str, gaps: &Gaps) -> Option<Resource> {
    if is_ec2_id("i-", text) {
        Some(Resource::Instance {
            id: InstanceId::from(text),
        })
    } else {
        refuse(gaps, text, "an instance id")
    }
}

/// Whichever of instance, volume, snapshot or image an EC2 id names.
pub(super) fn ec2(text: &str, gaps: &Gaps) -> Option<Resource> {
    if is_ec2_id("i-", text) {
        instance(text, gaps)
    } else if is_ec2_id("vol-", text) {
        Some(Resource::Volume {
            id: VolumeId::from(text),
        })
    } else if is_ec2_id("snap-", text) {
        Some(Resource::Snapshot {
            id: SnapshotId::from(text),
        })
    } else if is_ec2_id("ami-", text) {
        Some(Resource::Image {
            id: text.to_owned(),
        })
    } else {
        refuse(
            gaps,
            text,
            "the id of an instance, volume, snapshot or image",
        )
    }
}

/// The EC2 resource that an ARN, or an id alone, names.
pub(super) fn ec2_by_arn(text: &str, place: Option<&Place>, gaps: &Gaps) -> Option<Resource> {
    let Some(parts) = ArnParts::of(text) else {
        return ec2(text, gaps);
    };
    let id = parts.resource.rsplit('/').next().unwrap_or_default();
    if parts.service != "ec2" {
        return refuse(gaps, text, "the ARN of an EC2 resource");
    }
    if !parts.belongs_to(place) {
        gaps.note(format!(
            "{} belongs to account {}, not to the finding's; it is left out.",
            quoted(id),
            quoted(parts.account)
        ));
        return None;
    }
    ec2(id, gaps)
}

/// An ARN of a service, kept whole. One of another account is kept and said.
pub(super) fn arn(
    text: &str,
    service: &str,
    kind: &str,
    place: Option<&Place>,
    gaps: &Gaps,
) -> Option<Arn> {
    match ArnParts::of(text) {
        Some(parts) if parts.service == service && parts.named(kind).is_some() => {
            if !parts.belongs_to(place) {
                gaps.note(format!(
                    "\"{}\" names account {}, the finding another.",
                    quoted(text),
                    quoted(parts.account)
                ));
            }
            Some(Arn::from(text))
        }
        _ => refuse(gaps, text, &format!("the ARN of an {service} {kind}")),
    }
}

/// An EKS cluster's name, or the name in its ARN.
pub(super) fn eks_cluster(text: &str, gaps: &Gaps) -> Option<ClusterName> {
    let name = ArnParts::of(text)
        .filter(|parts| parts.service == "eks")
        .and_then(|parts| parts.named("cluster"))
        .unwrap_or(text);
    let formed = all(name, 100, |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
    });
    if formed {
        Some(ClusterName::from(name))
    } else {
        refuse(gaps, text, "an EKS cluster's name")
    }
}

/// Whether this could be the name of a Kubernetes object.
pub(super) fn is_object_name(text: &str) -> bool {
    all(
        text,
        253,
        |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.'),
    ) && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.ends_with(|last: char| last.is_ascii_alphanumeric())
}

/// Whether this could be the name of a Kubernetes namespace.
pub(super) fn is_namespace(text: &str) -> bool {
    text.len() <= 63 && !text.contains('.') && is_object_name(text)
}

/// A workload of a cluster.
pub(super) fn workload(
    cluster: Option<ClusterName>,
    namespace: &str,
    kind: &str,
    name: &str,
    gaps: &Gaps,
) -> Option<Resource> {
    if !is_namespace(namespace) {
        return refuse(gaps, namespace, "a Kubernetes namespace");
    }
    if !is_object_name(name) {
        return refuse(gaps, name, "a Kubernetes object's name");
    }
    let wanted = kind.to_ascii_lowercase();
    let known = WORKLOAD_KINDS
        .iter()
        .find(|known| **known == wanted || known.strip_suffix('s') == Some(&wanted));
    let Some(known) = known else {
        return refuse(gaps, kind, "a known kind of Kubernetes workload");
    };
    Some(Resource::Workload {
        cluster,
        namespace: Namespace::from(namespace),
        kind: (*known).to_owned(),
        name: name.to_owned(),
    })
}

/// A Lambda function, by its name or ARN.
pub(super) fn function(text: &str, place: Option<&Place>, gaps: &Gaps) -> Option<Resource> {
    let parts = ArnParts::of(text).filter(|parts| parts.service == "lambda");
    if parts.is_some_and(|parts| !parts.belongs_to(place)) {
        return refuse(gaps, text, "a function of the finding's account");
    }
    let name = parts
        .and_then(|parts| parts.named("function"))
        .map_or(text, |name| name.split(':').next().unwrap_or(name));
    let formed = all(name, 140, |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
    });
    if formed {
        Some(Resource::Function {
            name: FunctionName::from(name),
        })
    } else {
        refuse(gaps, text, "a function's name")
    }
}

/// A bucket, by its name or ARN.
pub(super) fn bucket(text: &str, gaps: &Gaps) -> Option<Resource> {
    let name = ArnParts::of(text)
        .filter(|parts| parts.service == "s3")
        .map_or(text, |parts| {
            parts.resource.split('/').next().unwrap_or_default()
        });
    let formed = name.len() >= 3
        && all(
            name,
            63,
            |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.'),
        );
    if formed {
        Some(Resource::Bucket {
            name: name.to_owned(),
        })
    } else {
        refuse(gaps, text, "a bucket's name")
    }
}

/// An access key's id: sixteen or more capital letters and digits (IAM API, `AccessKeyMetadata`).
pub(super) fn access_key(text: &str, gaps: &Gaps) -> Option<AccessKeyId> {
    let formed = text.len() >= 16
        && all(text, 128, |byte| {
            byte.is_ascii_uppercase() || byte.is_ascii_digit()
        });
    if formed {
        Some(AccessKeyId::from(text))
    } else {
        refuse(gaps, text, "an access key's id")
    }
}

/// The names IAM gives to users, roles and sessions.
pub(super) fn is_iam_name(text: &str) -> bool {
    all(text, 64, |byte| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'+' | b'=' | b',' | b'.' | b'@' | b'_' | b'-')
    })
}

/// Who holds a key: the type of principal, its name, and the `principalId`, whose part behind the
/// colon is a role session's name.
pub(super) fn holder(
    kind: Option<&str>,
    name: Option<&str>,
    principal: Option<&str>,
    gaps: &Gaps,
) -> KeyHolder {
    let Some(kind) = kind else {
        gaps.note("The finding does not say what kind of principal holds the key.");
        return KeyHolder::Unknown {
            said: String::new(),
        };
    };
    let unknown = || KeyHolder::Unknown { said: quoted(kind) };
    let folded = kind.to_ascii_lowercase();
    let role = matches!(folded.as_str(), "assumedrole" | "role");
    if folded == "root" {
        return KeyHolder::Root;
    }
    if folded != "iamuser" && !role {
        return unknown();
    }
    let Some(name) = name else {
        gaps.note("The finding does not name the principal that holds the key.");
        return unknown();
    };
    if !is_iam_name(name) {
        gaps.note(format!(
            "\"{}\" is not a name that IAM gives.",
            quoted(name)
        ));
        return unknown();
    }
    if role {
        let session = principal
            .and_then(|principal| principal.split_once(':'))
            .map(|(_, session)| session)
            .filter(|session| is_iam_name(session))
            .map(str::to_owned);
        KeyHolder::RoleSession {
            role: RoleName::from(name),
            session,
        }
    } else {
        KeyHolder::User {
            user: IamUserName::from(name),
        }
    }
}

/// The key and its holder, if either is named.
pub(super) fn key_of(key: Option<AccessKeyId>, holder: KeyHolder, gaps: &Gaps) -> Option<Resource> {
    if key.is_none() && matches!(holder, KeyHolder::Unknown { .. }) {
        gaps.note("The finding is about an access key and names neither the key nor its holder.");
        return None;
    }
    Some(Resource::AccessKey { key, holder })
}
