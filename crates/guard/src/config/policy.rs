//! `[guard.policy]`: what signs add up to, and what that leads to.

use std::time::Duration;

use davylamp_content::detection::{FULL_SCORE, SHIPPED};
use davylamp_detect::score;
use davylamp_model::guard_event::Level;
use serde::{Deserialize, Serialize};

/// `[guard.policy]`: from which score on what is done about a process tree, a container or a Hub
/// user. What is done is the furthest level whose threshold is reached; 0 switches a level off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// It is told.
    pub alert: u32,
    /// The container is frozen, where nothing that was seen may kill.
    pub freeze: u32,
    /// The process is killed, with what it started.
    pub kill_process: u32,
    /// Everything in the container is killed.
    pub kill_container: u32,
    /// The pod is evicted.
    pub evict_pod: u32,
    /// Minutes after which a sign is worth half.
    pub half_life_minutes: u64,
    /// So many kinds of evidence that only tell may kill together. 0: never.
    pub independent_kinds: u32,
    /// Minutes after which what stands as it stood is told again.
    pub repeat_minutes: u64,
    /// What is said of single detections: `NAME score=N response=LEVEL half_life_minutes=N`.
    pub detections: Vec<String>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            alert: 50,
            freeze: 100,
            kill_process: 100,
            kill_container: 150,
            evict_pod: 200,
            half_life_minutes: 360,
            independent_kinds: 4,
            repeat_minutes: 60,
            detections: Vec::new(),
        }
    }
}

/// Detections without a file: what the guard itself says.
const BUILT_IN: [&str; 2] = ["mining-command-line", "respawn-after-kill"];

impl Policy {
    /// The same for the judge. What is not well formed was refused before.
    pub fn for_judge(&self) -> score::Policy {
        let threshold = |from: u32| (from > 0).then_some(f64::from(from));
        score::Policy {
            thresholds: score::Thresholds {
                alert: threshold(self.alert),
                freeze: threshold(self.freeze),
                kill_process: threshold(self.kill_process),
                kill_container: threshold(self.kill_container),
                evict_pod: threshold(self.evict_pod),
            },
            half_life: minutes(self.half_life_minutes),
            independent_kinds: (self.independent_kinds > 0)
                .then_some(self.independent_kinds as usize),
            overrides: self
                .detections
                .iter()
                .filter_map(|text| read(text).ok())
                .map(|(name, change)| (name.to_owned(), change))
                .collect(),
        }
    }

    /// `repeat_minutes` as a duration.
    pub fn repeat(&self) -> Duration {
        minutes(self.repeat_minutes)
    }
}

fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(minutes * 60)
}

/// Reads what is said of one detection.
pub(super) fn read(text: &str) -> Result<(&str, score::Override), &'static str> {
    let mut parts = text.split_ascii_whitespace();
    let name = parts.next().ok_or("begin with the name of a detection")?;
    if !is_known(name) {
        return Err("there is no detection of this name; `content/detections` has them all");
    }
    let mut change = score::Override::default();
    for part in parts {
        let (key, value) = part
            .split_once('=')
            .ok_or("write `score=`, `response=` or `half_life_minutes=` behind the name")?;
        match key {
            "score" => {
                let score: u8 = value.parse().map_err(|_| "a score is from 0 to 100")?;
                if score > FULL_SCORE {
                    return Err("a score is from 0 to 100");
                }
                change.score = Some(f64::from(score));
            }
            "response" => change.response = Some(level(value)?),
            "half_life_minutes" => {
                let minutes: u32 = value.parse().map_err(|_| "write minutes, from 1 on")?;
                if minutes == 0 {
                    return Err("write minutes, from 1 on");
                }
                change.half_life = Some(Duration::from_secs(u64::from(minutes) * 60));
            }
            _ => return Err("only `score`, `response` and `half_life_minutes` can be said of it"),
        }
    }
    if change == score::Override::default() {
        return Err("say `score=`, `response=` or `half_life_minutes=` of it");
    }
    Ok((name, change))
}

fn is_known(name: &str) -> bool {
    let stem = |file: &str| {
        let name = file.rsplit('/').next()?.strip_suffix(".toml")?;
        Some(name.to_owned())
    };
    BUILT_IN.contains(&name)
        || SHIPPED
            .iter()
            .any(|(file, _)| stem(file).as_deref() == Some(name))
}

fn level(name: &str) -> Result<Level, &'static str> {
    Ok(match name {
        "alert" => Level::Alert,
        "freeze" => Level::Freeze,
        "kill-process" => Level::KillProcess,
        "kill-container" => Level::KillContainer,
        "evict-pod" => Level::EvictPod,
        _ => {
            return Err(
                "a response is `alert`, `freeze`, `kill-process`, `kill-container` or `evict-pod`",
            );
        }
    })
}

/// `[guard.behaviour]`: what is watched of processes as they run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Behaviour {
    /// Watch in which rounding mode threads compute.
    pub rounding: bool,
    /// Seconds between two looks at what runs. 0: never.
    pub sample_secs: u64,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            rounding: true,
            sample_secs: 20,
        }
    }
}

impl Behaviour {
    /// `sample_secs` as a duration, where there is to be one.
    pub fn sample(&self) -> Option<Duration> {
        (self.sample_secs > 0).then(|| Duration::from_secs(self.sample_secs))
    }
}
