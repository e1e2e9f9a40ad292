//! Carries a plan out.
//!
//! What must stay true: a step is taken only with the gate's token, and only after a conditional
//! write to the journal that says what was there before, so a run that lost its incident cannot
//! act; a step is never taken before the steps it depends on are verified; a step that fails, waits
//! or is repeated holds up no other. So that the network is cut while snapshots are being written,
//! nothing is waited for until every step that can be begun has been, stage by stage.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use davylamp_content::playbook::Caps;
use davylamp_model::ids::IncidentId;
use davylamp_model::resource::Place;
use davylamp_plan::action::Action;
use davylamp_plan::gate::{self, Gate, Refusal, Room};
use davylamp_plan::plan::{Plan, Stage, Step, StepId};
use davylamp_plan::policy::{Policy, Usage};
use futures::stream::{self, StreamExt};
use jiff::Timestamp;

use crate::actuator::{ActError, Actuator};
use crate::clock::{Clock, later};
use crate::journal::history::{History, StepState};
use crate::journal::{Event, Journal, JournalError};
use crate::stop::Stop;

mod attempt;

mod ledger;

mod outcome;

mod patience;

pub use ledger::Ledger;
pub use outcome::{Outcome, ReadingState};
pub use patience::ExecutorOptions;
pub(crate) use patience::OVER;

use attempt::{Attempt, Tried};

/// The stages in the order in which their steps are begun.
const STAGES: [Stage; 7] = [
    Stage::Person,
    Stage::Protect,
    Stage::Evidence,
    Stage::Network,
    Stage::End,
    Stage::Refill,
    Stage::Report,
];

/// Told about each step as it changes.
pub type Progress = Arc<dyn Fn(&IncidentId, &StepId, &StepState) + Send + Sync>;

/// Carries plans out.
#[derive(Clone)]
pub struct Executor {
    pub(crate) actuators: Vec<Arc<dyn Actuator>>,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) options: ExecutorOptions,
    pub(crate) stop: Stop,
    progress: Option<Progress>,
}

/// What a run may do.
#[derive(Debug, Clone)]
pub struct Permit<'a> {
    /// What the operator allows.
    pub policy: &'a Policy,
    /// The playbook's caps.
    pub caps: &'a Caps,
    /// What was done lately by other incidents of the playbook.
    pub usage: Usage,
    /// Whether nothing at all may be done, nor journaled.
    pub dry_run: bool,
    /// Whether nothing may be done, and that is journaled: the incident is over with it.
    pub observe: bool,
}

/// Where a step stands in this run.
enum Stand {
    /// To be begun, not before a time.
    New { tries: u32, not_before: Timestamp },
    /// Begun, and on its way.
    Pending { what: String, look_at: Timestamp },
    /// Nothing more to do in this run.
    Settled,
}

struct Running<'p> {
    step: &'p Step,
    stand: Stand,
    first_try: Option<Timestamp>,
    /// Looks at it since it was begun.
    looks: u32,
}

impl Executor {
    /// An executor. Of several actuators that take an action the first carries it out.
    pub fn new(
        actuators: Vec<Arc<dyn Actuator>>,
        journal: Arc<dyn Journal>,
        clock: Arc<dyn Clock>,
        options: ExecutorOptions,
    ) -> Self {
        Self {
            actuators,
            journal,
            clock,
            options,
            stop: Stop::default(),
            progress: None,
        }
    }

    /// Ends in order when somebody asks it to.
    #[must_use]
    pub fn with_stop(mut self, stop: Stop) -> Self {
        self.stop = stop;
        self
    }

    /// Tells somebody about each step as it changes.
    #[must_use]
    pub fn with_progress(mut self, progress: Progress) -> Self {
        self.progress = Some(progress);
        self
    }

    /// Carries out what is left of the plan that holds in `ledger`, which the run has claimed.
    ///
    /// An error means that the journal failed or another run has taken over: nothing was done
    /// after that, and the incident can be resumed.
    pub async fn run(
        &self,
        ledger: &Ledger<'_>,
        permit: &Permit<'_>,
    ) -> Result<Outcome, JournalError> {
        let Some(plan) = ledger.read(|history| history.plan().cloned()) else {
            return Ok(Outcome::default());
        };
        if permit.dry_run {
            return Ok(self.rehearse(&plan, ledger, permit));
        }
        let mut steps = self.start(&plan, ledger);
        let mut cut_short = false;
        loop {
            let mut moved = false;
            for stage in STAGES {
                if self.is_over() {
                    cut_short = true;
                    break;
                }
                moved |= self.stage(&plan, stage, &mut steps, ledger, permit).await?;
            }
            if cut_short {
                break;
            }
            if moved {
                continue;
            }
            let Some(next) = next_time(&steps, &self.satisfied(ledger)) else {
                break;
            };
            if self.options.until.is_some_and(|until| next >= until) {
                cut_short = true;
                break;
            }
            self.wait_until(next, ledger).await?;
            if self.stop.is_asked() {
                cut_short = true;
                break;
            }
            self.look(&plan, &mut steps, ledger).await?;
        }
        // Nothing is cut short where nothing was left.
        cut_short &= steps.iter().any(|it| !matches!(it.stand, Stand::Settled));
        self.settle(&steps, ledger, permit, cut_short).await
    }

