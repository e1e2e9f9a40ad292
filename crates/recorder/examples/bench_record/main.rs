//! How large a store becomes, and how fast it is: a synthetic account of 10,000 things, looked at each hour
//! for a year, beside the same snapshots each kept whole.
//!
//! `make bench-record` runs it and writes docs/benchmarks-record.md. Nothing here gates a test.

// This is a command: its results go to standard output.
#![allow(clippy::print_stdout)]

mod account;

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use account::Account;
use davylamp_model::recording::Look;
use davylamp_recorder::timeline::{Asked, timeline};
use davylamp_recorder::verify::verify;
use davylamp_recorder::{Store, Writer, export};
use jiff::{SignedDuration, Timestamp};

/// A year of hours.
const YEAR: u64 = 8760;
/// The baseline packs one snapshot of so many: all of them take an hour, and each is as large as the next.
const SAMPLE: u64 = 120;
/// How hard the baseline is packed: as a segment is.
const LEVEL: i32 = 12;
/// What a year may take.
const GOAL_MIB: f64 = 1024.0;

type Failed = Box<dyn std::error::Error>;

fn main() -> Result<(), Failed> {
    let mut arguments = std::env::args().skip(1);
    let (mut snapshots, mut page) = (YEAR, None);
    while let Some(argument) = arguments.next() {
        let value = arguments.next().ok_or("an option takes a value")?;
        match argument.as_str() {
            "--snapshots" => snapshots = value.parse()?,
            "--record" => page = Some(value),
            _ => {
                return Err(
                    format!("there are --snapshots N and --record FILE, not {argument}").into(),
                );
            }
        }
    }
    let dir = tempfile::tempdir()?;
    let found = measure(dir.path(), snapshots)?;
    let text = found.text();
    print!("{text}");
    match page {
        Some(page) => Ok(std::fs::write(page, text)?),
        None => Ok(()),
    }
}

struct Found {
    snapshots: u64,
    things: usize,
    changes_an_hour: f64,
    stored: u64,
    largest: u64,
    whole: f64,
    unpacked: f64,
    recording: Duration,
    opening: Duration,
    picture: Duration,
    events: (u64, Duration),
    checking: Duration,
}

fn measure(root: &Path, snapshots: u64) -> Result<Found, Failed> {
    let begin: Timestamp = "2026-01-01T00:00:00Z".parse()?;
    let mut account = Account::new(begin);
    let things = account.count();
    let (mut lines, mut largest, mut whole, mut unpacked, mut samples) = (0, 0, 0, 0, 0_u64);
    let mut recording = Duration::ZERO;
    let mut writer = Writer::open(root)?;
    for number in 0..snapshots {
        let at = begin + SignedDuration::from_hours(number.cast_signed());
        if number > 0 {
            account.hour_passes(at);
        }
        let looks: Vec<Look> = account.looks();
        let started = Instant::now();
        let link = writer.record(at, at, looks)?;
        recording += started.elapsed();
        let snapshot = link.snapshot().ok_or("a snapshot was taken")?;
        lines += snapshot.lines;
        largest = largest.max(snapshot.bytes);
        if number % SAMPLE == 0 {
            let mut text = String::new();
            for line in export::lines(writer.picture()) {
                line.write(&mut text);
            }
            samples += 1;
            unpacked += text.len();
            whole += zstd::bulk::compress(text.as_bytes(), LEVEL)?.len();
        }
    }
    drop(writer);
    let each = |bytes: usize| bytes as f64 / samples as f64 * snapshots as f64;
    let timed = |started: Instant| started.elapsed();
    let started = Instant::now();
    let writer = Writer::open(root)?;
    let opening = timed(started);
    drop(writer);
    let store = Store::open(root)?;
    // The most segments stand before the last of a week.
    let number = snapshots - snapshots.saturating_sub(1) % davylamp_recorder::FULL_EVERY;
    let number = number.saturating_sub(1).max(1);
    let started = Instant::now();
    store.picture(number)?;
    let picture = timed(started);
    let started = Instant::now();
    let mut events = 0;
    timeline(&store, &Asked::default(), |_| events += 1)?;
    let events = (events, timed(started));
    let started = Instant::now();
    let checked = verify(&store, None, |_| {})?;
    if !checked.faults.is_empty() {
        return Err(format!("the store has faults: {:?}", checked.faults).into());
    }
    Ok(Found {
        snapshots,
        things,
        changes_an_hour: lines as f64 / snapshots as f64,
        stored: size(root)?,
        largest,
        whole: each(whole),
        unpacked: each(unpacked),
        recording,
        opening,
        picture,
        events,
        checking: timed(started),
    })
}

fn size(path: &Path) -> std::io::Result<u64> {
    let mut all = 0;
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        all += match entry.file_type()?.is_dir() {
            true => size(&entry.path())?,
            false => entry.metadata()?.len(),
        };
    }
    Ok(all)
}

fn mib(bytes: f64) -> f64 {
    bytes / f64::from(1 << 20)
}

impl Found {
    fn text(&self) -> String {
        let stored = mib(self.stored as f64);
        let (whole, unpacked) = (mib(self.whole), mib(self.unpacked));
        let met = match stored <= GOAL_MIB * self.snapshots as f64 / YEAR as f64 {
            true => "met",
            false => "missed",
        };
        let mut text = String::new();
        let mut say = |line: String| {
            // Writing to a text cannot fail.
            let _ = writeln!(text, "{line}");
        };
        say("# How large a store of snapshots becomes\n".to_owned());
        say(format!(
            "Made by `make bench-record`: a synthetic account of {} things in {} regions, looked at each hour, {} \
             times. What changes in an hour: machines, disks and tasks come and go, keys and roles are used, \
             groups grow and shrink; {:.0} lines for each snapshot, coverage included. What it is made of stands in \
             [`account.rs`](../crates/recorder/examples/bench_record/account.rs).\n",
            self.things,
            account::REGIONS.len(),
            self.snapshots,
            self.changes_an_hour
        ));
        say("| what | MiB | of the baseline |\n|---|---:|---:|".to_owned());
        say(format!(
            "| each snapshot whole, as JSON lines | {unpacked:.0} | {:.1} |",
            unpacked / whole
        ));
        say(format!(
            "| each snapshot whole, packed by zstd at level {LEVEL} (the baseline; one of {SAMPLE} was packed) | {whole:.0} | 1 |"
        ));
        say(format!(
            "| the store | {stored:.0} | 1/{:.0} |\n",
            whole / stored.max(f64::MIN_POSITIVE)
        ));
        say(format!(
            "Aim: a year below {GOAL_MIB:.0} MiB: {met}. The largest segment has {:.1} MiB.\n",
            mib(self.largest as f64)
        ));
        say("| what | seconds |\n|---|---:|".to_owned());
        let each = self.recording.as_secs_f64() / self.snapshots as f64;
        say(format!(
            "| to record one snapshot, once everything was looked at | {each:.2} |"
        ));
        say(format!(
            "| to open the store for writing | {:.2} |",
            self.opening.as_secs_f64()
        ));
        say(format!(
            "| to know a state, a week after everything was told | {:.2} |",
            self.picture.as_secs_f64()
        ));
        let (events, took) = (self.events.0, self.events.1.as_secs_f64());
        say(format!(
            "| a timeline of everything, {events} events | {took:.1} |"
        ));
        say(format!(
            "| to verify all of it | {:.1} |",
            self.checking.as_secs_f64()
        ));
        text
    }
}
