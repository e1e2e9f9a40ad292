//! Putting changed lists in force.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    rc::Rc,
    sync::Arc,
};

use davylamp_model::guard_event::micros;
use serde_json::json;

use super::{
    Agent, GuardError, InForce, chain,
    start::{can_hold, settings, trim_memory},
};
use crate::{
    config::Config,
    lists::{self, Built, JudgesError},
};

/// What files look like from outside. Two that differ were changed in between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fingerprint(Vec<(PathBuf, u64, u64, i64, i64)>);

impl Fingerprint {
    /// Looks at the files of lists and detections that the paths stand for.
    pub(super) fn take(config: &Config) -> Self {
        Self(
            lists::files_of(config)
                .iter()
                .filter_map(|path| look(path))
                .collect(),
        )
    }
}

/// Follows links: a ConfigMap changes where its links point.
fn look(path: &Path) -> Option<(PathBuf, u64, u64, i64, i64)> {
    let found = fs::metadata(path).ok()?;
    Some((
        path.to_owned(),
        found.ino(),
        found.size(),
        found.mtime(),
        found.mtime_nsec(),
    ))
}

impl Agent {
    /// Reads the lists anew and puts them in force, or says why not and leaves the last good ones.
    /// Reading and building go on beside everything else; if it is asked for again meanwhile, it
    /// starts over once it is through.
    pub(super) fn reload(self: &Rc<Self>, why: &'static str) {
        self.reload_again.set(Some(why));
        if self.reloading.replace(true) {
            return;
        }
        let agent = Rc::clone(self);
        tokio::task::spawn_local(async move {
            while let Some(why) = agent.reload_again.take() {
                agent.reload_once(why).await;
            }
            agent.reloading.set(false);
        });
    }

    async fn reload_once(self: &Rc<Self>, why: &str) {
        let began = std::time::Instant::now();
        let config = self.config.clone();
        let in_force = self.in_force();
        let before = Built {
            rules: in_force.rules.clone(),
            pools: Arc::clone(&in_force.pools),
        };
        let read = move || InForce::read(&config, Some(&before));
        let fresh = tokio::task::spawn_blocking(read).await;
        let done = match fresh {
            Ok(fresh) => fresh.and_then(|fresh| self.put_in_force(fresh)),
            Err(error) => Err(GuardError::System {
                doing: "read the lists",
                source: io::Error::other(error),
            }),
        };
        match done {
            Ok(()) => {
                self.count(|counts| counts.reloads_ok += 1);
                let in_force = self.in_force();
                let size = in_force.judge.table().size();
                self.log.say(&json!({
                    "event": "reloaded",
                    "level": "info",
                    "timestamp": micros::format(jiff::Timestamp::now()),
                    "why": why,
                    "patterns": size.strings,
                    "states": size.states,
                    "table_bytes": size.bytes,
                    "took_us": began.elapsed().as_micros() as u64,
                    "node": self.node,
                }));
                if self.config.sweep.on_reload {
                    self.sweep();
                }
            }
            Err(error) => {
                self.count(|counts| counts.reloads_failed += 1);
                self.log.say(&json!({
                    "event": "reload failed; the last good lists stay in force",
                    "level": "error",
                    "timestamp": micros::format(jiff::Timestamp::now()),
                    "why": why,
                    "error": chain(&error),
                    "faults": faults_of(&error),
                    "hint": "`davy guard --check` shows each fault in its place",
                    "node": self.node,
                }));
            }
        }
    }

    fn put_in_force(&self, fresh: InForce) -> Result<(), GuardError> {
        let can_hold = can_hold(&self.config, &fresh);
        let mut kernel = self.kernel.borrow_mut();
        if can_hold {
            kernel.watch_holds(true)?;
        }
        kernel.set_settings(&settings(&self.config))?;
        let in_force = self.in_force();
        if let Some(rules) = &fresh.rules
            && !in_force
                .rules
                .as_ref()
                .is_some_and(|before| Arc::ptr_eq(before, rules))
        {
            kernel.set_rules(rules.table())?;
        }
        kernel.set_table(fresh.judge.table())?;
        kernel.set_ceilings(&super::breaker::ceilings(&self.config, &fresh.judge))?;
        kernel.forget_cgroups()?;
        // Held processes stay watched until the last is decided; a later reload or start detaches.
        if !can_hold && kernel.holds().is_empty() {
            kernel.watch_holds(false)?;
        }
        drop(kernel);
        *self.in_force.borrow_mut() = Rc::new(fresh);
        trim_memory();
        Ok(())
    }
}

/// Faults that a log line lists; more than these are counted.
const MOST_FAULTS: usize = 20;

/// Each fault of the lists, with its place.
fn faults_of(error: &GuardError) -> Vec<String> {
    let (GuardError::Lists(error) | GuardError::Judge(JudgesError::Files(error))) = error else {
        return Vec::new();
    };
    let paths = error.paths.iter().map(|trouble| chain(trouble));
    let texts = error.faults.iter().flat_map(|faults| faults.faults());
    let texts = texts.map(|fault| {
        format!(
            "{}:{}:{}: {fault}",
            fault.file(),
            fault.line(),
            fault.column()
        )
    });
    let all: Vec<String> = paths.chain(texts).collect();
    let more = all.len().saturating_sub(MOST_FAULTS);
    let mut told: Vec<String> = all.into_iter().take(MOST_FAULTS).collect();
    if more > 0 {
        told.push(format!("and {more} more"));
    }
    told
}
