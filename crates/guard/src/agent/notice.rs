//! What the senses notice, on its way to what is done about it.
//!
//! A sense says what it saw of a process, and what the kernel did about it already. The sign is added
//! to its process tree, its container and its Hub user; what the three stand at decides what is done
//! (`[guard.policy]`), and it is told with all signs that made the decision.
//!
//! What must stay true: nothing is done while the guard only observes, or to what is protected; what
//! stands as it stood is not told again and again, but a kill is never left out for that.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
};

use davylamp_content::detection::{Detection, Response, shipped};
use davylamp_detect::score::{Kind, Mark, Scores, Standing};
use davylamp_model::{
    container::Container,
    guard_event::{Action, Level},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::{
    Agent,
    report::{Noticed, Outcome, Source},
};
use crate::{
    abi::SweptTask, config::Config, container::Lookup, event::KernelEvent, process::Process,
};

mod carry_out;

/// So many subjects are remembered. Each takes about half a kilobyte.
const MAX_SUBJECTS: usize = 8192;

/// So many parents are followed to the root of a process tree.
const MAX_PARENTS: usize = 64;

/// The detection whose evidence is a banned string, in [`super::report`].
const DETECTION_STRING: &str = "mining-command-line";

/// A sign that a sense saw of a process.
#[derive(Debug, Clone)]
pub(super) struct Notice {
    /// Who it was: as the kernel captured it, or as `sweep::described` reads it.
    pub(super) event: KernelEvent,
    /// The sense, as the log names it.
    pub(super) source: Source,
    /// The detection, by its name in `content/detections`.
    pub(super) detection: String,
    /// How sure it is, from 1 to 100.
    pub(super) score: u8,
    /// What matched: a method of a protocol, a domain, the name of a rule.
    pub(super) matched: String,
    /// What was seen, in words.
    pub(super) what: String,
    /// What else the sense knows.
    pub(super) evidence: Map<String, Value>,
    /// What was done already, in the kernel. `None` where that is to be decided by the score.
    pub(super) done: Option<Action>,
}

/// Whose signs add up.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Subject {
    /// Everything that descends from a process, within its cgroup or, outside containers, session.
    Tree { pid: u32, start_boottime_ns: u64 },
    /// A container, by its id.
    Container(String),
    /// A user of the Hub.
    HubUser(String),
}

impl Subject {
    fn name(&self) -> &'static str {
        match self {
            Self::Tree { .. } => "process tree",
            Self::Container(_) => "container",
            Self::HubUser(_) => "hub user",
        }
    }
}

/// What is known of a detection.
struct Known {
    kind: Kind,
    response: Level,
}

/// The signs of all subjects, and what was told of each.
pub(super) struct Suspicions {
    known: HashMap<String, Known>,
    scores: RefCell<Scores<Subject>>,
    told: RefCell<HashMap<Subject, (Level, Timestamp)>>,
    repeat: SignedDuration,
    evicted_told: Cell<u64>,
}

impl Suspicions {
    pub(super) fn new(config: &Config) -> Self {
        let shipped = shipped().unwrap_or_default();
        let known = |detection: Detection| {
            let known = Known {
                kind: Kind::of(&detection),
                response: match detection.response {
                    Response::Alert => Level::Alert,
                    Response::Kill => Level::KillProcess,
                },
            };
            (detection.name, known)
        };
        Self {
            known: shipped
                .into_iter()
                .map(|parsed| known(parsed.detection))
                .collect(),
            scores: RefCell::new(Scores::new(config.policy.for_judge(), MAX_SUBJECTS)),
            told: RefCell::default(),
            repeat: SignedDuration::try_from(config.policy.repeat())
                .unwrap_or(SignedDuration::from_hours(1)),
            evicted_told: Cell::default(),
        }
    }

    /// The sign as the judge weighs it. A detection without a file of its own may kill if it is sure.
    fn mark(&self, notice: &Notice, now: Timestamp) -> Mark {
        let known = self.known.get(&notice.detection);
        let by_source = || match notice.source {
            Source::Exec | Source::Hold | Source::Sweep => Kind::Command,
            Source::Wire => Kind::Protocol,
            Source::File => Kind::File,
            Source::Behaviour => Kind::Compute,
        };
        let by_score = match notice.score {
            100.. => Level::KillProcess,
            _ => Level::Alert,
        };
        Mark {
            detection: notice.detection.clone(),
            kind: known.map_or_else(by_source, |known| known.kind),
            score: f64::from(notice.score),
            response: known.map_or(by_score, |known| known.response),
            what: notice.what.clone(),
            at: now,
        }
    }

