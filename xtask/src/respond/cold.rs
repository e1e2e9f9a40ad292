//! Cold starts: from the start of the process to its first question, to its first call of AWS and to
//! the end of its first answer, and the memory it took.

use std::time::Duration;

use anyhow::{Context as _, bail};
use davylamp_testkit::faults::{FaultProxy, Schedule};
use davylamp_testkit::lambda_runtime::LambdaRuntime;
use davylamp_testkit::moto::Moto;

use super::stage::{HOME, MAIL, Stage, TABLE};
use super::{Programs, Who};

/// How long a cold start with its answer may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// The figures of one of the two, one entry for each start.
#[derive(Default)]
pub struct Starts {
    /// To the first question for an event, in milliseconds.
    pub ready_ms: Vec<f64>,
    /// To the arrival of the first call of AWS, in milliseconds.
    pub first_call_ms: Vec<f64>,
    /// To the answer, in milliseconds.
    pub answered_ms: Vec<f64>,
    /// Memory in RAM after the answer, in MiB.
    pub resident_mib: Vec<f64>,
    /// The most memory in RAM, in MiB.
    pub peak_mib: Vec<f64>,
}

/// Davylamp's starts and the baseline's.
pub struct Both {
    pub davylamp: Starts,
    pub baseline: Starts,
}

/// Starts each of the two so often, in turn.
pub fn measure(programs: &Programs, starts: usize) -> anyhow::Result<Both> {
    let moto = Moto::own();
    let mut both = Both {
        davylamp: Starts::default(),
        baseline: Starts::default(),
    };
    for round in 1..=starts {
        println!("cold start {round} of {starts}");
        one(&moto, programs, Who::Davylamp, &mut both.davylamp)?;
        one(&moto, programs, Who::Baseline, &mut both.baseline)?;
    }
    Ok(both)
}

fn one(moto: &Moto, programs: &Programs, who: Who, starts: &mut Starts) -> anyhow::Result<()> {
    let stage = Stage::prepare(moto, 1, 1)?;
    let folder = tempfile::tempdir().context("cannot make a folder")?;
    let proxy = FaultProxy::start(&moto.endpoint(), Schedule::clean());
    let runtime = LambdaRuntime::start_in(&stage.account.id);
    let mut command = programs.command(who, folder.path())?;
    command
        .envs(stage.account.clone().through(proxy.endpoint()).env(HOME))
        .env("DAVY_RESPOND__JOURNAL__STORE", "dynamodb")
        .env("DAVY_RESPOND__JOURNAL__TABLE", TABLE)
        .env("DAVY_RESPOND__NOTICES__SES", "true")
        .env("DAVY_RESPOND__NOTICES__FROM", MAIL)
        .env("DAVY_RESPOND__NOTICES__TO", format!("[\"{MAIL}\"]"))
        .env("BASELINE_TABLE", TABLE)
        .env("BASELINE_MAIL", MAIL);
    // The event waits already, as it does when Lambda starts a function because of one.
    let event = runtime.invoke(&stage.event());
    let started = proxy.age();
    runtime.run(&mut command).context("cannot start the function")?;
    let outcome = runtime
        .outcome(&event, PATIENCE)
        .with_context(|| format!("{who:?} did not answer: {:?}", runtime.init_error()))?;
    let answered = proxy.age();
    if outcome.failed {
        bail!("{who:?} failed: {}", outcome.body);
    }
    let first = proxy
        .calls()
        .iter()
        .map(|call| call.arrived)
        .min()
        .with_context(|| format!("{who:?} called nothing"))?;
    let ready = runtime.ready_after(PATIENCE).context("it was never ready")?;
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    let mib = |bytes: Option<u64>| bytes.map(|bytes| bytes as f64 / 1_048_576.0);
    starts.ready_ms.push(ms(ready));
    starts.first_call_ms.push(ms(first.saturating_sub(started)));
    starts.answered_ms.push(ms(answered.saturating_sub(started)));
    starts
        .resident_mib
        .push(mib(runtime.memory_now_bytes()).context("its memory is not known")?);
    starts
        .peak_mib
        .push(mib(runtime.peak_memory_bytes()).context("its memory is not known")?);
    Ok(())
}