    /// What would be done: no journal, no actuator, nothing.
    fn rehearse(&self, plan: &Plan, ledger: &Ledger<'_>, permit: &Permit<'_>) -> Outcome {
        let mut outcome = ledger.read(Outcome::of);
        let gate = Gate::new(plan, permit.policy, permit.caps).dry_run(true);
        for step in &plan.steps {
            if outcome.steps.contains_key(&step.id) {
                continue;
            }
            if let Err(refusal) = gate.pass(&step.id, &BTreeSet::new()) {
                let why = refusal.to_string();
                outcome
                    .steps
                    .insert(step.id.clone(), StepState::Withheld { why });
            }
        }
        outcome.finished = false;
        outcome
    }

    fn start<'p>(&self, plan: &'p Plan, ledger: &Ledger<'_>) -> Vec<Running<'p>> {
        let now = self.clock.now();
        let state = |step: &Step| ledger.read(|history| history.steps.get(&step.id).cloned());
        plan.steps
            .iter()
            .map(|step| Running {
                step,
                first_try: None,
                looks: 0,
                stand: match state(step) {
                    Some(state) if state.is_settled() => Stand::Settled,
                    _ => Stand::New {
                        tries: 0,
                        not_before: now,
                    },
                },
            })
            .collect()
    }

    fn satisfied(&self, ledger: &Ledger<'_>) -> BTreeSet<StepId> {
        ledger.read(History::satisfied)
    }

    /// Begins every step of a stage that may be begun now. Says whether one has succeeded, which
    /// may allow others.
    async fn stage<'p>(
        &self,
        plan: &'p Plan,
        stage: Stage,
        steps: &mut [Running<'p>],
        ledger: &Ledger<'_>,
        permit: &Permit<'_>,
    ) -> Result<bool, JournalError> {
        let mut attempts = Vec::new();
        let mut moved = false;
        let now = self.clock.now();
        let mut begun_irreversible = ledger.read(|history| irreversible_begun(history, now));
        for running in steps.iter_mut() {
            let Stand::New { tries, not_before } = running.stand else {
                continue;
            };
            if running.step.stage != stage || not_before > now {
                continue;
            }
            let id = &running.step.id;
            let (succeeded, approvals) =
                ledger.read(|history| (history.satisfied(), history.approvals.clone()));
            let mut usage = permit.usage.clone();
            // The gate counts this incident's steps that have succeeded; those under way count as
            // well, but not the one to be repeated.
            let repeated = ledger.read(|history| history.before.contains_key(id));
            if !repeated {
                usage.irreversible_last_hour += begun_irreversible;
            }
            let gate = Gate::new(plan, permit.policy, permit.caps)
                .with_usage(usage)
                .with_approvals(approvals)
                .dry_run(permit.observe);
            match gate.pass(id, &succeeded) {
                Ok(token) => {
                    let mut room = gate.room(id, &succeeded);
                    if let (Some(left), false) = (&mut room.irreversible, repeated) {
                        *left = left.saturating_sub(begun_irreversible);
                    }
                    if !repeated && !running.step.action.is_reversible() {
                        begun_irreversible += 1;
                    }
                    running.first_try.get_or_insert(now);
                    attempts.push((running, tries, token, room));
                }
                Err(Refusal::Before { .. }) => {}
                Err(refusal) => {
                    running.stand = Stand::Settled;
                    let state = match self.done_before(running.step, &plan.place, ledger).await {
                        Some(note) => {
                            moved = true;
                            let already = false;
                            StepState::Succeeded { note, already }
                        }
                        None => StepState::Withheld {
                            why: refusal.to_string(),
                        },
                    };
                    self.tell(ledger, state, id).await?;
                }
            }
        }
        let applied: Vec<Result<bool, JournalError>> = stream::iter(attempts)
            // What came of each is journaled as soon as it is known, by the attempt's own future:
            // one that is not polled may hold the ledger's turn to write.
            .map(|(running, tries, token, room)| async move {
                if self.is_over() {
                    // It stands as it stood: its turn comes in another run.
                    return Ok(false);
                }
                let attempt = Attempt {
                    executor: self,
                    ledger,
                    step: token.step(),
                    room,
                };
                let tried = attempt.make(token).await?;
                self.apply(running, tries, tried, ledger).await
            })
            .buffer_unordered(self.options.concurrency.max(1))
            .collect()
            .await;
        for one in applied {
            moved |= one?;
        }
        Ok(moved)
    }