    /// Adds a sign to each subject, and says which of them stands highest.
    fn add(&self, subjects: &[Subject], mark: &Mark, now: Timestamp) -> (Standing, &'static str) {
        let mut scores = self.scores.borrow_mut();
        let mut highest = (Standing::default(), "");
        for subject in subjects {
            let standing = scores.add(subject, mark.clone(), now);
            let is_higher = (standing.level, standing.score) > (highest.0.level, highest.0.score);
            if is_higher || highest.1.is_empty() {
                highest = (standing, subject.name());
            }
        }
        highest
    }

    /// Whether a subject's level rose, or it is long since it was told.
    fn is_due(&self, subjects: &[Subject], level: Level, now: Timestamp) -> bool {
        let mut told = self.told.borrow_mut();
        // As many as subjects, and then some whose signs have faded.
        if told.len() > 2 * MAX_SUBJECTS {
            told.clear();
        }
        let mut is_due = false;
        for subject in subjects {
            let before = told.get(subject);
            let is_news = before.is_none_or(|(before, at)| {
                level > *before || now.duration_since(*at) >= self.repeat
            });
            if is_news {
                told.insert(subject.clone(), (level, now));
            }
            is_due |= is_news;
        }
        is_due
    }
}

impl Agent {
    /// Weighs what a sense noticed, does what policy says, and tells.
    pub(super) fn notice(self: &Rc<Self>, mut notice: Notice) {
        // What was read in a cgroup namespace is not where others look for it.
        let event = &mut notice.event;
        if event.cgroup_path.is_empty() || event.cgroup_path.starts_with("/..") {
            let found = self
                .cgroup_mounts
                .absolute(event.cgroup, &event.cgroup_path);
            event.cgroup_path = found.unwrap_or_else(|| event.cgroup_path.clone());
        }
        if let Some(found) = self.index.get_cached(&notice.event.cgroup_path) {
            self.weigh(notice, &found);
            return;
        }
        let agent = Rc::clone(self);
        tokio::task::spawn_local(async move {
            let found = agent.index.lookup(&notice.event.cgroup_path).await;
            agent.weigh(notice, &found);
        });
    }

    fn weigh(self: &Rc<Self>, notice: Notice, found: &Lookup) {
        let now = Timestamp::now();
        let mark = self.suspicions.mark(&notice, now);
        let mut subjects = subjects_in(found);
        // A process that is dead already is a tree by itself: whoever started it is not ended for it.
        subjects.insert(
            0,
            match notice.done {
                Some(Action::Killed) => Subject::Tree {
                    pid: notice.event.pid,
                    start_boottime_ns: notice.event.start_boottime_ns,
                },
                _ => self.tree_of(&notice.event, found),
            },
        );
        let (standing, subject) = self.suspicions.add(&subjects, &mark, now);
        let level = match notice.done {
            // What the kernel spared or only looked at is not ended here.
            Some(Action::Spared | Action::WouldKill) => Level::Observe,
            // The process is dead already; more than that may be called for.
            Some(Action::Killed) if standing.level <= Level::KillProcess => Level::Observe,
            _ => standing.level,
        };
        let acts = level >= Level::KillProcess;
        let is_due = self.suspicions.is_due(&subjects, standing.level, now);
        if !acts && notice.done.is_none() && (level == Level::Observe || !is_due) {
            return;
        }
        let done = match (level, notice.done) {
            (Level::Observe, Some(action)) => carry_out::Done::plain(action),
            _ => self.carry_out_level(level, &notice.detection, &notice.event, found),
        };
        // It died in the kernel, and nothing else of it was there any more.
        let done = match notice.done {
            Some(Action::Killed) if done.is_gone => carry_out::Done {
                action: Action::Killed,
                ..done
            },
            _ => done,
        };
        // Its threads are noticed one by one, and the first of them was its end.
        if done.is_gone && !is_due && notice.done.is_none() {
            return;
        }
        let mut evidence = notice.evidence;
        evidence.insert("subject".to_owned(), json!(subject));
        if let Some(kept) = &done.kept {
            evidence.insert("container".to_owned(), json!(kept.0));
        }
        let reason = match done.why {
            Some(why) => format!("{}; {why}", notice.what),
            None => notice.what,
        };
        let outcome = Outcome {
            noticed: Some(Box::new(Noticed {
                detection: notice.detection,
                matched: notice.matched,
                evidence,
                score: Some(standing.score),
                signs: standing.signs,
                asked: done.asked,
            })),
            ..Outcome::new(done.action, notice.source).because(reason)
        };
        // What the kernel did is in its own counts.
        if notice.done.is_none() {
            self.count(|counts| counts.noticed.add(done.action));
        }
        self.say(notice.event, outcome);
    }

