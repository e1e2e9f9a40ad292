//! Laws of the planner over generated accounts, findings and policies.

use std::collections::BTreeSet;

use davylamp_content::playbook::{Approval, Playbook, StepKind};
use davylamp_model::finding::{Behaviour, FindingSource};
use davylamp_model::inventory::{Claim, Controller, IamRole, IamUser, Reading, Sighting, Tags};
use davylamp_model::inventory::{HubRecord, Inventory};
use davylamp_model::resource::{KeyHolder, Resource};
use davylamp_plan::action::{Action, PortalSubject};
use davylamp_plan::plan::{Case, Plan};
use davylamp_plan::planner::Planner;
use davylamp_plan::policy::{Forensic, Policy, PortalNames};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRng;

use crate::world::*;

const USERS: [&str; 8] = [
    "alice",
    "e",
    "bob",
    "bob@e",
    "bob.doe",
    "bob-doe",
    "alice-40e",
    "alice@e",
];
const CLAIMS: [&str; 10] = [
    "claim-alice",
    "claim-alice--work",
    "claim-e",
    "claim-bob-40e",
    "claim-bob-2edoe",
    "claim-bob-doe---6b0fecac",
    "claim-alice-40e",
    "claim-",
    "data-postgres-0",
    "claim-\u{7}\u{0}---",
];
const OUR_TAG: (&str, &str) = ("davylamp:protected", "");

#[derive(Debug, Clone)]
struct World {
    inventory: Inventory,
    case: Case,
    policy: Policy,
    playbook: Playbook,
}

/// Makes a world out of a stream of choices: small domains, so that things meet.
struct Chooser<'r>(&'r mut TestRng);

