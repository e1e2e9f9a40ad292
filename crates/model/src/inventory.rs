//! What was there when a plan was made: the snapshot of an account, its clusters and its Hub that
//! `cloud` collects and `plan` reads.
//!
//! A thing that could not be read is [`Reading::Unknown`] with its reason and never an empty list:
//! unknown is not absent. A thing nobody asked for is [`Reading::NotAsked`].

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{
    AccessKeyId, Arn, ClaimName, ClusterName, FunctionName, GroupId, HubUser, IamUserName,
    InstanceId, InterfaceId, Namespace, NodeName, PodName, RoleName, ScalingGroupName, SnapshotId,
    VolumeId, VpcId,
};
use crate::resource::Place;

/// Tags, labels or annotations.
pub type Tags = BTreeMap<String, String>;

/// A thing that was asked for, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reading<T> {
    /// It was read.
    Known(T),
    /// It could not be read.
    Unknown {
        /// Why, as a clause without a full stop.
        why: String,
    },
    /// Nobody asked: this kind of finding does not need it.
    #[default]
    NotAsked,
}

impl<T> Reading<T> {
    /// What was read, if it was.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            _ => None,
        }
    }
}

/// Everything a plan is made from, beside the finding and the policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// When it was collected. The planner's only clock.
    pub taken_at: Timestamp,
    /// Where.
    pub place: Place,
    /// The instances the finding leads to, whole: also terminated ones. An instance that AWS says
    /// does not exist is absent; one that could not be read is in `unread`.
    pub instances: Vec<Instance>,
    /// Volumes the finding leads to that are attached to none of `instances`.
    pub volumes: Vec<Volume>,
    /// Every snapshot of every volume above that we may see.
    pub snapshots: Reading<Vec<Snapshot>>,
    /// The scaling groups that hold the instances.
    pub groups: Vec<ScalingGroup>,
    /// The clusters the instances or the finding belong to.
    pub clusters: Vec<Cluster>,
    /// The Hub's users.
    pub hub: Reading<Vec<HubRecord>>,
    /// IAM users the finding leads to.
    pub users: Vec<IamUser>,
    /// Roles the finding leads to: of sessions, of instance profiles.
    pub roles: Vec<IamRole>,
    /// Functions the finding leads to.
    pub functions: Vec<Function>,
    /// ECS tasks the finding leads to.
    pub tasks: Vec<Task>,
    /// Public doors of the account in this region: only for `account-lockdown`.
    pub doors: Reading<Doors>,
    /// What the guard saw on these nodes: which user's pod ran a miner.
    pub sightings: Vec<Sighting>,
    /// What could not be read, and why.
    pub unread: Vec<Unread>,
}

impl Inventory {
    /// An inventory of nothing.
    pub fn empty(place: Place, taken_at: Timestamp) -> Self {
        Self {
            taken_at,
            place,
            instances: Vec::new(),
            volumes: Vec::new(),
            snapshots: Reading::NotAsked,
            groups: Vec::new(),
            clusters: Vec::new(),
            hub: Reading::NotAsked,
            users: Vec::new(),
            roles: Vec::new(),
            functions: Vec::new(),
            tasks: Vec::new(),
            doors: Reading::NotAsked,
            sightings: Vec::new(),
            unread: Vec::new(),
        }
    }

    /// The instance with this id.
    pub fn instance(&self, id: &InstanceId) -> Option<&Instance> {
        self.instances.iter().find(|instance| instance.id == *id)
    }
}

/// Something that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Unread {
    /// What: `instance i-…`, `cluster hub-prod`.
    pub what: String,
    /// Why, with the next step where there is one.
    pub why: String,
    /// Whether it may be read later without anybody doing something: a throttled call, a cluster
    /// that does not answer. Not so where a permission is missing or nothing is configured.
    #[serde(default)]
    pub again: bool,
}

/// An EC2 instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Its id.
    pub id: InstanceId,
    /// `pending`, `running`, `stopping`, `stopped`, `shutting-down` or `terminated`.
    pub state: String,
    /// Such as `m5.2xlarge`.
    pub instance_type: String,
    /// When it was last started.
    pub launched_at: Option<Timestamp>,
    /// Its private DNS name: on EKS usually the node's name.
    pub private_dns: Option<String>,
    /// Whether it is a spot instance.
    pub spot: bool,
    /// Its tags.
    pub tags: Tags,
    /// Its network interfaces.
    pub interfaces: Vec<Interface>,
    /// Its volumes, the root volume included.
    pub volumes: Vec<Volume>,
    /// Whether `DisableApiTermination` is set.
    pub termination_protected: Reading<bool>,
    /// Its scaling group, with whether it is protected from scale-in.
    pub group: Option<(ScalingGroupName, bool)>,
    /// The role of its instance profile.
    pub role: Option<RoleName>,
}

