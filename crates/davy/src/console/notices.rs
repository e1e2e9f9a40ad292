//! What people were told, and whether channels work, from the terminal.

use std::process::ExitCode;

use anyhow::anyhow;
use clap::Subcommand;
use davylamp_console::Console;
use davylamp_console::notices::outbox::{Asked, Row, State};
use davylamp_console::notices::{Notices, Trouble};
use davylamp_notice::{quiet_json, visible};
use jiff::Timestamp;
use serde_json::json;

use super::people::BY_TERMINAL;
use crate::failure::Failure;
use crate::output::emit;

/// `davy console notice`
#[derive(Debug, Clone, Subcommand)]
pub enum NoticeArgs {
    /// Send a test through a channel, and say what became of it
    Test {
        /// The channel, as [[console.notices.channels]] names it
        channel: String,
    },
    /// What was told, the latest first, as JSON lines
    List {
        /// Only what stands so: waiting, sending, sent or failed
        #[arg(long, value_name = "STATE", value_parser = state)]
        state: Option<State>,
        /// Only through this channel
        #[arg(long, value_name = "NAME")]
        channel: Option<String>,
        /// Only about this incident
        #[arg(long, value_name = "NUMBER")]
        incident: Option<i64>,
        /// So many at most
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
        rows: u32,
    },
}

fn state(name: &str) -> Result<State, String> {
    State::named(name).ok_or_else(|| "write waiting, sending, sent or failed".to_owned())
}

pub(super) async fn notice(console: &Console, args: &NoticeArgs) -> Result<ExitCode, Failure> {
    let notices = console.notices().await.map_err(super::failure)?;
    match args {
        NoticeArgs::Test { channel } => test(&notices, channel).await,
        NoticeArgs::List {
            state,
            channel,
            incident,
            rows,
        } => {
            let asked = Asked {
                state: *state,
                channel: channel.clone(),
                incident: *incident,
                after: None,
                rows: *rows,
            };
            let found = notices.outbox().list(&asked).await;
            let found = found.map_err(|error| failure(Trouble::from(error)))?;
            for row in found.iter().take(*rows as usize) {
                emit(shown(row) + "\n")?;
            }
            if found.len() > *rows as usize {
                crate::output::note("there are more: --rows shows up to 500");
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn test(notices: &Notices, channel: &str) -> Result<ExitCode, Failure> {
    let id = notices.test(channel, BY_TERMINAL).await.map_err(failure)?;
    let row = notices.send(&id).await.map_err(failure)?;
    match row {
        Some(row) if row.state == State::Sent => {
            emit(format!("{} has taken it\n", visible(channel)))?;
            Ok(ExitCode::SUCCESS)
        }
        row => {
            let why = row.map_or_else(String::new, |row| row.error);
            let why = anyhow!("{} has not taken it: {}", visible(channel), visible(&why));
            let hint = "see its settings in [[console.notices.channels]], and docs/notices.md";
            Err(Failure::new(why, hint))
        }
    }
}

/// One line of JSON, as of people and tokens.
fn shown(row: &Row) -> String {
    let time = |us: i64| {
        Timestamp::from_microsecond(us)
            .ok()
            .map(|at| at.to_string())
    };
    let waits = matches!(row.state, State::Waiting);
    let value = json!({
        "id": row.id,
        "made": time(row.created),
        "state": row.state.as_str(),
        "channel": row.channel,
        "person": row.person,
        "incident": row.incident,
        "title": row.title,
        "tries": row.attempts,
        "next": waits.then(|| time(row.next_at)).flatten(),
        "sent": row.sent.and_then(time),
        "error": row.error,
    });
    quiet_json(&value.to_string())
}

fn failure(error: Trouble) -> Failure {
    let hint = match &error {
        Trouble::NoChannel { .. } => "[[console.notices.channels]] in davy.toml names channels",
        _ => "see the database's own log",
    };
    Failure::new(anyhow::Error::new(error), hint)
}