    /// How a step is that an earlier plan took and that is still done: it needs no leave any more.
    async fn done_before(&self, step: &Step, place: &Place, ledger: &Ledger<'_>) -> Option<String> {
        if !ledger.read(|history| history.before.contains_key(&step.id)) {
            return None;
        }
        let attempt = Attempt {
            executor: self,
            ledger,
            step,
            room: Room::default(),
        };
        match attempt.look(place).await {
            Tried::Done { note, .. } => Some(note),
            _ => None,
        }
    }

    /// Looks at everything that is on its way and whose time has come.
    async fn look<'p>(
        &self,
        plan: &'p Plan,
        steps: &mut [Running<'p>],
        ledger: &Ledger<'_>,
    ) -> Result<(), JournalError> {
        let now = self.clock.now();
        let waiting: Vec<&mut Running<'p>> = steps
            .iter_mut()
            .filter(|it| matches!(it.stand, Stand::Pending { look_at, .. } if look_at <= now))
            .collect();
        let applied: Vec<Result<bool, JournalError>> = stream::iter(waiting)
            .map(|running| async move {
                let attempt = Attempt {
                    executor: self,
                    ledger,
                    step: running.step,
                    room: Room::default(),
                };
                let tried = attempt.look(&plan.place).await;
                self.apply(running, 0, tried, ledger).await
            })
            .buffer_unordered(self.options.concurrency.max(1))
            .collect()
            .await;
        applied.into_iter().try_for_each(|one| one.map(|_| ()))
    }

    async fn apply(
        &self,
        running: &mut Running<'_>,
        tries: u32,
        tried: Tried,
        ledger: &Ledger<'_>,
    ) -> Result<bool, JournalError> {
        let now = self.clock.now();
        let id = &running.step.id;
        let first = *running.first_try.get_or_insert(now);
        let has_lasted = |within: Duration| now >= later(first, within);
        let state = match tried {
            Tried::Done { note, already } => StepState::Succeeded { note, already },
            Tried::OnItsWay { what } => {
                if has_lasted(self.patience(&running.step.action)) {
                    StepState::Waiting { what }
                } else {
                    let look_at = later(now, self.poll(&running.step.action, running.looks));
                    running.looks = running.looks.saturating_add(1);
                    running.stand = Stand::Pending { what, look_at };
                    return Ok(false);
                }
            }
            Tried::Again(error) => {
                if has_lasted(self.options.retry_within) {
                    StepState::Failed {
                        why: error.to_string(),
                        again: !self.is_hopeless(ledger, id),
                    }
                } else {
                    running.stand = Stand::New {
                        tries: tries.saturating_add(1),
                        not_before: later(now, self.pause(ledger.run(), id, tries)),
                    };
                    return Ok(false);
                }
            }
            Tried::Failed { why } => StepState::Failed { why, again: false },
            Tried::Withheld { why } => StepState::Withheld { why },
        };
        running.stand = Stand::Settled;
        let moved = matches!(state, StepState::Succeeded { .. });
        let state = match state {
            StepState::Waiting { what } if self.is_hopeless(ledger, id) => StepState::Failed {
                why: format!("{what}, and has for too long"),
                again: false,
            },
            state => state,
        };
        self.tell(ledger, state, id).await?;
        Ok(moved)
    }

