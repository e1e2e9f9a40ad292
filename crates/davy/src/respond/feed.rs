//! Where findings come from: a file, standard input, a queue, GuardDuty.

use std::io::{ErrorKind, Read};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use davylamp_cloud::aws::session::SessionError;
use davylamp_model::ids::Region;
use davylamp_model::intake::{self, Intake, MAX_BYTES};
use davylamp_model::resource::Place;
use davylamp_respond::responder::Unread;
use davylamp_respond::source::guardduty::poll;
use davylamp_respond::source::queue::{Handled, Worker};
use jiff::{SignedDuration, Timestamp};

use super::args::{Common, RespondArgs, RunArgs, Service};
use super::{Desk, FOUND, INCOMPLETE, planning_config, polling_config, session_hint};
use crate::failure::Failure;
use crate::output::{ColourChoice, counted, note};

/// Findings that were updated so long before the last poll are asked for again: GuardDuty's own
/// index lags, and asking twice does nothing twice.
const OVERLAP: SignedDuration = SignedDuration::from_mins(15);

/// At the first poll findings are asked for that were updated within this time.
const FIRST_WINDOW: SignedDuration = SignedDuration::from_hours(24);

/// The name of an input, for messages.
pub(crate) fn name(finding: &str) -> &str {
    if finding == "-" {
        "standard input"
    } else {
        finding
    }
}

/// The bytes of a file or of standard input, decompressed where they are gzip.
pub(crate) fn bytes(finding: &str) -> Result<Vec<u8>, Failure> {
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
    let mut bytes = Vec::new();
    crate::input::open(Path::new(finding))
        .and_then(|input| input.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes))
        .map_err(cannot)?;
    if bytes.len() > MAX_BYTES {
        return Err(Failure::new(
            anyhow!("{name} is larger than {MAX_BYTES} bytes"),
            "split it; findings may stand one a line",
        ));
    }
    Ok(bytes)
}

/// Responds to what the source has.
pub(super) async fn run(args: &RespondArgs) -> Result<ExitCode, Failure> {
    let (common, how) = (&args.common, &args.run);
    if let Some(finding) = &args.source.finding {
        let (intake, unread) = super::read(finding)?;
        let config = planning_config(common)?;
        let desk = Desk::answering(config, common, common.dry_run)
            .await?
            .listening();
        let findings = desk.placed(&intake).await?;
        let is_one = findings.len() <= 1;
        // Of several, the network of each is cut before the evidence of any is waited for.
        let responder = if is_one {
            desk.responder()
        } else {
            desk.brisk()
        };
        let responding = responder.respond_to_all(findings, &unread);
        let mut report = super::patiently("responding", responding).await;
        let ours = report.waiting();
        if !intake.signals.is_empty() && !desk.rehearsal {
            // A snapshot has ended, or a clock has struck: what waited for it goes on.
            let resumed = responder.resume_early().await;
            report.absorb(resumed.map_err(super::journal_failure)?);
        }
        if !is_one {
            let patience = desk.wiring.evidence_wait();
            let waiting = responder.see_through(&mut report, ours, patience);
            super::patiently("waiting for evidence", waiting).await;
        }
        return desk.show(&report, &intake).await;
    }
    if let Some(dir) = &args.source.spool {
        let config = planning_config(common)?;
        let repeats = super::spool::repeats(&config);
        let desk = Desk::answering(config, common, common.dry_run)
            .await?
            .listening();
        return super::spool::follow(&desk, dir, how, repeats).await;
    }
    match (&args.source.queue, args.source.poll) {
        (Some(queue), _) => {
            let config = planning_config(common)?;
            let desk = Desk::answering(config, common, common.dry_run)
                .await?
                .listening();
            work(&desk, queue, how).await
        }
        (None, Some(Service::Guardduty)) => {
            let config = polling_config(common)?;
            let desk = Desk::answering(config, common, common.dry_run)
                .await?
                .listening();
            watch(&desk, common, how).await
        }
        (None, None) => Err(Failure::new(
            anyhow!("no source of findings was named"),
            "name one: --finding FILE, --queue sqs:URL, --poll guardduty or --spool DIR",
        )),
    }
}

