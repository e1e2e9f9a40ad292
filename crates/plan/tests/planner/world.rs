//! A small account with a Hub, to change one thing in.

use davylamp_content::playbook::{
    Approval, Caps, Conditions, Playbook, StepKind, StepSpec, Trigger,
};
use davylamp_model::finding::{Behaviour, Finding, FindingSource, Severity};
use davylamp_model::inventory::{
    Cluster, ClusterState, HubRecord, Instance, Interface, Inventory, Node, Pod, Reading, Snapshot,
    Tags, Volume,
};
use davylamp_model::resource::{Place, Resource};
use davylamp_plan::plan::{Case, Plan, incident_id};
use davylamp_plan::planner::Planner;
use davylamp_plan::policy::Policy;
use jiff::{SignedDuration, Timestamp};

pub fn now() -> Timestamp {
    Timestamp::constant(1_772_600_000, 0)
}

pub fn minutes_ago(minutes: i64) -> Timestamp {
    now() - SignedDuration::from_mins(minutes)
}

pub fn place() -> Place {
    Place {
        account: "444455556666".into(),
        region: "us-west-2".into(),
    }
}

pub fn tags(pairs: &[(&str, &str)]) -> Tags {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

pub fn user(name: &str) -> HubRecord {
    HubRecord {
        name: name.into(),
        admin: false,
        pods: Vec::new(),
        servers: Vec::new(),
    }
}

/// A user's volume, as the EBS driver tags it.
pub fn claimed(id: &str, claim: &str) -> Volume {
    Volume {
        tags: tags(&[
            ("kubernetes.io/created-for/pvc/name", claim),
            ("kubernetes.io/created-for/pvc/namespace", "jhub"),
        ]),
        ..volume(id)
    }
}

pub fn volume(id: &str) -> Volume {
    Volume {
        id: id.into(),
        device: Some(format!("/dev/{id}")),
        root: false,
        delete_on_termination: false,
        size_gib: Some(20),
        tags: Tags::new(),
    }
}

pub fn interface(id: &str) -> Interface {
    Interface {
        id: id.into(),
        vpc: "vpc-1".into(),
        groups: vec!["sg-1".into()],
        public_ip: None,
        tags: Tags::new(),
    }
}

/// A node with its root volume and one interface.
pub fn instance(id: &str) -> Instance {
    Instance {
        id: id.into(),
        state: "running".to_owned(),
        instance_type: "m5.2xlarge".to_owned(),
        launched_at: None,
        private_dns: None,
        spot: false,
        tags: tags(&[("eks:cluster-name", "hub-prod")]),
        interfaces: vec![interface(&format!("eni-{id}"))],
        volumes: vec![Volume {
            root: true,
            delete_on_termination: true,
            ..volume(&format!("vol-root-{id}"))
        }],
        termination_protected: Reading::Known(false),
        group: None,
        role: None,
    }
}

/// A user's pod, as KubeSpawner makes it.
pub fn server(name: &str, node: &str, user: &str) -> Pod {
    Pod {
        annotations: tags(&[("hub.jupyter.org/username", user)]),
        ..pod("jhub", name, node)
    }
}

pub fn pod(namespace: &str, name: &str, node: &str) -> Pod {
    Pod {
        namespace: namespace.into(),
        name: name.into(),
        uid: format!("uid-{name}"),
        node: Some(node.into()),
        phase: "Running".to_owned(),
        labels: Tags::new(),
        annotations: Tags::new(),
        service_account: None,
        claims: Vec::new(),
        owner: None,
        host_network: false,
        cpu_millicores: None,
    }
}

pub fn node(name: &str, instance: &str) -> Node {
    Node {
        name: name.into(),
        instance: Some(instance.into()),
        unschedulable: false,
        labels: Tags::new(),
        annotations: Tags::new(),
    }
}

pub fn cluster(nodes: Vec<Node>, pods: Vec<Pod>) -> Cluster {
    Cluster {
        name: "hub-prod".into(),
        state: Reading::Known(ClusterState {
            nodes,
            pods,
            ..ClusterState::default()
        }),
    }
}

pub fn snapshot(id: &str, volume: &str, state: &str) -> Snapshot {
    Snapshot {
        id: id.into(),
        volume: volume.into(),
        state: state.to_owned(),
        started_at: None,
        completed_at: None,
        tags: tags(&[("davylamp:incident", "inc-0")]),
    }
}

pub fn finding(resources: Vec<Resource>) -> Finding {
    Finding {
        id: "f-1".into(),
        source: FindingSource::GuardDuty,
        kind: "CryptoCurrency:EC2/BitcoinTool.B".to_owned(),
        behaviour: Behaviour::Mining,
        title: "mining".to_owned(),
        severity: Severity::High,
        place: Some(place()),
        resources,
        first_seen: None,
        last_seen: None,
        count: 1,
        sample: false,
        archived: false,
        detector: Some("detector".to_owned()),
        observed: Vec::new(),
        gaps: Vec::new(),
    }
}

pub fn case(finding: Finding) -> Case {
    let resource = finding.resources.first().cloned();
    let resource = resource.unwrap_or(Resource::Account);
    Case {
        incident: incident_id(&place(), &resource, now()),
        findings: vec![finding],
        resource,
    }
}

pub fn on_instance(id: &str) -> Case {
    case(finding(vec![Resource::Instance { id: id.into() }]))
}

/// One node `i-1` in a cluster, with alice's volume and pod on it; a Hub with alice and e.
pub fn hub_node() -> Inventory {
    let mut machine = instance("i-1");
    machine.volumes.push(claimed("vol-alice", "claim-alice"));
    let mut inventory = Inventory::empty(place(), now());
    inventory.instances.push(machine);
    inventory.snapshots = Reading::Known(Vec::new());
    inventory.hub = Reading::Known(vec![user("alice"), user("e"), user("bob")]);
    inventory.clusters = vec![cluster(
        vec![node("n1", "i-1")],
        vec![server("jupyter-alice", "n1", "alice")],
    )];
    inventory
}

/// The cluster's state, to change.
pub fn state(inventory: &mut Inventory) -> &mut ClusterState {
    match inventory.clusters.first_mut().map(|held| &mut held.state) {
        Some(Reading::Known(state)) => state,
        other => panic!("the world has no readable cluster: {other:?}"),
    }
}

pub fn playbook(name: &str, steps: &[StepKind]) -> Playbook {
    Playbook {
        name: name.to_owned(),
        title: name.to_owned(),
        reason: "a test".to_owned(),
        techniques: Vec::new(),
        order: 10,
        trigger: Trigger::default(),
        conditions: Conditions::default(),
        steps: steps
            .iter()
            .map(|kind| StepSpec {
                kind: *kind,
                approval: Approval::WhenIrreversible,
                how: None,
                reason: None,
            })
            .collect(),
        caps: Caps::default(),
        release: None,
    }
}

/// Every kind of step there is.
pub fn everything() -> Playbook {
    let all: Vec<StepKind> = StepKind::ALL.iter().map(|(kind, _)| *kind).collect();
    playbook("everything", &all)
}

pub fn with_hub() -> Policy {
    Policy {
        hub: true,
        ..Policy::default()
    }
}

pub fn plan(playbook: &Playbook, policy: &Policy, case: &Case, inventory: &Inventory) -> Plan {
    let playbooks = [playbook.clone()];
    Planner::new(&playbooks, policy).plan(case, inventory, None)
}

pub fn ids(plan: &Plan) -> Vec<&str> {
    plan.steps.iter().map(|step| step.id.0.as_str()).collect()
}

pub fn has(plan: &Plan, id: &str) -> bool {
    ids(plan).contains(&id)
}

/// Why something was left out.
pub fn because<'a>(plan: &'a Plan, what: &str, target: &str) -> &'a str {
    plan.omissions
        .iter()
        .find(|held| held.what == what && held.target == target)
        .map_or_else(
            || panic!("nothing is said of {what} {target}: {:#?}", plan.omissions),
            |held| held.because.as_str(),
        )
}
