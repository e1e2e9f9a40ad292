//! Where findings come from: a file, standard input, a queue, GuardDuty. And checking playbooks.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use davylamp_content::playbook::{Parsed, Playbook};
use davylamp_model::ids::Region;
use davylamp_model::intake::{self, Intake, MAX_BYTES};
use davylamp_model::resource::Place;
use davylamp_plan::rehearse::rehearse;
use davylamp_respond::library;
use davylamp_respond::responder::Report;
use davylamp_respond::source::guardduty::poll;
use davylamp_respond::source::queue::{Handled, Worker};
use flate2::read::MultiGzDecoder;
use jiff::{SignedDuration, Timestamp};

use super::args::{Common, PlaybooksArgs, RespondArgs, Service};
use super::{Desk, FOUND, INCOMPLETE, config, library_failure, polling_config};
use crate::failure::Failure;
use crate::output::{emit, note};

/// The first two bytes of gzip.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Findings that were updated so long before the last poll are asked for again: GuardDuty's own
/// index lags, and asking twice does nothing twice.
const OVERLAP: SignedDuration = SignedDuration::from_mins(15);

/// At the first poll findings are asked for that were updated within this time.
const FIRST_WINDOW: SignedDuration = SignedDuration::from_hours(24);

/// The name of an input, for messages.
pub(super) fn name(finding: &str) -> &str {
    if finding == "-" {
        "standard input"
    } else {
        finding
    }
}

/// The bytes of a file or of standard input, decompressed where they are gzip.
pub(super) fn bytes(finding: &str) -> Result<Vec<u8>, Failure> {
    let name = name(finding);
    let cannot = |error: std::io::Error| {
        let hint = match error.kind() {
            ErrorKind::NotFound => "see where the finding is; - reads standard input".to_owned(),
            ErrorKind::IsADirectory => "name the file in it".to_owned(),
            ErrorKind::PermissionDenied => format!("see who may read it: ls -l {name}"),
            _ => "save the finding again, whole".to_owned(),
        };
        Failure::new(anyhow!(error).context(format!("cannot read {name}")), hint)
    };
    let read = |input: &mut dyn Read| -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        input
            .take(MAX_BYTES as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(cannot)?;
        if bytes.len() > MAX_BYTES {
            return Err(Failure::new(
                anyhow!("{name} is larger than {MAX_BYTES} bytes"),
                "split it; findings may stand one a line",
            ));
        }
        Ok(bytes)
    };
    let bytes = if finding == "-" {
        read(&mut std::io::stdin().lock())?
    } else {
        read(&mut File::open(finding).map_err(cannot)?)?
    };
    if bytes.starts_with(&GZIP) {
        read(&mut MultiGzDecoder::new(bytes.as_slice()))
    } else {
        Ok(bytes)
    }
}

/// Responds to what the source has.
pub(super) async fn run(args: &RespondArgs) -> Result<ExitCode, Failure> {
    let common = &args.common;
    if let Some(finding) = &args.source.finding {
        let intake = super::read(finding)?;
        let desk = Desk::open(common, false).await?;
        let findings = desk.placed(&intake).await?;
        let responder = if findings.len() > 1 {
            desk.brisk()
        } else {
            desk.responder()
        };
        let mut report = responder.respond(findings).await;
        if !intake.signals.is_empty() && !desk.rehearsal {
            // A snapshot has ended, or a clock has struck: what waited for it goes on.
            let resumed = responder.resume_early().await;
            absorb(&mut report, resumed.map_err(super::journal_failure)?);
        }
        return desk.show(&report, &intake);
    }
    match (&args.source.queue, args.source.poll) {
        (Some(queue), _) => {
            let desk = Desk::open(common, false).await?;
            work(&desk, queue, common).await
        }
        (None, Some(Service::Guardduty)) => {
            let desk = Desk::with(polling_config(common)?, common, false, common.dry_run).await?;
            watch(&desk, common).await
        }
        (None, None) => Err(Failure::new(
            anyhow!("no source of findings was named"),
            "name one: --finding FILE, --queue sqs:URL or --poll guardduty",
        )),
    }
}

