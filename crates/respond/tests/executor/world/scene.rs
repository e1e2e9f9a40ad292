//! A case to respond to: its finding, its plan, the journal with its faults, and who is told.

use std::sync::{Arc, Mutex};

use davylamp_content::playbook::Caps;
use davylamp_model::finding::{Behaviour, Finding, FindingSource, Severity};
use davylamp_model::ids::{IncidentId, VolumeId};
use davylamp_model::inventory::Inventory;
use davylamp_model::resource::{Place, Resource};
use davylamp_plan::action::Action;
use davylamp_plan::gate::Room;
use davylamp_plan::plan::{Attribution, Case, Plan, Stage, Step, StepId};
use davylamp_plan::policy::{Policy, Usage};
use davylamp_respond::actuator::{ActError, Acting};
use davylamp_respond::clock::Clock;
use davylamp_respond::executor::{Executor, ExecutorOptions};
use davylamp_respond::journal::{
    Claim, ClaimRequest, Entry, Journal, JournalError, Journaling, NoticeMark, Once,
};
use davylamp_respond::responder::{
    Collect, News, Parts, Planning, Responder, ResponderOptions, Tell,
};
use davylamp_respond::stop::Stop;
use jiff::Timestamp;

use super::{Fault, Hands, TestClock, Way, World};

/// A journal that fails now and then on its way to another.
pub struct Shaky {
    pub inner: Arc<dyn Journal>,
    pub way: Arc<Way>,
}

impl Shaky {
    fn shake<'a, T: Send + 'a>(&'a self, call: Journaling<'a, T>) -> Journaling<'a, T> {
        Box::pin(async move {
            let gone = || {
                Err(JournalError::Unreachable {
                    store: "shaky".to_owned(),
                    why: "no answer".to_owned(),
                })
            };
            match self.way.next() {
                Fault::None | Fault::Stale => call.await,
                Fault::Throttled => gone(),
                Fault::LostReply => {
                    call.await?;
                    gone()
                }
                Fault::DieBefore => self.way.die().await,
                Fault::DieAfter => {
                    call.await?;
                    self.way.die().await
                }
            }
        })
    }
}

impl Journal for Shaky {
    fn claim<'a>(&'a self, request: &'a ClaimRequest) -> Journaling<'a, Claim> {
        self.shake(self.inner.claim(request))
    }

    fn claim_incident<'a>(
        &'a self,
        incident: &'a IncidentId,
        run: &'a str,
        now: Timestamp,
        lease_secs: u32,
    ) -> Journaling<'a, Claim> {
        self.shake(self.inner.claim_incident(incident, run, now, lease_secs))
    }

    fn append<'a>(
        &'a self,
        incident: &'a IncidentId,
        entry: &'a Entry,
        lease_secs: u32,
    ) -> Journaling<'a, ()> {
        self.shake(self.inner.append(incident, entry, lease_secs))
    }

    fn begin<'a>(
        &'a self,
        incident: &'a IncidentId,
        entry: &'a Entry,
        lease_secs: u32,
        room: &'a Room,
    ) -> Journaling<'a, ()> {
        self.shake(self.inner.begin(incident, entry, lease_secs, room))
    }

    fn renew<'a>(
        &'a self,
        incident: &'a IncidentId,
        run: &'a str,
        now: Timestamp,
        lease_secs: u32,
    ) -> Journaling<'a, ()> {
        self.shake(self.inner.renew(incident, run, now, lease_secs))
    }

    fn release<'a>(
        &'a self,
        incident: &'a IncidentId,
        run: &'a str,
        due: Option<Timestamp>,
    ) -> Journaling<'a, ()> {
        self.shake(self.inner.release(incident, run, due))
    }

    fn read<'a>(&'a self, incident: &'a IncidentId) -> Journaling<'a, Option<Vec<Entry>>> {
        self.inner.read(incident)
    }

    fn due<'a>(&'a self, now: Timestamp) -> Journaling<'a, Vec<IncidentId>> {
        self.inner.due(now)
    }

    fn list<'a>(&'a self, limit: u32) -> Journaling<'a, Vec<IncidentId>> {
        self.inner.list(limit)
    }

    fn usage<'a>(
        &'a self,
        playbook: &'a str,
        since: Timestamp,
        incident: &'a IncidentId,
    ) -> Journaling<'a, Usage> {
        self.shake(self.inner.usage(playbook, since, incident))
    }

    fn once<'a>(&'a self, notice: &'a NoticeMark) -> Journaling<'a, Once> {
        self.shake(self.inner.once(notice))
    }

    fn settle<'a>(&'a self, notice: &'a NoticeMark, sent: bool) -> Journaling<'a, ()> {
        self.shake(self.inner.settle(notice, sent))
    }
}

