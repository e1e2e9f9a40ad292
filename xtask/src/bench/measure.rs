//! The measurements.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::figures::{Percentiles, Spread, percentiles};
use super::guard::{Guard, Statistics, write_list};
use super::lists;
use super::storm::{Programs, Storm};

/// Lengths of lists.
pub const STRINGS: [usize; 4] = [10, 1_000, 5_000, 50_000];
/// Bytes of arguments.
pub const BYTES: [usize; 4] = [50, 200, 2_000, 100_000];
/// Strings in force where deaths are timed.
pub const DEATH_STRINGS: usize = 6_000;
/// The list and the arguments that the targets speak of.
pub const TARGET: (usize, usize) = (5_000, 200);
/// Arguments of more bytes are run a fifth as often.
const LONG: usize = 10_000;
/// The processor that storms stay on.
const PROCESSOR: usize = 0;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Pairs of storms for each length of list and arguments.
    pub pairs: usize,
    /// Execs in a storm, but fewer of those with the longest arguments.
    pub execs: usize,
    /// Execs whose deaths are timed.
    pub deaths: usize,
    /// `echo`s that should not print.
    pub echoes: usize,
    /// Execs over which the agent's own time is taken.
    pub benign: usize,
    /// Processes that are held.
    pub holds: usize,
}

impl Effort {
    pub const FULL: Self = Self {
        pairs: 15,
        execs: 1_000,
        deaths: 5_000,
        echoes: 2_000,
        benign: 20_000,
        holds: 500,
    };
    pub const QUICK: Self = Self {
        pairs: 3,
        execs: 300,
        deaths: 500,
        echoes: 2_000,
        benign: 2_000,
        holds: 50,
    };
}

/// Storms with one length of arguments under one list.
pub struct StormCell {
    /// With the guard to without, by the processor time of the storm.
    pub cpu_ratio: Spread,
    /// The same by the clock on the wall.
    pub wall_ratio: Spread,
    /// Of the exec program, for each exec.
    pub kernel_ns: Spread,
    /// Processor time of one exec without a guard.
    pub exec_ns: f64,
}

/// What one list costs.
pub struct ListRow {
    pub strings: usize,
    pub table_bytes: u64,
    pub load: Spread,
    pub reload: Spread,
    pub resident_kib: u64,
    pub peak_kib: u64,
    /// By [`BYTES`].
    pub cells: Vec<StormCell>,
}

/// All figures.
pub struct Results {
    pub lists: Vec<ListRow>,
    /// `/bin/true` under the list and arguments that the targets speak of.
    pub ordinary: StormCell,
    /// From execve to death by the guard.
    pub killed: Percentiles,
    /// From execve to the same program's own end.
    pub unharmed: Percentiles,
    pub printed_in_turn: usize,
    pub printed_four: usize,
    pub agent_ns_per_exec: f64,
    pub hold: Percentiles,
}

/// What measures.
pub struct Bench {
    pub davy: PathBuf,
    pub programs: Programs,
    pub folder: PathBuf,
    pub effort: Effort,
}

impl Bench {
    /// Measures everything.
    pub fn run(&self) -> anyhow::Result<Results> {
        let lists = STRINGS
            .iter()
            .map(|strings| self.list(*strings))
            .collect::<Result<_, _>>()?;
        println!("measuring an ordinary program");
        let list = self.write_list(TARGET.0, &[])?;
        let ordinary = self
            .pairs(&list, Path::new("/bin/true"), &[TARGET.1], |_| Ok(()))?
            .pop()
            .context("nothing was measured")?;
        println!("measuring deaths");
        let (killed, unharmed) = self.deaths()?;
        let (printed_in_turn, printed_four) = self.echoes()?;
        println!("measuring the agent");
        Ok(Results {
            lists,
            ordinary,
            killed,
            unharmed,
            printed_in_turn,
            printed_four,
            agent_ns_per_exec: self.agent()?,
            hold: self.hold()?,
        })
    }

    fn write_list(&self, strings: usize, extra: &[&str]) -> anyhow::Result<PathBuf> {
        write_list(&self.folder, "list.yaml", &lists::blocklist(strings, extra))
    }