/// Until SIGINT or SIGTERM.
async fn stopped() {
    let mut term = match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(term) => term,
        Err(_) => {
            let _ = tokio::signal::ctrl_c().await;
            return;
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = term.recv() => {}
    }
}

async fn work(desk: &Desk, queue: &str, common: &Common) -> Result<ExitCode, Failure> {
    let worker = Worker::new(desk.wiring.sessions(), queue);
    let has_redrive = worker.check().await.map_err(|error| {
        Failure::new(
            anyhow!(error).context(format!("cannot read the queue {queue}")),
            "see its name and region, and allow what davy deploy aws --what policy lists",
        )
    })?;
    if !has_redrive {
        note(
            "the queue has no redrive policy: a message that cannot be read comes again for ever; \
             give it a dead-letter queue",
        );
    }
    note(&format!("working on {queue}"));
    let worst = Arc::new(std::sync::atomic::AtomicU8::new(0));
    let handle = |body: Vec<u8>| {
        let worst = Arc::clone(&worst);
        async move {
            let (handled, code) = answer(desk, &body).await;
            worst.fetch_max(code, std::sync::atomic::Ordering::Relaxed);
            handled
        }
    };
    let tally = if common.once {
        worker.drain(stopped(), handle).await
    } else {
        let ticks = resume_now_and_then(desk, common);
        let work = worker.run(stopped(), handle);
        tokio::pin!(ticks);
        tokio::select! {
            tally = work => tally,
            () = &mut ticks => unreachable!("the clock never ends"),
        }
    };
    note(&format!(
        "{} messages answered, {} left in the queue, {} calls failed",
        tally.answered, tally.left, tally.failed_calls
    ));
    let failed = u8::from(tally.left > 0) * INCOMPLETE;
    let worst = worst.load(std::sync::atomic::Ordering::Relaxed);
    Ok(ExitCode::from(worst.max(failed)))
}

/// What one message was answered with.
async fn answer(desk: &Desk, body: &[u8]) -> (Handled, u8) {
    let intake = intake::read(body);
    let responder = desk.brisk();
    let findings = match desk.placed(&intake).await {
        Ok(findings) => findings,
        Err(_) => {
            return (
                Handled::Again("our own account is not known".to_owned()),
                INCOMPLETE,
            );
        }
    };
    let mut report = responder.respond(findings).await;
    if !intake.signals.is_empty() {
        match responder.resume().await {
            Ok(resumed) => absorb(&mut report, resumed),
            Err(error) => return (Handled::Again(error.to_string()), INCOMPLETE),
        }
    }
    let code = match desk.show(&report, &intake) {
        Ok(_) => super::code(&report, &intake, desk.rehearsal),
        // Nobody reads us any more: the work goes on, and the journal has it.
        Err(_) => INCOMPLETE,
    };
    if let Some(rejected) = intake.rejected.first() {
        let why = format!("{}: {}", rejected.at, rejected.why);
        return (Handled::Again(why), code);
    }
    if report.wants_redelivery() {
        let why = "another run is at its incident, or it could not be worked on".to_owned();
        return (Handled::Again(why), code);
    }
    (Handled::Answered, code)
}

/// Looks at what is due every minute, while a worker works.
async fn resume_now_and_then(desk: &Desk, common: &Common) {
    let mut clock = tokio::time::interval(Duration::from_secs(common.every));
    loop {
        clock.tick().await;
        resume(desk).await;
    }
}

async fn resume(desk: &Desk) -> u8 {
    match desk.brisk().resume().await {
        Ok(report) if report.incidents.is_empty() => 0,
        Ok(report) => {
            let nothing = Intake::default();
            // A closed output ends no work.
            let _ = desk.show(&report, &nothing);
            super::code(&report, &nothing, desk.rehearsal)
        }
        Err(error) => {
            note(&format!("what is due cannot be told: {error}"));
            INCOMPLETE
        }
    }
}