impl Instance {
    /// The name of the EKS or self-managed cluster its tags say it is a node of.
    pub fn cluster(&self) -> Option<ClusterName> {
        let named = [
            "eks:cluster-name",
            "aws:eks:cluster-name",
            "alpha.eksctl.io/cluster-name",
        ];
        named
            .iter()
            .find_map(|key| self.tags.get(*key))
            .map(|name| ClusterName::from(name.as_str()))
            .or_else(|| {
                self.tags
                    .keys()
                    .find_map(|key| key.strip_prefix("kubernetes.io/cluster/"))
                    .map(ClusterName::from)
            })
    }
}

/// A network interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Its id.
    pub id: InterfaceId,
    /// Its VPC.
    pub vpc: VpcId,
    /// Its security groups, in order.
    pub groups: Vec<GroupId>,
    /// Its public address, where it has one.
    pub public_ip: Option<String>,
    /// Its tags.
    pub tags: Tags,
}

/// An EBS volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Its id.
    pub id: VolumeId,
    /// The device it is attached as.
    pub device: Option<String>,
    /// Whether it is the instance's root volume.
    pub root: bool,
    /// Whether it is deleted when its instance terminates.
    pub delete_on_termination: bool,
    /// Its size in GiB.
    pub size_gib: Option<i32>,
    /// Its tags. Those of a user's volume name its claim (`kubernetes.io/created-for/pvc/name`).
    pub tags: Tags,
}

/// An EBS snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Its id.
    pub id: SnapshotId,
    /// The volume it was taken of.
    pub volume: VolumeId,
    /// `pending`, `completed`, `error`, `recoverable` or `recovering`.
    pub state: String,
    /// When it was started.
    pub started_at: Option<Timestamp>,
    /// When it completed, where AWS says so.
    pub completed_at: Option<Timestamp>,
    /// Its tags.
    pub tags: Tags,
}

/// An Auto Scaling group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScalingGroup {
    /// Its name.
    pub name: ScalingGroupName,
    /// Its smallest size.
    pub min: i32,
    /// Its largest size.
    pub max: i32,
    /// Its wanted size.
    pub desired: i32,
    /// The launch template it starts machines from, as `name` or `id`.
    pub launch_template: Option<String>,
    /// Its suspended processes.
    pub suspended: Vec<String>,
    /// Its tags.
    pub tags: Tags,
}

/// A Kubernetes cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    /// Its name.
    pub name: ClusterName,
    /// What is in it, as far as this finding needs it.
    pub state: Reading<ClusterState>,
}

/// What is in a cluster, as far as a finding needs it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ClusterState {
    /// The nodes the finding leads to.
    pub nodes: Vec<Node>,
    /// Every pod on those nodes, and the pods the finding names.
    pub pods: Vec<Pod>,
    /// The claims of those pods, and of the volumes of the instances.
    pub claims: Vec<Claim>,
    /// The controllers of those pods, up to the topmost.
    pub controllers: Vec<Controller>,
    /// Karpenter's node pools, where it is installed.
    pub node_pools: Vec<String>,
}

/// A cluster's node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its name.
    pub name: NodeName,
    /// The instance behind it, from `spec.providerID`.
    pub instance: Option<InstanceId>,
    /// Whether it is cordoned.
    pub unschedulable: bool,
    /// Its labels.
    pub labels: Tags,
    /// Its annotations.
    pub annotations: Tags,
}

/// A pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pod {
    /// Its namespace.
    pub namespace: Namespace,
    /// Its name.
    pub name: PodName,
    /// Its uid: a pod of the same name that came later is another pod.
    pub uid: String,
    /// The node it runs on.
    pub node: Option<NodeName>,
    /// `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
    pub phase: String,
    /// Its labels.
    pub labels: Tags,
    /// Its annotations. KubeSpawner sets `hub.jupyter.org/username`.
    pub annotations: Tags,
    /// Its service account.
    pub service_account: Option<String>,
    /// The claims it mounts.
    pub claims: Vec<ClaimName>,
    /// The controller that owns it, as `kind/name` in lower case.
    pub owner: Option<String>,
    /// Whether it uses the node's own network: a network policy does not reach it.
    pub host_network: bool,
    /// What it uses of the processor, in thousandths of a core, where metrics are served.
    pub cpu_millicores: Option<u64>,
}