pub fn place() -> Place {
    Place {
        account: "111122223333".into(),
        region: "eu-central-1".into(),
    }
}

pub fn finding(id: &str, instance: &str) -> Finding {
    Finding {
        id: id.into(),
        source: FindingSource::GuardDuty,
        kind: "CryptoCurrency:EC2/BitcoinTool.B!DNS".to_owned(),
        behaviour: Behaviour::Mining,
        title: "mining".to_owned(),
        severity: Severity::High,
        place: Some(place()),
        resources: vec![Resource::Instance {
            id: instance.into(),
        }],
        first_seen: None,
        last_seen: None,
        count: 1,
        sample: false,
        archived: false,
        detector: None,
        observed: Vec::new(),
        gaps: Vec::new(),
    }
}

/// Plans the same for every instance: stop the person, protect, snapshot, cut off, terminate only
/// after the evidence, and one step that a person has to approve.
pub struct Script;

impl Script {
    pub fn steps(instance: &str) -> Vec<Step> {
        let volumes = vec![VolumeId(format!("vol-of-{instance}"))];
        let step = |stage, action: Action| Step {
            id: StepId::of(&action),
            stage,
            action,
            why: "the test says so".to_owned(),
            only_after: Vec::new(),
            approval: None,
        };
        let since = "2026-03-01T00:00:00Z".parse().unwrap();
        let evidence = step(
            Stage::Evidence,
            Action::AwaitEvidence {
                volumes: volumes.clone(),
                since,
            },
        );
        let snapshot = step(
            Stage::Evidence,
            Action::SnapshotInstance {
                instance: instance.into(),
                volumes,
                exclude: Vec::new(),
            },
        );
        let awaited = Step {
            only_after: vec![snapshot.id.clone()],
            ..evidence
        };
        let terminate = Step {
            only_after: vec![awaited.id.clone()],
            ..step(
                Stage::End,
                Action::TerminateInstance {
                    instance: instance.into(),
                },
            )
        };
        let user = format!("user-of-{instance}");
        let asked = Step {
            approval: Some("two users share the node".to_owned()),
            ..step(
                Stage::Person,
                Action::RemoveHubUser {
                    user: format!("protected-{instance}").as_str().into(),
                },
            )
        };
        vec![
            asked,
            step(
                Stage::Person,
                Action::StopHubServers {
                    user: user.as_str().into(),
                },
            ),
            step(
                Stage::Protect,
                Action::ProtectInstance {
                    instance: instance.into(),
                },
            ),
            snapshot,
            awaited,
            step(
                Stage::Network,
                Action::IsolateInterface {
                    interface: format!("eni-of-{instance}").as_str().into(),
                    vpc: "vpc-1".into(),
                    groups: Vec::new(),
                },
            ),
            terminate,
            step(
                Stage::Refill,
                Action::SuspendGroup {
                    group: format!("group-of-{instance}").as_str().into(),
                },
            ),
        ]
    }
}

impl Planning for Script {
    fn plan(&self, case: &Case, inventory: &Inventory) -> Plan {
        let Resource::Instance { id } = &case.resource else {
            panic!("the scene has instances only");
        };
        Plan {
            incident: case.incident.clone(),
            place: inventory.place.clone(),
            playbook: "script".to_owned(),
            findings: case.findings.iter().map(|it| it.id.clone()).collect(),
            resource: case.resource.clone(),
            made_at: inventory.taken_at,
            attribution: Attribution {
                candidates: Vec::new(),
                decided: None,
                because: "nobody was asked".to_owned(),
            },
            steps: Self::steps(id.as_str()),
            omissions: Vec::new(),
            release: None,
            remarks: Vec::new(),
            again: false,
            blind: None,
        }
    }

    fn caps(&self, _: &str) -> Caps {
        Caps {
            plans_per_hour: 1000,
            irreversible_per_hour: 1000,
            targets_per_plan: 1000,
        }
    }
}

/// Collects nothing but the time.
pub struct Looker {
    pub clock: Arc<TestClock>,
    pub way: Arc<Way>,
}

