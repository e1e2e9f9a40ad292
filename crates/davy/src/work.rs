//! `davy work`: does what people ask for in the console.
//!
//! The console holds no credentials of clouds and clusters; this runs where they are. Each job is a verb of
//! this same program, as a process of its own, so that what a person could have typed is what is done, and
//! a job that dies takes nothing else with it.

mod child;
mod errand;

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use davylamp_content::settings::Override;
use davylamp_forward::work::config::Config;
use davylamp_forward::work::{Desk, DeskError, Job};
use tokio::sync::watch;

use crate::failure::{COULD_NOT_COMPLETE, Failure};
use crate::outbox;
use crate::output::{emit, note};
use crate::settings::SettingsArgs;
use crate::signals::Signals;
use errand::Came;

/// How often the console is told that a job is still worked on. It gives a job away after five minutes.
const KEEPS: Duration = Duration::from_secs(60);
/// A console that does not answer is asked again after so long at most.
const PATIENCE: Duration = Duration::from_secs(60);

/// The arguments of `davy work`.
#[derive(Debug, Clone, Args)]
#[command(
    about = "Do what people ask for in the console: plans, their execution and undoing, hunts",
    long_about = "Do what people ask for in the console: make plans, carry them out, take them back, run \
hunts. Runs where the credentials are; the console has none. Each job is done by `davy respond` or `davy \
hunt` as a process of its own, with the same configuration, brakes and journal as by hand, and what came of \
it is sent to the console.

The console is work.console.url; its token (`davy console token add NAME --cluster NAME --worker`) stands in \
work.console.token_file or DAVY_WORK_TOKEN. Hunts are run over what work.logs names; with none, no hunt is \
taken."
)]
#[command(
    after_long_help = "Exit codes: 0 it was told to stop, or with --once did what there was; 2 it could not begin, or a \
job failed.

Examples:
  davy work
  davy work --once
  davy work --set work.logs='[\"s3://BUCKET/AWSLogs\"]' --set work.plans=false"
)]
pub struct WorkArgs {
    /// Do the jobs there are, and exit
    #[arg(long)]
    pub once: bool,
    /// The address of the console
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// The AWS region of the responder [default: the environment's]
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,
    /// Another endpoint for every AWS service, such as a test server's
    #[arg(long, value_name = "URL")]
    pub endpoint_url: Option<String>,
    #[command(flatten)]
    pub settings: SettingsArgs,
}

impl WorkArgs {
    /// What every responder is told, so that it does the same as we would.
    fn common(&self) -> Vec<String> {
        let mut common = Vec::new();
        let mut option = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                common.extend([name.to_owned(), value]);
            }
        };
        let config: Option<&PathBuf> = self.settings.config.as_ref();
        option("--config", config.map(|path| path.display().to_string()));
        for set in &self.settings.set {
            option("--set", Some(set.clone()));
        }
        option("--endpoint-url", self.endpoint_url.clone());
        option("--region", self.region.clone());
        common
    }
}

impl Worker<'_> {
    /// Where a hunt sends what it found: it takes no configuration of ours.
    fn variables(&self) -> Vec<(String, String)> {
        let console = &self.config.console;
        let mut variables = vec![
            ("DAVY_WORK__CONSOLE__URL".to_owned(), console.url.clone()),
            (
                "DAVY_WORK__OUTBOX".to_owned(),
                self.config.outbox.display().to_string(),
            ),
        ];
        for (name, path) in [
            ("DAVY_WORK__CONSOLE__TOKEN_FILE", &console.token_file),
            ("DAVY_WORK__CONSOLE__CA_FILE", &console.ca_file),
        ] {
            if !path.as_os_str().is_empty() {
                variables.push((name.to_owned(), path.display().to_string()));
            }
        }
        variables
    }
}

/// Works.
pub fn run(args: &WorkArgs) -> Result<ExitCode, Failure> {
    let mut options = Vec::new();
    if let Some(url) = &args.url {
        options.push(Override::option(
            "--url",
            "work.console.url",
            OsStr::new(url),
        ));
    }
    let config = args.settings.load_work(options)?;
    let desk = Desk::new(&config).map_err(outbox::failure)?;
    let can = config.can();
    if can.is_empty() {
        return Err(Failure::new(
            anyhow::anyhow!("there is nothing that this worker may do"),
            "set work.plans = true, or name logs for hunts in work.logs",
        ));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| {
            Failure::new(
                anyhow::Error::new(error).context("cannot start the event loop"),
                "see whether this user may start more threads and files: ulimit -a",
            )
        })?;
    runtime.block_on(async {
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(async move {
            if let Some(mut signals) = Signals::listen() {
                signals.next().await;
                note("ending; the job at hand is told to end");
                let _ = stop.send(true);
            }
            std::future::pending::<()>().await;
        });
        let worker = Worker {
            args,
            config,
            desk,
            can,
            stopped,
        };
        worker.work().await
    })
}

