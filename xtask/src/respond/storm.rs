//! Storms: many findings at once, from the event to the cut of the network and to the answer.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, bail};
use davylamp_testkit::faults::{Call, Fault, FaultProxy, Rule, Schedule};
use davylamp_testkit::lambda_runtime::LambdaRuntime;
use davylamp_testkit::moto::Moto;

use super::stage::{HOME, MAIL, Stage};
use super::{Effort, Programs, Who};

/// How long a storm may take.
const PATIENCE: Duration = Duration::from_secs(3600);
/// What a call of EC2 takes to answer from within its region, about.
pub const DELAY: Duration = Duration::from_millis(50);
/// Clock ticks of /proc/PID/stat in a second (`USER_HZ`, proc(5)).
const TICKS: f64 = 100.0;

/// One storm of one of the two.
pub struct Storm {
    pub who: Who,
    pub findings: usize,
    pub regions: usize,
    /// Whether every call was answered later by [`DELAY`].
    pub delayed: bool,
    /// From the event to the moment the first and the last instance was cut off, in seconds.
    pub first_cut_secs: f64,
    pub last_cut_secs: f64,
    /// To the answer.
    pub done_secs: f64,
    /// The processor time of the test server meanwhile.
    pub server_secs: f64,
    /// How often each operation was called.
    pub calls: BTreeMap<(String, String), usize>,
    /// The most memory in RAM, in MiB.
    pub peak_mib: f64,
}

impl Storm {
    /// Calls for a finding.
    pub fn calls_each(&self) -> f64 {
        self.calls.values().sum::<usize>() as f64 / self.findings as f64
    }

    /// Mails that were sent.
    pub fn mails(&self) -> usize {
        self.calls
            .iter()
            .filter(|((_, action), _)| action == "SendEmail" || action.contains("outbound-emails"))
            .map(|(_, count)| count)
            .sum()
    }
}

/// Every storm, by both.
pub fn measure(programs: &Programs, effort: &Effort) -> anyhow::Result<Vec<Storm>> {
    let mut storms = Vec::new();
    for (findings, regions) in effort.storms {
        storms.extend(both(programs, effort, *findings, *regions, false)?);
    }
    if let Some((findings, regions)) = effort.storms.last() {
        storms.extend(both(programs, effort, *findings, *regions, true)?);
    }
    Ok(storms)
}

fn both(
    programs: &Programs,
    effort: &Effort,
    findings: usize,
    regions: usize,
    delayed: bool,
) -> anyhow::Result<[Storm; 2]> {
    let few = findings.min(effort.baseline_most);
    Ok([
        one(programs, Who::Davylamp, findings, regions, delayed)?,
        one(programs, Who::Baseline, few, regions.min(few), delayed)?,
    ])
}

fn one(
    programs: &Programs,
    who: Who,
    findings: usize,
    regions: usize,
    delayed: bool,
) -> anyhow::Result<Storm> {
    println!("storm     {who:?}: {findings} findings, {regions} regions, delayed: {delayed}");
    // A server of its own: what earlier storms leave behind makes it slower.
    let moto = Moto::own();
    let stage = Stage::prepare(&moto, findings, regions)?;
    let folder = tempfile::tempdir().context("cannot make a folder")?;
    let schedule = if delayed {
        Schedule::rules([Rule::new("*", "*", Fault::Latency(DELAY))])
    } else {
        Schedule::clean()
    };
    let proxy = FaultProxy::start(&moto.endpoint(), schedule);
    let runtime = LambdaRuntime::start_in(&stage.account.id);
    let mut command = programs.command(who, folder.path())?;
    command
        .envs(stage.account.clone().through(proxy.endpoint()).env(HOME))
        .env("DAVY_RESPOND__JOURNAL__STORE", "sqlite")
        .env("DAVY_RESPOND__JOURNAL__PATH", folder.path().join("journal"))
        .env("DAVY_RESPOND__NOTICES__SES", "true")
        .env("DAVY_RESPOND__NOTICES__FROM", MAIL)
        .env("DAVY_RESPOND__NOTICES__TO", format!("[\"{MAIL}\"]"))
        .env("BASELINE_MAIL", MAIL);
    runtime
        .run(&mut command)
        .context("cannot start the function")?;
    runtime
        .ready_after(PATIENCE)
        .context("it was never ready")?;
    let server_before = processor_secs(&moto)?;
    let started = proxy.age();
    let event = runtime.invoke_within(&stage.event(), PATIENCE);
    let outcome = runtime
        .outcome(&event, PATIENCE)
        .with_context(|| format!("{who:?} did not answer"))?;
    let done = proxy.age().saturating_sub(started);
    let server_secs = processor_secs(&moto)? - server_before;
    if outcome.failed {
        bail!("{who:?} failed: {}", outcome.body);
    }
    let all = proxy.calls();
    let cuts = cuts(&all);
    let wanted = findings * 2;
    if cuts.len() != wanted {
        bail!(
            "{who:?} cut off {} interfaces of {wanted}: {}",
            cuts.len(),
            outcome.body
        );
    }
    let since =
        |at: Option<&Duration>| at.map_or(f64::NAN, |at| at.saturating_sub(started).as_secs_f64());
    let mut calls = BTreeMap::new();
    for call in &all {
        let name = (call.service.clone(), call.action.clone());
        *calls.entry(name).or_default() += 1;
    }
    let peak = runtime
        .peak_memory_bytes()
        .context("its memory is not known")?;
    let storm = Storm {
        who,
        findings,
        regions,
        delayed,
        first_cut_secs: since(cuts.values().min()),
        last_cut_secs: since(cuts.values().max()),
        done_secs: done.as_secs_f64(),
        server_secs,
        calls,
        peak_mib: peak as f64 / 1_048_576.0,
    };
    println!(
        "          last cut {:.2} s, done {:.2} s, server {:.2} s, {:.1} calls each",
        storm.last_cut_secs,
        storm.done_secs,
        storm.server_secs,
        storm.calls_each()
    );
    Ok(storm)
}

/// When each interface came into its last group: the second change of each is the cut.
fn cuts(calls: &[Call]) -> BTreeMap<String, Duration> {
    let mut first = BTreeSet::new();
    let mut cuts = BTreeMap::new();
    for call in calls {
        if call.action != "ModifyNetworkInterfaceAttribute" || call.status != Some(200) {
            continue;
        }
        let interface = call
            .body
            .split('&')
            .find_map(|pair| pair.strip_prefix("NetworkInterfaceId="))
            .unwrap_or_default()
            .to_owned();
        if !first.insert(interface.clone()) {
            cuts.insert(interface, call.at);
        }
    }
    cuts
}

/// The processor time that the test server has had.
fn processor_secs(moto: &Moto) -> anyhow::Result<f64> {
    let pid = moto.pid().context("the server is not our own")?;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .context("cannot read the server's times")?;
    // The name before may hold spaces; the fields behind it are those from the third on.
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .map(|(_, rest)| rest.split_whitespace().collect())
        .unwrap_or_default();
    let ticks = |index: usize| -> Option<f64> { fields.get(index)?.parse().ok() };
    let (user, system) = ticks(11)
        .zip(ticks(12))
        .context("the server's times are not there")?;
    Ok((user + system) / TICKS)
}
