//! Floods: whoever makes noise costs log lines of their own and lets nobody else get away.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use davylamp_guard::abi::Counter;
use davylamp_testkit::cgroup::Cgroup;
use davylamp_testkit::guard::{LINE_DEADLINE, unique_word};
use davylamp_testkit::programs::{Call, Circumstance, FailingExecs, Launch, Outcome, Stage, Word};

use crate::bench::Bench;

/// How long a flood lasts.
const FLOOD: Duration = Duration::from_secs(5);
const TARGETS: u32 = 50;

/// Runs launches on a thread of its own until told to stop.
struct Looping(Launch);

// SAFETY: the words that a launch points to are owned by it and are read only.
unsafe impl Send for Looping {}

impl Looping {
    fn run(self, is_over: &AtomicBool) -> anyhow::Result<Vec<Outcome>> {
        let stage = Stage::new()?;
        let mut outcomes = Vec::new();
        while !is_over.load(Ordering::Relaxed) {
            outcomes.push(stage.run(&self.0)?);
        }
        Ok(outcomes)
    }
}

#[test]
fn failing_and_benign_execs_hide_nobody() -> anyhow::Result<()> {
    let bench = Bench::new("")?;
    // Even the banned string in what is not there costs nobody anything.
    let missing = bench.programs.folder().join("nowhere").join(&bench.word);
    let words = [Word::from("first_write"), bench.word.as_str().into()];
    let floods = [
        FailingExecs::start(&missing, &words)?,
        FailingExecs::start(&missing, &words)?,
    ];
    let is_over = AtomicBool::new(false);
    let began = Instant::now();
    let benign = Looping(bench.with_arguments(&[unique_word()])?);
    let target = bench.with_arguments(&[bench.word.as_str()])?;
    let outcomes = std::thread::scope(|scope| -> anyhow::Result<Vec<Outcome>> {
        let benign = scope.spawn(|| benign.run(&is_over));
        let mut targets = Ok(Vec::new());
        for number in 0..TARGETS {
            // Spread over the flood: each has its share of it before it.
            let due = FLOOD * number / TARGETS;
            while began.elapsed() < due {
                std::thread::yield_now();
            }
            match (&mut targets, bench.stage.run(&target)) {
                (Ok(targets), Ok(outcome)) => targets.push(outcome),
                (targets, Err(error)) => *targets = Err(error),
                (Err(_), _) => break,
            }
        }
        is_over.store(true, Ordering::Relaxed);
        let benign = benign.join().expect("the thread's panic is shown")?;
        let harmed: Vec<_> = benign
            .iter()
            .filter(|outcome| !outcome.is_unharmed())
            .collect();
        ensure!(harmed.is_empty(), "benign programs were harmed: {harmed:?}");
        ensure!(!benign.is_empty(), "no benign program ran");
        targets
    })?;
    let failed: u64 = floods.iter().map(FailingExecs::count).sum();
    assert!(
        failed > 100_000,
        "{failed} failing execs in {:?} are no flood",
        began.elapsed()
    );
    assert!(
        floods.iter().all(FailingExecs::is_alive),
        "whose exec fails is not killed"
    );
    let survivors: Vec<_> = outcomes
        .iter()
        .filter(|outcome| !outcome.is_killed_unrun())
        .collect();
    assert!(
        survivors.is_empty(),
        "{} of {TARGETS} survived: {survivors:?}",
        survivors.len()
    );

    // Each target is in the log, and nothing else is.
    for outcome in &outcomes {
        bench.event_of(0, outcome)?;
    }
    let events = bench.guard.events()?;
    let told = events
        .iter()
        .filter(|event| event["action"].is_string())
        .count();
    assert_eq!(told, TARGETS as usize, "the flood added lines");
    assert_eq!(bench.counter(Counter::Killed)?, u64::from(TARGETS));
    assert_eq!(bench.counter(Counter::EventsRateLimited)?, 0);
    assert_eq!(bench.counter(Counter::EventsLostFull)?, 0);
    Ok(())
}

#[test]
fn a_flood_of_kills_costs_its_own_cgroup_lines() -> anyhow::Result<()> {
    const QUIET: u32 = 20;
    /// Left-out lines are summed up every ten seconds.
    const SUM_DEADLINE: Duration = Duration::from_secs(40);
    let bench = Bench::new("")?;
    let (loud, quiet) = (Cgroup::new()?, Cgroup::new()?);
    let in_cgroup = |cgroup: &Cgroup| {
        let circumstance = Circumstance::Cgroup(cgroup.procs()?);
        bench.launch(
            Call::Path(bench.witness()),
            &[bench.word.as_str()],
            circumstance,
        )
    };
    let (flood, target) = (Looping(in_cgroup(&loud)?), in_cgroup(&quiet)?);
    let is_over = AtomicBool::new(false);
    let began = Instant::now();
    let flooded = std::thread::scope(|scope| -> anyhow::Result<Vec<Outcome>> {
        let flood = scope.spawn(|| flood.run(&is_over));
        let kill_quietly = || -> anyhow::Result<()> {
            for number in 0..QUIET {
                while began.elapsed() < FLOOD * number / QUIET {
                    std::thread::yield_now();
                }
                let from = bench.guard.line_count()?;
                let outcome = bench.stage.run(&target)?;
                ensure!(outcome.is_killed_unrun(), "{outcome:?}");
                // Told while the flood goes on, and whose it was.
                let event = bench.event_of(from, &outcome)?;
                ensure!(event["cgroup"] == quiet.path(), "{event}");
            }
            Ok(())
        };
        let killed = kill_quietly();
        is_over.store(true, Ordering::Relaxed);
        let flooded = flood.join().expect("the thread's panic is shown")?;
        killed.map(|()| flooded)
    })?;
    let survivors = flooded
        .iter()
        .filter(|outcome| !outcome.is_killed_unrun())
        .count();
    assert_eq!(survivors, 0, "of {}", flooded.len());

    let left_out = bench.counter(Counter::EventsRateLimited)?;
    assert!(
        left_out > 0,
        "{} kills in {:?} are no flood",
        flooded.len(),
        began.elapsed()
    );
    assert_eq!(bench.counter(Counter::EventsLostFull)?, 0);
    let (mut from, mut said) = (0, 0);
    while said < left_out {
        let event = bench.guard.wait_for_after(
            &mut from,
            "the sum of left-out lines",
            SUM_DEADLINE,
            |event| event["event"] == "log lines left out",
        )?;
        ensure!(event["cgroup"] == loud.path(), "{event}");
        ensure!(event["level"] == "warning", "{event}");
        said += event["left_out"].as_u64().context("a number")?;
    }
    assert_eq!(said, left_out);
    bench
        .guard
        .wait_for("the last kill's line", LINE_DEADLINE, |event| {
            event["cgroup"] == quiet.path()
        })?;
    let events = bench.guard.events()?;
    let told = events
        .iter()
        .filter(|event| event["action"] == "killed" && event["cgroup"] == loud.path())
        .count() as u64;
    assert_eq!(
        told + left_out,
        flooded.len() as u64,
        "every kill is told or counted"
    );
    Ok(())
}