/// Everything that one worker has.
struct Worker<'a> {
    args: &'a WorkArgs,
    config: Config,
    desk: Desk,
    can: Vec<&'static str>,
    stopped: watch::Receiver<bool>,
}

impl Worker<'_> {
    async fn work(&self) -> Result<ExitCode, Failure> {
        emit(format!(
            "working for {}: {}\n",
            self.config.console.url,
            self.can.join(", ")
        ))?;
        let every = Duration::from_secs(self.config.poll_secs);
        let mut pause = every;
        let mut failed = false;
        let mut stopped = self.stopped.clone();
        while !*stopped.borrow() {
            match self.desk.take(&self.can).await {
                Ok(Some(job)) => {
                    failed |= !self.job(&job).await;
                    pause = every;
                    continue;
                }
                Ok(None) if self.args.once => break,
                Ok(None) => pause = every,
                Err(error @ (DeskError::Refused(_) | DeskError::Setup(_))) => {
                    return Err(refused(error));
                }
                Err(error) if self.args.once => return Err(refused(error)),
                Err(error) => {
                    note(&format!(
                        "{error}; it is asked again in {} s",
                        pause.as_secs()
                    ));
                    pause = (pause * 2).min(PATIENCE);
                }
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = stopped.wait_for(|stopped| *stopped) => {}
            }
        }
        Ok(ExitCode::from(if failed { COULD_NOT_COMPLETE } else { 0 }))
    }

    /// Does a job, and says how it ended. Whether it was done.
    async fn job(&self, job: &Job) -> bool {
        let what = format!(
            "job {}: {} {}",
            job.id(),
            job.text("errand"),
            errand::subject(job)
        );
        note(&format!("{what}: begun"));
        let doing = errand::does(self, job);
        tokio::pin!(doing);
        let mut clock = tokio::time::interval(KEEPS);
        clock.tick().await;
        let mut came = loop {
            tokio::select! {
                biased;
                came = &mut doing => break came,
                _ = clock.tick() => {
                    if let Err(error) = self.desk.keep(job.id(), "").await {
                        // Another may have it by now. What is begun comes to its end all the same: every
                        // step is safe to repeat, and half a plan is worse.
                        note(&format!("{what}: {error}"));
                    }
                }
            }
        };
        if !came.lines.is_empty()
            && let Err(failure) = outbox::send(&self.config, &came.lines, outbox::PATIENCE).await
        {
            came = Came::failed(format!(
                "what came of it could not be kept for the console: {}",
                failure.said()
            ));
        }
        self.end(job, &came, &what).await;
        came.done
    }

    /// Says how a job ended, until the console has heard it or gives the job to another.
    async fn end(&self, job: &Job, came: &Came, what: &str) {
        let word = if came.done { "done" } else { "failed" };
        note(&format!("{what}: {word}: {}", came.detail));
        let mut pause = Duration::from_secs(1);
        loop {
            match self.desk.end(job.id(), came.done, &came.detail).await {
                Ok(()) => return,
                Err(DeskError::Away(why)) if !*self.stopped.borrow() => {
                    note(&format!("{what}: the console does not hear it: {why}"));
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PATIENCE);
                }
                Err(error) => {
                    note(&format!("{what}: {error}"));
                    return;
                }
            }
        }
    }
}

fn refused(error: DeskError) -> Failure {
    let hint = match &error {
        DeskError::Setup(error) => error.hint(),
        DeskError::Away(_) => "see whether the console runs, and work.console.url".to_owned(),
        DeskError::Refused(_) => {
            "make a token with `davy console token add NAME --cluster NAME --worker`, and put it where \
             work.console.token_file says"
                .to_owned()
        }
        _ => "see whether both are the same version: davy --version".to_owned(),
    };
    Failure::new(anyhow::Error::new(error), hint)
}
