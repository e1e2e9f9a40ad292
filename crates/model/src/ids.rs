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
