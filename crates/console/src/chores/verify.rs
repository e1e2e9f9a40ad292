//! The check of the ledger, on a thread of its own that has the processor when nobody else wants it.

use std::io;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use davylamp_ledger::{Ledger, LedgerError, Options, Verification};
use serde_json::Value;
use tokio::sync::{oneshot, watch};

use super::Chore;
use super::book::Verified;
use crate::access::chain;
use crate::site::Site;

/// The lowest priority that there is (setpriority(2)).
const LOWEST: i32 = 19;
/// How often it is said that the check goes on.
const STILL_EVERY: Duration = Duration::from_secs(60);

/// Checks the ledger; `None` where the console ended meanwhile, or another has the chore.
pub(super) async fn run(site: &Site, stop: watch::Receiver<bool>) -> Result<Option<Value>, String> {
    let config = site.config();
    let scratch = match config.daily.scratch.as_os_str().is_empty() {
        true => std::env::temp_dir(),
        false => config.daily.scratch.clone(),
    };
    let (database, options) = (config.database.clone(), config.options());
    let (found, mut finding) = oneshot::channel();
    let checking = stop.clone();
    thread::Builder::new()
        .name("verify".to_owned())
        .spawn(move || {
            let _ = found.send(check(&database, options, scratch, checking));
        })
        .map_err(|error| error.to_string())?;
    let found = loop {
        tokio::select! {
            found = &mut finding => break found.map_err(|_| "the check broke off".to_owned())??,
            () = tokio::time::sleep(STILL_EVERY) => {
                let is_ours = site.book().renew(Chore::Verify, site.now()).await;
                if !is_ours.map_err(|error| chain(&error))? {
                    return Ok(None);
                }
            }
        }
    };
    let Some(found) = found else { return Ok(None) };
    let verified = Verified {
        entries: found.entries,
        head: found.head,
        fault: found.fault.map(Into::into),
        seconds: 0,
    };
    match &verified.fault {
        None => tracing::info!(
            entries = verified.entries,
            "the ledger is as it was written"
        ),
        Some(fault) => tracing::error!(
            entry = fault.seq,
            what = fault.what,
            "THE LEDGER IS NOT AS IT WAS WRITTEN"
        ),
    }
    serde_json::to_value(verified)
        .map(Some)
        .map_err(|error| error.to_string())
}

/// On a thread of its own, with connections of its own: their threads have its priority.
fn check(
    database: &str,
    options: Options,
    scratch: PathBuf,
    mut stop: watch::Receiver<bool>,
) -> Result<Option<Verification>, String> {
    // On Linux it is the thread's, not the process's.
    if let Err(error) = rustix::process::setpriority_process(None, LOWEST) {
        tracing::debug!(error = %io::Error::from(error), "the check has the priority of the rest");
    }
    let options = Options {
        connections: 2,
        ..options
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let told = |error: LedgerError| chain(&error);
        let ledger = Ledger::open(database, &options).await.map_err(told)?;
        let found = tokio::select! {
            found = ledger.verify(None, &scratch) => Some(found),
            _ = stop.wait_for(|stop| *stop) => None,
        };
        ledger.close().await;
        found.transpose().map_err(told)
    })
}
