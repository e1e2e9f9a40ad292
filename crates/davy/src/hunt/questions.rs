//! Questions that come through standard input, one after another over the same logs. Those that are
//! typed have a shell.
//!
//! What must stay true: a question that is wrong ends nothing but itself; what was not read is said
//! after each, as after a single query.

use std::io::{IsTerminal as _, Read as _};
use std::process::ExitCode;

use anyhow::{Context as _, anyhow};
use davylamp_hunt::engine::questions;
use davylamp_hunt::objects::Where;

use super::args::{Output, SqlArgs};
use super::asked::Asked;
use super::shell;
use crate::failure::{COULD_NOT_COMPLETE, Failure};
use crate::output::ColourChoice;

/// More than this of standard input is no list of questions.
const MAX_BYTES: u64 = 1024 * 1024;

/// Each is asked, and the worst of their exit codes is that of all.
pub(super) async fn ask(args: &SqlArgs) -> Result<ExitCode, Failure> {
    if args.logs.logs.iter().any(|it| it.at == Where::Stdin) {
        return Err(Failure::new(
            anyhow!("logs and questions cannot both come from standard input"),
            "give the query as an argument, or the logs as a file",
        ));
    }
    if args.output == Output::Parquet {
        return Err(Failure::new(
            anyhow!("--output parquet takes one query"),
            "give it as an argument",
        ));
    }
    if std::io::stdin().is_terminal() {
        let asked = Asked::open(&args.engine, &args.logs).await?;
        asked.tell_cost(1).await?;
        return shell::ask(&asked, args).await;
    }
    let mut text = String::new();
    let read = std::io::stdin()
        .lock()
        .take(MAX_BYTES + 1)
        .read_to_string(&mut text);
    read.context("standard input cannot be read")
        .and_then(|bytes| match bytes as u64 > MAX_BYTES {
            true => Err(anyhow!("standard input has more than {MAX_BYTES} bytes")),
            false => Ok(()),
        })
        .map_err(|error| Failure::new(error, "give SQL, each question ended by a semicolon"))?;
    let questions = questions(&text).map_err(super::failure)?;
    if questions.is_empty() {
        return Err(Failure::new(
            anyhow!("there is no question"),
            "give a query before --logs, which takes whatever follows it, or through standard input",
        ));
    }
    let asked = Asked::open(&args.engine, &args.logs).await?;
    asked.stop_with_us();
    asked.tell_cost(questions.len()).await?;
    let mut worst = 0;
    for question in questions {
        match super::ask(&asked, question, args.output, None, args.logs.strict).await {
            Ok(code) => worst = worst.max(code),
            Err(failure) => {
                failure.print(ColourChoice::Auto);
                worst = COULD_NOT_COMPLETE;
            }
        }
    }
    asked.tell_spent();
    Ok(ExitCode::from(worst))
}