async fn work(desk: &Desk, queue: &str, how: &RunArgs) -> Result<ExitCode, Failure> {
    let sessions = desk.wiring.sessions();
    if sessions.home_region().is_none() {
        let error = match sessions.is_absent() {
            true => SessionError::Absent,
            false => SessionError::NoRegion,
        };
        let hint = session_hint(&error);
        return Err(Failure::new(anyhow!(error), hint));
    }
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
    let handle = |bodies: Vec<Vec<u8>>| {
        let worst = Arc::clone(&worst);
        async move {
            let (handled, code) = answer(desk, &bodies).await;
            worst.fetch_max(code, std::sync::atomic::Ordering::Relaxed);
            handled
        }
    };
    let tally = if how.once {
        worker.drain(desk.stop.asked(), handle).await
    } else {
        let ticks = resume_now_and_then(desk, how);
        // Both end in order: what the clock has begun holds leases as well.
        let (tally, ticked) = futures::join!(worker.run(desk.stop.asked(), handle), ticks);
        worst.fetch_max(ticked, std::sync::atomic::Ordering::Relaxed);
        tally
    };
    note(&format!(
        "{} answered, {} left in the queue, {} failed",
        counted(tally.answered, "message", "messages"),
        tally.left,
        counted(tally.failed_calls, "call", "calls"),
    ));
    let hidden = match how.once {
        true => worker.hidden().await,
        false => Ok(0),
    };
    let (hidden, uncounted) = match hidden {
        Ok(all) => (all.saturating_sub(tally.left), false),
        Err(error) => {
            note(&format!("what other workers hold cannot be told: {error}"));
            (0, true)
        }
    };
    if hidden > 0 {
        note(&format!(
            "{} with other workers, or with one that died: what they do not answer comes back within \
             minutes",
            counted(hidden, "message is", "messages are"),
        ));
    }
    let failed = match (tally.left, hidden) {
        (0, _) if uncounted => INCOMPLETE,
        (0, 0) => 0,
        (0, _) => FOUND,
        _ => INCOMPLETE,
    };
    let worst = worst.load(std::sync::atomic::Ordering::Relaxed);
    Ok(ExitCode::from(worst.max(failed)))
}

/// What the messages of a batch were answered with, in their order.
async fn answer(desk: &Desk, bodies: &[Vec<u8>]) -> (Vec<Handled>, u8) {
    let mut whole = Intake::default();
    let (mut messages, mut unread) = (Vec::new(), Vec::new());
    let mut code = 0;
    for body in bodies {
        let intake = intake::read(body);
        let mut again = intake
            .rejected
            .first()
            .map(|rejected| format!("{}: {}", rejected.at, rejected.why));
        let findings = match desk.placed(&intake).await {
            Ok(findings) => findings,
            Err(_) => {
                again = Some("our own account is not known".to_owned());
                code = INCOMPLETE;
                Vec::new()
            }
        };
        let is_signal = !intake.signals.is_empty();
        unread.extend(Unread::of(body, &intake.rejected));
        whole.absorb(intake);
        messages.push((findings, is_signal, again));
    }
    let responder = desk.brisk();
    let findings = messages.iter().flat_map(|(findings, ..)| findings.clone());
    let findings = findings.collect();
    let mut report = responder.respond_to_all(findings, &unread).await;
    if !whole.signals.is_empty() {
        match responder.resume().await {
            Ok(resumed) => report.absorb(resumed),
            Err(error) => {
                code = INCOMPLETE;
                let signals = messages.iter_mut().filter(|(_, is_signal, _)| *is_signal);
                signals.for_each(|(.., again)| *again = Some(error.to_string()));
            }
        }
    }
    code = code.max(match desk.show(&report, &whole).await {
        Ok(_) => super::code(&report, &whole, desk.rehearsal),
        // Nobody reads us any more: the work goes on, and the journal has it.
        Err(_) => INCOMPLETE,
    });
    let handled = messages.into_iter().map(|(findings, _, again)| {
        let left = || {
            let why = "another run is at its incident, or it could not be worked on to the end";
            report
                .wants_redelivery_of(&findings)
                .then(|| why.to_owned())
        };
        again
            .or_else(left)
            .map_or(Handled::Answered, Handled::Again)
    });
    (handled.collect(), code)
}

