//! What was there, in short form: what a case leaves out is what is usual.

use std::collections::{BTreeMap, HashMap};

use davylamp_model::ids::{AccessKeyId, Arn, HubUser, Namespace, PodName};
use davylamp_model::inventory::Tags;
use davylamp_model::resource::{KeyHolder, Place, Resource};

use crate::fields::Fields;
use crate::problem::{PlaybookTrouble, Trouble};
use crate::readable::{Readable, record};
use crate::tree::NodeId;

mod build;
mod parts;

/// A resource as plans show it, or in a shorter form where that needs an ARN.
#[derive(Debug, Clone)]
pub(super) struct ResourceText(String);

impl ResourceText {
    /// The resource; `None` only for what was refused at reading.
    pub fn resource(&self, place: &Place) -> Option<Resource> {
        resource(&self.0, place).ok()
    }
}

impl Readable for ResourceText {
    fn read(fields: &mut Fields<'_>, id: NodeId) -> Option<Self> {
        let text = String::read(fields, id)?;
        let nowhere = Place {
            account: "".into(),
            region: "".into(),
        };
        if let Err(why) = resource(&text, &nowhere) {
            let trouble = PlaybookTrouble::Resource { text, why };
            fields.fault(id, Trouble::Playbook(trouble));
            return None;
        }
        Some(Self(text))
    }
}

/// The ARN of an ECS cluster.
fn ecs_cluster(place: &Place, name: &str) -> Arn {
    let (region, account) = (&place.region, &place.account);
    Arn(format!("arn:aws:ecs:{region}:{account}:cluster/{name}"))
}

/// The ARN of an ECS task.
fn ecs_task(place: &Place, cluster: &str, id: &str) -> Arn {
    let (region, account) = (&place.region, &place.account);
    Arn(format!(
        "arn:aws:ecs:{region}:{account}:task/{cluster}/{id}"
    ))
}

fn resource(text: &str, place: &Place) -> Result<Resource, &'static str> {
    let (kind, rest) = text.split_once('/').unwrap_or((text, ""));
    let parts: Vec<&str> = rest.split('/').collect();
    let named = |name: &str| (!name.is_empty()).then(|| name.into());
    let key = |key: Option<&&str>| key.map(|key| AccessKeyId::from(*key));
    Ok(match (kind, parts.as_slice()) {
        ("account", [""]) => Resource::Account,
        ("account-region", [whole_in]) => Resource::AccountRegion {
            whole_in: (*whole_in).into(),
        },
        ("root", [""]) => Resource::AccessKey {
            key: None,
            holder: KeyHolder::Root,
        },
        (_, ["", ..]) if !matches!(kind, "workload" | "node") => return Err("it has no name"),
        ("instance", [id]) => Resource::Instance { id: (*id).into() },
        ("volume", [id]) => Resource::Volume { id: (*id).into() },
        ("snapshot", [id]) => Resource::Snapshot { id: (*id).into() },
        ("image", [id]) => Resource::Image {
            id: (*id).to_owned(),
        },
        ("workload", [cluster, namespace, kind, name @ ..]) if !name.is_empty() => {
            Resource::Workload {
                cluster: named(cluster),
                namespace: (*namespace).into(),
                kind: (*kind).to_owned(),
                name: name.join("/"),
            }
        }
        ("node", [cluster, name]) => Resource::Node {
            cluster: (!cluster.is_empty()).then(|| (*cluster).into()),
            name: (*name).into(),
        },
        ("eks", [name]) => Resource::EksCluster {
            name: (*name).into(),
        },
        ("task" | "fargate-task", [cluster, id]) => Resource::EcsTask {
            cluster: ecs_cluster(place, cluster),
            task: ecs_task(place, cluster, id),
            fargate: kind == "fargate-task",
        },
        ("ecs", [name]) => Resource::EcsCluster {
            arn: ecs_cluster(place, name),
        },
        ("function", [name]) => Resource::Function {
            name: (*name).into(),
        },
        ("user", [user, keys @ ..]) if keys.len() < 2 => Resource::AccessKey {
            key: key(keys.first()),
            holder: KeyHolder::User {
                user: (*user).into(),
            },
        },
        ("role", [role, session, keys @ ..]) if keys.len() < 2 => Resource::AccessKey {
            key: key(keys.first()),
            holder: KeyHolder::RoleSession {
                role: (*role).into(),
                session: (!session.is_empty()).then(|| (*session).to_owned()),
            },
        },
        ("principal", [said]) => Resource::AccessKey {
            key: None,
            holder: KeyHolder::Unknown {
                said: (*said).to_owned(),
            },
        },
        ("bucket", [name]) => Resource::Bucket {
            name: (*name).to_owned(),
        },
        ("hub-user", [user]) => Resource::HubUser {
            user: HubUser::from(*user),
            pod: None,
        },
        ("hub-user", [user, namespace, pod]) => Resource::HubUser {
            user: HubUser::from(*user),
            pod: Some((Namespace::from(*namespace), PodName::from(*pod))),
        },
        ("unknown", [kind]) => Resource::Unknown {
            kind: (*kind).to_owned(),
        },
        _ => return Err("no kind of resource is written like this"),
    })
}