    fn list(&self, strings: usize) -> anyhow::Result<ListRow> {
        println!("measuring {strings} strings");
        let list = self.write_list(strings, &[])?;
        let (mut load, mut reload, mut facts) = (Vec::new(), Vec::new(), (0, 0, 0));
        let cells = self.pairs(&list, &self.programs.nothing, &BYTES, |guard| {
            load.push(millis(guard.load));
            reload.push(millis(guard.reload()?));
            let (resident, peak) = guard.memory_kib()?;
            let table = guard.ready["table_bytes"]
                .as_u64()
                .context("the log lacks table_bytes")?;
            facts = (table, resident.max(facts.1), peak.max(facts.2));
            Ok(())
        })?;
        Ok(ListRow {
            strings,
            table_bytes: facts.0,
            load: Spread::of(load),
            reload: Spread::of(reload),
            resident_kib: facts.1,
            peak_kib: facts.2,
            cells,
        })
    }

    /// Storms in pairs: without a guard, with one, and the other way round each second time.
    /// `look` sees each guard before its storms.
    fn pairs(
        &self,
        list: &Path,
        program: &Path,
        lengths: &[usize],
        mut look: impl FnMut(&mut Guard) -> anyhow::Result<()>,
    ) -> anyhow::Result<Vec<StormCell>> {
        let arguments: Vec<_> = lengths
            .iter()
            .map(|bytes| lists::arguments(*bytes))
            .collect();
        let round = || {
            let storm = |arguments: &Vec<u8>| self.storm(program, arguments, self.effort.execs);
            arguments
                .iter()
                .map(storm)
                .collect::<anyhow::Result<Vec<_>>>()
        };
        let mut figures: Vec<[Vec<f64>; 4]> = vec![<[Vec<f64>; 4]>::default(); lengths.len()];
        for pair in 0..self.effort.pairs {
            let before = if pair % 2 == 0 { Some(round()?) } else { None };
            let mut guard = Guard::start(&self.davy, list)?;
            look(&mut guard)?;
            let with = round()?;
            // Apart from the pair, because counting takes time itself.
            let statistics = Statistics::on()?;
            for (arguments, figures) in arguments.iter().zip(&mut figures) {
                let began = guard.run_time()?;
                self.storm(program, arguments, self.effort.execs / 2)?;
                let ended = guard.run_time()?;
                figures[2].push((ended.ns - began.ns) as f64 / (ended.runs - began.runs) as f64);
            }
            drop((statistics, guard));
            let without = before.map_or_else(round, Ok)?;
            for ((with, without), figures) in with.iter().zip(&without).zip(&mut figures) {
                figures[0].push(with.cpu_ns / without.cpu_ns);
                figures[1].push(with.wall_ns / without.wall_ns);
                figures[3].push(without.cpu_ns / without.took_ns.len() as f64);
            }
        }
        let cell = |[cpu, wall, kernel, exec]: [Vec<f64>; 4]| StormCell {
            cpu_ratio: Spread::of(cpu),
            wall_ratio: Spread::of(wall),
            kernel_ns: Spread::of(kernel),
            exec_ns: Spread::of(exec).median,
        };
        Ok(figures.into_iter().map(cell).collect())
    }

    fn storm(
        &self,
        program: &Path,
        arguments: &[u8],
        count: usize,
    ) -> anyhow::Result<super::storm::Report> {
        let count = if arguments.len() > LONG {
            count / 5
        } else {
            count
        };
        let report = Storm {
            programs: &self.programs,
            program,
            arguments,
            count,
            processor: Some(PROCESSOR),
        }
        .run()?;
        ensure!(
            report.exited == count as u64,
            "of {count} benign programs {} were killed and {} failed",
            report.killed,
            report.failed
        );
        Ok(report)
    }

