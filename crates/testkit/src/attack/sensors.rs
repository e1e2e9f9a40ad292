//! Logs of others than CloudTrail about the same story: flows, names that were asked for, findings.
//!
//! Made hour by hour from who runs at the time. Flows and names are written of every machine, findings
//! only where GuardDuty has a detector.

use std::io;
use std::path::Path;

use super::calendar::{HOUR_SECS, civil};
use super::cast::{Cast, Machine};
use super::dice::Dice;
use super::event::Event;
use super::layout::{folder, gzip};
use super::truth::Truth;
use super::world::World;
use super::{Options, ids, places};

mod dns;
mod findings;
mod flow;

/// An hour that sensors look at.
struct Hour<'a> {
    dir: &'a Path,
    start: i64,
    dice: Dice,
    /// Machines of the owner.
    owned: &'a [Machine],
    /// Machines of the intruder that run: the machine, from when to when in this hour, and its pool.
    miners: Vec<(&'a Machine, i64, i64, &'static Pool)>,
}

/// An address of a pool, its port, and its name.
type Pool = (&'static str, u16, &'static str);

/// Everything that watches beside CloudTrail.
#[derive(Debug)]
pub struct Sensors<'a> {
    seed: u64,
    options: &'a Options,
    cast: &'a Cast,
    fleet: &'a [Machine],
    truth: &'a Truth,
}

impl<'a> Sensors<'a> {
    /// Of a story.
    pub fn new(
        seed: u64,
        options: &'a Options,
        cast: &'a Cast,
        fleet: &'a [Machine],
        truth: &'a Truth,
    ) -> Self {
        Self {
            seed,
            options,
            cast,
            fleet,
            truth,
        }
    }

    /// Writes what is seen in an hour.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn hour(&self, dir: &Path, number: i64, world: &World) -> io::Result<()> {
        let start = number * HOUR_SECS;
        let pool = Dice::of(self.seed, "pool", 0).pick(places::POOLS);
        let lives = self.fleet.iter().zip(&self.truth.instances);
        let miners = lives
            .filter_map(|(machine, life)| {
                let from = life.start.max(start);
                let until = life.end.unwrap_or(i64::MAX).min(start + HOUR_SECS);
                (from < until).then_some((machine, from, until, pool))
            })
            .collect();
        let hour = Hour {
            dir,
            start,
            dice: Dice::of(self.seed, "sensors", number),
            owned: &self.cast.machines,
            miners,
        };
        if self.options.flow {
            flow::write(&hour)?;
        }
        if self.options.dns {
            dns::write(&hour)?;
        }
        if self.options.guardduty {
            findings::of_machines(&hour, world)?;
        }
        Ok(())
    }

    /// Writes what is found in a call, if something is.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn call(&self, dir: &Path, event: &Event, world: &World) -> io::Result<()> {
        match self.options.guardduty {
            true => findings::of_call(dir, event, world),
            false => Ok(()),
        }
    }
}

/// Writes a file of a service under a name like that of AWS.
fn write(
    dir: &Path,
    (account, service, region): (&str, &str, &str),
    at: i64,
    dice: &mut Dice,
    text: &str,
) -> io::Result<()> {
    let folder = folder(dir, account, service, region, at);
    std::fs::create_dir_all(&folder)?;
    let stamp = civil(at).strftime("%Y%m%dT%H%MZ").to_string();
    let name = match service {
        "GuardDuty" => format!("{}.jsonl.gz", dice.uuid()),
        _ => format!(
            "{account}_{service}_{region}_{stamp}_{}.log.gz",
            ids::file(dice)
        ),
    };
    std::fs::write(folder.join(name), gzip(text.as_bytes())?)
}
