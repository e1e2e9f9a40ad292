//! Typed identifiers. Strings become ids at the edges of the program and stay ids inside.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }
    };
}

number_id! {
    /// A process (thread group) id as the initial pid namespace counts.
    Pid(u32)
}
number_id! {
    /// A user id as the initial user namespace counts.
    Uid(u32)
}
number_id! {
    /// A cgroup's kernfs id, which is also the inode number of its directory. Ids of different
    /// hierarchies are different things: see [`CgroupRef`].
    CgroupId(u64)
}
text_id! {
    /// A container's id as its runtime knows it: usually 64 hexadecimal digits.
    ContainerId
}
text_id! {
    /// A Kubernetes namespace.
    Namespace
}
text_id! {
    /// A JupyterHub user name, as the Hub itself spells it (unescaped).
    HubUser
}
text_id! {
    /// The machine's own name: the Kubernetes node name where there is one, else the host name.
    NodeName
}

text_id! {
    /// An AWS account id: twelve decimal digits.
    AccountId
}
text_id! {
    /// An AWS region, such as `eu-central-1`.
    Region
}
text_id! {
    /// An Amazon resource name, as AWS spelled it.
    Arn
}
text_id! {
    /// An EC2 instance id: `i-` and 8 or 17 hexadecimal digits.
    InstanceId
}
text_id! {
    /// An EBS volume id: `vol-` and hexadecimal digits.
    VolumeId
}
text_id! {
    /// An EBS snapshot id: `snap-` and hexadecimal digits.
    SnapshotId
}
text_id! {
    /// An elastic network interface id: `eni-` and hexadecimal digits.
    InterfaceId
}
text_id! {
    /// A security group id: `sg-` and hexadecimal digits.
    GroupId
}
text_id! {
    /// A VPC id: `vpc-` and hexadecimal digits.
    VpcId
}
text_id! {
    /// An Auto Scaling group's name.
    ScalingGroupName
}
text_id! {
    /// An IAM access key id, such as `AKIA…` (long-lived) or `ASIA…` (temporary).
    AccessKeyId
}
text_id! {
    /// An IAM user's name.
    IamUserName
}
text_id! {
    /// An IAM role's name, without its path.
    RoleName
}
text_id! {
    /// An EKS cluster's name.
    ClusterName
}
text_id! {
    /// A Kubernetes pod's name.
    PodName
}
text_id! {
    /// A Kubernetes persistent volume claim's name.
    ClaimName
}
text_id! {
    /// A Lambda function's name, without version or alias.
    FunctionName
}
text_id! {
    /// A finding's id as its source gave it.
    FindingId
}
text_id! {
    /// An incident's id.
    IncidentId
}

/// Which cgroup hierarchy a [`CgroupId`] was read from. Each hierarchy numbers its cgroups by
/// itself, so an id without its hierarchy names nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CgroupHierarchy {
    /// The unified hierarchy.
    V2,
    /// The version 1 memory hierarchy, used where the unified one holds only its root.
    V1,
}

/// One cgroup on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CgroupRef {
    /// The hierarchy that numbered it.
    pub hierarchy: CgroupHierarchy,
    /// Its number there.
    pub id: CgroupId,
}

impl AccountId {
    /// Whether this is twelve decimal digits, which is what every AWS account id is.
    pub fn is_well_formed(&self) -> bool {
        self.0.len() == 12 && self.0.bytes().all(|byte| byte.is_ascii_digit())
    }
}

/// Whether this could be a region's name: lower-case words and digits between hyphens.
pub fn is_region(text: &str) -> bool {
    (5..=32).contains(&text.len())
        && text.contains('-')
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.ends_with(|last: char| last.is_ascii_alphanumeric())
        && text
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

/// Whether `text` is `prefix` and 8 or 17 lower-case hexadecimal digits, the two lengths of EC2's
/// resource ids (EC2 user guide, "Resource IDs").
pub fn is_ec2_id(prefix: &str, text: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|digits| {
        matches!(digits.len(), 8 | 17)
            && digits
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}
