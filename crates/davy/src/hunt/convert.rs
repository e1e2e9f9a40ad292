//! `davy hunt convert`: logs into a lake.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::anyhow;
use davylamp_hunt::convert::{Bounds, ConvertError, Converted, convert as into_lake};
use davylamp_hunt::lake::LakeError;
use davylamp_hunt::objects::Where;
use davylamp_hunt::tally::{Run, summary};

use super::args::ConvertArgs;
use super::open;
use crate::failure::{COULD_NOT_COMPLETE, Failure};
use crate::output::note;
use crate::progress::Progress;

/// Runs `davy hunt convert`.
pub(super) async fn convert(args: &ConvertArgs) -> Result<ExitCode, Failure> {
    if is_among_logs(args) {
        return Err(Failure::new(
            anyhow!("the lake would lie among the logs and be read together with them"),
            "name a folder with -o that is not below one of --logs",
        ));
    }
    let engine = open(&args.logs).await?;
    if !engine.has_logs() {
        let run = Run::default();
        run.add_outside(engine.outside());
        for line in summary(&run) {
            note(&line);
        }
        let (what, hint) = match engine.objects().any(|(_, count)| count > 0) {
            true => (
                "a lake, which is converted already",
                "ask it: davy hunt run --logs LAKE",
            ),
            false => (
                "no log that is known",
                "if it is one, say so: --logs TABLE=PATH",
            ),
        };
        return Err(Failure::new(anyhow!("what was given is {what}"), hint));
    }
    let run = Arc::new(Run::default());
    let progress = Progress::reading(&run, engine.stored_bytes());
    let converted = into_lake(&engine, &args.lake, args.shard, Bounds::default(), &run).await;
    progress.end();
    let converted = converted.map_err(failure)?;
    for line in told(&converted).into_iter().chain(summary(&run)) {
        note(&line);
    }
    let is_unread = run.outside().is_broken() || !converted.is_complete();
    let is_broken = run
        .tables()
        .values()
        .any(davylamp_hunt::tally::Tally::is_broken);
    Ok(ExitCode::from(
        match is_unread || (args.logs.strict && is_broken) {
            true => COULD_NOT_COMPLETE,
            false => 0,
        },
    ))
}

/// Whether the lake lies in a folder of the logs.
fn is_among_logs(args: &ConvertArgs) -> bool {
    // It need not be there yet, nor the folder that it shall lie in.
    let mut above = args.lake.ancestors();
    let Some(lake) = above.find_map(|folder| match folder.as_os_str().is_empty() {
        true => std::env::current_dir().ok(),
        false => folder.canonicalize().ok(),
    }) else {
        return false;
    };
    args.logs.logs.iter().any(|location| match &location.at {
        Where::Path(logs) => logs.canonicalize().is_ok_and(|logs| lake.starts_with(logs)),
        _ => false,
    })
}

/// What was done, in lines.
fn told(converted: &Converted) -> Vec<String> {
    let mut lines = vec![format!(
        "converted {} objects, {} rows, into {} files; {} objects were converted before",
        converted.objects, converted.rows, converted.files, converted.known
    )];
    for (number, what) in [
        (
            converted.again,
            "had changed, or had not been wholly read, and were converted anew",
        ),
        (converted.others, "are another share's"),
        (
            converted.unread,
            "were not wholly read; the next run tries them again",
        ),
        (
            converted.stuck,
            "have changed and lie beside another share's: run once without --shard",
        ),
    ] {
        if number > 0 {
            lines.push(format!("{number} objects {what}"));
        }
    }
    lines
}

fn failure(error: ConvertError) -> Failure {
    let hint = match &error {
        ConvertError::Stdin => "write it to a file, and convert that",
        ConvertError::Lake(LakeError::Busy | LakeError::OtherShares) => {
            "wait for it to end; workers at the same time need the same N in --shard I/N"
        }
        ConvertError::Lake(LakeError::Journal { .. }) => {
            "the journal is damaged: bring it back from a copy, or convert the logs into another lake"
        }
        ConvertError::Lake(_) => {
            "see whether the folder of -o can be written and has room; run it again: it goes on"
        }
        ConvertError::Thread => "run it again: it goes on where it was, and report the bug",
    };
    Failure::new(anyhow!(error), hint)
}
