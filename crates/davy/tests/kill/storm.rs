//! Zero instructions, at length: thousands of execs on busy processors while the lists are reloaded
//! and the agent is killed and started again.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use davylamp_guard::abi::Counter;
use davylamp_testkit::guard::{Guard, LINE_DEADLINE, unique_word};
use davylamp_testkit::programs::{Launch, Outcome, Stage};

use crate::bench::{Bench, list};

/// Banned execs, and as many benign ones, at the least.
const EXECS: u64 = 10_000;
const RELOADS: usize = 50;
const KILLS: usize = 20;
/// Threads that start programs.
const STARTERS: u64 = 2;
/// The storm must be over by then, whatever else the machine does.
const STORM_DEADLINE: Duration = Duration::from_secs(150);

/// What the starters share with the thread that reloads and kills.
#[derive(Default)]
struct Storm {
    banned: Mutex<u64>,
    moved: Condvar,
    /// The starters go on until everything that should happen meanwhile has happened.
    has_happened: AtomicBool,
    wrong: Mutex<Vec<String>>,
}

/// What a starter counted.
#[derive(Default, Clone, Copy)]
struct Tally {
    banned: u64,
    benign: u64,
}

impl Storm {
    /// Starts a banned and a benign program in turns.
    fn blow(&self, banned: &Launch, benign: &Launch) -> anyhow::Result<Tally> {
        let stage = Stage::new()?;
        let mut tally = Tally::default();
        let share = EXECS.div_ceil(STARTERS);
        while tally.banned < share || !self.has_happened.load(Ordering::Relaxed) {
            let outcome = stage.run(banned)?;
            self.expect(outcome.is_killed_unrun(), "banned", outcome);
            let outcome = stage.run(benign)?;
            self.expect(outcome.is_unharmed(), "benign", outcome);
            tally.banned += 1;
            tally.benign += 1;
            *self.banned.lock().unwrap_or_else(PoisonError::into_inner) += 1;
            self.moved.notify_all();
        }
        Ok(tally)
    }

    fn expect(&self, is_right: bool, what: &str, outcome: Outcome) {
        if !is_right {
            let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
            wrong.push(format!("{what}: {outcome:?}"));
        }
    }

    /// Waits until so many banned programs have been started.
    fn wait_for(&self, execs: u64, began: Instant) -> anyhow::Result<()> {
        let left = STORM_DEADLINE.saturating_sub(began.elapsed());
        let banned = self.banned.lock().unwrap_or_else(PoisonError::into_inner);
        let (banned, waited) = self
            .moved
            .wait_timeout_while(banned, left, |banned| *banned < execs)
            .unwrap_or_else(PoisonError::into_inner);
        ensure!(
            !waited.timed_out(),
            "only {banned} of {execs} execs in {STORM_DEADLINE:?}"
        );
        Ok(())
    }
}

/// Sets a flag when it goes, also in a panic, so that no thread waits for ever.
struct Sets<'a>(&'a AtomicBool);

impl Drop for Sets<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Reloads and kills, spread over the storm.
fn disturb(guard: &mut Guard, word: &str, storm: &Storm, began: Instant) -> anyhow::Result<()> {
    let disturbances = RELOADS + KILLS;
    for number in 0..disturbances {
        storm.wait_for(EXECS * number as u64 / disturbances as u64, began)?;
        // Five reloads, then two kills.
        if number % 7 < 5 {
            let mut from = guard.line_count()?;
            // A list with another string each time, so that each table differs from the last.
            guard.write_list(&list(word, &unique_word()))?;
            guard.hang_up()?;
            guard.wait_for_after(&mut from, "a reload", LINE_DEADLINE, |event| {
                event["event"] == "reloaded" && event["why"] == "SIGHUP"
            })?;
        } else {
            guard.kill()?;
            let ready = guard.restart()?;
            ensure!(
                ready["programs"] == "adopted",
                "the pins were not taken over: {ready}"
            );
        }
    }
    Ok(())
}