    /// Journals what became of the rest, and says when the incident wants to be looked at again.
    async fn settle(
        &self,
        steps: &[Running<'_>],
        ledger: &Ledger<'_>,
        permit: &Permit<'_>,
        cut_short: bool,
    ) -> Result<Outcome, JournalError> {
        let succeeded = self.satisfied(ledger);
        let stopped = cut_short && self.stop.is_asked();
        for running in steps {
            let id = &running.step.id;
            let state = match &running.stand {
                Stand::Settled => continue,
                Stand::Pending { what, .. } => StepState::Waiting { what: what.clone() },
                // Nothing came of it and nothing failed: somebody wanted the run to end.
                Stand::New { .. } if stopped => continue,
                Stand::New { .. } => {
                    match running
                        .step
                        .only_after
                        .iter()
                        .find(|id| !succeeded.contains(id))
                    {
                        Some(step) => StepState::Withheld {
                            why: Refusal::Before { step: step.clone() }.to_string(),
                        },
                        // Whether it was begun is in the journal; its state must go on saying so.
                        None if ledger.read(|history| {
                            matches!(history.steps.get(id), Some(StepState::Intended))
                        }) =>
                        {
                            continue;
                        }
                        None => StepState::Failed {
                            why: OVER.to_owned(),
                            again: true,
                        },
                    }
                }
            };
            self.tell(ledger, state, id).await?;
        }
        let mut outcome = ledger.read(Outcome::of);
        outcome.cut_short = cut_short;
        if stopped {
            outcome.stop(self.clock.now());
            return Ok(outcome);
        }
        let unread_since = ledger.read(|history| history.unread_since);
        if let (Some(since), false) = (unread_since, permit.observe) {
            outcome.due = Some(self.read_again(since));
        }
        let is_capped = outcome.withheld().any(|(_, why)| gate::is_cap(why));
        if !permit.observe && (permit.policy.kill_switch || is_capped) {
            // The switch is turned back, and the hour of a cap ends: then it goes on.
            let soon = later(self.clock.now(), self.options.look_again);
            outcome.due = Some(outcome.due.map_or(soon, |due| due.min(soon)));
        }
        if outcome.wants_another_run(steps.iter().map(|it| &it.step.id)) {
            let soon = later(self.clock.now(), self.options.look_again);
            outcome.due = Some(outcome.due.map_or(soon, |due| due.min(soon)));
        } else if permit.observe || (outcome.due.is_none() && !permit.policy.kill_switch) {
            ledger.record(Event::Finished).await?;
            let of_end = ledger.read(Outcome::of);
            (outcome.finished, outcome.reading) = (true, of_end.reading);
        }
        Ok(outcome)
    }

    async fn tell(
        &self,
        ledger: &Ledger<'_>,
        state: StepState,
        id: &StepId,
    ) -> Result<(), JournalError> {
        if ledger.read(|history| history.steps.get(id) == Some(&state)) {
            return Ok(());
        }
        let step = id.clone();
        let event = match state.clone() {
            StepState::Succeeded { note, already } => Event::Succeeded {
                step,
                note,
                already,
            },
            StepState::Failed { why, again } => Event::Failed { step, why, again },
            StepState::Withheld { why } => Event::Withheld { step, why },
            StepState::Waiting { what } => Event::Waiting { step, what },
            StepState::Undone { by, gone } => Event::Undone { step, by, gone },
            StepState::Kept { by, .. } => Event::Kept { step, by },
            StepState::Intended => return Ok(()),
        };
        ledger.record(event).await?;
        if let Some(progress) = &self.progress {
            progress(ledger.incident(), id, &state);
        }
        Ok(())
    }

    pub(crate) fn actuator(&self, action: &Action) -> Result<&dyn Actuator, ActError> {
        self.actuators
            .iter()
            .map(Arc::as_ref)
            .find(|actuator| actuator.takes(action))
            .ok_or_else(|| ActError::NotConfigured {
                what: action.verb().to_owned(),
            })
    }
}

/// Irreversible steps this incident has begun in the last hour that have not succeeded yet.
fn irreversible_begun(history: &History, now: Timestamp) -> u32 {
    let succeeded = history.succeeded();
    let lately = |id: &StepId| {
        history
            .since
            .get(id)
            .is_some_and(|since| later(*since, Duration::from_secs(3600)) > now)
    };
    let irreversible = |id: &StepId| {
        history
            .plan_with(id)
            .and_then(|plan| plan.step(id))
            .is_some_and(|step| !step.action.is_reversible())
    };
    let count = history
        .begun
        .iter()
        .filter(|id| lately(id) && irreversible(id) && !succeeded.contains(id))
        .count();
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// When something can next be done. A step whose turn depends on another has no time of its own.
fn next_time(steps: &[Running<'_>], succeeded: &BTreeSet<StepId>) -> Option<Timestamp> {
    steps
        .iter()
        .filter_map(|running| match &running.stand {
            Stand::Pending { look_at, .. } => Some(*look_at),
            Stand::New { not_before, .. }
                if running
                    .step
                    .only_after
                    .iter()
                    .all(|id| succeeded.contains(id)) =>
            {
                Some(*not_before)
            }
            _ => None,
        })
        .min()
}
