//! What a score leads to.

use std::collections::BTreeMap;
use std::time::Duration;

use davylamp_model::guard_event::Level;

use super::{FULL, Mark};

/// From which score on each level is reached. `None`: never.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    /// Told.
    pub alert: Option<f64>,
    /// The container is frozen.
    pub freeze: Option<f64>,
    /// The process and its descendants are killed.
    pub kill_process: Option<f64>,
    /// All of the container is killed.
    pub kill_container: Option<f64>,
    /// The pod is evicted.
    pub evict_pod: Option<f64>,
}

/// What an operator says of one detection, against what its file says.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Override {
    /// What its signs are worth; 0 for nothing.
    pub score: Option<f64>,
    /// The furthest its signs may lead; where one is full by itself, also what is done.
    pub response: Option<Level>,
    /// How fast they fade.
    pub half_life: Option<Duration>,
}

/// What scores lead to.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// From which score on what is done.
    pub thresholds: Thresholds,
    /// After this time a sign is worth half. At least a second.
    pub half_life: Duration,
    /// So many kinds of evidence that only tell may kill together. `None`: never.
    pub independent_kinds: Option<usize>,
    /// By detection.
    pub overrides: BTreeMap<String, Override>,
}

impl Default for Policy {
    /// Docs/behaviour.md says why each number is what it is.
    fn default() -> Self {
        Self {
            thresholds: Thresholds {
                alert: Some(50.0),
                freeze: Some(100.0),
                kill_process: Some(100.0),
                kill_container: Some(150.0),
                evict_pod: Some(200.0),
            },
            half_life: Duration::from_secs(6 * 3600),
            independent_kinds: Some(4),
            overrides: BTreeMap::new(),
        }
    }
}

impl Policy {
    /// A sign as the operator weighs it.
    pub(super) fn apply(&self, mark: Mark) -> Mark {
        let Some(change) = self.overrides.get(&mark.detection) else {
            return mark;
        };
        Mark {
            score: change.score.unwrap_or(mark.score),
            response: change.response.unwrap_or(mark.response),
            ..mark
        }
    }

    pub(super) fn half_life(&self, detection: &str) -> Duration {
        let own = self.overrides.get(detection).and_then(|own| own.half_life);
        own.unwrap_or(self.half_life).max(Duration::from_secs(1))
    }

    /// What is worth so much is enough by itself.
    pub(super) fn full(&self) -> f64 {
        self.thresholds.kill_process.unwrap_or(FULL)
    }

    /// The level that a score alone would reach.
    pub(super) fn level(&self, score: f64) -> Level {
        let thresholds = &self.thresholds;
        let levels = [
            (Level::EvictPod, thresholds.evict_pod),
            (Level::KillContainer, thresholds.kill_container),
            (Level::KillProcess, thresholds.kill_process),
            (Level::Freeze, thresholds.freeze),
            (Level::Alert, thresholds.alert),
        ];
        let reached = levels
            .into_iter()
            .find(|(_, from)| from.is_some_and(|from| score >= from));
        reached.map_or(Level::Observe, |(level, _)| level)
    }

    /// How far signs may lead, whatever their sum: to a kill where one of them may kill, or where
    /// enough kinds of evidence agree; to a freeze where two kinds do; otherwise they only tell.
    pub(super) fn furthest(
        &self,
        responses: impl Iterator<Item = Level>,
        witnesses: usize,
    ) -> Level {
        let strongest = responses.max().unwrap_or(Level::Alert);
        let agree = self
            .independent_kinds
            .is_some_and(|kinds| witnesses >= kinds);
        if strongest >= Level::KillProcess || agree {
            Level::EvictPod
        } else if strongest == Level::Freeze || witnesses >= 2 {
            Level::Freeze
        } else {
            Level::Alert
        }
    }
}