    /// How long a banned program lives, and how long the same one takes to end by itself.
    fn deaths(&self) -> anyhow::Result<(Percentiles, Percentiles)> {
        let banned = lists::nonce();
        let list = self.write_list(DEATH_STRINGS, &[&banned])?;
        let guard = Guard::start(&self.davy, &list)?;
        let arguments = format!("nothing\0{banned}\0");
        // Both on any processor, and one after the other in small turns, so that the machine's
        // noise falls on both.
        let (mut killed, mut unharmed) = (Vec::new(), Vec::new());
        let turn = self.effort.deaths / 10;
        let harmless = lists::nonce();
        let harmless = format!("nothing\0{harmless}\0");
        for _ in 0..10 {
            for (arguments, figures) in [(&arguments, &mut killed), (&harmless, &mut unharmed)] {
                let report = Storm {
                    programs: &self.programs,
                    program: &self.programs.nothing,
                    arguments: arguments.as_bytes(),
                    count: turn,
                    processor: None,
                }
                .run()?;
                figures.extend(report.took_ns);
                let wanted = if *arguments == harmless {
                    report.exited
                } else {
                    report.killed
                };
                ensure!(
                    wanted == turn as u64,
                    "a program lived or died that should not have"
                );
            }
        }
        drop(guard);
        Ok((percentiles(killed), percentiles(unharmed)))
    }

    /// How many of some `echo`s of a banned string print: one after the other, four at a time.
    fn echoes(&self) -> anyhow::Result<(usize, usize)> {
        let banned = lists::nonce();
        let list = self.write_list(DEATH_STRINGS, &[&banned])?;
        let guard = Guard::start(&self.davy, &list)?;
        let arguments = format!("echo\0{banned}\0");
        let path = self.folder.join("printed");
        let mut printed = [0; 2];
        for (printed, side_by_side) in printed.iter_mut().zip([1, 4]) {
            let file = File::options()
                .append(true)
                .create(true)
                .open(&path)
                .context("cannot make a file for what is printed")?;
            file.set_len(0).context("cannot empty it")?;
            let storm = Storm {
                programs: &self.programs,
                program: Path::new("/bin/echo"),
                arguments: arguments.as_bytes(),
                count: self.effort.echoes / side_by_side,
                processor: None,
            };
            let running: Vec<_> = (0..side_by_side)
                .map(|_| storm.start(Some(&file)))
                .collect::<Result<_, _>>()?;
            for storm in running {
                let report = storm.finish()?;
                ensure!(
                    report.failed == 0,
                    "{} programs could not be started",
                    report.failed
                );
            }
            let text = std::fs::read_to_string(&path).context("cannot read what was printed")?;
            *printed = text.lines().count();
        }
        drop(guard);
        Ok((printed[0], printed[1]))
    }

    /// The agent's processor time for each benign exec, with all else that it does meanwhile.
    fn agent(&self) -> anyhow::Result<f64> {
        let list = self.write_list(TARGET.0, &[])?;
        let guard = Guard::start(&self.davy, &list)?;
        let before = guard.cpu_ns()?;
        self.storm(
            &self.programs.nothing,
            &lists::arguments(TARGET.1),
            self.effort.benign,
        )?;
        let spent = guard.cpu_ns()? - before;
        Ok(spent as f64 / self.effort.benign as f64)
    }

    /// How long processes are held that an expression allows.
    fn hold(&self) -> anyhow::Result<Percentiles> {
        let banned = lists::nonce();
        let mut text = lists::blocklist(TARGET.0, &[&banned]);
        text.push_str("allowedCommandPatterns:\n  - \"nothing [a-z]+ .*-for-class\"\n");
        let list = write_list(&self.folder, "list.yaml", &text)?;
        let mut guard = Guard::start(&self.davy, &list)?;
        let arguments = format!("nothing\0compare\0{banned}\0-for-class\0");
        self.storm(
            &self.programs.nothing,
            arguments.as_bytes(),
            self.effort.holds,
        )?;
        let mut held = Vec::new();
        while held.len() < self.effort.holds {
            let line = guard.line()?;
            if line["action"] == "spared"
                && let Some(ns) = line["hold_ns"].as_u64()
            {
                held.push(ns);
            }
        }
        Ok(percentiles(held))
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
