//! `davy respond --spool`: what the guard of a node could not end by itself.
//!
//! A batch is committed once everything in it was answered. One that was not is read again, and doing
//! twice what was done does nothing: a line's finding has the same id each time.

use std::io::BufRead as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::anyhow;
use davylamp_model::finding::Finding;
use davylamp_model::intake::{self, Intake};
use davylamp_respond::config::Config;
use davylamp_respond::source::repeats::{Judged, Repeats};
use davylamp_spool::{Missed, Reader, SpoolError};
use jiff::SignedDuration;
use serde_json::Value;

use super::args::RunArgs;
use super::{Desk, INCOMPLETE};
use crate::failure::Failure;
use crate::output::{counted, note};

/// Lines that are answered together, so that one incident is made of what belongs together.
const BATCH_LINES: usize = 500;
const BATCH_BYTES: usize = 4 << 20;
/// How often an empty spool is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What counts repeated kills, by configuration.
pub(super) fn repeats(config: &Config) -> Repeats {
    let guard = &config.guard;
    let window = SignedDuration::from_mins(i64::from(guard.window_minutes));
    Repeats::new(guard.kills_in_pod, window)
}

/// Answers a spool, or standard input, until it is stopped, or with `--once` until there is no more.
pub(super) async fn follow(
    desk: &Desk,
    dir: &Path,
    how: &RunArgs,
    mut repeats: Repeats,
) -> Result<ExitCode, Failure> {
    if dir == Path::new("-") {
        return follow_input(desk, &mut repeats).await;
    }
    let failed = |error: SpoolError| {
        Failure::new(
            anyhow!(error),
            "name the directory that [guard.spool] names, and see that this user may read it and write \
             to readers/ in it",
        )
    };
    let mut reader = Reader::open(dir, &how.consumer).map_err(failed)?;
    note(&format!(
        "following {} from line {}",
        dir.display(),
        reader.committed_line()
    ));
    let mut worst = 0;
    let mut clock = tokio::time::interval(Duration::from_secs(how.every));
    clock.tick().await;
    loop {
        let batch = reader
            .next_batch(BATCH_LINES, BATCH_BYTES)
            .map_err(failed)?;
        say_missed(&batch.missed, &mut worst);
        let is_last = batch.lines.is_empty();
        let answered = answer(desk, &batch.lines, &mut repeats).await?;
        worst = worst.max(answered.code);
        if answered.is_done {
            reader.commit(&batch).map_err(failed)?;
        } else {
            reader.rewind();
        }
        if desk.stop.is_asked() || how.once && (is_last || !answered.is_done) {
            return Ok(ExitCode::from(worst));
        }
        if is_last || !answered.is_done {
            let pause = match answered.is_done {
                true => LOOK_AGAIN,
                false => Duration::from_secs(how.every),
            };
            tokio::select! {
                _ = clock.tick() => worst = worst.max(super::feed::resume(desk).await),
                slept = desk.stop.unless_asked(tokio::time::sleep(pause)) => {
                    if slept.is_none() {
                        return Ok(ExitCode::from(worst));
                    }
                }
            }
        }
    }
}

async fn follow_input(desk: &Desk, repeats: &mut Repeats) -> Result<ExitCode, Failure> {
    let (sender, mut input) = tokio::sync::mpsc::channel(BATCH_LINES);
    // Reading a terminal or a pipe cannot be broken off, so it is a thread's, which ends with us.
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().split(b'\n') {
            // What is no text is no line of a guard's log either, and is counted as such.
            let line = line.map(|line| String::from_utf8_lossy(&line).into_owned());
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    let mut worst = 0;
    loop {
        let next = desk.stop.unless_asked(input.recv()).await;
        let Some(Some(line)) = next else {
            return Ok(ExitCode::from(worst));
        };
        let line = line.map_err(|error| {
            Failure::new(
                anyhow!(error).context("cannot read standard input"),
                "pipe the guard's log into it, a JSON object a line",
            )
        })?;
        let answered = answer(desk, &[line], repeats).await?;
        worst = worst.max(answered.code);
    }
}

struct Answered {
    code: u8,
    /// Whether none of it need be answered again.
    is_done: bool,
}

async fn answer(desk: &Desk, lines: &[String], repeats: &mut Repeats) -> Result<Answered, Failure> {
    let mut answered = Answered {
        code: 0,
        is_done: true,
    };
    let (mut wanted, mut unreadable) = (Vec::new(), 0_u64);
    for line in lines {
        match judged(line, repeats) {
            Some(Judged::Escalate(finding)) => wanted.push(*finding),
            Some(Judged::Noted(_)) => {}
            None if line.trim().is_empty() => {}
            None => {
                let read = serde_json::from_str::<Value>(line);
                unreadable += u64::from(!read.is_ok_and(|value| value.is_object()));
            }
        }
    }
    if unreadable > 0 {
        note(&format!(
            "{} could not be read; the guard's log has what they say",
            counted(unreadable, "line", "lines")
        ));
        answered.code = INCOMPLETE;
    }
    if wanted.is_empty() {
        return Ok(answered);
    }
    let intake = Intake {
        findings: wanted,
        ..Intake::default()
    };
    let findings: Vec<Finding> = desk.placed(&intake).await?;
    let report = desk.brisk().respond_to_all(findings, &[]).await;
    // A closed output ends no work.
    let _ = desk.show(&report, &intake).await;
    answered.code = answered
        .code
        .max(super::code(&report, &intake, desk.rehearsal));
    answered.is_done = !report.wants_redelivery();
    Ok(answered)
}

/// What a line asks for; `None` where it is about no process, or is no line of a guard's log.
fn judged(line: &str, repeats: &mut Repeats) -> Option<Judged> {
    let value: Value = serde_json::from_str(line).ok()?;
    value.get("action")?;
    let finding = intake::read(line.as_bytes()).findings.into_iter().next()?;
    Some(repeats.judge(&value, finding))
}

fn say_missed(missed: &Missed, worst: &mut u8) {
    if *missed == Missed::default() {
        return;
    }
    note(&format!(
        "{} dropped before they were answered ({} bytes of half lines): the spool was full, so give it \
         more room in [guard.spool]",
        counted(missed.lines, "line was", "lines were"),
        missed.torn_bytes
    ));
    *worst = INCOMPLETE;
}