impl Collect for Looker {
    fn collect<'a>(&'a self, cases: &'a [Case]) -> Acting<'a, Vec<Inventory>> {
        Box::pin(async move {
            match self.way.next() {
                Fault::Throttled | Fault::LostReply => {
                    return Err(ActError::Transient {
                        service: "world".to_owned(),
                        why: "slow down".to_owned(),
                    });
                }
                Fault::DieBefore | Fault::DieAfter => return self.way.die().await,
                Fault::None | Fault::Stale => {}
            }
            let empty = |case: &Case| {
                let there = case.findings.iter().find_map(|it| it.place.clone());
                Inventory::empty(there.unwrap_or_else(place), self.clock.now())
            };
            Ok(cases.iter().map(empty).collect())
        })
    }
}

/// People who remember what they were told.
pub struct People {
    pub told: Arc<Mutex<Vec<Vec<News>>>>,
    pub mailbox: Arc<Way>,
    pub way: Arc<Way>,
}

impl Tell for People {
    fn channels(&self) -> Vec<String> {
        vec!["mail".to_owned()]
    }

    fn tell<'a>(&'a self, _: &'a str, news: &'a [News]) -> Acting<'a, ()> {
        Box::pin(async move {
            let fault = self.mailbox.next();
            match fault {
                Fault::Throttled => {
                    return Err(ActError::Refused {
                        call: "mail".to_owned(),
                        why: "the mailbox is full".to_owned(),
                    });
                }
                Fault::DieBefore => return self.way.die().await,
                _ => {}
            }
            self.told.lock().unwrap().push(news.to_vec());
            match fault {
                Fault::DieAfter => self.way.die().await,
                _ => Ok(()),
            }
        })
    }
}

/// All that responders of a test share.
pub struct Scene {
    pub world: Arc<World>,
    pub clock: Arc<TestClock>,
    pub journal: Arc<dyn Journal>,
    pub told: Arc<Mutex<Vec<Vec<News>>>>,
    pub policy: Policy,
    pub options: ExecutorOptions,
    /// Who decides, where it is not the [`Script`].
    pub planning: Arc<dyn Planning>,
    /// Who asks, where it is not a [`Looker`].
    pub collect: Option<Arc<dyn Collect>>,
    /// Who tells, where it is not [`People`].
    pub tell: Option<Arc<dyn Tell>>,
    /// The faults of the mailbox, where they are not those of the process.
    pub mailbox: Option<Arc<Way>>,
}

impl Scene {
    pub fn new(world: Arc<World>, journal: Arc<dyn Journal>) -> Self {
        Self {
            world,
            clock: Arc::new(TestClock::new()),
            journal,
            told: Arc::default(),
            policy: Policy::default(),
            options: ExecutorOptions::default(),
            planning: Arc::new(Script),
            collect: None,
            tell: None,
            mailbox: None,
        }
    }

    pub fn executor(&self, way: &Arc<Way>) -> Executor {
        let hands = Hands {
            world: Arc::clone(&self.world),
            way: Arc::clone(way),
            clock: Arc::clone(&self.clock),
        };
        Executor::new(
            vec![Arc::new(hands)],
            Arc::new(Shaky {
                inner: Arc::clone(&self.journal),
                way: Arc::clone(way),
            }),
            Arc::clone(&self.clock) as Arc<dyn Clock>,
            self.options.clone(),
        )
    }

    pub fn responder(&self, run: &str, way: &Arc<Way>) -> Responder {
        self.responder_with(run, way, ResponderOptions::default())
    }

    /// One that ends in order when it is asked to.
    pub fn stoppable(&self, run: &str, stop: &Stop) -> Responder {
        let way = Way::new([]);
        let executor = self.executor(&way).with_stop(stop.clone());
        self.made(run, &way, ResponderOptions::default(), executor)
    }

    pub fn responder_with(
        &self,
        run: &str,
        way: &Arc<Way>,
        options: ResponderOptions,
    ) -> Responder {
        self.made(run, way, options, self.executor(way))
    }

    fn made(
        &self,
        run: &str,
        way: &Arc<Way>,
        options: ResponderOptions,
        executor: Executor,
    ) -> Responder {
        Responder::new(Parts {
            executor,
            collect: self.collect.clone().unwrap_or_else(|| {
                Arc::new(Looker {
                    clock: Arc::clone(&self.clock),
                    way: Arc::clone(way),
                })
            }),
            planning: Arc::clone(&self.planning),
            tell: self.tell.clone().unwrap_or_else(|| {
                Arc::new(People {
                    told: Arc::clone(&self.told),
                    mailbox: Arc::clone(self.mailbox.as_ref().unwrap_or(way)),
                    way: Arc::clone(way),
                })
            }),
            policy: self.policy.clone(),
            options,
            run: run.to_owned(),
        })
    }
}
