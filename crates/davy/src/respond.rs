//! `davy respond`: contain what findings are about, keep the evidence, tell people.

mod approve;
mod args;
pub(crate) mod feed;
mod playbooks;
mod show;
mod signals;
mod spool;
mod standing;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use davylamp_cloud::aws::session::{SessionError, describe};
use davylamp_content::playbook::Playbook;
use davylamp_content::settings::Override;
use davylamp_model::finding::{Finding, FindingSource};
use davylamp_model::ids::IncidentId;
use davylamp_model::intake::{self, Intake};
use davylamp_model::ocsf::to_ocsf;
use davylamp_respond::config::{Config, Store};
use davylamp_respond::journal::JournalError;
use davylamp_respond::journal::history::History;
use davylamp_respond::library::{self, LibraryError};
use davylamp_respond::responder::{CameOfIt, IncidentReport, Report, Responder, Unread};
use davylamp_respond::stop::Stop;
use davylamp_respond::wire::{self, Run, WireError, Wiring};

use crate::failure::Failure;
use crate::output::{counted, emit, note, quiet_json};
use crate::{outbox, records};
pub use args::RespondArgs;
use args::{Common, Job, Output};
use show::to_the_second;

/// Something was found.
const FOUND: u8 = 1;
/// Something could not be completed.
const INCOMPLETE: u8 = 2;
/// How long a wait may be without a word.
const SILENCE: Duration = Duration::from_secs(15);

/// Runs `davy respond`.
pub fn run(args: &RespondArgs) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            Failure::new(anyhow!(error), "see whether the machine is out of threads")
        })?;
    runtime.block_on(dispatch(args))
}

async fn dispatch(args: &RespondArgs) -> Result<ExitCode, Failure> {
    let common = &args.common;
    if args.job.is_some() && args.source.is_given() {
        return Err(Failure::new(
            anyhow!("a source of findings and a verb of its own do not go together"),
            "davy respond plan takes its own --finding, after the verb",
        ));
    }
    if args.job.is_some() && args.run.once {
        return Err(Failure::new(
            anyhow!("--once is for responding to findings"),
            "leave it out",
        ));
    }
    if args.run.once && args.source.finding.is_some() {
        return Err(Failure::new(
            anyhow!("--once is for --queue and --poll: a finding is answered once"),
            "leave it out",
        ));
    }
    let takes_playbook = matches!(args.job, None | Some(Job::Plan(_) | Job::Status(_)));
    if common.playbook.is_some() && !takes_playbook {
        return Err(Failure::new(
            anyhow!(
                "--playbook says by which playbook a plan is made, or of which incidents are listed"
            ),
            "leave it out: the plan of an incident is in the journal",
        ));
    }
    match &args.job {
        Some(Job::Playbooks(asked)) => playbooks::check(common, asked),
        Some(Job::Plan(input)) => {
            let (intake, _) = read(&input.finding)?;
            let config = planning_config(common)?;
            let desk = Desk::answering(config, common, true).await?;
            let findings = desk.placed(&intake).await?;
            let responder = desk.responder();
            let report = patiently("asking what is there", responder.respond(findings)).await;
            desk.show(&report, &intake).await
        }
        Some(Job::Status(asked)) => {
            // It changes nothing anyway, and a rehearsal would have no journal to look into.
            let desk = Desk::open(common).await?;
            match &asked.incident {
                Some(incident) => desk.status(incident).await,
                None => desk.list(asked.limit, common.playbook.as_deref()).await,
            }
        }
        Some(Job::Undo(asked)) if common.dry_run => {
            let responder = Desk::open(common).await?.responder();
            let mut worst = 0;
            for incident in &asked.incident {
                let expected = responder
                    .undo_expected(incident)
                    .await
                    .map_err(journal_failure)?;
                worst = worst.max(standing::undone(incident, &expected, common.output, true)?);
            }
            Ok(ExitCode::from(worst))
        }
        Some(Job::Undo(asked)) => {
            let desk = Desk::open(common).await?.listening();
            let responder = desk.responder();
            let by = by(asked.by.as_deref());
            let mut worst = 0;
            for incident in &asked.incident {
                if desk.stop.is_asked() {
                    note(&format!(
                        "{incident} was not taken back: davy respond undo {incident}"
                    ));
                    worst = INCOMPLETE;
                    continue;
                }
                let what = format!("taking back {incident}");
                let undone = patiently(&what, responder.undo(incident, &by))
                    .await
                    .map_err(journal_failure)?;
                let code = match undone {
                    Ok(undone) => standing::undone(incident, &undone, common.output, false)?,
                    Err(busy) => return Err(busy_failure(&busy.came_of_it)),
                };
                worst = worst.max(code);
            }
            Ok(ExitCode::from(worst))
        }
        Some(Job::Approve(asked)) => approve::approve(common, asked).await,
        Some(Job::Resume(asked)) if common.dry_run => {
            let desk = Desk::open(common).await?;
            let due = match asked.incident.is_empty() {
                true => desk.responder().due_early().await,
                false => Ok(asked.incident.clone()),
            };
            let due = due.map_err(journal_failure)?;
            standing::due(&due, common.output)?;
            Ok(ExitCode::from(u8::from(!due.is_empty()) * FOUND))
        }
        Some(Job::Resume(asked)) if !asked.incident.is_empty() => {
            let desk = Desk::open(common).await?.listening();
            let responder = desk.responder();
            let by = by(asked.by.as_deref());
            let mut report = Report::default();
            for incident in &asked.incident {
                let what = format!("trying {incident} again");
                let tried = patiently(&what, responder.retry(incident, by.clone())).await;
                report.absorb(tried.map_err(journal_failure)?);
            }
            desk.show(&report, &Intake::default()).await
        }
        Some(Job::Resume(_)) => {
            let desk = Desk::open(common).await?.listening();
            // A person wants it now: also what only waits for the time of its next look.
            let responder = desk.responder();
            let resumed = patiently("going on with what is due", responder.resume_early()).await;
            let mut report = resumed.map_err(journal_failure)?;
            // Whoever is at one of them does what this run would have done, unless it has died.
            let mut held = Vec::new();
            report.incidents.retain(|it| match it.came_of_it {
                CameOfIt::Busy { until, .. } => {
                    held.push(until);
                    false
                }
                _ => true,
            });
            if let Some(last) = held.iter().max() {
                note(&format!(
                    "{} held by other runs, until {} at the latest: if those have died, davy respond \
                     resume again then",
                    counted(held.len() as u64, "incident is", "incidents are"),
                    to_the_second(*last)
                ));
            }
            let shown = desk.show(&report, &Intake::default()).await?;
            match desk.tell_failed().await? || !held.is_empty() {
                true => Ok(ExitCode::from(INCOMPLETE)),
                false => Ok(shown),
            }
        }
        None => feed::run(args).await,
    }
}

