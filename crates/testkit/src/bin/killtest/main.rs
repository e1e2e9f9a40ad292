//! The kill test of another kernel: `/init` of a virtual machine.
//!
//! It mounts what the guard needs, proves that the witness program testifies, starts the guard,
//! and then runs banned and benign programs while the guard lives, after it was killed, while it
//! comes back and when it is back. Each step is reported as a
//! [`davylamp_testkit::kernel_test::Record`]; the host judges. Here is no judgement and no
//! kernel-specific knowledge.
//!
//! It has one thread on purpose: it forks thousands of times.

mod guard;
mod launch;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use davylamp_testkit::kernel_test::{
    Outcomes, PLAN_PATH, Plan, RECORD_PORT, Record, Round, Tally, Way,
};
use rustix::mount::{MountFlags, mount};

use guard::Guard;
use launch::{Launch, Stage};

/// What the guest mounts: source, place, type.
const MOUNTS: [(&str, &str, &str); 7] = [
    ("proc", "/proc", "proc"),
    ("sysfs", "/sys", "sysfs"),
    ("devtmpfs", "/dev", "devtmpfs"),
    ("tmpfs", "/run", "tmpfs"),
    ("bpf", "/sys/fs/bpf", "bpf"),
    ("cgroup2", "/sys/fs/cgroup", "cgroup2"),
    ("tracefs", "/sys/kernel/tracing", "tracefs"),
];

fn main() {
    if std::process::id() != 1 {
        say("this is /init of the kernel test's virtual machines: run `cargo xtask test-kernels`");
        std::process::exit(2);
    }
    if let Err(error) = mount_all() {
        // Without /dev there is no record port; the console carries this to the transcript.
        say(&format!("cannot prepare the machine: {error:#}"));
        power_off();
    }
    match Reporter::open() {
        Ok(mut reporter) => {
            let last = match test(&mut reporter) {
                Ok(()) => Record::Finished,
                Err(error) => Record::Problem {
                    what: format!("{error:#}"),
                },
            };
            if let Err(error) = reporter.send(&last).and_then(|()| reporter.flush()) {
                say(&format!("cannot report: {error:#}"));
            }
        }
        Err(error) => say(&format!("cannot report: {error:#}")),
    }
    power_off();
}

/// Writes a line to the console, which the host keeps as the transcript.
fn say(line: &str) {
    // A console that cannot be written to leaves nobody to tell.
    drop(writeln!(std::io::stderr(), "killtest: {line}"));
}

fn power_off() -> ! {
    rustix::fs::sync();
    // Returns only when the kernel refuses; leaving /init then panics the kernel, which ends
    // the machine as well.
    let refused = rustix::system::reboot(rustix::system::RebootCommand::PowerOff);
    say(&format!("the kernel refused to power off: {refused:?}"));
    std::process::exit(1);
}

fn mount_all() -> anyhow::Result<()> {
    for (source, place, kind) in MOUNTS {
        if !Path::new(place).exists() {
            fs::create_dir_all(place).with_context(|| format!("cannot make {place}"))?;
        }
        mount(source, place, kind, MountFlags::empty(), None)
            .with_context(|| format!("cannot mount {kind} at {place}"))?;
    }
    Ok(())
}

/// Sends the records to the host.
struct Reporter(File);

impl Reporter {
    fn open() -> anyhow::Result<Self> {
        let port = OpenOptions::new()
            .write(true)
            .open(RECORD_PORT)
            .with_context(|| format!("cannot open {RECORD_PORT}"))?;
        Ok(Self(port))
    }

    fn send(&mut self, record: &Record) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(record).context("cannot write a record")?;
        line.push(b'\n');
        self.0.write_all(&line).context("cannot send a record")
    }

    /// Waits until the port has sent everything: powering off would lose what is buffered.
    fn flush(&mut self) -> anyhow::Result<()> {
        // SAFETY: the descriptor is open for the length of the call.
        if unsafe { libc::tcdrain(self.0.as_raw_fd()) } < 0 {
            return Err(std::io::Error::last_os_error()).context("cannot drain the record port");
        }
        Ok(())
    }
}