/// Declares structs that are read from tables.
macro_rules! shapes {
    ($($(#[$doc:meta])* $name:ident $place:literal {
        $($(#[$field_doc:meta])* $field:ident $key:literal : $type:ty $(= $default:expr)?),* $(,)?
    })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone)]
        struct $name {
            $($(#[$field_doc])* $field: $type,)*
        }
        record!($name, $place, { $($field $key $(= $default)?),* });
    )*};
}

shapes! {
    Machine "an instance" {
        id "id": String,
        state "state": String = "running".to_owned(),
        instance_type "type": String = "m5.xlarge".to_owned(),
        launched_hours_ago "launched-hours-ago": u32 = 3,
        spot "spot": bool = false,
        tags "tags": Tags = Tags::new(),
        cluster "cluster": Option<String> = None,
        /// Where none are given, it has one.
        interfaces "interfaces": Option<Vec<Card>> = None,
        volumes "volumes": Vec<Disk> = Vec::new(),
        protected "protected": bool = false,
        group "group": Option<String> = None,
        held "held": bool = false,
        role "role": Option<String> = None,
    }
    Card "an interface" {
        id "id": String,
        vpc "vpc": String = "vpc-0000000a".to_owned(),
        groups "groups": Vec<String> = vec!["sg-0000000a".to_owned()],
        public_ip "public-ip": Option<String> = None,
        tags "tags": Tags = Tags::new(),
    }
    Disk "a volume" {
        id "id": String,
        device "device": Option<String> = None,
        root "root": bool = false,
        /// The claim that the volume's tags name.
        claim "claim": Option<String> = None,
        namespace "namespace": String = "jhub".to_owned(),
        /// The user that the claim's annotation names.
        user "user": Option<String> = None,
        kept "kept": bool = false,
        tags "tags": Tags = Tags::new(),
    }
    Copy "a snapshot" {
        volume "volume": String,
        id "id": String = "snap-0000000a".to_owned(),
        state "state": String = "completed".to_owned(),
        started_minutes_ago "started-minutes-ago": u32 = 10,
        completed_minutes_ago "completed-minutes-ago": Option<u32> = None,
        tags "tags": Tags = Tags::new(),
    }
    PodShape "a pod" {
        cluster "cluster": Option<String> = None,
        namespace "namespace": String = "jhub".to_owned(),
        name "name": String,
        uid "uid": Option<String> = None,
        /// The instance it runs on: the first one where none is given.
        instance "instance": Option<String> = None,
        /// The user that its annotation names.
        user "user": Option<String> = None,
        claims "claims": Vec<String> = Vec::new(),
        owner "owner": Option<String> = None,
        host_network "host-network": bool = false,
        cpu "cpu-millicores": Option<u64> = None,
        labels "labels": Tags = Tags::new(),
        annotations "annotations": Tags = Tags::new(),
        phase "phase": String = "Running".to_owned(),
    }
    ControllerShape "a controller" {
        cluster "cluster": Option<String> = None,
        namespace "namespace": String = "jhub".to_owned(),
        kind "kind": String,
        name "name": String,
        replicas "replicas": Option<i32> = None,
        suspended "suspended": bool = false,
        owner "owner": Option<String> = None,
        labels "labels": Tags = Tags::new(),
    }
    IamUserShape "an IAM user" {
        name "name": String,
        active_keys "active-keys": Vec<String> = Vec::new(),
        inactive_keys "inactive-keys": Vec<String> = Vec::new(),
        password "password": bool = false,
        tags "tags": Tags = Tags::new(),
    }
    RoleShape "a role" {
        name "name": String,
        path "path": String = "/".to_owned(),
        tags "tags": Tags = Tags::new(),
    }
    FunctionShape "a function" {
        name "name": String,
        concurrency "concurrency": Option<i32> = None,
        tags "tags": Tags = Tags::new(),
    }
    TaskShape "a task" {
        id "id": String,
        cluster "cluster": String,
        status "status": String = "RUNNING".to_owned(),
        /// None means Fargate.
        instance "instance": Option<String> = None,
        service "service": Option<String> = None,
        service_size "service-size": i32 = 1,
        interfaces "interfaces": Vec<Card> = Vec::new(),
        tags "tags": Tags = Tags::new(),
    }
    DoorsShape "the doors" {
        interfaces "interfaces": Vec<PublicCard> = Vec::new(),
        rules "rules": Vec<RuleShape> = Vec::new(),
        vpc_block "vpc-block": String = "off".to_owned(),
        buckets_blocked "buckets-blocked": bool = false,
        /// Clusters whose endpoint is open to everybody.
        eks "eks": Vec<String> = Vec::new(),
    }
    PublicCard "a public interface" {
        id "id": String,
        groups "groups": Vec<String> = vec!["sg-0000000a".to_owned()],
        public_ip "public-ip": String = "198.51.100.7".to_owned(),
        instance "instance": Option<String> = None,
        instance_tags "instance-tags": Tags = Tags::new(),
        elastic "elastic": Option<Elastic> = None,
        managed "managed": bool = false,
    }
    Elastic "an elastic address" {
        allocation "allocation": String,
        association "association": String,
    }
    RuleShape "a rule" {
        group "group": String,
        rule "rule": String,
        ingress "ingress": bool = true,
        network "network": String = "0.0.0.0/0".to_owned(),
        ports "ports": String = "tcp 22".to_owned(),
        tags "tags": Tags = Tags::new(),
    }
    SightingShape "a sighting" {
        user "user": Option<String> = None,
        namespace "namespace": String = "jhub".to_owned(),
        pod "pod": Option<String> = None,
        instance "instance": Option<String> = None,
        minutes_ago "minutes-ago": u32 = 5,
    }
    GapShape "something unread" {
        what "what": String,
        why "why": String,
    }
}

/// What was there.
#[derive(Debug, Clone)]
pub(super) struct Fixture {
    instances: Vec<Machine>,
    loose_volumes: Vec<Disk>,
    snapshots: Vec<Copy>,
    pods: Vec<PodShape>,
    controllers: Vec<ControllerShape>,
    node_pools: Vec<String>,
    /// Clusters that could not be reached, with why.
    unreachable: BTreeMap<String, String>,
    /// The Hub's users.
    hub: Option<Vec<String>>,
    hub_admins: Vec<String>,
    hub_unreachable: Option<String>,
    users: Vec<IamUserShape>,
    roles: Vec<RoleShape>,
    functions: Vec<FunctionShape>,
    tasks: Vec<TaskShape>,
    doors: Option<DoorsShape>,
    sightings: Vec<SightingShape>,
    unread: Vec<GapShape>,
}

macro_rules! fixture_keys {
    ($($field:ident $key:literal = $default:expr),* $(,)?) => {
        impl Fixture {
            /// Its keys, which stand beside the case's own.
            pub const KEYS: &[&'static str] = &[$($key),*];

            pub fn read(fields: &mut Fields<'_>, keys: &HashMap<&'static str, NodeId>) -> Option<Self> {
                $(
                    let $field = match keys.get($key) {
                        Some(value) => Readable::read(fields, *value),
                        None => Some($default),
                    };
                )*
                Some(Self { $($field: $field?),* })
            }
        }
    };
}

fixture_keys! {
    instances "instances" = Vec::new(),
    loose_volumes "loose-volumes" = Vec::new(),
    snapshots "snapshots" = Vec::new(),
    pods "pods" = Vec::new(),
    controllers "controllers" = Vec::new(),
    node_pools "node-pools" = Vec::new(),
    unreachable "unreachable" = BTreeMap::new(),
    hub "hub" = None,
    hub_admins "hub-admins" = Vec::new(),
    hub_unreachable "hub-unreachable" = None,
    users "users" = Vec::new(),
    roles "roles" = Vec::new(),
    functions "functions" = Vec::new(),
    tasks "tasks" = Vec::new(),
    doors "doors" = None,
    sightings "sightings" = Vec::new(),
    unread "unread" = Vec::new(),
}
