//! Generated accounts, findings and policies.

use davylamp_content::playbook::{Approval, Playbook};
use davylamp_model::finding::{Behaviour, FindingSource};
use davylamp_model::inventory::{Claim, Controller, IamRole, IamUser, Reading, Sighting, Tags};
use davylamp_model::inventory::{HubRecord, Inventory};
use davylamp_model::resource::{KeyHolder, Resource};
use davylamp_plan::plan::Case;
use davylamp_plan::policy::{Forensic, Policy, PortalNames};
use proptest::prelude::*;
use proptest::test_runner::TestRng;

use crate::world::*;

pub const USERS: [&str; 8] = [
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
pub const OUR_TAG: (&str, &str) = ("davylamp:protected", "");

#[derive(Debug, Clone)]
pub struct World {
    pub inventory: Inventory,
    pub case: Case,
    pub policy: Policy,
    pub playbook: Playbook,
}

/// Makes a world out of a stream of choices: small domains, so that things meet.
pub struct Chooser<'r>(pub &'r mut TestRng);

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

    pub fn shuffle<T>(&mut self, list: &mut [T]) {
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
            archive: true,
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

pub fn worlds() -> impl Strategy<Value = World> {
    Just(()).prop_perturb(|(), mut rng| Chooser(&mut rng).world())
}