#[test]
fn not_an_instruction_in_ten_thousand() -> anyhow::Result<()> {
    let mut bench = Bench::new("[guard.sweep]\non_start = false\non_reload = false\n")?;
    let banned = [bench.word.clone(), "--work".to_owned()];
    let benign = [unique_word(), "--work".to_owned()];
    let storm = Storm::default();
    let is_over = AtomicBool::new(false);
    let spins = AtomicU64::new(0);
    let began = Instant::now();
    let cores = std::thread::available_parallelism().context("cannot count processors")?;

    let mut launches = Vec::new();
    for _ in 0..STARTERS {
        launches.push((
            bench.with_arguments(&banned)?,
            bench.with_arguments(&benign)?,
        ));
    }
    let word = bench.word.clone();
    let guard = &mut bench.guard;
    let tallies: anyhow::Result<Vec<Tally>> = std::thread::scope(|scope| {
        let _end = Sets(&is_over);
        for _ in 0..cores.get() {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    spins.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let storm = &storm;
        let starters: Vec<_> = launches
            .drain(..)
            .map(|(banned, benign)| {
                let launches = Starter { banned, benign };
                scope.spawn(move || launches.blow(storm))
            })
            .collect();
        {
            let _happened = Sets(&storm.has_happened);
            disturb(guard, &word, storm, began)?;
        }
        starters
            .into_iter()
            .map(|starter| starter.join().expect("the starter's panic is shown"))
            .collect()
    });
    let tallies = tallies?;
    let wrong = storm
        .wrong
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    let total = tallies.iter().map(|tally| tally.banned).sum::<u64>();
    let benign = tallies.iter().map(|tally| tally.benign).sum::<u64>();
    assert!(
        wrong.is_empty(),
        "{} wrong of {total} banned and {benign} benign execs: {:?}",
        wrong.len(),
        &wrong[..wrong.len().min(20)]
    );
    assert!(
        total >= EXECS && benign >= EXECS,
        "{total} banned and {benign} benign execs"
    );
    assert!(spins.into_inner() > 0, "nobody kept the processors busy");

    // The kernel's own count agrees, over all lives of the agent and all tables.
    assert_eq!(bench.counter(Counter::Killed)?, total);
    assert_eq!(bench.counter(Counter::Matched)?, total);
    assert_eq!(bench.counter(Counter::Unreadable)?, 0);
    assert_eq!(bench.counter(Counter::Missed)?, 0);
    assert!(bench.counter(Counter::Execs)? >= total + benign);
    Ok(())
}

/// The launches of one thread.
struct Starter {
    banned: Launch,
    benign: Launch,
}

// SAFETY: the words that a launch points to are owned by it and are read only.
unsafe impl Send for Starter {}

impl Starter {
    fn blow(self, storm: &Storm) -> anyhow::Result<Tally> {
        storm.blow(&self.banned, &self.benign)
    }
}

/// Where one agent lives through it, every kill is in its log or counted as left out of it.
#[test]
fn every_kill_is_told_or_counted() -> anyhow::Result<()> {
    const KILLED: u64 = 1500;
    let bench = Bench::new("[guard.log]\nevents_per_second = 1000\nburst = 1000\n")?;
    let launch = bench.with_arguments(&[bench.word.as_str()])?;
    for _ in 0..KILLED {
        let outcome = bench.stage.run(&launch)?;
        ensure!(outcome.is_killed_unrun(), "{outcome:?}");
    }
    let left_out = bench.counter(Counter::EventsRateLimited)?;
    let lost = bench.counter(Counter::EventsLostFull)?;
    let mut bench = bench;
    let events = bench.guard.stop()?;
    let told = events
        .iter()
        .filter(|event| event["action"] == "killed")
        .count() as u64;
    let unread = events
        .iter()
        .find(|event| event["event"] == "stopped")
        .and_then(|event| event["log_lines_lost"].as_u64())
        .context("the last line says what was lost")?;
    assert_eq!(
        told + left_out + lost + unread,
        KILLED,
        "{left_out} left out, {lost} lost"
    );
    assert!(told >= 1000, "the burst is told: {told}");
    let mut pids: Vec<_> = events
        .iter()
        .filter_map(|event| event["pid"].as_u64())
        .collect();
    pids.sort_unstable();
    pids.dedup();
    // The ready line has the agent's own pid.
    assert_eq!(pids.len() as u64, told + 1, "each kill is told once");
    Ok(())
}