/// Looking makes no journal: where there is none, a path may be mistyped, and "no incidents" would be
/// taken for an answer.
fn has_journal(config: &Config) -> Result<(), Failure> {
    let journal = &config.journal;
    if journal.store == Store::Sqlite && !journal.path.exists() {
        return Err(Failure::new(
            anyhow!("there is no journal at {}", journal.path.display()),
            "nothing was responded to from here yet, or respond.journal.path is another: --set \
             respond.journal.path=FILE",
        ));
    }
    Ok(())
}

/// Reads a file or standard input: what it holds, and what of it cannot be read.
fn read(finding: &str) -> Result<(Intake, Vec<Unread>), Failure> {
    let bytes = feed::bytes(finding)?;
    let intake = intake::read(&bytes);
    let unread = Unread::of(&bytes, &intake.rejected);
    if intake.findings.is_empty() && intake.signals.is_empty() && intake.rejected.is_empty() {
        note(&format!("{} has no finding", feed::name(finding)));
    }
    Ok((intake, unread.into_iter().collect()))
}

/// Who says yes, or takes back: the name given, else the user of this session.
fn by(given: Option<&str>) -> String {
    let from = |name: &str| std::env::var(name).ok().filter(|it| !it.is_empty());
    given
        .map(str::to_owned)
        .or_else(|| from("SUDO_USER"))
        .or_else(|| from("USER"))
        .unwrap_or_else(|| format!("user {}", rustix::process::getuid().as_raw()))
}

/// Everything set up for one run of the command.
struct Desk {
    wiring: Wiring,
    output: Output,
    rehearsal: bool,
    stop: Stop,
    /// The console that is told, where one is.
    console: Option<davylamp_forward::work::config::Config>,
}

impl Desk {
    /// For what is about incidents that are there: a journal that is not there has none.
    async fn open(common: &Common) -> Result<Self, Failure> {
        let config = config(common)?;
        has_journal(&config)?;
        Self::with(config, common, false).await
    }

    async fn with(config: Config, common: &Common, rehearsal: bool) -> Result<Self, Failure> {
        let playbooks = all_playbooks(&config)?;
        let console = console(common)?;
        let wired = Self::wired(config, playbooks, common, rehearsal).await;
        let mut desk = wired.map_err(wire_failure)?;
        desk.console = console;
        Ok(desk)
    }

