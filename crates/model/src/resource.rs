//! What a finding happened to, and where that is.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{
    AccessKeyId, AccountId, Arn, ClusterName, FunctionName, HubUser, IamUserName, InstanceId,
    Namespace, NodeName, PodName, Region, RoleName, SnapshotId, VolumeId,
};

/// Account and region of a resource. Global resources (IAM) carry the region that reported them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// The AWS account.
    pub account: AccountId,
    /// The region.
    pub region: Region,
}

/// Who holds an access key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "holder", rename_all = "kebab-case")]
pub enum KeyHolder {
    /// An IAM user.
    User {
        /// Its name.
        user: IamUserName,
    },
    /// A session of a role.
    RoleSession {
        /// The role.
        role: RoleName,
        /// The session's name: for an EC2 instance role its instance id.
        session: Option<String>,
    },
    /// The account's root.
    Root,
    /// A kind of holder that GuardDuty names and Davylamp does not know, or none at all.
    Unknown {
        /// What the finding said.
        said: String,
    },
}

/// What a finding happened to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "resource", rename_all = "kebab-case")]
pub enum Resource {
    /// An EC2 instance.
    Instance {
        /// Its id.
        id: InstanceId,
    },
    /// An EBS volume.
    Volume {
        /// Its id.
        id: VolumeId,
    },
    /// An EBS snapshot.
    Snapshot {
        /// Its id.
        id: SnapshotId,
    },
    /// A machine image.
    Image {
        /// Its id: `ami-…`.
        id: String,
    },
    /// A workload of a Kubernetes cluster. `kind` is lower case and plural as GuardDuty spells it
    /// (`pods`, `deployments`, `daemonsets`, `jobs`, `cronjobs`, …).
    Workload {
        /// The cluster, where the finding names it.
        cluster: Option<ClusterName>,
        /// Its namespace.
        namespace: Namespace,
        /// Its kind.
        kind: String,
        /// Its name.
        name: String,
    },
    /// A node of a Kubernetes cluster.
    Node {
        /// The cluster, where known.
        cluster: Option<ClusterName>,
        /// Its name.
        name: NodeName,
    },
    /// An EKS cluster as a whole.
    EksCluster {
        /// Its name.
        name: ClusterName,
    },
    /// An ECS task.
    EcsTask {
        /// The cluster's ARN.
        cluster: Arn,
        /// The task's ARN.
        task: Arn,
        /// Whether it runs on Fargate, and therefore on no instance of the account.
        fargate: bool,
    },
    /// An ECS cluster as a whole.
    EcsCluster {
        /// Its ARN.
        arn: Arn,
    },
    /// A Lambda function.
    Function {
        /// Its name.
        name: FunctionName,
    },
    /// An access key.
    AccessKey {
        /// The key's id, where the finding names it.
        key: Option<AccessKeyId>,
        /// Who holds it.
        holder: KeyHolder,
    },
    /// An S3 bucket.
    Bucket {
        /// Its name.
        name: String,
    },
    /// A JupyterHub user (our own guard's findings).
    HubUser {
        /// The user.
        user: HubUser,
        /// The pod it was seen in, where known.
        pod: Option<(Namespace, PodName)>,
    },
    /// The account itself (cost alarms, a stopped trail).
    Account,
    /// The account in one region only. What it has as a whole, such as its block of public buckets,
    /// is answered in the region `whole_in`: taken back there, and not by each of its regions.
    AccountRegion {
        /// That region.
        whole_in: Region,
    },
    /// Something that Davylamp does not know: reported, never acted on.
    Unknown {
        /// What the finding called it.
        kind: String,
    },
}

impl Resource {
    /// The name of its kind, as in its stored form: what a playbook's trigger names.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Instance { .. } => "instance",
            Self::Volume { .. } => "volume",
            Self::Snapshot { .. } => "snapshot",
            Self::Image { .. } => "image",
            Self::Workload { .. } => "workload",
            Self::Node { .. } => "node",
            Self::EksCluster { .. } => "eks-cluster",
            Self::EcsTask { .. } => "ecs-task",
            Self::EcsCluster { .. } => "ecs-cluster",
            Self::Function { .. } => "function",
            Self::AccessKey { .. } => "access-key",
            Self::Bucket { .. } => "bucket",
            Self::HubUser { .. } => "hub-user",
            Self::Account => "account",
            Self::AccountRegion { .. } => "account-region",
            Self::Unknown { .. } => "unknown",
        }
    }

    /// A key that is the same for every finding about this resource: `instance/i-…`.
    pub fn key(&self) -> String {
        match self {
            Self::Instance { id } => format!("instance/{id}"),
            Self::Volume { id } => format!("volume/{id}"),
            Self::Snapshot { id } => format!("snapshot/{id}"),
            Self::Image { id } => format!("image/{id}"),
            Self::Workload {
                cluster,
                namespace,
                kind,
                name,
            } => format!(
                "workload/{}/{namespace}/{kind}/{name}",
                cluster.as_ref().map_or("", |name| name.as_str())
            ),
            Self::Node { cluster, name } => format!(
                "node/{}/{name}",
                cluster.as_ref().map_or("", |name| name.as_str())
            ),
            Self::EksCluster { name } => format!("eks/{name}"),
            Self::EcsTask { task, .. } => format!("task/{task}"),
            Self::EcsCluster { arn } => format!("ecs/{arn}"),
            Self::Function { name } => format!("function/{name}"),
            Self::AccessKey { key, holder } => match (holder, key) {
                (KeyHolder::User { user }, _) => format!("user/{user}"),
                (_, Some(key)) => format!("key/{key}"),
                (KeyHolder::RoleSession { role, .. }, None) => format!("role/{role}"),
                (KeyHolder::Root, None) => "root".to_owned(),
                (KeyHolder::Unknown { said }, None) => format!("principal/{said}"),
            },
            Self::Bucket { name } => format!("bucket/{name}"),
            Self::HubUser { user, .. } => format!("hub-user/{user}"),
            // Both are about the same in their region: one incident.
            Self::Account | Self::AccountRegion { .. } => "account".to_owned(),
            Self::Unknown { kind } => format!("unknown/{kind}"),
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key())
    }
}