async fn watch(desk: &Desk, common: &Common) -> Result<ExitCode, Failure> {
    let sessions = desk.wiring.sessions();
    let hint = "set credentials and a region as for every AWS tool: AWS_PROFILE, AWS_REGION";
    let home = sessions
        .home_place()
        .await
        .map_err(|error| Failure::new(anyhow!(error), hint))?;
    let regions = match &common.region {
        Some(region) => vec![Region::from(region.as_str())],
        None => sessions
            .enabled_regions(&home.account)
            .await
            .map_err(|error| Failure::new(anyhow!(error), hint))?,
    };
    note(&format!("asking GuardDuty in {} regions", regions.len()));
    let mut since = Timestamp::now() - FIRST_WINDOW;
    let mut worst = 0;
    let mut stop = std::pin::pin!(stopped());
    loop {
        let asked_at = Timestamp::now();
        let (code, all_answered) = poll_all(desk, &home, &regions, since).await;
        worst = worst.max(code).max(resume(desk).await);
        // What was not answered is asked for again, from where it was.
        if all_answered {
            since = asked_at - OVERLAP;
        }
        if common.once {
            return Ok(ExitCode::from(worst));
        }
        tokio::select! {
            () = &mut stop => return Ok(ExitCode::from(worst)),
            () = tokio::time::sleep(Duration::from_secs(common.every)) => {}
        }
    }
}

/// The exit code, and whether every region was answered.
async fn poll_all(desk: &Desk, home: &Place, regions: &[Region], since: Timestamp) -> (u8, bool) {
    let places: Vec<Place> = regions
        .iter()
        .map(|region| Place {
            account: home.account.clone(),
            region: region.clone(),
        })
        .collect();
    let sessions = desk.wiring.sessions();
    let polls = places.iter().map(|place| poll(sessions, place, since));
    let polled = futures::future::join_all(polls).await;
    let mut whole = Intake::default();
    let (mut code, mut all_answered) = (0, true);
    for (place, polled) in places.iter().zip(polled) {
        match polled {
            Ok(polled) => {
                if polled.detectors == 0 {
                    note(&format!("GuardDuty is off in {}", place.region));
                }
                for answer in polled.answers {
                    let intake = intake::read(&answer);
                    whole.findings.extend(intake.findings);
                    whole.rejected.extend(intake.rejected);
                }
            }
            Err(error) => {
                note(&format!("{} was not polled: {error}", place.region));
                (code, all_answered) = (INCOMPLETE, false);
            }
        }
    }
    let report = desk.brisk().respond(whole.findings.clone()).await;
    let is_news = !report.incidents.is_empty() || !whole.rejected.is_empty();
    if is_news || !report.reported.is_empty() {
        // A closed output ends no work.
        let _ = desk.show(&report, &whole);
    }
    let code = code.max(super::code(&report, &whole, desk.rehearsal));
    (code, all_answered && !report.wants_redelivery())
}

fn absorb(report: &mut Report, other: Report) {
    report.incidents.extend(other.incidents);
    report.reported.extend(other.reported);
    report.untold.extend(other.untold);
}

/// Reads the playbooks in force, and runs every case of each.
pub(super) fn check_playbooks(common: &Common, asked: &PlaybooksArgs) -> Result<ExitCode, Failure> {
    let mut paths = config(common)?.playbooks;
    paths.extend(asked.paths.iter().cloned());
    let library = library::read(&paths).map_err(library_failure)?;
    let playbooks: Vec<Playbook> = library.iter().map(|it| it.playbook.clone()).collect();
    let (mut text, mut failed) = (String::new(), BTreeSet::new());
    for Parsed {
        playbook,
        cases,
        warnings,
    } in &library
    {
        text.push_str(&format!(
            "{:<22} {} cases  {}\n",
            playbook.name,
            cases.len(),
            playbook.title
        ));
        for warning in warnings {
            text.push_str(&format!("  warning: {warning}\n"));
        }
        for case in cases {
            for mismatch in rehearse(&playbooks, case) {
                failed.insert(playbook.name.clone());
                text.push_str(&format!("  case \"{}\": {mismatch}\n", case.name));
            }
        }
    }
    emit(text)?;
    Ok(if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        note(&format!("{} playbooks fail their cases", failed.len()));
        ExitCode::from(FOUND)
    })
}