    async fn wired(
        config: Config,
        playbooks: Vec<Playbook>,
        common: &Common,
        rehearsal: bool,
    ) -> Result<Self, WireError> {
        if config.kill_switch {
            note(
                "the kill switch is on (respond.kill_switch): no step is begun, whatever is due or \
                 approved; an undo is carried out",
            );
        } else if rehearsal && config.dry_run {
            note("respond.dry_run is on: a run would only observe, and do nothing of it");
        } else if rehearsal && config.canary_percent < 100 {
            note(&format!(
                "respond.canary_percent is {}: of other incidents a run would do nothing",
                config.canary_percent
            ));
        }
        let wiring = Wiring::new(config, playbooks, None, rehearsal).await?;
        Ok(Self {
            console: None,
            wiring,
            output: common.output,
            rehearsal,
            stop: Stop::default(),
        })
    }

    /// The same for answering findings: says where people will not learn of it.
    async fn answering(config: Config, common: &Common, rehearsal: bool) -> Result<Self, Failure> {
        if !rehearsal && config.notices.tells_nobody() {
            note(
                "nobody is told of what is done: no channel is configured under [respond.notices]; \
                 see docs/configuration.md",
            );
        }
        let journal = &config.journal;
        let is_new = journal.store == Store::Sqlite && !rehearsal && !journal.path.exists();
        let playbooks = all_playbooks(&config)?;
        let console = console(common)?;
        let desk = match Self::wired(config.clone(), playbooks, common, rehearsal).await {
            Ok(desk) => Self { console, ..desk },
            Err(error) => {
                let is_mistyped = matches!(error, WireError::NoSuchPlaybook { .. });
                if !rehearsal && !is_mistyped {
                    // Whoever waits for notices does not read this command's output.
                    let why = describe(&error);
                    for (channel, why) in wire::tell_unset(&config, &why).await {
                        note(&format!("nobody was told through {channel}: {why}"));
                    }
                }
                return Err(wire_failure(error));
            }
        };
        if is_new {
            note(&format!(
                "a new journal is begun at {}: it knows of no earlier incident",
                journal.path.display()
            ));
        }
        for (channel, why) in desk.wiring.mute_channels() {
            note(&format!("nobody will be told through {channel}: {why}"));
        }
        Ok(desk)
    }

    /// Ends in order at a signal from now on.
    fn listening(self) -> Self {
        signals::listen(&self.stop);
        self
    }

    /// A responder that waits for evidence.
    fn responder(&self) -> Responder {
        self.run(true)
    }

    /// A responder that leaves what waits for evidence to the next run.
    fn brisk(&self) -> Responder {
        self.run(false)
    }

    fn run(&self, patient: bool) -> Responder {
        self.wiring.responder(Run {
            patient,
            name: run_name(),
            deadline: None,
            progress: (self.output == Output::Text).then(|| {
                let tell: davylamp_respond::executor::Progress =
                    Arc::new(|incident, step, state| {
                        note(&show::progress(incident, step, state));
                    });
                tell
            }),
            rehearsal: self.rehearsal,
            stop: self.stop.clone(),
        })
    }

    async fn show(&self, report: &Report, intake: &Intake) -> Result<ExitCode, Failure> {
        let text = match self.output {
            Output::Text => show::report(report, intake, self.rehearsal),
            Output::Json => quiet_json(&show::report_json(report, intake, self.rehearsal)),
        };
        emit(text)?;
        self.tell_console(report, intake).await;
        Ok(ExitCode::from(code(report, intake, self.rehearsal)))
    }

    /// Sends the console what was found, planned and done, where that is asked for. What it does not have
    /// stays in the outbox; what is still to be done does not wait for it.
    async fn tell_console(&self, report: &Report, intake: &Intake) {
        let Some(config) = &self.console else {
            return;
        };
        // The guard's own lines come by their own way.
        let others = intake.findings.iter();
        let others = others.filter(|finding| finding.source != FindingSource::Davylamp);
        let mut lines: Vec<String> = others
            .map(|finding| outbox::finding_line(&to_ocsf(finding)))
            .collect();
        let text = show::report_json(report, intake, self.rehearsal);
        let report: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        lines.extend(outbox::lines(&records::of_report(&report, None)));
        if let Err(failure) = outbox::send(config, &lines, outbox::BUSY).await {
            note(&format!("the console was not told: {}", failure.said()));
        }
    }

