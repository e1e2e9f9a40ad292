//! What the console does by itself, once a day: it checks the ledger, and removes what is too old.
//!
//! What must stay true: of several consoles on one database one does it; what was begun and not ended (a
//! console that died, a database that was away) is begun again; whoever brings events or looks at pages is
//! served meanwhile; what came of it is kept, and a ledger that is not as it was written is on the first
//! page until a check finds otherwise, and loses nothing until then: it is evidence.
//!
//! Not here: checking and removing. The ledger does both, and writes its own entry of what it removed.

mod book;
mod verify;

use std::time::{Duration, Instant};

use davylamp_ledger::{Policy, Removed};
use tokio::sync::watch;

use crate::access::chain;
use crate::config::Config;
use crate::observe::RETAINED;
use crate::site::Site;

pub(crate) use book::{Book, Kept};

/// How often it is looked whether something is due.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Between two steps of removing, others have the ledger to themselves.
const BREATH: Duration = Duration::from_millis(250);

/// What is done once a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chore {
    /// The ledger is checked.
    Verify,
    /// What is too old is removed.
    Retain,
}

impl Chore {
    /// In the order in which they are done: what is removed was checked before.
    pub(crate) const ALL: [Self; 2] = [Self::Verify, Self::Retain];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Retain => "retain",
        }
    }

    /// Whether it is done at all.
    pub(crate) fn is_on(self, config: &Config) -> bool {
        match self {
            Self::Verify => config.daily.verify,
            Self::Retain => config.retention.policy().is_some(),
        }
    }
}

/// Does what is due, until it is told to stop.
pub(crate) async fn run(site: &Site, mut stop: watch::Receiver<bool>) {
    loop {
        for chore in Chore::ALL {
            if chore.is_on(site.config())
                && let Err(why) = look(site, chore, &stop).await
            {
                let chore = chore.as_str();
                tracing::warn!(
                    chore,
                    why,
                    "what is done once a day could not be; it is tried again"
                );
            }
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// Does a chore, if it is due and nobody else does it.
async fn look(site: &Site, chore: Chore, stop: &watch::Receiver<bool>) -> Result<(), String> {
    let book = site.book();
    let hour = site.config().daily.hour;
    let claimed = book.claim(chore, hour, site.now()).await;
    if !claimed.map_err(|error| chain(&error))? {
        return Ok(());
    }
    let _span = site.observe().tracer.own(match chore {
        Chore::Verify => "ledger.verify",
        Chore::Retain => "ledger.retain",
    });
    let began = Instant::now();
    let outcome = match chore {
        Chore::Verify => verify::run(site, stop.clone()).await?,
        Chore::Retain => retain(site, stop).await?,
    };
    // Told to stop half way: whoever runs next goes on.
    let Some(mut outcome) = outcome else {
        let given = book.give_back(chore).await;
        return given.map_err(|error| chain(&error));
    };
    outcome["seconds"] = began.elapsed().as_secs().into();
    let ended = book.end(chore, &outcome, site.now()).await;
    ended.map_err(|error| chain(&error))
}

/// Removes what is too old, a little at a time.
async fn retain(
    site: &Site,
    stop: &watch::Receiver<bool>,
) -> Result<Option<serde_json::Value>, String> {
    let Some(policy) = site.config().retention.policy() else {
        return Ok(None);
    };
    let checked = site.book().read(Chore::Verify, site.now()).await;
    let checked = checked.map_err(|error| chain(&error))?;
    if checked
        .verified()
        .is_some_and(|found| found.fault.is_some())
    {
        return Err("the ledger is not as it was written, and nothing of it is removed".to_owned());
    }
    let mut removed = Removed::default();
    loop {
        let more = site.ledger().retain_some(policy, site.now()).await;
        let Some(more) = more.map_err(|error| chain(&error))? else {
            break;
        };
        removed.add(more);
        site.observe().meters.count(&RETAINED, &[], more.findings);
        site.live().wake();
        let is_ours = site.book().renew(Chore::Retain, site.now()).await;
        if *stop.borrow() || !is_ours.map_err(|error| chain(&error))? {
            return Ok(None);
        }
        tokio::time::sleep(BREATH).await;
    }
    let Removed {
        findings, bodies, ..
    } = removed;
    if findings > 0 {
        tracing::info!(findings, bodies, "what was too old was removed");
    }
    Ok(Some(
        serde_json::json!({"findings": findings, "bodies": bodies}),
    ))
}

impl crate::config::Retention {
    /// What the ledger is asked to remove; none where everything is kept.
    pub fn policy(&self) -> Option<Policy> {
        (self.findings_days > 0).then_some(Policy {
            findings_days: Some(self.findings_days),
            evidence_days: None,
        })
    }
}