/// Looks at what is due every minute, while a worker works. What counts for the worker's exit code
/// is only whether a look was broken off.
async fn resume_now_and_then(desk: &Desk, how: &RunArgs) -> u8 {
    let mut clock = tokio::time::interval(Duration::from_secs(how.every));
    while desk.stop.unless_asked(clock.tick()).await.is_some() {
        let code = resume(desk).await;
        if desk.stop.is_asked() {
            return code;
        }
    }
    0
}

pub(super) async fn resume(desk: &Desk) -> u8 {
    match desk.brisk().resume().await {
        Ok(report) if report.incidents.is_empty() => 0,
        Ok(report) => {
            let nothing = Intake::default();
            // A closed output ends no work.
            let _ = desk.show(&report, &nothing).await;
            super::code(&report, &nothing, desk.rehearsal)
        }
        Err(error) => {
            note(&format!("what is due cannot be told: {error}"));
            INCOMPLETE
        }
    }
}

async fn watch(desk: &Desk, common: &Common, how: &RunArgs) -> Result<ExitCode, Failure> {
    let sessions = desk.wiring.sessions();
    let asked = async {
        let home = sessions.home_place().await?;
        let regions = match &common.region {
            Some(region) => vec![Region::from(region.as_str())],
            None => sessions.enabled_regions(&home.account).await?,
        };
        Ok((home, regions))
    };
    let Some(asked) = desk.stop.unless_asked(asked).await else {
        return Ok(ExitCode::from(INCOMPLETE));
    };
    let (home, regions) = asked.map_err(|error: SessionError| {
        let hint = session_hint(&error);
        Failure::new(anyhow!(error), hint)
    })?;
    let count = counted(regions.len() as u64, "region", "regions");
    note(&format!("asking GuardDuty in {count}"));
    let mut since = Timestamp::now() - FIRST_WINDOW;
    let mut worst = 0;
    loop {
        let asked_at = Timestamp::now();
        let (code, all_answered) = poll_all(desk, &home, &regions, since).await;
        worst = worst.max(code);
        if !desk.stop.is_asked() {
            worst = worst.max(resume(desk).await);
        }
        // What was not answered is asked for again, from where it was.
        if all_answered {
            since = asked_at - OVERLAP;
        }
        if how.once {
            return Ok(ExitCode::from(worst));
        }
        let pause = tokio::time::sleep(Duration::from_secs(how.every));
        if desk.stop.unless_asked(pause).await.is_none() {
            return Ok(ExitCode::from(worst));
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
    let polls = futures::future::join_all(polls);
    let Some(polled) = desk.stop.unless_asked(polls).await else {
        return (INCOMPLETE, false);
    };
    let (mut whole, mut unread) = (Intake::default(), Vec::new());
    let (mut code, mut all_answered) = (0, true);
    let (mut off, mut on) = (0, 0);
    for (place, polled) in places.iter().zip(polled) {
        match polled {
            Ok(polled) => {
                if polled.detectors == 0 {
                    let how = match polled.suspended {
                        0 => "off",
                        _ => "suspended",
                    };
                    note(&format!("GuardDuty is {how} in {}", place.region));
                    off += 1;
                } else {
                    on += 1;
                }
                for answer in polled.answers {
                    let intake = intake::read(&answer);
                    unread.extend(Unread::of(&answer, &intake.rejected));
                    whole.absorb(intake);
                }
            }
            Err(error) => {
                note(&format!("{} was not polled: {error}", place.region));
                (code, all_answered) = (INCOMPLETE, false);
            }
        }
    }
    if on == 0 && off > 0 {
        // No findings, because nobody looks for any: that is not clean.
        note(
            "nothing is watched: GuardDuty is on in no region that was asked; turn it on where you \
             run something: aws guardduty create-detector --enable --region REGION",
        );
        code = INCOMPLETE;
    }
    let report = match desk.placed(&whole).await {
        Ok(findings) => desk.brisk().respond_to_all(findings, &unread).await,
        Err(error) => {
            note("what was found is asked for again, as it could not be answered:");
            error.print(ColourChoice::Auto);
            return (INCOMPLETE, false);
        }
    };
    let is_news = !report.incidents.is_empty() || !whole.rejected.is_empty();
    if is_news || !report.reported.is_empty() {
        // A closed output ends no work.
        let _ = desk.show(&report, &whole).await;
    }
    let code = code.max(super::code(&report, &whole, desk.rehearsal));
    (code, all_answered && !report.wants_redelivery())
}