    /// A kill for a banned string counts towards what else is seen of its container and user. Nothing
    /// is decided here: that kill was the answer.
    pub(super) fn remember_kill(&self, event: &KernelEvent, found: &Lookup) {
        let subjects = subjects_in(found);
        if subjects.is_empty() {
            return;
        }
        let now = Timestamp::now();
        let mark = Mark {
            detection: DETECTION_STRING.to_owned(),
            kind: Kind::Command,
            score: 100.0,
            response: Level::KillProcess,
            what: format!("a start of {} was killed", event.comm),
            at: now,
        };
        self.suspicions.add(&subjects, &mark, now);
    }

    /// Forgets what has faded, and says how many subjects had to make room.
    pub(super) fn tidy_suspicions(&self) {
        let now = Timestamp::now();
        let suspicions = &self.suspicions;
        let evicted = {
            let mut scores = suspicions.scores.borrow_mut();
            scores.forget_faded(now);
            scores.evicted()
        };
        let repeat = suspicions.repeat;
        let mut told = suspicions.told.borrow_mut();
        told.retain(|_, (_, at)| now.duration_since(*at) < repeat);
        let before = suspicions.evicted_told.replace(evicted);
        if evicted > before {
            let fresh = evicted - before;
            tracing::warn!(
                fresh,
                "suspects were forgotten before their signs had faded: there are too many"
            );
        }
        self.count(|counts| counts.suspects_evicted = evicted);
    }

    /// The tree that a process belongs to: the topmost of its ancestors in the same cgroup and,
    /// outside containers, where a cgroup is shared by many, in the same session.
    fn tree_of(&self, event: &KernelEvent, found: &Lookup) -> Subject {
        let tasks = self.kernel.borrow().tasks().unwrap_or_default();
        let by_pid: HashMap<u32, &SweptTask> = tasks.iter().map(|task| (task.pid, task)).collect();
        let session = |pid| Some(Process::open(pid, None).ok()??.relations().ok()?.session);
        let own = match found {
            Lookup::Host => session(event.pid).or_else(|| session(event.parent)),
            _ => None,
        };
        let (mut pid, mut start, mut parent) = (event.pid, event.start_boottime_ns, event.parent);
        for _ in 0..MAX_PARENTS {
            let Some(task) = by_pid.get(&parent).filter(|_| parent > 1) else {
                break;
            };
            let is_other = task.cgroup != event.cgroup
                || task.start_boottime_ns > start
                || own.is_some_and(|own| session(parent) != Some(own));
            if is_other {
                break;
            }
            (pid, start, parent) = (task.pid, task.start_boottime_ns, task.parent);
        }
        Subject::Tree {
            pid,
            start_boottime_ns: start,
        }
    }
}

/// The container that no process inside could have named.
fn outermost(container: &Container) -> &Container {
    container.outer.as_deref().unwrap_or(container)
}

/// The container and the Hub user, where they are known.
fn subjects_in(found: &Lookup) -> Vec<Subject> {
    match found {
        Lookup::Host => Vec::new(),
        Lookup::Known(container) => {
            let container = outermost(container);
            let id = Subject::Container(container.id.as_str().to_owned());
            let user = container.hub_user.as_ref();
            let user = user.map(|user| Subject::HubUser(user.as_str().to_owned()));
            std::iter::once(id).chain(user).collect()
        }
        Lookup::Unknown { id, .. } => {
            let id = id.iter();
            id.map(|id| Subject::Container(id.as_str().to_owned()))
                .collect()
        }
    }
}

#[cfg(test)]
mod tests;