impl Chooser<'_> {
    fn below(&mut self, end: usize) -> usize {
        self.0.random_range(0..end.max(1))
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }

    fn reading<T>(&mut self, value: T) -> Reading<T> {
        match self.below(10) {
            0 => Reading::NotAsked,
            1 => Reading::Unknown {
                why: "it was throttled".to_owned(),
            },
            _ => Reading::Known(value),
        }
    }

    fn tags(&mut self) -> Tags {
        if self.chance(6) {
            tags(&[OUR_TAG])
        } else {
            Tags::new()
        }
    }

    fn shuffle<T>(&mut self, list: &mut [T]) {
        for end in (1..list.len()).rev() {
            let other = self.below(end + 1);
            list.swap(end, other);
        }
    }

    fn world(&mut self) -> World {
        let inventory = self.inventory();
        let case = self.case();
        let mut playbook = everything();
        playbook.steps.retain(|_| self.chance(85));
        for step in &mut playbook.steps {
            step.approval = self.one(&[
                Approval::WhenIrreversible,
                Approval::Never,
                Approval::WhenShared,
                Approval::Always,
            ]);
        }
        World {
            inventory,
            case,
            policy: self.policy(),
            playbook,
        }
    }

    fn inventory(&mut self) -> Inventory {
        let mut inventory = Inventory::empty(place(), now());
        let (mut nodes, mut pods, mut claims, mut snapshots) = (vec![], vec![], vec![], vec![]);
        for number in 0..self.below(4) {
            let id = format!("i-{number}");
            let mut machine = instance(&id);
            machine.tags.extend(self.tags());
            machine.state = self
                .one(&["running", "running", "stopped", "terminated"])
                .to_owned();
            machine.termination_protected = {
                let set = self.chance(40);
                self.reading(set)
            };
            machine.role = self
                .chance(30)
                .then(|| self.one(&["node", "davylamp-responder"]).into());
            machine.group = self.chance(40).then(|| ("asg-1".into(), self.chance(50)));
            for extra in 0..self.below(4) {
                let claim = self.one(&CLAIMS);
                let mut held = claimed(&format!("vol-{number}-{extra}"), claim);
                if self.chance(20) {
                    held.tags = Tags::new();
                }
                held.tags.extend(self.tags());
                held.delete_on_termination = self.chance(30);
                if self.chance(50) {
                    claims.push(Claim {
                        namespace: "jhub".into(),
                        name: claim.into(),
                        volume: Some(held.id.clone()),
                        labels: Tags::new(),
                        annotations: if self.chance(50) {
                            tags(&[("hub.jupyter.org/username", self.one(&USERS))])
                        } else {
                            Tags::new()
                        },
                    });
                }
                machine.volumes.push(held);
            }
            for extra in 0..self.below(2) {
                let mut more = interface(&format!("eni-{number}-{extra}"));
                more.tags = self.tags();
                machine.interfaces.push(more);
            }
            for volume in &machine.volumes {
                if self.chance(40) {
                    let state = self.one(&["pending", "completed", "error"]);
                    let id = format!("snap-{}", volume.id);
                    let mut taken = snapshot(&id, volume.id.as_str(), state);
                    taken.completed_at =
                        self.chance(50).then(|| minutes_ago(self.below(40) as i64));
                    taken.started_at = self.chance(50).then(|| minutes_ago(self.below(40) as i64));
                    if self.chance(30) {
                        taken.tags = Tags::new();
                    }
                    snapshots.push(taken);
                }
            }
            let name = format!("n{number}");
            nodes.push(node(&name, &id));
            for extra in 0..self.below(4) {
                let user = self.one(&USERS);
                let mut held = server(&format!("jupyter-{number}-{extra}"), &name, user);
                held.namespace = self
                    .one(&["jhub", "jhub", "jhub", "kube-system", "lab"])
                    .into();
                held.labels = self.tags();
                held.cpu_millicores = self.chance(70).then(|| self.below(4_000) as u64);
                held.host_network = self.chance(10);
                if self.chance(30) {
                    held.annotations = Tags::new();
                    held.owner = Some(self.one(&["replicaset/web", "daemonset/agent"]).to_owned());
                }
                pods.push(held);
            }
            inventory.instances.push(machine);
        }
        for number in 0..self.below(3) {
            let mut loose = volume(&format!("vol-loose-{number}"));
            loose.tags = self.tags();
            inventory.volumes.push(loose);
        }
        inventory.snapshots = self.reading(snapshots);
        let mut prod = cluster(nodes, pods);
        if let Reading::Known(state) = &mut prod.state {
            state.claims = claims;
            state.controllers = vec![Controller {
                namespace: "jhub".into(),
                kind: "replicaset".to_owned(),
                name: "web".to_owned(),
                replicas: Some(2),
                suspended: false,
                owner: None,
                labels: self.tags(),
            }];
        }
        if self.chance(15) {
            prod.state = Reading::Unknown {
                why: "the API server does not answer".to_owned(),
            };
        }
        inventory.clusters = vec![prod];
        let mut hub: Vec<HubRecord> = USERS.iter().map(|name| user(name)).collect();
        hub.retain(|_| self.chance(80));
        for record in &mut hub {
            record.admin = self.chance(8);
        }
        inventory.hub = self.reading(hub);
        for number in 0..self.below(3) {
            inventory.sightings.push(Sighting {
                at: minutes_ago(number as i64),
                user: Some(self.one(&USERS).into()),
                pod: None,
                node: Some(self.one(&["n0", "n1", "elsewhere"]).into()),
            });
        }
        inventory.users = vec![IamUser {
            name: "deploy".into(),
            keys: vec![("AKIA1".into(), true), ("AKIA2".into(), self.chance(50))],
            login_profile: Reading::Known(true),
            tags: self.tags(),
        }];
        inventory.users.retain(|_| self.chance(80));
        inventory.roles = vec![IamRole {
            name: "node".into(),
            arn: None,
            path: self.one(&["/", "/aws-service-role/x/"]).to_owned(),
            tags: self.tags(),
        }];
        inventory
    }

    fn case(&mut self) -> Case {
        let mut resources = Vec::new();
        for _ in 0..self.below(4) {
            let number = self.below(4);
            let resource = match self.below(9) {
                0..=3 => Resource::Instance {
                    id: format!("i-{number}").as_str().into(),
                },
                4 => Resource::Workload {
                    cluster: self.chance(50).then(|| "hub-prod".into()),
                    namespace: "jhub".into(),
                    kind: self.one(&["pods", "PODS", "replicasets"]).to_owned(),
                    name: self
                        .one(&["jupyter-0-0", "jupyter-1-1", "web", "jupyter-bob-2edoe"])
                        .to_owned(),
                },
                5 => Resource::AccessKey {
                    key: self.chance(50).then(|| "AKIA1".into()),
                    holder: self.one(&[
                        KeyHolder::User {
                            user: "deploy".into(),
                        },
                        KeyHolder::RoleSession {
                            role: "node".into(),
                            session: Some("i-0123456789abcdef0".to_owned()),
                        },
                        KeyHolder::Root,
                    ]),
                },
                6 => Resource::Volume {
                    id: format!("vol-loose-{number}").as_str().into(),
                },
                7 => Resource::HubUser {
                    user: self.one(&USERS).into(),
                    pod: None,
                },
                _ => Resource::Unknown {
                    kind: "Quantum".to_owned(),
                },
            };
            resources.push(resource);
        }
        let mut found = finding(resources);
        found.source = self.one(&[FindingSource::GuardDuty, FindingSource::Davylamp]);
        found.sample = self.chance(5);
        found.archived = self.chance(5);
        if self.chance(5) {
            found.behaviour = Behaviour::Unknown;
        }
        if self.chance(5) {
            found.place = None;
        }
        case(found)
    }

    fn policy(&mut self) -> Policy {
        let mut policy = Policy {
            hub: self.chance(80),
            portal: self.one(&[None, Some(PortalNames::Claim), Some(PortalNames::User)]),
            cognito_pool: self.chance(50).then(|| "pool".to_owned()),
            memory_document: self.chance(50).then(|| "Capture".to_owned()),
            forensic: self.chance(50).then(|| Forensic {
                account: "999900001111".into(),
                region: None,
                kms_key: "arn:aws:kms:us-west-2:999900001111:key/1".to_owned(),
            }),
            debounce_minutes: self.one(&[0, 15, u32::MAX]),
            ..Policy::default()
        };
        if self.chance(20) {
            policy.protected.hub_users = vec![self.one(&["alice", "BOB*", "*"]).to_owned()];
        }
        if self.chance(20) {
            policy.protected.users = vec!["dep*".to_owned()];
        }
        if self.chance(5) {
            policy.protected.accounts = vec![place().account];
        }
        if self.chance(30) {
            policy.hub_namespaces = vec!["jhub".to_owned()];
        }
        policy
    }
}