    /// Findings that do not say where they are (the guard's own) are in our home.
    async fn placed(&self, intake: &Intake) -> Result<Vec<Finding>, Failure> {
        let findings = intake.findings.clone();
        let placed = self.stop.unless_asked(self.wiring.placed(findings));
        let placed = patiently("asking AWS who we are", placed).await;
        let placed = placed.ok_or_else(|| {
            Failure::new(
                anyhow!("stopped before anything was begun"),
                "run the same again",
            )
        })?;
        placed.map_err(|error| {
            let hint = session_hint(&error);
            let what = "where the findings are to be answered cannot be told";
            Failure::new(anyhow!(error).context(what), hint)
        })
    }

    async fn status(&self, incident: &IncidentId) -> Result<ExitCode, Failure> {
        let responder = self.responder();
        let status = responder.status(incident).await.map_err(journal_failure)?;
        let (text, code) = standing::status(incident, &status, self.output);
        emit(text)?;
        Ok(ExitCode::from(code))
    }

    /// Says in which incidents steps failed for good, which no run tries again by itself. Whether
    /// there are any.
    async fn tell_failed(&self) -> Result<bool, Failure> {
        let journal = self.wiring.journal();
        let mut failed = Vec::new();
        for incident in journal.list(u32::MAX).await.map_err(journal_failure)? {
            let entries = journal.read(&incident).await.map_err(journal_failure)?;
            let history = History::of(&entries.unwrap_or_default());
            if history.has_failed() && history.taken_back_by.is_none() {
                failed.push(incident);
            }
        }
        for incident in &failed {
            note(&format!(
                "{incident} has steps that failed for good: mend what its status says, then davy \
                 respond resume {incident}"
            ));
        }
        Ok(!failed.is_empty())
    }

    /// Every incident, or those of one playbook.
    async fn list(&self, limit: u32, playbook: Option<&str>) -> Result<ExitCode, Failure> {
        let responder = self.responder();
        let incidents = self
            .wiring
            .journal()
            .list(u32::MAX)
            .await
            .map_err(journal_failure)?;
        let mut rows = Vec::new();
        for incident in incidents {
            let status = responder.status(&incident).await.map_err(journal_failure)?;
            let made_by = status.history.plan().map(|plan| plan.playbook.as_str());
            if playbook.is_none_or(|wanted| made_by == Some(wanted)) {
                rows.push((incident, status));
            }
        }
        // An incident may be of a playbook that is there no more; a name without any is mistyped.
        if let (true, Some(wanted)) = (rows.is_empty(), playbook) {
            self.wiring.check_playbook(wanted).map_err(wire_failure)?;
        }
        let shown = rows.len().min(usize::try_from(limit).unwrap_or(usize::MAX));
        let (text, code) = standing::list(&rows, shown, self.output);
        emit(text)?;
        if shown < rows.len() {
            let hidden = rows.len() - shown;
            note(&format!(
                "{} not shown: --limit {}",
                counted(hidden as u64, "older incident is", "older incidents are"),
                rows.len()
            ));
        }
        Ok(ExitCode::from(code))
    }
}

/// The playbooks that ship, and those of the folder that is configured.
fn all_playbooks(config: &Config) -> Result<Vec<Playbook>, Failure> {
    let playbooks = library::read(&config.playbooks).map_err(library_failure)?;
    Ok(playbooks.into_iter().map(|it| it.playbook).collect())
}

/// A name no other run has: by time and process.
fn run_name() -> String {
    format!(
        "davy-{}-{}",
        jiff::Timestamp::now().as_nanosecond(),
        std::process::id()
    )
}

/// What a future gives; says now and then that it is still waited for, so that nobody takes a service
/// that does not answer for a program that does nothing.
async fn patiently<F: Future>(what: &str, future: F) -> F::Output {
    let begun = tokio::time::Instant::now();
    let mut clock = tokio::time::interval_at(begun + SILENCE, SILENCE);
    tokio::pin!(future);
    loop {
        tokio::select! {
            biased;
            value = &mut future => return value,
            _ = clock.tick() => {
                note(&format!("still {what}, for {} seconds", begun.elapsed().as_secs()));
            }
        }
    }
}

/// The console that is to be told, where that is asked for.
fn console(common: &Common) -> Result<Option<davylamp_forward::work::config::Config>, Failure> {
    match common.console {
        true => common.settings.load_work(Vec::new()).map(Some),
        false => Ok(None),
    }
}

/// The configuration, with the options of this verb winning.
fn config(common: &Common) -> Result<Config, Failure> {
    with_playbook(common, None)
}

/// The same for a verb that makes plans, by the playbook that was named.
fn planning_config(common: &Common) -> Result<Config, Failure> {
    with_playbook(common, common.playbook.as_deref())
}

