//! A little account that can be counted: instances, volumes, snapshots, interfaces and Hub users
//! in memory, with faults on the way to it. The executor's own test bed; the real services have
//! theirs.

pub mod scene;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use davylamp_model::resource::Place;
use davylamp_plan::action::Action;
use davylamp_plan::gate::{ActToken, UndoToken};
use davylamp_plan::plan::StepId;
use davylamp_respond::actuator::{ActError, Acting, Actuator, Checked, Reverted, Verified};
use davylamp_respond::clock::Clock;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::Notify;

/// What can go wrong with one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// Refused for now, without effect.
    Throttled,
    /// The effect is there, the reply is not.
    LostReply,
    /// The process dies before the call.
    DieBefore,
    /// The process dies after the call had its effect.
    DieAfter,
    /// A read shows what was there before.
    Stale,
}

/// How snapshots of the world fare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Snapshots {
    /// Complete after so many looks.
    CompleteAfter(u32),
    /// End in an error after so many looks.
    ErrAfter(u32),
}

/// Time that passes when somebody waits.
#[derive(Debug)]
pub struct TestClock(Mutex<Timestamp>);

impl TestClock {
    pub fn new() -> Self {
        Self(Mutex::new("2026-03-01T00:00:00Z".parse().unwrap()))
    }

    pub fn pass(&self, time: Duration) {
        let mut now = self.0.lock().unwrap();
        *now = now.checked_add(time).unwrap();
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }

    fn sleep(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let end = self.now().checked_add(time).unwrap();
        Box::pin(async move {
            tokio::task::yield_now().await;
            let mut now = self.0.lock().unwrap();
            *now = (*now).max(end);
        })
    }
}

/// The faults on the way of one process, and its death.
#[derive(Debug, Default)]
pub struct Way {
    faults: Mutex<VecDeque<Fault>>,
    pub died: Notify,
}

impl Way {
    pub fn new(faults: impl IntoIterator<Item = Fault>) -> Arc<Self> {
        Arc::new(Self {
            faults: Mutex::new(faults.into_iter().collect()),
            died: Notify::new(),
        })
    }

    pub fn next(&self) -> Fault {
        self.faults
            .lock()
            .unwrap()
            .pop_front()
            .unwrap_or(Fault::None)
    }

    pub async fn die<T>(&self) -> T {
        self.died.notify_one();
        pending().await
    }
}

/// What is there.
#[derive(Debug, Default)]
pub struct State {
    /// What holds now, by step: the state an action brings about.
    pub done: BTreeSet<StepId>,
    /// How often each step changed something.
    pub effects: BTreeMap<StepId, u32>,
    /// How often each was taken back.
    pub taken_back: BTreeMap<StepId, u32>,
    /// Volumes to the looks at their snapshot so far.
    pub snapshots: BTreeMap<String, u32>,
    /// Instances to the volumes that were snapshotted with them.
    pub volumes_of: BTreeMap<String, Vec<String>>,
    /// Volumes that are gone.
    pub gone: BTreeSet<String>,
    /// What must never happen and did.
    pub wrongs: Vec<String>,
    /// Steps that fail for good.
    pub refused: BTreeSet<String>,
    /// Steps that are refused for good when they are taken.
    pub refused_late: BTreeSet<String>,
    /// Steps that cannot be taken back, with whether that is so for good.
    pub stuck: BTreeMap<String, bool>,
    /// How long a look before a step takes.
    pub look_takes: Duration,
}

/// The world.
#[derive(Debug)]
pub struct World {
    state: Mutex<State>,
    snapshots: Snapshots,
}

impl World {
    pub fn new(snapshots: Snapshots) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            snapshots,
        })
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One look at a volume's snapshot: whether it is complete, or has failed.
    fn evidence(&self, state: &mut State, volume: &str) -> Option<Result<(), ()>> {
        let looks = state.snapshots.get_mut(volume)?;
        *looks += 1;
        match self.snapshots {
            Snapshots::CompleteAfter(after) if *looks > after => Some(Ok(())),
            Snapshots::ErrAfter(after) if *looks > after => Some(Err(())),
            _ => None,
        }
    }

    fn is_complete(&self, state: &State, volume: &str) -> bool {
        match (self.snapshots, state.snapshots.get(volume)) {
            (Snapshots::CompleteAfter(after), Some(looks)) => *looks > after,
            _ => false,
        }
    }

    fn act(&self, id: &StepId, action: &Action) {
        let mut state = self.state();
        if id.0.contains("protected") {
            state.wrongs.push(format!("{id} was taken"));
        }
        if let Action::AwaitEvidence { .. } = action {
            return;
        }
        if !state.done.insert(id.clone()) {
            return;
        }
        *state.effects.entry(id.clone()).or_default() += 1;
        match action {
            Action::SnapshotInstance {
                instance, volumes, ..
            } => {
                for volume in volumes {
                    state.snapshots.insert(volume.0.clone(), 0);
                }
                let volumes = volumes.iter().map(|volume| volume.0.clone()).collect();
                state.volumes_of.insert(instance.0.clone(), volumes);
            }
            Action::SnapshotVolume { volume } => {
                state.snapshots.insert(volume.0.clone(), 0);
            }
            Action::TerminateInstance { instance } => {
                // Every volume of an instance goes with it in this world.
                let volumes = state.volumes_of.get(instance.as_str()).cloned();
                for volume in volumes.unwrap_or_default() {
                    if !self.is_complete(&state, &volume) {
                        state
                            .wrongs
                            .push(format!("{volume} is gone without evidence"));
                    }
                    state.gone.insert(volume);
                }
            }
            _ => {}
        }
    }
}