fn worlds() -> impl Strategy<Value = World> {
    Just(()).prop_perturb(|(), mut rng| Chooser(&mut rng).world())
}

fn planned(world: &World) -> Plan {
    plan(
        &world.playbook,
        &world.policy,
        &world.case,
        &world.inventory,
    )
}

/// Whether something carries the tag that protects, by the plain rule and nothing of the planner's.
fn marked(tags: &Tags) -> bool {
    tags.contains_key(OUR_TAG.0)
}

/// Everything that is protected in a world, found without the planner's own code.
struct Oracle {
    instances: BTreeSet<String>,
    volumes: BTreeSet<String>,
    interfaces: BTreeSet<String>,
    users: BTreeSet<String>,
    pods: BTreeSet<(String, String)>,
    iam_users: BTreeSet<String>,
    roles: BTreeSet<String>,
    /// Instances that carry something protected: neither cut off nor ended.
    carriers: BTreeSet<String>,
}

impl Oracle {
    fn of(world: &World) -> Self {
        let inventory = &world.inventory;
        let mut oracle = Self {
            instances: BTreeSet::new(),
            volumes: BTreeSet::new(),
            interfaces: BTreeSet::new(),
            users: BTreeSet::new(),
            pods: BTreeSet::new(),
            iam_users: BTreeSet::new(),
            roles: BTreeSet::from(["davylamp-responder".to_owned()]),
            carriers: BTreeSet::new(),
        };
        for instance in &inventory.instances {
            let whole = marked(&instance.tags);
            if whole {
                oracle.instances.insert(instance.id.to_string());
            }
            for volume in &instance.volumes {
                if whole || marked(&volume.tags) {
                    oracle.volumes.insert(volume.id.to_string());
                    oracle.carriers.insert(instance.id.to_string());
                }
            }
            for interface in &instance.interfaces {
                if whole || marked(&interface.tags) {
                    oracle.interfaces.insert(interface.id.to_string());
                    oracle.carriers.insert(instance.id.to_string());
                }
            }
        }
        for volume in inventory.volumes.iter().filter(|held| marked(&held.tags)) {
            oracle.volumes.insert(volume.id.to_string());
        }
        for pattern in &world.policy.protected.hub_users {
            let start = pattern.trim_end_matches('*').to_lowercase();
            let exact = !pattern.ends_with('*');
            for user in USERS.iter().filter(|user| {
                if exact {
                    **user == start
                } else {
                    user.starts_with(&start)
                }
            }) {
                oracle.users.insert((*user).to_owned());
            }
        }
        let admins = inventory.hub.known().into_iter().flatten();
        let admins = admins.filter(|record| record.admin);
        oracle
            .users
            .extend(admins.map(|record| record.name.to_string()));
        for cluster in &inventory.clusters {
            let Some(state) = cluster.state.known() else {
                continue;
            };
            for pod in &state.pods {
                let theirs = pod.annotations.get("hub.jupyter.org/username");
                let spaces = &world.policy.hub_namespaces;
                let of_hub = spaces.is_empty() || pod.namespace.as_str() == "jhub";
                let protected = marked(&pod.labels)
                    || pod.namespace.as_str() == "kube-system"
                    || of_hub && theirs.is_some_and(|name| oracle.users.contains(name));
                if !protected {
                    continue;
                }
                oracle
                    .pods
                    .insert((pod.namespace.to_string(), pod.name.to_string()));
                if pod.owner.as_deref() == Some("daemonset/agent") {
                    continue;
                }
                for node in &state.nodes {
                    if pod.node.as_ref() == Some(&node.name)
                        && let Some(id) = &node.instance
                        && (marked(&pod.labels) || pod.namespace.as_str() == "kube-system")
                    {
                        oracle.carriers.insert(id.to_string());
                    }
                }
            }
        }
        for user in &inventory.users {
            let named = !world.policy.protected.users.is_empty();
            if named || marked(&user.tags) {
                oracle.iam_users.insert(user.name.to_string());
            }
        }
        for role in &inventory.roles {
            if role.path != "/" || marked(&role.tags) {
                oracle.roles.insert(role.name.to_string());
            }
        }
        oracle
    }