fn with_playbook(common: &Common, playbook: Option<&str>) -> Result<Config, Failure> {
    let mut options = Vec::new();
    let mut option = |origin: &'static str, key: &str, value: Option<&str>| {
        if let Some(value) = value {
            options.push(Override::option(origin, key, value.as_ref()));
        }
    };
    option("--region", "respond.region", common.region.as_deref());
    option(
        "--endpoint-url",
        "respond.endpoint_url",
        common.endpoint_url.as_deref(),
    );
    option("--playbook", "respond.playbook", playbook);
    common.settings.load_respond(options)
}

/// The same for polling, which archives what is dealt with: else it would be found again for ever.
fn polling_config(common: &Common) -> Result<Config, Failure> {
    let mut config = planning_config(common)?;
    config.archive_findings = true;
    Ok(config)
}

/// 0: nothing found. 1: found, and dealt with as far as the plan says. 2: something was not done
/// that should have been, or not told, or not understood, or nothing of a resource could be read.
fn code(report: &Report, intake: &Intake, rehearsal: bool) -> u8 {
    let is_incomplete = |it: &IncidentReport| match &it.came_of_it {
        CameOfIt::Worked { outcome } => {
            let is_blind = it.plan.as_ref().is_some_and(|plan| plan.blind.is_some());
            is_blind || (!rehearsal && outcome.is_incomplete())
        }
        CameOfIt::Busy { .. } | CameOfIt::Broken { .. } | CameOfIt::Stopped => true,
    };
    if !intake.rejected.is_empty()
        || !report.untold.is_empty()
        || report.incidents.iter().any(is_incomplete)
    {
        INCOMPLETE
    } else if !report.incidents.is_empty() || !report.reported.is_empty() {
        FOUND
    } else {
        0
    }
}

fn library_failure(error: LibraryError) -> Failure {
    match error {
        LibraryError::Faulty(faults) => Failure::from(faults),
        other => Failure::new(
            anyhow!(other),
            "correct respond.playbooks, or leave it out for the playbooks that ship",
        ),
    }
}

fn session_hint(error: &SessionError) -> &'static str {
    match error {
        SessionError::Unreachable { .. } => {
            "see that the network is up and --endpoint-url is right, then run the same again"
        }
        SessionError::Credentials { .. } => {
            "see whose they are and whether they have run out: aws sts get-caller-identity"
        }
        SessionError::Absent => "this needs an AWS account: take `respond.aws = false` out",
        SessionError::Regions { .. } => {
            "allow ec2:DescribeRegions, or name one region with --region"
        }
        _ => {
            "set credentials and a region as for every AWS tool: AWS_PROFILE, AWS_REGION, or \
             --region"
        }
    }
}

fn wire_failure(error: WireError) -> Failure {
    let hint = match &error {
        WireError::Session(error) => session_hint(error),
        WireError::Secret { .. } => {
            "see docs/configuration.md for how a secret's source is written"
        }
        WireError::Hub(_) | WireError::Client { .. } => "see [respond.hub] and [respond.portal]",
        WireError::File { .. } => "correct the path in the configuration",
        WireError::Journal(JournalError::Unreadable { .. }) => {
            "it is damaged, or no journal of this version, and was left as it is: restore it from a \
             copy, or name another file, which knows nothing of what was done: \
             --set respond.journal.path=./respond.db"
        }
        WireError::Journal(_) => {
            "see [respond.journal]: a local file needs a directory this user may write, such as \
             --set respond.journal.path=./respond.db"
        }
        WireError::NoSuchPlaybook { .. } => "name one of them, or add a file to respond.playbooks",
    };
    Failure::new(anyhow!(error), hint)
}

fn journal_failure(error: JournalError) -> Failure {
    let hint = match &error {
        JournalError::NoSuchIncident { .. } => "list the incidents: davy respond status",
        JournalError::NoStore { .. } => {
            "make the table with davy deploy aws, or name another: respond.journal.table and the \
             region it is in"
        }
        JournalError::Lost { .. } => "wait for that run to end, then look: davy respond status",
        _ => "see [respond.journal] in docs/configuration.md",
    };
    Failure::new(anyhow!(error), hint)
}

fn busy_failure(came: &CameOfIt) -> Failure {
    let what = match came {
        CameOfIt::Busy { run, until } => {
            let until = to_the_second(*until);
            format!("run {run} works on it, at the longest until {until}")
        }
        CameOfIt::Broken { why } => why.clone(),
        CameOfIt::Worked { .. } | CameOfIt::Stopped => "it was worked on".to_owned(),
    };
    Failure::new(anyhow!(what), "try again when that run has ended")
}
