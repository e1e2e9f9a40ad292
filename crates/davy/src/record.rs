//! `davy record`: the flight recorder's arguments. The store is `davylamp_recorder`'s, looking is
//! `davylamp_cloud`'s.

mod args;
mod ask;
mod bucket;
mod print;
mod take;
mod which;

use std::process::ExitCode;

use anyhow::anyhow;
use davylamp_recorder::StoreError;

pub use args::RecordArgs;
use args::Verb;

use crate::failure::Failure;

/// The exit code of what was asked about and found.
const FOUND: u8 = 1;

/// Runs `davy record`.
pub fn run(args: &RecordArgs) -> Result<ExitCode, Failure> {
    match &args.verb {
        Verb::Run(asked) => take::run(asked, &args.settings),
        Verb::List(asked) => ask::list(asked, &args.settings),
        Verb::Show(asked) => ask::show(asked, &args.settings),
        Verb::Diff(asked) => ask::diff(asked, &args.settings),
        Verb::Timeline(asked) => ask::timeline(asked, &args.settings),
        Verb::Verify(asked) => ask::verify(asked, &args.settings),
        Verb::Export(asked) => ask::export(asked, &args.settings),
        Verb::Prune(asked) => take::prune(asked, &args.settings),
    }
}

fn failure(error: StoreError) -> Failure {
    let hint = match &error {
        StoreError::NoStore(_) => "name the store: --store DIR; `davy record run` makes one",
        StoreError::Busy(_) => "wait until it has ended, or record into another store",
        StoreError::Broken { .. } | StoreError::Missing { .. } | StoreError::Segment { .. } => {
            "see what is wrong with it: davy record verify. Keep it as it is, and record into another"
        }
        StoreError::Pruned { .. } | StoreError::NoSnapshot(_) => {
            "see which snapshots there are: davy record list"
        }
        StoreError::Clock { .. } => "see whether the clock is right: date -u",
        StoreError::Nothing => "see what is asked for: an account, a region, a kind, a cluster",
        StoreError::Io { .. } => {
            "see whether it can be read and written, and whether there is room"
        }
    };
    Failure::new(anyhow!(error), hint)
}