    /// Whether an action is against a protected thing.
    fn forbids(&self, action: &Action, inventory: &Inventory) -> bool {
        let ids = |text: &str, keys: &[&str]| -> Vec<String> {
            // The stored form of an action names every target by its member.
            let value: serde_json::Value = serde_json::from_str(text).expect("an action prints");
            keys.iter()
                .filter_map(|key| value.get(*key))
                .flat_map(|held| match held {
                    serde_json::Value::String(one) => vec![one.clone()],
                    serde_json::Value::Array(many) => many
                        .iter()
                        .filter_map(|one| one.as_str().map(str::to_owned))
                        .collect(),
                    serde_json::Value::Object(many) => many
                        .values()
                        .filter_map(|one| one.as_str().map(str::to_owned))
                        .collect(),
                    _ => Vec::new(),
                })
                .collect()
        };
        let text = serde_json::to_string(action).expect("an action prints");
        let touches = |keys: &[&str], held: &BTreeSet<String>| {
            ids(&text, keys).iter().any(|id| held.contains(id))
        };
        let ends = matches!(
            action,
            Action::TerminateInstance { .. } | Action::StopInstance { .. }
        );
        let cut = match action {
            Action::IsolateInterface { interface, .. } => inventory
                .instances
                .iter()
                .filter(|held| held.interfaces.iter().any(|one| one.id == *interface))
                .any(|held| self.carriers.contains(held.id.as_str())),
            _ => false,
        };
        let hub = matches!(
            action,
            Action::StopHubServers { .. }
                | Action::RevokeHubTokens { .. }
                | Action::RemoveHubUser { .. }
                | Action::DisableCognitoUser { .. }
                | Action::SignOutCognitoUser { .. }
        );
        let portal = match action {
            Action::DeauthorisePortalUser {
                subject: PortalSubject::User(user),
            } => self.users.contains(user.as_str()),
            _ => false,
        };
        let pod = match action {
            Action::IsolatePod { namespace, pod, .. }
            | Action::DeletePod { namespace, pod, .. }
            | Action::EvictPod { namespace, pod, .. } => self
                .pods
                .contains(&(namespace.to_string(), pod.to_string())),
            _ => false,
        };
        touches(&["instance"], &self.instances)
            || touches(&["volume", "volumes", "devices"], &self.volumes)
            || touches(&["interface"], &self.interfaces)
            || (ends && touches(&["instance"], &self.carriers))
            || (hub && touches(&["user"], &self.users))
            || (!hub && touches(&["user"], &self.iam_users))
            || touches(&["role"], &self.roles)
            || cut
            || portal
            || pod
    }
}