fn test(reporter: &mut Reporter) -> anyhow::Result<()> {
    let names = rustix::system::uname();
    reporter.send(&Record::Booted {
        kernel: format!(
            "{} {}",
            names.release().to_string_lossy(),
            names.version().to_string_lossy()
        ),
        btf: Path::new("/sys/kernel/btf/vmlinux").exists(),
        uptime_ms: uptime_ms()?,
    })?;
    let plan = fs::read(PLAN_PATH).context("cannot read the plan")?;
    let plan: Plan = serde_json::from_slice(&plan).context("cannot understand the plan")?;
    let programs = Programs::prepare(&plan)?;
    let ready_deadline = Duration::from_millis(plan.ready_deadline_ms);

    let once = programs.count();
    programs.round(Round::Control, once, None, reporter)?;

    let mut guard = Guard::start(1)?;
    reporter.send(&guard.wait_ready(ready_deadline)?)?;
    programs.round(Round::Guarded, plan.execs_per_round, None, reporter)?;
    guard.check_alive()?;

    reporter.send(&guard.kill()?)?;
    programs.round(Round::GuardKilled, plan.execs_per_round, None, reporter)?;

    let mut guard = Guard::start(2)?;
    programs.round(
        Round::GuardRestarting,
        plan.execs_per_round,
        Some(&mut guard),
        reporter,
    )?;
    reporter.send(&guard.wait_ready(ready_deadline)?)?;
    programs.round(Round::GuardRestarted, plan.execs_per_round, None, reporter)?;
    guard.check_alive()?;
    reporter.send(&guard.kill()?)
}

fn uptime_ms() -> anyhow::Result<u64> {
    let text = fs::read_to_string("/proc/uptime").context("cannot read the uptime")?;
    let seconds: f64 = text
        .split_whitespace()
        .next()
        .context("the uptime is empty")?
        .parse()
        .context("the uptime is not a number")?;
    Ok((seconds * 1000.0) as u64)
}

/// Every way's banned program and its benign twin.
struct Programs {
    pairs: Vec<(Way, Launch, Launch)>,
    stage: Stage,
}

impl Programs {
    fn prepare(plan: &Plan) -> anyhow::Result<Self> {
        let folder = PathBuf::from("/test");
        let mut pairs = Vec::new();
        for way in Way::ALL {
            if way == Way::Environment && !plan.scan_environment {
                continue;
            }
            let (banned, benign) = match way {
                // The benign twin carries the banned string too, but never as a word.
                Way::Decoy => {
                    let glued = format!("X{0} {0}_", plan.banned);
                    (format!("{glued} {}", plan.banned), glued)
                }
                _ => (plan.banned.clone(), plan.benign.clone()),
            };
            let pair = (
                way,
                Launch::new(way, &banned, &folder)?,
                Launch::new(way, &benign, &folder)?,
            );
            pairs.push(pair);
        }
        ensure!(!pairs.is_empty(), "the plan leaves nothing to run");
        Ok(Self {
            pairs,
            stage: Stage::new(Duration::from_millis(plan.exec_deadline_ms))?,
        })
    }

    fn count(&self) -> u32 {
        self.pairs.len() as u32
    }

    /// Runs `execs` banned programs and as many benign ones, in turns and going through the
    /// ways, and reports. A guard that is starting meanwhile is watched for its ready line.
    fn round(
        &self,
        round: Round,
        execs: u32,
        mut starting: Option<&mut Guard>,
        reporter: &mut Reporter,
    ) -> anyhow::Result<()> {
        let started = Instant::now();
        let mut tallies: BTreeMap<Way, Tally> = BTreeMap::new();
        for (way, banned, benign) in self.pairs.iter().cycle().take(execs as usize) {
            let tally = tallies.entry(*way).or_insert_with(|| Tally {
                way: *way,
                banned: Outcomes::default(),
                benign: Outcomes::default(),
            });
            tally.banned.add(self.stage.run(banned)?);
            tally.benign.add(self.stage.run(benign)?);
            if let Some(guard) = starting.as_deref_mut() {
                guard.look()?;
            }
        }
        let elapsed_ms = started.elapsed().as_millis() as u64;
        say(&format!(
            "{round:?}: {execs} banned and {execs} benign execs in {elapsed_ms} ms"
        ));
        reporter.send(&Record::Round {
            round,
            tallies: tallies.into_values().collect(),
            elapsed_ms,
        })
    }
}