/// A persistent volume claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Its namespace.
    pub namespace: Namespace,
    /// Its name.
    pub name: ClaimName,
    /// The EBS volume behind it, where it is one.
    pub volume: Option<VolumeId>,
    /// Its labels.
    pub labels: Tags,
    /// Its annotations. KubeSpawner sets `hub.jupyter.org/username`.
    pub annotations: Tags,
}

/// A controller of pods.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Controller {
    /// Its namespace.
    pub namespace: Namespace,
    /// `deployment`, `replicaset`, `statefulset`, `daemonset`, `job` or `cronjob`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its wanted size, where it has one.
    pub replicas: Option<i32>,
    /// Whether a job or cron job is suspended.
    pub suspended: bool,
    /// What owns it, as `kind/name` in lower case.
    pub owner: Option<String>,
    /// Its labels.
    pub labels: Tags,
}

/// A user as the Hub's list has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HubRecord {
    /// The name.
    pub name: HubUser,
    /// Whether the user administers the Hub.
    pub admin: bool,
    /// The pods of the user's running servers, where the spawner says so.
    pub pods: Vec<PodName>,
    /// The names of the running servers; the default server's is empty.
    pub servers: Vec<String>,
}

/// An IAM user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IamUser {
    /// The name.
    pub name: IamUserName,
    /// The keys, with whether each is active.
    pub keys: Vec<(AccessKeyId, bool)>,
    /// Whether the user can log in to the console with a password.
    pub login_profile: Reading<bool>,
    /// The tags.
    pub tags: Tags,
}

/// An IAM role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IamRole {
    /// The name.
    pub name: RoleName,
    /// The ARN.
    pub arn: Option<Arn>,
    /// The path, such as `/aws-service-role/`.
    pub path: String,
    /// The tags.
    pub tags: Tags,
}

/// A Lambda function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Function {
    /// The name.
    pub name: FunctionName,
    /// Its reserved concurrency, where set.
    pub reserved_concurrency: Option<i32>,
    /// The tags.
    pub tags: Tags,
}

/// An ECS task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Its cluster.
    pub cluster: Arn,
    /// Its ARN.
    pub task: Arn,
    /// Such as `RUNNING` or `STOPPED`.
    pub status: String,
    /// `FARGATE`, `EC2` or `EXTERNAL`.
    pub launch_type: String,
    /// The service that would start another, with its wanted size.
    pub service: Option<(String, i32)>,
    /// The instance it runs on, unless on Fargate.
    pub instance: Option<InstanceId>,
    /// Its own network interfaces (`awsvpc`).
    pub interfaces: Vec<Interface>,
    /// Its tags.
    pub tags: Tags,
}

/// What the public can reach in one account and region.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Doors {
    /// Interfaces with a public address, with the association of an elastic address where it is
    /// one, and the instance they belong to.
    pub interfaces: Vec<PublicInterface>,
    /// Security group rules open to `0.0.0.0/0` or `::/0`.
    pub open_rules: Vec<OpenRule>,
    /// VPC Block Public Access, `off`, `block-bidirectional` or `block-ingress`.
    pub vpc_block_mode: Reading<String>,
    /// Whether the account blocks public S3 access in all four ways.
    pub s3_blocked: Reading<bool>,
    /// EKS clusters with a public endpoint, with its allowed networks.
    pub eks_endpoints: Reading<Vec<(ClusterName, Vec<String>)>>,
}

/// An interface that the public can reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicInterface {
    /// The interface.
    pub interface: Interface,
    /// The instance it is attached to.
    pub instance: Option<InstanceId>,
    /// That instance's tags: protection is by tag.
    pub instance_tags: Tags,
    /// The elastic address' allocation and association, where it has one.
    pub elastic: Option<(String, String)>,
    /// Whether AWS manages it for a load balancer, NAT gateway or endpoint.
    pub managed: bool,
}

/// A security group rule open to the world.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenRule {
    /// The group.
    pub group: GroupId,
    /// The rule: `sgr-…`.
    pub rule: String,
    /// Whether it is about incoming traffic.
    pub ingress: bool,
    /// The network: `0.0.0.0/0` or `::/0`.
    pub network: String,
    /// Its protocol and ports, for the report.
    pub ports: String,
    /// The group's tags.
    pub group_tags: Tags,
}

/// The guard saw a miner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// When.
    pub at: Timestamp,
    /// The Hub user, where the guard knew.
    pub user: Option<HubUser>,
    /// The pod, where the guard knew.
    pub pod: Option<(Namespace, PodName)>,
    /// The node.
    pub node: Option<NodeName>,
}
