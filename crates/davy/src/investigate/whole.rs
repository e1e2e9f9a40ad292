//! Whether the log files of a case are whole: checked in the same run where that is asked for.
//!
//! What must stay true: a case is never lost for a check that fails; without `--verify` no log file is read
//! for it, since hashing them reads all of them once more.

use davylamp_casework::case::Case;
use davylamp_casework::integrity::{Asked, Unchecked, tell, tell_unchecked};
use davylamp_cloud::aws::session::describe;
use davylamp_hunt::engine::Engine;
use davylamp_hunt::objects::{Location, Where};

use super::{InvestigateArgs, keys, verify};
use crate::failure::Failure;
use crate::hunt::args::LogArgs;
use crate::hunt::{remote, scope};

/// The table of CloudTrail's digests.
const DIGESTS: &str = "cloudtrail_digest";

/// What is to be checked of the logs of a case.
pub(super) fn asked(args: &InvestigateArgs) -> Result<Option<Asked>, Failure> {
    if !args.verify {
        return Ok(None);
    }
    let logs = &args.logs;
    Ok(Some(Asked {
        // What comes through a pipe was read, and no digest is about it.
        locations: files(logs).cloned().collect(),
        remote: remote(logs),
        scope: scope(logs),
        keys: keys::of_files(&args.public_keys)?,
        is_copy: args.copy,
        threads: None,
    }))
}

/// Says in a case whether its log files are whole.
pub(super) async fn say(
    case: &mut Case,
    asked: Option<Asked>,
    engine: &Engine,
    args: &InvestigateArgs,
) {
    let digests = engine.said_to_be(DIGESTS) as u64;
    let unchecked = match asked {
        _ if !engine.has_logs() => Unchecked::Lake,
        Some(asked) => match verify::checked(asked, &args.public_keys, Box::new(|_| ())).await {
            Ok(checked) => return tell(case, &checked),
            Err(error) => Unchecked::Failed {
                why: describe(&error),
            },
        },
        None if digests == 0 => Unchecked::NoDigest,
        None => Unchecked::NotAsked {
            digests,
            command: command(&args.logs),
        },
    };
    tell_unchecked(case, &unchecked);
}

fn files(logs: &LogArgs) -> impl Iterator<Item = &Location> {
    let logs = logs.logs.iter();
    logs.filter(|location| location.at != Where::Stdin)
}

/// The command that checks the log files alone.
fn command(logs: &LogArgs) -> String {
    let mut words: Vec<String> = ["davy", "investigate", "verify", "--logs"]
        .map(str::to_owned)
        .into();
    words.extend(files(logs).map(|location| quoted(&location.to_string())));
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            words.extend([name.to_owned(), quoted(&value)]);
        }
    };
    add("--public-keys", Some("aws".to_owned()));
    add("--since", logs.since.map(|at| at.to_string()));
    add("--until", logs.until.map(|at| at.to_string()));
    for account in &logs.account {
        add("--account", Some(account.clone()));
    }
    for region in &logs.region {
        add("--region", Some(region.clone()));
    }
    add("--endpoint-url", logs.endpoint_url.clone());
    add("--bucket-region", logs.bucket_region.clone());
    if logs.no_sign_request {
        words.push("--no-sign-request".to_owned());
    }
    words.join(" ")
}

/// A word as a shell reads it (POSIX, "Single-Quotes").
fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=@%+,".contains(&byte);
    match !word.is_empty() && word.bytes().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}