/// One process's hands in the world.
pub struct Hands {
    pub world: Arc<World>,
    pub way: Arc<Way>,
    pub clock: Arc<TestClock>,
}

impl Hands {
    /// Whether it is a machine that was terminated.
    fn is_ended(&self, target: &str) -> bool {
        let end = StepId(format!("terminate-instance:{target}"));
        self.world.state().done.contains(&end)
    }

    fn throttled() -> ActError {
        ActError::Transient {
            service: "world".to_owned(),
            why: "slow down".to_owned(),
        }
    }

    fn verified(&self, action: &Action, stale: bool) -> Verified {
        let id = StepId::of(action);
        let mut state = self.world.state();
        if let Action::AwaitEvidence { volumes, .. } = action {
            let looks: Vec<_> = volumes
                .iter()
                .map(|volume| self.world.evidence(&mut state, volume.as_str()))
                .collect();
            if looks.contains(&Some(Err(()))) {
                let why = "the snapshot ended in an error".to_owned();
                return Verified::Failed { why };
            }
            let complete = looks.iter().all(|look| *look == Some(Ok(())));
            return if complete && !stale {
                let note = "evidence is complete".to_owned();
                Verified::Done { note }
            } else {
                let what = "snapshots are being written".to_owned();
                Verified::Pending { what }
            };
        }
        if state.done.contains(&id) && !stale {
            let note = "it is so".to_owned();
            Verified::Done { note }
        } else {
            let what = "it is not seen yet".to_owned();
            Verified::Pending { what }
        }
    }
}

impl Actuator for Hands {
    fn takes(&self, _: &Action) -> bool {
        true
    }

    fn check<'a>(&'a self, _: &'a Place, action: &'a Action) -> Acting<'a, Checked> {
        Box::pin(async move {
            let fault = self.way.next();
            match fault {
                Fault::Throttled | Fault::LostReply => return Err(Self::throttled()),
                Fault::DieBefore | Fault::DieAfter => return self.way.die().await,
                Fault::None | Fault::Stale => {}
            }
            let id = StepId::of(action);
            self.clock.pass(self.world.state().look_takes);
            let state = self.world.state();
            if state.refused.contains(&id.0) {
                let why = "the target is another one now".to_owned();
                return Ok(Checked::Impossible { why });
            }
            if state.done.contains(&id) && fault != Fault::Stale {
                let note = "it was so".to_owned();
                Ok(Checked::Already { note })
            } else {
                let before = json!({ "was": state.done.contains(&id) });
                Ok(Checked::Needed { before })
            }
        })
    }

    fn act<'a>(&'a self, token: ActToken<'a>, _: &'a Value) -> Acting<'a, ()> {
        Box::pin(async move {
            let step = token.step();
            if self.world.state().refused_late.contains(&step.id.0) {
                return Err(ActError::Refused {
                    call: "world".to_owned(),
                    why: "something came to it meanwhile".to_owned(),
                });
            }
            match self.way.next() {
                Fault::Throttled => return Err(Self::throttled()),
                Fault::DieBefore => return self.way.die().await,
                Fault::DieAfter => {
                    self.world.act(&step.id, &step.action);
                    return self.way.die().await;
                }
                Fault::LostReply => {
                    self.world.act(&step.id, &step.action);
                    return Err(Self::throttled());
                }
                Fault::None | Fault::Stale => {}
            }
            self.world.act(&step.id, &step.action);
            Ok(())
        })
    }

    fn verify<'a>(
        &'a self,
        _: &'a Place,
        action: &'a Action,
        _: &'a Value,
    ) -> Acting<'a, Verified> {
        Box::pin(async move {
            match self.way.next() {
                Fault::Throttled | Fault::LostReply => Err(Self::throttled()),
                Fault::DieBefore | Fault::DieAfter => self.way.die().await,
                fault => Ok(self.verified(action, fault == Fault::Stale)),
            }
        })
    }

    fn undo<'a>(&'a self, token: UndoToken<'a>, before: &'a Value) -> Acting<'a, Reverted> {
        Box::pin(async move {
            let id = &token.step().id;
            let fault = self.way.next();
            match fault {
                Fault::Throttled => return Err(Self::throttled()),
                Fault::DieBefore => return self.way.die().await,
                _ => {}
            }
            match self.world.state().stuck.get(&id.0) {
                Some(true) => {
                    return Err(ActError::Refused {
                        call: "world".to_owned(),
                        why: "the node is gone".to_owned(),
                    });
                }
                Some(false) => return Err(Self::throttled()),
                None => {}
            }
            if before["was"] == json!(false) {
                let mut state = self.world.state();
                if state.done.remove(id) {
                    *state.taken_back.entry(id.clone()).or_default() += 1;
                }
            }
            match fault {
                Fault::LostReply => Err(Self::throttled()),
                Fault::DieAfter => self.way.die().await,
                _ if self.is_ended(&token.step().action.target()) => Ok(Reverted::Gone {
                    why: "the machine was ended".to_owned(),
                }),
                _ => Ok(Reverted::Back),
            }
        })
    }
}
