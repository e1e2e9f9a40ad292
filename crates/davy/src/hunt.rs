//! `davy hunt`: ask the logs.

pub mod args;
mod asked;
mod athena;
mod book;
mod convert;
mod findings;
mod ocsf;
mod page;
mod print;
mod questions;
mod run;
mod shell;
mod text;
mod told;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::anyhow;
use davylamp_detect::indicator::Indicators;
use davylamp_hunt::engine::{Engine, EngineError, Setup};
use davylamp_hunt::objects::{Remote, Scope};
use davylamp_hunt::read::Given;
use davylamp_hunt::tally::summary;
use davylamp_hunt::unpack::Caps;
use davylamp_model::ids::{AccountId, is_region};
use futures::StreamExt;

use crate::failure::{COULD_NOT_COMPLETE, Failure};
use crate::output::note;
use crate::progress::Progress;
pub use args::HuntArgs;
use args::{Job, LogArgs, Output, SqlArgs};
use asked::Asked;
use print::Printer;

/// Something was found.
const FOUND: u8 = 1;

/// Runs `davy hunt`.
pub fn run(args: &HuntArgs) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            Failure::new(anyhow!(error), "see whether the machine is out of threads")
        })?;
    match &args.job {
        Job::Run(args) => runtime.block_on(run::run(args)),
        Job::List(args) => book::list(&args.own),
        Job::Show(args) => book::show(args),
        Job::Sql(args) => runtime.block_on(sql(args)),
        Job::Convert(args) => runtime.block_on(convert::convert(args)),
        Job::AthenaDdl(args) => athena::ddl(args),
    }
}

async fn sql(args: &SqlArgs) -> Result<ExitCode, Failure> {
    print::check_file(args.file.as_deref(), args.output == Output::Parquet)?;
    let Some(query) = &args.query else {
        return questions::ask(args).await;
    };
    let asked = Asked::open(&args.engine, &args.logs).await?;
    asked.stop_with_us();
    asked.tell_cost(1).await?;
    let (file, is_strict) = (args.file.as_deref(), args.logs.strict);
    let code = ask(&asked, query, args.output, file, is_strict).await;
    asked.tell_spent();
    code.map(ExitCode::from)
}

/// Asks one question, prints its rows and says what was read. The exit code.
async fn ask(
    asked: &Asked,
    query: &str,
    form: Output,
    file: Option<&Path>,
    is_strict: bool,
) -> Result<u8, Failure> {
    let run = Arc::default();
    let progress = Progress::reading(&run, asked.stored_bytes_of(|_| true));
    let answers = asked.answers().together(&[query], &run).await;
    let answer = answers.map_err(failure)?.pop();
    let Some(batches) = answer else {
        return Ok(0);
    };
    let mut batches = batches.map_err(failure)?;
    let mut printer = Printer::new(form, file, batches.schema())?;
    while let Some(batch) = batches.next().await {
        let batch = batch.map_err(|error| failure(EngineError::Query(error)))?;
        progress.pause(|| printer.print(&batch))?;
    }
    drop(batches);
    progress.end();
    let rows = printer.end()?;
    for line in summary(&run) {
        note(&line);
    }
    // An answer of nothing, of logs that were not read, is not a clean one; and a count of nothing
    // is a row that says nothing.
    let is_bad = run.is_bad();
    let has_read = run
        .tables()
        .values()
        .any(|table| table.objects > 0 && (table.records > 0 || table.bad_records == 0));
    Ok(match rows {
        _ if run.is_outside() || (is_bad && (is_strict || !has_read)) => COULD_NOT_COMPLETE,
        0 if is_bad => COULD_NOT_COMPLETE,
        0 => 0,
        _ => FOUND,
    })
}

pub async fn open(args: &LogArgs) -> Result<Engine, Failure> {
    Engine::open(setup(args)?).await.map_err(failure)
}

fn setup(args: &LogArgs) -> Result<Setup, Failure> {
    if args.logs.is_empty() {
        return Err(Failure::new(
            anyhow!("nobody said where the logs lie"),
            "add --logs with files, folders, s3://BUCKET/PREFIX, or - for standard input",
        ));
    }
    let scope = scope(args);
    check_scope(&scope)?;
    let given = Given {
        flow_format: args.flow_format.clone(),
        indicators: Arc::new(Indicators::new(&crate::indicators::all(&args.sets)?)),
    };
    Ok(Setup {
        locations: args.logs.clone(),
        scope,
        remote: remote(args),
        given,
        caps: Caps::default(),
        threads: None,
    })
}

/// How buckets are reached.
pub fn remote(args: &LogArgs) -> Remote {
    Remote {
        endpoint: args.endpoint_url.clone(),
        region: args.bucket_region.clone(),
        is_anonymous: args.no_sign_request,
    }
}

/// Refuses what no log can be within: its nothing would look clean.
pub fn check_scope(scope: &Scope) -> Result<(), Failure> {
    let mut accounts = scope.accounts.iter();
    if let Some(wrong) = accounts.find(|it| !AccountId::from(it.as_str()).is_well_formed()) {
        return Err(Failure::new(
            anyhow!("{wrong:?} is no account"),
            "write its twelve digits: --account 111122223333",
        ));
    }
    if let Some(wrong) = scope.regions.iter().find(|it| !is_region(it)) {
        return Err(Failure::new(
            anyhow!("{wrong:?} is no region"),
            "write it as AWS does: --region eu-west-1",
        ));
    }
    if let (Some(since), Some(until)) = (scope.since, scope.until)
        && since >= until
    {
        return Err(Failure::new(
            anyhow!("nothing lies between --since {since} and --until {until}"),
            "--since is the earlier of the two",
        ));
    }
    Ok(())
}

/// What of the logs is asked for.
pub fn scope(args: &LogArgs) -> Scope {
    Scope {
        since: args.since,
        until: args.until,
        accounts: args.account.clone(),
        regions: args.region.clone(),
    }
}

pub fn failure(error: EngineError) -> Failure {
    let hint = match &error {
        EngineError::Elsewhere(_) => {
            "see the tables, the workgroup and what may be done: davy hunt athena-ddl"
        }
        EngineError::List(_) => "see whether the place can be read: its name, rights, credentials",
        EngineError::Query(_) => {
            "see the tables and columns: davy hunt sql \"SHOW COLUMNS FROM vpc_flow\" --logs PATH"
        }
    };
    Failure::new(anyhow!(error), hint)
}