fn is_person(action: &Action) -> bool {
    matches!(
        action,
        Action::StopHubServers { .. }
            | Action::RevokeHubTokens { .. }
            | Action::RemoveHubUser { .. }
            | Action::DeauthorisePortalUser { .. }
            | Action::DisableCognitoUser { .. }
            | Action::SignOutCognitoUser { .. }
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn the_same_world_gives_the_same_plan_in_whatever_order_it_is_told(
        (world, shuffled) in worlds().prop_perturb(|world, mut rng| {
            let mut other = world.clone();
            let mut chooser = Chooser(&mut rng);
            let inventory = &mut other.inventory;
            for instance in &mut inventory.instances {
                chooser.shuffle(&mut instance.volumes);
                chooser.shuffle(&mut instance.interfaces);
            }
            chooser.shuffle(&mut inventory.instances);
            chooser.shuffle(&mut inventory.volumes);
            chooser.shuffle(&mut inventory.sightings);
            chooser.shuffle(&mut inventory.users);
            if let Reading::Known(list) = &mut inventory.hub {
                chooser.shuffle(list);
            }
            if let Reading::Known(list) = &mut inventory.snapshots {
                chooser.shuffle(list);
            }
            for cluster in &mut inventory.clusters {
                if let Reading::Known(state) = &mut cluster.state {
                    chooser.shuffle(&mut state.nodes);
                    chooser.shuffle(&mut state.pods);
                    chooser.shuffle(&mut state.claims);
                }
            }
            for finding in &mut other.case.findings {
                chooser.shuffle(&mut finding.resources);
            }
            (world, other)
        })
    ) {
        let plan = planned(&world);
        prop_assert_eq!(&plan, &planned(&world));
        let other = planned(&shuffled);
        prop_assert_eq!(plan.hash(), other.hash());
        prop_assert_eq!(plan, other);
    }

    #[test]
    fn a_protected_target_is_never_in_a_plan(world in worlds()) {
        let plan = planned(&world);
        let oracle = Oracle::of(&world);
        for step in &plan.steps {
            prop_assert!(
                !oracle.forbids(&step.action, &world.inventory),
                "{} is against a protected target", step.id
            );
        }
        if world.policy.protected.accounts.contains(&world.inventory.place.account) {
            prop_assert!(plan.steps.is_empty());
        }
    }

    #[test]
    fn an_instance_is_terminated_only_after_the_evidence_of_all_its_volumes(world in worlds()) {
        let plan = planned(&world);
        for (at, step) in plan.steps.iter().enumerate() {
            for before in &step.only_after {
                let stands = plan.steps.iter().position(|held| held.id == *before);
                prop_assert!(stands.is_some_and(|stands| stands < at), "{} before {before}", step.id);
            }
            let Action::TerminateInstance { instance } = &step.action else { continue };
            let machine = world.inventory.instance(instance).expect("it was planned from it");
            let awaited: BTreeSet<_> = step
                .only_after
                .iter()
                .filter_map(|id| plan.step(id))
                .filter_map(|held| match &held.action {
                    Action::AwaitEvidence { volumes, .. } => Some(volumes),
                    _ => None,
                })
                .flatten()
                .collect();
            for volume in &machine.volumes {
                prop_assert!(awaited.contains(&volume.id), "{} is not kept", volume.id);
            }
        }
    }

    #[test]
    fn of_two_undecided_candidates_nobody_is_stopped(world in worlds()) {
        let plan = planned(&world);
        let attribution = &plan.attribution;
        for step in plan.steps.iter().filter(|step| is_person(&step.action)) {
            prop_assert!(
                attribution.decided.is_some() || attribution.candidates.len() == 1,
                "{} though nobody is decided", step.id
            );
        }
        if let Some(decided) = &attribution.decided {
            let target = format!("hub-user/{decided}");
            for step in plan.steps.iter().filter(|step| is_person(&step.action)) {
                let on = step.action.target();
                if on.starts_with("hub-user/") {
                    prop_assert_eq!(&on, &target);
                }
            }
        }
    }

    #[test]
    fn what_must_not_be_acted_on_has_no_steps(world in worlds()) {
        let plan = planned(&world);
        let found = &world.case.findings[0];
        let idle = found.sample
            || found.archived
            || found.behaviour == Behaviour::Unknown
            || found.place.is_none()
            || found.resources.is_empty();
        if idle {
            prop_assert!(plan.steps.is_empty());
            prop_assert_eq!(&plan.playbook, "report-only");
            prop_assert!(!plan.omissions.is_empty());
        }
    }

    #[test]
    fn every_step_of_the_playbook_is_in_the_plan_or_has_its_reason(world in worlds()) {
        let plan = planned(&world);
        prop_assert!(plan.omissions.iter().all(|held| !held.because.is_empty()));
        if plan.playbook == "everything" {
            prop_assert!(plan.steps.len() + plan.omissions.len() >= world.playbook.steps.len());
        }
        let unique: BTreeSet<_> = plan.steps.iter().map(|step| &step.id).collect();
        prop_assert_eq!(unique.len(), plan.steps.len());
        prop_assert!(plan.steps.is_sorted_by_key(|step| step.stage));
    }

    #[test]
    fn a_claim_named_for_alice_leads_to_nobody_else(
        others in proptest::collection::btree_set("[a-z@.-]{1,6}", 0..20),
        read in any::<bool>(),
    ) {
        let mut inventory = hub_node();
        state(&mut inventory).pods.clear();
        let mut hub = vec![user("alice")];
        // Only who has the same slug under some scheme may be meant as well, and nobody of
        // lower-case letters alone has.
        hub.extend(others.iter().filter(|name| *name != "alice").map(|name| user(name)));
        inventory.hub = if read {
            Reading::Known(hub)
        } else {
            Reading::Unknown { why: "the Hub does not answer".to_owned() }
        };
        let playbooks = [everything()];
        let policy = Policy { portal: Some(PortalNames::User), cognito_pool: Some("pool".to_owned()), ..with_hub() };
        let plan = Planner::new(&playbooks, &policy).plan(&on_instance("i-1"), &inventory, None);
        let names: Vec<&str> = plan.attribution.candidates.iter().map(|held| held.user.as_str()).collect();
        prop_assert_eq!(names, ["alice"]);
        prop_assert_eq!(plan.attribution.decided.is_some(), read);
        let stopped = plan.steps.iter().filter(|step| is_person(&step.action)).count();
        prop_assert_eq!(stopped > 0, read);
    }
}

#[test]
fn the_generated_worlds_are_worth_looking_at() {
    // A law that is never put to the test proves nothing: each kind of step has to occur.
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut seen: BTreeSet<&'static str> = BTreeSet::new();
    for _ in 0..1_500 {
        let world = worlds()
            .new_tree(&mut runner)
            .expect("a world can always be made")
            .current();
        seen.extend(planned(&world).steps.iter().map(|step| step.action.verb()));
    }
    for verb in [
        "terminate-instance",
        "unprotect-instance",
        "isolate-interface",
        "stop-hub-servers",
        "remove-hub-user",
        "deauthorise-portal-user",
        "snapshot-instance",
        "snapshot-volume",
        "await-evidence",
        "copy-evidence",
        "delete-pod",
        "isolate-pod",
        "deactivate-key",
        "delete-login-profile",
        "deny-role-sessions",
        "scale-to-zero",
        "suspend-group",
        "keep-volumes",
    ] {
        assert!(seen.contains(verb), "{verb} never occurs: {seen:?}");
    }
    assert_eq!(StepKind::ALL.len(), everything().steps.len());
}
